package stats

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func near(t *testing.T, want, got float64) {
	t.Helper()
	require.InDelta(t, want, got, 1e-4)
}

// The expected values are those of R: binom::binom.wilson, stats::binom.test,
// stats::quantile(type = 7), stats::t.test, stats::p.adjust.
func TestAgainstPublishedValues(t *testing.T) {
	w := Wilson(15, 20, 0.05)
	near(t, 0.75, w.Value)
	near(t, 0.5313, w.Lo)
	near(t, 0.8881, w.Hi)
	near(t, 0.0, Wilson(0, 10, 0.05).Lo)
	near(t, 0.2775, Wilson(0, 10, 0.05).Hi)

	near(t, 0.1094, McNemar(2, 8))
	near(t, 1, McNemar(0, 0))
	near(t, 1, McNemar(3, 3))

	sorted := []float64{1, 2, 4, 8}
	near(t, 3, Quantile(sorted, 0.5))
	near(t, 1.75, Quantile(sorted, 0.25))

	m := Mean([]float64{1, 2, 3, 4, 10}, 0.05)
	near(t, 4, m.Value)
	near(t, -0.3899, m.Lo)
	near(t, 8.3899, m.Hi)
	near(t, 0.0647, PairedT([]float64{1, 2, 3, 4, 10}))

	require.InDeltaSlice(t, []float64{0.03, 0.06, 0.06, 0.06}, Holm([]float64{0.0075, 0.02, 0.03, 0.06}), 1e-9)
}

func TestMedianIntervalUsesOrderStatistics(t *testing.T) {
	var sample []float64
	for i := range 20 {
		sample = append(sample, float64(20-i))
	}
	m := Median(sample, 0.05) // ranks 6 and 15 of 20: coverage 0.9586
	require.Equal(t, Interval{10.5, 6, 15}, m)
	require.True(t, math.IsInf(Median(sample[:3], 0.05).Hi, 1), "three values bound no median")
	never := Median([]float64{1, math.Inf(1), math.Inf(1)}, 0.05)
	require.True(t, math.IsInf(never.Value, 1))
}

func TestNothingIsSaidOfNothing(t *testing.T) {
	require.True(t, math.IsNaN(Wilson(0, 0, 0.05).Value))
	require.True(t, math.IsNaN(Median(nil, 0.05).Value))
	require.True(t, math.IsNaN(Mean(nil, 0.05).Value))
	require.Equal(t, 1.0, PairedT([]float64{0, 0}))
	require.True(t, math.IsNaN(PairedT([]float64{5})))
	near(t, 0.25, PairedT([]float64{5, 5, 5})) // no spread: the sign test answers
	require.True(t, math.IsNaN(StandardizedMean([]float64{5, 5})))
	got := Holm([]float64{math.NaN(), 0.01})
	require.True(t, math.IsNaN(got[0]))
	require.Equal(t, 0.01, got[1])
}

// The expected values are those of Newcombe (1998), table III and R's
// PropCIs::diffpropci.mp for neighbours of them.
func TestNewcombeInterval(t *testing.T) {
	d := Newcombe(Pairs{Both: 20, Baseline: 2, Candidate: 12, Neither: 16}, 0.05)
	near(t, 0.2, d.Value)
	near(t, 0.0562, d.Lo)
	near(t, 0.3292, d.Hi)
	none := Newcombe(Pairs{Both: 50}, 0.05)
	require.Less(t, none.Lo, 0.0)
	require.Greater(t, none.Hi, 0.0)
	require.True(t, math.IsNaN(Newcombe(Pairs{}, 0.05).Value))
}

func sortedCopy(x []float64) []float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x
}
