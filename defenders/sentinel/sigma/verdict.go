package sigma

import (
	"hemostat/sim/event"
)

// Verdict tells part by part why a rule fires on an event, or does not.
type Verdict struct {
	Rule  string `json:"rule"`
	Fires bool   `json:"fires"`
	// RuleSource and EventSource are the log sources; the rule is not tried on an event
	// of a source that it does not take in.
	RuleSource  string `json:"rule_logsource"`
	EventSource string `json:"event_logsource"`
	TakesIn     bool   `json:"takes_in"`
	// Parts are the selections of the rule's detection, then those of filters.
	Parts []Part `json:"selections"`
}

// Part is one selection.
type Part struct {
	Name  string `json:"name"`
	Holds bool   `json:"holds"`
	Tests []Test `json:"tests"`
}

// Test is one test of one field.
type Test struct {
	Field string `json:"field"`
	// Present tells whether the event has the field, Value what it holds. A keyword has
	// no field.
	Present bool   `json:"present"`
	Value   string `json:"value"`
	Asks    string `json:"asks"`
	Holds   bool   `json:"holds"`
}

// Verdict tries a rule on single events and tells how every part of it comes out. A
// correlation has none; its rules have.
func (m *Matcher) Verdict(r *Rule, ev *event.Event) Verdict {
	v := Verdict{
		Rule: r.Title, RuleSource: r.Source.String(), EventSource: ev.Source.String(), TakesIn: feeds(r.Source, ev.Source),
	}
	clear(m.has[:])
	m.buffer = m.buffer[:0]
	m.event, m.lists, m.rename = ev, ev.HasLists(), standIn(r.Source, ev.Source)
	defer func() { m.event = nil }()
	v.Fires = v.TakesIn
	for i, d := range r.detections() {
		m.detection = d
		v.Fires = d.condition.eval(m) && v.Fires
		for k, name := range d.names {
			part := Part{Name: name, Holds: d.selections[k].eval(m), Tests: m.tests(d.selections[k])}
			if i > 0 {
				part.Name = "filter: " + name
			}
			v.Parts = append(v.Parts, part)
		}
	}
	return v
}

// tests are all tests of a part of a detection.
func (m *Matcher) tests(n node) []Test {
	switch n := n.(type) {
	case allNode:
		return m.testsOf(n)
	case anyNode:
		return m.testsOf(n)
	case notNode:
		out := m.tests(n.of)
		for i := range out {
			out[i].Asks, out[i].Holds = "not "+out[i].Asks, !out[i].Holds
		}
		return out
	case tester:
		t := Test{Asks: n.asks(), Holds: n.eval(m)}
		f := n.field()
		if f.none() {
			t.Field = "any field"
			if t.Holds {
				reason := m.keywordReason(n, "")
				t.Field, t.Value, t.Present = reason.Field, reason.Value, true
			}
			return []Test{t}
		}
		t.Field = m.rename.apply(f).name
		t.Value, t.Present = m.value(f)
		t.Value = clip(t.Value, maxReasonValue)
		return []Test{t}
	}
	return nil
}

func (m *Matcher) testsOf(parts []node) []Test {
	var out []Test
	for _, p := range parts {
		out = append(out, m.tests(p)...)
	}
	return out
}
