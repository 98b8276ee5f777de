package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shortAlert is what the cases say of an alert.
type shortAlert struct {
	Title    string `json:"title"`
	Time     string `json:"time"`
	SourceIP string `json:"source_ip"`
}

// replayed runs replay in a folder, and gives its alerts, its summary and exit code.
func replayed(t *testing.T, dir string, args ...string) (alerts []shortAlert, read, skipped, code int) {
	t.Helper()
	c := exec.Command(binary(t), append([]string{"replay", "--json"}, args...)...)
	c.Dir = dir
	out, err := c.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		code = failed.ExitCode()
	}
	for line := range strings.Lines(string(out)) {
		var last struct {
			Summary *struct {
				Read    int `json:"events_read"`
				Skipped int `json:"events_skipped"`
			} `json:"summary"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &last))
		if last.Summary != nil {
			return alerts, last.Summary.Read, last.Summary.Skipped, code
		}
		var a shortAlert
		require.NoError(t, json.Unmarshal([]byte(line), &a))
		alerts = append(alerts, a)
	}
	return alerts, -1, -1, code
}

// TestCasesAfterPublicReports tries the small inputs after public reports of readers that
// failed in silence.
func TestCasesAfterPublicReports(t *testing.T) {
	if raceEnabled {
		t.Skip("run without the race detector, as make test does")
	}
	root, err := filepath.Abs(filepath.Join("..", "..", "..", "shared", "data", "cases"))
	require.NoError(t, err)
	if _, err := os.Stat(root); err != nil {
		t.Skip("the cases are absent")
	}
	const refused = "Refused Passwords In Quick Succession"
	for _, c := range []struct {
		dir           string
		args          []string
		title, source string // of the only alert; none when empty
		read          int
	}{
		{"01-sshd-session-only", []string{"auth.log"}, refused, "203.0.113.9", 6},
		{"03-sshd-rfc5424", []string{"auth.log"}, refused, "203.0.113.9", 6},
		{"06-evtx-separate-attributes", []string{"event.json", "--rules", "."}, "", "", 3},
		{"09-zeek-json-gz", []string{"http.log", "--rules", "."}, "Zeek HTTP Odd Agent", "10.0.0.5", 1},
		{"09-zeek-json-gz", []string{"http.log.gz", "--rules", "."}, "Zeek HTTP Odd Agent", "10.0.0.5", 1},
		{"09-zeek-json-gz", []string{"http.08:00:00-09:00:00.log.gz", "--rules", "."}, "Zeek HTTP Odd Agent", "10.0.0.5", 1},
		{"11-zip-from-a-mac", []string{"capture.zip", "--rules", "."}, "Whoami", "", 2},
		{"16-sshd-pam-failure", []string{"auth.log"}, refused, "203.0.113.9", 9},
		{"16-sshd-pam-failure", []string{"pamunix.log"}, refused, "203.0.113.9", 9},
		{"16-sshd-pam-failure", []string{"closed.log"}, "", "", 2},
		{"23-two-logs-one-chain", []string{"Security.json", "Sysmon.json", "--rules", "."}, "Logon And Then A Service Shell", "", 3},
		{"23-two-logs-one-chain", []string{"Sysmon.json", "Security.json", "--rules", "."}, "Logon And Then A Service Shell", "", 3},
		{"26-zeek-bool-tsv", []string{"json.log", "--rules", "."}, "", "", 1},
		{"26-zeek-bool-tsv", []string{"tsv.log", "--rules", "."}, "", "", 1},
	} {
		alerts, read, skipped, code := replayed(t, filepath.Join(root, c.dir), c.args...)
		require.Zero(t, code, "%s %v", c.dir, c.args)
		require.Equal(t, c.read, read, "%s %v", c.dir, c.args)
		require.Zero(t, skipped)
		if c.title == "" {
			require.Empty(t, alerts, "%s %v", c.dir, c.args)
			continue
		}
		require.Len(t, alerts, 1, "%s %v", c.dir, c.args)
		require.Equal(t, c.title, alerts[0].Title)
		require.Equal(t, c.source, alerts[0].SourceIP, "%s %v", c.dir, c.args)
	}

	out, err := exec.Command(binary(t), "rules", "test", root, "--json").Output()
	require.Error(t, err, "cases without an event.json beside the rule fail")
	var tested struct {
		Failed []struct{ Case string }
	}
	require.NoError(t, json.Unmarshal(out, &tested))
	for _, f := range tested.Failed {
		for _, must := range []string{"05", "10", "13", "21"} {
			require.False(t, strings.HasPrefix(f.Case, must), f.Case)
		}
	}

	scenario := filepath.Join(t.TempDir(), "o.yaml")
	profiles, err := filepath.Glob(filepath.Join(root, "15-caldera-pack", "data", "adversaries", "packs", "*.yml"))
	require.NoError(t, err)
	require.Len(t, profiles, 1)
	text, err := exec.Command(binary(t), "scenario", "import", "--from", "caldera", profiles[0], "-o", scenario).CombinedOutput()
	require.NoError(t, err, string(text))
	data, err := os.ReadFile(scenario)
	require.NoError(t, err)
	require.Contains(t, string(data), "T1033")
}
