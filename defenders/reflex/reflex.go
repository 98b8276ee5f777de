// Package reflex is the first, immediate stage: a few certain and cheap rules
// that react at once and only with what does little harm, such as slowing down
// a source of refused passwords or blocking what a feed is certain of. It runs
// beside detection, before any correlation, and its reactions go through
// defenders/response so that they are audited and undone like all others.
package reflex

import (
	"strings"
	"time"

	"hemostat/defenders/inventory"
	"hemostat/sim/action"
	"hemostat/sim/event"
)

// Options configure the stage; zero values take the defaults named.
type Options struct {
	// Failures within Window from one source call for a rate limit; 6 within a
	// minute.
	Failures int
	Window   time.Duration
	// Limit is the rate that a limited source is left with, attempts a second;
	// 0.2.
	Limit float64
	// TTL is how long a reaction holds; 30 minutes.
	TTL time.Duration
	// KnownBad are addresses and domains that are certainly hostile.
	KnownBad map[string]bool
}

// Reaction is what the stage wants done at once.
type Reaction struct {
	Rule       string
	Title      string
	Technique  string
	Request    action.Request
	TTL        time.Duration
	Confidence float64
	Evidence   []uint64
}

// Reflex is the stage.
type Reflex struct {
	options   Options
	inventory *inventory.Inventory
	sources   map[string]*source
}

type source struct {
	times  []time.Duration
	events []uint64
	until  time.Duration
}

// New puts the stage together.
func New(o Options, v *inventory.Inventory) *Reflex {
	if o.Failures == 0 {
		o.Failures = 6
	}
	if o.Window == 0 {
		o.Window = time.Minute
	}
	if o.Limit == 0 {
		o.Limit = 0.2
	}
	if o.TTL == 0 {
		o.TTL = 30 * time.Minute
	}
	return &Reflex{options: o, inventory: v, sources: map[string]*source{}}
}

// Inspect looks at one event; ok tells whether to react.
func (r *Reflex) Inspect(e *event.Event) (Reaction, bool) {
	switch e.Source.Service {
	case "sshd":
		if e.Value(event.Action) == "failed_password" {
			return r.failure(e, e.Value(event.SourceIp))
		}
	case "security":
		if e.Value(event.EventID) == "4625" {
			return r.failure(e, e.Value(event.IpAddress))
		}
	case "conn", "ssl":
		if len(r.options.KnownBad) > 0 {
			return r.knownBad(e)
		}
	}
	return Reaction{}, false
}

// failure counts a refused password. Sources inside the estate are left to
// detection: a wrong password in a script is no attack.
func (r *Reflex) failure(e *event.Event, from string) (Reaction, bool) {
	if from == "" || from == "-" || strings.HasPrefix(from, "127.") || r.inventory.Host(from) != nil {
		return Reaction{}, false
	}
	s := r.sources[from]
	if s == nil {
		s = &source{}
		r.sources[from] = s
		if len(r.sources) > maxSources {
			r.forget(e.Time)
		}
	}
	s.times = append(s.times, e.Time)
	s.events = append(s.events, e.ID)
	for len(s.times) > 0 && s.times[0] < e.Time-r.options.Window {
		s.times, s.events = s.times[1:], s.events[1:]
	}
	if len(s.times) < r.options.Failures || e.Time < s.until {
		return Reaction{}, false
	}
	s.until = e.Time + r.options.TTL
	return Reaction{
		Rule: "reflex.password_failures", Title: "Refused Passwords In Quick Succession",
		Technique: "T1110", Request: action.Request{Kind: action.RateLimit, Target: action.Target{Kind: action.Address, Value: from}, Rate: r.options.Limit},
		TTL: r.options.TTL, Confidence: 0.6, Evidence: append([]uint64{}, s.events...),
	}, true
}

// maxSources bounds the sources that are counted at once.
const maxSources = 100_000

// forget drops sources that have been silent for longer than the window.
func (r *Reflex) forget(now time.Duration) {
	for from, s := range r.sources {
		if now > s.until && (len(s.times) == 0 || s.times[len(s.times)-1] < now-r.options.Window) {
			delete(r.sources, from)
		}
	}
}

func (r *Reflex) knownBad(e *event.Event) (Reaction, bool) {
	for _, f := range []event.Field{event.IDRespHost, event.IDOrigHost, event.ServerName} {
		v := e.Value(f)
		if v == "" || !r.options.KnownBad[v] {
			continue
		}
		s := r.sources["bad "+v]
		if s == nil {
			s = &source{}
			r.sources["bad "+v] = s
		}
		if e.Time < s.until {
			return Reaction{}, false
		}
		s.until = e.Time + r.options.TTL
		x := Reaction{Rule: "reflex.known_bad", Title: "Traffic With A Known Hostile Place", Technique: "T1071",
			Request: action.Request{Kind: action.BlockIP, Target: action.Target{Kind: action.Address, Value: v}},
			TTL:     r.options.TTL, Confidence: 0.85, Evidence: []uint64{e.ID}}
		if f == event.ServerName {
			x.Request = action.Request{Kind: action.SinkholeDomain, Target: action.Target{Kind: action.Domain, Value: v}}
		}
		return x, true
	}
	return Reaction{}, false
}
