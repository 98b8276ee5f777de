package stats

import (
	"cmp"
	"math"
	"slices"
)

// Observation is a time until something happened, or until nobody looked any
// longer (censored). What never happened is censored, not infinite and not left
// out.
type Observation struct {
	Time     float64
	Happened bool
}

// Curve is a Kaplan-Meier estimate: how likely it is that nothing has happened
// until a time (Kaplan and Meier 1958). Its assumption is that who is censored is
// like who is not.
type Curve struct {
	// Times of all observations, ascending and distinct, with how many were at
	// risk just before, how many times it happened, and the estimate after.
	Times           []float64
	AtRisk, Events  []float64
	Survival        []float64
	greenwood       []float64 // variance of the logarithm of the estimate
	Observed, Total int
}

// KaplanMeier estimates a curve.
func KaplanMeier(sample []Observation) *Curve {
	c := &Curve{Total: len(sample)}
	sorted := byTime(sample)
	s, g := 1.0, 0.0
	for from := 0; from < len(sorted); {
		to, d := from, 0.0
		for ; to < len(sorted) && sorted[to].Time == sorted[from].Time; to++ {
			if sorted[to].Happened {
				d++
			}
		}
		n := float64(len(sorted) - from)
		if d > 0 {
			s *= (n - d) / n
			g += d / (n * (n - d)) // infinite when the last one goes
		}
		c.Times, c.AtRisk, c.Events = append(c.Times, sorted[from].Time), append(c.AtRisk, n), append(c.Events, d)
		c.Survival, c.greenwood = append(c.Survival, s), append(c.greenwood, g)
		c.Observed += int(d)
		from = to
	}
	return c
}

func byTime(sample []Observation) []Observation {
	sorted := slices.Clone(sample)
	slices.SortFunc(sorted, func(a, b Observation) int { return cmp.Compare(a.Time, b.Time) })
	return sorted
}

// place is the last time not after t, or -1.
func (c *Curve) place(t float64) int {
	at, found := slices.BinarySearch(c.Times, t)
	if found {
		return at
	}
	return at - 1
}

// At is the estimate at a time with the log-log interval, and its standard error
// (Greenwood). Once it is 0, or 1 with somebody gone already, there is no interval.
func (c *Curve) At(t, alpha float64) (Interval, float64) {
	i := c.place(t)
	if i < 0 {
		return Interval{1, 1, 1}, 0
	}
	lo, hi := c.bounds(i, normalQuantile(alpha))
	se := c.Survival[i] * math.Sqrt(c.greenwood[i])
	return Interval{c.Survival[i], lo, hi}, se
}

func (c *Curve) bounds(i int, z float64) (lo, hi float64) {
	s := c.Survival[i]
	if s <= 0 || s >= 1 {
		return math.NaN(), math.NaN()
	}
	l := math.Log(s)
	half := z * math.Sqrt(c.greenwood[i]) / l
	return math.Exp(-math.Exp(math.Log(-l) - half)), math.Exp(-math.Exp(math.Log(-l) + half))
}

// Median is the time by which it has happened to half, with the interval where the
// curve's bounds cross a half (Brookmeyer and Crowley 1982). NaN means that the
// curve, or its bound, never gets there.
func (c *Curve) Median(alpha float64) Interval {
	z := normalQuantile(alpha)
	lo, hi := make([]float64, len(c.Times)), make([]float64, len(c.Times))
	for i := range c.Times {
		lo[i], hi[i] = c.bounds(i, z)
	}
	return Interval{c.crossing(c.Survival), c.crossing(lo), c.crossing(hi)}
}

// crossing is the first time at which a curve is a half or below; where it stays
// at a half, the middle of that stretch.
func (c *Curve) crossing(y []float64) float64 {
	const tolerance = 1.5e-8
	for i, v := range y {
		if math.IsNaN(v) || v >= 0.5+tolerance {
			continue
		}
		if math.Abs(v-0.5) < tolerance {
			for j := i + 1; j < len(y); j++ {
				if y[j] < v {
					return (c.Times[i] + c.Times[j]) / 2
				}
			}
		}
		return c.Times[i]
	}
	return math.NaN()
}

// restrictedMean is the mean time until it happens, counting what happens after
// tau as tau (Irwin 1949; Royston and Parmar 2013), and its standard error. It
// exists whatever is censored, as long as the curve is known until tau.
func (c *Curve) restrictedMean(tau float64) (mean, se float64) {
	last, s := 0.0, 1.0
	var areas []float64 // between one time and the next, until tau
	var terms []float64
	for i, t := range c.Times {
		if t > tau {
			break
		}
		areas = append(areas, (t-last)*s)
		last, s = t, c.Survival[i]
		term := 0.0
		if c.AtRisk[i] > c.Events[i] {
			term = c.Events[i] / (c.AtRisk[i] * (c.AtRisk[i] - c.Events[i]))
		}
		terms = append(terms, term)
	}
	areas = append(areas, (tau-last)*s)
	rest, variance := 0.0, 0.0
	for i := len(terms) - 1; i >= 0; i-- {
		rest += areas[i+1]
		variance += rest * rest * terms[i]
	}
	return rest + areas[0], math.Sqrt(variance)
}

// RestrictedMeanDifference is the candidate's restricted mean minus the
// baseline's, for independent samples.
func RestrictedMeanDifference(baseline, candidate []Observation, tau, alpha float64) Interval {
	if len(baseline) == 0 || len(candidate) == 0 {
		return nothing()
	}
	b, sb := KaplanMeier(baseline).restrictedMean(tau)
	c, sc := KaplanMeier(candidate).restrictedMean(tau)
	half := normalQuantile(alpha) * math.Hypot(sb, sc)
	return Interval{c - b, c - b - half, c - b + half}
}

// Groups are two samples of one stratum.
type Groups struct{ Baseline, Candidate []Observation }

// LogRank tests that two samples follow one curve (Mantel 1966; Peto and Peto
// 1972), over any number of strata. It gives the chi-squared statistic and the
// p-value, NaN when nothing can be told: without events at risk on both sides, or with one observation a side. It is strongest when one hazard is a
// multiple of the other, and may miss curves that cross.
func LogRank(strata ...Groups) (statistic, p float64) {
	surplus, variance, n := 0.0, 0.0, 0
	for _, s := range strata {
		n += len(s.Baseline) + len(s.Candidate)
		riskSets(s, func(n, n1, d, d1 float64) {
			surplus += d1 - d*n1/n
			if n > 1 {
				variance += d * n1 / n * (1 - n1/n) * (n - d) / (n - 1)
			}
		})
	}
	if variance <= 0 || n < 3 {
		return math.NaN(), math.NaN()
	}
	statistic = surplus * surplus / variance
	return statistic, chiSquared(statistic)
}

// riskSets visits the times at which something happened: n at risk, n1 of them in
// the candidate's sample, d events, d1 of them there.
func riskSets(g Groups, visit func(n, n1, d, d1 float64)) {
	b, c := byTime(g.Baseline), byTime(g.Candidate)
	i, j := 0, 0
	for i < len(b) || j < len(c) {
		t := math.Inf(1)
		if i < len(b) {
			t = b[i].Time
		}
		if j < len(c) {
			t = min(t, c[j].Time)
		}
		n, n1 := float64(len(b)-i+len(c)-j), float64(len(c)-j)
		d, d1 := 0.0, 0.0
		for ; i < len(b) && b[i].Time <= t; i++ {
			if b[i].Happened {
				d++
			}
		}
		for ; j < len(c) && c[j].Time <= t; j++ {
			if c[j].Happened {
				d, d1 = d+1, d1+1
			}
		}
		if d > 0 {
			visit(n, n1, d, d1)
		}
	}
}

// Cox is the hazard ratio of the candidate against the baseline (Cox 1972), ties
// by Efron's method (1977), with Wald's interval; several strata share the ratio.
// Its assumption is that the ratio is the same at all times. It is NaN when all
// events of one sample come before all of the other's, for then no ratio is large
// enough.
func Cox(alpha float64, strata ...Groups) Interval {
	score := func(beta float64) (u, information float64) {
		r := math.Exp(beta)
		for _, s := range strata {
			riskSets(s, func(n, n1, d, d1 float64) {
				risk, risk1 := (n-n1)+n1*r, n1*r
				tied, tied1 := (d-d1)+d1*r, d1*r
				for l := range int(d) {
					f := float64(l) / d
					p := (risk1 - f*tied1) / (risk - f*tied)
					u -= p
					information += p * (1 - p)
				}
				u += d1
			})
		}
		return u, information
	}
	beta := 0.0
	for range 100 {
		u, information := score(beta)
		if information < 1e-10 {
			return nothing()
		}
		step := max(-1, min(1, u/information))
		beta += step
		if math.Abs(beta) > 15 {
			return nothing()
		}
		if math.Abs(step) < 1e-12 {
			break
		}
	}
	_, information := score(beta)
	half := normalQuantile(alpha) / math.Sqrt(information)
	return Interval{math.Exp(beta), math.Exp(beta - half), math.Exp(beta + half)}
}

// Outcome is how an observation with competing endings ended: 0 is censored,
// others are causes.
type Outcome struct {
	Time  float64
	Cause int
}

// CumulativeIncidence is how likely it is that a cause has ended an observation by
// each of the times, while others compete with it (Aalen and Johansen 1978). One
// minus Kaplan-Meier would overstate it.
func CumulativeIncidence(sample []Outcome, cause int, at []float64) []float64 {
	sorted := slices.Clone(sample)
	slices.SortFunc(sorted, func(a, b Outcome) int { return cmp.Compare(a.Time, b.Time) })
	out := make([]float64, len(at))
	s, total := 1.0, 0.0
	for from := 0; from < len(sorted); {
		to, d, mine := from, 0.0, 0.0
		for ; to < len(sorted) && sorted[to].Time == sorted[from].Time; to++ {
			if sorted[to].Cause != 0 {
				d++
			}
			if sorted[to].Cause == cause && cause != 0 {
				mine++
			}
		}
		n := float64(len(sorted) - from)
		total += s * mine / n
		s *= (n - d) / n
		for i, t := range at {
			if sorted[from].Time <= t {
				out[i] = total
			}
		}
		from = to
	}
	return out
}
