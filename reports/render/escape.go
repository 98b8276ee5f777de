package render

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Text of others (names in files and databases, titles of rules, values of events)
// must not become a part of the form that it is written in. Each form has one
// function here; every writer of the project goes through it.

// Terminal shows control characters and escape sequences escaped, so that text
// cannot steer a terminal. Line ends stay.
func Terminal(s string) string { return escape(s, '\n') }

// Inline is Terminal for text that has to stay within its line.
func Inline(s string) string { return escape(s, unicode.ReplacementChar) }

func escape(s string, kept rune) string {
	if strings.IndexFunc(s, func(r rune) bool { return r != kept && unsafe(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r != kept && unsafe(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unsafe tells control characters, the invisible ones that reorder text, and broken
// encoding from what may be printed.
func unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) ||
		r == unicode.ReplacementChar
}

// markdownSpecial are the characters that mean something in GitHub's Markdown
// (CommonMark 0.31, section 2.4; tables and mentions are GitHub's own).
const markdownSpecial = "\\`*_{}[]<>()#+-.!|&~:@"

// Markdown is a text that shows as it is within a paragraph or a table cell: no
// heading, link, image, HTML or mention comes of it.
func Markdown(s string) string {
	var b strings.Builder
	for _, r := range Inline(s) {
		switch {
		case r == '@':
			b.WriteString("@\u2060") // a word joiner, so that nobody is mentioned
		case r == ':':
			b.WriteString("&#58;") // an address does not become a link
		case r == '|':
			b.WriteString("&#124;")
		case r < 0x80 && strings.ContainsRune(markdownSpecial, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// MarkdownCode is a text as a code span, also within a table cell.
func MarkdownCode(s string) string {
	s = strings.ReplaceAll(Inline(s), "|", `\|`)
	longest, run := 0, 0
	for _, r := range s {
		if run++; r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 || strings.TrimSpace(s) != s || s == "" {
		s = " " + s + " "
	}
	return fence + s + fence
}

// CSVCell is a text that no spreadsheet takes for a formula (OWASP, "CSV Injection"):
// what begins like one gets an apostrophe before it.
func CSVCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

// JSON escapes within a JSON text what Terminal escapes in others; the result means
// the same.
func JSON(text []byte) []byte {
	s := string(text)
	if strings.IndexFunc(s, func(r rune) bool { return r != '\n' && unsafe(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || !unsafe(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}

var plainWord = regexp.MustCompile(`^[\w./=@:+,-]+$`)

// ShellWord is a text as one word of a POSIX shell, to be pasted.
func ShellWord(s string) string {
	if s = Inline(s); plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
