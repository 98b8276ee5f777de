package stats

import "math"

// Sequential tests whether the mean of bounded values lies above or below a
// threshold, after every round, and may stop whenever it is sure: its error rates
// hold whatever the rule of stopping (Ville 1939). It bets against the threshold
// (Waudby-Smith and Ramdas 2024): a bettor whose capital cannot grow on average
// while a hypothesis holds reaches 1/alpha with a chance of at most alpha.
//
// A round holds one value for each stratum (scenario), and the mean in question is
// their average. The stake is fixed before the round, so by the inequality of
// arithmetic and geometric means the capital is no better off when strata differ.
// Its assumption is that rounds are independent, and values within them.
type Sequential struct {
	threshold float64
	lo, hi    float64 // between which single values lie
	above     bettor  // against a mean at the threshold or below
	below     bettor  // against a mean at the threshold or above

	rounds          [][]float64
	n, sum, squares float64
}

// bettor stakes on one direction.
type bettor struct {
	direction float64
	// aim is the distance from the threshold at which it wants to be quick.
	aim     float64
	stakes  []float64 // of the rounds, before they are cut to what can be staked
	capital float64   // logarithm
	most    float64   // the greatest it ever was
}

const (
	// How much the first guess of the variance is worth, in values, and what it is as
	// a share of the squared half-width: 5 in 100 pairs turning either way.
	guessWorth, guessVariance = 15, 0.05
	// mostStake is the share of what could be staked without ruin.
	mostStake = 0.9
	// caution is the share of the stake that grows fastest on average (Kelly 1956):
	// somewhat less grows nearly as fast, and is far more often in time.
	caution = 0.75
	// boldness is how much further from the threshold the bettor against a good mean
	// aims: a loss worth stopping for is greater than the margin.
	boldness = 1.5
)

// NewSequential makes a test of a threshold for values between lo and hi. It is
// quickest to see a mean above the threshold when the truth is about aim above it,
// and one below when it is half as much again below.
func NewSequential(threshold, lo, hi, aim float64) *Sequential {
	return &Sequential{
		threshold: threshold,
		lo:        lo,
		hi:        hi,
		above:     bettor{direction: 1, aim: aim},
		below:     bettor{direction: -1, aim: boldness * aim},
	}
}

// Add takes a round in: the values of all strata. For a weighted mean each is
// multiplied by its weight, the weights having mean 1, and lo and hi hold for the
// products.
func (s *Sequential) Add(round ...float64) {
	half := (s.hi - s.lo) / 2
	variance := guessVariance * half * half
	if s.n > 0 {
		mean := s.sum / s.n
		variance = (guessWorth*variance + max(0, s.squares-s.n*mean*mean)) / (guessWorth + s.n)
	}
	s.rounds = append(s.rounds, round)
	for _, b := range []*bettor{&s.above, &s.below} {
		stake := caution * b.aim / (variance + b.aim*b.aim)
		b.stakes = append(b.stakes, stake)
		b.capital += s.gain(b, stake, round, s.threshold)
		b.most = max(b.most, b.capital)
	}
	for _, x := range round {
		s.n++
		s.sum += x
		s.squares += x * x
	}
}

// gain is the logarithm of what a bettor's capital grows by in a round.
func (s *Sequential) gain(b *bettor, stake float64, round []float64, threshold float64) float64 {
	worst := threshold - s.lo
	if b.direction < 0 {
		worst = s.hi - threshold
	}
	if worst <= 0 {
		return 0 // nothing can lie on the other side
	}
	stake = min(stake, mostStake/worst)
	sum := 0.0
	for _, x := range round {
		sum += math.Log1p(b.direction * stake * (x - threshold))
	}
	return sum
}

// Above tells whether the mean is above the threshold at error rate alpha.
func (s *Sequential) Above(alpha float64) bool { return s.above.most >= math.Log(1/alpha) }

// Below tells whether the mean is below the threshold at error rate alpha.
func (s *Sequential) Below(alpha float64) bool { return s.below.most >= math.Log(1/alpha) }

// OddsAbove and OddsBelow are what the bettors have made of a stake of 1 by now: odds
// against a mean on the other side of the threshold.
func (s *Sequential) OddsAbove() float64 { return math.Exp(s.above.capital) }

// OddsBelow is its counterpart.
func (s *Sequential) OddsBelow() float64 { return math.Exp(s.below.capital) }

// N is the number of values so far.
func (s *Sequential) N() int { return int(s.n) }

// mean is the average so far, NaN without a round.
func (s *Sequential) mean() float64 { return s.sum / s.n }

// Bounds are the values between which the mean lies, each at error rate alpha,
// whenever one looks: those that the bets do not refute (a confidence sequence).
func (s *Sequential) Bounds(alpha float64) Interval {
	if s.n == 0 {
		return nothing()
	}
	return Interval{s.mean(), s.edge(&s.above, s.lo, alpha), s.edge(&s.below, s.hi, alpha)}
}

// edge is the refuted threshold nearest to the mean, looked for from the far end,
// or the far end when not even that is refuted.
func (s *Sequential) edge(b *bettor, far, alpha float64) float64 {
	limit := math.Log(1 / alpha)
	refuted := func(threshold float64) bool {
		capital := 0.0
		for i, round := range s.rounds {
			if capital += s.gain(b, b.stakes[i], round, threshold); capital >= limit {
				return true
			}
		}
		return false
	}
	near := s.mean()
	if !refuted(far + 1e-9*(near-far)) {
		return far
	}
	const steps = 25 // a bisection; refutation grows with the distance
	for range steps {
		if middle := (far + near) / 2; refuted(middle) {
			far = middle
		} else {
			near = middle
		}
	}
	return far
}
