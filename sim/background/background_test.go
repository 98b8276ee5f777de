package background

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/action"
	"hemostat/sim/event"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

type day struct {
	events map[uint64]string // id to content
	w      *world.World
	b      *Background
	kinds  map[string]int
}

func simulate(t testing.TB, c Config, hours int, start time.Time, prepare func(*world.World)) day {
	t.Helper()
	data, _ := world.Embedded("midsize")
	spec, err := world.ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	w := world.Build(spec, sim.NewStreams(5, 1), truth.NewLedger(), start)
	d := day{events: map[uint64]string{}, kinds: map[string]int{}, w: w}
	w.Deliver = func(e *event.Event) {
		d.events[e.ID] = string(e.AppendJSON(nil))
		d.kinds[e.Source.Service+e.Value(event.EventID)]++
	}
	var engine sim.Engine
	if prepare != nil {
		prepare(w)
	}
	d.b = Start(&engine, w, c)
	engine.Run(time.Duration(hours) * time.Hour)
	return d
}

var tuesday = time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)

func TestOneBlockedUserMovesNobodyElse(t *testing.T) {
	all := simulate(t, Config{Rate: 1}, 2, tuesday, nil)
	blocked := all.w.Host("WS007").Owner.Name
	without := simulate(t, Config{Rate: 1, Blocked: []string{blocked}}, 2, tuesday, nil)
	require.Greater(t, len(all.events), len(without.events))
	for id, text := range without.events {
		require.Equal(t, all.events[id], text)
	}
	gone := 0
	var actor uint64
	for id := range all.events {
		if _, still := without.events[id]; !still {
			if gone == 0 {
				actor = id >> 32
			}
			require.Equal(t, actor, id>>32, "only the blocked user's events are missing")
			gone++
		}
	}
	require.Positive(t, gone)
}

func TestOneIsolatedHostMovesNobodyElse(t *testing.T) {
	all := simulate(t, Config{Rate: 1}, 2, tuesday, nil)
	cut := simulate(t, Config{Rate: 1}, 2, tuesday, func(w *world.World) {
		require.True(t, w.Apply(0, act(t, 1, "isolate_host", map[string]string{"host": "WS007"})).OK)
	})
	require.Positive(t, cut.b.Collateral().UserSeconds)
	require.Positive(t, cut.b.Collateral().Failed)
	require.Zero(t, all.b.Collateral().Failed)
	own := map[uint64]bool{}
	for i := range cut.b.actors {
		if a := &cut.b.actors[i]; a.host != nil && a.host.Name == "WS007" {
			own[actorIndex(a)] = true
		}
	}
	for id, text := range all.events {
		if other := cut.events[id]; other != text {
			require.True(t, own[id>>32], "event of another actor changed:\n%s\n%s", text, other)
		}
	}
}

// actorIndex recovers an actor's number from the first event it would emit.
func actorIndex(a *actor) uint64 { return uint64(a.as.Index()) }

func TestDayAndNightDiffer(t *testing.T) {
	noon := simulate(t, Config{Rate: 1}, 2, time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC), nil)
	night := simulate(t, Config{Rate: 1}, 2, time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC), nil)
	require.Greater(t, noon.kinds["security4624"], 4*night.kinds["security4624"])
}

func TestHonestWorkLeavesTheTelemetryOfAttacks(t *testing.T) {
	d := simulate(t, Config{Rate: 1}, 10, time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC), nil)
	for _, kind := range []string{
		"security4624", "security4625", "security4634", "security4648", "security4672", "security4688", "security4697",
		"security4698", "security4724", "security4768", "security4769", "security4776", "security5140", "security5145", "system7045",
		"sysmon1", "sysmon3", "sysmon7", "sysmon8", "sysmon10", "sysmon11", "sysmon12", "sysmon13", "sysmon17", "sysmon18", "sysmon22", "sysmon23",
		"powershell4104", "sshd", "auditd", "conn", "dns", "http", "ssl", "files", "smb_files", "kerberos", "proxy", "webserver",
	} {
		require.Positive(t, d.kinds[kind], kind)
	}
}

func BenchmarkGeneration(b *testing.B) {
	var n int
	for range b.N {
		data, _ := world.Embedded("midsize")
		spec, _ := world.ParseSpec("midsize.yaml", data)
		w := world.Build(spec, sim.NewStreams(5, 1), truth.NewLedger(), tuesday)
		w.Deliver = func(*event.Event) { n++ }
		var engine sim.Engine
		Start(&engine, w, Config{Rate: 1})
		engine.Run(6 * time.Hour)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(n)/float64(b.N), "events/trial")
}

func act(t testing.TB, id uint64, kind action.Kind, params map[string]string) world.Action {
	t.Helper()
	r, err := action.Parse(kind, params)
	require.NoError(t, err)
	return world.Action{ID: id, Request: r}
}
