package attackgraph

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"hemostat/sim/printable"
	"hemostat/sim/severity"
)

// threatening is the severity from which on a node is drawn as one of the attacker's.
const threatening = severity.High

// The measures of the drawing, in pixels.
const (
	columnWidth = 150
	laneHeight  = 84
	laneLabel   = 130
	nodeWidth   = 124
	nodeHeight  = 36
	legend      = 44
	legendWidth = 640
	maxDrawn    = 60
)

// drawing places nodes: lanes for what is outside, for accounts and for each zone, columns in
// the order of time.
type drawing struct {
	graph *Graph
	marks marks
	lanes []string
	nodes []*Node
	x, y  map[*Node]int
	extra int // entities that are not drawn
}

// WriteSVG draws the graph: entities and what happened between them. Alerts and techniques
// are named where one points at a node.
func (g *Graph) WriteSVG(to io.Writer) error {
	d := g.place()
	var b strings.Builder
	width := max(legendWidth, laneLabel+columnWidth*max(1, d.columns())+20)
	height := laneHeight*max(1, len(d.lanes)) + legend
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" `+
		`role="img" aria-label="attack graph" font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	b.WriteString(style)
	for i, lane := range d.lanes {
		class := "lane"
		if i%2 == 1 {
			class = "lane odd"
		}
		fmt.Fprintf(&b, `<rect class="%s" x="0" y="%d" width="%d" height="%d"/><text class="name" x="8" y="%d">%s</text>`+"\n",
			class, i*laneHeight, width, laneHeight, i*laneHeight+laneHeight/2+4, escape(lane))
	}
	for _, e := range g.edges {
		d.drawEdge(&b, e)
	}
	for _, n := range d.nodes {
		d.drawNode(&b, n)
	}
	note := "double border: root cause · thick: critical path · dashed: smallest cut · red: alert of severity high or more"
	if d.extra > 0 {
		note += fmt.Sprintf(" · %d entities not drawn", d.extra)
	}
	fmt.Fprintf(&b, `<text class="note" x="8" y="%d">%s</text>`+"\n</svg>\n", height-16, escape(note))
	_, err := io.WriteString(to, b.String())
	return err
}

const style = `<style>
svg{background:#fff;color:#1b1b1f}.lane{fill:#fff}.odd{fill:#f4f4f8}.name{fill:#55555f}.note{fill:#55555f;font-size:11px}
.node rect{fill:#fff;stroke:#5b5b66;stroke-width:1.5}.node text{fill:#1b1b1f;text-anchor:middle}
.node.bad rect{stroke:#b3261e;fill:#fdf1f0}.node.cut rect{stroke-dasharray:5 3;stroke-width:2.5}
.edge{fill:none;stroke:#8b8b96;stroke-width:1.2}.edge.path{stroke:#b3261e;stroke-width:3}
@media(prefers-color-scheme:dark){svg{background:#17171a}.lane{fill:#17171a}.odd{fill:#202026}.name,.note{fill:#a9a9b4}
.node rect{fill:#26262c;stroke:#9b9ba8}.node text{fill:#ececf1}.node.bad rect{stroke:#ff8a80;fill:#3a2120}
.edge{stroke:#74747f}.edge.path{stroke:#ff8a80}}
</style>
<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse"
 orient="auto"><path d="M0 0 8 4 0 8z" fill="#8b8b96"/></marker></defs>
`

// place chooses what is drawn and where.
func (g *Graph) place() *drawing {
	d := &drawing{graph: g, marks: g.marks(), x: map[*Node]int{}, y: map[*Node]int{}}
	d.choose()
	lanes := d.makeLanes()
	// A node takes the first column at or after that of the node before it in which its lane
	// has room, so that columns stand in the order of time.
	taken, column := map[[2]int]bool{}, 0
	for i, n := range d.nodes {
		lane := lanes[laneOf(n)]
		if i > 0 && n.First != d.nodes[i-1].First && d.follows(n) {
			column++
		}
		for taken[[2]int{lane, column}] {
			column++
		}
		taken[[2]int{lane, column}] = true
		d.x[n] = laneLabel + column*columnWidth
		d.y[n] = lane*laneHeight + (laneHeight-nodeHeight)/2
	}
	return d
}

// choose takes the entities that are drawn, in the order of time: the most important ones
// where there are many.
func (d *drawing) choose() {
	for _, n := range d.graph.nodes {
		if n.Kind.isHeld() || n.Kind.isOutside() {
			d.nodes = append(d.nodes, n)
		}
	}
	if len(d.nodes) > maxDrawn {
		slices.SortStableFunc(d.nodes, func(a, b *Node) int { return cmp.Compare(d.importance(b), d.importance(a)) })
		d.extra = len(d.nodes) - maxDrawn
		d.nodes = d.nodes[:maxDrawn]
	}
	slices.SortStableFunc(d.nodes, func(a, b *Node) int { return cmp.Compare(a.First, b.First) })
}

// importance orders nodes where not all can be drawn: what stands out comes first.
func (d *drawing) importance(n *Node) float64 {
	score := float64(n.Severity) + n.Confidence
	if n == d.marks.root || d.marks.cut[n] || slices.Contains(d.marks.path, n) {
		score += 100
	}
	return score
}

// The lanes above those of the zones.
const (
	outsideLane = "outside"
	accountLane = "accounts"
)

// makeLanes names the lanes that are needed, and gives the place of each.
func (d *drawing) makeLanes() map[string]int {
	needed := map[string]int{}
	for _, n := range d.nodes {
		needed[laneOf(n)] = 0
	}
	var zones []string
	for name := range needed {
		if name != outsideLane && name != accountLane {
			zones = append(zones, name)
		}
	}
	slices.Sort(zones)
	for _, name := range append([]string{outsideLane, accountLane}, zones...) {
		if _, ok := needed[name]; ok {
			needed[name] = len(d.lanes)
			d.lanes = append(d.lanes, name)
		}
	}
	return needed
}

// follows tells whether an edge leads to the node from one that is placed already.
func (d *drawing) follows(n *Node) bool {
	return slices.ContainsFunc(d.graph.edges, func(e *edge) bool {
		_, placed := d.x[e.From]
		return e.To == n && placed && e.isMovement()
	})
}

func (d *drawing) columns() int {
	most := 0
	for _, x := range d.x {
		most = max(most, (x-laneLabel)/columnWidth+1)
	}
	return most
}

func laneOf(n *Node) string {
	switch {
	case n.Kind.isOutside():
		return outsideLane
	case n.Kind == AccountNode:
		return accountLane
	}
	return "zone " + cmp.Or(n.Zone, "unknown")
}

func (d *drawing) drawNode(b *strings.Builder, n *Node) {
	class := "node"
	if n.Severity >= threatening {
		class += " bad"
	}
	if d.marks.cut[n] {
		class += " cut"
	}
	x, y, round := d.x[n], d.y[n], 2
	if n.Kind == AccountNode {
		round = nodeHeight / 2
	} else if n.Kind.isOutside() {
		round = 10
	}
	box := func(grow int) {
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="%d"/>`, x-grow, y-grow, nodeWidth+2*grow,
			nodeHeight+2*grow, round+grow)
	}
	fmt.Fprintf(b, `<g class="%s"><title>%s</title>`, class, escape(d.describe(n)))
	if n == d.marks.root {
		box(4)
	}
	box(0)
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text></g>`+"\n", x+nodeWidth/2, y+nodeHeight/2+4, escape(drawnName(n.Name)))
}

// drawnName fits into a box.
func drawnName(name string) string {
	const most = 17
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}

// describe says what a pointer that rests on a node tells.
func (d *drawing) describe(n *Node) string {
	text := fmt.Sprintf("%s, severity %s, %d alerts", n.Key(), n.Severity, len(n.Alerts))
	var techniques []string
	for _, e := range d.graph.edges {
		if e.From == n && e.Relation == Uses {
			techniques = append(techniques, e.To.Name)
		}
	}
	if len(techniques) > 0 {
		text += ": " + strings.Join(techniques, ", ")
	}
	return text
}

func (d *drawing) drawEdge(b *strings.Builder, e *edge) {
	x1, ok1 := d.x[e.From]
	x2, ok2 := d.x[e.To]
	if !ok1 || !ok2 || e.Relation == Exposes { // an account is drawn by where it is used
		return
	}
	y1, y2 := d.y[e.From]+nodeHeight/2, d.y[e.To]+nodeHeight/2
	class := "edge"
	if d.marks.onPath(e) {
		class += " path"
	}
	title := fmt.Sprintf("%s %s %s, alerts %s", e.From.Key(), e.Relation, e.To.Key(), numbers(e.Evidence))
	fmt.Fprintf(b, `<path class="%s" marker-end="url(#a)" d="%s"><title>%s</title></path>`+"\n", class,
		curve(x1, y1, x2, y2), escape(title))
}

// curve is a line from the side of one box to the side of another.
func curve(x1, y1, x2, y2 int) string {
	switch {
	case x1 == x2 && max(y1, y2)-min(y1, y2) > laneHeight: // around what lies between
		side := x1 + nodeWidth
		return fmt.Sprintf("M%d %d C%d %d %d %d %d %d", side, y1, side+30, y1, side+30, y2, side, y2)
	case x1 == x2 && y1 < y2:
		return fmt.Sprintf("M%d %d L%d %d", x1+nodeWidth/2, y1+nodeHeight/2, x2+nodeWidth/2, y2-nodeHeight/2)
	case x1 == x2:
		return fmt.Sprintf("M%d %d L%d %d", x1+nodeWidth/2, y1-nodeHeight/2, x2+nodeWidth/2, y2+nodeHeight/2)
	case x1 < x2:
		from, to := x1+nodeWidth, x2
		return fmt.Sprintf("M%d %d C%d %d %d %d %d %d", from, y1, (from+to)/2, y1, (from+to)/2, y2, to, y2)
	}
	from, to := x1, x2+nodeWidth
	return fmt.Sprintf("M%d %d C%d %d %d %d %d %d", from, y1, from-40, y1-30, to+40, y2-30, to, y2)
}

// escape makes a text safe in SVG.
func escape(text string) string { return html.EscapeString(printable.Text(text)) }
