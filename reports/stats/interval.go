package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with a confidence interval. NaN stands for "cannot
// say".
type Interval struct{ Value, Lo, Hi float64 }

// nothing is the interval that says nothing.
func nothing() Interval { return Interval{math.NaN(), math.NaN(), math.NaN()} }

// normalQuantile is the two-sided critical value for an error rate alpha.
func normalQuantile(alpha float64) float64 { return distuv.UnitNormal.Quantile(1 - alpha/2) }

// twoSided is the chance of a standard normal value at least this far from 0.
func twoSided(z float64) float64 { return 2 * distuv.UnitNormal.Survival(math.Abs(z)) }

// chiSquared is the chance of a chi-squared value (one degree of freedom) at
// least this great.
func chiSquared(x float64) float64 {
	if math.IsNaN(x) {
		return x
	}
	return distuv.ChiSquared{K: 1}.Survival(x)
}

// Wilson is the score interval of a proportion: k successes in n independent
// trials (Wilson 1927). Its coverage is close to nominal on average; for single
// proportions near 0 or 1 it may fall below by a few points.
func Wilson(k, n int, alpha float64) Interval {
	if n <= 0 || k < 0 || k > n {
		return nothing()
	}
	z := normalQuantile(alpha)
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	out := Interval{p, max(0, centre-half), min(1, centre+half)}
	if k == 0 {
		out.Lo = 0
	}
	if k == n {
		out.Hi = 1
	}
	return out
}

// Difference is the second minus the first of two independent estimates, with the
// interval that follows from theirs (Newcombe 1998, method 10, when they are Wilson's;
// Zou and Donner 2008 for any).
func Difference(first, second Interval) Interval {
	d := second.Value - first.Value
	return Interval{d,
		d - math.Hypot(second.Value-second.Lo, first.Hi-first.Value),
		d + math.Hypot(second.Hi-second.Value, first.Value-first.Lo)}
}

// ClopperPearson is the exact interval of a proportion (Clopper and Pearson
// 1934): its coverage is never below nominal, at the price of width.
func ClopperPearson(k, n int, alpha float64) Interval {
	if n <= 0 || k < 0 || k > n {
		return nothing()
	}
	out := Interval{float64(k) / float64(n), 0, 1}
	if k > 0 {
		out.Lo = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(alpha / 2)
	}
	if k < n {
		out.Hi = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - alpha/2)
	}
	return out
}

// Mean is the mean of a sample with Student's interval; it assumes a sample
// large enough, or a distribution regular enough, for the mean to be normal.
func Mean(sample []float64, alpha float64) Interval {
	n := float64(len(sample))
	if n == 0 {
		return nothing()
	}
	mean, sd := moments(sample)
	if n == 1 {
		return Interval{mean, math.Inf(-1), math.Inf(1)}
	}
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(1-alpha/2) * sd / math.Sqrt(n)
	return Interval{mean, mean - half, mean + half}
}

// moments are the mean and the standard deviation (divisor n-1), in two passes. Equal
// values have that mean and no deviation, exactly.
func moments(sample []float64) (mean, sd float64) {
	n := float64(len(sample))
	if n == 0 {
		return math.NaN(), math.NaN()
	}
	for _, v := range sample {
		mean += (v - sample[0]) / n
	}
	mean += sample[0]
	for _, v := range sample {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / (n - 1))
}

// Deviation is the standard deviation of a sample (divisor n-1); NaN for less than
// two values.
func Deviation(sample []float64) float64 {
	_, sd := moments(sample)
	return sd
}

// PoissonRate is the rate of events that came k times within an exposure, with its exact interval
// (Garwood 1936).
func PoissonRate(k int, exposure, alpha float64) Interval {
	if k < 0 || !(exposure > 0) {
		return nothing()
	}
	out := Interval{Value: float64(k) / exposure}
	if k > 0 {
		out.Lo = distuv.ChiSquared{K: 2 * float64(k)}.Quantile(alpha/2) / 2 / exposure
	}
	out.Hi = distuv.ChiSquared{K: 2*float64(k) + 2}.Quantile(1-alpha/2) / 2 / exposure
	return out
}
