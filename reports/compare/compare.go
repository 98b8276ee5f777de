// Package compare puts two variants side by side. Trials of the same scenario,
// seed and index are pairs that faced the same day, so differences are taken
// within pairs. What never happened is later than anything that did; a trial of
// status error is left out and counted. Trials come from reports/store, the
// result goes to the command line as text, Markdown or JSON.
package compare

import (
	"fmt"
	"math"
	"slices"

	"hemostat/reports/stats"
	"hemostat/sim/record"
)

// alpha is the error rate of every interval: 95 % confidence.
const alpha = 0.05

// Side is one variant's value with its interval.
type Side struct {
	Value, Lo, Hi float64
	N             int
}

// Row is one metric of one scenario; scenario * is all together.
type Row struct {
	Scenario, Metric    string
	Kind                Kind
	Baseline, Candidate Side
	Difference, Lo, Hi  float64
	P, PAdjusted        float64
	Effect              float64
}

// Kind says what a metric is, and so how it is estimated.
type Kind int

// The kinds of metric.
const (
	Rate  Kind = iota // share of trials; effect is the difference
	Time              // nanoseconds, perhaps never; effect is the share of pairs that got slower minus faster
	Count             // a number; effect is the standardized mean difference
)

// Result is a comparison.
type Result struct {
	Baseline, Candidate string
	Pairs               int
	Rows                []Row
	Warnings            []string
}

type metric struct {
	name string
	kind Kind
	of   func(*record.Trial) float64
}

func rate(b func(*record.Trial) bool) func(*record.Trial) float64 {
	return func(t *record.Trial) float64 {
		if b(t) {
			return 1
		}
		return 0
	}
}

func when(f func(*record.Trial) record.Time) func(*record.Trial) float64 {
	return func(t *record.Trial) float64 {
		if at := f(t); at != nil {
			return float64(*at)
		}
		return math.Inf(1)
	}
}

var metrics = []metric{
	{"detected", Rate, rate(func(t *record.Trial) bool { return t.Detected })},
	{"contained", Rate, rate(func(t *record.Trial) bool { return t.Contained })},
	{"objective_reached", Rate, rate(func(t *record.Trial) bool { return t.ObjectiveReached })},
	{"time_to_detect", Time, when(func(t *record.Trial) record.Time { return t.TimeToDetect })},
	{"time_to_respond", Time, when(func(t *record.Trial) record.Time { return t.TimeToRespond })},
	{"time_to_contain", Time, when(func(t *record.Trial) record.Time { return t.TimeToContain })},
	{"alerts_false", Count, func(t *record.Trial) float64 { return float64(t.AlertsFalse) }},
	{"actions_on_benign", Count, func(t *record.Trial) float64 { return float64(t.ActionsOnBenign) }},
	{"collateral_user_seconds", Count, func(t *record.Trial) float64 { return t.CollateralSeconds }},
	{"approvals_asked", Count, func(t *record.Trial) float64 { return float64(t.ApprovalsAsked) }},
	{"coherence", Count, func(t *record.Trial) float64 { return t.Coherence }},
	{"score", Count, func(t *record.Trial) float64 { return t.Score }},
}

// Key is what pairs two trials.
type Key struct {
	Scenario string
	Index    int
}

// Sample is the trials of one variant by what pairs them.
type Sample struct {
	Variant string
	Trials  map[Key]*record.Trial
	Errors  int
}

// Add takes a trial in.
func (s *Sample) Add(t *record.Trial) {
	if s.Trials == nil {
		s.Trials = map[Key]*record.Trial{}
	}
	if t.Status != "ok" {
		s.Errors++
		return
	}
	s.Trials[Key{t.Scenario, t.Index}] = t
}

// Compare puts two samples side by side.
func Compare(baseline, candidate *Sample) (*Result, error) {
	r := &Result{Baseline: baseline.Variant, Candidate: candidate.Variant}
	var keys []Key
	for k, b := range baseline.Trials {
		c := candidate.Trials[k]
		if c == nil {
			continue
		}
		if b.Horizon != c.Horizon {
			return nil, fmt.Errorf("scenario %s has a horizon of %s in one variant and %s in the other; such trials cannot be compared", k.Scenario, duration(float64(b.Horizon)), duration(float64(c.Horizon)))
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		if a.Scenario != b.Scenario {
			if a.Scenario < b.Scenario {
				return -1
			}
			return 1
		}
		return a.Index - b.Index
	})
	if len(keys) == 0 {
		return nil, fmt.Errorf("variants %q and %q have no trial in common: the same scenarios and indices are needed", baseline.Variant, candidate.Variant)
	}
	r.Pairs = len(keys)
	r.warn(baseline, candidate)
	groups := map[string][]Key{"*": keys}
	names := []string{"*"}
	for _, k := range keys {
		if groups[k.Scenario] == nil {
			names = append(names, k.Scenario)
		}
		groups[k.Scenario] = append(groups[k.Scenario], k)
	}
	for _, name := range names {
		if name == "*" && len(names) == 2 {
			continue // one scenario only: all together says the same
		}
		for _, m := range metrics {
			r.Rows = append(r.Rows, row(name, m, groups[name], baseline, candidate))
		}
	}
	p := make([]float64, len(r.Rows))
	for i := range r.Rows {
		p[i] = r.Rows[i].P
	}
	for i, adjusted := range stats.Holm(p) {
		r.Rows[i].PAdjusted = adjusted
	}
	return r, nil
}

func (r *Result) warn(baseline, candidate *Sample) {
	if left := len(baseline.Trials) + len(candidate.Trials) - 2*r.Pairs; left > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d trials have no counterpart in the other variant and are left out", left))
	}
	if baseline.Errors+candidate.Errors > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("trials of status error are left out: %d of the baseline, %d of the candidate", baseline.Errors, candidate.Errors))
	}
	if r.Pairs < 10 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("only %d pairs: intervals are wide, and a test finds large effects only", r.Pairs))
	}
}

func row(scenario string, m metric, keys []Key, baseline, candidate *Sample) Row {
	before, after := make([]float64, len(keys)), make([]float64, len(keys))
	for i, k := range keys {
		before[i], after[i] = m.of(baseline.Trials[k]), m.of(candidate.Trials[k])
	}
	out := Row{Scenario: scenario, Metric: m.name, Kind: m.kind}
	switch m.kind {
	case Rate:
		out.rates(before, after)
	case Time:
		out.times(before, after)
	default:
		out.counts(before, after)
	}
	return out
}

func side(i stats.Interval, n int) Side { return Side{i.Value, i.Lo, i.Hi, n} }

func (r *Row) rates(before, after []float64) {
	gained, lost, both, b, c := 0, 0, 0, 0, 0
	for i := range before {
		b += int(before[i])
		c += int(after[i])
		switch {
		case after[i] > before[i]:
			gained++
		case after[i] < before[i]:
			lost++
		case after[i] == 1:
			both++
		}
	}
	n := len(before)
	r.Baseline, r.Candidate = side(stats.Wilson(b, n, alpha), n), side(stats.Wilson(c, n, alpha), n)
	d := stats.Newcombe(stats.Pairs{Both: both, Baseline: lost, Candidate: gained, Neither: n - both - gained - lost}, alpha)
	r.Difference, r.Lo, r.Hi = d.Value, d.Lo, d.Hi
	r.P = stats.McNemar(gained, lost)
	r.Effect = d.Value
}

// times compares by the sign test, for which "never" is simply later; the
// difference is the median over pairs in which it happened on both sides.
func (r *Row) times(before, after []float64) {
	slower, faster := 0, 0
	var differences []float64
	for i := range before {
		switch {
		case after[i] > before[i]:
			slower++
		case after[i] < before[i]:
			faster++
		}
		if !math.IsInf(before[i], 0) && !math.IsInf(after[i], 0) {
			differences = append(differences, after[i]-before[i])
		}
	}
	n := len(before)
	r.Baseline, r.Candidate = side(stats.Median(before, alpha), n), side(stats.Median(after, alpha), n)
	d := stats.Median(differences, alpha)
	r.Difference, r.Lo, r.Hi = d.Value, d.Lo, d.Hi
	r.P = stats.SignTest(slower, faster)
	r.Effect = float64(slower-faster) / float64(n)
}

func (r *Row) counts(before, after []float64) {
	differences := make([]float64, len(before))
	for i := range before {
		differences[i] = after[i] - before[i]
	}
	n := len(before)
	r.Baseline, r.Candidate = side(stats.Mean(before, alpha), n), side(stats.Mean(after, alpha), n)
	d := stats.Mean(differences, alpha)
	r.Difference, r.Lo, r.Hi = d.Value, d.Lo, d.Hi
	r.P = stats.PairedT(differences)
	r.Effect = stats.StandardizedMean(differences)
}
