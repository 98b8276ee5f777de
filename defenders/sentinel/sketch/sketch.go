// Package sketch has the small, bounded memories that streaming detectors keep: a map that
// forgets what was not used for long, decayed means and spreads, an estimate of how many
// different values there were. Each holds constant memory whatever comes, reads no clock and
// draws nothing at random.
package sketch

import (
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

// Map is a map of at most so many entries. It has two generations: what is used moves to
// the young one; when that is half of the bound, the old one is forgotten and the young one
// becomes old. So what was used lately stays, and no entry costs more than one move.
type Map[K cmp.Ordered, V any] struct {
	most       int
	young, old map[K]*V
	// Forgotten counts the entries that were given up.
	Forgotten int
}

// NewMap makes a map of at most so many entries.
func NewMap[K cmp.Ordered, V any](most int) *Map[K, V] {
	return &Map[K, V]{most: max(2, most), young: map[K]*V{}}
}

// Get returns an entry, nil when there is none.
func (m *Map[K, V]) Get(k K) *V {
	if v := m.young[k]; v != nil {
		return v
	}
	v := m.old[k]
	if v != nil {
		delete(m.old, k)
		m.keep(k, v)
	}
	return v
}

// Put adds an entry under a key that has none. The key is kept: a text that is part of an
// event's memory has to be cloned before.
func (m *Map[K, V]) Put(k K, v *V) { m.keep(k, v) }

func (m *Map[K, V]) keep(k K, v *V) {
	if len(m.young) >= m.most/2 {
		m.Forgotten += len(m.old)
		m.old, m.young = m.young, make(map[K]*V, len(m.young))
	}
	m.young[k] = v
}

// Len is the number of entries.
func (m *Map[K, V]) Len() int { return len(m.young) + len(m.old) }

// Each calls f for every entry in the order of the keys.
func (m *Map[K, V]) Each(f func(k K, v *V)) {
	for _, k := range slices.Sorted(maps.Keys(m.all())) {
		if v := m.young[k]; v != nil {
			f(k, v)
		} else {
			f(k, m.old[k])
		}
	}
}

func (m *Map[K, V]) all() map[K]struct{} {
	keys := make(map[K]struct{}, m.Len())
	for k := range m.young {
		keys[k] = struct{}{}
	}
	for k := range m.old {
		keys[k] = struct{}{}
	}
	return keys
}

// Level is an exponentially decayed mean and spread. What lies far outside counts as lying
// at the edge, so that an attack does not become the rule at once (Huber's clipping).
type Level struct {
	Weight, Mean, Spread float64 // Spread is the mean of absolute deviations
}

// clipAt is at how many spreads a value is clipped.
const clipAt = 4

// Add takes a value in; half is the number of values after which one counts half.
func (l *Level) Add(x, half float64) { l.AddWithin(x, half, clipAt) }

// AddWithin takes a value in that counts as lying at so many spreads at most.
func (l *Level) AddWithin(x, half, clip float64) {
	if clip == 0 {
		clip = clipAt
	}
	decay := math.Exp2(-1 / half)
	l.Weight = l.Weight*decay + 1
	if l.Weight < 1.5 {
		l.Mean = x
		return
	}
	d := x - l.Mean
	if limit := clip * l.Spread; l.Weight > 8 && math.Abs(d) > limit {
		d = math.Copysign(limit, d)
	}
	l.Mean += d / l.Weight
	l.Spread += (math.Abs(d) - l.Spread) / l.Weight
}

// Score is how many standard deviations a value lies above the mean, where the spread is
// at least floor; 0 as long as fewer than enough values are known.
func (l *Level) Score(x, floor, enough float64) float64 {
	if l.Weight < enough {
		return 0
	}
	const perSpread = 1.2533 // of a normal distribution, sqrt(pi/2)
	return (x - l.Mean) / (perSpread * max(l.Spread, floor))
}

// Distinct estimates how many different values there were, by linear counting (Whang et
// al. 1990): within some percent up to a thousand.
type Distinct struct{ bits [distinctWords]uint64 }

const distinctWords = 16

// Add takes a value in and tells whether it was surely new.
func (d *Distinct) Add(hash uint64) bool {
	at, bit := hash>>6%distinctWords, uint64(1)<<(hash&63)
	isNew := d.bits[at]&bit == 0
	d.bits[at] |= bit
	return isNew
}

// Count is the estimate.
func (d *Distinct) Count() float64 {
	const m = 64 * distinctWords
	set := 0
	for _, w := range d.bits {
		set += bits.OnesCount64(w)
	}
	if set == m {
		return m * math.Log(m)
	}
	return -m * math.Log(1-float64(set)/m)
}

// Hash is a hash of a text that is the same in every run (FNV-1a, 64 bits, with the mixing
// of splitmix64).
func Hash(texts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, t := range texts {
		for i := range len(t) {
			h = (h ^ uint64(t[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

// Window is a time of a length that an event falls into; it goes on when time does.
type Window struct{ Began time.Duration }

// Passed tells whether a window of this length is over, and begins the next. Time that goes
// backwards belongs to the window that there is.
func (w *Window) Passed(now, length time.Duration) bool {
	if now-w.Began < length {
		return false
	}
	w.Began = now - now%length
	return true
}
