package trial

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/sim/batch"
	"hemostat/sim/record"
)

// life is a plan: what is simulated, and in which way besides at once.
type life struct {
	scenario string
	set      []scenarios.Setting
	seed     uint64
	index    int
	ways     []way
}

// way is one way to come to the end of a trial.
type way struct {
	steps    []time.Duration // RunUntil is called after each of these, again and again
	killAt   int             // interruptions before the one that is let through; then it is begun anew
	together int             // other trials that run at the same time in the process
	keep     bool            // events are kept
	restore  bool            // after each step the pipeline goes on from a snapshot
}

// command is what repeats the trial on the command line.
func (l life) command() string {
	text := fmt.Sprintf("hemostat run %s --seed %d --trials %d", l.scenario, l.seed, l.index+1)
	for _, s := range l.set {
		text += fmt.Sprintf(" --set '%s=%s'", s.Path, s.Value)
	}
	return text
}

// settings are changes of the defence and the day that trials are drawn from.
var settings = []scenarios.Setting{
	{Path: "response.approval", Value: "none"}, {Path: "response.approval", Value: "low"}, {Path: "response.dry_run", Value: "true"},
	{Path: "hotl.tier1", Value: "0"}, {Path: "hotl.tier1", Value: "8"}, {Path: "detectors", Value: "[sigma]"}, {Path: "detectors", Value: "[reflex]"},
	{Path: "guard", Value: "{delay: 2h, influence: 1, drift: 0.1, vary: 0.2, canaries: 1h, agreement: 0.5, feeds: 3, alert_rate: 2}"},
	{Path: "attackers[0].evasion", Value: "[{method: mimicry}, {method: poisoning, for: 1h}, {method: chaff, for: 1h}, {method: extraction, queries: 5}]"},
	{Path: "attackers[0].evasion", Value: "[{method: rhythm_search, access: scores}, {method: link_breaking}, {method: injection}, {method: false_indicators}]"},
	{Path: "restoration.quiet", Value: "5m"}, {Path: "cascade.isolate", Value: "3"}, {Path: "attackers[0].skill", Value: "0.1"}, {Path: "attackers[0].skill", Value: "1"},
}

func drawLife(t *rapid.T) life {
	l := life{
		scenario: rapid.SampledFrom([]string{"ssh-brute-force", "ransomware-fast", "two-attackers", "lateral-movement-loud", "web-shell"}).Draw(t, "scenario"),
		set:      []scenarios.Setting{{Path: "background.rate", Value: "0.01"}},
		seed:     rapid.Uint64Range(1, 1<<40).Draw(t, "seed"),
		index:    rapid.IntRange(0, 50).Draw(t, "index"),
	}
	used := map[string]bool{}
	for _, s := range rapid.SliceOfN(rapid.SampledFrom(settings), 0, 3).Draw(t, "settings") {
		if !used[s.Path] {
			used[s.Path] = true
			l.set = append(l.set, s)
		}
	}
	l.ways = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) way {
		return way{
			steps: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
				return time.Duration(rapid.Int64Range(1, int64(3*time.Hour)).Draw(t, "step"))
			}), 0, 4).Draw(t, "steps"),
			killAt:   rapid.IntRange(0, 3).Draw(t, "kill"),
			together: rapid.IntRange(0, 2).Draw(t, "together"),
			keep:     rapid.Bool().Draw(t, "keep"),
			restore:  rapid.Bool().Draw(t, "restore"),
		}
	}), 1, 3).Draw(t, "ways")
	return l
}

// TestALifeOfATrial holds that a trial comes to the same end by every way: at once or in
// steps of any length, with a pipeline restored from a snapshot, after having been killed and begun anew, beside others, with or
// without its events. A failure prints the seed that repeats it (-rapid.seed), a plan as
// small as was found, and the command. -rapid.checks=1000 looks for longer.
func TestALifeOfATrial(t *testing.T) {
	most := math.MaxInt // rapid's own number, 100 unless told otherwise
	if raceEnabled || testing.Short() {
		most = 10
	}
	done := 0
	rapid.Check(t, func(rt *rapid.T) {
		if done >= most {
			return
		}
		done++
		l := drawLife(rt)
		v, err := defence.Load("", l.set)
		require.NoError(rt, err)
		s, err := scenarios.Load(l.scenario, v.Scenario)
		require.NoError(rt, err)
		whole, err := Run(s, v, l.index, Options{Seed: l.seed}, nil)
		require.NoError(rt, err)
		require.Equal(rt, "ok", whole.Status, l.command())
		consistent(rt, whole)
		for _, w := range l.ways {
			got := l.live(rt, s, v, w)
			require.Equal(rt, whole.Digest, got.Digest, "%+v: %s", w, l.command())
			require.Equal(rt, w.keep, len(got.Events) > 0, l.command())
		}
	})
}

// live runs a trial in a way of its own.
func (l life) live(t *rapid.T, s *scenarios.Scenario, v *defence.Variant, w way) *record.Trial {
	var others sync.WaitGroup
	for i := range w.together {
		others.Go(func() { _, _ = Run(s, v, l.index+1+i, Options{Seed: l.seed}, nil) })
	}
	defer others.Wait()
	o := Options{Seed: l.seed, KeepEvents: w.keep}
	for kill := range w.killAt {
		asked := 0
		_, err := Run(s, v, l.index, o, func() bool { asked++; return asked > kill })
		if err == nil {
			break // it was over before
		}
		require.ErrorIs(t, err, batch.ErrInterrupted)
	}
	trial, err := New(s, v, l.index, o)
	require.NoError(t, err)
	for i := 0; len(w.steps) > 0 && trial.Now() < trial.Horizon() && i < 200; i++ {
		require.NoError(t, trial.RunUntil(trial.Now()+w.steps[i%len(w.steps)]))
		if w.restore && i < 20 {
			require.NoError(t, trial.restore())
		}
	}
	require.NoError(t, trial.RunUntil(trial.Horizon()))
	rows, err := trial.Rows()
	require.NoError(t, err)
	return rows
}

// consistent holds what is true of every trial's rows.
func consistent(t *rapid.T, r *record.Trial) {
	require.Len(t, r.Alerts, r.AlertsTotal)
	open := map[int64]bool{}
	for i := range r.Actions {
		a := &r.Actions[i]
		require.False(t, open[a.Action], "an action is recorded once")
		open[a.Action] = true
		if a.Started != nil && a.Ended != nil {
			require.LessOrEqual(t, *a.Started, *a.Ended)
		}
	}
	for i := range r.Approvals {
		a := &r.Approvals[i]
		require.NotEmpty(t, a.Outcome)
		if a.Answered != nil {
			require.LessOrEqual(t, a.Asked, *a.Answered)
		}
	}
	for i := range r.Stages {
		if s := &r.Stages[i]; s.Ended != nil {
			require.LessOrEqual(t, s.Started, *s.Ended, s.Stage)
		}
	}
	if r.Contained {
		require.False(t, r.ObjectiveReached)
	}
	require.True(t, r.Score >= 0 && r.Score <= 100, "score %v", r.Score)
}
