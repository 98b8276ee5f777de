package sigma

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

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
	never     struct{}
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

func (never) eval(*Matcher) bool { return false }

func (r reference) eval(m *Matcher) bool { return m.detection.selections[r].eval(m) }

// Matcher evaluates rules against one event after another. It holds scratch
// memory and serves one goroutine.
type Matcher struct {
	engine *Engine
	event  *event.Event
	// detection is the one being evaluated, which references look into.
	detection *detection
	rename    map[event.Field]event.Field

	folded  [event.NumFields]string
	has     [(event.NumFields + 63) / 64]uint64
	buffer  []byte   // folded text of the current event
	marked  []uint64 // rules that the index brought into question
	windows []*window
	stats   Stats

	keywords     scanner // of the current program
	shortest     int     // of the keywords
	scanKeywords func(name, value string) bool

	program *program // of the last event's source
	source  event.LogSource
}

// value is a field of the current event under the name that rules use.
func (m *Matcher) value(f fieldRef) (string, bool) {
	return m.raw(f.renamed(m.rename))
}

// raw is a field under the name that the event has for it.
func (m *Matcher) raw(f fieldRef) (string, bool) {
	if f.field == event.NoField {
		return m.event.Lookup(f.name)
	}
	return m.event.Get(f.field)
}

// foldedValue is a field, under the name that rules use, in lower case.
func (m *Matcher) foldedValue(f fieldRef) (string, bool) {
	return m.foldedField(f.renamed(m.rename))
}

// foldedField is a field in lower case; each known one is folded once an event.
func (m *Matcher) foldedField(f fieldRef) (string, bool) {
	if f.field == event.NoField {
		v, ok := m.event.Lookup(f.name)
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

// fold lowers a text. Plain ASCII goes to the matcher's buffer, which lasts until
// the next event, so nothing is allocated.
func (m *Matcher) fold(v string) string {
	upper := false
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c >= utf8.RuneSelf {
			return strings.ToLower(v)
		}
		upper = upper || c-'A' < 26
	}
	if !upper {
		return v
	}
	if cap(m.buffer)-len(m.buffer) < len(v) {
		m.buffer = make([]byte, 0, max(2*cap(m.buffer), len(v), 4096))
	}
	from := len(m.buffer)
	m.buffer = m.buffer[:from+len(v)]
	out := m.buffer[from:]
	for i := range out {
		c := v[i]
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return unsafe.String(unsafe.SliceData(out), len(out))
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
	re *regexp.Regexp
}

func (n regexNode) eval(m *Matcher) bool {
	if n.f.none() {
		return m.anyValue(n.re.MatchString)
	}
	v, ok := m.value(n.f)
	return ok && n.re.MatchString(v)
}

// anyValue tries every field of the event, as keyword searches do.
func (m *Matcher) anyValue(ok func(string) bool) bool {
	found := false
	m.event.Each(func(_, v string) bool {
		found = ok(v)
		return !found
	})
	return found
}

type cidrNode struct {
	f      fieldRef
	prefix netip.Prefix
}

func (n cidrNode) eval(m *Matcher) bool {
	v, ok := m.value(n.f)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddr(v)
	return err == nil && (n.prefix.Contains(addr) || n.prefix.Contains(addr.Unmap()))
}

type compareNode struct {
	f    fieldRef
	op   string
	to   float64
	part string
}

func (n compareNode) eval(m *Matcher) bool {
	text, ok := m.value(n.f)
	if !ok {
		return false
	}
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
		if strings.HasPrefix(text, "0x") {
			u, err := strconv.ParseUint(text[2:], 16, 64)
			return float64(u), err
		}
		return strconv.ParseFloat(text, 64)
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
	n := &textNode{f: f, pattern: pattern, cased: cased, shape: shapePattern}
	if !cased {
		for i := range pattern {
			pattern[i].literal = strings.ToLower(pattern[i].literal)
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
	return n
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
		return m.anyValue(func(v string) bool {
			if !n.cased {
				v = m.fold(v)
			}
			return n.test(v)
		})
	}
	get := m.foldedValue
	if n.cased {
		get = m.value
	}
	v, ok := get(n.f)
	return ok && n.test(v)
}

func (n *textNode) test(v string) bool {
	switch n.shape {
	case shapeEqual:
		return v == n.literal
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
		mark += size
		at, i = mark, star+1
	}
}
