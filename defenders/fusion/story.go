package fusion

import (
	"slices"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/sentinel/sketch"
)

// maxStory bounds the alerts of an incident that are kept, each with something that no earlier
// one has: another rule, host, account, place or file.
const maxStory = 200

// stories are the alerts of the incidents that campaigns are found among; the graph of a
// campaign is drawn from them when somebody asks for it.
type stories struct{ byIncident map[int]*story }

type story struct {
	list    []attackgraph.Observation
	seen    map[uint64]bool
	score   float64 // how sure it is that it is real
	missing []string
}

func newStories() stories { return stories{map[int]*story{}} }

// add keeps an alert of an incident of a score.
func (s stories) add(incident int, score float64, a *alert.Alert, e *Enrichment) {
	x := s.byIncident[incident]
	if x == nil {
		x = &story{seen: map[uint64]bool{}}
		s.byIncident[incident] = x
	}
	x.score = score
	for _, name := range e.Missing {
		if !slices.Contains(x.missing, name) {
			x.missing = append(x.missing, name)
		}
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
	t.score = max(t.score, f.score)
	for _, name := range f.missing {
		if !slices.Contains(t.missing, name) {
			t.missing = append(t.missing, name)
		}
	}
	delete(s.byIncident, from)
}

func (s stories) forget(incident int) { delete(s.byIncident, incident) }

func (s stories) observations(incident int) []attackgraph.Observation {
	if x := s.byIncident[incident]; x != nil {
		return x.list
	}
	return nil
}

// Observation is an alert with its enrichment as attack graphs and attribution take it.
func (e *Enrichment) Observation(a *alert.Alert) attackgraph.Observation {
	o := attackgraph.Observation{Alert: a, Account: e.Account, Outside: e.OutsideSource}
	for i := range e.Sightings {
		s := &e.Sightings[i]
		known := s.Known
		known.Source, known.Confidence = s.Source, s.Confidence
		for _, actor := range s.Actors {
			if tag := "actor:" + actor; !slices.Contains(known.Tags, tag) && !slices.Contains(ActorsIn(known.Tags), actor) {
				known.Tags = append(slices.Clone(known.Tags), tag)
			}
		}
		o.Known = append(o.Known, IOCOf(known, s.Value))
	}
	return o
}
