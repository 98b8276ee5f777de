package world_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/event"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

// TestWhatAttackersDoLeavesSoundEvents holds for the loudest tool of every technique that each event
// has its host, sensor, source and fields, comes from a sensor that sees the host's channel no
// earlier than it happened, and stands in the ledger as the attacker's.
func TestWhatAttackersDoLeavesSoundEvents(t *testing.T) {
	data, _ := world.Embedded("midsize")
	spec, err := world.ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	spec, err = spec.Scaled(90)
	require.NoError(t, err)
	for i := range spec.Sensors {
		all := 1.0
		spec.Sensors[i].Coverage, spec.Sensors[i].Loss = &all, 0
	}
	spec.Sensors = append(spec.Sensors, world.SensorSpec{Name: "whole audit", Channels: event.AuditNames()})
	total := 0
	for _, x := range technique.All() {
		for _, platform := range x.Stages() {
			ledger := truth.NewLedger()
			w := world.Build(spec, sim.NewStreams(3, 1), ledger, time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC))
			actor := w.NewActor("attacker")
			actor.Label.Attack = 1
			state := technique.NewState(w, actor, &world.AttackerAssets{})
			state.Skill, state.Addresses = 1, []string{"203.0.113.1", "203.0.113.2"}
			state.Domains = []technique.Domain{{Name: "cdn-sync7.example", Address: "203.0.113.9"}}
			technique.Stage(state, x, platform)
			seen, last := 0, uint64(0)
			w.Deliver = func(e *event.Event) {
				seen++
				require.Greater(t, e.ID, last, "%s: ids rise", x.ID)
				last = e.ID
				require.NotEmpty(t, e.Sensor, "%s: %s", x.ID, e.Source)
				require.NotEmpty(t, e.Host, "%s: %s", x.ID, e.Source)
				require.NotEqual(t, event.LogSource{}, e.Source, x.ID)
				require.Positive(t, e.Len(), "%s: %s", x.ID, e.Source)
				require.GreaterOrEqual(t, e.Observed, time.Duration(0), "%s: %s", x.ID, e.Source)
				require.Equal(t, int32(1), ledger.Label(e.ID).Attack, "%s: %s", x.ID, e.Source)
			}
			tool := ""
			if len(x.Tools) > 0 {
				tool = x.Tools[0]
			}
			_, err := technique.Rehearse(state, x, tool)
			require.NoError(t, err, x.ID)
			require.Positive(t, seen, "%s with %s on %q leaves no trace", x.ID, tool, platform)
			total += seen
		}
	}
	require.Greater(t, total, 1000)
}
