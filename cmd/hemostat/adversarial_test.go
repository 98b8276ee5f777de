package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAttacksOnTheDefenceAreMeasured runs the measurement that docs/adversarial.md shows, of few
// days and one attack.
func TestAttacksOnTheDefenceAreMeasured(t *testing.T) {
	if raceEnabled {
		t.Skip("many trials: run without the race detector, as make test does")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here")
	}
	script, err := filepath.Abs(filepath.Join("..", "..", "docs", "examples", "adversarial", "measure.py"))
	require.NoError(t, err)
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "adversarial.md"))
	require.NoError(t, err)
	require.Contains(t, string(guide), "docs/examples/adversarial/measure.py")
	for _, only := range []string{"chaff", "poisoning"} {
		c := exec.Command(python, script, "--pairs", "3", "--days", "1", "--only", only)
		c.Dir = t.TempDir()
		c.Env = append(os.Environ(), "PATH="+filepath.Dir(binary(t))+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		table, err := os.ReadFile(filepath.Join(c.Dir, "table.md"))
		require.NoError(t, err)
		require.Contains(t, string(table), "`{method: "+only)
		require.Regexp(t, `[-+]\d+\.\d \[-?\d+\.\d, -?\d+\.\d\]`, string(table))
	}
}
