package sigma

import (
	"cmp"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"hemostat/sim/event"
)

// newProgram puts the rules together for events of one id, of none that a rule
// names (otherID), or of an unknown one ("").
func newProgram(rules []applied, id string) *program {
	b := builder{id: id, atoms: map[string]*atom{}, fields: map[fieldRef]*fieldLists{}, p: &program{}}
	for _, a := range rules {
		var parts []node
		for _, d := range a.rule.detections() {
			parts = append(parts, b.detection(d, a.rename))
		}
		a.condition = conjunction(parts)
		if a.condition == constant(false) {
			continue
		}
		b.p.rules = append(b.p.rules, a)
	}
	b.p.always = make([]uint64, (len(b.p.rules)+63)/64)
	for i, a := range b.p.rules {
		c := clauseOf(a.condition, a.rename)
		if !c.says() {
			b.p.always[i>>6] |= 1 << (i & 63)
			continue
		}
		for _, t := range c.atoms {
			if n := len(t.rules); n == 0 || t.rules[n-1] != int32(i) {
				t.rules = append(t.rules, int32(i))
			}
		}
		for _, f := range c.present {
			b.field(f).presence = append(b.field(f).presence, int32(i))
		}
	}
	b.plan()
	return b.p
}

// builder puts a program together.
type builder struct {
	id     string
	p      *program
	atoms  map[string]*atom
	fields map[fieldRef]*fieldLists
	order  []fieldRef

	rename     renaming
	selections []node // of the detection at hand, as far as they are converted
	current    *detection
}

type fieldLists struct {
	atoms    []*atom
	presence []int32
}

func (b *builder) field(f fieldRef) *fieldLists {
	if b.fields[f] == nil {
		b.fields[f] = &fieldLists{}
		b.order = append(b.order, f)
	}
	return b.fields[f]
}

func (b *builder) detection(d *detection, rename renaming) node {
	b.current, b.rename, b.selections = d, rename, make([]node, len(d.selections))
	return b.convert(d.condition)
}

// convert turns a part of a detection into one that refers to atoms. What is
// certain already is left out, and cheap tests come first.
func (b *builder) convert(n node) node {
	switch n := n.(type) {
	case reference:
		if b.selections[n] == nil {
			b.selections[n] = b.convert(b.current.selections[n])
		}
		return b.selections[n]
	case allNode:
		return conjunction(b.convertAll(n))
	case anyNode:
		return disjunction(b.convertAll(n))
	case notNode:
		of := b.convert(n.of)
		if c, ok := of.(constant); ok {
			return !c
		}
		return notNode{of}
	case *textNode:
		return b.text(b.rename.apply(n.f), n)
	case regexNode:
		return b.regex(n)
	}
	return n
}

func (b *builder) convertAll(parts []node) []node {
	out := make([]node, len(parts))
	for i, p := range parts {
		out[i] = b.convert(p)
	}
	return out
}

// conjunction is true when all parts are.
func conjunction(parts []node) node {
	return join(parts, false, allOf)
}

// disjunction is true when one part is.
func disjunction(parts []node) node {
	return join(parts, true, anyOf)
}

// join leaves out the constants; the one that decides stands for the whole.
func join(parts []node, decides constant, of func([]node) node) node {
	var kept []node
	for _, p := range parts {
		switch c, ok := p.(constant); {
		case !ok:
			kept = append(kept, p)
		case c == decides:
			return decides
		}
	}
	if len(kept) == 0 {
		return !decides
	}
	slices.SortStableFunc(kept, func(a, b node) int { return cmp.Compare(effort(a), effort(b)) })
	return of(kept)
}

// effort orders tests by what they cost.
func effort(n node) int {
	switch n := n.(type) {
	case allNode:
		return sum(n)
	case anyNode:
		return sum(n)
	case notNode:
		return effort(n.of)
	case *atom:
		_, expression := n.test.(regexNode)
		switch {
		case expression:
			return 1000
		case n.exact:
			return 1
		case n.literal != "":
			return 3
		}
		return 100
	}
	return 20
}

func sum(parts []node) int {
	n := 0
	for _, p := range parts {
		n += effort(p)
	}
	return n
}

// text makes an atom of a test for literal text or a pattern.
func (b *builder) text(f fieldRef, n *textNode) node {
	if f.field == event.EventID && b.id != "" && !n.cased && (b.id != otherID || n.shape == shapeEqual) {
		return constant(b.id != otherID && n.test(b.id))
	}
	a := &atom{test: n, field: f, literal: folded(n.literal), exact: !n.cased}
	switch n.shape {
	case shapeEqual:
		a.whole = true
	case shapePrefix:
		a.start = true
	case shapeSuffix:
		a.end = true
	case shapePattern:
		a.exact = false
		for i, w := range n.pattern {
			if len(w.literal) > len(a.literal) {
				a.literal, a.start, a.end = folded(w.literal), i == 0, i == len(n.pattern)-1
			}
		}
	}
	if n.cased && !utf8.ValidString(n.key) {
		a.literal, a.exact, a.whole = "", false, false
	}
	return b.atom(a, n.key)
}

// regex makes an atom of a regular expression, behind the literals that every
// match of it holds.
func (b *builder) regex(n regexNode) node {
	f := b.rename.apply(n.f)
	self := b.atom(&atom{test: n, field: f}, "\x00re"+n.re.String())
	re, err := syntax.Parse(n.re.String(), syntax.Perl)
	if err != nil {
		return self
	}
	return conjunction([]node{b.required(f, re.Simplify()), self})
}

// required is a condition on literals that holds for every text that an
// expression matches (Cox 2012, "Regular Expression Matching with a Trigram
// Index").
func (b *builder) required(f fieldRef, re *syntax.Regexp) node {
	switch re.Op {
	case syntax.OpLiteral:
		literal := folded(string(re.Rune))
		if len(literal) < 2 && !strings.ContainsAny(literal, "`^{}+<>|$%;") {
			return constant(true) // it is everywhere
		}
		pattern := []wild{{many: true}, {literal: literal}, {many: true}}
		return b.text(f, newTextNode(f, pattern, false).(*textNode))
	case syntax.OpCapture, syntax.OpPlus:
		return b.required(f, re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return b.required(f, re.Sub[0])
		}
	case syntax.OpConcat:
		return conjunction(b.requiredAll(f, re.Sub))
	case syntax.OpAlternate:
		return disjunction(b.requiredAll(f, re.Sub))
	}
	return constant(true)
}

func (b *builder) requiredAll(f fieldRef, parts []*syntax.Regexp) []node {
	out := make([]node, len(parts))
	for i, p := range parts {
		out[i] = b.required(f, p)
	}
	return out
}

// atom returns an atom; equal ones are one.
func (b *builder) atom(a *atom, key string) node {
	key = a.field.name + "\x00" + key
	if same := b.atoms[key]; same != nil {
		return same
	}
	a.id = int32(len(b.p.atoms))
	b.atoms[key] = a
	b.p.atoms = append(b.p.atoms, a)
	b.field(a.field).atoms = append(b.field(a.field).atoms, a)
	return a
}

// plan decides what is looked for in each field. A field that brings no rule into
// question is not looked at until a rule asks for it.
func (b *builder) plan() {
	for _, f := range b.order {
		lists := b.fields[f]
		plan := fieldPlan{field: f, presence: lists.presence, values: map[string][]int32{}}
		if slices.ContainsFunc(lists.atoms, func(a *atom) bool { return len(a.rules) > 0 }) {
			plan.look(lists.atoms)
		}
		switch {
		case f.none():
			b.p.keywords = plan
		case plan.looks() || len(plan.values) > 0 || len(plan.presence) > 0:
			b.p.fields = append(b.p.fields, plan)
		}
	}
}

// look makes the tables that find the atoms of a field.
func (f *fieldPlan) look(atoms []*atom) {
	var plain, foreign []*atom
	for _, a := range atoms {
		a.scanned = true
		switch {
		case a.whole:
			f.values[a.literal] = append(f.values[a.literal], a.id)
			f.lengths |= lengthBit(len(a.literal))
			if t, ok := a.test.(*textNode); ok && t.isNumber() {
				if f.numbers == nil {
					f.numbers = map[float64][]int32{}
				}
				f.numbers[t.number] = append(f.numbers[t.number], a.id)
				f.odd = f.odd || !isPlainNumber(a.literal)
			}
		case a.literal == "":
			a.scanned = false
		case isASCII(a.literal):
			plain = append(plain, a)
		default:
			foreign = append(foreign, a)
		}
	}
	f.scanners, f.foreign = f.scannersFor(plain), f.scannersFor(foreign)
	f.least = math.MaxInt
	for _, s := range slices.Concat(f.scanners, f.foreign) {
		f.least = min(f.least, s.least())
	}
}

// scannersFor makes the tables that find the literals of atoms. Rules whose literal
// is not looked for come into question whenever the field is there.
func (f *fieldPlan) scannersFor(atoms []*atom) []scanner {
	var begin, end, within patterns
	for _, a := range atoms {
		switch {
		case a.start:
			begin.add(a)
		case a.end:
			end.add(a)
		default:
			within.add(a)
		}
	}
	scanners, left := newScanners(within.list, within.waiting)
	for _, p := range left {
		f.presence = append(f.presence, within.waiting[p.literal]...)
		for _, a := range within.atoms[p.literal] {
			a.scanned = false
		}
	}
	if len(begin.list) > 0 {
		scanners = append(scanners, newAffixes(begin.list, false))
	}
	if len(end.list) > 0 {
		scanners = append(scanners, newAffixes(end.list, true))
	}
	return scanners
}

// patterns gathers atoms by their literal.
type patterns struct {
	list    []pattern
	place   map[string]int
	atoms   map[string][]*atom
	waiting map[string][]int32 // rules that a literal brings into question
}

func (p *patterns) add(a *atom) {
	if p.place == nil {
		p.place, p.atoms, p.waiting = map[string]int{}, map[string][]*atom{}, map[string][]int32{}
	}
	at, ok := p.place[a.literal]
	if !ok {
		at = len(p.list)
		p.place[a.literal] = at
		p.list = append(p.list, pattern{literal: a.literal})
	}
	p.list[at].atoms = append(p.list[at].atoms, a.id)
	p.atoms[a.literal] = append(p.atoms[a.literal], a)
	p.waiting[a.literal] = append(p.waiting[a.literal], a.rules...)
}
