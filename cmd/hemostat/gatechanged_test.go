package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
)

// TestOnlyWhatChangedGivesTheWholeVerdict holds gate --changed against the whole gate.
func TestOnlyWhatChangedGivesTheWholeVerdict(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yaml")
	require.NoError(t, os.WriteFile(policy, []byte("name: small\ntrials: {min: 24, max: 48, batch: 24}\n"+
		"scenarios: [ssh-brute-force, web-shell, lateral-movement]\nset: {background.rate: '0.02'}\n"+
		"checks:\n  - {metric: score, margin: 5}\n  - {metric: technique_detected, each_technique: true, margin: 10 %, veto: true}\n"), 0o600))
	for name, variant := range map[string]string{
		"a rule less":       "name: less\nwithout_rules: [Kerberoasting]\n",
		"a playbook less":   "name: fewer\nplaybooks: none\n",
		"more than that":    "name: more\nresponse: {approval: none}\n",
		"nothing but names": "name: renamed\n",
	} {
		file := filepath.Join(dir, "candidate.yaml")
		require.NoError(t, os.WriteFile(file, []byte(variant), 0o600))
		var results [2]map[string]any
		for i, more := range [][]string{{}, {"--changed"}} {
			var out, errOut bytes.Buffer
			code := run(t.Context(), append([]string{"gate", "--candidate", file, "--policy", policy, "--seed", "4", "--json"}, more...), &out, &errOut)
			require.LessOrEqual(t, code, exitUndecided, errOut.String())
			require.NoError(t, json.Unmarshal(out.Bytes(), &results[i]), "%s: %s", name, errOut.String())
		}
		notes := fmt.Sprint(results[1]["notes"])
		if name == "nothing but names" {
			require.Equal(t, "pass", results[1]["verdict"])
			require.Zero(t, results[1]["trials_used"], "the sides are one defence")
			continue
		}
		for _, r := range results {
			delete(r, "notes")
		}
		require.Equal(t, results[0], results[1], name)
		switch name {
		case "more than that":
			require.Contains(t, notes, "--changed leaves nothing out: more than rules and playbooks differ")
		default:
			require.NotZero(t, results[0]["trials_used"])
			require.Contains(t, notes, "trials of the baseline were not run", name)
		}
	}
	var out, errOut bytes.Buffer
	file := filepath.Join(dir, "floor.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: floor\ntrials: {min: 4, max: 8, batch: 4}\nscenarios: [quiet-day]\n"+
		"set: {background.rate: '0.02'}\nchecks:\n  - {metric: score, floor: 50}\n"), 0o600))
	require.LessOrEqual(t, run(t.Context(), []string{"gate", "--candidate", "default", "--changed", "--policy", file, "--json"}, &out, &errOut), exitUndecided)
	require.NotContains(t, out.String(), `"trials_used": 0`, "about a floor only trials tell")
	require.Equal(t, exitUsage, run(t.Context(), []string{"gate", "--candidate", "default", "--changed", "--baseline", "none", "--baseline-db", "none.db"}, &out, &errOut))
}

// TestAnUntouchedTrialIsTheSame holds the ground of gate --changed: where nothing that differs is
// touched, both variants come to the same rows.
func TestAnUntouchedTrialIsTheSame(t *testing.T) {
	set := []scenarios.Setting{{Path: "background.rate", Value: "0.05"}}
	whole, err := defence.Load("", set)
	require.NoError(t, err)
	touched := map[bool]int{}
	for _, left := range []string{"Kerberoasting", "Web Server Starts A Shell On Linux", "Sweep Over Many Hosts", "SSH Brute Force From One Source"} {
		file := filepath.Join(t.TempDir(), "v.yaml")
		require.NoError(t, os.WriteFile(file, []byte("name: v\nwithout_rules: ["+left+"]\n"), 0o600))
		v, err := defence.Load(file, set)
		require.NoError(t, err)
		change, why, err := defence.ChangeBetween(whole, v)
		require.NoError(t, err)
		require.Empty(t, why)
		for _, name := range []string{"web-shell", "ssh-brute-force", "lateral-movement", "quiet-day"} {
			s, err := scenarios.Load(name, whole.Scenario)
			require.NoError(t, err)
			w := change.NewWatch()
			a, err := trial.Run(s, v, 3, trial.Options{Seed: 4, Watch: w.Event}, nil)
			require.NoError(t, err)
			touched[w.Touched()]++
			if w.Touched() {
				continue
			}
			b, err := trial.Run(s, whole, 3, trial.Options{Seed: 4}, nil)
			require.NoError(t, err)
			a.Variant, a.TrialID = b.Variant, b.TrialID
			require.NoError(t, a.Seal())
			require.Equal(t, b.Digest, a.Digest, "%s without %s", name, left)
		}
		require.NoError(t, v.Close())
	}
	require.Positive(t, touched[true])
	require.Positive(t, touched[false])
	require.NoError(t, whole.Close())
}
