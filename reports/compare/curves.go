package compare

import (
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"hemostat/reports/render"
	"hemostat/reports/stats"
)

// curve is the share of trials in which something has happened by a time.
type curve struct {
	Variant string       `json:"variant"`
	Event   string       `json:"event"`
	Method  string       `json:"method"` // kaplan-meier or aalen-johansen
	Points  []curvePoint `json:"points"`
}

// curvePoint is one time of a curve, in nanoseconds since the attack's first event.
// The 95 % interval is null where there is none, as in curves of Aalen and Johansen.
type curvePoint struct {
	Time  number `json:"time"`
	Share number `json:"share"`
	Lo    number `json:"lo"`
	Hi    number `json:"hi"`
}

// curvePoints is how many times a curve is given at, evenly up to the horizon.
const curvePoints = 60

// curveMetrics are the times that curves are drawn of.
var curveMetrics = []string{"time_to_detect", "time_to_respond", "time_to_contain"}

// Causes that end the race between the attack's objective and its detection.
const (
	causeDetected  = 1
	causeObjective = 2
)

// curves are, of each variant, how soon attacks were detected, answered and contained
// (Kaplan and Meier, censored at the horizon), and who won the race of detection
// against objective (Aalen and Johansen: one stops the other from coming first).
func (r *Result) curves() []curve {
	curves := []curve{}
	for _, name := range curveMetrics {
		i := slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == name })
		v := valuesOf(r.pairs, i)
		if len(v.before) == 0 {
			continue
		}
		at := curveTimes(slices.Max(v.horizon))
		curves = append(curves,
			curve{r.Baseline, name, "kaplan-meier", happened(observations(v.before, v.horizon), at)},
			curve{r.Candidate, name, "kaplan-meier", happened(observations(v.after, v.horizon), at)})
	}
	return append(curves, r.races()...)
}

func curveTimes(horizon float64) []float64 {
	at := make([]float64, curvePoints+1)
	for i := range at {
		at[i] = horizon * float64(i) / curvePoints
	}
	return at
}

// happened turns a curve of what has not happened yet around.
func happened(sample []stats.Observation, at []float64) []curvePoint {
	curve := stats.KaplanMeier(sample)
	points := make([]curvePoint, len(at))
	for i, t := range at {
		not, _ := curve.At(t, alpha)
		points[i] = curvePoint{number(t), number(1 - not.Value), number(1 - not.Hi), number(1 - not.Lo)}
	}
	return points
}

// races are the curves of detection before the objective and of the reverse.
func (r *Result) races() []curve {
	detect := slices.IndexFunc(metrics, func(m Metric) bool { return m.Name == "time_to_detect" })
	var curves []curve
	for side, variant := range []string{r.Baseline, r.Candidate} {
		var outcomes []stats.Outcome
		horizon := 0.0
		for _, p := range r.pairs {
			o := []*observation{p.baseline, p.candidate}[side]
			if detected := o.Values[detect]; !math.IsNaN(detected) {
				outcomes = append(outcomes, race(detected, o.Objective, float64(o.Horizon)))
				horizon = max(horizon, float64(o.Horizon))
			}
		}
		if len(outcomes) == 0 {
			continue
		}
		at := curveTimes(horizon)
		for _, event := range []struct {
			name  string
			cause int
		}{{"detected_before_objective", causeDetected}, {"objective_before_detection", causeObjective}} {
			curve := curve{variant, event.name, "aalen-johansen", nil}
			for i, share := range stats.CumulativeIncidence(outcomes, event.cause, at) {
				curve.Points = append(
					curve.Points,
					curvePoint{number(at[i]), number(share), number(math.NaN()), number(math.NaN())},
				)
			}
			curves = append(curves, curve)
		}
	}
	return curves
}

// race is what came first. An objective that falls on the same instant as the
// detection was not prevented.
func race(detected, objective, horizon float64) stats.Outcome {
	switch {
	case objective <= detected && objective <= horizon:
		return stats.Outcome{Time: objective, Cause: causeObjective}
	case detected <= horizon:
		return stats.Outcome{Time: detected, Cause: causeDetected}
	}
	return stats.Outcome{Time: horizon}
}

// picture is the drawing of one event's curves for the page.
type picture struct {
	Title string
	Lines []pictureLine
	SVG   template.HTML
}

// pictureLine is what a colour of a picture stands for. The page tells it in words of
// its own, whose width the drawing cannot know.
type pictureLine struct {
	Variant string
	Colour  template.CSS
}

// pictures draws the curves, one picture for an event.
func (r *Result) pictures() ([]picture, error) {
	var pictures []picture
	var ofEvent []curve
	curves := r.curves()
	for i, c := range curves {
		ofEvent = append(ofEvent, c)
		if i+1 < len(curves) && curves[i+1].Event == c.Event {
			continue
		}
		if c.Method == "kaplan-meier" {
			svg, err := drawCurves(ofEvent)
			if err != nil {
				return nil, err
			}
			var lines []pictureLine
			for k, drawn := range ofEvent {
				red, green, blue, _ := plotutil.Color(k).RGBA()
				lines = append(
					lines,
					pictureLine{drawn.Variant, template.CSS(fmt.Sprintf("#%02x%02x%02x", red>>8, green>>8, blue>>8))},
				) //nolint:gosec // a number
			}
			pictures = append(pictures, picture{c.Event, lines, svg})
		}
		ofEvent = nil
	}
	return pictures, nil
}

// drawCurves draws the curves of one event with their intervals as bands.
func drawCurves(curves []curve) (template.HTML, error) {
	p := plot.New()
	p.BackgroundColor = color.White
	p.X.Label.Text, p.Y.Label.Text = "minutes since the attack began", "share of attacks"
	p.Y.Min, p.Y.Max = 0, 1.04 // room for the tick's text
	for _, style := range []*text.Style{&p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label} {
		style.Font.Size = vg.Points(9)
	}
	p.Add(plotter.NewGrid())
	for i, c := range curves {
		var line, low, high plotter.XYs
		for k, point := range c.Points {
			x := float64(point.Time) / float64(time.Minute)
			if k > 0 { // a curve of steps: it stays until the next time
				line = append(line, plotter.XY{X: x, Y: float64(c.Points[k-1].Share)})
			}
			line = append(line, plotter.XY{X: x, Y: float64(point.Share)})
			if !math.IsNaN(float64(point.Lo + point.Hi)) {
				low, high = append(
					low,
					plotter.XY{X: x, Y: float64(point.Lo)},
				), append(
					high,
					plotter.XY{X: x, Y: float64(point.Hi)},
				)
			}
		}
		if len(low) > 1 {
			slices.Reverse(high)
			band, err := plotter.NewPolygon(append(low, high...))
			if err != nil {
				return "", err
			}
			red, green, blue, _ := plotutil.Color(i).RGBA()
			band.Color = color.NRGBA{uint8(red >> 8), uint8(green >> 8), uint8(blue >> 8), 40}
			band.Width = 0
			p.Add(band)
		}
		drawn, err := plotter.NewLine(line)
		if err != nil {
			return "", err
		}
		drawn.Color, drawn.Width = plotutil.Color(i), vg.Points(1.5)
		p.Add(drawn)
	}
	return render.Plot(p, 14*vg.Centimeter, 8*vg.Centimeter)
}
