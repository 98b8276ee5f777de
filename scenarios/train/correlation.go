package train

import (
	"context"

	"hemostat/defenders/fusion/correlation"
	"hemostat/scenarios/trial"
)

// CorrelationResult is what was learned of which incidents are one campaign.
type CorrelationResult struct {
	Weights     *correlation.Weights
	Comparisons int
	// Held is how good the score is on every second day when it was learned on the others;
	// Without the same with each part left out, and learned anew. They are zero where there are
	// too few days.
	Held    correlation.Quality
	Without map[string]correlation.Quality
}

// Correlation learns the weights of the score by which incidents are found to be one campaign.
func Correlation(ctx context.Context, d *Days, threshold float64) (*CorrelationResult, error) {
	days, err := each(ctx, d, func(ctx context.Context, x day) ([]correlation.Labelled, error) {
		return x.labelledAlerts(ctx, d.Seed)
	})
	if err != nil {
		return nil, err
	}
	var all, half []correlation.Example
	var held [][]correlation.Labelled
	for i, day := range days {
		examples, err := correlation.Examples(day)
		if err != nil {
			return nil, err
		}
		all = append(all, examples...)
		if i%2 == 0 {
			half = append(half, examples...)
		} else {
			held = append(held, day)
		}
	}
	r := &CorrelationResult{Comparisons: len(all)}
	if r.Weights, err = correlation.Fit(all, threshold, d.describe()); err != nil || d.Trials < 2 {
		return r, err
	}
	if r.Held, err = heldOut(half, held, threshold); err != nil {
		return r, err
	}
	r.Without = map[string]correlation.Quality{}
	for _, part := range correlation.PartNames() {
		if r.Without[part], err = heldOut(half, held, threshold, part); err != nil {
			return r, err
		}
	}
	return r, nil
}

// heldOut learns from examples without some parts, and averages the quality over days with
// pairs of alerts about one attack.
func heldOut(examples []correlation.Example, days [][]correlation.Labelled, threshold float64,
	without ...string) (correlation.Quality, error) {
	w, err := correlation.Fit(examples, threshold, "", without...)
	if err != nil {
		return correlation.Quality{}, err
	}
	var mean correlation.Quality
	n := 0.0
	for _, day := range days {
		q, err := correlation.Evaluate(day, correlation.Options{Weights: w, Without: without})
		if err != nil {
			return mean, err
		}
		if q.Pairs == 0 {
			continue
		}
		n++
		mean.Pairs += q.Pairs
		mean.Precision += q.Precision
		mean.Recall += q.Recall
		mean.Rand += q.Rand
	}
	n = max(1, n)
	mean.Precision, mean.Recall, mean.Rand = mean.Precision/n, mean.Recall/n, mean.Rand/n
	return mean, nil
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
				Indicators: a.Enrichment.Indicators, Confidence: a.Enrichment.Confidence},
		})
	}
	return out, nil
}
