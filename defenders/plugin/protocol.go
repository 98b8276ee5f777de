package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/remote"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// protocolVersion is the version that is spoken.
const protocolVersion = 1

// hello is the first message to a plug-in.
type hello struct {
	Type     string `json:"type"`
	Protocol int    `json:"protocol"`
	Scenario string `json:"scenario"`
	Seed     uint64 `json:"seed"`

	// of one that decides for the defence
	Side  string        `json:"side,omitempty"`
	Step  int64         `json:"step_ns,omitempty"`
	Kinds []remote.Kind `json:"kinds,omitempty"`
}

// trialMessage says that another trial begins, with nothing known.
type trialMessage struct {
	Type  string `json:"type"`
	Trial string `json:"trial_id"`
}

// Ready is the answer to hello.
type Ready struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Wants are the events that the plug-in asks for; all when absent.
	Wants []Want `json:"wants"`
	// Heartbeat is after how much virtual time without a batch it wants an empty one.
	Heartbeat int64 `json:"heartbeat_ns"`
}

// Want is a kind of events, by the parts of their log source that are given.
type Want struct {
	Source event.LogSource `json:"logsource"`
	Fields []string        `json:"fields"` // all when absent
}

// answer is what a plug-in says to a batch.
type answer struct {
	Type    string     `json:"type"`
	Seq     *uint64    `json:"seq"`
	Alerts  []rawAlert `json:"alerts"`
	Latency int64      `json:"latency_ns"`
	Error   string     `json:"error"` // of the type error: why it cannot go on
}

// rawAlert is a finding as a plug-in writes it.
type rawAlert struct {
	EventID    *uint64        `json:"event_id"`
	Events     []uint64       `json:"event_ids"` // further evidence, older first
	RuleID     string         `json:"rule_id"`
	Title      string         `json:"title"`
	Technique  string         `json:"technique"`
	Techniques []string       `json:"techniques"`
	Severity   string         `json:"severity"`
	Confidence *float64       `json:"confidence"`
	Reasons    []alert.Reason `json:"reasons"`
	// Entities in place of those of the event.
	Host        string `json:"host"`
	User        string `json:"user"`
	SourceIP    string `json:"source_ip"`
	Destination string `json:"destination"`
	Domain      string `json:"domain"`
}

// readReady reads the answer to hello.
func readReady(line []byte) (Ready, error) {
	var r Ready
	if err := decode(line, &r); err != nil {
		return r, err
	}
	switch {
	case r.Type != "ready":
		return r, fmt.Errorf("the answer to hello has the type %q, not ready", r.Type)
	case r.Name == "" || r.Version == "":
		return r, errors.New("ready has no name or no version")
	case r.Heartbeat < 0:
		return r, fmt.Errorf("heartbeat_ns is %d, and time does not run backwards", r.Heartbeat)
	}
	return r, nil
}

// readAnswer reads the answer to a batch.
func readAnswer(line []byte, seq uint64) (answer, error) {
	var a answer
	if err := decode(line, &a); err != nil {
		return a, err
	}
	switch {
	case a.Type == "error":
		return a, fmt.Errorf("it gave up: %s", shorten(a.Error))
	case a.Type != "alerts":
		return a, fmt.Errorf("the answer to batch %d has the type %q, not alerts", seq, a.Type)
	case a.Seq == nil:
		return a, fmt.Errorf("the answer to batch %d has no seq", seq)
	case *a.Seq != seq:
		return a, fmt.Errorf("it answers batch %d where an answer to batch %d is due", *a.Seq, seq)
	case a.Latency < 0 || time.Duration(a.Latency) > maxLatency:
		return a, fmt.Errorf("latency_ns of batch %d is %d; 0 to %d are accepted", seq, a.Latency, int64(maxLatency))
	}
	for i := range a.Alerts {
		if err := a.Alerts[i].check(); err != nil {
			return a, fmt.Errorf("alert %d of batch %d: %w", i+1, seq, err)
		}
	}
	return a, nil
}

// maxLatency is the longest service time that a plug-in may claim.
const maxLatency = 24 * time.Hour

func decode(line []byte, to any) error {
	if err := json.Unmarshal(line, to); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return fmt.Errorf("%q has a value of the kind %s, not %s", kind.Field, kind.Value, kind.Type)
		}
		return fmt.Errorf("%s is no JSON object of the protocol: %w", shorten(string(line)), err)
	}
	return nil
}

// shorten quotes the beginning of what a plug-in wrote.
func shorten(text string) string {
	const most = 120
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}

var techniqueID = regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)

func (a *rawAlert) check() error {
	switch {
	case a.EventID == nil:
		return errors.New("it has no event_id")
	case a.Title == "":
		return errors.New("it has no title")
	case a.Confidence == nil || math.IsNaN(*a.Confidence) || *a.Confidence < 0 || *a.Confidence > 1:
		return errors.New("confidence is missing or not from 0 to 1")
	}
	if _, err := severity.Parse(a.Severity); err != nil {
		return err
	}
	for _, id := range a.techniques() {
		if !techniqueID.MatchString(id) {
			return fmt.Errorf("%s is no ATT&CK technique such as T1110 or T1110.001", shorten(id))
		}
	}
	return nil
}

// techniques are all techniques of a finding, the main one first.
func (a *rawAlert) techniques() []string {
	var out []string
	if a.Technique != "" {
		out = append(out, a.Technique)
	}
	for _, id := range a.Techniques {
		if id != a.Technique {
			out = append(out, id)
		}
	}
	return out
}

// appendBatch writes a batch of events; those in JSON stand one behind the other with
// commas between them.
func appendBatch(b []byte, trial string, seq uint64, now time.Duration, events []byte) []byte {
	b = append(b, `{"type":"events","trial_id":`...)
	b = strconv.AppendQuote(b, trial)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"now_ns":`...)
	b = strconv.AppendInt(b, int64(now), 10)
	b = append(b, `,"events":[`...)
	b = append(b, events...)
	return append(b, ']', '}')
}

// wants tells which fields of an event a plug-in asked for; all is true for an event that
// it wants whole.
func (r *Ready) wants(s event.LogSource) (fields []string, all, wanted bool) {
	if len(r.Wants) == 0 {
		return nil, true, true
	}
	for _, w := range r.Wants {
		if !w.fits(s) {
			continue
		}
		if len(w.Fields) == 0 {
			return nil, true, true
		}
		fields, wanted = append(fields, w.Fields...), true
	}
	return fields, false, wanted
}

func (w *Want) fits(s event.LogSource) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(w.Source.Category, s.Category) && is(w.Source.Product, s.Product) && is(w.Source.Service, s.Service)
}

// isBlank tells a line that holds nothing.
func isBlank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }
