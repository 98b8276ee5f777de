package sigma

import (
	"math"

	"hemostat/sim/event"
)

// clause is a set of conditions of which one must hold, and how rarely that is to
// be expected: smaller is better.
type clause struct {
	atoms   []*atom
	present []fieldRef
	cost    float64
}

// unbounded is the clause that says nothing.
var unbounded = clause{cost: math.Inf(1)}

func (c clause) says() bool { return !math.IsInf(c.cost, 1) }

// clauseOf derives a clause from a part of a converted detection.
func clauseOf(n node, rename renaming) clause {
	switch n := n.(type) {
	case allNode:
		best := unbounded
		for _, p := range n {
			if c := clauseOf(p, rename); c.cost < best.cost {
				best = c
			}
		}
		return best
	case anyNode:
		all := clause{}
		for _, p := range n {
			c := clauseOf(p, rename)
			if !c.says() {
				return unbounded
			}
			all.atoms = append(all.atoms, c.atoms...)
			all.present = append(all.present, c.present...)
			all.cost += c.cost
		}
		return all
	case *atom:
		return atomClause(n)
	case existsNode:
		return present(rename.apply(n.f))
	case cidrNode:
		return present(rename.apply(n.f))
	case compareNode:
		return present(rename.apply(n.f))
	case fieldrefNode:
		return present(rename.apply(n.f))
	case arrayNode:
		if n.quantifier == "none" || n.quantifier == "all_or_empty" {
			return unbounded
		}
		return present(rename.apply(n.f))
	}
	return unbounded
}

func present(f fieldRef) clause { return clause{present: []fieldRef{f}, cost: 0.9} }

func atomClause(a *atom) clause {
	length := float64(len(a.literal))
	switch {
	case a.whole && !a.field.none():
		return clause{atoms: []*atom{a}, cost: max(0.2*math.Pow(0.8, length), commonness(a.field))}
	case a.literal != "":
		cost := max(0.5*math.Pow(0.75, length), commonness(a.field))
		if len(a.literal) < leastSampled && !a.start && !a.end {
			cost *= 3 // it takes a pass of its own
		}
		return clause{atoms: []*atom{a}, cost: cost}
	case a.field.none():
		return unbounded
	}
	return present(a.field)
}

// commonness is how often a literal of a field stands in it at least: program
// names recur far more than pieces of command lines.
func commonness(f fieldRef) float64 {
	switch f.field {
	case event.EventID, event.ProviderName, event.LogChannel:
		return 0.05
	case event.Image, event.ParentImage, event.OriginalFileName, event.SourceImage, event.TargetImage, event.Description, event.Product, event.Company:
		return 0.02
	}
	return 1e-4
}
