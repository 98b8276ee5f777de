package profile

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"hemostat/defenders/alert"
)

// Day is a trial whose truth is known, to learn from.
type Day struct {
	// Scenario names what days have in common that others will not have: the weights of the
	// experts are learned on scenarios that the rest was not learned from.
	Scenario string
	Attacks  []Attack
	Alerts   []Alert // in the order of time
}

// Attack is one attacker's truth.
type Attack struct {
	Goal, Type string
	Skill      float64
	Steps      []Step // in the order of time
}

// Step is one thing that an attacker tried.
type Step struct {
	At        time.Duration
	Technique string
	Host      string // where it was aimed at
	Role      string // of that host
	Blocked   bool   // by the defence
	Ended     time.Duration
}

// Alert is an alert with its truth.
type Alert struct {
	*alert.Alert
	At       time.Duration // when it was known
	Incident int
	Attack   int // index of the attack plus 1; 0 for a false one
	Actions  int // of the response for the incident that changed something until then
}

// Facts are facts about groups: how many there are, and the techniques that each uses.
type Facts struct{ Groups [][]string }

// Fit learns from days, with the tactics of the techniques that may be forecast.
func Fit(days []Day, tactics map[string]string, facts Facts, from string) (*Knowledge, error) {
	k := count(days, tactics, facts)
	if len(k.Next) == 0 {
		return nil, errors.New("no alert was followed by a step of its attack; more days are needed")
	}
	if err := k.compile(); err != nil {
		return nil, err
	}
	var samples []opinion
	for _, name := range scenariosOf(days) {
		rest, held := leaveOut(days, name)
		without := count(rest, tactics, facts)
		if len(without.Next) == 0 {
			continue
		}
		if err := without.compile(); err != nil {
			return nil, err
		}
		samples = append(samples, thin(opinionsOn(without, held))...)
	}
	k.Weights = weigh(samples)
	k.From = from
	return k, k.checkWeights()
}

// count counts what the estimates rest on.
func count(days []Day, tactics map[string]string, facts Facts) *Knowledge {
	k := &Knowledge{
		Format: knowledgeFormat, Tactics: tactics, Goals: Counts{none: 0}, GoalTypes: map[string]Counts{}, Seen: map[string]Counts{},
		Next: map[string]Counts{}, GoalNext: map[string]map[string]Counts{}, TacticNext: map[string]Counts{}, Within: map[string]Counts{},
		Groups: Counts{}, GroupsAll: float64(len(facts.Groups)), Together: map[string]Counts{}, Stages: map[string]Counts{},
		Gaps: map[string]Counts{}, Severities: map[string]Counts{}, Skills: Counts{}, Aware: map[string]Counts{},
		Places: map[string]Counts{}, Roles: Counts{},
	}
	for i := range days {
		k.countDay(&days[i])
	}
	k.countGroups(facts)
	return k
}

func add[K comparable](to map[K]Counts, key K, name string, n float64) {
	if to[key] == nil {
		to[key] = Counts{}
	}
	to[key][name] += n
}

// countDay counts the alerts of a day, and what came after each.
func (k *Knowledge) countDay(d *Day) {
	incidents := map[int][]*Alert{}
	var order []int
	for i := range d.Alerts {
		a := &d.Alerts[i]
		if incidents[a.Incident] == nil {
			order = append(order, a.Incident)
		}
		incidents[a.Incident] = append(incidents[a.Incident], a)
	}
	for i := range d.Attacks {
		k.Skills[SkillLevel(d.Attacks[i].Skill)]++
	}
	for _, id := range order {
		k.countIncident(d, incidents[id])
	}
}

func (k *Knowledge) countIncident(d *Day, alerts []*Alert) {
	goal := none
	for _, a := range alerts {
		if a.Attack != 0 {
			attack := &d.Attacks[a.Attack-1]
			goal = attack.Goal
			add(k.GoalTypes, goal, attack.Type, 1)
			break
		}
	}
	k.Goals[goal]++
	seen := map[string]bool{}
	hosts := map[string]bool{}
	var last *Alert
	for _, a := range alerts {
		if t := a.Technique(); t != "" && !seen[t] {
			seen[t] = true
			add(k.Seen, goal, t, 1)
		}
		if a.Attack != 0 {
			k.countTruth(&d.Attacks[a.Attack-1], a, last, hosts)
		}
		if a.Host != "" {
			hosts[a.Host] = true
		}
		last = a
	}
}

// countTruth counts what was true of the attacker at an alert.
func (k *Knowledge) countTruth(x *Attack, a, last *Alert, hosts map[string]bool) {
	skill := SkillLevel(x.Skill)
	add(k.Severities, skill, a.Severity.String(), 1)
	if last != nil {
		add(k.Gaps, skill, gapOf(a.At-last.At), 1)
	}
	aware := "no"
	for i := range x.Steps {
		if s := &x.Steps[i]; s.Blocked && s.Ended <= a.At {
			aware = "yes"
		}
	}
	silence := time.Duration(0)
	if last != nil {
		silence = a.At - last.At
	}
	add(k.Aware, awareKey(a.Actions, silence), aware, 1)
	technique := a.Technique()
	tactic := k.Tactics[technique]
	current, next := x.around(a.At)
	if current != nil && tactic != "" {
		add(k.Stages, tactic, k.Tactics[current.Technique], 1)
	}
	if next == nil || technique == "" || k.Tactics[next.Technique] == "" {
		return
	}
	add(k.Next, technique, next.Technique, 1)
	if k.GoalNext[x.Goal] == nil {
		k.GoalNext[x.Goal] = map[string]Counts{}
	}
	add(k.GoalNext[x.Goal], technique, next.Technique, 1)
	to := k.Tactics[next.Technique]
	add(k.TacticNext, tactic, to, 1)
	add(k.Within, to, next.Technique, 1)
	k.countPlace(next, a, hosts, tactic)
}

func (k *Knowledge) countPlace(next *Step, a *Alert, hosts map[string]bool, tactic string) {
	switch {
	case next.Host == "":
	case next.Host == a.Host:
		add(k.Places, tactic, sameHost, 1)
	case hosts[next.Host]:
		add(k.Places, tactic, otherHost, 1)
	default:
		add(k.Places, tactic, newHost, 1)
		k.Roles[next.Role]++
	}
}

// around are the step that was begun last before a time, and the next one.
func (x *Attack) around(at time.Duration) (current, next *Step) {
	for i := range x.Steps {
		if x.Steps[i].At > at {
			return current, &x.Steps[i]
		}
		current = &x.Steps[i]
	}
	return current, nil
}

// mostTogether is for how many partners of a technique it is kept how many groups use both.
const mostTogether = 20

// countGroups counts which techniques groups use together.
func (k *Knowledge) countGroups(facts Facts) {
	together := map[string]Counts{}
	for _, g := range facts.Groups {
		var own []string
		for _, t := range g {
			if k.Tactics[t] != "" && !slices.Contains(own, t) {
				own = append(own, t)
			}
		}
		for _, a := range own {
			k.Groups[a]++
			for _, b := range own {
				if a != b {
					add(together, a, b, 1)
				}
			}
		}
	}
	for a, counts := range together {
		partners := sortedKeys(counts)
		slices.SortStableFunc(partners, func(x, y string) int {
			return cmp.Compare(counts[y]/k.Groups[y], counts[x]/k.Groups[x])
		})
		for _, b := range partners[:min(len(partners), mostTogether)] {
			add(k.Together, a, b, counts[b])
		}
	}
}

// opinion is what each expert thought of the technique that came.
type opinion struct {
	situation string
	p         [experts]float64
}

// opinionsOn are the experts' opinions on days that the knowledge was not learned from.
func opinionsOn(k *Knowledge, days []Day) []opinion {
	var out []opinion
	eachForecast(k, days, func(f *filter, next *Step) {
		at, ok := k.index[next.Technique]
		if !ok {
			return
		}
		o := opinion{situation: f.situation()}
		for e, p := range f.opinions() {
			o.p[e] = p[at]
		}
		out = append(out, o)
	})
	return out
}

// eachForecast shows days to filters, and calls see after each alert about an attack of which
// a further step came.
func eachForecast(k *Knowledge, days []Day, see func(f *filter, next *Step)) {
	for d := range days {
		filters := map[int]*filter{}
		for i := range days[d].Alerts {
			a := &days[d].Alerts[i]
			f := filters[a.Incident]
			if f == nil {
				f = newFilter(k)
				filters[a.Incident] = f
			}
			f.observe(a.Alert)
			if a.Attack == 0 {
				continue
			}
			if _, next := days[d].Attacks[a.Attack-1].around(a.At); next != nil {
				see(f, next)
			}
		}
	}
}

// leaveOut parts the days of a scenario from the others.
func leaveOut(days []Day, scenario string) (rest, held []Day) {
	for i := range days {
		if days[i].Scenario == scenario {
			held = append(held, days[i])
		} else {
			rest = append(rest, days[i])
		}
	}
	return rest, held
}

// mostSamples bounds the samples of one scenario, so that none outvotes the others.
const mostSamples = 80

// thin keeps samples at equal distances.
func thin(samples []opinion) []opinion {
	if len(samples) <= mostSamples {
		return samples
	}
	out := make([]opinion, 0, mostSamples)
	for i := range mostSamples {
		out = append(out, samples[i*len(samples)/mostSamples])
	}
	return out
}

// The expectation maximization of the weights: so many rounds, and so many samples that the
// weights of all situations together count in one.
const (
	rounds      = 60
	priorWeight = 15.0
)

// weigh finds the weights of the experts that make what came most probable, for all samples
// together and for each situation.
func weigh(samples []opinion) map[string][]float64 {
	flat := make([]float64, experts)
	for i := range flat {
		flat[i] = 1.0 / experts
	}
	any := maximize(samples, flat, 1)
	out := map[string][]float64{anySituation: any}
	by := map[string][]opinion{}
	for _, s := range samples {
		by[s.situation] = append(by[s.situation], s)
	}
	for _, situation := range sortedKeys(by) {
		out[situation] = maximize(by[situation], any, priorWeight)
	}
	return out
}

func maximize(samples []opinion, prior []float64, strength float64) []float64 {
	w := slices.Clone(prior)
	for range rounds {
		sum := make([]float64, experts)
		for e := range sum {
			sum[e] = strength * prior[e]
		}
		for i := range samples {
			all := 0.0
			for e, p := range samples[i].p {
				all += w[e] * p
			}
			if all <= 0 {
				continue
			}
			for e, p := range samples[i].p {
				sum[e] += w[e] * p / all
			}
		}
		normalize(sum)
		w = sum
	}
	for e := range w {
		w[e] = math.Round(1e5*w[e]) / 1e5
	}
	normalize(w)
	return w
}

// Scores says how good forecasts are on days that were left out.
type Scores struct {
	Forecasts int     `json:"forecasts"`
	LogLoss   float64 `json:"log_loss"`
	Brier     float64 `json:"brier"`
	Top1      float64 `json:"top1"`
	Top3      float64 `json:"top3"`
	// Calibration is the mean distance of probabilities from shares, over ten bins.
	Calibration float64 `json:"calibration"`
	// Frequency and FirstOrder are a frequency table and a first-order chain that were fitted
	// on the same days.
	FrequencyLogLoss  float64 `json:"frequency_log_loss"`
	FrequencyTop3     float64 `json:"frequency_top3"`
	FirstOrderLogLoss float64 `json:"first_order_log_loss"`
	FirstOrderTop3    float64 `json:"first_order_top3"`
}

// Evaluate fits knowledge without each scenario in turn, and scores its forecasts there.
func Evaluate(days []Day, tactics map[string]string, facts Facts) (map[string]*Scores, *Scores, error) {
	out := map[string]*Scores{}
	var all tally
	for _, name := range scenariosOf(days) {
		rest, held := leaveOut(days, name)
		k, err := Fit(rest, tactics, facts, "")
		if err != nil {
			return nil, nil, fmt.Errorf("without %s: %w", name, err)
		}
		var one tally
		one.score(k, held)
		if one.n > 0 {
			out[name] = one.scores()
		}
		all.merge(&one)
	}
	if all.n == 0 {
		return nil, nil, errors.New("no alert was followed by a step of its attack; more days are needed")
	}
	return out, all.scores(), nil
}

func scenariosOf(days []Day) []string {
	var names []string
	for i := range days {
		if !slices.Contains(names, days[i].Scenario) {
			names = append(names, days[i].Scenario)
		}
	}
	slices.Sort(names)
	return names
}

const bins = 10

// tally adds scores up.
type tally struct {
	n                           int
	log, brier, top1, top3      float64
	frequencyLog, frequencyTop3 float64
	chainLog, chainTop3         float64
	binN, binP, binHits         [bins]float64
}

func (t *tally) merge(o *tally) {
	t.n += o.n
	for _, x := range []struct{ to, from *float64 }{
		{&t.log, &o.log}, {&t.brier, &o.brier}, {&t.top1, &o.top1}, {&t.top3, &o.top3},
		{&t.frequencyLog, &o.frequencyLog}, {&t.frequencyTop3, &o.frequencyTop3}, {&t.chainLog,
			&o.chainLog}, {&t.chainTop3, &o.chainTop3},
	} {
		*x.to += *x.from
	}
	for i := range bins {
		t.binN[i] += o.binN[i]
		t.binP[i] += o.binP[i]
		t.binHits[i] += o.binHits[i]
	}
}

// smallest is the least probability that a log loss counts.
const smallest = 1e-9

// score forecasts after every true alert that a step followed.
func (t *tally) score(k *Knowledge, days []Day) {
	n := float64(len(k.techniques))
	frequency := make([]float64, len(k.techniques))
	for i, name := range k.techniques {
		frequency[i] = 10 / n
		for _, counts := range k.Next {
			frequency[i] += counts[name]
		}
	}
	normalize(frequency)
	chains := make([][]float64, len(k.techniques)+1)
	for from := range chains {
		chains[from] = make([]float64, len(k.techniques))
		for i, name := range k.techniques {
			chains[from][i] = 1 / n
			if from < len(k.techniques) {
				chains[from][i] += k.Next[k.techniques[from]][name]
			}
		}
		normalize(chains[from])
	}
	eachForecast(k, days, func(f *filter, next *Step) {
		if len(f.history) == 0 {
			return
		}
		came, ok := k.index[next.Technique]
		if !ok {
			came = -1
		}
		t.add(f.techniques(), came, frequency, chains[f.history[len(f.history)-1]])
	})
}

func (t *tally) add(p []float64, came int, frequency, chain []float64) {
	of := func(p []float64) float64 {
		if came < 0 {
			return smallest
		}
		return max(p[came], smallest)
	}
	t.n++
	t.log -= math.Log(of(p))
	t.frequencyLog -= math.Log(of(frequency))
	t.chainLog -= math.Log(of(chain))
	for i, v := range p {
		if i == came {
			v = 1 - v
		}
		t.brier += v * v
	}
	best := top3(p)
	if best[0] == came {
		t.top1++
	}
	if slices.Contains(best[:], came) {
		t.top3++
	}
	if b := top3(frequency); slices.Contains(b[:], came) {
		t.frequencyTop3++
	}
	if b := top3(chain); slices.Contains(b[:], came) {
		t.chainTop3++
	}
	for _, i := range best {
		bin := min(bins-1, int(bins*p[i]))
		t.binN[bin]++
		t.binP[bin] += p[i]
		if i == came {
			t.binHits[bin]++
		}
	}
}

// top3 are the three largest.
func top3(p []float64) (best [3]int) {
	best = [3]int{-1, -1, -1}
	for i, v := range p {
		for r := range best {
			if best[r] < 0 || v > p[best[r]] {
				copy(best[r+1:], best[r:2])
				best[r] = i
				break
			}
		}
	}
	return best
}

func (t *tally) scores() *Scores {
	n := float64(t.n)
	s := &Scores{
		Forecasts: t.n, LogLoss: t.log / n, Brier: t.brier / n, Top1: t.top1 / n, Top3: t.top3 / n,
		FrequencyLogLoss: t.frequencyLog / n, FrequencyTop3: t.frequencyTop3 / n,
		FirstOrderLogLoss: t.chainLog / n, FirstOrderTop3: t.chainTop3 / n,
	}
	all := 0.0
	for i := range bins {
		s.Calibration += math.Abs(t.binP[i] - t.binHits[i])
		all += t.binN[i]
	}
	s.Calibration /= all
	return s
}
