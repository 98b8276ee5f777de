// Package suggest finds what a writer may have meant by a word that is not accepted.
package suggest

import (
	"fmt"
	"strings"
)

// For returns a hint when an accepted name is at most two edits away, "" otherwise. Case
// does not count.
func For(name string, accepted []string) string {
	best, distance := "", 3
	if len(name) > 100 {
		return ""
	}
	for _, a := range accepted {
		if d := editDistance(strings.ToLower(name), strings.ToLower(a)); d < distance && d < len(a) {
			best, distance = a, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		previous := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := previous
			if a[i-1] != b[j-1] {
				cost++
			}
			previous = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
