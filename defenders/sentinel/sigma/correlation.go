package sigma

import (
	"slices"
	"strings"
	"time"
)

// maxGroups bounds the groups that one correlation keeps; the group that began
// first gives way, and is counted.
const maxGroups = 50_000

// maxEntries bounds the matches that one group holds; the oldest give way.
const maxEntries = 4096

// maxEvidence bounds the events that a correlation remembers for a group.
const maxEvidence = 64

// window is the state of one correlation.
type window struct {
	rule   *Rule
	spec   *Correlation
	groups map[string]*group
	oldest []string // group keys by first touch, for eviction
}

type group struct {
	entries []entry
	values  map[string]int // of value_count: how many entries have each
	fired   time.Duration  // time of the last match, to re-arm after a timespan
	hasFire bool
	touched time.Duration
}

type entry struct {
	at    time.Duration
	event uint64
	rule  *Rule
	value string
}

func newWindow(r *Rule) *window {
	return &window{rule: r, spec: r.Correlation, groups: map[string]*group{}}
}

// add counts a match of a rule for the matcher's current event. It works on
// event time; an event that comes late counts in its own window if that still
// stands, and is counted as late otherwise. After a match the group is quiet for
// one timespan.
func (w *window) add(m *Matcher, r *Rule) (Match, bool) {
	key, ok := w.key(m, r)
	if !ok {
		return Match{}, false
	}
	g := w.groups[key]
	if g == nil {
		g = &group{}
		w.groups[key] = g
		w.oldest = append(w.oldest, key)
		w.evict(m)
	}
	at := m.event.Time
	if at < g.touched-w.spec.Timespan {
		m.stats.Late++
		return Match{}, false
	}
	g.touched = max(g.touched, at)
	e := entry{at: at, event: m.event.ID, rule: r}
	if w.spec.Type == "value_count" {
		value, ok := w.field(m, r, w.spec.Field)
		if !ok {
			return Match{}, false
		}
		e.value = value
	}
	g.insert(e, w.spec.Timespan)
	count := w.count(g)
	if !w.holds(count) || g.hasFire && at-g.fired < w.spec.Timespan {
		return Match{}, false
	}
	g.fired, g.hasFire = at, true
	match := Match{Rule: w.rule, Group: key, Count: count}
	for _, e := range g.entries[max(0, len(g.entries)-maxEvidence):] {
		match.Events = append(match.Events, e.event)
	}
	return match, true
}

func (w *window) evict(m *Matcher) {
	for len(w.groups) > maxGroups && len(w.oldest) > 0 {
		delete(w.groups, w.oldest[0])
		w.oldest = w.oldest[1:]
		m.stats.Evicted++
	}
}

// key is the group that the current event belongs to; without one of the
// group-by fields it belongs to none.
func (w *window) key(m *Matcher, r *Rule) (string, bool) {
	switch len(w.spec.GroupBy) {
	case 0:
		return "", true
	case 1:
		return w.field(m, r, w.spec.GroupBy[0])
	}
	var b strings.Builder
	for i, name := range w.spec.GroupBy {
		v, ok := w.field(m, r, name)
		if !ok {
			return "", false
		}
		if i > 0 {
			b.WriteByte(0)
		}
		b.WriteString(v)
	}
	return b.String(), true
}

func (w *window) field(m *Matcher, r *Rule, name string) (string, bool) {
	if alias, ok := w.spec.Aliases[name]; ok {
		for _, ref := range []string{r.ID, r.Name} {
			if to, ok := alias[ref]; ok && ref != "" {
				name = to
				break
			}
		}
	}
	return m.value(fieldRefer(name))
}

// insert keeps the entries in time order and drops those that left the window.
func (g *group) insert(e entry, span time.Duration) {
	at := len(g.entries)
	for at > 0 && g.entries[at-1].at > e.at {
		at--
	}
	g.entries = slices.Insert(g.entries, at, e)
	g.countValue(e.value, 1)
	first := 0
	for first < len(g.entries) && (g.entries[first].at < g.touched-span || len(g.entries)-first > maxEntries) {
		g.countValue(g.entries[first].value, -1)
		first++
	}
	g.entries = g.entries[first:]
}

func (g *group) countValue(value string, by int) {
	if value == "" {
		return
	}
	if g.values == nil {
		g.values = map[string]int{}
	}
	if g.values[value] += by; g.values[value] == 0 {
		delete(g.values, value)
	}
}

func (w *window) count(g *group) int {
	switch w.spec.Type {
	case "event_count":
		return len(g.entries)
	case "value_count":
		return len(g.values)
	case "temporal":
		seen := map[*Rule]bool{}
		for _, e := range g.entries {
			seen[e.rule] = true
		}
		return len(seen)
	}
	next := 0 // temporal_ordered: how many of the rules came in this order
	for _, e := range g.entries {
		if next < len(w.spec.Rules) && (e.rule.ID == w.spec.Rules[next] || e.rule.Name == w.spec.Rules[next]) {
			next++
		}
	}
	return next
}

func (w *window) holds(count int) bool {
	threshold := w.spec.threshold
	if strings.HasPrefix(w.spec.Type, "temporal") {
		threshold = max(threshold, len(w.spec.Rules))
	}
	switch w.spec.op {
	case "gt":
		return count > threshold
	case "eq":
		return count == threshold
	}
	return count >= threshold
}
