package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with a confidence interval. NaN stands for "cannot
// say".
type Interval struct{ Value, Lo, Hi float64 }

// nothing is the interval that says nothing.
func nothing() Interval { return Interval{math.NaN(), math.NaN(), math.NaN()} }

// normalQuantile is the two-sided critical value for an error rate alpha.
func normalQuantile(alpha float64) float64 { return distuv.UnitNormal.Quantile(1 - alpha/2) }

// Wilson is the score interval of a proportion: k successes in n independent
// trials (Wilson 1927).
func Wilson(k, n int, alpha float64) Interval {
	if n == 0 {
		return nothing()
	}
	z := normalQuantile(alpha)
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Interval{p, max(0, centre-half), min(1, centre+half)}
}

// PairedDifference is the difference of two proportions measured on the same
// pairs, candidate minus baseline: gained pairs where only the candidate has the
// property, lost where only the baseline has it, of n. The interval is the
// adjusted Wald interval of Agresti and Min (2005), which adds half a pair to
// each of the four cells.
func PairedDifference(gained, lost, n int, alpha float64) Interval {
	if n == 0 {
		return nothing()
	}
	z := normalQuantile(alpha)
	g, l, m := float64(gained)+0.5, float64(lost)+0.5, float64(n)+2
	d := (g - l) / m
	half := z * math.Sqrt(g+l-(g-l)*(g-l)/m) / m
	return Interval{float64(gained-lost) / float64(n), max(-1, d-half), min(1, d+half)}
}

// McNemar is the exact test that gains and losses are equally likely (McNemar
// 1947, exact binomial form). Its assumption is that pairs are independent.
func McNemar(gained, lost int) float64 { return SignTest(gained, lost) }

// SignTest is the exact two-sided test that up and down are equally likely.
func SignTest(up, down int) float64 {
	n := up + down
	if n == 0 {
		return 1
	}
	b := distuv.Binomial{N: float64(n), P: 0.5}
	return min(1, 2*b.CDF(float64(min(up, down))))
}

// Quantile is the type 7 quantile (Hyndman and Fan 1996) of a sorted sample.
// Infinite values are allowed: they sort last and stand for "never".
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	if sorted[low] == sorted[high] || at == float64(low) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Median is the median of a sample with its distribution-free interval by order
// statistics (Conover 1999): the interval's coverage is at least nominal, and
// its ends are unbounded when the sample is too small for any.
func Median(sample []float64, alpha float64) Interval {
	if len(sample) == 0 {
		return nothing()
	}
	sorted := slices.Clone(sample)
	slices.Sort(sorted)
	n := len(sorted)
	b := distuv.Binomial{N: float64(n), P: 0.5}
	k := 0
	for k < n/2 && b.CDF(float64(k)) <= alpha/2 {
		k++
	}
	if k == 0 {
		return Interval{Quantile(sorted, 0.5), math.Inf(-1), math.Inf(1)}
	}
	return Interval{Quantile(sorted, 0.5), sorted[k-1], sorted[n-k]}
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

// PairedT is the two-sided paired t test on differences: the chance of a mean so
// far from 0 if there is none. It is 1 when all differences are 0.
func PairedT(differences []float64) float64 {
	n := float64(len(differences))
	mean, sd := moments(differences)
	switch {
	case n < 2:
		return 1
	case sd == 0 && mean == 0:
		return 1
	case sd == 0:
		return 0
	}
	t := math.Abs(mean) / (sd / math.Sqrt(n))
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Survival(t)
}

// StandardizedMean is the mean difference in units of its standard deviation
// (Cohen's dz); 0 when there is no spread.
func StandardizedMean(differences []float64) float64 {
	mean, sd := moments(differences)
	if sd == 0 || math.IsNaN(sd) {
		return 0
	}
	return mean / sd
}

func moments(sample []float64) (mean, sd float64) {
	n := float64(len(sample))
	for _, v := range sample {
		mean += v / n
	}
	for _, v := range sample {
		sd += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(sd / (n - 1))
}

// Holm adjusts p-values for the number of tests so that the chance of any false
// finding stays at the nominal rate (Holm 1979). NaN stays NaN and does not
// count.
func Holm(p []float64) []float64 {
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case p[a] < p[b]:
			return -1
		case p[a] > p[b]:
			return 1
		}
		return 0
	})
	out := slices.Clone(p)
	running := 0.0
	for rank, i := range order {
		running = max(running, min(1, p[i]*float64(len(order)-rank)))
		out[i] = running
	}
	return out
}
