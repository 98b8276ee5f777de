package learning

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"hemostat/sim/event"
)

// counted is what a signature counts: events with its features, of one value of a field.
type counted struct {
	group  string // field
	window time.Duration
	least  int
}

// Counting signatures are what stands in ordinary events too, and comes in numbers where an attack
// is: requests without an answer from one address, commands of one kind on one host.
const (
	mostCountable = 3000              // features that are counted in incidents
	fewest        = 4                 // events that are a number
	mostOfGroups  = 1500              // pairs of a feature and a field that are counted in ordinary events
	mostTimes     = 4096              // of one value that are remembered within a window
	mostFired     = 60                // events of a counting signature that are kept
	newDay        = -10 * time.Minute // a step back in time by which another day is known
)

// windows are the spans of time in which events are counted.
var windows = [...]time.Duration{10 * time.Minute, time.Hour}

// groupFields name who an event is from or about, whose events may be counted.
var groupFields = map[string]bool{
	"c-ip": true, "SourceIp": true, "src_ip": true, "id.orig_h": true, "IpAddress": true, "ClientAddress": true,
	"Computer": true, "User": true, "TargetUserName": true, "SubjectUserName": true, "UserPrincipalName": true, "userPrincipalName": true,
}

// groupKey is a feature and the field by whose values its events are counted.
type groupKey struct {
	feature uint64
	field   string
	window  int // index of windows
}

// groups are the fields of an event that its kind may be counted by, with their values.
func groups(e *event.Event, f func(field, value string)) {
	e.Each(func(name, value string) bool {
		if groupFields[name] && value != "" && value != "-" {
			f(name, value)
		}
		return true
	})
}

// row is the events of one value that have a feature, within the longest window of the newest.
type row struct {
	times []time.Duration
	from  [len(windows)]int // index of the oldest within each window
	most  [len(windows)]int // greatest number within each window since it was last empty
}

// add counts an event. A number that is over, since nothing came for its window or another day has
// begun, is handed to ended first.
func (r *row) add(at time.Duration, ended func(window, most int)) {
	if n := len(r.times); n > 0 {
		gap := at - r.times[n-1]
		for w, span := range windows {
			if gap > span || gap < newDay {
				r.end(w, ended)
			}
		}
		if gap < newDay {
			r.times, r.from = r.times[:0], [len(windows)]int{}
		}
	}
	if longest := r.from[len(windows)-1]; longest > 64 && longest > len(r.times)/2 {
		r.times = append(r.times[:0], r.times[longest:]...)
		for w := range r.from {
			r.from[w] -= longest
		}
	}
	if len(r.times) < mostTimes {
		r.times = append(r.times, at)
	}
	for w, span := range windows {
		for r.from[w] < len(r.times)-1 && at-r.times[r.from[w]] > span {
			r.from[w]++
		}
		r.most[w] = max(r.most[w], len(r.times)-r.from[w])
	}
}

func (r *row) end(w int, ended func(window, most int)) {
	if r.most[w] > 0 {
		ended(w, r.most[w])
	}
	r.most[w] = 0
}

// tally is what is known of a group key.
type tally struct {
	inIncidents []int       // greatest number in each incident that has a number of them
	ordinary    map[int]int // numbers of ordinary events, by how great they are
	least       int
}

// numbers finds features that come in numbers in incidents and not elsewhere, in the passes over
// the material that the learner makes for pairs.
type numbers struct {
	tallies map[groupKey]*tally
	found   map[groupKey]*candidate

	// of the ordinary day that is read
	values *interner
	rows   map[rowKey]*row
	before time.Duration
}

// chooseCountable chooses the features that are worth counting: those that are met in the most
// incidents, are no signature by themselves, and are not met all the time.
func (l *learner) chooseCountable() {
	var ids []uint64
	for id, x := range l.support {
		if !l.isRare(x) && float64(x.ordinary) <= mostOrdinary*l.Days {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uint64) int {
		x, y := l.support[a], l.support[b]
		return cmp.Or(cmp.Compare(y.incidents, x.incidents), cmp.Compare(x.ordinary, y.ordinary), cmp.Compare(a, b))
	})
	l.countable = map[uint64]bool{}
	for _, id := range ids[:min(len(ids), mostCountable)] {
		l.countable[id] = true
	}
}

// eachGroup calls f for each feature of an event that may be counted, and each field that it may be
// counted by. Names are interned in values.
func (l *learner) eachGroup(e *event.Event, values *interner, f func(feature uint64, value int)) {
	l.met = l.met[:0]
	for _, id := range l.names.of(e) {
		if l.countable[id] {
			l.met = append(l.met, id)
		}
	}
	if len(l.met) == 0 {
		return
	}
	groups(e, func(field, value string) {
		n := values.of(field, value)
		for _, id := range l.met {
			f(id, n)
		}
	})
}

// interner gives fields and values numbers.
type interner struct {
	numbers map[[2]string]int
	fields  []string // by number
}

func newInterner() *interner { return &interner{numbers: map[[2]string]int{}} }

func (i *interner) of(field, value string) int {
	key := [2]string{field, value}
	n, known := i.numbers[key]
	if !known {
		n = len(i.fields)
		i.numbers[[2]string{field, strings.Clone(value)}] = n
		i.fields = append(i.fields, field)
	}
	return n
}

// rowKey is a feature and the number of a value.
type rowKey struct {
	feature uint64
	value   int
}

// countNumbersOf finds the greatest number of each group key in an incident.
func (l *learner) countNumbersOf(in *Incident) {
	values, rows := newInterner(), map[rowKey]*row{}
	most := map[groupKey]int{}
	for _, s := range in.Events {
		l.eachGroup(s.Event, values, func(feature uint64, value int) {
			rowOf(rows, rowKey{feature, value}).add(s.Event.Time, func(w, n int) {
				at := groupKey{feature, values.fields[value], w}
				most[at] = max(most[at], n)
			})
		})
	}
	for key, r := range rows {
		for w, n := range r.most {
			at := groupKey{key.feature, values.fields[key.value], w}
			most[at] = max(most[at], n)
		}
	}
	for key, n := range most {
		if n < fewest {
			continue
		}
		t := l.numbers.tallies[key]
		if t == nil {
			t = &tally{ordinary: map[int]int{}}
			l.numbers.tallies[key] = t
		}
		t.inIncidents = append(t.inIncidents, n)
	}
}

func rowOf(rows map[rowKey]*row, key rowKey) *row {
	r := rows[key]
	if r == nil {
		r = &row{}
		rows[key] = r
	}
	return r
}

// chooseNumbers leaves the group keys that come in numbers in enough incidents.
func (l *learner) chooseNumbers() {
	tallies := l.numbers.tallies
	maps.DeleteFunc(tallies, func(_ groupKey, t *tally) bool { return len(t.inIncidents) < l.needed })
	if len(tallies) > mostOfGroups {
		keys := slices.SortedFunc(maps.Keys(tallies), func(a, b groupKey) int {
			return cmp.Or(cmp.Compare(len(tallies[b].inIncidents), len(tallies[a].inIncidents)), cmp.Compare(a.feature, b.feature),
				strings.Compare(a.field, b.field), a.window-b.window)
		})
		for _, key := range keys[mostOfGroups:] {
			delete(tallies, key)
		}
	}
	clear(l.countable)
	for key := range tallies {
		l.countable[key.feature] = true
	}
}

// countOrdinaryNumbers counts the numbers in which ordinary events come; endOrdinaryNumbers has to
// follow the last.
func (l *learner) countOrdinaryNumbers(e *event.Event) {
	n := &l.numbers
	if n.values == nil || e.Time-n.before < newDay {
		l.endOrdinaryNumbers() // another day begins
	}
	n.before = e.Time
	l.eachGroup(e, n.values, func(feature uint64, value int) {
		rowOf(n.rows, rowKey{feature, value}).add(e.Time, func(w, most int) { n.note(rowKey{feature, value}, w, most) })
	})
}

func (n *numbers) note(key rowKey, w, most int) {
	if t := n.tallies[groupKey{key.feature, n.values.fields[key.value], w}]; t != nil {
		t.ordinary[most]++
	}
}

func (l *learner) endOrdinaryNumbers() {
	n := &l.numbers
	for key, r := range n.rows {
		for w := range windows {
			r.end(w, func(w, most int) { n.note(key, w, most) })
		}
	}
	n.values, n.rows = newInterner(), map[rowKey]*row{}
}

// threshold is from which number on a group key is a signature; 0 where none is. It lies above the
// least number that ordinary days hardly ever reach, by a quarter of the way (of the ratio) to what
// incidents usually show: near enough for those that take their time.
func (l *learner) threshold(t *tally) int {
	slices.Sort(t.inIncidents)
	allowed := int(l.Options.Ordinary * l.Days)
	least := fewest
	for beyond := 0; ; least++ {
		beyond = 0
		for n, times := range t.ordinary {
			if n >= least {
				beyond += times
			}
		}
		if beyond <= allowed {
			break
		}
	}
	reached := func(n int) []int {
		at, _ := slices.BinarySearch(t.inIncidents, n)
		return t.inIncidents[at:]
	}
	over := reached(least)
	if len(over) < l.needed {
		return 0
	}
	usual := over[len(over)/4]
	chosen := least
	for n := least; n*n*n*n <= least*least*least*usual && len(reached(n)) >= l.needed; n++ {
		chosen = n
	}
	return chosen
}

// beginNumbers makes a candidate of each group key whose numbers part incidents from ordinary days.
func (l *learner) beginNumbers() {
	n := &l.numbers
	n.found = map[groupKey]*candidate{}
	clear(l.countable)
	for key, t := range n.tallies {
		if t.least = l.threshold(t); t.least == 0 {
			continue
		}
		l.countable[key.feature] = true
		n.found[key] = &candidate{
			Signature: Signature{count: &counted{key.field, windows[key.window], t.least}},
			seed:      seed{key.feature, 0}, support: l.support[key.feature],
		}
	}
	n.tallies, n.rows, n.values = nil, nil, nil
}

// gatherNumbers collects the events of counting signatures in an incident.
func (l *learner) gatherNumbers(in *Incident, number int) {
	values, rows := newInterner(), map[rowKey][]int{} // places of the events of each value
	for place, s := range in.Events {
		l.eachGroup(s.Event, values, func(feature uint64, value int) {
			rows[rowKey{feature, value}] = append(rows[rowKey{feature, value}], place)
		})
	}
	keys := slices.SortedFunc(maps.Keys(rows), func(a, b rowKey) int {
		return cmp.Or(cmp.Compare(a.feature, b.feature), a.value-b.value)
	})
	for _, key := range keys {
		for w := range windows {
			if c := l.numbers.found[groupKey{key.feature, values.fields[key.value], w}]; c != nil {
				l.addRow(c, in, number, rows[key])
			}
		}
	}
}

// addRow adds the events of one value of an incident that reach the number of a signature.
func (l *learner) addRow(c *candidate, in *Incident, number int, places []int) {
	first, next := 0, 0 // oldest within the window, first that was not added
	for i, place := range places {
		at := in.Events[place].Event.Time
		for first < i && at-in.Events[places[first]].Event.Time > c.count.window {
			first++
		}
		if i+1-first < c.count.least {
			continue
		}
		for next = max(next, first); next <= i; next++ {
			l.addNumbered(c, in, number, places[next])
		}
	}
}

// addNumbered adds one event of a row.
func (l *learner) addNumbered(c *candidate, in *Incident, number, place int) {
	l.note(c, in, number, place)
	if len(c.Incidents) == 1 && len(c.Fires) < mostFired {
		c.Fires = append(c.Fires, in.Events[place].Event.AppendJSON(nil))
	}
}
