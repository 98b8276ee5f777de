package sigma

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxGroups bounds the groups that one correlation keeps; the one that was left
// alone longest gives way, and is counted.
const maxGroups = 50_000

// maxEntries bounds the matches that one group holds; the oldest give way.
const maxEntries = 4096

// maxHeld bounds the matches that all groups of all correlations of a matcher
// hold, which take up to some 300 bytes each. Beyond it groups give way as they do
// beyond maxGroups.
const maxHeld = 1_000_000

// maxEvidence bounds the events that a correlation remembers for a group.
const maxEvidence = 64

// maxValue bounds the values that groups remember; of longer ones the beginning
// and a digest stand for the whole.
const maxValue = 200

// window is the state of one correlation.
type window struct {
	rule   *Rule
	spec   *Correlation
	groups map[string]*group
	// idlest was left alone longest, latest was touched last; groups are linked in between.
	idlest, latest *group
}

type group struct {
	key     string
	entries []entry
	values  map[string]int // of value_count: how many entries have each
	fired   time.Duration  // time of the last match, to re-arm after a timespan
	hasFire bool
	touched time.Duration
	// earlier was touched before this one, later after it; nil at the ends.
	earlier, later *group
}

type entry struct {
	at    time.Duration
	event uint64
	rule  *Rule
	value string
	// number is the value of a value_sum or value_avg.
	number float64
}

func newWindow(r *Rule) *window {
	return &window{rule: r, spec: r.Correlation, groups: map[string]*group{}}
}

// touch makes a group the latest; unlink takes it out.
func (w *window) touch(g *group) {
	g.earlier, g.later = w.latest, nil
	if w.latest == nil {
		w.idlest = g
	} else {
		w.latest.later = g
	}
	w.latest = g
}

func (w *window) unlink(g *group) {
	if g.earlier == nil {
		w.idlest = g.later
	} else {
		g.earlier.later = g.later
	}
	if g.later == nil {
		w.latest = g.earlier
	} else {
		g.later.earlier = g.earlier
	}
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
	at := m.event.Time
	e := entry{at: at, event: m.event.ID, rule: r}
	if len(w.spec.Fields) > 0 {
		if e.value, ok = w.join(m, r, w.spec.Fields); !ok {
			return Match{}, false
		}
		if w.spec.numeric() {
			n, err := strconv.ParseFloat(e.value, 64)
			if err != nil || math.IsNaN(n) {
				return Match{}, false
			}
			e.number = n
		}
	}
	g := w.groups[key]
	if g == nil {
		g = &group{key: strings.Clone(key)}
		w.touch(g)
		w.groups[g.key] = g
	}
	w.unlink(g)
	w.touch(g)
	if at < g.touched-w.spec.Timespan {
		m.stats.Late++
		return Match{}, false
	}
	g.touched = max(g.touched, at)
	e.value = strings.Clone(e.value)
	m.held -= len(g.entries)
	g.insert(e, w.spec.Timespan)
	m.held += len(g.entries)
	w.evict(m, g)
	count := w.count(g, e)
	if !w.holds(count) || g.hasFire && at-g.fired < w.spec.Timespan {
		return Match{}, false
	}
	g.fired, g.hasFire = at, true
	match := Match{Rule: w.rule, Group: key, Count: int(count)}
	for _, e := range g.entries[max(0, len(g.entries)-maxEvidence):] {
		match.Events = append(match.Events, e.event)
	}
	return match, true
}

// evict gives up groups other than the current one until the bounds are kept.
func (w *window) evict(m *Matcher, current *group) {
	for len(w.groups) > maxGroups || m.held > maxHeld {
		g := w.idlest
		if g == current {
			return
		}
		w.unlink(g)
		delete(w.groups, g.key)
		m.held -= len(g.entries)
		m.stats.Evicted++
	}
}

// key is the group that the current event belongs to; without one of the
// group-by fields it belongs to none.
func (w *window) key(m *Matcher, r *Rule) (string, bool) {
	return w.join(m, r, w.spec.GroupBy)
}

// join is the values of several fields as one text.
func (w *window) join(m *Matcher, r *Rule, names []string) (string, bool) {
	switch len(names) {
	case 0:
		return "", true
	case 1:
		return w.field(m, r, names[0])
	}
	var b strings.Builder
	for i, name := range names {
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

// field is a field of the current event under the name that the correlation uses:
// after its aliases, and under the names that pipelines gave the rule which
// matched.
func (w *window) field(m *Matcher, r *Rule, name string) (string, bool) {
	if alias, ok := w.spec.Aliases[name]; ok {
		for _, ref := range []string{r.ID, r.Name} {
			if to, ok := alias[ref]; ok && ref != "" {
				name = to
				break
			}
		}
	}
	for _, n := range m.matching.plan.names(name) {
		if v, ok := m.value(fieldRefer(n)); ok {
			return shortened(v), true
		}
	}
	return "", false
}

// shortened keeps long values apart without keeping them.
func shortened(v string) string {
	if len(v) <= maxValue {
		return v
	}
	sum := sha256.Sum256([]byte(v))
	return clip(v, maxValue) + hex.EncodeToString(sum[:16])
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

// numeric tells whether the values are added up.
func (c *Correlation) numeric() bool { return c.Type == "value_sum" || c.Type == "value_avg" }

// count is what the condition is about, after an entry has come in:
//
//	event_count       how many matches
//	value_count       how many distinct values
//	value_sum, _avg   sum and mean of the values
//	value_percentile  how common the entry's value is, in percent of all matches
//	temporal          how many of the rules matched
//	temporal_ordered  how many of the rules matched one after another
func (w *window) count(g *group, latest entry) float64 {
	switch w.spec.Type {
	case "event_count":
		return float64(len(g.entries))
	case "value_count":
		return float64(len(g.values))
	case "value_percentile":
		return 100 * float64(g.values[latest.value]) / float64(len(g.entries))
	case "value_sum", "value_avg":
		sum := 0.0
		for _, e := range g.entries {
			sum += e.number
		}
		if w.spec.Type == "value_avg" {
			sum /= float64(len(g.entries))
		}
		return sum
	case "temporal":
		seen := map[*Rule]bool{}
		for _, e := range g.entries {
			seen[e.rule] = true
		}
		return float64(len(seen))
	}
	next := 0
	for _, e := range g.entries {
		if next < len(w.spec.Rules) && (e.rule.ID == w.spec.Rules[next] || e.rule.Name == w.spec.Rules[next]) {
			next++
		}
	}
	return float64(next)
}

// holds applies the condition; a temporal correlation without one wants every
// rule.
func (w *window) holds(count float64) bool {
	if strings.HasPrefix(w.spec.Type, "temporal") && len(w.spec.bounds) == 0 {
		return int(count) >= len(w.spec.Rules)
	}
	for _, b := range w.spec.bounds {
		if !b.holds(count) {
			return false
		}
	}
	return true
}
