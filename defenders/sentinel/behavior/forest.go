package behavior

import "math"

// forest is streaming half-space trees (Tan, Ting and Liu 2011) over what an entity did in a
// window, all together: it knows combinations that no single count shows. Each tree halves
// the space of the features again and again at random; where few windows fell in the time of
// reference, a window stands alone.
type forest struct {
	Trees   []tree `json:"trees"`
	Windows int    `json:"windows"` // in the present period
	Ready   bool   `json:"ready"`   // a period of reference is over
}

// tree holds the mass of each node, of the period of reference and of the present one.
type tree struct {
	Reference []float32 `json:"reference"`
	Latest    []float32 `json:"latest"`
}

const (
	treeCount = 20
	treeDepth = 9
	// period is how many windows are a period of reference.
	period = 4000
	// top is the logarithm of a count that is taken for the greatest, 2^12.
	top = 12
)

func newForest() forest {
	f := forest{Trees: make([]tree, treeCount)}
	for i := range f.Trees {
		f.Trees[i] = tree{make([]float32, 1<<(treeDepth+1)), make([]float32, 1<<(treeDepth+1))}
	}
	return f
}

// split is the feature and the place at which a node halves the space; it follows from the
// number of tree and node alone.
func split(tree, node, depth int) (feature int, at float64) {
	h := key(uint64(tree), uint64(node), 13)
	return int(h % featureCount), float64(h>>32%1024) / 1024 * math.Exp2(-float64(depth)/4)
}

// walk calls f for the nodes that a window falls into, from the root.
func walk(tree int, features *[featureCount]float32, f func(node, depth int)) {
	node := 1
	for depth := 0; ; depth++ {
		f(node, depth)
		if depth == treeDepth {
			return
		}
		feature, at := split(tree, node, depth)
		node *= 2
		if math.Log2(1+float64(features[feature]))/top > at {
			node++
		}
	}
}

// surprise is how alone a window stands, in bits: of the mean mass of the nodes that it falls
// into, against that of the root.
func (f *forest) surprise(features *[featureCount]float32) float64 {
	if !f.Ready {
		return 0
	}
	total := 0.0
	for i := range f.Trees {
		mass := 0.0
		walk(i, features, func(node, depth int) {
			if depth == treeDepth || f.Trees[i].Reference[node] < 0.002*period {
				if mass == 0 {
					mass = float64(f.Trees[i].Reference[node]) + 1
					mass *= math.Exp2(0.25 * float64(depth-treeDepth))
				}
			}
		})
		total += math.Log2((period + 1) / mass)
	}
	return max(0, total/treeCount-8)
}

// learn takes a window in.
func (f *forest) learn(features *[featureCount]float32) {
	for i := range f.Trees {
		walk(i, features, func(node, _ int) { f.Trees[i].Latest[node]++ })
	}
	if f.Windows++; f.Windows >= period {
		f.Windows, f.Ready = 0, true
		for i := range f.Trees {
			t := &f.Trees[i]
			t.Reference, t.Latest = t.Latest, t.Reference
			clear(t.Latest)
		}
	}
}
