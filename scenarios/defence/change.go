package defence

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"hemostat/defenders/alert"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

// Change is what differs between two variants whose rules or playbooks alone differ. A trial
// in which none of it is touched comes out alike under both: a rule acts by its matches alone, a
// correlation by those of the rules that it names, and a playbook by the alerts that trigger it;
// up to the first of these both defences have seen and done the same.
type Change struct {
	// Rules and Playbooks name what differs, sorted.
	Rules, Playbooks []string

	engines []*sigma.Engine // of the rules whose matches count, one a variant
	books   []*response.Playbook
}

// ChangeBetween tells what differs between two variants. Where something else than rules and
// playbooks differs, so that every trial may come out otherwise, it is nil, and why says what.
func ChangeBetween(a, b *Variant) (c *Change, why string, err error) {
	for _, part := range []struct{ what, a, b string }{
		{"more than rules and playbooks", a.rest, b.rest},
		{"the pipelines of the rules", a.pipelines, b.pipelines},
		{"filters of rules", a.filters, b.filters},
	} {
		if part.a != part.b {
			return nil, part.what + " differ", nil
		}
	}
	c = &Change{}
	rules := [2][]*sigma.Rule{a.rules.Rules(), b.rules.Rules()}
	key := func(r *sigma.Rule) string { return string(r.Digest[:]) + r.Key() }
	changed, why := differing(rules, key)
	if why != "" {
		return nil, "the rules are " + why, nil
	}
	for i, list := range changed {
		if len(list) == 0 {
			continue
		}
		engine, err := sigma.Compile(watched(rules[i], list))
		if err != nil {
			return nil, "", fmt.Errorf("the rules that differ: %w", err)
		}
		c.engines = append(c.engines, engine)
		for _, r := range list {
			c.Rules = append(c.Rules, cmp.Or(r.Title, r.Key()))
		}
	}
	books, why := differing([2][]*response.Playbook{a.playbooks, b.playbooks},
		func(p *response.Playbook) string { return p.ID + p.Digest })
	if why != "" {
		return nil, "the playbooks are " + why, nil
	}
	for _, p := range slices.Concat(books[0], books[1]) {
		c.books = append(c.books, p)
		c.Playbooks = append(c.Playbooks, p.ID)
	}
	c.Rules, c.Playbooks = sorted(c.Rules), sorted(c.Playbooks)
	return c, "", nil
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// differing are the items of two lists that the other has not. What both have stands in the same
// order in both, else why says that it does not.
func differing[T any](lists [2][]T, key func(T) string) (out [2][]T, why string) {
	var keys, common [2][]string
	for i, list := range lists {
		for _, x := range list {
			keys[i] = append(keys[i], key(x))
		}
	}
	in := [2]map[string]bool{{}, {}}
	for i := range keys {
		for _, k := range keys[i] {
			in[i][k] = true
		}
	}
	for i, list := range lists {
		for n, x := range list {
			if k := keys[i][n]; in[1-i][k] {
				common[i] = append(common[i], k)
			} else {
				out[i] = append(out[i], x)
			}
		}
	}
	if !slices.Equal(common[0], common[1]) {
		return out, "in another order"
	}
	return out, ""
}

// watched are the rules whose matches a change acts by: the rules that differ, and those that
// correlations which differ refer to, over other correlations too.
func watched(all, changed []*sigma.Rule) []*sigma.Rule {
	refers := map[string]bool{}
	var out []*sigma.Rule
	take := func(r *sigma.Rule) bool {
		if r.Correlation == nil {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
			return false
		}
		grew := false
		for _, ref := range r.Correlation.Rules {
			grew = grew || !refers[ref]
			refers[ref] = true
		}
		return grew
	}
	again := false
	for _, r := range changed {
		again = take(r) || again
	}
	for again {
		again = false
		for _, r := range all {
			if refers[r.ID] && r.ID != "" || refers[r.Name] && r.Name != "" {
				again = take(r) || again
			}
		}
	}
	return out
}

// Watch looks in one trial whether a change is touched.
type Watch struct {
	change   *Change
	matchers []*sigma.Matcher
	touched  bool
}

// NewWatch begins to look at a trial.
func (c *Change) NewWatch() *Watch {
	w := &Watch{change: c}
	for _, e := range c.engines {
		w.matchers = append(w.matchers, e.NewMatcher())
	}
	return w
}

// Event looks at an event that reaches the pipeline.
func (w *Watch) Event(e *event.Event) {
	for _, m := range w.matchers {
		if w.touched {
			return
		}
		m.Match(e, func(sigma.Match) { w.touched = true })
	}
}

// Alert looks at an alert that was raised.
func (w *Watch) Alert(a *alert.Alert) {
	w.touched = w.touched || slices.ContainsFunc(w.change.books, func(p *response.Playbook) bool { return p.Concerns(a) })
}

// Touched tells whether the change was touched so far.
func (w *Watch) Touched() bool { return w.touched }

// withoutRules is all that a variant is beside its rules and playbooks, as text.
func (i variantIdentity) withoutRules() (string, error) {
	f := &i.File
	f.Name, f.Description = "", ""
	f.Rules, f.Skip, f.Without, f.Level, f.Pipelines, f.Playbooks, f.Over = nil, false, nil, "", nil, "", ""
	i.Rules, i.Playbooks = "", ""
	text, err := json.Marshal(i)
	return string(text), err
}
