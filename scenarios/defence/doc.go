// Package defence is a variant of the defence, read from a file and made ready: rules
// compiled, playbooks read, people, feeds and detectors chosen. variant.go reads it,
// detectors.go what it says of detectors; the embedded variants stand in variants. Its
// input are files, its output is what scenarios/trial builds a pipeline of.
package defence
