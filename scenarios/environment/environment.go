// Package environment lets programs outside decide in trials, step by step: virtual time stands
// still until they have answered. environment.go has the sessions, message.go what is said in
// them, reward.go what a step is worth.
//
// The same decisions in the same trial give the same observations and the same rows, on any
// machine and however long an agent thinks, unless its thinking time is to count.
package environment

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	defender "hemostat/defenders/remote"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/record"
)

// Side is for whom an agent decides.
type Side string

// The sides.
const (
	Blue Side = "blue" // the defence
	Red  Side = "red"  // one attacker
	Both Side = "both"
)

// Options say what an environment is made of.
type Options struct {
	Side      Side
	Scenarios []*scenarios.Scenario // a reset names one of them, or takes the next
	Attacker  string                // name of the attacker whom red directs; the scenario's first when ""
	Variant   *defence.Variant
	Seed      uint64        // of trials whose reset names none
	Step      time.Duration // between two decisions of blue, in virtual time
	// Reward and AttackerReward are what a step is worth to either side; nil for no reward, and
	// no word about what a trial came to.
	Reward, AttackerReward *Reward
	// ThinkingCounts adds the time that an agent takes for its answer to its latency. Results then
	// differ from run to run.
	ThinkingCounts bool
	// Finished is called with each trial that came to its end; nil for nobody. An error is told to
	// the agent, and ends the session.
	Finished func(v *defence.Variant, s *scenarios.Scenario, seed uint64, t *record.Trial) error
	// Interrupted tells sessions to stop; nil for never.
	Interrupted func() bool
	// Version is that of the program.
	Version string
}

func (o *Options) hasBlue() bool { return o.Side != Red }
func (o *Options) hasRed() bool  { return o.Side != Blue }

// Session is what one agent plays: trials, one after another. It is for one goroutine at a time.
type Session struct {
	options Options
	agent   string
	variant *defence.Variant // nil before hello

	scenario *scenarios.Scenario
	trial    *trial.Trial // nil while none goes on
	seed     uint64
	index    int
	next     int // index of the next trial
	steps    uint64
	before   totals
	answered time.Time // when the last observation went out
}

// totals are what a trial had come to at the last observation.
type totals struct {
	harm, disruption, operations float64
	objectives                   int
	now                          time.Duration
}

// NewSession begins a session.
func NewSession(o Options) *Session { return &Session{options: o} }

// Close ends a session; a trial that has not come to its end is given up.
func (s *Session) Close() error {
	if s.trial == nil {
		return nil
	}
	err := s.trial.Close()
	s.trial = nil
	return err
}

// IsPlaying tells whether a trial has begun and not come to its end.
func (s *Session) IsPlaying() bool { return s.trial != nil }

// MostBytes bounds a message.
const MostBytes = 1 << 20

// Answer answers a message of the agent. Where ended is set, the session is over. A message that
// cannot be taken is answered with an error and changes nothing.
func (s *Session) Answer(text []byte) (reply []byte, ended bool) {
	var m message
	answer, err := any(nil), decode(text, &m)
	if err == nil {
		answer, ended, err = s.take(&m)
	}
	if err != nil {
		answer = fault{Type: "error", Error: err.Error(), Ended: ended}
	}
	reply, err = json.Marshal(answer)
	if err != nil {
		return []byte(`{"type":"error","error":"the answer cannot be written","ended":true}`), true
	}
	s.answered = time.Now()
	return reply, ended
}

// take does what a message asks for. An error with ended is one that the session cannot go on
// after.
func (s *Session) take(m *message) (answer any, ended bool, err error) {
	switch m.Type {
	case "hello":
		answer, err = s.greet(m)
	case "reset":
		answer, ended, err = s.reset(m)
	case "step":
		answer, ended, err = s.step(m)
	case "bye":
		return farewell{"bye"}, true, s.Close()
	default:
		err = fmt.Errorf("there is no message of the type %q; accepted: hello, reset, step, bye", m.Type)
	}
	return answer, ended, err
}

func (s *Session) greet(m *message) (any, error) {
	if m.Protocol != protocolVersion {
		return nil, fmt.Errorf("hello names protocol %d, and this program speaks %d", m.Protocol, protocolVersion)
	}
	if s.variant != nil {
		return nil, errors.New("hello was said already")
	}
	a := defence.Agent{Name: cmp.Or(m.Agent, "agent"), Version: cmp.Or(m.Version, "0"), Sides: string(s.options.Side), Step: s.options.Step}
	v, err := s.options.Variant.WithAgent(a)
	if err != nil {
		return nil, err
	}
	s.agent, s.variant = a.Name, v
	r := ready{Type: "ready", Protocol: protocolVersion, Name: "hemostat", Version: s.options.Version, Side: s.options.Side,
		Variant: v.Name, Step: int64(s.options.Step)}
	if s.options.hasBlue() {
		r.Kinds, r.MostDecisions = defender.Kinds(), defender.MostDecisions
	}
	for _, x := range s.options.Scenarios {
		r.Scenarios = append(r.Scenarios, scenarioInfo{x.Name, int64(x.Horizon)})
	}
	return r, nil
}

func (s *Session) reset(m *message) (any, bool, error) {
	if s.variant == nil {
		return nil, false, errors.New("hello comes first")
	}
	if m.Index != nil && *m.Index < 0 {
		return nil, false, fmt.Errorf("index: a number of 0 or more is expected, not %d", *m.Index)
	}
	index := s.next
	if m.Index != nil {
		index = *m.Index
	}
	chosen, err := s.choose(m.Scenario, index)
	if err != nil {
		return nil, false, err
	}
	o := trial.Options{Seed: s.options.Seed}
	if m.Seed != nil {
		o.Seed = *m.Seed
	}
	if s.options.hasBlue() {
		o.Defender = s.agent
	}
	if s.options.hasRed() {
		if o.Directed, err = directed(chosen, s.options.Attacker); err != nil {
			return nil, false, err
		}
	}
	if err := s.Close(); err != nil {
		return nil, true, err
	}
	t, err := trial.New(chosen, s.variant, index, o)
	if err != nil {
		return nil, true, err
	}
	t.InterruptWhen(s.options.Interrupted)
	s.scenario, s.trial, s.seed, s.index, s.next, s.steps = chosen, t, o.Seed, index, index+1, 0
	s.before = totals{}
	if s.options.Side == Red {
		if err := s.runToRed(t.Horizon()); err != nil {
			return nil, true, errors.Join(err, s.Close())
		}
	}
	return s.begun(), false, nil
}

// begun is the answer to reset.
func (s *Session) begun() *observation {
	o := s.observe()
	o.Trial = record.TrialID(s.scenario.Digest(), s.variant.Digest, s.seed, s.index)
	o.Scenario, o.Seed, o.Index = s.scenario.Name, &s.seed, &s.index
	if s.options.hasBlue() {
		estate := defender.EstateOf(s.trial.Inventory())
		o.Estate = &estate
	}
	if s.options.hasRed() {
		o.Techniques = s.trial.Attacker().Techniques()
	}
	return o
}

func (s *Session) choose(name string, index int) (*scenarios.Scenario, error) {
	if name == "" {
		return s.options.Scenarios[index%len(s.options.Scenarios)], nil
	}
	var names []string
	for _, x := range s.options.Scenarios {
		if x.Name == name {
			return x, nil
		}
		names = append(names, x.Name)
	}
	return nil, fmt.Errorf("this environment has no scenario %q; it has %s", name, strings.Join(names, ", "))
}

// directed is the number of an attacker of a scenario, from 1.
func directed(s *scenarios.Scenario, name string) (int, error) {
	var names []string
	for i := range s.Attackers {
		names = append(names, s.Attackers[i].Name)
	}
	switch at := slices.Index(names, name); {
	case len(names) == 0:
		return 0, fmt.Errorf("%s has no attacker to decide for", s.Name)
	case name == "":
		return 1, nil
	case at < 0:
		return 0, fmt.Errorf("%s has no attacker %q; it has %s", s.Name, name, strings.Join(names, ", "))
	default:
		return at + 1, nil
	}
}

// longestLatency bounds what an answer may say of its own latency.
const longestLatency = 24 * time.Hour

func (s *Session) step(m *message) (any, bool, error) {
	if s.trial == nil {
		return nil, false, errors.New("no trial goes on: reset begins one")
	}
	if err := m.checkStep(s.options.Side); err != nil {
		return nil, false, err
	}
	latency := time.Duration(m.Latency)
	if s.options.ThinkingCounts {
		latency += time.Since(s.answered)
	}
	if err := s.advance(m, latency); err != nil {
		return nil, true, errors.Join(err, s.Close())
	}
	s.steps++
	o := s.observe()
	if err := s.judge(o); err != nil {
		return nil, true, errors.Join(err, s.Close())
	}
	if o.Done {
		if err := s.finish(); err != nil {
			return nil, true, err
		}
	}
	return o, false, nil
}

// refusedCosts is the time that a decision of red takes which cannot be carried out.
const refusedCosts = 10 * time.Second

// advance carries the decisions out once the agent has thought, and goes on until the next one is
// due.
func (s *Session) advance(m *message, latency time.Duration) error {
	t, began := s.trial, s.trial.Now()
	if latency > 0 {
		if err := t.RunUntil(began + latency); err != nil {
			return err
		}
	}
	if m.Choice != nil {
		t.Attacker().Decide(t.Now(), m.Choice)
	}
	until := began + cmp.Or(time.Duration(m.Wait), s.options.Step)
	if s.options.Side == Red {
		return s.advanceRed(m, began)
	}
	t.ActAsDefender(m.Actions)
	if m.Until != "alert" {
		return t.RunUntil(until)
	}
	if m.Wait == 0 {
		until = t.Horizon()
	}
	if t.HasNews() {
		return nil
	}
	return t.RunUntilStop(until, trial.Stop{AtAlert: true})
}

// advanceRed goes on until the attacker needs a decision, or the time that they wait for is over.
func (s *Session) advanceRed(m *message, began time.Duration) error {
	t := s.trial
	if t.Attacker().IsDue() {
		return t.RunUntil(t.Now() + cmp.Or(time.Duration(m.Wait), refusedCosts))
	}
	until := t.Horizon()
	if m.Wait > 0 {
		until = began + time.Duration(m.Wait)
	}
	return s.runToRed(until)
}

func (s *Session) runToRed(until time.Duration) error {
	return s.trial.RunUntilStop(until, trial.Stop{WhenAsked: true})
}

// observe is what the agent sees now.
func (s *Session) observe() *observation {
	t := s.trial
	o := &observation{Type: "observation", Step: s.steps, Now: int64(t.Now()), Horizon: int64(t.Horizon()), Done: t.Now() >= t.Horizon()}
	if s.options.hasBlue() {
		o.Blue = &blueView{Observation: t.ObserveAsDefender()}
	}
	if s.options.hasRed() {
		o.Red = &redView{Observation: t.Attacker().Observe(t.Now())}
	}
	return o
}

// judge adds the rewards, and at the end what the trial came to.
func (s *Session) judge(o *observation) error {
	if s.options.Reward == nil && s.options.AttackerReward == nil {
		return nil
	}
	c := s.trial.Costs()
	now := totals{c.Harm, c.Disruption, c.Operations, s.trial.Objectives(), s.trial.Now()}
	in := rewardInput{
		Harm: c.Harm - s.before.harm, Disruption: c.Disruption - s.before.disruption, Operations: c.Operations - s.before.operations,
		Stake: c.Stake, Hours: (now.now - s.before.now).Hours(), Objectives: now.objectives - s.before.objectives, Done: o.Done,
	}
	s.before = now
	if o.Done {
		o.Result = &result{Score: c.Score(), Harm: c.Harm, Disruption: c.Disruption, Operations: c.Operations, Stake: c.Stake,
			Objectives: now.objectives}
	}
	if o.Blue != nil {
		in.Alerts = len(o.Blue.Alerts)
		for _, x := range o.Blue.Outcomes {
			if x.Accepted {
				in.Actions++
			}
		}
		reward, err := s.options.Reward.of(&in)
		if err != nil {
			return err
		}
		o.Blue.Reward = &reward
	}
	if o.Red != nil {
		in.Alerts, in.Actions = 0, len(o.Red.Steps)
		reward, err := s.options.AttackerReward.of(&in)
		if err != nil {
			return err
		}
		o.Red.Reward = &reward
	}
	return nil
}

// finish ends a trial that came to its horizon.
func (s *Session) finish() error {
	t := s.trial
	s.trial = nil
	if err := t.Close(); err != nil || s.options.Finished == nil {
		return err
	}
	rows, err := t.Rows()
	if err != nil {
		return err
	}
	return s.options.Finished(s.variant, s.scenario, s.seed, rows)
}
