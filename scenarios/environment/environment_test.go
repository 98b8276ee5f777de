package environment

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/record"
)

// options are an environment of a day with little background.
func options(t *testing.T, side Side, scenario string, set ...string) Options {
	t.Helper()
	var settings []scenarios.Setting
	for _, s := range append([]string{"background.rate=0.05"}, set...) {
		x, err := scenarios.ParseSetting(s)
		require.NoError(t, err)
		settings = append(settings, x)
	}
	v, err := defence.Load("", settings)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	s, err := scenarios.Load(scenario, v.Scenario)
	require.NoError(t, err)
	blue, err := NewReward(ScoreReward)
	require.NoError(t, err)
	red, err := NewReward(HarmReward)
	require.NoError(t, err)
	return Options{Side: side, Scenarios: []*scenarios.Scenario{s}, Variant: v, Seed: 7, Step: time.Minute, Reward: blue, AttackerReward: red}
}

// player is an agent of a test: it says messages and reads the answers.
type player struct {
	t *testing.T
	*Session
	transcript strings.Builder
}

func play(t *testing.T, o Options) *player {
	t.Helper()
	p := &player{t: t, Session: NewSession(o)}
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	require.Contains(t, p.say(`{"type":"hello","protocol":1,"agent":"test","version":"3"}`), `"type":"ready"`)
	return p
}

func (p *player) say(text string) string {
	reply, _ := p.Answer([]byte(text))
	p.transcript.Write(reply)
	return string(reply)
}

// seen is what tests read of an observation.
type seen struct {
	Type, Error string
	Now         int64 `json:"now_ns"`
	Done        bool
	Blue        struct {
		Reward    float64
		Alerts    []struct{ Severity, Host string }
		Incidents []struct {
			ID       int
			Severity string
			Hosts    []string
		}
		Actions []struct {
			ID       int64
			Kind     string
			Decision int
			Status   string
			InForce  bool  `json:"in_force"`
			Asked    int64 `json:"asked_ns"`
		}
		Approvals []struct {
			Outcome  string
			Decision int
		}
		Outcomes []struct {
			Accepted bool
			Error    string
			Decision int
		}
		Budget struct {
			CutOff float64 `json:"cut_off"`
		}
	}
	Red struct {
		Reward     float64
		Due, Ended bool
		Techniques []string
		Known      []struct{ Name string }
		Footholds  []struct{ Host string }
		Steps      []struct {
			Technique string
			Succeeded bool
		}
		Outcome *struct {
			Accepted bool
			Error    string
		}
	}
	Result *struct{ Score float64 }
}

func (p *player) see(text string) *seen {
	var s seen
	reply := p.say(text)
	require.NoError(p.t, json.Unmarshal([]byte(reply), &s), reply)
	return &s
}

const (
	reset = `{"type":"reset"}`
	step  = `{"type":"step"}`
)

// isolates plays a trial by isolating each host of a high alert at once, and returns the sum of
// the rewards.
func (p *player) isolates() (sum float64, last *seen) {
	p.t.Helper()
	p.see(reset)
	message, hosts := step, map[string]bool{}
	for {
		s := p.see(message)
		require.Empty(p.t, s.Error)
		sum += s.Blue.Reward
		if s.Done {
			return sum, s
		}
		var actions []string
		for _, a := range s.Blue.Alerts {
			if a.Severity == "high" && a.Host != "" && !hosts[a.Host] {
				hosts[a.Host] = true
				actions = append(actions, fmt.Sprintf(`{"kind":"isolate_host","params":{"host":%q}}`, a.Host))
			}
		}
		message = fmt.Sprintf(`{"type":"step","actions":[%s]}`, strings.Join(actions, ","))
	}
}

func TestTheSameDecisionsGiveTheSameTrial(t *testing.T) {
	o := options(t, Blue, "web-shell", "playbooks=none", "response.approval=none")
	var rows []*record.Trial
	o.Finished = func(v *defence.Variant, s *scenarios.Scenario, seed uint64, r *record.Trial) error {
		require.Equal(t, "test", v.Name)
		require.Equal(t, record.TrialID(s.Digest(), v.Digest, seed, r.Index), r.TrialID)
		rows = append(rows, r)
		return nil
	}
	first, second := play(t, o), play(t, o)
	sum, last := first.isolates()
	_, _ = second.isolates()
	require.Equal(t, first.transcript.String(), second.transcript.String())
	require.Len(t, rows, 2)
	require.Equal(t, rows[0].Digest, rows[1].Digest)
	require.InDelta(t, rows[0].Score-100, sum, 0.06, "the rewards add up to the score")
	require.Equal(t, rows[0].Score, last.Result.Score)
	isolated := 0
	for _, a := range rows[0].Actions {
		if a.Kind == "isolate_host" && a.Status == "succeeded" {
			require.Equal(t, "agent:test", a.Playbook)
			require.Positive(t, a.Incident, "an action belongs to the incident that names its target")
			isolated++
		}
	}
	require.Positive(t, isolated)
}

func TestAnAgentThatDoesNothingChangesNothing(t *testing.T) {
	o := options(t, Blue, "web-shell")
	var played *record.Trial
	o.Finished = func(_ *defence.Variant, _ *scenarios.Scenario, _ uint64, r *record.Trial) error {
		played = r
		return nil
	}
	p := play(t, o)
	p.see(`{"type":"reset","index":2}`)
	for wait := 1; !p.see(fmt.Sprintf(`{"type":"step","wait_ns":%d}`, int64(wait)*int64(time.Minute))).Done; wait++ {
	}
	alone, err := trial.Run(o.Scenarios[0], o.Variant, 2, trial.Options{Seed: o.Seed}, nil)
	require.NoError(t, err)
	require.Equal(t, alone.Alerts, played.Alerts)
	require.Equal(t, alone.Actions, played.Actions)
	require.Equal(t, alone.Audit, played.Audit)
	require.Equal(t, alone.Attacks, played.Attacks)
	require.Equal(t, alone.Score, played.Score)
}

func TestActionsGoThroughApprovalAndCanBeTakenBack(t *testing.T) {
	p := play(t, options(t, Blue, "quiet-day", "playbooks=none", "hotl.mode=always"))
	p.see(reset)
	decide := func(actions string) *seen { return p.see(`{"type":"step","actions":[` + actions + `]}`) }
	s := decide(`{"kind":"isolate_host","params":{"host":"WS001","allow":["edr"]}},{"kind":"rate_limit","params":{"source_ip":"203.0.113.9","rps":0.5}}`)
	require.Equal(t, []bool{true, true}, []bool{s.Blue.Outcomes[0].Accepted, s.Blue.Outcomes[1].Accepted})
	require.Equal(t, []int{1, 2}, []int{s.Blue.Outcomes[0].Decision, s.Blue.Outcomes[1].Decision})
	require.Len(t, s.Blue.Approvals, 1, "a person is asked about the isolation, and not about the limit")
	isolation := int64(0)
	for range 30 {
		for _, a := range s.Blue.Actions {
			if a.Decision == 1 && a.InForce {
				isolation = a.ID
			}
		}
		if isolation != 0 {
			break
		}
		s = p.see(step)
	}
	require.NotZero(t, isolation)
	require.Positive(t, s.Blue.Budget.CutOff)
	s = decide(fmt.Sprintf(`{"undo":%d},{"undo":%d}`, isolation, isolation))
	require.True(t, s.Blue.Outcomes[0].Accepted)
	require.Equal(t, fmt.Sprintf("action %d is not in force", isolation), s.Blue.Outcomes[1].Error)
	require.Zero(t, s.Blue.Budget.CutOff)
}

func TestWhatABlueAgentCannotDecide(t *testing.T) {
	p := play(t, options(t, Blue, "quiet-day", "playbooks=none"))
	p.see(reset)
	for text, want := range map[string]string{
		`{"kind":"isolate_hots","params":{"host":"WS001"}}`:                     `there is no action "isolate_hots" (did you mean "isolate_host"?)`,
		`{"kind":"isolate_host","params":{"host":"nowhere"}}`:                   `there is no host "nowhere"`,
		`{"kind":"isolate_host"}`:                                               "isolate_host needs the parameter host",
		`{"kind":"isolate_host","params":{"hots":"WS001"}}`:                     `isolate_host takes no parameter "hots"; accepted: host, allow`,
		`{"kind":"disable_account","params":{"user":"nobody"}}`:                 `there is no account "nobody"`,
		`{"kind":"zone_isolation","params":{"zone":"dmx"}}`:                     `there is no zone "dmx" (did you mean "dmz"?)`,
		`{"kind":"block_ip","params":{"source_ip":"10.0.0"}}`:                   `"10.0.0" is no address`,
		`{"kind":"block_ip","params":{"source_ip":"203.0.113.9"},"incident":7}`: "no incident 7 is open",
		`{"kind":"block_ip","params":{"source_ip":"203.0.113.9"},"ttl_ns":-1}`:  "ttl_ns is -1; 0 to 2592000000000000 are accepted",
		`{"kind":"release_containment","params":{"hosts":"WS001"}}`:             "release_containment is a step of restoration: undo the actions instead",
		`{"undo":99}`:                      "action 99 is not in force",
		`{"undo":1,"kind":"isolate_host"}`: "undo takes no kind and no params",
	} {
		s := p.see(`{"type":"step","actions":[` + text + `]}`)
		require.Len(t, s.Blue.Outcomes, 1, text)
		require.False(t, s.Blue.Outcomes[0].Accepted)
		require.Equal(t, want, s.Blue.Outcomes[0].Error)
	}
	flood := strings.Repeat(`{"kind":"alert_soc","params":{"severity":"low"}},`, 69) + `{"undo":1}`
	s := p.see(`{"type":"step","actions":[` + flood + `]}`)
	require.Len(t, s.Blue.Outcomes, 70)
	require.True(t, s.Blue.Outcomes[63].Accepted)
	require.Equal(t, "an answer may hold 64 decisions, and this one holds 70", s.Blue.Outcomes[64].Error)
}

func TestMessagesThatCannotBeTaken(t *testing.T) {
	s := NewSession(options(t, Blue, "quiet-day"))
	for _, c := range []struct{ text, want string }{
		{`reset`, "this is no message: invalid character 'r' looking for beginning of value"},
		{`{"type":"reset"}`, "hello comes first"},
		{`{"type":"helo"}`, `there is no message of the type "helo"; accepted: hello, reset, step, bye`},
		{`{"type":"hello","protocol":2}`, "hello names protocol 2, and this program speaks 1"},
		{`{"type":"hello","protocol":1,"agent":"<b>"}`, "the name of the agent: a name of 1 to 100"},
		{`{"type":"hello","protocol":1,"agent":"noop"}`, "the name of the agent: noop is a variant of the program already"},
		{`{"type":"hello","protocol":1}`, ""},
		{`{"type":"hello","protocol":1}`, "hello was said already"},
		{`{"type":"step"}`, "no trial goes on: reset begins one"},
		{`{"type":"reset","index":-1}`, "index: a number of 0 or more is expected, not -1"},
		{`{"type":"reset","scenario":"web-shell"}`, `this environment has no scenario "web-shell"; it has quiet-day`},
		{`{"type":"reset"}`, ""},
		{`{"type":"step","action":[]}`, `this is no message: json: unknown field "action"`},
		{`{"type":"step"} {"type":"step"}`, "one message a line is expected, and something follows it"},
		{`{"type":"step","latency_ns":-1}`, "latency_ns is -1; 0 to 86400000000000 are accepted"},
		{`{"type":"step","wait_ns":-1}`, "wait_ns is -1, and time does not run backwards"},
		{`{"type":"step","until":"dawn"}`, `until: "alert" is accepted, not "dawn"`},
		{`{"type":"step","choice":{"wait_ns":1}}`, "choice is red's, and this agent decides for blue: actions are expected"},
		{`{"type":"step","actions":[{"kind":"block_ip","params":{"source_ip":{}}}]}`, "this is no message: a text, a number or a list of texts is expected, not {}"},
		{strings.Repeat(" ", MostBytes+1), "a message may have 1048576 bytes, and this one has 1048577"},
		{`{"type":"step"}`, ""},
	} {
		reply, ended := s.Answer([]byte(c.text))
		require.False(t, ended)
		var said struct{ Error string }
		require.NoError(t, json.Unmarshal(reply, &said))
		if c.want == "" {
			require.Empty(t, said.Error, c.text)
			continue
		}
		require.Contains(t, said.Error, c.want)
	}
	reply, ended := s.Answer([]byte(`{"type":"bye"}`))
	require.True(t, ended)
	require.JSONEq(t, `{"type":"bye"}`, string(reply))
}

func TestTimeOfDecisions(t *testing.T) {
	p := play(t, options(t, Blue, "web-shell", "playbooks=none", "response.approval=none"))
	p.see(reset)
	minute := int64(time.Minute)
	s := p.see(`{"type":"step","latency_ns":5000000000,"actions":[{"kind":"isolate_host","params":{"host":"WS001"}}]}`)
	require.Equal(t, minute, s.Now)
	require.Equal(t, 5*int64(time.Second), s.Blue.Actions[0].Asked, "the decision stands when the agent has thought")
	require.Equal(t, 3*minute, p.see(`{"type":"step","wait_ns":120000000000}`).Now)
	require.Equal(t, 6*minute, p.see(`{"type":"step","latency_ns":180000000000}`).Now, "the next decision is due when the thinking is over")
	s = p.see(`{"type":"step","until":"alert"}`)
	require.NotEmpty(t, s.Blue.Alerts)
	require.NotZero(t, s.Now%minute)
	for !s.Done {
		s = p.see(`{"type":"step","until":"alert"}`)
	}
	require.Equal(t, int64(p.scenario.Horizon), s.Now)
}

func TestRewards(t *testing.T) {
	_, err := NewReward("harm + nothing")
	require.ErrorContains(t, err, "unknown name nothing")
	_, err = NewReward(`"much"`)
	require.Error(t, err)
	o := options(t, Blue, "quiet-day")
	o.Reward, err = NewReward("alerts / (hours - hours)")
	require.NoError(t, err)
	p := play(t, o)
	p.see(reset)
	reply, ended := p.Answer([]byte(step))
	require.True(t, ended)
	require.Contains(t, string(reply), "which is no number")

	o.Reward, err = NewReward("done ? 1 : hours")
	require.NoError(t, err)
	p = play(t, o)
	p.see(reset)
	require.InDelta(t, 1.0/60, p.see(step).Blue.Reward, 1e-9)

	o.Reward, o.AttackerReward = nil, nil
	p = play(t, o)
	p.say(reset)
	for !strings.Contains(p.say(`{"type":"step","wait_ns":3600000000000}`), `"done":true`) {
	}
	require.NotContains(t, p.transcript.String(), "reward")
	require.NotContains(t, p.transcript.String(), "result")
	require.NotContains(t, p.transcript.String(), "score\":1")
}

// TestARedAgentReachesItsGoal plays the techniques of a script by hand.
func TestARedAgentPlaysTechniques(t *testing.T) {
	o := options(t, Red, "lateral-movement", "playbooks=none", "cascade.off=true")
	var played *record.Trial
	o.Finished = func(v *defence.Variant, _ *scenarios.Scenario, _ uint64, r *record.Trial) error {
		require.Contains(t, v.Name, " vs test")
		played = r
		return nil
	}
	p := play(t, o)
	s := p.see(reset)
	require.True(t, s.Red.Due)
	require.NotContains(t, p.transcript.String(), `"estate"`, "red is not told the estate")
	choose := func(choice string) *seen { return p.see(`{"type":"step","choice":` + choice + `}`) }
	for text, want := range map[string]string{
		`{"technique":"T9999"}`:                           `there is no technique "T9999" in the library`,
		`{"technique":"T1566.001","tool":"smoke signal"}`: `T1566.001 has no tool "smoke signal"`,
		`{"technique":"T1021.002"}`:                       "T1021.002 cannot be used now: no foothold",
		`{"technique":"T1566.001","target":"WS001"}`:      `they know no host "WS001"`,
		`{"technique":"T1566.001","from":"WS001"}`:        `they have no foothold on "WS001" that still works`,
		`{"technique":"T1566.001","wait_ns":1}`:           "a choice is a technique or a wait, not both",
		`{"wait_ns":-5}`:                                  "wait_ns is -5, and time does not run backwards",
	} {
		before := s.Now
		s = choose(text)
		require.NotNil(t, s.Red.Outcome, text)
		require.Contains(t, s.Red.Outcome.Error, want)
		require.Equal(t, before+int64(10*time.Second), s.Now, "a decision that cannot be carried out takes time")
		require.True(t, s.Red.Due)
	}
	for len(s.Red.Footholds) == 0 && !s.Done {
		s = choose(`{"technique":"T1566.001"}`)
		require.True(t, s.Red.Outcome.Accepted)
		require.Equal(t, "T1566.001", s.Red.Steps[0].Technique)
	}
	require.False(t, s.Done)
	host := s.Red.Footholds[0].Host
	s = choose(fmt.Sprintf(`{"technique":"T1018","from":%q}`, host))
	require.True(t, s.Red.Outcome.Accepted)
	require.Greater(t, len(s.Red.Known), 1)
	require.True(t, choose(`{"wait_ns":60000000000}`).Red.Outcome.Accepted)
	s = choose(`{"give_up":true}`)
	require.True(t, s.Done, "what follows is the rest of the day")
	require.True(t, s.Red.Ended)
	require.NotNil(t, s.Result)
	require.Equal(t, "gave up", played.Attacks[0].EndReason)
	require.NotEmpty(t, played.Steps)
	require.Equal(t, host, played.Steps[len(played.Steps)-1].Host)
}

func TestBothSides(t *testing.T) {
	p := play(t, options(t, Both, "lateral-movement", "playbooks=none", "response.approval=none"))
	s := p.see(reset)
	harm := 0.0
	for i := 0; !s.Done; i++ {
		message := step
		if s.Red.Due {
			message = `{"type":"step","choice":{"technique":"T1566.001"},"actions":[{"kind":"alert_soc","params":{"severity":"low"}}]}`
		}
		before := s.Now
		s = p.see(message)
		require.Empty(t, s.Error)
		if !s.Done {
			require.Equal(t, before+int64(time.Minute), s.Now, "both decide at the same times")
		}
		harm += s.Red.Reward
	}
	require.GreaterOrEqual(t, harm, 0.0)
	require.Contains(t, p.say(step), "no trial goes on")

	none := options(t, Red, "quiet-day")
	require.Contains(t, play(t, none).say(reset), "quiet-day has no attacker to decide for")
	none = options(t, Red, "lateral-movement")
	none.Attacker = "nobody"
	require.Contains(t, play(t, none).say(reset), `lateral-movement has no attacker \"nobody\"; it has`)
}

// BenchmarkBlue is decisions of blue in days with a tenth of the background and the whole
// pipeline, without the agent's own work.
func BenchmarkBlue(b *testing.B) {
	v, err := defence.Load("", []scenarios.Setting{{Path: "playbooks", Value: "none"}, {Path: "background.rate", Value: "0.1"}})
	require.NoError(b, err)
	defer func() { require.NoError(b, v.Close()) }()
	s, err := scenarios.Load("web-shell", v.Scenario)
	require.NoError(b, err)
	reward, err := NewReward(ScoreReward)
	require.NoError(b, err)
	p := NewSession(Options{Side: Blue, Scenarios: []*scenarios.Scenario{s}, Variant: v, Seed: 7, Step: time.Minute, Reward: reward, AttackerReward: reward})
	_, _ = p.Answer([]byte(`{"type":"hello","protocol":1}`))
	for b.Loop() {
		if !p.IsPlaying() {
			_, _ = p.Answer([]byte(reset))
		}
		if _, ended := p.Answer([]byte(step)); ended {
			b.Fatal("the session has ended")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}
