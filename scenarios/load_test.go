package scenarios

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"hemostat/defenders/response"
	"hemostat/sim/strictyaml"
)

// against checks YAML with a JSON Schema as an editor would.
func against(t *testing.T, schema, text []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("s.json", doc))
	s, err := c.Compile("s.json")
	require.NoError(t, err)
	var v any
	require.NoError(t, yaml.Unmarshal(text, &v))
	plain, err := json.Marshal(v)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(plain))
	require.NoError(t, err)
	return s.Validate(value)
}

func TestEmbeddedFilesFulfilTheirSchemas(t *testing.T) {
	for _, name := range EmbeddedNames() {
		text, _, err := Text(name)
		require.NoError(t, err)
		require.NoError(t, against(t, Schema(), text), name)
	}
	books, err := response.Load(response.Embedded, response.EmbeddedDir, strictyaml.Decode)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(books), 12)
	schema := strictyaml.Schema("playbook", response.Playbook{})
	for _, p := range books {
		text, err := response.Embedded.ReadFile(p.File)
		require.NoError(t, err)
		require.NoError(t, against(t, schema, text), p.ID)
	}
	require.Error(t, against(t, Schema(), []byte("name: x\nworld: {}\nhorizon: 5m\nattackrs: []\n")))
}

const campaignHead = `name: s
world: {name: midsize}
horizon: 2h
attackers:
  - name: a
`

func TestScenarioFaultsAreReportedTogetherWithTheirPlace(t *testing.T) {
	_, err := Parse("s.yaml", []byte(`name: s
world: {name: nowhere}
horizon: 1s
background: {rate: -1, start: "Someday"}
`))
	for _, want := range []string{"s.yaml:1:1: horizon: a horizon from 1m", "background.rate: a rate from 0 to 100", `a weekday and a time are expected, such as Tue 08:30, not "Someday"`, `no embedded world is called "nowhere"`} {
		require.ErrorContains(t, err, want)
	}
	cases := map[string]string{
		"    goal: {control: {role: palace}}\n    campaign: [{do: T1078}]":                                                        `"palace" is not accepted`,
		"    goal: {encrypt: {hosts: 3}}\n    campaign: [{do: T1078}]":                                                            `no technique of the campaign can reach the goal "encrypt"; those that can: T1486`,
		"    goal: {control: {}, persist: {}}\n    campaign: [{do: T1078}]":                                                       "exactly one of control, persist, exfiltrate, encrypt, destroy, mine, cloud, finish is expected, 2 are given",
		"    goal: {control: {}}\n    campaign: [{do: T1486}]":                                                                    "the first stage starts with nothing, but T1486 needs",
		"    goal: {control: {}}\n    campaign: [{do: T9999}]":                                                                    `unknown technique "T9999"`,
		"    goal: {control: {}}\n    campaign: [{do: T1021.009}]":                                                                "the library has T1021.001",
		"    goal: {control: {}}\n    campaign: [{id: a, needs: [b], do: T1078}, {id: b, needs: [a], do: T1018}]":                 "stages need each other in a cycle: a → b → a",
		"    goal: {control: {}}\n    campaign: [{id: a, needs: [z], do: T1078}]":                                                 `no stage has the id "z"`,
		"    goal: {control: {}}\n    campaign: [{do: T1078, try: [{do: T1018}]}]":                                                "a stage has either do or try",
		"    goal: {control: {}}\n    campaign: [{do: T1078, with: {tool: spoon}}]":                                               `T1078 has no tool "spoon"`,
		"    goal: {control: {}}\n    campaign: [{do: T1078, loop: {max: 2}, until: goal}]":                                       "loop and until contradict each other",
		"    goal: {control: {}}\n    campaign: [{do: T1078, on_blocked: [cry]}]":                                                 `unknown reaction "cry"`,
		"    goal: {control: {}}\n    campaign: [{do: T1078, pace: sometimes}]":                                                   `"sometimes" is no distribution`,
		"    goal: {control: {}}\n    skill: 2\n    campaign: [{do: T1078}]":                                                      "a share from 0 to 1 is expected",
		"    goal: {control: {}}\n    campaign: []":                                                                               "a campaign needs at least one stage",
		"    goal: {control: {}}\n    campaign: [{do: T1078, until: never}]":                                                      `unknown condition "never"`,
		"    goal: {control: {}}\n    campaign: [{do: T1078}]\n  - name: a\n    goal: {control: {}}\n    campaign: [{do: T1078}]": `attacker "a" is there twice`,
		"    goal: {control: {}}\n    campaign: [{doo: T1078}]":                                                                   `unknown key (did you mean "do"?)`,
	}
	for text, want := range cases {
		_, err := Parse("s.yaml", []byte(campaignHead+text+"\n"))
		require.ErrorContains(t, err, want, text)
		require.Regexp(t, `^s\.yaml:\d+:\d+: `, err.Error())
	}
}

func TestUnknownScenariosAreExplained(t *testing.T) {
	_, err := Load("ransomwear", nil)
	require.ErrorContains(t, err, "embedded: audit-day")
	_, err = Load("./nowhere.yaml", nil)
	require.ErrorContains(t, err, "no such file")
}

func TestWorldsMayBeScaledAndComeFromFiles(t *testing.T) {
	s, err := Load("ransomware", []Setting{{Path: "world.hosts", Value: "500"}})
	require.NoError(t, err)
	hosts := 0
	for _, g := range s.Spec.Hosts {
		hosts += max(g.Count, 1)
	}
	require.InDelta(t, 500, hosts, 3)
	_, err = Load("ransomware", []Setting{{Path: "world.hosts", Value: "5"}})
	require.ErrorContains(t, err, "hosts must be above")
	_, err = Parse(filepath.Join(t.TempDir(), "s.yaml"), []byte("name: s\nworld: {file: w.yaml}\nhorizon: 1h\n"))
	require.ErrorContains(t, err, "w.yaml")
}

func TestSettings(t *testing.T) {
	out, err := ApplySettings("f", []byte("a: 1\nb: {c: [x, {d: 2}]}\n"), []Setting{{"a", "5"}, {"b.c[1].d", "exponential(5m)"}, {"new.deep", "[1, 2]"}})
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, yaml.Unmarshal(out, &v))
	require.Equal(t, map[string]any{"a": 5, "b": map[string]any{"c": []any{"x", map[string]any{"d": "exponential(5m)"}}}, "new": map[string]any{"deep": []any{1, 2}}}, v)
	for _, bad := range []Setting{{"b.c[7]", "1"}, {"a.x", "1"}, {"b.c[x]", "1"}, {"a", "["}} {
		_, err := ApplySettings("f", []byte("a: 1\nb: {c: [x]}\n"), []Setting{bad})
		require.ErrorContains(t, err, "--set "+bad.Path)
	}
	_, err = ParseSetting("nothing")
	require.ErrorContains(t, err, "PATH=VALUE")
}

func FuzzParse(f *testing.F) {
	for _, name := range EmbeddedNames() {
		text, _, err := Text(name)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = Parse("fuzz.yaml", data)
	})
}

func TestFaultsOfSpellingAndOfSenseComeInOneReport(t *testing.T) {
	_, err := Parse("s.yaml", []byte(`name: s
world: {name: midsize}
horizon: 6h
attackers:
  - name: a
    skil: 0.5
    goal: {exfiltrate: {gigabytes: 3}}
    campaign:
      - do: T9999
        pace: gauss(3m)
      - do: T1486
cost: {objective: -1}
`))
	for _, want := range []string{"s.yaml:6:5: attackers[0].skil: unknown key", "no technique of the campaign can reach the goal", `unknown technique "T9999"`,
		`unknown distribution "gauss"`, "s.yaml:12:7: cost.objective: a number of 0 or more is expected, not -1"} {
		require.ErrorContains(t, err, want)
	}
}
