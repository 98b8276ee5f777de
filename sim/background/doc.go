// Package background is everybody who works beside the attackers: people at
// their desks, administrators with PsExec, PowerShell remoting and scheduled
// tasks, services, update pollers, backups, scanners, and the guessing noise of
// the internet. They act through the same operations of sim/world as attackers
// do, so they leave the same telemetry, and what the defence blocks fails for
// them; the time that this costs people is the collateral damage.
//
// background.go runs the actors, people.go and machines.go say what they do,
// calendar.go when.
package background
