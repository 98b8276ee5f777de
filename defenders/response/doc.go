// Package response carries out playbooks: which one an incident calls for, its
// steps in order or in parallel, people asked before risky ones, every action
// tried, verified by its effect, undone when its time is over, and written into a
// chained audit log.
//
// playbook.go says what a playbook is and load.go reads and checks a folder of
// them; condition.go compiles expressions and variables; registry.go knows the
// actions. engine.go starts runs, run.go carries a run through its tree of steps,
// approval.go asks people, action.go acts and holds effects, timer.go keeps the
// time, audit.go writes down what was decided.
//
// The engine is a state machine on a given clock: inputs are incidents, answers
// and results, outputs go to an Actuator and an Approver. It never sleeps and
// starts no goroutine. An incident belongs to it from the first alert until it is
// restored: whatever is done for the incident is done, held and undone here, once,
// however many playbooks ask for it.
package response
