package correlation

import (
	"math"
	"slices"
	"time"

	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/attack"
)

// maxSet bounds what is kept of each kind about an incident or a campaign.
const maxSet = 512

// summary is what is known of an incident or a campaign. The sets are sorted hashes.
type summary struct {
	first, last                        time.Duration
	entities, indicators, rules, zones []uint64
	techniques                         []uint64 // numbers of techniques
	confidence                         float64  // in the best known indicator
	real                               float64  // sum of the bounded log likelihood ratios of the techniques
	goals                              []float64
	lowest, highest                    int // places in the kill chain, plus 1; 0 for none
}

// techniqueFacts are what is known of a technique.
type techniqueFacts struct {
	ratio float64   // log likelihood under attacks against that in false alarms, bounded
	goals []float64 // log likelihoods
	place int       // in the kill chain, plus 1; 0 where it is not known
}

// description is an alert as hashes.
type description struct {
	entities, indicators, rules, zones, techniques []uint64
	confidence                                     float64
	facts                                          *Correlator
}

// unknownPlace stands for a summary without a technique that is known.
const unknownPlace = 5

// Bounds of the log likelihood ratios: of one technique, and of the sum.
const (
	ratioOfOne  = 1.5
	lowestSum   = -3
	highestSum  = 4
	smallestFit = 1e-3
)

// describe hashes what an alert tells.
func (c *Correlator) describe(o Observation) description {
	d := description{facts: c, confidence: o.Confidence}
	for _, e := range o.Entities {
		d.entities = append(d.entities, sketch.Hash("entity", e))
	}
	for _, i := range o.Indicators {
		d.indicators = append(d.indicators, sketch.Hash("indicator", i))
	}
	d.rules = append(d.rules, sketch.Hash("rule", o.Alert.RuleID))
	if o.Alert.Zone != "" {
		d.zones = append(d.zones, sketch.Hash("zone", o.Alert.Zone))
	}
	for _, t := range o.Alert.Techniques {
		d.techniques = append(d.techniques, uint64(c.technique(t)))
	}
	return d
}

// technique is the number under which a technique is known.
func (c *Correlator) technique(name string) int {
	if i, ok := c.techniques[name]; ok {
		return i
	}
	if len(c.facts) >= maxKeys { // names without end are one
		return 0
	}
	l := c.options.Knowledge.Likelihoods(name)
	likely := 0.0
	for g, p := range c.options.Knowledge.GoalPriors() {
		likely += p * math.Exp(l.Goals[g])
	}
	ratio := min(ratioOfOne, max(-ratioOfOne, math.Log(likely)-l.FalseAlarm))
	c.techniques[name] = len(c.facts)
	c.facts = append(c.facts, techniqueFacts{ratio, l.Goals, attack.TacticPlace(l.Tactic) + 1})
	return c.techniques[name]
}

// learn takes in what an alert tells; it tells whether anything of it was new. With a
// correlator, incidents with each rule, entity and indicator are counted.
func (s *summary) learn(count *Correlator, d description) bool {
	fresh := d.confidence > s.confidence
	s.confidence = max(s.confidence, d.confidence)
	for _, set := range []struct {
		into *[]uint64
		from []uint64
	}{{&s.entities, d.entities}, {&s.rules, d.rules}, {&s.indicators, d.indicators}, {&s.zones, d.zones}} {
		for _, v := range set.from {
			if !insert(set.into, v) {
				continue
			}
			if fresh = true; count != nil && set.into != &s.zones {
				count.noteIncident(v)
			}
		}
	}
	for _, t := range d.techniques {
		if insert(&s.techniques, t) {
			fresh = true
			s.weighTechnique(&d.facts.facts[t])
		}
	}
	return fresh
}

// noteIncident counts an incident with a rule, an entity or an indicator.
func (c *Correlator) noteIncident(key uint64) {
	n := c.counts.Get(key)
	if n == nil {
		n = new(int)
		c.counts.Put(key, n)
	}
	*n++
}

func (s *summary) weighTechnique(f *techniqueFacts) {
	s.real += f.ratio
	if s.goals == nil {
		s.goals = make([]float64, len(f.goals))
	}
	for g, v := range f.goals {
		s.goals[g] += v
	}
	if f.place == 0 {
		return
	}
	if s.lowest == 0 || f.place < s.lowest {
		s.lowest = f.place
	}
	s.highest = max(s.highest, f.place)
}

// absorb takes in another summary.
func (s *summary) absorb(c *Correlator, other *summary) {
	s.confidence = max(s.confidence, other.confidence)
	for _, v := range other.entities {
		insert(&s.entities, v)
	}
	for _, v := range other.indicators {
		insert(&s.indicators, v)
	}
	for _, v := range other.zones {
		insert(&s.zones, v)
	}
	for _, v := range other.rules {
		insert(&s.rules, v)
	}
	for _, t := range other.techniques {
		if insert(&s.techniques, t) {
			s.weighTechnique(&c.facts[t])
		}
	}
}

// suspicion is the bounded log likelihood ratio of an attacker against none.
func (s *summary) suspicion() float64 { return min(highestSum, max(lowestSum, s.real)) }

// places are the first and the last place in the kill chain.
func (s *summary) places() (lowest, highest float64) {
	if s.lowest == 0 {
		return unknownPlace, unknownPlace
	}
	return float64(s.lowest - 1), float64(s.highest - 1)
}

// insert adds a value to a sorted set; it tells whether it was new.
func insert(set *[]uint64, v uint64) bool {
	at, found := slices.BinarySearch(*set, v)
	if found || len(*set) >= maxSet {
		return false
	}
	*set = slices.Insert(*set, at, v)
	return true
}

// common counts the values that two sorted sets have in common.
func common(a, b []uint64) int {
	n := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			n++
			i++
			j++
		}
	}
	return n
}
