package learning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

// Incident is the telemetry around a confirmed incident.
type Incident struct {
	// Name is by what people find the incident again.
	Name   string
	Events []Sighting
}

// Sighting is an event of the hosts and accounts of an incident, in its time.
type Sighting struct {
	Event *event.Event
	// Alerted tells that an alert rests on the event.
	Alerted bool
	// Technique is that of the alert that is nearest in time, "" where none is near.
	Technique string
}

// Material is what is learned from. Its functions are called several times, and must give the
// same each time, in the same order.
type Material struct {
	Incidents func(func(*Incident) error) error
	// Ordinary gives the events that no incident is about.
	Ordinary func(func(*event.Event) error) error
	// Days is how long the ordinary events were collected, in days of one estate.
	Days float64
	// Entities are names of hosts and accounts, on which no signature may depend, in lower case.
	Entities map[string]bool
}

// Options say what is a signature. The zero value means the defaults.
type Options struct {
	// Incidents is in how many incidents a signature must have been seen, 3 by default, and
	// Share in which part of them, 0.08 by default.
	Incidents int
	Share     float64
	// Ordinary is how many ordinary events a day a signature may fire on, 0.3 by default.
	Ordinary float64
	// Most bounds the signatures, 60 by default, and as many that count.
	Most int
}

func (o *Options) setDefaults() {
	o.Incidents = cmp.Or(o.Incidents, 3)
	o.Share = cmp.Or(o.Share, 0.08)
	o.Ordinary = cmp.Or(o.Ordinary, 0.3)
	o.Most = cmp.Or(o.Most, 60)
}

// errNothing is the error where there is nothing to learn from.
var errNothing = errors.New("there is nothing to learn from")

// Signature is what incidents have in common and ordinary events lack.
type Signature struct {
	Source    event.LogSource
	Incidents []string // in which it was seen
	Technique string   // that most of the alerts beside it name, "" where there are none
	// Fires are events that have it, NearMisses ordinary events that have a part of it, in the
	// exchange format (NDJSON).
	Fires, NearMisses [][]byte
	// Ordinary is how many ordinary events it was seen in.
	Ordinary int

	conditions []feature
	count      *counted // nil for one that a single event shows
}

// seed is a feature, or a pair of them, that stands in incidents and hardly elsewhere.
type seed [2]uint64 // the second is 0 for a single feature

// learner is a run of Learn.
type learner struct {
	Material
	Options
	needed    int
	incidents int
	names     featureCache
	support   map[uint64]*support
	pairs     map[seed]*support

	countable map[uint64]bool // features that are counted
	met       []uint64        // of them, those of an event
	numbers   numbers
}

// support is in how many incidents and in how many ordinary events something stands.
type support struct {
	incidents, ordinary int
	last                int // incident that was counted last, from 1
}

// Learn finds signatures. It reads the incidents three times and the ordinary events four times.
func Learn(ctx context.Context, m Material, o Options) ([]*Signature, error) {
	o.setDefaults()
	l := &learner{Material: m, Options: o, support: map[uint64]*support{}, pairs: map[seed]*support{}}
	l.names.entities = m.Entities
	for _, step := range []func() error{l.countInIncidents, l.countInOrdinary, l.pairsInIncidents, l.pairsInOrdinary} {
		if err := errors.Join(step(), ctx.Err()); err != nil {
			return nil, err
		}
	}
	candidates, err := l.gather()
	if err != nil {
		return nil, err
	}
	candidates, err = l.verify(ctx, candidates)
	if err != nil {
		return nil, err
	}
	chosen := l.choose(candidates)
	if err := l.nearMisses(chosen); err != nil {
		return nil, err
	}
	return chosen, ctx.Err()
}

// countInIncidents counts in how many incidents each feature stands, and forgets those that stand
// in too few.
func (l *learner) countInIncidents() error {
	err := l.Material.Incidents(func(in *Incident) error {
		l.incidents++
		for _, s := range in.Events {
			for _, id := range l.names.of(s.Event) {
				x := l.support[id]
				if x == nil {
					x = &support{}
					l.support[id] = x
				}
				if x.last != l.incidents {
					x.last = l.incidents
					x.incidents++
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if l.incidents == 0 {
		return fmt.Errorf("%w: no incident is confirmed", errNothing)
	}
	l.needed = max(l.Options.Incidents, int(l.Share*float64(l.incidents)+0.5))
	if l.incidents < l.needed {
		return fmt.Errorf("%w: %d confirmed incidents, and a signature takes %d", errNothing, l.incidents, l.needed)
	}
	maps.DeleteFunc(l.support, func(_ uint64, x *support) bool { return x.incidents < l.needed })
	return nil
}

func (l *learner) countInOrdinary() error {
	return l.Material.Ordinary(func(e *event.Event) error {
		for _, id := range l.names.of(e) {
			if x := l.support[id]; x != nil {
				x.ordinary++
			}
		}
		return nil
	})
}

// isRare tells whether ordinary events hardly ever have it.
func (l *learner) isRare(x *support) bool { return float64(x.ordinary) <= l.Options.Ordinary*l.Days }

// Pairs are looked for among the rarest features of an event, and only among such as are not met all
// the time.
const (
	pairFeatures  = 6
	mostOrdinary  = 2000 // a day
	mostPairs     = 2_000_000
	mostExamples  = 20 // events of a signature that are kept
	mostOfPerhaps = 400
)

// rarest are features of an event that may be half of a pair, none where a single one is rare.
func (l *learner) rarest(ids []uint64) []uint64 {
	var out []uint64
	for _, id := range ids {
		x := l.support[id]
		if x == nil {
			continue
		}
		if l.isRare(x) {
			return nil
		}
		if float64(x.ordinary) <= mostOrdinary*l.Days {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b uint64) int {
		return cmp.Or(cmp.Compare(l.support[a].ordinary, l.support[b].ordinary), cmp.Compare(a, b))
	})
	return out[:min(len(out), pairFeatures)]
}

func pairsOf(ids []uint64, f func(seed)) {
	for i, a := range ids {
		for _, b := range ids[i+1:] {
			f(seed{min(a, b), max(a, b)})
		}
	}
}

// pairsInIncidents counts pairs and numbers of features in incidents.
func (l *learner) pairsInIncidents() error {
	l.chooseCountable()
	l.numbers.tallies = map[groupKey]*tally{}
	number := 0
	err := l.Material.Incidents(func(in *Incident) error {
		number++
		l.countNumbersOf(in)
		for _, s := range in.Events {
			pairsOf(l.rarest(l.names.of(s.Event)), func(p seed) {
				x := l.pairs[p]
				if x == nil && len(l.pairs) >= mostPairs {
					return
				}
				if x == nil {
					x = &support{}
					l.pairs[p] = x
				}
				if x.last != number {
					x.last = number
					x.incidents++
				}
			})
		}
		return nil
	})
	maps.DeleteFunc(l.pairs, func(_ seed, x *support) bool { return x.incidents < l.needed })
	l.chooseNumbers()
	return err
}

// pairsInOrdinary counts pairs and numbers of features in ordinary events.
func (l *learner) pairsInOrdinary() error {
	halves := map[uint64]bool{}
	for p := range l.pairs {
		halves[p[0]], halves[p[1]] = true, true
	}
	if len(halves)+len(l.numbers.tallies) == 0 {
		return nil
	}
	var met []uint64
	err := l.Material.Ordinary(func(e *event.Event) error {
		l.countOrdinaryNumbers(e)
		met = met[:0]
		for _, id := range l.names.of(e) {
			if halves[id] {
				met = append(met, id)
			}
		}
		pairsOf(met, func(p seed) {
			if x := l.pairs[p]; x != nil {
				x.ordinary++
			}
		})
		return nil
	})
	l.endOrdinaryNumbers()
	return err
}

// candidate is a seed with the events in which it was seen.
type candidate struct {
	Signature
	seed     seed
	support  *support
	seen     map[[2]int]bool // incident and place of the event in it, of events without an alert
	all      int             // events with and without an alert
	where    uint64          // of all events, so that seeds of the same ones are known
	common   []uint64        // features of all its events
	features map[uint64]feature
	votes    map[string]int
	last     int
}

// gather collects the events of each seed and what they have in common.
func (l *learner) gather() ([]*candidate, error) {
	bySeed := map[seed]*candidate{}
	for id, x := range l.support {
		if l.isRare(x) {
			bySeed[seed{id, 0}] = &candidate{seed: seed{id, 0}, support: x}
		}
	}
	for p, x := range l.pairs {
		if l.isRare(x) {
			bySeed[p] = &candidate{seed: p, support: x}
		}
	}
	l.beginNumbers()
	number := 0
	err := l.Material.Incidents(func(in *Incident) error {
		number++
		l.gatherNumbers(in, number)
		for place, s := range in.Events {
			ids := l.names.of(s.Event)
			for _, id := range ids {
				if c := bySeed[seed{id, 0}]; c != nil {
					l.addTo(c, in, number, place, s, ids)
				}
			}
			pairsOf(l.rarest(ids), func(p seed) {
				if c := bySeed[p]; c != nil {
					l.addTo(c, in, number, place, s, ids)
				}
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(distinct(slices.Collect(maps.Values(bySeed))), distinct(slices.Collect(maps.Values(l.numbers.found)))...), nil
}

// addTo adds an event that has the seed of a candidate.
func (l *learner) addTo(c *candidate, in *Incident, number, place int, s Sighting, ids []uint64) {
	if c.all == 0 {
		c.common = slices.Sorted(slices.Values(ids))
	} else {
		has := slices.Sorted(slices.Values(ids))
		c.common = slices.DeleteFunc(c.common, func(id uint64) bool { _, found := slices.BinarySearch(has, id); return !found })
	}
	if l.note(c, in, number, place) && len(c.Fires) < mostExamples {
		c.Fires = append(c.Fires, s.Event.AppendJSON(nil))
	}
}

// note notes an event of an incident that a candidate was seen in, and tells whether it is the
// first of that incident.
func (l *learner) note(c *candidate, in *Incident, number, place int) (isFirst bool) {
	s := in.Events[place]
	if c.all == 0 {
		c.Source = s.Event.Source
		c.features = map[uint64]feature{}
		source := s.Event.Source.String()
		features(s.Event, l.Entities, func(f feature) { c.features[f.id(source)] = f })
		c.seen, c.votes = map[[2]int]bool{}, map[string]int{}
	}
	c.all++
	c.where += mix(uint64(number)<<32 | uint64(place))
	if !s.Alerted {
		c.seen[[2]int{number, place}] = true
	}
	if s.Technique != "" {
		c.votes[s.Technique]++
	}
	if c.last == number {
		return false
	}
	c.last = number
	c.Incidents = append(c.Incidents, in.Name)
	return true
}

// mix spreads the bits of a number (the finalizer of MurmurHash3), so that sums tell sets apart.
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// distinct keeps one of the seeds that were seen in the same events: the one that reads best.
func distinct(all []*candidate) []*candidate {
	slices.SortFunc(all, func(a, b *candidate) int {
		return cmp.Or(a.readability()-b.readability(), strings.Compare(a.text(), b.text()), slices.Compare(a.seed[:], b.seed[:]),
			strings.Compare(a.count.text(), b.count.text()))
	})
	known := map[[2]uint64]bool{}
	var out []*candidate
	for _, c := range all {
		key := [2]uint64{c.where, uint64(c.all)}
		if c.all == 0 || known[key] || len(c.seen) == 0 || c.count == nil && !c.isTelling() {
			continue // nothing new, or all of it is detected already
		}
		known[key] = true
		out = append(out, c)
	}
	return out
}

func (c *candidate) isTelling() bool {
	for _, id := range c.seed {
		if f := c.features[id]; id != 0 && f.isTelling() {
			return true
		}
	}
	return false
}

// readability orders seeds: what people would look for themselves comes first.
func (c *candidate) readability() int {
	rank := 0
	for _, id := range c.seed {
		if id == 0 {
			continue
		}
		f := c.features[id]
		rank += 10
		if !f.isTelling() {
			rank += 5
		}
		switch f.kind {
		case ending:
			rank++
		case word:
			rank += 2
		case folder:
			rank += 4
		case whole:
			rank += 3
		}
		if strings.ContainsRune(f.text, open) {
			rank += 3
		}
		rank += len(f.text) / 20
	}
	return rank
}

func (c *candidate) text() string {
	var b strings.Builder
	for _, id := range c.seed {
		f := c.features[id]
		b.WriteString(f.field + f.text)
	}
	return b.String()
}

// choose takes the signatures that add most events to those that are seen, until none adds enough;
// those that count only for what no single event shows.
func (l *learner) choose(all []*candidate) []*Signature {
	covered := map[[2]int]bool{}
	counting := func(c *candidate) bool { return c.count != nil }
	single := slices.DeleteFunc(slices.Clone(all), counting)
	all = slices.DeleteFunc(all, func(c *candidate) bool { return !counting(c) })
	return append(l.chooseOf(single, covered, l.Most), l.chooseOf(all, covered, l.Most)...)
}

// chooseOf takes some that add most events to those that are covered.
func (l *learner) chooseOf(all []*candidate, covered map[[2]int]bool, most int) []*Signature {
	var out []*Signature
	for len(out) < most {
		var best *candidate
		gain := 0
		for _, c := range all {
			inIncidents := map[int]bool{}
			for at := range c.seen {
				if !covered[at] {
					inIncidents[at[0]] = true
				}
			}
			if n := len(inIncidents); n >= l.needed && n > gain {
				best, gain = c, n
			}
		}
		if best == nil {
			return out
		}
		for at := range best.seen {
			covered[at] = true
		}
		out = append(out, &best.Signature)
	}
	return out
}

// mostVerified bounds the rules that are held against ordinary events at once.
const mostVerified = 4000

// verify makes the candidates' rules and drops those that fire on ordinary events: a rule fires on
// whatever contains a word, and so on more than the events in which it is a word.
func (l *learner) verify(ctx context.Context, all []*candidate) ([]*candidate, error) {
	slices.SortStableFunc(all, func(a, b *candidate) int { return cmp.Compare(len(b.Incidents), len(a.Incidents)) })
	var rules []*sigma.Rule
	known := map[string]bool{}
	byRule := map[*sigma.Rule]*candidate{}
	var kept []*candidate
	for _, c := range all[:min(len(all), mostVerified)] {
		l.finish(c)
		if known[c.ID()] {
			continue
		}
		known[c.ID()] = true
		text, err := c.Rule(Measured{Level: Level(0)})
		if err != nil {
			return nil, err
		}
		parsed, err := sigma.Parse(c.ID(), text)
		if err != nil {
			return nil, fmt.Errorf("a learned rule is at fault: %w", err)
		}
		rules = append(rules, parsed...)
		byRule[parsed[len(parsed)-1]] = c
		kept = append(kept, c)
	}
	engine, err := sigma.Compile(rules)
	if err != nil {
		return nil, fmt.Errorf("a learned rule is at fault: %w", err)
	}
	matcher, before := engine.NewMatcher(), time.Duration(0)
	for _, c := range kept {
		c.Ordinary = 0
	}
	err = l.Material.Ordinary(func(e *event.Event) error {
		if e.Time-before < newDay {
			matcher = engine.NewMatcher() // another day, of which nothing was seen yet
		}
		before = e.Time
		matcher.Match(e, func(m sigma.Match) { byRule[m.Rule].Ordinary++ })
		return ctx.Err()
	})
	return slices.DeleteFunc(kept, func(c *candidate) bool { return float64(c.Ordinary) > l.Options.Ordinary*l.Days }), err
}

// Conditions of a rule.
const (
	mostConditions = 3
	fewConditions  = 2
)

// finish makes a candidate's signature: its seed, and the rarest of what its events have in common,
// of other fields.
func (l *learner) finish(c *candidate) {
	s := &c.Signature
	used := map[string]bool{}
	take := func(id uint64) {
		f := c.features[id]
		used[f.field] = true
		s.conditions = append(s.conditions, f)
	}
	for _, id := range c.seed {
		if id != 0 {
			take(id)
		}
	}
	rest := slices.Clone(c.common)
	slices.SortFunc(rest, func(a, b uint64) int {
		fa, fb := c.features[a], c.features[b]
		return cmp.Or(cmp.Compare(l.ordinaryOf(a), l.ordinaryOf(b)), cmp.Compare(fa.kind, fb.kind),
			strings.Compare(fa.field+fa.text, fb.field+fb.text))
	})
	s.Technique = mostVotes(c.votes)
	if c.count != nil {
		return
	}
	wanted := fewConditions
	if c.support.ordinary > 0 {
		wanted = mostConditions
	}
	for _, id := range rest {
		if len(s.conditions) >= wanted {
			break
		}
		if f := c.features[id]; !used[f.field] && !strings.ContainsRune(f.text, open) {
			take(id)
		}
	}
}

// ordinaryOf is how often ordinary events have a feature. One that stands in too few incidents was
// not counted, and is no feature of all events of a signature.
func (l *learner) ordinaryOf(id uint64) int {
	if x := l.support[id]; x != nil {
		return x.ordinary
	}
	return 1 << 40
}

func mostVotes(votes map[string]int) string {
	best := ""
	for _, name := range slices.Sorted(maps.Keys(votes)) {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// nearMisses looks for ordinary events that fulfil a part of a signature, of which people learn
// what it must not fire on.
func (l *learner) nearMisses(all []*Signature) error {
	bySource := map[event.LogSource][]*Signature{}
	for _, s := range all {
		bySource[s.Source] = append(bySource[s.Source], s)
	}
	met := map[*Signature]int{}
	return l.Material.Ordinary(func(e *event.Event) error {
		for _, s := range bySource[e.Source] {
			if met[s] >= mostOfPerhaps || len(s.NearMisses) >= 5 {
				continue
			}
			n := 0
			for i := range s.conditions {
				if s.conditions[i].holds(e, l.Entities) {
					n++
				}
			}
			if s.count != nil && n == len(s.conditions) && len(s.NearMisses) < fewest-2 || n > 0 && n < len(s.conditions) {
				met[s]++
				if met[s]%7 == 1 { // not all of one moment
					s.NearMisses = append(s.NearMisses, e.AppendJSON(nil))
				}
			}
		}
		return nil
	})
}

// holds tells whether an event has the feature.
func (f *feature) holds(e *event.Event, entities map[string]bool) bool {
	value, ok := e.Lookup(f.field)
	if !ok {
		return false
	}
	found := false
	featuresOf(f.field, strings.ToLower(value), entities, func(x feature) { found = found || x == *f })
	return found
}

// featureCache remembers the features of values, which come again and again.
type featureCache struct {
	entities map[string]bool
	values   map[valueKey][]uint64
	ids      []uint64
}

type valueKey struct {
	source       event.LogSource
	field, value string
}

const mostValues = 400_000

// of are the features of an event; they are valid until the next call.
func (c *featureCache) of(e *event.Event) []uint64 {
	if c.values == nil || len(c.values) > mostValues {
		c.values = map[valueKey][]uint64{}
	}
	c.ids = c.ids[:0]
	source := ""
	e.Each(func(name, value string) bool {
		key := valueKey{e.Source, name, value}
		ids, known := c.values[key]
		if !known {
			if source == "" {
				source = e.Source.String()
			}
			if saysSomething(name, value) {
				featuresOf(name, strings.ToLower(value), c.entities, func(f feature) { ids = append(ids, f.id(source)) })
				slices.Sort(ids)
				ids = slices.Compact(ids)
			}
			c.values[valueKey{e.Source, name, strings.Clone(value)}] = ids
		}
		c.ids = append(c.ids, ids...)
		return true
	})
	return c.ids
}
