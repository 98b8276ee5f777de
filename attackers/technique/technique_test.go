package technique

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/action"
	"hemostat/sim/event"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

func TestTheLibraryIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, x := range All() {
		require.Regexp(t, `^T\d{4}(\.\d{3})?$`, x.ID)
		require.False(t, seen[x.ID], x.ID)
		seen[x.ID] = true
		for _, text := range []string{x.Name, x.Tactic, x.Needs, x.Effect} {
			require.NotEmpty(t, text, x.ID)
		}
		require.NotEmpty(t, x.Tools, x.ID)
		require.NotEmpty(t, x.Telemetry, x.ID)
		require.False(t, x.Takes.IsZero(), x.ID)
		require.True(t, x.Success > 0 && x.Success <= 1, x.ID)
		require.Contains(t, []string{"", "control", "persist", "exfiltrate", "encrypt", "destroy", "cloud", "mine"}, x.Achieves)
		require.Same(t, x, Find(x.ID))
	}
	require.Nil(t, Find("T0000"))
}

func TestNamesAndTacticsAreThoseOfATTACK(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "attack", "enterprise-attack-v19.json"))
	if err != nil {
		t.Skip("real data is absent: attack/enterprise-attack-v19.json")
	}
	var attack struct {
		Techniques []struct {
			ID, Name string
			Tactics  []string
		}
	}
	require.NoError(t, json.Unmarshal(data, &attack))
	names, tactics := map[string]string{}, map[string][]string{}
	for _, x := range attack.Techniques {
		names[x.ID], tactics[x.ID] = x.Name, x.Tactics
	}
	for _, x := range All() {
		full := names[x.ID]
		if parent, _, ok := strings.Cut(x.ID, "."); ok && !strings.Contains(full, ": ") {
			full = names[parent] + ": " + full
		}
		require.Equal(t, full, x.Name, x.ID)
		require.True(t, slices.Contains(tactics[x.ID], x.Tactic), "%s: %s is none of %v", x.ID, x.Tactic, tactics[x.ID])
	}
}

// lab is a world with an attacker on stage for a technique.
func lab(t testing.TB, id, platform string) (*State, *truth.Ledger) {
	t.Helper()
	data, _ := world.Embedded("midsize")
	spec, err := world.ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	ledger := truth.NewLedger()
	w := world.Build(spec, sim.NewStreams(3, 1), ledger, time.Date(2026, 3, 3, 8, 30, 0, 0, time.UTC))
	actor := w.NewActor("attacker")
	actor.Label = truth.Label{Attack: 1}
	s := NewState(w, actor, &world.AttackerAssets{})
	s.Skill, s.Addresses, s.Domains = 1, []string{"203.0.113.1", "203.0.113.2"}, []Domain{{"c2.example", "203.0.113.9"}}
	x := Find(id)
	if x == nil {
		x = &Technique{}
	}
	Stage(s, x, platform)
	return s, ledger
}

// play runs a technique to its end.
func play(t testing.TB, s *State, id, tool string) Progress {
	t.Helper()
	p, err := Rehearse(s, Find(id), tool)
	require.NoError(t, err)
	return p
}

func TestEveryTechniqueWorksAndLeavesTelemetry(t *testing.T) {
	for _, x := range All() {
		require.GreaterOrEqual(t, len(x.Tools), 2, "%s has one way only", x.ID)
		for _, tool := range x.Tools {
			for _, platform := range x.Stages() {
				s, ledger := lab(t, x.ID, platform)
				before := ledger.Malicious()
				p := play(t, s, x.ID, tool)
				require.True(t, p.OK, "%s with %s on %s: %s", x.ID, tool, platform, p.Note)
				require.NotEmpty(t, p.Note)
				silent := x.ID == "T1083" && tool == "explorer" || x.ID == "T1547.001" && tool == "startup folder"
				if !silent {
					require.Greater(t, ledger.Malicious(), before, "%s with %s on %s left no event", x.ID, tool, platform)
				}
			}
		}
	}
}

func TestTechniquesNeedWhatTheySay(t *testing.T) {
	s, _ := lab(t, "", "")
	s.Footholds, s.Known, s.Cloud = nil, nil, nil
	fromOutside := []string{"T1110.003", "T1528", "T1621"}
	for _, x := range All() {
		if x.Tactic == "reconnaissance" || x.Tactic == "initial-access" || slices.Contains(fromOutside, x.ID) {
			require.NoError(t, x.Ready(s), x.ID)
		} else {
			require.Error(t, x.Ready(s), x.ID)
		}
	}
}

func TestWhatIsBlockedIsBlockedByItsAction(t *testing.T) {
	cases := []struct {
		technique string
		action    world.Action
		reason    string
	}{
		{"T1595.001", act(t, 1, "block_ip", map[string]string{"source_ip": "203.0.113.1"}), "address_blocked"},
		{"T1021.002", act(t, 2, "zone_isolation", map[string]string{"zone": "servers"}), "zone_isolated"},
		{"T1041", act(t, 3, "block_egress", map[string]string{"host": "WS001"}), ""},
		{"T1087.002", act(t, 4, "zone_isolation", map[string]string{"zone": "servers"}), "zone_isolated"},
	}
	for _, c := range cases {
		s, _ := lab(t, c.technique, "")
		s.Footholds = s.Footholds[2:]
		if c.technique == "T1595.001" {
			s.Known = nil
		}
		s.Staged = 1e9
		require.True(t, s.World.Apply(0, c.action).Changed)
		if err := Find(c.technique).Ready(s); err != nil {
			require.Empty(t, c.reason, "%s: %s", c.technique, err)
			continue
		}
		p := play(t, s, c.technique, Find(c.technique).Tools[0])
		require.False(t, p.OK)
		require.Equal(t, world.Refusal{Reason: c.reason, Action: c.action.ID}, p.Refusal, c.technique)
	}
}

func TestIsolationAndKillingCostTheFoothold(t *testing.T) {
	s, _ := lab(t, "", "")
	s.Footholds = s.Footholds[2:]
	require.NotNil(t, s.Where(true, true))
	require.True(t, s.World.Apply(0, act(t, 5, "isolate_host", map[string]string{"host": "WS001"})).Changed)
	require.Nil(t, s.Where(true, true))
	require.Equal(t, world.Refusal{Reason: "host_isolated", Action: 5}, s.Usable(s.Footholds[0]))
}

func TestSkilledOperatorsSmellDecoys(t *testing.T) {
	touched := func(skill float64) int {
		s, _ := lab(t, "", "")
		s.Skill = skill
		s.World.Apply(0, act(t, 1, "deploy_decoys", map[string]string{"zone": "servers", "count": "5"}))
		s.Known = nil
		for _, h := range s.World.Hosts {
			if h.Decoy || h.Role == "file_server" {
				s.learn(h)
			}
		}
		n, r := 0, sim.NewStreams(1, 1).Stream("pick", "x")
		for range 400 {
			if h := s.pick(&r, func(h *world.Host) bool { return h.Role == "file_server" }); h.Decoy {
				n++
			}
		}
		return n
	}
	require.Greater(t, touched(0), 4*touched(1))
}

func TestTheSkilledAndTheStealthyChooseQuieterTools(t *testing.T) {
	x := Find("T1566.001")
	mean := func(skill, stealth float64) float64 {
		s := &State{Skill: skill, Stealth: stealth}
		at := 0
		for i := range 1000 {
			at += slices.Index(x.Tools, x.Begin(s, nil, 0, sim.NewStreams(1, uint64(i)).Stream("step", "x")).Tool)
		}
		return float64(at) / 1000
	}
	require.Greater(t, mean(0.9, 0.5), mean(0.1, 0.5)+1)
	require.Greater(t, mean(0.5, 0.9), mean(0.5, 0.1)+0.5)
	require.Zero(t, mean(0, 0))
	require.Equal(t, float64(len(x.Tools)-1), mean(1, 1))
}

func TestEventsOfAnAttackAreInTheLedgerAndNoOthers(t *testing.T) {
	s, ledger := lab(t, "", "")
	mine := map[uint64]bool{}
	s.World.Deliver = func(e *event.Event) { mine[e.ID] = true }
	play(t, s, "T1003.001", "comsvcs")
	for id := range mine {
		require.True(t, ledger.Label(id).Malicious())
	}
	require.False(t, ledger.Label(12345).Malicious())
}

func act(t testing.TB, id uint64, kind action.Kind, params map[string]string) world.Action {
	t.Helper()
	r, err := action.Parse(kind, params)
	require.NoError(t, err)
	return world.Action{ID: id, Request: r}
}
