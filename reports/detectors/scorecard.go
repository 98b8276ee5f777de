package detectors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/reports/stats"
	"hemostat/sim/record"
)

// Scorecard is what each rule of a variant did.
type Scorecard struct {
	Variant string     `json:"variant"`
	Trials  int        `json:"trials"`
	Days    float64    `json:"days"`
	Attacks int        `json:"attacks"`
	Rules   []RuleCard `json:"rules"`
}

// RuleCard is what one rule did.
type RuleCard struct {
	Detector   string   `json:"detector"`
	RuleID     string   `json:"rule_id"`
	Title      string   `json:"title"`
	Techniques []string `json:"techniques"`
	Alerts     int      `json:"alerts"`
	False      int      `json:"alerts_false"`
	// Precision and FalsePerDay have intervals over trials, since what happens within one hangs
	// together.
	Precision   stats.Interval `json:"precision"`
	FalsePerDay stats.Interval `json:"false_alarms_per_day"`
	// Steps of attacks that it saw, and those that no other rule saw; attacks of which it raised
	// the first alert, and those that no other rule saw at all, which would be missed without it.
	Steps        int `json:"steps"`
	StepsAlone   int `json:"steps_alone"`
	First        int `json:"attacks_first"`
	AttacksAlone int `json:"attacks_alone"`
	// Disruption is what actions on what was never the attackers' cost, in hours of one person's
	// work, in incidents that began with an alert of the rule.
	Disruption float64 `json:"disruption_hours"`
	// Advice is keep, tune, retire or unsure.
	Advice string `json:"advice"`
	Why    string `json:"why"`
}

// Limits of advice.
const (
	fewAttacks   = 10  // below, no rule is called superfluous
	goodPrecise  = 0.5 // share of true alerts from which on a rule is left alone
	lowFalseRate = 0.1 // false alarms a day up to which a rule costs nothing
)

// Scores says what each rule of a variant did in its trials. Above mostFalse false alarms a day a
// rule is to be tuned.
func Scores(variant string, trials []Trial, mostFalse float64) *Scorecard {
	s := &Scorecard{Variant: variant, Trials: len(trials)}
	all := map[ruleKey]*ruleCounts{}
	used := map[string]bool{} // techniques of attackers
	for i, t := range trials {
		for j := range t.Steps {
			used[t.Steps[j].Technique] = true
		}
		s.Days += float64(t.Horizon) / float64(24*time.Hour)
		s.Attacks += len(t.Attacks)
		gatherRules(t, i, len(trials), all)
	}
	days := make([]float64, len(trials))
	for i, t := range trials {
		days[i] = float64(t.Horizon) / float64(24*time.Hour)
	}
	for key, c := range all {
		card := c.card
		card.Detector, card.RuleID = key.detector, key.id
		card.Techniques = slices.Sorted(keysOf(c.techniques))
		card.Precision = stats.Ratio(c.true_, c.alerts, alpha)
		card.FalsePerDay = stats.Ratio(c.false_, days, alpha)
		card.advise(s.Attacks, mostFalse, used)
		s.Rules = append(s.Rules, card)
	}
	slices.SortFunc(s.Rules, func(a, b RuleCard) int {
		return cmp.Or(cmp.Compare(order(a.Advice), order(b.Advice)), cmp.Compare(b.FalsePerDay.Value, a.FalsePerDay.Value),
			strings.Compare(a.Title, b.Title), strings.Compare(a.RuleID, b.RuleID))
	})
	return s
}

func order(advice string) int {
	return slices.Index([]string{"retire", "tune", "unsure", "keep"}, advice)
}

type ruleKey struct{ detector, id string }

// ruleCounts are a rule's numbers, by trial where intervals need it.
type ruleCounts struct {
	card                  RuleCard
	techniques            map[string]bool
	alerts, true_, false_ []float64
}

func newRuleCounts(title string, trials int) *ruleCounts {
	return &ruleCounts{card: RuleCard{Title: title}, techniques: map[string]bool{},
		alerts: make([]float64, trials), true_: make([]float64, trials), false_: make([]float64, trials)}
}

// alert counts an alert of the rule in a trial.
func (c *ruleCounts) alert(a *record.Alert, trial int) {
	for _, id := range append(slices.Clone(a.Techniques), a.Technique) {
		if id != "" {
			c.techniques[id] = true
		}
	}
	c.card.Alerts++
	c.alerts[trial]++
	if a.Attack == 0 {
		c.card.False++
		c.false_[trial]++
	} else {
		c.true_[trial]++
	}
}

// gatherRules adds the alerts of a trial up.
func gatherRules(t Trial, index, trials int, all map[ruleKey]*ruleCounts) {
	steps, attacks := map[record.StepRef]map[ruleKey]bool{}, map[int]map[ruleKey]bool{}
	first, opened := map[int]ruleKey{}, map[int]ruleKey{} // by attack, and by incident
	for i := range t.Alerts {
		a := &t.Alerts[i]
		key := ruleKey{a.Detector, cmp.Or(a.RuleID, a.Title)}
		if all[key] == nil {
			all[key] = newRuleCounts(a.Title, trials)
		}
		all[key].alert(a, index)
		if _, known := opened[a.Incident]; !known && a.Incident != 0 {
			opened[a.Incident] = key
		}
		for _, ref := range a.AllSteps() {
			add(steps, ref, key)
			add(attacks, ref.Attack, key)
			if _, known := first[ref.Attack]; !known {
				first[ref.Attack] = key
			}
		}
	}
	for _, by := range steps {
		for key := range by {
			all[key].card.Steps++
		}
		if key, ok := only(by); ok {
			all[key].card.StepsAlone++
		}
	}
	for _, by := range attacks {
		if key, ok := only(by); ok {
			all[key].card.AttacksAlone++
		}
	}
	for _, key := range first {
		all[key].card.First++
	}
	for i := range t.Actions {
		if a := &t.Actions[i]; a.OnBenign {
			if key, known := opened[a.Incident]; known {
				all[key].card.Disruption += a.Realised
			}
		}
	}
}

// only is the rule of a set that has no other.
func only(by map[ruleKey]bool) (ruleKey, bool) {
	for key := range by {
		return key, len(by) == 1
	}
	return ruleKey{}, false
}

func add[K comparable](m map[K]map[ruleKey]bool, at K, key ruleKey) {
	if m[at] == nil {
		m[at] = map[ruleKey]bool{}
	}
	m[at][key] = true
}

// isTried tells whether attackers used one of the rule's techniques.
func (r *RuleCard) isTried(used map[string]bool) bool {
	for _, id := range r.Techniques {
		for have := range used {
			if have == id || strings.HasPrefix(have, id+".") || strings.HasPrefix(id, have+".") {
				return true
			}
		}
	}
	return len(r.Techniques) == 0
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// advise says what to do with the rule.
func (r *RuleCard) advise(attacks int, mostFalse float64, used map[string]bool) {
	precision := float64(r.Alerts-r.False) / float64(r.Alerts)
	isLoud := r.FalsePerDay.Value > mostFalse && precision < goodPrecise
	alone := fmt.Sprintf("no other rule sees %s and %s", counted(r.StepsAlone, "step"), counted(r.AttacksAlone, "attack"))
	switch {
	case r.StepsAlone > 0 && isLoud:
		r.Advice, r.Why = "tune", fmt.Sprintf("%s, but %.1f alarms a day are false", alone, r.FalsePerDay.Value)
	case r.StepsAlone > 0:
		r.Advice, r.Why = "keep", alone
	case r.First > 0 && isLoud:
		r.Advice, r.Why = "tune", fmt.Sprintf("it is the first to see %s, but %.1f alarms a day are false",
			counted(r.First, "attack"), r.FalsePerDay.Value)
	case r.First > 0:
		r.Advice, r.Why = "keep", "it is the first to see "+counted(r.First, "attack")
	case attacks < fewAttacks:
		r.Advice, r.Why = "unsure", fmt.Sprintf("%d attacks are too few to call it superfluous", attacks)
	case r.Alerts == r.False && !r.isTried(used):
		r.Advice, r.Why = "unsure", "no attack here used "+strings.Join(r.Techniques, ", ")
	case r.Alerts == r.False && r.FalsePerDay.Value > lowFalseRate:
		r.Advice, r.Why = "retire", fmt.Sprintf("none of its %d alerts is true", r.Alerts)
	case r.FalsePerDay.Value > lowFalseRate:
		r.Advice, r.Why = "retire", fmt.Sprintf("others see all that it sees, and sooner, and %.1f alarms a day are false", r.FalsePerDay.Value)
	default:
		r.Advice, r.Why = "keep", "others see what it sees, and it costs next to nothing"
	}
}
