package attack_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/attack"
)

func TestCurrentIsWhatThePublishedVersionSays(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "attack", "enterprise-attack-v19.json"))
	if err != nil {
		t.Skip("the published techniques are absent")
	}
	var published struct {
		Techniques []struct{ ID string }
		ReplacedBy map[string]string `json:"replaced_by"`
	}
	require.NoError(t, json.Unmarshal(data, &published))
	require.NotEmpty(t, published.ReplacedBy)
	for old, now := range published.ReplacedBy {
		require.Equal(t, now, attack.Current(old))
	}
	for _, x := range published.Techniques {
		require.Equal(t, x.ID, attack.Current(x.ID))
	}
}

func TestRevokedTechniques(t *testing.T) {
	require.Equal(t, "T1685", attack.Current("T1562.001"))
	require.Equal(t, "T1059.001", attack.Current("T1059.001"))
	require.Equal(t, "T9999", attack.Current("T9999"))
	require.Equal(t, []string{"T1685", "T1003"}, attack.CurrentAll([]string{"T1562.001", "T1685", "T1003", "T1562"}))
	successors := attack.Successors("T1562")
	require.Equal(t, "T1685", successors[0])
	require.Contains(t, successors, "T1686")
	require.Equal(t, []string{"T1110"}, attack.Successors("T1110"))
}

func TestKnownIds(t *testing.T) {
	for _, id := range []string{"T1059", "T1059.001", "T1685.005", "T1070.001", "T1003.008"} {
		require.True(t, attack.IsKnown(id), id)
	}
	for _, id := range []string{"", "T1059.099", "T9999", "t1059", "T1059.1", "ignore previous instructions"} {
		require.False(t, attack.IsKnown(id), id)
	}
}
