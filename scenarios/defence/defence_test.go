package defence

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/reflex"
	"hemostat/scenarios"
	"hemostat/sim/world"
)

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestVariantFaultsAreExplained(t *testing.T) {
	dir := t.TempDir()
	cases := map[string]string{
		"name: v\ndetectors: [sigma, sigma]\n":                           "named twice",
		"name: v\ndetectors: [{name: reflex, options: {fialures: 4}}]\n": `did you mean "failures"?`,
		"name: v\ndetectors: [{name: sigma, options: {x: 1}}]\n":         "the detector sigma has no options",
		"name: v\nrules: [nowhere]\n":                                    "nowhere",
		"name: v\nplaybooks: nowhere\n":                                  "cannot be read",
		"name: v\nhotl: {tier1: -1}\n":                                   "a number of people from 0 to 1000",
		"name: v\nhotl: {mode: psychic}\n":                               `"psychic" is not accepted`,
		"name: v\nhotl: {shift: [8]}\n":                                  "two hours of the day",
		"name: v\ndetectors: [dog]\n":                                    `unknown detector "dog"`,
		"name: v\nwithout_rules: [nothing]\n":                            `no rule has the id, name or title "nothing"`,
		"name: v\nhotle: {}\n":                                           `did you mean "hotl"?`,
		"name: v\nintel: [{name: f, coverage: 3}]\n":                     "shares from 0 to 1",
		"hotl: {}\n": `"name" is missing`,
	}
	for text, want := range cases {
		_, err := Load(write(t, dir, "v.yaml", text), nil)
		require.ErrorContains(t, err, want, text)
	}
	_, err := Load(filepath.Join(dir, "none.yaml"), nil)
	require.ErrorContains(t, err, "none.yaml")

	v, err := Load(write(t, dir, "v.yaml", "name: v\nsensors: [{name: ghost, off: true}]\n"), nil)
	require.NoError(t, err)
	_, err = v.ChangeSensors(&world.Spec{Name: "w"})
	require.ErrorContains(t, err, `no sensor "ghost"`)
}

func TestAVariantIsItsRulesAndPlaybooks(t *testing.T) {
	dir := t.TempDir()
	rule := "title: %s\nid: 11111111-1111-1111-1111-111111111111\nlogsource: {product: windows}\ndetection: {s: {EventID: 1}, condition: s}\n"
	file := write(t, dir, "v.yaml", "name: v\nrules: [rules]\n")
	write(t, dir, "rules/a.yml", strings.ReplaceAll(rule, "%s", "one"))
	one, err := Load(file, nil)
	require.NoError(t, err)
	write(t, dir, "rules/a.yml", strings.ReplaceAll(rule, "%s", "two"))
	two, err := Load(file, nil)
	require.NoError(t, err)
	require.NotEqual(t, one.Digest, two.Digest)
	again, err := Load(file, nil)
	require.NoError(t, err)
	require.Equal(t, two.Digest, again.Digest)

	write(t, dir, "site.yml", "transformations: [{type: change_logsource, product: linux}]\n")
	file = write(t, dir, "p.yaml", "name: v\nrules: [rules]\npipelines: [site.yml]\n")
	piped, err := Load(file, nil)
	require.NoError(t, err)
	require.Equal(t, "linux", piped.rules.Rules()[0].Source.Product)
	write(t, dir, "site.yml", "transformations: [{type: change_logsource, product: zeek}]\n")
	other, err := Load(file, nil)
	require.NoError(t, err)
	require.NotEqual(t, piped.Digest, other.Digest)
	write(t, dir, "site.yml", "transformations: [{type: nest}]\n")
	_, err = Load(file, nil)
	require.ErrorContains(t, err, `site.yml:1:26: transformation "nest" is not supported`)

	without, err := Load("", []scenarios.Setting{{Path: "without_rules", Value: "[Kerberoasting]"}})
	require.NoError(t, err)
	plain, err := Load("", nil)
	require.NoError(t, err)
	require.NotEqual(t, plain.Digest, without.Digest)
}

func TestDetectorsAreChosenByNameAndTakeOptions(t *testing.T) {
	dir := t.TempDir()
	load := func(text string) *Variant {
		v, err := Load(write(t, dir, "v.yaml", "name: v\n"+text), nil)
		require.NoError(t, err)
		return v
	}
	plain := load("")
	require.Len(t, plain.detectors, 2)
	require.Equal(t, plain.Digest, load("description: said otherwise\n").Digest)
	rulesOnly := load("detectors: [sigma]\n")
	require.Len(t, rulesOnly.detectors, 1)
	require.NotEqual(t, plain.Digest, rulesOnly.Digest)
	tuned := load("detectors: [{name: reflex, service: 5ms, options: {failures: 4}}]\n")
	require.Equal(t, 5*time.Millisecond, tuned.detectors[0].Kind.Service.Mean)
	require.Equal(t, &reflex.Options{Failures: 4}, tuned.detectors[0].Options)
	require.Equal(t, &reflex.Options{Failures: 9}, load("reflex: {failures: 9}\n").detectors[0].Options)
	slow := load("services: {sentinel: 9ms, queue: 7}\ndetectors: [sigma]\n").detectors[0].Kind.Service
	require.Equal(t, 9*time.Millisecond, slow.Mean)
	require.Equal(t, 7, slow.Waiting)
	require.Contains(t, string(Schema()), `"failures"`, "the options of each kind are in the schema")
}

func TestFaultsOfTheAnalystAreExplained(t *testing.T) {
	for text, want := range map[string]string{
		"{endpoint: \"http://x/v1\"}":                  "the name of a model that the endpoint serves is expected",
		"{model: offline, sensitivity: 0.5}":           "belongs to the model surrogate",
		"{model: surrogate, specificity: 2}":           "a share from 0 to 1 is expected",
		"{model: surrogate, weights: x}":               "they belong to the model offline",
		"{model: offline, weights: none.json}":         "hemostat train analyst makes one",
		"{model: offline, dismiss: 0.9, raise: 0.1}":   "0.9 is above raise",
		"{model: offline, endpoint: \"http://x/v1\"}":  "belongs to a model at an endpoint",
		"{model: offline, duties: [patterns]}":         "patterns need a model",
		"{model: m, endpoint: \"http://key@host/v1\"}": "a key does not belong into the address",
		"{model: m, endpoint: localhost}":              "an address such as",
		"{model: m, key_env: sk-0123456789}":           "not the key itself",
		"{model: m, key_env: A, key_file: b}":          "not both",
		"{model: m, rounds: 99}":                       "0 to 10 is accepted",
		"{model: m, budget: {money: 5}}":               "give price",
		"{model: m, prompts: none}":                    "has none of triage.txt",
		"{model: m, ca_file: none.pem}":                "none.pem",
		"{model: m, timeout: 48h}":                     "up to 1h",
		"{model: m, latency: 5s}":                      "belongs to the model surrogate",
		"{model: m, duties: [everything]}":             "everything",
		"{model: m, colour: red}":                      "colour",
	} {
		file := filepath.Join(t.TempDir(), "v.yaml")
		require.NoError(t, os.WriteFile(file, []byte("name: x\nanalyst: "+text+"\n"), 0o600))
		_, err := Load(file, nil)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "v.yaml:2", text)
	}
}

func TestTheKeyOfAModelIsNowhereOnRecord(t *testing.T) {
	t.Setenv("HEMOSTAT_TEST_KEY", "sk-very-secret")
	file := filepath.Join(t.TempDir(), "v.yaml")
	require.NoError(t, os.WriteFile(file, []byte("name: x\nanalyst: {model: m, endpoint: \"http://127.0.0.1:9/v1\", key_env: HEMOSTAT_TEST_KEY}\n"), 0o600))
	v, err := Load(file, nil)
	require.NoError(t, err)
	require.True(t, v.AskModel())
	key, err := v.analyst.endpoint.key()
	require.NoError(t, err)
	require.Equal(t, "sk-very-secret", key)
	require.NotContains(t, string(v.JSON), "sk-very")
}
