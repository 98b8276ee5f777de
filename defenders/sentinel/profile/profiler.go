package profile

import (
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
)

// maxIncidents bounds the incidents that are followed; beyond it the one that was quiet the
// longest is forgotten.
const maxIncidents = 2000

// Profiler keeps the filters of the open incidents.
type Profiler struct {
	knowledge *Knowledge           `snapshot:"-"`
	inventory *inventory.Inventory `snapshot:"-"`
	estate    *estate              `snapshot:"-"`
	filters   map[int]*filter
	latest    map[int]*Forecast
}

// Fixed is what the state refers to: the knowledge of attackers.
func (p *Profiler) Fixed() []any { return []any{p.knowledge} }

// New makes a profiler.
func New(k *Knowledge, v *inventory.Inventory) *Profiler {
	return &Profiler{knowledge: k, inventory: v, estate: newEstate(k, v), filters: map[int]*filter{},
		latest: map[int]*Forecast{}}
}

// Observe takes an alert that joined an incident in, and returns what is predicted then.
// Incidents that turned out to be a part of this one are named in merged.
func (p *Profiler) Observe(now time.Duration, incident int, a *alert.Alert) *Forecast {
	f := p.filter(incident)
	f.observe(a)
	out := f.forecast(now, p.estate)
	out.Alert, out.Incident = a.ID, incident
	p.latest[incident] = out
	return out
}

// Acted tells that an action of the response for an incident changed something.
func (p *Profiler) Acted(incident int) {
	if f := p.filters[incident]; f != nil {
		f.acts()
	}
}

// Merged tells that an incident turned out to be a part of another.
func (p *Profiler) Merged(from, into int) {
	f := p.filters[from]
	if f == nil {
		return
	}
	p.filter(into).absorb(f)
	p.Ended(from)
}

// Ended tells that an incident is over.
func (p *Profiler) Ended(incident int) {
	delete(p.filters, incident)
	delete(p.latest, incident)
}

// NextHosts is what the newest forecast of an incident says of the attacker's next host; nil
// without one.
func (p *Profiler) NextHosts(incident int) map[string]float64 {
	if f := p.latest[incident]; f != nil {
		return f.NextHosts()
	}
	return nil
}

// NextHosts are the probabilities of the attacker's next host; nil where none is forecast.
func (f *Forecast) NextHosts() map[string]float64 {
	if len(f.Targets) == 0 {
		return nil
	}
	out := make(map[string]float64, len(f.Targets))
	for _, t := range f.Targets {
		out[t.Name] = t.P
	}
	return out
}

func (p *Profiler) filter(incident int) *filter {
	f := p.filters[incident]
	if f == nil {
		if len(p.filters) >= maxIncidents {
			p.forgetOldest()
		}
		f = newFilter(p.knowledge)
		p.filters[incident] = f
	}
	return f
}

func (p *Profiler) forgetOldest() {
	oldest, at := 0, time.Duration(0)
	for id, f := range p.filters {
		if oldest == 0 || f.last < at || f.last == at && id < oldest {
			oldest, at = id, f.last
		}
	}
	p.Ended(oldest)
}
