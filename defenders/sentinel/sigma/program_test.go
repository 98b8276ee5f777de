package sigma

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTheIndexSparesWork(t *testing.T) {
	var rules []string
	for i := range 500 {
		rules = append(rules, fmt.Sprintf(process, fmt.Sprint("id", i))+fmt.Sprintf("  s: {CommandLine|contains: 'rare%03d'}\n  condition: s\n", i))
	}
	e := compiled(t, rules...)
	m := e.NewMatcher()
	m.Match(start("CommandLine", "nothing of the kind"), func(Match) {})
	require.Zero(t, bitsOf(m.marked))
	m.Match(start("CommandLine", "it is RARE123 and rare321"), func(Match) {})
	require.Equal(t, 2, bitsOf(m.marked))
}

// TestScannersAgree holds both ways to look for literals against the obvious one.
func TestScannersAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		literals := rapid.SliceOfNDistinct(rapid.StringMatching(`[abcd]{6,12}`), 1, 12, rapid.ID).Draw(t, "literals")
		text := rapid.StringMatching(`[abcdABCDx]{0,60}`).Draw(t, "text")
		low := strings.ToLower(text)
		p := &program{}
		var patterns []pattern
		for i, l := range literals {
			patterns = append(patterns, pattern{l, []int32{int32(i)}})
			p.atoms = append(p.atoms, &atom{id: int32(i)})
		}
		agrees := func(s scanner, holds func(s, part string) bool) {
			want := uint64(0)
			for i, l := range literals {
				if holds(low, l) {
					want |= 1 << i
				}
			}
			m := &Matcher{evaluation: evaluation{program: p, seen: make([]uint64, 1)}}
			s.scan(text, m)
			require.Equal(t, want, m.seen[0], "%T", s)
		}
		agrees(newAutomaton(patterns), strings.Contains)
		agrees(newSampler(patterns), strings.Contains)
		agrees(newAffixes(patterns, false), strings.HasPrefix)
		agrees(newAffixes(patterns, true), strings.HasSuffix)
	})
}

// TestFoldingAgreesWithRegularExpressions holds each rune's folded form against
// what an expression with the flag i takes for the same.
func TestFoldingAgreesWithRegularExpressions(t *testing.T) {
	for _, pair := range []string{"kK", "kK", "sſ", "éÉ", "σς", "σΣ", "åÅ", "ωΩ"} {
		r := []rune(pair)
		require.Equal(t, folded(string(r[0])), folded(string(r[1])), pair)
		require.Regexp(t, "(?i)^"+string(r[0])+"$", string(r[1]))
	}
	require.Equal(t, "a\ufffdb", folded("A\xffB"))
	require.NotEqual(t, folded("a"), folded("á"))
}

func bitsOf(marked []uint64) int {
	n := 0
	for _, w := range marked {
		for ; w != 0; w &= w - 1 {
			n++
		}
	}
	return n
}
