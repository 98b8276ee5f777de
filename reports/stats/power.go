package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

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
