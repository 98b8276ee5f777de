package fusion

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/narrative"
	"hemostat/defenders/inventory"
	"hemostat/sim/severity"
)

// Case is what an incident is explained from.
type Case struct {
	ID        string
	Incident  int
	Incidents []int // of the campaign; with this one
	Epoch     time.Time
	Inventory *inventory.Inventory
	// Observations are the alerts of the campaign, IncidentOf the incident of each alert, Verdicts
	// what the automatic analyst said of it.
	Observations []attackgraph.Observation
	IncidentOf   map[int]int
	Verdicts     map[int]string

	LinkedTo         int
	CorrelationScore float64
	CorrelationParts map[string]float64
	Confidence       float64
	Missing          []string
	// Suspects are who may be behind it; they are found from the facts when nil.
	Suspects []attribution.Suspect
	Facts    *attribution.Facts // nil where nobody is named
	Forecast map[string]float64 // probabilities of the next host
	// Complete may write into the graph's document what rests on more than the case holds.
	Complete func(*attackgraph.Document)
	// Account is what a model wrote, and Author its name; the template writes one when empty.
	Account []narrative.Sentence
	Author  string
}

// Explain puts an enriched threat together, and gives the graph that it holds.
func Explain(c *Case) (EnrichedThreat, *attackgraph.Graph) {
	list := slices.Clone(c.Observations)
	slices.SortStableFunc(list, func(a, b attackgraph.Observation) int {
		return cmp.Or(cmp.Compare(a.Alert.EventTime, b.Alert.EventTime), cmp.Compare(a.Alert.ID, b.Alert.ID))
	})
	g := attackgraph.New(c.Inventory, c.Epoch, list)
	doc := g.Document(c.Forecast)
	if c.Complete != nil {
		c.Complete(&doc)
	}
	t := EnrichedThreat{
		ID: c.ID, Incident: c.Incident, Incidents: c.Incidents, Confidence: c.Confidence, Techniques: []string{},
		LinkedTo: c.LinkedTo, CorrelationScore: c.CorrelationScore, CorrelationParts: c.CorrelationParts, IOCs: g.IOCs(),
		AttackGraph: doc, Actors: []attribution.Suspect{}, MissingSources: []string{}, Alerts: []ThreatAlert{},
		Narrative: c.Account, Author: c.Author,
	}
	if c.CorrelationParts == nil {
		t.CorrelationParts = map[string]float64{}
	}
	t.MissingSources = append(t.MissingSources, c.Missing...)
	worst := severity.Informational
	for i := range list {
		a := list[i].Alert
		worst = max(worst, a.Severity)
		for _, name := range a.Techniques {
			if !slices.Contains(t.Techniques, name) {
				t.Techniques = append(t.Techniques, name)
			}
		}
		t.Alerts = append(t.Alerts, c.threatAlert(a))
	}
	t.Severity = worst.String()
	if len(list) > 0 {
		t.FirstSeen, t.LastSeen = t.Alerts[0].Time, t.Alerts[len(t.Alerts)-1].Time
	}
	c.attribute(&t, list)
	if len(t.Narrative) == 0 {
		t.Author = narrative.Author
		t.Narrative = narrative.Write(&narrative.Case{
			Epoch: c.Epoch, Alerts: alertsOf(list), Graph: &t.AttackGraph, Suspects: t.Actors, Confidence: c.Confidence,
			Known: knownIn(list), Missing: t.MissingSources,
		})
	}
	return t, g
}

func alertsOf(list []attackgraph.Observation) []alert.Alert {
	var out []alert.Alert
	for i := range list {
		out = append(out, *list[i].Alert)
	}
	return out
}

func (c *Case) threatAlert(a *alert.Alert) ThreatAlert {
	return ThreatAlert{
		Alert: a.ID, Incident: c.IncidentOf[a.ID], Time: c.Epoch.Add(a.EventTime).UTC(), TimeNs: int64(a.EventTime),
		Detector: a.Detector, RuleID: a.RuleID, Title: a.Title, Technique: a.Technique(), Severity: a.Severity.String(),
		Confidence: a.Confidence, Host: a.Host, User: a.User, SourceIP: a.SourceIP, Verdict: c.Verdicts[a.ID],
	}
}

// attribute fills in who may be behind it, with what speaks for each.
func (c *Case) attribute(t *EnrichedThreat, list []attackgraph.Observation) {
	suspects := c.Suspects
	if c.Facts != nil {
		e := EvidenceOf(list)
		ranked := c.Facts.Rank(&e)
		if suspects == nil {
			suspects = ranked[:min(len(ranked), maxSuspects)]
		}
		suspects = slices.Clone(suspects)
		for i := range suspects {
			at := slices.IndexFunc(ranked, func(s attribution.Suspect) bool { return s.Actor == suspects[i].Actor })
			if at >= 0 {
				suspects[i].Because = titled(ranked[at].Because, list)
			}
		}
	}
	t.Actors = append(t.Actors, suspects...)
	if len(t.Actors) == 0 || t.Actors[0].Actor == attribution.Unknown {
		return
	}
	t.ThreatActor = &attribution.ThreatActor{ID: t.Actors[0].Actor}
	if c.Facts != nil {
		if known := c.Facts.Find(t.Actors[0].Actor); known != nil {
			t.ThreatActor = &known.ThreatActor
		}
	}
}

// maxSuspects is how many actors are named.
const maxSuspects = 5

// EvidenceOf is what alerts show of who is behind them.
func EvidenceOf(list []attackgraph.Observation) attribution.Evidence {
	var out []attribution.Observation
	for i := range list {
		o := attribution.Observation{Alert: list[i].Alert, Outside: list[i].Outside}
		for _, k := range list[i].Known {
			o.Indicators = append(o.Indicators, k.Value)
			o.Actors = append(o.Actors, ActorsIn(k.Tags)...)
		}
		out = append(out, o)
	}
	return attribution.EvidenceOf(out)
}

// titled names rules by their titles.
func titled(because []string, list []attackgraph.Observation) []string {
	titles := map[string]string{}
	for i := range list {
		titles["rule "+list[i].Alert.RuleID] = "the rule " + strconv.Quote(list[i].Alert.Title)
	}
	out := make([]string, len(because))
	for i, why := range because {
		out[i] = cmp.Or(titles[why], why)
	}
	return out
}

// knownIn says which indicators sources know.
func knownIn(list []attackgraph.Observation) []narrative.Known {
	var out []narrative.Known
	for i := range list {
		for _, k := range list[i].Known {
			value := cmp.Or(k.Context[attackgraph.Asked], k.Value)
			at := slices.IndexFunc(out, func(x narrative.Known) bool { return x.Value == value && x.Source == k.Source })
			if at < 0 {
				at = len(out)
				out = append(out, narrative.Known{Value: value, Source: k.Source})
			}
			out[at].Alerts = append(out[at].Alerts, list[i].Alert.ID)
		}
	}
	return out
}

// IOCOf is an entry of a source as an indicator of compromise that was found by a value.
func IOCOf(entry indicator.IOC, asked string) indicator.IOC {
	if entry.Value == "" {
		entry.Value = asked
	}
	if entry.Type == "" {
		if kind, value, err := indicator.Guess(entry.Value); err == nil {
			entry.Type, entry.Value = kind, value
		}
	}
	if entry.Value != asked {
		context := map[string]string{attackgraph.Asked: asked}
		for k, v := range entry.Context {
			context[k] = v
		}
		entry.Context = context
	}
	return entry
}

// Explain explains an incident from what is kept of its campaign. The number of the incident
// is its identity. Forecast gives probabilities of the next host; nil for none.
func (f *Fusion) Explain(incident int, epoch time.Time, forecast map[string]float64) EnrichedThreat {
	c := Case{ID: strconv.Itoa(incident), Incident: incident, Incidents: f.linker.Campaign(incident), Epoch: epoch,
		Inventory: f.options.Inventory, IncidentOf: map[int]int{}, Facts: f.options.Actors, Forecast: forecast}
	for _, id := range c.Incidents {
		s := f.stories.byIncident[id]
		if s == nil {
			continue
		}
		c.Confidence = max(c.Confidence, s.score)
		for i := range s.list {
			c.IncidentOf[s.list[i].Alert.ID] = id
			c.Observations = append(c.Observations, s.list[i])
		}
		for _, name := range s.missing {
			if !slices.Contains(c.Missing, name) {
				c.Missing = append(c.Missing, name)
			}
		}
	}
	if l, ok := f.linker.Link(incident); ok {
		c.LinkedTo, c.CorrelationScore, c.CorrelationParts = l.Earlier, l.Score, l.Parts.Map()
	}
	t, _ := Explain(&c)
	return t
}
