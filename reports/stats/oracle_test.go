package stats

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// number is a value of a vector, NaN for null.
type number float64

func (n *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = number(math.NaN())
		return nil
	}
	var v float64
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	*n = number(v)
	return nil
}

// vectors reads the cases that stand in testdata/vectors, and those of the same name in
// the folder that HEMOSTAT_STATS_ORACLE names, by default the one beside the project, as
// far as it is there.
func vectors[T any](t *testing.T, name string) []T {
	t.Helper()
	folder := os.Getenv("HEMOSTAT_STATS_ORACLE")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data", "stats-oracle")
	}
	var cases []T
	for _, from := range []string{filepath.Join("testdata", "vectors"), folder} {
		data, err := os.ReadFile(filepath.Join(from, name+".json"))
		if os.IsNotExist(err) {
			t.Logf("there are no vectors %s in %s", name, from)
			continue
		}
		require.NoError(t, err)
		var file struct{ Cases []T }
		require.NoError(t, json.Unmarshal(data, &file))
		require.NotEmpty(t, file.Cases)
		cases = append(cases, file.Cases...)
	}
	if len(cases) == 0 {
		t.Skipf("there are no vectors %s", name)
	}
	return cases
}

const (
	closed    = 1e-6 // relative tolerance of closed forms and exact tests
	iterative = 1e-4
	bootstrap = 1e-3
)

func same(t *testing.T, tolerance float64, want number, got float64, what string, at int) {
	t.Helper()
	if math.IsNaN(float64(want)) {
		require.True(t, math.IsNaN(got), "%s of case %d: %v, where nothing can be said", what, at, got)
		return
	}
	require.InDelta(t, float64(want), got, tolerance*max(math.Abs(float64(want)), 1e-9), "%s of case %d", what, at)
}

func TestVectorsOfProportions(t *testing.T) {
	for i, c := range vectors[struct {
		K, N            int
		Conf            float64
		Clopper_pearson []number
		Wilson          []number
	}](t, "proportion_ci") {
		e, w := ClopperPearson(c.K, c.N, 1-c.Conf), Wilson(c.K, c.N, 1-c.Conf)
		same(t, closed, c.Clopper_pearson[0], e.Lo, "exact lower", i)
		same(t, closed, c.Clopper_pearson[1], e.Hi, "exact upper", i)
		same(t, closed, c.Wilson[0], w.Lo, "score lower", i)
		same(t, closed, c.Wilson[1], w.Hi, "score upper", i)
	}
}

func TestVectorsOfMcNemar(t *testing.T) {
	for i, c := range vectors[struct {
		Only_a, Only_b  int
		Mcnemar_exact_p number
	}](t, "mcnemar_exact") {
		same(t, closed, c.Mcnemar_exact_p, McNemar(c.Only_b, c.Only_a), "p", i)
	}
}

func TestVectorsOfAdjustment(t *testing.T) {
	for i, c := range vectors[struct {
		P        []float64
		Holm, Bh []number
	}](t, "p_adjust") {
		holm, bh := Holm(c.P), BenjaminiHochberg(c.P)
		for j := range c.P {
			same(t, closed, c.Holm[j], holm[j], "Holm", i)
			same(t, closed, c.Bh[j], bh[j], "Benjamini-Hochberg", i)
		}
	}
}

func TestVectorsOfQuantiles(t *testing.T) {
	for i, c := range vectors[struct {
		X, Q  []float64
		Type7 []number
	}](t, "quantiles") {
		sorted := sortedCopy(c.X)
		for j, q := range c.Q {
			same(t, closed, c.Type7[j], Quantile(sorted, q), "quantile", i)
		}
	}
}

func TestVectorsOfMannWhitney(t *testing.T) {
	for i, c := range vectors[struct {
		X, Y                                           []float64
		Method                                         string
		U, P_two_sided, P_greater, Hodges_lehmann, A12 number
		Cliffs_delta                                   number
		Hl_ci95                                        []number
	}](t, "mann_whitney") {
		got := MannWhitney(c.X, c.Y)
		require.Equal(t, c.Method == "exact", got.Exact, "case %d", i)
		same(t, closed, c.U, got.Statistic, "U", i)
		same(t, closed, c.P_two_sided, got.TwoSided, "two-sided p", i)
		same(t, closed, c.P_greater, got.Greater, "p", i)
		same(t, closed, c.A12, a12(c.X, c.Y), "A12", i)
		same(t, closed, c.Cliffs_delta, CliffsDelta(c.X, c.Y), "delta", i)
		if !math.IsNaN(float64(c.Hodges_lehmann)) && c.Hl_ci95 != nil { // given for exact cases only
			hl := HodgesLehmann(c.X, c.Y, 0.05)
			same(t, closed, c.Hodges_lehmann, hl.Value, "shift", i)
			same(t, closed, c.Hl_ci95[0], hl.Lo, "shift, lower", i)
			same(t, closed, c.Hl_ci95[1], hl.Hi, "shift, upper", i)
		}
	}
}

func TestVectorsOfSignedRank(t *testing.T) {
	for i, c := range vectors[struct {
		X, Y           []float64
		Method         string
		V, P_two_sided number
	}](t, "wilcoxon_signed_rank") {
		got := SignedRank(c.X, c.Y)
		require.Equal(t, c.Method == "exact", got.Exact, "case %d", i)
		same(t, closed, c.V, got.Statistic, "V", i)
		same(t, closed, c.P_two_sided, got.TwoSided, "p", i)
	}
}

func TestVectorsOfSurvival(t *testing.T) {
	for i, c := range vectors[struct {
		Time    []float64
		Event   []int
		Group   []int
		Stratum []int
		All_km  struct {
			Times                                         []float64
			Surv, Lower95_loglog, Upper95_loglog, Std_err []number
		}
		Median, Median_lo, Median_hi, Rmst, Rmst_se, Logrank_chisq, Logrank_p number
		Strat_logrank_chisq, Cox_hr, Cox_lo, Cox_hi                           number
		Rmst_tau                                                              float64
	}](t, "survival") {
		var all []Observation
		var groups Groups
		strata := map[int]*Groups{}
		for j, at := range c.Time {
			o := Observation{at, c.Event[j] == 1}
			all = append(all, o)
			s := strata[c.Stratum[j]]
			if s == nil {
				s = &Groups{}
				strata[c.Stratum[j]] = s
			}
			if c.Group[j] == 1 {
				groups.Candidate, s.Candidate = append(groups.Candidate, o), append(s.Candidate, o)
			} else {
				groups.Baseline, s.Baseline = append(groups.Baseline, o), append(s.Baseline, o)
			}
		}
		curve := KaplanMeier(all)
		for j, at := range c.All_km.Times {
			v, se := curve.At(at, 0.05)
			same(t, closed, c.All_km.Surv[j], v.Value, "survival", i)
			same(t, closed, c.All_km.Lower95_loglog[j], v.Lo, "lower", i)
			same(t, closed, c.All_km.Upper95_loglog[j], v.Hi, "upper", i)
			if v.Value > 0 {
				same(t, closed, c.All_km.Std_err[j], se, "standard error", i)
			}
		}
		m := curve.Median(0.05)
		same(t, closed, c.Median, m.Value, "median", i)
		same(t, closed, c.Median_lo, m.Lo, "median, lower", i)
		same(t, closed, c.Median_hi, m.Hi, "median, upper", i)
		mean, se := curve.restrictedMean(c.Rmst_tau)
		same(t, closed, c.Rmst, mean, "restricted mean", i)
		same(t, closed, c.Rmst_se, se, "its standard error", i)
		chi, p := LogRank(groups)
		same(t, closed, c.Logrank_chisq, chi, "log-rank", i)
		same(t, closed, c.Logrank_p, p, "log-rank p", i)
		if small := len(c.Time) < 20; small && math.IsNaN(float64(c.Cox_hr)) {
			continue // not worked out for samples as small as this
		}
		var parts []Groups
		for _, s := range strata {
			parts = append(parts, *s)
		}
		chi, _ = LogRank(parts...)
		same(t, closed, c.Strat_logrank_chisq, chi, "stratified log-rank", i)
		hr := Cox(0.05, groups)
		same(t, iterative, c.Cox_hr, hr.Value, "hazard ratio", i)
		same(t, iterative, c.Cox_lo, hr.Lo, "hazard ratio, lower", i)
		same(t, iterative, c.Cox_hi, hr.Hi, "hazard ratio, upper", i)
	}
}

func TestVectorsOfCompetingRisks(t *testing.T) {
	causes := map[string]int{"censored": 0, "detected": 1, "objective": 2}
	for i, c := range vectors[struct {
		Time, At                    []float64
		Event                       []string
		Cif_detected, Cif_objective []number
	}](t, "competing_risks") {
		var sample []Outcome
		for j, at := range c.Time {
			sample = append(sample, Outcome{at, causes[c.Event[j]]})
		}
		detected, objective := CumulativeIncidence(sample, 1, c.At), CumulativeIncidence(sample, 2, c.At)
		for j := range c.At {
			same(t, closed, c.Cif_detected[j], detected[j], "detected", i)
			same(t, closed, c.Cif_objective[j], objective[j], "objective", i)
		}
	}
}

func TestVectorsOfBCa(t *testing.T) {
	for i, c := range vectors[struct {
		X, Replicates   []float64
		Statistic       string
		T0              float64
		Percentile, Bca []number
	}](t, "bca") {
		require.Equal(t, "mean", c.Statistic)
		mean := func(x []float64) float64 { m, _ := moments(x); return m }
		p, b := Percentile(c.T0, c.Replicates, 0.05), BCa(c.T0, c.Replicates, Influence(c.X, mean), 0.05)
		same(t, bootstrap, c.Percentile[0], p.Lo, "percentile, lower", i)
		same(t, bootstrap, c.Percentile[1], p.Hi, "percentile, upper", i)
		same(t, bootstrap, c.Bca[0], b.Lo, "BCa, lower", i)
		same(t, bootstrap, c.Bca[1], b.Hi, "BCa, upper", i)
	}
}

func TestVectorsOfROC(t *testing.T) {
	for i, c := range vectors[struct {
		Label            []int
		Score_a, Score_b []float64
		Auc_a, Auc_b     number
		Delong_ci95_a    []number
	}](t, "roc") {
		hostile := make([]bool, len(c.Label))
		for j := range hostile {
			hostile[j] = c.Label[j] == 1
		}
		a := AUC(hostile, c.Score_a, 0.05)
		same(t, closed, c.Auc_a, a.Value, "area", i)
		same(t, closed, c.Delong_ci95_a[0], a.Lo, "area, lower", i)
		same(t, closed, c.Delong_ci95_a[1], a.Hi, "area, upper", i)
		same(t, closed, c.Auc_b, AUC(hostile, c.Score_b, 0.05).Value, "area of b", i)
	}
}

func TestVectorsOfMantelHaenszel(t *testing.T) {
	for i, c := range vectors[struct {
		Strata        []Table
		Or, Lo, Hi, P number
	}](t, "mantel_haenszel") {
		odds, p := MantelHaenszel(c.Strata, 0.05)
		same(t, closed, c.Or, odds.Value, "odds ratio", i)
		same(t, closed, c.Lo, odds.Lo, "odds ratio, lower", i)
		same(t, closed, c.Hi, odds.Hi, "odds ratio, upper", i)
		same(t, closed, c.P, p, "p", i)
	}
}
