package profile

import (
	"math"
	"time"

	"hemostat/defenders/alert"
	"hemostat/sim/severity"
)

// maxHistory bounds the techniques of an incident that forecasts rest on.
const maxHistory = 64

// filter is the belief about the attacker behind one incident. It is updated in constant
// time whatever the incident's length.
type filter struct {
	knowledge *Knowledge
	history   []int // places of the techniques that were alerted, the newest last
	counted   map[int]bool
	logGoal   []float64
	skill     [skills]float64 // log likelihood
	last      time.Duration   // of the newest alert
	gap       time.Duration   // before it
	any       bool
	actions   int      // of the response that changed something
	hosts     []string // of the incident, the newest last
}

// The levels of skill: below 0.4, up to 0.7, above.
const skills = 3

var skillNames = [skills]string{"low", "middle", "high"}

// SkillLevel is the level of a skill between 0 and 1.
func SkillLevel(skill float64) string {
	switch {
	case skill < 0.4:
		return skillNames[0]
	case skill <= 0.7:
		return skillNames[1]
	}
	return skillNames[2]
}

func newFilter(k *Knowledge) *filter {
	return &filter{knowledge: k, counted: map[int]bool{}, logGoal: append([]float64(nil), k.logPrior...)}
}

// gapOf is the time between two alerts as the knowledge counts it.
func gapOf(d time.Duration) string {
	switch {
	case d < 30*time.Second:
		return "seconds"
	case d < 5*time.Minute:
		return "minutes"
	case d < time.Hour:
		return "within the hour"
	}
	return "hours"
}

// observe takes an alert of the incident in.
func (f *filter) observe(a *alert.Alert) {
	if a.Host != "" {
		f.noteHost(a.Host)
	}
	f.updateSkill(a)
	if f.any {
		f.gap = max(0, a.Raised-f.last)
	}
	f.last, f.any = max(f.last, a.Raised), true
	technique := a.Technique()
	if technique == "" {
		return
	}
	k := f.knowledge
	at := k.place(technique)
	if !f.counted[at] { // the same technique again says little more
		f.counted[at] = true
		for g := range f.logGoal {
			f.logGoal[g] += k.logSeen[g][at]
		}
	}
	if len(f.history) == maxHistory {
		copy(f.history, f.history[1:])
		f.history = f.history[:maxHistory-1]
	}
	f.history = append(f.history, at)
}

// updateSkill weighs how fast alerts come and how serious they are: the skilled are slower to
// be noticed, and by less.
func (f *filter) updateSkill(a *alert.Alert) {
	k := f.knowledge
	for i, name := range skillNames {
		if f.any {
			f.skill[i] += logShare(k.Gaps[name], gapOf(a.Raised-f.last), 4)
		}
		f.skill[i] += logShare(k.Severities[name], a.Severity.String(), severity.Count)
	}
}

// logShare is the logarithm of a share with one count for each of so many kinds.
func logShare(c Counts, name string, kinds int) float64 {
	return math.Log((c[name] + 1) / (total(c) + float64(kinds)))
}

// noteHost keeps the hosts of the incident, the newest last.
func (f *filter) noteHost(host string) {
	for i, h := range f.hosts {
		if h == host {
			copy(f.hosts[i:], f.hosts[i+1:])
			f.hosts[len(f.hosts)-1] = host
			return
		}
	}
	if len(f.hosts) == maxHistory {
		copy(f.hosts, f.hosts[1:])
		f.hosts = f.hosts[:maxHistory-1]
	}
	f.hosts = append(f.hosts, host)
}

// acts tells the filter that an action of the response for the incident changed something.
func (f *filter) acts() { f.actions++ }

// absorb takes in what is believed about an incident that turned out to be the same.
func (f *filter) absorb(other *filter) {
	k := f.knowledge
	for at := range k.techniques {
		if other.counted[at] && !f.counted[at] {
			f.counted[at] = true
			for g := range f.logGoal {
				f.logGoal[g] += k.logSeen[g][at]
			}
		}
	}
	for i := range f.skill {
		f.skill[i] += other.skill[i]
	}
	history := append(append([]int(nil), other.history...), f.history...)
	f.history = history[max(0, len(history)-maxHistory):]
	hosts := f.hosts
	f.hosts = append([]string(nil), other.hosts...)
	for _, h := range hosts {
		f.noteHost(h)
	}
	f.last, f.any = max(f.last, other.last), f.any || other.any
	f.actions += other.actions
}

// Share is a name with its probability.
type Share struct {
	Name string  `json:"name"`
	P    float64 `json:"p"`
}

// Belief is what is believed of an attacker at a time.
type Belief struct {
	Real  float64 // that there is an attacker at all
	Goals []Share // given that there is one; the likeliest first
	Types []Share
	// Stages are tactics.
	Stages []Share
	Skills []Share
	// Aware is the probability that they believe to be seen.
	Aware float64
	// Active is the probability that they are still at work, which falls with silence.
	Active float64
}

// belief computes what is believed now.
func (f *filter) belief(now time.Duration) Belief {
	k := f.knowledge
	var b Belief
	goals := f.goals()
	types := Counts{}
	for i, g := range k.goals {
		if g == none {
			b.Real = 1 - goals[i]
		}
	}
	if _, ok := k.Goals[none]; !ok {
		b.Real = 1
	}
	for i, g := range k.goals {
		if g == none || b.Real <= 0 {
			continue
		}
		p := goals[i] / b.Real
		b.Goals = append(b.Goals, Share{g, p})
		all := total(k.GoalTypes[g])
		for _, t := range sortedKeys(k.GoalTypes[g]) {
			types[t] += p * k.GoalTypes[g][t] / all
		}
	}
	b.Goals = ranked(b.Goals)
	for _, t := range sortedKeys(types) {
		b.Types = append(b.Types, Share{t, types[t]})
	}
	b.Types = ranked(b.Types)
	b.Stages = f.stages()
	b.Skills = f.skillShares()
	b.Aware = f.aware()
	b.Active = math.Exp2(-float64(max(0, now-f.last)) / float64(activeHalfLife))
	return b
}

// activeHalfLife is after which silence one attacker in two is no longer at work; an
// assumption (docs/profile.md).
const activeHalfLife = 90 * time.Minute

// goals are the probabilities of the goals, none among them.
func (f *filter) goals() []float64 {
	p := make([]float64, len(f.logGoal))
	softmax(f.logGoal, p)
	return p
}

func softmax(log, into []float64) {
	most := math.Inf(-1)
	for _, v := range log {
		most = max(most, v)
	}
	for i, v := range log {
		into[i] = math.Exp(v - most)
	}
	normalize(into)
}

// stages are the tactics that the attacker may be at.
func (f *filter) stages() []Share {
	k := f.knowledge
	if len(f.history) == 0 {
		return nil
	}
	at := k.tacticAt(f.history[len(f.history)-1])
	var counts Counts
	if at < len(k.tactics) {
		counts = k.Stages[k.tactics[at]]
	}
	all := total(counts) + 1
	var out []Share
	for i, t := range k.tactics {
		p := counts[t] / all
		if i == at {
			p += 1 / all
		} else if at == len(k.tactics) {
			p += 1 / all / float64(len(k.tactics))
		}
		out = append(out, Share{t, p})
	}
	return ranked(out)
}

func (f *filter) skillShares() []Share {
	k := f.knowledge
	log := make([]float64, skills)
	for i, name := range skillNames {
		log[i] = logShare(k.Skills, name, skills) + f.skill[i]
	}
	p := make([]float64, skills)
	softmax(log, p)
	var out []Share
	for i, name := range skillNames {
		out = append(out, Share{name, p[i]})
	}
	return ranked(out)
}

// awareKey is the situation by which it is known how often attackers believed to be seen: how
// often the response acted, and how long there was silence before the newest alert.
func awareKey(actions int, silence time.Duration) string {
	key := "no action"
	switch {
	case actions >= 4:
		key = "many actions"
	case actions >= 2:
		key = "some actions"
	case actions == 1:
		key = "one action"
	}
	return key + ", silence of " + gapOf(silence)
}

func (f *filter) aware() float64 {
	c := f.knowledge.Aware[awareKey(f.actions, f.gap)]
	return (c["yes"] + 0.5) / (c["yes"] + c["no"] + 1)
}
