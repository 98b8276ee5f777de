package train

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"hemostat/defenders/sentinel/analyst"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/batch"
)

// AnalystOptions say which days the offline analyst learns from.
type AnalystOptions struct {
	Trials int // of each scenario and variant
	Seed   uint64
	// Parallel is how many trials run at once.
	Parallel int
	// Step is called after each trial, by several at once.
	Step func()
}

// examplesOf runs trials in which nobody judges, and returns every alert with the truth.
func examplesOf(
	ctx context.Context,
	all []*scenarios.Scenario,
	variants []*defence.Variant,
	o AnalystOptions,
) ([]analyst.Example, error) {
	var days []exampleDay
	for _, v := range variants {
		for _, s := range all {
			for i := range o.Trials {
				days = append(days, exampleDay{scenario: s, variant: v, index: firstDay + i})
			}
		}
	}
	var group errgroup.Group
	group.SetLimit(max(1, o.Parallel))
	for i := range days {
		group.Go(func() error {
			err := days[i].run(ctx, o.Seed)
			if err == nil && o.Step != nil {
				o.Step()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var examples []analyst.Example
	for _, d := range days {
		examples = append(examples, d.examples...)
	}
	return examples, nil
}

// exampleDay is a day and the alerts of it.
type exampleDay struct {
	scenario *scenarios.Scenario
	variant  *defence.Variant
	index    int
	examples []analyst.Example
}

func (d *exampleDay) run(ctx context.Context, seed uint64) error {
	name := fmt.Sprintf("%s/%s/%d", d.scenario.Name, d.variant.Name, d.index)
	t, err := trial.New(d.scenario, d.variant, d.index, trial.Options{
		Seed: seed,
		Cases: func(c *analyst.Case, attack int) {
			d.examples = append(d.examples, analyst.ExampleOf(c, attack != 0, d.scenario.Name,
				fmt.Sprintf("%s/%d", name, attack)))
		},
	})
	if err != nil {
		return err
	}
	err = t.RunWhile(func() bool { return ctx.Err() != nil })
	if errors.Is(err, batch.ErrInterrupted) {
		err = nil
	}
	return errors.Join(err, ctx.Err(), t.Close())
}

// Analyst learns the weights of the offline analyst.
func Analyst(
	ctx context.Context,
	all []*scenarios.Scenario,
	variants []*defence.Variant,
	o AnalystOptions,
) (*analyst.Weights, int, error) {
	examples, err := examplesOf(ctx, all, variants, o)
	if err != nil {
		return nil, 0, err
	}
	var names []string
	for _, v := range variants {
		names = append(names, v.Name)
	}
	from := fmt.Sprintf("%d alerts of %d days of each of %d scenarios under %s with seed %d",
		len(examples), o.Trials, len(all), strings.Join(names, ", "), o.Seed)
	w, err := analyst.Fit(examples, from)
	return w, len(examples), err
}
