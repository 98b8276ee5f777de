package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// number is a JSON number, or null where nothing can be said.
type number float64

// MarshalJSON writes NaN and infinities as null.
func (n number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
}

type jsonSide struct {
	Value number `json:"value"`
	Lo    number `json:"lo"`
	Hi    number `json:"hi"`
	N     int    `json:"n"`
}

type jsonRow struct {
	Scenario   string   `json:"scenario"`
	Metric     string   `json:"metric"`
	Baseline   jsonSide `json:"baseline"`
	Candidate  jsonSide `json:"candidate"`
	Difference number   `json:"difference"`
	Lo         number   `json:"lo"`
	Hi         number   `json:"hi"`
	P          number   `json:"p"`
	PAdjusted  number   `json:"p_adjusted"`
	Effect     number   `json:"effect"`
}

// JSON is the comparison for other programs. Times are nanoseconds; null stands
// for what cannot be said or never happened.
func (r *Result) JSON() ([]byte, error) {
	rows := make([]jsonRow, 0, len(r.Rows))
	s := func(x Side) jsonSide { return jsonSide{number(x.Value), number(x.Lo), number(x.Hi), x.N} }
	for _, x := range r.Rows {
		rows = append(rows, jsonRow{x.Scenario, x.Metric, s(x.Baseline), s(x.Candidate), number(x.Difference), number(x.Lo), number(x.Hi), number(x.P), number(x.PAdjusted), number(x.Effect)})
	}
	warnings := r.Warnings
	if warnings == nil {
		warnings = []string{}
	}
	return json.MarshalIndent(struct {
		Baseline  string    `json:"baseline"`
		Candidate string    `json:"candidate"`
		Pairs     int       `json:"pairs"`
		Rows      []jsonRow `json:"rows"`
		Warnings  []string  `json:"warnings"`
	}{r.Baseline, r.Candidate, r.Pairs, rows, warnings}, "", "  ")
}

// Table writes the comparison for people, aligned or as Markdown. A difference
// that the adjusted test does not find is written ~.
func (r *Result) Table(markdown bool) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = false
	t.AppendHeader(table.Row{"scenario", "metric", "baseline", "candidate", "difference [95 % interval]", "p", "n"})
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, Align: text.AlignRight}, {Number: 4, Align: text.AlignRight}, {Number: 5, Align: text.AlignRight}, {Number: 6, Align: text.AlignRight}, {Number: 7, Align: text.AlignRight}})
	last := ""
	for _, x := range r.Rows {
		name := x.Scenario
		if name == "*" {
			name = "all together"
		}
		if name == last && !markdown {
			name = ""
		} else {
			if last != "" && !markdown {
				t.AppendSeparator()
			}
			last = name
		}
		p := fmt.Sprintf("%.3f", x.PAdjusted)
		if x.PAdjusted < 0.001 {
			p = "<0.001"
		}
		t.AppendRow(table.Row{name, x.Metric, x.format(x.Baseline.Value), x.format(x.Candidate.Value), x.change(), p, x.Baseline.N})
	}
	head := fmt.Sprintf("baseline %s, candidate %s, %d pairs; p is adjusted for the number of rows (Holm), ~ means no difference found\n", r.Baseline, r.Candidate, r.Pairs)
	body := t.Render()
	if markdown {
		body = t.RenderMarkdown()
		head += "\n"
	}
	for _, w := range r.Warnings {
		body += "\nwarning: " + w
	}
	return head + body + "\n"
}

func (x Row) change() string {
	if math.IsNaN(x.Difference) {
		return "cannot say"
	}
	if !(x.PAdjusted < alpha) {
		return "~"
	}
	return fmt.Sprintf("%s [%s, %s]", signed(x.format(x.Difference), x.Difference), x.format(x.Lo), x.format(x.Hi))
}

func signed(s string, v float64) string {
	if v > 0 {
		return "+" + s
	}
	return s
}

func (x Row) format(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case x.Kind == Time && math.IsInf(v, 1):
		return "never"
	case math.IsInf(v, 0):
		return "?"
	case x.Kind == Rate:
		return fmt.Sprintf("%.1f %%", 100*v)
	case x.Kind == Time:
		return duration(v)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// duration writes nanoseconds as people read them.
func duration(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d.Abs() >= time.Hour:
		return d.Round(time.Minute).String()
	case d.Abs() >= time.Minute:
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
