package measure

import "hemostat/sim/record"

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
// Of two false alarms nobody knows whether they belong together; their pairs do not count for
// precision, and each stands alone for the Rand index.
func (d *Day) joins(r *record.Trial) {
	campaign := d.campaigns()
	cells := map[[2]int]int{}  // alerts by incident and attack
	incidents := map[int]int{} // alerts by incident
	attacks := map[int]int{}   // alerts by attack
	alone := 0                 // false alarms
	incidentAlone := map[int]int{}
	for i := range r.Alerts {
		a := &r.Alerts[i]
		if a.Incident == 0 {
			continue // dismissed
		}
		id := campaign(a.Incident)
		a.Campaign = id
		incidents[id]++
		if a.Attack == 0 {
			alone++
			incidentAlone[id]++
			continue
		}
		attacks[a.Attack]++
		cells[[2]int{id, a.Attack}]++
	}
	together, sameAttack, mixed := 0, 0, 0
	for _, n := range cells {
		together += pairs(n)
	}
	for _, n := range attacks {
		sameAttack += pairs(n)
	}
	all, inIncident := alone, 0
	for id, n := range incidents {
		mixed += pairs(n) - pairs(incidentAlone[id])
		inIncident += pairs(n)
	}
	for _, n := range attacks {
		all += n
	}
	r.JoinPairs, r.JoinPrecision, r.JoinRecall = sameAttack, 1, 1
	if mixed > 0 {
		r.JoinPrecision = float64(together) / float64(mixed)
	}
	if sameAttack > 0 {
		r.JoinRecall = float64(together) / float64(sameAttack)
	}
	r.JoinRand = adjustedRand(together, inIncident, sameAttack, pairs(all))
}

func pairs(n int) int { return n * (n - 1) / 2 }

// adjustedRand is the adjusted Rand index of two partitions (Hubert and Arabie 1985), from
// the pairs that are together in both, in the first, in the second, and all.
func adjustedRand(both, first, second, all int) float64 {
	if all == 0 {
		return 1
	}
	expected := float64(first) * float64(second) / float64(all)
	most := float64(first+second) / 2
	if most == expected {
		return 1
	}
	return (float64(both) - expected) / (most - expected)
}
