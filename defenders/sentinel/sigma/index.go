package sigma

import (
	"encoding/binary"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"hemostat/sim/event"
)

// The index finds, for one log source, the few rules that an event could
// fulfil. For each rule a clause is chosen that must hold whenever the rule
// does: a set of literals of which at least one must stand in its field, values
// of which one must be the field's, or fields of which one must be there. A rule
// whose clause is not met is not looked at; one without such a clause always is.
// Evaluation itself does not change, so the index never changes a verdict.

// trigger is one way in which a rule can come into question.
type trigger struct {
	field   fieldRef // none means any field
	kind    triggerKind
	literal string // in lower case
}

type triggerKind uint8

const (
	onLiteral triggerKind = iota // the field holds the literal
	onValue                      // the field is the literal
	onPresence
)

// clause is a set of triggers of which one must fire, and how rarely that is to
// be expected: smaller is better.
type clause struct {
	triggers []trigger
	cost     float64
}

// unbounded is the clause that says nothing.
var unbounded = clause{cost: math.Inf(1)}

func (c clause) says() bool { return !math.IsInf(c.cost, 1) }

// clauseOf derives a clause from a part of a detection.
func clauseOf(n node, d *detection) clause {
	switch n := n.(type) {
	case reference:
		return clauseOf(d.selections[n], d)
	case allNode:
		best := unbounded
		for _, p := range n {
			if c := clauseOf(p, d); c.cost < best.cost {
				best = c
			}
		}
		return best
	case anyNode:
		all := clause{}
		for _, p := range n {
			c := clauseOf(p, d)
			if !c.says() {
				return unbounded
			}
			all.triggers = append(all.triggers, c.triggers...)
			all.cost += c.cost
		}
		return all
	case never:
		return clause{}
	case *textNode:
		return textClause(n)
	case regexNode:
		return literalClause(n.f, requiredLiteral(n.re.String()))
	case existsNode:
		return present(n.f)
	case cidrNode:
		return present(n.f)
	case compareNode:
		return present(n.f)
	case fieldrefNode:
		return present(n.f)
	}
	return unbounded
}

func present(f fieldRef) clause {
	return clause{[]trigger{{f, onPresence, ""}}, 0.9}
}

func textClause(n *textNode) clause {
	if n.shape == shapeEqual && !n.f.none() {
		literal := strings.ToLower(n.literal)
		return clause{[]trigger{{n.f, onValue, literal}}, max(0.2*math.Pow(0.8, float64(len(literal))), commonness(n.f))}
	}
	longest := ""
	for _, w := range n.pattern {
		if len(w.literal) > len(longest) {
			longest = w.literal
		}
	}
	return literalClause(n.f, strings.ToLower(longest))
}

func literalClause(f fieldRef, literal string) clause {
	switch {
	case utf8.ValidString(literal) && literal != "":
		return clause{[]trigger{{f, onLiteral, literal}}, max(0.5*math.Pow(0.75, float64(len(literal))), commonness(f))}
	case f.none():
		return unbounded
	}
	return present(f)
}

// commonness is how often a literal of a field stands in it at least: program
// names recur far more than pieces of command lines.
func commonness(f fieldRef) float64 {
	switch f.field {
	case event.EventID, event.ProviderName, event.LogChannel:
		return 0.05
	case event.Image, event.ParentImage, event.OriginalFileName, event.SourceImage, event.TargetImage, event.Description, event.Product, event.Company:
		return 0.02
	}
	return 1e-4
}

// requiredLiteral is a text that every match of a regular expression holds, in
// lower case, or "".
func requiredLiteral(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	return strings.ToLower(longestLiteral(re.Simplify()))
}

func longestLiteral(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return longestLiteral(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return longestLiteral(re.Sub[0])
		}
	case syntax.OpConcat:
		best := ""
		for _, s := range re.Sub {
			if l := longestLiteral(s); len(l) > len(best) {
				best = l
			}
		}
		return best
	}
	return ""
}

// program is the rules for one log source with their index.
type program struct {
	rules    []applied
	always   []uint64 // bits of rules that are always looked at
	fields   []fieldIndex
	keywords scanner // literals that may stand in any field; nil for none
}

// scanner looks for many literals in one pass over a text.
type scanner interface {
	scan(text string, marked []uint64)
	// least is the length of the shortest literal.
	least() int
}

// fieldIndex is what one field can bring into question.
type fieldIndex struct {
	field    fieldRef
	literals scanner // nil for none
	least    int     // length of the shortest literal
	values   map[string][]int32
	lengths  uint64 // bits of the values' lengths; bit 63 is 63 and more
	presence []int32
}

// newProgram indexes the rules for one source.
func newProgram(rules []applied) *program {
	p := &program{rules: rules, always: make([]uint64, (len(rules)+63)/64)}
	b := indexBuilder{fields: map[fieldRef]*fieldLists{}, anywhere: newLists()}
	for i, a := range rules {
		c := clauseOf(a.rule.detection.condition, a.rule.detection)
		if !c.says() {
			p.always[i>>6] |= 1 << (i & 63)
			continue
		}
		for _, t := range c.triggers {
			b.add(t, a.rename, int32(i))
		}
	}
	for _, f := range b.order {
		l := b.fields[f]
		index := fieldIndex{field: f, literals: l.scanner(), values: l.values, presence: l.presence}
		if index.literals != nil {
			index.least = index.literals.least()
		}
		for v := range l.values {
			index.lengths |= lengthBit(len(v))
		}
		p.fields = append(p.fields, index)
	}
	p.keywords = b.anywhere.scanner()
	return p
}

type indexBuilder struct {
	fields   map[fieldRef]*fieldLists
	order    []fieldRef
	anywhere *fieldLists
}

type fieldLists struct {
	literals map[string][]int32
	order    []string
	values   map[string][]int32
	presence []int32
}

func newLists() *fieldLists {
	return &fieldLists{literals: map[string][]int32{}, values: map[string][]int32{}}
}

// scanner is the quicker of the two ways to look for the literals, or nil when
// there are none.
func (l *fieldLists) scanner() scanner {
	if len(l.order) == 0 {
		return nil
	}
	if s := newSkipper(l.literals, l.order); s != nil {
		return s
	}
	return newAutomaton(l.literals, l.order)
}

func (b *indexBuilder) add(t trigger, rename map[event.Field]event.Field, rule int32) {
	l := b.anywhere
	if !t.field.none() {
		f := t.field.renamed(rename)
		if b.fields[f] == nil {
			b.fields[f] = newLists()
			b.order = append(b.order, f)
		}
		l = b.fields[f]
	}
	switch t.kind {
	case onLiteral:
		if l.literals[t.literal] == nil {
			l.order = append(l.order, t.literal)
		}
		if !slices.Contains(l.literals[t.literal], rule) {
			l.literals[t.literal] = append(l.literals[t.literal], rule)
		}
	case onValue:
		l.values[t.literal] = append(l.values[t.literal], rule)
	default:
		l.presence = append(l.presence, rule)
	}
}

// candidates sets the bits of the rules that the matcher's event could fulfil.
func (p *program) candidates(m *Matcher) {
	m.marked = append(m.marked[:0], p.always...)
	for i := range p.fields {
		f := &p.fields[i]
		v, ok := m.raw(f.field)
		if !ok {
			continue
		}
		if f.literals != nil {
			m.scan(f.literals, f.least, v)
		}
		if f.lengths&lengthBit(len(v)) != 0 || f.lengths != 0 && !isASCII(v) { // folding ASCII keeps its length
			folded, _ := m.foldedField(f.field)
			mark(m.marked, f.values[folded])
		}
		mark(m.marked, f.presence)
	}
	if p.keywords != nil {
		m.keywords, m.shortest = p.keywords, p.keywords.least()
		m.event.Each(m.scanKeywords)
	}
}

func lengthBit(n int) uint64 { return 1 << min(n, 63) }

// scan marks the rules of the literals that a text holds, whatever its case.
func (m *Matcher) scan(a scanner, least int, v string) {
	switch {
	case 3*len(v) < least: // folding lengthens a text to three times at most
		return
	case !isASCII(v):
		v = strings.ToLower(v)
	case len(v) < least:
		return
	}
	a.scan(v, m.marked)
}

// isASCII looks at eight bytes at a time.
func isASCII(s string) bool {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func mark(marked []uint64, rules []int32) {
	for _, r := range rules {
		marked[r>>6] |= 1 << (r & 63)
	}
}
