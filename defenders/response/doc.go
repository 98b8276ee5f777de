// Package response carries out playbooks: which one an incident calls for, its
// steps in order, people asked before risky ones, every action tried, verified by
// its result, undone when its time is over, and written into an audit log.
//
// playbook.go says what a playbook is and load.go reads a folder of them,
// condition.go compiles expressions and variables, registry.go knows the
// actions, engine.go runs. The engine is a state machine on a given clock:
// inputs are incidents, answers and results, outputs go to an Actuator and an
// Approver. It never sleeps and starts no goroutine.
package response
