package sigma

import (
	"math"
	"slices"
)

// automaton finds every literal of a set in one pass over a text (Aho and
// Corasick 1975, as a complete table). Bytes that no literal holds share a
// class, which keeps the table small; a letter and its capital share one too, so
// ASCII text need not be folded first.
type automaton struct {
	class   [256]uint8
	classes int
	// next gives, at state + class, the following state; states are numbered by
	// their first entry. Below 0 (all bits flipped) it is an entry of hits.
	next     []int32
	shortest int
	hits     []hit
}

// hit is a state at which literals end.
type hit struct {
	state int32
	atoms []int32
}

type trieNode struct {
	children map[uint8]int32
	atoms    []int32
	fail     int32
}

// newAutomaton builds the table for patterns with different literals.
func newAutomaton(patterns []pattern) *automaton {
	a := &automaton{}
	a.prepare(patterns)
	trie := []trieNode{{}}
	for _, p := range patterns {
		trie = insert(trie, a.classesOf(p.literal), p.atoms)
	}
	a.link(trie)
	return a
}

// prepare gives the bytes of the literals their classes.
func (a *automaton) prepare(patterns []pattern) {
	a.classes, a.shortest = 1, math.MaxInt
	for _, p := range patterns {
		a.shortest = min(a.shortest, len(p.literal))
		for i := 0; i < len(p.literal); i++ {
			a.classify(p.literal[i])
		}
	}
}

// classify gives a byte that a literal holds a class. There are enough of them:
// folded text has no capitals.
func (a *automaton) classify(c uint8) {
	if a.class[c] != 0 {
		return
	}
	a.class[c] = uint8(a.classes)
	if c-'a' < 26 {
		a.class[c-'a'+'A'] = uint8(a.classes)
	}
	a.classes++
}

func (a *automaton) classesOf(literal string) []uint8 {
	out := make([]uint8, len(literal))
	for i := range out {
		out[i] = a.class[literal[i]]
	}
	return out
}

// insert adds a word to a trie.
func insert(trie []trieNode, word []uint8, atoms []int32) []trieNode {
	at := int32(0)
	for _, c := range word {
		to, ok := trie[at].children[c]
		if !ok {
			to = int32(len(trie))
			trie = append(trie, trieNode{})
			if trie[at].children == nil {
				trie[at].children = map[uint8]int32{}
			}
			trie[at].children[c] = to
		}
		at = to
	}
	trie[at].atoms = append(trie[at].atoms, atoms...)
	return trie
}

// link fills the table breadth first: a state's fallback is complete before it,
// and the states near the root, where a scan mostly is, lie together.
func (a *automaton) link(trie []trieNode) {
	queue := []int32{0}
	for i := 0; i < len(queue); i++ {
		n := &trie[queue[i]]
		for c := range a.classes {
			if to, ok := n.children[uint8(c)]; ok {
				queue = append(queue, to)
			}
		}
	}
	entry := make([]int32, len(trie)) // by trie node: what leads to it in the table
	first := make([]int, len(trie))   // by trie node: its first slot
	a.next = make([]int32, len(trie)*a.classes)
	for place, node := range queue {
		n := &trie[node]
		first[node] = place * a.classes
		row := a.next[first[node] : first[node]+a.classes]
		if node != 0 {
			n.atoms = slices.Concat(n.atoms, trie[n.fail].atoms)
			copy(row, a.next[first[n.fail]:first[n.fail]+a.classes])
		}
		for c, to := range n.children {
			trie[to].fail = row[c]
			row[c] = to
		}
		entry[node] = int32(first[node])
		if len(n.atoms) > 0 {
			entry[node] = ^int32(len(a.hits))
			a.hits = append(a.hits, hit{int32(first[node]), n.atoms})
		}
	}
	for slot, node := range a.next {
		a.next[slot] = entry[node]
	}
}

func (a *automaton) least() int { return a.shortest }

func (a *automaton) scan(text string, m *Matcher) {
	class, next, state := &a.class, a.next, int32(0)
	for i := 0; i < len(text); i++ {
		state = next[int(state)+int(class[text[i]])]
		if state < 0 {
			h := &a.hits[^state]
			state = h.state
			m.seeAll(h.atoms)
		}
	}
}

// affixes finds the literals of a set that a text begins with, or ends with. It
// is an automaton without fallback, which stops at the first byte that fits none.
type affixes struct {
	automaton
	fromEnd bool
}

func newAffixes(patterns []pattern, fromEnd bool) *affixes {
	a := &affixes{fromEnd: fromEnd}
	a.prepare(patterns)
	trie := []trieNode{{}}
	for _, p := range patterns {
		word := a.classesOf(p.literal)
		if fromEnd {
			slices.Reverse(word)
		}
		trie = insert(trie, word, p.atoms)
	}
	a.next = make([]int32, len(trie)*a.classes)
	for i, n := range trie {
		for c, to := range n.children {
			slot := &a.next[i*a.classes+int(c)]
			*slot = to * int32(a.classes)
			if len(trie[to].atoms) > 0 {
				a.hits = append(a.hits, hit{*slot, trie[to].atoms})
				*slot = ^int32(len(a.hits) - 1)
			}
		}
	}
	return a
}

func (a *affixes) scan(text string, m *Matcher) {
	class, next, state := &a.class, a.next, int32(0)
	at, step := 0, 1
	if a.fromEnd {
		at, step = len(text)-1, -1
	}
	for ; uint(at) < uint(len(text)); at += step {
		state = next[int(state)+int(class[text[at]])]
		if state == 0 {
			return
		}
		if state < 0 {
			h := &a.hits[^state]
			state = h.state
			m.seeAll(h.atoms)
		}
	}
}
