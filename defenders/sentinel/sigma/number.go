package sigma

import (
	"math"
	"strconv"
	"strings"
)

// asNumber makes a test for equal text one for an equal number.
func (n *textNode) asNumber(text string) {
	number, err := parseNumber(text)
	if n.shape != shapeEqual || err != nil {
		return
	}
	n.number = number
	n.key += "\x00#"
}

func (n *textNode) isNumber() bool { return !math.IsNaN(n.number) }

// parseNumber reads a number in decimal, with an exponent, or in hexadecimal after 0x.
func parseNumber(text string) (float64, error) {
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		u, err := strconv.ParseUint(rest, 16, 64)
		return float64(u), err
	}
	if rest, ok := strings.CutPrefix(text, "0X"); ok {
		u, err := strconv.ParseUint(rest, 16, 64)
		return float64(u), err
	}
	return strconv.ParseFloat(text, 64)
}

// mayBeNumber tells in short time that a text is none.
func mayBeNumber(text string) bool {
	if text == "" || len(text) > 40 {
		return false
	}
	switch c := text[0]; {
	case c >= '0' && c <= '9':
		return true
	case c == '-' || c == '+' || c == '.':
		return len(text) > 1 && (text[1] >= '0' && text[1] <= '9' || text[1] == '.')
	}
	return false
}

func equalsNumber(text string, number float64) bool {
	if !mayBeNumber(text) {
		return false
	}
	v, err := parseNumber(text)
	return err == nil && v == number
}

// canonicalNumber writes a number in its shortest decimal form; a text that is no
// number stays as it is.
func canonicalNumber(text string) string {
	if isPlainNumber(text) || !mayBeNumber(text) {
		return text
	}
	v, err := parseNumber(text)
	if err != nil {
		return text
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// isPlainNumber tells whether a text is a number without a sign, as most logs write
// it: two of them are equal when their texts are.
func isPlainNumber(text string) bool {
	if text == "" || len(text) > 15 || text[0] == '0' && len(text) > 1 {
		return false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}
