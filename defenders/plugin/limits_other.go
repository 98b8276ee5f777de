//go:build !linux

package plugin

import (
	"os"
	"os/exec"
)

// ownGroup does nothing where the system has no such groups.
func ownGroup(*exec.Cmd) {}

// killGroup ends the process alone.
func killGroup(p *os.Process) { _ = p.Kill() }

// limitMemory does nothing where the system cannot.
func limitMemory(int, uint64) error { return nil }
