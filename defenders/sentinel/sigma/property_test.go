package sigma_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

// TestVerdictsAgree compares the index, looking at every rule, and the reference over
// generated rules and events.
func TestVerdictsAgree(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "a", "A", "ab", "longer literal", "another one", "LONGER", "cmd", "CMD.exe", `\cmd.exe`, "ÉTÉ", "été", "K", "k", "kelvin", "ſecret", "İ", "x y", "*", "?", "secret", "SeCrEt", "0x10", "10", "10.1.2.3", "fe80::1"})
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(word, 0, 4).Draw(t, "words"), rapid.SampledFrom([]string{"", " ", `\`, "-"}).Draw(t, "glue"))
	})
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	field := rapid.SampledFrom([]string{"Image", "CommandLine", "EventID", "Own Field", "User", "ProcessId", "ParentProcessId", "NewProcessName", "c-uri", "method"})
	modifier := rapid.SampledFrom([]string{"", "|contains", "|startswith", "|endswith", "|contains|all", "|cased", "|contains|cased", "|neq", "|windash|contains", "|re|i", "|exists", "|gt", "|base64offset|contains", "|wide|base64offset|contains", "|utf16le|base64", "|contains|neq", "|lte", "|startswith|cased", "|endswith|cased", "|fieldref", "|fieldref|startswith", "|cidr", "|contains|windash|all"})
	item := rapid.Custom(func(t *rapid.T) string {
		m := modifier.Draw(t, "modifier")
		values := rapid.SliceOfN(text, 1, 3).Draw(t, "values")
		switch m {
		case "|exists":
			values = []string{rapid.SampledFrom([]string{"true", "false"}).Draw(t, "exists")}
		case "|gt", "|lte":
			values = []string{"16"}
		case "|base64offset|contains", "|wide|base64offset|contains", "|utf16le|base64":
			values = []string{"w" + values[0]}
		case "|fieldref", "|fieldref|startswith":
			values = []string{field.Draw(t, "other")}
		case "|cidr":
			values = []string{rapid.SampledFrom([]string{"10.0.0.0/8", "fe80::/10"}).Draw(t, "network")}
		case "|re|i":
			values = []string{rapid.SampledFrom([]string{"sec.*t", "(cmd|ab)+", "^a", "x?k", "longer.*one", "(?:x|secret)$"}).Draw(t, "re")}
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
			fmt.Fprintf(&all, "---\ntitle: r%d\nid: r%d\nlogsource: {%s}\ndetection:\n", i, i, rapid.SampledFrom([]string{"product: windows", "category: process_creation", "service: security", "category: proxy", "category: webserver", "product: zeek"}).Draw(rt, "source"))
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
			if rapid.IntRange(0, 4).Draw(rt, "of") == 0 {
				fmt.Fprintf(&all, "  condition: %s\n", rapid.SampledFrom([]string{"1 of s*", "all of them", "not 1 of s*", "s0 or not (all of s*)", "1 of them and not s0"}).Draw(rt, "condition"))
				continue
			}
			fmt.Fprintf(&all, "  condition: %s\n", strings.Join(names, rapid.SampledFrom([]string{" and ", " or "}).Draw(rt, "join")))
		}
		rules, err := sigma.Parse("r.yml", []byte(all.String()))
		require.NoError(rt, err, all.String())
		indexed, err := sigma.Compile(rules)
		require.NoError(rt, err)
		plain, err := sigma.Compile(rules)
		require.NoError(rt, err)
		plain.Exhaustive = true
		a, b := indexed.NewMatcher(), plain.NewMatcher()
		for range 5 {
			kinds := []event.LogSource{event.SecurityLogon.Source, event.SecurityProcess.Source, event.SysmonProcess.Source, event.ZeekHTTP.Source}
			e := &event.Event{Source: rapid.SampledFrom(kinds).Draw(rt, "kind")}
			for _, name := range []string{"Image", "CommandLine", "EventID", "Own Field", "User", "ProcessId", "ParentProcessId", "NewProcessName", "NewProcessId", "uri", "method"} {
				if rapid.Bool().Draw(rt, "present") {
					e.SetName(name, text.Draw(rt, "value")+rapid.SampledFrom([]string{"", "", "\xff", "\xe2\x84"}).Draw(rt, "damage"))
				}
			}
			var got, want []string
			a.Match(e, func(m sigma.Match) { got = append(got, m.Rule.ID) })
			b.Match(e, func(m sigma.Match) { want = append(want, m.Rule.ID) })
			require.Equal(rt, want, got, "%s\n%s", all.String(), e.AppendJSON(nil))
			require.Equal(rt, referenceOf(rt, all.String(), e), got, "%s\n%s", all.String(), e.AppendJSON(nil))
		}
	})
}

// TestVerdictsAgreeOnListsAndNumbers compares the index with looking at every rule where
// fields hold several values and numbers come in any form.
func TestVerdictsAgreeOnListsAndNumbers(t *testing.T) {
	token := rapid.SampledFrom([]string{"1", "01", "1.0", "0x1", "0X1", "16", "0x10", "1e1", "10", "", "a", "A", "ab", "abcdefgh", "xabcdefghx", "É", "é", "-1", "+1", "4625", "4625.0"})
	field := rapid.SampledFrom([]string{"EventID", "Image", "LogonType", "Own"})
	modifier := rapid.SampledFrom([]string{"", "", "", "|contains", "|startswith", "|endswith", "|contains|all", "|gte", "|re", "|neq", "|cased", "[any]", "[all]", "[none]|contains"})
	rapid.Check(t, func(rt *rapid.T) {
		var all strings.Builder
		for i := range rapid.IntRange(1, 5).Draw(rt, "rules") {
			m := modifier.Draw(rt, "modifier")
			value := token.Draw(rt, "token")
			switch {
			case m == "|gte":
				value = "10"
			case m == "|re":
				value = "'^(a|1).*'"
			case rapid.Bool().Draw(rt, "quoted") || value == "":
				value = "'" + value + "'"
			}
			not := rapid.SampledFrom([]string{"", "not "}).Draw(rt, "not")
			fmt.Fprintf(&all, "---\ntitle: r%d\nid: r%d\nlogsource: {product: windows}\ndetection:\n  s: {'%s%s': [%s, '%s']}\n  condition: %ss\n",
				i, i, field.Draw(rt, "field"), m, value, map[bool]string{true: "10", false: "abcdefgh"}[m == "|gte"], not)
		}
		rules, err := sigma.Parse("r.yml", []byte(all.String()))
		require.NoError(rt, err, all.String())
		indexed, err := sigma.Compile(rules)
		require.NoError(rt, err)
		plain, err := sigma.Compile(rules)
		require.NoError(rt, err)
		plain.Exhaustive = true
		a, b := indexed.NewMatcher(), plain.NewMatcher()
		for range 5 {
			e := &event.Event{Source: event.SysmonProcess.Source}
			for _, name := range []string{"EventID", "Image", "LogonType", "Own"} {
				if rapid.Bool().Draw(rt, "present") {
					e.SetList(name, rapid.SliceOfN(token, 1, 3).Draw(rt, "values"))
				}
			}
			var got, want []string
			a.Match(e, func(m sigma.Match) { got = append(got, m.Rule.ID) })
			b.Match(e, func(m sigma.Match) { want = append(want, m.Rule.ID) })
			require.Equal(rt, want, got, "%s\n%s", all.String(), e.AppendJSON(nil))
		}
	})
}

// referenceOf lists the rules that match by the reference.
func referenceOf(t *rapid.T, rules string, e *event.Event) []string {
	all, err := referenceRules([]byte(rules))
	require.NoError(t, err)
	var out []string
	for _, r := range all {
		if r.matches(e) {
			out = append(out, r.ID)
		}
	}
	return out
}
