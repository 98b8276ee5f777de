package compare

import (
	"html/template"
	"math"
	"slices"
	"time"

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
				lines = append(lines, pictureLine{drawn.Variant, render.CurveColour(k)})
			}
			pictures = append(pictures, picture{c.Event, lines, svg})
		}
		ofEvent = nil
	}
	return pictures, nil
}

// drawCurves draws the curves of one event with their intervals as bands.
func drawCurves(curves []curve) (template.HTML, error) {
	var drawn [][]render.CurvePoint
	for _, c := range curves {
		var points []render.CurvePoint
		for _, x := range c.Points {
			points = append(points, render.CurvePoint{Minutes: float64(x.Time) / float64(time.Minute), Share: float64(x.Share),
				Lo: float64(x.Lo), Hi: float64(x.Hi)})
		}
		drawn = append(drawn, points)
	}
	return render.Curves(drawn, false)
}
