package technique

import (
	"fmt"
	"hemostat/sim/attack"
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/footprint"
	"hemostat/sim/world"
)

// Technique is one entry of the library.
type Technique struct {
	ID        string   // ATT&CK id
	Name      string   // ATT&CK name
	Tactic    string   // ATT&CK tactic, such as lateral-movement
	Platforms []string // windows, linux, network
	Needs     string   // what must be the case before, in words
	Effect    string   // what is the case afterwards, in words
	Telemetry []string // log sources that may see it
	Achieves  string   // kind of goal that it serves: control, persist, exfiltrate, encrypt, or none
	Tools     []string // variants; the first is the loudest
	Takes     sim.Dist // time until it has its effect, before skill
	Success   float64  // chance of success of an average operator when nothing is in the way

	ready  func(s *State) error
	run    func(a *Attempt) Progress
	script *script
	// footprints are tools that were recorded.
	footprints map[string]*footprint.Footprint
}

// Attempt is one use of a technique by one attacker.
type Attempt struct {
	*State
	Technique *Technique
	Tool      string
	Options   map[string]string // from the campaign's with:
	Now       time.Duration
	Rand      sim.Stream
	Round     int // how often run was called before

	Target  *world.Host
	Account *world.Account
	Process *world.Process
	Count   int
	Bytes   uint64
	onWay   shipment
	failed  bool
	playing *playback
}

// Progress is what one call of a technique reports: done or not, and until when
// to wait before it goes on.
type Progress struct {
	Done    bool
	OK      bool
	Wait    time.Duration
	Refusal world.Refusal
	Note    string
}

// Ready tells why a technique cannot be used now, or nil.
func (t *Technique) Ready(s *State) error {
	if t.ready == nil {
		return nil
	}
	return t.ready(s)
}

// Begin starts an attempt: the tool is chosen by stealth and skill, and whether the
// operator blunders is drawn. Tools stand in the order of noise, loudest first; the
// choice is binomial, each louder one passed over with probability quiet. Tools that
// they believe to be burned are left out.
func (t *Technique) Begin(s *State, options map[string]string, now time.Duration, r sim.Stream) *Attempt {
	a := &Attempt{State: s, Technique: t, Options: options, Now: now, Rand: r.For("run")}
	draw := r.For("tool")
	if len(t.Tools) > 0 {
		tools := t.Tools
		if watched := s.Watched[t.ID]; len(watched) > 0 {
			tools = slices.DeleteFunc(slices.Clone(tools), func(x string) bool { return slices.Contains(watched, x) })
		}
		at := 0
		for range len(tools) - 1 {
			if draw.Bool(s.quiet()) {
				at++
			}
		}
		a.Tool = tools[at]
		if want := options["tool"]; slices.Contains(t.Tools, want) {
			a.Tool = want
		}
	}
	luck := r.For("luck")
	a.failed = !luck.Bool(min(0.99, t.Success+(s.Skill-0.5)*0.2))
	return a
}

// Delay is how long the attempt takes before its effect.
func (a *Attempt) Delay() time.Duration {
	s := a.Rand.For("takes")
	return time.Duration(float64(a.Technique.Takes.Sample(&s)) * (1.15 - 0.3*a.Skill) * a.Care)
}

// Run makes one round of the attempt.
func (a *Attempt) Run(now time.Duration) Progress {
	a.Now = now
	p := a.Technique.run(a)
	a.Round++
	return p
}

func success(format string, args ...any) Progress {
	return Progress{Done: true, OK: true, Note: fmt.Sprintf(format, args...)}
}

func failure(format string, args ...any) Progress {
	return Progress{Done: true, Note: fmt.Sprintf(format, args...)}
}

func blocked(r world.Refusal) Progress {
	return Progress{Done: true, Refusal: r, Note: r.Reason}
}

func again(wait time.Duration) Progress { return Progress{Wait: wait} }

var library = complete(slices.Concat(reconnaissance, initialAccess, execution, persistence, privilegeEscalation, stealth, defenseImpairment, windowsInternals, credentialAccess, identity,
	discovery, lateralMovement, collection, commandAndControl, exfiltration, impact))

// All lists the library by id.
func All() []*Technique {
	out := slices.Clone(library)
	slices.SortFunc(out, func(a, b *Technique) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// Find returns a technique by its ATT&CK id, or nil.
func Find(id string) *Technique {
	id = attack.Current(id)
	for _, t := range library {
		if t.ID == id {
			return t
		}
	}
	return nil
}
