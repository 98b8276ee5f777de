package trial

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/attackers/evasion"
	"hemostat/defenders/detect"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
)

// quick is a scenario in which the attacker does much within hours, with little background.
var quick = []scenarios.Setting{{Path: "background.rate", Value: "0.02"}}

// deceived runs a trial of lateral-movement with an evasion, under a variant.
func deceived(t *testing.T, method, variant string) (account string, digest string) {
	t.Helper()
	set := slices.Concat(quick, []scenarios.Setting{{Path: "attackers[0].evasion", Value: "[" + method + "]"}})
	if method == "" {
		set = quick
	}
	v, err := defence.Load(variant, set)
	require.NoError(t, err)
	s, err := scenarios.Load("lateral-movement", v.Scenario)
	require.NoError(t, err)
	r, err := Run(s, v, 1, Options{Seed: 11}, nil)
	require.NoError(t, err)
	return strings.Join(r.Attacks[0].Evasion, "; "), r.Digest
}

// TestEveryMethodIsRecordedAndChangesTheTrial holds that for each way to deceive a defence: it says
// what it did, it comes to the same again, and to another than an honest attack.
func TestEveryMethodIsRecordedAndChangesTheTrial(t *testing.T) {
	dir := t.TempDir()
	learning := filepath.Join(dir, "learning.yaml")
	text := "name: learning\ndetectors: [reflex, sigma, encrypted, behavior]\nintel: [{name: f, coverage: 0.5, confidence: 0.95}]\n" +
		"analyst: {model: surrogate, obeys: 1, from: low}\n"
	require.NoError(t, os.WriteFile(learning, []byte(text), 0o644))
	v, err := defence.Load(learning, nil)
	require.NoError(t, err)
	members, err := v.BuildDetectors(detect.Env{Learning: true})
	require.NoError(t, err)
	baseline, err := defence.Learned(members, "nothing", 0)
	require.NoError(t, err)
	f, err := os.Create(filepath.Join(dir, "b.json.gz"))
	require.NoError(t, err)
	require.NoError(t, baseline.Write(f))
	require.NoError(t, f.Close())
	require.NoError(t, os.WriteFile(learning, []byte(text+"baseline: b.json.gz\n"), 0o644))

	none, honest := deceived(t, "", learning)
	assert.Empty(t, none)
	for _, m := range evasion.Methods {
		method := "{method: " + string(m.Name) + "}"
		if m.Name == evasion.RhythmSearch { // of calls home, which this attack makes none of
			account, _ := deceived(t, method, learning)
			assert.Contains(t, account, "score")
			continue
		}
		account, digest := deceived(t, method, learning)
		assert.Contains(t, account, m.Techniques[0], method)
		assert.NotEqual(t, honest, digest, method)
		_, again := deceived(t, method, learning)
		assert.Equal(t, digest, again, method)
	}
}
