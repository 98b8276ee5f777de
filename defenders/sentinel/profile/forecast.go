package profile

import (
	"fmt"
	"slices"
	"time"

	"hemostat/defenders/inventory"
)

// The experts whose forecasts of the next technique are mixed: a chain from the last alert,
// the same by goal, by tactic only, what followed earlier in the same incident, the same
// technique again, what groups use together with what was seen, and base rates.
const (
	byChain = iota
	byGoal
	byTactic
	byHistory
	byRepetition
	byGroups
	byBase
	experts
)

// anySituation is the key of the weights that stand for situations without own ones.
const anySituation = "any"

// situation is what the weights of the experts depend on: how often what followed this
// technique was seen, whether the incident itself has an earlier case, and whether the
// attacker repeats themselves.
func (f *filter) situation() string {
	if len(f.history) == 0 {
		return anySituation
	}
	last := f.history[len(f.history)-1]
	known := "never"
	if last < len(f.knowledge.techniques) {
		switch n := f.knowledge.chainCount[last]; {
		case n == 0:
		case n < 8:
			known = "rarely"
		case n < 40:
			known = "sometimes"
		default:
			known = "often"
		}
	}
	repeats := len(f.history) > 1 && f.history[len(f.history)-2] == last
	return fmt.Sprintf("followed %s, here before %t, repeats %t", known, f.hasFollowers(last), repeats)
}

// hasFollowers tells whether the incident has an earlier case of what followed a technique.
func (f *filter) hasFollowers(last int) bool {
	for i := 0; i+1 < len(f.history); i++ {
		if f.history[i] == last && f.history[i+1] != last {
			return true
		}
	}
	return false
}

// opinions are the forecasts of the experts.
func (f *filter) opinions() (all [experts][]float64) {
	k := f.knowledge
	n := len(k.techniques)
	last := n
	if len(f.history) > 0 {
		last = f.history[len(f.history)-1]
	}
	all[byBase] = k.base
	all[byTactic] = k.tactic[k.tacticAt(last)]
	all[byChain] = all[byTactic]
	if last < n {
		all[byChain] = k.chain[last]
	}
	all[byGoal] = f.goalChain(last, all[byChain])
	all[byHistory] = f.followers(last)
	all[byRepetition] = make([]float64, n)
	for i := range all[byRepetition] {
		all[byRepetition][i] = surelySame / float64(n)
	}
	if last < n {
		all[byRepetition][last] += 1
	}
	normalize(all[byRepetition])
	all[byGroups] = f.groups()
	return all
}

// goalChain is the chain of each goal, weighted by how likely the goal is.
func (f *filter) goalChain(last int, chain []float64) []float64 {
	k := f.knowledge
	out := make([]float64, len(k.techniques))
	for g, p := range f.goals() {
		if k.goals[g] == none || p < 0.005 {
			continue
		}
		row := chain
		if last < len(k.techniques) && k.goalChain[g][last] != nil {
			row = k.goalChain[g][last]
		}
		for i := range out {
			out[i] += p * row[i]
		}
	}
	if slices.Max(out) == 0 {
		copy(out, chain)
	}
	normalize(out)
	return out
}

// followers is what the incident itself has seen: the techniques so far, and more what
// followed the last one before.
func (f *filter) followers(last int) []float64 {
	n := len(f.knowledge.techniques)
	out := make([]float64, n)
	for i := range out {
		out[i] = historyFloor / float64(n)
	}
	follow := 0
	for i := 0; i+1 < len(f.history); i++ {
		if f.history[i] == last && f.history[i+1] != last {
			follow++
		}
	}
	for i, at := range f.history {
		if at < n {
			out[at] += historySame / float64(len(f.history))
		}
		if i > 0 && f.history[i-1] == last && at != last && at < n {
			out[at] += historyFollow / float64(follow)
		}
	}
	normalize(out)
	return out
}

// groups is how often groups use a technique, raised by what they use together.
func (f *filter) groups() []float64 {
	k := f.knowledge
	log := make([]float64, len(k.techniques))
	seen := make([]int, 0, len(f.counted))
	for at := range k.techniques {
		if f.counted[at] && k.logLift[at] != nil {
			seen = append(seen, at)
		}
	}
	if len(seen) == 0 {
		return k.popular
	}
	const mostCounted = 8
	seen = seen[:min(len(seen), mostCounted)]
	for i := range log {
		for _, a := range seen {
			log[i] += k.logLift[a][i]
		}
	}
	out := make([]float64, len(log))
	softmax(log, out)
	for i := range out {
		out[i] *= k.popular[i]
	}
	normalize(out)
	return out
}

// weights are those of the experts in the present situation.
func (f *filter) weights() []float64 {
	k := f.knowledge
	if w := k.Weights[f.situation()]; w != nil {
		return w
	}
	if w := k.Weights[anySituation]; w != nil {
		return w
	}
	w := make([]float64, experts)
	for i := range w {
		w[i] = 1.0 / experts
	}
	return w
}

// techniques is the forecast of the technique that is tried next, a probability for each
// technique of the knowledge.
func (f *filter) techniques() []float64 {
	w := f.weights()
	out := make([]float64, len(f.knowledge.techniques))
	for e, p := range f.opinions() {
		for i := range out {
			out[i] += w[e] * p[i]
		}
	}
	return out
}

// The places where a next step may be.
const (
	sameHost  = "same"
	otherHost = "other"
	newHost   = "new"
)

// targets is the forecast of the host of the next step, in the order of the estate behind
// the hosts of the incident.
func (f *filter) targets(e *estate) []Share {
	k := f.knowledge
	if len(f.hosts) == 0 {
		return nil
	}
	var counts Counts
	if len(f.history) > 0 {
		if at := k.tacticAt(f.history[len(f.history)-1]); at < len(k.tactics) {
			counts = k.Places[k.tactics[at]]
		}
	}
	all := total(counts) + 3
	share := func(place string) float64 { return (counts[place] + 1) / all }
	others := len(f.hosts) - 1
	out := make([]Share, 0, len(f.hosts)+len(e.hosts))
	out = append(out, Share{f.hosts[others], share(sameHost)})
	for _, h := range f.hosts[:others] {
		out = append(out, Share{h, share(otherHost) / float64(others)})
	}
	left := share(newHost)
	if others == 0 {
		left += share(otherHost)
	}
	return f.newHosts(e, left, out)
}

// newHosts shares a probability out among the hosts that the incident has not reached, by
// how often attackers went for hosts of their role, and appends them.
func (f *filter) newHosts(e *estate, p float64, to []Share) []Share {
	from, sum := len(to), 0.0
	for i := range e.hosts {
		h := &e.hosts[i]
		if slices.Contains(f.hosts, h.Name) {
			continue
		}
		to = append(to, *h)
		sum += h.P
	}
	for i := from; i < len(to); i++ {
		to[i].P *= p / sum
	}
	return to
}

// estate are the hosts that an attacker may go for, with how likely each is among new ones.
type estate struct{ hosts []Share }

func newEstate(k *Knowledge, v *inventory.Inventory) *estate {
	e := &estate{}
	if v == nil {
		return e
	}
	roles := Counts{}
	for i := range v.Hosts {
		roles[string(v.Hosts[i].Role)]++
	}
	all := total(k.Roles) + float64(len(roles))
	for i := range v.Hosts {
		h := &v.Hosts[i]
		role := string(h.Role)
		e.hosts = append(e.hosts, Share{h.Name, (k.Roles[role] + 1) / all / roles[role]})
	}
	return e
}

// likeliest are the n likeliest, equal ones by name.
func likeliest(all []Share, n int) []Share {
	best := make([]Share, 0, n+1)
	for _, s := range all {
		at := len(best)
		for at > 0 && (s.P > best[at-1].P || s.P == best[at-1].P && s.Name < best[at-1].Name) {
			at--
		}
		if at == n {
			continue
		}
		best = slices.Insert(best, at, s)
		best = best[:min(len(best), n)]
	}
	return best
}

// ranked sorts the likeliest to the front, equal ones by name.
func ranked(shares []Share) []Share {
	slices.SortFunc(shares, func(a, b Share) int {
		switch {
		case a.P > b.P:
			return -1
		case a.P < b.P:
			return 1
		case a.Name < b.Name:
			return -1
		}
		return 1
	})
	return shares
}

// Forecast is what is predicted and believed after an alert.
type Forecast struct {
	Alert    int
	Incident int
	Time     time.Duration
	Belief   Belief
	// Techniques are the likeliest next techniques; Targets the likeliest hosts of the next
	// step.
	Techniques []Share
	Targets    []Share

	all     []float64
	names   []string
	targets []Share // of every host
}

// Probability is that of a technique being the next, 0 for one that cannot be forecast.
func (f *Forecast) Probability(technique string) float64 {
	at, ok := slices.BinarySearch(f.names, technique)
	if !ok {
		return 0
	}
	return f.all[at]
}

// TargetProbability is that of a host being the next target.
func (f *Forecast) TargetProbability(host string) float64 {
	for _, t := range f.targets {
		if t.Name == host {
			return t.P
		}
	}
	return 0
}

// Brier is the sum of the squared differences between the forecast and what came (Brier
// 1950); 0 is perfect, 2 the worst.
func (f *Forecast) Brier(came string) float64 {
	sum := 0.0
	for i, p := range f.all {
		if f.names[i] == came {
			p = 1 - p
		}
		sum += p * p
	}
	if _, ok := slices.BinarySearch(f.names, came); !ok {
		sum++
	}
	return sum
}

// kept is how many of the likeliest techniques and targets a forecast names.
const kept = 5

// forecast predicts from what is believed now.
func (f *filter) forecast(now time.Duration, e *estate) *Forecast {
	k := f.knowledge
	out := &Forecast{Time: now, Belief: f.belief(now), all: f.techniques(), names: k.techniques}
	shares := make([]Share, len(out.all))
	for i, p := range out.all {
		shares[i] = Share{k.techniques[i], p}
	}
	out.Techniques = likeliest(shares, kept)
	out.targets = f.targets(e)
	out.Targets = likeliest(out.targets, kept)
	return out
}
