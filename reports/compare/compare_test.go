package compare

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/record"
)

// pair makes two samples of n trials; the candidate contains every trial, the
// baseline every other one, and takes twice as long.
func pair(n int) (*Sample, *Sample) {
	baseline, candidate := &Sample{Variant: "old"}, &Sample{Variant: "new"}
	for i := range n {
		slow, fast := int64(200e9+i), int64(100e9+i)
		b := &record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 1, Detected: true, TimeToDetect: &slow, AlertsFalse: i % 3, Score: 50}
		c := &record.Trial{Scenario: "s", Index: i, Status: "ok", Horizon: 1, Detected: true, TimeToDetect: &fast, AlertsFalse: i % 3, Score: 50, Contained: true, TimeToContain: &fast}
		if i%2 == 0 {
			b.Contained, b.TimeToContain = true, &slow
		}
		baseline.Add(b)
		candidate.Add(c)
	}
	return baseline, candidate
}

func find(t *testing.T, r *Result, metric string) Row {
	t.Helper()
	for _, x := range r.Rows {
		if x.Metric == metric && x.Scenario == "s" {
			return x
		}
	}
	t.Fatalf("no row %s", metric)
	return Row{}
}

func TestPairedDifferences(t *testing.T) {
	r, err := Compare(pair(40))
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

func TestWhatCannotBeComparedIsSaid(t *testing.T) {
	b, c := pair(12)
	delete(c.Trials, Key{"s", 3})
	c.Add(&record.Trial{Status: "error"})
	r, err := Compare(b, c)
	require.NoError(t, err)
	require.Equal(t, 11, r.Pairs)
	require.Len(t, r.Warnings, 2)
	require.Contains(t, r.Warnings[0], "1 trials have no counterpart")
	require.Contains(t, r.Warnings[1], "0 of the baseline, 1 of the candidate")
	_, err = Compare(b, &Sample{Variant: "empty"})
	require.ErrorContains(t, err, "no trial in common")
	c.Trials[Key{"s", 0}].Horizon = 2
	_, err = Compare(b, c)
	require.ErrorContains(t, err, "a horizon of")
	b, c = pair(1)
	r, err = Compare(b, c)
	require.NoError(t, err)
	require.Contains(t, r.Warnings[0], "only 1 pairs")
	_, err = r.JSON()
	require.NoError(t, err, "what cannot be said is null")
}
