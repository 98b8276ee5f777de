package sigma

import (
	"math"
	"slices"

	"hemostat/sim/event"
)

// A program is the rules for one log source and event id, put together so that an
// event costs little. Every test of a text is an atom, which equal tests of all
// rules share. One pass over a field finds the literals of all its atoms; an atom
// whose literal is not there is false without further work, and one that is
// nothing but its literal is true. For each rule a clause is chosen that must hold
// whenever the rule does: atoms of which one must be found, or fields of which one
// must be there. A rule whose clause is not met is not looked at. None of this
// changes a verdict; Engine.Exhaustive does without.
type program struct {
	rules    []applied
	atoms    []*atom
	always   []uint64 // bits of rules that are always looked at
	fields   []fieldPlan
	keywords fieldPlan // what may stand in any field
}

// applied is a rule that takes in events of one source.
type applied struct {
	rule      *Rule
	rename    renaming
	condition node
}

// atom is a test of a text.
type atom struct {
	id    int32
	test  node
	field fieldRef // none for any field
	// literal, without its case, must be found for the test to hold; "" when
	// there is none.
	literal    string
	start, end bool    // the literal stands at the text's start, at its end
	whole      bool    // the literal is the text
	exact      bool    // the test is nothing but the literal
	scanned    bool    // the literal is looked for in each event
	rules      []int32 // rules that come into question when the literal is found
}

func (a *atom) eval(m *Matcher) bool {
	word, bit := a.id>>6, uint64(1)<<(a.id&63)
	if a.scanned {
		if m.seen[word]&bit == 0 {
			return false
		}
		if a.exact {
			return true
		}
	}
	if m.known[word]&bit == 0 {
		m.known[word] |= bit
		if a.holds(m) {
			m.truth[word] |= bit
		} else {
			m.truth[word] &^= bit
		}
	}
	return m.truth[word]&bit != 0
}

// holds makes the test. The field's name is that of the log source already.
func (a *atom) holds(m *Matcher) bool {
	switch t := a.test.(type) {
	case regexNode:
		if a.field.none() {
			return t.anywhere(m)
		}
		if members := m.rawMembers(a.field); members != nil {
			return slices.ContainsFunc(members, t.re.matches)
		}
		v, ok := m.raw(a.field)
		return ok && t.re.matches(v)
	case *textNode:
		if a.field.none() {
			return t.anywhere(m)
		}
		return m.textHolds(a.field, t)
	}
	panic("an atom is a test of a text")
}

// see notes that an atom's literal was found, and brings its rules into question.
func (m *Matcher) see(id int32) {
	word, bit := id>>6, uint64(1)<<(id&63)
	if m.seen[word]&bit != 0 {
		return
	}
	m.seen[word] |= bit
	m.mark(m.program.atoms[id].rules)
}

func (m *Matcher) saw(id int32) bool { return m.seen[id>>6]&(1<<(id&63)) != 0 }

func (m *Matcher) mark(rules []int32) {
	for _, r := range rules {
		m.marked[r>>6] |= 1 << (r & 63)
	}
}

// fieldPlan is what is looked for in one field.
type fieldPlan struct {
	field    fieldRef
	scanners []scanner
	foreign  []scanner // for literals beyond ASCII, which ASCII text cannot hold
	least    int       // length of the shortest literal
	values   map[string][]int32
	lengths  uint64 // bits of the values' lengths; bit 63 is 63 and more
	numbers  map[float64][]int32
	// odd tells that a rule gives a number in another form than isPlainNumber.
	odd      bool
	presence []int32 // rules that come into question when the field is there
}

// programs are those of one log source. Rules mostly ask for certain event ids,
// so each id that a rule names has a program of its own.
type programs struct {
	rules []applied // conditions are left out
	ids   map[string]*program
	named map[string]bool
}

// otherID stands for the event ids that no rule names; no event has it.
const otherID = "\x00other"

func newPrograms(rules []applied) *programs {
	p := &programs{rules: rules, ids: map[string]*program{}, named: map[string]bool{}}
	for _, a := range rules {
		for _, d := range a.rule.detections() {
			for _, s := range d.selections {
				p.name(s, a.rename)
			}
		}
	}
	return p
}

// name collects the event ids that a part of a detection asks for.
func (p *programs) name(n node, rename renaming) {
	switch n := n.(type) {
	case allNode:
		for _, part := range n {
			p.name(part, rename)
		}
	case anyNode:
		for _, part := range n {
			p.name(part, rename)
		}
	case notNode:
		p.name(n.of, rename)
	case *textNode:
		if n.shape == shapeEqual && !n.cased && rename.apply(n.f).field == event.EventID {
			p.named[canonicalNumber(folded(n.literal))] = true
		}
	}
}

// of is the program for an event id; "" is an event without one.
func (p *programs) of(id string) *program {
	switch {
	case len(p.named) == 0:
		id = ""
	case id != "" && !p.named[canonicalNumber(id)]:
		id = otherID
	}
	made := p.ids[id]
	if made == nil {
		made = newProgram(p.rules, id)
		if len(p.ids) < maxIDs { // one number has any number of forms
			p.ids[id] = made
		}
	}
	return made
}

func lengthBit(n int) uint64 { return 1 << min(n, 63) }

// candidates sets the bits of the rules that the matcher's event could fulfil.
func (p *program) candidates(m *Matcher) {
	m.marked = append(m.marked[:0], p.always...)
	m.seen, m.known = blank(m.seen, len(p.atoms)), blank(m.known, len(p.atoms))
	m.truth = slices.Grow(m.truth[:0], len(m.known))[:len(m.known)]
	for i := range p.fields {
		f := &p.fields[i]
		v, ok := m.raw(f.field)
		if !ok {
			continue
		}
		m.mark(f.presence)
		if members := m.rawMembers(f.field); members != nil {
			for _, member := range members {
				f.find(m, member, false)
			}
			continue
		}
		f.find(m, v, true)
	}
	m.mark(p.keywords.presence)
	if p.keywords.looks() {
		for i := range m.event.Len() {
			if v := m.event.At(i); 3*len(v) >= p.keywords.least {
				p.keywords.scan(m, v, isASCII(v))
			}
		}
	}
}

// find looks in a value, which is the field's only one or one of several, for the
// literals of atoms.
func (f *fieldPlan) find(m *Matcher, v string, only bool) {
	plain := isASCII(v)
	f.scan(m, v, plain)
	if f.numbers != nil && (f.odd || !isPlainNumber(v)) && mayBeNumber(v) {
		if number, err := parseNumber(v); err == nil {
			m.seeAll(f.numbers[number])
		}
	}
	if f.lengths&lengthBit(len(v)) != 0 || f.lengths != 0 && !plain { // folding ASCII keeps its length
		if only {
			v, _ = m.foldedField(f.field)
		} else {
			v = m.fold(v)
		}
		m.seeAll(f.values[v])
	}
}

// blank returns a bitmap of zeroes with room for n bits.
func blank(bits []uint64, n int) []uint64 {
	words := (n + 63) / 64
	bits = slices.Grow(bits[:0], words)[:words]
	clear(bits)
	return bits
}

func (f *fieldPlan) looks() bool { return len(f.scanners)+len(f.foreign) > 0 }

// scan looks for literals in a text, whatever its case.
func (f *fieldPlan) scan(m *Matcher, v string, plain bool) {
	if !plain && (len(f.foreign) > 0 || foldsToASCII(v)) && f.least < math.MaxInt {
		v = m.fold(v)
		for _, s := range f.foreign {
			s.scan(v, m)
		}
	}
	if len(v) < f.least {
		return
	}
	for _, s := range f.scanners {
		s.scan(v, m)
	}
}
