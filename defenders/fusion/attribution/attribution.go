// Package attribution ranks who may be behind a campaign. It knows actors by what alerts of
// their earlier campaigns looked like (its own facts, learned from simulated days), or by what
// others published about them (groups of ATT&CK: their techniques and infrastructure).
//
// The rank of an actor rests on the techniques and the rules of the alerts, on the pace at
// which they came, on how many outside addresses they came from, and on indicators that are
// said to belong to the actor. Each is a sum of logarithms of likelihood ratios against the
// average actor; their weights, and the score of an actor who is not known, are learned so
// that the probabilities are calibrated. "unknown" is an answer like any other.
//
// attribution.go ranks, facts.go is what is known of actors, learn.go learns it.
package attribution

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/alert"
)

// Unknown is the name of an actor that is none of those that are known.
const Unknown = "unknown"

// Observation is an alert of a campaign with what fusion found.
type Observation struct {
	Alert *alert.Alert
	// Outside is the outside address that it came from, "" for none.
	Outside string
	// Indicators are the values that feeds know; Actors the actors that they name.
	Indicators, Actors []string
}

// Evidence is what a campaign shows of who is behind it.
type Evidence struct {
	Techniques []string       `json:"techniques"`
	Rules      []string       `json:"rules"`
	Gaps       map[string]int `json:"gaps"` // alerts by the time since the one before
	Addresses  string         `json:"addresses"`
	Indicators []string       `json:"indicators,omitempty"`
	Named      []string       `json:"named,omitempty"` // actors that feeds name
}

// EvidenceOf reads the evidence off the alerts of a campaign, in the order of time.
func EvidenceOf(list []Observation) Evidence {
	e := Evidence{Gaps: map[string]int{}}
	outside := map[string]bool{}
	last, any := time.Duration(0), false
	for i := range list {
		o := &list[i]
		for _, t := range o.Alert.Techniques {
			add(&e.Techniques, t)
		}
		add(&e.Rules, o.Alert.RuleID)
		if any {
			e.Gaps[pace(o.Alert.Raised-last)]++
		}
		last, any = o.Alert.Raised, true
		if o.Outside != "" {
			outside[o.Outside] = true
		}
		for _, v := range o.Indicators {
			add(&e.Indicators, v)
		}
		for _, v := range o.Actors {
			add(&e.Named, v)
		}
	}
	slices.Sort(e.Techniques)
	slices.Sort(e.Rules)
	e.Addresses = crowd(len(outside))
	return e
}

func add(list *[]string, s string) {
	if s != "" && !slices.Contains(*list, s) {
		*list = append(*list, s)
	}
}

// pace sorts the time between two alerts.
func pace(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "seconds"
	case d < 5*time.Minute:
		return "minutes"
	case d < time.Hour:
		return "within the hour"
	case d < 8*time.Hour:
		return "hours"
	}
	return "days"
}

// crowd sorts the number of outside addresses.
func crowd(n int) string {
	switch {
	case n == 0:
		return "none"
	case n == 1:
		return "one"
	case n <= 3:
		return "few"
	}
	return "many"
}

// Suspect is an actor with the probability that they are behind the campaign.
type Suspect struct {
	Actor       string  `json:"actor"`
	Probability float64 `json:"probability"`
	// Because says what speaks for them most.
	Because []string `json:"because,omitempty"`
}

// The kinds of evidence, in the order of the weights.
const (
	byTechniques = iota
	byRules
	byPace
	byAddresses
	kindCount
)

// namedRatio is what it counts for an actor when a feed names them for an indicator of the
// campaign, and when an indicator is one of their infrastructure (an assumption); at most
// maxNamed of them count.
const (
	namedRatio = 20.0
	maxNamed   = 2
)

// mostBecause is how many reasons are given for a suspect.
const mostBecause = 3

// Rank gives every actor, and Unknown, a probability; the likeliest first. They sum to 1.
func (f *Facts) Rank(e *Evidence) []Suspect {
	out := []Suspect{{Actor: Unknown}}
	logs := []float64{f.unknown(e)}
	for i := range f.Actors {
		a := &f.Actors[i]
		scores, because := f.compare(a, e)
		z := 0.0
		for k, s := range scores {
			z += f.Weights[k] * s
		}
		z += float64(min(maxNamed, a.isNamedIn(e))) * math.Log(namedRatio)
		out = append(out, Suspect{Actor: a.ID, Because: because})
		logs = append(logs, z)
	}
	shares := f.shares()
	for _, name := range f.namedOnly(e) { // nothing else is known of them: an average actor
		out = append(out, Suspect{Actor: name, Because: []string{"indicators of theirs"}})
		logs, shares = append(logs, math.Log(namedRatio)), append(shares, slices.Min(shares))
	}
	normalize(logs, shares)
	for i := range out {
		out[i].Probability = logs[i]
	}
	slices.SortStableFunc(out, func(a, b Suspect) int {
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), strings.Compare(a.Actor, b.Actor))
	})
	return out
}

// Of Unknown's score: a constant, what each technique and rule adds, and what each adds that
// was never seen of anybody.
const (
	unknownAlways = iota
	unknownEach
	unknownNovel
	unknownCount
)

// signs of an actor who is not known, in the order of their weights.
func (f *Facts) unknownSigns(e *Evidence) [unknownCount]float64 {
	novel := 0
	for _, t := range e.Techniques {
		if f.Base.Techniques[t] == 0 {
			novel++
		}
	}
	for _, r := range e.Rules {
		if f.Base.Rules[r] == 0 {
			novel++
		}
	}
	return [unknownCount]float64{1, math.Log1p(float64(len(e.Techniques) + len(e.Rules))), math.Log1p(float64(novel))}
}

// unknown is the score of Unknown.
func (f *Facts) unknown(e *Evidence) float64 {
	z := 0.0
	for i, v := range f.unknownSigns(e) {
		z += f.Unknown[i] * v
	}
	return z
}

// normalize makes probabilities of logarithms, the first of which is Unknown's. Shares are what
// each actor had of all campaigns before.
func normalize(logs, shares []float64) {
	for i, s := range shares {
		logs[i+1] += math.Log(s)
	}
	most := slices.Max(logs)
	sum := 0.0
	for i, v := range logs {
		logs[i] = math.Exp(v - most)
		sum += logs[i]
	}
	for i := range logs {
		logs[i] /= sum
	}
}

// shares are what each actor had of all campaigns that were learned from, with one more each;
// equal ones where nothing was learned.
func (f *Facts) shares() []float64 {
	out := make([]float64, len(f.Actors))
	sum := 0.0
	for i := range f.Actors {
		out[i] = 1
		if p := f.Actors[i].Profile; p != nil {
			out[i] += p.Campaigns
		}
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// namedOnly are the actors that feeds name and of whom no facts are known, sorted; at most
// maxNamed.
func (f *Facts) namedOnly(e *Evidence) []string {
	var out []string
	for _, name := range e.Named {
		known := slices.ContainsFunc(f.Actors, func(a Actor) bool { return a.isCalled(name) })
		if name != "" && name != Unknown && !known && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), maxNamed)]
}

// isCalled tells whether a name is the actor's id or one of their aliases, in any case.
func (a *Actor) isCalled(name string) bool {
	return strings.EqualFold(name, a.ID) ||
		slices.ContainsFunc(a.Aliases, func(x string) bool { return strings.EqualFold(x, name) })
}

// isNamedIn counts the indicators of the campaign that are said to be the actor's.
func (a *Actor) isNamedIn(e *Evidence) int {
	n := 0
	for _, name := range e.Named {
		if a.isCalled(name) {
			n++
		}
	}
	for _, v := range e.Indicators {
		if slices.Contains(a.Infrastructure, v) {
			n++
		}
	}
	return n
}

// reason is what speaks for an actor, and how much.
type reason struct {
	text  string
	ratio float64
}

// compare holds the evidence against what is known of an actor: for each kind the sum of the
// logarithms of the likelihood ratios against the average actor.
func (f *Facts) compare(a *Actor, e *Evidence) ([kindCount]float64, []string) {
	var s [kindCount]float64
	var reasons []reason
	note := func(kind int, ratio float64, text string) {
		s[kind] += ratio
		if ratio > 0.3 {
			reasons = append(reasons, reason{text, ratio * max(0, f.Weights[kind])})
		}
	}
	for _, t := range e.Techniques {
		note(byTechniques, f.techniqueRatio(a, t), "technique "+t)
	}
	if a.Profile != nil {
		for _, r := range e.Rules {
			note(byRules, ratio(a.Profile.Rules[r], a.Profile.Campaigns, f.Base.Rules[r], f.Base.Campaigns), "rule "+r)
		}
		gaps := 0
		for _, n := range e.Gaps {
			gaps += n
		}
		for _, g := range sorted(e.Gaps) {
			r := ratio(a.Profile.Gaps[g], total(a.Profile.Gaps), f.Base.Gaps[g], total(f.Base.Gaps))
			note(byPace, r*float64(e.Gaps[g])/float64(gaps), "pace: "+g)
		}
		note(byAddresses,
			ratio(a.Profile.Addresses[e.Addresses], a.Profile.Campaigns, f.Base.Addresses[e.Addresses], f.Base.Campaigns),
			"outside addresses: "+e.Addresses)
	}
	if n := a.isNamedIn(e); n > 0 {
		reasons = append(reasons, reason{"indicators of theirs", float64(n) * math.Log(namedRatio)})
	}
	slices.SortStableFunc(reasons, func(a, b reason) int { return cmp.Compare(b.ratio, a.ratio) })
	var texts []string
	for _, r := range reasons[:min(len(reasons), mostBecause)] {
		texts = append(texts, r.text)
	}
	return s, texts
}

// The bounds of one likelihood ratio, as logarithms, and how many campaigns of the average
// actor stand beside those of an actor.
const (
	lowestRatio  = -2.5
	highestRatio = 2.5
	prior        = 2.0
)

// ratio is the logarithm of an actor's share against that of the average actor.
func ratio(n, all, baseN, baseAll float64) float64 {
	base := (baseN + 0.5) / (baseAll + 5)
	own := (n + prior*base) / (all + prior)
	return min(highestRatio, max(lowestRatio, math.Log(own/base)))
}

// listedHit and unlistedHit are how likely an alert of a technique is for an actor of whom
// only a list of techniques is known, against the average actor: published lists leave much
// out (assumptions). The longer the list, the less being on it says.
const (
	listedHit   = 3.0
	unlistedHit = 0.6
	listLength  = 30.0
)

func (f *Facts) techniqueRatio(a *Actor, technique string) float64 {
	if a.Profile != nil {
		return ratio(a.Profile.Techniques[technique], a.Profile.Campaigns, f.Base.Techniques[technique], f.Base.Campaigns)
	}
	if !a.lists(technique) {
		return math.Log(unlistedHit)
	}
	return math.Log(1 + (listedHit-1)*listLength/(listLength+float64(len(a.Techniques))))
}

// lists tells whether an actor is known to use a technique, its root, or one below it.
func (a *Actor) lists(technique string) bool {
	root, _, _ := strings.Cut(technique, ".")
	return slices.ContainsFunc(a.Techniques, func(t string) bool {
		return t == technique || t == root || technique == root && strings.HasPrefix(t, root+".")
	})
}
