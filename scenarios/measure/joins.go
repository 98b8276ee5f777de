package measure

import (
	"hemostat/defenders/fusion/correlation"
	"hemostat/sim/record"
)

// campaigns gives the campaign of an incident: the first of those that are connected by what
// was merged and what is linked to what.
func (d *Day) campaigns() func(incident int) int {
	parent := map[int]int{}
	var root func(id int) int
	root = func(id int) int {
		if p, ok := parent[id]; ok && p != id {
			parent[id] = root(p)
			return parent[id]
		}
		return id
	}
	join := func(a, b int) {
		if a, b = root(a), root(b); a != b {
			parent[max(a, b)] = min(a, b)
		}
	}
	for from, into := range d.Merged {
		join(from, into)
	}
	for _, l := range d.Links {
		if _, merged := d.Merged[l.Incident]; l.Earlier != 0 && !merged {
			join(l.Incident, l.Earlier)
		}
	}
	return root
}

// joins holds which alerts fusion put into one campaign against which belong to one attack.
func (d *Day) joins(r *record.Trial) {
	campaign := d.campaigns()
	count := correlation.NewCounter()
	for i := range r.Alerts {
		if a := &r.Alerts[i]; a.Incident != 0 { // others were dismissed
			a.Campaign = campaign(a.Incident)
			count.Add(a.Campaign, a.Attack)
		}
	}
	q := count.Quality()
	r.JoinPairs, r.JoinPrecision, r.JoinRecall, r.JoinRand = q.Pairs, q.Precision, q.Recall, q.Rand
}
