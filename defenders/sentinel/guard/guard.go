// Package guard defends the defence: against attackers who teach its detectors, know their bars,
// flood its people, plant indicators in its feeds, and address its models. Each defence is a
// switch of a variant. What concerns how detectors learn is done by the detectors themselves
// (detect.Caution); the others stand here: canaries that must stay detectable (canary.go),
// detectors that nearly agree (panel.go), places in ordinary use that no feed can make hostile
// (feeds.go). attackers/evasion has the attacks, docs/adversarial.md what each defence is worth.
package guard

import (
	"fmt"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
)

// Options switch the defences on; the zero value has none.
type Options struct {
	// Caution is how carefully detectors learn.
	Caution detect.Caution
	// Vary is by what share the bars of detectors differ from host to host, 0 to 0.5.
	Vary float64
	// Canaries is how often it is tried whether detectors still see what they must; 0 for never.
	Canaries time.Duration
	// Agreement is the share of their bars, 0 to 1, from which on detectors that agree about a host
	// raise an alert together; 0 for never.
	Agreement float64
	// Feeds is from how many hosts on a place counts as in ordinary use, so that no feed can make
	// it hostile; 0 for never.
	Feeds int
	// AlertRate is how many alerts an hour of one rule about one host are passed on; 0 for all.
	AlertRate int
}

// IsEmpty tells whether every defence is off.
func (o Options) IsEmpty() bool { return o == Options{} }

// Guard is what the defences know in one pipeline. It is a detector that stands after the others.
type Guard struct {
	options   Options              `snapshot:"-"`
	inventory *inventory.Inventory `snapshot:"-"`
	panel     panel
	places    places
}

// name is the guard's name among the detectors.
const name = "guard"

// New makes a guard and lets the environment of the detectors know of it.
func New(o Options, env *detect.Env) *Guard {
	g := &Guard{options: o, inventory: env.Inventory, panel: newPanel(), places: newPlaces()}
	env.Caution = o.Caution
	if o.Vary > 0 {
		secret := fmt.Sprintf("%d/%d", env.Seed, env.Index)
		env.Vary = func(entity string) float64 {
			return 1 + o.Vary*(2*float64(sketch.Hash(secret, entity)>>11)/(1<<53)-1)
		}
	}
	if told := env.Scores; o.Agreement > 0 {
		env.Scores = func(detector string, s detect.Score) {
			if told != nil {
				told(detector, s)
			}
			g.score(detector, s)
		}
	}
	if certain := env.Certain; o.Feeds > 0 && certain != nil {
		env.Certain = func(now time.Duration, indicator string) bool {
			return certain(now, indicator) && !g.isTrusted(now, indicator)
		}
	}
	return g
}

// Member is the guard as a detector of the stage.
func (g *Guard) Member() sentinel.Member {
	return sentinel.Member{Name: name, Version: "1", Detector: g}
}

// Inspect implements detect.Detector: it notes which places are in use, and reports what the
// detectors before it agree upon.
func (g *Guard) Inspect(_ time.Duration, e *event.Event, report detect.Report) error {
	if g.options.Feeds > 0 {
		g.places.see(e)
	}
	for _, f := range g.panel.take() {
		report(f)
	}
	return nil
}

// of finds the guard among detectors; nil where there is none.
func of(members []sentinel.Member) *Guard {
	for _, m := range members {
		if g, ok := m.Detector.(*Guard); ok {
			return g
		}
	}
	return nil
}

// Sources are sources of threat intelligence as the guard among the detectors lets them speak.
func Sources(members []sentinel.Member, sources []fusion.Source) []fusion.Source {
	g := of(members)
	if g == nil || g.options.Feeds == 0 {
		return sources
	}
	out := make([]fusion.Source, len(sources))
	for i, s := range sources {
		out[i] = &source{s, g}
	}
	return out
}

// AlertRate is how many alerts an hour of one rule about one host the guard among the detectors
// lets pass; 0 for all.
func AlertRate(members []sentinel.Member) int {
	if g := of(members); g != nil {
		return g.options.AlertRate
	}
	return 0
}

// Hear returns what is told of alerts below severity medium; nil for nobody.
func Hear(members []sentinel.Member) func(a *alert.Alert) {
	if g := of(members); g != nil && g.options.Agreement > 0 {
		return g.hear
	}
	return nil
}
