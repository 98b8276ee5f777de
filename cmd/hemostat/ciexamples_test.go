package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// changedDefence is a repository whose main branch has a defence, and whose branch broken lacks a
// rule of it.
func changedDefence(t *testing.T) string {
	repo := t.TempDir()
	git := func(args ...string) {
		c := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
		c.Dir = repo
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	git("init", "-q", "-b", "main")
	require.NoError(t, os.CopyFS(filepath.Join(repo, "defence", "rules"), os.DirFS("../../defenders/sentinel/rules")))
	for name, text := range map[string]string{
		"defence/variant.yaml": "name: mine\nrules: [rules]\n",
		"policy.yaml": `trials: {min: 40, max: 400, batch: 20}
scenarios: [ransomware]
set: {background.rate: "0.02"}
checks:
  - {metric: contained, margin: 10 %}
  - {metric: technique_detected, each_technique: true, margin: 10 %, veto: true}
`,
		".gitignore": ".hemostat-gate/\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(repo, name), []byte(text), 0o644))
	}
	git("add", ".")
	git("commit", "-qm", "one")
	git("checkout", "-qb", "broken")
	require.NoError(t, os.RemoveAll(filepath.Join(repo, "defence", "rules", "defender_disabled")))
	git("commit", "-qam", "two")
	git("checkout", "-q", "main")
	return repo
}

func checkOut(t *testing.T, repo, branch string) {
	c := exec.Command("git", "checkout", "-q", branch)
	c.Dir = repo
	require.NoError(t, c.Run())
}

// released is a folder with a release of the program that the tests run.
func released(t *testing.T) (url string) {
	dir := t.TempDir()
	name := fmt.Sprintf("hemostat_%s_linux_%s", version, runtime.GOARCH)
	require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	require.NoError(t, os.Symlink(binary(t), filepath.Join(dir, name, "hemostat")))
	out, err := exec.Command("tar", "-C", dir, "-chzf", filepath.Join(dir, name+".tar.gz"), name).CombinedOutput()
	require.NoError(t, err, "%s", out)
	data, err := os.ReadFile(filepath.Join(dir, name+".tar.gz"))
	require.NoError(t, err)
	sums := fmt.Sprintf("%x  %s.tar.gz\n", sha256.Sum256(data), name)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums), 0o644))
	return "file://" + dir
}

type actionStep struct {
	Name, ID, If, Uses, Shell, Run string
	Env                            map[string]string
}

// runner carries out the steps of a composite action that run a shell, as the runner of a CI server
// does.
type runner struct {
	t      *testing.T
	repo   string
	values map[string]string // of expressions
	path   string
}

var expression = regexp.MustCompile(`\$\{\{\s*([^}]*?)\s*\}\}`)

func (r *runner) value(text string) string {
	return expression.ReplaceAllStringFunc(text, func(x string) string {
		name := expression.FindStringSubmatch(x)[1]
		v, ok := r.values[name]
		require.True(r.t, ok, "the expression %s is not known", name)
		return v
	})
}

// run carries out a step and returns whether it succeeded.
func (r *runner) run(s actionStep) (string, bool) {
	tmp := r.t.TempDir()
	c := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
	c.Dir = r.repo
	c.Env = append(os.Environ(), "PATH="+r.path, "RUNNER_TEMP="+tmp)
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"} {
		c.Env = append(c.Env, name+"="+filepath.Join(tmp, name))
	}
	for name, text := range s.Env {
		c.Env = append(c.Env, name+"="+r.value(text))
	}
	out, err := c.CombinedOutput()
	if text, err := os.ReadFile(filepath.Join(tmp, "GITHUB_PATH")); err == nil {
		r.path = strings.TrimSpace(string(text)) + ":" + r.path
	}
	if text, err := os.ReadFile(filepath.Join(tmp, "GITHUB_OUTPUT")); err == nil {
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			r.values["steps."+s.ID+".outputs."+name] = value
		}
	}
	return string(out), err == nil
}

// TestTheActionForGitHub carries out the action's steps on a change that breaks a rule, on none, and
// on a release that was tampered with.
func TestTheActionForGitHub(t *testing.T) {
	if raceEnabled {
		t.Skip("gates take a while: run without the race detector, as make test does")
	}
	data, err := os.ReadFile("../../docs/examples/ci/github/action.yml")
	require.NoError(t, err)
	var action struct {
		Inputs map[string]struct{ Default string }
		Runs   struct{ Steps []actionStep }
	}
	require.NoError(t, yaml.Unmarshal(data, &action))
	repo, url := changedDefence(t), released(t)
	gate := func(branch, url string) (out string, ok bool, r *runner) {
		checkOut(t, repo, branch)
		r = &runner{t: t, repo: repo, path: os.Getenv("PATH"), values: map[string]string{}}
		for name, in := range action.Inputs {
			r.values["inputs."+name] = in.Default
		}
		r.values["inputs.candidate"], r.values["inputs.baseline-ref"] = "defence/variant.yaml", "main"
		r.values["inputs.policy"], r.values["inputs.release-url"] = "policy.yaml", url
		assert.Equal(t, version, r.values["inputs.version"], "the action installs this version")
		for _, s := range action.Runs.Steps {
			if s.Uses != "" || strings.Contains(s.If, "github.event_name") {
				continue // of the CI server itself
			}
			text, ok := r.run(s)
			out += text
			if !ok {
				return out, false, r
			}
		}
		return out, true, r
	}
	out, ok, r := gate("main", url)
	require.True(t, ok, out)
	assert.Equal(t, "pass", r.values["steps.gate.outputs.verdict"])
	out, ok, r = gate("broken", url)
	require.False(t, ok, out)
	assert.Equal(t, "fail", r.values["steps.gate.outputs.verdict"])
	assert.Contains(t, out, "technique T1685 is detected less often")
	for _, name := range []string{"gate.md", "gate.xml", "report.html"} {
		assert.FileExists(t, filepath.Join(repo, ".hemostat-gate", name))
	}
	layers, err := filepath.Glob(filepath.Join(repo, ".hemostat-gate", "layer-*.json"))
	require.NoError(t, err)
	assert.NotEmpty(t, layers)

	sums := filepath.Join(strings.TrimPrefix(url, "file://"), "SHA256SUMS")
	text, err := os.ReadFile(sums)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(sums, []byte(strings.Repeat("0", 64)+string(text[64:])), 0o644))
	out, ok, _ = gate("main", url)
	assert.False(t, ok)
	assert.Contains(t, out, "FAILED")
}

// TestTheTemplateForGitLab runs the template's script on the same changes.
func TestTheTemplateForGitLab(t *testing.T) {
	if raceEnabled {
		t.Skip("gates take a while: run without the race detector, as make test does")
	}
	data, err := os.ReadFile("../../docs/examples/ci/gitlab/hemostat-gate.gitlab-ci.yml")
	require.NoError(t, err)
	var template map[string]struct {
		Variables map[string]string
		Script    []string
	}
	require.NoError(t, yaml.Unmarshal(data, &template))
	job := template[".hemostat-gate"]
	assert.Equal(t, version, job.Variables["HEMOSTAT_VERSION"])
	job.Variables["HEMOSTAT_RELEASE_URL"], job.Variables["HEMOSTAT_CANDIDATE"] = released(t), "defence/variant.yaml"
	job.Variables["HEMOSTAT_POLICY"], job.Variables["CI_MERGE_REQUEST_DIFF_BASE_SHA"] = "policy.yaml", "main"
	repo := changedDefence(t)
	for _, want := range []struct {
		branch string
		code   int
	}{{"main", exitDone}, {"broken", exitFaults}} {
		checkOut(t, repo, want.branch)
		c := exec.Command("sh", "-c", strings.Join(job.Script, "\n"))
		c.Dir, c.Env = repo, os.Environ()
		for name, value := range job.Variables {
			c.Env = append(c.Env, name+"="+value)
		}
		out, _ := c.CombinedOutput()
		assert.Equal(t, want.code, c.ProcessState.ExitCode(), "%s: %s", want.branch, out)
		assert.FileExists(t, filepath.Join(repo, ".hemostat-gate", "report.html"))
	}
}
