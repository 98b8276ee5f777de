package detectors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/sim/record"
)

// Twelve days: a rule that sees what no other does, one that is noisy besides, one that only repeats
// what others see and is wrong at times, one that is never right, and one that costs nothing.
func TestScorecard(t *testing.T) {
	var trials []Trial
	for i := range 12 {
		alert := func(rule string, minute, attack, step, incident int) record.Alert {
			return record.Alert{Detector: "sigma", RuleID: rule, Title: rule, Time: int64(minute) * int64(time.Minute), Attack: attack, Step: step,
				Incident: incident, Technique: "T1078"}
		}
		trials = append(trials, Trial{&record.Trial{Index: i, Status: "ok", Horizon: int64(24 * time.Hour),
			Attacks: []record.Attack{{Attack: 1}},
			Steps:   []record.Step{{Attack: 1, Step: 1, Technique: "T1078"}, {Attack: 1, Step: 2, Technique: "T1078"}},
			Alerts: []record.Alert{
				alert("first", 1, 1, 1, 1), alert("noisy", 2, 1, 2, 1), alert("noisy", 3, 0, 0, 2), alert("noisy", 4, 0, 0, 3),
				alert("repeats", 5, 1, 1, 1), alert("repeats", 6, 0, 0, 4), alert("wrong", 7, 0, 0, 5), alert("cheap", 8, 1, 1, 1),
			},
			Actions: []record.Action{{Incident: 5, OnBenign: true, Realised: 2}, {Incident: 1, Realised: 1}},
		}, 1})
	}
	s := Scores("v", trials, 1)
	by := map[string]RuleCard{}
	for _, r := range s.Rules {
		by[r.RuleID] = r
	}
	require.Len(t, by, 5)
	for rule, advice := range map[string]string{"first": "keep", "noisy": "tune", "repeats": "retire", "wrong": "retire", "cheap": "keep"} {
		assert.Equal(t, advice, by[rule].Advice, "%s: %s", rule, by[rule].Why)
	}
	assert.Equal(t, 12, by["noisy"].StepsAlone)
	assert.Zero(t, by["first"].StepsAlone)
	assert.Equal(t, 12, by["first"].First)
	assert.InDelta(t, 2, by["noisy"].FalsePerDay.Value, 1e-9)
	assert.InDelta(t, 1.0/3, by["noisy"].Precision.Value, 1e-9)
	assert.InDelta(t, 24, by["wrong"].Disruption, 1e-9)
	assert.Equal(t, "retire", s.Rules[0].Advice, "what to change comes first")
	for i := range trials {
		trials[i].Steps = nil
	}
	for _, r := range Scores("v", trials, 1).Rules {
		if r.RuleID == "wrong" {
			assert.Equal(t, "unsure: no attack here used T1078", r.Advice+": "+r.Why)
		}
	}
	for _, r := range Scores("v", trials[:3], 1).Rules {
		assert.NotEqual(t, "retire", r.Advice, "three attacks are too few")
	}
}
