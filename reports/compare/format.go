package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"hemostat/reports/render"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// number is a JSON number, or null where nothing can be said.
type number = render.Number

type jsonSide struct {
	Value number `json:"value"`
	Lo    number `json:"lo"`
	Hi    number `json:"hi"`
	N     int    `json:"n"`
}

type jsonRow struct {
	Scenario   string   `json:"scenario"`
	Metric     string   `json:"metric"`
	Technique  string   `json:"technique,omitempty"`
	Detector   string   `json:"detector,omitempty"`
	Baseline   jsonSide `json:"baseline"`
	Candidate  jsonSide `json:"candidate"`
	Difference number   `json:"difference"`
	Lo         number   `json:"lo"`
	Hi         number   `json:"hi"`
	P          number   `json:"p"`
	PAdjusted  number   `json:"p_adjusted"`
	Effect     number   `json:"effect"`
}

func jsonRows(rows []Row, subject func(*jsonRow) *string) []jsonRow {
	out := make([]jsonRow, 0, len(rows))
	s := func(x Side) jsonSide { return jsonSide{number(x.Value), number(x.Lo), number(x.Hi), x.N} }
	for _, x := range rows {
		row := jsonRow{
			Scenario:   x.Scenario,
			Metric:     x.Metric.Name,
			Baseline:   s(x.Baseline),
			Candidate:  s(x.Candidate),
			Difference: number(x.Difference),
			Lo: number(
				x.Lo,
			),
			Hi:        number(x.Hi),
			P:         number(x.P),
			PAdjusted: number(x.PAdjusted),
			Effect:    number(x.Effect),
		}
		if subject != nil {
			*subject(&row) = x.Subject
		}
		out = append(out, row)
	}
	return out
}

// JSON is the comparison for other programs. Times are nanoseconds; null stands
// for what cannot be said or never happened.
func (r *Result) JSON() ([]byte, error) {
	warnings, rankings := r.Warnings, r.rankings
	if rankings == nil {
		rankings = []rankingCurve{}
	}
	forecasts := r.forecasts
	if forecasts == nil {
		forecasts = []forecastRow{}
	}
	if warnings == nil {
		warnings = []string{}
	}
	return json.MarshalIndent(struct {
		Baseline   string         `json:"baseline"`
		Candidate  string         `json:"candidate"`
		Method     Method         `json:"method"`
		Adjustment Adjustment     `json:"adjustment"`
		Pairs      int            `json:"pairs"`
		Rows       []jsonRow      `json:"rows"`
		Techniques []jsonRow      `json:"techniques"`
		Detectors  []jsonRow      `json:"detectors"`
		Curves     []curve        `json:"curves"`
		Rankings   []rankingCurve `json:"rankings"`
		Forecasts  []forecastRow  `json:"forecasts"`
		Warnings   []string       `json:"warnings"`
	}{r.Baseline, r.Candidate, r.Options.Method, r.Options.Adjustment, r.Pairs, jsonRows(r.Rows, nil),
		jsonRows(r.Techniques, func(x *jsonRow) *string { return &x.Technique }),
		jsonRows(
			r.Detectors,
			func(x *jsonRow) *string { return &x.Detector },
		), r.curves(), rankings, forecasts, warnings}, "", "  ")
}

// Part is one table of a comparison: the metrics, the techniques or the detectors.
type Part struct {
	Title   string
	Subject string // heading of the first column
	Rows    []Row
	Hidden  int // rows without a difference that are not shown
}

// Parts are the tables of the comparison as people see them. Of techniques and
// detectors only those are shown that differ, unless none does.
func (r *Result) Parts() []Part {
	parts := []Part{{Subject: "scenario", Rows: r.Rows}}
	for _, p := range []Part{{Title: "By technique", Subject: "technique", Rows: r.Techniques},
		{Title: "By detector", Subject: "detector", Rows: r.Detectors}} {
		var shown []Row
		for _, x := range p.Rows {
			if x.Found() {
				shown = append(shown, x)
			}
		}
		p.Hidden, p.Rows = len(p.Rows)-len(shown), shown
		if len(p.Rows)+p.Hidden > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// Summary is what stands above the tables.
func (r *Result) Summary() string {
	return fmt.Sprintf(
		"baseline %s, candidate %s, %d pairs; p is adjusted for all rows of a table (%s), ~ means that no difference was found; %s",
		r.Baseline,
		r.Candidate,
		r.Pairs,
		r.Options.Adjustment.authors(),
		r.Options.Method.explained(),
	)
}

// Table writes the comparison for people, aligned or as Markdown. A difference
// that the adjusted test does not find is written ~.
func (r *Result) Table(markdown bool) string {
	var b strings.Builder
	shown := render.Inline
	if markdown {
		shown = render.Markdown
	}
	fmt.Fprintln(&b, shown(r.Summary()))
	for _, p := range r.Parts() {
		if markdown {
			fmt.Fprintln(&b)
		}
		switch {
		case p.Title == "":
		case len(p.Rows) == 0:
			fmt.Fprintf(&b, "%s: no difference was found in any of %d\n", p.Title, p.Hidden)
			continue
		case markdown:
			fmt.Fprintf(&b, "### %s\n\n", p.Title)
		default:
			fmt.Fprintf(&b, "%s\n", p.Title)
		}
		b.WriteString(p.table(markdown))
		b.WriteByte('\n')
		if p.Hidden > 0 {
			fmt.Fprintf(&b, "%d further rows show no difference\n", p.Hidden)
		}
	}
	b.WriteString(r.forecastTable(markdown))
	if markdown && len(r.Warnings) > 0 {
		fmt.Fprintln(&b)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", shown(w))
	}
	return b.String()
}

func (p *Part) table(markdown bool) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = false
	t.AppendHeader(table.Row{p.Subject, "metric", "baseline", "candidate", "difference [95 % interval]", "p", "n"})
	var right []table.ColumnConfig
	for n := 3; n <= 7; n++ {
		right = append(right, table.ColumnConfig{Number: n, Align: text.AlignRight})
	}
	t.SetColumnConfigs(right)
	last := ""
	for _, x := range p.Rows {
		name := x.Name()
		if name == last && !markdown {
			name = ""
		} else {
			if last != "" && !markdown && x.Subject == "" {
				t.AppendSeparator()
			}
			last = name
		}
		if name = render.Inline(name); markdown {
			name = render.Markdown(name)
		}
		t.AppendRow(
			table.Row{
				name,
				x.Metric.Name,
				x.Metric.Format(x.Baseline.Value),
				x.Metric.Format(x.Candidate.Value),
				x.Change(),
				x.Chance(),
				x.Baseline.N,
			},
		)
	}
	if markdown {
		return t.RenderMarkdown()
	}
	return t.Render()
}

// Name is what the row is about.
func (r Row) Name() string {
	switch {
	case r.Subject != "":
		return r.Subject
	case r.Scenario == "*":
		return "all together"
	}
	return r.Scenario
}

// Chance is the adjusted p-value in words.
func (r Row) Chance() string {
	switch {
	case math.IsNaN(r.PAdjusted):
		return "-"
	case r.PAdjusted < 0.001:
		return "<0.001"
	}
	return strconv.FormatFloat(r.PAdjusted, 'f', 3, 64)
}

// Change is the difference in words: ~ where none was found, "cannot say" where
// nothing can be said. Of a time whose mean does not show what the pairs do, because a
// few long trials decide it, the pairs are told instead.
func (r Row) Change() string {
	if math.IsNaN(r.Difference) || math.IsNaN(r.PAdjusted) {
		return "cannot say"
	}
	if !r.Found() {
		return "~"
	}
	if r.Hazard.Value != 0 && min(r.Lo*r.Difference, r.Hi*r.Difference) <= 0 {
		return fmt.Sprintf("hazard ratio %.2f [%.2f, %.2f]", r.Hazard.Value, r.Hazard.Lo, r.Hazard.Hi)
	}
	if r.Metric.Kind == Time && r.Later+r.Sooner > 0 && min(r.Lo*r.Effect, r.Hi*r.Effect) <= 0 {
		return fmt.Sprintf("later in %d pairs, sooner in %d", r.Later, r.Sooner)
	}
	if r.Metric.Kind == Volume && r.Later+r.Sooner > 0 && min(r.Lo*r.Effect, r.Hi*r.Effect) <= 0 {
		return fmt.Sprintf("more in %d pairs, less in %d", r.Later, r.Sooner)
	}
	return fmt.Sprintf("%s [%s, %s]", r.Metric.Signed(r.Difference), r.Metric.Signed(r.Lo), r.Metric.Signed(r.Hi))
}
