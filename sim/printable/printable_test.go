package printable

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestText(t *testing.T) {
	assert.Equal(t, `a\u{1b}[2Jb`, Text("a\x1b[2Jb"))
	assert.Equal(t, `x\u{202e}y`, Text("x\u202ey"))
	assert.Equal(t, "Zürich ✓", Text("Zürich ✓"))
	assert.Equal(t, "a\uFFFDb", Text("a\xffb"))
}

func TestNothingUnseenIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out := Text(string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")))
		if !utf8.ValidString(out) {
			t.Fatalf("%q is no UTF-8", out)
		}
		for _, r := range out {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q has %U", out, r)
			}
		}
	})
}
