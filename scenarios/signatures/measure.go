package signatures

import (
	"context"
	"time"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/record"
)

// Result is what a rule came to on days that were not learned from.
type Result struct {
	// True and False are alarms: matches of one rule on one host within ten minutes are one.
	True, False int
	// Attacks are those of which it saw a step, and NewSteps the steps that it saw and nothing
	// else did.
	Attacks, NewSteps int
}

// Total is what all rules came to together.
type Total struct {
	Attacks  int     // of the days
	Days     float64 // their length
	Missed   int     // steps of attacks that sensors saw and no alert was about
	NewSteps int     // of these, those that a rule saw
}

// repeat is how long one alarm stands for further matches on its host.
const repeat = 10 * time.Minute

type alarm struct {
	rule int
	host string
}

// Measure counts what rules do on days. The results are in the order of the rules.
func Measure(ctx context.Context, rules []*sigma.Rule, days []*Day) ([]Result, Total, error) {
	engine, err := sigma.Compile(rules)
	if err != nil {
		return nil, Total{}, err
	}
	place := map[*sigma.Rule]int{}
	for i, r := range rules {
		place[r] = i
	}
	results := make([]Result, len(rules))
	var total Total
	for _, d := range days {
		m := measurement{results: results, hostile: map[uint64][2]int{}, last: map[alarm]time.Duration{}, attacks: map[[2]int]bool{},
			seen: map[[3]int]bool{}, any: map[[2]int]bool{}, missed: map[[2]int]bool{}}
		undetected := map[[2]int]bool{}
		for i := range d.Trial.Steps {
			if s := &d.Trial.Steps[i]; s.Detected == nil {
				undetected[[2]int{s.Attack, s.Step}] = true
			}
		}
		matcher := engine.NewMatcher()
		err := d.Events(func(x *record.StoredEvent) error {
			if x.Attack != 0 {
				step := [2]int{x.Attack, x.Step}
				m.hostile[x.Event.ID] = step
				if undetected[step] {
					m.missed[step] = true
				}
			}
			matcher.Match(x.Event, func(match sigma.Match) { m.count(place[match.Rule], x, match.Events) })
			return ctx.Err()
		})
		if err != nil {
			return nil, Total{}, err
		}
		total.Attacks += len(d.Trial.Attacks)
		total.Days += time.Duration(d.Trial.Horizon).Hours() / 24
		total.Missed += len(m.missed)
		total.NewSteps += len(m.any)
	}
	return results, total, nil
}

// measurement is what is counted within a day.
type measurement struct {
	results []Result
	last    map[alarm]time.Duration
	hostile map[uint64][2]int // attack and step of each hostile event so far
	attacks map[[2]int]bool   // rule and attack
	seen    map[[3]int]bool   // rule, attack and step
	missed  map[[2]int]bool   // attack and step without an alert
	any     map[[2]int]bool   // of these, what a rule saw
}

// count counts a match of a rule at an event, for every step in its evidence.
func (m *measurement) count(rule int, x *record.StoredEvent, evidence []uint64) {
	r := &m.results[rule]
	isReal := false
	for _, id := range evidence {
		step, isHostile := m.hostile[id]
		if !isHostile {
			continue
		}
		isReal = true
		if at := [2]int{rule, step[0]}; !m.attacks[at] {
			m.attacks[at] = true
			r.Attacks++
		}
		if at := [3]int{rule, step[0], step[1]}; m.missed[step] && !m.seen[at] {
			m.seen[at] = true
			r.NewSteps++
		}
		if m.missed[step] {
			m.any[step] = true
		}
	}
	a := alarm{rule, x.Event.Host}
	if last, known := m.last[a]; known && x.Event.Time-last < repeat {
		return
	}
	m.last[a] = x.Event.Time
	if isReal {
		r.True++
	} else {
		r.False++
	}
}
