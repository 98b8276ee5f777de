package attackers

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/attackers/campaign"
	"hemostat/sim"
	"hemostat/sim/action"
	"hemostat/sim/role"
	"hemostat/sim/strictyaml"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

type stage struct {
	engine sim.Engine
	world  *world.World
	agent  *Agent
}

func act(t *testing.T, seed uint64, text string) *stage {
	t.Helper()
	return actDirected(t, seed, text, nil)
}

// actDirected is act with an attacker whom a program outside directs, unless ask is nil.
func actDirected(t *testing.T, seed uint64, text string, ask func(time.Duration)) *stage {
	t.Helper()
	data, _ := world.Embedded("midsize")
	spec, err := world.ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	s := &stage{world: world.Build(spec, sim.NewStreams(seed, 1), truth.NewLedger(), time.Date(2026, 3, 3, 8, 30, 0, 0, time.UTC))}
	a := &campaign.Attacker{}
	require.NoError(t, strictyaml.Decode("a.yaml", []byte(text), a))
	require.Empty(t, a.Check("a", campaign.Estate{Roles: []role.Role{"cloud_gateway", "ssh_gateway", "domain_controller", "file_server", "workstation"}, Platforms: []string{"windows", "linux"}, HoleInWeb: true}))
	s.agent = New(&s.engine, s.world, a, Options{Index: 1, Hostile: &world.AttackerAssets{}, Ask: ask})
	return s
}

const guesser = `name: guesser
skill: 0.6
stealth: 0
infrastructure: {addresses: 3}
goal: {control: {}}
give_up: {failures: 6}
campaign:
  - do: T1595.001
  - do: T1110.001
    until: {foothold: {role: any}}
    with: {tool: hydra}
    on_blocked: [change_address, slow_down, {wait: 5m}]
`

func TestAnUndisturbedAttackerReachesTheGoal(t *testing.T) {
	s := act(t, 1, guesser)
	s.engine.Run(12 * time.Hour)
	require.True(t, s.agent.Done())
	require.NotNil(t, s.agent.Objective, s.agent.EndReason)
	require.Equal(t, 1.0, s.agent.Progress())
	_, _, contained := s.agent.Containment()
	require.False(t, contained)
}

func TestABlockedAttackerAdaptsAndIsContainedByTheLastBlock(t *testing.T) {
	s := act(t, 1, guesser)
	for _, h := range s.world.Hosts {
		h.Weak = false
	}
	addresses, _ := s.agent.Indicators()
	for i, address := range addresses[:3] {
		at := time.Duration(i+2) * time.Minute
		s.engine.Schedule(at, sim.HandlerFunc(func(now time.Duration) {
			s.world.Apply(now, request(t, uint64(i+1), "block_ip", map[string]string{"source_ip": address}))
		}), 0)
	}
	s.engine.Run(12 * time.Hour)
	story := s.story()
	require.Contains(t, story, "from another address")
	require.Contains(t, story, "more slowly")
	require.Contains(t, story, "after a pause")
	action, _, ok := s.agent.Containment()
	require.True(t, ok, s.agent.EndReason)
	require.Equal(t, uint64(3), action)
}

func TestAnAttackerWhoFailsAloneIsNotContained(t *testing.T) {
	s := act(t, 1, guesser)
	for _, h := range s.world.Hosts {
		h.Weak = false
	}
	s.engine.Run(24 * time.Hour)
	require.True(t, s.agent.Done())
	_, _, ok := s.agent.Containment()
	require.False(t, ok)
}

func TestABlockedToolIsNotUsedAgain(t *testing.T) {
	s := act(t, 1, strings.NewReplacer("    with: {tool: hydra}\n", "", "[change_address, slow_down, {wait: 5m}]", "[change_tool, change_address]").Replace(guesser))
	for _, h := range s.world.Hosts {
		h.Weak = false
	}
	addresses, _ := s.agent.Indicators()
	s.engine.Schedule(2*time.Minute, sim.HandlerFunc(func(now time.Duration) {
		s.world.Apply(now, request(t, 1, "block_ip", map[string]string{"source_ip": addresses[0]}))
	}), 0)
	s.engine.Run(12 * time.Hour)
	blocked := ""
	for _, x := range s.agent.Steps {
		if blocked != "" && x.Technique == "T1110.001" {
			require.NotEqual(t, blocked, x.Tool)
		}
		if x.BlockedBy == 1 && blocked == "" {
			blocked = x.Tool
		}
	}
	require.NotEmpty(t, blocked)
	require.Contains(t, s.story(), "with another tool than "+blocked)
}

func TestTheSkilledCountToolsAsBurnedAfterALoss(t *testing.T) {
	returned := 0
	for seed := range uint64(20) {
		s := act(t, seed, strings.NewReplacer("skill: 0.9", "skill: 1", "  - {id: never, needs: [ghost], do: T1018}\n", "", "  - {id: ghost, needs: [never], do: T1018}\n", "").Replace(mover))
		for i := range 12 {
			s.engine.Schedule(time.Duration(i+1)*20*time.Minute, sim.HandlerFunc(func(now time.Duration) {
				for _, x := range s.agent.Steps {
					if x.Host != "" {
						s.world.Apply(now, request(t, 1, "isolate_host", map[string]string{"host": x.Host}))
					}
				}
			}), 0)
		}
		s.engine.Run(12 * time.Hour)
		if strings.Contains(s.story(), "in again from outside") {
			returned++
			require.Contains(t, s.story(), "as burned")
		}
	}
	require.Positive(t, returned)
}

// story is why the attacker did what they did.
func (s *stage) story() string {
	var why []string
	for _, x := range s.agent.Steps {
		why = append(why, x.Why)
	}
	return strings.Join(why, "\n")
}

const mover = `name: mover
skill: 0.9
stealth: 0
goal: {control: {role: domain_controller}}
campaign:
  - {id: entry, do: T1078, retries: 4}
  - {id: never, needs: [ghost], do: T1018}
  - {id: ghost, needs: [never], do: T1018}
  - {needs: [entry], do: [T1018, T1082]}
  - {do: T1548.002, until: elevated}
  - {try: [{do: T1003.001, weight: 1}], until: {credential: {privilege: domain_admin}}}
  - {loop: {max: 6, until: goal}, do: {any: [T1021.002, T1021.006, T1003.001]}}
`

func TestStagesFollowNeedsConditionsAndLoops(t *testing.T) {
	text := strings.Replace(strings.Replace(mover, "needs: [ghost]", "needs: [entry2]", 1), "  - {id: ghost, needs: [never], do: T1018}\n", "  - {id: entry2, needs: [entry], if_absent: x, do: T1018}\n", 1)
	require.Error(t, strictyaml.Decode("a.yaml", []byte(text), &campaign.Attacker{}), "if_absent is no key")
	s := act(t, 2, strings.Replace(strings.Replace(mover, "  - {id: never, needs: [ghost], do: T1018}\n", "", 1), "  - {id: ghost, needs: [never], do: T1018}\n", "", 1))
	s.engine.Run(12 * time.Hour)
	seen := map[string]int{}
	for _, x := range s.agent.Steps {
		seen[x.Technique]++
	}
	for _, id := range []string{"T1078", "T1018", "T1082", "T1548.002", "T1003.001"} {
		require.Positive(t, seen[id], id)
	}
	require.LessOrEqual(t, seen["T1021.002"]+seen["T1021.006"], 6*3+6)
}

func TestGiveUpIsHeeded(t *testing.T) {
	s := act(t, 1, strings.Replace(guesser, "give_up: {failures: 6}", "give_up: {after: 10m}", 1))
	for _, h := range s.world.Hosts {
		h.Weak = false
	}
	s.engine.Run(24 * time.Hour)
	require.True(t, s.agent.Done())
	require.Contains(t, s.agent.EndReason, "the price is too high")
}

func request(t testing.TB, id uint64, kind action.Kind, params map[string]string) world.Action {
	t.Helper()
	r, err := action.Parse(kind, params)
	require.NoError(t, err)
	return world.Action{ID: id, Request: r}
}
