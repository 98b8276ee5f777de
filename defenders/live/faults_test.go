package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders"
	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/defenders/live/signature"
)

var logs = Position{"logs", 0}

// alerted waits for the alert about a user.
func (g *rig) alerted(user string) {
	g.t.Helper()
	g.eventually("an alert about "+user, func() bool {
		for _, a := range g.receiver.of(AlertOutput) {
			if a["user"] == user {
				return true
			}
		}
		return false
	})
}

// Records that cannot be read are given out, and nothing stops at them.
func TestPoison(t *testing.T) {
	g := newRig(t)
	g.start()
	for _, text := range []string{"{", "", `{"a":1}`, "\x00\xff", strings.Repeat("[", 100_000)} {
		g.stream.add(logs, text)
	}
	g.stream.add(logs, logon(1, "evil1"))
	g.alerted("evil1")
	g.eventually("each poison is told", func() bool { return len(g.receiver.of(PoisonOutput)) == 5 })
	g.end()
	for i, p := range g.receiver.of(PoisonOutput) {
		assert.EqualValues(t, i, p["offset"])
		assert.NotEmpty(t, p["reason"])
	}
}

// A sender whose clock is hours off does not hold others up, and its own events count.
func TestClockSkew(t *testing.T) {
	g := newRig(t)
	g.options = func(o *Options) { o.Straggle = 20 * time.Millisecond }
	g.start()
	now := time.Now().UTC()
	at := func(by time.Duration, user string) string {
		return fmt.Sprintf(`{"EventID":4624,"Channel":"Security","Computer":"pc1","SystemTime":%q,"TargetUserName":%q}`,
			now.Add(by).Format(time.RFC3339), user)
	}
	g.stream.add(logs, at(7*time.Hour, "evil future"))
	g.stream.add(logs, at(0, "evil now"))
	g.stream.add(logs, at(-9*time.Hour, "evil past"))
	for _, user := range []string{"evil future", "evil now", "evil past"} {
		g.alerted(user)
	}
	g.end()
}

// While a receiver takes nothing, no more is taken in than may wait; then all arrives.
func TestBackPressure(t *testing.T) {
	g := newRig(t)
	g.receiver.block = make(chan struct{})
	g.options = func(o *Options) { o.MostUndelivered = 20 }
	g.start()
	const n = 200
	for i := range n {
		g.stream.add(logs, logon(i, fmt.Sprint("evil", i)))
	}
	g.eventually("the run holds back", func() bool {
		lag, known := g.runtime.options.Source.Lag(logs, 0)
		return known && lag == n && len(g.runtime.inputs) == 0
	})
	time.Sleep(100 * time.Millisecond)
	close(g.receiver.block)
	g.alerted(fmt.Sprint("evil", n-1))
	g.end()
	assert.LessOrEqual(t, g.runtime.state.Records, uint64(n))
	assert.Len(t, g.receiver.of(AlertOutput), n)
}

// A sink that fails, for instance since it cannot lay down what a receiver refused, is asked again.
func TestASinkThatFailsIsAskedAgain(t *testing.T) {
	g := newRig(t)
	g.receiver.failing = 1
	g.start()
	g.stream.add(logs, logon(1, "evil1"))
	g.alerted("evil1")
	g.end()
	assert.Empty(t, g.runtime.state.Undelivered)
}

// A folder serves one run; a state that was cut is taken from the snapshot before; one of
// another configuration is refused, unless it may be left.
func TestStates(t *testing.T) {
	g := newRig(t)
	g.options = func(o *Options) { o.SnapshotEvery = 20 * time.Millisecond }
	g.start()
	_, err := g.new()
	assert.ErrorContains(t, err, "is in use by another run")
	g.stream.add(logs, logon(1, "evil1"))
	g.alerted("evil1")
	g.end()
	g.start()
	g.stream.add(logs, logon(2, "evil2"))
	g.alerted("evil2")
	g.end()

	numbers, err := (&Runtime{options: Options{Dir: g.dir}}).snapshots()
	require.NoError(t, err)
	require.Len(t, numbers, 2)
	newest := filepath.Join(g.dir, fmt.Sprintf("%s%06d", snapshotName, numbers[1]))
	data, err := os.ReadFile(newest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(newest, data[:len(data)/2], 0o600))
	g.start()
	g.stream.add(logs, logon(3, "evil3"))
	g.alerted("evil3")
	g.end()
	assert.Len(t, g.receiver.of(AlertOutput), 3, "nothing came twice")
	verified(t, g.dir)

	other := func(o *Options) {
		inner := o.Build
		o.Build = func() (defenders.Config, error) {
			c, err := inner()
			c.Inventory = inventory.New([]inventory.Host{{Name: "pc1"}}, nil)
			return c, err
		}
	}
	g.options = other
	_, err = g.new()
	assert.ErrorContains(t, err, "--new-state begins with an empty pipeline")
	g.options = func(o *Options) { other(o); o.NewState = true }
	g.start()
	g.stream.add(logs, logon(4, "evil4"))
	g.alerted("evil4")
	g.end()
	assert.Len(t, g.receiver.of(AlertOutput), 4)
	verified(t, g.dir)

	require.NoError(t, os.Truncate(auditPath(g.dir), 10))
	_, err = g.new()
	assert.ErrorContains(t, err, "it was cut")
}

// An audit file whose lines were changed, left out, moved or put in is found out.
func TestAuditFile(t *testing.T) {
	g := newRig(t)
	g.start()
	for i := range 5 {
		g.stream.add(logs, logon(i, fmt.Sprint("evil", i)))
	}
	g.alerted("evil4")
	g.end()
	data, err := os.ReadFile(auditPath(g.dir))
	require.NoError(t, err)
	lines := bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	check := func(list ...[]byte) string {
		c, err := VerifyAudit(bytes.NewReader(bytes.Join(list, nil)))
		require.NoError(t, err)
		return c.Fault
	}
	assert.Empty(t, check(lines...))
	assert.Empty(t, check(lines[2:]...), "a file that was rotated begins later")
	assert.Contains(t, check(lines[0], lines[2]), "does not follow")
	assert.Contains(t, check(lines[1], lines[0]), "does not follow")
	assert.Contains(t, check(bytes.Replace(lines[0], []byte(`evil0`), []byte(`kim00`), 1), lines[1]), "was changed")
	assert.Contains(t, check([]byte("{}\n")), "was changed")
	assert.Contains(t, check([]byte("nonsense\n")), "no line of an audit file")
}

// halting are servers of intelligence that stop in the middle of a run.
type halting struct{ asked atomic.Int64 }

func (h *halting) Ask(list []fusion.Indicator) []fusion.Answer {
	status := fusion.StatusMiss
	if h.asked.Add(1) > 1 {
		status = fusion.StatusError
	}
	var out []fusion.Answer
	for _, i := range list {
		out = append(out, fusion.Answer{Source: "vendor", Indicator: i, Status: status})
	}
	return out
}

// What a server of intelligence said is said again after a kill, without asking it; what it could
// not say stands in the incident.
func TestASourceOfIntelligenceThatStops(t *testing.T) {
	g := newRig(t)
	h := &halting{}
	g.options = func(o *Options) {
		inner := o.Build
		o.Build = func() (defenders.Config, error) {
			c, err := inner()
			c.Asker = h
			return c, err
		}
	}
	g.start()
	remote := func(i int, address string) string {
		return strings.Replace(logon(i, fmt.Sprint("evil", i)), `"EventID"`, fmt.Sprintf(`"IpAddress":%q,"EventID"`, address), 1)
	}
	g.stream.add(logs, remote(1, "203.0.113.1"))
	g.alerted("evil1")
	g.stream.add(logs, remote(2, "203.0.113.2"))
	g.alerted("evil2")
	require.Greater(t, h.asked.Load(), int64(1))
	g.kill()
	g.start()
	g.stream.add(logs, logon(3, "evil3"))
	g.alerted("evil3")
	g.end()
	threat := g.runtime.pipeline.Explain(2, epoch)
	assert.Equal(t, []string{"vendor"}, threat.MissingSources)
	said := ""
	for _, s := range threat.Narrative {
		said += s.Text + " "
	}
	assert.Contains(t, said, "vendor")
	assert.Empty(t, g.runtime.pipeline.Explain(1, epoch).MissingSources)
	assert.Len(t, g.receiver.of(AlertOutput), 3)
}

// api asks a run's handler.
func api(h http.Handler, method, path, body string, header ...string) (int, map[string]any) {
	q := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	var m map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &m)
	return w.Code, m
}

func TestApprovalsOverHTTP(t *testing.T) {
	g := newRig(t)
	g.start()
	registry := prometheus.NewRegistry()
	secret := []byte("secret")
	h := Handler(g.runtime, registry, "token", secret)
	for i := 1; i <= 3; i++ {
		g.stream.add(logs, logon(i, fmt.Sprint("evil", i)))
	}
	g.eventually("three approvals wait", func() bool { return len(g.runtime.approvals()) == 3 })

	code, _ := api(h, "GET", "/api/v1/approvals", "")
	assert.Equal(t, http.StatusUnauthorized, code)
	code, _ = api(h, "POST", "/api/v1/approvals/1", `{"approved":true,"by":"kim"}`, "Authorization", "Bearer wrong")
	assert.Equal(t, http.StatusUnauthorized, code)
	code, list := api(h, "GET", "/api/v1/approvals", "", "Authorization", "Bearer token")
	assert.Equal(t, http.StatusOK, code)
	first := list["approvals"].([]any)[0].(map[string]any)
	assert.Equal(t, "isolate_host", first["kind"])
	assert.Equal(t, []any{"pc1"}, first["targets"])
	assert.Equal(t, "high", first["risk"])

	for body, want := range map[string]int{
		`{`: http.StatusBadRequest, `{"by":"kim"}`: http.StatusBadRequest, `{"approved":true}`: http.StatusBadRequest,
		`{"approved":true,"by":"kim","more":1}`:                        http.StatusBadRequest,
		`{"approved":true,"by":"` + strings.Repeat("k", 300) + `"}`:    http.StatusBadRequest,
		`{"approved":true,"by":"` + strings.Repeat("k", maxBody) + `"`: http.StatusBadRequest,
	} {
		code, _ = api(h, "POST", "/api/v1/approvals/1", body, "Authorization", "Bearer token")
		assert.Equal(t, want, code, body[:min(len(body), 40)])
	}
	code, _ = api(h, "POST", "/api/v1/approvals/../../metrics", `{"approved":true,"by":"kim"}`, "Authorization", "Bearer token")
	assert.NotEqual(t, http.StatusOK, code)
	code, _ = api(h, "POST", "/api/v1/approvals/1", `{"approved":true,"by":"kim"}`, "Authorization", "Bearer token")
	assert.Equal(t, http.StatusOK, code)
	code, m := api(h, "POST", "/api/v1/approvals/1", `{"approved":false,"by":"eve"}`, "Authorization", "Bearer token")
	assert.Equal(t, http.StatusConflict, code, "an answer counts once")
	assert.Contains(t, m["error"], "nobody waits")

	answer := `{"approval":2,"approved":false,"by":"lee"}`
	code, _ = api(h, "POST", "/api/v1/answers", answer)
	assert.Equal(t, http.StatusForbidden, code)
	code, _ = api(h, "POST", "/api/v1/answers", answer, signature.Header, signature.Sign([]byte("forged"), []byte(answer), time.Now()))
	assert.Equal(t, http.StatusForbidden, code)
	signed := signature.Sign(secret, []byte(answer), time.Now())
	code, _ = api(h, "POST", "/api/v1/answers", answer, signature.Header, signed)
	assert.Equal(t, http.StatusOK, code)
	code, _ = api(h, "POST", "/api/v1/answers", answer, signature.Header, signed)
	assert.Equal(t, http.StatusConflict, code, "a replayed answer changes nothing")
	code, _ = api(Handler(g.runtime, registry, "token", nil), "POST", "/api/v1/answers", answer, signature.Header, signed)
	assert.Equal(t, http.StatusForbidden, code, "without a secret no signed answer is accepted")
	code, m = api(h, "GET", "/api/v1/incidents", "", "Authorization", "Bearer token")
	assert.Equal(t, http.StatusOK, code)
	assert.Len(t, m["incidents"], 3)
	code, m = api(h, "GET", "/api/v1/incidents/2", "", "Authorization", "Bearer token")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, 2.0, m["incident"])
	code, _ = api(h, "GET", "/api/v1/incidents/9", "", "Authorization", "Bearer token")
	assert.Equal(t, http.StatusNotFound, code)
	code, _ = api(h, "GET", "/api/v1/incidents/2", "")
	assert.Equal(t, http.StatusUnauthorized, code)
	code, _ = api(h, "GET", "/healthz", "")
	assert.Equal(t, http.StatusOK, code)
	g.eventually("the action is carried out", func() bool {
		g.receiver.mutex.Lock()
		defer g.receiver.mutex.Unlock()
		return g.receiver.done["request isolate/cut/pc1/1"] == 1
	})
	g.end()
	for _, a := range g.receiver.of(ApprovalOutput) {
		if a["approval"] == 2.0 && a["phase"] == "closed" {
			assert.Equal(t, "denied", a["outcome"])
			assert.Equal(t, "lee", a["by"])
		}
	}
}

// A disk that is full ends the run with an error, and the next one goes on.
func TestAFullDisk(t *testing.T) {
	g := newRig(t)
	g.start()
	g.stream.add(logs, logon(1, "evil1"))
	g.alerted("evil1")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	g.end()
	r, err := g.new()
	require.NoError(t, err)
	g.runtime = r
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.feed = newFeed(ctx, r.options.Source)
	require.NoError(t, r.repeat(ctx))
	require.NoError(t, r.journal.file.Close())
	r.journal.file = full
	r.journal.w.Reset(full)
	g.stream.add(logs, logon(2, "evil2"))
	err = r.loop(ctx)
	assert.ErrorContains(t, err, "no space left")
	r.feed.stop()
	_ = r.audit.file.Close()
	_ = r.lock.Close()
	g.start()
	g.alerted("evil2")
	g.end()
	assert.Len(t, g.receiver.of(AlertOutput), 2)
	verified(t, g.dir)
}
