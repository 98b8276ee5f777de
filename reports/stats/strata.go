package stats

import "math"

// Table is a two by two table by rows: baseline with and without the property,
// candidate with and without, or any other two groups.
type Table [4]float64

// MantelHaenszel is the odds ratio that tables of several strata (scenarios) have
// in common, with the interval of Robins, Breslow and Greenland (1986) and the
// p-value that it is 1 (Mantel and Haenszel 1959, without continuity correction).
// Its assumption is that the strata do share one odds ratio.
func MantelHaenszel(strata []Table, alpha float64) (Interval, float64) {
	var r, s, pr, psqr, qs, observed, expected, variance float64
	for _, t := range strata {
		a, b, c, d := t[0], t[1], t[2], t[3]
		n := a + b + c + d
		if n < 2 {
			continue
		}
		ri, si, pi, qi := a*d/n, b*c/n, (a+d)/n, (b+c)/n
		r, s = r+ri, s+si
		pr += pi * ri
		psqr += pi*si + qi*ri
		qs += qi * si
		observed += a
		expected += (a + b) * (a + c) / n
		variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
	}
	out := nothing()
	if r > 0 && s > 0 {
		se := math.Sqrt(pr/(2*r*r) + psqr/(2*r*s) + qs/(2*s*s))
		z := normalQuantile(alpha)
		odds := r / s
		out = Interval{odds, odds * math.Exp(-z*se), odds * math.Exp(z*se)}
	}
	return out, chiSquared((observed - expected) * (observed - expected) / variance)
}
