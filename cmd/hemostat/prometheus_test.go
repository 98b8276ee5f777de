package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"gopkg.in/yaml.v3"

	"hemostat/defenders/live/kafka"
)

// expressions are those of all panels and rules that hemostat dashboards writes, by their place. Of
// an alerting rule it is whether the value is beyond the limit, which is there whenever the
// value is.
func expressions(t *testing.T, dir string) map[string]string {
	all := map[string]string{}
	boards, err := filepath.Glob(filepath.Join(dir, "grafana", "*.json"))
	require.NoError(t, err)
	require.Len(t, boards, 5)
	for _, name := range boards {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr, RefID, LegendFormat string }
			}
		}
		require.NoError(t, json.Unmarshal(data, &board))
		for _, p := range board.Panels {
			for _, q := range p.Targets {
				all[filepath.Base(name)+"/"+p.Title+"/"+q.LegendFormat] = q.Expr
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "prometheus", "rules.yml"))
	require.NoError(t, err)
	var rules struct {
		Groups []struct {
			Rules []struct{ Record, Alert, Expr string }
		}
	}
	require.NoError(t, yaml.Unmarshal(data, &rules))
	limit := regexp.MustCompile(`\) (>|<|==) ([0-9.]+)$`)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			expr := r.Expr
			if r.Alert != "" {
				require.Regexp(t, limit, expr, r.Alert)
				expr = limit.ReplaceAllString(expr, ") $1 bool $2")
			}
			all[r.Record+r.Alert] = expr
		}
	}
	return all
}

// TestDashboardsWithPrometheus scrapes a live run and a batch, both under load, with a real
// Prometheus, and runs every query of every dashboard and rule against it: none may be empty.
func TestDashboardsWithPrometheus(t *testing.T) {
	prometheus := os.Getenv("HEMOSTAT_PROMETHEUS")
	if prometheus == "" {
		t.Skip("no Prometheus here: make test-prometheus installs one and runs this test")
	}
	dir := t.TempDir()
	hemostat := func(args ...string) *exec.Cmd {
		c := exec.Command(binary(t), args...)
		c.Dir = dir
		return c
	}
	background := func(c *exec.Cmd) {
		var log bytes.Buffer
		c.Stdout, c.Stderr = &log, &log
		require.NoError(t, c.Start())
		t.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
			if t.Failed() {
				t.Log(c.Args, log.String())
			}
		})
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(3))
	require.NoError(t, err)
	defer cluster.Close()
	broker := cluster.ListenAddrs()[0]
	servers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusNotFound) // the source of intelligence knows nothing
		}
	}))
	defer servers.Close()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "watched.yaml"), fmt.Appendf(nil,
		"name: watched\nintel:\n  - {name: vendor, server: {kind: json, url: \"%s/?value={value}\"}}\n", servers.URL), 0o600))

	out, err := hemostat("dashboards", "-o", "dash").CombinedOutput()
	require.NoError(t, err, string(out))
	live, batch, web := freePort(t), freePort(t), freePort(t)
	config, err := os.ReadFile(filepath.Join(dir, "dash/prometheus/prometheus.yml"))
	require.NoError(t, err)
	config = []byte(strings.NewReplacer("8088", live, "9100", batch, "15s", "1s").Replace(string(config)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dash/prometheus/prometheus.yml"), config, 0o600))
	promtool := filepath.Join(filepath.Dir(prometheus), "promtool")
	out, err = exec.Command(promtool, "check", "config", filepath.Join(dir, "dash/prometheus/prometheus.yml")).CombinedOutput()
	require.NoError(t, err, string(out))

	emit := func(seed string) {
		out, err := hemostat("emit", "ransomware", "--brokers", broker, "--topic", "logs",
			"--inventory", "estate.yaml", "--seed", seed, "--speed", "0",
			"--set", "background.rate=0.1").CombinedOutput()
		require.NoError(t, err, string(out))
	}
	emit("1")
	w, err := kafka.NewWriter(t.Context(), kafka.Connection{Brokers: []string{broker}}, "logs")
	require.NoError(t, err)
	w.Write(t.Context(), "", []byte("this is no log"))
	require.NoError(t, w.Flush(t.Context()))
	w.Close()
	background(hemostat("live", "--brokers", broker, "--topic", "logs", "--from-oldest",
		"--inventory", "estate.yaml", "--variant", "watched.yaml",
		"--listen", "127.0.0.1:"+live, "--webhook", servers.URL, "--snapshot-every", "1s"))
	background(hemostat("run", "ransomware", "--trials", "100000", "--metrics", "127.0.0.1:"+batch, "--parallel", "1"))
	background(exec.Command(prometheus, "--config.file", filepath.Join(dir, "dash/prometheus/prometheus.yml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", "127.0.0.1:"+web))
	approve := func(args ...string) string {
		out, _ := hemostat(append([]string{"approve", "--url", "http://127.0.0.1:" + live}, args...)...).CombinedOutput()
		return string(out)
	}
	require.Eventually(t, func() bool { return strings.Contains(approve(), "RISK") }, 30*time.Second, 200*time.Millisecond)
	for id := 1; id <= 3; id++ {
		approve(fmt.Sprint(id), "--by", "kim")
	}
	ask := func(expr string) (n int, why string) {
		answer, err := http.Get("http://127.0.0.1:" + web + "/api/v1/query?query=" + url.QueryEscape(expr))
		if err != nil {
			return 0, err.Error()
		}
		defer answer.Body.Close()
		data, err := io.ReadAll(answer.Body)
		if err != nil {
			return 0, err.Error()
		}
		var r struct {
			Status, Error string
			Data          struct{ Result []any }
		}
		if err := json.Unmarshal(data, &r); err != nil {
			return 0, err.Error()
		}
		return len(r.Data.Result), r.Error
	}
	all := expressions(t, filepath.Join(dir, "dash"))
	require.Greater(t, len(all), 45)
	seed := 1
	empty := map[string]string{}
	assert.Eventually(t, func() bool {
		seed++
		emit(fmt.Sprint(seed)) // something happens between two looks
		clear(empty)
		for place, expr := range all {
			if n, why := ask(expr); n == 0 {
				empty[place] = expr + " " + why
			}
		}
		return len(empty) == 0
	}, 90*time.Second, 2*time.Second)
	assert.Empty(t, empty, "each query has an answer")
	t.Logf("%d queries have an answer", len(all))
}
