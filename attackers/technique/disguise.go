package technique

import (
	"strings"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

// Rhythm is how an implant calls home when its operator has tuned it.
type Rhythm struct {
	Shape RhythmShape
	// Jitter is the share of the interval that varies, 0 to 1.
	Jitter float64
	// Stretch is the factor on the interval, 1 or more: what the operator pays in waiting.
	Stretch float64
	// Padding is the most bytes that are added to a call, evenly drawn.
	Padding float64
}

// RhythmShape is how intervals vary.
type RhythmShape string

// The shapes: shortened evenly by the jitter, as implants do by themselves; drawn from an
// exponential distribution; and in bursts with long pauses between, as people browse.
const (
	UniformRhythm     RhythmShape = "uniform"
	ExponentialRhythm RhythmShape = "exponential"
	BurstRhythm       RhythmShape = "bursts"
)

// RhythmShapes lists the shapes.
var RhythmShapes = []RhythmShape{UniformRhythm, ExponentialRhythm, BurstRhythm}

// Interval draws the time to the next call. The mean of each shape is Stretch times the interval,
// less what jitter takes off.
func (r *Rhythm) Interval(interval time.Duration, s *sim.Stream) time.Duration {
	mean := float64(interval) * r.Stretch
	switch r.Shape {
	case ExponentialRhythm:
		mean *= 1 - r.Jitter + r.Jitter*s.Exp()
	case BurstRhythm:
		const within = 0.15 // of the mean, between the calls of a burst
		if s.Bool(1 - 0.3*r.Jitter) {
			mean *= 1 - r.Jitter + r.Jitter*within*s.Exp()
		} else {
			mean *= 1 + 3*r.Jitter*s.Exp()
		}
	default:
		mean *= 1 - r.Jitter*s.Float64()
	}
	return max(time.Second, time.Duration(mean))
}

// Size adds padding to the bytes of a call.
func (r *Rhythm) Size(bytes uint64, s *sim.Stream) uint64 {
	return bytes + uint64(r.Padding*s.Float64())
}

// Placement is where an attacker puts text that is meant for a model.
type Placement string

// The placements: in the command lines of shells and the names of the attacker's domains; in the
// names of files that are written; in scripts that run before, which a model meets only
// when it asks for the history of the host.
const (
	InCommands Placement = "direct"
	InFiles    Placement = "stored"
	InHistory  Placement = "retrieved"
)

// Annotation is text of the attacker's for a model that reads telemetry.
type Annotation struct {
	Text  string
	Where Placement
}

// fileName is the text as a part of a file's name.
func (a *Annotation) fileName() string {
	return strings.NewReplacer("/", "-", `\`, "-", ":", " ").Replace(a.Text)
}

// domain is the text as a label of a domain name (RFC 1035: letters, digits and hyphens, 63 at most).
func (a *Annotation) domain() string {
	label := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, a.Text)
	return strings.Trim(label[:min(len(label), 63)], "-")
}

// Forms are the forms in which the text stands in telemetry.
func (a Annotation) Forms() []string {
	switch a.Where {
	case InCommands:
		return []string{a.Text, a.domain()}
	case InFiles:
		return []string{a.fileName()}
	}
	return []string{a.Text}
}

// Annotate puts a text for models into what the attacker does from now on.
func (s *State) Annotate(a Annotation) {
	s.Annotation = a
	if a.Where != InCommands {
		return
	}
	for i := range s.Domains {
		s.Domains[i].Name = a.domain() + "." + s.Domains[i].Name
		s.Hostile.MarkAddress(s.Domains[i].Name)
	}
}

// annotate adds the text to a command line where its program takes it for a comment.
func (s *State) annotate(b *world.Binary, line string) string {
	if s.Annotation.Where != InCommands || line == "" {
		return line
	}
	switch name := strings.ToLower(b.Name()); name {
	case "cmd.exe":
		return line + " & rem " + s.Annotation.Text
	case "powershell.exe", "bash", "sh":
		return line + " # " + s.Annotation.Text
	}
	return line
}

// createFile writes a file by a process.
func (a *Attempt) createFile(at time.Duration, p *world.Process, path string) world.Refusal {
	return a.World.CreateFile(at, a.Actor, p, a.annotateFile(path))
}

// annotateFile puts the text into the name of a file, before its extension.
func (s *State) annotateFile(path string) string {
	if s.Annotation.Where != InFiles {
		return path
	}
	dot := strings.LastIndexByte(path, '.')
	if dot < strings.LastIndexAny(path, `\/`) {
		dot = len(path)
	}
	return path[:dot] + " " + s.Annotation.fileName() + path[dot:]
}

// LeaveAnnotation runs a script with the text on a foothold, where later alerts about the host
// have it in their history; false where the text goes elsewhere or the foothold runs no scripts.
func (s *State) LeaveAnnotation(now time.Duration, f *Foothold) bool {
	if s.Annotation.Where != InHistory || !f.Host.Windows() {
		return false
	}
	p := s.StartOn(now, f, world.PowerShell, "powershell.exe -NoProfile")
	s.World.RunScript(now, s.Actor, p, "Write-Verbose '"+s.Annotation.Text+"'")
	return true
}

// StartOn starts a program on a foothold.
func (s *State) StartOn(now time.Duration, f *Foothold, b *world.Binary, line string) *world.Process {
	x := world.Start{Host: f.Host, Account: f.Account, Binary: b, CommandLine: s.annotate(b, line)}
	if f.Elevated {
		x.Integrity = "High"
	}
	if f.Implant != nil {
		x.Parent = f.Implant.Process
	}
	return s.World.StartProcess(now, s.Actor, x)
}
