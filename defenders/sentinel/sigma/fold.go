package sigma

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// foldRune gives every rune of a simple case-folding orbit the same one, which is
// the lower case for letters that have just two forms: K, k and the Kelvin sign
// all become k. Regular expressions with the flag i fold the same way.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if r-'A' < 26 && r >= 'A' {
			r += 'a' - 'A'
		}
		return r
	}
	least, alone := r, true
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least, alone = min(least, next), false
	}
	if alone {
		return r
	}
	return unicode.ToLower(least)
}

// lowered lowers the capitals among eight bytes.
func lowered(x uint64) uint64 {
	const ones = 0x0101010101010101
	y := x & (0x7f * ones)
	capitals := (y + (0x80-'A')*ones) &^ (y + (0x7f-'Z')*ones) &^ x & (0x80 * ones)
	return x | capitals>>2
}

// lowered4 lowers the capitals among four bytes.
func lowered4(x uint32) uint32 {
	const ones = 0x01010101
	y := x & (0x7f * ones)
	capitals := (y + (0x80-'A')*ones) &^ (y + (0x7f-'Z')*ones) &^ x & (0x80 * ones)
	return x | capitals>>2
}

// appendFolded appends a text without its case. Bytes that are not UTF-8 become
// the replacement character.
func appendFolded(out []byte, v string) []byte {
	b := unsafe.Slice(unsafe.StringData(v), len(v))
	for len(b) > 0 {
		if len(b) >= 8 {
			if x := binary.LittleEndian.Uint64(b); x&high == 0 {
				out = binary.LittleEndian.AppendUint64(out, lowered(x))
				b = b[8:]
				continue
			}
		}
		r, size := utf8.DecodeRune(b)
		out = utf8.AppendRune(out, foldRune(r))
		b = b[size:]
	}
	return out
}

// equalFolded compares a text of ASCII in any case, or folded, with a folded one
// of the same length.
func equalFolded(text, literal string) bool {
	t, l := unsafe.Slice(unsafe.StringData(text), len(text)), unsafe.Slice(unsafe.StringData(literal), len(literal))
	for len(t) >= 8 && len(l) >= 8 {
		if lowered(binary.LittleEndian.Uint64(t)) != binary.LittleEndian.Uint64(l) {
			return false
		}
		t, l = t[8:], l[8:]
	}
	for i, c := range t {
		if c-'A' < 26 {
			c += 'a' - 'A'
		}
		if c != l[i] {
			return false
		}
	}
	return true
}

// folded is a text without its case.
func folded(v string) string { return string(appendFolded(nil, v)) }

// fold is folded into the matcher's buffer, which lasts until the next event, so
// nothing is allocated.
func (m *Matcher) fold(v string) string {
	room := len(v) + 8
	if !isASCII(v) {
		room *= 3 // a byte that is not UTF-8 becomes three
	}
	if cap(m.buffer)-len(m.buffer) < room {
		m.buffer = make([]byte, 0, max(2*cap(m.buffer), room, 4096))
	}
	from := len(m.buffer)
	m.buffer = appendFolded(m.buffer, v)
	out := m.buffer[from:]
	return unsafe.String(unsafe.SliceData(out), len(out))
}

const high = 0x8080808080808080

// isASCII looks at 32 bytes at a time.
func isASCII(s string) bool {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for len(b) >= 32 {
		w := (*[4]uint64)(unsafe.Pointer(unsafe.SliceData(b)))
		if (w[0]|w[1]|w[2]|w[3])&high != 0 {
			return false
		}
		b = b[32:]
	}
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b)&high != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldsToASCII tells whether a text beyond ASCII holds one of the two letters whose
// folded form is ASCII: the Kelvin sign and the long s.
// Without them, what is ASCII in the folded text is ASCII in the text.
func foldsToASCII(s string) bool {
	return strings.Contains(s, "\u212a") || strings.Contains(s, "\u017f")
}
