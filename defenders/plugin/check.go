package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"hemostat/sim/event"
)

// Check is one thing that a plug-in is tried for.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Said string `json:"said"` // what came, or why it is wrong
}

// Conformance is what trying a plug-in came to.
type Conformance struct {
	Checks []Check `json:"checks"`
	// Ready is how the plug-in presents itself.
	Ready  Ready `json:"ready"`
	Events int   `json:"events"` // that it was sent in one trial
	Alerts int   `json:"alerts"`
	// PerSecond is how many events it takes in a second of wall-clock time.
	PerSecond float64 `json:"events_per_second"`
}

// OK tells whether all checks passed.
func (c *Conformance) OK() bool {
	return !slices.ContainsFunc(c.Checks, func(x Check) bool { return !x.OK })
}

func (c *Conformance) note(name string, err error, said string) bool {
	if err != nil {
		said = err.Error()
	}
	c.Checks = append(c.Checks, Check{name, err == nil, said})
	return err == nil
}

// TryConformance starts a plug-in and tries whether it keeps to the protocol, with events
// such as a trial has. Whatever fails ends the trying, as later checks would fail for the
// same reason.
func TryConformance(config Config, events []*event.Event) *Conformance {
	c := &Conformance{}
	config = config.withDefaults()
	pool := NewPool(config)
	began := time.Now()
	s, err := pool.open(opening{"conformance", 1}, "conformance")
	if !c.note("answers hello with ready", err, fmt.Sprintf("within %s", time.Since(began).Round(time.Millisecond))) {
		return c
	}
	c.Ready = s.ready
	t := &trying{pool: pool, session: s, conformance: c, config: config}
	t.run(events)
	healthy := c.OK()
	err = s.carrier.close(healthy)
	if healthy {
		c.note("ends at bye", err, "")
	}
	return c
}

// trying is a plug-in that is tried.
type trying struct {
	pool        *Pool
	session     *session
	conformance *Conformance
	config      Config
	seq         uint64
}

func (t *trying) run(events []*event.Event) {
	c := t.conformance
	wanted := 0
	for _, e := range events {
		if _, _, ok := t.session.ready.wants(e.Source); ok {
			wanted++
		}
	}
	var err error
	if wanted == 0 {
		err = errors.New("no event of the trial has a log source that it wants; the sources are those of docs/logs.md")
	}
	if !c.note("wants events that there are", err, fmt.Sprintf("%d of %d events of the trial", wanted, len(events))) {
		return
	}
	began := time.Now()
	first, err := t.trial("one", events, t.config.Batch.Events)
	took := time.Since(began)
	if !c.note("answers each batch of a trial", err, fmt.Sprintf("%d batches, %d alerts", len(first.answers), first.alerts)) {
		return
	}
	c.Events, c.Alerts, c.PerSecond = wanted, first.alerts, float64(wanted)/max(took.Seconds(), 1e-6)
	_, err = t.trial("two", nil, 1)
	if !c.note("answers an empty batch", err, "") {
		return
	}
	_, err = t.trial("three", hostileEvents(events), t.config.Batch.Events)
	if !c.note("takes values of any form", err, "control characters, Unicode, long and empty values, several values") {
		return
	}
	again, err := t.trial("one", events, t.config.Batch.Events)
	if err == nil {
		err = sameAnswers(first, again)
	}
	if !c.note("answers the same trial alike", err, "") {
		return
	}
	single, err := t.trial("four", events[:min(len(events), 200)], 1)
	c.note("takes batches of one event", err, fmt.Sprintf("%d batches", len(single.answers)))
}

// told is what a plug-in answered in a trial.
type told struct {
	answers [][]byte
	alerts  int
}

// trial tells a whole trial, with an empty batch at its end.
func (t *trying) trial(id string, events []*event.Event, batch int) (told, error) {
	var out told
	message, err := json.Marshal(trialMessage{"trial", id})
	if err != nil {
		return out, err
	}
	if err := t.session.carrier.send(message, t.config.Answer); err != nil {
		return out, err
	}
	t.seq = 0
	sent := map[uint64]bool{}
	var text []byte
	count, now := 0, time.Duration(0)
	flush := func() error {
		t.seq++
		line, err := t.session.carrier.ask(appendBatch(nil, id, t.seq, now, text), t.config.Answer)
		if err != nil {
			return err
		}
		a, err := readAnswer(line, t.seq)
		if err != nil {
			return err
		}
		for _, x := range a.Alerts {
			if !sent[*x.EventID] && x.Host == "" && x.User == "" && x.SourceIP == "" {
				return fmt.Errorf("an alert of batch %d is about event %d, which it was not sent, and names no host, user or source_ip", t.seq, *x.EventID)
			}
		}
		out.answers, out.alerts = append(out.answers, bytes.Clone(line)), out.alerts+len(a.Alerts)
		text, count = text[:0], 0
		return nil
	}
	for _, e := range events {
		fields, all, ok := t.session.ready.wants(e.Source)
		if !ok {
			continue
		}
		if count > 0 {
			text = append(text, ',')
		}
		if all {
			text = e.AppendJSON(text)
		} else {
			text = e.AppendJSONOf(text, fields)
		}
		sent[e.ID], now = true, max(now, e.Time)
		if count++; count == batch {
			if err := flush(); err != nil {
				return out, err
			}
		}
	}
	if err := flush(); err != nil {
		return out, err
	}
	text = text[:0]
	return out, flush()
}

func sameAnswers(a, b told) error {
	for i := range a.answers {
		if !bytes.Equal(a.answers[i], b.answers[i]) {
			return fmt.Errorf("batch %d: %s, before %s; a plug-in has to forget at the message trial, and to draw nothing at random",
				i+1, shorten(string(b.answers[i])), shorten(string(a.answers[i])))
		}
	}
	return nil
}

// hostileEvents are events with values that break careless readers.
func hostileEvents(like []*event.Event) []*event.Event {
	var out []*event.Event
	for i, value := range []string{
		"", "\x00\x1b[31m", "\"},{\"", "ЖЖ 漢字 \U0001f600", "\xff\xfe", string(bytes.Repeat([]byte("x"), 100_000)), "-1", "null",
		"line\nbreak\r\n",
	} {
		e := &event.Event{ID: uint64(1_000_000 + i), Time: time.Duration(i) * time.Second, Host: value}
		if len(like) > 0 {
			e.Source = like[i%len(like)].Source
			like[i%len(like)].Each(func(name, _ string) bool { e.SetName(name, value); return true })
		}
		e.SetList("several", []string{value, value})
		out = append(out, e)
	}
	return out
}
