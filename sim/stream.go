package sim

import (
	"math"
	"math/bits"
	"time"
)

// Streams derives the random streams of one trial. A stream belongs to an actor
// and a purpose and to nothing else: neither the variant nor the order in which
// streams are made or read enters into it. Two variants of the same trial index
// therefore face the same luck, and one actor who stops drawing moves nobody
// else's draws (common random numbers).
type Streams struct{ key uint64 }

// NewStreams returns the streams of one trial of a run with this seed.
func NewStreams(seed, trial uint64) Streams {
	return Streams{key: mix(mix(seed+golden) ^ mix(trial^golden))}
}

// Stream returns the stream of this actor for this purpose.
func (s Streams) Stream(actor, purpose string) Stream {
	return Stream{key: mix(s.key ^ hashText(actor) ^ bits.RotateLeft64(hashText(purpose), 17))}
}

// Stream is a counter-based generator (SplitMix64, Steele, Lea and Flood 2014):
// draw n is a hash of the key and n. It is a small value; copying it copies the
// position. Every method below takes exactly one draw unless it says otherwise,
// so a caller's draw count never depends on what was drawn.
type Stream struct{ key, n uint64 }

// At returns the stream of the decision with this ordinal. Its draws depend on
// the ordinal alone, not on how much was drawn for earlier decisions.
func (s Stream) At(ordinal uint64) Stream {
	return Stream{key: mix(s.key + (ordinal+1)*0xd1342543de82ef95)}
}

// For returns a stream below this one, named by text.
func (s Stream) For(name string) Stream {
	return Stream{key: mix(s.key ^ hashText(name))}
}

// Uint64 returns the next 64 random bits.
func (s *Stream) Uint64() uint64 {
	s.n++
	return mix(s.key + s.n*golden)
}

// Float64 returns a number in [0, 1).
func (s *Stream) Float64() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// IntN returns an integer in [0, n); 0 when n is 0 or less. The bias of the
// multiply-shift method is below n/2^64.
func (s *Stream) IntN(n int) int {
	u := s.Uint64()
	if n <= 0 {
		return 0
	}
	hi, _ := bits.Mul64(u, uint64(n))
	return int(hi)
}

// Bool returns true with probability p.
func (s *Stream) Bool(p float64) bool { return s.Float64() < p }

// Exp returns an exponential variate with mean 1.
func (s *Stream) Exp() float64 { return -math.Log1p(-s.Float64()) }

// Normal returns a standard normal variate by inversion.
func (s *Stream) Normal() float64 {
	u := (float64(s.Uint64()>>11) + 0.5) / (1 << 53)
	return math.Sqrt2 * math.Erfinv(2*u-1)
}

// LogNormal returns a lognormal variate with this median and log-scale sigma.
func (s *Stream) LogNormal(median, sigma float64) float64 {
	return median * math.Exp(sigma*s.Normal())
}

// Between returns a duration uniform in [low, high).
func (s *Stream) Between(low, high time.Duration) time.Duration {
	return low + time.Duration(s.Float64()*float64(high-low))
}

// Shuffle permutes n elements (Fisher-Yates); it takes n-1 draws.
func (s *Stream) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, s.IntN(i+1))
	}
}

// Pick returns one element; the slice must not be empty.
func Pick[T any](s *Stream, from []T) T { return from[s.IntN(len(from))] }

// PickWeighted returns an index with probability proportional to its weight, or
// -1 when no weight is positive.
func PickWeighted(s *Stream, weights []float64) int {
	u := s.Float64()
	total := 0.0
	for _, w := range weights {
		total += max(w, 0)
	}
	if total <= 0 {
		return -1
	}
	u *= total
	last := -1
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		last = i
		if u < w {
			return i
		}
		u -= w
	}
	return last
}

// Key folds a text into a number for deriving stable identifiers.
func Key(text string) uint64 { return mix(hashText(text)) }

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hashText is FNV-1a followed by a finalizer, so that close names land far apart.
func hashText(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}
