package attackgraph

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/indicator"
	"hemostat/sim/printable"
)

// alertName names the node of an alert.
func alertName(a *alert.Alert) string { return strconv.Itoa(a.ID) }

// Document is the graph as JSON.
type Document struct {
	Nodes         []NodeDocument  `json:"nodes"`
	IOCs          []indicator.IOC `json:"iocs"`
	Relationships []Relationship  `json:"relationships"`
	RootCause     string          `json:"root_cause"` // key of a node, "" for none
	CriticalPath  []string        `json:"critical_path"`
	BlastRadius   RadiusDocument  `json:"blast_radius"`
	Next          []NextDocument  `json:"next"`
	Cut           CutDocument     `json:"cut"`
	// LeftOut counts nodes and relationships beyond the bounds of the graph.
	LeftOut int `json:"left_out"`
}

// NodeDocument is a node as JSON.
type NodeDocument struct {
	ID          string    `json:"id"`
	Kind        NodeKind  `json:"kind"`
	Name        string    `json:"name"`
	FirstSeen   time.Time `json:"first_seen"`
	LastSeen    time.Time `json:"last_seen"`
	Severity    string    `json:"severity"`
	Confidence  float64   `json:"confidence"`
	Evidence    []int     `json:"evidence"` // alerts
	Zone        string    `json:"zone,omitempty"`
	Role        string    `json:"role,omitempty"`
	Privilege   string    `json:"privilege,omitempty"`
	Criticality float64   `json:"criticality,omitempty"`
}

// Relationship is an edge as JSON.
type Relationship struct {
	Source     string    `json:"source"`
	Target     string    `json:"target"`
	Type       Relation  `json:"type"`
	FirstSeen  time.Time `json:"first_seen"`
	LastSeen   time.Time `json:"last_seen"`
	Confidence float64   `json:"confidence"`
	Evidence   []int     `json:"evidence"` // alerts
}

// RadiusDocument is a blast radius as JSON.
type RadiusDocument struct {
	Hosts       []string `json:"hosts"`
	Accounts    []string `json:"accounts"`
	Criticality float64  `json:"criticality"`
	Share       float64  `json:"share"`
	InReach     int      `json:"hosts_in_reach"`
	ReachShare  float64  `json:"share_in_reach"`
}

// NextDocument is a likely next host as JSON.
type NextDocument struct {
	Host        string  `json:"host"`
	Probability float64 `json:"probability"`
	Zone        string  `json:"zone,omitempty"`
	Role        string  `json:"role,omitempty"`
}

// CutDocument is a cut as JSON.
type CutDocument struct {
	Nodes []string `json:"nodes"`
	Cost  float64  `json:"cost"`
}

// Document writes the graph out. A forecast gives probabilities of the next host; nil for
// none.
func (g *Graph) Document(forecast map[string]float64) Document {
	d := Document{Nodes: []NodeDocument{}, IOCs: g.IOCs(), Relationships: []Relationship{}, CriticalPath: []string{},
		Next: []NextDocument{}, Cut: CutDocument{Nodes: []string{}}, LeftOut: g.LeftOut}
	at := func(t time.Duration) time.Time { return g.epoch.Add(t).UTC() }
	for _, n := range g.nodes {
		d.Nodes = append(d.Nodes, NodeDocument{
			ID: n.Key(), Kind: n.Kind, Name: n.Name, FirstSeen: at(n.First), LastSeen: at(n.Last),
			Severity: n.Severity.String(), Confidence: rounded(n.Confidence), Evidence: n.Alerts,
			Zone: n.Zone, Role: n.Role, Privilege: n.Privilege, Criticality: n.Criticality,
		})
	}
	for _, e := range g.edges {
		d.Relationships = append(d.Relationships, Relationship{
			Source: e.From.Key(), Target: e.To.Key(), Type: e.Relation, FirstSeen: at(e.First), LastSeen: at(e.Last),
			Confidence: rounded(e.Confidence), Evidence: e.Evidence,
		})
	}
	if root := g.RootCause(); root != nil {
		d.RootCause = root.Key()
	}
	for _, n := range g.criticalPath() {
		d.CriticalPath = append(d.CriticalPath, n.Key())
	}
	r := g.blastRadius()
	d.BlastRadius = RadiusDocument{Hosts: orEmpty(r.Hosts), Accounts: orEmpty(r.Accounts),
		Criticality: rounded(r.Criticality), Share: rounded(r.Share), InReach: r.InReach, ReachShare: rounded(r.ReachShare)}
	for _, n := range g.Next(forecast) {
		d.Next = append(d.Next, NextDocument{n.Host, rounded(n.Probability), n.Zone, n.Role})
	}
	cut := g.Cut()
	for _, n := range cut.Nodes {
		d.Cut.Nodes = append(d.Cut.Nodes, n.Key())
	}
	d.Cut.Cost = rounded(cut.Cost)
	return d
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func rounded(x float64) float64 { return math.Round(1e4*x) / 1e4 }

// IOCs are the indicators of the graph: what is outside the estate, and files. Those that a
// feed knows carry its name, others that of the program.
func (g *Graph) IOCs() []indicator.IOC {
	out := []indicator.IOC{}
	for _, n := range g.nodes {
		if !n.Kind.isOutside() && n.Kind != FileNode {
			continue
		}
		kind, value, err := indicator.Guess(n.Name)
		if err != nil {
			continue // a private address, for instance, is no indicator
		}
		i := indicator.IOC{
			Value: value, Type: kind, FirstSeen: g.epoch.Add(n.First).UTC(), LastSeen: g.epoch.Add(n.Last).UTC(),
			Source: "hemostat", Confidence: rounded(n.Confidence), Context: map[string]string{"alerts": numbers(n.Alerts)},
		}
		var sources []string
		for _, k := range n.Known {
			sources = append(sources, k.Source)
			for _, t := range k.Tags {
				if !slices.Contains(i.Tags, t) {
					i.Tags = append(i.Tags, t)
				}
			}
			i.Confidence = max(i.Confidence, rounded(k.Confidence))
		}
		if len(sources) > 0 {
			i.Context["known_by"] = strings.Join(sources, ",")
		}
		out = append(out, i)
	}
	return out
}

func numbers(ids []int) string {
	var out []string
	for _, id := range ids {
		out = append(out, strconv.Itoa(id))
	}
	return strings.Join(out, ",")
}

// WriteDOT writes the graph in the language of Graphviz. What comes from events is quoted.
func (g *Graph) WriteDOT(to io.Writer) error {
	marks := g.marks()
	var b strings.Builder
	b.WriteString("digraph incident {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n")
	for _, n := range g.nodes {
		fmt.Fprintf(&b, "  n%d [label=%s, shape=%s%s];\n", n.number, dotQuote(label(n)), shapes[n.Kind], marks.dot(n))
	}
	for _, e := range g.edges {
		style := ""
		if marks.onPath(e) {
			style = ", penwidth=3"
		}
		fmt.Fprintf(&b, "  n%d -> n%d [label=%s%s];\n", e.From.number, e.To.number, dotQuote(string(e.Relation)), style)
	}
	b.WriteString("}\n")
	_, err := io.WriteString(to, b.String())
	return err
}

var shapes = map[NodeKind]string{
	HostNode: "box", AccountNode: "ellipse", AddressNode: "diamond", DomainNode: "diamond", FileNode: "note",
	TechniqueNode: "plaintext", AlertNode: "point",
}

// label is what a node is called where it is drawn.
func label(n *Node) string {
	if n.Kind == AlertNode {
		return "alert " + n.Name
	}
	return shortened(n.Name)
}

// shortened keeps a name short enough to be drawn.
func shortened(name string) string {
	const most = 40
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	return string(runes[:most-1]) + "…"
}

// dotQuote quotes a text for DOT.
func dotQuote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable.Text(text)) + `"`
}

// marks are the nodes that stand out.
type marks struct {
	root *Node
	path []*Node
	cut  map[*Node]bool
}

func (g *Graph) marks() marks {
	m := marks{root: g.RootCause(), path: g.criticalPath(), cut: map[*Node]bool{}}
	for _, n := range g.Cut().Nodes {
		m.cut[n] = true
	}
	return m
}

func (m *marks) dot(n *Node) string {
	out := ""
	if n == m.root {
		out += ", peripheries=2"
	}
	if m.cut[n] {
		out += ", style=dashed"
	}
	if n.Severity >= threatening {
		out += `, color="#b3261e"`
	}
	return out
}

// onPath tells whether an edge is a part of the critical path.
func (m *marks) onPath(e *edge) bool {
	for i := 0; i+1 < len(m.path); i++ {
		if m.path[i] == e.From && m.path[i+1] == e.To && e.isMovement() {
			return true
		}
	}
	return false
}

// Hosts, accounts and the like of a cut, by kind.
func (c *Cut) names(kind NodeKind) []string {
	var out []string
	for _, n := range c.Nodes {
		if n.Kind == kind {
			out = append(out, n.Name)
		}
	}
	slices.Sort(out)
	return out
}

// Kinds gives the names of the nodes of the cut by kind.
func (c *Cut) Kinds() map[NodeKind][]string {
	out := map[NodeKind][]string{}
	for _, n := range c.Nodes {
		out[n.Kind] = nil
	}
	for _, kind := range slices.Sorted(maps.Keys(out)) {
		out[kind] = c.names(kind)
	}
	return out
}
