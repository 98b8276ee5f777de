package attackers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/world"
)

// directed is an attacker who asks a script of a test what comes next.
type directed struct {
	*stage
	t *testing.T
}

func direct(t *testing.T, text string) *directed {
	d := &directed{t: t}
	d.stage = actDirected(t, 3, text, func(time.Duration) { d.engine.Pause() })
	d.engine.Run(12 * time.Hour)
	require.True(t, d.agent.IsAsking())
	require.Nil(t, d.agent.Started, "nothing is done before the first choice")
	return d
}

// choose makes a choice and goes on until the next is due.
func (d *directed) choose(c Choice) {
	d.t.Helper()
	require.NoError(d.t, d.agent.Choose(d.engine.Now(), c))
	d.engine.Run(d.engine.Now() + 12*time.Hour)
}

const phisher = `name: phisher
skill: 0.9
stealth: 0
infrastructure: {addresses: 2}
goal: {persist: {role: workstation}}
campaign:
  - do: T1566.001
  - do: T1547.001
`

// settle brings the attacker to a workstation.
func (d *directed) settle() {
	d.t.Helper()
	for range 40 {
		if d.choose(Choice{Technique: "T1566.001"}); len(d.agent.CompromisedHosts()) > 0 {
			return
		}
	}
	require.Fail(d.t, "nobody opened the attachment")
}

func TestADirectedAttackerDoesWhatIsChosen(t *testing.T) {
	d := direct(t, phisher)
	d.settle()
	require.NotNil(t, d.agent.Started)
	for _, s := range d.agent.Steps {
		require.Equal(t, "T1566.001", s.Technique)
		require.Equal(t, "a program outside chose it", s.Why)
	}
	host := d.agent.CompromisedHosts()[0].Name
	require.ErrorContains(t, d.agent.Choose(d.engine.Now(), Choice{Technique: "T1018", From: "DC01"}), "no foothold")
	d.choose(Choice{Technique: "T1018", From: host})
	require.Greater(t, len(d.agent.State().Known), 1)
	target := d.agent.State().Known[1].Name
	require.ErrorContains(t, d.agent.Choose(d.engine.Now(), Choice{Technique: "T1018", Target: "nowhere"}), "they know no host")
	require.NoError(t, d.agent.Choose(d.engine.Now(), Choice{Technique: "T1018", Target: target}))
	require.ErrorContains(t, d.agent.Choose(d.engine.Now(), Choice{Technique: "T1018"}), "is at work")
	d.engine.Run(d.engine.Now() + 12*time.Hour)
	d.choose(Choice{NewAddress: true, Wait: time.Minute})
	require.Equal(t, 1, d.agent.State().Address)
	require.ErrorContains(t, d.agent.Choose(d.engine.Now(), Choice{NewAddress: true, Wait: time.Minute}), "no further address")
	d.choose(Choice{Technique: "T1547.001"})
	require.NotNil(t, d.agent.Objective, "the goal ends the attack: %v", d.agent.Steps)
	require.False(t, d.agent.IsAsking())
}

func TestADirectedAttackerIsContainedAndMayComeBack(t *testing.T) {
	d := direct(t, `name: phisher
skill: 0.9
stealth: 0
goal: {control: {role: domain_controller}}
campaign:
  - do: T1566.001
`)
	d.settle()
	d.choose(Choice{Technique: "T1547.001"})
	require.NotEmpty(t, d.agent.State().PersistentHosts())
	host := d.agent.CompromisedHosts()[0]
	isolation := request(t, 7, "isolate_host", map[string]string{"host": host.Name})
	require.True(t, d.world.Apply(d.engine.Now(), isolation).OK)
	d.choose(Choice{Wait: time.Minute})
	require.Empty(t, d.agent.CompromisedHosts())
	action, _, contained := d.agent.Containment()
	require.True(t, contained)
	require.Equal(t, uint64(7), action)
	require.True(t, d.world.Undo(7))
	for range 30 {
		d.choose(Choice{Wait: 20 * time.Minute})
	}
	require.Equal(t, []*world.Host{host}, d.agent.CompromisedHosts(), "their program has started again")
	_, _, contained = d.agent.Containment()
	require.False(t, contained)
	d.choose(Choice{GiveUp: true})
	require.True(t, d.agent.Done())
	require.Equal(t, "gave up", d.agent.EndReason)
}

func TestAPlanIsCarriedOutByItsTechniques(t *testing.T) {
	d := direct(t, `name: planner
skill: 0.9
stealth: 0
goal: {finish: {share: 0.5}}
campaign:
  - do: T1566.001
  - {do: {any: [T1018, T1082]}}
`)
	d.settle()
	require.NotNil(t, d.agent.Objective, "half of the plan was asked for")
}

var _ sim.Handler = (*Agent)(nil)
