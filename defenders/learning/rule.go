package learning

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// Level is how much attention a learned rule asks for, by the share of its alarms that were real.
func Level(precision float64) string {
	switch {
	case precision >= 0.9:
		return "high"
	case precision >= 0.5:
		return "medium"
	}
	return "low"
}

// ID is the id of the signature's rule: a UUID of version 8 (RFC 9562) made from what it asks for.
func (s *Signature) ID() string {
	h := sha256.New()
	fmt.Fprintf(h, "hemostat learned %s\n", s.Source)
	for _, f := range s.ordered() {
		fmt.Fprintf(h, "%s\x00%d\x00%s\n", f.field, f.kind, f.text)
	}
	if s.count != nil {
		fmt.Fprintln(h, s.count.text())
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ordered are the conditions in the order of their fields.
func (s *Signature) ordered() []feature {
	return slices.SortedFunc(slices.Values(s.conditions), func(a, b feature) int {
		return strings.Compare(a.field+"\x00"+a.text, b.field+"\x00"+b.text)
	})
}

// Title says what the rule looks for.
func (s *Signature) Title() string {
	var parts []string
	for _, f := range s.conditions {
		parts = append(parts, strings.Trim(strings.ReplaceAll(f.text, string(open), "*"), `/\ `))
	}
	title := "Learned: " + strings.Join(parts, " With ")
	if s.count != nil {
		title = fmt.Sprintf("Learned: %s %d Times By %s", strings.Join(parts, " With "), s.count.least, s.count.group)
	}
	title = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, title)
	if r := []rune(title); len(r) > 100 {
		title = string(r[:99]) + "…"
	}
	return title
}

// Measured is what a signature came to on days that were not learned from.
type Measured struct {
	Level       string
	Description string // a sentence with what was measured
}

// mostReferences bounds the incidents that a rule names.
const mostReferences = 10

// Rule writes the signature as a Sigma rule, or as two of which the second counts the matches of
// the first.
func (s *Signature) Rule(m Measured) ([]byte, error) {
	selection := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range s.ordered() {
		key, value := f.test()
		selection.Content = append(selection.Content, scalar(key), scalar(value))
	}
	source := &yaml.Node{Kind: yaml.MappingNode}
	for _, part := range [][2]string{{"category", s.Source.Category}, {"product", s.Source.Product}, {"service", s.Source.Service}} {
		if part[1] != "" {
			source.Content = append(source.Content, scalar(part[0]), scalar(part[1]))
		}
	}
	detection := &yaml.Node{Kind: yaml.MappingNode,
		Content: []*yaml.Node{scalar("selection"), selection, scalar("condition"), scalar("selection")}}
	var documents []*yaml.Node
	rule := &yaml.Node{Kind: yaml.MappingNode}
	add := func(key string, value *yaml.Node) { rule.Content = append(rule.Content, scalar(key), value) }
	if s.count != nil {
		add("title", scalar("Base Of "+s.Title()))
		add("name", scalar(s.baseName()))
		add("status", scalar("experimental"))
		add("description", scalar("What the rule below counts."))
		add("logsource", source)
		add("detection", detection)
		add("level", scalar("informational"))
		documents = append(documents, rule)
		rule = &yaml.Node{Kind: yaml.MappingNode}
	}
	add("title", scalar(s.Title()))
	add("id", scalar(s.ID()))
	add("status", scalar("experimental"))
	add("description", scalar(fmt.Sprintf("Learned from %d confirmed incidents, in which it was seen, and from ordinary events, "+
		"%d of which have it. %s", len(s.Incidents), s.Ordinary, m.Description)))
	add("references", list(s.Incidents[:min(len(s.Incidents), mostReferences)]))
	if s.Technique != "" {
		add("tags", list([]string{"attack." + strings.ToLower(s.Technique)}))
	}
	if s.count != nil {
		add("correlation", s.count.node(s.baseName()))
	} else {
		add("logsource", source)
		add("detection", detection)
	}
	add("falsepositives", list([]string{"What the ordinary days that were learned from did not show"}))
	add("level", scalar(m.Level))
	var b bytes.Buffer
	w := yaml.NewEncoder(&b)
	w.SetIndent(4)
	for _, d := range append(documents, rule) {
		if err := w.Encode(d); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// baseName is the name of the rule whose matches are counted.
func (s *Signature) baseName() string { return "learned_" + s.ID()[:8] }

// text tells counts apart; "" for none.
func (c *counted) text() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s %s %d", c.group, c.window, c.least)
}

// node is the count as a Sigma correlation (Sigma specification 2.1, "Event Count").
func (c *counted) node(base string) *yaml.Node {
	span := fmt.Sprintf("%dm", int(c.window.Minutes()))
	least := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(c.least)}
	return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		scalar("type"), scalar("event_count"),
		scalar("rules"), list([]string{base}),
		scalar("group-by"), list([]string{c.group}),
		scalar("timespan"), scalar(span),
		scalar("condition"), {Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("gte"), least}},
	}}
}

func scalar(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

func list(texts []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, text := range texts {
		n.Content = append(n.Content, scalar(text))
	}
	return n
}

// test is the feature as a field with its modifier, and the value. Sigma reads values without
// regard to case (Sigma specification 2.1, section "Special Field Values" and modifiers).
func (f *feature) test() (key, value string) {
	value = escaped(f.text)
	switch f.kind {
	case ending:
		return f.field + "|endswith", value
	case folder:
		return f.field + "|startswith", value
	case word:
		return f.field + "|contains", value
	}
	return f.field, value
}

// escaped writes a text so that Sigma takes it literally, but for what is left open, which is a
// wildcard.
func escaped(text string) string {
	var b strings.Builder
	for i, c := range text {
		switch c {
		case open:
			b.WriteByte('*')
		case '*', '?':
			b.WriteByte('\\')
			b.WriteRune(c)
		case '\\':
			b.WriteByte('\\')
			if next := text[i+1:]; next == "" || strings.ContainsAny(next[:1], `*?#\`) {
				b.WriteByte('\\') // or it would escape what follows
			}
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
