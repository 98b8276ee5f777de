package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// SampleSizeProportions is how many independent trials each of two groups needs so
// that a one-sided test at error rate alpha finds the difference of two
// proportions with the wanted power (Fleiss, Levin and Paik 2003; as R's
// power.prop.test). It is NaN when the proportions are equal.
func SampleSizeProportions(p1, p2, power, alpha float64) float64 {
	if p1 == p2 {
		return math.NaN()
	}
	mean := (p1 + p2) / 2
	root := distuv.UnitNormal.Quantile(1-alpha)*math.Sqrt(2*mean*(1-mean)) + distuv.UnitNormal.Quantile(power)*math.Sqrt(p1*(1-p1)+p2*(1-p2))
	return root * root / ((p1 - p2) * (p1 - p2))
}

// PowerPaired is how likely n pairs are to show, by a one-sided test at error rate
// alpha, a mean difference that lies effect away from what is tested, when single
// differences have standard deviation sd (normal approximation).
func PowerPaired(n, effect, sd, alpha float64) float64 {
	if sd <= 0 {
		return 1
	}
	return distuv.UnitNormal.CDF(math.Abs(effect)/sd*math.Sqrt(n) - distuv.UnitNormal.Quantile(1-alpha))
}

// SampleSizePaired is how many pairs that takes. It is NaN without an effect.
func SampleSizePaired(effect, sd, power, alpha float64) float64 {
	if effect == 0 || math.IsNaN(effect+sd) {
		return math.NaN()
	}
	z := (distuv.UnitNormal.Quantile(1-alpha) + distuv.UnitNormal.Quantile(power)) * sd / effect
	return max(2, z*z)
}
