package behavior

import (
	"math"
	"time"

	"hemostat/defenders/sentinel/sketch"
)

// novelty remembers which entity did what, how many entities did it, and how often each
// brings something new.
type novelty struct {
	seen   *sketch.Map[uint64, time.Duration] // by relation, entity and value: when last
	values *sketch.Map[uint64, spread]        // by relation and value, and by group
	habits *sketch.Map[uint64, habit]         // by relation and entity, and by group and of all

	delay time.Duration // for which something new stays unlearned
	fresh *sketch.Map[uint64, freshValue]
	found *sketch.Map[uint64, time.Duration] // when an entity was reported last
}

// freshValue is something that an entity began to do not long ago.
type freshValue struct {
	first  time.Duration
	window time.Duration // in which it surprised last
	bits   float64
}

// spread is how many entities did something, and how many began to within the last hours.
type spread struct {
	Entities float64
	fresh    float64
	at       time.Duration
}

// habit is how often an entity brings something new. Members counts the entities of a group,
// Unique what was new to all.
type habit struct{ Seen, New, Members, Unique float64 }

func newNovelty(memory int, delay time.Duration) novelty {
	return novelty{
		delay: delay, fresh: sketch.NewMap[uint64, freshValue](memory / 4), found: sketch.NewMap[uint64, time.Duration](50_000),
		seen:   sketch.NewMap[uint64, time.Duration](memory),
		values: sketch.NewMap[uint64, spread](memory / 2),
		habits: sketch.NewMap[uint64, habit](memory / 4),
	}
}

const (
	// trust is how many observations of its own outweigh what is known of the peers.
	trust = 30
	// newcomer is after how many observations an entity is half known.
	newcomer = 3
	// mostBits bounds the surprise of one observation.
	mostBits = 16
	// spreadHalf is how fast it is forgotten that others have begun to do something, and
	// fewBegin how many may begin to before it counts as something that spreads, such as an
	// update.
	spreadHalf = 3 * time.Hour
	fewBegin   = 3
	// stale is after how long something counts as not seen.
	stale = 60 * 24 * time.Hour
)

func key(parts ...uint64) uint64 {
	h := hashStart
	for _, p := range parts {
		h = (h ^ p) * hashPrime
		h ^= h >> 29
	}
	return mix(h)
}

// surprise notes that an entity did something, and returns how surprising that is in bits:
// 0 for what it did before, else -log2 of the probability that it brings something new times
// the share of its peers, or of all, that do this. An entity that always brings something
// new, such as a scanner, surprises nobody.
func (n *novelty) surprise(now time.Duration, r *relation, e entity, value uint64) float64 {
	relation := uint64(r.number)
	own := n.habit(key(relation, e.key))
	peers := n.habit(key(relation, e.group, 1))
	all := n.habit(key(relation, uint64(r.entity), 2))
	first := own.Seen == 0
	own.Seen++
	peers.Seen++
	all.Seen++
	if first {
		peers.Members++
		all.Members++
	}
	at := key(relation, e.key, value, 3)
	if last := n.seen.Get(at); last != nil && now-*last < stale {
		*last = max(*last, now)
		return n.again(now, e, at)
	}
	n.seen.Put(at, &now)
	byPeers := n.spread(key(relation, e.group, value, 4))
	byAll := n.spread(key(relation, value, 5))

	rateOfAll := (all.New + 1) / (all.Seen + 2)
	rateOfPeers := (peers.New + trust*rateOfAll) / (peers.Seen + trust)
	rate := (own.New + trust*rateOfPeers) / (own.Seen + trust)
	rate = max(rate, newcomer/(newcomer+own.Seen-1)) // to one that nobody knows all is new
	share := max((byPeers.Entities+0.25)/(peers.Members+1), (byAll.Entities+0.25)/(all.Members+1)/2)
	if byAll.Entities == 0 { // of what is new, how much is new to all (Good and Turing)
		share = max(share, (all.Unique+0.5)/(all.New+2))
		all.Unique++
	}
	bits := -math.Log2(min(1, rate)) - math.Log2(min(1, share))
	if begun := byAll.begin(now); begun > fewBegin {
		bits *= fewBegin / begun
	}

	own.New++
	peers.New++
	all.New++
	byPeers.Entities++
	byAll.Entities++
	if all.Members < 3 { // one or two entities are no peers
		return 0
	}
	bits = min(mostBits, bits)
	if n.delay > 0 {
		n.fresh.Put(at, &freshValue{first: now, window: now - now%windowLength, bits: bits})
	}
	return bits
}

// again is the surprise of something that an entity has begun to do and that is not learned yet:
// once in each window. What was followed by a finding about the entity is not learned.
func (n *novelty) again(now time.Duration, e entity, at uint64) float64 {
	if n.delay == 0 {
		return 0
	}
	f := n.fresh.Get(at)
	if f == nil {
		return 0
	}
	found := n.found.Get(e.key)
	suspect := found != nil && *found >= f.first && *found-f.first < n.delay
	window := now - now%windowLength
	if !suspect && now-f.first >= n.delay || window <= f.window {
		return 0
	}
	f.window = window
	return f.bits
}

// begin notes that one more entity has begun to do something, and returns how many have
// lately.
func (s *spread) begin(now time.Duration) float64 {
	s.fresh = s.fresh*math.Exp2(-max(0, (now-s.at).Hours())/spreadHalf.Hours()) + 1
	s.at = max(s.at, now)
	return s.fresh
}

func (n *novelty) habit(k uint64) *habit {
	h := n.habits.Get(k)
	if h == nil {
		h = &habit{}
		n.habits.Put(k, h)
	}
	return h
}

func (n *novelty) spread(k uint64) *spread {
	s := n.values.Get(k)
	if s == nil {
		s = &spread{}
		n.values.Put(k, s)
	}
	return s
}

// about is what is known of a value that surprised, for its explanation.
func (n *novelty) about(r *relation, e entity, value uint64) (byPeers, peers, byAll float64, rate float64) {
	relation := uint64(r.number)
	own := n.habit(key(relation, e.key))
	return n.spread(key(relation, e.group, value, 4)).Entities, n.habit(key(relation, e.group, 1)).Members,
		n.spread(key(relation, value, 5)).Entities, own.New / max(1, own.Seen)
}
