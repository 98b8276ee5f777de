package sigma

import (
	"math"
	"strings"
)

// skipper finds the literals of a small set without looking at every byte of a
// text (Wu and Manber 1994, with blocks of three): the bytes at the end of a
// window say how far the window may move. It suits sets whose shortest literal
// is long.
type skipper struct {
	shortest int
	shift    []uint8  // by block: how far the window may move
	place    []uint16 // by block: where its literals stand in endings
	endings  [][]ending
}

// ending is a literal whose first part ends in a block.
type ending struct {
	literal string
	rules   []int32
}

// leastShift is the mean move from which skipping beats a table that looks at
// every byte.
const leastShift = 2.5

// newSkipper returns a skipper for the literals, or nil when it would not pay.
func newSkipper(literals map[string][]int32, order []string) *skipper {
	shortest := math.MaxInt
	for _, l := range order {
		shortest = min(shortest, len(l))
	}
	if shortest < 5 || len(order) > math.MaxUint16-1 {
		return nil
	}
	s := &skipper{shortest: shortest, shift: make([]uint8, 1<<16), place: make([]uint16, 1<<16), endings: [][]ending{nil}}
	furthest := uint8(min(shortest-2, 255))
	for i := range s.shift {
		s.shift[i] = furthest
	}
	for _, l := range order {
		for end := 3; end <= shortest; end++ {
			b := block(l[end-3], l[end-2], l[end-1])
			s.shift[b] = min(s.shift[b], uint8(min(shortest-end, 255)))
		}
		b := block(l[shortest-3], l[shortest-2], l[shortest-1])
		if s.place[b] == 0 {
			s.place[b] = uint16(len(s.endings))
			s.endings = append(s.endings, nil)
		}
		s.endings[s.place[b]] = append(s.endings[s.place[b]], ending{l, literals[l]})
	}
	if s.expected(order) < leastShift {
		return nil
	}
	return s
}

func (s *skipper) least() int { return s.shortest }

// expected is the mean move over text that is made of the literals' own letters,
// which is the worst text that is likely.
func (s *skipper) expected(order []string) float64 {
	var used [256]bool
	for _, l := range order {
		for i := 0; i < len(l); i++ {
			used[l[i]] = true
		}
	}
	var letters []uint8
	for c, there := range used {
		if there {
			letters = append(letters, uint8(c))
		}
	}
	total, n := 0.0, 0.0
	for _, a := range letters {
		for _, b := range letters {
			for _, c := range letters {
				total += math.Max(1, float64(s.shift[block(a, b, c)]))
				n++
			}
		}
	}
	return total / max(n, 1)
}

// block folds three bytes into a table index; letters and their capitals give the
// same one. That some others do too costs time and no verdict.
func block(a, b, c uint8) uint16 {
	return uint16(a|0x20)<<10 ^ uint16(b|0x20)<<5 ^ uint16(c|0x20)
}

// scan marks the rules of every literal that the text holds. The text is ASCII,
// or folded.
func (s *skipper) scan(text string, marked []uint64) {
	for end := s.shortest; end <= len(text); {
		b := block(text[end-3], text[end-2], text[end-1])
		if move := int(s.shift[b]); move > 0 {
			end += move
			continue
		}
		from := text[end-s.shortest:]
		for _, e := range s.endings[s.place[b]] {
			if len(from) >= len(e.literal) && strings.EqualFold(from[:len(e.literal)], e.literal) {
				mark(marked, e.rules)
			}
		}
		end++
	}
}
