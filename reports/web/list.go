package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"hemostat/sim/record"
)

const (
	// pageSize is how many rows a page of a list has.
	pageSize = 50
	// mostPages bounds the pages of a list; a filter finds what is further back.
	mostPages = 200
)

// query says which trials are listed and in which order.
type query struct {
	Scenario, Variant, Run, Outcome, Status string
	Seed, Index                             string // numbers, "" for any
	Sort                                    string
	Descending                              bool
	Page                                    int // from 1
}

// sorting is an order of trials. What never happened is later than anything that did.
type sorting struct {
	name, title string
	compare     func(v *view, a, b *listed) int
}

func byTime(of func(*listed) int64) func(*view, *listed, *listed) int {
	return func(_ *view, a, b *listed) int { return cmp.Compare(of(a), of(b)) }
}

func byCount(of func(*listed) int32) func(*view, *listed, *listed) int {
	return func(_ *view, a, b *listed) int { return cmp.Compare(of(a), of(b)) }
}

func byNumber(of func(*listed) float64) func(*view, *listed, *listed) int {
	return func(_ *view, a, b *listed) int { return cmp.Compare(of(a), of(b)) }
}

func byName(of func(*listed) name) func(*view, *listed, *listed) int {
	return func(v *view, a, b *listed) int { return cmp.Compare(v.names[of(a)], v.names[of(b)]) }
}

// sortings are the orders that a list can have; the first is the usual one, in which trials are
// kept.
var sortings = []sorting{
	{"recorded", "recorded", nil},
	{"scenario", "scenario", byName(func(x *listed) name { return x.scenario })},
	{"variant", "variant", byName(func(x *listed) name { return x.variant })},
	{"index", "index", byCount(func(x *listed) int32 { return x.index })},
	{"outcome", "outcome", byName(func(x *listed) name { return x.outcome })},
	{"time_to_detect", "to detect", byTime(func(x *listed) int64 { return x.toDetect })},
	{"time_to_respond", "to respond", byTime(func(x *listed) int64 { return x.toRespond })},
	{"time_to_contain", "to contain", byTime(func(x *listed) int64 { return x.toContain })},
	{"alerts_total", "alerts", byCount(func(x *listed) int32 { return x.alerts })},
	{"alerts_false", "false", byCount(func(x *listed) int32 { return x.alertsFalse })},
	{"actions_total", "actions", byCount(func(x *listed) int32 { return x.actions })},
	{"disruption", "lost work", byNumber(func(x *listed) float64 { return x.disruption })},
	{"score", "score", byNumber(func(x *listed) float64 { return x.score })},
}

// filters are what a list can be narrowed by.
var filters = []string{"scenario", "variant", "run", "outcome", "status", "seed", "index"}

// queryOf reads a query; what it does not know is refused.
func queryOf(v url.Values) (query, error) {
	q := query{Scenario: v.Get("scenario"), Variant: v.Get("variant"), Run: v.Get("run"), Outcome: v.Get("outcome"),
		Status: v.Get("status"), Seed: v.Get("seed"), Index: v.Get("index"), Sort: v.Get("sort"), Page: 1}
	for name := range v {
		if !slices.Contains(filters, name) && !slices.Contains([]string{"sort", "order", "page"}, name) {
			return q, badRequest{fmt.Errorf("%q is no parameter of a list of trials; there are %s, sort, order, page",
				name, strings.Join(filters, ", "))}
		}
	}
	if err := q.readNumbers(v); err != nil {
		return q, badRequest{err}
	}
	if err := q.readOrder(v); err != nil {
		return q, badRequest{err}
	}
	return q, nil
}

func (q *query) readNumbers(v url.Values) error {
	if text := v.Get("page"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostPages {
			return fmt.Errorf("page: a number from 1 to %d is expected, not %q", mostPages, text)
		}
		q.Page = n
	}
	if q.Seed != "" {
		if _, err := strconv.ParseUint(q.Seed, 10, 64); err != nil {
			return fmt.Errorf("seed: a number is expected, not %q", q.Seed)
		}
	}
	if q.Index != "" {
		if n, err := strconv.ParseInt(q.Index, 10, 32); err != nil || n < 0 {
			return fmt.Errorf("index: a number is expected, not %q", q.Index)
		}
	}
	return nil
}

func (q *query) readOrder(v url.Values) error {
	if q.Sort == "" {
		q.Sort, q.Descending = sortings[0].name, true
	}
	if !slices.ContainsFunc(sortings, func(s sorting) bool { return s.name == q.Sort }) {
		var names []string
		for _, s := range sortings {
			names = append(names, s.name)
		}
		return fmt.Errorf("sort: %q is none of %s", q.Sort, strings.Join(names, ", "))
	}
	switch order := v.Get("order"); order {
	case "":
	case "asc", "desc": // what never happened is later than anything that did
		q.Descending = order == "desc"
	default:
		return fmt.Errorf("order: asc or desc is expected, not %q", order)
	}
	return nil
}

// values are the query as parameters of a link, with changes to some, NAME and VALUE in turn.
func (q query) values(changes ...string) string {
	order := "asc"
	if q.Descending {
		order = "desc"
	}
	v := url.Values{}
	set := func(name, value string) {
		v.Del(name)
		if value != "" {
			v.Set(name, value)
		}
	}
	for _, x := range [][2]string{{"scenario", q.Scenario}, {"variant", q.Variant}, {"run", q.Run}, {"outcome", q.Outcome},
		{"status", q.Status}, {"seed", q.Seed}, {"index", q.Index}, {"sort", q.Sort}, {"order", order}, {"page", strconv.Itoa(q.Page)}} {
		set(x[0], x[1])
	}
	for i := 0; i+1 < len(changes); i += 2 {
		set(changes[i], changes[i+1])
	}
	return "?" + v.Encode()
}

// condition says whether a trial is one of those that a query asks for.
func (q query) condition(v *view) func(*listed) bool {
	type wanted struct {
		of    func(*listed) name
		value name
	}
	var names []wanted
	for _, x := range []struct {
		text string
		of   func(*listed) name
	}{
		{q.Scenario, func(x *listed) name { return x.scenario }}, {q.Variant, func(x *listed) name { return x.variant }},
		{q.Run, func(x *listed) name { return x.run }}, {q.Outcome, func(x *listed) name { return x.outcome }},
		{q.Status, func(x *listed) name { return x.status }},
	} {
		if x.text == "" {
			continue
		}
		value, known := v.find(x.text)
		if !known {
			return func(*listed) bool { return false }
		}
		names = append(names, wanted{x.of, value})
	}
	seed, _ := strconv.ParseUint(q.Seed, 10, 64) // they were checked when the query was read
	index, _ := strconv.ParseInt(q.Index, 10, 32)
	return func(x *listed) bool {
		for _, n := range names {
			if n.of(x) != n.value {
				return false
			}
		}
		return (q.Seed == "" || x.seed == seed) && (q.Index == "" || int64(x.index) == index)
	}
}

// choose returns the trials of the query's page, and how many there are on all pages.
func (q query) choose(v view) (page []*listed, all int) {
	var fitting []int32
	fits := q.condition(&v)
	for i := range v.trials {
		if fits(&v.trials[i]) {
			fitting = append(fitting, int32(i))
		}
	}
	all = len(fitting)
	from := min((q.Page-1)*pageSize, all)
	to := min(from+pageSize, all)
	sort := slices.IndexFunc(sortings, func(s sorting) bool { return s.name == q.Sort })
	switch {
	case sort > 0:
		order := func(a, b int32) int {
			x := sortings[sort].compare(&v, &v.trials[a], &v.trials[b])
			if q.Descending {
				x = -x
			}
			return cmp.Or(x, cmp.Compare(b, a)) // the newest first
		}
		selectFirst(fitting, to, order)
		slices.SortFunc(fitting[:to], order)
	case q.Descending:
		slices.Reverse(fitting)
	}
	for _, i := range fitting[from:to] {
		page = append(page, &v.trials[i])
	}
	return page, all
}

// selectFirst moves the first n of a list, by an order, to its beginning: quickselect (Hoare
// 1961), which takes a time that grows with the list and not with its logarithm.
func selectFirst[T any](list []T, n int, compare func(a, b T) int) {
	lo, hi := 0, len(list)
	for hi-lo > 16 && n > lo && n < hi {
		middle := []T{list[lo], list[lo+(hi-lo)/2], list[hi-1]}
		slices.SortFunc(middle, compare)
		pivot := middle[1]
		i, j := lo, hi-1
		for i <= j {
			for compare(list[i], pivot) < 0 {
				i++
			}
			for compare(list[j], pivot) > 0 {
				j--
			}
			if i <= j {
				list[i], list[j] = list[j], list[i]
				i++
				j--
			}
		}
		switch {
		case n <= j+1:
			hi = j + 1
		case n >= i:
			lo = i
		default:
			return
		}
	}
	slices.SortFunc(list[lo:hi], compare)
}

// group is the trials of a scenario under a variant.
type group struct {
	Scenario, Variant              string
	Trials, Errors, Attacked       int
	Detected, Contained, Reached   int
	FalseAlarms, Disruption, Score float64 // sums over trials without an error
	First                          bool    // of its scenario
}

// share is a share in percent, or a dash.
func share(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(of))
}

// Mean is a mean over the trials without an error, or a dash.
func (g *group) Mean(sum float64, form string) string {
	if g.Trials == g.Errors {
		return "–"
	}
	return fmt.Sprintf(form, sum/float64(g.Trials-g.Errors))
}

// groupsOf sums trials up by scenario and variant.
func groupsOf(v view, run string) []*group {
	groups := map[[2]name]*group{}
	wanted, known := v.find(run)
	if run != "" && !known {
		return nil
	}
	ok, _ := v.find("ok")
	none, isThere := v.find(record.OutcomeNone)
	for i := range v.trials {
		x := &v.trials[i]
		if run != "" && x.run != wanted {
			continue
		}
		k := [2]name{x.scenario, x.variant}
		g := groups[k]
		if g == nil {
			g = &group{Scenario: v.names[x.scenario], Variant: v.names[x.variant]}
			groups[k] = g
		}
		g.add(x, x.status == ok, !isThere || x.outcome != none)
	}
	out := make([]*group, 0, len(groups))
	for _, g := range groups {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(a.Variant, b.Variant))
	})
	for i, g := range out {
		g.First = i == 0 || out[i-1].Scenario != g.Scenario
	}
	return out
}

func (g *group) add(x *listed, isOK, isAttacked bool) {
	g.Trials++
	if !isOK {
		g.Errors++
		return
	}
	g.FalseAlarms += float64(x.alertsFalse)
	g.Disruption += x.disruption
	g.Score += x.score
	if !isAttacked {
		return
	}
	g.Attacked++
	for _, c := range []struct {
		is bool
		n  *int
	}{{x.detected, &g.Detected}, {x.contained, &g.Contained}, {x.wasReached, &g.Reached}} {
		if c.is {
			*c.n++
		}
	}
}

// namesOf are the scenarios, variants and outcomes that there are.
func namesOf(v view) (scenarios, variants, outcomes []string) {
	used := [3][]bool{}
	for k := range used {
		used[k] = make([]bool, len(v.names))
	}
	for i := range v.trials {
		x := &v.trials[i]
		used[0][x.scenario], used[1][x.variant], used[2][x.outcome] = true, true, true
	}
	lists := [3][]string{}
	for k := range used {
		for n, is := range used[k] {
			if is && v.names[n] != "" {
				lists[k] = append(lists[k], v.names[n])
			}
		}
		slices.Sort(lists[k])
	}
	return lists[0], lists[1], lists[2]
}

// listedTrial is a trial as a list shows it, and as other programs read it.
type listedTrial struct {
	TrialID       string      `json:"trial_id"`
	Run           string      `json:"run_id"`
	Scenario      string      `json:"scenario"`
	Variant       string      `json:"variant"`
	Seed          uint64      `json:"seed"`
	Index         int32       `json:"trial_index"`
	Status        string      `json:"status"`
	Outcome       string      `json:"outcome"`
	Detected      bool        `json:"detected"`
	Contained     bool        `json:"contained"`
	Reached       bool        `json:"objective_reached"`
	TimeToDetect  record.Time `json:"time_to_detect"`
	TimeToRespond record.Time `json:"time_to_respond"`
	TimeToContain record.Time `json:"time_to_contain"`
	Alerts        int32       `json:"alerts_total"`
	AlertsFalse   int32       `json:"alerts_false"`
	Actions       int32       `json:"actions_total"`
	Disruption    float64     `json:"disruption"`
	Score         float64     `json:"score"`
}

// shown are trials as a list shows them.
func (v *view) shown(trials []*listed) []listedTrial {
	when := func(at int64) record.Time {
		if at == never {
			return nil
		}
		return &at
	}
	out := []listedTrial{}
	for _, x := range trials {
		out = append(out, listedTrial{x.trialID(), v.names[x.run], v.names[x.scenario], v.names[x.variant], x.seed, x.index,
			v.names[x.status], v.names[x.outcome], x.detected, x.contained, x.wasReached, when(x.toDetect), when(x.toRespond),
			when(x.toContain), x.alerts, x.alertsFalse, x.actions, x.disruption, x.score})
	}
	return out
}
