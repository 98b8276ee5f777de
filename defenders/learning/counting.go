package learning

import (
	"cmp"
	"context"
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
	fewest       = 4                 // events that are a number
	mostOfGroups = 1500              // pairs of a feature and a field that are counted in ordinary events
	mostTimes    = 4096              // of one value that are remembered within a window
	mostFired    = 60                // events of a counting signature that are kept
	newDay       = -10 * time.Minute // a step back in time by which another day is known
)

// windows are the spans of time in which events are counted.
var windows = []time.Duration{10 * time.Minute, time.Hour}

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

// burst is a row of events of one value, none of them further than the window from the one before.
type burst struct {
	times []time.Duration // within the window of the newest
	most  int             // that were ever in it
}

// add counts an event and returns how many are within the window. A burst that is over is handed to
// ended first.
func (b *burst) add(at, window time.Duration, ended func(most int)) int {
	if n := len(b.times); n > 0 && (at-b.times[n-1] > window || at-b.times[n-1] < newDay) {
		b.end(ended)
	}
	from := 0
	for from < len(b.times) && at-b.times[from] > window {
		from++
	}
	b.times = append(b.times[:0], b.times[from:]...)
	if len(b.times) < mostTimes {
		b.times = append(b.times, at)
	}
	b.most = max(b.most, len(b.times))
	return len(b.times)
}

func (b *burst) end(ended func(most int)) {
	if b.most > 0 {
		ended(b.most)
	}
	b.times, b.most = b.times[:0], 0
}

// tally is what is known of a group key.
type tally struct {
	inIncidents []int       // greatest number in each incident that has a number of them
	ordinary    map[int]int // bursts of ordinary events by their greatest number
	bursts      map[string]*burst
	least       int
}

// countingCandidates finds features that come in numbers in incidents and not elsewhere.
func (l *learner) countingCandidates(ctx context.Context) ([]*candidate, error) {
	tallies, err := l.countNumbersInIncidents()
	if err != nil || len(tallies) == 0 {
		return nil, err
	}
	if err := l.countNumbersInOrdinary(ctx, tallies); err != nil {
		return nil, err
	}
	for key, t := range tallies {
		if t.least = l.threshold(t); t.least == 0 {
			delete(tallies, key)
		}
	}
	return l.gatherNumbers(tallies)
}

// mayBeCounted tells whether a feature is worth counting: one that is met in enough incidents, is no
// signature by itself, and is not met all the time.
func (l *learner) mayBeCounted(id uint64) bool {
	x := l.support[id]
	return x != nil && !l.isRare(x) && float64(x.ordinary) <= mostOrdinary*l.Days
}

// eachGroup calls f for each group key of an event whose feature may be counted.
func (l *learner) eachGroup(e *event.Event, f func(key groupKey, value string)) {
	ids := l.names.of(e)
	groups(e, func(field, value string) {
		for _, id := range ids {
			if !l.mayBeCounted(id) {
				continue
			}
			for w := range windows {
				f(groupKey{id, field, w}, value)
			}
		}
	})
}

// countNumbersInIncidents finds the greatest number of each group key in each incident.
func (l *learner) countNumbersInIncidents() (map[groupKey]*tally, error) {
	tallies := map[groupKey]*tally{}
	err := l.Material.Incidents(func(in *Incident) error {
		bursts := map[groupKey]map[string]*burst{}
		most := map[groupKey]int{}
		for _, s := range in.Events {
			l.eachGroup(s.Event, func(key groupKey, value string) {
				most[key] = max(most[key], burstOf(bursts, key, value).add(s.Event.Time, windows[key.window], func(int) {}))
			})
		}
		for key, n := range most {
			if n < fewest {
				continue
			}
			t := tallies[key]
			if t == nil {
				t = &tally{ordinary: map[int]int{}, bursts: map[string]*burst{}}
				tallies[key] = t
			}
			t.inIncidents = append(t.inIncidents, n)
		}
		return nil
	})
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
	return tallies, err
}

func burstOf(bursts map[groupKey]map[string]*burst, key groupKey, value string) *burst {
	byValue := bursts[key]
	if byValue == nil {
		byValue = map[string]*burst{}
		bursts[key] = byValue
	}
	b := byValue[value]
	if b == nil {
		b = &burst{}
		byValue[value] = b
	}
	return b
}

// countNumbersInOrdinary counts the bursts of ordinary events by their greatest number.
func (l *learner) countNumbersInOrdinary(ctx context.Context, tallies map[groupKey]*tally) error {
	wanted := map[uint64]bool{}
	for key := range tallies {
		wanted[key.feature] = true
	}
	before := time.Duration(0)
	flush := func() {
		for _, t := range tallies {
			for _, b := range t.bursts {
				b.end(func(most int) { t.ordinary[most]++ })
			}
			clear(t.bursts)
		}
	}
	err := l.Material.Ordinary(func(e *event.Event) error {
		if e.Time-before < newDay {
			flush() // another day begins
		}
		before = e.Time
		ids := l.names.of(e)
		if !slices.ContainsFunc(ids, func(id uint64) bool { return wanted[id] }) {
			return nil
		}
		groups(e, func(field, value string) {
			for _, id := range ids {
				for w := range windows {
					t := tallies[groupKey{id, field, w}]
					if t == nil {
						continue
					}
					b := t.bursts[value]
					if b == nil {
						b = &burst{}
						t.bursts[strings.Clone(value)] = b
					}
					b.add(e.Time, windows[w], func(most int) { t.ordinary[most]++ })
				}
			}
		})
		return ctx.Err()
	})
	flush()
	return err
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

// gatherNumbers collects the events of each counting signature.
func (l *learner) gatherNumbers(tallies map[groupKey]*tally) ([]*candidate, error) {
	found := map[groupKey]*candidate{}
	for key, t := range tallies {
		x := l.support[key.feature]
		found[key] = &candidate{
			Signature: Signature{count: &counted{key.field, windows[key.window], t.least}},
			seed:      seed{key.feature, 0}, support: x, seen: map[[2]int]bool{}, votes: map[string]int{},
		}
	}
	number := 0
	err := l.Material.Incidents(func(in *Incident) error {
		number++
		rows := map[groupKey]map[string][]int{} // places of the events of each value
		for place, s := range in.Events {
			l.eachGroup(s.Event, func(key groupKey, value string) {
				if found[key] == nil {
					return
				}
				if rows[key] == nil {
					rows[key] = map[string][]int{}
				}
				rows[key][value] = append(rows[key][value], place)
			})
		}
		for key, byValue := range rows {
			for _, value := range slices.Sorted(maps.Keys(byValue)) {
				l.addRow(found[key], in, number, byValue[value])
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return distinct(slices.Collect(maps.Values(found))), nil
}

// addRow adds the events of one value of an incident that reach the number of a signature.
func (l *learner) addRow(c *candidate, in *Incident, number int, places []int) {
	first := 0
	var b burst
	taken := map[int]bool{}
	for i, place := range places {
		s := in.Events[place]
		for first < i && s.Event.Time-in.Events[places[first]].Event.Time > c.count.window {
			first++
		}
		if b.add(s.Event.Time, c.count.window, func(int) {}) < c.count.least {
			continue
		}
		for _, p := range places[first : i+1] {
			if !taken[p] {
				taken[p] = true
				l.addNumbered(c, in, number, p)
			}
		}
	}
}

// addNumbered adds one event of a row.
func (l *learner) addNumbered(c *candidate, in *Incident, number, place int) {
	s := in.Events[place]
	if c.all == 0 {
		c.Source = s.Event.Source
		c.features = map[uint64]feature{}
		source := s.Event.Source.String()
		features(s.Event, l.Entities, func(f feature) { c.features[f.id(source)] = f })
	}
	c.all++
	c.where += mix(uint64(number)<<32 | uint64(place))
	if !s.Alerted {
		c.seen[[2]int{number, place}] = true
	}
	if s.Technique != "" {
		c.votes[s.Technique]++
	}
	if c.last != number {
		c.last = number
		c.Incidents = append(c.Incidents, in.Name)
	}
	if len(c.Incidents) == 1 && len(c.Fires) < mostFired {
		c.Fires = append(c.Fires, s.Event.AppendJSON(nil))
	}
}
