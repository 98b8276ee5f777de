package environment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	attacker "hemostat/attackers/remote"
	defender "hemostat/defenders/remote"
)

// protocolVersion is the version that is spoken.
const protocolVersion = 1

// message is what an agent says.
type message struct {
	Type string `json:"type"`

	// of hello
	Protocol int    `json:"protocol"`
	Agent    string `json:"agent"`   // names the variant in results
	Version  string `json:"version"` // of the agent; another one is another variant

	// of reset
	Scenario string  `json:"scenario"`
	Seed     *uint64 `json:"seed"`
	Index    *int    `json:"index"`

	// of step
	Actions []defender.Decision `json:"actions"`    // of blue
	Choice  *attacker.Decision  `json:"choice"`     // of red
	Latency int64               `json:"latency_ns"` // how long the decision took, in virtual time
	Wait    int64               `json:"wait_ns"`    // until the next decision, in place of the usual time
	Until   string              `json:"until"`      // alert: the next decision is due when an alert comes
}

// checkStep tells what is wrong with a step of a side.
func (m *message) checkStep(side Side) error {
	switch {
	case m.Latency < 0 || time.Duration(m.Latency) > longestLatency:
		return fmt.Errorf("latency_ns is %d; 0 to %d are accepted", m.Latency, int64(longestLatency))
	case m.Wait < 0:
		return fmt.Errorf("wait_ns is %d, and time does not run backwards", m.Wait)
	case m.Until != "" && m.Until != "alert":
		return fmt.Errorf(`until: "alert" is accepted, not %q`, m.Until)
	case m.Until != "" && side != Blue:
		return errors.New("until is for an agent that decides for blue alone")
	case len(m.Actions) > 0 && side == Red:
		return errors.New("actions are blue's, and this agent decides for red: choice is expected")
	case m.Choice != nil && side == Blue:
		return errors.New("choice is red's, and this agent decides for blue: actions are expected")
	}
	return nil
}

// decode reads one message. A key that is not known is an error, so that a misspelt one is not
// passed over.
func decode(text []byte, m *message) error {
	if len(text) > MostBytes {
		return fmt.Errorf("a message may have %d bytes, and this one has %d", MostBytes, len(text))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return fmt.Errorf("this is no message: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("one message a line is expected, and something follows it")
	}
	return nil
}

// ready is the answer to hello.
type ready struct {
	Type          string          `json:"type"`
	Protocol      int             `json:"protocol"`
	Name          string          `json:"name"`
	Version       string          `json:"version"`
	Side          Side            `json:"side"`
	Variant       string          `json:"variant"`
	Step          int64           `json:"step_ns"`
	Scenarios     []scenarioInfo  `json:"scenarios"`
	Kinds         []defender.Kind `json:"kinds,omitempty"` // of blue's actions
	MostDecisions int             `json:"most_decisions,omitempty"`
}

type scenarioInfo struct {
	Name    string `json:"name"`
	Horizon int64  `json:"horizon_ns"`
}

// observation is the answer to reset and step. Times are nanoseconds from the beginning of the day.
type observation struct {
	Type    string `json:"type"`
	Step    uint64 `json:"step"`
	Now     int64  `json:"now_ns"`
	Horizon int64  `json:"horizon_ns"`
	Done    bool   `json:"done"`

	Blue   *blueView `json:"blue,omitempty"`
	Red    *redView  `json:"red,omitempty"`
	Result *result   `json:"result,omitempty"` // at the end

	// after reset
	Trial      string               `json:"trial_id,omitempty"`
	Scenario   string               `json:"scenario,omitempty"`
	Seed       *uint64              `json:"seed,omitempty"`
	Index      *int                 `json:"index,omitempty"`
	Estate     *defender.Estate     `json:"estate,omitempty"`     // for blue
	Techniques []attacker.Technique `json:"techniques,omitempty"` // for red
}

// blueView is what blue sees, and what the step was worth to them.
type blueView struct {
	*defender.Observation
	Reward *float64 `json:"reward,omitempty"`
}

// redView is what red sees, and what the step was worth to them.
type redView struct {
	*attacker.Observation
	Reward *float64 `json:"reward,omitempty"`
}

// result is what a trial came to, in hours of work beside the score.
type result struct {
	Score      float64 `json:"score"`
	Harm       float64 `json:"harm"`
	Disruption float64 `json:"disruption"`
	Operations float64 `json:"operations"`
	Stake      float64 `json:"stake"`
	Objectives int     `json:"objectives_reached"`
}

// fault is the answer to a message that cannot be taken.
type fault struct {
	Type  string `json:"type"`
	Error string `json:"error"`
	Ended bool   `json:"ended"` // the session is over
}

// farewell is the answer to bye.
type farewell struct {
	Type string `json:"type"`
}
