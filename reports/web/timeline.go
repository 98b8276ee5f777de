package web

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"time"

	"hemostat/sim/attack"
	"hemostat/sim/record"
)

// The measures of the time line, in pixels.
const (
	labelWidth = 170
	plotWidth  = 1000
	laneHeight = 26
	axisHeight = 26
	// clusterWidth is how near marks of a lane stand together to be drawn as one.
	clusterWidth = 9
	mostTicks    = 12
)

// mark is something that happened in a lane, at a time or during one.
type mark struct {
	At, Until int64
	Class     string // good, bad, warn, plain
	Title     string
	Link      string
}

// lane is a line of the time line.
type lane struct {
	Name  string
	Marks []mark
}

// lanesOf are the lanes of a trial: attackers, alerts, people, actions, and the zones of the
// hosts that these are about.
func lanesOf(t *record.Trial, zoneOf map[string]string) []lane {
	var lanes []lane
	add := func(name string, m ...mark) {
		for i := range lanes {
			if lanes[i].Name == name {
				lanes[i].Marks = append(lanes[i].Marks, m...)
				return
			}
		}
		lanes = append(lanes, lane{name, m})
	}
	type zoneMark struct {
		zone string
		mark mark
	}
	var inZones []zoneMark
	about := func(host string, m mark) {
		if zone := zoneOf[host]; zone != "" {
			inZones = append(inZones, zoneMark{zone, m})
		}
	}
	attackers := map[int]string{}
	for _, a := range t.Attacks {
		attackers[a.Attack] = "attacker " + a.Name
		add(attackers[a.Attack])
	}
	for i := range t.Steps {
		m := stepMark(&t.Steps[i])
		add(cmp.Or(attackers[t.Steps[i].Attack], "attacker"), m)
		about(cmp.Or(t.Steps[i].Target, t.Steps[i].Host), m)
	}
	add("alerts")
	add("false alarms")
	for i := range t.Alerts {
		a := &t.Alerts[i]
		name, m := "alerts", alertMark(a)
		if a.Attack == 0 {
			name = "false alarms"
		} else {
			about(a.Host, m)
		}
		add(name, m)
	}
	add("people")
	for i := range t.Approvals {
		add("people", approvalMark(&t.Approvals[i]))
	}
	add("actions")
	for i := range t.Actions {
		if a := &t.Actions[i]; a.Ended != nil {
			m := actionMark(a)
			add("actions", m)
			about(a.Target, m)
		}
	}
	slices.SortStableFunc(inZones, func(a, b zoneMark) int { return cmp.Compare(a.zone, b.zone) })
	for _, x := range inZones {
		add("zone "+x.zone, x.mark)
	}
	return lanes
}

func stepMark(s *record.Step) mark {
	m := mark{At: s.Started, Until: s.Ended, Class: "bad", Link: fmt.Sprintf("#step-%d-%d", s.Attack, s.Step)}
	how := "succeeded"
	switch {
	case s.BlockedBy != 0:
		m.Class, how = "good", fmt.Sprintf("blocked by action %d", s.BlockedBy)
	case !s.Succeeded:
		m.Class, how = "plain", "no success"
	}
	m.Title = fmt.Sprintf("%s %s (%s): %s", stamp(s.Started), s.Name, attack.Current(s.Technique), how)
	return m
}

func alertMark(a *record.Alert) mark {
	m := mark{At: a.Time, Until: a.Time, Class: "warn", Link: fmt.Sprintf("alerts/%d", a.Alert),
		Title: fmt.Sprintf("%s %s, %s, on %s", stamp(a.Time), a.Title, a.Severity, cmp.Or(a.Host, "no host"))}
	if a.Attack == 0 {
		m.Class = "plain"
	}
	return m
}

func approvalMark(a *record.Approval) mark {
	m := mark{At: a.Asked, Until: a.Asked, Class: "plain", Link: fmt.Sprintf("#approval-%d", a.Approval)}
	if a.Closed != nil {
		m.Until = *a.Closed
	}
	switch {
	case a.Outcome == "approved" && a.Just, a.Outcome == "denied" && !a.Just:
		m.Class = "good"
	case a.Outcome == "approved" || a.Outcome == "denied":
		m.Class = "bad"
	}
	m.Title = fmt.Sprintf("%s may %s be done to %s? %s", stamp(a.Asked), a.Action, cmp.Or(a.Target, "it"), a.Outcome)
	return m
}

func actionMark(a *record.Action) mark {
	m := mark{At: *a.Ended, Until: *a.Ended, Class: "good", Link: fmt.Sprintf("#action-%d", a.Action),
		Title: fmt.Sprintf("%s %s on %s: %s", stamp(*a.Ended), a.Kind, cmp.Or(a.Target, "it"), a.Status)}
	switch {
	case a.Status != "succeeded":
		m.Class = "plain"
	case a.OnBenign:
		m.Class = "bad"
		m.Title += ", on the innocent"
	}
	if a.Undone != nil && a.Status == "succeeded" {
		m.Until = *a.Undone
		m.Title += ", undone at " + stamp(*a.Undone)
	}
	return m
}

// stamp is a virtual time as hours, minutes and seconds.
func stamp(at int64) string {
	d := time.Duration(at)
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// window is the part of a trial that a time line shows.
type window struct{ From, To int64 }

// shape is a mark as it is drawn.
type shape struct {
	X, Y, W            float64
	Class, Title, Link string
	IsBar              bool
	N                  int
}

type tick struct {
	X     float64
	Label string
}

type drawnLane struct {
	Name string
	Y    int
	Odd  bool
}

// drawTimeline draws lanes within a window as SVG.
func drawTimeline(lanes []lane, w window) (template.HTML, error) {
	scale := plotWidth / float64(max(1, w.To-w.From))
	place := func(at int64) float64 { return labelWidth + float64(min(max(at, w.From), w.To)-w.From)*scale }
	var shapes []shape
	var drawn []drawnLane
	for i, l := range lanes {
		y := axisHeight + i*laneHeight
		drawn = append(drawn, drawnLane{l.Name, y, i%2 == 1})
		marks := slices.Clone(l.Marks)
		slices.SortStableFunc(marks, func(a, b mark) int { return cmp.Compare(a.At, b.At) })
		last := map[string]int{} // the newest point of a class, in shapes
		for _, m := range marks {
			if m.Until < w.From || m.At > w.To {
				continue
			}
			s := shape{X: place(m.At), Y: float64(y), Class: m.Class, Title: m.Title, Link: m.Link, N: 1}
			if s.W = place(m.Until) - s.X; s.W > clusterWidth {
				s.IsBar = true
				shapes = append(shapes, s)
				continue
			}
			if at, ok := last[m.Class]; ok && s.X-shapes[at].X < clusterWidth {
				shapes[at].N++
				continue
			}
			last[m.Class] = len(shapes)
			shapes = append(shapes, s)
		}
	}
	for i := range shapes {
		if s := &shapes[i]; s.N > 1 {
			s.Title += fmt.Sprintf(" — and %d more until here; zoom in to see them", s.N-1)
		}
	}
	var out bytes.Buffer
	err := pages.ExecuteTemplate(&out, "timeline.html", struct {
		Window                window
		Width, Height, Bottom int
		Left                  int
		Lanes                 []drawnLane
		Shapes                []shape
		Ticks                 []tick
	}{w, labelWidth + plotWidth + 20, axisHeight + len(lanes)*laneHeight + 6, axisHeight + len(lanes)*laneHeight, labelWidth, drawn,
		shapes, ticksOf(w, place)})
	return template.HTML(out.String()), err //nolint:gosec // written by a template, which escapes
}

// tickSteps are the distances that ticks of time may have.
var tickSteps = []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

func ticksOf(w window, place func(int64) float64) (ticks []tick) {
	step := tickSteps[len(tickSteps)-1]
	for _, s := range tickSteps {
		if (w.To-w.From)/int64(s) <= mostTicks {
			step = s
			break
		}
	}
	first := (w.From + int64(step) - 1) / int64(step) * int64(step)
	for at := first; at <= w.To && len(ticks) <= 4*mostTicks; at += int64(step) {
		ticks = append(ticks, tick{place(at), stamp(at)})
	}
	return ticks
}
