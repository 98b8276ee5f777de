package observe

import (
	"context"
	"errors"
	"fmt"

	"hemostat/attackers/technique"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/reports/fidelity"
	"hemostat/scenarios"
)

// Options say what a comparison with recordings works on.
type Options struct {
	Index []Entry
	Rules []*sigma.Rule
	// Day is the scenario whose background is the simulated day without attackers.
	Day  *scenarios.Scenario
	Seed uint64
	// Step is called after each of Steps.
	Step func()
}

// Steps is how many steps a comparison has: recordings, techniques, the day.
func (o *Options) Steps() int { return len(o.Index) + len(technique.All()) + 1 }

// Fidelity compares recordings with the library. Recordings that cannot be read are
// named in the error, beside the report of the others.
func Fidelity(ctx context.Context, o Options) (*fidelity.Report, error) {
	x, err := newObserver(o.Rules)
	if err != nil {
		return nil, err
	}
	var faults []error
	for _, e := range o.Index {
		if err := x.Recording(ctx, e); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			faults = append(faults, fmt.Errorf("line %d of the index: %w", e.Line, err))
		}
		o.Step()
	}
	for _, t := range technique.All() {
		if err := x.Library(ctx, []*technique.Technique{t}); err != nil {
			return nil, err
		}
		o.Step()
	}
	x.Day(o.Day, o.Seed)
	o.Step()
	return fidelity.New(x.Observations()), errors.Join(faults...)
}
