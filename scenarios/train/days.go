package train

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/batch"
)

// Days are the simulated days that something is learned from: so many of each scenario under
// each variant. They are none that trials run on.
type Days struct {
	Scenarios []*scenarios.Scenario
	Variants  []*defence.Variant
	Trials    int // of each scenario and variant
	Seed      uint64
	Parallel  int // how many run at once
	// Step is called after each day, by several at once.
	Step func()
}

// day is one of them.
type day struct {
	scenario *scenarios.Scenario
	variant  *defence.Variant
	index    int
}

// name tells the day from others.
func (d day) name() string { return fmt.Sprintf("%s/%s/%d", d.scenario.Name, d.variant.Name, d.index) }

// describe says in words what is learned from.
func (d *Days) describe() string {
	var names []string
	for _, v := range d.Variants {
		names = append(names, v.Name)
	}
	return fmt.Sprintf("%d days of each of %d scenarios under %s with seed %d",
		d.Trials, len(d.Scenarios), strings.Join(names, ", "), d.Seed)
}

// each has f look at every day, several at once; what f returns stands in the order of
// variants, scenarios and days.
func each[T any](ctx context.Context, d *Days, f func(ctx context.Context, x day) (T, error)) ([]T, error) {
	var all []day
	for _, v := range d.Variants {
		for _, s := range d.Scenarios {
			for i := range d.Trials {
				all = append(all, day{s, v, firstDay + i})
			}
		}
	}
	out := make([]T, len(all))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, d.Parallel))
	for i, x := range all {
		group.Go(func() error {
			var err error
			if out[i], err = f(ctx, x); err == nil && d.Step != nil {
				d.Step()
			}
			return err
		})
	}
	return out, group.Wait()
}

// run runs the trial of a day to its end, and closes it.
func (d day) run(ctx context.Context, o trial.Options) (*trial.Trial, error) {
	t, err := trial.New(d.scenario, d.variant, d.index, o)
	if err != nil {
		return nil, err
	}
	err = t.RunWhile(func() bool { return ctx.Err() != nil })
	if errors.Is(err, batch.ErrInterrupted) {
		err = nil
	}
	return t, errors.Join(err, ctx.Err(), t.Close())
}
