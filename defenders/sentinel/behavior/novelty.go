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
}

// spread is how many entities did something.
type spread struct{ Entities float64 }

// habit is how often an entity brings something new. Members counts the entities of a group.
type habit struct{ Seen, New, Members float64 }

func newNovelty(memory int) novelty {
	return novelty{
		seen:   sketch.NewMap[uint64, time.Duration](memory),
		values: sketch.NewMap[uint64, spread](memory / 2),
		habits: sketch.NewMap[uint64, habit](memory / 4),
	}
}

const (
	// trust is how many observations of its own outweigh what is known of the peers.
	trust = 30
	// mostBits bounds the surprise of one observation.
	mostBits = 16
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
		return 0
	}
	n.seen.Put(at, &now)
	byPeers := n.spread(key(relation, e.group, value, 4))
	byAll := n.spread(key(relation, value, 5))

	rateOfAll := (all.New + 1) / (all.Seen + 2)
	rateOfPeers := (peers.New + trust*rateOfAll) / (peers.Seen + trust)
	rate := (own.New + trust*rateOfPeers) / (own.Seen + trust)
	share := max((byPeers.Entities+0.25)/(peers.Members+1), (byAll.Entities+0.25)/(all.Members+1)/2)
	bits := -math.Log2(min(1, rate)) - math.Log2(min(1, share))

	own.New++
	peers.New++
	all.New++
	byPeers.Entities++
	byAll.Entities++
	if all.Members < 3 { // one or two entities are no peers
		return 0
	}
	return min(mostBits, bits)
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
