package world

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every record that the program names is in the catalogue: a missing one would end a trial.
func TestRecordsThatAreNamedExist(t *testing.T) {
	named := regexp.MustCompile("\"((?:" + strings.Join(keys(logNames), "|") + ") [0-9]+)\"")
	found := 0
	for _, pattern := range []string{"*.go", "../background/*.go", "../../attackers/technique/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range named.FindAllStringSubmatch(string(text), -1) {
				found++
				_, isOther := otherProviders[m[1]]
				require.True(t, records[m[1]] != nil || isOther && file == "records.go", "%s names %s", file, m[1])
			}
		}
	}
	require.Greater(t, found, 100)
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}
