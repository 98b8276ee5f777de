package gate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/reports/stats"
	"hemostat/sim/record"
)

var fourScenarios = []string{"data-exfiltration", "lateral-movement", "ransomware", "ssh-brute-force"}

// simulated makes pairs of which a share gains containment and another loses it;
// everything else is equal on both sides.
func simulated(seed uint64, scenarios []string, gain, loss float64) RoundSource {
	r := rand.New(rand.NewPCG(seed, 1))
	index := 0
	return func(_ context.Context, rounds int) ([][]Pair, error) {
		var out [][]Pair
		for range rounds {
			var round []Pair
			for _, s := range scenarios {
				b, c := false, false
				switch u := r.Float64(); {
				case u < gain:
					c = true
				case u < gain+loss:
					b = true
				case u < gain+loss+(1-gain-loss)/2:
					b, c = true, true
				}
				round = append(round, Pair{Scenario: s, Index: index, Baseline: side(b), Candidate: side(c)})
			}
			out = append(out, round)
			index++
		}
		return out, nil
	}
}

func side(contained bool) Side {
	return Side{Trial: &record.Trial{Status: "ok", Outcome: record.OutcomeContained, Horizon: 6 * 3600e9, Detected: true, Contained: contained, Score: 50, CollateralSeconds: 3600, AlertsFalse: 2}}
}

// rates runs many simulated gates.
func rates(tb testing.TB, from, gates int, gain, loss float64) (pass, fail float64, median int) {
	tb.Helper()
	policy, err := Default()
	require.NoError(tb, err)
	var used []int
	for i := range gates {
		r, err := Run(context.Background(), policy, fourScenarios, simulated(uint64(from+i), fourScenarios, gain, loss))
		require.NoError(tb, err)
		switch r.Verdict {
		case Pass:
			pass++
		case Fail:
			fail++
		}
		used = append(used, r.TrialsUsed)
	}
	slices.Sort(used)
	return pass / float64(gates), fail / float64(gates), used[gates/2]
}

// errorCases are the truths of docs/statistics.md: flips is the share of pairs that
// turn either way without a reason.
func errorCases(visit func(name string, gain, loss, truth float64)) {
	for _, flips := range []float64{0, 0.05, 0.10} {
		for _, lost := range []float64{0, 0.03, 0.08} {
			visit(fmt.Sprintf("flips=%g%%/lost=%gpoints", 100*flips, 100*lost), flips/2, flips/2+lost, lost)
		}
	}
}

// BenchmarkErrorRates measures how often the default policy passes and fails, and how
// many trials that takes, beside the trials of a fixed-size test that would be right
// as often. An iteration is 200 gates.
func BenchmarkErrorRates(b *testing.B) {
	errorCases(func(name string, gain, loss, truth float64) {
		b.Run(name, func(b *testing.B) {
			var pass, fail, median float64
			for i := range b.N {
				p, f, m := rates(b, 200*i, 200, gain, loss)
				pass, fail, median = pass+p/float64(b.N), fail+f/float64(b.N), median+float64(m)/float64(b.N)
			}
			right := pass
			if truth > 0.03 {
				right = fail
			}
			if sd := math.Sqrt(gain + loss - truth*truth); truth != 0.03 && sd > 0 {
				b.ReportMetric(2*stats.SampleSizePaired(math.Abs(truth-0.03), sd, min(right, 0.9995), 0.05), "trials(fixed)")
			}
			b.ReportMetric(100*pass, "%pass")
			b.ReportMetric(100*fail, "%fail")
			b.ReportMetric(median, "trials(median)")
			b.ReportMetric(0, "ns/op")
		})
	})
}

func TestErrorRatesHold(t *testing.T) {
	errorCases(func(name string, gain, loss, truth float64) {
		pass, fail, _ := rates(t, 0, 100, gain, loss)
		slack := 3 * math.Sqrt(0.05*0.95/100)
		switch truth {
		case 0:
			require.GreaterOrEqual(t, pass, 0.9-slack, name)
			require.LessOrEqual(t, fail, 0.05+slack, name)
		case 0.03:
			require.LessOrEqual(t, pass, 0.05+slack, name)
			require.LessOrEqual(t, fail, 0.05+slack, name)
		default:
			require.GreaterOrEqual(t, fail, 0.9-slack, name)
			require.Zero(t, pass, name)
		}
	})
}
