// Package sigma reads and evaluates Sigma detection rules (SigmaHQ Sigma
// specification 2.1.0): single-event rules with their modifiers and conditions,
// and correlations over them. Rules come in as YAML, events as
// sim/event.Event; matches go out with the fields that explain them.
//
// parse.go turns files into rules, condition.go the condition grammar, value.go
// the modifiers, engine.go evaluates, correlation.go counts over time,
// mapping.go says which events a log source means. The package depends on
// nothing else of the project but sim/event.
package sigma
