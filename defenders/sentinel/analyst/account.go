package analyst

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/narrative"
	"hemostat/defenders/sentinel/analyst/chat"
	"hemostat/sim/attack"
	"hemostat/sim/printable"
	"hemostat/sim/severity"
)

// Sentence is one sentence of the account of an incident, with the alerts that it rests on.
type Sentence struct {
	Text   string
	Alerts []int // numbers of alerts
}

// Account tells what an incident was.
type Account struct {
	Author    string // template, or the model's name
	Sentences []Sentence
	Answer    // what it took; of a model that failed too
}

// Narrator writes accounts of incidents.
type Narrator struct {
	judge  Judge
	counts *prometheus.CounterVec
}

// NewNarrator makes a narrator that asks a judge; without a registry nothing is counted.
func NewNarrator(j Judge, r prometheus.Registerer) (*Narrator, error) {
	n := &Narrator{judge: j}
	if r == nil {
		return n, nil
	}
	n.counts = prometheus.NewCounterVec(
		prometheus.CounterOpts{
			Name: "threat_narratives_total",
			Help: "Accounts of incidents, by author: template, model, or fallback for the template in place of a model that failed.",
		},
		[]string{"author"},
	)
	if err := r.Register(n.counts); err != nil {
		return nil, fmt.Errorf("metrics of accounts: %w", err)
	}
	return n, nil
}

// Narrate writes the account of an incident, and counts by whom.
func (n *Narrator) Narrate(epoch time.Time, alerts []alert.Alert) (Account, error) {
	a, err := narrate(n.judge, epoch, alerts)
	if err != nil || n.counts == nil {
		return a, err
	}
	author := "template"
	if _, asksModel := n.judge.(*Model); asksModel {
		if author = "model"; a.Author == narrative.Author {
			author = "fallback"
		}
	}
	n.counts.WithLabelValues(author).Inc()
	return a, nil
}

// narrate writes the account of an incident from its alerts, in the order in which they
// joined it. A judge that writes none, and one whose account does not hold, leaves it to the
// template.
func narrate(j Judge, epoch time.Time, alerts []alert.Alert) (Account, error) {
	byTemplate := Account{Author: narrative.Author}
	for _, s := range narrative.Write(&narrative.Case{Epoch: epoch, Alerts: alerts}) {
		byTemplate.Sentences = append(byTemplate.Sentences, Sentence{s.Text, s.Alerts})
	}
	m, ok := j.(*Model)
	if !ok {
		return byTemplate, nil
	}
	account, err := m.narrate(epoch, alerts)
	if err != nil {
		return Account{}, fmt.Errorf("analyst %s: %w", m.Name(), err)
	}
	if len(account.Sentences) == 0 {
		byTemplate.Answer = account.Answer
		return byTemplate, nil
	}
	return account, nil
}

// accountAlerts is how many alerts of an incident a model is shown: the first and the most
// serious ones.
const accountAlerts = 20

// narrate asks the model for an account; without sentences when it gave none that holds.
func (m *Model) narrate(epoch time.Time, alerts []alert.Alert) (Account, error) {
	account := Account{Author: m.Name()}
	shownOnes := chooseAlerts(alerts)
	x := newExhibit(shownOnes[len(shownOnes)-1].EventTime)
	var list []shown
	var labels []string
	for i := range shownOnes {
		a := &shownOnes[i]
		if a.User != "" {
			x.redact.person(a.User)
		}
		labels = append(labels, fmt.Sprintf("a%d", i+1))
		var s shown
		s.add("id", labels[i])
		s.add("at", epoch.Add(a.EventTime).Format("15:04"))
		s.add("title", printable.Text(a.Title))
		s.add("severity", a.Severity.String())
		s.add("confidence", fmt.Sprintf("%.2f", a.Confidence))
		s.add("techniques", a.Techniques)
		s.add("host", x.value(a.Host))
		s.add("user", x.value(a.User))
		s.add("source", x.value(a.SourceIP))
		s.add("destination", x.value(a.Destination))
		list = append(list, s)
	}
	data, err := json.Marshal(shown{{"alerts", list}, {"alerts_in_all", len(alerts)}})
	if err != nil {
		return account, fmt.Errorf("the question cannot be written: %w", err)
	}
	r, err := m.ask(&account.Answer,
		[]chat.Message{{Role: "system", Text: m.config.Prompts.Narrative}, {Role: "user", Text: block(data)}},
		"account", accountSchema(labels))
	if err != nil {
		return account, err
	}
	account.Suspicious = x.suspicious
	if r.Failed != "" {
		account.Answer = account.abstain(r.Failed)
		return account, nil
	}
	var v struct {
		Sentences []citedAnswer `json:"sentences"`
	}
	if err := parseAnswer(r.Text, &v); err != nil {
		account.Answer = account.refuse(err.Error())
		return account, nil
	}
	for i, s := range v.Sentences {
		var cited []*alert.Alert
		sentence := Sentence{Text: printable.Text(cutText(x.redact.restore(strings.TrimSpace(s.Text)), maxSentence))}
		for _, label := range s.Evidence {
			at := slices.Index(labels, label)
			if at >= 0 && !slices.Contains(sentence.Alerts, shownOnes[at].ID) {
				cited = append(cited, &shownOnes[at])
				sentence.Alerts = append(sentence.Alerts, shownOnes[at].ID)
			}
		}
		repeated := slices.ContainsFunc(account.Sentences, func(x Sentence) bool { return x.Text == sentence.Text })
		if i >= maxSentences || repeated || sentence.Text == "" || len(cited) == 0 ||
			!holds(sentence.Text, cited, alerts) {
			account.Refused++
			continue
		}
		account.Sentences = append(account.Sentences, sentence)
	}
	return account, nil
}

// chooseAlerts are the first and the most serious alerts, in their order.
func chooseAlerts(alerts []alert.Alert) []alert.Alert {
	if len(alerts) <= accountAlerts {
		return alerts
	}
	chosen := map[int]bool{0: true, len(alerts) - 1: true}
	for s := severity.Critical; len(chosen) < accountAlerts; s-- {
		for i := range alerts {
			if alerts[i].Severity == s && len(chosen) < accountAlerts {
				chosen[i] = true
			}
		}
		if s == severity.Informational {
			break
		}
	}
	var out []alert.Alert
	for i := range alerts {
		if chosen[i] {
			out = append(out, alerts[i])
		}
	}
	return out
}

var (
	techniqueName = regexp.MustCompile(`\bT\d{4}(?:\.\d{3})?\b`)
	addressName   = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}\b`)
)

// holds tells whether a sentence names no technique, address, host or user beyond those of
// the alerts that it cites.
func holds(sentence string, cited []*alert.Alert, all []alert.Alert) bool {
	names := map[string]bool{}
	for _, a := range cited {
		for _, t := range a.Techniques {
			names[t] = true
		}
		for _, n := range []string{a.SourceIP, a.Destination, a.Host, a.User, a.Source} {
			names[strings.ToLower(n)] = true
		}
	}
	for _, t := range techniqueName.FindAllString(sentence, -1) {
		if !names[attack.Current(t)] && !names[t] {
			return false
		}
	}
	for _, ip := range addressName.FindAllString(sentence, -1) {
		if !names[ip] {
			return false
		}
	}
	lower := strings.ToLower(sentence)
	for i := range all { // what belongs to alerts that it does not cite
		for _, n := range []string{all[i].Host, all[i].User} {
			n = strings.ToLower(n)
			if len(n) >= 4 && !names[n] && replaceWord(lower, n, "") != lower {
				return false
			}
		}
	}
	return !isSuspicious(sentence)
}
