package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"hemostat/reports/stats"
)

// Method is how rows are estimated and tested. docs/statistics.md says what each
// assumes.
type Method string

// The methods.
const (
	// Paired takes differences within pairs that faced the same day; the default.
	Paired Method = "paired"
	// Unpaired forgets the pairs: exact intervals of rates with a common odds ratio over
	// scenarios (Mantel and Haenszel), shifts and ranks of everything else (Hodges and
	// Lehmann; Mann and Whitney), Cliff's delta as the effect.
	Unpaired Method = "unpaired"
	// Survival treats times as censored at the horizon: medians of Kaplan and Meier, the
	// log-rank test over scenarios, the hazard ratio of Cox as the effect. Other metrics
	// are as in Unpaired.
	Survival Method = "survival"
	// BootstrapMeans is Paired with bias-corrected and accelerated intervals of the mean
	// differences (Efron) in place of normal ones.
	BootstrapMeans Method = "bootstrap"
)

// explained is what a reader of a table needs to know of its method.
func (m Method) explained() string {
	switch m {
	case Unpaired:
		return "unpaired: rates by their common odds ratio, all else by medians, shifts and ranks"
	case Survival:
		return "survival: times by the log-rank test, differences of means up to the horizon; all else unpaired"
	case BootstrapMeans:
		return "intervals of means by the bootstrap; times are medians, their differences are of means up to the horizon"
	}
	return "times are medians, their differences are of means up to the horizon"
}

// methods lists the methods.
func methods() []Method { return []Method{Paired, Unpaired, Survival, BootstrapMeans} }

// Adjustment is how p-values are made to hold for a whole table.
type Adjustment string

// The adjustments.
const (
	// Holm bounds the chance of any false finding; the default.
	Holm Adjustment = "holm"
	// FalseDiscovery bounds the share of false findings (Benjamini and Hochberg).
	FalseDiscovery Adjustment = "benjamini-hochberg"
)

// authors are the names that the literature has for an adjustment.
func (a Adjustment) authors() string {
	if a == FalseDiscovery {
		return "Benjamini and Hochberg"
	}
	return "Holm"
}

// adjustments lists the adjustments.
func adjustments() []Adjustment { return []Adjustment{Holm, FalseDiscovery} }

// Options say how to compare; the zero value is Paired with Holm.
type Options struct {
	Method     Method
	Adjustment Adjustment
}

// Check fills in defaults and refuses what is none of the methods.
func (o *Options) Check() error {
	if o.Method == "" {
		o.Method = Paired
	}
	if o.Adjustment == "" {
		o.Adjustment = Holm
	}
	if !slices.Contains(methods(), o.Method) {
		return fmt.Errorf("unknown method %q; accepted: %s", o.Method, joined(methods()))
	}
	if !slices.Contains(adjustments(), o.Adjustment) {
		return fmt.Errorf("unknown adjustment %q; accepted: %s", o.Adjustment, joined(adjustments()))
	}
	return nil
}

func joined[T ~string](all []T) string {
	var names []string
	for _, x := range all {
		names = append(names, string(x))
	}
	return strings.Join(names, ", ")
}

// values are a metric's values of the pairs to which it applies. Strata are where one
// scenario ends and the next begins.
type values struct {
	before, after, horizon []float64
	strata                 []int // ends, the last is the number of pairs
}

// areZero tells whether every value is 0.
func (v *values) areZero() bool {
	for i := range v.before {
		if v.before[i] != 0 || v.after[i] != 0 {
			return false
		}
	}
	return true
}

func valuesOf(pairs []pair, metric int) values {
	var v values
	scenario := ""
	for _, p := range pairs {
		b, c := p.baseline.Values[metric], p.candidate.Values[metric]
		if math.IsNaN(b) || math.IsNaN(c) {
			continue // does not apply to such a day
		}
		if n := len(v.before); n > 0 && p.baseline.Scenario != scenario {
			v.strata = append(v.strata, n)
		}
		scenario = p.baseline.Scenario
		v.before, v.after, v.horizon = append(
			v.before,
			b,
		), append(
			v.after,
			c,
		), append(
			v.horizon,
			float64(p.baseline.Horizon),
		)
	}
	v.strata = append(v.strata, len(v.before))
	return v
}

// eachStratum calls f with the values of each scenario.
func (v *values) eachStratum(f func(before, after, horizon []float64)) {
	from := 0
	for _, to := range v.strata {
		f(v.before[from:to], v.after[from:to], v.horizon[from:to])
		from = to
	}
}

// fill estimates and tests a row by a method.
func (r *Row) fill(method Method, v values) {
	switch {
	case method == Unpaired || method == Survival:
		r.fillUnpaired(method, v)
	case r.Metric.Kind == Rate:
		r.rates(v.before, v.after)
	case r.Metric.Kind == Time:
		r.times(v.before, v.after, v.horizon)
	default:
		r.counts(v.before, v.after)
		if r.Metric.Kind == Volume {
			r.ranks(v.before, v.after)
		}
	}
	if method == BootstrapMeans && r.Metric.Kind != Rate {
		r.bootstrap(v)
	}
}

func (r *Row) fillUnpaired(method Method, v values) {
	switch {
	case r.Metric.Kind == Rate:
		r.unpairedRates(v)
	case r.Metric.Kind == Time && method == Survival:
		r.survival(v)
	default:
		r.shift(v)
	}
}

// unpairedRates shows shares with exact intervals; their difference is tested by the
// odds ratio that the scenarios have in common, which is the effect.
func (r *Row) unpairedRates(v values) {
	count := func(sample []float64) (k int) {
		for _, x := range sample {
			k += int(x)
		}
		return k
	}
	n := len(v.before)
	b, c := count(v.before), count(v.after)
	r.Baseline, r.Candidate = side(stats.ClopperPearson(b, n, alpha), n), side(stats.ClopperPearson(c, n, alpha), n)
	var tables []stats.Table
	v.eachStratum(func(before, after, _ []float64) {
		b, c, n := float64(count(before)), float64(count(after)), float64(len(before))
		tables = append(tables, stats.Table{c, n - c, b, n - b})
	})
	odds, p := stats.MantelHaenszel(tables, alpha)
	d := stats.Difference(stats.Wilson(b, n, alpha), stats.Wilson(c, n, alpha))
	r.Difference, r.Lo, r.Hi = d.Value, d.Lo, d.Hi
	r.P, r.Effect = p, odds.Value
	if n == 0 {
		r.Difference, r.P = math.NaN(), math.NaN()
	} else if b == c && math.IsNaN(p) {
		r.P = 1
	}
}

// maxShift bounds the values that a shift is estimated from: it looks at every pair of
// a value of one side and one of the other.
const maxShift = 1500

// shift shows medians; the difference is the shift between the two sides, tested by
// ranks, with Cliff's delta as the effect. What never happened counts as the horizon.
func (r *Row) shift(v values) {
	before, after := v.restricted()
	n := len(before)
	r.Baseline, r.Candidate = side(stats.Median(v.before, alpha), n), side(stats.Median(v.after, alpha), n)
	d := stats.HodgesLehmann(thinned(after), thinned(before), alpha)
	r.Difference, r.Lo, r.Hi = d.Value, d.Lo, d.Hi
	if r.P = math.NaN(); n >= 2 {
		r.P, r.Effect = stats.MannWhitney(after, before).TwoSided, stats.CliffsDelta(after, before)
	}
}

// restricted are the values with what never happened as the horizon.
func (v *values) restricted() (before, after []float64) {
	for i := range v.before {
		top := math.Inf(1)
		if v.horizon[i] > 0 {
			top = v.horizon[i]
		}
		limit := func(x float64) float64 {
			if math.IsInf(x, 1) {
				return top
			}
			return x
		}
		before, after = append(before, limit(v.before[i])), append(after, limit(v.after[i]))
	}
	return before, after
}

// thinned keeps every k-th value of a long sample.
func thinned(sample []float64) []float64 {
	if len(sample) <= maxShift {
		return sample
	}
	step := float64(len(sample)) / maxShift
	out := make([]float64, maxShift)
	for i := range out {
		out[i] = sample[int(float64(i)*step)]
	}
	return out
}

// survival shows medians of the curves; the difference is of means restricted to the
// shortest horizon, the test is the log-rank test over scenarios, the effect the hazard
// ratio: above 1 it happens sooner with the candidate.
func (r *Row) survival(v values) {
	n := len(v.before)
	before, after := observations(v.before, v.horizon), observations(v.after, v.horizon)
	r.Baseline, r.Candidate = side(
		neverIfAbsent(stats.KaplanMeier(before).Median(alpha)),
		n,
	), side(
		neverIfAbsent(stats.KaplanMeier(after).Median(alpha)),
		n,
	)
	if n == 0 {
		r.Difference, r.P = math.NaN(), math.NaN()
		return
	}
	d := stats.RestrictedMeanDifference(before, after, slices.Min(v.horizon), alpha)
	r.Difference, r.Lo, r.Hi = d.Value, d.Lo, d.Hi
	var groups []stats.Groups
	v.eachStratum(func(before, after, horizon []float64) {
		groups = append(
			groups,
			stats.Groups{Baseline: observations(before, horizon), Candidate: observations(after, horizon)},
		)
	})
	_, r.P = stats.LogRank(groups...)
	r.Hazard = stats.Cox(alpha, groups...)
	if math.IsNaN(r.Hazard.Value) {
		r.Hazard = stats.Interval{}
	}
	r.Effect = r.Hazard.Value
}

// observations are times censored at the horizon.
func observations(times, horizon []float64) []stats.Observation {
	out := make([]stats.Observation, len(times))
	for i, t := range times {
		out[i] = stats.Observation{Time: min(t, horizon[i]), Happened: t <= horizon[i]}
	}
	return out
}

// neverIfAbsent puts infinity where a curve never gets to a half.
func neverIfAbsent(i stats.Interval) stats.Interval {
	for _, v := range []*float64{&i.Value, &i.Hi} {
		if math.IsNaN(*v) {
			*v = math.Inf(1)
		}
	}
	return i
}

const (
	// replicates of the bootstrap; its seed is fixed, so that equal databases give
	// equal intervals.
	replicates    = 2000
	bootstrapSeed = 1
	// maxBootstrap bounds the pairs that are drawn from.
	maxBootstrap = 5000
)

// bootstrap replaces the interval of the mean difference by a bias-corrected and
// accelerated one.
func (r *Row) bootstrap(v values) {
	before, after := v.restricted()
	differences := make([]float64, len(before))
	for i := range before {
		differences[i] = after[i] - before[i]
	}
	if len(differences) < 2 || len(differences) > maxBootstrap {
		return // of so many pairs the normal interval is as good
	}
	mean := func(sample []float64) float64 { return stats.Mean(sample, alpha).Value }
	replicated := stats.Bootstrap(differences, mean, replicates, bootstrapSeed)
	i := stats.BCa(mean(differences), replicated, stats.Influence(differences, mean), alpha)
	if math.IsNaN(i.Lo + i.Hi) { // all replicates on one side of the value
		i = stats.Percentile(mean(differences), replicated, alpha)
	}
	r.Lo, r.Hi = i.Lo, i.Hi
}
