package logistic

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Of one feature that is 0 or 1, the maximum likelihood is known: the log odds of each side.
func TestOneFeatureHasAClosedForm(t *testing.T) {
	var r Rows
	add := func(x float64, isTrue bool, n int) {
		for range n {
			r.Features, r.IsTrue = append(r.Features, []float64{x}), append(r.IsTrue, isTrue)
		}
	}
	add(0, false, 90)
	add(0, true, 10)
	add(1, false, 20)
	add(1, true, 80)
	weights, bias, err := r.Fit()
	require.NoError(t, err)
	assert.InDelta(t, math.Log(10.0/90), bias, 1e-5)
	assert.InDelta(t, math.Log(80.0/20)-math.Log(10.0/90), weights[0], 1e-5)

	r.Ridge = 10
	shrunk, _, err := r.Fit()
	require.NoError(t, err)
	assert.Less(t, shrunk[0], weights[0], "a ridge draws weights towards 0")
	assert.Positive(t, shrunk[0])
}

// A row that weighs two is the same as two rows.
func TestWeightsAreRepetitions(t *testing.T) {
	r := Rows{Features: [][]float64{{0}, {1}, {1}, {0}}, IsTrue: []bool{false, true, false, true},
		Weights: []float64{2, 2, 1, 1}, Ridge: 1}
	twice := Rows{Features: [][]float64{{0}, {0}, {1}, {1}, {1}, {0}},
		IsTrue: []bool{false, false, true, true, false, true}, Ridge: 1}
	a, biasA, err := r.Fit()
	require.NoError(t, err)
	b, biasB, err := twice.Fit()
	require.NoError(t, err)
	assert.InDelta(t, b[0], a[0], 1e-6)
	assert.InDelta(t, biasB, biasA, 1e-6)
}

func TestSidesThatAreApartEndWithARidgeOnly(t *testing.T) {
	r := Rows{Features: [][]float64{{0}, {1}}, IsTrue: []bool{false, true}, Ridge: 0.1}
	weights, bias, err := r.Fit()
	require.NoError(t, err)
	assert.Greater(t, Of(bias+weights[0]), 0.5)
	assert.Less(t, Of(bias), 0.5)
	assert.InDelta(t, 1.5, LogOdds(Of(1.5)), 1e-12)
	_, _, err = (&Rows{}).Fit()
	assert.ErrorContains(t, err, "nothing to learn from")
}
