package webhook

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/live"
	"hemostat/defenders/live/signature"
	"hemostat/sim/action"
)

var secret = []byte("secret")

// server answers with what f says, and keeps the last request.
func server(t *testing.T, f func(n int64, w http.ResponseWriter, r *http.Request, body []byte)) (Endpoint, *atomic.Int64) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f(n.Add(1), w, r, body)
	}))
	t.Cleanup(s.Close)
	return Endpoint{URL: s.URL, Secret: secret, Timeout: 300 * time.Millisecond, Tries: 3}, &n
}

func alertOutput() *live.Output {
	return &live.Output{ID: "abc", Type: live.AlertOutput, Key: "incident 1", Time: 1772439300 * time.Second, Data: []byte(`{"title":"x"}`)}
}

func TestOutputsAreSignedCloudEvents(t *testing.T) {
	e, n := server(t, func(n int64, w http.ResponseWriter, r *http.Request, body []byte) {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable) // it is tried again
			return
		}
		assert.NoError(t, signature.Verify(secret, body, r.Header.Get(signature.Header), time.Now()))
		assert.Equal(t, "abc", r.Header.Get("Idempotency-Key"))
		assert.Equal(t, "application/cloudevents+json", r.Header.Get("Content-Type"))
		assert.JSONEq(t, `{"specversion":"1.0","id":"abc","source":"/hemostat/live","type":"hemostat.alert","subject":"incident 1",
			"time":"2026-03-02T08:15:00Z","datacontenttype":"application/json","data":{"title":"x"}}`, string(body))
	})
	s, err := NewSink("hook", e, []string{live.AlertOutput}, nil, nil)
	require.NoError(t, err)
	assert.True(t, s.Wants(live.AlertOutput))
	assert.False(t, s.Wants(live.PoisonOutput))
	require.NoError(t, s.Send(context.Background(), alertOutput()))
	assert.EqualValues(t, 2, n.Load())
}

// What a receiver refuses, or does not take after all tries, is laid down; the run goes on.
func TestWhatIsNotTakenIsLaidDown(t *testing.T) {
	for name, x := range map[string]struct {
		answer func(int64, http.ResponseWriter, *http.Request, []byte)
		tries  int64
		why    string
	}{
		"refused": {func(_ int64, w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusBadRequest) }, 1, "it answers 400"},
		"broken":  {func(_ int64, w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusBadGateway) }, 3, "it answers 502"},
		"hanging": {func(_ int64, _ http.ResponseWriter, r *http.Request, _ []byte) { <-r.Context().Done() }, 3, "deadline exceeded"},
		"redirecting": {func(_ int64, w http.ResponseWriter, r *http.Request, _ []byte) {
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
		}, 1, "it answers 307"},
	} {
		e, n := server(t, x.answer)
		file := filepath.Join(t.TempDir(), "dead.ndjson")
		failed := 0
		s, err := NewSink("hook", e, []string{live.AlertOutput}, NewDeadLetters(file), func() { failed++ })
		require.NoError(t, err)
		require.NoError(t, s.Send(context.Background(), alertOutput()), name)
		assert.Equal(t, x.tries, n.Load(), name)
		assert.Equal(t, 1, failed, name)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var letter struct {
			Receiver, Error string
			Event           cloudEvent
		}
		require.NoError(t, json.Unmarshal(data, &letter))
		assert.Equal(t, "hook", letter.Receiver)
		assert.Contains(t, letter.Error, x.why, name)
		assert.Equal(t, "abc", letter.Event.ID)
	}
}

// A run that ends while it waits leaves the output to the next one.
func TestAnEndedContextIsNoDeadLetter(t *testing.T) {
	e, _ := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusBadGateway) })
	file := filepath.Join(t.TempDir(), "dead.ndjson")
	s, err := NewSink("hook", e, nil, NewDeadLetters(file), nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	assert.Error(t, s.Send(ctx, alertOutput()))
	assert.NoFileExists(t, file)
}

func block() *live.ActionDocument {
	return &live.ActionDocument{Action: 7, Phase: "request", Kind: action.BlockIP, Target: "203.0.113.9",
		Params: map[string]string{"source_ip": "203.0.113.9"}, Attempt: "p/s/203.0.113.9/1"}
}

func TestAnExecutorTellsHowAnActionEnded(t *testing.T) {
	for answer, want := range map[string]string{
		"": "true true ", `{"ok":true,"changed":false,"detail":"it was blocked already"}`: "true false it was blocked already",
		`{"ok":false,"detail":"no such address"}`: "false false no such address",
		"<html>": "false false the receiver's answer is no JSON of an action's result",
	} {
		e, _ := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request, body []byte) {
			var c cloudEvent
			assert.NoError(t, json.Unmarshal(body, &c))
			assert.Equal(t, "hemostat.action", c.Type)
			_, _ = io.WriteString(w, answer)
		})
		x, err := NewExecutor(e)
		require.NoError(t, err)
		r, err := x.Execute(context.Background(), "id", block())
		require.NoError(t, err)
		assert.Equal(t, want, strings.Join([]string{text(r.OK), text(r.Changed), r.Detail}, " "))
	}
	e, _ := server(t, func(_ int64, w http.ResponseWriter, _ *http.Request, _ []byte) { w.WriteHeader(http.StatusNotFound) })
	x, err := NewExecutor(e)
	require.NoError(t, err)
	r, err := x.Execute(context.Background(), "id", block())
	require.NoError(t, err)
	assert.False(t, r.OK)
	assert.Equal(t, "the receiver did not take the action: it answers 404", r.Detail)
}

func text(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func TestOpenC2(t *testing.T) {
	var bodies []string
	e, _ := server(t, func(_ int64, w http.ResponseWriter, r *http.Request, body []byte) {
		assert.Equal(t, "application/openc2+json;version=1.0", r.Header.Get("Content-Type"))
		bodies = append(bodies, string(body))
		_, _ = io.WriteString(w, `{"status":200,"status_text":"done"}`)
	})
	x, err := NewOpenC2(e)
	require.NoError(t, err)
	for _, kind := range action.Kinds() {
		for _, phase := range []string{"request", "undo"} {
			a := block()
			a.Kind, a.Phase, a.Params = kind, phase, map[string]string{action.Must(kind).ParamNames()[0]: "203.0.113.9"}
			a.Undoes = "first"
			r, err := x.Execute(context.Background(), "id", a)
			require.NoError(t, err)
			assert.True(t, r.OK && r.Changed && r.Detail == "done", kind)
			assert.Contains(t, bodies[len(bodies)-1], `"command_id":"id"`)
		}
	}
	bodies = nil
	a := block()
	_, err = x.Execute(context.Background(), "id", a)
	require.NoError(t, err)
	a.Phase = "undo"
	_, err = x.Execute(context.Background(), "id2", a)
	require.NoError(t, err)
	assert.Contains(t, bodies[0], `"action":"deny"`)
	assert.Contains(t, bodies[0], `"ipv4_net":"203.0.113.9"`)
	assert.Contains(t, bodies[1], `"action":"allow"`)
}

func TestAddressesAreChecked(t *testing.T) {
	for _, address := range []string{"", "example.org", "ftp://example.org", "://"} {
		_, err := NewExecutor(Endpoint{URL: address})
		assert.ErrorContains(t, err, "is no address of a receiver", address)
	}
}
