package hunt

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/sim/record"
)

// ledger has two days: one attack of three steps, of one of which no sensor has anything, and a
// quiet one.
func ledger() *Ledger {
	one := int64(1)
	a := NewDay("day-1", &record.Trial{Scenario: "s", Horizon: int64(24 * time.Hour), Steps: []record.Step{
		{Attack: 1, Step: 0, Technique: "T1110.001", Tactic: "credential-access", Detected: &one},
		{Attack: 1, Step: 1, Technique: "T1021.002", Tactic: "lateral-movement"},
		{Attack: 1, Step: 2, Technique: "T1005", Tactic: "collection"}}})
	for i := range 100 {
		switch {
		case i >= 10 && i < 14:
			a.Add(1, 0)
		case i == 50:
			a.Add(1, 1)
		default:
			a.Add(0, 0)
		}
	}
	b := NewDay("day-2", &record.Trial{Scenario: "quiet", Horizon: int64(24 * time.Hour)})
	for range 10 {
		b.Add(0, 0)
	}
	return &Ledger{Version, []Day{*a, *b}}
}

func flags(t *testing.T, text string) []Flag {
	f, err := ReadFlags("a.csv", strings.NewReader(text))
	require.NoError(t, err)
	return f
}

func TestGrade(t *testing.T) {
	s, err := ledger().Grade(flags(t, "day,event_id,technique,minutes\n"+
		"day-1,11,T1110,5\nday-1,11,T1110,9\nday-1,12,t1003,6\nday-2,3,,7\nday-1,51,T1021.002,30\n"))
	require.NoError(t, err)
	assert.Equal(t, []int{4, 3, 2, 2, 1, 1}, []int{s.Flags, s.True, s.Steps, s.Found, s.Undetected, s.FoundMissed})
	assert.Equal(t, []int{3, 2}, []int{s.Named, s.Right}, "a parent of the technique is right")
	assert.Equal(t, []int{1, 1}, []int{s.Attacks, s.AttacksFound})
	assert.InDelta(t, 0.5, s.FalsePerDay, 1e-9)
	assert.InDelta(t, 5, *s.FirstMinutes, 1e-9)
	assert.InDelta(t, 5, *s.HalfMinutes, 1e-9)
	require.Len(t, s.Tactics, 2, "what no sensor has anything of can be found by nobody")

	s, err = ledger().Grade(flags(t, "event_id,day\n51,day-1\n"))
	require.NoError(t, err)
	assert.Nil(t, s.FirstMinutes)
	require.Len(t, s.Missed, 1)
	assert.Equal(t, "T1110.001", s.Missed[0].Technique)
	s, err = ledger().Grade(nil)
	require.NoError(t, err)
	assert.Zero(t, s.Found)
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "a.csv is empty",
		"day\n":                               "a.csv:1: the column event_id is missing",
		"day,event_id,what\n":                 `a.csv:1: the column "what" is unknown`,
		"day,event_id\nday-1,x\n":             `a.csv:2: event_id is a number from 1 on, not "x"`,
		"day,event_id\nday-1,0\n":             "a.csv:2",
		"day,event_id,minutes\nday-1,1,-1\n":  `a.csv:2: minutes is a number of 0 or more, not "-1"`,
		"day,event_id,minutes\nday-1,1,NaN\n": "a.csv:2",
		"day,event_id\nday-1,1,2\n":           "a.csv: record on line 2",
	} {
		_, err := ReadFlags("a.csv", strings.NewReader(text))
		assert.ErrorContains(t, err, want, text)
	}
	_, err := ledger().Grade(flags(t, "day,event_id\nday-9,1\n"))
	require.ErrorContains(t, err, `no day "day-9"`)
	_, err = ledger().Grade(flags(t, "day,event_id\nday-2,11\n"))
	require.ErrorContains(t, err, "day day-2 has 10 events, and none with the number 11")
}
