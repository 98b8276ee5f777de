package behavior

import (
	"math"

	"hemostat/defenders/sentinel/sketch"
)

// chains is a model of which program follows which two on a host, and which host an account
// logs on to after which two: a Markov chain of second
// order that falls back on the first where the second knows too little (Katz 1987, with the
// fixed discount of stupid backoff).
type chains struct {
	pairs *sketch.Map[uint64, followers] // by the two before
	last  *sketch.Map[uint64, recent]    // by host or account
	total float64
}

// followers is how often a program came after others, and how often the others came.
type followers struct{ Count float64 }

// recent are the last two programs of a host, or hosts of an account.
type recent struct{ one, two uint64 }

func newChains() chains {
	return chains{sketch.NewMap[uint64, followers](300_000), sketch.NewMap[uint64, recent](50_000), 0}
}

const (
	backoff = 0.4
	// usualBits is what an ordinary step surprises by, which does not count.
	usualBits = 9
	// enoughSteps is how many steps make a model.
	enoughSteps = 2000
)

// surprise notes a program or host, and returns how much more surprising than usual it is after the
// two before it, in bits.
func (c *chains) surprise(entity, value uint64) float64 {
	r := c.last.Get(entity)
	if r == nil {
		r = &recent{}
		c.last.Put(entity, r)
	}
	p := c.probability(r.two, r.one, value)
	for _, k := range []uint64{key(r.two, r.one, 8), key(r.two, r.one, value, 9), key(r.one, 10), key(r.one, value, 11),
		key(value, 12)} {
		c.of(k).Count++
	}
	c.total++
	known := r.two != 0 && c.total > enoughSteps
	r.two, r.one = r.one, value
	if !known {
		return 0
	}
	return min(6, max(0, -math.Log2(p)-usualBits))
}

func (c *chains) probability(two, one, value uint64) float64 {
	if n := c.of(key(two, one, value, 9)).Count; n > 0 {
		return n / c.of(key(two, one, 8)).Count
	}
	if n := c.of(key(one, value, 11)).Count; n > 0 {
		return backoff * n / c.of(key(one, 10)).Count
	}
	return backoff * backoff * (c.of(key(value, 12)).Count + 0.5) / (c.total + 1000)
}

func (c *chains) of(k uint64) *followers {
	f := c.pairs.Get(k)
	if f == nil {
		f = &followers{}
		c.pairs.Put(k, f)
	}
	return f
}
