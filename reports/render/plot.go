package render

import (
	"bytes"
	"html/template"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Plot draws a plot as SVG for a page.
func Plot(p *plot.Plot, width, height vg.Length) (template.HTML, error) {
	canvas := vgsvg.New(width, height)
	p.Draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", err
	}
	_, svg, _ := bytes.Cut(out.Bytes(), []byte("<svg"))    // the page has a prologue of its own
	svg = bytes.ReplaceAll(svg, []byte("\t"), []byte(" ")) // pages show control characters instead of obeying them
	return template.HTML("<svg" + string(svg)), nil        //nolint:gosec // drawn above; the library escapes text
}
