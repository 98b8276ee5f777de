package sigma

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf16"

	"hemostat/sim/event"
	"hemostat/sim/suggest"
)

// scalar is a YAML value with its tag, which tells the number 5 from the text "5"
// and null from "".
type scalar struct{ text, tag string }

// compileItem turns one field with its modifiers and values into a matcher
// (specification, appendix "Modifiers").
func compileItem(i item) (node, error) {
	c := itemCompiler{field: i.field}
	for _, m := range i.modifiers {
		if err := c.modifier(m); err != nil {
			return nil, err
		}
	}
	if i.field == "" && !c.plainKeyword() {
		return nil, errors.New("this modifier needs a field")
	}
	var matchers []node
	for _, v := range i.values {
		m, err := c.value(v)
		if err != nil {
			return nil, err
		}
		matchers = append(matchers, m)
	}
	n := anyOf(matchers)
	if c.all {
		n = allOf(matchers)
	}
	if c.negate {
		n = notNode{n}
	}
	return n, nil
}

type itemCompiler struct {
	field                               string
	contains, starts, ends              bool
	all, cased, negate, windash, exists bool
	expression                          bool
	regexFlags, compare, encoding, wide string
	cidr, fieldref, expand              bool
	timePart                            string
}

// errPlaceholders is what a placeholder gives that no pipeline has filled.
var errPlaceholders = errors.New(
	"no pipeline gives values; list them in its vars, beside a value_placeholders transformation",
)

var timeParts = []string{"minute", "hour", "day", "week", "month", "year"}

const modifierNames = "contains, startswith, endswith, all, exists, cased, neq, windash, expand, re with i m s, base64, base64offset, wide, utf16, utf16le, utf16be, lt, lte, gt, gte, cidr, fieldref, minute to year"

func (c *itemCompiler) modifier(m string) error {
	switch m {
	case "contains":
		c.contains = true
	case "startswith":
		c.starts = true
	case "endswith":
		c.ends = true
	case "all":
		c.all = true
	case "cased":
		c.cased = true
	case "neq":
		c.negate = true
	case "windash":
		c.windash = true
	case "exists":
		c.exists = true
	case "re":
		c.expression = true
	case "i", "m", "s":
		if !c.expression {
			return fmt.Errorf("modifier %q follows re only", m)
		}
		c.regexFlags += m
	case "lt", "lte", "gt", "gte":
		c.compare = m
	case "base64", "base64offset":
		c.encoding = m
	case "wide", "utf16", "utf16le", "utf16be":
		c.wide = m
	case "cidr":
		c.cidr = true
	case "fieldref":
		c.fieldref = true
	case "expand":
		c.expand = true
	default:
		if slices.Contains(timeParts, m) {
			c.timePart = m
			return nil
		}
		return fmt.Errorf("unknown modifier %q%s; accepted: %s", m, suggest.For(m, strings.FieldsFunc(modifierNames, notName)), modifierNames)
	}
	return nil
}

func notName(r rune) bool { return r == ',' || r == ' ' }

func (c *itemCompiler) plainKeyword() bool {
	return !c.exists && c.compare == "" && !c.cidr && !c.fieldref
}

func (c *itemCompiler) value(v scalar) (node, error) {
	f := fieldRefer(c.field)
	if c.expand {
		if name := placeholder.FindStringSubmatch(v.text); name != nil {
			return nil, fmt.Errorf("for the placeholder %%%s%% %w", name[2], errPlaceholders)
		}
		v.text = strings.ReplaceAll(v.text, `\%`, "%")
	}
	switch {
	case c.exists:
		switch strings.ToLower(v.text) {
		case "true", "yes":
			return existsNode{f}, nil
		case "false", "no":
			return notNode{existsNode{f}}, nil
		}
		return nil, fmt.Errorf("exists takes true or false, not %q", v.text)
	case v.tag == "!!null":
		return nullNode{f}, nil
	case c.expression:
		return c.regex(f, v.text)
	case c.cidr:
		prefix, err := parseNetwork(v.text)
		if err != nil {
			return nil, err
		}
		return cidrNode{f, prefix}, nil
	case c.compare != "" || c.timePart != "":
		n, err := parseNumber(v.text)
		if err != nil {
			return nil, fmt.Errorf("a number is expected, not %q", v.text)
		}
		op := c.compare
		if op == "" {
			op = "eq"
		}
		return compareNode{f, op, n, c.timePart}, nil
	case c.fieldref:
		return fieldrefNode{f, fieldRefer(v.text), c.starts, c.ends, c.contains, c.cased}, nil
	}
	if c.encoding != "" && v.text == "" {
		return nil, fmt.Errorf("%s needs a text to encode, and this one is empty", c.encoding)
	}
	var any []node
	texts, err := c.spellings(v.text)
	if err != nil {
		return nil, err
	}
	for _, text := range texts {
		pattern := parseWildcards(text)
		if n := wildcards(pattern); n > maxWildcards {
			return nil, fmt.Errorf(
				"a value has %d wildcards, and at most %d are accepted; look for its parts with contains and all",
				n,
				maxWildcards,
			)
		}
		n := c.text(f, pattern).(*textNode)
		if v.tag == "!!int" || v.tag == "!!float" {
			n.asNumber(v.text)
		}
		any = append(any, n)
	}
	return anyOf(any), nil
}

// parseNetwork reads a network, or one address, whose zone does not matter.
func parseNetwork(text string) (netip.Prefix, error) {
	address, bits, ranged := strings.Cut(text, "/")
	address, _, _ = strings.Cut(address, "%")
	if ranged {
		if prefix, err := netip.ParsePrefix(address + "/" + bits); err == nil {
			return prefix.Masked(), nil
		}
	} else if addr, err := netip.ParseAddr(address); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return netip.Prefix{}, fmt.Errorf("%q is no network such as 10.0.0.0/8 or fe80::/10, nor an address", text)
}

func (c *itemCompiler) regex(f fieldRef, pattern string) (node, error) {
	flags := c.regexFlags
	if flags != "" {
		pattern = "(?" + flags + ")" + pattern
	}
	x, err := compileExpression(pattern)
	if err != nil {
		return nil, err
	}
	return regexNode{f, x}, nil
}

// windashes are the dashes that Windows programs take for the one in an option.
var windashes = []string{"-", "/", "–", "—", "―"}

// spellings applies the modifiers that turn one value into several.
func (c *itemCompiler) spellings(text string) ([]string, error) {
	texts := []string{text}
	if c.windash {
		if texts = windashed(text); len(texts) > maxExpanded {
			return nil, fmt.Errorf(
				"windash makes more than %d values of one; give the options as values of their own",
				maxExpanded,
			)
		}
	}
	if c.wide == "" && c.encoding == "" {
		return texts, nil
	}
	var out []string
	for _, t := range texts {
		raw := widen(unescape(t), c.wide)
		switch c.encoding {
		case "base64":
			out = append(out, escape(base64.StdEncoding.EncodeToString(raw)))
		case "base64offset":
			for _, e := range offsets(raw) {
				out = append(out, escape(e))
			}
		default:
			out = append(out, escape(string(raw)))
		}
	}
	return out, nil
}

// windashed replaces the dash before each option by every dash, in every
// combination; it stops when they are too many. A dash within a word is none of an
// option, nor is one that no word follows.
func windashed(text string) []string {
	out := []string{""}
	begin := 0
	for i := 0; i+1 < len(text) && len(out) <= maxExpanded; i++ {
		if text[i] != '-' && text[i] != '/' || i > 0 && isWord(text[i-1]) || !isWord(text[i+1]) {
			continue
		}
		var next []string
		for _, head := range out {
			for _, dash := range windashes {
				next = append(next, head+text[begin:i]+dash)
			}
		}
		out, begin = next, i+1
	}
	for i := range out {
		out[i] += text[begin:]
	}
	return out
}

func isWord(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_'
}

func widen(text, form string) []byte {
	if form == "" {
		return []byte(text)
	}
	var b []byte
	if form == "utf16" {
		b = append(b, 0xff, 0xfe)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		if form == "utf16be" {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return b
}

// offsets are the three ways in which base64 of a longer text can hold this one.
func offsets(raw []byte) []string {
	var out []string
	for shift := range 3 {
		padded := append(make([]byte, shift), raw...)
		encoded := base64.StdEncoding.EncodeToString(padded)
		start := []int{0, 2, 3}[shift]
		end := len(encoded)
		switch len(padded) % 3 {
		case 1:
			end -= 3
		case 2:
			end -= 2
		}
		if start < end {
			out = append(out, encoded[start:end])
		}
	}
	return out
}

// text compiles a value with wildcards: * any text, ? one character, \ escapes
// them and itself.
func (c *itemCompiler) text(f fieldRef, pattern []wild) node {
	if c.contains || f.none() {
		pattern = append(append([]wild{{many: true}}, pattern...), wild{many: true})
	}
	if c.starts {
		pattern = append(pattern, wild{many: true})
	}
	if c.ends {
		pattern = append([]wild{{many: true}}, pattern...)
	}
	return newTextNode(f, pattern, c.cased)
}

// maxWildcards bounds what a hostile pattern can cost: the time to match is at most
// the text's length times the number of wildcards.
const maxWildcards = 200

func wildcards(pattern []wild) int {
	n := 0
	for _, w := range pattern {
		if w.many || w.one {
			n++
		}
	}
	return n
}

// wild is a run of literal text, or a wildcard.
type wild struct {
	literal   string
	many, one bool
}

func parseWildcards(s string) []wild {
	var out []wild
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			out = append(out, wild{literal: literal.String()})
			literal.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '?' || s[i+1] == '\\'):
			i++
			literal.WriteByte(s[i])
		case s[i] == '*':
			flush()
			out = append(out, wild{many: true})
		case s[i] == '?':
			flush()
			out = append(out, wild{one: true})
		default:
			literal.WriteByte(s[i])
		}
	}
	flush()
	return out
}

func unescape(s string) string {
	var b strings.Builder
	for _, w := range parseWildcards(s) {
		switch {
		case w.many:
			b.WriteByte('*')
		case w.one:
			b.WriteByte('?')
		default:
			b.WriteString(w.literal)
		}
	}
	return b.String()
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`).Replace(s)
}

// fieldRef is a field by table number, or by name when the table lacks it.
type fieldRef struct {
	field event.Field
	name  string
}

func fieldRefer(name string) fieldRef { return fieldRef{event.FieldByName(name), name} }

func (f fieldRef) none() bool { return f.name == "" }
