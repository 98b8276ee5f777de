package attribution

import (
	"errors"
	"math"
	"slices"

	"hemostat/sim/attack"
)

// Example is a campaign whose actor is known.
type Example struct {
	Actor string
	Day   string // that examples of other days do not have
	Goal  string // what the actor was after
	Evidence
}

// Scores are how good attribution is.
type Scores struct {
	Cases       int     `json:"cases"`
	First       float64 `json:"top_1"` // share in which the right actor stands first
	Third       float64 `json:"top_3"`
	Brier       float64 `json:"brier"` // mean over cases of Σ (p - truth)²
	LogLoss     float64 `json:"log_loss"`
	Calibration float64 `json:"calibration_error"` // expected, of the first one's probability
}

// folds divide the days; unknownShare is how much cases of actors who were left out weigh.
const (
	folds        = 4
	unknownShare = 0.05
)

// Learned is what was learned, and how good it is on days that were left out, and for actors
// that were left out altogether (for whom Unknown is right).
type Learned struct {
	Facts   *Facts
	Known   Scores
	LeftOut Scores
}

// Learn learns what actors are like from examples.
func Learn(examples []Example, from string) (*Learned, error) {
	var actors []string
	for i := range examples {
		add(&actors, examples[i].Actor)
	}
	if len(actors) < 2 {
		return nil, errors.New("campaigns of two actors at least are needed")
	}
	slices.Sort(actors)
	days := map[string]int{}
	for i := range examples {
		if _, ok := days[examples[i].Day]; !ok {
			days[examples[i].Day] = len(days)
		}
	}
	var cases []scored
	for k := range folds {
		f := factsOf(examples, from, func(e *Example) bool { return days[e.Day]%folds != k })
		for i := range examples {
			if e := &examples[i]; days[e.Day]%folds == k {
				cases = append(cases, scoredBy(f, e, e.Actor, 1))
			}
		}
	}
	known := len(cases)
	for _, out := range actors {
		f := factsOf(examples, from, func(e *Example) bool { return e.Actor != out })
		for i := range examples {
			if e := &examples[i]; e.Actor == out {
				cases = append(cases, scoredBy(f, e, Unknown, unknownShare/(1-unknownShare)))
			}
		}
	}
	l := &Learned{Facts: factsOf(examples, from, func(*Example) bool { return true })}
	x := parameters{0.5, 0.5, 0.5, 0.5, neverUnknown}
	fit(cases[:known], &x, 0, kindCount)
	x[kindCount] = 0
	fit(cases, &x, kindCount, len(x))
	l.Facts.Weights, l.Facts.Unknown = [kindCount]float64(x[:kindCount]), [unknownCount]float64(x[kindCount:])
	l.Known, l.LeftOut = judge(cases[:known], &x), judge(cases[known:], &x)
	return l, l.Facts.check()
}

// factsOf counts the examples that are chosen.
func factsOf(examples []Example, from string, chosen func(*Example) bool) *Facts {
	f := &Facts{Format: factsFormat, From: from, Base: newProfile()}
	for i := range f.Weights {
		f.Weights[i] = 1
	}
	byActor := map[string]*Actor{}
	goals := map[string][]string{}
	for i := range examples {
		e := &examples[i]
		if !chosen(e) {
			continue
		}
		a := byActor[e.Actor]
		if a == nil {
			p := newProfile()
			a = &Actor{ThreatActor: ThreatActor{ID: e.Actor}, Profile: &p}
			byActor[e.Actor] = a
		}
		a.Profile.count(&e.Evidence)
		f.Base.count(&e.Evidence)
		list := goals[e.Actor]
		add(&list, e.Goal)
		goals[e.Actor] = list
	}
	for _, id := range sorted(byActor) {
		a := byActor[id]
		for _, t := range sorted(a.Profile.Techniques) {
			if attack.IsKnown(t) && a.Profile.Techniques[t] >= a.Profile.Campaigns/10 {
				a.Techniques = append(a.Techniques, t)
			}
		}
		a.Goals = goals[id]
		slices.Sort(a.Goals)
		f.Actors = append(f.Actors, *a)
	}
	return f
}

func newProfile() Profile {
	return Profile{Techniques: map[string]float64{}, Rules: map[string]float64{}, Gaps: map[string]float64{},
		Addresses: map[string]float64{}}
}

func (p *Profile) count(e *Evidence) {
	p.Campaigns++
	for _, t := range e.Techniques {
		p.Techniques[t]++
	}
	for _, r := range e.Rules {
		p.Rules[r]++
	}
	all := 0
	for _, n := range e.Gaps {
		all += n
	}
	for g, n := range e.Gaps {
		p.Gaps[g] += math.Round(1e4*float64(n)/float64(all)) / 1e4
	}
	p.Addresses[e.Addresses]++
}

// scored is a case with the scores of every actor by kind of evidence; the right one is a
// place in them, -1 for Unknown.
type scored struct {
	scores [][kindCount]float64
	shares []float64
	signs  [unknownCount]float64
	right  int
	weight float64
}

func scoredBy(f *Facts, e *Example, right string, weight float64) scored {
	s := scored{right: -1, weight: weight, shares: f.shares(), signs: f.unknownSigns(&e.Evidence)}
	for i := range f.Actors {
		v, _ := f.compare(&f.Actors[i], &e.Evidence)
		s.scores = append(s.scores, v)
		if f.Actors[i].ID == right {
			s.right = i
		}
	}
	return s
}

// probabilities are those of Unknown, then of the actors.
func (s *scored) probabilities(p *parameters) []float64 {
	w := p[:kindCount]
	logs := []float64{0}
	for i, v := range s.signs {
		logs[0] += p[kindCount+i] * v
	}
	for _, v := range s.scores {
		z := 0.0
		for k := range v {
			z += w[k] * v[k]
		}
		logs = append(logs, z)
	}
	normalize(logs, s.shares)
	return logs
}

// parameters are the weights of the kinds of evidence, then those of the signs of Unknown.
type parameters [kindCount + unknownCount]float64

// neverUnknown is a score by which Unknown is never likely.
const neverUnknown = -30

// fit finds some of the parameters with the least log loss, by searching along one coordinate
// after the other with steps that become smaller. Weights of evidence are not negative.
func fit(cases []scored, x *parameters, from, to int) {
	loss := func() float64 {
		sum := 0.0
		for i := range cases {
			p := cases[i].probabilities(x)
			sum -= cases[i].weight * math.Log(max(1e-9, p[cases[i].right+1]))
		}
		return sum
	}
	best := loss()
	for step := 0.5; step > 0.01; step /= 2 {
		for improved := true; improved; {
			improved = false
			for j := from; j < to; j++ {
				for _, d := range []float64{step, -step} {
					before := x[j]
					if x[j] += d; j < kindCount && x[j] < 0 {
						x[j] = 0
					}
					if now := loss(); now < best-1e-9 {
						best, improved = now, true
						break
					}
					x[j] = before
				}
			}
		}
	}
}

// judge scores the cases.
func judge(cases []scored, x *parameters) Scores {
	var s Scores
	var bins Calibration
	for i := range cases {
		p := cases[i].probabilities(x)
		right := cases[i].right + 1
		s.Cases++
		rank := 0
		for j, v := range p {
			if v > p[right] || v == p[right] && j < right {
				rank++
			}
			truth := 0.0
			if j == right {
				truth = 1
			}
			s.Brier += (v - truth) * (v - truth)
		}
		if rank == 0 {
			s.First++
		}
		if rank < 3 {
			s.Third++
		}
		s.LogLoss -= math.Log(max(1e-9, p[right]))
		top := slices.Max(p)
		bins.Add(top, p[right] == top)
	}
	n := max(1, float64(s.Cases))
	s.First, s.Third, s.Brier, s.LogLoss = s.First/n, s.Third/n, s.Brier/n, s.LogLoss/n
	s.Calibration = bins.Error()
	return s
}

// Calibration holds probabilities against how often what they were given for was so.
type Calibration struct{ n, sum, right [10]float64 }

// Add takes in a probability, and whether it was so.
func (c *Calibration) Add(p float64, isSo bool) {
	i := min(9, int(p*10))
	c.n[i]++
	c.sum[i] += p
	if isSo {
		c.right[i]++
	}
}

// Error is the expected calibration error: the mean distance between the probability and the
// share that was so, over ten bins, weighted by their cases (Naeini, Cooper and Hauskrecht
// 2015).
func (c *Calibration) Error() float64 {
	all, off := 0.0, 0.0
	for i := range c.n {
		all += c.n[i]
		off += math.Abs(c.sum[i] - c.right[i])
	}
	return off / max(1, all)
}
