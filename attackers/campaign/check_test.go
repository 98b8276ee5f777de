package campaign

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/sim/role"
	"hemostat/sim/strictyaml"
)

var office = Estate{Roles: []role.Role{role.Workstation, role.FileServer, role.CloudGateway}, Platforms: []string{"windows"}}

// TestWhatIsWrongWithACampaign holds the message for each fault that the form alone does not show.
func TestWhatIsWrongWithACampaign(t *testing.T) {
	for _, x := range []struct{ text, want string }{
		{"goal: {}\ncampaign: [{do: T1078}]", "exactly one of control"},
		{"goal: {control: {}, mine: {}}\ncampaign: [{do: T1078}]", "2 are given"},
		{"goal: {control: {role: domain_controller}}\ncampaign: [{do: T1078}]", `no host of the world has the role "domain_controller"; roles: `},
		{"goal: {exfiltrate: {gigabytes: 0}}\ncampaign: [{do: T1078}, {do: T1041}]", "an amount above 0"},
		{"goal: {encrypt: {hosts: 0}}\ncampaign: [{do: T1078}, {do: T1486}]", "1 or more is expected"},
		{"goal: {destroy: {hosts: -1}}\ncampaign: [{do: T1078}, {do: T1485}]", "1 or more is expected"},
		{"goal: {finish: {share: 2}}\ncampaign: [{do: T1078}]", "a share from 0 to 1"},
		{"goal: {finish: {}}\nhours: {from: 9, to: 8}\ncampaign: [{do: T1078}]", "hours of the day"},
		{"goal: {finish: {}}\ninfrastructure: {addresses: -1}\ncampaign: [{do: T1078}]", "numbers of 0 or more"},
		{"goal: {finish: {}}\ngive_up: {failures: -1}\ncampaign: [{do: T1078}]", "a number of 0 or more"},
		{"goal: {finish: {}}\ncampaign: []", "a campaign needs at least one stage"},
		{"goal: {encrypt: {hosts: 3}}\ncampaign: [{do: T1078}]", `no technique of the campaign can reach the goal "encrypt"; those that can: `},
		{"goal: {finish: {}}\ncampaign: [{do: T1018}]", "the first stage starts with nothing, but T1018 needs a foothold"},
		{"goal: {finish: {}}\ncampaign: [{do: T1078}, {do: T1078, try: [{do: T1018}]}]", "either do or try"},
		{"goal: {finish: {}}\ncampaign: [{do: T1078}, {do: T1059.999}]", `unknown technique "T1059.999"; the library has T1059`},
		{"goal: {finish: {}}\ncampaign: [{do: T1078}, {do: nonsense}]", "see 'hemostat scenario schema'"},
		{"goal: {finish: {}}\ncampaign: [{do: T1078}, {do: T1110.001}]", "can never be done in this world"},
		{"goal: {finish: {}}\ncampaign: [{do: T1078, with: {tool: hammer}}]", `T1078 has no tool "hammer"; tools: scripted client`},
		{"goal: {finish: {}}\ncampaign: [{do: T1078, with: {speed: high}}]", `unknown option "speed"; accepted: tool, role`},
		{"goal: {finish: {}}\ncampaign: [{do: T1078, loop: {max: 0, until: goal}}]", "1 or more is expected, not 0"},
		{"goal: {finish: {}}\ncampaign: [{do: T1078, until: elevated, loop: {max: 2, until: goal}}]", "contradict each other"},
		{"goal: {finish: {}}\ncampaign: [{try: [{do: T1078, weight: -1}]}]", "a weight of 0 or more"},
		{"goal: {finish: {}}\ncampaign: [{do: T1078, retries: -1}]", "0 or more is expected"},
		{"goal: {finish: {}}\ncampaign: [{id: a, do: T1078}, {id: a, do: T1078}]", `stage id "a" is used twice`},
		{"goal: {finish: {}}\ncampaign: [{id: a, do: T1078, needs: [b]}]", `no stage has the id "b"`},
		{"goal: {finish: {}}\ncampaign: [{id: a, do: T1078, needs: [b]}, {id: b, do: T1078, needs: [a]}]", "in a cycle: a → b → a"},
		{"goal: {finish: {}}\nevasion: [{method: mimicry}, {method: mimicry}]\ncampaign: [{do: T1078}]", "mimicry stands there twice"},
	} {
		var a Attacker
		require.NoError(t, strictyaml.Decode("a.yaml", []byte("name: x\n"+x.text+"\n"), &a), x.text)
		assert.ErrorContains(t, a.Check("attackers[0]", office).Err(), x.want, x.text)
	}
}

// TestASoundCampaignHasNoFault is of one that uses each spelling of a stage.
func TestASoundCampaignHasNoFault(t *testing.T) {
	var a Attacker
	require.NoError(t, strictyaml.Decode("a.yaml", []byte(`name: x
skill: [0.2, 0.7]
goal: {control: {role: file_server}}
campaign:
  - {do: {technique: T1078, tool: scripted client}, id: in}
  - {do: [T1018, T1082], needs: [in], on_blocked: [change_host, {wait: 10m}]}
  - {do: {any: [T1021.002, T1021.006]}, until: {foothold: {role: file_server}}, when: {known_hosts: 3}}
  - {try: [{do: T1003.001, weight: 2}, {do: T1558.003}], loop: {max: 3, until: {credential: {privilege: admin}}}}
`), &a))
	require.NoError(t, a.Check("attackers[0]", office).Err())
	assert.Equal(t, []string{"T1078", "T1018", "T1082", "T1021.002", "T1021.006", "T1003.001", "T1558.003"}, a.Techniques())
	assert.Equal(t, "scripted client", a.Campaign[0].Do.Tool)
}

// TestTheSchemaKnowsEverySpelling holds that the JSON Schema of an attacker can be written, and names
// the techniques and reactions.
func TestTheSchemaKnowsEverySpelling(t *testing.T) {
	text, err := json.Marshal(strictyaml.SchemaOf(Attacker{}))
	require.NoError(t, err)
	for _, want := range []string{"T1078", "change_address", "minItems", "known_hosts", "rhythm_search"} {
		assert.Contains(t, string(text), want)
	}
}
