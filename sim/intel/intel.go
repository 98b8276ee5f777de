// Package intel is the threat intelligence that a simulated defence can buy:
// feeds that know part of the attackers' infrastructure, some of it late, and
// that list innocent places too. Feeds are made from the truth, so they belong
// to the simulator; defenders ask them through an adapter in scenarios.
package intel

import (
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
	// Confidence is what the feed says of its own entries.
	Confidence float64
}

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
}

// NewFeed draws what a feed knows of these hostile indicators, and which of the
// innocent ones it lists by mistake.
func NewFeed(c Config, streams sim.Streams, hostile, innocent []string) *Feed {
	f := &Feed{name: c.Name, confidence: c.Confidence, known: map[string]time.Duration{}}
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
	return f
}

// Name is the feed's name.
func (f *Feed) Name() string { return f.name }

// Certain is the confidence from which a feed is taken at its word.
const Certain = 0.9

// Each calls f with every indicator that the feed ever knows and since when, sorted.
func (f *Feed) Each(call func(indicator string, since time.Duration)) {
	for _, indicator := range slices.Sorted(maps.Keys(f.known)) {
		call(indicator, f.known[indicator])
	}
}

// Lookup tells whether the feed knows an indicator at a time, and how sure it is.
func (f *Feed) Lookup(now time.Duration, value string) (confidence float64, known bool) {
	since, ok := f.known[value]
	if !ok || now < since {
		return 0, false
	}
	return f.confidence, true
}
