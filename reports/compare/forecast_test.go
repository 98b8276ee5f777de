package compare

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForecastsAreScoredByScenarioAndSide(t *testing.T) {
	was, is := Forecasts{}, Forecasts{}
	for i := range 10 {
		f := Forecast{Scenario: "s", Probability: 0.5, Brier: 0.4, Rank: 1, Named: []float64{0.5, 0.3, 0.1, 0.05}}
		was.Add(f)
		if i%2 == 1 { // half of the time something else came
			f.Rank, f.Probability, f.Brier = 0, 0, 1.4
		}
		is.Add(f)
	}
	r := Result{}
	r.ByForecast(was, is)
	require.Len(t, r.forecasts, 2)
	require.Equal(t, "*", r.forecasts[0].Scenario)
	x := r.forecasts[1]
	require.Equal(t, 10, x.Baseline.Forecasts)
	require.InDelta(t, 1, x.Baseline.Top1, 1e-12)
	require.InDelta(t, math.Ln2, x.Baseline.LogLoss, 1e-12)
	require.InDelta(t, (0.5+0.3+0.1)/3, x.Baseline.Calibration, 1e-12,
		"said 50, 30 and 10 %, and came always, never, never")
	require.InDelta(t, (0+0.3+0.1)/3, x.Candidate.Calibration, 1e-12)
	require.InDelta(t, 0.5, x.Candidate.Top3, 1e-12)
	require.InDelta(t, -math.Log(1e-9)/2+math.Ln2/2, x.Candidate.LogLoss, 1e-9)
	require.Contains(t, r.forecastTable(false), "all together")
	require.Contains(t, r.forecastTable(true), "### Forecasts")
	text, err := json.Marshal(r.forecasts[1])
	require.NoError(t, err)
	require.Contains(t, string(text), `"log_loss"`)

	r.ByForecast(Forecasts{}, Forecasts{})
	require.Empty(t, r.forecastTable(false))
}
