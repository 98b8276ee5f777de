// Package scripttest runs tests that are written as text: commands with what they are
// expected to print, so that the course of a state machine is read like a log.
//
// A script is a file of commands, one a line, with arguments of the form key=value. What
// a command is expected to print stands below it, indented by two spaces. Lines that
// begin with # explain. SCRIPTTEST_UPDATE=1 rewrites the expected outputs; read the
// difference before you believe it. The idea is that of etcd's raft interaction tests.
package scripttest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Command is one command of a script.
type Command struct {
	t    testing.TB
	at   string // file and line
	Name string
	args map[string]string
	used map[string]bool
}

// Has tells whether an argument is given.
func (c *Command) Has(key string) bool {
	c.used[key] = true
	_, ok := c.args[key]
	return ok
}

// Text is an argument, or what stands in for it when it is not given.
func (c *Command) Text(key, otherwise string) string {
	if c.Has(key) {
		return c.args[key]
	}
	return otherwise
}

// List is an argument of several values with commas between them.
func (c *Command) List(key string) []string {
	if text := c.Text(key, ""); text != "" {
		return strings.Split(text, ",")
	}
	return nil
}

// Number is an argument that is a number, or 0.
func (c *Command) Number(key string) float64 {
	v, err := strconv.ParseFloat(c.Text(key, "0"), 64)
	require.NoError(c.t, err, "%s: %s", c.at, key)
	return v
}

// Time is an argument that is a duration, or 0.
func (c *Command) Time(key string) time.Duration {
	v, err := time.ParseDuration(c.Text(key, "0s"))
	require.NoError(c.t, err, "%s: %s", c.at, key)
	return v
}

// Run runs every script that a pattern matches, each as a subtest. begin makes what is
// tested anew for a script and returns what carries out a command and prints what came
// of it.
func Run(t *testing.T, pattern string, begin func(t *testing.T) func(c *Command) string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runFile(t, file, begin(t)) })
	}
}

func runFile(t *testing.T, file string, do func(c *Command) string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	update := os.Getenv("SCRIPTTEST_UPDATE") != ""
	var out strings.Builder
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		i++
		out.WriteString(line + "\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := fmt.Sprintf("%s:%d", file, i)
		got := execute(t, at, line, do)
		var expected []string
		for ; i < len(lines) && strings.HasPrefix(lines[i], "  "); i++ {
			expected = append(expected, lines[i][2:])
		}
		if !update {
			require.Equal(t, strings.Join(expected, "\n"), strings.Join(got, "\n"), "%s: %s", at, line)
		}
		for _, l := range got {
			out.WriteString("  " + l + "\n")
		}
	}
	if update {
		require.NoError(t, os.WriteFile(file, []byte(out.String()), 0o644))
	}
}

// execute carries out one command and returns the lines that it printed.
func execute(t *testing.T, at, line string, do func(c *Command) string) []string {
	words := strings.Fields(line)
	c := &Command{t, at, words[0], map[string]string{}, map[string]bool{}}
	for _, word := range words[1:] {
		key, value, ok := strings.Cut(word, "=")
		require.True(t, ok, "%s: %q is not key=value", at, word)
		c.args[key] = value
	}
	printed := do(c)
	for key := range c.args {
		require.True(t, c.used[key], "%s: %s does not know the argument %s", at, c.Name, key)
	}
	var got []string
	for _, l := range strings.Split(printed, "\n") {
		if l = strings.TrimRight(l, " "); l != "" {
			got = append(got, l)
		}
	}
	return got
}
