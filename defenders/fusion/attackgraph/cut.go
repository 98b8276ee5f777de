package attackgraph

import (
	"math"
	"slices"

	"hemostat/sim/severity"
)

// Cut is the cheapest set of entities whose loss would stop the attacker: every way from where
// they come in, or from a host that they hold by a channel that was not seen, to a host that
// they are likely to go to, leads through one of them.
type Cut struct {
	Nodes []*Node
	Cost  float64 // see price
}

// price is what it costs the estate to take an entity away from the attacker: an address or a
// name outside costs little to block, an account as much as the person behind it is hindered,
// a host its worth.
func (n *Node) price() float64 {
	switch n.Kind {
	case AddressNode, DomainNode:
		return 0.2
	case AccountNode:
		switch n.Privilege {
		case "service":
			return 4
		case "server_admin", "domain_admin":
			return 2
		}
		return 1
	}
	return max(0.5, n.Criticality)
}

// network is a flow network over the entities; each is two points, joined by its price.
type network struct {
	capacity       map[[2]int]int
	adjacent       [][]int
	attacker, goal int
}

func (w *network) join(from, to, capacity int) {
	if _, ok := w.capacity[[2]int{from, to}]; !ok {
		w.adjacent[from] = append(w.adjacent[from], to)
		w.adjacent[to] = append(w.adjacent[to], from)
	}
	w.capacity[[2]int{from, to}] += capacity
	if _, ok := w.capacity[[2]int{to, from}]; !ok {
		w.capacity[[2]int{to, from}] = 0
	}
}

// unbounded is the capacity of what cannot be cut.
const unbounded = math.MaxInt32

// priceScale makes whole numbers of prices.
const priceScale = 1000

// Cut finds the smallest cut between the attacker and the hosts that they are likely to go to
// next, by the greatest flow (Edmonds and Karp 1972). The way on from a host are the accounts
// seen on it that administer something; from a host without one it is the host itself. A host
// with an alert of severity high or more that talks to no place outside is held by a channel
// that was not seen, unless the attacker reaches it from another host only.
func (g *Graph) Cut() Cut {
	entities := g.attackerEntities()
	if len(entities) == 0 {
		return Cut{}
	}
	b := g.flowNetwork(entities)
	b.saturate(b.attacker, b.goal)
	reached := b.reach(b.attacker)
	var c Cut
	for i, e := range entities {
		if reached[in(i)] && !reached[out(i)] {
			c.Nodes = append(c.Nodes, e)
			c.Cost += e.price()
		}
	}
	return c
}

// in and out are the two points of an entity; between them lies its price.
func in(i int) int  { return 2 * i }
func out(i int) int { return 2*i + 1 }

// flowNetwork is the network between the attacker and what they are after.
func (g *Graph) flowNetwork(entities []*Node) *network {
	n := len(entities)
	w := &network{capacity: map[[2]int]int{}, adjacent: make([][]int, 2*n+2), attacker: 2 * n, goal: 2*n + 1}
	place := map[*Node]int{}
	for i, e := range entities {
		place[e] = i
	}
	controlled := map[*Node]bool{} // by a channel that was seen
	for _, e := range g.edges {
		from, isFrom := place[e.From]
		to, isTo := place[e.To]
		if !isFrom || !isTo {
			continue
		}
		switch {
		case e.From.Kind.isOutside():
			w.join(out(from), in(to), unbounded)
			controlled[e.To] = true
		case e.To.Kind.isOutside(): // the host is told what to do from there
			w.join(out(to), in(from), unbounded)
			controlled[e.From] = true
		case e.isMovement():
			w.join(out(from), in(to), unbounded)
		}
	}
	for i, e := range entities {
		w.join(in(i), out(i), int(e.price()*priceScale))
		if e.Kind.isOutside() || g.isHeldUnseen(e, controlled[e]) {
			w.join(w.attacker, in(i), unbounded)
		}
		if e.administers() || e.Kind == HostNode && !g.exposesAdmin(e) {
			w.join(out(i), w.goal, unbounded)
		}
	}
	return w
}

// isHeldUnseen tells whether the attacker holds a host by a channel that was not seen: there is
// no other, and either code of theirs runs there, or they came from nowhere else.
func (g *Graph) isHeldUnseen(n *Node, isControlled bool) bool {
	return n.Kind == HostNode && !isControlled && (n.Severity >= severity.High || !g.isMovedTo(n))
}

// administers tells whether an account opens further hosts.
func (n *Node) administers() bool {
	return n.Kind == AccountNode && (n.Privilege == "server_admin" || n.Privilege == "domain_admin")
}

// attackerEntities are the hosts and accounts that serious alerts are about, and the places
// outside.
func (g *Graph) attackerEntities() []*Node {
	var out []*Node
	for _, n := range g.nodes {
		if (n.Kind.isHeld() || n.Kind.isOutside()) && n.isThreatened() {
			out = append(out, n)
		}
	}
	return out
}

// exposesAdmin tells whether an account that opens further hosts was seen on a host.
func (g *Graph) exposesAdmin(n *Node) bool {
	return slices.ContainsFunc(g.edges, func(e *edge) bool {
		return e.From == n && e.Relation == Exposes && e.To.administers() && e.To.isThreatened()
	})
}

// isMovedTo tells whether the attacker came to a host from another entity that counts.
func (g *Graph) isMovedTo(n *Node) bool {
	return slices.ContainsFunc(g.edges, func(e *edge) bool {
		return e.To == n && e.Relation == Reaches && e.From.isThreatened()
	})
}

// saturate sends as much flow as there is room for.
func (w *network) saturate(from, to int) {
	for {
		before := w.search(from)
		if before[to] < 0 {
			return
		}
		most := unbounded
		for at := to; at != from; at = before[at] {
			most = min(most, w.capacity[[2]int{before[at], at}])
		}
		for at := to; at != from; at = before[at] {
			w.capacity[[2]int{before[at], at}] -= most
			w.capacity[[2]int{at, before[at]}] += most
		}
		if most == unbounded { // nothing on the way has a price: it cannot be cut
			return
		}
	}
}

// search goes through the network in breadth; for each point it gives the one before it, -1
// for one that is not reached.
func (w *network) search(from int) []int {
	before := make([]int, len(w.adjacent))
	for i := range before {
		before[i] = -1
	}
	before[from] = from
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, next := range w.adjacent[at] {
			if before[next] < 0 && w.capacity[[2]int{at, next}] > 0 {
				before[next] = at
				queue = append(queue, next)
			}
		}
	}
	return before
}

// reach tells which points have room for flow from one.
func (w *network) reach(from int) []bool {
	out := make([]bool, len(w.adjacent))
	for i, b := range w.search(from) {
		out[i] = b >= 0
	}
	return out
}
