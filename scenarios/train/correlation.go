package train

import (
	"context"

	"hemostat/defenders/fusion/correlation"
	"hemostat/scenarios/trial"
)

// Correlation learns the weights of the score by which incidents are found to be one campaign;
// it returns how many comparisons it learned from.
func Correlation(ctx context.Context, d *Days, threshold float64) (*correlation.Weights, int, error) {
	perDay, err := each(ctx, d, func(ctx context.Context, x day) ([]correlation.Example, error) {
		labelled, err := x.labelledAlerts(ctx, d.Seed)
		if err != nil {
			return nil, err
		}
		return correlation.Examples(labelled)
	})
	if err != nil {
		return nil, 0, err
	}
	var all []correlation.Example
	for _, examples := range perDay {
		all = append(all, examples...)
	}
	w, err := correlation.Fit(all, threshold, d.describe())
	return w, len(all), err
}

// labelledAlerts are the alerts of a day that joined an incident, with the truth.
func (d day) labelledAlerts(ctx context.Context, seed uint64) ([]correlation.Labelled, error) {
	t, err := d.run(ctx, trial.Options{Seed: seed})
	if err != nil {
		return nil, err
	}
	r, err := t.Rows()
	if err != nil {
		return nil, err
	}
	attackOf := map[int]int{}
	for i := range r.Alerts {
		attackOf[r.Alerts[i].Alert] = r.Alerts[i].Attack
	}
	var out []correlation.Labelled
	raised := t.Alerts()
	for i := range raised {
		a := &raised[i]
		if a.Incident == 0 {
			continue
		}
		out = append(out, correlation.Labelled{
			At: a.Enriched, Incident: a.Incident, Attack: attackOf[a.ID],
			Observation: correlation.Observation{Alert: &a.Alert, Entities: a.Enrichment.Keys,
				Indicators: a.Enrichment.Indicators},
		})
	}
	return out, nil
}
