package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGroupsAreReadFromBothForms(t *testing.T) {
	file := filepath.Join(t.TempDir(), "groups.json")
	read := func(text string) ([][]string, error) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return ReadGroups(file)
	}
	got, err := read(`{"groups":[{"id":"G1","techniques":["T1562.001","T1059"]},{"id":"G2","techniques":[]}]}`)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"T1685", "T1059"}}, got, "ids are the current ones")
	got, err = read(`{"objects":[{"type":"attack-pattern","id":"a","external_references":[{"source_name":"other","external_id":"X"},{"source_name":"mitre-attack","external_id":"T1059"}]},
 {"type":"intrusion-set","id":"g"},{"type":"intrusion-set","id":"old","revoked":true},{"type":"relationship","relationship_type":"uses","source_ref":"g","target_ref":"a"},
 {"type":"relationship","relationship_type":"uses","source_ref":"old","target_ref":"a"},{"type":"relationship","relationship_type":"mitigates","source_ref":"g","target_ref":"a"}]}`)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"T1059"}}, got)
	for _, text := range []string{`{`, `{"objects":[]}`} {
		_, err = read(text)
		require.ErrorContains(t, err, "groups.json")
	}
}
