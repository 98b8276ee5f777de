package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

const smallPlan = `scenarios: [web-shell]
variants: [default]
trials: 3
set: {background.rate: "0.02"}
`

// share runs a program in a folder, with variables of the environment.
func share(t *testing.T, dir string, env []string, program string, args ...string) {
	c := exec.Command(program, args...)
	c.Dir = dir
	c.Env = append(append(os.Environ(), "PATH="+filepath.Dir(binary(t))+":"+os.Getenv("PATH")), env...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// assertWhole checks that a database holds what one run of the plan does.
func assertWhole(t *testing.T, dir, plan string) {
	trials := func(db string) string {
		c := exec.Command(binary(t), "export", "trials", "--db", db)
		c.Dir = dir
		out, err := c.Output()
		require.NoError(t, err)
		return string(out)
	}
	share(t, dir, nil, "hemostat", "run", "--plan", plan, "--db", "whole.db")
	require.Equal(t, 4, strings.Count(trials("whole.db"), "\n"))
	assert.Equal(t, trials("whole.db"), trials("hemostat.db"))
}

// TestTheExampleForSlurm runs each task of the array, and what joins them.
func TestTheExampleForSlurm(t *testing.T) {
	if raceEnabled {
		t.Skip("some twenty commands: run without the race detector, as make test does")
	}
	folder, err := filepath.Abs("../../docs/examples/slurm")
	require.NoError(t, err)
	script, err := os.ReadFile(filepath.Join(folder, "batch.sbatch"))
	require.NoError(t, err)
	array := regexp.MustCompile(`(?m)^#SBATCH --array=1-(\d+)$`).FindSubmatch(script)
	require.NotNil(t, array)
	n, err := strconv.Atoi(string(array[1]))
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(smallPlan), 0o600))
	for task := 1; task <= n; task++ {
		share(t, dir, []string{fmt.Sprint("SLURM_ARRAY_TASK_ID=", task), fmt.Sprint("SLURM_ARRAY_TASK_COUNT=", n), "SLURM_CPUS_PER_TASK=1"},
			"bash", filepath.Join(folder, "batch.sbatch"))
	}
	share(t, dir, nil, "bash", filepath.Join(folder, "merge.sbatch"))
	assertWhole(t, dir, "plan.yaml")
}

// indexedJob is what a test needs to know of a Job.
type indexedJob struct {
	Kind string
	Spec struct {
		CompletionMode           string `yaml:"completionMode"`
		Completions, Parallelism int
		Template                 struct {
			Spec struct {
				Containers []struct {
					Command, Args []string
					Env           []struct{ Name, Value string }
					WorkingDir    string `yaml:"workingDir"`
				}
			}
		}
	}
}

// workloadsIn reads the jobs and deployments of a manifest.
func workloadsIn(t *testing.T, file string) (jobs []indexedJob) {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var j indexedJob
		err := d.Decode(&j)
		if errors.Is(err, io.EOF) {
			return jobs
		}
		require.NoError(t, err)
		if j.Kind == "Job" || j.Kind == "Deployment" {
			jobs = append(jobs, j)
		}
	}
}

// TestTheExampleForKubernetes runs the command of each pod, and what joins them.
func TestTheExampleForKubernetes(t *testing.T) {
	if raceEnabled {
		t.Skip("some twenty commands: run without the race detector, as make test does")
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "plan"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan", "plan.yaml"), []byte(smallPlan), 0o600))
	for _, file := range []string{"job.yaml", "merge.yaml"} {
		jobs := workloadsIn(t, filepath.Join("../../docs/examples/kubernetes", file))
		require.Len(t, jobs, 1)
		pod := jobs[0].Spec.Template.Spec.Containers[0]
		assert.Equal(t, "/data", pod.WorkingDir)
		var env []string
		for _, e := range pod.Env {
			env = append(env, e.Name+"="+e.Value)
		}
		if file == "job.yaml" {
			assert.Equal(t, "Indexed", jobs[0].Spec.CompletionMode)
			assert.Contains(t, env, fmt.Sprint("SHARES=", jobs[0].Spec.Completions))
		}
		for index := range max(1, jobs[0].Spec.Completions) {
			share(t, dir, append(env, fmt.Sprint("JOB_COMPLETION_INDEX=", index)), pod.Command[0], append(pod.Command[1:], pod.Args...)...)
		}
	}
	assertWhole(t, dir, "plan/plan.yaml")
}

// TestTheEngineForKubernetes runs the commands of the run and of two workers, with an address of
// this machine in the place of the service's.
func TestTheEngineForKubernetes(t *testing.T) {
	if raceEnabled {
		t.Skip("many trials: run without the race detector, as make test does")
	}
	dir := t.TempDir()
	for _, folder := range []string{"plan", "results", "engine"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, folder), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plan", "plan.yaml"), []byte(smallPlan), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "engine", "token"), []byte("secret"), 0o600))
	workloads := workloadsIn(t, "../../docs/examples/kubernetes/engine.yaml")
	require.Len(t, workloads, 2)
	address := "127.0.0.1:" + freePort(t)
	here := strings.NewReplacer("0.0.0.0:4222", address, "hemostat-engine:4222", address)
	start := func(w indexedJob) *mortal {
		pod := w.Spec.Template.Spec.Containers[0]
		require.Equal(t, []string{"hemostat"}, pod.Command)
		var args []string
		for _, a := range pod.Args {
			args = append(args, here.Replace(a))
		}
		m := &mortal{t: t, make: func() *exec.Cmd {
			c := exec.Command(binary(t), args...)
			c.Dir = dir
			return c
		}}
		m.start()
		t.Cleanup(m.kill)
		return m
	}
	require.Equal(t, "Deployment", workloads[1].Kind)
	start(workloads[1])
	start(workloads[1])
	run := start(workloads[0])
	select {
	case <-run.dead:
	case <-time.After(2 * time.Minute):
		t.Fatalf("does not end: %s", &run.out)
	}
	_, code := run.ended()
	require.Zero(t, code, "%s", &run.out)
	require.NoError(t, os.Rename(filepath.Join(dir, "results", "hemostat.db"), filepath.Join(dir, "hemostat.db")))
	assertWhole(t, dir, "plan/plan.yaml")
}
