package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWeightsStandForCopies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var hostile, copies []bool
	var score, weight, copied []float64
	var cluster []int
	for i := range 400 {
		h := r.Float64() < 0.3
		s := math.Round(10*(r.NormFloat64()+map[bool]float64{true: 1}[h])) / 10
		w := 1 + r.IntN(4)
		hostile, score, weight, cluster = append(hostile, h), append(score, s), append(weight, float64(w)), append(cluster, i/4)
		for range w {
			copies, copied = append(copies, h), append(copied, s)
		}
	}
	require.Equal(t, ROC(copies, copied), WeightedROC(hostile, score, weight))
	require.Equal(t, PR(copies, copied), WeightedPR(hostile, score, weight))
	x := WeightedAUC(hostile, score, weight, cluster, 0.05)
	require.InDelta(t, AUC(copies, copied, 0.05).Value, x.Value, 1e-12)
	require.Less(t, x.Lo, x.Value)
	require.Greater(t, x.Hi, x.Value)
	require.True(t, math.IsNaN(WeightedAUC([]bool{true}, []float64{1}, []float64{1}, []int{0}, 0.05).Value))
}

// TestRatioCoversTheTruth: of intervals at 95 % about 95 % hold the truth when values within
// clusters hang together.
func TestRatioCoversTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	covered := 0
	const rounds = 1000
	for range rounds {
		var part, whole []float64
		for range 60 {
			p := []float64{0.2, 0.6}[r.IntN(2)] // the mean is 0.4
			n := 5 + r.IntN(10)
			k := 0
			for range n {
				if r.Float64() < p {
					k++
				}
			}
			part, whole = append(part, float64(k)), append(whole, float64(n))
		}
		if x := Ratio(part, whole, 0.05); x.Lo <= 0.4 && 0.4 <= x.Hi {
			covered++
		}
	}
	require.InDelta(t, 0.95, float64(covered)/rounds, 0.025)
	require.True(t, math.IsNaN(Ratio([]float64{1}, []float64{0}, 0.05).Value))
	require.True(t, math.IsNaN(Ratio([]float64{1}, []float64{2}, 0.05).Lo), "one cluster says nothing of spread")
	require.InDelta(t, 2, Ratio([]float64{4, 4}, []float64{2, 2}, 0.05).Hi, 1e-9, "a ratio may be above 1")
}
