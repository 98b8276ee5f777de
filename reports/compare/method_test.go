package compare

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/reports/stats"
	"hemostat/sim/record"
)

// sooner makes two samples of two scenarios: the candidate detects in half the time, and
// one attack in ten not at all on either side.
func sooner(t *testing.T, pairs int) (*Result, *Sample, *Sample) {
	t.Helper()
	baseline, candidate := NewSample("b", 0), NewSample("c", 0)
	for _, scenario := range []string{"s", "u"} {
		for i := range pairs {
			trial := func(factor int64) *record.Trial {
				r := &record.Trial{Scenario: scenario, Index: i, Status: "ok", Horizon: 7200e9, Outcome: record.OutcomeContained}
				if i%10 != 0 {
					at := int64(60e9) * int64(1+i%20) * factor
					r.Detected, r.TimeToDetect = true, &at
				}
				if i%4 == 0 && factor == 2 {
					at := int64(300e9)
					r.ObjectiveReached, r.TimeToObjective = true, &at
				}
				return r
			}
			add(t, baseline, trial(2))
			add(t, candidate, trial(1))
		}
	}
	r, err := Compare(baseline, candidate, Options{})
	require.NoError(t, err)
	return r, baseline, candidate
}

func TestMethodsAgreeOnWhatIsClear(t *testing.T) {
	_, baseline, candidate := sooner(t, 80)
	for _, method := range methods() {
		for _, adjustment := range adjustments() {
			r, err := Compare(baseline, candidate, Options{method, adjustment})
			require.NoError(t, err)
			row := find(t, r, "time_to_detect")
			require.True(t, row.Found(), "%s %s: p %v", method, adjustment, row.PAdjusted)
			require.Equal(t, 1, row.Better(), "%s", method)
			require.Negative(t, row.Difference, "%s", method)
			if method != Survival { // its difference is of means with a tenth at the horizon, its test is not
				require.Less(t, row.Hi, 0.0, "%s", method)
			}
			reached := find(t, r, "objective_reached")
			require.Equal(t, 1, reached.Better(), "%s", method)
			require.InDelta(t, -0.25, reached.Difference, 1e-9, "%s", method)
			require.Less(t, reached.Lo, -0.25)
			require.Greater(t, reached.Hi, -0.25)
			same := find(t, r, "detected")
			require.Equal(t, 0, same.Better(), "%s", method)
			require.Zero(t, same.Difference)
		}
	}
}

func TestSurvivalGivesAHazardRatio(t *testing.T) {
	_, baseline, candidate := sooner(t, 80)
	r, err := Compare(baseline, candidate, Options{Method: Survival})
	require.NoError(t, err)
	row := find(t, r, "time_to_detect")
	require.Greater(t, row.Hazard.Lo, 1.0, "the candidate detects sooner")
	require.Equal(t, row.Hazard.Value, row.Effect)
	require.Zero(t, find(t, r, "alerts_false").Hazard.Value)
}

func TestFalseDiscoveryFindsNoLess(t *testing.T) {
	_, baseline, candidate := sooner(t, 12)
	holm, err := Compare(baseline, candidate, Options{})
	require.NoError(t, err)
	rate, err := Compare(baseline, candidate, Options{Adjustment: FalseDiscovery})
	require.NoError(t, err)
	less := 0
	for i := range holm.Rows {
		if h, f := holm.Rows[i].PAdjusted, rate.Rows[i].PAdjusted; !math.IsNaN(h) {
			require.LessOrEqual(t, f, h)
			if f < h {
				less++
			}
		}
	}
	require.Positive(t, less)
}

func TestUnknownMethodsAreRefused(t *testing.T) {
	_, baseline, candidate := sooner(t, 2)
	_, err := Compare(baseline, candidate, Options{Method: "t-test"})
	require.EqualError(t, err, `unknown method "t-test"; accepted: paired, unpaired, survival, bootstrap`)
	_, err = Compare(baseline, candidate, Options{Adjustment: "none"})
	require.EqualError(t, err, `unknown adjustment "none"; accepted: holm, benjamini-hochberg`)
}

func TestCurvesOfTheCandidateRiseFaster(t *testing.T) {
	r, _, _ := sooner(t, 80)
	curves := map[string][]curvePoint{}
	for _, c := range r.curves() {
		require.Len(t, c.Points, curvePoints+1)
		curves[c.Variant+" "+c.Event] = c.Points
		for i := 1; i < len(c.Points); i++ {
			require.GreaterOrEqual(t, c.Points[i].Share, c.Points[i-1].Share, "%s %s", c.Variant, c.Event)
		}
	}
	last := func(name string) float64 { p := curves[name]; return float64(p[len(p)-1].Share) }
	at := func(name string, i int) float64 { return float64(curves[name][i].Share) }
	require.InDelta(t, 0.9, last("b time_to_detect"), 1e-9, "what was not detected is censored at the horizon")
	require.InDelta(t, 0.9, last("c time_to_detect"), 1e-9)
	require.Greater(t, at("c time_to_detect", 5), at("b time_to_detect", 5))
	p := curves["c time_to_detect"][5]
	require.Less(t, float64(p.Lo), float64(p.Share))
	require.Greater(t, float64(p.Hi), float64(p.Share))
	// A quarter of the attacks reach their goal after five minutes with the baseline;
	// of these, those detected earlier count for the detection.
	won, lost := last("b detected_before_objective"), last("b objective_before_detection")
	require.Positive(t, lost)
	require.LessOrEqual(t, won+lost, 1.0+1e-9)
	require.Zero(t, last("c objective_before_detection"))
}

func TestObjectiveAtTheInstantOfDetectionWasNotPrevented(t *testing.T) {
	require.Equal(t, stats.Outcome{Time: 5, Cause: causeObjective}, race(5, 5, 10))
	require.Equal(t, stats.Outcome{Time: 4, Cause: causeDetected}, race(4, 5, 10))
	require.Equal(t, stats.Outcome{Time: 10}, race(math.Inf(1), math.Inf(1), 10))
	require.Equal(t, stats.Outcome{Time: 10}, race(11, 12, 10))
}

func TestRankingOfAlerts(t *testing.T) {
	r, _, _ := sooner(t, 4)
	good, bad, onlyTrue := Rankings{}, Rankings{}, Rankings{}
	for i := range 200 {
		isTrue := i%2 == 0
		confidence := 0.4
		if isTrue {
			confidence = 0.9
		}
		good.Add("sigma", confidence+float64(i%7)/100, isTrue)
		bad.Add("sigma", 0.5+float64(i%11)/100, isTrue)
		onlyTrue.Add("sigma", confidence, true)
	}
	r.ByRanking(bad, good)
	require.Len(t, r.Detectors, 1)
	row := r.Detectors[0]
	require.Equal(t, "alert_ranking_auc", row.Metric.Name)
	require.InDelta(t, 1, row.Candidate.Value, 1e-9)
	require.InDelta(t, 0.5, row.Baseline.Value, 0.1)
	require.Equal(t, 1, row.Better())
	text, err := r.JSON()
	require.NoError(t, err)
	var out struct {
		Rankings []rankingCurve `json:"rankings"`
	}
	require.NoError(t, json.Unmarshal(text, &out))
	require.Len(t, out.Rankings, 2)
	require.Equal(t, [2]float64{0, 0}, out.Rankings[1].ROC[0])
	require.Equal(t, [2]float64{1, 1}, out.Rankings[1].ROC[len(out.Rankings[1].ROC)-1])

	r.Detectors = nil
	r.ByRanking(onlyTrue, good)
	require.Empty(t, r.Detectors, "nothing to rank on one side")
}

func TestPageDrawsCurves(t *testing.T) {
	r, _, _ := sooner(t, 20)
	var page strings.Builder
	require.NoError(t, r.HTML(&page))
	require.Contains(t, page.String(), "<figcaption>time_to_detect <span")
	require.NotContains(t, page.String(), `\tstyle`, "no attribute is lost to escaping")
}
