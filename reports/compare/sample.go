package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"hemostat/sim/record"
)

// Key is what pairs two trials: they faced the same day.
type Key struct {
	Scenario string
	Seed     uint64
	Index    int
}

func (k Key) compare(o Key) int {
	return cmp.Or(strings.Compare(k.Scenario, o.Scenario), cmp.Compare(k.Seed, o.Seed), cmp.Compare(k.Index, o.Index))
}

// observation is what a comparison keeps of a trial.
type observation struct {
	Key
	ScenarioDigest string
	Horizon        int64
	Objective      float64   // nanoseconds until the attacker reached the goal; infinite: never
	Values         []float64 // by Metrics
}

// Sample is the trials of one variant.
type Sample struct {
	Variant string
	Errors  int // trials of status error, which are left out
	// Settings are what the variant sets in the scenarios. Two variants that set
	// different things are to be compared although their scenarios differ by that.
	Settings string

	trials []observation
	values []float64 // the block that the next values come from
}

// NewSample makes a sample with room for so many trials.
func NewSample(variant string, trials int) *Sample {
	return &Sample{
		Variant: variant,
		trials:  make([]observation, 0, trials),
		values:  make([]float64, 0, trials*len(metrics)),
	}
}

// Len is the number of trials without those of status error.
func (s *Sample) Len() int { return len(s.trials) }

// Add takes a trial in. It refuses numbers that are none.
func (s *Sample) Add(t *record.Trial, seed uint64, scenarioDigest string) error {
	if t.Status != "ok" {
		s.Errors++
		return nil
	}
	for _, c := range record.TrialColumns {
		if v, _ := c.Number(t); c.Type == "REAL" && (math.IsNaN(v) || math.IsInf(v, 0)) {
			return fmt.Errorf(
				"trial %s (%s/%s/%d) has the %s %v, which is no number: its row is damaged, so remove it and run it again with --resume",
				t.TrialID,
				t.Scenario,
				t.Variant,
				t.Index,
				c.Name,
				v,
			)
		}
	}
	from := len(s.values)
	if cap(s.values)-from < len(metrics) {
		s.values, from = make([]float64, 0, 1024*len(metrics)), 0
	}
	for i := range metrics {
		s.values = append(s.values, metrics[i].Of(t))
	}
	objective := math.Inf(1)
	if t.TimeToObjective != nil {
		objective = float64(*t.TimeToObjective)
	}
	s.trials = append(
		s.trials,
		observation{
			Key{t.Scenario, seed, t.Index},
			scenarioDigest,
			t.Horizon,
			objective,
			s.values[from:len(s.values):len(s.values)],
		},
	)
	return nil
}

// sort puts the trials in order and refuses a day that is there twice, which
// would count its luck twice.
func (s *Sample) sort() error {
	byKey := func(a, b observation) int { return a.compare(b.Key) }
	if !slices.IsSortedFunc(s.trials, byKey) {
		slices.SortFunc(s.trials, byKey)
	}
	for i := 1; i < len(s.trials); i++ {
		if k := s.trials[i].Key; k == s.trials[i-1].Key {
			return fmt.Errorf(
				"variant %q has several trials of %s, seed %d, index %d (other states of the scenario or the variant); they are one day and must not count twice: choose one run with --run",
				s.Variant,
				k.Scenario,
				k.Seed,
				k.Index,
			)
		}
	}
	return nil
}

// pair is two trials of one day.
type pair struct{ baseline, candidate *observation }

// match pairs two samples, in order. It refuses pairs that did not face the same
// day.
func match(baseline, candidate *Sample) ([]pair, error) {
	for _, s := range []*Sample{baseline, candidate} {
		if err := s.sort(); err != nil {
			return nil, err
		}
	}
	pairs := make([]pair, 0, min(baseline.Len(), candidate.Len()))
	for i, j := 0, 0; i < baseline.Len() && j < candidate.Len(); {
		b, c := &baseline.trials[i], &candidate.trials[j]
		switch order := b.compare(c.Key); {
		case order < 0:
			i++
		case order > 0:
			j++
		default:
			if b.Horizon != c.Horizon {
				return nil, fmt.Errorf(
					"scenario %s has a horizon of %s in one variant and %s in the other; such trials cannot be compared",
					b.Scenario,
					duration(float64(b.Horizon)),
					duration(float64(c.Horizon)),
				)
			}
			if b.ScenarioDigest != c.ScenarioDigest && baseline.Settings == candidate.Settings {
				return nil, fmt.Errorf(
					"scenario %s is not the same in %q and %q (digests %.12s and %.12s): their trials faced different days; run both against one state of it, or choose runs with --run",
					b.Scenario,
					baseline.Variant,
					candidate.Variant,
					b.ScenarioDigest,
					c.ScenarioDigest,
				)
			}
			pairs = append(pairs, pair{b, c})
			i++
			j++
		}
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf(
			"variants %q and %q have no trial in common: the same scenarios, seed and indices are needed (%s against %s)",
			baseline.Variant,
			candidate.Variant,
			baseline.describe(),
			candidate.describe(),
		)
	}
	return pairs, nil
}

// describe says what a sample holds, for errors.
func (s *Sample) describe() string {
	var scenarios []string
	for i := range s.trials {
		if name := s.trials[i].Scenario; len(scenarios) == 0 || scenarios[len(scenarios)-1] != name {
			scenarios = append(scenarios, name)
		}
	}
	switch {
	case len(scenarios) == 0 && s.Errors > 0:
		return fmt.Sprintf("%d trials, all of status error", s.Errors)
	case len(scenarios) == 0:
		return "no trials"
	case len(scenarios) > 6:
		scenarios = append(scenarios[:6], "…")
	}
	return fmt.Sprintf("%d trials of %s from seed %d", s.Len(), strings.Join(scenarios, ", "), s.trials[0].Seed)
}
