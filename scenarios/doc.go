// Package scenarios reads scenario files: an estate, ordinary users, attackers and what
// damage is worth. scenario.go reads and checks them, settings.go changes values by their
// paths, weights.go says what costs count; the embedded ones stand in embedded.
//
// The packages below it wire scenarios and defences together, each with one subject:
// defence is a variant made ready, plan the matrix of a run, trial one simulated day of
// a scenario against a variant, measure what a trial came to, coverage what a variant's
// detectors see of each technique.
package scenarios
