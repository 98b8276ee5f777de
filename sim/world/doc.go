// Package world is the simulated enterprise: zones and the flows allowed
// between them, hosts, accounts, data stores, sessions, processes, and the
// sensors that watch them. Background users and attackers act through the same
// operations, which leave the same telemetry; the defence acts through Apply,
// and what it blocks fails for both.
//
// world.go holds the state, spec.go the file that describes an estate,
// reach.go who may talk to whom, windows.go, linux.go and network.go what actors do
// and the events this leaves, actions.go what the defence does, hostile.go what
// attackers own.
package world
