package sigma

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/sim/event"
)

// TestTheIndexChangesNoVerdict compares the index with looking at every rule,
// over generated rules and events.
func TestTheIndexChangesNoVerdict(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "a", "A", "ab", "cmd", "CMD.exe", `\cmd.exe`, "ÉTÉ", "été", "K", "k", "kelvin", "x y", "*", "?", "secret", "SeCrEt", "0x10", "10"})
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 0, 4).Draw(t, "words"), rapid.SampledFrom([]string{"", " ", `\`, "-"}).Draw(t, "glue"))
	})
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	field := rapid.SampledFrom([]string{"Image", "CommandLine", "EventID", "Own Field", "User"})
	modifier := rapid.SampledFrom([]string{"", "|contains", "|startswith", "|endswith", "|contains|all", "|cased", "|contains|cased", "|neq", "|windash|contains", "|re|i", "|exists", "|gt", "|base64offset|contains"})
	item := rapid.Custom(func(t *rapid.T) string {
		m := modifier.Draw(t, "modifier")
		values := rapid.SliceOfN(text, 1, 3).Draw(t, "values")
		switch m {
		case "|exists":
			values = []string{rapid.SampledFrom([]string{"true", "false"}).Draw(t, "exists")}
		case "|gt":
			values = []string{"5"}
		case "|re|i":
			values = []string{rapid.SampledFrom([]string{"sec.*t", "(cmd|ab)+", "^a", "x?k"}).Draw(t, "re")}
		}
		for i := range values {
			values[i] = quote(values[i])
		}
		if rapid.IntRange(0, 9).Draw(t, "null") == 0 && m == "" {
			values = []string{"null"}
		}
		return quote(field.Draw(t, "field")+m) + ": [" + strings.Join(values, ", ") + "]"
	})
	rapid.Check(t, func(rt *rapid.T) {
		var all strings.Builder
		for i := range rapid.IntRange(1, 6).Draw(rt, "rules") {
			fmt.Fprintf(&all, "---\ntitle: r%d\nid: r%d\nlogsource: {product: windows}\ndetection:\n", i, i)
			names := []string{}
			for s := range rapid.IntRange(1, 3).Draw(rt, "selections") {
				if rapid.IntRange(0, 4).Draw(rt, "keywords") == 0 {
					fmt.Fprintf(&all, "  s%d: [%s]\n", s, quote("w"+text.Draw(rt, "keyword")))
				} else {
					fmt.Fprintf(&all, "  s%d: {%s}\n", s, item.Draw(rt, "item"))
				}
				not := rapid.SampledFrom([]string{"", "", "not "}).Draw(rt, "not")
				names = append(names, fmt.Sprintf("%ss%d", not, s))
			}
			fmt.Fprintf(&all, "  condition: %s\n", strings.Join(names, rapid.SampledFrom([]string{" and ", " or "}).Draw(rt, "join")))
		}
		rules, err := Parse("r.yml", []byte(all.String()))
		require.NoError(rt, err, all.String())
		indexed, err := Compile(rules)
		require.NoError(rt, err)
		plain, err := Compile(rules)
		require.NoError(rt, err)
		plain.Exhaustive = true
		a, b := indexed.NewMatcher(), plain.NewMatcher()
		for range 5 {
			e := &event.Event{Source: event.SecurityLogon.Source}
			for _, name := range []string{"Image", "CommandLine", "EventID", "Own Field", "User"} {
				if rapid.Bool().Draw(rt, "present") {
					e.SetName(name, text.Draw(rt, "value"))
				}
			}
			var got, want []string
			a.Match(e, func(m Match) { got = append(got, m.Rule.ID) })
			b.Match(e, func(m Match) { want = append(want, m.Rule.ID) })
			require.Equal(rt, want, got, "%s\n%s", all.String(), e.AppendJSON(nil))
		}
	})
}

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
		order := rapid.SliceOfNDistinct(rapid.StringMatching(`[abcd]{5,9}`), 1, 12, rapid.ID).Draw(t, "literals")
		literals := map[string][]int32{}
		for i, l := range order {
			literals[l] = []int32{int32(i)}
		}
		text := rapid.StringMatching(`[abcdABCDx]{0,60}`).Draw(t, "text")
		want := make([]uint64, 1)
		for i, l := range order {
			if strings.Contains(strings.ToLower(text), l) {
				want[0] |= 1 << i
			}
		}
		table := make([]uint64, 1)
		newAutomaton(literals, order).scan(text, table)
		require.Equal(t, want, table)
		if s := newSkipper(literals, order); s != nil {
			skipped := make([]uint64, 1)
			s.scan(text, skipped)
			require.Equal(t, want, skipped)
		}
	})
	require.NotNil(t, newSkipper(map[string][]int32{"sekurlsa::logonpasswords": {0}}, []string{"sekurlsa::logonpasswords"}))
	require.Nil(t, newSkipper(map[string][]int32{"abc": {0}}, []string{"abc"}))
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
