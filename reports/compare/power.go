package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"hemostat/reports/stats"
)

// Pilot is what a pilot run says about a metric: how much single pairs differ.
type Pilot struct {
	Metric Metric
	Mean   float64 // of the baseline, times up to the horizon
	SD     float64 // of the difference within a pair
	Pairs  int
	// Note says what SD rests on, when it is no plain estimate from pairs.
	Note string
}

// Plan is how many pairs an effect takes.
type Plan struct {
	Pilot  Pilot
	Effect float64 // in the metric's unit
	Pairs  float64 // NaN when nothing can be said
}

// Power is a table of plans and a curve.
type Power struct {
	Baseline, Candidate string
	Target, Alpha       float64
	Plans               []Plan
}

// curveAt is the numbers of pairs that the curve is shown at.
var curveAt = []int{10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}

// Pilots reads a pilot run. With one variant only, pairs are taken to be no more
// alike than strangers, which asks for more trials than are needed.
func Pilots(baseline, candidate *Sample, metrics []Metric) ([]Pilot, error) {
	var pairs []pair
	if candidate != nil {
		var err error
		if pairs, err = match(baseline, candidate); err != nil {
			return nil, err
		}
	} else {
		if err := baseline.sort(); err != nil {
			return nil, err
		}
		for i := range baseline.trials {
			pairs = append(pairs, pair{&baseline.trials[i], &baseline.trials[i]})
		}
	}
	if len(pairs) < 2 {
		return nil, errors.New("a pilot of at least 2 trials is needed, 20 or more are better")
	}
	var out []Pilot
	for _, m := range metrics {
		out = append(out, pilot(m, pairs, candidate == nil))
	}
	return out, nil
}

func pilot(m Metric, pairs []pair, alone bool) Pilot {
	at := 0
	for i := range metrics {
		if metrics[i].Name == m.Name {
			at = i
		}
	}
	var before, differences []float64
	for _, p := range pairs {
		b, c := p.baseline.Values[at], p.candidate.Values[at]
		if math.IsNaN(b) || math.IsNaN(c) {
			continue
		}
		horizon := float64(p.baseline.Horizon)
		if m.Kind == Time {
			b, c = min(b, horizon), min(c, horizon)
		}
		before, differences = append(before, b), append(differences, c-b)
	}
	n := float64(len(before))
	p := Pilot{Metric: m, Pairs: len(before), Mean: stats.Mean(before, alpha).Value}
	switch {
	case n < 2:
		p.SD, p.Note = math.NaN(), "too few trials to which it applies"
	case alone:
		p.SD = math.Sqrt2 * stats.Deviation(before)
		p.Note = "one variant only: upper bound, as if days were not shared"
	default:
		p.SD = stats.Deviation(differences)
	}
	if p.SD == 0 && m.Kind == Rate {
		p.SD = math.Sqrt(min(1, 3/n)) // with 95 % confidence at most 3 in n pairs differ (Hanley and Lippman-Hand 1983)
		p.Note = fmt.Sprintf("no pair differed: at most %.1f %% do", min(100, 300/n))
	} else if p.SD == 0 {
		p.SD, p.Note = math.NaN(), "no pair differed, so the pilot tells nothing about the spread"
	}
	return p
}

// DefaultEffects are effects worth finding: 2, 5 and 10 points of a rate, a tenth, a
// quarter and half of anything else.
func (p Pilot) DefaultEffects() []float64 {
	if p.Metric.Kind == Rate {
		return []float64{0.02, 0.05, 0.10}
	}
	return []float64{0.1 * p.Mean, 0.25 * p.Mean, 0.5 * p.Mean}
}

// PlanFor works out the pairs for an effect, by a two-sided test at error rate a.
func (p Pilot) PlanFor(effect, power, a float64) Plan {
	return Plan{p, effect, stats.SampleSizePaired(effect, p.SD, power, a/2)}
}

// at is the power with n pairs.
func (p Plan) at(n int, a float64) float64 {
	if math.IsNaN(p.Pairs) {
		return math.NaN()
	}
	return stats.PowerPaired(float64(n), p.Effect, p.Pilot.SD, a/2)
}

// Table writes how many pairs each effect takes, and the power along the way.
func (w *Power) Table() string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	header := table.Row{"metric", "baseline", "effect", "pairs"}
	columns := []table.ColumnConfig{
		{Number: 2, Align: text.AlignRight},
		{Number: 3, Align: text.AlignRight},
		{Number: 4, Align: text.AlignRight},
	}
	for i, n := range curveAt {
		header = append(header, fmt.Sprint(n))
		columns = append(columns, table.ColumnConfig{Number: 5 + i, Align: text.AlignRight})
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(columns)
	notes, last := "", ""
	for _, p := range w.Plans {
		m := p.Pilot.Metric
		name, mean := m.Name, m.Format(p.Pilot.Mean)
		if name == last {
			name, mean = "", ""
		} else if p.Pilot.Note != "" {
			notes += fmt.Sprintf("%s: %s\n", m.Name, p.Pilot.Note)
		}
		last = m.Name
		pairs := "cannot say"
		if !math.IsNaN(p.Pairs) {
			pairs = fmt.Sprintf("%.0f", math.Ceil(p.Pairs))
		}
		row := table.Row{name, mean, m.Format(p.Effect), pairs}
		for _, n := range curveAt {
			cell := "-"
			if v := p.at(n, w.Alpha); !math.IsNaN(v) {
				cell = fmt.Sprintf("%.0f %%", 100*v)
			}
			row = append(row, cell)
		}
		t.AppendRow(row)
	}
	return fmt.Sprintf(
		"pairs of trials that find an effect with power %g at error rate %g (two-sided), and the power with so many pairs\n%s\n%sa pair is one trial of each side on the same day; a fixed number is asked for here, a gate stops earlier when it can\n",
		w.Target,
		w.Alpha,
		t.Render(),
		notes,
	)
}

// JSON is the table for other programs.
func (w *Power) JSON() ([]byte, error) {
	type point struct {
		Pairs int    `json:"pairs"`
		Power number `json:"power"`
	}
	type row struct {
		Metric   string  `json:"metric"`
		Baseline number  `json:"baseline"`
		SD       number  `json:"sd"`
		Effect   number  `json:"effect"`
		Pairs    number  `json:"pairs"`
		Trials   number  `json:"trials"`
		Note     string  `json:"note"`
		Curve    []point `json:"curve"`
	}
	rows := []row{}
	for _, p := range w.Plans {
		r := row{
			p.Pilot.Metric.Name,
			number(p.Pilot.Mean),
			number(p.Pilot.SD),
			number(p.Effect),
			number(math.Ceil(p.Pairs)),
			number(2 * math.Ceil(p.Pairs)),
			p.Pilot.Note,
			nil,
		}
		for _, n := range curveAt {
			r.Curve = append(r.Curve, point{n, number(p.at(n, w.Alpha))})
		}
		rows = append(rows, r)
	}
	return json.MarshalIndent(struct {
		Baseline  string  `json:"baseline"`
		Candidate string  `json:"candidate,omitempty"`
		Power     float64 `json:"power"`
		Alpha     float64 `json:"alpha"`
		Rows      []row   `json:"rows"`
	}{w.Baseline, w.Candidate, w.Target, w.Alpha, rows}, "", "  ")
}

// SVG draws the power along the number of pairs.
func (w *Power) SVG(out io.Writer) error {
	p := plot.New()
	p.Title.Text = "Power of a paired comparison"
	p.X.Label.Text = "pairs of trials"
	p.Y.Label.Text = "chance to find the effect"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 10, 400_000, 0, 1 // the legend stands right of the curves
	p.Legend.YOffs = vg.Centimeter
	p.Add(plotter.NewGrid())
	drawn := 0
	for _, plan := range w.Plans {
		if math.IsNaN(plan.Pairs) {
			continue
		}
		var points plotter.XYs
		for e := 1.0; e <= 4.0001; e += 0.05 {
			n := int(math.Round(math.Pow(10, e)))
			points = append(points, plotter.XY{X: float64(n), Y: plan.at(n, w.Alpha)})
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.Color, line.Dashes, line.Width = plotutil.Color(
			drawn,
		), plotutil.Dashes(
			drawn/len(plotutil.DefaultColors),
		), vg.Points(
			1.5,
		)
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%s by %s", plan.Pilot.Metric.Name, plan.Pilot.Metric.Format(plan.Effect)), line)
		drawn++
	}
	if drawn == 0 {
		return errors.New("nothing can be drawn: the pilot tells nothing about the spread of these metrics")
	}
	target := plotter.NewFunction(func(float64) float64 { return w.Target })
	target.Dashes = []vg.Length{vg.Points(2), vg.Points(2)}
	p.Add(target)
	canvas := vgsvg.New(18*vg.Centimeter, 11*vg.Centimeter)
	p.Draw(draw.New(canvas))
	_, err := canvas.WriteTo(out)
	return err
}
