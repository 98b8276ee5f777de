package detectors

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim/record"
)

func at(d time.Duration) record.Time { return record.At(d) }

// trial has one attack of two steps; rules find the first, behaviour both, and a false alarm.
func trial(index int, withBehaviour bool) Trial {
	t := &record.Trial{
		Scenario: "s", Index: index, Status: "ok", Horizon: int64(24 * time.Hour), EventsTotal: 1000, AlertsFalse: 1,
		Detected: true, Score: 80,
		Attacks: []record.Attack{{Attack: 1, FirstEvent: at(time.Hour)}},
		Steps: []record.Step{
			{Attack: 1, Step: 1, Technique: "T1078", Succeeded: true, Detected: at(2 * time.Hour)},
			{Attack: 1, Step: 2, Technique: "T1021", Succeeded: true},
			{Attack: 1, Step: 3, Technique: "T1021"},
		},
		Alerts: []record.Alert{
			{Detector: "sigma", Time: int64(2 * time.Hour), Attack: 1, Step: 1},
			{Detector: "sigma", Time: int64(3 * time.Hour)},
		},
		Cost: []record.Cost{{WallNS: 5e9}, {Detector: "sigma", Version: "1", DetectorWallNS: 2e6},
			{Detector: "behavior", Version: "1", DetectorWallNS: 4e6}},
	}
	if withBehaviour {
		t.Score = 90
		t.Steps[1].Detected = at(3 * time.Hour)
		t.Alerts = append(t.Alerts, record.Alert{
			Detector: "behavior", Time: int64(3 * time.Hour), Attack: 1, Step: 2,
			Steps: []record.StepRef{{Attack: 1, Step: 1}, {Attack: 1, Step: 2}},
		})
		t.Scores = []record.Score{
			{Detector: "behavior", Question: "window", Score: 5, Attack: 1, Step: 2, Weight: 1, Reported: true},
			{Detector: "behavior", Question: "window", Score: 3, Attack: 1, Step: 1, Weight: 1},
			{Detector: "behavior", Question: "window", Score: 4, Weight: 1, Reported: true},
			{Detector: "behavior", Question: "window", Score: 1, Weight: 20},
		}
	}
	return Trial{t, 7}
}

func TestWhatEachDetectorFinds(t *testing.T) {
	var with, without []Trial
	for i := range 10 {
		with, without = append(with, trial(i, true)), append(without, trial(i, false))
	}
	r := Analyse("v", with)
	require.Equal(t, []string{"behavior", "sigma"}, []string{r.Detectors[0].Name, r.Detectors[1].Name})
	b, s := r.Detectors[0], r.Detectors[1]
	require.Equal(t, 20, r.Steps, "a step that failed is none")
	require.InDelta(t, 1, b.StepsFound.Value, 1e-9)
	require.InDelta(t, 0.5, s.StepsFound.Value, 1e-9)
	require.InDelta(t, 0.5, s.Precision.Value, 1e-9)
	require.Equal(t, 10, b.StepsAlone)
	require.Zero(t, s.StepsAlone)
	require.Zero(t, b.AttacksAlone, "rules find the attack too")
	require.InDelta(t, 1, s.FalsePerDay.Value, 1e-9)
	require.InDelta(t, 4000, b.CostPerEvent, 1e-9)
	require.InDelta(t, float64(time.Hour), s.TimeToDetect.Value, 1)

	require.Len(t, r.Techniques, 2)
	require.Equal(t, Technique{ID: "T1021", Steps: 10, Found: map[string]int{"behavior": 10}, Any: 10}, r.Techniques[0])

	c := r.Curves[0]
	require.InDelta(t, 20, c.Hostile, 0)
	require.InDelta(t, 210, c.Quiet, 0)
	require.InDelta(t, 0.5, c.stepsAt(0.5), 1e-9, "above the first false alarm stands half of the steps")
	require.InDelta(t, 1, c.stepsAt(1), 1e-9)
	require.InDelta(t, (1+20/21.0)/2, c.AUC.Value, 1e-9)

	r.LeaveOut("behavior", with, without)
	w := r.Without[0]
	require.Equal(t, 10, w.Pairs)
	require.InDelta(t, -0.5, w.StepsFound.Value, 1e-9)
	require.InDelta(t, -10, w.Score.Value, 1e-9)
}

func TestADetectorWithoutAlertsIsTold(t *testing.T) {
	x := trial(0, false)
	x.Cost = append(x.Cost, record.Cost{Detector: "silent"})
	r := Analyse("v", []Trial{x})
	require.Len(t, r.Detectors, 3)
	silent := r.Detectors[2]
	require.Zero(t, silent.StepsFound.Value)
	require.True(t, math.IsNaN(silent.Precision.Value))
	require.Contains(t, r.Table(false), "silent")
}

func TestFormatsEscapeAndHoldAll(t *testing.T) {
	x := trial(0, true)
	r := Analyse("a|b\x1b[31m", []Trial{x})
	r.LeaveOut("behavior", []Trial{x}, []Trial{trial(0, false)})
	for _, markdown := range []bool{false, true} {
		text := r.Table(markdown)
		require.NotContains(t, text, "\x1b")
		require.Contains(t, strings.ToLower(text), "left out")
	}
	data, err := r.JSON()
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, json.Unmarshal(data, &back))
	require.Len(t, back["detectors"], 2)
	require.Len(t, back["without"], 1)
	var csv bytes.Buffer
	require.NoError(t, r.CSV(&csv))
	require.Equal(t, 3, strings.Count(csv.String(), "\n"))
	empty, err := Analyse("none", nil).JSON()
	require.NoError(t, err)
	require.Contains(t, string(empty), `"detectors": []`)
}
