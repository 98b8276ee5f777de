package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// coverage counts how often intervals at 95 % hold the truth.
func coverage(runs int, seed uint64, truth float64, interval func(r *rand.Rand) Interval) float64 {
	r := rand.New(rand.NewPCG(seed, 3))
	covered := 0
	for range runs {
		if i := interval(r); i.Lo <= truth && truth <= i.Hi {
			covered++
		}
	}
	return float64(covered) / float64(runs)
}

// coverageCase is an estimator whose interval is tried on samples of size n.
type coverageCase struct {
	name  string
	truth float64
	of    func(r *rand.Rand, n int) Interval
	// conservative intervals never fall short, but may be wider than asked for.
	conservative bool
}

func binomial(r *rand.Rand, n int, p float64) int {
	k := 0
	for range n {
		if r.Float64() < p {
			k++
		}
	}
	return k
}

var coverageCases = []coverageCase{
	{name: "Wilson, p = 0.6", truth: 0.6, of: func(r *rand.Rand, n int) Interval { return Wilson(binomial(r, n, 0.6), n, 0.05) }},
	{name: "Clopper-Pearson, p = 0.6", truth: 0.6, conservative: true, of: func(r *rand.Rand, n int) Interval { return ClopperPearson(binomial(r, n, 0.6), n, 0.05) }},
	{name: "Newcombe, paired, 15 % and 5 % turn", truth: 0.10, of: func(r *rand.Rand, n int) Interval {
		var p Pairs
		for range n {
			switch u := r.Float64(); {
			case u < 0.15:
				p.Candidate++
			case u < 0.20:
				p.Baseline++
			case u < 0.65:
				p.Both++
			default:
				p.Neither++
			}
		}
		return Newcombe(p, 0.05)
	}},
	{name: "mean of paired differences of lognormal times", truth: 0, of: func(r *rand.Rand, n int) Interval {
		d := make([]float64, n)
		for i := range d {
			d[i] = math.Exp(0.8*r.NormFloat64()) - math.Exp(0.8*r.NormFloat64())
		}
		return Mean(d, 0.05)
	}},
	{name: "median by order statistics, a fifth never", truth: math.Exp(0.8 * 0.3186393639643752), conservative: true, of: func(r *rand.Rand, n int) Interval {
		x := make([]float64, n)
		for i := range x {
			if x[i] = math.Exp(0.8 * r.NormFloat64()); r.Float64() < 0.2 {
				x[i] = math.Inf(1)
			}
		}
		return Median(x, 0.05)
	}},
	{name: "Kaplan-Meier at a time, log-log", truth: math.Exp(-1), of: func(r *rand.Rand, n int) Interval {
		sample := make([]Observation, n)
		for i := range sample {
			t, c := r.ExpFloat64(), 3*r.Float64()
			sample[i] = Observation{min(t, c), t <= c}
		}
		i, _ := KaplanMeier(sample).At(1, 0.05)
		return i
	}},
	{name: "difference of restricted means", truth: 0, of: func(r *rand.Rand, n int) Interval {
		draw := func() []Observation {
			out := make([]Observation, n)
			for i := range out {
				t, c := r.ExpFloat64(), 3*r.Float64()
				out[i] = Observation{min(t, c), t <= c}
			}
			return out
		}
		return RestrictedMeanDifference(draw(), draw(), 1.5, 0.05)
	}},
	{name: "area under the curve, DeLong", truth: 0.76024994, of: func(r *rand.Rand, n int) Interval {
		hostile, score := make([]bool, n), make([]float64, n)
		for i := range hostile {
			if hostile[i] = i%2 == 0; hostile[i] {
				score[i] = 1
			}
			score[i] += r.NormFloat64()
		}
		return AUC(hostile, score, 0.05)
	}},
	{name: "Hodges-Lehmann shift", truth: 0.5, of: func(r *rand.Rand, n int) Interval {
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i], y[i] = r.NormFloat64()+0.5, r.NormFloat64()
		}
		return HodgesLehmann(x, y, 0.05)
	}},
}

// BenchmarkCoverage measures the coverage table of docs/statistics.md. An iteration
// is 1,000 samples of each size.
func BenchmarkCoverage(b *testing.B) {
	for _, c := range coverageCases {
		b.Run(c.name, func(b *testing.B) {
			var small, large float64
			for i := range b.N {
				small += coverage(1000, uint64(2*i), c.truth, func(r *rand.Rand) Interval { return c.of(r, 20) })
				large += coverage(1000, uint64(2*i+1), c.truth, func(r *rand.Rand) Interval { return c.of(r, 200) })
			}
			b.ReportMetric(100*small/float64(b.N), "%at20")
			b.ReportMetric(100*large/float64(b.N), "%at200")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func TestIntervalsCoverAsTheySay(t *testing.T) {
	const runs = 1500
	slack := 0.01 + 3*math.Sqrt(0.95*0.05/runs)
	for _, c := range coverageCases {
		if c.name == "Hodges-Lehmann shift" && testing.Short() {
			continue
		}
		got := coverage(runs, 2, c.truth, func(r *rand.Rand) Interval { return c.of(r, 200) })
		require.GreaterOrEqual(t, got, 0.95-slack, c.name)
		if !c.conservative {
			require.LessOrEqual(t, got, 0.95+slack, c.name)
		}
	}
}
