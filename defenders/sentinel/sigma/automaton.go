package sigma

import "math"

// automaton finds every literal of a set in one pass over a text (Aho and
// Corasick 1975, as a complete table). Bytes that no literal holds share a
// class, which keeps the table small; a letter and its capital share one too, so
// ASCII text need not be folded first.
type automaton struct {
	class   [256]uint8
	classes int
	// next gives, at state + class, the following state; states are numbered by
	// their first entry. Below 0 (all bits flipped) it is a state with hits.
	next     []int32
	shortest int
	hits     map[int32][]int32 // rules to look at, by state
}

// newAutomaton builds the table for literals, each with the rules that it
// speaks for.
func newAutomaton(literals map[string][]int32, order []string) *automaton {
	a := &automaton{classes: 1, hits: map[int32][]int32{}, shortest: math.MaxInt}
	for _, l := range order {
		a.shortest = min(a.shortest, len(l))
		for i := 0; i < len(l); i++ {
			if a.class[l[i]] == 0 {
				if a.classes == 255 {
					break
				}
				a.class[l[i]] = uint8(a.classes)
				if c := l[i]; c-'a' < 26 {
					a.class[c-'a'+'A'] = uint8(a.classes)
				}
				a.classes++
			}
		}
	}
	type node struct {
		children map[uint8]int32
		rules    []int32
		fail     int32
	}
	trie := []node{{}}
	for _, l := range order {
		at := int32(0)
		for i := 0; i < len(l); i++ {
			c := a.class[l[i]]
			to, ok := trie[at].children[c]
			if !ok {
				to = int32(len(trie))
				trie = append(trie, node{})
				if trie[at].children == nil {
					trie[at].children = map[uint8]int32{}
				}
				trie[at].children[c] = to
			}
			at = to
		}
		trie[at].rules = append(trie[at].rules, literals[l]...)
	}
	a.next = make([]int32, len(trie)*a.classes)
	queue := []int32{0}
	for i := 0; i < len(queue); i++ { // breadth first: a state's fallback is complete before it
		state := queue[i]
		n := &trie[state]
		if state != 0 {
			n.rules = union(n.rules, trie[n.fail].rules)
		}
		for c := range a.classes {
			slot := int(state)*a.classes + c
			fallback := int32(0)
			if state != 0 {
				fallback = a.next[int(n.fail)*a.classes+c]
			}
			to, ok := n.children[uint8(c)]
			if !ok {
				a.next[slot] = fallback
				continue
			}
			a.next[slot] = to
			trie[to].fail = fallback
			queue = append(queue, to)
		}
	}
	for slot, to := range a.next {
		first := to * int32(a.classes)
		if len(trie[to].rules) > 0 {
			a.hits[first] = trie[to].rules
			first = ^first
		}
		a.next[slot] = first
	}
	return a
}

func union(a, b []int32) []int32 {
	for _, x := range b {
		seen := false
		for _, y := range a {
			if x == y {
				seen = true
				break
			}
		}
		if !seen {
			a = append(a, x)
		}
	}
	return a
}

func (a *automaton) least() int { return a.shortest }

// scan marks the rules of every literal that the text holds. The text is ASCII,
// or folded.
func (a *automaton) scan(text string, marked []uint64) {
	state := int32(0)
	for i := 0; i < len(text); i++ {
		state = a.next[state+int32(a.class[text[i]])]
		if state < 0 {
			state = ^state
			mark(marked, a.hits[state])
		}
	}
}
