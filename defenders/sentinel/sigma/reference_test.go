package sigma_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"gopkg.in/yaml.v3"

	"hemostat/sim/event"
)

// The reference reads a rule's YAML each time and does what the specification says
// in the most obvious way: every value becomes a regular expression. It shares no
// code with the engine and serves to hold the engine against.

// referenceRule is a rule as YAML has it.
type referenceRule struct {
	ID        string
	LogSource map[string]string `yaml:"logsource"`
	Detection map[string]yaml.Node
}

func referenceRules(data []byte) ([]referenceRule, error) {
	var rules []referenceRule
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var r referenceRule
		switch err := d.Decode(&r); {
		case errors.Is(err, io.EOF):
			return rules, nil
		case err != nil:
			return nil, err
		}
		rules = append(rules, r)
	}
}

var expressions = map[string]*regexp.Regexp{}

func matches(expression, text string) bool {
	re := expressions[expression]
	if re == nil {
		re = regexp.MustCompile(expression)
		expressions[expression] = re
	}
	return re.MatchString(text)
}

func (r *referenceRule) covers(s event.LogSource) bool {
	has := func(want, is string, more ...string) bool {
		return want == "" || want == is || slices.Contains(more, is)
	}
	category := []string{}
	switch r.LogSource["category"] {
	case "registry_event":
		category = []string{"registry_set", "registry_add", "registry_delete", "registry_rename"}
	case "file_change":
		category = []string{"file_event"}
	}
	service := []string{}
	switch r.LogSource["service"] {
	case "powershell-classic":
		service = []string{"powershell_classic"}
	case "auth":
		service = []string{"sshd", "sudo", "su"}
	}
	if !has(r.LogSource["product"], s.Product) || !has(r.LogSource["service"], s.Service, service...) {
		return false
	}
	return has(r.LogSource["category"], s.Category, category...) || namesFor[r.LogSource["category"]+" "+s.String()] != nil
}

func (r *referenceRule) matches(e *event.Event) bool {
	if !r.covers(e.Source) {
		return false
	}
	condition := r.Detection["condition"]
	if condition.Kind == yaml.SequenceNode {
		for _, c := range condition.Content {
			if r.condition(e, c.Value) {
				return true
			}
		}
		return false
	}
	return r.condition(e, condition.Value)
}

// condition rewrites the expression until only constants are left.
func (r *referenceRule) condition(e *event.Event, text string) bool {
	text = regexp.MustCompile(`[()]`).ReplaceAllString(text, " $0 ")
	tokens := strings.Fields(text)
	at := 0
	word := func() string {
		if at < len(tokens) {
			return strings.ToLower(tokens[at])
		}
		return ""
	}
	var either func() bool
	one := func() bool {
		w := tokens[at]
		at++
		if w == "(" {
			v := either()
			at++
			return v
		}
		if word() == "of" {
			at++
			pattern := tokens[at]
			at++
			held, asked := 0, 0
			for name, n := range r.Detection {
				if name == "condition" || name == "timeframe" {
					continue
				}
				if pattern == "them" && strings.HasPrefix(name, "_") {
					continue
				}
				if ok, _ := path.Match(pattern, name); pattern != "them" && !ok {
					continue
				}
				asked++
				if r.selection(e, &n) {
					held++
				}
			}
			if strings.ToLower(w) == "all" {
				return held == asked
			}
			least, _ := strconv.Atoi(w)
			return held >= max(least, 1)
		}
		n := r.Detection[w]
		return r.selection(e, &n)
	}
	var not func() bool
	not = func() bool {
		if word() == "not" {
			at++
			return !not()
		}
		return one()
	}
	both := func() bool {
		v := not()
		for word() == "and" {
			at++
			v = not() && v
		}
		return v
	}
	either = func() bool {
		v := both()
		for word() == "or" {
			at++
			v = both() || v
		}
		return v
	}
	return either()
}

func (r *referenceRule) selection(e *event.Event, n *yaml.Node) bool {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			if !r.item(e, n.Content[i].Value, n.Content[i+1]) {
				return false
			}
		}
		return true
	case yaml.SequenceNode:
		for _, c := range n.Content {
			if r.selection(e, c) {
				return true
			}
		}
		return false
	}
	return r.item(e, "", n)
}

// namesFor is what a log source calls the fields of a category.
var namesFor = map[string]map[string]string{
	"process_creation windows/process_creation/security": {
		"Image": "NewProcessName", "ParentImage": "ParentProcessName", "ProcessId": "NewProcessId", "ParentProcessId": "ProcessId",
		"User": "SubjectUserName", "IntegrityLevel": "MandatoryLabel", "LogonId": "SubjectLogonId",
	},
	"proxy zeek/http":     {"c-uri": "uri", "c-useragent": "user_agent", "cs-method": "method", "cs-host": "host", "sc-status": "status_code"},
	"webserver zeek/http": {"c-uri": "uri", "cs-uri-query": "uri", "cs-user-agent": "user_agent", "cs-method": "method", "sc-status": "status_code"},
	"dns zeek/dns/dns":    {"record_type": "qtype_name", "answer": "answers"},
	"firewall zeek/conn":  {"src_ip": "id.orig_h", "dst_ip": "id.resp_h", "dst_port": "id.resp_p"},
}

// values are the texts that an item looks at.
func (r *referenceRule) values(e *event.Event, field string) []string {
	if field == "" {
		var all []string
		e.Each(func(_, v string) bool { all = append(all, v); return true })
		return all
	}
	if name := namesFor[r.LogSource["category"]+" "+e.Source.String()][field]; name != "" && r.LogSource["product"] != "zeek" {
		field = name
	}
	if v, ok := e.Lookup(field); ok {
		return []string{v}
	}
	return nil
}

func (r *referenceRule) item(e *event.Event, key string, n *yaml.Node) bool {
	parts := strings.Split(key, "|")
	has := func(m string) bool { return slices.Contains(parts[1:], m) }
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	held := 0
	for _, v := range list {
		if r.value(e, parts[0], has, v) {
			held++
		}
	}
	ok := held > 0
	if has("all") {
		ok = held == len(list)
	}
	return ok != has("neq")
}

func (r *referenceRule) value(e *event.Event, field string, has func(string) bool, v *yaml.Node) bool {
	values := r.values(e, field)
	any := func(holds func(string) bool) bool { return slices.ContainsFunc(values, holds) }
	flags := "(?is)"
	if has("cased") {
		flags = "(?s)"
	}
	switch {
	case has("exists"):
		return (len(values) > 0) == (v.Value == "true" || v.Value == "yes")
	case v.Tag == "!!null":
		return !any(func(x string) bool { return x != "" })
	case has("re"):
		f := ""
		for _, m := range []string{"i", "m", "s"} {
			if has(m) {
				f += m
			}
		}
		if f != "" {
			f = "(?" + f + ")"
		}
		return any(func(x string) bool { return matches(f+v.Value, x) })
	case has("cidr"):
		return any(func(x string) bool {
			a, err := netip.ParseAddr(x)
			return err == nil && (netip.MustParsePrefix(v.Value).Contains(a) || netip.MustParsePrefix(v.Value).Contains(a.Unmap()))
		})
	case has("lt") || has("lte") || has("gt") || has("gte"):
		return any(func(x string) bool {
			var a float64
			if u, err := strconv.ParseUint(strings.TrimPrefix(x, "0x"), 16, 64); err == nil && strings.HasPrefix(x, "0x") {
				a = float64(u)
			} else if a, err = strconv.ParseFloat(x, 64); err != nil {
				return false
			}
			b, _ := strconv.ParseFloat(v.Value, 64)
			return has("lt") && a < b || has("lte") && a <= b || has("gt") && a > b || has("gte") && a >= b
		})
	case has("fieldref"):
		other := r.values(e, v.Value)
		return len(other) > 0 && any(func(x string) bool {
			return matches(flags+around(has, regexp.QuoteMeta(string([]rune(other[0]))), field), x)
		})
	}
	for _, text := range spelt(v.Value, has) {
		if any(func(x string) bool { return matches(flags+around(has, wildcards(text), field), x) }) {
			return true
		}
	}
	return false
}

// around anchors an expression as the modifiers say.
func around(has func(string) bool, expression, field string) string {
	begin, end := "^", "$"
	if has("contains") || has("endswith") || field == "" {
		begin = ""
	}
	if has("contains") || has("startswith") || field == "" {
		end = ""
	}
	return begin + "(?:" + expression + ")" + end
}

// wildcards turns a value into an expression.
func wildcards(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && strings.IndexByte(`\*?`, text[i+1]) >= 0:
			i++
			b.WriteString(regexp.QuoteMeta(text[i : i+1]))
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(text[i : i+1]))
		}
	}
	return b.String()
}

// spelt applies the modifiers that change a value.
func spelt(text string, has func(string) bool) []string {
	texts := []string{text}
	if has("windash") {
		texts = referenceDashes(text)
	}
	encoded := has("base64") || has("base64offset")
	wide := has("wide") || has("utf16le") || has("utf16be") || has("utf16")
	if !encoded && !wide {
		return texts
	}
	quote := func(s string) string { return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(s) }
	var out []string
	for _, t := range texts {
		raw := regexp.MustCompile(`\\([\\*?])`).ReplaceAllString(t, "$1")
		if wide {
			var b []byte
			if has("utf16") {
				b = append(b, 0xff, 0xfe)
			}
			for _, u := range utf16.Encode([]rune(raw)) {
				if has("utf16be") {
					b = append(b, byte(u>>8), byte(u))
				} else {
					b = append(b, byte(u), byte(u>>8))
				}
			}
			raw = string(b)
		}
		switch {
		case has("base64"):
			out = append(out, quote(base64.StdEncoding.EncodeToString([]byte(raw))))
		case has("base64offset"):
			for shift := range 3 {
				// of the encoding of so many unknown bytes, the text and more unknown
				// bytes, what stays the same whatever they are
				a := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + raw + "\x00\x00\x00"))
				b := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xff", shift) + raw + "\xff\xff\xff"))
				same := ""
				for i := range min(len(a), len(b)) {
					if a[i] == b[i] {
						same += a[i : i+1]
					} else if same != "" {
						break
					}
				}
				if same != "" {
					out = append(out, quote(same))
				}
			}
		default:
			out = append(out, quote(raw))
		}
	}
	return out
}

// referenceVerdicts runs the reference over events and lists what matched.
func referenceVerdicts(files map[string][]byte, skip func(id string) bool, events []*event.Event) ([]string, error) {
	var out []string
	for name, data := range files {
		rules, err := referenceRules(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, r := range rules {
			if skip(r.ID) {
				continue
			}
			for i, e := range events {
				if r.matches(e) {
					out = append(out, strconv.Itoa(i)+" "+r.ID)
				}
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// referenceDashes replaces the first dash that stands before a word, and goes on
// behind it.
func referenceDashes(text string) []string {
	at := regexp.MustCompile(`\B[-/]\b`).FindStringIndex(text)
	if at == nil {
		return []string{text}
	}
	var out []string
	for _, rest := range referenceDashes(text[at[1]:]) {
		for _, dash := range []string{"-", "/", "–", "—", "―"} {
			out = append(out, text[:at[0]]+dash+rest)
		}
	}
	return out
}
