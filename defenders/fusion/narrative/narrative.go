// Package narrative tells an incident in sentences of fixed form: what happened, where, when,
// how sure that is, who may be behind it, what comes next, what would stop it, and what was
// missing. Each sentence names the alerts that it rests on. The model analyst may write an
// account of its own (defenders/sentinel/analyst); where it fails, or none is configured, this
// one stands.
package narrative

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/sim/printable"
)

// Author is the author of accounts that no model wrote.
const Author = "template"

// Sentence is a sentence with the alerts that it rests on.
type Sentence struct {
	About  string `json:"about"` // what, where, when, certainty, who, next, stop, missing
	Text   string `json:"text"`
	Alerts []int  `json:"alerts"`
}

// Case is what is told of.
type Case struct {
	Epoch  time.Time     // at which virtual times count from 0
	Alerts []alert.Alert // in the order in which they joined; one at least
	// Graph is the attack graph; nil where none was drawn.
	Graph *attackgraph.Document
	// Suspects are who may be behind it, the likeliest first.
	Suspects []attribution.Suspect
	// Confidence is how sure it is that the incident is real, 0 to 1; 0 where it is not known.
	Confidence float64
	// Known says which indicators sources know, with the alerts that have them.
	Known []Known
	// Missing are sources that could not answer.
	Missing []string
}

// Known is an indicator that a source knows.
type Known struct {
	Value, Source string
	Alerts        []int
}

// teller collects the sentences.
type teller struct {
	*Case
	out []Sentence
}

func (t *teller) add(about string, alerts []int, format string, args ...any) {
	alerts = slices.Clone(alerts)
	slices.Sort(alerts)
	t.out = append(t.out, Sentence{about, fmt.Sprintf(format, args...), slices.Compact(alerts)})
}

// Write tells the incident. Without alerts there is nothing to tell.
func Write(c *Case) []Sentence {
	if len(c.Alerts) == 0 {
		return nil
	}
	t := &teller{Case: c}
	t.beginning()
	t.places()
	t.techniques()
	t.certainty()
	t.ending()
	t.intelligence()
	t.suspects()
	t.future()
	return t.out
}

// at is a time of day; with the date where the incident spans several.
func (t *teller) at(d time.Duration) string {
	first, last := t.Epoch.Add(t.Alerts[0].EventTime), t.Epoch.Add(t.Alerts[len(t.Alerts)-1].EventTime)
	if first.YearDay() != last.YearDay() || first.Year() != last.Year() {
		return t.Epoch.Add(d).Format("2006-01-02 15:04:05")
	}
	return t.Epoch.Add(d).Format("15:04:05")
}

func (t *teller) beginning() {
	first := &t.Alerts[0]
	t.add("what", []int{first.ID}, "It began at %s with the alert %q%s.", t.at(first.EventTime), first.Title,
		whereabouts(first))
	if t.Graph == nil || t.Graph.RootCause == "" {
		return
	}
	if root := t.node(t.Graph.RootCause); root != nil {
		t.add("where", root.Evidence, "The root cause is %s.", named(root))
	}
}

// places tells which hosts are involved, and the way between them.
func (t *teller) places() {
	byHost := map[string]int{}
	var hosts []string
	var ids []int
	for i := range t.Alerts {
		a := &t.Alerts[i]
		if _, known := byHost[a.Host]; !known && a.Host != "" {
			byHost[a.Host] = a.ID
			hosts, ids = append(hosts, a.Host), append(ids, a.ID)
		}
	}
	if len(hosts) > 1 {
		t.add("where", ids, "%d hosts are involved: %s.", len(hosts), listed(hosts))
	}
	if t.Graph == nil || len(t.Graph.CriticalPath) < 2 {
		return
	}
	var names []string
	ids = nil
	for _, key := range t.Graph.CriticalPath {
		if n := t.node(key); n != nil {
			names = append(names, printable.Text(n.Name))
			ids = append(ids, n.Evidence...)
		}
	}
	t.add("where", ids, "The way to what matters most led from %s.", strings.Join(names, " to "))
}

func (t *teller) techniques() {
	seen := map[string]bool{}
	var names []string
	var ids []int
	for i := range t.Alerts {
		if name := t.Alerts[i].Technique(); name != "" && !seen[name] {
			seen[name] = true
			names, ids = append(names, name), append(ids, t.Alerts[i].ID)
		}
	}
	if len(names) > 0 {
		t.add("what", ids, "The techniques that were alerted are %s.", listed(names))
	}
}

// certainty names the most serious alert, and how sure its detector and fusion are.
func (t *teller) certainty() {
	worst := &t.Alerts[0]
	for i := range t.Alerts {
		a := &t.Alerts[i]
		if a.Severity > worst.Severity || a.Severity == worst.Severity && a.Confidence > worst.Confidence {
			worst = a
		}
	}
	if worst.ID != t.Alerts[0].ID {
		t.add("what", []int{worst.ID}, "The most serious alert, of severity %s, is %q%s at %s.", worst.Severity,
			worst.Title, whereabouts(worst), t.at(worst.EventTime))
	}
	t.add("certainty", []int{worst.ID}, "Its detector is %.0f %% sure of it.", 100*worst.Confidence)
	if t.Confidence > 0 && len(t.Alerts) > 1 {
		t.add("certainty", t.all(), "All alerts together make it %s sure that the incident is real.",
			percent(t.Confidence))
	}
}

// percent is a share in percent; what is all but certain is not called certain.
func percent(share float64) string {
	if share > 0.99 {
		return "over 99 %"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

func (t *teller) ending() {
	if last := &t.Alerts[len(t.Alerts)-1]; len(t.Alerts) > 1 {
		t.add("when", []int{last.ID}, "The last of %d alerts came at %s.", len(t.Alerts), t.at(last.EventTime))
	}
}

func (t *teller) intelligence() {
	for _, k := range t.Known[:min(len(t.Known), maxListed)] {
		t.add("who", k.Alerts, "%s is known to %s.", printable.Text(k.Value), printable.Text(k.Source))
	}
	if len(t.Missing) > 0 {
		t.add("missing", t.all(), "The answers of %s were missing.", listed(t.Missing))
	}
}

// smallChance is the probability below which a suspect is not worth a sentence.
const smallChance = 0.2

func (t *teller) suspects() {
	if len(t.Suspects) == 0 {
		return
	}
	first := t.Suspects[0]
	switch {
	case first.Actor == attribution.Unknown || first.Probability < smallChance:
		t.add("who", t.all(), "Who is behind it is not known.")
	case len(first.Because) > 0:
		t.add("who", t.all(), "It looks like %s, with a probability of %.0f %%, because of %s.",
			printable.Text(first.Actor), 100*first.Probability, listed(first.Because))
	default:
		t.add("who", t.all(), "It looks like %s, with a probability of %.0f %%.", printable.Text(first.Actor),
			100*first.Probability)
	}
}

// future tells what is likely to come, and what would stop it.
func (t *teller) future() {
	if t.Graph == nil {
		return
	}
	if len(t.Graph.Next) > 0 && t.Graph.Next[0].Probability >= 0.01 {
		last := t.Alerts[len(t.Alerts)-1].ID
		var hosts []string
		for _, n := range t.Graph.Next[:min(3, len(t.Graph.Next))] {
			hosts = append(hosts, fmt.Sprintf("%s (%.0f %%)", n.Host, 100*n.Probability))
		}
		t.add("next", []int{last}, "After the last alert the likeliest next hosts are %s.", listed(hosts))
	}
	var names []string
	var ids []int
	for _, key := range t.Graph.Cut.Nodes {
		if n := t.node(key); n != nil {
			names = append(names, named(n))
			ids = append(ids, n.Evidence...)
		}
	}
	if len(names) > 0 {
		t.add("stop", ids, "Taking away %s would stop it.", listed(names))
	}
}

func (t *teller) node(key string) *attackgraph.NodeDocument {
	at := slices.IndexFunc(t.Graph.Nodes, func(n attackgraph.NodeDocument) bool { return n.ID == key })
	if at < 0 {
		return nil
	}
	return &t.Graph.Nodes[at]
}

func (t *teller) all() []int {
	var ids []int
	for i := range t.Alerts {
		ids = append(ids, t.Alerts[i].ID)
	}
	return ids
}

// named is a node with its kind.
func named(n *attackgraph.NodeDocument) string {
	return "the " + cmp.Or(kindWords[n.Kind], string(n.Kind)) + " " + printable.Text(n.Name)
}

var kindWords = map[attackgraph.NodeKind]string{
	attackgraph.AddressNode: "outside address", attackgraph.DomainNode: "name",
}

// whereabouts says where an alert was and about whom.
func whereabouts(a *alert.Alert) string {
	var b strings.Builder
	if a.Host != "" {
		b.WriteString(" on " + printable.Text(a.Host))
	}
	if a.User != "" {
		b.WriteString(" about the user " + printable.Text(a.User))
	}
	if a.SourceIP != "" {
		b.WriteString(" from " + printable.Text(a.SourceIP))
	}
	return b.String()
}

// maxListed is how many things a sentence names.
const maxListed = 8

// listed names at most eight things.
func listed(names []string) string {
	if len(names) <= maxListed {
		return printable.Text(strings.Join(names, ", "))
	}
	return fmt.Sprintf("%s and %d more", printable.Text(strings.Join(names[:maxListed], ", ")), len(names)-maxListed)
}
