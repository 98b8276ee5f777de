package fidelity

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"hemostat/reports/render"
)

//go:embed fidelity.html
var pageText string

var pageBody = template.Must(template.New("fidelity").Funcs(template.FuncMap{
	"percent": func(v float64) string { return fmt.Sprintf("%.0f", 100*v) },
	"rate":    func(v float64) string { return fmt.Sprintf("%.1f", v) },
}).Parse(pageText))

// HTML writes the report as a page of its own.
func (r *Report) HTML(w io.Writer) error {
	body, err := r.Section()
	if err != nil {
		return err
	}
	return render.Page(w, "Simulation against recordings", body)
}

// Section is the report as a part of a page.
func (r *Report) Section() (template.HTML, error) {
	scatter, err := r.scatter()
	if err != nil {
		return "", err
	}
	var body bytes.Buffer
	if err := pageBody.Execute(&body, struct {
		*Report
		Scatter template.HTML
	}{r, scatter}); err != nil {
		return "", err
	}
	return template.HTML(body.String()), nil //nolint:gosec // written by the template above, which escapes
}

// scatter draws each subset of rules by its detection on recordings and in the simulation.
func (r *Report) scatter() (template.HTML, error) {
	if len(r.Points) == 0 {
		return "", nil
	}
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "detection on recordings", "detection in the simulation"
	p.BackgroundColor = color.White
	points := make(plotter.XYs, len(r.Points))
	for i, at := range r.Points {
		points[i].X, points[i].Y = at[0], at[1]
	}
	s, err := plotter.NewScatter(points)
	if err != nil {
		return "", err
	}
	s.GlyphStyle = draw.GlyphStyle{Color: color.NRGBA{R: 0x2a, G: 0x6f, B: 0xbb, A: 0x80}, Radius: vg.Points(1.6),
		Shape: draw.CircleGlyph{}}
	p.Add(plotter.NewGrid(), s)
	for _, style := range []*text.Style{&p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Size = vg.Points(9)
	}
	p.X.Max += (p.X.Max - p.X.Min) / 10 // room for the last tick's text
	p.Y.Max += (p.Y.Max - p.Y.Min) / 10
	return render.Plot(p, 15*vg.Centimeter, 10*vg.Centimeter)
}
