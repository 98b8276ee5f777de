package evasion

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/event"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

// blind is an oracle that sees tools whose name begins with a letter up to m, scores calls by their number,
// and links across everything but new tools.
type blind struct{ asked int }

func (b *blind) Rhythm(at []time.Duration, _ []float64) float64 {
	b.asked++
	return 0.5
}

func (b *blind) Link(c Changes) float64 {
	b.asked++
	if c.Tools {
		return 0.4
	}
	return 3
}

func (b *blind) Sees(_, tool string) bool {
	b.asked++
	return tool[0] >= 'a' && tool[0] <= 'm'
}

// inside is an attacker with a foothold on a workstation, and what their world tells.
type inside struct {
	engine sim.Engine
	world  *world.World
	state  *technique.State
	ledger *truth.Ledger
	events []*event.Event
	plan   *Plan
	oracle blind
}

func newInside(t *testing.T, specs ...Spec) *inside {
	t.Helper()
	data, _ := world.Embedded("midsize")
	spec, err := world.ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	spec, err = spec.Scaled(80)
	require.NoError(t, err)
	for i := range spec.Sensors {
		all := 1.0
		spec.Sensors[i].Coverage, spec.Sensors[i].Loss = &all, 0
	}
	x := &inside{ledger: truth.NewLedger()}
	x.world = world.Build(spec, sim.NewStreams(5, 1), x.ledger, time.Date(2026, 3, 3, 8, 30, 0, 0, time.UTC))
	x.world.Deliver = func(e *event.Event) { x.events = append(x.events, e) }
	actor := x.world.NewActor("attacker")
	actor.Label.Attack = 1
	x.state = technique.NewState(x.world, actor, &world.AttackerAssets{})
	x.state.Addresses = []string{"203.0.113.1", "203.0.113.2"}
	x.state.Domains = []technique.Domain{{Name: "cdn.example", Address: "203.0.113.9"}, {Name: "api.example", Address: "203.0.113.10"}}
	technique.Stage(x.state, technique.Find("T1018"), "windows")
	x.events = nil // of the foothold itself
	library, err := technique.NewLibrary(nil)
	require.NoError(t, err)
	x.plan = NewPlan(specs, Setting{Engine: &x.engine, World: x.world, State: x.state, Attack: 1, Name: "attacker",
		Library: library, Campaign: []string{"T1018", "T1003.001"}, Start: time.Minute, Oracle: &x.oracle})
	return x
}

// values lists a field's values among the events of the attack.
func (x *inside) values(f event.Field) string {
	var out []string
	for _, e := range x.events {
		if v := e.Value(f); v != "" {
			out = append(out, v)
		}
	}
	return strings.Join(out, "\n")
}

func TestNobodyWhoDeceivesNobodyHasAPlan(t *testing.T) {
	x := newInside(t)
	require.Nil(t, x.plan)
	assert.Zero(t, x.plan.BeforeStep(0, Progress{}))
	assert.Nil(t, x.plan.Account())
	assert.Zero(t, x.plan.FalseIndicators())
	assert.Zero(t, x.plan.Injected())
}

func TestMimicryIsPaidWithTime(t *testing.T) {
	x := newInside(t, Spec{Method: Mimicry, Effort: 0.8})
	assert.Equal(t, 0.8, x.state.Stealth)
	assert.Equal(t, 1.8, x.state.Care)
	assert.True(t, x.state.PublicCertificate)
	assert.NotEqual(t, world.GoTLS, x.state.Hello)
	little := newInside(t, Spec{Method: Mimicry, Effort: 0.2})
	assert.Equal(t, world.GoTLS, little.state.Hello)
	assert.False(t, little.state.PublicCertificate)
}

// TestTastesComeOneByOneAndHoldTheAttack holds that each falls into a window of its own, is the
// attack's in the ledger and belongs to no step, and that the upload grows.
func TestTastesComeOneByOneAndHoldTheAttack(t *testing.T) {
	x := newInside(t, Spec{Method: Poisoning, For: 2 * time.Hour, Growth: 2})
	x.state.Actor.Label.Step = 4
	assert.Equal(t, 2*time.Hour, x.plan.BeforeStep(0, Progress{}))
	assert.Equal(t, time.Hour, x.plan.BeforeStep(time.Hour, Progress{}))
	x.engine.Run(3 * time.Hour)
	assert.Zero(t, x.plan.BeforeStep(3*time.Hour, Progress{}))
	windows := map[time.Duration]int{}
	last := 0.0
	for _, e := range x.events {
		label := x.ledger.Label(e.ID)
		require.Equal(t, truth.Label{Attack: 1, Step: besideSteps}, label)
		if e.Source.Category == "process_creation" {
			windows[e.Time/(15*time.Minute)]++
		}
		if e.Source.Service == "conn" && e.Value(event.IDRespHost) == "203.0.113.9" {
			var sent float64
			_, err := fmt.Sscan(e.Value(event.OrigBytes), &sent)
			require.NoError(t, err)
			assert.Greater(t, sent, 1.5*last)
			last = sent
		}
	}
	assert.Len(t, windows, int(2*time.Hour/tasteEvery))
	for _, n := range windows {
		assert.Equal(t, 1, n)
	}
	assert.Greater(t, last, 1e9)
	assert.Equal(t, int32(4), x.state.Actor.Label.Step)
}

func TestChaffComesFromManyAddressesForAWhile(t *testing.T) {
	x := newInside(t, Spec{Method: Chaff, Rate: 30, For: 2 * time.Hour})
	x.engine.Run(6 * time.Hour)
	addresses, latest := map[string]bool{}, time.Duration(0)
	for _, e := range x.events {
		require.Equal(t, int32(1), x.ledger.Label(e.ID).Attack)
		if from := e.Value(event.IDOrigHost); from != "" {
			addresses[from] = true
		}
		latest = max(latest, e.Time)
	}
	assert.Greater(t, len(addresses), chaffAddresses/2)
	assert.Less(t, latest, 2*time.Hour+10*time.Minute)
	assert.NotContains(t, addresses, "203.0.113.1", "the attacker's own addresses are kept clean")
}

// TestOrdersStandWhereTheyAreSaidTo holds that for each placement.
func TestOrdersStandWhereTheyAreSaidTo(t *testing.T) {
	direct := newInside(t, Spec{Method: Injection})
	f := direct.state.Current()
	direct.state.StartOn(0, f, world.Cmd, "cmd.exe /c dir")
	direct.state.StartOn(0, f, world.Whoami, "whoami.exe")
	assert.Contains(t, direct.values(event.CommandLine), "cmd.exe /c dir & rem "+orderText(""))
	assert.Contains(t, direct.values(event.CommandLine), "\nwhoami.exe")
	assert.True(t, strings.HasPrefix(direct.state.C2().Domain, "ignore-all-previous-instructions"))

	stored := newInside(t, Spec{Method: Injection, Where: technique.InFiles})
	_, err := technique.Rehearse(stored.state, technique.Find("T1105"), "certutil")
	require.NoError(t, err)
	assert.Contains(t, stored.values(event.TargetFilename), "agent "+orderText("")+".exe")

	retrieved := newInside(t, Spec{Method: Injection, Where: technique.InHistory})
	retrieved.plan.BeforeStep(0, Progress{})
	retrieved.plan.BeforeStep(time.Minute, Progress{})
	assert.Equal(t, 1, strings.Count(retrieved.values(event.ScriptBlockText), orderText("")), "once on a host")
}

func TestToolsThatAreSeenAreNotUsed(t *testing.T) {
	x := newInside(t, Spec{Method: Extraction, Queries: 5})
	assert.Equal(t, 5, x.oracle.asked)
	for id, tools := range x.state.Watched {
		for _, tool := range tools {
			assert.True(t, x.oracle.Sees(id, tool), tool)
		}
	}
	assert.Contains(t, x.plan.Account()[0], "5 questions")
}

// TestLinksAreBrokenBetweenStages holds that the attacker waits, moves to another address and burns
// the tool of the last step, as the model was found to ask for.
func TestLinksAreBrokenBetweenStages(t *testing.T) {
	x := newInside(t, Spec{Method: LinkBreaking, Pause: 3 * time.Hour})
	require.Equal(t, Changes{Pause: 15 * time.Minute, Tools: true}, x.plan.changes)
	discovery := technique.Find("T1018")
	assert.Zero(t, x.plan.BeforeStep(0, Progress{}))
	assert.Zero(t, x.plan.BeforeStep(time.Minute, Progress{Stage: 0, Technique: discovery, Tool: discovery.Tools[0]}))
	assert.Equal(t, 15*time.Minute, x.plan.BeforeStep(2*time.Minute, Progress{Stage: 1, Technique: discovery, Tool: discovery.Tools[0]}))
	assert.Contains(t, x.state.Watched["T1018"], discovery.Tools[0])
	x.plan.changes.Indicators = true
	x.plan.BeforeStep(time.Hour, Progress{Stage: 2})
	assert.Equal(t, "api.example", x.state.C2().Domain)
}

func TestARhythmIsTunedAgainstWhatIsAsked(t *testing.T) {
	x := newInside(t, Spec{Method: RhythmSearch, Access: ScoreAccess, Queries: 17}, Spec{Method: FalseIndicators, Count: 4})
	assert.Equal(t, 17, x.oracle.asked)
	require.NotNil(t, x.state.Rhythm)
	assert.Equal(t, 4, x.plan.FalseIndicators())
	whole := newInside(t, Spec{Method: RhythmSearch, Access: WholeModel})
	assert.Equal(t, freeQueries, whole.oracle.asked)
}
