package profile

import (
	"slices"

	"hemostat/defenders/inventory"
)

// Acts are what is done about what is believed; none by default.
type Acts struct {
	Decoys    bool // decoys go where the next step is expected
	Isolation bool // evidence counts for more when the goal is destruction
	Watch     bool // evidence counts for less while there is more to learn than to lose
}

// Advice is what the belief about an incident means for the cascade.
type Advice struct {
	// Zone is where the next step is expected, "" for no advice.
	Zone string
	// Weight multiplies the evidence of the incident's alerts; 1 changes nothing.
	Weight float64
}

// The weights and the bars of the advice; they are assumptions, to be compared by variants.
const (
	destructionBar    = 0.5
	destructionWeight = 1.6
	watchWeight       = 0.5
	watchReal         = 0.35 // below it the incident is probably a false alarm
	watchAware        = 0.3
)

// earlyStages are tactics in which an attacker learns, and does no harm yet.
var earlyStages = []string{"reconnaissance", "discovery", "resource-development"}

// Advise says what follows from the newest forecast of an incident.
func (p *Profiler) Advise(incident int, zone string, acts Acts) Advice {
	advice := Advice{Weight: 1}
	f := p.latest[incident]
	if f == nil {
		return advice
	}
	if acts.Decoys {
		advice.Zone = nextZone(f, zone, p.inventory)
	}
	destruction := 0.0
	for _, g := range f.Belief.Goals {
		if g.Name == "encrypt" || g.Name == "destroy" {
			destruction += g.P
		}
	}
	early := len(f.Belief.Stages) > 0 && slices.Contains(earlyStages, f.Belief.Stages[0].Name)
	switch {
	case acts.Isolation && f.Belief.Real > watchReal && destruction > destructionBar:
		advice.Weight = destructionWeight
	case acts.Watch && (f.Belief.Real < watchReal || early && f.Belief.Aware < watchAware &&
		destruction < destructionBar):
		advice.Weight = watchWeight
	}
	return advice
}

// nextZone is the zone, other than this one, that the next step is most probably aimed at.
func nextZone(f *Forecast, zone string, v *inventory.Inventory) string {
	zones := Counts{}
	for _, t := range f.targets {
		if h := v.Host(t.Name); h != nil && h.Zone != zone {
			zones[h.Zone] += t.P
		}
	}
	best := ""
	for _, z := range sortedKeys(zones) {
		if best == "" || zones[z] > zones[best] {
			best = z
		}
	}
	return best
}
