package train

import (
	"context"
	"fmt"

	"hemostat/defenders/sentinel/analyst"
	"hemostat/scenarios/trial"
)

// Analyst learns the weights of the offline analyst from days on which nobody judges; it
// returns how many alerts it learned from.
func Analyst(ctx context.Context, d *Days) (*analyst.Weights, int, error) {
	perDay, err := each(ctx, d, func(ctx context.Context, x day) ([]analyst.Example, error) {
		var examples []analyst.Example
		_, err := x.run(ctx, trial.Options{
			Seed: d.Seed,
			Cases: func(c *analyst.Case, attack int) {
				examples = append(examples, analyst.ExampleOf(c, attack != 0, x.scenario.Name,
					fmt.Sprintf("%s/%d", x.name(), attack)))
			},
		})
		return examples, err
	})
	if err != nil {
		return nil, 0, err
	}
	var examples []analyst.Example
	for _, list := range perDay {
		examples = append(examples, list...)
	}
	w, err := analyst.Fit(examples, fmt.Sprintf("%d alerts of %s", len(examples), d.describe()))
	return w, len(examples), err
}
