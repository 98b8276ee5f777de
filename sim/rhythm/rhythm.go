// Package rhythm measures how regular a series of intervals or sizes is, by the statistics of
// RITA's beacon score, which are public: the defence's detector of beacons uses them, and
// attackers who tune their implants against such a detector try themselves against the same.
package rhythm

import (
	"math"
	"slices"
	"time"
)

// Regularity is from 1 for equal values to 0: the mean of 1 - |Bowley's skew| and
// 1 - MAD / median, both robust against gaps. Differences up to grain count as none, and so does
// skew up to its standard error in so few values. It sorts x and overwrites it.
func Regularity(x []float64, grain float64) float64 {
	if len(x) < 3 {
		return 0
	}
	slices.Sort(x)
	q1, q2, q3 := Quantile(x, 0.25), Quantile(x, 0.5), Quantile(x, 0.75)
	skew := 0.0
	if q3-q1 > grain && q2 != q1 && q2 != q3 {
		skew = max(0, math.Abs((q1+q3-2*q2)/(q3-q1))-1/math.Sqrt(float64(len(x))))
	}
	for i := range x {
		x[i] = math.Abs(x[i] - q2)
	}
	slices.Sort(x)
	dispersion := 1 - max(0, Quantile(x, 0.5)-grain/2)/max(q2, grain)
	return (1 - skew + max(0, dispersion)) / 2
}

// Quantile is of sorted values, with linear interpolation.
func Quantile(x []float64, q float64) float64 {
	at := q * float64(len(x)-1)
	low := int(at)
	if low+1 >= len(x) {
		return x[len(x)-1]
	}
	return x[low] + (at-float64(low))*(x[low+1]-x[low])
}

// Grains up to which differences of intervals (seconds) and of sizes (bytes) count as none.
const (
	IntervalGrain = 1
	SizeGrain     = 32
)

// Intervals are the seconds between each call and the next, appended to x.
func Intervals(x []float64, at []time.Duration) []float64 {
	for i := 1; i < len(at); i++ {
		x = append(x, (at[i] - at[i-1]).Seconds())
	}
	return x
}
