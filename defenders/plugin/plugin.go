package plugin

import (
	"fmt"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// detector is a plug-in as a trial sees it. It collects events into batches, waits for each
// answer and reports what stands in it.
type detector struct {
	conversation

	events  []byte // of the batch in JSON, with commas between them
	waiting int
	since   time.Duration // when the first of them came
	seq     uint64
	sent    time.Duration // when the last batch went

	recent  [maxRecent]*event.Event // that were sent, the oldest overwritten first
	sentOut int
}

// maxRecent is of how many events a finding may speak by their ids alone.
const maxRecent = 4096

func (p *Pool) newDetector(env detect.Env) (*detector, error) {
	c, err := p.converse(env)
	if err != nil {
		return nil, err
	}
	return &detector{conversation: c}, nil
}

// Inspect takes an event into the batch, and sends a full one.
func (d *detector) Inspect(now time.Duration, e *event.Event, report detect.Report) error {
	if d.failure != nil {
		return d.failure
	}
	fields, all, wanted := d.session.ready.wants(e.Source)
	if !wanted {
		return nil
	}
	if d.waiting == 0 {
		d.since = now
	} else {
		d.events = append(d.events, ',')
	}
	if all {
		d.events = e.AppendJSON(d.events)
	} else {
		d.events = e.AppendJSONOf(d.events, fields)
	}
	d.waiting++
	d.recent[d.sentOut%maxRecent] = e
	d.sentOut++
	if d.waiting < d.pool.config.Batch.Events {
		return nil
	}
	return d.flush(now, report)
}

// NextWake implements detect.Timed: a batch has waited long enough, or a heartbeat is due.
func (d *detector) NextWake() (at time.Duration, ok bool) {
	if d.failure != nil {
		return 0, false
	}
	if d.waiting > 0 {
		at, ok = d.since+d.pool.config.Batch.Wait, true
	}
	if every := time.Duration(d.session.ready.Heartbeat); every > 0 {
		if beat := d.sent + every; !ok || beat < at {
			at, ok = beat, true
		}
	}
	return at, ok
}

// Advance implements detect.Timed.
func (d *detector) Advance(now time.Duration, report detect.Report) error {
	if at, ok := d.NextWake(); !ok || at > now {
		return d.failure
	}
	return d.flush(now, report)
}

// End implements detect.Ending.
func (d *detector) End(now time.Duration, report detect.Report) error {
	if d.failure != nil || d.waiting == 0 {
		return d.failure
	}
	return d.flush(now, report)
}

// flush sends the batch and reports the answer.
func (d *detector) flush(now time.Duration, report detect.Report) error {
	d.seq++
	message := appendBatch(nil, d.env.Trial, d.seq, now, d.events)
	d.events, d.waiting, d.sent = d.events[:0], 0, now
	line, err := d.ask(message)
	if err != nil {
		return d.fail(err)
	}
	a, err := readAnswer(line, d.seq)
	if err != nil {
		return d.fail(err)
	}
	d.keep(message, line)
	for i := range a.Alerts {
		f, err := d.finding(&a.Alerts[i])
		if err != nil {
			return d.fail(fmt.Errorf("alert %d of batch %d: %w", i+1, d.seq, err))
		}
		f.Delay = time.Duration(a.Latency)
		report(f)
	}
	return nil
}

// finding makes a finding of what a plug-in wrote.
func (d *detector) finding(a *rawAlert) (detect.Finding, error) {
	level, err := severity.Parse(a.Severity)
	if err != nil {
		return detect.Finding{}, err
	}
	rule := a.RuleID
	if rule == "" {
		rule = a.Title
	}
	f := detect.Finding{
		RuleID: d.pool.config.Name + "/" + rule, Title: a.Title, Techniques: a.techniques(), Severity: level,
		Confidence: *a.Confidence,
		Evidence:   append(append([]uint64{}, a.Events...), *a.EventID), Reasons: a.Reasons,
	}
	e := d.find(*a.EventID)
	if e == nil && a.Host == "" && a.User == "" && a.SourceIP == "" {
		return f, fmt.Errorf("event_id %d is none of the last %d events that it was sent, and it names no host, user or source_ip",
			*a.EventID, maxRecent)
	}
	entities := alert.Entities{}
	if e != nil {
		entities = alert.EntitiesOf(e, d.env.Inventory)
		f.EventTime = e.Time
	} else {
		f.EventTime = d.sent
	}
	for _, x := range []struct {
		to   *string
		from string
	}{
		{&entities.Host, a.Host}, {&entities.User, a.User}, {&entities.SourceIP, a.SourceIP},
		{&entities.Destination, a.Destination},
		{&entities.Domain, a.Domain},
	} {
		if x.from != "" {
			*x.to = x.from
		}
	}
	if a.Host != "" {
		entities.Zone = ""
		if h := d.env.Inventory.Host(a.Host); h != nil {
			entities.Host, entities.Zone = h.Name, h.Zone
		}
	}
	f.Entities = &entities
	return f, nil
}

// find returns a recent event by its id, the newest first.
func (d *detector) find(id uint64) *event.Event {
	for i := 1; i <= min(d.sentOut, maxRecent); i++ {
		if e := d.recent[(d.sentOut-i)%maxRecent]; e.ID == id {
			return e
		}
	}
	return nil
}

// Close ends the trial for the plug-in. When the trial ran to its end, an empty batch shows
// whether it wrote more than it was asked for.
func (d *detector) Close(completed bool) error {
	return d.end(completed, func() error {
		d.events = d.events[:0]
		d.seq++
		line, err := d.ask(appendBatch(nil, d.env.Trial, d.seq, d.sent, nil))
		if err == nil {
			_, err = readAnswer(line, d.seq)
		}
		return err
	})
}
