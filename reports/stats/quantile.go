package stats

import (
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// Quantile is the type 7 quantile (Hyndman and Fan 1996) of a sorted sample.
// Infinite values are allowed: they sort last and stand for "never".
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 || math.IsNaN(q) || q < 0 || q > 1 {
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

// Median is the median of a sample with its distribution-free interval.
func Median(sample []float64, alpha float64) Interval { return quantileInterval(sample, 0.5, alpha) }

// quantileInterval is a quantile of a sample with its distribution-free interval
// by order statistics (Conover 1999): the interval's coverage is at least nominal,
// and its ends are unbounded when the sample is too small for any.
func quantileInterval(sample []float64, q, alpha float64) Interval {
	n := len(sample)
	if n == 0 {
		return nothing()
	}
	sorted := slices.Clone(sample)
	slices.Sort(sorted)
	b := distuv.Binomial{N: float64(n), P: q}
	out := Interval{Quantile(sorted, q), math.Inf(-1), math.Inf(1)}
	// how many values are below the interval, and how many are not above it
	low := sort.Search(n, func(k int) bool { return b.CDF(float64(k)) > alpha/2 })
	if low > 0 {
		out.Lo = sorted[low-1]
	}
	high := sort.Search(n, func(k int) bool { return b.Survival(float64(k)) <= alpha/2 })
	if high < n {
		out.Hi = sorted[high]
	}
	return out
}
