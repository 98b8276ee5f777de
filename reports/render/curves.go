package render

import (
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// CurvePoint is a point of a curve: the share to which something has happened by a time in
// minutes, with its interval, NaN where there is none.
type CurvePoint struct{ Minutes, Share, Lo, Hi float64 }

// CurveColour is the colour of the i-th curve of a picture.
func CurveColour(i int) template.CSS {
	red, green, blue, _ := plotutil.Color(i).RGBA()
	return template.CSS(fmt.Sprintf("#%02x%02x%02x", red>>8, green>>8, blue>>8)) //nolint:gosec // a number
}

// Curves draws curves of steps with their intervals as bands; wide ones with the times on a scale
// of logarithms, where every point lies behind 0.
func Curves(curves [][]CurvePoint, wide bool) (template.HTML, error) {
	p := plot.New()
	p.BackgroundColor = color.White
	p.X.Label.Text, p.Y.Label.Text = "minutes since the attack began", "share of attacks"
	p.Y.Min, p.Y.Max = 0, 1.04 // room for the tick's text
	for _, style := range []*text.Style{&p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Size = vg.Points(9)
	}
	if wide {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	p.Add(plotter.NewGrid())
	for i, points := range curves {
		if err := addCurve(p, i, points); err != nil {
			return "", err
		}
	}
	return Plot(p, 14*vg.Centimeter, 8*vg.Centimeter)
}

func addCurve(p *plot.Plot, i int, points []CurvePoint) error {
	var line, low, high plotter.XYs
	for k, x := range points {
		if k > 0 { // it stays until the next time
			line = append(line, plotter.XY{X: x.Minutes, Y: points[k-1].Share})
		}
		line = append(line, plotter.XY{X: x.Minutes, Y: x.Share})
		if !math.IsNaN(x.Lo + x.Hi) {
			low, high = append(low, plotter.XY{X: x.Minutes, Y: x.Lo}), append(high, plotter.XY{X: x.Minutes, Y: x.Hi})
		}
	}
	if len(low) > 1 {
		slices.Reverse(high)
		band, err := plotter.NewPolygon(append(low, high...))
		if err != nil {
			return err
		}
		red, green, blue, _ := plotutil.Color(i).RGBA()
		band.Color = color.NRGBA{uint8(red >> 8), uint8(green >> 8), uint8(blue >> 8), 40}
		band.Width = 0
		p.Add(band)
	}
	drawn, err := plotter.NewLine(line)
	if err != nil {
		return err
	}
	drawn.Color, drawn.Width = plotutil.Color(i), vg.Points(1.5)
	p.Add(drawn)
	return nil
}
