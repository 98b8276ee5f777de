package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
)

// TestTheGuideToLiveRuns runs the rehearsal of docs/live.md against a broker in this process, at
// the port that the guide takes for granted.
func TestTheGuideToLiveRuns(t *testing.T) {
	if raceEnabled {
		t.Skip("a whole simulated day: run without the race detector, as make test does")
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(9092), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(3))
	if err != nil {
		t.Skip("port 9092 is in use: ", err)
	}
	defer cluster.Close()
	data, err := os.ReadFile("../../docs/live.md")
	require.NoError(t, err)
	var commands string
	for _, block := range fence.FindAllStringSubmatch(string(data), -1) {
		if block[1] == "sh" && block[2] == "kafka" {
			commands = block[3]
		}
	}
	require.NotEmpty(t, commands)
	dir := t.TempDir()
	shell := func(line string) *exec.Cmd {
		c := exec.Command("sh", "-c", "exec "+line)
		c.Dir = dir
		c.Env = append(os.Environ(), "PATH="+filepath.Dir(binary(t))+":"+os.Getenv("PATH"))
		return c
	}
	outputs := map[string]string{}
	_, err = exec.LookPath("prometheus")
	isWatched := err == nil
	for line := range strings.Lines(commands) {
		line = strings.TrimSpace(line)
		if !isWatched && (strings.HasPrefix(line, "prometheus") || strings.Contains(line, ":9090")) {
			t.Logf("%s is passed over: there is no Prometheus here", line)
			continue
		}
		if background, ok := strings.CutSuffix(line, " &"); ok {
			c := shell(background)
			var log strings.Builder
			c.Stderr = &log
			c.SysProcAttr = endsWithTest
			require.NoError(t, c.Start())
			defer func() {
				require.NoError(t, c.Process.Signal(os.Interrupt))
				assert.NoError(t, c.Wait(), log.String())
				if strings.Contains(background, "hemostat live") {
					assert.Contains(t, log.String(), "a later run goes on from here")
				}
			}()
			continue
		}
		var out []byte
		assert.Eventually(t, func() bool {
			out, err = shell(line).CombinedOutput()
			return err == nil && !strings.Contains(string(out), "nothing waits") && !strings.Contains(string(out), `"result":[]`)
		}, 60*time.Second, 300*time.Millisecond, line)
		require.NoError(t, err, "%s: %s", line, out)
		outputs[line] = string(out)
	}
	assert.Contains(t, outputs["hemostat approve --state live"], "RISK")
	assert.Contains(t, outputs["curl -s http://127.0.0.1:8087/approvals"], "Approve")
	assert.Contains(t, outputs["curl -s http://127.0.0.1:8088/metrics"], "live_events_total")
	assert.Contains(t, outputs["hemostat audit verify live/audit.ndjson"], "lines in order")
}
