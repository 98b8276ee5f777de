package plugin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/detect"
	"hemostat/sim/event"
)

// TestMain lets the test's own binary be a plug-in that behaves in a way.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plug-in" {
		behave(os.Args[2])
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == "agent" {
		decide(os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// behave is a plug-in that reports every event with a field bad, and does one thing wrong.
func behave(how string) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	total := 0
	for in.Scan() {
		var m struct {
			Type   string
			Seq    uint64
			Events []struct {
				ID     uint64
				Fields map[string]any
			}
		}
		if json.Unmarshal(in.Bytes(), &m) != nil {
			os.Exit(9)
		}
		switch m.Type {
		case "hello":
			switch how {
			case "silent":
				time.Sleep(time.Hour)
			case "nameless":
				say(`{"type":"ready","version":"1"}`)
			case "picky":
				say(`{"type":"ready","name":"t","version":"1","wants":[{"logsource":{"service":"sshd"},"fields":["bad"]}],"heartbeat_ns":60000000000}`)
			default:
				say(`{"type":"ready","name":"t","version":"1"}`)
			}
			if how == "deaf" {
				time.Sleep(time.Hour)
			}
		case "trial":
			if how != "remembering" {
				total = 0
			}
		case "events":
			total += len(m.Events)
			var found []string
			for _, e := range m.Events {
				if _, bad := e.Fields["bad"]; bad {
					found = append(found, fmt.Sprintf(
						`{"event_id":%d,"title":"bad","technique":"T1110","severity":"high","confidence":0.9}`, e.ID))
				}
			}
			misbehave(how, m.Seq)
			seq := m.Seq
			if how == "out of order" && seq == 2 {
				seq = 1
			}
			latency := 0
			if how == "slow by its own account" {
				latency = 3e9
			}
			if how == "remembering" {
				say(`{"type":"alerts","seq":%d,"alerts":[],"total":%d}`, seq, total)
				continue
			}
			say(`{"type":"alerts","seq":%d,"alerts":[%s],"latency_ns":%d}`, seq, strings.Join(found, ","), latency)
			if how == "talkative" {
				say("and another thing")
			}
		case "bye":
			if how == "lingering" {
				time.Sleep(time.Hour)
			}
			return
		}
	}
}

func misbehave(how string, seq uint64) {
	switch how {
	case "garbage":
		fmt.Println("Traceback (most recent call last):")
	case "hanging":
		time.Sleep(time.Hour)
	case "flooding":
		for {
			fmt.Print(strings.Repeat("x", 1<<16))
		}
	case "exiting":
		fmt.Fprintln(os.Stderr, "no model found")
		os.Exit(3)
	case "forking":
		// A descendant that keeps the streams open.
		c := exec.Command("sleep", "3600")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if c.Start() == nil {
			os.Exit(4)
		}
	case "greedy":
		var all [][]byte
		for range 400 {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			all = append(all, b)
		}
		fmt.Fprintln(os.Stderr, len(all))
	case "closing":
		os.Stdout.Close()
		time.Sleep(time.Hour)
	case "wrong event":
		fmt.Printf(`{"type":"alerts","seq":%d,"alerts":[{"event_id":999,"title":"x","severity":"low","confidence":1}]}`+"\n", seq)
	case "wrong severity":
		fmt.Printf(`{"type":"alerts","seq":%d,"alerts":[{"event_id":1,"title":"x","severity":"huge","confidence":1}]}`+"\n", seq)
	case "wrong kind":
		fmt.Printf(`{"type":"alerts","seq":%d,"alerts":[{"event_id":"one"}]}`+"\n", seq)
	case "unsure":
		fmt.Printf(`{"type":"alerts","seq":%d,"alerts":[{"event_id":1,"title":"x","severity":"low","confidence":7}]}`+"\n", seq)
	case "giving up":
		fmt.Println(`{"type":"error","error":"the model is broken"}`)
	}
}

// pool starts the test's binary as a plug-in.
func pool(t *testing.T, how string) *Pool {
	c := Config{Name: "tested", Command: []string{os.Args[0], "plug-in", how}, Start: 5 * time.Second,
		Answer: 5 * time.Second, Batch: Batch{Events: 2}}
	switch how {
	case "silent":
		c.Start = 300 * time.Millisecond
	case "hanging", "deaf":
		c.Answer = 300 * time.Millisecond
	case "greedy":
		c.Memory = 256 << 20
	}
	p := NewPool(c)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// tell shows a detector so many events, each with a field bad, and ends the trial.
func tell(p *Pool, events int) (found []detect.Finding, err error) {
	d, err := p.newDetector(detect.Env{Scenario: "s", Seed: 1, Trial: "one"})
	if err != nil {
		return nil, err
	}
	report := func(f detect.Finding) { found = append(found, f) }
	for i := range events {
		e := &event.Event{ID: uint64(i + 1), Time: time.Duration(i) * time.Second, Host: "pc" + strconv.Itoa(i),
			Source: event.LogSource{Service: "sshd"}}
		e.SetName("bad", "yes")
		e.SetName("padding", strings.Repeat("x", 100_000))
		if err := d.Inspect(e.Time, e, report); err != nil {
			_ = d.Close(false)
			return found, err
		}
	}
	now := time.Duration(events) * time.Second
	if err := d.End(now, report); err != nil {
		return found, err
	}
	return found, d.Close(true)
}

func TestAPluginReports(t *testing.T) {
	p := pool(t, "well")
	found, err := tell(p, 5)
	require.NoError(t, err)
	require.Len(t, found, 5)
	require.Equal(t, []uint64{3}, found[2].Evidence)
	require.Equal(t, "pc2", found[2].Entities.Host)
	require.Equal(t, 2*time.Second, found[2].EventTime)
	require.Equal(t, "tested/bad", found[2].RuleID)
	require.Len(t, p.idle, 1, "the process waits for the next trial")
	first := p.idle[0]
	_, err = tell(p, 1)
	require.NoError(t, err)
	require.Same(t, first, p.idle[0])
}

func TestWhatIsWrongWithAPluginIsNamedAndTheNextTrialStartsAnew(t *testing.T) {
	for how, want := range map[string]string{
		"silent":         "hello: no answer within 300ms",
		"nameless":       "ready has no name or no version",
		"garbage":        `"Traceback (most recent call last):" is no JSON object`,
		"hanging":        "no answer within 300ms",
		"deaf":           "within 300ms",
		"flooding":       "an answer is longer than 4194304 bytes",
		"exiting":        "it ended: exit status 3; the last it wrote to standard error: no model found",
		"forking":        "it ended: exit status 4",
		"greedy":         "it ended",
		"closing":        "it closed its streams and runs on",
		"wrong event":    "event_id 999 is none of the last",
		"wrong severity": `alert 1 of batch 1: "huge" is no severity`,
		"wrong kind":     `"alerts.event_id" has a value of the kind string`,
		"unsure":         "confidence is missing or not from 0 to 1",
		"out of order":   "it answers batch 1 where an answer to batch 2 is due",
		"talkative":      "and another thing",
		"remembering":    "told the same trial again it answers message 1 otherwise",
		"giving up":      "it gave up: \"the model is broken\"",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p := pool(t, how)
			began := time.Now()
			_, err := tell(p, 5)
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, "plug-in tested")
			require.Less(t, time.Since(began), 4500*time.Millisecond, "no longer than the time for an answer")
			require.Empty(t, p.idle, "a plug-in that failed is not used again")
			p.config.Command[2], p.config.Memory, p.config.Answer = "well", 2<<30, 5*time.Second
			p.config.Start = 5 * time.Second
			found, err := tell(p, 5)
			require.NoError(t, err)
			require.Len(t, found, 5)
		})
	}
}

func TestAPluginThatDoesNotEndIsEnded(t *testing.T) {
	p := pool(t, "lingering")
	_, err := tell(p, 1)
	require.NoError(t, err)
	process := p.idle[0].carrier.(*process)
	require.ErrorContains(t, p.Close(), "did not end within 2s of bye")
	select {
	case <-process.ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the process is still there")
	}
}

func TestAPluginGetsWhatItWants(t *testing.T) {
	p := pool(t, "picky")
	d, err := p.newDetector(detect.Env{Index: 1})
	require.NoError(t, err)
	none := func(detect.Finding) { t.Fatal("no finding is expected") }
	require.NoError(t, d.Inspect(0, &event.Event{ID: 1, Source: event.LogSource{Service: "zeek"}}, none))
	require.Zero(t, d.waiting)
	at, ok := d.NextWake()
	require.True(t, ok)
	require.Equal(t, time.Minute, at, "a heartbeat")
	require.NoError(t, d.Advance(at, none))
	require.Equal(t, uint64(1), d.seq)
	e := &event.Event{ID: 2, Source: event.LogSource{Service: "sshd"}}
	e.SetName("good", "yes")
	require.NoError(t, d.Inspect(time.Minute, e, none))
	require.Contains(t, string(d.events), `"fields":{}`)
	at, _ = d.NextWake()
	require.Equal(t, time.Minute+2*time.Second, at, "a batch has waited")
	require.NoError(t, d.Close(true))
}

func TestLatencyOfItsOwnDelaysAFinding(t *testing.T) {
	found, err := tell(pool(t, "slow by its own account"), 1)
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, found[0].Delay)
}

func TestAServerTakesTheSameMessages(t *testing.T) {
	var seen []string
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m struct {
			Type string
			Seq  uint64
		}
		_ = json.Unmarshal(body, &m)
		seen = append(seen, m.Type+" "+r.Header.Get("Hemostat-Trial"))
		switch m.Type {
		case "hello":
			fmt.Fprint(w, `{"type":"ready","name":"s","version":"2"}`)
		case "events":
			if m.Seq == 4 {
				http.Error(w, "no more", http.StatusTeapot)
				return
			}
			fmt.Fprintf(w, `{"type":"alerts","seq":%d,"alerts":[]}`, m.Seq)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(answer))
	defer s.Close()
	p := NewPool(Config{Name: "tested", URL: s.URL, Batch: Batch{Events: 2}})
	_, err := tell(p, 2)
	require.NoError(t, err)
	require.Equal(t, "hello one,trial one,events one,events one,trial one,events one,bye one", strings.Join(seen, ","))
	_, err = tell(p, 9)
	require.ErrorContains(t, err, "418")
	s.Close()
	_, err = tell(p, 1)
	require.ErrorContains(t, err, "connection refused")
}

func TestConformance(t *testing.T) {
	var events []*event.Event
	for i := range 10 {
		e := &event.Event{ID: uint64(i + 1), Time: time.Duration(i) * time.Second, Source: event.LogSource{Service: "sshd"}}
		e.SetName("bad", "yes")
		events = append(events, e)
	}
	result := TryConformance(pool(t, "well").config, events)
	require.True(t, result.OK(), "%+v", result)
	require.Equal(t, 10, result.Alerts)
	for how, want := range map[string]string{"remembering": "answers the same trial alike",
		"garbage": "answers each batch of a trial", "nameless": "answers hello with ready"} {
		result := TryConformance(pool(t, how).config, events)
		last := result.Checks[len(result.Checks)-1]
		require.Equal(t, want, last.Name)
		require.False(t, last.OK)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"type":"alerts","seq":1,"alerts":[{"event_id":1,"title":"x","severity":"low","confidence":1}]}`))
	f.Add([]byte(`{"type":"ready","name":"x","version":"1","wants":[{"logsource":{"service":"a"}}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if a, err := readAnswer(line, 1); err == nil {
			for i := range a.Alerts {
				require.NotEmpty(t, a.Alerts[i].Title)
			}
		}
		if r, err := readReady(line); err == nil {
			_, _, _ = r.wants(event.LogSource{Service: "a"})
		}
	})
}
