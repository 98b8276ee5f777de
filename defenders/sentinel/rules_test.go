package sentinel

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/sentinel/sigma"
)

func TestEmbeddedRulesAreInOrder(t *testing.T) {
	rules, err := LoadRules([]string{"embedded"})
	require.NoError(t, err)
	_, err = sigma.Compile(rules)
	require.NoError(t, err)
	for _, r := range rules {
		require.NotEmpty(t, r.Techniques(), r.Title)
		require.NotEmpty(t, r.FalsePositives, r.Title)
		require.NotEmpty(t, r.Description, r.Title)
		require.NotEmpty(t, r.ID, r.Title)
	}
}

// TestEmbeddedRulesHaveEvents holds each rule to events beside it; the command
// "rules test" tries them.
func TestEmbeddedRulesHaveEvents(t *testing.T) {
	folders, err := os.ReadDir("rules")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, f := range folders {
		for _, name := range []string{"rule.yml", "event.ndjson", "benign.ndjson"} {
			info, err := os.Stat(filepath.Join("rules", f.Name(), name))
			require.NoError(t, err)
			require.Positive(t, info.Size(), info.Name())
		}
	}
}

func TestRuleFoldersThatCannotBeReadAreErrors(t *testing.T) {
	_, err := LoadRules([]string{"/nowhere"})
	require.ErrorContains(t, err, "/nowhere")
	_, err = LoadRules([]string{t.TempDir()})
	require.ErrorContains(t, err, "holds no .yml")
	rules, err := LoadRules([]string{"embedded"})
	require.NoError(t, err)
	require.NotEmpty(t, rules)
}
