package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/remote"
)

// Agent is a program outside that decides for the defence in one trial.
type Agent struct {
	conversation
	horizon time.Duration
	estate  *remote.Estate // until it is told
	steps   uint64
}

// question is what an agent is asked: the observation of hemostat env (docs/agents.md).
type question struct {
	Type    string              `json:"type"`
	Trial   string              `json:"trial_id"`
	Step    uint64              `json:"step"`
	Now     int64               `json:"now_ns"`
	Horizon int64               `json:"horizon_ns"`
	Done    bool                `json:"done"`             // the trial is over, and what is decided is not done
	Estate  *remote.Estate      `json:"estate,omitempty"` // with the first
	Blue    *remote.Observation `json:"blue"`
}

// decided is the answer of an agent.
type decided struct {
	Type    string            `json:"type"`
	Actions []remote.Decision `json:"actions"`
	Latency int64             `json:"latency_ns"`
	Error   string            `json:"error"` // of the type error: why it cannot go on
}

// NewAgent lets an agent take its place in a trial of a horizon.
func (p *Pool) NewAgent(env detect.Env, horizon time.Duration) (*Agent, error) {
	c, err := p.converse(env)
	if err != nil {
		return nil, err
	}
	estate := remote.EstateOf(env.Inventory)
	return &Agent{conversation: c, horizon: horizon, estate: &estate}, nil
}

// Decide asks the agent what to do, and how long it took for that in virtual time.
func (a *Agent) Decide(o *remote.Observation) ([]remote.Decision, time.Duration, error) {
	if a.failure != nil {
		return nil, 0, a.failure
	}
	d, err := a.exchange(o, false)
	return d.Actions, time.Duration(d.Latency), a.fail(err)
}

// exchange asks the agent once.
func (a *Agent) exchange(o *remote.Observation, done bool) (d decided, err error) {
	a.steps++
	message, err := json.Marshal(question{Type: "observation", Trial: a.env.Trial, Step: a.steps, Now: o.Now, Horizon: int64(a.horizon),
		Done: done, Estate: a.estate, Blue: o})
	if err != nil {
		return d, err
	}
	a.estate = nil
	line, err := a.ask(message)
	if err != nil {
		return d, err
	}
	if d, err = readDecisions(line); err != nil {
		return d, fmt.Errorf("step %d: %w", a.steps, err)
	}
	a.keep(message, line)
	return d, nil
}

// readDecisions reads an agent's answer. A key that is not known is an error, so that a misspelt
// one is not passed over.
func readDecisions(line []byte) (d decided, err error) {
	r := json.NewDecoder(bytes.NewReader(line))
	r.DisallowUnknownFields()
	if err := r.Decode(&d); err != nil {
		return d, fmt.Errorf("this is no answer: %w: %s", err, shorten(string(line)))
	}
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return d, fmt.Errorf("something follows the answer: %s", shorten(string(line)))
	}
	switch {
	case d.Type == "error":
		return d, fmt.Errorf("it gave up: %s", shorten(d.Error))
	case d.Type != "step":
		return d, fmt.Errorf("the answer has the type %q, not step", d.Type)
	case d.Latency < 0 || time.Duration(d.Latency) > maxLatency:
		return d, fmt.Errorf("latency_ns is %d; 0 to %d are accepted", d.Latency, int64(maxLatency))
	}
	return d, nil
}

// Close ends the trial for the agent. When the trial ran to its end, the agent is shown what it came
// to; what it answers to that is not done, and shows whether it wrote more than it was asked for.
func (a *Agent) Close(completed bool, last func() *remote.Observation) error {
	return a.end(completed, func() error {
		_, err := a.exchange(last(), true)
		return err
	})
}
