package stats

import "math"

// Ratio is the ratio of two sums over clusters, such as true alerts over alerts by trial,
// with the interval of the linearised variance between clusters (Cochran 1977, section 6.6).
// What happens within a cluster may hang together as it likes. It is nothing where the second
// sum is 0; with one cluster the interval has no ends.
func Ratio(part, whole []float64, alpha float64) Interval {
	x, y := 0.0, 0.0
	for i := range part {
		x += part[i]
		y += whole[i]
	}
	if y == 0 {
		return nothing()
	}
	r, n := x/y, float64(len(part))
	sum := 0.0
	for i := range part {
		d := part[i] - r*whole[i]
		sum += d * d
	}
	if n < 2 {
		return Interval{r, math.NaN(), math.NaN()}
	}
	half := normalQuantile(alpha) * math.Sqrt(sum*n/(n-1)) / y
	low, high := max(0, r-half), r+half
	if isShare(part, whole) {
		high = min(1, high)
	}
	return Interval{r, low, high}
}

// isShare tells whether no part exceeds its whole.
func isShare(part, whole []float64) bool {
	for i := range part {
		if part[i] > whole[i] {
			return false
		}
	}
	return true
}

// WeightedROC is ROC where each case stands for as many as its weight says.
func WeightedROC(hostile []bool, score, weight []float64) []Point {
	var out []Point
	sweep(hostile, score, weight, func(hits, alarms, positives, negatives float64) {
		out = append(out, Point{alarms / negatives, hits / positives})
	})
	return out
}

// WeightedPR is PR where each case stands for as many as its weight says.
func WeightedPR(hostile []bool, score, weight []float64) []Point {
	var out []Point
	sweep(hostile, score, weight, func(hits, alarms, positives, _ float64) {
		if hits+alarms > 0 {
			out = append(out, Point{hits / positives, hits / (hits + alarms)})
		}
	})
	return out
}

// groups is in how many groups the clusters are left out by turns.
const groups = 40

// WeightedAUC is the area under WeightedROC. Its interval comes of leaving out groups of
// clusters by turns (the delete-a-group jackknife, Kott 2001), as cases within a cluster hang
// together.
func WeightedAUC(hostile []bool, score, weight []float64, cluster []int, alpha float64) Interval {
	value := area(WeightedROC(hostile, score, weight))
	if math.IsNaN(value) {
		return nothing()
	}
	sum, used := 0.0, 0.0
	for g := range groups {
		var h []bool
		var s, w []float64
		for i := range hostile {
			if cluster[i]%groups != g {
				h, s, w = append(h, hostile[i]), append(s, score[i]), append(w, weight[i])
			}
		}
		if len(h) == len(hostile) {
			continue // nobody is in the group
		}
		left := area(WeightedROC(h, s, w))
		if math.IsNaN(left) {
			return Interval{value, math.NaN(), math.NaN()}
		}
		sum += (left - value) * (left - value)
		used++
	}
	if used < 2 {
		return Interval{value, math.NaN(), math.NaN()}
	}
	half := normalQuantile(alpha) * math.Sqrt(sum*(used-1)/used)
	return Interval{value, max(0, value-half), min(1, value+half)}
}

// area is that below a curve from (0, 0) to (1, 1); NaN without a curve.
func area(curve []Point) float64 {
	if len(curve) == 0 {
		return math.NaN()
	}
	sum := 0.0
	for i := 1; i < len(curve); i++ {
		sum += (curve[i].X - curve[i-1].X) * (curve[i].Y + curve[i-1].Y) / 2
	}
	return sum
}
