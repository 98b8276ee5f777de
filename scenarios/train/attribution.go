package train

import (
	"context"

	"hemostat/defenders/fusion/attribution"
	"hemostat/scenarios/measure"
	"hemostat/scenarios/trial"
)

// Attribution learns what the campaigns of each attacker of the scenarios look like in alerts;
// it returns how many campaigns it learned from.
func Attribution(ctx context.Context, d *Days) (*attribution.Learned, int, error) {
	perDay, err := each(ctx, d, func(ctx context.Context, x day) ([]attribution.Example, error) {
		t, err := x.run(ctx, trial.Options{Seed: d.Seed})
		if err != nil {
			return nil, err
		}
		r, err := t.Rows()
		if err != nil {
			return nil, err
		}
		campaigns := measure.Campaigns(r, t.Alerts())
		var out []attribution.Example
		for i := range r.Attacks {
			a := &r.Attacks[i]
			if c := measure.OfAttack(campaigns, a.Attack); c != nil {
				out = append(out, attribution.Example{Actor: a.Name, Day: x.name(), Goal: a.Goal, Evidence: c.Evidence()})
			}
		}
		return out, nil
	})
	if err != nil {
		return nil, 0, err
	}
	var all []attribution.Example
	for _, examples := range perDay {
		all = append(all, examples...)
	}
	l, err := attribution.Learn(all, d.describe())
	return l, len(all), err
}
