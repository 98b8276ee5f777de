package measure

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"hemostat/defenders"
	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/correlation"
	"hemostat/sim/record"
	"hemostat/sim/severity"
)

// Campaign is the alerts that fusion put into one campaign.
type Campaign struct {
	ID     int // its first incident
	Alerts []*defenders.RaisedAlert
	// Attacks counts its alerts by attack, 0 for false ones.
	Attacks map[int]int
}

// Campaigns groups alerts by the campaigns that stand in their rows; ordered by number.
func Campaigns(r *record.Trial, raised []defenders.RaisedAlert) []*Campaign {
	rows := map[int]*record.Alert{}
	for i := range r.Alerts {
		rows[r.Alerts[i].Alert] = &r.Alerts[i]
	}
	byID := map[int]*Campaign{}
	for i := range raised {
		a := &raised[i]
		row := rows[a.ID]
		if a.Incident == 0 || row == nil {
			continue
		}
		c := byID[row.Campaign]
		if c == nil {
			c = &Campaign{ID: row.Campaign, Attacks: map[int]int{}}
			byID[row.Campaign] = c
		}
		c.Alerts = append(c.Alerts, a)
		c.Attacks[row.Attack]++
	}
	out := slices.Collect(maps.Values(byID))
	slices.SortFunc(out, func(a, b *Campaign) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// OfAttack is the campaign with most of the alerts about an attack, the first of several; nil
// where none is about it.
func OfAttack(campaigns []*Campaign, attack int) *Campaign {
	var best *Campaign
	for _, c := range campaigns {
		if n := c.Attacks[attack]; n > 0 && (best == nil || n > best.Attacks[attack]) {
			best = c
		}
	}
	return best
}

// Evidence is what the campaign shows of who is behind it.
func (c *Campaign) Evidence() attribution.Evidence {
	return fusion.EvidenceOf(c.observations())
}

func (c *Campaign) observations() []attackgraph.Observation {
	var list []attackgraph.Observation
	for _, a := range c.Alerts {
		list = append(list, a.Enrichment.Observation(&a.Alert))
	}
	return list
}

// graph is the attack graph of the campaign.
func (d *Day) graph(c *Campaign) *attackgraph.Graph {
	return attackgraph.New(d.Estate, d.Scenario.Epoch, c.observations())
}

// incidents writes down what fusion made of the alerts.
func (d *Day) incidents(r *record.Trial) {
	campaigns := Campaigns(r, d.Alerts)
	campaignOf := d.campaigns()
	rows := map[int]*record.Incident{}
	attacks := map[int]map[int]int{}
	for i := range d.Alerts {
		a := &d.Alerts[i]
		if a.Incident == 0 {
			continue
		}
		x := rows[a.Incident]
		if x == nil {
			x = &record.Incident{Incident: a.Incident, Campaign: campaignOf(a.Incident), MergedInto: d.Merged[a.Incident],
				First: int64(a.Raised), Severity: severity.Informational.String()}
			d.link(x)
			rows[a.Incident], attacks[a.Incident] = x, map[int]int{}
		}
		addAlert(x, a)
		attacks[a.Incident][r.Alerts[i].Attack]++
		for j := range a.Enrichment.Sightings {
			r.Sightings = append(r.Sightings, sightingOf(a.ID, &a.Enrichment.Sightings[j]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		x := rows[id]
		x.Attack = most(attacks[id])
		r.Incidents = append(r.Incidents, *x)
	}
	d.describeCampaigns(r, campaigns)
	d.attributions(r, campaigns)
	d.entities(r)
}

// addAlert adds an alert to the row of its incident.
func addAlert(x *record.Incident, a *defenders.RaisedAlert) {
	x.First, x.Last = min(x.First, int64(a.Raised)), max(x.Last, int64(a.Raised))
	x.Alerts++
	x.Score = a.IncidentScore
	x.IntelHits += len(a.Enrichment.Sightings)
	for _, source := range a.Enrichment.Missing {
		if !slices.Contains(x.Missing, source) {
			x.Missing = append(x.Missing, source)
		}
	}
	if level, err := severity.Parse(x.Severity); err == nil && a.Severity > level {
		x.Severity = a.Severity.String()
	}
}

func sightingOf(alert int, s *fusion.Sighting) record.Sighting {
	entry := s.Known.Value
	if entry == "" {
		entry = s.Value
	}
	return record.Sighting{Alert: alert, Kind: s.Kind, Value: s.Value, Source: s.Source, Entry: entry,
		Confidence: s.Confidence, Tags: s.Known.Tags}
}

// link writes down to which earlier incident one was linked.
func (d *Day) link(x *record.Incident) {
	l, ok := d.Links[x.Incident]
	if !ok || x.MergedInto != 0 {
		return
	}
	x.LinkedTo, x.Correlation = l.Earlier, roundedTo4(l.Score)
	for i, name := range correlation.PartNames() {
		if l.Score > 0 {
			x.Parts = append(x.Parts, record.NamedShare{Name: name, P: roundedTo4(l.Parts[i])})
		}
	}
}

// most is the attack with most of the alerts, the lower one of two; 0 where most are false.
func most(byAttack map[int]int) int {
	best, n := 0, -1
	for _, attack := range slices.Sorted(maps.Keys(byAttack)) {
		if byAttack[attack] > n {
			best, n = attack, byAttack[attack]
		}
	}
	return best
}

// describeCampaigns writes what graphs say of each campaign into the row of its first incident.
func (d *Day) describeCampaigns(r *record.Trial, campaigns []*Campaign) {
	place := map[int]*record.Incident{}
	for i := range r.Incidents {
		place[r.Incidents[i].Incident] = &r.Incidents[i]
	}
	for _, c := range campaigns {
		x := place[c.ID]
		if x == nil {
			continue
		}
		doc := d.graph(c).Document(d.nextHosts(c))
		x.RootCause, x.CriticalPath = doc.RootCause, doc.CriticalPath
		x.Cut, x.CutCost = doc.Cut.Nodes, doc.Cut.Cost
		x.Hosts, x.HostsShare = doc.BlastRadius.Hosts, doc.BlastRadius.Share
		x.InReach, x.ReachShare = doc.BlastRadius.InReach, doc.BlastRadius.ReachShare
		for _, n := range doc.Next {
			x.Next = append(x.Next, record.NamedShare{Name: n.Host, P: n.Probability})
		}
		if d.Actors == nil {
			continue
		}
		e := c.Evidence()
		x.Actors = suspects(d.Actors.Rank(&e))
	}
}

// nextHosts is the newest forecast of the next host about an incident of the campaign.
func (d *Day) nextHosts(c *Campaign) map[string]float64 {
	last := c.Alerts[len(c.Alerts)-1].ID
	for i := len(d.Forecasts) - 1; i >= 0; i-- {
		if f := d.Forecasts[i]; f.Alert == last {
			return f.NextHosts()
		}
	}
	return nil
}

// maxSuspects is how many actors are written down.
const maxSuspects = 5

func suspects(list []attribution.Suspect) []record.NamedShare {
	var out []record.NamedShare
	for _, s := range list[:min(len(list), maxSuspects)] {
		out = append(out, record.NamedShare{Name: s.Actor, P: roundedTo4(s.Probability)})
	}
	return out
}

// attributions holds who is held to be behind the campaign of each attack against who is.
func (d *Day) attributions(r *record.Trial, campaigns []*Campaign) {
	if d.Actors == nil {
		return
	}
	for i := range r.Attacks {
		a := &r.Attacks[i]
		c := OfAttack(campaigns, a.Attack)
		if c == nil {
			continue
		}
		e := c.Evidence()
		ranked := d.Actors.Rank(&e)
		x := record.Attribution{Attack: a.Attack, Campaign: c.ID, Actor: a.Name, Suspects: suspects(ranked)}
		if d.Actors.Find(a.Name) == nil {
			x.Actor = attribution.Unknown
		}
		for rank, s := range ranked {
			truth := 0.0
			if s.Actor == x.Actor {
				truth, x.Rank, x.Probability = 1, rank+1, roundedTo4(s.Probability)
			}
			x.Brier += (s.Probability - truth) * (s.Probability - truth)
		}
		x.Brier = roundedTo4(x.Brier)
		r.Attributions = append(r.Attributions, x)
		r.AttributionsScored++
		r.AttributionBrier += x.Brier
		if x.Rank == 1 {
			r.AttributionTop1++
		}
		if x.Rank <= 3 {
			r.AttributionTop3++
		}
	}
	if n := float64(r.AttributionsScored); n > 0 {
		r.AttributionTop1, r.AttributionTop3 = r.AttributionTop1/n, r.AttributionTop3/n
		r.AttributionBrier /= n
	}
}

// entities writes down what the inventory says of the hosts and accounts that alerts name.
func (d *Day) entities(r *record.Trial) {
	found := map[string]record.Entity{}
	for i := range d.Alerts {
		a := &d.Alerts[i]
		for _, name := range []string{a.Host, a.Source, a.SourceIP} {
			if h := d.Estate.Host(name); h != nil {
				found["host "+h.Name] = record.Entity{Kind: "host", Name: h.Name, Address: h.IP, Zone: h.Zone,
					Role: string(h.Role), Criticality: h.Criticality}
			}
		}
		if x := d.Estate.Account(a.User); x != nil {
			found["account "+x.Name] = record.Entity{Kind: "account", Name: x.Name, Privilege: x.Privilege}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		r.Entities = append(r.Entities, found[key])
	}
}

func roundedTo4(x float64) float64 { return math.Round(1e4*x) / 1e4 }
