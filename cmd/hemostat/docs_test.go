package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	fence  = regexp.MustCompile("(?s)```([a-z]*)[ ]?([^\n]*)\n(.*?)\n```")
	inline = regexp.MustCompile("`((?:hemostat |go test |GOMAXPROCS=1 go test )[^`]+)`")
	target = regexp.MustCompile(`(?m)^([a-z-]+):.*##`)
)

// TestEveryCommandOfTheDocumentationRuns executes the commands shown in README
// and docs, in order, in a folder that holds the files shown there, and capture.pcap.
func TestEveryCommandOfTheDocumentationRuns(t *testing.T) {
	if raceEnabled {
		t.Skip("some hundred commands: run without the race detector, as make test does")
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	targets := map[string]bool{}
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	commands := 0
	goTests := map[string]string{} // commands of go test, with the first file that shows each
	for _, file := range append([]string{filepath.Join(root, "README.md")}, files...) {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		text := string(data)
		dir := t.TempDir()
		data, err = helloCapture()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "capture.pcap"), data, 0o644))
		try := func(line string) {
			commands++
			switch {
			case strings.HasPrefix(line, "make"):
				name := strings.TrimSpace(strings.TrimPrefix(line, "make"))
				require.True(t, targets[name], "%s: the Makefile has no target %q", file, name)
				return
			case strings.Contains(line, "go test"):
				if goTests[line] == "" {
					goTests[line] = file
				}
				return
			}
			if _, err := exec.LookPath("python3"); err != nil && strings.Contains(text, "python3") {
				t.Logf("%s is passed over: there is no python3 here", line)
				return
			}
			runShown(t, file, dir, line)
		}
		for _, block := range fence.FindAllStringSubmatch(text, -1) {
			kind, name, body := block[1], block[2], block[3]
			if name == "kafka" { // TestTheGuideToLiveRuns runs these
				continue
			}
			if name != "" {
				path := filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(body+"\n"), 0o644))
			}
			if kind == "sh" {
				for line := range strings.Lines(body) {
					try(strings.TrimSpace(line))
				}
			}
		}
		for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			try(m[1])
		}
	}
	require.Greater(t, commands, 25)
	for line, file := range goTests { // most of their time goes into linking, on one core each
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			runShown(t, file, root, line+" -benchtime 1x")
		})
	}
}

// runShown runs a command that a document shows, in a folder.
func runShown(t *testing.T, file, dir, line string) {
	t.Helper()
	c := exec.Command("sh", "-c", line)
	c.Dir = dir
	c.Env = append(os.Environ(), "PATH="+filepath.Dir(binary(t))+":"+os.Getenv("PATH"))
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s: %s\n%s", file, line, out)
}
