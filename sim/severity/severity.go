// Package severity is how serious an alert or incident is: five ordered levels with
// the names of Sigma's rule levels (Sigma specification 2.1, "Level"). It is
// vocabulary that defenders, world and reports share, and holds no state.
package severity

import (
	"fmt"
	"slices"
	"strings"
)

// Severity is a level; a greater one is more serious. The zero value is Informational.
type Severity uint8

// The levels in ascending order.
const (
	Informational Severity = iota
	Low
	Medium
	High
	Critical
)

// Count is the number of levels, for arrays by level.
const Count = int(Critical) + 1

var names = [Count]string{"informational", "low", "medium", "high", "critical"}

// all lists the levels' names in ascending order.
func all() []string { return slices.Clone(names[:]) }

// Parse reads a name.
func Parse(text string) (Severity, error) {
	if i := slices.Index(names[:], text); i >= 0 {
		return Severity(i), nil
	}
	return Informational, fmt.Errorf("%q is no severity; accepted: %s", text, strings.Join(names[:], ", "))
}

// String is the name.
func (s Severity) String() string {
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// IsThreat tells whether a severity calls for a response: medium and above.
func (s Severity) IsThreat() bool { return s >= Medium }

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *Severity) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// Accepted lists the names.
func (Severity) Accepted() []string { return all() }

// JSONSchema lists the names for an editor's completion.
func (Severity) JSONSchema() map[string]any { return map[string]any{"type": "string", "enum": all()} }
