package fidelity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/reports/stats"
	"hemostat/sim"
)

func log(name string, rules ...int) Log {
	l := Log{Name: name, Events: 10, Types: map[string]int{"Sysmon 1": 10}}
	for _, r := range rules {
		l.Hits = append(l.Hits, Hit{r, "Sysmon 1", 1})
	}
	return l
}

func observations(rules int) *Observations {
	o := &Observations{
		Match:   func(id string) []string { return []string{id} },
		Explain: func(_ string, rule int) Missed { return Missed{Because: fmt.Sprint("rule ", rule)} },
		Day: Log{Name: "day", Events: 200_000, Types: map[string]int{"Security 4624": 5},
			Hits: []Hit{{0, "Security 4624", 4}}},
	}
	for i := range rules {
		o.Rules = append(o.Rules, Rule{ID: fmt.Sprint(i), Title: fmt.Sprint("rule ", i), Level: "high"})
	}
	return o
}

func TestTechniquesAreComparedRuleByRule(t *testing.T) {
	o := observations(5)
	o.Recordings = []Recording{
		{Log: log("a", 0, 1), Techniques: []string{"T1"}},
		{Log: log("b", 1, 2), Techniques: []string{"T1", "T2"}},
		{Log: log("c"), Techniques: []string{"T3"}},
		{Log: log("d", 4)},
		{Log: Log{Name: "calm", Events: 100_000, Types: map[string]int{"Sysmon 1": 1}, Hits: []Hit{{3, "Sysmon 1", 7}}},
			Benign: true},
	}
	o.Tools = []Tool{{log("x", 1), "T1"}, {log("y", 3), "T1"}, {log("z", 4), "T2"}, {log("w", 0), "T3"}}
	o.Recordings[0].Types["Security 1"] = 3
	r := New(o)
	require.Equal(t, 2, r.Compared) // no rule fires on the recording of T3
	require.InDelta(t, 0.5, r.Sharing, 1e-9)
	require.Equal(t, 1, r.Unassigned)
	one := r.Techniques[0]
	require.Equal(t, []int{2, 2, 3, 2, 1}, []int{one.Recordings, one.Tools, one.RulesRecorded, one.RulesSimulated,
		one.RulesBoth})
	require.Equal(t, []Missed{{Because: "rule 0"}, {Because: "rule 2"}}, one.OnlyRecorded)
	require.Equal(t, []Rule{o.Rules[3]}, one.OnlySimulated)
	require.Equal(t, []TypeCount{{"Security 1", 3, 1}}, r.Missing)
	require.Equal(t, 2, r.TypesRecorded)
	require.Contains(t, r.Backing, Backing{"T1", "x", 2, 2})
	require.Contains(t, r.Backing, Backing{"T2", "z", 1, 0})
	require.InDelta(t, 7, r.False.Recorded.Levels["high"], 1e-9)
	require.InDelta(t, 2, r.False.Simulated.Levels["high"], 1e-9)

	var page, table bytes.Buffer
	require.NoError(t, r.HTML(&page))
	require.Contains(t, page.String(), "rule 0")
	require.NoError(t, r.BackingCSV(&table))
	require.Equal(t, "technique,tool,recordings,sharing\nT1,x,2,2\nT1,y,2,0\nT2,z,1,0\nT3,w,1,0\n", table.String())
	text, err := json.Marshal(r)
	require.NoError(t, err)
	for _, name := range []string{"techniques_compared", "techniques_sharing_a_rule", "rank_correlation",
		"event_types_missing", "false_alarms", "ceiling", "subsets", "share"} {
		require.Contains(t, string(text), `"`+name+`"`)
	}
}

// library makes techniques whose recordings fire the rules of their own, a tool each; with
// noise, tools fire other rules.
func library(noise bool) *Observations {
	draw := sim.NewStreams(4, 0).Stream("test", "rules")
	o := observations(200)
	for i := range 40 {
		id := fmt.Sprint("T", 1000+i)
		weights := []int{draw.IntN(200), draw.IntN(200), draw.IntN(200)}
		for n := range 6 {
			o.Recordings = append(o.Recordings, Recording{Log: log(fmt.Sprint(id, n), weights[:1+draw.IntN(3)]...),
				Techniques: []string{id}})
		}
		for n := range 3 {
			rules := weights[:1+n%3]
			if noise {
				rules = []int{draw.IntN(200), draw.IntN(200)}
			}
			o.Tools = append(o.Tools, Tool{log(fmt.Sprint("tool ", n), rules...), id})
		}
	}
	return o
}

// A library that fires the rules of the recordings ranks rule sets as they do; one that
// fires others does not, and its interval does not pretend so.
func TestTheRankCorrelationTellsAGoodLibraryFromABadOne(t *testing.T) {
	good := New(library(false)).Ranking
	require.Greater(t, good.Value, 0.8)
	require.Greater(t, good.Ceiling, 0.7)
	require.Less(t, good.Lo, good.Value)
	require.Greater(t, good.Hi, good.Value)
	require.Greater(t, good.Half, 0.7)
	bad := New(library(true)).Ranking
	require.Less(t, bad.Value, 0.4)
	require.Less(t, bad.Lo, 0.2)
	require.InDelta(t, good.Ceiling, bad.Ceiling, 0.15)
	require.Equal(t, good, New(library(false)).Ranking) // the same each time
}

// Seen through the logs of the recordings only, what else the tools write does not count.
func TestOnlyTheRecordedLogsCountAsRecorded(t *testing.T) {
	o := library(false)
	draw := sim.NewStreams(8, 0).Stream("test", "noise")
	for i := range o.Tools {
		for range 6 {
			o.Tools[i].Hits = append(o.Tools[i].Hits, Hit{draw.IntN(200), "Security 4688", 1})
		}
	}
	r := New(o).Ranking
	require.Greater(t, r.AsRecorded, r.Value+0.1)
}

func TestNothingToRank(t *testing.T) {
	o := observations(1)
	o.Recordings = []Recording{{Log: log("a", 0), Techniques: []string{"T1"}}}
	o.Tools = []Tool{{log("x", 0), "T1"}}
	r := New(o)
	require.Zero(t, r.Ranking.Techniques)
	require.Contains(t, r.Summary()[2], "Too few techniques")
}

func TestSpearmanIsThatOfR(t *testing.T) {
	// cor(c(1,2,3,4,5), c(5,6,7,8,7), method = "spearman") in R 4.3
	require.InDelta(t, 0.8207827, stats.Spearman([]float64{1, 2, 3, 4, 5}, []float64{5, 6, 7, 8, 7}), 1e-6)
}
