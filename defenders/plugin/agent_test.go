package plugin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/defenders/remote"
)

// decide is an agent that blocks an address at its second step, and does one thing wrong.
func decide(how string) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	total := 0
	for in.Scan() {
		var m struct {
			Type string
			Side string
			Step int
			Done bool
		}
		if json.Unmarshal(in.Bytes(), &m) != nil {
			os.Exit(9)
		}
		total++
		switch m.Type {
		case "hello":
			if m.Side != "blue" {
				os.Exit(8)
			}
			fmt.Println(`{"type":"ready","name":"a","version":"1"}`)
		case "observation":
			if how == "late" {
				time.Sleep(time.Hour)
			}
			if how == "exiting" {
				fmt.Fprintln(os.Stderr, "out of ideas")
				os.Exit(3)
			}
			answer := `{"type":"step"}`
			switch {
			case how == "thinking" && m.Step == 2:
				answer = `{"type":"step","actions":[{"kind":"block_ip","params":{"source_ip":"203.0.113.9"}}],"latency_ns":5000000000}`
			case how == "misspelt":
				answer = `{"type":"step","action":[]}`
			case how == "alerts":
				answer = `{"type":"alerts","seq":1,"alerts":[]}`
			case how == "hasty":
				answer = `{"type":"step","latency_ns":-1}`
			case how == "giving up":
				answer = `{"type":"error","error":"nothing learned"}`
			case how == "remembering":
				answer = fmt.Sprintf(`{"type":"step","latency_ns":%d}`, total)
			}
			fmt.Println(answer)
			if how == "talkative" {
				fmt.Println("and another thing")
			}
		case "bye":
			return
		}
	}
}

// seat lets an agent decide twice and ends its trial.
func seat(t *testing.T, how string, completed bool) (decisions []remote.Decision, latency time.Duration, err error) {
	t.Helper()
	c := Config{Name: "tested", Command: []string{os.Args[0], "agent", how}, Start: 5 * time.Second, Answer: 5 * time.Second, Step: time.Minute}
	if how == "late" {
		c.Answer = 300 * time.Millisecond
	}
	p := NewPool(c)
	defer func() { require.NoError(t, p.Close()) }()
	a, err := p.NewAgent(detect.Env{Scenario: "s", Trial: "one", Inventory: inventory.New(nil, nil)}, time.Hour)
	if err != nil {
		return nil, 0, err
	}
	for range 2 {
		d, l, err := a.Decide(&remote.Observation{})
		if err != nil {
			require.NoError(t, a.Close(false, nil))
			return nil, 0, err
		}
		decisions, latency = append(decisions, d...), latency+l
	}
	return decisions, latency, a.Close(completed, func() *remote.Observation { return &remote.Observation{} })
}

func TestAnAgentDecides(t *testing.T) {
	decisions, latency, err := seat(t, "thinking", true)
	require.NoError(t, err)
	require.Len(t, decisions, 1)
	require.Equal(t, remote.Value("203.0.113.9"), decisions[0].Params["source_ip"])
	require.Equal(t, 5*time.Second, latency)
	_, _, err = seat(t, "remembering", false)
	require.NoError(t, err, "what an interrupted trial came to does not count")
}

func TestWhatIsWrongWithAnAgentIsNamed(t *testing.T) {
	for how, want := range map[string]string{
		"late":        "no answer within 300ms",
		"exiting":     "out of ideas",
		"misspelt":    `step 1: this is no answer: json: unknown field "action"`,
		"alerts":      `step 1: this is no answer: json: unknown field "seq"`,
		"hasty":       "step 1: latency_ns is -1",
		"giving up":   `step 1: it gave up: "nothing learned"`,
		"talkative":   "this is no answer",
		"remembering": "told the same trial again it answers",
	} {
		_, _, err := seat(t, how, true)
		require.ErrorContains(t, err, "agent tested: ", how)
		require.ErrorContains(t, err, want, how)
	}
}
