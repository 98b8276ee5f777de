package sigma

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hemostat/sim/event"
)

// node is one part of a compiled detection.
type node interface {
	eval(m *Matcher) bool
}

type detection struct {
	names      []string
	selections []node
	condition  node
}

type (
	allNode   []node
	anyNode   []node
	notNode   struct{ of node }
	constant  bool
	reference int
)

func allOf(parts []node) node {
	if len(parts) == 1 {
		return parts[0]
	}
	return allNode(parts)
}

func anyOf(parts []node) node {
	if len(parts) == 1 {
		return parts[0]
	}
	return anyNode(parts)
}

func (n allNode) eval(m *Matcher) bool {
	for _, p := range n {
		if !p.eval(m) {
			return false
		}
	}
	return true
}

func (n anyNode) eval(m *Matcher) bool {
	for _, p := range n {
		if p.eval(m) {
			return true
		}
	}
	return false
}

func (n notNode) eval(m *Matcher) bool { return !n.of.eval(m) }

func (c constant) eval(*Matcher) bool { return bool(c) }

func (r reference) eval(m *Matcher) bool { return m.detection.selections[r].eval(m) }

// Matcher evaluates rules against one event after another. It holds scratch
// memory and serves one goroutine.
type Matcher struct {
	engine     *Engine `snapshot:"-"`
	windows    []*window
	held       int // entries of all windows
	clock      slowClock
	stats      Stats
	evaluation `snapshot:"-"`
}

// evaluation is what is known of the event that is being matched.
type evaluation struct {
	event *event.Event
	lists bool // a field of the event holds several values
	// ofArrays evaluates tests of members of arrays; nil before the first.
	ofArrays *Matcher
	// detection is the one being evaluated, which references look into.
	detection *detection
	rename    renaming
	matching  *Rule // the last rule on single events that matched

	folded  [event.NumFields]string
	has     [(event.NumFields + 63) / 64]uint64
	buffer  []byte // folded text of the current event
	program *program
	sources map[event.LogSource]map[string]*program // by event id

	// Of the current event, by bits: rules that came into question, atoms whose
	// literal was found, atoms whose test was made and what it came to.
	marked, seen, known, truth []uint64
}

// value is a field of the current event under the name that rules use.
func (m *Matcher) value(f fieldRef) (string, bool) {
	return m.raw(m.rename.apply(f))
}

// raw is a field under the name that the event has for it.
func (m *Matcher) raw(f fieldRef) (string, bool) {
	if f.field == event.NoField {
		return m.event.Extra(f.name)
	}
	return m.event.Get(f.field)
}

// foldedValue is a field, under the name that rules use, in lower case.
func (m *Matcher) foldedValue(f fieldRef) (string, bool) {
	return m.foldedField(m.rename.apply(f))
}

// foldedField is a field in lower case; each known one is folded once an event.
func (m *Matcher) foldedField(f fieldRef) (string, bool) {
	if f.field == event.NoField {
		v, ok := m.event.Extra(f.name)
		return m.fold(v), ok
	}
	word, bit := f.field>>6, uint64(1)<<(f.field&63)
	if m.has[word]&bit != 0 {
		return m.folded[f.field], true
	}
	v, ok := m.event.Get(f.field)
	if !ok {
		return "", false
	}
	v = m.fold(v)
	m.folded[f.field] = v
	m.has[word] |= bit
	return v, true
}

// members are the values of a field that holds several, under the name that rules use;
// nil when it holds one.
func (m *Matcher) members(f fieldRef) []string { return m.rawMembers(m.rename.apply(f)) }

// rawMembers are those of a field under the name that the event has for it.
func (m *Matcher) rawMembers(f fieldRef) []string {
	if !m.lists {
		return nil
	}
	return m.event.Members(f.field, f.name)
}

// some tells whether a test holds for the value of a field, or for one of several.
func (m *Matcher) some(f fieldRef, test func(string) bool) bool {
	if members := m.members(f); members != nil {
		return slices.ContainsFunc(members, test)
	}
	v, ok := m.value(f)
	return ok && test(v)
}

type existsNode struct{ f fieldRef }

func (n existsNode) eval(m *Matcher) bool {
	_, ok := m.value(n.f)
	return ok
}

// nullNode is true when a field is absent or empty.
type nullNode struct{ f fieldRef }

func (n nullNode) eval(m *Matcher) bool {
	v, ok := m.value(n.f)
	return !ok || v == ""
}

type regexNode struct {
	f  fieldRef
	re *expression
}

func (n regexNode) eval(m *Matcher) bool {
	if n.f.none() {
		return n.anywhere(m)
	}
	return m.some(n.f, n.re.matches)
}

// anywhere tries every field of the event, as keyword searches do.
func (n regexNode) anywhere(m *Matcher) bool {
	for i := range m.event.Len() {
		if n.re.matches(m.event.At(i)) {
			return true
		}
	}
	return false
}

type cidrNode struct {
	f      fieldRef
	prefix netip.Prefix
}

func (n cidrNode) eval(m *Matcher) bool {
	return m.some(n.f, n.holds)
}

func (n cidrNode) holds(v string) bool {
	addr, err := netip.ParseAddr(strings.TrimSpace(v))
	if err != nil {
		return false
	}
	addr = addr.WithZone("")
	return n.prefix.Contains(addr) || n.prefix.Contains(addr.Unmap())
}

type compareNode struct {
	f    fieldRef
	op   string
	to   float64
	part string
}

func (n compareNode) eval(m *Matcher) bool {
	return m.some(n.f, n.holds)
}

func (n compareNode) holds(text string) bool {
	v, err := n.number(text)
	if err != nil {
		return false
	}
	switch n.op {
	case "lt":
		return v < n.to
	case "lte":
		return v <= n.to
	case "gt":
		return v > n.to
	case "gte":
		return v >= n.to
	}
	return v == n.to
}

func (n compareNode) number(text string) (float64, error) {
	if n.part == "" {
		return parseNumber(text)
	}
	at, err := parseTime(text)
	if err != nil {
		return 0, err
	}
	switch n.part {
	case "minute":
		return float64(at.Minute()), nil
	case "hour":
		return float64(at.Hour()), nil
	case "day":
		return float64(at.Day()), nil
	case "week":
		_, week := at.ISOWeek()
		return float64(week), nil
	case "month":
		return float64(at.Month()), nil
	}
	return float64(at.Year()), nil
}

func parseTime(text string) (time.Time, error) {
	var at time.Time
	var err error
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999"} {
		if at, err = time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return at, err
}

type fieldrefNode struct {
	f, other               fieldRef
	starts, ends, contains bool
	cased                  bool
}

func (n fieldrefNode) eval(m *Matcher) bool {
	get := m.foldedValue
	if n.cased {
		get = m.value
	}
	v, ok := get(n.f)
	w, also := get(n.other)
	if !ok || !also {
		return false
	}
	if m.lists {
		return m.somePair(n)
	}
	return n.compare(v, w)
}

// somePair compares every value of one field with every value of the other.
func (m *Matcher) somePair(n fieldrefNode) bool {
	all := func(f fieldRef) []string {
		members := m.members(f)
		if members == nil {
			v, _ := m.value(f)
			members = []string{v}
		}
		if !n.cased {
			members = slices.Clone(members)
			for i := range members {
				members[i] = m.fold(members[i])
			}
		}
		return members
	}
	others := all(n.other)
	return slices.ContainsFunc(all(n.f), func(v string) bool {
		return slices.ContainsFunc(others, func(w string) bool { return n.compare(v, w) })
	})
}

func (n fieldrefNode) compare(v, w string) bool {
	switch {
	case n.contains:
		return strings.Contains(v, w)
	case n.starts:
		return strings.HasPrefix(v, w)
	case n.ends:
		return strings.HasSuffix(v, w)
	}
	return v == w
}

// textNode matches literal text or a pattern with wildcards. The common shapes
// have a test of their own.
type textNode struct {
	f       fieldRef
	shape   textShape
	literal string
	pattern []wild
	cased   bool
	key     string // the same for nodes that test the same
	// number is what the literal says when the rule gives a number, which equals the
	// same number in any form; NaN otherwise.
	number float64
}

type textShape uint8

const (
	shapeEqual textShape = iota
	shapePrefix
	shapeSuffix
	shapeContains
	shapePattern
)

func newTextNode(f fieldRef, pattern []wild, cased bool) node {
	pattern = squeeze(pattern)
	n := &textNode{f: f, pattern: pattern, cased: cased, shape: shapePattern, number: math.NaN()}
	if !cased {
		for i := range pattern {
			pattern[i].literal = folded(pattern[i].literal)
		}
	}
	literal := func(i int) bool { return !pattern[i].many && !pattern[i].one }
	switch {
	case len(pattern) == 0:
		n.shape = shapeEqual
	case len(pattern) == 1 && literal(0):
		n.shape, n.literal = shapeEqual, pattern[0].literal
	case len(pattern) == 1 && pattern[0].many:
		n.shape = shapeContains
	case len(pattern) == 2 && literal(0) && pattern[1].many:
		n.shape, n.literal = shapePrefix, pattern[0].literal
	case len(pattern) == 2 && literal(1) && pattern[0].many:
		n.shape, n.literal = shapeSuffix, pattern[1].literal
	case len(pattern) == 3 && literal(1) && pattern[0].many && pattern[2].many:
		n.shape, n.literal = shapeContains, pattern[1].literal
	}
	n.key = textKey(pattern, cased)
	return n
}

func textKey(pattern []wild, cased bool) string {
	var b strings.Builder
	if cased {
		b.WriteByte('c')
	}
	for _, w := range pattern {
		switch {
		case w.many:
			b.WriteString("\x00*")
		case w.one:
			b.WriteString("\x00?")
		default:
			b.WriteByte(1)
			b.WriteString(w.literal)
		}
	}
	return b.String()
}

// squeeze drops repeated stars.
func squeeze(pattern []wild) []wild {
	var out []wild
	for _, w := range pattern {
		if w.many && len(out) > 0 && out[len(out)-1].many {
			continue
		}
		out = append(out, w)
	}
	return out
}

func (n *textNode) eval(m *Matcher) bool {
	if n.f.none() {
		return n.anywhere(m)
	}
	return m.textHolds(m.rename.apply(n.f), n)
}

// textHolds makes a test of a field under the name that the event has for it.
func (m *Matcher) textHolds(f fieldRef, n *textNode) bool {
	if members := m.rawMembers(f); members != nil {
		return slices.ContainsFunc(members, func(v string) bool {
			if !n.cased {
				v = m.fold(v)
			}
			return n.test(v)
		})
	}
	get := m.foldedField
	if n.cased {
		get = m.raw
	}
	v, ok := get(f)
	return ok && n.test(v)
}

// anywhere tries every field of the event, as keyword searches do.
func (n *textNode) anywhere(m *Matcher) bool {
	for i := range m.event.Len() {
		v := m.event.At(i)
		if !n.cased {
			v = m.fold(v)
		}
		if n.test(v) {
			return true
		}
	}
	return false
}

func (n *textNode) test(v string) bool {
	switch n.shape {
	case shapeEqual:
		return v == n.literal || n.isNumber() && equalsNumber(v, n.number)
	case shapePrefix:
		return strings.HasPrefix(v, n.literal)
	case shapeSuffix:
		return strings.HasSuffix(v, n.literal)
	case shapeContains:
		return strings.Contains(v, n.literal)
	}
	return matchPattern(n.pattern, v)
}

// matchPattern matches with backtracking to the last star only, which takes time
// in proportion to pattern times text.
func matchPattern(pattern []wild, v string) bool {
	at, i := 0, 0
	star, mark := -1, 0
	for {
		switch {
		case i == len(pattern):
			if at == len(v) {
				return true
			}
		case pattern[i].many:
			if i+1 < len(pattern) && pattern[i+1].literal != "" { // go to where the next part stands
				next := strings.Index(v[at:], pattern[i+1].literal)
				if next < 0 {
					return false
				}
				at += next
			}
			star, mark = i, at
			i++
			continue
		case pattern[i].one:
			if at < len(v) {
				_, size := utf8.DecodeRuneInString(v[at:])
				at += size
				i++
				continue
			}
		default:
			if strings.HasPrefix(v[at:], pattern[i].literal) {
				at += len(pattern[i].literal)
				i++
				continue
			}
		}
		if star < 0 || mark >= len(v) {
			return false
		}
		_, size := utf8.DecodeRuneInString(v[mark:])
		at, i = mark+size, star
	}
}
