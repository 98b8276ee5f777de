package cascade

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/sim/severity"
)

// TestTransitionsNeverLowerAReactionButByRefusalOrTime walks the whole table.
func TestTransitionsNeverLowerAReactionButByRefusalOrTime(t *testing.T) {
	for level := range transitions {
		for e, after := range transitions[level] {
			switch event(e) {
			case Refused:
				require.Equal(t, min(Level(level), Throttled), after)
			case Expire:
				require.Equal(t, Normal, after)
			default:
				require.Equal(t, max(Level(level), Level(e)+1), after, "evidence raises a reaction to what it calls for")
			}
		}
	}
}

// TestRecoveryGoesOneWay walks the whole table: each phase is left by its own event and
// by a recurrence alone, and nothing leaves the last.
func TestRecoveryGoesOneWay(t *testing.T) {
	next := map[Phase]map[RecoveryEvent]Phase{
		Watching:   {WentQuiet: Asking},
		Asking:     {ReleaseApproved: Rebuilding, ReleaseRefused: Watching, Recurred: Watching},
		Rebuilding: {HostsRebuilt: Releasing, Recurred: Watching},
		Releasing:  {AllStagesObserved: Restored, Recurred: Watching},
	}
	for phase := Watching; phase <= Restored; phase++ {
		for e := WentQuiet; e <= Recurred; e++ {
			want, moves := next[phase][e]
			r := Recovery{Phase: phase, Stage: 2}
			require.Equal(t, moves, r.Handle(e), "phase %d, event %d", phase, e)
			if moves {
				require.Equal(t, Recovery{Phase: want}, r, "a new phase begins at its first stage")
			} else {
				require.Equal(t, Recovery{Phase: phase, Stage: 2}, r)
			}
		}
		require.Equal(t, phase == Asking || phase == Rebuilding || phase == Restored, (&Recovery{Phase: phase}).Waits())
	}
}

func cascade(o Options) *Cascade {
	return New(o, inventory.New([]inventory.Host{
		{Name: "ws1", Zone: "clients", Criticality: 4}, {Name: "db1", Zone: "servers", Criticality: 5}, {Name: "web1", Zone: "edge", Criticality: 1},
	}, nil))
}

func sure(rule, zone string) *alert.Alert {
	return &alert.Alert{RuleID: rule, Severity: severity.High, Confidence: 0.99, Entities: alert.Entities{Host: zone + "-host", Zone: zone}}
}

func TestOneRuleAloneSetsADecoyOnly(t *testing.T) {
	c := cascade(Options{Budget: 1})
	d, ok := c.Alert(0, 1, sure("a", "clients"), Advice{})
	require.True(t, ok)
	require.Equal(t, Local, d.Level)
	require.Equal(t, "servers", d.Next, "the zone worth most is where the intruder probably goes next")
	for i := 1; i < 20; i++ {
		a := sure("a", "clients")
		a.Host = string(rune('a' + i))
		_, ok := c.Alert(time.Duration(i)*time.Second, 1, a, Advice{})
		require.False(t, ok, "the same rule on other hosts is not independent")
	}
	require.Equal(t, Local, c.Level("clients"))
}

func TestBudgetBoundsWhatIsCutOff(t *testing.T) {
	c := cascade(Options{Budget: 0.5, Isolate: 4})
	both := func(zone string, at time.Duration) Level {
		c.Alert(at, 1, sure("a", zone), Advice{})
		c.Alert(at, 1, sure("b", zone), Advice{})
		return c.Level(zone)
	}
	require.Equal(t, Isolated, both("clients", 0), "40 % of the worth")
	require.Equal(t, Throttled, both("servers", time.Minute), "90 % would be too much")
	require.Equal(t, Isolated, both("edge", 2*time.Minute), "50 % is just affordable")
	require.Equal(t, Isolated, both("servers", 3*time.Hour), "after the hold of the others")
}

func TestEvidenceDecaysByHalves(t *testing.T) {
	z := &zone{evidence: 8, at: time.Hour}
	z.decay(time.Hour+40*time.Minute, 20*time.Minute)
	require.InDelta(t, 2, z.evidence, 1e-12)
	z.decay(time.Hour, 20*time.Minute)
	require.InDelta(t, 2, z.evidence, 1e-12, "time that runs backwards adds nothing")
}

func TestReactionsElsewhereWeighEvidenceUp(t *testing.T) {
	c := cascade(Options{Feedback: 0.5, Isolate: 100, Budget: 1})
	require.Equal(t, 1.0, c.feedback("clients", 0))
	c.Alert(0, 1, sure("a", "servers"), Advice{})
	require.Equal(t, 1.0, c.feedback("clients", 0), "a decoy is no reaction that weighs")
	c.Alert(0, 1, sure("b", "servers"), Advice{})
	require.Equal(t, 1.5, c.feedback("clients", 0))
	require.Equal(t, 1.0, c.feedback("servers", 0), "its own does not count")
	require.Equal(t, 1.0, c.feedback("clients", 2*time.Hour), "nor one that is over")
}

func TestWhatIsNoThreatOrNowhereCountsForNothing(t *testing.T) {
	c := cascade(Options{})
	low := sure("a", "clients")
	low.Severity = severity.Low
	for _, a := range []*alert.Alert{low, sure("a", "")} {
		_, ok := c.Alert(0, 1, a, Advice{})
		require.False(t, ok)
	}
	_, ok := cascade(Options{Off: true}).Alert(0, 1, sure("a", "clients"), Advice{})
	require.False(t, ok)
	c.Refuse("nowhere")
	require.Equal(t, Normal, c.Level("nowhere"))
}
