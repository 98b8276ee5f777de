package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/reports/store"
	"hemostat/sim/record"
)

// stubModel is a server that confirms every alert; asked counts its questions.
type stubModel struct {
	*httptest.Server
	asked  atomic.Int64
	status atomic.Int64 // of answers when it is not 0
}

func newStubModel(t *testing.T) *stubModel {
	s := &stubModel{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := int(s.status.Load()); status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error":{"message":"no"}}`)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/models") {
			fmt.Fprint(w, `{"data":[{"id":"stub"}]}`)
			return
		}
		s.asked.Add(1)
		fmt.Fprint(w, `{"model":"stub","choices":[{"message":{"content":"{\"decision\":\"confirm\",\"confidence\":0.7,\"technique\":\"\",\"reasons\":[{\"text\":\"It is odd.\",\"evidence\":[\"e1\"]}]}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":900,"completion_tokens":100}}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// hemostat runs the program in this process.
func hemostat(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), args, &o, &e)
	return code, o.String(), e.String()
}

func digestsOf(t *testing.T, file string) (out []string) {
	d, err := store.Open(t.Context(), file)
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Trials(store.Filter{}, func(r *record.Trial) error {
		require.Equal(t, "ok", r.Status, r.Error)
		out = append(out, r.Digest)
		return nil
	}))
	return out
}

func TestAModelFromRecordingToComparison(t *testing.T) {
	s := newStubModel(t)
	folder := t.TempDir()
	variant, tape, db := filepath.Join(folder, "v.yaml"), filepath.Join(folder, "tape"), filepath.Join(folder, "a.db")
	require.NoError(t, os.WriteFile(variant, fmt.Appendf(nil,
		"name: asked\nanalyst: {model: stub, endpoint: \"%s/v1\", duties: [triage, narrative], price: {input: 1, output: 2}, budget: {tokens: 500000}}\n", s.URL), 0o600))
	common := []string{"run", "ssh-brute-force", "--trials", "3", "--set", "background.rate=0.2", "--variant",
		variant, "--cassette", tape}

	code, _, errOut := hemostat(t, append(common, "--db", db)...)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "does not exist; --analyst record makes one")

	code, _, errOut = hemostat(t, append(common, "--db", db, "--analyst", "record", "--variant", "default")...)
	require.Equal(t, 0, code, errOut)
	require.Contains(t, errOut, "may cost at most 500000 tokens, which cost at most 1.00")
	require.Contains(t, errOut, "questions to models")
	asked := s.asked.Load()
	require.NotZero(t, asked)

	again := filepath.Join(folder, "b.db")
	code, _, errOut = hemostat(t, append(common, "--db", again, "--parallel", "3", "--variant", "default")...)
	require.Equal(t, 0, code, errOut)
	require.Equal(t, asked, s.asked.Load(), "a replay asks nothing")
	require.Equal(t, digestsOf(t, db), digestsOf(t, again))

	code, out, errOut := hemostat(t, "compare", "--db", db, "--candidate", "asked[background.rate=0.2]", "--baseline",
		"default[background.rate=0.2]", "--analyst", "record", "--json")
	require.Equal(t, 0, code, errOut)
	require.Contains(t, out, `"analyst_tokens"`)
	require.Contains(t, out, `"alerts_false_to_people"`)
	require.Contains(t, out, `"forecasts"`)
	code, _, errOut = hemostat(t, "compare", "--db", db, "--candidate", "asked[background.rate=0.2]", "--baseline",
		"default[background.rate=0.2]", "--analyst", "live")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "no trials of variant")

	code, out, errOut = hemostat(t, "cassette", "list", tape)
	require.Equal(t, 0, code, errOut)
	require.Contains(t, out, "stub")
	code, out, _ = hemostat(t, "cassette", "export", tape)
	require.Equal(t, 0, code)
	require.Contains(t, out, `"answer":"{\"decision\":\"confirm\"`)
	code, _, errOut = hemostat(t, "cassette", "prune", tape)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "say which answers")
	code, out, _ = hemostat(t, "cassette", "prune", tape, "--failed", "--dry-run")
	require.Equal(t, 0, code)
	require.Contains(t, out, "0 answers of")
	code, out, _ = hemostat(t, "cassette", "prune", tape, "--model", "stub")
	require.Equal(t, 0, code)
	require.Contains(t, out, "taken out")
	code, _, errOut = hemostat(t, append(common, "--db", filepath.Join(folder, "c.db"))...)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "holds no answer to a question of this run")
	require.Equal(t, 1, strings.Count(errOut, "holds no answer"), "it is said once")
}

func TestWhatEndsARunWithAModel(t *testing.T) {
	s := newStubModel(t)
	folder := t.TempDir()
	variant, tape := filepath.Join(folder, "v.yaml"), filepath.Join(folder, "tape")
	with := func(keys string) {
		require.NoError(t, os.WriteFile(variant,
			fmt.Appendf(nil, "name: asked\nanalyst: {model: stub, endpoint: \"%s/v1\", %s}\n", s.URL, keys), 0o600))
	}
	db := filepath.Join(folder, "a.db")
	args := []string{"run", "ssh-brute-force", "--trials", "20", "--set", "background.rate=0.2", "--variant", variant,
		"--cassette", tape, "--db", db, "--analyst", "live", "--parallel", "1"}

	with("budget: {tokens: 60000}")
	code, _, errOut := hemostat(t, args...)
	require.Equal(t, exitInterrupted, code, errOut)
	require.Contains(t, errOut, "what was run is kept, and --resume goes on with a larger budget")
	kept := len(digestsOf(t, db))
	require.NotZero(t, kept)
	require.Less(t, kept, 20)

	with("key_env: NO_SUCH_KEY")
	s.status.Store(401)
	code, _, errOut = hemostat(t, args...)
	require.Equal(t, exitUsage, code)
	require.Equal(t, 1, strings.Count(errOut, "does not accept the key"))
	s.status.Store(0)

	with("concurrency: 1")
	code, _, errOut = hemostat(t, append(args, "--trials", "2", "--analyst", "offline", "--db",
		filepath.Join(folder, "o.db"))...)
	require.Equal(t, 0, code, errOut)
	code, _, errOut = hemostat(t, append(args, "--analyst", "sometimes")...)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "accepted: record, replay, live, offline")
}
