package chat

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stub is a server that answers as a test wants it.
type stub struct {
	*httptest.Server
	asked atomic.Int64
}

func serve(t *testing.T, answer func(w http.ResponseWriter, body map[string]any, n int)) *stub {
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		answer(w, body, int(s.asked.Add(1)))
	}))
	t.Cleanup(s.Close)
	return s
}

// say is an answer of a model.
func say(w io.Writer, model, text, finish string) {
	fmt.Fprintf(w, `{"model":%q,"choices":[{"message":{"role":"assistant","content":%q},"finish_reason":%q}],"usage":{"prompt_tokens":10,"completion_tokens":5}}`,
		model, text, finish)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":%q,"type":"invalid_request_error"}}`, message)
}

var question = Question{
	Model: "m", Prompt: "1", Messages: []Message{{"user", "is it hostile?"}}, Name: "verdict",
	Schema: json.RawMessage(`{"type":"object"}`), MaxTokens: 20,
}

func endpoint(url string) *Endpoint {
	return New(Config{URL: url + "/v1", Model: "m", Key: "sk-secret-key", Timeout: 5 * time.Second,
		Backoff: time.Millisecond})
}

func TestAnAnswerComesWithItsTokensAndTime(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, body map[string]any, _ int) {
		format := body["response_format"].(map[string]any)
		require.Equal(t, "json_schema", format["type"])
		require.Equal(t, 20.0, body["max_tokens"])
		time.Sleep(10 * time.Millisecond)
		say(w, "m-2026-01-01", `{"a":1}`, "stop")
	})
	r, err := endpoint(s.URL).Ask(context.Background(), &question)
	require.NoError(t, err)
	require.Equal(t, `{"a":1}`, r.Text)
	require.Equal(t, 10, r.Input)
	require.Equal(t, 5, r.Output)
	require.GreaterOrEqual(t, r.Latency, 10*time.Millisecond)
}

func TestServersWithoutSchemasAreAskedOtherwise(t *testing.T) {
	var forms []string
	s := serve(t, func(w http.ResponseWriter, body map[string]any, _ int) {
		format, _ := body["response_format"].(map[string]any)
		kind, _ := format["type"].(string)
		if format["schema"] != nil {
			kind += "+schema"
		}
		forms = append(forms, kind)
		switch {
		case kind == "json_schema":
			refuse(w, 500, "response_format.type: Input should be 'text' or 'json_object'")
		case kind != "":
			refuse(w, 400, "this model knows no response_format")
		case body["max_tokens"] != nil:
			refuse(w, 400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
		case body["temperature"] != nil:
			refuse(w, 400, "'temperature' does not support this value")
		default:
			say(w, "m", "words {}", "stop")
		}
	})
	e := endpoint(s.URL)
	r, err := e.Ask(context.Background(), &question)
	require.NoError(t, err)
	require.Equal(t, "words {}", r.Text)
	require.Equal(t, []string{"json_schema", "json_object+schema", "json_object", "", "", ""}, forms)
	_, err = e.Ask(context.Background(), &question)
	require.NoError(t, err)
	require.Len(t, forms, 7, "what the server understands is remembered")
}

func TestWhatTheServerCannotDoJustNowIsAskedAgain(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ map[string]any, n int) {
		switch n {
		case 1:
			w.Header().Set("Retry-After", "0.01")
			refuse(w, 429, "slow down")
		case 2:
			refuse(w, 503, "overloaded")
		default:
			say(w, "m", "{}", "stop")
		}
	})
	r, err := endpoint(s.URL).Ask(context.Background(), &question)
	require.NoError(t, err)
	require.Equal(t, "{}", r.Text)
	require.EqualValues(t, 3, s.asked.Load())
}

func TestAnswersThatCannotBeUsedAreNoErrors(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string
	}{
		"cut off":   {func(w http.ResponseWriter) { say(w, "m", `{"a":`, "length") }, "cut off after 20 tokens"},
		"empty":     {func(w http.ResponseWriter) { say(w, "m", " ", "stop") }, "empty"},
		"filter":    {func(w http.ResponseWriter) { say(w, "m", "x", "content_filter") }, "filter"},
		"no choice": {func(w http.ResponseWriter) { fmt.Fprint(w, `{"model":"m"}`) }, "empty"},
		"no JSON":   {func(w http.ResponseWriter) { fmt.Fprint(w, `<html>`) }, "unusable"},
		"half a message": {func(w http.ResponseWriter) { fmt.Fprint(w, `{"model":"m","choices":[{`) },
			"unexpected EOF"},
		"always busy": {func(w http.ResponseWriter) { refuse(w, 503, "busy "+strings.Repeat("x", 5000)) },
			"status 503"},
		"bad request": {func(w http.ResponseWriter) { refuse(w, 400, "no") }, "status 400"},
		"much too long": {func(w http.ResponseWriter) { fmt.Fprint(w, `{"model":"`+strings.Repeat("m", 2<<20)) },
			"longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ map[string]any, _ int) { c.answer(w) })
			r, err := endpoint(s.URL).Ask(context.Background(), &question)
			require.NoError(t, err)
			require.Contains(t, r.Failed, c.want)
			require.Less(t, len(r.Failed), 200, "what a server sends is not passed on")
		})
	}
}

func TestAStreamWithoutEndIsCutOff(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ map[string]any, _ int) {
		for {
			if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
				return
			}
		}
	})
	r, err := endpoint(s.URL).Ask(context.Background(), &question)
	require.NoError(t, err)
	require.Contains(t, r.Failed, "longer than 1048576 bytes")
}

func TestASlowServerCostsTheTimeAllowed(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, _ map[string]any, _ int) { time.Sleep(300 * time.Millisecond) })
	e := New(Config{URL: s.URL, Model: "m", Timeout: 50 * time.Millisecond})
	r, err := e.Ask(context.Background(), &question)
	require.NoError(t, err)
	require.Equal(t, "no answer within 50ms", r.Failed)
	require.Equal(t, 50*time.Millisecond, r.Latency)
}

func TestWhatWillNotChangeEndsTheWorkAndIsSaidOnce(t *testing.T) {
	redirected := serve(t, func(http.ResponseWriter, map[string]any, int) { t.Error("a redirect was followed") })
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string
	}{
		"wrong key": {func(w http.ResponseWriter) { refuse(w, 401, "bad key sk-secret-key") },
			"does not accept the key (401)"},
		"no path":  {func(w http.ResponseWriter) { refuse(w, 404, "none") }, "often ends in /v1"},
		"no money": {func(w http.ResponseWriter) { refuse(w, 402, "pay") }, "wants payment"},
		"another model": {func(w http.ResponseWriter) { say(w, "n", "{}", "stop") },
			`answered with the model "n", not "m"`},
		"redirect": {func(w http.ResponseWriter) {
			w.Header().Set("Location", redirected.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "redirects to 127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ map[string]any, _ int) { c.answer(w) })
			e := endpoint(s.URL)
			for range 3 {
				_, err := e.Ask(context.Background(), &question)
				var fatal *FatalError
				require.ErrorAs(t, err, &fatal)
				require.Contains(t, err.Error(), c.want)
				require.NotContains(t, err.Error(), "sk-secret")
			}
			require.EqualValues(t, 1, s.asked.Load(), "later questions are not sent")
		})
	}
}

func TestCertificates(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		say(w, "m", "{}", "stop")
	}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	_, err := endpoint(s.URL).Ask(context.Background(), &question)
	require.ErrorContains(t, err, "certificate")
	require.ErrorContains(t, err, "ca_file")

	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: s.Certificate().Raw})))
	r, err := New(Config{URL: s.URL, Model: "m", Authorities: pool}).Ask(context.Background(), &question)
	require.NoError(t, err)
	require.Equal(t, "{}", r.Text)
}

func TestAServerThatIsGoneIsGivenUp(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	e := New(Config{URL: s.URL, Model: "m", Retries: -1})
	for range mostUnreachable - 1 {
		r, err := e.Ask(context.Background(), &question)
		require.NoError(t, err)
		require.NotEmpty(t, r.Failed)
	}
	_, err := e.Ask(context.Background(), &question)
	require.ErrorContains(t, err, "cannot be reached")
}

func TestCheckAsksBeforeARun(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"serves it":   {200, `{"data":[{"id":"m"}]}`, ""},
		"no list":     {404, `{}`, ""},
		"empty list":  {200, `{"data":[]}`, ""},
		"other model": {200, `{"data":[{"id":"a"},{"id":"b"}]}`, `does not serve the model "m"; it serves a, b`},
		"wrong key":   {401, `{"error":{"message":"x"}}`, "does not accept the key"},
		"broken":      {500, `x`, ""},
		"no JSON":     {200, `<html>`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ map[string]any, _ int) {
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			})
			err := endpoint(s.URL).Check(context.Background())
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

// counter answers at once.
type counter struct{ asked int }

func (c *counter) Ask(context.Context, *Question) (Reply, error) {
	c.asked++
	return Reply{Text: "{}", Input: 40, Output: 10}, nil
}

func TestABudgetIsNeverPassed(t *testing.T) {
	now := time.Unix(0, 0)
	clock := func() time.Time { return now }
	price := Price{Input: 1e4, Output: 2e4} // 0.4 and 0.2 a question
	for name, c := range map[string]struct {
		limits Limits
		asked  int
		want   string
	}{
		"tokens": {Limits{Tokens: 300}, 5, "of 300 tokens are spent"},
		"money":  {Limits{Money: 2.5}, 3, "of 2.5000 are spent"},
		"none":   {Limits{}, 50, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var to counter
			b := NewBudget(c.limits, price, &to, clock)
			var err error
			for i := 0; i < 50 && err == nil; i++ {
				_, err = b.Ask(context.Background(), &question)
			}
			require.Equal(t, c.asked, to.asked)
			spent := b.Spent()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrBudget)
			require.ErrorContains(t, err, c.want)
			require.True(t, c.limits.Tokens == 0 || spent.Tokens <= c.limits.Tokens)
			require.True(t, c.limits.Money == 0 || spent.Money <= c.limits.Money)
			require.NotEmpty(t, b.Most())
		})
	}
	var to counter
	b := NewBudget(Limits{Time: time.Minute}, price, &to, clock)
	_, err := b.Ask(context.Background(), &question)
	require.NoError(t, err)
	now = now.Add(2 * time.Minute)
	_, err = b.Ask(context.Background(), &question)
	require.ErrorIs(t, err, ErrBudget)
	require.Equal(t, "1m0s", b.Most())
}

func TestAKeyCoversEverythingThatIsAsked(t *testing.T) {
	other := question
	require.Equal(t, question.Key(), other.Key())
	other.Prompt = "2"
	require.NotEqual(t, question.Key(), other.Key())
	other = question
	other.Messages = []Message{{"user", "is it hostile"}}
	require.NotEqual(t, question.Key(), other.Key())
}
