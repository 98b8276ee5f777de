package analyst

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/sim/event"
)

// Decision is what the analyst says of an alert.
type Decision string

// The decisions. An alert that the analyst abstains from goes on as it came.
const (
	Confirm Decision = "confirm" // it is true: its confidence is at least the analyst's
	Dismiss Decision = "dismiss" // it is false: it goes no further
	Raise   Decision = "raise"   // it is true and more serious than it says
	Abstain Decision = "abstain" // no answer, or none that could be used
)

// decisions are those that an answer may hold.
var decisions = []Decision{Confirm, Dismiss, Raise}

// parseDecision reads a decision; an answer may not abstain by a word.
func parseDecision(text string) (Decision, error) {
	if d := Decision(text); slices.Contains(decisions, d) {
		return d, nil
	}
	return Abstain, fmt.Errorf("%q is no decision; accepted: confirm, dismiss, raise", text)
}

// Reason is one part of why the analyst decided so.
type Reason struct {
	Text string `json:"text"`
	// Weight is by how much it moved the log odds of a true alert; 0 where the analyst
	// does not weigh.
	Weight   float64  `json:"weight,omitempty"`
	Evidence []uint64 `json:"evidence,omitempty"` // event ids
}

// Verdict is an answer about an alert.
type Verdict struct {
	Decision   Decision
	Confidence float64 // 0 to 1, that the alert is true
	Technique  string  // ATT&CK id that the analyst would add; "" for none
	Reasons    []Reason
}

// Usage is what answers cost.
type Usage struct {
	Requests   int     // to the model, also those that a cassette answered
	FromTape   int     // of them, answered by the cassette
	Input      int     // tokens
	Output     int     // tokens
	Cost       float64 // in the currency of the prices
	Refused    int     // parts of answers that were refused
	Suspicious int     // texts in the evidence that look like orders to a model
}

func (u *Usage) add(v Usage) {
	u.Requests += v.Requests
	u.FromTape += v.FromTape
	u.Input += v.Input
	u.Output += v.Output
	u.Cost += v.Cost
	u.Refused += v.Refused
	u.Suspicious += v.Suspicious
}

// Answer is a verdict with what it took.
type Answer struct {
	Verdict
	Usage
	// Latency is how long the answer took once begun.
	Latency time.Duration
	// Why tells why the analyst abstained.
	Why string
}

// Case is an alert to be judged, with what has been seen of its entities.
type Case struct {
	Now   time.Duration
	Alert *alert.Alert

	memory *memory
}

// features describe the alert; those that rest on what was learned are 0 without weights.
func (c *Case) features(w *Weights) Features { return c.memory.featuresOf(c.Now, c.Alert, w) }

// evidence are the events of the alert that memory still holds, the newest last.
func (c *Case) evidence() []*event.Event {
	var events []*event.Event
	for _, id := range c.Alert.Evidence {
		if e := c.memory.events.byID(id); e != nil {
			events = append(events, e)
		}
	}
	return events
}

// historyRead is how many of the newest events of a host a judge reads that asks for them.
const historyRead = 200

// Texts calls f with every text of the alert's evidence, and where history is set, of the newest
// events of its host, as far as events are kept.
func (c *Case) Texts(history bool, f func(text string)) {
	read := func(e *event.Event) {
		e.Each(func(_, value string) bool {
			f(value)
			return true
		})
	}
	for _, e := range c.evidence() {
		read(e)
	}
	if !history || c.Alert.Host == "" {
		return
	}
	n := 0
	c.memory.events.newest(func(e *event.Event) bool {
		if short, _, _ := strings.Cut(e.Host, "."); !strings.EqualFold(short, c.Alert.Host) {
			return true
		}
		read(e)
		n++
		return n < historyRead
	})
}

// suspiciousTexts counts the texts that look like orders to a model.
func (c *Case) suspiciousTexts() int {
	n := 0
	c.Texts(true, func(text string) {
		if isSuspicious(text) {
			n++
		}
	})
	return n
}

// Judge decides about alerts. An error means that it can say nothing any more and ends the
// trial; an answer that is missing or unusable is no error but an abstention.
type Judge interface {
	// Name is what records call it: offline, surrogate, or the model's name.
	Name() string
	Judge(c *Case) (Answer, error)
}

// String is the reason with its weight and evidence.
func (r Reason) String() string {
	text := r.Text
	if r.Weight != 0 {
		text += fmt.Sprintf(" (%+.2f)", r.Weight)
	}
	if len(r.Evidence) > 0 {
		text += " " + strings.Trim(fmt.Sprint(r.Evidence), "[]")
	}
	return text
}
