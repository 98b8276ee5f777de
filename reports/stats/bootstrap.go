package stats

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Bootstrap draws replicates of a statistic from samples with replacement (Efron
// 1979). The same seed gives the same replicates.
func Bootstrap(sample []float64, statistic func([]float64) float64, replicates int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	out := make([]float64, replicates)
	draw := make([]float64, len(sample))
	for i := range out {
		for j := range draw {
			draw[j] = sample[r.IntN(len(sample))]
		}
		out[i] = statistic(draw)
	}
	return out
}

// Influence is how much each value moves a statistic, by leaving it out (the
// jackknife's estimate of empirical influence).
func Influence(sample []float64, statistic func([]float64) float64) []float64 {
	n := len(sample)
	out := make([]float64, n)
	whole := statistic(sample)
	for i := range sample {
		rest := slices.Concat(sample[:i], sample[i+1:])
		out[i] = float64(n-1) * (whole - statistic(rest))
	}
	return out
}

// Percentile is the interval between quantiles of the replicates (Efron 1979),
// interpolated on the normal scale (Davison and Hinkley 1997).
func Percentile(value float64, replicates []float64, alpha float64) Interval {
	ends := normalScale(replicates, alpha/2, 1-alpha/2)
	return Interval{value, ends[0], ends[1]}
}

// BCa is the bias-corrected and accelerated interval (Efron 1987) from replicates
// and empirical influences. It needs replicates on both sides of the value.
func BCa(value float64, replicates, influence []float64, alpha float64) Interval {
	below := 0
	for _, r := range replicates {
		if r < value {
			below++
		}
	}
	w := distuv.UnitNormal.Quantile(float64(below) / float64(len(replicates)))
	var two, three float64
	for _, l := range influence {
		two += l * l
		three += l * l * l
	}
	if math.IsInf(w, 0) || math.IsNaN(w) || two == 0 {
		return Interval{value, math.NaN(), math.NaN()}
	}
	a := three / (6 * math.Pow(two, 1.5))
	at := func(q float64) float64 {
		z := w + distuv.UnitNormal.Quantile(q)
		return distuv.UnitNormal.CDF(w + z/(1-a*z))
	}
	ends := normalScale(replicates, at(alpha/2), at(1-alpha/2))
	return Interval{value, ends[0], ends[1]}
}

// normalScale finds quantiles between order statistics, interpolated on the
// normal scale.
func normalScale(replicates []float64, q ...float64) []float64 {
	sorted := slices.Clone(replicates)
	slices.Sort(sorted)
	n := len(sorted)
	out := make([]float64, len(q))
	for i, alpha := range q {
		at := float64(n+1) * alpha
		k := int(at)
		switch {
		case n == 0 || math.IsNaN(alpha):
			out[i] = math.NaN()
		case k <= 0:
			out[i] = sorted[0]
		case k >= n:
			out[i] = sorted[n-1]
		case float64(k) == at:
			out[i] = sorted[k-1]
		default:
			z := distuv.UnitNormal.Quantile
			low, high := z(float64(k)/float64(n+1)), z(float64(k+1)/float64(n+1))
			out[i] = sorted[k-1] + (z(alpha)-low)/(high-low)*(sorted[k]-sorted[k-1])
		}
	}
	return out
}
