// Package boosting learns and asks gradient boosted trees for a probability (Friedman 2001,
// with the Newton steps and the ridge on leaves of Chen and Guestrin 2016, XGBoost). A model
// is a sum of small trees in log odds; a tree of four leaves weighs up to three features
// together. What a model says of one example can be told apart by feature: each step from a
// node to its child adds the difference of their values to the feature that the node asks for
// (Saabas 2014).
package boosting

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Model is a sum of trees over named features.
type Model struct {
	Features []string `json:"features"`
	Bias     float64  `json:"bias"` // log odds of the mean example
	Trees    []Tree   `json:"trees"`
}

// Tree is a tree; its root is the first node.
type Tree []Node

// Node is a node of a tree. Children stand behind it.
type Node struct {
	// Feature is the number of the feature that is asked for, isLeaf for a leaf. An example with
	// at most Limit of it belongs to the child Left, else to Right.
	Feature     int
	Limit       float64
	Left, Right int
	// Value is the mean step, in log odds, of the examples that come here; 0 for the root.
	Value float64
}

const isLeaf = -1

// MarshalJSON writes a leaf as [value], another node as [value, feature, limit, left, right].
func (n Node) MarshalJSON() ([]byte, error) {
	if n.Feature == isLeaf {
		return json.Marshal([]float64{n.Value})
	}
	return json.Marshal([]float64{n.Value, float64(n.Feature), n.Limit, float64(n.Left), float64(n.Right)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Node) UnmarshalJSON(data []byte) error {
	var v []float64
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("a node of a tree is [value] or [value, feature, limit, left, right]: %w", err)
	}
	switch len(v) {
	case 1:
		*n = Node{Feature: isLeaf, Value: v[0]}
	case 5:
		for _, i := range []int{1, 3, 4} {
			if v[i] != math.Trunc(v[i]) || v[i] < 0 || v[i] > math.MaxInt32 {
				return fmt.Errorf("a node of a tree has %g where a number of a feature or node is expected", v[i])
			}
		}
		*n = Node{int(v[1]), v[2], int(v[3]), int(v[4]), v[0]}
	default:
		return fmt.Errorf("a node of a tree has 1 or 5 numbers, not %d", len(v))
	}
	return nil
}

// Check tells whether a model, as it may come from a file, is whole and asks for the features
// in this order.
func (m *Model) Check(features []string) error {
	if !slices.Equal(m.Features, features) {
		return fmt.Errorf("the features are %q, expected are %q", m.Features, features)
	}
	for t, tree := range m.Trees {
		if len(tree) == 0 {
			return fmt.Errorf("tree %d has no node", t+1)
		}
		for i, n := range tree {
			switch {
			case n.Feature == isLeaf:
			case n.Feature >= len(features):
				return fmt.Errorf("tree %d, node %d asks for feature %d; there are %d", t+1, i, n.Feature, len(features))
			case n.Left <= i || n.Right <= i || n.Left >= len(tree) || n.Right >= len(tree):
				return fmt.Errorf("tree %d, node %d: the children %d and %d do not stand behind it", t+1, i, n.Left, n.Right)
			}
		}
	}
	return nil
}

// Without is the model without some features: a tree ends where it asks for one of them.
func (m *Model) Without(left func(feature int) bool) *Model {
	c := &Model{Features: m.Features, Bias: m.Bias}
	for _, tree := range m.Trees {
		tree = slices.Clone(tree)
		for i := range tree {
			if tree[i].Feature != isLeaf && left(tree[i].Feature) {
				tree[i].Feature = isLeaf
			}
		}
		c.Trees = append(c.Trees, tree)
	}
	return c
}

// LogOdds are the log odds of an example. What each feature adds to the bias is added to shares.
func (m *Model) LogOdds(example, shares []float64) float64 {
	z := m.Bias
	for _, tree := range m.Trees {
		n := &tree[0]
		for n.Feature != isLeaf {
			child := n.Right
			if example[n.Feature] <= n.Limit {
				child = n.Left
			}
			step := tree[child].Value - n.Value
			shares[n.Feature] += step
			z += step
			n = &tree[child]
		}
	}
	return z
}
