package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// linter finds golangci-lint where make lint puts it, or on the PATH.
func linter(t *testing.T, root string) string {
	t.Helper()
	if path := filepath.Join(root, "bin", "golangci-lint"); exec.Command(path, "version").Run() == nil {
		return path
	}
	path, err := exec.LookPath("golangci-lint")
	if err != nil {
		t.Skip("golangci-lint is not there; 'make lint' builds it")
	}
	return path
}

// TestTheImportRulesBite copies the module, breaks each arrow once, and expects
// the linter to refuse it.
func TestTheImportRulesBite(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	lint := linter(t, root)
	copied := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", ".golangci.yml"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(copied, name), data, 0o644))
	}
	for _, dir := range []string{"sim", "attackers", "defenders", "reports"} {
		require.NoError(t, os.CopyFS(filepath.Join(copied, dir), os.DirFS(filepath.Join(root, dir))))
	}
	check := func(pkg string) (string, error) {
		c := exec.Command(lint, "run", "--enable-only", "depguard", "./"+pkg+"/...")
		c.Dir = copied
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for pkg, forbidden := range map[string]string{
		"defenders/fusion":         "hemostat/sim/truth",
		"defenders/reflex":         "hemostat/sim/world",
		"defenders/cascade":        "hemostat/sim",
		"attackers/campaign":       "hemostat/defenders/inventory",
		"defenders/sentinel/sigma": "hemostat/defenders/inventory",
		"sim/analysts":             "hemostat/defenders/inventory",
		"reports/stats":            "hemostat/sim/record",
		"reports/render":           "hemostat/attackers/technique",
	} {
		out, err := check(pkg)
		require.NoError(t, err, "%s as it is: %s", pkg, out)
		name := pkg[strings.LastIndexByte(pkg, '/')+1:]
		file := filepath.Join(copied, pkg, "forbidden.go")
		require.NoError(t, os.WriteFile(file, []byte("package "+name+"\n\nimport _ \""+forbidden+"\"\n"), 0o644))
		out, err = check(pkg)
		require.Error(t, err, "%s may import %s", pkg, forbidden)
		require.Contains(t, out, "depguard", pkg)
		require.Contains(t, out, forbidden)
		require.NoError(t, os.Remove(file))
	}
}
