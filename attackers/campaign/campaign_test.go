package campaign

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/strictyaml"
)

func TestWorkingHours(t *testing.T) {
	at := func(text string) time.Time {
		v, err := time.Parse("Mon 2006-01-02 15:04", text)
		require.NoError(t, err)
		return v
	}
	office := Hours{From: 8, To: 18}
	for from, want := range map[string]string{
		"Fri 2026-11-27 07:59": "Fri 2026-11-27 08:00",
		"Fri 2026-11-27 08:00": "Fri 2026-11-27 08:00",
		"Fri 2026-11-27 17:59": "Fri 2026-11-27 17:59",
		"Fri 2026-11-27 18:00": "Mon 2026-11-30 08:00",
		"Sat 2026-11-28 12:00": "Mon 2026-11-30 08:00",
	} {
		require.Equal(t, at(want), office.Next(at(from)), from)
	}
	weekends := Hours{From: 8, To: 18, Weekends: true}
	require.Equal(t, at("Sat 2026-11-28 12:00"), weekends.Next(at("Sat 2026-11-28 12:00")))
	require.Equal(t, at("Sat 2026-11-28 03:00"), Hours{}.Next(at("Sat 2026-11-28 03:00")), "no hours are any hours")
}

func TestGoalsNameTheirKindAndRole(t *testing.T) {
	for text, want := range map[string]struct {
		kind string
		role role.Role
	}{
		"control: {role: domain_controller}": {"control", role.DomainController},
		"persist: {role: workstation}":       {"persist", role.Workstation},
		"mine: {role: web_server}":           {"mine", role.WebServer},
		"exfiltrate: {gigabytes: 2}":         {"exfiltrate", ""},
		"encrypt: {hosts: 3}":                {"encrypt", ""},
		"destroy: {hosts: 3}":                {"destroy", ""},
		"cloud: {accounts: 2}":               {"cloud", ""},
		"finish: {share: 0.5}":               {"finish", ""},
	} {
		var g Goal
		require.NoError(t, strictyaml.Decode("g.yaml", []byte(text), &g))
		require.Equal(t, want.kind, g.Kind())
		require.Equal(t, want.role, g.Role())
		require.Equal(t, 1, g.keys())
	}
	require.Empty(t, Goal{}.Kind())
}

func TestSharesAreNumbersOrRanges(t *testing.T) {
	var f struct {
		Skill Share `yaml:"skill"`
	}
	stream := func() *sim.Stream { s := sim.NewStreams(1, 2).Stream("attacker", "skill"); return &s }
	require.Equal(t, 0.3, Share{}.Draw(stream(), 0.3))
	require.NoError(t, strictyaml.Decode("s.yaml", []byte("skill: 0.7"), &f))
	require.Equal(t, 0.7, f.Skill.Draw(stream(), 0.3))
	f.Skill = Share{}
	require.NoError(t, strictyaml.Decode("s.yaml", []byte("skill: [0.4, 0.9]"), &f))
	v := f.Skill.Draw(stream(), 0.3)
	require.True(t, v >= 0.4 && v <= 0.9)
	for text, want := range map[string]string{
		"skill: 1.5": "a share from 0 to 1", "skill: -0.1": "a share from 0 to 1", "skill: [0.9, 0.4]": "[low, high]", "skill: [0.1]": "[low, high]",
		"skill: [0.1, 7]": "a share from 0 to 1", "skill: .nan": "s.yaml:1:8", "skill: much": "s.yaml:1:8",
	} {
		require.ErrorContains(t, strictyaml.Decode("s.yaml", []byte(text), &f), want, text)
	}
}

const plan = `
name: a
goal: {control: {role: domain_controller}}
campaign:
  - {do: T1566.001}
  - {do: T1003.001, when: elevated}
  - {do: T1021.002, until: {foothold: {role: domain_controller}}}
`

func decoded(t *testing.T, text string) (*Attacker, error) {
	t.Helper()
	var a Attacker
	return &a, strictyaml.Decode("a.yaml", []byte(text), &a)
}

func TestReactionsAndConditions(t *testing.T) {
	one := func(stage string) string {
		return "name: a\ngoal: {finish: {}}\ncampaign: [{do: T1566.001, " + stage + "}]\n"
	}
	for stage, want := range map[string]string{
		"on_blocked: [hide]":         `unknown reaction "hide"; accepted: change_address`,
		"on_blocked: [{wait: soon}]": "a.yaml:3:",
		"on_block: [change_tool]":    "unknown key",
	} {
		_, err := decoded(t, one(stage))
		require.ErrorContains(t, err, want)
	}
	a, err := decoded(t, one("on_blocked: [change_tool, {wait: 30m}]"))
	require.NoError(t, err)
	require.Equal(t, []Reaction{{Kind: "change_tool"}, {Kind: "wait", Wait: 30 * time.Minute}}, a.Campaign[0].OnBlocked)
	for _, condition := range []string{"tired", "{}", "{foothold: {}}", "{credential: {privilege: king}}"} {
		_, err := decoded(t, one("when: "+condition))
		require.Error(t, err, condition)
	}
}

func TestPlansAreCheckedAgainstTheEstate(t *testing.T) {
	a, err := decoded(t, plan)
	require.NoError(t, err)
	full := Estate{Roles: []role.Role{role.Workstation, role.DomainController}, Platforms: []string{"windows"}}
	require.Empty(t, a.Check("attackers[0]", full))
	faults := a.Check("attackers[0]", Estate{Roles: []role.Role{role.Workstation}, Platforms: []string{"windows"}})
	require.NotEmpty(t, faults)
	require.Contains(t, faults[0].Error(), `no host of the world has the role "domain_controller"; roles: workstation`)
	faults = a.Check("attackers[0]", Estate{Roles: full.Roles, Platforms: []string{"linux"}})
	require.NotEmpty(t, faults)
	require.Contains(t, faults.Error(), "it needs a host with windows")
	web, err := decoded(t, "name: a\ngoal: {finish: {}}\ncampaign: [{do: T1190}]\n")
	require.NoError(t, err)
	withWeb := full
	withWeb.Platforms = []string{"windows", "linux"}
	require.Contains(t, web.Check("a", withWeb).Error(), "role web_server")
	withWeb.Roles = append([]role.Role{role.WebServer}, full.Roles...)
	require.Contains(t, web.Check("a", withWeb).Error(), "a web_server with a vulnerability")
	withWeb.HoleInWeb = true
	require.Empty(t, web.Check("a", withWeb))
}

func TestTypesFollowFromTheGoalAndTheBeginning(t *testing.T) {
	begins := func(g Goal, first string) *Attacker {
		return &Attacker{Goal: g, Campaign: []Stage{{Do: Moves{All: []string{first}}}}}
	}
	theft := Goal{Exfiltrate: &ExfiltrateGoal{Gigabytes: 1}}
	for want, a := range map[string]*Attacker{
		extortionist: begins(Goal{Encrypt: &EncryptGoal{Hosts: 1}}, "T1110.001"),
		saboteur:     begins(Goal{Destroy: &EncryptGoal{Hosts: 1}}, "T1133"),
		insider:      begins(theft, "T1078.002"),
		opportunist:  begins(Goal{Control: &HostGoal{}}, "T1110.003"),
		spy:          begins(theft, "T1566.001"),
	} {
		require.Equal(t, want, a.Type())
	}
	require.Equal(t, opportunist, begins(Goal{Mine: &HostGoal{}}, "T1190").Type())
	require.Equal(t, spy, (&Attacker{}).Type())
}
