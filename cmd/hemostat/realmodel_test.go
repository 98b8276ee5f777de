package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRealModelTrialsAreReplayed runs ten trials with a real model and again from the
// cassette, with an endpoint at which nobody answers: the digests are equal.
func TestRealModelTrialsAreReplayed(t *testing.T) {
	url := os.Getenv("HEMOSTAT_TEST_MODEL_URL")
	if url == "" {
		t.Skip("no real model is served: make test-llm runs this")
	}
	folder := t.TempDir()
	variant := filepath.Join(folder, "v.yaml")
	require.NoError(t, os.WriteFile(variant, []byte(`name: real
analyst: {model: gemma3-270m, from: high, timeout: 5m, max_tokens: 200, concurrency: 1}
`), 0o600))
	run := func(db, endpoint, mode string) string {
		c := exec.Command(binary(t), "run", "ssh-brute-force", "--trials", "10", "--seed", "5", "--parallel", "1",
			"--variant", variant,
			"--db", db, "--analyst", mode, "--cassette", filepath.Join(folder, "tape"))
		c.Env = append(os.Environ(), "HEMOSTAT_ANALYST_URL="+endpoint)
		var errOut bytes.Buffer
		c.Stderr = &errOut
		out, err := c.Output()
		require.NoError(t, err, errOut.String())
		return string(out) + errOut.String()
	}
	first, second := filepath.Join(folder, "recorded.db"), filepath.Join(folder, "replayed.db")
	t.Log(run(first, url, "record"))
	t.Log(run(second, "http://127.0.0.1:9/v1", "replay"))
	require.Len(t, digestsOf(t, first), 10)
	require.Equal(t, digestsOf(t, first), digestsOf(t, second))
}
