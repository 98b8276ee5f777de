package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheInterfaceWithSchemathesis sends what the OpenAPI description allows, and what it does
// not, to hemostat serve, and holds the answers against it.
func TestTheInterfaceWithSchemathesis(t *testing.T) {
	tool := os.Getenv("HEMOSTAT_SCHEMATHESIS")
	if tool == "" {
		t.Skip("no schemathesis here: make test-contract installs it and runs this test")
	}
	s := newServed(t)
	config := filepath.Join(s.dir, "schemathesis.toml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "[parameters]\n\"path.id\" = %q\n\"path.n\" = 1\n",
		s.trialID("?scenario=ransomware")), 0o600))
	c := exec.Command(tool, "--config-file", config, "run", s.url+"/api/v1/openapi.json", "--checks", "all",
		"--max-examples", "40", "--seed", "1")
	c.Dir = s.dir
	out, err := c.CombinedOutput()
	t.Log(string(out))
	require.NoError(t, err)
}
