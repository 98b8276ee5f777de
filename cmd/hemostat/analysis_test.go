package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheGuideToAnalysisWithPythonAndR runs docs/analysis.md: its commands, then its Python as one
// script, then its R.
func TestTheGuideToAnalysisWithPythonAndR(t *testing.T) {
	python, r := os.Getenv("HEMOSTAT_PYTHON"), os.Getenv("HEMOSTAT_RSCRIPT")
	if python == "" || r == "" {
		t.Skip("no Python with pandas, polars and DuckDB, or no R here: make test-analysis installs them and runs this test")
	}
	text, err := os.ReadFile("../../docs/analysis.md")
	require.NoError(t, err)
	of := map[string]string{}
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		of[block[1]] += block[3] + "\n\n"
	}
	dir := t.TempDir()
	run := func(program string, args ...string) string {
		c := exec.Command(program, args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+filepath.Dir(binary(t))+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s %s\n%s", program, args, out)
		t.Log(string(out))
		return string(out)
	}
	run("sh", "-e", "-c", of["sh"])
	for file, code := range map[string]string{"guide.py": of["python"], "guide.R": of["r"]} {
		require.Greater(t, strings.Count(code, "\n"), 5, file)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(code), 0o600))
	}
	out := run(python, "-W", "error::FutureWarning", "guide.py")
	require.Contains(t, out, "time_to_detect ns - until the first alert")
	out = run(r, "guide.R")
	require.Contains(t, out, "median")
}
