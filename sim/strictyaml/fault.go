package strictyaml

import (
	"fmt"
	"sort"
	"strings"
)

// Fault is one thing wrong at one place.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`

	last bool // it counts faults that were left out, and stands behind the others
}

// Error writes the fault as file:line:column: path: message.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults is everything wrong with one or more files.
type Faults []Fault

// Error lists the first faults, one a line, and counts the rest.
func (f Faults) Error() string {
	var lines []string
	for i := range f {
		if i == maxFaults && len(f) > maxFaults+2 {
			lines = append(lines, fmt.Sprintf("and %d more faults", len(f)-i))
			break
		}
		lines = append(lines, f[i].Error())
	}
	return strings.Join(lines, "\n")
}

// Err returns the faults sorted by place as an error, or nil when there are none.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	sort.SliceStable(f, func(i, j int) bool {
		a, b := &f[i], &f[j]
		if a.last != b.last {
			return b.last
		}
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	return f
}

// Pos is a place in a file. A struct field of this type tagged `yaml:"-"` is
// filled with the place of the mapping that the struct was read from.
type Pos struct {
	File         string
	Line, Column int
}

// MarshalJSON writes null: where something stood is no part of what a file says,
// so digests over decoded files do not depend on it.
func (Pos) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// Fault makes a fault at this place.
func (p Pos) Fault(path, format string, args ...any) Fault {
	return Fault{File: p.File, Line: p.Line, Column: p.Column, Path: path, Message: fmt.Sprintf(format, args...)}
}

// Follows tells whether a fault only repeats another: it is about the same place or
// one within it, or about a key that the other reports as missing.
func (f Fault) Follows(other Fault) bool {
	lacks := strings.HasSuffix(other.Message, "is missing")
	if other.Path == f.Path && !lacks || within(f.Path, other.Path) && !lacks {
		return true
	}
	parent, key := "", f.Path
	if at := strings.LastIndexByte(f.Path, '.'); at >= 0 {
		parent, key = f.Path[:at], f.Path[at+1:]
	}
	return other.Path == parent && strings.HasPrefix(other.Message, fmt.Sprintf("%q is missing", key))
}

// within tells whether a path lies below another.
func within(path, other string) bool {
	rest, ok := strings.CutPrefix(path, other)
	return ok && other != "" && rest != "" && (rest[0] == '.' || rest[0] == '[')
}
