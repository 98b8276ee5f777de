package fusion

import (
	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/sentinel/sketch"
)

// maxStory bounds the alerts of an incident that are kept, each with something that no earlier
// one has: another rule, host, account, place or file.
const maxStory = 200

// stories are the alerts of the incidents that campaigns are found among; the graph of a
// campaign is drawn from them when somebody asks for it.
type stories struct{ byIncident map[int]*story }

type story struct {
	list []attackgraph.Observation
	seen map[uint64]bool
}

func newStories() stories { return stories{map[int]*story{}} }

// add keeps an alert of an incident.
func (s stories) add(incident int, a *alert.Alert, e *Enrichment) {
	x := s.byIncident[incident]
	if x == nil {
		x = &story{seen: map[uint64]bool{}}
		s.byIncident[incident] = x
	}
	key := sketch.Hash(a.RuleID, a.Host, a.Source, a.SourceIP, e.Account, a.Destination, a.Domain, a.FileHash)
	if x.seen[key] || len(x.list) >= maxStory {
		return
	}
	x.seen[key] = true
	x.list = append(x.list, e.Observation(a))
}

func (s stories) merge(from, into int) {
	f, t := s.byIncident[from], s.byIncident[into]
	if f == nil || t == nil {
		return
	}
	t.list = append(t.list, f.list[:min(len(f.list), max(0, maxStory-len(t.list)))]...)
	delete(s.byIncident, from)
}

func (s stories) forget(incident int) { delete(s.byIncident, incident) }

func (s stories) observations(incident int) []attackgraph.Observation {
	if x := s.byIncident[incident]; x != nil {
		return x.list
	}
	return nil
}

// Observation is an alert with its enrichment as attack graphs take it.
func (e *Enrichment) Observation(a *alert.Alert) attackgraph.Observation {
	o := attackgraph.Observation{Alert: a, Account: e.Account}
	for i := range e.Sightings {
		o.Known = append(o.Known, e.Sightings[i].IOC())
	}
	return o
}

// IOC is the sighting as an indicator of compromise.
func (s *Sighting) IOC() indicator.IOC {
	i := s.Known
	if i.Value == "" {
		if kind, value, err := indicator.Guess(s.Value); err == nil {
			i.Type, i.Value = kind, value
		} else {
			i.Value = s.Value
		}
	}
	i.Source, i.Confidence = s.Source, s.Confidence
	if i.Value != s.Value {
		context := map[string]string{attackgraph.Asked: s.Value}
		for k, v := range i.Context {
			context[k] = v
		}
		i.Context = context
	}
	return i
}

// Attributable is an alert with its enrichment as attribution takes it.
func (e *Enrichment) Attributable(a *alert.Alert) attribution.Observation {
	o := attribution.Observation{Alert: a, Outside: e.OutsideSource}
	for i := range e.Sightings {
		s := &e.Sightings[i]
		o.Indicators = append(o.Indicators, s.IOC().Value)
		o.Actors = append(o.Actors, s.Actors...)
	}
	return o
}
