package sigma

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"hemostat/sim/event"
)

// Reason is one test that an event passed for a rule: the selection that it
// stands in, the field, the event's value and what was asked of it. Of a
// correlation it is a group-by field with its value, or the count.
type Reason struct {
	Selection string `json:"selection,omitempty"`
	Field     string `json:"field,omitempty"`
	Value     string `json:"value"`
	Test      string `json:"test"`
}

// maxReasonValue bounds the text of a value in a reason.
const maxReasonValue = 300

// Explain tells why a rule matched an event: of each selection that holds, the
// tests that hold. It may be called while the event is being matched.
func (m *Matcher) Explain(match Match, ev *event.Event) []Reason {
	r := match.Rule
	if r.Correlation != nil {
		return r.Correlation.reasons(match)
	}
	current, lists, detection, rename := m.event, m.lists, m.detection, m.rename
	defer func() { m.event, m.lists, m.detection, m.rename = current, lists, detection, rename }()
	if current != ev {
		clear(m.has[:])
		m.buffer = m.buffer[:0]
	}
	m.event, m.lists, m.rename = ev, ev.HasLists(), standIn(r.Source, ev.Source)
	var out []Reason
	for _, d := range r.detections() {
		m.detection = d
		for i, name := range d.names {
			for _, reason := range m.reasons(d.selections[i]) {
				reason.Selection = name
				out = append(out, reason)
			}
		}
	}
	return out
}

// reasons are the tests that make a part of a detection true; there are none when
// it is false.
func (m *Matcher) reasons(n node) []Reason {
	if !n.eval(m) {
		return nil
	}
	switch n := n.(type) {
	case allNode:
		return m.reasonsOf(n)
	case anyNode:
		return m.reasonsOf(n)
	case tester:
		return []Reason{m.reason(n, n.asks())}
	case notNode:
		if of, ok := n.of.(tester); ok {
			return []Reason{m.reason(of, "not "+of.asks())}
		}
	}
	return nil
}

func (m *Matcher) reasonsOf(parts []node) []Reason {
	var out []Reason
	for _, p := range parts {
		out = append(out, m.reasons(p)...)
	}
	return out
}

func (m *Matcher) reason(t tester, asks string) Reason {
	f := t.field()
	if f.none() {
		return m.keywordReason(t, asks)
	}
	v, _ := m.value(f)
	return Reason{Field: m.rename.apply(f).name, Value: clip(v, maxReasonValue), Test: asks}
}

// keywordReason finds the field in which a keyword stands.
func (m *Matcher) keywordReason(t tester, asks string) Reason {
	var out Reason
	m.event.Each(func(name, v string) bool {
		found := false
		switch t := t.(type) {
		case *textNode:
			if !t.cased {
				found = t.test(m.fold(v))
			} else {
				found = t.test(v)
			}
		case regexNode:
			found = t.re.matches(v)
		}
		if found {
			out.Field, out.Value = name, clip(v, maxReasonValue)
		}
		return !found
	})
	out.Test = asks
	return out
}

// clip shortens a text to so many bytes.
func clip(v string, most int) string {
	if len(v) <= most {
		return strings.Clone(v)
	}
	for most > 0 && !utf8.RuneStart(v[most]) {
		most--
	}
	return v[:most] + "…"
}

// tester is a node that tests one field.
type tester interface {
	node
	field() fieldRef
	asks() string // the test in the words of rules
}

func (n *textNode) field() fieldRef    { return n.f }
func (n regexNode) field() fieldRef    { return n.f }
func (n cidrNode) field() fieldRef     { return n.f }
func (n compareNode) field() fieldRef  { return n.f }
func (n existsNode) field() fieldRef   { return n.f }
func (n nullNode) field() fieldRef     { return n.f }
func (n fieldrefNode) field() fieldRef { return n.f }

func (n *textNode) asks() string {
	text, form := n.literal, [...]string{shapeEqual: "is", shapePrefix: "startswith", shapeSuffix: "endswith", shapeContains: "contains", shapePattern: "is like"}[n.shape]
	if n.shape == shapePattern {
		var b strings.Builder
		for _, w := range n.pattern {
			switch {
			case w.many:
				b.WriteByte('*')
			case w.one:
				b.WriteByte('?')
			default:
				b.WriteString(escape(w.literal))
			}
		}
		text = b.String()
	}
	if n.cased {
		form += " (cased)"
	}
	return fmt.Sprintf("%s '%s'", form, clip(text, maxReasonValue))
}

func (n regexNode) asks() string  { return "re '" + clip(n.re.String(), maxReasonValue) + "'" }
func (n cidrNode) asks() string   { return "cidr " + n.prefix.String() }
func (n existsNode) asks() string { return "exists" }
func (n nullNode) asks() string   { return "is null" }

func (n compareNode) asks() string {
	text := n.op + " " + strconv.FormatFloat(n.to, 'g', -1, 64)
	if n.part != "" {
		text = n.part + " " + text
	}
	return text
}

func (n fieldrefNode) asks() string {
	form := "is"
	switch {
	case n.contains:
		form = "contains"
	case n.starts:
		form = "startswith"
	case n.ends:
		form = "endswith"
	}
	return form + " the value of " + n.other.name
}

// reasons are the group that a correlation found, and its count.
func (c *Correlation) reasons(match Match) []Reason {
	var out []Reason
	if len(c.GroupBy) > 0 {
		for i, v := range strings.SplitN(match.Group, "\x00", len(c.GroupBy)) {
			out = append(
				out,
				Reason{Selection: "group-by", Field: c.GroupBy[i], Value: clip(v, maxReasonValue), Test: "in common"},
			)
		}
	}
	var asks []string
	for _, b := range c.bounds {
		asks = append(asks, b.op+" "+strconv.FormatFloat(b.to, 'g', -1, 64))
	}
	if len(asks) == 0 {
		asks = append(asks, "all of "+strings.Join(c.Rules, ", "))
	}
	field := c.Type
	if len(c.Fields) > 0 {
		field += " of " + strings.Join(c.Fields, ", ")
	}
	return append(
		out,
		Reason{
			Selection: "condition",
			Field:     field,
			Value:     strconv.Itoa(match.Count),
			Test:      strings.Join(asks, ", ") + " within " + c.Timespan.String(),
		},
	)
}
