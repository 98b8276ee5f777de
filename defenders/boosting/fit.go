package boosting

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"hemostat/defenders/logistic"
)

// Options say how a model is learned.
type Options struct {
	Trees     int     // at most
	Leaves    int     // of a tree at most
	Rate      float64 // share of a tree's step that is taken, above 0 to 1
	Ridge     float64 // weight of the squared values of leaves in the loss
	MinWeight float64 // least sum of p (1 - p) over the examples of a leaf, p as learned so far
}

// maxBins bounds the limits that are tried of each feature.
const maxBins = 64

// leastGain is what a split must lower the loss by to be worth it.
const leastGain = 1e-9

// Fit learns a model from examples, rows of the named features. The same rows in the same
// order give the same model.
func Fit(features []string, rows [][]float64, isTrue []bool, o Options) (*Model, error) {
	trues := 0
	for _, t := range isTrue {
		if t {
			trues++
		}
	}
	if trues == 0 || trues == len(rows) {
		return nil, errors.New("there is nothing to tell apart: the examples are all true, or all false")
	}
	l := newLearner(len(features), rows, isTrue, o)
	m := &Model{Features: features, Bias: rounded(logistic.LogOdds(float64(trues) / float64(len(rows))))}
	for i := range l.logOdds {
		l.logOdds[i] = m.Bias
	}
	for range o.Trees {
		tree := l.grow()
		if len(tree) == 1 { // nothing left to learn
			break
		}
		mean := tree[0].Value
		m.Bias = rounded(m.Bias + mean)
		for i := range tree {
			tree[i].Value = rounded(tree[i].Value - mean)
		}
		m.Trees = append(m.Trees, tree)
	}
	return m, nil
}

func rounded(x float64) float64 { return math.Round(1e5*x) / 1e5 }

// learner holds the examples, their features in bins.
type learner struct {
	options Options
	limits  [][]float64 // by feature, between its bins
	bins    [][]uint8   // by feature and example
	isTrue  []bool
	logOdds []float64 // of the trees so far
	slope   []float64 // of the likelihood
	bend    []float64
}

func newLearner(features int, rows [][]float64, isTrue []bool, o Options) *learner {
	n := len(rows)
	l := &learner{options: o, isTrue: isTrue, logOdds: make([]float64, n), slope: make([]float64, n),
		bend: make([]float64, n)}
	for f := range features {
		values := make([]float64, n)
		for i := range rows {
			values[i] = rows[i][f]
		}
		limits := limitsOf(values)
		bins := make([]uint8, n)
		for i, v := range values {
			bin, _ := slices.BinarySearch(limits, v)
			bins[i] = uint8(bin)
		}
		l.limits, l.bins = append(l.limits, limits), append(l.bins, bins)
	}
	return l
}

// limitsOf are limits between values, evenly over those that differ.
func limitsOf(values []float64) []float64 {
	distinct := slices.Clone(values)
	slices.Sort(distinct)
	distinct = slices.Compact(distinct)
	bins := min(maxBins, len(distinct))
	var limits []float64
	for i := 1; i < bins; i++ {
		at := i * len(distinct) / bins
		limits = append(limits, rounded((distinct[at-1]+distinct[at])/2))
	}
	return slices.Compact(limits)
}

// leaf is a leaf that may be split.
type leaf struct {
	node        int
	examples    []int32
	slope, bend float64
	// gain is what the best split lowers the loss by, 0 for none; it is at a bin of a feature.
	gain         float64
	feature, bin int
}

// grow learns a tree, splitting the leaf that gains most, and takes its step.
func (l *learner) grow() Tree {
	all := make([]int32, len(l.isTrue))
	for i, t := range l.isTrue {
		p := logistic.Of(l.logOdds[i])
		l.slope[i], l.bend[i] = -p, p*(1-p)
		if t {
			l.slope[i]++
		}
		all[i] = int32(i)
	}
	leaves := []*leaf{l.leaf(0, all)}
	tree := Tree{{Feature: isLeaf, Value: l.value(leaves[0])}}
	for len(leaves) < l.options.Leaves {
		x := slices.MaxFunc(leaves, func(a, b *leaf) int { return cmp.Compare(a.gain, b.gain) })
		if x.gain == 0 {
			break
		}
		left, right := l.split(x, len(tree))
		n := &tree[x.node]
		n.Feature, n.Limit, n.Left, n.Right = x.feature, l.limits[x.feature][x.bin], left.node, right.node
		tree = append(tree, Node{Feature: isLeaf, Value: l.value(left)}, Node{Feature: isLeaf, Value: l.value(right)})
		at := slices.Index(leaves, x)
		leaves = slices.Replace(leaves, at, at+1, left, right)
	}
	for _, x := range leaves {
		for _, i := range x.examples {
			l.logOdds[i] += tree[x.node].Value
		}
	}
	return tree
}

// split parts the examples of a leaf; its children are the nodes next and next + 1.
func (l *learner) split(x *leaf, next int) (left, right *leaf) {
	bins := l.bins[x.feature]
	var low, high []int32
	for _, i := range x.examples {
		if int(bins[i]) <= x.bin {
			low = append(low, i)
		} else {
			high = append(high, i)
		}
	}
	return l.leaf(next, low), l.leaf(next+1, high)
}

// value is the step of a leaf.
func (l *learner) value(x *leaf) float64 {
	return rounded(l.options.Rate * x.slope / (x.bend + l.options.Ridge))
}

// leaf makes a leaf, and finds its best split.
func (l *learner) leaf(node int, examples []int32) *leaf {
	x := &leaf{node: node, examples: examples}
	for _, i := range examples {
		x.slope += l.slope[i]
		x.bend += l.bend[i]
	}
	for f := range l.limits {
		l.trySplits(x, f)
	}
	return x
}

// trySplits keeps the best split at a limit of a feature, where it is better than x has.
func (l *learner) trySplits(x *leaf, feature int) {
	var slopes, bends [maxBins]float64
	bins := l.bins[feature]
	for _, i := range x.examples {
		slopes[bins[i]] += l.slope[i]
		bends[bins[i]] += l.bend[i]
	}
	fit := func(slope, bend float64) float64 { return slope * slope / (bend + l.options.Ridge) }
	whole := fit(x.slope, x.bend)
	slope, bend := 0.0, 0.0
	for b := range l.limits[feature] {
		slope += slopes[b]
		bend += bends[b]
		if min(bend, x.bend-bend) < l.options.MinWeight {
			continue
		}
		gain := fit(slope, bend) + fit(x.slope-slope, x.bend-bend) - whole
		if gain > max(leastGain, x.gain) {
			x.gain, x.feature, x.bin = gain, feature, b
		}
	}
}
