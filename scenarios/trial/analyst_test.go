package trial

import (
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

	"github.com/stretchr/testify/require"

	"hemostat/defenders/sentinel/analyst"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/sim/record"
)

// variantWith loads a variant from text.
func variantWith(t *testing.T, text string) *defence.Variant {
	t.Helper()
	file := filepath.Join(t.TempDir(), "variant.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	v, err := defence.Load(file, nil)
	require.NoError(t, err)
	return v
}

// modelServer answers as a model would that dismisses what it knows from elsewhere; asked
// counts the questions.
func modelServer(t *testing.T, asked *atomic.Int64) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/models") {
			fmt.Fprint(w, `{"data":[{"id":"stub"}]}`)
			return
		}
		asked.Add(1)
		var body struct {
			Messages       []struct{ Content string }
			ResponseFormat struct {
				Schema struct{ Name string } `json:"json_schema"`
			} `json:"response_format"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		data := body.Messages[len(body.Messages)-1].Content
		answer := map[string]any{
			"decision": "confirm", "confidence": 0.8, "technique": "T1033",
			"reasons": []any{map[string]any{"text": "It is odd.", "evidence": []string{"e1"}}},
		}
		switch body.ResponseFormat.Schema.Name {
		case "pattern":
			answer = map[string]any{"hostile": strings.Contains(data, "rundll32"), "confidence": 0.6, "technique": "",
				"title":   "Odd",
				"reasons": []any{map[string]any{"text": "It is odd.", "evidence": []string{"e1"}}}}
		case "account":
			answer = map[string]any{"sentences": []any{map[string]any{"text": "Something began.",
				"evidence": []string{"a1"}}}}
		default:
			if !strings.Contains(data, `"same_alert_on_other_hosts_within_a_day":0`) {
				answer["decision"] = "dismiss"
			}
		}
		text, err := json.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, `{"model":"stub","choices":[{"message":{"content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":20}}`, text)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestRecordedAnswersGiveTheSameTrialsWithoutAnyQuestion(t *testing.T) {
	var asked atomic.Int64
	server := modelServer(t, &asked)
	text := fmt.Sprintf("name: asked\nanalyst: {model: stub, endpoint: %s/v1, duties: [triage, patterns, narrative], price: {input: 1, output: 2}}\n", server.URL)
	s, err := scenarios.Load("lateral-movement", []scenarios.Setting{{Path: "background.rate", Value: "0.3"}})
	require.NoError(t, err)
	tape := filepath.Join(t.TempDir(), "tape")
	run := func(mode defence.AnalystMode) *record.Trial {
		v := variantWith(t, text)
		session := defence.NewAnalystSession(context.Background(), mode, tape)
		require.NoError(t, session.Connect(v))
		r := trialOf(t, s, v, 3, 0)
		require.NoError(t, session.Err())
		require.NoError(t, session.Close())
		return r
	}
	recorded := run(defence.AnalystRecord)
	questions := asked.Load()
	require.NotZero(t, questions)
	replayed := run(defence.AnalystReplay)
	require.Equal(t, questions, asked.Load(), "nothing is asked")
	require.Equal(t, recorded.Digest, replayed.Digest)

	require.NotEmpty(t, recorded.Verdicts)
	require.Equal(t, recorded.AnalystTokens, replayed.AnalystTokens)
	require.NotZero(t, recorded.AnalystTokens)
	require.NotZero(t, recorded.AnalystCost)
	require.NotEmpty(t, recorded.Accounts)
	require.Equal(t, "stub", recorded.Accounts[0].Author)
	fromTape := 0
	for _, v := range replayed.Verdicts {
		fromTape += v.FromTape
		require.Equal(t, v.Requests, v.FromTape)
	}
	require.NotZero(t, fromTape)
	windows := 0
	for _, v := range recorded.Verdicts {
		if v.Alert == 0 {
			windows++
		}
	}
	require.NotZero(t, windows, "windows in which nothing was found are on record with what they took")
}

func TestDismissedAlertsLeadToNothing(t *testing.T) {
	s, err := scenarios.Load("lateral-movement", []scenarios.Setting{{Path: "background.rate", Value: "0.3"}})
	require.NoError(t, err)
	never := trialOf(t, s,
		variantWith(t, "name: never\nanalyst: {model: surrogate, sensitivity: 0, specificity: 1, latency: 5s, from: low}\n"), 3, 0)
	require.Equal(t, never.AlertsTotal, never.AlertsDismissed)
	require.False(t, never.Detected)
	require.Zero(t, never.AlertsToPeople)
	require.Zero(t, never.ActionsTotal)
	for i := range never.Alerts {
		require.Equal(t, record.Dismissed, never.Alerts[i].Verdict)
		require.Zero(t, never.Alerts[i].Incident)
	}
	for _, step := range never.Steps {
		require.Nil(t, step.Detected)
	}
	perfect := trialOf(t, s,
		variantWith(t, "name: perfect\nanalyst: {model: surrogate, sensitivity: 1, specificity: 1, latency: 0s, from: low}\n"), 3, 0)
	require.True(t, perfect.Detected)
	require.Zero(t, perfect.AlertsFalsePeople)
	slow := trialOf(t, s,
		variantWith(t, "name: slow\nanalyst: {model: surrogate, sensitivity: 1, specificity: 1, latency: 10m, concurrency: 1000, from: low}\n"), 3, 0)
	require.GreaterOrEqual(t, *slow.TimeToDetect, *perfect.TimeToDetect+int64(10*60*1e9),
		"a slow answer delays the detection")
}

func TestAVariantWithAModelNeedsAnAnswer(t *testing.T) {
	s, err := scenarios.Load("ssh-brute-force", nil)
	require.NoError(t, err)
	v := variantWith(t, "name: asked\nanalyst: {model: stub, endpoint: \"http://127.0.0.1:9/v1\"}\n")
	_, err = Run(s, v, 0, Options{Seed: 1}, nil)
	require.ErrorContains(t, err, "--analyst record, replay, live or offline does")
	offline, err := v.WithOfflineAnalyst()
	require.NoError(t, err)
	require.NotEqual(t, v.Digest, offline.Digest)
	r := trialOf(t, s, offline, 1, 0)
	require.NotEmpty(t, r.Verdicts)
	require.Equal(t, "offline", r.Verdicts[0].Judge)
	session := defence.NewAnalystSession(context.Background(), defence.AnalystLive, "")
	require.ErrorContains(t, session.Connect(v), "the endpoint http://127.0.0.1:9/v1 cannot be reached")
}

func TestCasesForTrainingAreEveryAlertAndItsTruth(t *testing.T) {
	s, v := ready(t, "lateral-movement", scenarios.Setting{Path: "background.rate", Value: "0.3"})
	n, trueOnes := 0, 0
	r, err := Run(s, v, 0, Options{Seed: 3, Cases: func(c *analyst.Case, attack int) {
		n++
		if attack != 0 {
			trueOnes++
		}
		require.NotNil(t, c.Alert)
	}}, nil)
	require.NoError(t, err)
	plain := trialOf(t, s, v, 3, 0)
	require.Equal(t, plain.Outcome, r.Outcome, "looking on changes nothing")
	require.NotZero(t, trueOnes)
	require.LessOrEqual(t, n, r.AlertsTotal)
}
