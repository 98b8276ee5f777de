package world

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/event"
	"hemostat/sim/truth"
)

// estate builds the embedded world with one change to the endpoint sensor.
func estate(t *testing.T, change func(*SensorSpec)) *World {
	t.Helper()
	data, _ := Embedded("midsize")
	spec, err := ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	for i := range spec.Sensors {
		spec.Sensors[i].Loss = 0
		all := 1.0
		spec.Sensors[i].Coverage = &all
		if spec.Sensors[i].Name == "edr" {
			change(&spec.Sensors[i])
		}
	}
	return Build(spec, sim.NewStreams(1, 1), truth.NewLedger(), time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC))
}

func TestClocksOfHostsMayBeOff(t *testing.T) {
	w := estate(t, func(s *SensorSpec) { s.Skew = sim.LogNormal(time.Minute, 0.3) })
	actor := w.NewActor("a")
	actor.Label.Attack = 1
	offsets := map[time.Duration]bool{}
	for _, h := range w.WithRole("workstation")[:20] {
		var got *event.Event
		w.Deliver = func(e *event.Event) { got = e }
		w.StartProcess(time.Hour, actor, Start{Host: h, Binary: Cmd})
		offset := got.Time - time.Hour
		offsets[offset] = true
		require.NotZero(t, offset)
		w.StartProcess(2*time.Hour, actor, Start{Host: h, Binary: Cmd})
		require.Equal(t, offset, got.Time-2*time.Hour, "the offset of a host stays")
	}
	require.Greater(t, len(offsets), 10)
	first, ok := w.ledger.FirstEvent(1)
	require.True(t, ok)
	require.Equal(t, time.Hour, first, "the truth knows the real time")
}

func TestNothingIsCollectedWhileLogsRotate(t *testing.T) {
	w := estate(t, func(s *SensorSpec) { s.Rotation = Rotation{Every: time.Hour, Gap: 15 * time.Minute} })
	h, actor, seen := w.WithRole("workstation")[0], w.NewActor("a"), 0
	w.Deliver = func(*event.Event) { seen++ }
	for minute := range 600 {
		w.StartProcess(time.Duration(minute)*time.Minute, actor, Start{Host: h, Binary: Cmd})
	}
	require.InDelta(t, 450, seen, 5)
	require.InDelta(t, 150, float64(w.Dropped()), 5)
}

func TestASilencedAgentIsSilentAndTheNetworkIsNot(t *testing.T) {
	w := estate(t, func(*SensorSpec) {})
	h, actor, sources := w.WithRole("workstation")[0], w.NewActor("a"), map[string]int{}
	w.Deliver = func(e *event.Event) { sources[e.Sensor]++ }
	h.Agent = false
	w.StartProcess(time.Hour, actor, Start{Host: h, Binary: Cmd})
	w.Flow(time.Hour, actor, Flow{From: At(h), To: Outside("203.0.113.4"), Port: 443})
	require.Equal(t, map[string]int{"zeek-core": 1}, sources)
}
