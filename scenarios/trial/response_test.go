package trial

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/sim/batch"
	"hemostat/sim/record"
)

// trialsOf runs the first trials of a scenario against a variant.
func trialsOf(t *testing.T, scenario, variant string, set []scenarios.Setting, seed uint64, n int) []*record.Trial {
	t.Helper()
	v, err := defence.Load(variant, set)
	require.NoError(t, err)
	s, err := scenarios.Load(scenario, v.Scenario)
	require.NoError(t, err)
	out := make([]*record.Trial, n)
	faults := make([]error, n)
	var wait sync.WaitGroup
	room := make(chan struct{}, runtime.NumCPU())
	for i := range out {
		wait.Add(1)
		go func() {
			defer wait.Done()
			room <- struct{}{}
			out[i], faults[i] = Run(s, v, i, Options{Seed: seed}, nil)
			<-room
		}()
	}
	wait.Wait()
	for _, err := range faults {
		require.NoError(t, err)
	}
	return out
}

func mean(trials []*record.Trial, of func(*record.Trial) float64) float64 {
	sum := 0.0
	for _, t := range trials {
		sum += of(t)
	}
	return sum / float64(len(trials))
}

func score(t *record.Trial) float64 { return t.Score }

// On every scenario with an attack somebody who knows the truth does at least as
// well as the shipped playbooks, and these do better than isolating everything; on
// days without attack they cost at most two points.
func TestReferencePoliciesKeepTheirOrder(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("624 trials: run without -short and without the race detector, as make test does")
	}
	const seed, n = 3, 8
	some := []scenarios.Setting{{Path: "background.rate", Value: "0.15"}} // a score is a share of the stake, whatever the crowd
	for _, name := range scenarios.EmbeddedNames() {
		s, err := scenarios.Load(name, nil)
		require.NoError(t, err)
		shipped := mean(trialsOf(t, name, "default", some, seed, n), score)
		if len(s.Attackers) == 0 {
			noop := mean(trialsOf(t, name, "noop", some, seed, n), score)
			require.InDelta(t, noop, shipped, 2, "%s: the shipped set against noop", name)
			continue
		}
		require.GreaterOrEqual(t, mean(trialsOf(t, name, "oracle", some, seed, n), score), shipped, "%s: oracle against the shipped set", name)
		require.Greater(t, shipped, mean(trialsOf(t, name, "isolate_all", some, seed, n), score), "%s: the shipped set against isolate_all", name)
	}
}

// waits are how long questions to people were open, from the table stages.
func waits(trials []*record.Trial) (mean time.Duration, n int) {
	for _, t := range trials {
		for _, s := range t.Stages {
			if strings.HasPrefix(s.Stage, "approval ") && s.Ended != nil {
				mean += time.Duration(*s.Ended - s.Started)
				n++
			}
		}
	}
	return mean / time.Duration(max(n, 1)), n
}

func TestNightsAndFloodsDelayApprovals(t *testing.T) {
	skipWithRaceDetector(t)
	patient := []scenarios.Setting{{Path: "hotl.decision", Value: "30s"}}
	day, n := waits(trialsOf(t, "lateral-movement-loud", "default", slices.Concat(patient, []scenarios.Setting{{Path: "background.start", Value: "Wed 13:00"}}), 5, 3))
	require.Positive(t, n)
	night, n := waits(trialsOf(t, "lateral-movement-loud", "default", slices.Concat(patient, []scenarios.Setting{{Path: "background.start", Value: "Wed 01:00"}}), 5, 3))
	require.Positive(t, n)
	require.Greater(t, night, day+time.Minute, "at night people take longer")

	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "noise"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "noise", "noise.yml"), []byte(`title: Group Policy Updated
id: 7b2f6c1e-0b7c-4b39-9d5c-6f3f0c5a1d11
logsource: {category: process_creation, product: windows}
detection:
  selection: {Image|endswith: '\gpupdate.exe'}
  condition: selection
level: medium
`), 0o644))
	file := filepath.Join(dir, "flood.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: flood\nrules: [embedded, noise]\n"), 0o644))
	quick := slices.Concat(patient, []scenarios.Setting{{Path: "hotl.triage", Value: "10m"}, {Path: "background.start", Value: "Wed 13:00"}})
	flood := trialsOf(t, "lateral-movement-loud", file, quick, 5, 3)
	flooded, n := waits(flood)
	require.Positive(t, n)
	calm, _ := waits(trialsOf(t, "lateral-movement-loud", "default", quick, 5, 3))
	require.Greater(t, mean(flood, func(t *record.Trial) float64 { return float64(t.AlertsFalse) }), 200.0)
	require.Greater(t, flooded, calm+time.Minute, "false alarms keep people from the true question")
}

// A denied, a timed-out, an escalated and a wrongly approved request each leave a
// row, a line of the audit and a count of their own.
func TestEachOutcomeOfARequestLeavesItsTraces(t *testing.T) {
	skipWithRaceDetector(t)
	seen := map[string]bool{}
	for index := range 8 {
		registry := &batch.MetricSum{}
		v, err := defence.Load("default", []scenarios.Setting{{Path: "hotl.decision", Value: "lognormal(median 4m, sigma 0.9)"}, {Path: "hotl.d_prime", Value: "0.8"}})
		require.NoError(t, err)
		s, err := scenarios.Load("ransomware", nil)
		require.NoError(t, err)
		trial, err := Run(s, v, index, Options{Seed: 2, Metrics: registry}, nil)
		require.NoError(t, err)
		counts := map[string]int{}
		for _, a := range trial.Approvals {
			counts[a.Outcome]++
			if a.Outcome == "approved" && !a.Just {
				counts["wrongly"]++
			}
		}
		for outcome, n := range counts {
			seen[outcome] = true
			switch outcome {
			case "pending":
				continue
			case "wrongly":
				require.Positive(t, counter(t, registry, "analysts_verdicts_total", `justified="false",verdict="approved"`))
				continue
			}
			lines := 0
			for _, a := range trial.Audit {
				if a.What == "approval_"+outcome && strings.Contains(a.Line, `"waited_ns"`) {
					lines++
				}
			}
			require.GreaterOrEqual(t, lines, n, "%s in the audit of trial %d", outcome, index)
			require.GreaterOrEqual(t, counter(t, registry, "response_hotl_outcome_total", fmt.Sprintf("outcome=%q", outcome)), float64(n), "%s among the metrics of trial %d", outcome, index)
		}
	}
	for _, want := range []string{"approved", "denied", "timed_out", "too_late", "escalated", "wrongly"} {
		require.True(t, seen[want], "no request was %s", want)
	}
}

// counter adds up the samples of a metric whose labels contain a text.
func counter(t *testing.T, r *batch.MetricSum, name, labels string) float64 {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			if strings.Contains(strings.Join(have, ","), labels) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// The stake follows from world and scenario alone, and exists without an attack.
func TestTheStakeDependsOnNoTrialAndNoVariant(t *testing.T) {
	skipWithRaceDetector(t)
	one := trialsOf(t, "ssh-brute-force-loud", "default", nil, 1, 2)
	other := trialsOf(t, "ssh-brute-force-loud", "isolate_all", nil, 1, 2)
	require.Equal(t, one[0].Stake, other[0].Stake)
	require.Positive(t, trialsOf(t, "patch-day", "noop", nil, 1, 1)[0].Stake)
	for _, day := range append(one, other...) {
		require.InDelta(t, 100*(1-(day.Harm+day.Disruption+day.Operations)/day.Stake), day.Score, 0.06)
		sum := 0.0
		for _, a := range day.Actions {
			sum += a.Realised
		}
		require.GreaterOrEqual(t, sum+1e-9, day.Disruption, "disruption is what the actions cost, or less")
	}
}
