// Package overview tells what a whole database holds, on one page and as a layer of ATT&CK
// Navigator: what came of the trials by scenario and variant, how soon attacks were detected,
// answered and contained, how long each stage took, which techniques were seen, and variants
// held against a baseline.
package overview

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"hemostat/reports/stats"
	"hemostat/sim/attack"
	"hemostat/sim/record"
)

// alpha is the error rate of the intervals.
const alpha = 0.05

// Overview gathers trials. The order in which they come does not matter.
type Overview struct {
	groups   map[groupKey]*group
	times    map[string]*[len(clocks)][]stats.Observation // by variant
	horizon  time.Duration
	stages   map[stageKey][]float64
	tallies  map[techniqueKey]*tally
	variants map[string]bool
	errors   int
}

type groupKey struct{ scenario, variant string }

// group is the trials of a scenario under a variant.
type group struct {
	trials, attacked, detected, contained, reached int
	times                                          [len(clocks)][]stats.Observation
	falseAlarms, disruption, score                 float64
}

type stageKey struct{ variant, stage string }

type techniqueKey struct{ variant, technique string }

// tally counts the trials in which a technique was carried out, and seen.
type tally struct{ all, seen int }

// clocks are the times that curves are drawn of.
var clocks = [...]struct {
	title string
	of    func(*record.Trial) record.Time
}{
	{"detected", func(t *record.Trial) record.Time { return t.TimeToDetect }},
	{"answered", func(t *record.Trial) record.Time { return t.TimeToRespond }},
	{"contained", func(t *record.Trial) record.Time { return t.TimeToContain }},
}

// New makes an overview of nothing.
func New() *Overview {
	return &Overview{groups: map[groupKey]*group{}, times: map[string]*[len(clocks)][]stats.Observation{},
		stages: map[stageKey][]float64{}, tallies: map[techniqueKey]*tally{}, variants: map[string]bool{}}
}

// Variants are the variants of the trials, in their order.
func (o *Overview) Variants() []string { return slices.Sorted(maps.Keys(o.variants)) }

// Add takes in the own row of a trial.
func (o *Overview) Add(t *record.Trial) {
	o.variants[t.Variant] = true
	if t.Status != "ok" {
		o.errors++
		return
	}
	key := groupKey{t.Scenario, t.Variant}
	g := o.groups[key]
	if g == nil {
		g = &group{}
		o.groups[key] = g
	}
	g.trials++
	g.falseAlarms += float64(t.AlertsFalse)
	g.disruption += t.Disruption
	g.score += t.Score
	if t.Outcome == "no_attack" {
		return
	}
	g.attacked++
	for _, x := range []struct {
		is bool
		n  *int
	}{{t.Detected, &g.detected}, {t.Contained, &g.contained}, {t.ObjectiveReached, &g.reached}} {
		if x.is {
			*x.n++
		}
	}
	o.horizon = max(o.horizon, time.Duration(t.Horizon))
	all := o.times[t.Variant]
	if all == nil {
		all = &[len(clocks)][]stats.Observation{}
		o.times[t.Variant] = all
	}
	for i, c := range clocks {
		x := stats.Observation{Time: float64(t.Horizon)}
		if at := c.of(t); at != nil {
			x = stats.Observation{Time: float64(*at), Happened: true}
		}
		g.times[i], all[i] = append(g.times[i], x), append(all[i], x)
	}
}

// AddStage takes in how long a stage of an incident took.
func (o *Overview) AddStage(variant, stage string, took time.Duration) {
	key := stageKey{variant, stage}
	o.stages[key] = append(o.stages[key], float64(took))
}

// AddTechnique takes in that a technique was carried out in a trial, and whether it was seen.
func (o *Overview) AddTechnique(variant, technique string, seen bool) {
	key := techniqueKey{variant, technique}
	x := o.tallies[key]
	if x == nil {
		x = &tally{}
		o.tallies[key] = x
	}
	x.all++
	if seen {
		x.seen++
	}
}

// outcomeRow is a row of the table of outcomes.
type outcomeRow struct {
	Scenario, Variant                   string
	Trials                              int
	Detected, Contained, Reached        stats.Interval // NaN without attacks
	Medians                             [len(clocks)]float64
	FalseAlarms, DisruptionHours, Score float64
	First                               bool // of its scenario
}

func (o *Overview) outcomes() []outcomeRow {
	keys := slices.SortedFunc(maps.Keys(o.groups), func(a, b groupKey) int {
		return cmp.Or(cmp.Compare(a.scenario, b.scenario), cmp.Compare(a.variant, b.variant))
	})
	var rows []outcomeRow
	for i, k := range keys {
		g := o.groups[k]
		n := float64(g.trials)
		r := outcomeRow{Scenario: k.scenario, Variant: k.variant, Trials: g.trials,
			Detected: stats.Wilson(g.detected, g.attacked, alpha), Contained: stats.Wilson(g.contained, g.attacked, alpha),
			Reached: stats.Wilson(g.reached, g.attacked, alpha), FalseAlarms: g.falseAlarms / n,
			DisruptionHours: g.disruption / n, Score: g.score / n, First: i == 0 || keys[i-1].scenario != k.scenario}
		for c := range clocks {
			r.Medians[c] = math.NaN()
			if g.attacked > 0 {
				r.Medians[c] = stats.KaplanMeier(g.times[c]).Median(alpha).Value
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// stageRow is a row of the table of stages.
type stageRow struct {
	Stage, Variant       string
	N                    int
	Median, Ninety, Most float64 // nanoseconds
	Width                float64 // of the bar, a share of the widest, on a scale of logarithms
	First                bool
}

func (o *Overview) stageRows() []stageRow {
	keys := slices.SortedFunc(maps.Keys(o.stages), func(a, b stageKey) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), cmp.Compare(a.variant, b.variant))
	})
	var rows []stageRow
	widest := 0.0
	for i, k := range keys {
		took := slices.Sorted(slices.Values(o.stages[k]))
		r := stageRow{Stage: k.stage, Variant: k.variant, N: len(took), Median: stats.Quantile(took, 0.5),
			Ninety: stats.Quantile(took, 0.9), Most: took[len(took)-1], First: i == 0 || keys[i-1].stage != k.stage}
		r.Width = math.Log1p(r.Median / float64(time.Millisecond))
		widest = max(widest, r.Width)
		rows = append(rows, r)
	}
	for i := range rows {
		rows[i].Width /= max(widest, 1e-9)
	}
	return rows
}

// heatRow is a technique in the heat map.
type heatRow struct {
	Tactic, ID, Name string
	Cells            []heatCell // by variant
	First            bool
}

// heatCell says how often a technique was seen under a variant.
type heatCell struct{ All, Seen int }

// Share is the share of trials in which it was seen, NaN where it was not carried out.
func (c heatCell) Share() float64 {
	if c.All == 0 {
		return math.NaN()
	}
	return float64(c.Seen) / float64(c.All)
}

// Known says what is known of techniques by their ids: name and tactic.
type Known map[string]struct{ Name, Tactic string }

func (o *Overview) heatRows(known Known) []heatRow {
	variants := o.Variants()
	cells := map[string][]heatCell{}
	for k, t := range o.tallies {
		if cells[k.technique] == nil {
			cells[k.technique] = make([]heatCell, len(variants))
		}
		at, _ := slices.BinarySearch(variants, k.variant)
		cells[k.technique][at] = heatCell{t.all, t.seen}
	}
	var rows []heatRow
	for id, list := range cells {
		k := known[id]
		rows = append(rows, heatRow{Tactic: cmp.Or(k.Tactic, "other"), ID: id, Name: k.Name, Cells: list})
	}
	slices.SortFunc(rows, func(a, b heatRow) int {
		return cmp.Or(cmp.Compare(attack.TacticPlace(a.Tactic), attack.TacticPlace(b.Tactic)),
			cmp.Compare(a.Tactic, b.Tactic), cmp.Compare(a.ID, b.ID))
	})
	for i := range rows {
		rows[i].First = i == 0 || rows[i-1].Tactic != rows[i].Tactic
	}
	return rows
}
