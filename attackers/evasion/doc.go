// Package evasion is what attackers do against a defence that learns: they tune how their tools
// look, teach detectors that what they will do is ordinary, tire people and exhaust budgets with
// alerts, feed false indicators to those who share them, address models that read telemetry, and
// ask detectors to which they have access. Every method names its technique of MITRE ATLAS
// (version 5.6.0), what it assumes the attacker to know, and what it costs them; the cost is paid
// in the simulation where it is time, since a slower attacker gives the defence time.
//
// method.go declares the methods and reads them from a scenario, plan.go applies them to an
// attacker, search.go asks detectors, activity.go is what runs beside the campaign.
// docs/adversarial.md measures each against the defences of defenders/sentinel/guard.
package evasion
