package encrypted

import "math"

// steady is how well the calls of a pair keep the time of a clock, from 0 to 1: the length of
// their mean direction on a circle of one period (Rayleigh's statistic, the periodogram of
// points in time; Mardia and Jupp 2000). It finds clocks whose calls stand among others, or
// that beat in a pattern, which dispersion and skew of intervals do not; jitter that adds up
// from call to call it does not find, which they do. Periods that are tried are the medians
// of the times between each call and the next to fourth after it.
func (p *pair) steady() float64 {
	if p.n < kept {
		return 0
	}
	best := 0.0
	var buffer [kept]float64
	for lag := 1; lag <= 4; lag++ {
		x := buffer[:0]
		for i := lag; i < p.n; i++ {
			x = append(x, (p.at[i] - p.at[i-lag]).Seconds())
		}
		period := medianOf(x)
		if period < 5 {
			continue
		}
		for _, near := range []float64{0.998, 1, 1.002} { // the median is not the clock's period exactly
			best = max(best, p.direction(period*near))
		}
	}
	return best
}

// direction is the length of the mean direction at a period.
func (p *pair) direction(period float64) float64 {
	re, im := 0.0, 0.0
	for i := range p.n {
		sin, cos := math.Sincos(2 * math.Pi * (p.at[i] - p.at[0]).Seconds() / period)
		re, im = re+cos, im+sin
	}
	return math.Hypot(re, im) / float64(p.n)
}
