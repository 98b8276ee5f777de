package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mortal is a process that is killed and started again.
type mortal struct {
	t    *testing.T
	make func() *exec.Cmd
	mu   sync.Mutex
	cmd  *exec.Cmd
	dead chan struct{}
	out  bytes.Buffer
}

func (m *mortal) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cmd = m.make()
	var writer io.Writer = &m.out
	m.cmd.Stdout, m.cmd.Stderr = writer, writer
	m.cmd.SysProcAttr = endsWithTest
	require.NoError(m.t, m.cmd.Start())
	m.dead = make(chan struct{})
	go func(c *exec.Cmd, dead chan struct{}) { _ = c.Wait(); close(dead) }(m.cmd, m.dead)
}

func (m *mortal) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.cmd.Process.Kill() // it may have ended by itself
	<-m.dead
}

// ended tells whether the process has ended by itself, and with which code.
func (m *mortal) ended() (bool, int) {
	select {
	case <-m.dead:
		return true, m.cmd.ProcessState.ExitCode()
	default:
		return false, 0
	}
}

// startNATS starts the nats-server that make test-nats builds.
func startNATS(t *testing.T, settings ...string) (server *mortal, url string) {
	program := os.Getenv("HEMOSTAT_NATS")
	if program == "" {
		t.Skip("no NATS server here: make test-nats builds one and runs this test")
	}
	port, dir := freePort(t), t.TempDir()
	server = &mortal{t: t, make: func() *exec.Cmd {
		return exec.Command(program, append([]string{"-a", "127.0.0.1", "-p", port, "-js", "-sd", dir}, settings...)...)
	}}
	server.start()
	t.Cleanup(server.kill)
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}, 20*time.Second, 20*time.Millisecond, "%s", &server.out)
	return server, "nats://127.0.0.1:" + port
}

// TestADistributedRunSurvivesKillsWithNATS kills workers, the server and the run itself at random
// moments: no trial is lost, none comes twice, and all have the digests of a run that was left
// alone. HEMOSTAT_KILLS says how many kills there are.
func TestADistributedRunSurvivesKillsWithNATS(t *testing.T) {
	server, url := startNATS(t)
	kills := 20
	if text := os.Getenv("HEMOSTAT_KILLS"); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	program := func(args ...string) *exec.Cmd {
		c := exec.Command(binary(t), args...)
		c.Dir = dir
		return c
	}
	var hands []*mortal
	for range 3 {
		w := &mortal{t: t, make: func() *exec.Cmd { return program("worker", "--engine", url, "--parallel", "1") }}
		w.start()
		t.Cleanup(w.kill)
		hands = append(hands, w)
	}
	random := rand.New(rand.NewPCG(7, 7))
	done := map[string]int{}
	trials := 0
	for round := 1; done["worker"]+done["server"]+done["run"] < kills; round++ {
		common := []string{"run", "web-shell", "ssh-brute-force", "--trials", "60", "--seed",
			strconv.Itoa(round), "--set", "background.rate=0.05"}
		local, distributed := filepath.Join(dir, fmt.Sprint("local", round, ".db")), filepath.Join(dir, fmt.Sprint("distributed", round, ".db"))
		out, err := program(append(common, "--db", local)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		run := &mortal{t: t, make: func() *exec.Cmd {
			return program(append(common, "--db", distributed, "--resume", "--engine", url, "--engine-attempts", "20", "--engine-patience", "2s")...)
		}}
		run.start()
		t.Cleanup(run.kill)
		for began := time.Now(); ; {
			if ended, code := run.ended(); ended {
				require.Zero(t, code, "%s", &run.out)
				break
			}
			require.Less(t, time.Since(began), 15*time.Minute, "%s", &run.out)
			time.Sleep(time.Duration(300+random.IntN(500)) * time.Millisecond)
			if ended, _ := run.ended(); ended || done["worker"]+done["server"]+done["run"] >= kills {
				continue
			}
			switch k := random.IntN(100); {
			case k < 80:
				w := hands[k%len(hands)]
				w.kill()
				w.start()
				done["worker"]++
			case k < 97:
				server.kill()
				time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
				server.start()
				done["server"]++
			default:
				run.kill()
				run.start()
				done["run"]++
			}
		}
		want := digests(t, local)
		require.Len(t, want, 120)
		require.Equal(t, want, digests(t, distributed))
		out, err = program("db", "verify", distributed).CombinedOutput()
		require.NoError(t, err, "%s", out)
		trials += len(want)
	}
	t.Logf("%d kills of workers, %d of the server, %d of the run: %d trials, each once and with the digest of a local run",
		done["worker"], done["server"], done["run"], trials)
}

// TestWorkersWithOtherFilesWithNATS tries what a worker refuses, and what it says.
func TestWorkersWithOtherFilesWithNATS(t *testing.T) {
	_, url := startNATS(t, "--auth", "s3cret")
	same, other := t.TempDir(), t.TempDir()
	for dir, confidence := range map[string]string{same: "high", other: "low"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "rules"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rules", "r.yml"), fmt.Appendf(nil, `title: Web server starts a shell
id: 1f0c4d1e-6f0a-4b43-8a43-0b1f63ac7a11
status: test
level: %s
logsource: {category: process_creation, product: linux}
detection: {selection: {ParentImage|endswith: /nginx, Image|endswith: /sh}, condition: selection}
`, confidence), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "v.yaml"), []byte("name: mine\nrules: [embedded, rules]\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte("s3cret\n"), 0o600))
	}
	start := func(dir string, args ...string) *mortal {
		m := &mortal{t: t, make: func() *exec.Cmd {
			c := exec.Command(binary(t), append(args, "--engine", url, "--engine-token-file", "token")...)
			c.Dir = dir
			return c
		}}
		m.start()
		t.Cleanup(m.kill)
		return m
	}
	c := exec.Command(binary(t), "worker", "--engine", url)
	out, err := c.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, strings.ToLower(string(out)), "authorization violation")

	wrong := start(other, "worker", "--name", "wrong", "--idle", "8s")
	run := start(same, "run", "web-shell", "--variant", "v.yaml", "--trials", "2", "--set", "background.rate=0.05", "--db", "d.db")
	time.Sleep(4 * time.Second)
	ended, _ := run.ended()
	require.False(t, ended, "nobody may take this work: %s", &run.out)
	right := start(same, "worker", "--name", "right", "--idle", "8s")
	for _, m := range []*mortal{run, wrong, right} {
		select {
		case <-m.dead:
		case <-time.After(60 * time.Second):
			t.Fatalf("does not end: %s", &m.out)
		}
		_, code := m.ended()
		assert.Zero(t, code, "%s", &m.out)
	}
	assert.Regexp(t, `worker wrong takes no work of this run: variant mine.* has the digest [0-9a-f]{12} here and [0-9a-f]{12} at the run; give this worker the same files`, run.out.String())
	assert.Contains(t, wrong.out.String(), "is refused")
	assert.Contains(t, run.out.String(), "2 trials in")
}
