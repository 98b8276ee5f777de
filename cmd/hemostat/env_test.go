package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/scenarios/environment"
)

// agentClient says messages to an agentServer.
type agentClient struct {
	t   *testing.T
	url string
}

func (a agentClient) post(path, text string, header ...string) (status int, reply map[string]any) {
	q, err := http.NewRequest(http.MethodPost, a.url+path, strings.NewReader(text))
	require.NoError(a.t, err)
	q.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			q.Host = header[i+1]
		}
	}
	r, err := http.DefaultClient.Do(q)
	require.NoError(a.t, err)
	defer func() { _ = r.Body.Close() }()
	data, err := io.ReadAll(r.Body)
	require.NoError(a.t, err)
	require.NoError(a.t, json.Unmarshal(data, &reply), string(data))
	return r.StatusCode, reply
}

// serveAgents serves an environment of short days.
func serveAgents(t *testing.T, change func(*agentServer)) agentClient {
	o := &envOptions{side: "blue", seed: 5, step: time.Minute, reward: environment.ScoreReward, harm: environment.HarmReward,
		thinking: "stops", set: []string{"background.rate=0.02"}}
	e, v, err := o.environment([]string{"web-shell"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, v.Close()) })
	s := &agentServer{options: e, most: 3, patience: time.Minute, errOut: os.Stderr, sessions: map[string]*agentSession{}}
	change(s)
	server := httptest.NewServer(s.handler())
	t.Cleanup(server.Close)
	t.Cleanup(func() { s.forget(func(*agentSession) bool { return true }) })
	return agentClient{t, server.URL}
}

const hello = `{"type":"hello","protocol":1,"agent":"a"}`

func TestSeveralAgentsPlayAtOnce(t *testing.T) {
	var s *agentServer
	c := serveAgents(t, func(x *agentServer) { s = x })
	scores := make([]any, 3)
	var wg sync.WaitGroup
	for i := range scores {
		wg.Go(func() {
			status, ready := c.post("/v1/sessions", hello)
			if !assert.Equal(t, http.StatusCreated, status) {
				return
			}
			session := "/v1/sessions/" + ready["session"].(string)
			_, o := c.post(session, `{"type":"reset"}`)
			for o["done"] == false {
				_, o = c.post(session, `{"type":"step","wait_ns":3600000000000}`)
			}
			scores[i] = o["result"].(map[string]any)["score"]
			status, _ = c.post(session, `{"type":"bye"}`)
			assert.Equal(t, http.StatusOK, status)
			status, _ = c.post(session, `{"type":"reset"}`)
			assert.Equal(t, http.StatusNotFound, status, "bye ends the session")
		})
	}
	wg.Wait()
	require.NotNil(t, scores[0])
	require.Equal(t, scores[0], scores[1])
	require.Equal(t, scores[0], scores[2])
	require.Empty(t, s.sessions)
}

func TestWhoMayNotPlay(t *testing.T) {
	var s *agentServer
	c := serveAgents(t, func(x *agentServer) { s = x })
	for range s.most {
		status, _ := c.post("/v1/sessions", hello)
		require.Equal(t, http.StatusCreated, status)
	}
	status, said := c.post("/v1/sessions", hello)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, said["error"], "--sessions allows no more")
	var id string
	for id = range s.sessions {
	}
	session := "/v1/sessions/" + id
	for _, x := range []struct {
		path, text string
		header     []string
		status     int
		want       string
	}{
		{session, `{"type":"step"}`, nil, http.StatusUnprocessableEntity, "no trial goes on"},
		{"/v1/sessions", `{"type":"reset"}`, nil, http.StatusUnprocessableEntity, "hello comes first"},
		{"/v1/sessions", `{"type":"bye"}`, nil, http.StatusUnprocessableEntity, "hello comes first"},
		{"/v1/sessions/none", `{"type":"reset"}`, nil, http.StatusNotFound, "no such session"},
		{session, strings.Repeat(" ", environment.MostBytes+1), nil, http.StatusRequestEntityTooLarge, "too large"},
		{session, `{"type":"reset"}`, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType, "application/json is expected"},
		{session, `{"type":"reset"}`, []string{"Host", "attacker.example"}, http.StatusMisdirectedRequest, "only localhost"},
	} {
		status, said := c.post(x.path, x.text, x.header...)
		require.Equal(t, x.status, status, x)
		require.Contains(t, said["error"], x.want)
	}
	s.forget(func(x *agentSession) bool { return time.Since(x.heard) > time.Minute })
	require.Len(t, s.sessions, s.most, "all were heard of lately")
	s.forget(func(x *agentSession) bool { return x == s.sessions[id] })
	status, _ = c.post(session, `{"type":"reset"}`)
	require.Equal(t, http.StatusNotFound, status, "a silent session has ended")
	q, err := http.NewRequest(http.MethodDelete, c.url+session, nil)
	require.NoError(t, err)
	r, err := http.DefaultClient.Do(q)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusNotFound, r.StatusCode)

	guarded := serveAgents(t, func(x *agentServer) { x.token = "the token" })
	status, _ = guarded.post("/v1/sessions", hello)
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = guarded.post("/v1/sessions", hello, "Authorization", "Bearer wrong")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = guarded.post("/v1/sessions", hello, "Authorization", "Bearer the token", "Host", "elsewhere.example")
	require.Equal(t, http.StatusCreated, status)
}

// TestTheGuideToAgentsWithGymnasium runs the Python part of docs/agents.md: the checkers, a short
// training, its comparison; then the language model with tools against a model of the test's own.
func TestTheGuideToAgentsWithGymnasium(t *testing.T) {
	python := os.Getenv("HEMOSTAT_GYMNASIUM")
	if python == "" {
		t.Skip("no Python with Gymnasium here: make test-gymnasium installs it and runs this test")
	}
	text, err := os.ReadFile("../../docs/agents.md")
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "gymnasium"), os.DirFS("../../docs/examples/gymnasium")))
	run := func(in string, program string, args ...string) string {
		c := exec.Command(program, args...)
		c.Dir = filepath.Join(dir, in)
		c.Env = append(os.Environ(), "PATH="+filepath.Dir(python)+":"+filepath.Dir(binary(t))+":"+os.Getenv("PATH"), "HEMOSTAT="+binary(t))
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s %s\n%s", program, args, out)
		t.Log(string(out))
		return string(out)
	}
	commands := ""
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		if block[1] == "bash" {
			commands += block[3] + "\n"
		}
	}
	require.Contains(t, commands, "train.py")
	out := run("", "sh", "-e", "-c", commands)
	require.Contains(t, out, "Hemostat/Blue-v1 keeps to Gymnasium's interface")
	require.Contains(t, out, "duel keeps to PettingZoo's interface")
	scores := map[string]float64{}
	for _, name := range []string{"random", "trained"} {
		_, after, found := strings.Cut(out, name+": mean score ")
		require.True(t, found)
		var score float64
		_, err := fmt.Sscanf(after, "%f", &score)
		require.NoError(t, err)
		scores[name] = score
	}
	require.Greater(t, scores["trained"], scores["random"])
	require.Contains(t, out, "trained")

	asked := 0
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		assert.NoError(t, err)
		assert.True(t, bytes.Contains(body, []byte(`"name": "isolate_host"`)), "each kind of action is a tool")
		asked++
		call := ""
		if asked == 1 {
			call = `{"function":{"name":"isolate_host","arguments":"{\"host\":\"WEB001\"}"}},{"function":{"name":"undo","arguments":"{\"action\":77}"}}`
		}
		fmt.Fprintf(w, `{"choices":[{"message":{"tool_calls":[%s]}}],"usage":{"completion_tokens":50}}`, call)
	}))
	defer model.Close()
	out = run("gymnasium", python, "llm_agent.py", "--url", model.URL+"/v1", "--db", "model.db")
	require.Contains(t, out, "day 0: score ")
	require.Greater(t, asked, 1)
	require.Contains(t, run("gymnasium", "hemostat", "trace", "web-shell/0", "--db", "model.db"), "agent:model")
}
