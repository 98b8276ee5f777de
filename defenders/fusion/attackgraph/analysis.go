package attackgraph

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/graph/path"
	"gonum.org/v1/gonum/graph/simple"

	"hemostat/sim/role"
	"hemostat/sim/severity"
)

// arrivals is when an attacker who starts at a node is at each other one at the earliest.
type arrivals map[*Node]time.Duration

// movements are the edges along which an attacker moves.
func (g *Graph) movements() []*edge {
	var out []*edge
	for _, e := range g.edges {
		if e.isMovement() {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b *edge) int { return cmp.Compare(a.First, b.First) })
	return out
}

// arriveFrom follows the movements in the order of time: an edge is taken when the attacker is
// at its beginning before it was last seen.
func (g *Graph) arriveFrom(start *Node, moves []*edge) arrivals {
	if at, ok := g.paths[start]; ok {
		return at
	}
	at := arrivals{start: start.First}
	for changed := true; changed; {
		changed = false
		for _, e := range moves {
			here, ok := at[e.From]
			if !ok || here > e.Last {
				continue
			}
			there := max(here, e.First)
			if old, ok := at[e.To]; !ok || there < old {
				at[e.To], changed = there, true
			}
		}
	}
	if g.paths == nil {
		g.paths = map[*Node]arrivals{}
	}
	g.paths[start] = at
	return at
}

// RootCause is the node from which most alerts are reached along movements in the order of
// time; the earliest one of those, an outside one first. It is nil in a graph without an
// entity.
func (g *Graph) RootCause() *Node {
	moves := g.movements()
	var best *Node
	explained := -1
	for _, n := range g.nodes {
		if !n.Kind.isHeld() && !n.Kind.isOutside() {
			continue
		}
		if n.Kind.isOutside() && !slices.ContainsFunc(moves, func(e *edge) bool { return e.From == n }) {
			continue // a place that is only contacted
		}
		alerts := map[int]bool{}
		for to := range g.arriveFrom(n, moves) {
			for _, id := range to.Alerts {
				alerts[id] = true
			}
		}
		if better(len(alerts), n, explained, best) {
			best, explained = n, len(alerts)
		}
	}
	return best
}

// better tells whether a node explains more, or as much and is the more likely beginning.
func better(alerts int, n *Node, than int, best *Node) bool {
	if best == nil || alerts != than {
		return alerts > than
	}
	if n.First != best.First {
		return n.First < best.First
	}
	if n.Kind.isOutside() != best.Kind.isOutside() {
		return n.Kind.isOutside()
	}
	if (n.Kind == HostNode) != (best.Kind == HostNode) {
		return n.Kind == HostNode
	}
	return n.Name < best.Name
}

// hopCost is what each step of a path costs beside its uncertainty, so that of equally
// certain paths the shorter one is taken.
const hopCost = 0.01

// criticalPath is the likeliest way from the root cause to the host or account that matters
// most: the severest, then the most critical, then the one that was reached last. It is empty
// where nothing moved.
func (g *Graph) criticalPath() []*Node {
	root := g.RootCause()
	if root == nil {
		return nil
	}
	moves := g.movements()
	at := g.arriveFrom(root, moves)
	var target *Node
	for _, n := range g.nodes {
		if _, reached := at[n]; !reached || n == root || n.Kind != HostNode {
			continue
		}
		if target == nil || matters(n, target) {
			target = n
		}
	}
	if target == nil {
		return []*Node{root}
	}
	flow := simple.NewWeightedDirectedGraph(0, math.Inf(1))
	for _, e := range moves {
		if here, ok := at[e.From]; ok && here <= e.Last {
			w := hopCost - math.Log(max(1e-6, e.Confidence))
			if old, exists := flow.Weight(e.From.number, e.To.number); !exists || w < old {
				flow.SetWeightedEdge(flow.NewWeightedEdge(simple.Node(e.From.number), simple.Node(e.To.number), w))
			}
		}
	}
	shortest, _ := path.DijkstraFrom(simple.Node(root.number), flow).To(target.number)
	var out []*Node
	for _, n := range shortest {
		out = append(out, g.nodes[n.ID()])
	}
	return out
}

func matters(a, than *Node) bool {
	if a.Severity != than.Severity {
		return a.Severity > than.Severity
	}
	if a.Criticality != than.Criticality {
		return a.Criticality > than.Criticality
	}
	return a.First > than.First
}

// radius is what an attacker holds, and what they could reach with it in one step.
type radius struct {
	Hosts    []string // with alerts
	Accounts []string // that were used
	// Criticality is the summed worth of the hosts; Share is that of the estate's.
	Criticality, Share float64
	// InReach counts further hosts that the accounts open or that share a zone with a host
	// of the attacker; ReachShare is their share of the estate's worth.
	InReach    int
	ReachShare float64
}

// blastRadius tells what the attacker holds and could reach.
func (g *Graph) blastRadius() radius {
	var r radius
	held, zones := map[string]bool{}, map[string]bool{}
	server, everything := false, false
	for _, n := range g.nodes {
		switch n.Kind {
		case HostNode:
			r.Hosts = append(r.Hosts, n.Name)
			held[n.Name] = true
			zones[n.Zone] = true
			r.Criticality += n.Criticality
		case AccountNode:
			r.Accounts = append(r.Accounts, n.Name)
			server = server || n.Privilege == "server_admin"
			everything = everything || n.Privilege == "domain_admin"
		}
	}
	slices.Sort(r.Hosts)
	slices.Sort(r.Accounts)
	if g.inventory == nil {
		return r
	}
	all, reach := 0.0, 0.0
	for i := range g.inventory.Hosts {
		h := &g.inventory.Hosts[i]
		all += h.Criticality
		if held[h.Name] {
			continue
		}
		isServer := h.Role != role.Workstation && h.Role != role.AdminWorkstation
		if everything || server && isServer || zones[h.Zone] {
			r.InReach++
			reach += h.Criticality
		}
	}
	if all > 0 {
		r.Share, r.ReachShare = r.Criticality/all, reach/all
	}
	return r
}

// Next is a host that the attacker is likely to go to.
type Next struct {
	Host        string
	Probability float64
	Zone, Role  string
}

// maxNext is how many hosts are named as the next ones.
const maxNext = 5

// Next are the hosts that the attacker is likely to go to, the likeliest first. A forecast
// gives probabilities by host; without one they follow from what the attacker holds: hosts of
// the same zones and those that an account opens, by their worth.
func (g *Graph) Next(forecast map[string]float64) []Next {
	var out []Next
	if len(forecast) == 0 {
		forecast = g.guess()
	}
	for name, p := range forecast {
		if g.byKey[string(HostNode)+":"+name] != nil || p <= 0 {
			continue
		}
		n := Next{Host: name, Probability: p}
		if h := g.inventory.Host(name); h != nil {
			n.Zone, n.Role = h.Zone, string(h.Role)
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b Next) int {
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), strings.Compare(a.Host, b.Host))
	})
	return out[:min(len(out), maxNext)]
}

// guess gives hosts a probability by their worth and nearness to what the attacker holds.
func (g *Graph) guess() map[string]float64 {
	if g.inventory == nil {
		return nil
	}
	zones, admin := map[string]bool{}, false
	any := false
	for _, n := range g.nodes {
		any = any || n.Kind.isHeld()
		if n.Kind == HostNode {
			zones[n.Zone] = true
		}
		admin = admin || n.Kind == AccountNode && strings.HasSuffix(n.Privilege, "_admin")
	}
	if !any {
		return nil
	}
	out, sum := map[string]float64{}, 0.0
	for i := range g.inventory.Hosts {
		h := &g.inventory.Hosts[i]
		worth := h.Criticality
		switch {
		case zones[h.Zone] && admin:
		case admin, zones[h.Zone]:
			worth /= 2
		default:
			worth /= 10
		}
		out[h.Name] = worth
		sum += worth
	}
	for name := range out {
		out[name] /= sum
	}
	return out
}

// isThreatened tells whether an alert about the node calls for a response.
func (n *Node) isThreatened() bool { return n.Severity >= severity.Medium }
