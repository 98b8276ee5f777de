// Package compare puts two variants side by side. Trials of the same scenario,
// seed and index are pairs that faced the same day, so differences are taken
// within pairs. What never happened is censored at the horizon: it is later than
// anything that did, and counts as the horizon in means. A trial of status error
// is left out and counted. Trials come from reports/store, the result goes to the
// command line as text, Markdown, HTML or JSON; reports/gate uses the same
// metrics. docs/statistics.md explains every choice.
package compare

import (
	"fmt"
	"math"
	"strings"

	"hemostat/reports/stats"
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
	Scenario            string
	Subject             string // technique or detector, in their own tables
	Metric              Metric
	Baseline, Candidate Side
	// Difference is the candidate minus the baseline within pairs, with its
	// interval; that of times is of means restricted to the horizon.
	Difference, Lo, Hi float64
	// P tests that there is no difference; PAdjusted holds for the whole table.
	P, PAdjusted float64
	// Effect is the effect size by the method: of pairs the rank correlation of times and
	// volumes, Cliff's delta or a common odds ratio without pairs, a hazard ratio of
	// survival.
	Effect float64
	// Hazard is the hazard ratio with its interval, of the method survival only: above 1
	// it happens sooner with the candidate. Its value is 0 elsewhere.
	Hazard stats.Interval
	// Later and Sooner count the pairs of a time in which the candidate was.
	Later, Sooner int
}

// Found tells whether the table as a whole shows this difference.
func (r Row) Found() bool { return r.PAdjusted < alpha }

// Better is 1 when the candidate was found better, -1 when worse, else 0. Of times the
// ranks decide, as in the test.
func (r Row) Better() int {
	direction := r.Difference
	switch {
	case r.Hazard.Value != 0:
		direction = 1 - r.Hazard.Value
	case r.Metric.Kind == Time && r.Later+r.Sooner > 0, direction == 0 && r.Metric.Kind != Rate:
		direction = r.Effect
	}
	switch {
	case !r.Found():
		return 0
	case direction*float64(r.Metric.Better) > 0:
		return 1
	}
	return -1
}

// Result is a comparison.
type Result struct {
	Baseline, Candidate string
	Pairs               int
	Rows                []Row
	// Techniques and Detectors tell where the difference comes from; empty when the
	// trials' steps and alerts were not given.
	Techniques, Detectors []Row
	Warnings              []string
	Options               Options

	pairs    []pair
	rankings []rankingCurve
	// forecasts say how good each side's forecasts of the next technique are.
	forecasts []forecastRow
}

// Compare puts two samples side by side.
func Compare(baseline, candidate *Sample, o Options) (*Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	pairs, err := match(baseline, candidate)
	if err != nil {
		return nil, err
	}
	r := &Result{Baseline: baseline.Variant, Candidate: candidate.Variant, Pairs: len(pairs), Options: o, pairs: pairs}
	r.warn(baseline, candidate)
	scenarios := byScenario(pairs)
	if len(scenarios) > 1 {
		r.add("*", pairs)
	}
	for _, s := range scenarios {
		r.add(s[0].baseline.Scenario, s)
	}
	o.adjust(r.Rows)
	r.disagreements()
	return r, nil
}

// byScenario cuts sorted pairs where the scenario changes.
func byScenario(pairs []pair) [][]pair {
	var out [][]pair
	from := 0
	for i := range pairs {
		if i+1 == len(pairs) || pairs[i+1].baseline.Scenario != pairs[i].baseline.Scenario {
			out = append(out, pairs[from:i+1])
			from = i + 1
		}
	}
	return out
}

// adjust sets the p-values that hold for all rows of a table together.
func (o Options) adjust(rows []Row) {
	p := make([]float64, len(rows))
	for i := range rows {
		p[i] = rows[i].P
	}
	by := stats.Holm
	if o.Adjustment == FalseDiscovery {
		by = stats.BenjaminiHochberg
	}
	for i, adjusted := range by(p) {
		rows[i].PAdjusted = adjusted
	}
}

func (r *Result) warnf(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

func (r *Result) warn(baseline, candidate *Sample) {
	if left := baseline.Len() + candidate.Len() - 2*r.Pairs; left > 0 {
		r.warnf("%d trials have no counterpart in the other variant and are left out", left)
	}
	if baseline.Settings != candidate.Settings {
		r.warnf(
			"the variants set different things in the scenarios (%s; %s): pairs share their luck, but not the scenario",
			settingsOr(baseline.Settings),
			settingsOr(candidate.Settings),
		)
	}
	if baseline.Errors+candidate.Errors > 0 {
		r.warnf(
			"trials of status error are left out: %d of the baseline, %d of the candidate",
			baseline.Errors,
			candidate.Errors,
		)
	}
	if baseline.Errors != candidate.Errors {
		r.warnf(
			"the two sides differ in errors, and what was left out may be what differs: mend the errors before you trust this table",
		)
	}
	if r.Pairs < 10 {
		r.warnf("only %d pairs: intervals are wide, and a test finds large effects only", r.Pairs)
	}
}

func settingsOr(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// disagreements warns where scenarios found opposite directions: then the row over
// all of them hides both (Simpson 1951).
func (r *Result) disagreements() {
	for _, m := range metrics {
		var better, worse []string
		for i := range r.Rows {
			x := &r.Rows[i]
			if x.Scenario == "*" || x.Metric.Name != m.Name {
				continue
			}
			switch x.Better() {
			case 1:
				better = append(better, x.Scenario)
			case -1:
				worse = append(worse, x.Scenario)
			}
		}
		if len(better) > 0 && len(worse) > 0 {
			r.warnf(
				"scenarios disagree on %s: better in %s, worse in %s; the row over all together hides that",
				m.Name,
				strings.Join(better, ", "),
				strings.Join(worse, ", "),
			)
		}
	}
}

// add makes the rows of one scenario, or of all together.
func (r *Result) add(scenario string, pairs []pair) {
	for i, m := range metrics {
		row := Row{Scenario: scenario, Metric: m}
		values := valuesOf(pairs, i)
		if m.Optional && values.areZero() {
			continue
		}
		row.fill(r.Options.Method, values)
		r.Rows = append(r.Rows, row)
	}
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
	d := stats.Newcombe(
		stats.Pairs{Both: both, Baseline: lost, Candidate: gained, Neither: n - both - gained - lost},
		alpha,
	)
	r.Difference, r.Lo, r.Hi = d.Value, d.Lo, d.Hi
	r.P = math.NaN()
	if n > 0 {
		r.P = stats.McNemar(gained, lost)
	}
	r.Effect = d.Value
}

// times shows medians, for which "never" is later than any time, and the
// difference of means restricted to the horizon, which is where trials are
// censored, so that within pairs it is a plain mean. The test ranks the differences
// of pairs by their size: a few very long times do not drown the many short ones, and
// many of seconds do not outvote those of hours.
func (r *Row) times(before, after, horizon []float64) {
	n := len(before)
	upTo := func(values []float64) []float64 {
		out := make([]float64, n)
		for i := range values {
			out[i] = min(values[i], horizon[i])
		}
		return out
	}
	r.Baseline, r.Candidate = side(stats.Median(before, alpha), n), side(stats.Median(after, alpha), n)
	b, a := upTo(before), upTo(after)
	differences := make([]float64, n)
	for i := range b {
		differences[i] = a[i] - b[i]
	}
	r.means(differences)
	r.ranks(b, a)
}

// ranks tests the pairs by the ranks of their differences (Wilcoxon 1945) and
// counts those in which the candidate has more and less.
func (r *Row) ranks(before, after []float64) {
	var moved []float64
	for i := range before {
		d := after[i] - before[i]
		switch {
		case d > 0:
			r.Later++
		case d < 0:
			r.Sooner++
		default:
			continue
		}
		moved = append(moved, d)
	}
	r.Effect = 0
	switch {
	case len(before) < 2:
		r.P = math.NaN()
	case len(moved) == 0:
		r.P = 1
	default:
		t := stats.SignedRank(moved, make([]float64, len(moved)))
		all := float64(len(moved)) * float64(len(moved)+1) / 2
		r.P, r.Effect = t.TwoSided, 2*t.Statistic/all-1
	}
}

func (r *Row) counts(before, after []float64) {
	differences := make([]float64, len(before))
	for i := range before {
		differences[i] = after[i] - before[i]
	}
	n := len(before)
	r.Baseline, r.Candidate = side(stats.Mean(before, alpha), n), side(stats.Mean(after, alpha), n)
	r.means(differences)
	r.Effect = stats.StandardizedMean(differences)
}

func (r *Row) means(differences []float64) {
	d := stats.Mean(differences, alpha)
	r.Difference, r.Lo, r.Hi = d.Value, d.Lo, d.Hi
	r.P = stats.PairedT(differences)
}
