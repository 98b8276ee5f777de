package sigma

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"hemostat/sim/event"
)

// Selectors of members of an array (Sigma enhancement proposal 212): a field with a
// quantifier takes a value, or a block that one and the same member must fulfil.
//
//	connections[any]: {protocol: tcp, ip|cidr: 10.0.0.0/8}
//	containers[any]: {condition: a or b, a: {…}, b: {…}}
//	status[all]|gte: 500
//	records[0].name: x
//
// any asks for one member, all for every member of an array that has some, all_or_empty
// also holds for none, none asks that no member holds; a number is a place from 0. In a
// block a dot is the member itself when it is no object.
var selector = regexp.MustCompile(`^(.*?[^\\])\[(any|all|all_or_empty|none|\d{1,6})\](?:\.([^|]+))?$`)

// unescapeBrackets restores brackets that belong to a name.
var unescapeBrackets = strings.NewReplacer(`\[`, "[", `\]`, "]")

// maxArrayDepth bounds selectors within selectors.
const maxArrayDepth = 8

// arrayNode tests the members of an array.
type arrayNode struct {
	f          fieldRef
	quantifier string
	index      int // of a quantifier that is a place
	body       *detection
	text       string // what is asked of a member
}

// arrayItem reads a field with a selector. It reports false when the field has none.
func (p *parser) arrayItem(key, value *yaml.Node) (node, bool) {
	name, modifiers, _ := strings.Cut(key.Value, "|")
	m := selector.FindStringSubmatch(name)
	if m == nil {
		return nil, false
	}
	if p.arrays++; p.arrays > maxArrayDepth {
		p.fault(key, "selectors of arrays nest deeper than %d", maxArrayDepth)
		return constant(false), true
	}
	defer func() { p.arrays-- }()
	n := arrayNode{f: fieldRefer(unescapeBrackets.Replace(m[1])), quantifier: m[2], text: "[" + m[2] + "] fulfils its block"}
	if i, err := strconv.Atoi(m[2]); err == nil {
		n.quantifier, n.index = "at", i
	}
	inner := m[3]
	if value.Kind == yaml.MappingNode && inner == "" && modifiers == "" {
		n.body = p.arrayBody(value)
		return n, true
	}
	if inner == "" {
		inner = "."
	}
	if modifiers != "" {
		inner += "|" + modifiers
	}
	member := *key
	member.Value = inner
	n.text = fmt.Sprintf("[%s] %s: %s", m[2], inner, clip(value.Value, maxReasonValue))
	n.body = &detection{names: []string{"member"}, selections: []node{p.item(&member, value)}, condition: reference(0)}
	return n, true
}

// arrayBody reads a block: fields that must all hold, or selections with a condition.
func (p *parser) arrayBody(n *yaml.Node) *detection {
	condition := valueOf(n, "condition")
	if condition == nil || condition.Kind != yaml.ScalarNode {
		return &detection{names: []string{"member"}, selections: []node{p.selection(n)}, condition: reference(0)}
	}
	d := &detection{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "condition" {
			continue
		}
		d.names = append(d.names, n.Content[i].Value)
		d.selections = append(d.selections, p.selection(n.Content[i+1]))
	}
	expression, err := parseCondition(condition.Value, d.names)
	if err != nil {
		p.fault(condition, "condition %q: %s", condition.Value, err)
		expression = constant(false)
	}
	d.condition = expression
	return d
}

func (n arrayNode) eval(m *Matcher) bool {
	members := m.arrayMembers(n.f)
	holds := func(e *event.Event) bool { return m.inner().holdsMember(n.body, e) }
	switch n.quantifier {
	case "any":
		return slices.ContainsFunc(members, holds)
	case "none":
		return !slices.ContainsFunc(members, holds)
	case "at":
		return n.index < len(members) && holds(members[n.index])
	case "all":
		if len(members) == 0 {
			return false
		}
	}
	return !slices.ContainsFunc(members, func(e *event.Event) bool { return !holds(e) })
}

func (n arrayNode) field() fieldRef { return n.f }
func (n arrayNode) asks() string    { return n.text }

// inner is a matcher for members of arrays, so that what is known of the event stays.
func (m *Matcher) inner() *Matcher {
	if m.ofArrays == nil {
		m.ofArrays = &Matcher{engine: m.engine}
	}
	return m.ofArrays
}

func (m *Matcher) holdsMember(d *detection, e *event.Event) bool {
	before, detection := m.event, m.detection
	defer func() {
		m.event, m.detection = before, detection
		clear(m.has[:])
	}()
	clear(m.has[:])
	m.buffer = m.buffer[:0]
	m.event, m.lists, m.detection = e, e.HasLists(), d
	return d.condition.eval(m)
}

// arrayMembers are the members of an array as events of their own: objects with their
// fields, others under the name of a dot. A single value is an array of one.
func (m *Matcher) arrayMembers(f fieldRef) []*event.Event {
	var out []*event.Event
	if values := m.members(f); values != nil {
		for _, v := range values {
			e := &event.Event{}
			e.SetName(".", v)
			out = append(out, e)
		}
		return out
	}
	text, ok := m.value(f)
	if !ok {
		return nil
	}
	var array []any
	if strings.HasPrefix(text, "[") && json.Unmarshal([]byte(text), &array) == nil {
		for _, v := range array {
			out = append(out, memberEvent(v))
		}
		return out
	}
	var object map[string]any
	if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &object) == nil {
		return append(out, memberEvent(object))
	}
	e := &event.Event{}
	e.SetName(".", text)
	return append(out, e)
}

func memberEvent(v any) *event.Event {
	e := &event.Event{}
	setMember(e, "", v)
	return e
}

// setMember gives an event the values of a member under dotted names.
func setMember(e *event.Event, name string, v any) {
	at := name
	if at == "" {
		at = "."
	}
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			inner := key
			if name != "" {
				inner = name + "." + key
			}
			setMember(e, inner, v[key])
		}
	case []any:
		var texts []string
		for _, x := range v {
			switch x.(type) {
			case map[string]any, []any, nil:
				text, _ := json.Marshal(v) // what was read can be written
				e.SetName(at, string(text))
				return
			}
			texts = append(texts, scalarText(x))
		}
		e.SetList(at, texts)
	default:
		e.SetName(at, scalarText(v))
	}
}

func scalarText(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return fmt.Sprint(v)
}
