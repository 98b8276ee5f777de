package boosting

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/logistic"
)

var options = Options{Trees: 60, Leaves: 4, Rate: 0.2, Ridge: 1, MinWeight: 1}

// apart are examples that are true where exactly one of two features is above a half, which no
// sum over single features can tell; a third tells nothing.
func apart(seed uint64, n int) (rows [][]float64, isTrue []bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		row := []float64{r.Float64(), r.Float64(), r.Float64()}
		rows, isTrue = append(rows, row), append(isTrue, row[0] > 0.5 != (row[1] > 0.5))
	}
	return rows, isTrue
}

var names = []string{"a", "b", "noise"}

func TestFitLearnsWhatNoSingleFeatureTells(t *testing.T) {
	rows, isTrue := apart(1, 3000)
	m, err := Fit(names, rows, isTrue, options)
	require.NoError(t, err)
	require.NoError(t, m.Check(names))
	held, heldTrue := apart(2, 1000)
	right := 0
	for i, row := range held {
		if logistic.Of(m.LogOdds(row, make([]float64, 3))) > 0.5 == heldTrue[i] {
			right++
		}
	}
	assert.Greater(t, right, 960)
}

func TestProbabilitiesAreCalibrated(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	draw := func(n int) (rows [][]float64, isTrue []bool) {
		for range n {
			x := 4*r.Float64() - 2
			rows, isTrue = append(rows, []float64{x}), append(isTrue, r.Float64() < logistic.Of(x))
		}
		return rows, isTrue
	}
	rows, isTrue := draw(20_000)
	m, err := Fit([]string{"x"}, rows, isTrue, options)
	require.NoError(t, err)
	for _, x := range []float64{-1.5, -0.5, 0, 0.5, 1.5} {
		assert.InDelta(t, logistic.Of(x), logistic.Of(m.LogOdds([]float64{x}, make([]float64, 1))), 0.05)
	}
}

func TestSharesAddUpToTheLogOdds(t *testing.T) {
	rows, isTrue := apart(3, 500)
	m, err := Fit(names, rows, isTrue, options)
	require.NoError(t, err)
	for _, row := range rows[:50] {
		shares := make([]float64, 3)
		z := m.LogOdds(row, shares)
		assert.InDelta(t, z, m.Bias+shares[0]+shares[1]+shares[2], 1e-9)
	}
}

func TestWithoutAFeatureATreeEndsWhereItAsksForIt(t *testing.T) {
	rows, isTrue := apart(4, 500)
	m, err := Fit(names, rows, isTrue, options)
	require.NoError(t, err)
	w := m.Without(func(f int) bool { return f == 1 })
	x, y := []float64{0.9, 0.1, 0.5}, []float64{0.9, 0.9, 0.5}
	shares := make([]float64, 3)
	assert.Equal(t, w.LogOdds(x, shares), w.LogOdds(y, shares))
	assert.Zero(t, shares[1])
	assert.NotEqual(t, m.LogOdds(x, shares), m.LogOdds(y, shares), "the model itself stays")
}

func TestModelSurvivesItsFile(t *testing.T) {
	rows, isTrue := apart(6, 400)
	m, err := Fit(names, rows, isTrue, options)
	require.NoError(t, err)
	data, err := json.Marshal(m)
	require.NoError(t, err)
	var again Model
	require.NoError(t, json.Unmarshal(data, &again))
	assert.Equal(t, *m, again)
}

func TestFitNeedsBothSides(t *testing.T) {
	_, err := Fit(names, [][]float64{{1, 2, 3}}, []bool{true}, options)
	assert.ErrorContains(t, err, "all true, or all false")
	_, err = Fit(names, nil, nil, options)
	assert.Error(t, err)
}

func TestFitStopsWhereNothingIsLeftToLearn(t *testing.T) {
	m, err := Fit([]string{"same"}, [][]float64{{1}, {1}, {1}, {1}}, []bool{true, false, true, true}, options)
	require.NoError(t, err)
	assert.Empty(t, m.Trees)
	assert.InDelta(t, 0.75, logistic.Of(m.LogOdds([]float64{1}, nil)), 1e-5)
}

func TestBrokenModels(t *testing.T) {
	for text, want := range map[string]string{
		`{"features":["a"],"trees":[[[1,0,2,0,1],[1],[1]]]}`: "do not stand behind it",
		`{"features":["a"],"trees":[[[1,0,2,1,3],[1],[1]]]}`: "do not stand behind it",
		`{"features":["a"],"trees":[[[1,4,2,1,2],[1],[1]]]}`: "asks for feature 4; there are 1",
		`{"features":["a"],"trees":[[]]}`:                    "tree 1 has no node",
		`{"features":["b"]}`:                                 `the features are ["b"], expected are ["a"]`,
		`{"features":["a"],"trees":[[[1,2]]]}`:               "1 or 5 numbers, not 2",
		`{"features":["a"],"trees":[[[1,0.5,2,1,2]]]}`:       "0.5 where a number of a feature or node is expected",
		`{"features":["a"],"trees":[["x"]]}`:                 "is [value] or",
	} {
		var m Model
		err := json.Unmarshal([]byte(text), &m)
		if err == nil {
			err = m.Check([]string{"a"})
		}
		assert.ErrorContains(t, err, want, text)
	}
}
