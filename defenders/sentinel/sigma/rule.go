package sigma

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"hemostat/sim/attack"

	"hemostat/sim/event"
)

// Rule is one Sigma rule: a detection over single events, a correlation of other
// rules, or a filter that narrows others.
type Rule struct {
	ID, Name, Title, Status, Description string
	Level                                string // informational, low, medium, high, critical
	Tags                                 []string
	FalsePositives                       []string
	Source                               event.LogSource
	Correlation                          *Correlation
	Filter                               *Filter
	File                                 string
	Line                                 int
	// Digest is the SHA-256 of the file that the rule stands in.
	Digest [32]byte

	// part tells that the rule is a part of another, which was written before Sigma 2.
	part      bool
	fields    []namedField
	detection *detection
	narrowed  []*detection // conditions of filters that must hold too
	plan      *plan        // what pipelines did; nil without
}

// Filter narrows other rules: its condition must hold beside theirs
// (specification, "Sigma filters").
type Filter struct {
	Rules        []string // ids or names; any stands for every rule of the log source
	line, column int
}

// Techniques are the ATT&CK ids among the rule's tags, such as T1059.001, as the current
// version of ATT&CK has them.
func (r *Rule) Techniques() []string {
	var out []string
	for _, tag := range r.Tags {
		if t, ok := strings.CutPrefix(strings.ToLower(tag), "attack.t"); ok && len(t) >= 4 && t[0] >= '0' &&
			t[0] <= '9' {
			out = append(out, "T"+t)
		}
	}
	return attack.CurrentAll(out)
}

// namedField is a field that a rule names, with its place.
type namedField struct {
	name         string
	line, column int
}

// Doubts are fields of a rule for Windows, or for processes, files and connections of
// any system, that differ from one of their fields by case only: names are
// case-sensitive, so such a test never holds.
func (r *Rule) Doubts() Errors {
	var out Errors
	endpoint := r.Source.Product == "windows" || slices.Contains([]string{
		"process_creation", "file_event", "network_connection", "dns_query", "image_load", "registry_set", "registry_event",
	}, r.Source.Category)
	if !endpoint {
		return nil
	}
	for _, f := range r.fields {
		if event.FieldByName(f.name) != event.NoField {
			continue
		}
		if known := event.FieldByFoldedName(f.name); known != event.NoField &&
			unicode.IsUpper(rune(known.String()[0])) {
			out = append(out, Error{File: r.File, Line: f.line, Column: f.column, Message: fmt.Sprintf(
				"the field %q is unknown and differs from %s by case only; field names are case-sensitive",
				f.name,
				known,
			)})
		}
	}
	return out
}

// Part tells whether the rule only feeds an aggregation of the file's own rule.
func (r *Rule) Part() bool { return r.part }

// Key names the rule in results: its id, or its title when it has none.
func (r *Rule) Key() string {
	if r.ID != "" {
		return r.ID
	}
	return r.Title
}

// Correlation counts or joins matches of other rules over time.
type Correlation struct {
	Type     string // one of correlationTypes
	Rules    []string
	GroupBy  []string
	Timespan time.Duration
	Fields   []string // whose values are counted, summed or averaged
	Aliases  map[string]map[string]string
	Generate bool
	bounds   []bound
	line     int
	column   int
}

// bound is one comparison of a correlation's condition.
type bound struct {
	op string // gt, gte, lt, lte, eq or neq
	to float64
}

func (b bound) holds(v float64) bool {
	switch b.op {
	case "gt":
		return v > b.to
	case "gte":
		return v >= b.to
	case "lt":
		return v < b.to
	case "lte":
		return v <= b.to
	case "neq":
		return v != b.to
	}
	return v == b.to
}

// detections are those that must hold: the rule's own and its filters'.
func (r *Rule) detections() []*detection {
	return append([]*detection{r.detection}, r.narrowed...)
}

// levels in ascending order. Rules may write them in any case.
var levels = []string{"informational", "low", "medium", "high", "critical"}

// LevelRank is a level's place in Levels, 0 for an unknown one.
func LevelRank(level string) int { return max(0, slices.Index(levels, level)) }

// Error is a fault of a rule file with its place.
type Error struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	// Unsupported names what the engine lacks when the rule itself is in order.
	Unsupported string `json:"unsupported,omitempty"`

	rule *Rule // that cannot be used, when it was read
}

// Error writes file:line:column: message; what concerns a whole file has no line.
func (e Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Errors is everything wrong with a set of rule files.
type Errors []Error

// Error lists them, one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns the errors as an error, or nil when there are none.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
