package compare

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/reports/stats"
	"hemostat/sim/record"
)

// add takes a trial of seed 1 in.
func add(t *testing.T, s *Sample, trial *record.Trial) {
	t.Helper()
	require.NoError(t, s.Add(trial, 1, "digest of "+trial.Scenario))
}

// samples makes two samples of n trials; the candidate contains every trial, the
// baseline every other one, and takes twice as long.
func samples(t *testing.T, n int) (*Sample, *Sample) {
	baseline, candidate := NewSample("old", n), NewSample("new", 0)
	for i := range n {
		slow, fast := int64(200e9+i), int64(100e9+i)
		b := &record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 1000e9, Detected: true, TimeToDetect: &slow, AlertsFalse: i % 3, Score: 50}
		c := &record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 1000e9, Detected: true, TimeToDetect: &fast, AlertsFalse: i % 3, Score: 50, Contained: true, TimeToContain: &fast}
		if i%2 == 0 {
			b.Contained, b.TimeToContain = true, &slow
		}
		add(t, baseline, b)
		add(t, candidate, c)
	}
	return baseline, candidate
}

func TestFewLongTrialsDoNotDecideATime(t *testing.T) {
	baseline, candidate := NewSample("old", 40), NewSample("new", 0)
	for i := range 40 {
		before, after := int64(10e9), int64(60e9)
		if i < 5 { // the baseline blundered for long
			before, after = int64(3600e9+i), int64(20e9)
		}
		add(t, baseline, &record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 7200e9, Detected: true, TimeToDetect: &before})
		add(t, candidate, &record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 7200e9, Detected: true, TimeToDetect: &after})
	}
	r, err := Compare(baseline, candidate, Options{})
	require.NoError(t, err)
	row := find(t, r, "time_to_detect")
	require.Negative(t, row.Difference)
	require.Positive(t, row.Effect)
	require.Equal(t, []int{35, 5}, []int{row.Later, row.Sooner})
	require.Equal(t, -1, row.Better())
	require.Equal(t, "later in 35 pairs, sooner in 5", row.Change())
}

func find(t *testing.T, r *Result, metric string) Row {
	t.Helper()
	for _, x := range r.Rows {
		if x.Metric.Name == metric && x.Scenario == "s" {
			return x
		}
	}
	t.Fatalf("no row %s", metric)
	return Row{}
}

func TestPairedDifferences(t *testing.T) {
	r, err := compared(t, 40)
	require.NoError(t, err)
	require.Equal(t, 40, r.Pairs)
	contained := find(t, r, "contained")
	require.InDelta(t, 0.5, contained.Difference, 1e-9)
	require.Less(t, contained.PAdjusted, 0.001)
	detect := find(t, r, "time_to_detect")
	require.InDelta(t, -100e9, detect.Difference, 1)
	require.Equal(t, -1.0, detect.Effect)
	contain := find(t, r, "time_to_contain")
	require.Less(t, contain.P, 0.001, "never is later than any time")
	require.Equal(t, 1.0, find(t, r, "score").P, "no difference is no finding")
	require.Equal(t, 1.0, find(t, r, "detected").P)
	text := r.Table(false)
	require.Contains(t, text, "+50.0 %")
	require.Contains(t, text, "~")
	require.Contains(t, r.Table(true), "| contained |")
	data, err := r.JSON()
	require.NoError(t, err)
	var back struct {
		Baseline, Candidate string
		Pairs               int
		Rows                []map[string]any
		Warnings            []string
	}
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, 40, back.Pairs)
	for _, key := range []string{"scenario", "metric", "baseline", "candidate", "difference", "lo", "hi", "p", "p_adjusted", "effect"} {
		require.Contains(t, back.Rows[0], key)
	}
	require.NotNil(t, back.Warnings)
}

func TestNeverCountsAsTheHorizonInMeans(t *testing.T) {
	r, err := compared(t, 40)
	require.NoError(t, err)
	contain := find(t, r, "time_to_contain")
	require.InDelta(t, (100e9+900e9)/2, -contain.Difference, 1e9, "half the pairs differ by 100 s, half by the rest of the horizon")
	require.Equal(t, "never", contain.Metric.Format(math.Inf(1)))
}

func TestWhatCannotBeComparedIsSaid(t *testing.T) {
	b, c := samples(t, 12)
	c.trials = slices.Delete(c.trials, 3, 4)
	add(t, c, &record.Trial{Status: "error"})
	r, err := Compare(b, c, Options{})
	require.NoError(t, err)
	require.Equal(t, 11, r.Pairs)
	require.Len(t, r.Warnings, 3)
	require.Contains(t, r.Warnings[0], "1 trials have no counterpart")
	require.Contains(t, r.Warnings[1], "0 of the baseline, 1 of the candidate")
	require.Contains(t, r.Warnings[2], "differ in errors")
	_, err = Compare(b, NewSample("empty", 0), Options{})
	require.ErrorContains(t, err, "no trial in common")
	c.trials[0].Horizon = 2
	_, err = Compare(b, c, Options{})
	require.ErrorContains(t, err, "a horizon of")

	b, c = samples(t, 4)
	c.trials[2].ScenarioDigest = "another"
	_, err = Compare(b, c, Options{})
	require.ErrorContains(t, err, "is not the same")
	c.Settings = "attackers[0].skill=0.9"
	r, err = Compare(b, c, Options{})
	require.NoError(t, err, "variants that set different things in a scenario are to be compared")
	require.Contains(t, r.Warnings[0], "set different things")
	b, c = samples(t, 4)
	add(t, c, &record.Trial{Scenario: "s", Index: 2, Status: "ok", Horizon: 1})
	_, err = Compare(b, c, Options{})
	require.ErrorContains(t, err, "must not count twice")
	require.ErrorContains(t, b.Add(&record.Trial{TrialID: "abc", Status: "ok", Score: math.NaN()}, 1, ""), "no number")
}

// compared compares the samples of so many pairs.
func compared(t *testing.T, pairs int) (*Result, error) {
	baseline, candidate := samples(t, pairs)
	return Compare(baseline, candidate, Options{})
}

func TestOnePairSaysNothingOfMeans(t *testing.T) {
	r, err := compared(t, 1)
	require.NoError(t, err)
	require.Contains(t, r.Warnings[0], "only 1 pairs")
	score := find(t, r, "score")
	require.Equal(t, "cannot say", score.Change())
	_, err = r.JSON()
	require.NoError(t, err, "what cannot be said is null")
}

func TestAllCensoredAndAllEqual(t *testing.T) {
	b, c := NewSample("old", 0), NewSample("new", 0)
	for i := range 20 {
		add(t, b, &record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 10e9})
		add(t, c, &record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 10e9})
	}
	r, err := Compare(b, c, Options{})
	require.NoError(t, err)
	for _, x := range r.Rows {
		if x.Metric.Name == "alerts_false_per_1000_benign" || strings.HasPrefix(x.Metric.Name, "forecast_") ||
			strings.HasPrefix(x.Metric.Name, "join_") || strings.HasPrefix(x.Metric.Name, "attribution_") {
			require.Equal(t, "cannot say", x.Change(), "no benign events, no forecasts, no pairs of alerts, no actors")
			continue
		}
		require.Equal(t, "~", x.Change(), x.Metric.Name)
	}
	contain := find(t, r, "time_to_contain")
	require.True(t, math.IsInf(contain.Baseline.Value, 1))
	require.Zero(t, contain.Difference)
}

func TestNoAttackIsNoMiss(t *testing.T) {
	b, c := samples(t, 10)
	for i := range 10 {
		add(t, b, &record.Trial{Scenario: "quiet", Index: i, Status: "ok", Outcome: record.OutcomeNone, Horizon: 1, Score: 99})
		add(t, c, &record.Trial{Scenario: "quiet", Index: i, Status: "ok", Outcome: record.OutcomeNone, Horizon: 1, Score: 99})
	}
	r, err := Compare(b, c, Options{})
	require.NoError(t, err)
	for _, x := range r.Rows {
		switch {
		case x.Metric.Name == "detected" && x.Scenario == "*":
			require.Equal(t, 10, x.Baseline.N)
		case x.Metric.Name == "detected" && x.Scenario == "quiet":
			require.Equal(t, "cannot say", x.Change())
		case x.Metric.Name == "score" && x.Scenario == "*":
			require.Equal(t, 20, x.Baseline.N)
		}
	}
}

func TestScenariosThatDisagreeAreWarnedOf(t *testing.T) {
	b, c := NewSample("old", 0), NewSample("new", 0)
	for i := range 60 {
		for _, s := range []string{"up", "down"} {
			add(t, b, &record.Trial{Scenario: s, Index: i, Status: "ok", Horizon: 1, Contained: s == "down"})
			add(t, c, &record.Trial{Scenario: s, Index: i, Status: "ok", Horizon: 1, Contained: s == "up"})
		}
	}
	r, err := Compare(b, c, Options{})
	require.NoError(t, err)
	require.Contains(t, strings.Join(r.Warnings, "\n"), "scenarios disagree on contained: better in up, worse in down")
}

func TestOriginsTellWhichTechniqueSuffered(t *testing.T) {
	b, c := samples(t, 30)
	r, err := Compare(b, c, Options{})
	require.NoError(t, err)
	before, after := Tallies{}, Tallies{}
	for i := range 30 {
		k := Key{"s", 1, i}
		before[k] = map[string]Tally{"T1018": {1, 1}, "T1486": {1, 1}}
		after[k] = map[string]Tally{"T1018": {1, 0}, "T1486": {1, 1}}
	}
	after[Key{"s", 1, 99}] = map[string]Tally{"T9999": {1, 1}} // no counterpart
	r.ByTechnique(before, after)
	require.Len(t, r.Techniques, 2)
	require.Equal(t, "T1018", r.Techniques[0].Subject)
	require.Equal(t, -1, r.Techniques[0].Better())
	require.Zero(t, r.Techniques[1].Better())
	r.ByDetector(Tallies{{"s", 1, 0}: {"sigma": {3, 1}}, {"s", 1, 1}: {}}, Tallies{{"s", 1, 0}: {"sigma": {3, 3}}, {"s", 1, 1}: {}})
	require.InDelta(t, 1, r.Detectors[0].Difference, 1e-9, "two true alerts more in one of two trials")
	text := r.Table(false)
	require.Contains(t, text, "By technique")
	require.Contains(t, text, "T1018")
	var page strings.Builder
	require.NoError(t, r.HTML(&page))
	require.Contains(t, page.String(), "T1018")
	require.NotContains(t, page.String(), "ZgotmplZ")

	steps := []record.Step{{Technique: "T1", Started: 5, Ended: 6, Detected: record.At(6)}, {Technique: "T1", Started: 1, Ended: 2}, {Technique: "T2", Started: 3, Ended: 3}}
	require.Equal(t, map[string]bool{"T1": false}, DetectedTechniques(steps), "the first use counts, and one that never began does not")
}

func TestPilotsPlanTrials(t *testing.T) {
	b, c := samples(t, 40)
	pilots, err := Pilots(b, c, []Metric{*MetricByName("contained"), *MetricByName("detected"), *MetricByName("score")})
	require.NoError(t, err)
	plan := pilots[0].PlanFor(0.1, 0.8, 0.05)
	require.InDelta(t, stats.SampleSizePaired(0.1, 0.5064, 0.8, 0.025), plan.Pairs, 1)
	require.Contains(t, pilots[1].Note, "no pair differed: at most 7.5 %")
	require.True(t, math.IsNaN(pilots[2].PlanFor(1, 0.8, 0.05).Pairs))
	w := &Power{Target: 0.8, Alpha: 0.05, Plans: []Plan{plan, pilots[2].PlanFor(1, 0.8, 0.05)}}
	require.Contains(t, w.Table(), "cannot say")
	_, err = w.JSON()
	require.NoError(t, err)
	var svg strings.Builder
	require.NoError(t, w.SVG(&svg))
	require.Contains(t, svg.String(), "<svg")
	_, err = Pilots(NewSample("x", 0), nil, nil)
	require.ErrorContains(t, err, "at least 2 trials")
}

// BenchmarkCompare compares a million trials.
func BenchmarkCompare(b *testing.B) {
	baseline, candidate := NewSample("old", 500_000), NewSample("new", 500_000)
	for i := range 500_000 {
		at := int64(i*7919%1_000_000) * 1e6
		t := record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 1e15, Detected: i%7 != 0, TimeToDetect: &at, AlertsFalse: i % 5, Score: float64(i % 100)}
		if err := baseline.Add(&t, 1, "d"); err != nil {
			b.Fatal(err)
		}
		t.Contained = i%3 == 0
		if err := candidate.Add(&t, 1, "d"); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := Compare(baseline, candidate, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
