package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Pairs counts how two sides did on the same trials: both had the property,
// only the baseline, only the candidate, neither.
type Pairs struct{ Both, Baseline, Candidate, Neither int }

// n is the number of pairs.
func (p Pairs) n() int { return p.Both + p.Baseline + p.Candidate + p.Neither }

// Newcombe is the difference of two proportions measured on the same pairs,
// candidate minus baseline, with Newcombe's interval for paired proportions
// (Newcombe 1998, method 10): Wilson's limits of both sides are squared and
// added, with the continuity-corrected correlation of the pairs. Its assumption is
// that pairs are independent of each other.
func Newcombe(p Pairs, alpha float64) Interval {
	n := p.n()
	if n == 0 {
		return nothing()
	}
	a, b, c, d := float64(p.Both), float64(p.Candidate), float64(p.Baseline), float64(p.Neither)
	one, two := Wilson(p.Both+p.Candidate, n, alpha), Wilson(p.Both+p.Baseline, n, alpha)
	phi := 0.0
	if margins := (a + b) * (c + d) * (a + c) * (b + d); margins > 0 {
		cross := a*d - b*c
		if cross > 0 {
			cross = max(0, cross-float64(n)/2)
		}
		phi = cross / math.Sqrt(margins)
	}
	spread := func(x, y float64) float64 { return math.Sqrt(max(0, x*x-2*phi*x*y+y*y)) }
	difference := one.Value - two.Value
	return Interval{
		difference,
		difference - spread(one.Value-one.Lo, two.Hi-two.Value),
		difference + spread(one.Hi-one.Value, two.Value-two.Lo),
	}
}

// McNemar is the exact test that gains and losses are equally likely (McNemar
// 1947, exact binomial form). Its assumption is that pairs are independent.
func McNemar(gained, lost int) float64 { return signTest(gained, lost) }

// signTest is the exact two-sided test that up and down are equally likely.
func signTest(up, down int) float64 {
	n := up + down
	if n == 0 {
		return 1
	}
	b := distuv.Binomial{N: float64(n), P: 0.5}
	return min(1, 2*b.CDF(float64(min(up, down))))
}

// PairedT is the two-sided paired t test on differences: the chance of a mean so
// far from 0 if there is none. It is 1 when all differences are 0; when all are
// one other number there is no spread to hold it against, and the sign test
// answers instead. One difference says nothing: NaN.
func PairedT(differences []float64) float64 {
	n := float64(len(differences))
	mean, sd := moments(differences)
	switch {
	case n < 2:
		return math.NaN()
	case sd == 0 && mean == 0:
		return 1
	case sd == 0:
		return signTest(len(differences), 0)
	}
	t := math.Abs(mean) / (sd / math.Sqrt(n))
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Survival(t)
}

// StandardizedMean is the mean difference in units of its standard deviation
// (Cohen's dz). It does not exist (NaN) for one difference, or without spread.
func StandardizedMean(differences []float64) float64 {
	mean, sd := moments(differences)
	if len(differences) < 2 || mean != 0 && sd == 0 {
		return math.NaN()
	}
	if mean == 0 {
		return 0
	}
	return mean / sd
}
