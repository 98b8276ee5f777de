package sigma

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"hemostat/sim/event"
)

const process = "title: t\nid: %s\nlogsource: {category: process_creation, product: windows}\ndetection:\n"

func compiled(t testing.TB, rules ...string) *Engine {
	t.Helper()
	var all []*Rule
	for i, text := range rules {
		r, err := Parse(fmt.Sprintf("r%d.yml", i), []byte(text))
		require.NoError(t, err)
		all = append(all, r...)
	}
	e, err := Compile(all)
	require.NoError(t, err)
	return e
}

func start(fields ...string) *event.Event {
	e := &event.Event{ID: 1, Source: event.SysmonProcess.Source}
	for i := 0; i < len(fields); i += 2 {
		e.SetName(fields[i], fields[i+1])
	}
	return e
}

func matches(t testing.TB, detection string, e *event.Event) bool {
	t.Helper()
	n := 0
	compiled(t, fmt.Sprintf(process, "a")+detection).NewMatcher().Match(e, func(Match) { n++ })
	return n > 0
}

func TestValuesAndModifiers(t *testing.T) {
	e := start("Image", `C:\Windows\System32\CMD.exe`, "CommandLine", `cmd.exe /c "echo 100% *done*"`, "EventID", "1", "Empty", "", "User", `CORP\Alice`, "ParentUser", `corp\alice`,
		"SourceIp", "10.1.2.3", "V6", "fe80::1", "Size", "4096", "Hex", "0x10", "When", "2026-03-03 14:05:00.000", "Payload", "SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQA", "Wide", "a\x00b\x00")
	for text, want := range map[string]bool{
		`Image: c:\windows\system32\cmd.exe`:               true,
		`Image|endswith: \cmd.exe`:                         true,
		`Image|endswith: cmd`:                              false,
		`Image|startswith: 'c:\win'`:                       true,
		`Image|contains: system32`:                         true,
		`Image|contains|cased: system32`:                   false,
		`Image|cased|endswith: CMD.exe`:                    true,
		`Image: '*\system32\\*.exe'`:                       true,
		`Image: '?:\windows\\*'`:                           true,
		`Image: '??:\windows\\*'`:                          false,
		`CommandLine|contains: '\*done\*'`:                 true,
		`CommandLine|contains: '\*d?ne\*'`:                 true,
		`CommandLine|contains|all: [echo, done]`:           true,
		`CommandLine|contains|all: [echo, gone]`:           false,
		`CommandLine|contains: [gone, echo]`:               true,
		`CommandLine|contains|windash: ' -c'`:              true,
		`CommandLine|contains: ' -c'`:                      false,
		`CommandLine|re: 'cmd\.exe /[ck]'`:                 true,
		`CommandLine|re: 'CMD\.exe'`:                       false,
		`CommandLine|re|i: 'CMD\.exe'`:                     true,
		`EventID: 1`:                                       true,
		`EventID: '1'`:                                     true,
		`EventID: [3, 1]`:                                  true,
		`EventID|neq: 2`:                                   true,
		`Empty: null`:                                      true,
		`Empty: ''`:                                        true,
		`Nothing: null`:                                    true,
		`Nothing: ''`:                                      false,
		`Nothing|exists: false`:                            true,
		`Empty|exists: true`:                               true,
		`Nothing: '*'`:                                     false,
		`User|fieldref: ParentUser`:                        true,
		`User|fieldref|cased: ParentUser`:                  false,
		`User|fieldref|endswith: Nothing`:                  false,
		`SourceIp|cidr: 10.0.0.0/8`:                        true,
		`SourceIp|cidr: 192.168.0.0/16`:                    false,
		`V6|cidr: fe80::/10`:                               true,
		`Size|gte: 4096`:                                   true,
		`Size|lt: 4096`:                                    false,
		`Hex|gt: 15`:                                       true,
		`When|hour: 14`:                                    true,
		`When|month: 4`:                                    false,
		`Payload|wide|base64offset|contains: 'New-Object'`: true,
		`Payload|base64offset|contains: 'nothing'`:         false,
		`Payload|utf16le|base64: 'IEX (New-Object'`:        true,
		`Wide|wide: ab`:                                    true,
	} {
		require.Equal(t, want, matches(t, "  s: {"+text+"}\n  condition: s\n", e), text)
	}
	require.True(t, matches(t, "  s: [echo, nothing]\n  condition: s\n", e), "a list of keywords")
	require.True(t, matches(t, "  s: {'|all': [echo, 'c:\\windows']}\n  condition: s\n", e), "keywords that must all be there")
	require.True(t, matches(t, "  s: [{EventID: 7}, {EventID: 1, User: 'corp\\alice'}]\n  condition: s\n", e), "a list of maps")
}

func TestConditions(t *testing.T) {
	e := start("Image", "a", "User", "b")
	selections := "  sel_a: {Image: a}\n  sel_b: {User: b}\n  sel_c: {User: c}\n  other: {Image: z}\n  _hidden: {Image: q}\n"
	for condition, want := range map[string]bool{
		"sel_a": true, "sel_c": false, "not sel_c": true, "sel_a and sel_b": true, "sel_a and not sel_b": false, "sel_c or sel_a and sel_b": true,
		"(sel_c or sel_a) and sel_c": false, "1 of sel_*": true, "all of sel_*": false, "1 of them": true, "all of them": false, "not 1 of oth*": true,
		"any of sel_*": true, "NOT sel_c AND sel_a": true, "all of sel_a and not (sel_c or other)": true, "[sel_c, sel_a]": true,
	} {
		require.Equal(t, want, matches(t, selections+"  condition: "+condition+"\n", e), condition)
	}
}

func TestFaultsNameTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"  s: {Image|kontains: x}\n  condition: s":                        `r.yml:5:7: Image|kontains: unknown modifier "kontains" (did you mean "contains"?); accepted: contains`,
		"  s: {Image|re: '('}\n  condition: s":                            "not accepted by RE2",
		"  s: {Image|cidr: x}\n  condition: s":                            "no network such as 10.0.0.0/8",
		"  s: {Image|lt: x}\n  condition: s":                              "a number is expected",
		"  s: {Image|exists: maybe}\n  condition: s":                      "exists takes true or false",
		"  s: {Image|expand: '%x%'}\n  condition: s":                      "for the placeholder %x% no pipeline gives values",
		"  s: {Image: x}\n  condition: t":                                 `no selection is named "t"; selections: s`,
		"  s: {Image: x}\n  condition: s and":                             "it ends where a selection is expected",
		"  s: {Image: x}\n  condition: (s":                                "a closing parenthesis is missing",
		"  s: {Image: x}\n  condition: s s":                               `unexpected "s"`,
		"  s: {Image: x}\n  condition: 1 of t*":                           `no selection is named like "t*"`,
		"  s: {Image: x}\n  condition: s | count() > 5":                   "add one beside the condition, such as timeframe: 15m",
		"  s: {Image: x}\n  timeframe: 5m\n  condition: s | max(a) > 5":   "max has no counterpart among correlations",
		"  s: {Image: x}\n  timeframe: 5m\n  condition: s | tally(a) > 5": "is not understood; write count(field) by other > 10",
		"  s: {Image: x}\n  timeframe: 5m\n  condition: s | near not s":   "write a correlation of type temporal",
		"  s: {Image: x}":                      "detection needs a condition",
		"  s: {Image: {a: b}}\n  condition: s": "takes a value or a list of values",
	} {
		_, err := Parse("r.yml", []byte(fmt.Sprintf(process, "a")+text+"\n"))
		require.ErrorContains(t, err, want, text)
		require.Regexp(t, `^r\.yml:\d+:\d+: `, err.Error())
	}
	_, err := Parse("r.yml", []byte("title: x\nlevel: huge\ndetection: [a]\n"))
	require.ErrorContains(t, err, `unknown level "huge"`)
	_, err = Parse("r.yml", []byte("a: ["))
	require.ErrorContains(t, err, "not valid YAML")
	_, err = Parse("r.yml", nil)
	require.ErrorContains(t, err, "the file holds no rule")
}

func TestSecurityLogProcessesAreSeenByProcessRules(t *testing.T) {
	e := &event.Event{Source: event.SecurityProcess.Source}
	e.Set(event.NewProcessName, `C:\Windows\whoami.exe`)
	e.Set(event.ParentProcessName, `C:\Windows\cmd.exe`)
	require.True(t, matches(t, "  s: {Image|endswith: whoami.exe, ParentImage|endswith: cmd.exe}\n  condition: s\n", e))
	n := 0
	compiled(t, "title: t\nlogsource: {product: windows, service: security}\ndetection: {s: {NewProcessName|endswith: whoami.exe}, condition: s}\n").NewMatcher().Match(e, func(Match) { n++ })
	require.Equal(t, 1, n, "rules on the log itself use its own names")
}

const failures = `title: base
id: base
name: refused
logsource: {product: linux, service: sshd}
detection: {s: {action: failed_password}, condition: s}
`

func correlation(kind, condition string) string {
	return failures + "---\ntitle: corr\nid: corr\nlevel: high\ncorrelation:\n  type: " + kind + "\n  rules: [refused]\n  group-by: [SourceIp]\n  timespan: 1m\n  condition: " + condition + "\n"
}

func ssh(id uint64, at time.Duration, from, user string) *event.Event {
	e := &event.Event{ID: id, Time: at, Source: event.SSHD.Source}
	e.Set(event.Action, "failed_password")
	e.Set(event.SourceIp, from)
	e.Set(event.User, user)
	return e
}

func TestEventCountOverASlidingWindow(t *testing.T) {
	m := compiled(t, correlation("event_count", "{gte: 3}")).NewMatcher()
	var got []Match
	at := func(id uint64, seconds int, from string) {
		m.Match(ssh(id, time.Duration(seconds)*time.Second, from, "u"), func(x Match) { got = append(got, x) })
	}
	at(1, 0, "a")
	at(2, 30, "b")
	at(3, 50, "a")
	at(4, 70, "a") // the first has left the window
	require.Empty(t, got)
	at(5, 80, "a")
	require.Len(t, got, 1)
	require.Equal(t, []uint64{3, 4, 5}, got[0].Events)
	require.Equal(t, "a", got[0].Group)
	at(6, 85, "a")
	require.Len(t, got, 1, "quiet for one timespan")
	at(7, 60, "b")
	at(8, 61, "b") // late, but within b's own window
	require.Len(t, got, 2)
}

func TestValueCountAndTemporalOrder(t *testing.T) {
	m := compiled(t, correlation("value_count", "{field: User, gte: 3}")).NewMatcher()
	n := 0
	for i, user := range []string{"a", "a", "b", "b", "c"} {
		m.Match(ssh(uint64(i), time.Duration(i)*time.Second, "x", user), func(Match) { n++ })
	}
	require.Equal(t, 1, n)

	ordered := failures + `---
title: ok
id: ok
name: accepted
logsource: {product: linux, service: sshd}
detection: {s: {action: accepted_password}, condition: s}
---
title: corr
id: corr
correlation: {type: temporal_ordered, rules: [refused, accepted], group-by: [SourceIp], timespan: 1m}
`
	accept := ssh(9, 5*time.Second, "x", "u")
	accept.Set(event.Action, "accepted_password")
	m, n = compiled(t, ordered).NewMatcher(), 0
	m.Match(ssh(1, 0, "x", "u"), func(Match) { n++ })
	m.Match(accept, func(Match) { n++ })
	require.Equal(t, 1, n)
	m, n = compiled(t, ordered).NewMatcher(), 0
	early := *accept
	early.Time = 0
	m.Match(&early, func(Match) { n++ })
	m.Match(ssh(2, time.Second, "x", "u"), func(Match) { n++ })
	require.Zero(t, n, "the other way round is no match")
}

func TestSumsAveragesAndPercentiles(t *testing.T) {
	try := func(kind, condition string, values ...string) int {
		m, n := compiled(t, correlation(kind, condition)).NewMatcher(), 0
		for i, v := range values {
			m.Match(ssh(uint64(i), time.Duration(i)*time.Second, "x", v), func(Match) { n++ })
		}
		return n
	}
	require.Equal(t, 1, try("value_sum", "{field: User, gt: 100}", "60", "none", "30", "20"))
	require.Zero(t, try("value_sum", "{field: User, gt: 110}", "60", "30", "20"))
	require.Equal(t, 1, try("value_avg", "{field: User, gte: 40, lt: 50}", "10", "20", "90", "60"))
	require.Equal(t, 1, try("value_percentile", "{field: User, lte: 20}", "a", "a", "a", "a", "rare"), "one of five is 20 percent")
	require.Zero(t, try("value_percentile", "{field: User, lt: 20}", "a", "a", "a", "a", "rare"))
	require.Equal(t, 1, try("event_count", "{neq: 1}", "a", "b"))
	require.Equal(t, 1, try("value_count", "{field: [User, SourceIp], eq: 2}", "a", "a", "b"))
}

func TestFiltersNarrowRules(t *testing.T) {
	rule := fmt.Sprintf(process, "r1") + "  s: {Image: x}\n  condition: s\n"
	filter := "title: f\nlogsource: {category: process_creation, product: windows}\nfilter:\n  rules: [r1]\n  admin: {User|startswith: adm_}\n  condition: not admin\n"
	e := compiled(t, rule, filter, fmt.Sprintf(process, "r2")+"  s: {Image: x}\n  condition: s\n")
	matched := func(user string) (ids []string) {
		e.NewMatcher().Match(start("Image", "x", "User", user), func(m Match) { ids = append(ids, m.Rule.ID) })
		return ids
	}
	require.Equal(t, []string{"r1", "r2"}, matched("bob"))
	require.Equal(t, []string{"r2"}, matched("adm_ann"))
	every := compiled(t, rule, strings.Replace(filter, "[r1]", "any", 1))
	n := 0
	every.NewMatcher().Match(start("Image", "x", "User", "adm_x"), func(Match) { n++ })
	require.Zero(t, n)
	rules, err := Parse("f.yml", []byte(filter))
	require.NoError(t, err)
	_, err = Compile(rules)
	require.ErrorContains(t, err, `f.yml:4:3: no rule has the id or name "r1"`)
	_, err = Parse("f.yml", []byte("title: f\nlogsource: {product: windows}\nfilter: {s: {a: b}, condition: s}\n"))
	require.ErrorContains(t, err, "a filter needs the rules that it narrows")
}

func TestRuleCollections(t *testing.T) {
	rules, err := Parse("c.yml", []byte(`action: global
title: shared
level: high
detection: {condition: s}
---
id: one
logsource: {product: windows}
detection: {s: {Image: a}}
---
id: two
logsource: {product: linux}
detection: {s: {Image: b}}
---
action: repeat
id: three
detection: {s: {Image: c}}
---
action: reset
---
title: alone
id: four
logsource: {product: linux}
detection: {s: {Image: d}, condition: s}
`))
	require.NoError(t, err)
	require.Len(t, rules, 4)
	require.Equal(t, "shared", rules[1].Title)
	require.Equal(t, "high", rules[2].Level)
	require.Equal(t, "linux", rules[2].Source.Product)
	require.Equal(t, "alone", rules[3].Title)
}

func TestCorrelationMemoryIsBoundedAndEvictionCounted(t *testing.T) {
	m := compiled(t, correlation("event_count", "{gte: 3}")).NewMatcher()
	for i := range maxGroups + 100 {
		m.Match(ssh(uint64(i), time.Duration(i), fmt.Sprint(i), "u"), func(Match) {})
	}
	require.Equal(t, uint64(100), m.Stats().Evicted)
}

func TestAGroupInUseIsNotGivenUp(t *testing.T) {
	m := compiled(t, correlation("event_count", "{gte: 3}")).NewMatcher()
	matched := 0
	attempt := func(i int, source string) {
		m.Match(ssh(uint64(i), time.Duration(i), source, "u"), func(Match) { matched++ })
	}
	attempt(0, "patient")
	for i := range maxGroups - 1 {
		attempt(i, fmt.Sprint(i))
	}
	attempt(1, "patient")
	attempt(2, "other")
	require.Equal(t, uint64(1), m.Stats().Evicted)
	attempt(3, "patient")
	require.Equal(t, 1, matched)
}

func TestMatchesHeldAreBounded(t *testing.T) {
	m := compiled(t, correlation("value_count", "{gte: 1000000, field: User}")).NewMatcher()
	groups := maxHeld/maxEntries + 2
	for i := range groups * maxEntries {
		m.Match(ssh(uint64(i), time.Duration(i), strconv.Itoa(i/maxEntries), "u"), func(Match) {})
	}
	require.LessOrEqual(t, m.held, maxHeld)
	require.Positive(t, m.Stats().Evicted)
}

func TestLongValuesOfGroupsAreToldApart(t *testing.T) {
	m := compiled(t, correlation("event_count", "{gte: 2}")).NewMatcher()
	long := strings.Repeat("x", 1<<20)
	var groups []string
	for i, source := range []string{long + "a", long + "b", long + "a"} {
		m.Match(ssh(uint64(i), time.Duration(i), source, "u"), func(x Match) { groups = append(groups, x.Group) })
	}
	require.Len(t, groups, 1)
	require.Less(t, len(groups[0]), 300)
}

func TestHostileInputIsBounded(t *testing.T) {
	rule := func(detection string) error {
		_, err := Parse("r.yml", []byte(fmt.Sprintf(process, "a")+detection))
		return err
	}
	require.ErrorContains(t, rule("  s: {Image: '"+strings.Repeat("*?", 2000)+"'}\n  condition: s\n"), "r.yml:5:7: Image: a value has 4000 wildcards, and at most 200 are accepted")
	require.ErrorContains(t, rule("  s: {Image: x}\n  condition: "+strings.Repeat("(", 100_000)+"\n"), "nested deeper than 200")
	require.ErrorContains(t, rule("  s: {Image: x}\n  condition: "+strings.Repeat("not ", 100_000)+"s\n"), "nested deeper than 200")
	require.ErrorContains(t, rule("  s: {Image|re: '(a{1000}){1000}'}\n  condition: s\n"), "not accepted by RE2")
	require.ErrorContains(t, rule("  s: {Image|re: '(?=a)'}\n  condition: s\n"), "not accepted by RE2")
	require.ErrorContains(t, rule("  s: {Image|windash: '"+strings.Repeat("-a ", 20)+"'}\n  condition: s\n"), "windash makes more than")
	require.ErrorContains(t, rule("  s: {Image: \"\xff\"}\n  condition: s\n"), "r.yml:1:1: not valid YAML")
	require.ErrorContains(t, rule("  s: "+strings.Repeat("[", 20_000)+"\n"), "not valid YAML")

	long := strings.Repeat("a", 1<<20)
	worst := "  s: {Image: '" + strings.Repeat("*?a", 99) + "b'}\n  condition: s\n"
	require.False(t, matches(t, worst, start("Image", long)))
	require.True(t, matches(t, "  s: {Image|contains: '"+long+"'}\n  condition: s\n", start("Image", "x"+long)))
	require.True(t, matches(t, "  s: {Image|re: '(a|aa)+b'}\n  condition: s\n", start("Image", long[:maxExpressionText-1]+"b")))
	require.False(t, matches(t, "  s: {Image|re: '(a|aa)+b'}\n  condition: s\n", start("Image", long[:maxExpressionText]+"b")),
		"an expression is tried on the beginning of a field only")
	require.ErrorContains(t, rule("  s: {Image|re: '"+strings.Repeat("(a|b)", 50_000)+"'}\n  condition: s\n"), "at most 20000 are accepted")
	heavy, err := compileExpression("((a{1,100}){1,10}){1,1}x")
	require.NoError(t, err)
	require.Less(t, heavy.limit, maxExpressionText)
	require.False(t, matches(t, "  s: {Image|cased|endswith: b}\n  condition: s\n", start("Image", long+"\xff\xfe")))
}

func TestReferencesOfCorrelationsAreChecked(t *testing.T) {
	parse := func(text string) error {
		rules, err := Parse("c.yml", []byte(text))
		require.NoError(t, err)
		_, err = Compile(rules)
		return err
	}
	c := "title: %s\nid: %s\ncorrelation: {type: event_count, rules: [%s], timespan: 1m, condition: {gte: 1}}\n"
	require.ErrorContains(t, parse(fmt.Sprintf(c, "a", "a", "nowhere")), `no rule has the id or name "nowhere"`)
	require.ErrorContains(t, parse(fmt.Sprintf(c, "a", "a", "b")+"---\n"+fmt.Sprintf(c, "b", "b", "a")), "in a cycle: a → b → a")
	require.ErrorContains(t, parse(failures+"---\n"+failures), `the id or name "base" is used by`)
}

// told is a reason in short.
func told(r Reason) string {
	return strings.TrimPrefix(fmt.Sprintf("%s: %s '%s' %s", r.Selection, cmp.Or(r.Field, "any field"), r.Value, r.Test), ": ")
}

func TestMatchesExplainThemselves(t *testing.T) {
	reasons := func(detection string, e *event.Event) []string {
		engine := compiled(t, fmt.Sprintf(process, "a")+detection)
		m := engine.NewMatcher()
		var out []string
		m.Match(e, func(x Match) {
			for _, r := range m.Explain(x, e) {
				out = append(out, told(r))
			}
		})
		return out
	}
	e := start("Image", `C:\X.exe`, "CommandLine", "plain Secret -n 5", "ProcessId", "0x20", "SourceIp", "10.1.1.1", "User", "plain Secret -n 5")
	for detection, want := range map[string][]string{
		"  img: {Image|endswith: x.exe}\n  cli: {CommandLine|contains: [gone, secret]}\n  other: {CommandLine: z}\n  condition: 1 of them\n": {
			`img: Image 'C:\X.exe' endswith 'x.exe'`, `cli: CommandLine 'plain Secret -n 5' contains 'secret'`},
		"  s: {Image: 'c:\\\\?.exe', Image|startswith|cased: 'C:'}\n  f: {Image: z}\n  condition: s and not f\n": {
			`s: Image 'C:\X.exe' is like 'c:\\?.exe'`, `s: Image 'C:\X.exe' startswith (cased) 'C:'`},
		"  s: {ProcessId|gt: 16, SourceIp|cidr: 10.0.0.0/8, Image|re: 'X.exe$', Image|exists: true, Gone: null, Image|neq: q, User|fieldref: CommandLine}\n  condition: s\n": {
			`s: ProcessId '0x20' gt 16`, `s: SourceIp '10.1.1.1' cidr 10.0.0.0/8`, `s: Image 'C:\X.exe' re 'X.exe$'`, `s: Image 'C:\X.exe' exists`, `s: Gone '' is null`, `s: Image 'C:\X.exe' not is 'q'`, `s: User 'plain Secret -n 5' is the value of CommandLine`},
		"  s: [secret]\n  condition: s\n": {`s: CommandLine 'plain Secret -n 5' contains 'secret'`},
	} {
		require.Equal(t, want, reasons(detection, e), detection)
	}
	long := reasons("  s: {CommandLine|contains: x}\n  condition: s\n", start("CommandLine", strings.Repeat("é", 1000)+"x"))
	require.Less(t, len(long[0]), 400)

	engine := compiled(t, correlation("event_count", "{gte: 2}"))
	m := engine.NewMatcher()
	var got []string
	for i := range 2 {
		e := ssh(uint64(i), time.Duration(i), "10.0.0.1", "u")
		m.Match(e, func(x Match) {
			for _, r := range m.Explain(x, e) {
				got = append(got, told(r))
			}
		})
	}
	require.Equal(t, []string{"group-by: SourceIp '10.0.0.1' in common", "condition: event_count '2' gte 2 within 1m0s"}, got)
}

func TestAQuietEventAllocatesNothing(t *testing.T) {
	m := compiled(t, fmt.Sprintf(process, "a")+"  s: {Image|endswith: x.exe, CommandLine|contains: secret}\n  condition: s\n").NewMatcher()
	e := start("Image", `c:\windows\y.exe`, "CommandLine", "plain")
	m.Match(e, func(Match) {})
	require.Zero(t, testing.AllocsPerRun(100, func() { m.Match(e, nil) }))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(process, "a") + "  s: {Image|contains|windash: ' -x'}\n  condition: 1 of s*\n"))
	f.Add([]byte(correlation("event_count", "{gte: 3}")))
	f.Fuzz(func(_ *testing.T, data []byte) {
		rules, err := Parse("f.yml", data)
		if err != nil {
			return
		}
		e, err := Compile(rules)
		if err != nil {
			return
		}
		m := e.NewMatcher()
		m.Match(start("Image", string(data), "CommandLine", strings.Repeat("a", 100)), func(Match) {})
		m.Match(ssh(1, 0, "a", "b"), func(Match) {})
	})
}

// FuzzMatch holds the index against looking at every rule, for any rule and event.
func FuzzMatch(f *testing.F) {
	f.Add("Image|endswith", `\cmd.exe`, "CommandLine|contains|all", "-c", "s and not t", `C:\CMD.exe`, "x -C y")
	f.Add("Image|re|i", "^c.*d$", "|contains", "ſecret", "1 of them", "c\xffd", "SECRET")
	f.Add("EventID", "1", "Own Field|windash|contains", " -a /b", "not s or t", "", "")
	f.Fuzz(func(t *testing.T, key, value, other, also, condition, image, line string) {
		var rules []*Rule
		for i, pair := range [][2]string{{key, value}, {other, also}, {other, value}} {
			text, err := yaml.Marshal(map[string]any{
				"title": fmt.Sprint(i), "id": fmt.Sprint(i), "logsource": map[string]any{"product": "windows"},
				"detection": map[string]any{"s": map[string]any{pair[0]: pair[1]}, "t": []string{also, value}, "condition": condition},
			})
			require.NoError(t, err)
			more, err := Parse("r.yml", text)
			if err != nil {
				continue
			}
			rules = append(rules, more...)
		}
		e := start("Image", image, "CommandLine", line, "Own Field", image+line)
		verdicts := func(exhaustive bool) []string {
			engine, err := Compile(rules)
			require.NoError(t, err)
			engine.Exhaustive = exhaustive
			m := engine.NewMatcher()
			var out []string
			for range 2 {
				m.Match(e, func(x Match) { out = append(out, x.Rule.ID+fmt.Sprint(m.Explain(x, e))) })
			}
			return out
		}
		require.Equal(t, verdicts(true), verdicts(false))
	})
}

func FuzzPipeline(f *testing.F) {
	f.Add([]byte("name: p\nvars: {a: [b, c]}\ntransformations:\n  - {type: field_name_mapping, mapping: {Image: [x, y]}}\n  - {type: value_placeholders}\n"))
	f.Add([]byte("transformations:\n  - type: replace_string\n    regex: '(a)'\n    replacement: '\\1'\n    rule_conditions: [{type: logsource, product: windows}]\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		p, err := ParsePipeline("p.yml", data)
		if err != nil {
			return
		}
		rules, err := Parse("r.yml", []byte(fmt.Sprintf(process, "a")+"  s: {Image|expand: '%a%x%b%', CommandLine|contains: [a, '*b']}\n  condition: s\n---\n"+correlation("event_count", "{gte: 1}")), p)
		if err != nil {
			return
		}
		engine, err := Compile(rules)
		if err != nil {
			return
		}
		m := engine.NewMatcher()
		m.Match(start("Image", "bx", "CommandLine", "ab"), func(Match) {})
		m.Match(ssh(1, 0, "a", "b"), func(Match) {})
	})
}

func FuzzCondition(f *testing.F) {
	f.Add("1 of sel* and not (a or b)")
	f.Add("all of them")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = parseCondition(text, []string{"a", "b", "sel_x"})
	})
}

// FuzzPattern checks the wildcard matcher against the obvious recursive one.
func FuzzPattern(f *testing.F) {
	f.Add("a*b?c", "aXXbYc")
	f.Add("*a*a*a", "aaaa")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 12 || len(text) > 20 {
			return
		}
		for _, r := range pattern + text {
			if r >= 0x80 {
				return
			}
		}
		p := squeeze(parseWildcards(pattern))
		if got, want := matchPattern(p, text), slowMatch(p, text); got != want {
			t.Fatalf("pattern %q on %q: %v, expected %v", pattern, text, got, want)
		}
	})
}

func slowMatch(p []wild, text string) bool {
	if len(p) == 0 {
		return text == ""
	}
	switch {
	case p[0].many:
		for i := 0; i <= len(text); i++ {
			if slowMatch(p[1:], text[i:]) {
				return true
			}
		}
		return false
	case p[0].one:
		return text != "" && slowMatch(p[1:], text[1:])
	}
	rest, ok := strings.CutPrefix(text, p[0].literal)
	return ok && slowMatch(p[1:], rest)
}
