// Package printable makes text from strangers fit to be shown: what nobody sees is written by
// its code.
package printable

import (
	"fmt"
	"strings"
	"unicode"
)

// Text is a text in which characters that cannot be seen, that move the cursor or that turn the
// direction of text around stand by their code, such as \u{1b}. Bytes that are no UTF-8 become
// U+FFFD.
func Text(s string) string {
	clean := true
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return b.String()
}
