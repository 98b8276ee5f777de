package stats

import (
	"cmp"
	"math"
	"slices"
)

// ascending lists the places of p-values from the least on; NaN is left out.
func ascending(p []float64) []int {
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	return order
}

// Holm adjusts p-values for the number of tests so that the chance of any false
// finding stays at the nominal rate, whatever the dependence (Holm 1979). NaN
// stays NaN and does not count.
func Holm(p []float64) []float64 {
	order := ascending(p)
	out := slices.Clone(p)
	running := 0.0
	for rank, i := range order {
		running = max(running, min(1, p[i]*float64(len(order)-rank)))
		out[i] = running
	}
	return out
}

// BenjaminiHochberg adjusts p-values so that the expected share of false findings
// among the findings stays at the nominal rate, for tests that are independent or
// positively dependent (Benjamini and Hochberg 1995). NaN stays NaN.
func BenjaminiHochberg(p []float64) []float64 {
	order := ascending(p)
	out := slices.Clone(p)
	running := 1.0
	for rank := len(order) - 1; rank >= 0; rank-- {
		i := order[rank]
		running = min(running, p[i]*float64(len(order))/float64(rank+1))
		out[i] = running
	}
	return out
}
