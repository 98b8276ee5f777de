// Package intel is the threat intelligence that a simulated defence can buy:
// feeds that know part of the attackers' infrastructure, some of it late, and
// that list innocent places too. Feeds are made from the truth, so they belong
// to the simulator; defenders ask them through an adapter in scenarios.
package intel

import (
	"errors"
	"maps"
	"slices"
	"time"

	"hemostat/sim"
)

// Config is one feed.
type Config struct {
	Name string
	// Coverage is the share of hostile indicators that the feed will ever know.
	Coverage float64
	// Delay is how long after an indicator is first of interest the feed has it;
	// about half of what it covers it has from the start.
	Delay sim.Dist
	// Errors is how many innocent indicators it lists.
	Errors int
	// Expiry is how long the feed keeps an indicator before it drops it as stale; the zero value
	// for ever.
	Expiry sim.Dist
	// Outage is when the feed does not answer, from Outage.After for Outage.For; the zero value
	// for never.
	Outage Outage
	// Confidence is what the feed says of its own entries.
	Confidence float64
	// Planted are innocent indicators that attackers have reported to it; it lists them from the
	// start.
	Planted []string
}

// Outage is a time in which a feed does not answer.
type Outage struct{ After, For time.Duration }

// errDown is the answer of a feed that does not answer.
var errDown = errors.New("the feed does not answer")

// Default is a commercial feed of middling quality. Its figures are assumptions
// (docs/calibration.md).
func Default() []Config {
	return []Config{{Name: "feed", Coverage: 0.3, Delay: sim.LogNormal(3*time.Hour, 1), Errors: 2, Confidence: 0.5}}
}

// Feed answers for one trial.
type Feed struct {
	name       string
	confidence float64
	known      map[string]time.Duration
	dropped    map[string]time.Duration // when each entry is dropped; none is for ever
	outage     Outage
}

// NewFeed draws what a feed knows of these hostile indicators, and which of the
// innocent ones it lists by mistake.
func NewFeed(c Config, streams sim.Streams, hostile, innocent []string) *Feed {
	f := &Feed{name: c.Name, confidence: c.Confidence, known: map[string]time.Duration{},
		dropped: map[string]time.Duration{}, outage: c.Outage}
	s := streams.Stream("feed "+c.Name, "entries")
	hostile = slices.Clone(hostile)
	slices.Sort(hostile)
	for _, i := range hostile {
		covered, early, delay := s.Bool(c.Coverage), s.Bool(0.5), c.Delay.Sample(&s)
		switch {
		case covered && early:
			f.known[i] = 0
		case covered:
			f.known[i] = delay
		}
	}
	for range min(c.Errors, len(innocent)) {
		f.known[sim.Pick(&s, innocent)] = 0
	}
	for _, i := range c.Planted {
		f.known[i] = 0
	}
	if !c.Expiry.IsZero() {
		life := streams.Stream("feed "+c.Name, "expiry")
		for _, i := range slices.Sorted(maps.Keys(f.known)) {
			f.dropped[i] = f.known[i] + c.Expiry.Sample(&life)
		}
	}
	return f
}

// Name is the feed's name.
func (f *Feed) Name() string { return f.name }

// Certain is the confidence from which a feed is taken at its word.
const Certain = 0.9

// Each calls f with every indicator that the feed ever knows, since when and until when,
// sorted; until is 0 for ever.
func (f *Feed) Each(call func(indicator string, since, until time.Duration)) {
	for _, indicator := range slices.Sorted(maps.Keys(f.known)) {
		call(indicator, f.known[indicator], f.dropped[indicator])
	}
}

// Lookup tells whether the feed knows an indicator at a time, and how sure it is; it is
// errDown while the feed does not answer.
func (f *Feed) Lookup(now time.Duration, value string) (confidence float64, known bool, err error) {
	if f.outage.For > 0 && now >= f.outage.After && now < f.outage.After+f.outage.For {
		return 0, false, errDown
	}
	since, ok := f.known[value]
	if until, drops := f.dropped[value]; !ok || now < since || drops && now >= until {
		return 0, false, nil
	}
	return f.confidence, true, nil
}
