package learning

import (
	"hash/fnv"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"hemostat/sim/event"
)

// kind is how a feature is tested.
type kind byte

const (
	whole  kind = iota // the whole value
	ending             // the end of a path, with its separator
	folder             // the beginning of a path, with its separator
	word               // a word within the value
)

// feature is something that a field of an event shows. Text is in lower case; # stands for what is
// left open.
type feature struct {
	field string
	kind  kind
	text  string
}

// open stands in a feature's text for numbers and identifiers.
const open = '#'

// id identifies a feature of a log source.
func (f *feature) id(source string) uint64 {
	h := fnv.New64a()
	for _, part := range []string{source, f.field, string(rune('0' + f.kind)), f.text} {
		_, _ = h.Write([]byte(part)) // a hash does not fail
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// Bounds of features.
const (
	longestValue = 300
	shortestWord = 4
	mostWords    = 40
	longestCode  = 5 // digits of a number that is a code, such as an event id, and no identifier
)

// isAboutEntities tells whether a field names who or what was met rather than what was done: hosts,
// accounts, addresses, processes by number, times and hashes. A rule about those is an indicator.
func isAboutEntities(field string) bool {
	f := strings.ToLower(field)
	for _, part := range []string{"user", "account", "host", "computer", "guid", "logonid", "sid", "hash", "md5", "sha1",
		"sha256", "imphash", "ja3", "ja4", "time", "pid", "processid", "threadid", "session", "uid", "serial", "recordid",
		"bytes", "length", "_len", "size", "duration", "address", "workstation", "ip", "conn_id", "fuid", "domain"} {
		if strings.Contains(f, part) {
			return true
		}
	}
	// The channel and the provider say what the log source says already.
	return slices.Contains([]string{"channel", "provider_name", "ts", "id.orig_h", "id.resp_h", "id.orig_p", "src_port", "sourceport"}, f)
}

const guidLength = 36

var guid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// isCode tells whether a number in a field is a code with a meaning of its own. It says what an
// event is, but is too little to say that it is evil.
func isCode(field string) bool {
	f := strings.ToLower(field)
	for _, end := range []string{"eventid", "status", "type", "port", "resp_p", "code", "mask", "access", "level", "options", "_p"} {
		if strings.HasSuffix(f, end) {
			return true
		}
	}
	return false
}

// features calls f for each feature of an event. Entities are names that no rule may depend on, in
// lower case.
func features(e *event.Event, entities map[string]bool, f func(feature)) {
	e.Each(func(name, value string) bool {
		if saysSomething(name, value) {
			featuresOf(name, strings.ToLower(value), entities, f)
		}
		return true
	})
}

// saysSomething tells whether features are made of a field's value.
func saysSomething(field, value string) bool {
	return value != "" && value != "-" && len(value) <= 4*longestValue && !isAboutEntities(field)
}

func featuresOf(name, value string, entities map[string]bool, f func(feature)) {
	if isAddress(value) || entities[value] {
		return
	}
	if isShortNumber(value) {
		if isCode(name) {
			f(feature{name, whole, value})
		}
		return
	}
	text := leaveOpen(value, entities)
	if len(text) <= longestValue && hasSubstance(text) {
		f(feature{name, whole, text})
	}
	words := strings.FieldsFunc(value, func(c rune) bool {
		return unicode.IsSpace(c) || strings.ContainsRune(`"'();|&<>,`, c)
	})
	if len(words) == 1 {
		pathFeatures(name, text, f)
		return
	}
	wordFeatures(name, words[:min(len(words), mostWords)], entities, f)
}

// wordFeatures are the words of a text, and the ends of those that are paths.
func wordFeatures(name string, words []string, entities map[string]bool, f func(feature)) {
	for _, w := range words {
		if entities[w] || isAddress(w) {
			continue
		}
		w = leaveOpen(w, entities)
		if isWord(w) {
			f(feature{name, word, w})
		}
		if at := strings.LastIndexAny(w, `/\`); at > 0 && at < len(w)-1 && isWord(w[at+1:]) {
			f(feature{name, word, w[at:]})
		}
	}
}

// pathFeatures are the end and the beginning of a path.
func pathFeatures(name, text string, f func(feature)) {
	at := strings.LastIndexAny(text, `/\`)
	if at < 0 {
		return
	}
	if end := text[at:]; len(end) >= shortestWord && hasSubstance(end) {
		f(feature{name, ending, end})
	}
	if at > 0 && hasSubstance(text[:at]) {
		f(feature{name, folder, text[:at+1]})
	}
	if dot := strings.LastIndexByte(text, '.'); dot > at && len(text)-dot >= shortestWord-1 && len(text)-dot <= 6 && hasSubstance(text[dot:]) {
		f(feature{name, ending, text[dot:]})
	}
}

func isAddress(text string) bool {
	if text == "" || text[0] > 'f' {
		return false
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}

// hasSubstance tells whether enough of a text is not left open.
func hasSubstance(text string) bool {
	letters, left := 0, 0
	for _, c := range text {
		switch {
		case unicode.IsLetter(c):
			letters++
		case c == open:
			left++
		}
	}
	return letters >= 2 && letters > left
}

// isWord tells whether a word says something where it stands within another text.
func isWord(w string) bool {
	return len(w) >= shortestWord && w[0] != open && hasSubstance(strings.ReplaceAll(w, ".exe", ""))
}

func isShortNumber(value string) bool {
	return len(value) <= longestCode && strings.IndexFunc(value, func(c rune) bool { return c < '0' || c > '9' }) < 0
}

// isTelling tells whether a feature alone may be what makes an event evil.
func (f *feature) isTelling() bool { return !isShortNumber(f.text) }

// leaveOpen replaces numbers, identifiers in hexadecimal and names of entities within a value.
func leaveOpen(value string, entities map[string]bool) string {
	if len(value) >= guidLength && strings.IndexByte(value, '-') >= 0 {
		value = guid.ReplaceAllString(value, string(open))
	}
	var b strings.Builder
	for i := 0; i < len(value); {
		n := 0
		for i+n < len(value) && isWordByte(value[i+n]) {
			n++
		}
		if n == 0 {
			b.WriteByte(value[i])
			i++
			continue
		}
		piece := value[i : i+n]
		if entities[piece] || isIdentifier(piece) {
			piece = string(open)
		} else {
			piece = openNumbers(piece)
		}
		if piece == string(open) && strings.HasSuffix(b.String(), string(open)) {
			piece = ""
		}
		b.WriteString(piece)
		i += n
	}
	return b.String()
}

func isWordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 0x80
}

// isIdentifier tells whether a word was drawn rather than chosen: hexadecimal digits, or letters
// and digits in turn.
func isIdentifier(w string) bool {
	digits, hex, changes := 0, 0, 0
	for i := range len(w) {
		c := w[i]
		isDigit := c >= '0' && c <= '9'
		if isDigit {
			digits++
		}
		if isDigit || c >= 'a' && c <= 'f' {
			hex++
		}
		if i > 0 && isDigit != (w[i-1] >= '0' && w[i-1] <= '9') {
			changes++
		}
	}
	return len(w) >= 8 && digits > 0 && hex == len(w) || len(w) >= 6 && changes >= 3
}

// openNumbers leaves the numbers of a word open, but for a digit at the end of a name, such as that
// of python3.
func openNumbers(w string) string {
	if !strings.ContainsAny(w, "0123456789") {
		return w
	}
	const digits10 = "0123456789"
	named := strings.TrimRight(w, digits10)
	if len(named) == len(w)-1 && len(named) >= 3 && !strings.ContainsAny(named, digits10) {
		return w
	}
	var b strings.Builder
	digits := 0
	flush := func() {
		if digits > 0 {
			b.WriteByte(open)
		}
		digits = 0
	}
	for i := range len(w) {
		if c := w[i]; c >= '0' && c <= '9' {
			digits++
		} else {
			flush()
			b.WriteByte(c)
		}
	}
	flush()
	return b.String()
}
