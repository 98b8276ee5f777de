package trial

import (
	"slices"
	"strings"

	"hemostat/attackers/technique"
	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel/analyst"
	"hemostat/scenarios/measure"
	"hemostat/sim/analysts"
	"hemostat/sim/severity"
	"hemostat/sim/truth"
)

// buildAnalyst makes the automatic analyst of the variant; nil for none.
func (t *Trial) buildAnalyst(estate *inventory.Inventory) (*analyst.Stage, error) {
	var o analyst.Options
	c := t.variant.Analyst()
	switch {
	case t.options.Cases != nil:
		o = analyst.Options{From: severity.Low, Judge: &onlooker{t.ledger, t.options.Cases}}
	case c == nil:
		return nil, nil
	default:
		o = c.Stage
		if c.Surrogate != nil {
			o.Judge = &surrogate{analysts.NewSurrogate(*c.Surrogate, t.options.Seed, t.streams), t.ledger, t.injected()}
		}
	}
	o.Epoch, o.Inventory, o.Registry = t.scenario.Epoch, estate, t.registerer()
	return analyst.New(o)
}

// maxNarrated bounds the incidents of a trial of which an account is written.
const maxNarrated = 20

// narrate writes the accounts of the incidents with an alert of severity high or more, where
// that is a duty of the analyst.
func (t *Trial) narrate() ([]measure.Narrated, error) {
	c := t.variant.Analyst()
	if c == nil || !c.Stage.Duties.Narrative {
		return nil, nil
	}
	alerts := map[int][]alert.Alert{}
	serious := map[int]bool{}
	var order []int
	for i := range t.done.alerts {
		a := &t.done.alerts[i]
		if a.IsDismissed() {
			continue
		}
		if alerts[a.Incident] == nil {
			order = append(order, a.Incident)
		}
		alerts[a.Incident] = append(alerts[a.Incident], a.Alert)
		serious[a.Incident] = serious[a.Incident] || a.Severity >= severity.High
	}
	order = slices.DeleteFunc(order, func(id int) bool { return !serious[id] })
	narrator, err := analyst.NewNarrator(c.Stage.Judge, t.registerer())
	if err != nil {
		return nil, err
	}
	var out []measure.Narrated
	for _, id := range order[:min(len(order), maxNarrated)] {
		account, err := narrator.Narrate(t.scenario.Epoch, alerts[id])
		if err != nil {
			return nil, err
		}
		out = append(out, measure.Narrated{Incident: id, Account: account})
	}
	return out, nil
}

// attackOf is the attack that an alert has an event of in its evidence; 0 for a false one.
func attackOf(l *truth.Ledger, a *alert.Alert) int {
	for _, id := range a.Evidence {
		if label := l.Label(id); label.Malicious() {
			return int(label.Attack)
		}
	}
	return 0
}

// surrogate lets the simulated model judge the alerts of the defence.
type surrogate struct {
	*analysts.Surrogate
	ledger *truth.Ledger
	orders []order
}

// order is a text by which an attacker addresses a model, and whether a model meets it only in
// the history of a host.
type order struct {
	text      string
	inHistory bool
}

// injected are the orders of the trial's attackers.
func (t *Trial) injected() []order {
	var out []order
	for _, a := range t.agents {
		injected := a.Evasion().Injected()
		if injected.Text == "" {
			continue
		}
		for _, form := range injected.Forms() {
			out = append(out, order{form, injected.Where == technique.InHistory})
		}
	}
	return out
}

// meets tells whether a model that reads the case meets one of the orders.
func (s *surrogate) meets(c *analyst.Case) bool {
	for _, o := range s.orders {
		met := false
		c.Texts(o.inHistory, func(text string) { met = met || strings.Contains(text, o.text) })
		if met {
			return true
		}
	}
	return false
}

// Name implements analyst.Judge.
func (s *surrogate) Name() string { return "surrogate" }

// Judge implements analyst.Judge. What a model takes for the same kind of alert is one rule.
func (s *surrogate) Judge(c *analyst.Case) (analyst.Answer, error) {
	says, latency := s.Surrogate.Judge(c.Alert.RuleID, c.Alert.RuleID+"/"+c.Alert.Host,
		attackOf(s.ledger, c.Alert) != 0)
	v := analyst.Verdict{Decision: analyst.Dismiss}
	if says && s.meets(c) && s.ObeysOrder(c.Alert.RuleID+"/"+c.Alert.Host) {
		says = false
	}
	if says {
		v = analyst.Verdict{Decision: analyst.Confirm, Confidence: c.Alert.Confidence}
	}
	return analyst.Answer{Verdict: v, Latency: latency}, nil
}

// onlooker judges nothing and hands each case on, with the truth.
type onlooker struct {
	ledger *truth.Ledger
	see    func(c *analyst.Case, attack int)
}

// Name implements analyst.Judge.
func (o *onlooker) Name() string { return "onlooker" }

// Judge implements analyst.Judge.
func (o *onlooker) Judge(c *analyst.Case) (analyst.Answer, error) {
	o.see(c, attackOf(o.ledger, c.Alert))
	return analyst.Answer{Verdict: analyst.Verdict{Decision: analyst.Abstain}}, nil
}
