// Package detectors says what each detector of a variant adds: its alerts, how many of them
// are true, which attacks, steps and techniques it finds and which nobody else does, how soon,
// at what cost; how hits and false alarms go together as its bar moves; and, where trials
// without a detector were run on the same days, what was lost without it. It reads recorded
// trials and writes tables and JSON; cmd reads the database.
package detectors

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"hemostat/reports/stats"
	"hemostat/sim/record"
)

// Trial is a recorded trial with its day.
type Trial struct {
	*record.Trial
	Seed uint64
}

// alpha is the error rate of all intervals.
const alpha = 0.05

// Result is what is said of a variant's detectors.
type Result struct {
	Variant    string
	Trials     int
	Days       float64 // of all trials together
	Attacks    int
	Steps      int // of attackers that succeeded
	Detectors  []Detector
	Techniques []Technique
	Curves     []Curve
	Without    []Without
	Warnings   []string
}

// Detector is what one detector did.
type Detector struct {
	Name, Version string
	Alerts, False int
	// Precision is the share of true alerts, AttacksFound and StepsFound are recalls, each
	// with an interval over trials, since what happens within one hangs together.
	Precision, AttacksFound, StepsFound stats.Interval
	// AttacksAlone and StepsAlone were found by no other detector.
	AttacksAlone, StepsAlone int
	FalsePerDay              stats.Interval
	// TimeToDetect is the median time from an attack's first event to the detector's first
	// true alert, over all attacks; not reached where it finds fewer than half of them.
	TimeToDetect stats.Interval
	// CostPerEvent is wall-clock nanoseconds for each event of the trials.
	CostPerEvent float64
}

// Technique is how often each detector found a technique's steps.
type Technique struct {
	ID    string
	Steps int
	Found map[string]int // by detector
	Any   int            // by any detector
}

// Analyse says what the detectors of a variant did in its trials.
func Analyse(variant string, trials []Trial) *Result {
	r := &Result{Variant: variant, Trials: len(trials)}
	all := map[string]*gathered{}
	techniques := map[string]*Technique{}
	for _, t := range trials {
		r.Days += float64(t.Horizon) / float64(24*time.Hour)
		r.Attacks += len(t.Attacks)
		r.gather(t, all, techniques)
	}
	for _, name := range slices.Sorted(keysOf(all)) {
		r.Detectors = append(r.Detectors, all[name].detector(name, len(trials)))
		if a := all[name]; len(a.scores) > 0 {
			r.Curves = append(r.Curves, curvesOf(name, a.scores, r)...)
		}
	}
	for _, id := range slices.Sorted(keysOf(techniques)) {
		r.Techniques = append(r.Techniques, *techniques[id])
	}
	return r
}

func keysOf[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// gathered is what is added up of a detector, by trial where intervals need it.
type gathered struct {
	version                  string
	alerts, false_           int
	perTrial                 []counts
	attacksAlone, stepsAlone int
	times                    []stats.Observation
	costNS                   float64
	events                   float64
	scores                   []scored
}

// counts are a trial's numbers.
type counts struct{ alerts, true_, attacks, attacksFound, steps, stepsFound, falseAlarms, days float64 }

// scored is a score with its trial.
type scored struct {
	record.Score
	trial int
	day   dayStep
}

// dayStep names a step of an attack among all trials.
type dayStep struct{ trial, attack, step int }

func (r *Result) gather(t Trial, all map[string]*gathered, techniques map[string]*Technique) {
	index := r.trialIndex(all)
	names := map[string]bool{}
	for i := range t.Cost {
		if t.Cost[i].Detector != "" {
			names[t.Cost[i].Detector] = true
		}
	}
	for i := range t.Alerts {
		names[t.Alerts[i].Detector] = true
	}
	found := map[string]*foundBy{}
	for name := range names {
		if all[name] == nil {
			all[name] = &gathered{perTrial: make([]counts, index)}
		}
		found[name] = &foundBy{steps: map[record.StepRef]bool{}, attacks: map[int]int64{}}
	}
	for i := range t.Alerts {
		a := &t.Alerts[i]
		f := found[a.Detector]
		for _, ref := range a.AllSteps() {
			f.steps[ref] = true
			if at, ok := f.attacks[ref.Attack]; !ok || a.Time < at {
				f.attacks[ref.Attack] = a.Time
			}
		}
	}
	steps := succeeded(t.Trial)
	r.Steps += len(steps)
	countTechniques(steps, found, techniques)
	for name, a := range all {
		for len(a.perTrial) < index {
			a.perTrial = append(a.perTrial, counts{})
		}
		f := found[name]
		if f == nil {
			f = &foundBy{}
		}
		a.perTrial = append(a.perTrial, a.take(t, name, f, steps, found))
	}
	for i := range t.Cost {
		if a := all[t.Cost[i].Detector]; a != nil {
			a.version = t.Cost[i].Version
			a.costNS += float64(t.Cost[i].DetectorWallNS)
			a.events += float64(t.EventsTotal)
		}
	}
	for i := range t.Scores {
		s := t.Scores[i]
		if a := all[s.Detector]; a != nil {
			a.scores = append(a.scores, scored{s, index, dayStep{index, s.Attack, s.Step}})
		}
	}
}

// trialIndex is how many trials were gathered before.
func (r *Result) trialIndex(all map[string]*gathered) int {
	n := 0
	for _, a := range all {
		n = max(n, len(a.perTrial))
	}
	return n
}

// foundBy is what a detector found in a trial.
type foundBy struct {
	steps   map[record.StepRef]bool
	attacks map[int]int64 // when first
}

// succeeded are the steps of attackers that took place.
func succeeded(t *record.Trial) []*record.Step {
	var out []*record.Step
	for i := range t.Steps {
		if t.Steps[i].Succeeded {
			out = append(out, &t.Steps[i])
		}
	}
	return out
}

func countTechniques(steps []*record.Step, found map[string]*foundBy, techniques map[string]*Technique) {
	for _, s := range steps {
		x := techniques[s.Technique]
		if x == nil {
			x = &Technique{ID: s.Technique, Found: map[string]int{}}
			techniques[s.Technique] = x
		}
		x.Steps++
		any := 0
		for name, f := range found {
			if f.steps[record.StepRef{Attack: s.Attack, Step: s.Step}] {
				x.Found[name]++
				any = 1
			}
		}
		x.Any += any
	}
}

// take adds a trial up.
func (a *gathered) take(t Trial, name string, f *foundBy, steps []*record.Step, found map[string]*foundBy) counts {
	c := counts{attacks: float64(len(t.Attacks)), steps: float64(len(steps)), days: float64(t.Horizon) / float64(24*time.Hour)}
	for i := range t.Alerts {
		if t.Alerts[i].Detector != name {
			continue
		}
		c.alerts++
		if t.Alerts[i].Attack != 0 {
			c.true_++
		} else {
			c.falseAlarms++
		}
	}
	a.alerts += int(c.alerts)
	a.false_ += int(c.falseAlarms)
	others := func(has func(*foundBy) bool) bool {
		for other, o := range found {
			if other != name && has(o) {
				return true
			}
		}
		return false
	}
	for _, s := range steps {
		ref := record.StepRef{Attack: s.Attack, Step: s.Step}
		if f.steps[ref] {
			c.stepsFound++
			if !others(func(o *foundBy) bool { return o.steps[ref] }) {
				a.stepsAlone++
			}
		}
	}
	for i := range t.Attacks {
		attack := t.Attacks[i].Attack
		begin := int64(0)
		if first := t.Attacks[i].FirstEvent; first != nil {
			begin = *first
		}
		at, ok := f.attacks[attack]
		if !ok {
			a.times = append(a.times, stats.Observation{Time: float64(t.Horizon - begin)})
			continue
		}
		c.attacksFound++
		a.times = append(a.times, stats.Observation{Time: float64(max(0, at-begin)), Happened: true})
		if !others(func(o *foundBy) bool { _, seen := o.attacks[attack]; return seen }) {
			a.attacksAlone++
		}
	}
	return c
}

func (a *gathered) detector(name string, trials int) Detector {
	for len(a.perTrial) < trials {
		a.perTrial = append(a.perTrial, counts{})
	}
	share := func(part, whole func(c counts) float64) stats.Interval {
		x, y := make([]float64, trials), make([]float64, trials)
		for i, c := range a.perTrial {
			x[i], y[i] = part(c), whole(c)
		}
		return stats.Ratio(x, y, alpha)
	}
	d := Detector{
		Name: name, Version: a.version, Alerts: a.alerts, False: a.false_, AttacksAlone: a.attacksAlone,
		StepsAlone:   a.stepsAlone,
		Precision:    share(func(c counts) float64 { return c.true_ }, func(c counts) float64 { return c.alerts }),
		AttacksFound: share(func(c counts) float64 { return c.attacksFound }, func(c counts) float64 { return c.attacks }),
		StepsFound:   share(func(c counts) float64 { return c.stepsFound }, func(c counts) float64 { return c.steps }),
		FalsePerDay:  share(func(c counts) float64 { return c.falseAlarms }, func(c counts) float64 { return c.days }),
		TimeToDetect: stats.Interval{Value: math.NaN(), Lo: math.NaN(), Hi: math.NaN()},
	}
	if len(a.times) > 0 {
		d.TimeToDetect = stats.KaplanMeier(a.times).Median(alpha)
	}
	if a.events > 0 {
		d.CostPerEvent = a.costNS / a.events
	}
	return d
}

// Curve is how hits and false alarms of a detector's question go together as its bar falls.
type Curve struct {
	Detector, Question string
	Hostile, Quiet     float64 // scores of attacks and of what none caused, as many as there were
	AUC                stats.Interval
	// Points have the bar, the share of all successful steps with a score above it, and the
	// false alarms a day above it; ROC and PR are the curves of single scores.
	Points  []CurvePoint
	ROC, PR []stats.Point
}

// CurvePoint is one bar.
type CurvePoint struct{ Bar, Steps, FalsePerDay float64 }

// maxPoints bounds the points of a curve.
const maxPoints = 40

func curvesOf(detector string, all []scored, r *Result) []Curve {
	by := map[string][]scored{}
	for _, s := range all {
		by[s.Question] = append(by[s.Question], s)
	}
	var out []Curve
	for _, question := range slices.Sorted(keysOf(by)) {
		list := by[question]
		slices.SortStableFunc(list, func(a, b scored) int { return -cmp.Compare(a.Score.Score, b.Score.Score) })
		c := Curve{Detector: detector, Question: question}
		hostile, scores, weights, clusters := make([]bool, len(list)), make([]float64, len(list)), make([]float64,
			len(list)), make([]int, len(list))
		steps := map[dayStep]bool{}
		for i, s := range list {
			hostile[i], scores[i], weights[i], clusters[i] = s.Attack != 0, s.Score.Score, s.Weight, s.trial
			if s.Attack != 0 {
				c.Hostile++
				steps[s.day] = true
			} else {
				c.Quiet += s.Weight
			}
			if i+1 == len(list) || list[i+1].Score.Score != s.Score.Score {
				c.Points = append(c.Points, CurvePoint{s.Score.Score, float64(len(steps)) / max(1, float64(r.Steps)),
					c.Quiet / max(r.Days, 1e-9)})
			}
		}
		c.Points = thin(c.Points)
		c.AUC = stats.WeightedAUC(hostile, scores, weights, clusters, alpha)
		c.ROC, c.PR = thin(stats.WeightedROC(hostile, scores, weights)), thin(stats.WeightedPR(hostile, scores, weights))
		out = append(out, c)
	}
	return out
}

// thin leaves so many points, with the first and the last.
func thin[T any](points []T) []T {
	if len(points) <= maxPoints {
		return points
	}
	out := make([]T, maxPoints)
	for i := range out {
		out[i] = points[i*(len(points)-1)/(maxPoints-1)]
	}
	return out
}

// Without is what changes when a detector is left out, on the same days: without it minus
// with it.
type Without struct {
	Detector string
	Pairs    int
	// AttacksFound and StepsFound are shares by any detector, Score is in points.
	AttacksFound, StepsFound, FalsePerDay, Contained, Score stats.Interval
}

// LeaveOut compares the trials of a variant with those of the same days without a detector.
func (r *Result) LeaveOut(detector string, with, without []Trial) {
	type day struct {
		scenario string
		seed     uint64
		index    int
	}
	whole := map[day]*record.Trial{}
	for _, t := range with {
		whole[day{t.Scenario, t.Seed, t.Index}] = t.Trial
	}
	var attacks, steps, alarms, contained, score []float64
	pairs := 0
	for _, t := range without {
		w := whole[day{t.Scenario, t.Seed, t.Index}]
		if w == nil {
			continue
		}
		pairs++
		alarms = append(alarms, falsePerDay(t.Trial)-falsePerDay(w))
		score = append(score, t.Score-w.Score)
		if len(w.Attacks) == 0 {
			continue
		}
		attacks = append(attacks, oneIf(t.Detected)-oneIf(w.Detected))
		contained = append(contained, oneIf(t.Contained)-oneIf(w.Contained))
		if a, b := detectedShare(t.Trial), detectedShare(w); !math.IsNaN(a) && !math.IsNaN(b) {
			steps = append(steps, a-b)
		}
	}
	r.Without = append(r.Without, Without{
		Detector: detector, Pairs: pairs, AttacksFound: stats.Mean(attacks, alpha), StepsFound: stats.Mean(steps, alpha),
		FalsePerDay: stats.Mean(alarms, alpha), Contained: stats.Mean(contained, alpha), Score: stats.Mean(score, alpha),
	})
	slices.SortFunc(r.Without, func(a, b Without) int { return strings.Compare(a.Detector, b.Detector) })
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func falsePerDay(t *record.Trial) float64 {
	return float64(t.AlertsFalse) / (float64(t.Horizon) / float64(24*time.Hour))
}

// detectedShare is the share of successful steps that any detector found; NaN without any.
func detectedShare(t *record.Trial) float64 {
	n, found := 0.0, 0.0
	for i := range t.Steps {
		if t.Steps[i].Succeeded {
			n++
			found += oneIf(t.Steps[i].Detected != nil)
		}
	}
	return found / n
}
