// Package attackgraph draws what the alerts of a campaign say of the way that an attacker
// took: hosts, accounts, addresses, names and files are nodes, what happened between them
// edges with times and the alerts that are evidence.
//
// graph.go builds the graph, analysis.go finds the root cause, the critical path and the
// blast radius, cut.go the smallest cut that would stop the attacker, encode.go writes JSON
// and DOT, svg.go draws. The graph is built when somebody asks for it, from alerts that
// fusion keeps in bounded numbers. Nothing here knows what is true; an edge is as certain as
// its alerts.
package attackgraph

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/inventory"
	"hemostat/sim/severity"
)

// NodeKind is what a node stands for.
type NodeKind string

// The kinds of nodes.
const (
	HostNode      NodeKind = "host"
	AccountNode   NodeKind = "account"
	AddressNode   NodeKind = "address" // outside the estate
	DomainNode    NodeKind = "domain"  // outside the estate
	FileNode      NodeKind = "file"    // by its SHA-256
	TechniqueNode NodeKind = "technique"
	AlertNode     NodeKind = "alert"
)

// isOutside tells whether the kind is of things outside the estate.
func (k NodeKind) isOutside() bool { return k == AddressNode || k == DomainNode }

// isHeld tells whether an attacker can hold a node of the kind, and go on from it.
func (k NodeKind) isHeld() bool { return k == HostNode || k == AccountNode }

// Relation is what an edge says.
type Relation string

// The relations.
const (
	Reaches  Relation = "reaches"           // from an outside address or another host to a host
	Contacts Relation = "communicates-with" // from a host to a place outside
	UsedOn   Relation = "used-on"           // from an account to a host
	Exposes  Relation = "exposes"           // from a host to an account that was used on it
	Runs     Relation = "runs"              // from a host to a file
	Shows    Relation = "shows"             // from an alert to a technique
	IsAbout  Relation = "is-about"          // from an alert to an entity
	Uses     Relation = "uses"              // a technique, by the attacker on a host
)

// Node is a node of the graph.
type Node struct {
	number      int64
	Kind        NodeKind
	Name        string
	First, Last time.Duration // of its alerts
	Severity    severity.Severity
	Confidence  float64 // best of its alerts
	Alerts      []int   // about it, in order, at most maxEvidence
	// Zone, Role and Criticality are those of the inventory, for hosts; Privilege for accounts.
	Zone, Role, Privilege string
	Criticality           float64
	// Known is what feeds know of it, for what is outside and for files.
	Known []indicator.IOC
}

// Key names the node, such as host:WS001.
func (n *Node) Key() string { return string(n.Kind) + ":" + n.Name }

// edge is an edge of the graph.
type edge struct {
	From, To    *Node
	Relation    Relation
	First, Last time.Duration
	Confidence  float64 // that none of its alerts is right is 1 minus this, at most
	Evidence    []int   // alerts, in order, at most maxEvidence
}

// Observation is an alert with what fusion found about it.
type Observation struct {
	Alert *alert.Alert
	// Account is the account as the inventory has it, "" for none that it knows.
	Account string
	// Outside is the address outside of the estate that it came from, "" for none.
	Outside string
	// Known is what feeds know of its indicators.
	Known []indicator.IOC
}

// The graph is bounded; what does not fit is counted.
const (
	maxNodes    = 600
	maxEdges    = 3000
	maxEvidence = 32
)

// Graph is an attack graph.
type Graph struct {
	inventory *inventory.Inventory
	epoch     time.Time
	nodes     []*Node
	byKey     map[string]*Node
	edges     []*edge
	byEnds    map[edgeKey]*edge
	// LeftOut counts nodes and edges beyond the bounds.
	LeftOut int
	// Alerts are the alerts behind it.
	Alerts int
	paths  map[*Node]arrivals
}

type edgeKey struct {
	from, to int64
	relation Relation
}

// New builds the graph of alerts. The epoch is the time at which their times count from 0.
func New(v *inventory.Inventory, epoch time.Time, observations []Observation) *Graph {
	g := &Graph{inventory: v, epoch: epoch, byKey: map[string]*Node{}, byEnds: map[edgeKey]*edge{}}
	sorted := slices.Clone(observations)
	slices.SortStableFunc(sorted, func(a, b Observation) int {
		return cmp.Or(cmp.Compare(a.Alert.EventTime, b.Alert.EventTime), cmp.Compare(a.Alert.ID, b.Alert.ID))
	})
	for i := range sorted {
		g.add(&sorted[i])
	}
	return g
}

// add takes an alert in.
func (g *Graph) add(o *Observation) {
	g.Alerts++
	a := o.Alert
	host := g.host(a.Host, a)
	source := g.host(a.Source, a)
	var from *Node
	if source != nil && source != host {
		from = source
	} else if a.SourceIP != "" && g.inventory.Host(a.SourceIP) == nil && a.Source == "" {
		from = g.outside(AddressNode, a.SourceIP, a, o.Known)
	}
	var account *Node
	if o.Account != "" || !isGuessing(a) { // a name that was guessed is no account in use
		account = g.account(cmp.Or(o.Account, a.User), a)
	}
	destination := g.outside(AddressNode, a.Destination, a, o.Known)
	var domain *Node
	if a.Domain != "" && g.inventory.Host(a.Domain) == nil {
		domain = g.outside(DomainNode, a.Domain, a, o.Known)
	}
	file := g.outside(FileNode, a.FileHash, a, o.Known)
	g.connect(from, host, Reaches, a)
	g.connect(host, account, Exposes, a)
	g.connect(account, host, UsedOn, a)
	g.connect(host, destination, Contacts, a)
	if host != nil {
		g.connect(host, domain, Contacts, a)
	} else {
		g.connect(source, domain, Contacts, a)
		g.connect(source, destination, Contacts, a)
	}
	g.connect(host, file, Runs, a)
	self := g.node(AlertNode, alertName(a), a)
	if self == nil {
		return
	}
	for _, n := range []*Node{host, source, from, account, destination, domain, file} {
		g.connect(self, n, IsAbout, a)
	}
	for _, t := range a.Techniques {
		technique := g.node(TechniqueNode, t, a)
		g.connect(self, technique, Shows, a)
		g.connect(host, technique, Uses, a)
	}
}

// isGuessing tells whether an alert is about passwords being guessed.
func isGuessing(a *alert.Alert) bool { return strings.HasPrefix(a.Technique(), "T1110") }

// host is the node of a host, which the inventory may know under another name.
func (g *Graph) host(name string, a *alert.Alert) *Node {
	if name == "" {
		return nil
	}
	h := g.inventory.Host(name)
	if h != nil {
		name = h.Name
	}
	n := g.node(HostNode, name, a)
	if n != nil && h != nil {
		n.Zone, n.Role, n.Criticality = h.Zone, string(h.Role), h.Criticality
	}
	return n
}

func (g *Graph) account(name string, a *alert.Alert) *Node {
	if name == "" {
		return nil
	}
	known := g.inventory.Account(name)
	if known != nil {
		name = known.Name
	}
	n := g.node(AccountNode, name, a)
	if n != nil && known != nil {
		n.Privilege = known.Privilege
	}
	return n
}

// outside is the node of something that feeds may know.
func (g *Graph) outside(kind NodeKind, name string, a *alert.Alert, known []indicator.IOC) *Node {
	if name == "" {
		return nil
	}
	n := g.node(kind, name, a)
	if n == nil {
		return nil
	}
	for _, i := range known {
		if i.Context[Asked] != name && i.Value != name {
			continue
		}
		if !slices.ContainsFunc(n.Known, func(k indicator.IOC) bool {
			return k.Source == i.Source && k.Type == i.Type && k.Value == i.Value
		}) {
			n.Known = append(n.Known, i)
		}
	}
	return n
}

// Asked is the context under which an indicator names the value that it was found by, where
// that is another than its own: an address in a network, a name below a domain.
const Asked = "asked"

// node finds or makes a node, and takes an alert about it in; nil where there is no room.
func (g *Graph) node(kind NodeKind, name string, a *alert.Alert) *Node {
	key := string(kind) + ":" + name
	n := g.byKey[key]
	if n == nil {
		if len(g.nodes) >= maxNodes {
			g.LeftOut++
			return nil
		}
		n = &Node{number: int64(len(g.nodes)), Kind: kind, Name: name, First: a.EventTime}
		g.nodes = append(g.nodes, n)
		g.byKey[key] = n
	}
	n.First, n.Last = min(n.First, a.EventTime), max(n.Last, a.EventTime)
	n.Severity = max(n.Severity, a.Severity)
	n.Confidence = max(n.Confidence, a.Confidence)
	if len(n.Alerts) < maxEvidence && !slices.Contains(n.Alerts, a.ID) {
		n.Alerts = append(n.Alerts, a.ID)
	}
	return n
}

// connect adds an alert to the edge between two nodes, where both exist.
func (g *Graph) connect(from, to *Node, r Relation, a *alert.Alert) {
	if from == nil || to == nil || from == to {
		return
	}
	key := edgeKey{from.number, to.number, r}
	e := g.byEnds[key]
	if e == nil {
		if len(g.edges) >= maxEdges {
			g.LeftOut++
			return
		}
		e = &edge{From: from, To: to, Relation: r, First: a.EventTime}
		g.byEnds[key] = e
		g.edges = append(g.edges, e)
	}
	e.First, e.Last = min(e.First, a.EventTime), max(e.Last, a.EventTime)
	e.Confidence = 1 - (1-e.Confidence)*(1-a.Confidence)
	if len(e.Evidence) < maxEvidence && !slices.Contains(e.Evidence, a.ID) {
		e.Evidence = append(e.Evidence, a.ID)
	}
}

// isMovement tells whether the attacker gets from one end of the edge to the other.
func (e *edge) isMovement() bool {
	switch e.Relation {
	case Reaches, UsedOn, Exposes:
		return true
	}
	return false
}
