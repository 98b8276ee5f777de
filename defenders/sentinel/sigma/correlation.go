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
	groups groupTable
	// rules are those whose matches came, in the order of the first of each.
	rules []*Rule
}

func newWindow(r *Rule) *window {
	return &window{rule: r, spec: r.Correlation, groups: groupTable{index: map[string]int32{}}}
}

// place is where a rule stands among those of the window.
func (w *window) place(r *Rule) uint64 {
	i := slices.Index(w.rules, r)
	if i < 0 {
		i = len(w.rules)
		w.rules = append(w.rules, r)
	}
	return uint64(i)
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
	e, value := entry{at: at, event: m.event.ID, rule: w.place(r)}, ""
	if len(w.spec.Fields) > 0 {
		if value, ok = w.join(m, r, w.spec.Fields); !ok {
			return Match{}, false
		}
		if w.spec.numeric() {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil || math.IsNaN(n) {
				return Match{}, false
			}
			e.number = n
		}
	}
	g := w.groups.touch(key)
	if at < g.touched-w.spec.Timespan {
		m.stats.Late++
		return Match{}, false
	}
	g.touched = max(g.touched, at)
	m.held -= len(g.entries)
	if w.spec.countsValues() {
		g.insertWithValue(e, strings.Clone(value), w.spec.Timespan)
	} else {
		g.insert(e, w.spec.Timespan)
	}
	m.held += len(g.entries)
	m.clock.see(at)
	m.held -= w.groups.dropIdle(m.clock.now, w.spec.Timespan)
	w.evict(m, g)
	count := w.count(g, value)
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

// slowClock is the event time as far as events agree on it: the earliest of the last full block of
// events. A few events with a time in the future do not move it.
type slowClock struct {
	now      time.Duration
	earliest time.Duration // of the block that is not full yet
	seen     int           // its events
}

const clockBlock = 64

func (c *slowClock) see(at time.Duration) {
	if c.seen == 0 || at < c.earliest {
		c.earliest = at
	}
	if c.seen++; c.seen == clockBlock {
		c.now, c.seen = c.earliest, 0
	}
}

// evict gives up groups other than the current one until the bounds are kept.
func (w *window) evict(m *Matcher, current *group) {
	for w.groups.len() > maxGroups || m.held > maxHeld {
		entries, dropped := w.groups.dropIdlest(current)
		if !dropped {
			return
		}
		m.held -= entries
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

// numeric tells whether the values are added up.
func (c *Correlation) numeric() bool { return c.Type == "value_sum" || c.Type == "value_avg" }

// countsValues tells whether it matters how often each value came.
func (c *Correlation) countsValues() bool {
	return c.Type == "value_count" || c.Type == "value_percentile"
}

// count is what the condition is about, after an entry has come in:
//
//	event_count       how many matches
//	value_count       how many distinct values
//	value_sum, _avg   sum and mean of the values
//	value_percentile  how common the entry's value is, in percent of all matches
//	temporal          how many of the rules matched
//	temporal_ordered  how many of the rules matched one after another
func (w *window) count(g *group, latest string) float64 {
	switch w.spec.Type {
	case "event_count":
		return float64(len(g.entries))
	case "value_count":
		return float64(len(g.values))
	case "value_percentile":
		return 100 * float64(g.values[latest]) / float64(len(g.entries))
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
		seen := map[uint64]bool{}
		for _, e := range g.entries {
			seen[e.rule] = true
		}
		return float64(len(seen))
	}
	next := 0
	for _, e := range g.entries {
		if r := w.rules[e.rule]; next < len(w.spec.Rules) && (r.ID == w.spec.Rules[next] || r.Name == w.spec.Rules[next]) {
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
