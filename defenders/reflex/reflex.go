// Package reflex is the first, immediate stage: a few certain and cheap rules that react
// at once and only with what does little harm, such as slowing down a source of refused
// passwords or blocking what a feed is certain of. It is a detector like others
// (defenders/detect) whose findings ask for a reaction; the reactions go through
// defenders/response so that they are audited and undone like all others.
package reflex

import (
	"strings"
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/sim/action"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// Kind is the detector as variants name it.
var Kind = detect.Kind{
	Name: "reflex", Version: "2", Doc: "reacts at once to refused passwords in quick succession and to what a feed is certain of",
	Options: func() any { return &Options{} },
	New: func(env detect.Env, options any) (detect.Detector, error) {
		return New(*options.(*Options), env), nil
	},
}

// Options configure the stage; zero values take the defaults named.
type Options struct {
	// Failures within Window from one source call for a rate limit.
	Failures int           `yaml:"failures" doc:"refused passwords from one source that call for a rate limit; 6 when absent"`
	Window   time.Duration `yaml:"window" doc:"time within which they come; 1m when absent"`
	Limit    float64       `yaml:"limit" doc:"attempts a second that a limited source is left with; 0.2 when absent"`
	TTL      time.Duration `yaml:"ttl" doc:"time for which a reaction holds; 30m when absent"`
}

// Reflex is the detector.
type Reflex struct {
	options   Options                                        `snapshot:"-"`
	inventory *inventory.Inventory                           `snapshot:"-"`
	certain   func(now time.Duration, indicator string) bool `snapshot:"-"`
	sources   map[string]source

	nextForget time.Duration
}

// source is what is known of where refused passwords or certain indicators come from.
type source struct {
	failures []failure     // within the window
	until    time.Duration // when the last reaction ends
}

type failure struct {
	at    time.Duration
	event uint64
}

// New puts the detector together.
func New(o Options, env detect.Env) *Reflex {
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
	return &Reflex{options: o, inventory: env.Inventory, certain: env.Certain, sources: map[string]source{}}
}

// Inspect looks at one event.
func (r *Reflex) Inspect(now time.Duration, e *event.Event, report detect.Report) error {
	switch e.Source.Service {
	case "sshd":
		if e.Value(event.Action) == "failed_password" {
			r.countFailure(now, e, e.Value(event.SourceIp), report)
		}
	case "security":
		if e.Value(event.EventID) == "4625" {
			r.countFailure(now, e, e.Value(event.IpAddress), report)
		}
	case "conn", "ssl":
		if r.certain != nil {
			r.matchIndicators(now, e, report)
		}
	}
	return nil
}

// countFailure counts a refused password. Sources inside the estate are left to
// detection: a wrong password in a script is no attack.
func (r *Reflex) countFailure(now time.Duration, e *event.Event, from string, report detect.Report) {
	if from == "" || from == "-" || strings.HasPrefix(from, "127.") || r.inventory.Host(from) != nil {
		return
	}
	r.forget(now, e.Time)
	from = strings.Clone(from) // it outlives the event; a map takes the newest of equal keys
	s, known := r.sources[from]
	if !known && len(r.sources) >= maxSources {
		return // a flood from everywhere is for detection
	}
	s.failures = append(s.failures, failure{e.Time, e.ID})
	for len(s.failures) > 0 && s.failures[0].at < e.Time-r.options.Window {
		s.failures = s.failures[1:]
	}
	certain := len(s.failures) >= r.options.Failures && e.Time >= s.until
	if certain {
		s.until = e.Time + r.options.TTL
	}
	r.sources[from] = s
	if !certain {
		return
	}
	evidence := make([]uint64, 0, len(s.failures))
	for _, f := range s.failures {
		evidence = append(evidence, f.event)
	}
	report(detect.Finding{
		RuleID: "reflex.password_failures", Title: "Refused Passwords In Quick Succession", Techniques: []string{"T1110"},
		Severity: severity.Low, Confidence: 0.6, Evidence: evidence,
		Reaction: r.reaction(
			action.Request{
				Kind:   action.RateLimit,
				Target: action.Target{Kind: action.Address, Value: from},
				Rate:   r.options.Limit,
			},
		),
	})
}

func (r *Reflex) reaction(request action.Request) *detect.Reaction {
	return &detect.Reaction{Request: request, TTL: r.options.TTL}
}

// maxSources bounds the sources that are counted at once.
const maxSources = 100_000

// forget drops sources that have been silent for longer than the window. It looks at most
// four times a window, so that a flood of sources costs no more than its events.
func (r *Reflex) forget(arrived, now time.Duration) {
	if arrived < r.nextForget {
		return
	}
	r.nextForget = arrived + r.options.Window/4
	for from, s := range r.sources {
		if now > s.until && (len(s.failures) == 0 || s.failures[len(s.failures)-1].at < now-r.options.Window) {
			delete(r.sources, from)
		}
	}
}

// matchIndicators looks for indicators that are certainly hostile.
func (r *Reflex) matchIndicators(now time.Duration, e *event.Event, report detect.Report) {
	for _, f := range []event.Field{event.IDRespHost, event.IDOrigHost, event.ServerName} {
		v := e.Value(f)
		if v == "" || !r.certain(now, v) {
			continue
		}
		v = strings.Clone(v) // it outlives the event
		if e.Time < r.sources["indicator "+v].until {
			return
		}
		r.sources["indicator "+v] = source{until: e.Time + r.options.TTL}
		request := action.Request{Kind: action.BlockIP, Target: action.Target{Kind: action.Address, Value: v}}
		if f == event.ServerName {
			request = action.Request{Kind: action.SinkholeDomain, Target: action.Target{Kind: action.Domain, Value: v}}
		}
		report(
			detect.Finding{
				RuleID:     "reflex.known_bad",
				Title:      "Connection To Known-Malicious Indicator",
				Techniques: []string{"T1071"},
				Severity:   severity.Low,
				Confidence: 0.85,
				Evidence:   []uint64{e.ID},
				Reaction:   r.reaction(request),
			},
		)
		return
	}
}
