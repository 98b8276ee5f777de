// Package observe finds out what a rule set sees: in recorded logs, in what the
// techniques of the library leave, and in a day without attackers. What it sees is
// compared by reports/fidelity.
package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hemostat/attackers/technique"
	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/reports/fidelity"
	"hemostat/scenarios"
	"hemostat/scenarios/coverage"
	"hemostat/sim/event"
	"hemostat/sim/world"
)

// observer tries one rule set on logs.
type observer struct {
	engine *sigma.Engine
	rules  []*sigma.Rule
	index  map[*sigma.Rule]int
	o      fidelity.Observations

	// samples are events that rules fired on, by rule and technique; written are events
	// of the library, by technique and type. They tell why a rule does not fire.
	samples map[sampleKey]sample
	written map[string]map[string][]*event.Event
}

type sampleKey struct {
	technique string
	rule      int
}

type sample struct {
	event *event.Event
	file  string
}

// writtenEach bounds the events of one type that are kept of a technique.
const writtenEach = 300

// newObserver prepares a rule set.
func newObserver(rules []*sigma.Rule) (*observer, error) {
	engine, err := sigma.Compile(rules)
	if err != nil {
		return nil, err
	}
	x := &observer{
		engine: engine, rules: engine.Rules(), index: map[*sigma.Rule]int{},
		samples: map[sampleKey]sample{}, written: map[string]map[string][]*event.Event{},
	}
	for i, r := range x.rules {
		x.index[r] = i
		x.o.Rules = append(x.o.Rules, fidelity.Rule{ID: r.Key(), Title: r.Title, Level: r.Level})
	}
	x.o.Match, x.o.Explain = x.match, x.explain
	return x, nil
}

// Observations are all that was seen.
func (x *observer) Observations() *fidelity.Observations { return &x.o }

// eventType names the type of an event: the log and the id on Windows, the log source
// elsewhere.
func eventType(e *event.Event) string {
	if id := e.Value(event.EventID); id != "" {
		if log := e.Value(event.LogChannel); log != "" {
			return strings.ToUpper(log[:1]) + log[1:] + " " + id // some forwarders write security
		}
	}
	return e.Source.String()
}

// view is what is seen in one log.
type view struct {
	x       *observer
	matcher *sigma.Matcher
	log     fidelity.Log
	hits    map[hitKey]int
	order   []hitKey
	fired   func(rule int, e *event.Event)
}

type hitKey struct {
	rule int
	kind string
}

func (x *observer) view(name string) *view {
	return &view{
		x: x, matcher: x.engine.NewMatcher(), hits: map[hitKey]int{},
		log: fidelity.Log{Name: name, Types: map[string]int{}},
	}
}

func (v *view) event(e *event.Event) {
	kind := eventType(e)
	v.log.Events++
	v.log.Types[kind]++
	v.matcher.Match(e, func(m sigma.Match) {
		if v.x.engine.Silent(m.Rule) {
			return
		}
		key := hitKey{v.x.index[m.Rule], kind}
		if v.hits[key]++; v.hits[key] == 1 {
			v.order = append(v.order, key)
			if v.fired != nil {
				v.fired(key.rule, e)
			}
		}
	})
}

func (v *view) close() fidelity.Log {
	for _, key := range v.order {
		v.log.Hits = append(v.log.Hits, fidelity.Hit{Rule: key.rule, Type: key.kind, Events: v.hits[key]})
	}
	return v.log
}

// Recording reads one recorded log of an index.
func (x *observer) Recording(ctx context.Context, r Entry) error {
	v := x.view(r.File)
	v.fired = func(rule int, e *event.Event) {
		for _, id := range r.Techniques {
			if key := (sampleKey{id, rule}); x.samples[key].event == nil {
				x.samples[key] = sample{e, r.File}
			}
		}
	}
	ownClearing := slices.Contains(r.Techniques, logClearing)
	_, err := ingest.Read(ctx, []string{r.Path}, ingest.Options{}, func(e *event.Event) error {
		if !ownClearing && v.log.Events == 0 && isLogCleared(e) {
			x.o.Openings++
			return nil
		}
		v.event(e)
		return nil
	})
	if err != nil {
		return err
	}
	x.o.Recordings = append(
		x.o.Recordings,
		fidelity.Recording{Log: v.close(), Techniques: r.Techniques, Benign: r.Benign},
	)
	return nil
}

// logClearing is the technique of which a cleared log is a part.
const logClearing = "T1685.005"

// isLogCleared tells events with which a log begins after it was cleared. Whoever records
// clears the log first; at the very beginning that is no part of the attack.
func isLogCleared(e *event.Event) bool {
	id, log := e.Value(event.EventID), e.Source.Service
	return log == "security" && id == "1102" || log == "system" && id == "104"
}

// Library acts out techniques with each of their tools.
func (x *observer) Library(ctx context.Context, techniques []*technique.Technique) error {
	stage, err := coverage.NewStage()
	if err != nil {
		return err
	}
	for _, t := range techniques {
		kept := map[string][]*event.Event{}
		x.written[t.ID] = kept
		for _, tool := range t.Tools {
			v := x.view(tool)
			err := stage.Rehearse(t, tool, func(*world.World) (func(*event.Event), error) {
				return func(e *event.Event) {
					v.event(e)
					if kind := eventType(e); len(kept[kind]) < writtenEach {
						kept[kind] = append(kept[kind], e)
					}
				}, ctx.Err()
			})
			if err != nil {
				return err
			}
			x.o.Tools = append(x.o.Tools, fidelity.Tool{Log: v.close(), Technique: t.ID})
		}
	}
	return nil
}

// Day plays a day without attackers.
func (x *observer) Day(s *scenarios.Scenario, seed uint64) {
	v := x.view(s.Name)
	coverage.Day(s, seed, v.event)
	x.o.Day = v.close()
}

// match lists the techniques of the library that a recording of a technique is compared
// with: the technique itself; if there is none, its sub-techniques, or its parent.
func (x *observer) match(id string) []string {
	if technique.Find(id) != nil {
		return []string{id}
	}
	var below []string
	parent, _, isSub := strings.Cut(id, ".")
	for _, t := range technique.All() {
		if !isSub && strings.HasPrefix(t.ID, id+".") || isSub && t.ID == parent {
			below = append(below, t.ID)
		}
	}
	return below
}

// explain tells what the events that the library writes for a technique lack, so that a
// rule which fires on a recording of it does not fire on them.
func (x *observer) explain(id string, rule int) fidelity.Missed {
	s := x.samples[sampleKey{id, rule}]
	m := fidelity.Missed{Rule: x.o.Rules[rule], File: s.file}
	if s.event == nil {
		return m
	}
	m.EventType = eventType(s.event)
	var written []*event.Event
	for _, known := range x.match(id) {
		written = append(written, x.written[known][m.EventType]...)
	}
	switch {
	case len(written) == 0:
		m.Because = "the simulation writes no event of this type for it"
	case x.rules[rule].Correlation != nil:
		m.Because = "the simulation's events do not come together as the correlation asks"
	default:
		m.Because = x.closest(x.rules[rule], s.event, written)
	}
	return m
}

// closest tells which tests of a rule fail on the event that comes nearest.
func (x *observer) closest(rule *sigma.Rule, recorded *event.Event, written []*event.Event) string {
	matcher := x.engine.NewMatcher()
	held := map[string]bool{}
	for _, part := range matcher.Verdict(rule, recorded).Parts {
		held[part.Name] = part.Holds
	}
	best, fewest := "", -1
	for _, e := range written {
		var lacks []string
		for _, part := range matcher.Verdict(rule, e).Parts {
			if part.Holds == held[part.Name] {
				continue
			}
			if part.Holds {
				lacks = append(lacks, "the filter "+part.Name+" applies")
				continue
			}
			for _, t := range part.Tests {
				if !t.Holds {
					lacks = append(lacks, lack(t))
					break
				}
			}
		}
		if fewest < 0 || len(lacks) < fewest {
			best, fewest = strings.Join(lacks, "; "), len(lacks)
		}
	}
	if best == "" {
		return "no event fulfils the condition as a whole"
	}
	return best
}

const shownValue = 80

func lack(t sigma.Test) string {
	value := "absent"
	if t.Present {
		value = fmt.Sprintf("%q", shorten(t.Value))
	}
	return fmt.Sprintf("%s is %s, asked is %s", t.Field, value, shorten(t.Asks))
}

func shorten(s string) string {
	if r := []rune(s); len(r) > shownValue {
		return string(r[:shownValue]) + "…"
	}
	return s
}
