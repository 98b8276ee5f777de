package plan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/scenarios/trial"
)

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestPlansMakeAMatrix(t *testing.T) {
	file := write(t, t.TempDir(), "plan.yaml", `
scenarios: [ransomware, ssh-brute-force]
variants: [default]
trials: 3
seed: 9
set: {background.rate: "0.5"}
sweep: {hotl.tier1: ["0", "4"]}
`)
	p, err := Read(file)
	require.NoError(t, err)
	m, err := p.Build()
	require.NoError(t, err)
	require.Len(t, m.Cells, 4)
	require.Equal(t, "default[background.rate=0.5 hotl.tier1=0]", m.Cells[0].Variant.Name)
	tasks := m.Tasks(trial.Options{})
	require.Len(t, tasks, 12)
	seen := map[string]bool{}
	for _, task := range tasks {
		require.False(t, seen[task.TrialID])
		seen[task.TrialID] = true
	}
	_, err = (&Plan{Scenarios: []string{"nope", "neither"}, Trials: 1}).Build()
	require.ErrorContains(t, err, "nope")
	require.ErrorContains(t, err, "neither")
	_, err = (&Plan{}).Build()
	require.ErrorContains(t, err, "trials in all are accepted")
}

func TestSweepsGoThroughDifferentValues(t *testing.T) {
	s, err := ParseSweep("hotl.decision=lognormal(median 1m, sigma 0.5),5m")
	require.NoError(t, err)
	require.Equal(t, []string{"lognormal(median 1m, sigma 0.5)", "5m"}, s.Values)
	for text, want := range map[string]string{
		"a=[1,2": "a bracket is not closed; ] is missing", "a=(1]": "closes none that is open", "a=1]": "closes none that is open",
		"a=1,1": "stands there twice", "a=1,,2": "a value is empty", "a=": "a value is empty", "nothing": "PATH=VALUE",
	} {
		_, err := ParseSweep(text)
		require.ErrorContains(t, err, want, text)
	}
}
