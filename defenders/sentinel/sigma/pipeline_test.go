package sigma

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

func pipelineOf(t *testing.T, transformations string) *Pipeline {
	t.Helper()
	p, err := ParsePipeline("p.yml", []byte("name: site\nvars:\n  admins: [alice, 'svc_*']\n  none: []\ntransformations:\n"+transformations))
	require.NoError(t, err)
	return p
}

func matchesThrough(t *testing.T, p *Pipeline, detection string, e *event.Event) bool {
	t.Helper()
	rules, err := Parse("r.yml", []byte(fmt.Sprintf(process, "a")+detection), p)
	require.NoError(t, err, detection)
	engine, err := Compile(rules)
	require.NoError(t, err)
	matched := false
	engine.NewMatcher().Match(e, func(Match) { matched = true })
	return matched
}

func TestPipelinesChangeRules(t *testing.T) {
	const plain = "  s: {Image|endswith: cmd.exe}\n  condition: s\n"
	cmd := func(field string) *event.Event { return start(field, `C:\cmd.exe`, "User", "alice") }
	onWindows := "    rule_conditions: [{type: logsource, product: windows}]\n"
	for _, c := range []struct {
		steps, detection string
		e                *event.Event
		want             bool
	}{
		{"  - {type: field_name_mapping, mapping: {Image: exe}}\n", plain, cmd("exe"), true},
		{"  - {type: field_name_mapping, mapping: {Image: exe}}\n", plain, cmd("Image"), false},
		{"  - {type: field_name_mapping, mapping: {Image: [exe, program]}}\n", plain, cmd("program"), true},
		{"  - {type: field_name_mapping, mapping: {Image: [exe, program]}}\n", "  s: {User: alice}\n  f: {Image|endswith: cmd.exe}\n  condition: s and not f\n", cmd("program"), false},
		{"  - type: field_name_mapping\n    mapping: {Image: exe}\n" + onWindows, plain, cmd("exe"), true},
		{"  - type: field_name_mapping\n    mapping: {Image: exe}\n    rule_cond_not: true\n" + onWindows, plain, cmd("Image"), true},
		{"  - type: field_name_mapping\n    mapping: {Image: exe}\n    rule_cond_op: or\n    rule_conditions: [{type: tag, tag: none}, {type: is_sigma_rule}]\n", plain, cmd("exe"), true},
		{"  - type: field_name_mapping\n    mapping: {Image: exe}\n    rule_conditions: [{type: is_sigma_correlation_rule}]\n", plain, cmd("Image"), true},
		{"  - {type: field_name_prefix_mapping, mapping: {Im: x_, Imag: y_}}\n", plain, cmd("y_e"), true},
		{"  - {type: field_name_prefix, prefix: win.}\n", plain, cmd("win.Image"), true},
		{"  - {type: field_name_suffix, suffix: .text}\n", plain, cmd("Image.text"), true},
		{"  - type: field_name_prefix\n    prefix: win.\n    field_name_conditions: [{type: include_fields, fields: [User]}]\n", plain, cmd("Image"), true},
		{"  - type: field_name_prefix\n    prefix: win.\n    field_name_conditions: [{type: include_fields, fields: ['Im.*'], mode: re}]\n", plain, cmd("win.Image"), true},
		{"  - type: field_name_prefix\n    prefix: win.\n    field_name_conditions: [{type: exclude_fields, fields: [Image]}]\n", plain, cmd("Image"), true},
		{"  - {type: field_name_mapping, mapping: {User: account}}\n", "  s: {Image|fieldref: User}\n  condition: s\n", start("Image", "x", "account", "x"), true},
		{"  - {type: change_logsource, product: zeek, service: http}\n", plain, cmd("Image"), false},
		{"  - {type: add_condition, conditions: {User: bob}}\n", plain, cmd("Image"), false},
		{"  - {type: add_condition, conditions: {User: [bob, alice]}}\n", plain, cmd("Image"), true},
		{"  - {type: add_condition, conditions: {User: alice}, negated: true}\n", plain, cmd("Image"), false},
		{"  - {type: field_name_mapping, mapping: {User: account}}\n  - {type: add_condition, conditions: {User: alice}}\n", plain, cmd("Image"), true},
		{"  - {type: add_condition, conditions: {User: alice}}\n  - {type: field_name_mapping, mapping: {User: account}}\n", plain, cmd("Image"), false},
		{"  - type: drop_detection_item\n    field_name_conditions: [{type: include_fields, fields: [User]}]\n", "  s: {Image|endswith: cmd.exe, User: bob}\n  condition: s\n", cmd("Image"), true},
		{"  - {type: replace_string, regex: '^(c)md', replacement: '\\1at'}\n", plain, cmd("Image"), false},
		{"  - {type: replace_string, regex: '^(?P<c>c)at', replacement: '\\g<c>md'}\n", "  s: {Image|endswith: cat.exe}\n  condition: s\n", cmd("Image"), true},
		{"  - {type: map_string, mapping: {cat.exe: [dog.exe, cmd.exe]}}\n", "  s: {Image|endswith: cat.exe}\n  condition: s\n", cmd("Image"), true},
		{"  - type: set_value\n    value: cmd.exe\n    detection_item_conditions: [{type: match_string, pattern: '^cat'}]\n", "  s: {Image|endswith: cat.exe}\n  condition: s\n", cmd("Image"), true},
		{"  - type: set_value\n    value: x\n    detection_item_conditions: [{type: match_string, pattern: '^cat', negate: true}]\n", plain, cmd("Image"), false},
		{"  - type: set_value\n    value: alice\n    detection_item_conditions: [{type: is_null}]\n", "  s: {User: null}\n  condition: s\n", cmd("Image"), true},
		{"  - {type: value_placeholders}\n", "  s: {User|expand: '%admins%'}\n  condition: s\n", cmd("Image"), true},
		{"  - {type: value_placeholders}\n", "  s: {User|expand: '%admins%'}\n  condition: s\n", start("User", "svc_backup"), true},
		{"  - {type: value_placeholders}\n", "  s: {User|expand: '%admins%'}\n  condition: s\n", start("User", "bob"), false},
		{"  - {type: value_placeholders}\n", "  s: {User|contains|expand: 'a%admins%b%admins%'}\n  condition: s\n", start("User", "xaalicebsvc_1"), true},
		{"  - {type: value_placeholders}\n", "  s: {User|expand: '\\%admins\\%'}\n  condition: s\n", start("User", "%admins%"), true},
		{"  - {type: value_placeholders}\n", "  s: ['|expand': '%admins%']\n  condition: s\n", start("Other", "by alice"), true},
		{"  - {type: value_placeholders, exclude: [admins]}\n  - {type: wildcard_placeholders}\n", "  s: {User|expand: 'a%admins%e'}\n  condition: s\n", cmd("Image"), true},
		{"  - {type: value_placeholders}\n", "  s: {User|expand: '%none%'}\n  condition: s\n", start("User", ""), false},
		{"  - {id: one, type: field_name_mapping, mapping: {Image: exe}}\n  - type: field_name_mapping\n    mapping: {exe: program}\n    rule_conditions: [{type: processing_item_applied, processing_item_id: one}]\n", plain, cmd("program"), true},
	} {
		require.Equal(t, c.want, matchesThrough(t, pipelineOf(t, c.steps), c.detection, c.e), "%s\n%s", c.steps, c.detection)
	}
}

func TestPipelinesRunByPriority(t *testing.T) {
	late, err := ParsePipeline("late.yml", []byte("name: late\npriority: 20\ntransformations: [{type: field_name_mapping, mapping: {exe: program}}]\n"))
	require.NoError(t, err)
	early, err := ParsePipeline("early.yml", []byte("name: early\npriority: 10\ntransformations: [{type: field_name_mapping, mapping: {Image: exe}}]\n"))
	require.NoError(t, err)
	rules, err := Parse("r.yml", []byte(fmt.Sprintf(process, "a")+"  s: {Image: x}\n  condition: s\n"), late, early)
	require.NoError(t, err)
	engine, err := Compile(rules)
	require.NoError(t, err)
	found := 0
	engine.NewMatcher().Match(start("program", "x"), func(Match) { found++ })
	require.Equal(t, 1, found)
}

func TestPipelinesRenameWhatCorrelationsGroupBy(t *testing.T) {
	p := pipelineOf(t, "  - {type: field_name_mapping, mapping: {Image: exe, User: [account, login]}}\n")
	text := fmt.Sprintf(process, "a") + "  s: {Image: x}\n  condition: s\n---\ntitle: c\nid: c\ncorrelation: {type: event_count, rules: [a], group-by: [User], timespan: 5m, condition: {gte: 2}}\n"
	rules, err := Parse("r.yml", []byte(text), p)
	require.NoError(t, err)
	engine, err := Compile(rules)
	require.NoError(t, err)
	m := engine.NewMatcher()
	var groups []string
	for _, e := range []*event.Event{start("exe", "x", "login", "bob"), start("exe", "x", "account", "eve"), start("exe", "x", "login", "bob"), start("exe", "x", "User", "eve")} {
		m.Match(e, func(x Match) { groups = append(groups, x.Group) })
	}
	require.Equal(t, []string{"bob"}, groups)
}

func TestPipelineFaultsNameTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "p.yml:1:1: the file holds 0 pipelines",
		"name: x\n":                             "p.yml:1:1: a pipeline needs transformations",
		"a: [":                                  "not valid YAML",
		"nam: x\ntransformations: []\n":         `p.yml:1:1: unknown key "nam" of a pipeline; accepted: name, priority, vars`,
		"priority: high\ntransformations: []\n": "priority is a whole number",
		"transformations: {}\n":                 "p.yml:1:18: transformations is a list",
		"transformations: [x]\n":                "a transformation is a mapping with a type",
		"transformations: [{id: x}]\n":          "a transformation needs type",
		"transformations: [{type: nest}]\n":     `p.yml:1:26: transformation "nest" is not supported; accepted: add_condition, change_logsource`,
		"transformations: [{type: field_name_mapping}]":                                                                                     "field_name_mapping needs mapping",
		"transformations: [{type: field_name_mapping, mapping: {a: []}}]":                                                                   `mapping maps "a" to nothing`,
		"transformations: [{type: field_name_prefix, prefix: x, sufix: y}]":                                                                 `unknown key "sufix" of field_name_prefix; accepted: type, id, `,
		"transformations: [{type: field_name_prefix, prefix: x, rule_conditions: [{type: moon}]}]":                                          `condition "moon" is not supported here; accepted: logsource, tag`,
		"transformations: [{type: field_name_prefix, prefix: x, rule_conditions: [{type: tag, tagg: x}]}]":                                  `unknown key "tagg" of condition tag; accepted: type, tag`,
		"transformations: [{type: field_name_prefix, prefix: x, rule_cond_op: xor}]":                                                        "rule_cond_op is and or or",
		"transformations: [{type: replace_string, regex: '(', replacement: x}]":                                                             "not accepted by RE2",
		"transformations: [{type: field_name_prefix, prefix: x, field_name_conditions: [{type: include_fields, fields: ['('], mode: re}]}]": "not accepted by RE2",
		"transformations: [{type: change_logsource}]":                                                                                       "change_logsource needs category, product or service",
		"transformations: [{type: add_condition, conditions: x}]":                                                                           "conditions map fields to values",
	} {
		_, err := ParsePipeline("p.yml", []byte(text))
		require.ErrorContains(t, err, want, text)
		require.Regexp(t, `^p\.yml:\d+:\d+: `, err.Error())
	}
	for steps, want := range map[string]string{
		"  - {type: rule_failure, message: 'no such log here'}\n": "r.yml:1:1: pipeline site: no such log here",
		"  - type: detection_item_failure\n    message: this field is not collected\n    field_name_conditions: [{type: include_fields, fields: [Image]}]\n": "r.yml:5:7: Image|expand: this field is not collected",
		"  - {type: value_placeholders, include: [other]}\n": "r.yml:5:7: Image|expand: for the placeholder %admins% no pipeline gives values",
	} {
		_, err := Parse("r.yml", []byte(fmt.Sprintf(process, "a")+"  s: {Image|expand: '%admins%'}\n  condition: s\n"), pipelineOf(t, steps))
		require.ErrorContains(t, err, want, steps)
	}
	_, err := Parse("r.yml", []byte(fmt.Sprintf(process, "a")+"  s: {Image|expand: '"+strings.Repeat("%admins%", 20)+"'}\n  condition: s\n"), pipelineOf(t, "  - {type: value_placeholders}\n"))
	require.ErrorContains(t, err, "make more than 10000 values")
}

func TestAliasesAreWrittenOut(t *testing.T) {
	e := start("Image", "x", "User", "u")
	require.True(t, matches(t, "  s: {Image: &v x}\n  r: {Image: *v}\n  condition: r\n", e))
	require.True(t, matches(t, "  s: &s {Image: x}\n  r: {<<: *s, User: u}\n  condition: r\n", e))
	require.False(t, matches(t, "  s: &s {Image: x}\n  r: {<<: *s, User: v}\n  condition: r\n", e))
	for text, want := range map[string]string{
		"title: x\ndetection: &d\n  s: *d\n": "an anchor holds an alias to itself",
		"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n": "more than 200000 values when its aliases are written out",
		"title: x\n<<: 5\n": "<< takes a mapping",
	} {
		_, err := Parse("r.yml", []byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestStandInsServeRulesOnACategory(t *testing.T) {
	rule := func(source, detection string) string {
		return "title: a\nid: a\nlogsource: {" + source + "}\ndetection:\n  s: {" + detection + "}\n  condition: s\n"
	}
	for _, c := range []struct {
		source, detection string
		kind              event.Kind
		field, value      string
		want              bool
	}{
		{"category: proxy", "c-useragent|contains: curl", event.ZeekHTTP, "user_agent", "curl/8", true},
		{"category: proxy", "c-useragent|contains: curl", event.Proxy, "c-useragent", "curl/8", true},
		{"category: webserver", "sc-status: 404", event.ZeekHTTP, "status_code", "404", true},
		{"category: dns", "record_type: TXT", event.ZeekDNS, "qtype_name", "TXT", true},
		{"category: firewall", "dst_port: 22", event.ZeekConn, "id.resp_p", "22", true},
		{"product: zeek, service: http", "c-useragent|contains: curl", event.ZeekHTTP, "user_agent", "curl/8", false},
		{"category: proxy, product: squid", "c-useragent|contains: curl", event.ZeekHTTP, "user_agent", "curl/8", false},
		{"category: proxy", "c-useragent|contains: curl", event.ZeekConn, "user_agent", "curl/8", false},
		{"category: process_creation", "Image: x", event.SecurityProcess, "NewProcessName", "x", true},
		{"category: process_creation", "Image: null", event.SecurityLogon, "User", "x", false},
	} {
		rules, err := Parse("r.yml", []byte(rule(c.source, c.detection)))
		require.NoError(t, err)
		engine, err := Compile(rules)
		require.NoError(t, err)
		e := &event.Event{Source: c.kind.Source}
		e.SetName(c.field, c.value)
		found := false
		engine.NewMatcher().Match(e, func(Match) { found = true })
		require.Equal(t, c.want, found, c)
	}
}
