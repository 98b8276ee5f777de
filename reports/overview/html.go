package overview

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"hemostat/reports/render"
	"hemostat/reports/stats"
)

//go:embed overview.html
var htmlText string

var htmlBody = template.Must(template.New("overview").Funcs(template.FuncMap{
	"share": share, "anchor": anchor, "span": span, "percent": percent,
	"heat":  func(x float64) template.CSS { return template.CSS(heatColour(x)) }, //nolint:gosec // numbers
	"width": func(x float64) template.CSS { return template.CSS(fmt.Sprintf("%.1f%%", 100*x)) },
}).Parse(htmlText))

func share(x stats.Interval) string {
	if math.IsNaN(x.Value) {
		return "-"
	}
	return fmt.Sprintf("%.0f %% [%.0f, %.0f]", 100*x.Value, 100*x.Lo, 100*x.Hi)
}

func percent(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*x)
}

// span writes nanoseconds; what never happened is infinite.
func span(ns float64) string {
	switch {
	case math.IsNaN(ns):
		return "-"
	case math.IsInf(ns, 1):
		return "never"
	}
	d := time.Duration(ns)
	switch {
	case d >= time.Hour:
		return d.Round(time.Minute).String()[:len(d.Round(time.Minute).String())-2]
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// heatColour goes from red over yellow to green, in tones on which black text can be read.
func heatColour(x float64) string { return fmt.Sprintf("hsl(%.0f 70%% 72%%)", 120*x) }

// Comparison is a variant held against the baseline, as a part of a page.
type Comparison struct {
	Title string
	Body  template.HTML
}

// anchor is where a page can be entered.
func anchor(title string) string { return "compare-" + strings.ReplaceAll(title, " ", "-") }

// Page is what a page says beside the overview itself.
type Page struct {
	Title, Summary string
	Warnings       []string
	Comparisons    []Comparison
	Known          Known
}

// picture is a drawing of curves.
type picture struct {
	Title string
	Lines []struct {
		Variant string
		Colour  template.CSS
	}
	SVG template.HTML
}

// curveRow is a curve in figures.
type curveRow struct {
	Title, Variant string
	Shares         []float64
}

const (
	curvePoints = 60
	tableEvery  = 10 // points of a curve that the table has
	firstTime   = 3 * time.Second
)

// curves are the pictures and their figures.
func (o *Overview) curves() (pictures []picture, times []string, rows []curveRow, err error) {
	at := make([]float64, curvePoints+1)
	for i := range at { // from seconds to days: evenly on a scale of logarithms
		at[i] = float64(firstTime) * math.Pow(float64(max(o.horizon, 2*firstTime))/float64(firstTime), float64(i)/curvePoints)
		if i%tableEvery == 0 && i > 0 {
			times = append(times, span(at[i]))
		}
	}
	for c := range clocks {
		p := picture{Title: clocks[c].title}
		var curves [][]render.CurvePoint
		for _, v := range o.Variants() {
			if o.times[v] == nil {
				continue
			}
			curve := stats.KaplanMeier(o.times[v][c])
			row := curveRow{Title: p.Title, Variant: v}
			var points []render.CurvePoint
			for i, t := range at {
				not, _ := curve.At(t, alpha)
				points = append(points, render.CurvePoint{Minutes: t / float64(time.Minute), Share: 1 - not.Value,
					Lo: 1 - not.Hi, Hi: 1 - not.Lo})
				if i%tableEvery == 0 && i > 0 {
					row.Shares = append(row.Shares, 1-not.Value)
				}
			}
			p.Lines = append(p.Lines, struct {
				Variant string
				Colour  template.CSS
			}{v, render.CurveColour(len(curves))})
			curves = append(curves, points)
			rows = append(rows, row)
		}
		if len(curves) == 0 {
			continue
		}
		if p.SVG, err = render.Curves(curves, true); err != nil {
			return nil, nil, nil, err
		}
		pictures = append(pictures, p)
	}
	return pictures, times, rows, nil
}

// HTML writes one page that needs nothing else.
func (o *Overview) HTML(w io.Writer, page Page) error {
	body, err := o.Section(page)
	if err != nil {
		return err
	}
	return render.Page(w, page.Title, body)
}

// Section is the overview as a part of a page.
func (o *Overview) Section(page Page) (template.HTML, error) {
	pictures, times, rows, err := o.curves()
	if err != nil {
		return "", err
	}
	if o.errors > 0 {
		page.Warnings = append(page.Warnings,
			fmt.Sprintf("%d trials ended with an error and count for nothing here", o.errors))
	}
	var body bytes.Buffer
	if err := htmlBody.Execute(&body, struct {
		Page
		Outcomes   []outcomeRow
		Pictures   []picture
		CurveTimes []string
		CurveRows  []curveRow
		Variants   []string
		Heat       []heatRow
		Stages     []stageRow
	}{page, o.outcomes(), pictures, times, rows, o.Variants(), o.heatRows(page.Known), o.stageRows()}); err != nil {
		return "", err
	}
	return template.HTML(body.String()), nil //nolint:gosec // written by the template above, which escapes
}

// layer is a layer of ATT&CK Navigator, version 4.5 of its form.
type layer struct {
	Name        string            `json:"name"`
	Versions    map[string]string `json:"versions"`
	Domain      string            `json:"domain"`
	Description string            `json:"description"`
	Techniques  []layerTechnique  `json:"techniques"`
	Gradient    layerGradient     `json:"gradient"`
	Legend      []map[string]any  `json:"legendItems"`
}

type layerTechnique struct {
	ID      string `json:"techniqueID"`
	Score   int    `json:"score"`
	Comment string `json:"comment"`
	Enabled bool   `json:"enabled"`
}

type layerGradient struct {
	Colors   []string `json:"colors"`
	MinValue int      `json:"minValue"`
	MaxValue int      `json:"maxValue"`
}

// Navigator is the layer of a variant: each technique that was carried out, with the percentage
// of trials in which it was seen.
func (o *Overview) Navigator(variant string) ([]byte, error) {
	at := -1
	for i, v := range o.Variants() {
		if v == variant {
			at = i
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("there are no trials of the variant %q; there are: %s",
			variant, strings.Join(o.Variants(), ", "))
	}
	l := layer{Name: "seen by " + variant, Versions: map[string]string{"navigator": "5.1.0", "layer": "4.5"},
		Domain:      "enterprise-attack",
		Description: "Share of simulated trials in which the first use of a technique raised an alert.",
		Techniques:  []layerTechnique{}, Legend: []map[string]any{},
		Gradient: layerGradient{[]string{"#ff6666", "#ffe766", "#8ec843"}, 0, 100}}
	for _, r := range o.heatRows(nil) {
		if c := r.Cells[at]; c.All > 0 {
			l.Techniques = append(l.Techniques, layerTechnique{r.ID, int(math.Round(100 * c.Share())),
				fmt.Sprintf("seen in %d of %d trials", c.Seen, c.All), true})
		}
	}
	return json.MarshalIndent(l, "", " ")
}
