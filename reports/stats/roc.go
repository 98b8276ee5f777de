package stats

import (
	"math"
	"slices"
)

// Point is a point of a curve.
type Point struct{ X, Y float64 }

// ROC is the curve of a score: the share of false alarms (X) against the share of
// hits (Y) as the threshold falls. It is empty without both kinds.
func ROC(hostile []bool, score []float64) []Point {
	var out []Point
	sweep(hostile, score, nil, func(hits, alarms, positives, negatives float64) {
		out = append(out, Point{alarms / negatives, hits / positives})
	})
	return out
}

// PR is the curve of recall (X) against precision (Y) as the threshold falls; it
// tells more than ROC where hostile cases are rare (Saito and Rehmsmeier 2015).
func PR(hostile []bool, score []float64) []Point {
	var out []Point
	sweep(hostile, score, nil, func(hits, alarms, positives, _ float64) {
		if hits+alarms > 0 {
			out = append(out, Point{hits / positives, hits / (hits + alarms)})
		}
	})
	return out
}

// sweep lowers the threshold from above all scores to below them. A case counts as many
// times as its weight says, once without weights.
func sweep(hostile []bool, score, weight []float64, at func(hits, alarms, positives, negatives float64)) {
	positives, negatives := 0.0, 0.0
	of := func(i int) float64 {
		if weight == nil {
			return 1
		}
		return weight[i]
	}
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
		if hostile[i] {
			positives += of(i)
		} else {
			negatives += of(i)
		}
	}
	if positives == 0 || negatives == 0 {
		return
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case score[a] > score[b]:
			return -1
		case score[a] < score[b]:
			return 1
		}
		return a - b
	})
	hits, alarms := 0.0, 0.0
	at(0, 0, positives, negatives)
	for i, o := range order {
		if hostile[o] {
			hits += of(o)
		} else {
			alarms += of(o)
		}
		if i+1 == len(order) || score[order[i+1]] != score[o] {
			at(hits, alarms, positives, negatives)
		}
	}
}

// AUC is the area under the ROC curve with the interval of DeLong, DeLong and
// Clarke-Pearson (1988).
func AUC(hostile []bool, score []float64, alpha float64) Interval {
	p := placements(hostile, score)
	if p == nil {
		return nothing()
	}
	se := math.Sqrt(
		covariance(p.hits, p.hits)/float64(len(p.hits)) + covariance(p.quiet, p.quiet)/float64(len(p.quiet)),
	)
	z := normalQuantile(alpha)
	return Interval{p.auc, max(0, p.auc-z*se), min(1, p.auc+z*se)}
}

// placement is, for each hostile case, the share of quiet ones that it is above,
// and for each quiet case the share of hostile ones that are above it.
type placement struct {
	hits, quiet []float64
	auc         float64
}

// placements need n log n time by ranks. They are nil without both kinds.
func placements(hostile []bool, score []float64) *placement {
	if len(hostile) != len(score) {
		return nil
	}
	var x, y []float64
	for i, s := range score {
		if hostile[i] {
			x = append(x, s)
		} else {
			y = append(y, s)
		}
	}
	if len(x) == 0 || len(y) == 0 {
		return nil
	}
	m, n := float64(len(x)), float64(len(y))
	all, _ := rank(append(slices.Clone(x), y...))
	ownX, _ := rank(x)
	ownY, _ := rank(y)
	p := &placement{hits: make([]float64, len(x)), quiet: make([]float64, len(y))}
	for i := range x {
		p.hits[i] = (all[i] - ownX[i]) / n
		p.auc += p.hits[i] / m
	}
	for i := range y {
		p.quiet[i] = 1 - (all[len(x)+i]-ownY[i])/m
	}
	return p
}

func covariance(x, y []float64) float64 {
	mx, _ := moments(x)
	my, _ := moments(y)
	sum := 0.0
	for i := range x {
		sum += (x[i] - mx) * (y[i] - my)
	}
	return sum / float64(len(x)-1)
}
