// Package scenarios is where everything comes together: the embedded scenario
// files and their loader, variants of the defence, and the one place in which
// world, attackers, analysts, feeds and the defence pipeline are wired into a
// trial.
//
// scenario.go reads scenarios, variant.go variants, override.go the parameters
// that runs set and sweep, plan.go the matrix of a run; trial.go wires and runs
// one trial, adapters.go gives the defence the interfaces that it asks for, and
// outcome.go says what a trial came to.
package scenarios
