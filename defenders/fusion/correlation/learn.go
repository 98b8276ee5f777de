package correlation

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"hemostat/defenders/logistic"
)

// Labelled is an alert of a simulated day with what is true of it.
type Labelled struct {
	At       time.Duration
	Incident int
	Attack   int // 0 for a false alarm
	Observation
}

// Example is an incident that was held against a campaign.
type Example struct {
	features features
	isOne    bool
}

// ridge is the weight of the squared weights in the loss.
const ridge = 1.0

// Examples are the comparisons that a day of alerts leads to, where earlier incidents are
// linked as is true.
func Examples(day []Labelled) ([]Example, error) {
	votes := map[int]map[int]int{} // alerts by incident and attack
	for _, l := range day {
		if votes[l.Incident] == nil {
			votes[l.Incident] = map[int]int{}
		}
		votes[l.Incident][l.Attack]++
	}
	attackOf := func(incident int) int {
		best, most := 0, 0
		for attack, n := range votes[incident] {
			if n > most || n == most && attack > best {
				best, most = attack, n
			}
		}
		return best
	}
	c, err := New(Options{})
	if err != nil {
		return nil, err
	}
	var out []Example
	c.truth = attackOf
	c.examined = func(x *node, k *campaign, f *features) {
		attack := attackOf(x.id)
		out = append(out, Example{*f, attack != 0 && attackOf(k.latestBefore(x).id) == attack})
	}
	for _, l := range day {
		c.Observe(l.At, l.Incident, l.Observation)
	}
	return out, nil
}

// Fit learns weights from examples, without some parts of the score.
func Fit(examples []Example, threshold float64, from string, without ...string) (*Weights, error) {
	rows := logistic.Rows{Ridge: ridge}
	ones := 0
	for i := range examples {
		row := examples[i].features
		for j, f := range featureTable {
			if slices.Contains(without, partNames[f.part]) {
				row[j] = 0
			}
		}
		rows.Features = append(rows.Features, row[:])
		rows.IsTrue = append(rows.IsTrue, examples[i].isOne)
		if examples[i].isOne {
			ones++
		}
	}
	if ones == 0 || ones == len(examples) {
		return nil, errors.New("the days hold no two incidents of one attack, or none of two")
	}
	weights, bias, err := rows.Fit()
	if err != nil {
		return nil, fmt.Errorf("correlation: %w", err)
	}
	w := &Weights{Format: weightsFormat, From: from, Threshold: threshold, Bias: rounded(bias),
		Features: map[string]float64{}}
	for i, f := range featureTable {
		w.Features[f.name] = rounded(weights[i])
	}
	return w, nil
}

func rounded(x float64) float64 { return math.Round(1e4*x) / 1e4 }
