package sigma

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

// firing gives the titles that fire on refused logons of users at seconds.
func firing(t *testing.T, detection string, logons ...string) []string {
	t.Helper()
	rules, err := Parse("r.yml", []byte("title: Old\nid: old\nlevel: HIGH\nlogsource: {product: windows, service: security}\ndetection:\n"+detection))
	require.NoError(t, err)
	engine, err := Compile(rules)
	require.NoError(t, err)
	m := engine.NewMatcher()
	var fired []string
	for i, l := range logons {
		id, user, _ := strings.Cut(l, " ")
		e := &event.Event{ID: uint64(i + 1), Time: time.Duration(i) * time.Second, Source: event.SecurityLogon.Source}
		e.Set(event.EventID, id)
		e.Set(event.TargetUserName, user)
		e.Set(event.IpAddress, "10.0.0.7")
		e.SetName("Bytes", "10")
		m.Match(e, func(x Match) {
			require.Equal(t, "high", x.Rule.Level)
			require.Equal(t, "old", x.Rule.Key())
			fired = append(fired, x.Rule.Title)
		})
	}
	return fired
}

func TestAggregationsOfOlderRules(t *testing.T) {
	const refused = "  s: {EventID: 4625}\n  other: {EventID: 4624}\n  third: {EventID: 4672}\n"
	many := []string{"4625 a", "4625 b", "4625 a", "4625 c"}
	for condition, want := range map[string]int{
		"  timeframe: 1m\n  condition: s | count() > 3\n":                                  1,
		"  timeframe: 1m\n  condition: s | count() > 4\n":                                  0,
		"  timeframe: 1m\n  condition: s | count() by IpAddress >= 4\n":                    1,
		"  timeframe: 1m\n  condition: s | count() by TargetUserName >= 2\n":               1,
		"  timeframe: 1m\n  condition: s | count() by TargetUserName, IpAddress >= 3\n":    0,
		"  timeframe: last 1m\n  condition: s | count(TargetUserName) by IpAddress >= 3\n": 1,
		"  timeframe: 1m\n  condition: s | count(TargetUserName) by IpAddress > 3\n":       0,
		"  timeframe: 2s\n  condition: s | count() > 3\n":                                  0,
		"  timeframe: 1m\n  condition: s | sum(Bytes) > 30\n":                              1,
		"  timeframe: 1m\n  condition: s | avg(Bytes) == 10\n":                             1,
		"  timeframe: 1m\n  condition: s and not other | count() >= 4\n":                   1,
		"  timeframe: 1m\n  condition: [s | count() > 3]\n":                                1,
	} {
		require.Len(t, firing(t, refused+condition, many...), want, condition)
	}
	near := "  timeframe: 10s\n  condition: s | near other and third\n"
	require.Len(t, firing(t, refused+near, "4625 a", "4624 a", "4672 a"), 1)
	require.Len(t, firing(t, refused+near, "4624 a", "4672 a", "4625 a"), 1, "near has no order")
	require.Empty(t, firing(t, refused+near, "4625 a", "4624 a"))
}

func TestUsableLeavesOutWhatCannotBeCompiled(t *testing.T) {
	rules, err := Parse("r.yml", []byte(`title: A
id: a
logsource: {product: windows}
detection: {s: {EventID: 1}, condition: s}
---
title: B
id: a
logsource: {product: windows}
detection: {s: {EventID: 2}, condition: s}
---
title: C
id: c
correlation: {type: event_count, rules: [missing], timespan: 5m, condition: {gte: 2}}
---
title: D
id: d
correlation: {type: event_count, rules: [c], timespan: 5m, condition: {gte: 2}}
`))
	require.NoError(t, err)
	usable, faults := Usable(rules)
	require.Len(t, usable, 1)
	require.Equal(t, "A", usable[0].Title)
	text := faults.Error()
	require.Contains(t, text, `r.yml:6:1: the id or name "a" is used by r.yml:1 too`)
	require.Contains(t, text, `no rule has the id or name "missing"`)
	require.Contains(t, text, `no rule has the id or name "c"`, "what builds on a rule that is left out goes too")
	again, none := Usable(usable)
	require.Equal(t, usable, again)
	require.Empty(t, none)
}

func TestDoubtsAndStrayCorrelation(t *testing.T) {
	rules, err := Parse("r.yml", []byte("title: t\nid: a\ncorrelation: see the other rule\nlevel: Low\nlogsource: {product: windows, category: process_creation}\ndetection:\n  s: {commandline|contains: x, Image: y, unheardof: z}\n  condition: s\n"))
	require.NoError(t, err)
	require.Nil(t, rules[0].Correlation)
	require.Equal(t, "low", rules[0].Level)
	doubts := rules[0].Doubts()
	require.Len(t, doubts, 1)
	require.Equal(t, `r.yml:7:7: the field "commandline" is unknown and differs from CommandLine by case only; field names are case-sensitive`, doubts.Error())
	rules, err = Parse("r.yml", []byte("title: t\nid: a\nlogsource: {product: okta}\ndetection:\n  s: {image: x}\n  condition: s\n"))
	require.NoError(t, err)
	require.Empty(t, rules[0].Doubts(), "other sources have names of their own")
}

func TestVerdictTellsEveryTest(t *testing.T) {
	rules, err := Parse("r.yml", []byte("title: t\nid: a\nlogsource: {product: windows, category: process_creation}\ndetection:\n  s: {Image|endswith: '\\cmd.exe', User: [a, b]}\n  f: {CommandLine|contains: '/c'}\n  k: [whoami]\n  condition: s and not f and k\n"))
	require.NoError(t, err)
	engine, err := Compile(rules)
	require.NoError(t, err)
	e := start("Image", `C:\cmd.exe`, "User", "b", "CommandLine", "cmd /c whoami")
	v := engine.NewMatcher().Verdict(rules[0], e)
	require.True(t, v.TakesIn)
	require.False(t, v.Fires)
	require.Equal(t, []string{"s", "f", "k"}, []string{v.Parts[0].Name, v.Parts[1].Name, v.Parts[2].Name})
	require.True(t, v.Parts[0].Holds && v.Parts[1].Holds && v.Parts[2].Holds)
	require.Equal(t, []Test{
		{Field: "Image", Present: true, Value: `C:\cmd.exe`, Asks: `endswith '\cmd.exe'`, Holds: true},
		{Field: "User", Present: true, Value: "b", Asks: "is 'a'"},
		{Field: "User", Present: true, Value: "b", Asks: "is 'b'", Holds: true},
	}, v.Parts[0].Tests)
	require.Equal(t, "CommandLine", v.Parts[2].Tests[0].Field)
	e.Source = event.SSHD.Source
	require.False(t, engine.NewMatcher().Verdict(rules[0], e).TakesIn)
}
