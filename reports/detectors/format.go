package detectors

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"hemostat/reports/render"
	"hemostat/reports/stats"
)

// Table writes the result as text, or as Markdown.
func (r *Result) Table(markdown bool) string {
	var b strings.Builder
	safe := render.Inline
	if markdown {
		safe = render.Markdown
	}
	fmt.Fprintf(&b, "%s: %d trials of %.1f days together, %d attacks, %d steps that succeeded; intervals are of 95 %% over trials\n",
		safe(r.Variant), r.Trials, r.Days, r.Attacks, r.Steps)
	r.detectorTable(&b, markdown, safe)
	r.withoutTable(&b, markdown, safe)
	r.curveTable(&b, markdown, safe)
	r.techniqueTable(&b, markdown, safe)
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "note: %s\n", safe(w))
	}
	return b.String()
}

func write(b *strings.Builder, t table.Writer, markdown bool) {
	if markdown {
		b.WriteString(t.RenderMarkdown() + "\n\n")
		return
	}
	t.SetStyle(table.StyleLight)
	b.WriteString(t.Render() + "\n")
}

func (r *Result) detectorTable(b *strings.Builder, markdown bool, safe func(string) string) {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"detector", "alerts", "precision", "attacks found", "alone", "steps found", "alone",
		"false a day", "median time", "µs an event"})
	for i := range r.Detectors {
		d := &r.Detectors[i]
		t.AppendRow(table.Row{
			safe(d.Name), d.Alerts, share(d.Precision), share(d.AttacksFound), d.AttacksAlone, share(d.StepsFound),
			d.StepsAlone,
			amount(d.FalsePerDay, 2), duration(d.TimeToDetect.Value), fmt.Sprintf("%.2f", d.CostPerEvent/1000),
		})
	}
	write(b, t, markdown)
}

func (r *Result) withoutTable(b *strings.Builder, markdown bool, safe func(string) string) {
	if len(r.Without) == 0 {
		return
	}
	t := table.NewWriter()
	t.AppendHeader(table.Row{"left out", "pairs", "attacks found", "steps found", "false a day", "contained", "score"})
	for _, w := range r.Without {
		t.AppendRow(table.Row{
			safe(w.Detector), w.Pairs, points(w.AttacksFound), points(w.StepsFound), signed(w.FalsePerDay, 2),
			points(w.Contained), signed(w.Score, 1),
		})
	}
	b.WriteString("what changes without a detector, on the same days:\n")
	write(b, t, markdown)
}

// bars are the false alarms a day at which the curves are told.
var bars = []float64{0.1, 0.3, 1, 3, 10}

func (r *Result) curveTable(b *strings.Builder, markdown bool, safe func(string) string) {
	if len(r.Curves) == 0 {
		return
	}
	t := table.NewWriter()
	head := table.Row{"scores of", "hostile", "quiet", "AUC"}
	for _, bar := range bars {
		head = append(head, fmt.Sprintf("at %g", bar))
	}
	t.AppendHeader(head)
	for i := range r.Curves {
		c := &r.Curves[i]
		row := table.Row{safe(c.Detector + "/" + c.Question), fmt.Sprintf("%.0f", c.Hostile), fmt.Sprintf("%.0f", c.Quiet),
			amount(c.AUC, 2)}
		for _, bar := range bars {
			row = append(row, fmt.Sprintf("%.1f %%", 100*c.stepsAt(bar)))
		}
		t.AppendRow(row)
	}
	b.WriteString("share of steps found when the bar is set for so many false alarms a day, from scores on both sides of it:\n")
	write(b, t, markdown)
}

// stepsAt is the share of steps found at most so many false alarms a day.
func (c *Curve) stepsAt(falsePerDay float64) float64 {
	best := 0.0
	for _, p := range c.Points {
		if p.FalsePerDay <= falsePerDay {
			best = max(best, p.Steps)
		}
	}
	return best
}

func (r *Result) techniqueTable(b *strings.Builder, markdown bool, safe func(string) string) {
	if len(r.Techniques) == 0 {
		return
	}
	t := table.NewWriter()
	head := table.Row{"technique", "steps"}
	for i := range r.Detectors {
		head = append(head, safe(r.Detectors[i].Name))
	}
	t.AppendHeader(append(head, "any"))
	for _, x := range r.Techniques {
		row := table.Row{x.ID, x.Steps}
		for i := range r.Detectors {
			row = append(row, percent(x.Found[r.Detectors[i].Name], x.Steps))
		}
		t.AppendRow(append(row, percent(x.Any, x.Steps)))
	}
	b.WriteString("share of each technique's steps that a detector found:\n")
	write(b, t, markdown)
}

func percent(part, whole int) string {
	if part == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(whole))
}

func share(x stats.Interval) string {
	if math.IsNaN(x.Value) {
		return "-"
	}
	return fmt.Sprintf("%.0f %% [%.0f, %.0f]", 100*x.Value, 100*x.Lo, 100*x.Hi)
}

func amount(x stats.Interval, digits int) string {
	if math.IsNaN(x.Value) {
		return "-"
	}
	return fmt.Sprintf("%.*f [%.*f, %.*f]", digits, x.Value, digits, x.Lo, digits, x.Hi)
}

// points is a difference of shares in percentage points.
func points(x stats.Interval) string {
	if math.IsNaN(x.Value) {
		return "-"
	}
	return fmt.Sprintf("%+.0f pp [%+.0f, %+.0f]", 100*x.Value, 100*x.Lo, 100*x.Hi)
}

func signed(x stats.Interval, digits int) string {
	if math.IsNaN(x.Value) {
		return "-"
	}
	return fmt.Sprintf("%+.*f [%+.*f, %+.*f]", digits, x.Value, digits, x.Lo, digits, x.Hi)
}

func duration(ns float64) string {
	if math.IsNaN(ns) || math.IsInf(ns, 0) {
		return "not reached"
	}
	return time.Duration(ns).Round(time.Second).String()
}

// number is a JSON number, or null where nothing can be said.
type number = render.Number

type interval struct {
	Value number `json:"value"`
	Lo    number `json:"lo"`
	Hi    number `json:"hi"`
}

func of(x stats.Interval) interval { return interval{number(x.Value), number(x.Lo), number(x.Hi)} }

// JSON writes the result for programs.
func (r *Result) JSON() ([]byte, error) {
	type detector struct {
		Detector     string   `json:"detector"`
		Version      string   `json:"version"`
		Alerts       int      `json:"alerts"`
		False        int      `json:"alerts_false"`
		Precision    interval `json:"precision"`
		Attacks      interval `json:"attacks_found"`
		AttacksAlone int      `json:"attacks_alone"`
		Steps        interval `json:"steps_found"`
		StepsAlone   int      `json:"steps_alone"`
		FalsePerDay  interval `json:"alerts_false_per_day"`
		TimeToDetect interval `json:"time_to_detect"`
		Cost         number   `json:"wall_ns_per_event"`
	}
	type curve struct {
		Detector string       `json:"detector"`
		Question string       `json:"question"`
		Hostile  number       `json:"hostile"`
		Quiet    number       `json:"quiet"`
		AUC      interval     `json:"auc"`
		Points   [][3]number  `json:"points"`
		ROC      [][2]float64 `json:"roc"`
		PR       [][2]float64 `json:"pr"`
	}
	type without struct {
		Detector    string   `json:"detector"`
		Pairs       int      `json:"pairs"`
		Attacks     interval `json:"attacks_found"`
		Steps       interval `json:"steps_found"`
		FalsePerDay interval `json:"alerts_false_per_day"`
		Contained   interval `json:"contained"`
		Score       interval `json:"score"`
	}
	type technique struct {
		ID    string         `json:"technique"`
		Steps int            `json:"steps"`
		Found map[string]int `json:"found"`
		Any   int            `json:"any"`
	}
	out := struct {
		Variant    string      `json:"variant"`
		Trials     int         `json:"trials"`
		Days       float64     `json:"days"`
		Attacks    int         `json:"attacks"`
		Steps      int         `json:"steps"`
		Detectors  []detector  `json:"detectors"`
		Without    []without   `json:"without"`
		Curves     []curve     `json:"curves"`
		Techniques []technique `json:"techniques"`
		Warnings   []string    `json:"warnings"`
	}{
		r.Variant, r.Trials, r.Days, r.Attacks, r.Steps, []detector{}, []without{}, []curve{}, []technique{},
		append([]string{}, r.Warnings...),
	}
	for i := range r.Detectors {
		d := &r.Detectors[i]
		out.Detectors = append(out.Detectors, detector{
			d.Name, d.Version, d.Alerts, d.False, of(d.Precision), of(d.AttacksFound), d.AttacksAlone, of(d.StepsFound),
			d.StepsAlone,
			of(d.FalsePerDay), of(d.TimeToDetect), number(d.CostPerEvent),
		})
	}
	for _, w := range r.Without {
		out.Without = append(out.Without, without{
			w.Detector, w.Pairs, of(w.AttacksFound), of(w.StepsFound), of(w.FalsePerDay), of(w.Contained), of(w.Score),
		})
	}
	for i := range r.Curves {
		c := &r.Curves[i]
		x := curve{c.Detector, c.Question, number(c.Hostile), number(c.Quiet), of(c.AUC), [][3]number{}, pairs(c.ROC),
			pairs(c.PR)}
		for _, p := range c.Points {
			x.Points = append(x.Points, [3]number{number(p.Bar), number(p.Steps), number(p.FalsePerDay)})
		}
		out.Curves = append(out.Curves, x)
	}
	for _, t := range r.Techniques {
		out.Techniques = append(out.Techniques, technique(t))
	}
	return json.MarshalIndent(out, "", "  ")
}

func pairs(curve []stats.Point) [][2]float64 {
	out := make([][2]float64, len(curve))
	for i, p := range curve {
		out[i] = [2]float64{p.X, p.Y}
	}
	return out
}

// CSV writes a row a detector, for tables elsewhere.
func (r *Result) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	rows := [][]string{{
		"variant", "detector", "version", "trials", "alerts", "alerts_false", "precision", "attacks_found",
		"attacks_alone", "steps_found", "steps_alone",
		"alerts_false_per_day", "time_to_detect", "wall_ns_per_event",
	}}
	text := func(v float64) string {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	for i := range r.Detectors {
		d := &r.Detectors[i]
		rows = append(rows, []string{
			render.CSVCell(r.Variant), render.CSVCell(d.Name), render.CSVCell(d.Version), strconv.Itoa(r.Trials),
			strconv.Itoa(d.Alerts), strconv.Itoa(d.False),
			text(d.Precision.Value), text(d.AttacksFound.Value), strconv.Itoa(d.AttacksAlone), text(d.StepsFound.Value),
			strconv.Itoa(d.StepsAlone),
			text(d.FalsePerDay.Value), text(d.TimeToDetect.Value), text(d.CostPerEvent),
		})
	}
	return out.WriteAll(rows)
}
