package sigma

import (
	"slices"
	"strings"
	"time"
)

// groupTable are the groups of one correlation, in the order in which they were last touched.
// Groups stand in one list, since there are tens of thousands of them: a snapshot then writes
// them without following pointers.
type groupTable struct {
	slots []group
	free  []int32          // slots without a group
	index map[string]int32 `snapshot:"-"` // slots by key
	ends  group            // later is the idlest of all groups, earlier the latest
	turn  uint64           // how often groups were touched
}

// group is what one correlation knows of the matches with the same values of its group-by
// fields.
type group struct {
	key     string
	entries []entry        // in the order of their times
	texts   []string       // of correlations that count values: that of each entry
	values  map[string]int // of those: how many entries have each
	fired   time.Duration  // time of the last match, to re-arm after a timespan
	hasFire bool
	touched time.Duration
	turn    uint64 // of the table when it was touched last
	// earlier is the slot of the group that was touched before this one, later of the one after
	// it, each counted from 1; 0 at the ends.
	earlier, later int32
}

type entry struct {
	at    time.Duration
	event uint64
	rule  uint64 // place in the window's rules
	// number is the value of a value_sum or value_avg.
	number float64
}

// len is how many groups there are.
func (t *groupTable) len() int { return len(t.slots) - len(t.free) }

// at is the group at a place, counted from 1, or the ends of the list.
func (t *groupTable) at(place int32) *group {
	if place == 0 {
		return &t.ends
	}
	return &t.slots[place-1]
}

// touch returns the group of a key, which becomes the latest; a new one where there is none. It
// is valid until the next call.
func (t *groupTable) touch(key string) *group {
	if len(t.index) != t.len() { // a snapshot was loaded
		t.reindex()
	}
	place, known := t.index[key]
	if known {
		t.unlink(place)
	} else {
		place = t.add(strings.Clone(key))
	}
	g := t.at(place)
	t.turn++
	g.turn = t.turn
	g.earlier, g.later = t.ends.earlier, 0
	t.at(t.ends.earlier).later = place
	t.ends.earlier = place
	return g
}

func (t *groupTable) add(key string) int32 {
	if n := len(t.free); n > 0 {
		place := t.free[n-1]
		t.free = t.free[:n-1]
		t.at(place).key = key
		t.index[key] = place
		return place
	}
	t.slots = append(t.slots, group{key: key})
	place := int32(len(t.slots))
	t.index[key] = place
	return place
}

// unlink takes a group out of the order.
func (t *groupTable) unlink(place int32) {
	g := t.at(place)
	t.at(g.earlier).later = g.later
	t.at(g.later).earlier = g.earlier
}

// dropIdlest gives up the group that was left alone longest, unless it is the given one, and
// returns how many entries it had.
func (t *groupTable) dropIdlest(but *group) (entries int, dropped bool) {
	place := t.ends.later
	g := t.at(place)
	if g == but || place == 0 {
		return 0, false
	}
	t.unlink(place)
	delete(t.index, g.key)
	entries = len(g.entries)
	*g = group{}
	t.free = append(t.free, place)
	return entries, true
}

// What a group remembers is worthless when its window is over, but logs come out of order, and
// clocks of hosts are wrong. So a group is given up only when it was left alone for a timespan and
// so long, while so many others were touched.
const (
	idleFor     = 15 * time.Minute
	idleTouches = 10_000
)

// dropIdle gives up groups whose window is over at a time, and returns how many entries they had.
func (t *groupTable) dropIdle(now, span time.Duration) (entries int) {
	for {
		g := t.at(t.ends.later)
		if g == &t.ends || t.turn-g.turn < idleTouches || now-g.touched < span+idleFor {
			return entries
		}
		n, _ := t.dropIdlest(nil)
		entries += n
	}
}

func (t *groupTable) reindex() {
	t.index = make(map[string]int32, t.len())
	for place := t.ends.later; place != 0; place = t.at(place).later {
		t.index[t.at(place).key] = place
	}
}

// insert keeps the entries in time order and drops those that left the window. It returns where
// the new one was put, and how many were dropped thereafter.
func (g *group) insert(e entry, span time.Duration) (at, dropped int) {
	at = len(g.entries)
	for at > 0 && g.entries[at-1].at > e.at {
		at--
	}
	g.entries = slices.Insert(g.entries, at, e)
	for dropped < len(g.entries) && (g.entries[dropped].at < g.touched-span || len(g.entries)-dropped > maxEntries) {
		dropped++
	}
	g.entries = g.entries[dropped:]
	return at, dropped
}

// insertWithValue also counts the value of the entry, "" for none.
func (g *group) insertWithValue(e entry, value string, span time.Duration) {
	at, dropped := g.insert(e, span)
	g.texts = slices.Insert(g.texts, at, value)
	g.countValue(value, 1)
	for _, old := range g.texts[:dropped] {
		g.countValue(old, -1)
	}
	g.texts = g.texts[dropped:]
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
