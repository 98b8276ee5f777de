package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/reports/compare"
	"hemostat/reports/store"
	"hemostat/sim/record"
)

// hostile is text from a stranger that would be markup, a script, or an order to a terminal if it were let.
const hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b]0;owned\x07\u202e"

// at is a time of a trial, in minutes.
func at(minutes int) record.Time { return record.At(time.Duration(minutes) * time.Minute) }

// exampleTrial is a trial with something in every table that a page shows.
func exampleTrial(scenario, variant string, index int) *record.Trial {
	t := &record.Trial{Scenario: scenario, Variant: variant, Index: index, Status: "ok", Outcome: "contained", Detected: true, Contained: true,
		TimeToDetect: at(5 + index), TimeToRespond: at(6 + index), Horizon: int64(8 * time.Hour), AlertsTotal: 3, AlertsFalse: index,
		ActionsTotal: 2, Score: 90 - float64(index), Disruption: float64(index)}
	if index%2 == 0 {
		t.TimeToContain = at(30)
	}
	t.TrialID = record.TrialID(scenario, variant, 1, index)
	t.Attacks = []record.Attack{{Attack: 1, Name: "affiliate " + hostile, Outcome: "contained", Started: at(1), Contained: at(30)}}
	t.Steps = []record.Step{
		{Attack: 1, Step: 0, Technique: "T1566.001", Name: "Phishing " + hostile, Target: "WS001", Started: *at(1),
			Ended: *at(2), Succeeded: true, Reason: hostile},
		{Attack: 1, Step: 1, Technique: "T1021.002", Name: "Shares", Host: "WS001", Target: "SQL001", Started: *at(10),
			Ended: *at(11), Succeeded: true},
		{Attack: 1, Step: 2, Technique: "T1486", Name: "Encryption", Host: "SQL001", Target: "SQL001", Started: *at(31),
			Ended: *at(32), BlockedBy: 1, Reason: "isolated"},
	}
	t.Alerts = []record.Alert{
		{Alert: 1, Time: *at(5), EventTime: *at(5), Detector: "sigma", RuleID: "r1", Title: "Alert " + hostile,
			Technique: "T1021.002", Severity: "high",
			Confidence: 0.8, Host: "SQL001", User: hostile, Evidence: []uint64{7, 9}, Incident: 1, Campaign: 1, Attack: 1, Step: 1,
			Reasons: []record.Reason{{Field: "CommandLine", Value: hostile, Test: "contains"}}},
		{Alert: 2, Time: *at(20), EventTime: *at(20), Detector: "reflex", Title: "False", Severity: "low", Host: "WS002"},
	}
	t.Incidents = []record.Incident{{Incident: 1, Campaign: 1, First: *at(5), Last: *at(5), Alerts: 1, Severity: "high",
		Score: 0.9, Attack: 1}}
	t.Approvals = []record.Approval{{Approval: 1, Incident: 1, Playbook: "p", Step: "s", Action: "isolate_host",
		Target: "SQL001", Asked: *at(6), Closed: at(12),
		Outcome: "approved", Approver: hostile, Just: true, Confidence: 0.9}}
	t.Actions = []record.Action{{Action: 1, Incident: 1, Playbook: "p", Step: "s", Kind: "isolate_host",
		Target: "SQL001", Status: "succeeded", Detail: hostile,
		Asked: *at(12), Ended: at(13), Undone: at(200)}}
	return t
}

// example is a database of two variants with a hostile one among them.
func example(t *testing.T) (file string, db *store.DB) {
	file = filepath.Join(t.TempDir(), "example.db")
	db, err := store.Create(t.Context(), file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, db.Begin(store.Run{ID: "run1", CreatedAt: "2026-01-02T03:04:05Z", ToolVersion: "1"}, nil, nil))
	for _, variant := range []string{"default", "night " + hostile} {
		for i := range 12 {
			require.NoError(t, db.Put(store.Identity{Run: "run1", Seed: 1}, exampleTrial("ransomware", variant, i)))
		}
	}
	require.NoError(t, db.PutDocument(store.GateDocument, "pass "+hostile,
		[]byte(`{"verdict":"pass","candidate":"`+"x"+`","reasons":["`+"<b>why</b>"+`"],
		"checks":[{"metric":"contained","scenario":"*","verdict":"pass","estimate":0.5,"lo":null,"hi":1,"margin":0.03,"n":12,"reason":"fine"}]}`)))
	require.NoError(t, db.PutDocument(store.FidelityDocument, "report",
		[]byte(`{"techniques_compared":1,"techniques":[{"id":"T1003","recordings":2,"tools":1}]}`)))
	return file, db
}

// liveRun is a live run with one request for approval.
type liveRun struct {
	open    bool
	answers []string
	broken  error
}

func (l *liveRun) List(context.Context) ([]byte, error) {
	if l.broken != nil {
		return nil, l.broken
	}
	if !l.open {
		return []byte(`{"approvals":[]}`), nil
	}
	return json.Marshal(map[string]any{"approvals": []map[string]any{{"approval": 3, "incident": 1, "playbook": "p", "kind": "isolate_host",
		"targets": []string{hostile}, "risk": "high", "severity": "high", "confidence": 0.93,
		"deadline": time.Now().Add(time.Minute), "asked": time.Now()}}})
}

func (l *liveRun) Incident(context.Context, int) ([]byte, error) {
	return json.Marshal(map[string]any{"narrative": []map[string]any{{"text": "Somebody moved to SQL001 " + hostile, "alerts": []int{1}}}})
}

func (l *liveRun) Answer(_ context.Context, id int, approved bool, by string) error {
	if id != 3 || !l.open {
		return ErrClosed
	}
	l.open = false
	l.answers = append(l.answers, fmt.Sprint(id, " ", approved, " ", by))
	return nil
}

// serveExample serves the example database.
func serveExample(t *testing.T, file string, change func(*Options)) *Server {
	o := Options{File: file, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Registry: prometheus.NewRegistry(),
		Technique: func(id string) (string, string) {
			if id == "T1486" {
				return "Data Encrypted for Impact", "impact"
			}
			return "", ""
		},
		Overview: func(context.Context, string) (template.HTML, error) { return "<p>an overview</p>", nil },
		Compare: func(context.Context, string, string, string) (*compare.Result, error) {
			return nil, errors.New("there is nothing to compare")
		},
		Explain: func(_ context.Context, t *record.Trial, n int) (Explained, error) {
			text, err := json.Marshal(map[string]any{"incident": n, "incidents": []int{n}, "severity": "high",
				"attack_graph": map[string]any{"root_cause": hostile},
				"narrative":    []map[string]any{{"text": hostile, "alerts": []int{1}}}, "alerts": []map[string]any{{"alert": 1, "title": hostile}}})
			return Explained{text, []byte("<svg/>")}, err
		},
		Estate: func(context.Context, *record.Trial) ([]Host, error) {
			return []Host{{"WS001", "users", "workstation"}, {"WS002", "users", "workstation"}, {"SQL001", "servers", hostile}}, nil
		},
	}
	if change != nil {
		change(&o)
	}
	s, err := New(t.Context(), o)
	require.NoError(t, err)
	return s
}

// ask sends a request as a browser on this machine would.
func ask(s *Server, method, target string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(method, "http://127.0.0.1:8087"+target, strings.NewReader(form.Encode()))
	if form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			q.Host = headers[i+1]
		}
		q.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, q)
	return w
}

// paths are all pages of the example.
func paths() []string {
	trial := "/trials/" + record.TrialID("ransomware", "default", 1, 0)
	return []string{"/", "/?run=run1", "/trials", "/trials?scenario=ransomware&sort=score&page=1", "/overview",
		"/compare", "/gates", "/gates/1", "/fidelity",
		"/fidelity/2", "/approvals", "/login", trial, trial + "?from=60&to=1200", trial + "/timeline", trial + "/map",
		trial + "/map?at=700", trial + "/story",
		trial + "/alerts", trial + "/alerts/1", trial + "/incidents/1", "/nothing", trial + "/alerts/77",
		trial + "/incidents/5", "/trials/0000000000000000"}
}

// Every page escapes what stands in logs and files of strangers, loads nothing from elsewhere, has
// the headers, and is small.
func TestPages(t *testing.T) {
	file, _ := example(t)
	s := serveExample(t, file, func(o *Options) { o.Live = &liveRun{open: true} })
	outside := regexp.MustCompile(`(?:src|href|action|data)="(?:https?:)?//`)
	handlers := regexp.MustCompile(`<[a-z]+(?:\s+[a-z-]+="[^"]*")*\s+on[a-z]+=`)
	for _, path := range paths() {
		w := ask(s, http.MethodGet, path, nil)
		text := w.Body.String()
		missing := strings.Contains(path, "nothing") || strings.Contains(path, "77") || strings.HasSuffix(path,
			"/5") || strings.Contains(path, "0000000000000000")
		if missing {
			assert.Equal(t, http.StatusNotFound, w.Code, path)
		} else {
			assert.Equal(t, http.StatusOK, w.Code, "%s: %s", path, text)
		}
		assert.Less(t, len(text), 200_000, path)
		assert.NotContains(t, text, "\x1b", path)
		assert.NotContains(t, text, "\u202e", path)
		assert.NotRegexp(t, outside, text, path)
		if w.Header().Get("Content-Type") == "text/html; charset=utf-8" {
			assert.NotContains(t, text, "<script>", path)
			assert.NotContains(t, text, "<img src=x", path)
			assert.NotRegexp(t, handlers, text, path)
			assert.NotContains(t, text, "<style", path)
		}
		assert.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'", path)
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), path)
		assert.Equal(t, "DENY", w.Header().Get("X-Frame-Options"), path)
	}
}

func TestWhatPagesSay(t *testing.T) {
	file, _ := example(t)
	s := serveExample(t, file, func(o *Options) { o.Live = &liveRun{open: true} })
	trial := "/trials/" + record.TrialID("ransomware", "default", 1, 0)
	for path, wants := range map[string][]string{
		"/":                               {"run1", "24 trials", "ransomware", "100 %"},
		"/gates":                          {"pass &lt;script"},
		"/gates/1":                        {"&lt;b&gt;why", "contained", "0.5", "- to 1"},
		"/fidelity/2":                     {"T1003"},
		"/overview":                       {"an overview"},
		"/approvals":                      {"isolate_host", "93 %", "Somebody moved to SQL001", `action="/approvals/3"`},
		trial:                             {"blocked by", "#action-1", "zone servers", "incidents/1", "Zoom in"},
		trial + "/alerts/1":               {"CommandLine", "Events 7, 9", "run --keep-events keeps it", "#step-1-1"},
		trial + "/map?at=60":              {`class="host quiet"`, "servers, 1", `class="move later"`},
		trial + "/map?at=900":             {`class="host held"`, `class="host attacked isolated"`},
		trial + "/incidents/1":            {"root cause", "graph.svg"},
		"/compare?baseline=a&candidate=a": {"the same variant"},
		"/compare?baseline=a&candidate=b": {"there is nothing to compare"},
	} {
		text := ask(s, http.MethodGet, path, nil).Body.String()
		for _, want := range wants {
			assert.Contains(t, text, want, path)
		}
	}
	graph := ask(s, http.MethodGet, trial+"/incidents/1/graph.svg", nil)
	assert.Equal(t, "image/svg+xml", graph.Header().Get("Content-Type"))
	style := ask(s, http.MethodGet, "/static/web.css", nil)
	assert.Contains(t, style.Body.String(), "--good")
	assert.Equal(t, http.StatusNotFound, ask(s, http.MethodGet, "/static/..%2fserver.go", nil).Code)
	assert.Equal(t, http.StatusNotFound, ask(s, http.MethodGet, "/static/openapi.json", nil).Code)
	assert.Contains(t, ask(s, http.MethodGet, "/metrics", nil).Body.String(), `serve_request_seconds_count{page="/trials/{id}"}`)
}

func TestListsAreSortedAndFiltered(t *testing.T) {
	file, _ := example(t)
	s := serveExample(t, file, nil)
	list := func(query string) (ids []string, all int) {
		w := ask(s, http.MethodGet, "/api/v1/trials"+query, nil)
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		var got struct {
			Trials []listedTrial
			Total  int
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		for _, x := range got.Trials {
			ids = append(ids, fmt.Sprint(x.Variant[:5], x.Index))
		}
		return ids, got.Total
	}
	ids, all := list("?variant=default&sort=time_to_contain&order=asc")
	assert.Equal(t, 12, all)
	assert.Equal(t, []string{"defau10", "defau8", "defau6"}, ids[:3], "equal ones: the newest first")
	assert.Equal(t, "defau1", ids[11], "what never happened is last")
	ids, _ = list("?variant=default&sort=score&order=asc")
	assert.Equal(t, []string{"defau11", "defau10", "defau9"}, ids[:3])
	ids, _ = list("")
	assert.Equal(t, "night11", ids[0], "the newest first")
	_, all = list("?index=3")
	assert.Equal(t, 2, all)
	_, all = list("?scenario=nothing")
	assert.Equal(t, 0, all)
	_, all = list("?seed=2")
	assert.Equal(t, 0, all)
	for _, bad := range []string{"?sort=x", "?order=x", "?page=0", "?page=x", "?seed=x", "?index=-1", "?what=1", "?page=999999"} {
		w := ask(s, http.MethodGet, "/api/v1/trials"+bad, nil)
		assert.Equal(t, http.StatusBadRequest, w.Code, bad)
		assert.Contains(t, w.Body.String(), `"error"`, bad)
	}
}

func TestSelectFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		list := make([]int, random.IntN(400))
		for i := range list {
			list[i] = random.IntN(1 + random.IntN(200))
		}
		n := random.IntN(len(list) + 1)
		want := slices.Sorted(slices.Values(list))[:n]
		selectFirst(list, n, func(a, b int) int { return a - b })
		slices.Sort(list[:n])
		require.True(t, slices.Equal(want, list[:n]))
	}
}

// A database that other programs write to while it is served: new trials come, a failed one is
// replaced, some are removed, the file is replaced.
func TestADatabaseThatChanges(t *testing.T) {
	file, db := example(t)
	s := serveExample(t, file, nil)
	require.Equal(t, 24, s.Trials())
	failed := &record.Trial{TrialID: exampleTrial("ransomware", "default", 100).TrialID, Scenario: "ransomware",
		Variant: "default", Index: 100,
		Status: "error", Error: "it broke"}
	require.NoError(t, db.Put(store.Identity{Run: "run1", Seed: 1}, failed))
	require.Eventually(t, func() bool { return s.Trials() == 25 }, 10*time.Second, 10*time.Millisecond)
	status := func() string {
		v := s.catalog.view()
		return v.names[v.trials[len(v.trials)-1].status]
	}
	assert.Equal(t, "error", status())
	require.NoError(t, db.Put(store.Identity{Run: "run1", Seed: 1}, exampleTrial("ransomware", "default", 100)))
	require.Eventually(t, func() bool { return status() == "ok" }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, 25, s.Trials())
	before := s.catalog.view()

	other, otherDB := example(t)
	require.NoError(t, otherDB.Close())
	require.NoError(t, db.Close())
	for _, end := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(file + end) // some are not there
	}
	require.NoError(t, os.Rename(other, file))
	require.Eventually(t, func() bool { return s.Trials() == 24 }, 10*time.Second, 10*time.Millisecond)
	assert.Len(t, before.trials, 25, "a view does not change")
	assert.Equal(t, http.StatusOK, ask(s, http.MethodGet, "/", nil).Code)
}

// Requests of other sites, other names, without or with a wrong token get nothing.
func TestNobodyElseGetsIn(t *testing.T) {
	file, _ := example(t)
	run := &liveRun{open: true}
	s := serveExample(t, file, func(o *Options) { o.Live = run })
	form := url.Values{"answer": {"approve"}, "by": {"kim"}}
	assert.Equal(t, http.StatusForbidden, ask(s, http.MethodPost, "/approvals/3", form, "Origin", "http://evil.example").Code)
	assert.Equal(t, http.StatusForbidden, ask(s, http.MethodPost, "/approvals/3", form, "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, http.StatusMisdirectedRequest, ask(s, http.MethodGet, "/", nil, "Host", "evil.example").Code, "DNS rebinding")
	assert.Equal(t, http.StatusMisdirectedRequest, ask(s, http.MethodGet, "/api/v1/runs", nil, "Host", "127.0.0.1.evil.example:8087").Code)
	for _, host := range []string{"localhost:8087", "127.0.0.1", "[::1]:8087"} {
		assert.Equal(t, http.StatusOK, ask(s, http.MethodGet, "/", nil, "Host", host).Code, host)
	}
	assert.Empty(t, run.answers)

	guarded := serveExample(t, file, func(o *Options) { o.Live, o.Token, o.IsSecure = run, "the token", true })
	for _, path := range paths() {
		if path == "/login" {
			continue
		}
		w := ask(guarded, http.MethodGet, path, nil, "Host", "soc.example")
		assert.Equal(t, http.StatusSeeOther, w.Code, path)
		assert.Equal(t, "/login", w.Header().Get("Location"))
	}
	for _, path := range []string{"/api/v1/runs", "/api/v1/approvals", "/metrics"} {
		assert.Equal(t, http.StatusUnauthorized, ask(guarded, http.MethodGet, path, nil).Code, path)
		assert.Equal(t, http.StatusUnauthorized, ask(guarded, http.MethodGet, path, nil, "Authorization", "Bearer wrong").Code, path)
		assert.Equal(t, http.StatusOK, ask(guarded, http.MethodGet, path, nil, "Authorization", "Bearer the token").Code, path)
	}
	assert.Equal(t, http.StatusUnauthorized, ask(guarded, http.MethodPost, "/approvals/3", form).Code)
	assert.Equal(t, http.StatusOK, ask(guarded, http.MethodGet, "/healthz", nil).Code)
	assert.Equal(t, http.StatusForbidden, ask(guarded, http.MethodPost, "/login", url.Values{"token": {"wrong"}}).Code)
	w := ask(guarded, http.MethodPost, "/login", url.Values{"token": {"the token"}})
	require.Equal(t, http.StatusSeeOther, w.Code)
	cookie := w.Result().Cookies()[0]
	assert.True(t, cookie.HttpOnly && cookie.Secure && cookie.SameSite == http.SameSiteStrictMode)
	assert.NotContains(t, cookie.Value, "token")
	assert.Equal(t, http.StatusOK, ask(guarded, http.MethodGet, "/", nil, "Cookie", cookie.Name+"="+cookie.Value).Code)
	assert.Equal(t, http.StatusSeeOther, ask(guarded, http.MethodGet, "/", nil, "Cookie", cookie.Name+"=forged").Code)
	assert.Empty(t, run.answers)
}

// What goes wrong is logged without what a request carried: no token, no cookie, no parameter.
func TestNoSecretIsLogged(t *testing.T) {
	file, _ := example(t)
	var logged bytes.Buffer
	s := serveExample(t, file, func(o *Options) {
		o.Log, o.Token = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})), "the secret token"
		o.Explain = func(context.Context, *record.Trial, int) (Explained, error) {
			return Explained{}, errors.New("it broke")
		}
	})
	path := "/trials/" + record.TrialID("ransomware", "default", 1, 0) + "/incidents/1?token=the+secret+token"
	w := ask(s, http.MethodGet, path, nil, "Authorization", "Bearer the secret token", "Cookie", cookieName+"="+s.cookie)
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	ask(s, http.MethodPost, "/login", url.Values{"token": {"the secret token, nearly"}})
	assert.Contains(t, logged.String(), "it broke")
	assert.NotContains(t, logged.String(), "secret")
	assert.NotContains(t, logged.String(), s.cookie)
}

func TestAnswers(t *testing.T) {
	file, _ := example(t)
	run := &liveRun{open: true}
	s := serveExample(t, file, func(o *Options) { o.Live = run })
	good := url.Values{"answer": {"approve"}, "by": {" kim "}}
	for _, bad := range []struct {
		path string
		form url.Values
		want int
	}{
		{"/approvals/x", good, http.StatusNotFound},
		{"/approvals/3", url.Values{"answer": {"approve"}}, http.StatusBadRequest},
		{"/approvals/3", url.Values{"answer": {"perhaps"}, "by": {"kim"}}, http.StatusBadRequest},
		{"/approvals/3", url.Values{"answer": {"approve"}, "by": {strings.Repeat("x", 300)}}, http.StatusBadRequest},
		{"/approvals/4", good, http.StatusConflict},
	} {
		assert.Equal(t, bad.want, ask(s, http.MethodPost, bad.path, bad.form).Code, bad)
	}
	assert.Empty(t, run.answers)
	assert.Equal(t, http.StatusSeeOther, ask(s, http.MethodPost, "/approvals/3", good, "Origin", "http://127.0.0.1:8087").Code)
	assert.Equal(t, []string{"3 true kim"}, run.answers)
	assert.Equal(t, http.StatusConflict, ask(s, http.MethodPost, "/approvals/3", good).Code, "an answer counts once")

	post := func(body, kind string) int {
		q := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8087/api/v1/approvals/3", strings.NewReader(body))
		q.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, q)
		return w.Code
	}
	run.open = true
	for _, bad := range []string{"", "{}", `{"approved":true}`, `{"approved":true,"by":"kim","more":1}`,
		strings.Repeat(" ", 20_000) + `{"approved":true,"by":"kim"}`} {
		assert.Equal(t, http.StatusBadRequest, post(bad, "application/json"), bad)
	}
	assert.Equal(t, http.StatusBadRequest, post(`{"approved":false,"by":"kim"}`, "text/plain"), "a form of another site can send this type")
	assert.Equal(t, http.StatusOK, post(`{"approved":false,"by":"kim"}`, "application/json"))
	assert.Equal(t, "3 false kim", run.answers[1])

	run.broken = errors.New("no live run answers")
	assert.Contains(t, ask(s, http.MethodGet, "/approvals", nil).Body.String(), "no live run answers")
	assert.Equal(t, http.StatusBadGateway, ask(s, http.MethodGet, "/api/v1/approvals", nil).Code)
	none := serveExample(t, file, nil)
	assert.Contains(t, ask(none, http.MethodGet, "/approvals", nil).Body.String(), "No live run is named")
	assert.Equal(t, http.StatusNotFound, ask(none, http.MethodGet, "/api/v1/approvals", nil).Code)
}

// What takes long is computed once, in the background, and its page asks again.
func TestSlowPages(t *testing.T) {
	file, db := example(t)
	release, began := make(chan struct{}), make(chan struct{}, 100)
	s := serveExample(t, file, func(o *Options) {
		o.Overview = func(ctx context.Context, run string) (template.HTML, error) {
			began <- struct{}{}
			<-release
			return template.HTML("about " + run), nil
		}
	})
	for range 3 {
		w := ask(s, http.MethodGet, "/overview?run=a", nil)
		assert.Equal(t, http.StatusAccepted, w.Code)
		assert.Contains(t, w.Body.String(), `http-equiv="refresh"`)
	}
	assert.Len(t, began, 1)
	close(release)
	require.Eventually(t, func() bool {
		return strings.Contains(ask(s, http.MethodGet, "/overview?run=a", nil).Body.String(), "about a")
	},
		5*time.Second, 10*time.Millisecond)
	version := s.catalog.view().version
	require.NoError(t, db.Put(store.Identity{Run: "run1", Seed: 1}, exampleTrial("web-shell", "default", 1)))
	require.Eventually(t, func() bool { return s.catalog.view().version > version }, 10*time.Second, 10*time.Millisecond)
	w := ask(s, http.MethodGet, "/overview?run=a", nil)
	assert.Equal(t, http.StatusOK, w.Code, "the older one, until there is a newer one")
	assert.Contains(t, w.Body.String(), "As of")
}

func TestTicks(t *testing.T) {
	for _, span := range []time.Duration{2 * time.Second, time.Minute, 8 * time.Hour, 7 * 24 * time.Hour, 400 * 24 * time.Hour} {
		ticks := ticksOf(window{int64(time.Second), int64(time.Second + span)}, func(at int64) float64 { return float64(at) })
		assert.NotEmpty(t, ticks, span)
		assert.LessOrEqual(t, len(ticks), 60, span)
	}
}

// A day with very many alerts is still a small page: marks that stand together are one.
func TestALineOfManyMarks(t *testing.T) {
	x := exampleTrial("ransomware", "default", 0)
	for i := range 50_000 {
		x.Alerts = append(x.Alerts, record.Alert{Alert: 10 + i, Time: int64(i) * int64(500*time.Millisecond), Title: "many",
			Host: "WS001", Severity: "low", Attack: i % 2})
	}
	drawn, err := drawTimeline(lanesOf(x, map[string]string{"WS001": "users"}), window{0, x.Horizon})
	require.NoError(t, err)
	assert.Less(t, len(drawn), 120_000)
	assert.Contains(t, string(drawn), "more until here")
}

func TestStatesOfHosts(t *testing.T) {
	x := exampleTrial("ransomware", "default", 0)
	x.Actions = append(x.Actions, record.Action{Action: 2, Kind: "restore_from_backup", Target: "SQL001", Status: "succeeded", Ended: at(100)})
	changes := changesOf(x)
	for _, c := range []struct {
		minute int
		host   string
		want   string
	}{{0, "WS001", "host quiet"}, {2, "WS001", "host attacked"}, {10, "WS001", "host held"}, {6, "SQL001", "host alert"},
		{11, "SQL001", "host attacked"},
		{14, "SQL001", "host attacked isolated"}, {150, "SQL001", "host restored isolated"}, {201, "SQL001", "host restored"}} {
		assert.Equal(t, c.want, classOf(statesAt(changes, *at(c.minute))[c.host]), "%s at %d min", c.host, c.minute)
	}
}
