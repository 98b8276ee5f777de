package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// exactBelow is the sample size from which R, and this package, take the normal
// approximation of a rank test.
const exactBelow = 50

// RankTest is what a rank test came to.
type RankTest struct {
	// Statistic counts, for Mann-Whitney, how often a value of x is above one of y
	// (ties half); for the signed-rank test it is the rank sum of x above y.
	Statistic float64
	// TwoSided and Greater are p-values: that there is no shift, and that x is not
	// above y.
	TwoSided, Greater float64
	Exact             bool
}

// MannWhitney tests that two independent samples come from one distribution
// (Wilcoxon 1945; Mann and Whitney 1947). It is exact below 50 values a side
// without ties, otherwise a normal approximation corrected for ties and
// continuity. All values equal give NaN.
func MannWhitney(x, y []float64) RankTest {
	m, n := len(x), len(y)
	if m == 0 || n == 0 {
		return RankTest{math.NaN(), math.NaN(), math.NaN(), false}
	}
	ranks, ties := rank(append(slices.Clone(x), y...))
	u := -float64(m*(m+1)) / 2
	for _, r := range ranks[:m] {
		u += r
	}
	if ties == 0 && m < exactBelow && n < exactBelow {
		return exactRank(u, rankSums(m, n))
	}
	total := float64(m + n)
	sigma := math.Sqrt(float64(m*n) / 12 * (total + 1 - ties/(total*(total-1))))
	return normalRank(u, float64(m*n)/2, sigma)
}

// SignedRank tests that differences x-y of pairs are symmetric about 0 (Wilcoxon
// 1945). Differences of 0 are dropped; it is exact below 50 pairs without zeros
// and ties.
func SignedRank(x, y []float64) RankTest {
	if len(x) != len(y) {
		return RankTest{math.NaN(), math.NaN(), math.NaN(), false}
	}
	var sizes, signs []float64
	for i := range x {
		if d := x[i] - y[i]; d != 0 {
			sizes, signs = append(sizes, math.Abs(d)), append(signs, d)
		}
	}
	n := float64(len(sizes))
	ranks, ties := rank(sizes)
	v := 0.0
	for i, r := range ranks {
		if signs[i] > 0 {
			v += r
		}
	}
	if ties == 0 && len(sizes) == len(x) && len(x) < exactBelow {
		return exactRank(v, signedSums(len(sizes)))
	}
	return normalRank(v, n*(n+1)/4, math.Sqrt(n*(n+1)*(2*n+1)/24-ties/48))
}

// rank gives mid-ranks, and the sum over ties of t³-t.
func rank(values []float64) (ranks []float64, ties float64) {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	ranks = make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = float64(from+to+1) / 2
		}
		t := float64(to - from)
		ties += t*t*t - t
		from = to
	}
	return ranks, ties
}

// rankSums are the chances of each value of the Mann-Whitney statistic. The
// number of ways follows Mann and Whitney's recursion, as shares to stay in range.
func rankSums(m, n int) []float64 {
	ways := make([][]float64, m+1) // by how many of x are placed, for growing y
	for i := range ways {
		ways[i] = make([]float64, m*n+1)
		ways[i][0] = 1
	}
	for j := 1; j <= n; j++ {
		for i := 1; i <= m; i++ {
			// the greatest of i+j values is one of x with chance i/(i+j), and is then
			// above all j of y
			share := float64(i) / float64(i+j)
			row := make([]float64, m*n+1)
			for u := range row[:i*j+1] {
				row[u] = (1 - share) * ways[i][u]
				if u >= j {
					row[u] += share * ways[i-1][u-j]
				}
			}
			ways[i] = row
		}
	}
	return ways[m]
}

// signedSums are the chances of each value of the signed-rank statistic.
func signedSums(n int) []float64 {
	chances := make([]float64, n*(n+1)/2+1)
	chances[0] = 1
	for r := 1; r <= n; r++ {
		for v := len(chances) - 1; v >= 0; v-- {
			chances[v] /= 2
			if v >= r {
				chances[v] += chances[v-r] / 2
			}
		}
	}
	return chances
}

// exactRank finds the p-values in a symmetric distribution over 0, 1, 2, …
func exactRank(statistic float64, chances []float64) RankTest {
	at := int(math.Round(statistic))
	above := 0.0 // at the statistic or above
	for _, c := range chances[at:] {
		above += c
	}
	below := 0.0
	for _, c := range chances[:at+1] {
		below += c
	}
	return RankTest{statistic, min(1, 2*min(above, below)), above, true}
}

func normalRank(statistic, mean, sigma float64) RankTest {
	z := statistic - mean
	correction := 0.5
	switch {
	case z < 0:
		correction = -0.5
	case z == 0:
		correction = 0
	}
	return RankTest{statistic, twoSided((z - correction) / sigma), distuv.UnitNormal.Survival((z - 0.5) / sigma), false}
}

// HodgesLehmann is the shift of x against y, the median of all differences of a
// value of x and one of y, with the interval that belongs to the Mann-Whitney test
// (Hodges and Lehmann 1963). Its assumption is that the distributions differ by
// a shift.
func HodgesLehmann(x, y []float64, alpha float64) Interval {
	m, n := len(x), len(y)
	if m == 0 || n == 0 {
		return nothing()
	}
	differences := make([]float64, 0, m*n)
	for _, a := range x {
		for _, b := range y {
			differences = append(differences, a-b)
		}
	}
	slices.Sort(differences)
	out := Interval{Quantile(differences, 0.5), differences[0], differences[m*n-1]}
	low := 0 // the alpha/2 quantile of the statistic
	if m < exactBelow && n < exactBelow {
		chances := rankSums(m, n)
		for sum := chances[0]; sum < alpha/2; sum += chances[low] {
			low++
		}
	} else {
		sigma := math.Sqrt(float64(m*n) * float64(m+n+1) / 12)
		low = int(math.Round(float64(m*n)/2 - normalQuantile(alpha)*sigma))
	}
	low = max(low, 1)
	if high := m*n - low; low <= high+1 && high < m*n {
		out.Lo, out.Hi = differences[low-1], differences[high]
	}
	return out
}

// a12 is how likely a value of x is above one of y, ties half (Vargha and Delaney
// 2000): 0.5 means no difference.
func a12(x, y []float64) float64 {
	return MannWhitney(x, y).Statistic / float64(len(x)*len(y))
}

// CliffsDelta is how much more often a value of x is above one of y than below
// (Cliff 1993), from -1 to 1.
func CliffsDelta(x, y []float64) float64 { return 2*a12(x, y) - 1 }

// Spearman is the rank correlation of two samples of equal size, from -1 to 1, with
// mid-ranks for ties (Spearman 1904). It is NaN when one of them is constant.
func Spearman(x, y []float64) float64 {
	rx, _ := rank(x)
	ry, _ := rank(y)
	return stat.Correlation(rx, ry, nil)
}
