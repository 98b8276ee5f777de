// Package sim is the deterministic engine below every trial: a virtual clock
// with an event queue, random streams that belong to one actor and purpose
// each, and the distributions that scenario files name.
//
// It knows nothing of attacks, hosts or detectors. Its input is a seed and a
// trial index; its output is the order in which handlers are called. Nothing
// here reads the wall clock.
package sim
