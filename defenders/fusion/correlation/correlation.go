// Package correlation finds which incidents belong to one campaign. The response treats
// incidents one by one; people and intelligence want to know which of them one attacker is
// behind, also when the attacker came back from another address to another host.
//
// An incident is held against the campaigns of earlier ones. A score from 0 to 1 (score.go
// has the formula and its parts) says how likely both are one; the incident is linked to the
// campaign with the highest score at or above the threshold. Each alert that tells something
// new renews the score, so that a link is made, moved, or cut: campaigns grow, merge and
// split as more is learned. A technique or a rule that turns out to be everywhere weighs
// less, for instance, and a campaign that hung together by it falls apart.
//
// Its input are alerts with the entities and indicators that fusion found; its output are
// links. Memory is bounded by a window of time and by counts.
package correlation

import (
	"slices"
	"sync"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/sentinel/profile"
	"hemostat/defenders/sentinel/sketch"
)

// Window is for how long after its last alert an incident is held against later ones.
const Window = 72 * time.Hour

// What is kept is bounded: incidents in all, entities and rules that are indexed, incidents
// that one of these points to, and of the latest incidents in which an attacker is likely.
const (
	maxIncidents  = 20_000
	maxKeys       = 200_000
	maxOfKey      = 4
	maxSuspicious = 32
)

// Observation is what an alert tells about its incident.
type Observation struct {
	Alert *alert.Alert
	// Entities are the hosts, accounts and outside addresses that alerts may have in common.
	Entities []string
	// Indicators are the names, addresses and files outside of the estate.
	Indicators []string
	// Confidence is that of the sources in the best known of its indicators, 0 to 1.
	Confidence float64
}

// Link says which campaign an incident belongs to.
type Link struct {
	Incident int
	// Earlier is the newest of the earlier incidents of the campaign, 0 for none.
	Earlier int
	// Score is the score of the link; of the best campaign below the threshold without one.
	Score float64
	// Parts are what each part of the score adds to its log odds.
	Parts Parts
}

// Options configure a correlator.
type Options struct {
	Knowledge *profile.Knowledge // of attackers; that of the program when nil
	Weights   *Weights           // those of the program when nil
	// Without are names of parts that are left out.
	Without []string
	// Threshold is the score from which on incidents are linked; 0 for that of the weights.
	Threshold float64
	// Forgotten is called with each incident that is too old to be held against later ones.
	Forgotten func(incident int)
}

// Correlator holds incidents against each other.
type Correlator struct {
	options    Options `snapshot:"-"`
	scorer     scorer  `snapshot:"-"`
	incidents  map[int]*node
	merged     map[int]int // incident that another was merged into
	byKey      *sketch.Map[uint64, recent]
	counts     *sketch.Map[uint64, int] // incidents with each rule, entity and indicator
	techniques map[string]int
	facts      []techniqueFacts
	suspicious []*node // ring of the latest incidents with an attacker likely behind them
	turn       int
	ages       []*node // in the order of their ids
	round      int

	// examined is told of each campaign that an incident was held against; for learning.
	examined func(x *node, k *campaign, f *features) `snapshot:"-"`
	// truth links by what is known to be true in place of the score; for learning.
	truth func(incident int) int `snapshot:"-"`
}

// recent are the latest incidents that a key led to.
type recent struct{ nodes []*node }

// node is an incident.
type node struct {
	id int
	summary
	parent   *node
	score    float64
	parts    Parts
	campaign *campaign
	absorbed []int // numbers of incidents that were merged into it
	gone     bool
	told     bool
	listed   bool // as suspicious
}

// campaign is a tree of incidents.
type campaign struct {
	summary
	members []*node // by number
	round   int     // in which it was last looked at
}

// knowledge and weights are those of the program, read once.
var (
	knowledge = sync.OnceValues(profile.Embedded)
	weights   = sync.OnceValues(Embedded)
)

// New makes a correlator.
func New(o Options) (*Correlator, error) {
	var err error
	if o.Knowledge == nil {
		if o.Knowledge, err = knowledge(); err != nil {
			return nil, err
		}
	}
	if o.Weights == nil {
		if o.Weights, err = weights(); err != nil {
			return nil, err
		}
	}
	s, err := newScorer(o)
	if err != nil {
		return nil, err
	}
	return &Correlator{options: o, scorer: s, incidents: map[int]*node{}, merged: map[int]int{},
		byKey: sketch.NewMap[uint64, recent](maxKeys), counts: sketch.NewMap[uint64, int](maxKeys),
		techniques: map[string]int{}, suspicious: make([]*node, maxSuspicious)}, nil
}

// Observe takes an alert of an incident in, and returns the incident's link; changed tells
// whether it is another than before.
func (c *Correlator) Observe(now time.Duration, incident int, o Observation) (link Link, changed bool) {
	c.expire(now)
	x := c.incidents[incident]
	if x == nil {
		x = &node{id: incident}
		x.first = now
		x.campaign = &campaign{members: []*node{x}}
		x.campaign.first = now
		c.incidents[incident] = x
		c.ages = append(c.ages, x)
	}
	x.last, x.campaign.last = now, now
	fresh := c.describe(o)
	if !x.learn(c, fresh) {
		return x.link(), false
	}
	if x.campaign.learn(nil, fresh); !x.listed && x.suspicion() > 0 {
		x.listed = true
		c.suspicious[c.turn%maxSuspicious] = x
		c.turn++
	}
	before, told := x.parent, x.told
	c.relink(x)
	c.index(x, fresh)
	x.told = true
	return x.link(), x.parent != before || !told
}

func (x *node) link() Link {
	l := Link{Incident: x.id, Score: x.score, Parts: x.parts}
	if x.parent != nil {
		l.Earlier = x.parent.id
	}
	return l
}

// Link is the link of an incident as it stands; false when it is not known any more.
func (c *Correlator) Link(incident int) (Link, bool) {
	x := c.incidents[incident]
	if x == nil {
		return Link{}, false
	}
	return x.link(), true
}

// Campaign are the incidents of the campaign of an incident, in their order.
func (c *Correlator) Campaign(incident int) []int {
	for into, ok := c.merged[incident]; ok; into, ok = c.merged[incident] {
		incident = into
	}
	x := c.incidents[incident]
	if x == nil {
		return []int{incident}
	}
	ids := make([]int, 0, len(x.campaign.members))
	for _, m := range x.campaign.members {
		ids = append(ids, m.id)
	}
	return ids
}

// Merged tells that an incident turned out to be a part of another, earlier one. It returns
// the link of that one, and whether it is another than before.
func (c *Correlator) Merged(from, into int) (link Link, changed bool) {
	f, t := c.incidents[from], c.incidents[into]
	if f == nil || t == nil {
		return Link{Incident: into}, false
	}
	c.merged[from] = into
	t.absorbed = append(append(t.absorbed, from), f.absorbed...)
	delete(c.incidents, from)
	f.gone = true
	t.first, t.last = min(t.first, f.first), max(t.last, f.last)
	t.absorb(c, &f.summary)
	for _, x := range f.campaign.members {
		if x.parent == f {
			x.parent = t
		}
	}
	if f.parent == t {
		f.parent = nil
	}
	if t.parent == nil && f.parent != nil && f.parent.id < t.id {
		t.parent, t.score, t.parts = f.parent, f.score, f.parts
		changed = true
	}
	c.regroup(append(slices.Clone(f.campaign.members), t.campaign.members...))
	return t.link(), changed
}

// expire forgets incidents that are too old to be held against new ones, and the oldest
// where there are too many.
func (c *Correlator) expire(now time.Duration) {
	for len(c.ages) > 0 {
		x := c.ages[0]
		switch {
		case x.gone:
		case len(c.incidents) > maxIncidents || now-x.campaign.last > Window:
			c.forget(x)
		default:
			return
		}
		c.ages[0] = nil
		c.ages = c.ages[1:]
	}
}

func (c *Correlator) forget(x *node) {
	x.gone = true
	delete(c.incidents, x.id)
	k := x.campaign
	k.members = slices.DeleteFunc(k.members, func(m *node) bool { return m == x })
	for _, m := range k.members {
		if m.parent == x {
			m.parent = x.parent
		}
	}
	for _, from := range x.absorbed {
		delete(c.merged, from)
	}
	if c.options.Forgotten != nil {
		c.options.Forgotten(x.id)
	}
}

// relink finds the campaign that an incident belongs to.
func (c *Correlator) relink(x *node) {
	var best *node
	var score float64
	var parts Parts
	var f features
	for _, k := range c.candidates(x) {
		latest := k.latestBefore(x)
		against := &k.summary
		if k == x.campaign {
			own := c.unionBefore(x)
			against = &own
		}
		c.compare(x, against, &f)
		s, p := c.scorer.score(&f)
		if c.examined != nil {
			c.examined(x, k, &f)
		}
		if s > score {
			best, score, parts = latest, s, p
		}
	}
	if c.truth != nil {
		best, score = nil, 1
		for _, k := range c.candidates(x) {
			if l := k.latestBefore(x); c.truth(l.id) == c.truth(x.id) && c.truth(x.id) != 0 {
				best = l
			}
		}
	}
	x.score, x.parts = score, parts
	if score < c.scorer.threshold {
		best = nil
	}
	if best == x.parent {
		return
	}
	x.parent = best
	affected := slices.Clone(x.campaign.members)
	if best != nil && best.campaign != x.campaign {
		affected = append(affected, best.campaign.members...)
	}
	c.regroup(affected)
}

// candidates are the campaigns with an earlier incident that share something with x, or that
// an attacker is likely behind, in a fixed order.
func (c *Correlator) candidates(x *node) []*campaign {
	c.round++
	var found []*campaign
	consider := func(y *node) {
		if y == nil || y.gone || y.id >= x.id {
			return
		}
		k := y.campaign
		if k.round == c.round || x.first-k.last > Window || k.latestBefore(x) == nil {
			return
		}
		k.round = c.round
		found = append(found, k)
	}
	if x.parent != nil {
		consider(x.parent)
	}
	for _, keys := range [][]uint64{x.entities, x.indicators, x.rules} {
		for _, key := range keys {
			if r := c.byKey.Get(key); r != nil {
				for _, y := range r.nodes {
					consider(y)
				}
			}
		}
	}
	for _, y := range c.suspicious {
		consider(y)
	}
	return found
}

// index makes the incident findable by what is new about it.
func (c *Correlator) index(x *node, d description) {
	for _, keys := range [][]uint64{d.entities, d.indicators, d.rules} {
		for _, key := range keys {
			r := c.byKey.Get(key)
			if r == nil {
				r = &recent{}
				c.byKey.Put(key, r)
			}
			if slices.Contains(r.nodes, x) {
				continue
			}
			if len(r.nodes) == maxOfKey {
				r.nodes = slices.Delete(r.nodes, 0, 1)
			}
			r.nodes = append(r.nodes, x)
		}
	}
}

// latestBefore is the newest incident of the campaign before x, nil for none.
func (k *campaign) latestBefore(x *node) *node {
	for i := len(k.members) - 1; i >= 0; i-- {
		if m := k.members[i]; m.id < x.id {
			return m
		}
	}
	return nil
}

// unionBefore is what the earlier incidents of the campaign of x tell.
func (c *Correlator) unionBefore(x *node) summary {
	var u summary
	for i, m := range x.campaign.members {
		if m.id >= x.id {
			break
		}
		if i == 0 {
			u.first = m.first
		}
		u.last = max(u.last, m.last)
		u.absorb(c, &m.summary)
	}
	return u
}

// regroup makes the campaigns of incidents anew from their links.
func (c *Correlator) regroup(affected []*node) {
	affected = slices.DeleteFunc(affected, func(x *node) bool { return x.gone })
	slices.SortFunc(affected, func(a, b *node) int { return a.id - b.id })
	affected = slices.Compact(affected)
	for _, x := range affected { // parents come first
		if x.parent == nil || x.parent.gone {
			x.parent = nil
			x.campaign = &campaign{}
			x.campaign.first = x.first
		} else {
			x.campaign = x.parent.campaign
		}
		k := x.campaign
		k.members = append(k.members, x)
		k.last = max(k.last, x.last)
		k.absorb(c, &x.summary)
	}
}
