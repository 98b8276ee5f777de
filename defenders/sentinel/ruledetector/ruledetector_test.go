package ruledetector

import (
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

const rules = `title: Whoami
id: 11111111-1111-1111-1111-111111111111
logsource: {category: process_creation, product: windows}
detection: {selection: {CommandLine|contains: whoami}, condition: selection}
level: high
tags: [attack.t1033]
---
title: Sure
id: 22222222-2222-2222-2222-222222222222
logsource: {category: process_creation, product: windows}
detection: {selection: {CommandLine|contains: whoami}, condition: selection}
level: medium
tags: [hemostat.confidence.85]
`

func engine(t *testing.T) *sigma.Engine {
	parsed, err := sigma.Parse("rules.yml", []byte(rules))
	require.NoError(t, err)
	e, err := sigma.Compile(parsed)
	require.NoError(t, err)
	return e
}

func whoami() *event.Event {
	e := &event.Event{ID: 9, Source: event.LogSource{Product: "windows", Category: "process_creation"}}
	e.SetName("CommandLine", "cmd /c whoami")
	return e
}

func TestMatchesBecomeFindings(t *testing.T) {
	d, err := Kind.New(detect.Env{Rules: engine(t)}, nil)
	require.NoError(t, err)
	var found []detect.Finding
	see := func(f detect.Finding) { found = append(found, f) }
	require.NoError(t, d.Inspect(0, whoami(), see))
	require.Len(t, found, 2)
	require.Equal(t, "Whoami", found[0].Title)
	require.Equal(t, severity.High, found[0].Severity)
	require.Equal(t, 0.8, found[0].Confidence, "by the level")
	require.Equal(t, []string{"T1033"}, found[0].Techniques)
	require.Equal(t, []uint64{9}, found[0].Evidence)
	require.Empty(t, found[0].Reasons)
	require.Equal(t, 0.85, found[1].Confidence, "as the rule says itself")

	d.(detect.Explaining).Explain()
	require.NoError(t, d.Inspect(0, whoami(), see))
	require.Equal(t, "CommandLine", found[2].Reasons[0].Field)
}

func TestRulesThatAreNotInUseFindNothing(t *testing.T) {
	d, err := Kind.New(detect.Env{Rules: engine(t), InUse: func(rule string) bool { return rule[0] == '1' }}, nil)
	require.NoError(t, err)
	n := 0
	require.NoError(t, d.Inspect(0, whoami(), func(detect.Finding) { n++ }))
	require.Equal(t, 1, n)
	_, err = Kind.New(detect.Env{}, nil)
	require.ErrorContains(t, err, "needs rules")
}

func TestConfidenceFollowsTheLevel(t *testing.T) {
	for level, want := range map[string]float64{"critical": 0.95, "high": 0.8, "medium": 0.55, "low": 0.3,
		"informational": 0.1, "unknown": 0.1} {
		require.Equal(t, want, confidence(&sigma.Rule{Level: level}), level)
	}
	require.Equal(t, 0.3, confidence(&sigma.Rule{Level: "low", Tags: []string{"hemostat.confidence.999"}}),
		"what is no share does not count")
}
