package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/record"
)

func ready(t testing.TB, scenario string, set ...Setting) (*Scenario, *Variant) {
	t.Helper()
	v, err := LoadVariant("", set)
	require.NoError(t, err)
	s, err := Load(scenario, v.Scenario)
	require.NoError(t, err)
	return s, v
}

func TestProbe(t *testing.T) {
	for _, name := range EmbeddedNames() {
		s, v := ready(t, name)
		count := map[string]int{}
		for i := range 25 {
			r, err := RunTrial(s, v, i, TrialOptions{Seed: 1}, nil)
			require.NoError(t, err)
			count[r.Outcome]++
			for _, al := range r.Alerts {
				if al.Attack == 0 {
					count["false "+al.Title+" "+al.Severity]++
				} else {
					count["true "+al.Title]++
				}
			}
			for _, a := range r.Actions {
				if a.OnBenign {
					count["benign "+a.Playbook+" "+a.Kind]++
				}
			}
			var ttd, ttc record.Time = r.TimeToDetect, r.TimeToContain
			d, c := -1.0, -1.0
			if ttd != nil {
				d = float64(*ttd) / 6e10
			}
			if ttc != nil {
				c = float64(*ttc) / 6e10
			}
			a := r.Attacks[0]
			fmt.Printf("%s %d %s det=%.1f cont=%.1f ev=%d/%d al=%d/%d act=%d/%d appr=%d coll=%.0f coh=%.2f score=%.1f steps=%d end=%q\n", name, i, r.Outcome, d, c, r.EventsMalicious, r.EventsTotal, r.AlertsFalse, r.AlertsTotal, r.ActionsOnBenign, r.ActionsTotal, r.ApprovalsAsked, r.CollateralSeconds, r.Coherence, r.Score, len(r.Steps), a.EndReason)
		}
		for _, k := range slices.Sorted(maps.Keys(count)) {
			fmt.Println("  ", name, count[k], k)
		}
	}
}
