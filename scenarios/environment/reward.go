package environment

import (
	"fmt"
	"math"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// rewardInput is what an expression of a reward may name: what one step brought. Harm, disruption
// and operations are hours of work as docs/metrics.md has them.
type rewardInput struct {
	Harm       float64 `expr:"harm"`
	Disruption float64 `expr:"disruption"`
	Operations float64 `expr:"operations"`
	Stake      float64 `expr:"stake"` // of the whole trial
	Hours      float64 `expr:"hours"` // that passed
	Alerts     int     `expr:"alerts"`
	Actions    int     `expr:"actions"`    // blue's decisions that were accepted, or red's steps that ended
	Objectives int     `expr:"objectives"` // attackers who reached their goal
	Done       bool    `expr:"done"`
}

// ScoreReward is the usual reward: by how many points the step has lowered the trial's score. The
// rewards of a trial add up to its score less 100, as long as its costs are within the stake.
const ScoreReward = "-100 * (harm + disruption + operations) / stake"

// HarmReward is the usual reward of red: the harm that the step has done, in points of the score.
const HarmReward = "100 * harm / stake"

// Reward is what a step is worth.
type Reward struct {
	text    string
	program *vm.Program
}

// NewReward compiles an expression over the fields of rewardInput, such as "-harm - disruption/2".
func NewReward(text string) (*Reward, error) {
	p, err := expr.Compile(text, expr.Env(&rewardInput{}), expr.AsFloat64())
	if err != nil {
		return nil, fmt.Errorf("the reward %q: %w", text, err)
	}
	return &Reward{text, p}, nil
}

func (r *Reward) of(in *rewardInput) (float64, error) {
	v, err := expr.Run(r.program, in)
	if err != nil {
		return 0, fmt.Errorf("the reward %q: %w", r.text, err)
	}
	x, isNumber := v.(float64)
	if !isNumber || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("the reward %q is %v, which is no number (harm %g, disruption %g, operations %g, hours %g)",
			r.text, v, in.Harm, in.Disruption, in.Operations, in.Hours)
	}
	return x + 0, nil // no minus before a 0
}
