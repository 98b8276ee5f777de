package sigma

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"hemostat/sim/event"
)

// Engine is a compiled set of rules. It is immutable and may be shared; each
// goroutine evaluates through a Matcher of its own.
type Engine struct {
	rules        []*Rule
	correlations []*Rule
	byRef        map[string]*Rule
	users        map[*Rule][]int // correlations that a rule feeds
	silent       map[*Rule]bool  // rules that only feed correlations

	// Exhaustive looks at every rule for every event, without the index. Results
	// are the same; it serves tests and benchmarks, and must be set before the
	// first event.
	Exhaustive bool

	mu       sync.Mutex
	programs map[event.LogSource]*programs
}

// Compile puts rules together. Two rules with one id, a correlation that names
// no rule, and a cycle of correlations are errors.
func Compile(rules []*Rule) (*Engine, error) {
	e := &Engine{
		byRef:    map[string]*Rule{},
		users:    map[*Rule][]int{},
		silent:   map[*Rule]bool{},
		programs: map[event.LogSource]*programs{},
	}
	var faults Errors
	for _, r := range rules {
		for _, ref := range []string{r.ID, r.Name} {
			if ref == "" {
				continue
			}
			if other := e.byRef[ref]; other != nil && other != r {
				faults = append(
					faults,
					Error{
						rule:    r,
						File:    r.File,
						Line:    r.Line,
						Column:  1,
						Message: fmt.Sprintf("the id or name %q is used by %s:%d too", ref, other.File, other.Line),
					},
				)
				continue
			}
			e.byRef[ref] = r
		}
		switch {
		case r.Correlation != nil:
			e.correlations = append(e.correlations, r)
		case r.Filter == nil:
			e.rules = append(e.rules, r)
			if r.part {
				e.silent[r] = true
			}
		}
	}
	faults = append(faults, e.narrow(rules)...)
	for i, c := range e.correlations {
		for _, ref := range c.Correlation.Rules {
			target := e.byRef[ref]
			if target == nil {
				faults = append(
					faults,
					Error{
						rule:    c,
						File:    c.File,
						Line:    c.Correlation.line,
						Column:  c.Correlation.column,
						Message: fmt.Sprintf("no rule has the id or name %q", ref),
					},
				)
				continue
			}
			e.users[target] = append(e.users[target], i)
			if !c.Correlation.Generate && !slices.Contains(c.Tags, "hemostat.keep-base") {
				e.silent[target] = true
			}
		}
	}
	faults = append(faults, e.cycles()...)
	return e, faults.Err()
}

// Usable leaves out the rules that cannot be compiled with the others, and says why: the
// second of two with one id, correlations that name a missing rule.
func Usable(rules []*Rule) ([]*Rule, Errors) {
	var out Errors
	rules = slices.Clone(rules)
	for {
		_, err := Compile(rules)
		var faults Errors
		if !errors.As(err, &faults) {
			return rules, out
		}
		before := len(rules)
		for _, f := range faults {
			rules = slices.DeleteFunc(rules, func(r *Rule) bool { return r == f.rule })
		}
		out = append(out, faults...)
		if len(rules) == before {
			return nil, out
		}
	}
}

// narrow lets filters narrow the rules that they name. The rules given stay as
// they are; narrowed ones are copies.
func (e *Engine) narrow(rules []*Rule) Errors {
	var faults Errors
	for _, f := range rules {
		if f.Filter == nil {
			continue
		}
		any := slices.Contains(f.Filter.Rules, "any")
		for _, ref := range f.Filter.Rules {
			if !any && (e.byRef[ref] == nil || e.byRef[ref].detection == nil) {
				faults = append(
					faults,
					Error{
						rule:    f,
						File:    f.File,
						Line:    f.Filter.line,
						Column:  f.Filter.column,
						Message: fmt.Sprintf("no rule has the id or name %q", ref),
					},
				)
			}
		}
		for i, r := range e.rules {
			if !any && !slices.Contains(f.Filter.Rules, r.ID) &&
				(r.Name == "" || !slices.Contains(f.Filter.Rules, r.Name)) ||
				!takesIn(f.Source, r.Source) {
				continue
			}
			narrowed := *r
			narrowed.narrowed = append(slices.Clone(r.narrowed), f.detection)
			e.rules[i] = &narrowed
			for _, ref := range []string{r.ID, r.Name} {
				if ref != "" {
					e.byRef[ref] = &narrowed
				}
			}
		}
	}
	return faults
}

func (e *Engine) cycles() Errors {
	state := map[*Rule]int{}
	var faults Errors
	var visit func(r *Rule, trail []string)
	visit = func(r *Rule, trail []string) {
		trail = append(trail, r.Key())
		if state[r] == 1 {
			faults = append(
				faults,
				Error{
					rule:    r,
					File:    r.File,
					Line:    r.Line,
					Column:  1,
					Message: "correlations refer to each other in a cycle: " + strings.Join(trail, " → "),
				},
			)
			return
		}
		if state[r] == 2 || r.Correlation == nil {
			return
		}
		state[r] = 1
		for _, ref := range r.Correlation.Rules {
			if target := e.byRef[ref]; target != nil {
				visit(target, trail)
			}
		}
		state[r] = 2
	}
	for _, c := range e.correlations {
		visit(c, nil)
	}
	return faults
}

// Rules lists the rules, correlations last.
func (e *Engine) Rules() []*Rule { return append(slices.Clone(e.rules), e.correlations...) }

// Silent tells whether a rule only feeds correlations, so that its own matches are
// not reported.
func (e *Engine) Silent(r *Rule) bool { return e.silent[r] }

// program is the rules for a source and event id; it is put together when the
// first such event comes.
func (e *Engine) program(s event.LogSource, id string) *program {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.source(s).of(id)
}

// covering is the rules for a source.
func (e *Engine) covering(s event.LogSource) []applied {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.source(s).rules
}

func (e *Engine) source(s event.LogSource) *programs {
	p := e.programs[s]
	if p == nil {
		var rules []applied
		for _, r := range e.rules {
			if feeds(r.Source, s) {
				rules = append(rules, applied{rule: r, rename: standIn(r.Source, s)})
			}
		}
		p = newPrograms(rules)
		e.programs[s] = p
	}
	return p
}

// Match is one rule that an event fulfilled.
type Match struct {
	Rule *Rule
	// Events are the ids of the events behind the match, the newest last.
	Events []uint64
	// Group is the value of a correlation's group-by fields.
	Group string
	// Count is what a correlation counted.
	Count int
}

// Stats counts what a matcher did.
type Stats struct {
	Events, Matches uint64
	// Evicted counts correlation groups that were dropped to stay within the
	// memory bound.
	Evicted uint64
	// Late counts events that were older than their window when they came.
	Late uint64
}

// NewMatcher returns a matcher with empty correlation state.
func (e *Engine) NewMatcher() *Matcher {
	m := &Matcher{engine: e}
	m.sources = map[event.LogSource]map[string]*program{}
	for _, c := range e.correlations {
		m.windows = append(m.windows, newWindow(c))
	}
	return m
}

// Stats tells what the matcher has done so far.
func (m *Matcher) Stats() Stats { return m.stats }

// Match evaluates every rule that covers the event and calls hit for those that
// match, correlations included, in the order of the rules.
func (m *Matcher) Match(ev *event.Event, hit func(Match)) {
	m.stats.Events++
	m.event, m.lists = ev, ev.HasLists()
	clear(m.has[:])
	m.buffer = m.buffer[:0]
	if m.engine.Exhaustive {
		for _, a := range m.engine.covering(ev.Source) {
			if m.rename = a.rename; m.holdsAll(a.rule) {
				m.matched(a.rule, hit)
			}
		}
	} else {
		m.choose()
		m.program.candidates(m)
		for word, bitmap := range m.marked {
			for ; bitmap != 0; bitmap &= bitmap - 1 {
				a := &m.program.rules[word<<6+bits.TrailingZeros64(bitmap)]
				if m.rename = a.rename; a.condition.eval(m) {
					m.matched(a.rule, hit)
				}
			}
		}
	}
	m.event = nil
}

// choose finds the program for the current event.
func (m *Matcher) choose() {
	ids := m.sources[m.event.Source]
	if ids == nil {
		ids = map[string]*program{}
		m.sources[m.event.Source] = ids
	}
	id, _ := m.foldedField(eventID)
	if m.rawMembers(eventID) != nil {
		id = "" // it has several: no test of it is certain
	}
	if m.program = ids[id]; m.program == nil {
		id = strings.Clone(id) // it stands in the matcher's buffer
		m.program = m.engine.program(m.event.Source, id)
		if len(ids) < maxIDs {
			ids[id] = m.program
		}
	}
}

// maxIDs bounds the event ids of a source that a matcher remembers the program
// of; the others it asks for each time.
const maxIDs = 4096

var eventID = fieldRefer("EventID")

// holdsAll evaluates a rule as it is written, filters included.
func (m *Matcher) holdsAll(r *Rule) bool {
	for _, d := range r.detections() {
		m.detection = d
		if !d.condition.eval(m) {
			return false
		}
	}
	return true
}

func (m *Matcher) matched(r *Rule, hit func(Match)) {
	m.matching = r
	if !m.engine.silent[r] {
		m.stats.Matches++
		hit(Match{Rule: r, Events: []uint64{m.event.ID}, Count: 1})
	}
	for _, i := range m.engine.users[r] {
		w := m.windows[i]
		if match, ok := w.add(m, r); ok {
			m.correlated(w.rule, match, hit)
		}
	}
}

// correlated reports a correlation and feeds those that build on it.
func (m *Matcher) correlated(r *Rule, match Match, hit func(Match)) {
	if !m.engine.silent[r] {
		m.stats.Matches++
		hit(match)
	}
	for _, i := range m.engine.users[r] {
		if next, ok := m.windows[i].add(m, r); ok {
			m.correlated(m.windows[i].rule, next, hit)
		}
	}
}
