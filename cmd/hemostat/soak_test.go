package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// soakRate is the load of the endurance test, in events a second.
const soakRate = 20_000

// soakVariant is the shipped defence whose memory reaches as far back as ten minutes: what is in
// force for hours, and the correlations that look back for longer, would still be growing at the
// end of an hour of load, and nothing could be told of what is never given up.
const soakVariant = `name: short_memory
response: {most_ttl: 10m}
without_rules:
  - Administrator On Many Hosts By Remote Desktop
  - Domain Discovery In A Row
  - Many Accounts Refused From One Address
  - Many Files Read On A Share
  - Much Data Sent To One Place In Pieces
  - Passwords Tried On Many Accounts
  - Regular Calls By The TLS Client Of A Tool
  - Repeated TLS To A Self-Signed Server
  - SSH Logon After Guessing
  - Second Factor Asked For Again And Again
  - Several Large Uploads To One Place
  - Several Refused SSH Passwords
  - Slow SSH Guessing From One Source
`

// sample is what a live run needed at a time of the endurance test.
type sample struct{ seconds, mebibytes, lag float64 }

// TestLiveHoldsItsMemoryWithKafka loads hemostat live with days of ransomware through a real
// Kafka and looks at its memory and its lag. HEMOSTAT_SOAK is how long, HEMOSTAT_SOAK_OUT a
// folder for the samples and their picture.
func TestLiveHoldsItsMemoryWithKafka(t *testing.T) {
	b := startBroker(t, "log.retention.bytes=300000000\nlog.segment.bytes=50000000\nlog.retention.check.interval.ms=5000")
	lasting := 30 * time.Second
	if text := os.Getenv("HEMOSTAT_SOAK"); text != "" {
		var err error
		lasting, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	estate, variant := filepath.Join(dir, "estate.yaml"), filepath.Join(dir, "short_memory.yaml")
	require.NoError(t, os.WriteFile(variant, []byte(soakVariant), 0o600))
	emit := func(args ...string) *exec.Cmd {
		return exec.Command(binary(t), append([]string{"emit", "ransomware", "--brokers", b.address, "--topic", "logs"}, args...)...)
	}
	out, err := emit("--inventory", estate, "--speed", "0", "--set", "background.rate=0.01").CombinedOutput()
	require.NoError(t, err, string(out))
	port := freePort(t)
	l := &liveRun{t: t, args: []string{"--brokers", b.address, "--topic", "logs=json", "--state", filepath.Join(dir, "state"),
		"--inventory", estate, "--variant", variant, "--listen", "127.0.0.1:" + port, "--snapshot-every", "1m"}}
	l.start()
	defer l.kill()
	defer func() {
		if t.Failed() {
			text := l.log.String()
			t.Log(text[max(0, len(text)-5000):])
		}
	}()
	load := emit("--rate", strconv.Itoa(soakRate), "--for", lasting.String())
	said := &strings.Builder{}
	load.Stderr, load.SysProcAttr = said, endsWithTest
	require.NoError(t, load.Start())
	ended := make(chan error, 1)
	go func() { ended <- load.Wait() }()

	began, every := time.Now(), min(5*time.Second, lasting/20)
	var samples []sample
	for len(ended) == 0 {
		time.Sleep(every)
		select {
		case <-l.ended:
			writeSoak(t, samples)
			require.Fail(t, "hemostat live ended by itself", "%v", l.err)
		default:
		}
		samples = append(samples, sample{time.Since(began).Seconds(), residentOf(t, l.cmd.Process.Pid), metric(t, port, "live_lag_records")})
	}
	require.NoError(t, <-ended, said)
	require.Eventually(t, func() bool { return metric(t, port, "live_lag_records") == 0 }, 30*time.Second, 100*time.Millisecond)
	events := metric(t, port, "live_events_total")
	writeSoak(t, samples)
	t.Logf("%s of load: %s", lasting, strings.TrimSpace(said.String()))
	t.Logf("%.0f events came to the pipeline; %.0f late, %.0f alerts given out; at the end %.0f MiB resident",
		events, metric(t, port, "live_late_events_total"), metric(t, port, "live_outputs_total"), samples[len(samples)-1].mebibytes)
	assert.Greater(t, events, 0.9*soakRate*lasting.Seconds(), "the load came in")
	third := len(samples) / 3
	median := func(part []sample) float64 {
		sorted := slices.SortedFunc(slices.Values(part), func(a, b sample) int { return cmp.Compare(a.mebibytes, b.mebibytes) })
		return sorted[len(sorted)/2].mebibytes
	}
	t.Logf("resident in each third, median: %.0f, %.0f and %.0f MiB", median(samples[:third]), median(samples[third:2*third]),
		median(samples[2*third:]))
	if lasting >= 45*time.Minute { // every third is longer than the variant looks back
		assert.Less(t, median(samples[2*third:]), 1.1*median(samples[third:2*third]), "memory is flat")
	}
}

// residentOf is the resident memory of a process in MiB.
func residentOf(t *testing.T, pid int) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(data)
	require.NotNil(t, found)
	kib, err := strconv.ParseFloat(string(found[1]), 64)
	require.NoError(t, err)
	return kib / 1024
}

// metric is the sum of a metric over its labels, 0 where it is not there yet.
func metric(t *testing.T, port, name string) float64 {
	r, err := http.Get("http://127.0.0.1:" + port + "/metrics")
	if err != nil {
		return 0 // it does not listen yet
	}
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	sum := 0.0
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllSubmatch(text, -1) {
		x, err := strconv.ParseFloat(string(m[1]), 64)
		require.NoError(t, err)
		sum += x
	}
	return sum
}

// writeSoak writes the samples and a picture of them where a folder was named.
func writeSoak(t *testing.T, samples []sample) {
	dir := os.Getenv("HEMOSTAT_SOAK_OUT")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, "soak.csv"))
	require.NoError(t, err)
	w := csv.NewWriter(f)
	require.NoError(t, w.Write([]string{"seconds", "resident_mib", "lag_records"}))
	var line plotter.XYs
	for _, s := range samples {
		line = append(line, plotter.XY{X: s.seconds / 60, Y: s.mebibytes})
		require.NoError(t, w.Write([]string{fmt.Sprintf("%.0f", s.seconds), fmt.Sprintf("%.1f", s.mebibytes), fmt.Sprintf("%.0f", s.lag)}))
	}
	w.Flush()
	require.NoError(t, w.Error())
	require.NoError(t, f.Close())
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text, p.Y.Min = "minutes", "resident memory of hemostat live, MiB", 0
	p.Add(plotter.NewGrid())
	drawn, err := plotter.NewLine(line)
	require.NoError(t, err)
	drawn.Color = plotutil.Color(2)
	p.Add(drawn)
	require.NoError(t, p.Save(16*vg.Centimeter, 8*vg.Centimeter, filepath.Join(dir, "soak.svg")))
}
