package trial

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/sim/record"
)

// ready loads a scenario with the default variant and settings.
func ready(t testing.TB, scenario string, set ...scenarios.Setting) (*scenarios.Scenario, *defence.Variant) {
	t.Helper()
	v, err := defence.Load("", set)
	require.NoError(t, err)
	s, err := scenarios.Load(scenario, v.Scenario)
	require.NoError(t, err)
	return s, v
}

func trialOf(t testing.TB, s *scenarios.Scenario, v *defence.Variant, seed uint64, index int) *record.Trial {
	t.Helper()
	r, err := Run(s, v, index, Options{Seed: seed}, nil)
	require.NoError(t, err)
	require.Equal(t, "ok", r.Status)
	return r
}

// skipWithRaceDetector leaves a test of many trials, each on one goroutine, to the run
// without the race detector that make test makes too.
func skipWithRaceDetector(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("many trials, each on one goroutine: run without the race detector, as make test does")
	}
}

func TestEqualSeedsGiveEqualTrials(t *testing.T) {
	for _, name := range scenarios.EmbeddedNames() {
		quick := scenarios.Setting{Path: "background.rate", Value: "0.05"}
		s, v := ready(t, name, quick)
		again, w := ready(t, name, quick)
		one, two := trialOf(t, s, v, 7, 3), trialOf(t, again, w, 7, 3)
		require.Equal(t, one.Digest, two.Digest, "replay with: hemostat run %s --seed 7 --trials 4", name)
		require.NotEqual(t, one.Digest, trialOf(t, s, v, 8, 3).Digest)
		require.NotEqual(t, one.Digest, trialOf(t, s, v, 7, 4).Digest)
	}
}

func TestTheDigestCoversTheRowsAndNotTheCost(t *testing.T) {
	s, v := ready(t, "ssh-brute-force", scenarios.Setting{Path: "background.rate", Value: "0.1"})
	r := trialOf(t, s, v, 1, 0)
	digest := r.Digest
	r.Cost = []record.Cost{{WallNS: 5}}
	require.NoError(t, r.Seal())
	require.Equal(t, digest, r.Digest)
	r.Steps[0].Reason += "!"
	require.NoError(t, r.Seal())
	require.NotEqual(t, digest, r.Digest)
}

// Two variants of one trial face the same day until the defence first does
// something: the same attacker takes the same steps and the same alerts rise.
func TestVariantsShareTheDayUntilTheyAct(t *testing.T) {
	skipWithRaceDetector(t)
	s, v := ready(t, "lateral-movement")
	_, idle := ready(t, "lateral-movement", scenarios.Setting{Path: "playbooks", Value: "none"}, scenarios.Setting{Path: "cascade.off", Value: "true"}, scenarios.Setting{Path: "detectors", Value: "[sigma]"})
	shared := 0
	for index := range 4 {
		active, passive := trialOf(t, s, v, 1, index), trialOf(t, s, idle, 1, index)
		require.Zero(t, passive.ActionsTotal)
		first := active.Horizon
		for _, a := range active.Actions {
			if a.Started != nil && *a.Started < first {
				first = *a.Started
			}
		}
		for i, step := range active.Steps {
			if step.Ended >= first {
				break
			}
			other := passive.Steps[i]
			step.Detected, other.Detected = nil, nil
			require.Equal(t, other, step)
			shared++
		}
	}
	require.Positive(t, shared)
}

func TestWithoutPlaybooksNothingIsContained(t *testing.T) {
	skipWithRaceDetector(t)
	s, v := ready(t, "ssh-brute-force")
	_, idle := ready(t, "ssh-brute-force", scenarios.Setting{Path: "playbooks", Value: "none"}, scenarios.Setting{Path: "cascade.off", Value: "true"}, scenarios.Setting{Path: "detectors", Value: "[sigma]"})
	contained, reached, idleReached := 0, 0, 0
	for index := range 8 {
		active, passive := trialOf(t, s, v, 1, index), trialOf(t, s, idle, 1, index)
		require.False(t, passive.Contained)
		require.Zero(t, passive.CollateralSeconds)
		if active.Contained {
			contained++
		}
		if active.ObjectiveReached {
			reached++
		}
		if passive.ObjectiveReached {
			idleReached++
		}
	}
	require.Positive(t, contained)
	require.Greater(t, idleReached, reached)
}

func TestIsolatingEverythingScoresBelowTheShippedPlaybooks(t *testing.T) {
	skipWithRaceDetector(t)
	dir := t.TempDir()
	write(t, dir, "books/all.yaml", `schema: hemostat.playbook/v1
id: isolate_all
trigger: {min_severity: low}
inputs: {zone: {type: zone, from: alert.zone, required: true}}
limits: {cooldown: 5m, key: zone}
steps:
  - {id: zone, action: zone_isolation, with: {zone: "${zone}"}, ttl: 8h, hotl: {required: true, timeout: 1m, on_timeout: deny}}
`)
	everything, err := defence.Load(write(t, dir, "all.yaml", "name: isolate-all\nplaybooks: books\nresponse: {approval: none}\n"), nil)
	require.NoError(t, err)
	for _, name := range []string{"ransomware", "ssh-brute-force"} {
		s, v := ready(t, name)
		shipped, all, lost := 0.0, 0.0, 0.0
		for index := range 6 {
			a, b := trialOf(t, s, v, 1, index), trialOf(t, s, everything, 1, index)
			shipped += a.Score
			all += b.Score
			lost += b.CollateralSeconds - a.CollateralSeconds
		}
		require.Greater(t, shipped, all, name)
		require.Positive(t, lost, name)
	}
}

func TestDryRunDoesNothing(t *testing.T) {
	s, v := ready(t, "ssh-brute-force", scenarios.Setting{Path: "response.dry_run", Value: "true"})
	r := trialOf(t, s, v, 1, 0)
	require.NotEmpty(t, r.Actions)
	require.Zero(t, r.ActionsTotal)
	require.Zero(t, r.CollateralSeconds)
	require.False(t, r.Contained)
}

func TestADayWithoutAttackHasNoTrueAlert(t *testing.T) {
	s, err := scenarios.Parse("quiet.yaml", []byte("name: quiet\nworld: {}\nhorizon: 2h\n"))
	require.NoError(t, err)
	_, v := ready(t, "ransomware")
	r := trialOf(t, s, v, 1, 0)
	require.Equal(t, record.OutcomeNone, r.Outcome)
	require.Equal(t, r.AlertsTotal, r.AlertsFalse)
	require.Zero(t, r.EventsMalicious)
}

func TestKeptEventsAreThoseThatWereCounted(t *testing.T) {
	s, v := ready(t, "ssh-brute-force", scenarios.Setting{Path: "background.rate", Value: "0.05"})
	r, err := Run(s, v, 0, Options{Seed: 1, KeepEvents: true}, nil)
	require.NoError(t, err)
	require.Len(t, r.Events, r.EventsTotal)
	malicious := 0
	for _, e := range r.Events {
		if e.Attack != 0 {
			malicious++
		}
	}
	require.Equal(t, r.EventsMalicious, malicious)
}

func TestAnInterruptedTrialIsNoResult(t *testing.T) {
	s, v := ready(t, "ransomware")
	_, err := Run(s, v, 0, Options{Seed: 1}, func() bool { return true })
	require.Error(t, err)
}

func TestRowsSurviveJSON(t *testing.T) {
	s, v := ready(t, "data-exfiltration", scenarios.Setting{Path: "background.rate", Value: "0.1"})
	r := trialOf(t, s, v, 1, 1)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	var back record.Trial
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, r.Steps, back.Steps)
}

// BenchmarkTrial is a whole trial on one core: generation and the full pipeline.
func BenchmarkTrial(b *testing.B) {
	s, v := ready(b, "lateral-movement")
	events := 0
	for i := range b.N {
		r := trialOf(b, s, v, 1, i)
		events += r.EventsTotal
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/trial")
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// A trial that is stepped, however often, comes to the same as one that is not.
func TestATrialMayBeStepped(t *testing.T) {
	s, v := ready(t, "ssh-brute-force", scenarios.Setting{Path: "background.rate", Value: "0.1"})
	whole := trialOf(t, s, v, 3, 1)
	stepped, err := New(s, v, 1, Options{Seed: 3})
	require.NoError(t, err)
	_, err = stepped.Rows()
	require.ErrorContains(t, err, "has come to 0s only")
	seen := 0
	for stepped.Now() < stepped.Horizon() {
		require.NoError(t, stepped.RunUntil(stepped.Now()+7*time.Minute))
		require.GreaterOrEqual(t, len(stepped.Alerts()), seen)
		seen = len(stepped.Alerts())
	}
	require.Len(t, whole.Alerts, seen)
	rows, err := stepped.Rows()
	require.NoError(t, err)
	require.Equal(t, whole.Digest, rows.Digest)
}
