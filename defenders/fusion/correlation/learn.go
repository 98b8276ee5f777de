package correlation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"hemostat/defenders/boosting"
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

// learning says how the trees are learned: what was best on days kept aside (docs/intel.md).
var learning = boosting.Options{Trees: 200, Leaves: 8, Rate: 0.1, Ridge: 5, MinWeight: 2}

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
	var rows [][]float64
	var isOne []bool
	for i := range examples {
		row := examples[i].features
		for j, f := range featureTable {
			if slices.Contains(without, partNames[f.part]) {
				row[j] = 0
			}
		}
		rows, isOne = append(rows, row[:]), append(isOne, examples[i].isOne)
	}
	if !slices.Contains(isOne, true) || !slices.Contains(isOne, false) {
		return nil, errors.New("the days hold no two incidents of one attack, or none of two")
	}
	model, err := boosting.Fit(featureNames(), rows, isOne, learning)
	if err != nil {
		return nil, fmt.Errorf("correlation: %w", err)
	}
	return &Weights{Format: weightsFormat, From: from, Threshold: threshold, Model: *model}, nil
}
