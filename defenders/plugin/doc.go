// Package plugin runs detectors from outside the program: a child process that reads and
// writes lines of JSON, or a server that takes the same messages over HTTP. docs/plugins.md
// describes the protocol for those who write one.
//
// plugin.go is the detector that a trial sees (defenders/detect), protocol.go the messages,
// pool.go hands processes from trial to trial, process.go and http.go carry messages,
// check.go tries whether a plug-in keeps to the protocol. The program waits for each answer,
// so that a trial does not depend on how fast a plug-in is; whatever is wrong with one (a
// late answer, garbage, an end, too much memory) is an error of the trial that names the
// cause, and the next trial starts a process anew.
package plugin
