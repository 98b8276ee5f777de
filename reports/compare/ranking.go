package compare

import (
	"maps"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"hemostat/reports/stats"
)

// Ranked is the confidence of a detector's alerts, and which of them were true.
type Ranked struct {
	True       []bool
	Confidence []float64
}

// Rankings is the alerts of a variant by detector.
type Rankings map[string]*Ranked

// Add takes an alert in.
func (r Rankings) Add(detector string, confidence float64, isTrue bool) {
	if r[detector] == nil {
		r[detector] = &Ranked{}
	}
	r[detector].True = append(r[detector].True, isTrue)
	r[detector].Confidence = append(r[detector].Confidence, confidence)
}

// alertRanking is the area under the ROC curve of a detector's alerts: the chance that
// a true alert has a higher confidence than a false positive. Alerts that never came are
// not in it; technique_detected tells of those.
var alertRanking = Metric{
	Name:   "alert_ranking_auc",
	Kind:   Rate,
	Better: 1,
	Bound:  1,
	Doc:    "chance that a true alert has a higher confidence than a false positive (area under the ROC curve)",
}

// rankingCurve is how well the confidence of one detector's alerts tells true ones from
// false positives. ROC has the share of false positives (x) against that of true alerts
// (y), PR recall (x) against precision (y), as the threshold falls.
type rankingCurve struct {
	Variant  string       `json:"variant"`
	Detector string       `json:"detector"`
	Alerts   int          `json:"alerts"`
	AUC      jsonSide     `json:"auc"`
	ROC      [][2]float64 `json:"roc"`
	PR       [][2]float64 `json:"pr"`
}

// ByRanking adds how well each detector's confidence ranks its alerts. It goes after
// ByDetector, whose table it extends. A detector without both true and false alerts on
// both sides has no row.
func (r *Result) ByRanking(baseline, candidate Rankings) {
	for _, detector := range slices.Sorted(maps.Keys(baseline)) {
		b, c := baseline[detector], candidate[detector]
		if c == nil {
			continue
		}
		before, after := stats.AUC(b.True, b.Confidence, alpha), stats.AUC(c.True, c.Confidence, alpha)
		if math.IsNaN(before.Value + after.Value) {
			continue
		}
		row := Row{
			Scenario:  "*",
			Subject:   detector,
			Metric:    alertRanking,
			Baseline:  side(before, len(b.True)),
			Candidate: side(after, len(c.True)),
		}
		row.independent(before, after)
		r.Detectors = append(r.Detectors, row)
	}
	slices.SortStableFunc(r.Detectors, func(a, b Row) int { return strings.Compare(a.Subject, b.Subject) })
	r.Options.adjust(r.Detectors)
	r.rankings = append(rankingCurves(r.Baseline, baseline), rankingCurves(r.Candidate, candidate)...)
}

// independent sets the difference of two independent estimates and its normal test.
func (r *Row) independent(before, after stats.Interval) {
	d := stats.Difference(before, after)
	r.Difference, r.Lo, r.Hi, r.Effect = d.Value, d.Lo, d.Hi, d.Value
	towardsZero := r.Difference - r.Lo
	if r.Difference < 0 {
		towardsZero = r.Hi - r.Difference
	}
	if r.P = math.NaN(); towardsZero > 0 {
		z := math.Abs(r.Difference) / towardsZero * distuv.UnitNormal.Quantile(1-alpha/2)
		r.P = 2 * distuv.UnitNormal.Survival(z)
	} else if r.Difference == 0 {
		r.P = 1
	}
}

func rankingCurves(variant string, all Rankings) []rankingCurve {
	var out []rankingCurve
	for _, detector := range slices.Sorted(maps.Keys(all)) {
		a := all[detector]
		auc := stats.AUC(a.True, a.Confidence, alpha)
		if math.IsNaN(auc.Value) {
			continue // true alerts only, or false ones only
		}
		s := side(auc, len(a.True))
		out = append(
			out,
			rankingCurve{variant, detector, len(a.True), jsonSide{number(s.Value), number(s.Lo), number(s.Hi), s.N},
				points(stats.ROC(a.True, a.Confidence)), points(stats.PR(a.True, a.Confidence))},
		)
	}
	return out
}

func points(curve []stats.Point) [][2]float64 {
	out := make([][2]float64, len(curve))
	for i, p := range curve {
		out[i] = [2]float64{p.X, p.Y}
	}
	return out
}
