// Package explain tells an incident of a recorded trial: it puts alerts, sightings and what
// fusion wrote down together again as an enriched threat, and as the graph that is drawn of it.
// Its input are the rows of a trial, its output is what hemostat incident shows and exports.
package explain

import (
	"fmt"
	"slices"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/narrative"
	"hemostat/defenders/inventory"
	"hemostat/sim/record"
	"hemostat/sim/role"
	"hemostat/sim/severity"
)

// Incident is an explained incident, and the graph of its campaign.
type Incident struct {
	Threat fusion.EnrichedThreat
	Graph  *attackgraph.Graph
}

// Of explains an incident of a trial. The epoch is the time at which virtual times count from
// 0. Facts describe the actors; nil where nothing more is known of them than their names.
func Of(t *record.Trial, number int, epoch time.Time, facts *attribution.Facts) (*Incident, error) {
	row := find(t, number)
	if row == nil {
		return nil, fmt.Errorf("the trial has no incident %d", number)
	}
	head := find(t, row.Campaign)
	if head == nil {
		head = row
	}
	c := collect(t, row)
	if len(c.Observations) == 0 {
		return nil, fmt.Errorf("incident %d has no alerts", number)
	}
	c.ID, c.Incident = fmt.Sprintf("%s/%d/%d", t.Scenario, t.Index, number), number
	c.Epoch, c.Inventory, c.Facts = epoch, inventoryOf(t), facts
	c.LinkedTo, c.CorrelationScore, c.CorrelationParts = row.LinkedTo, row.Correlation, map[string]float64{}
	for _, p := range row.Parts {
		c.CorrelationParts[p.Name] = p.P
	}
	c.Suspects = []attribution.Suspect{}
	for _, s := range head.Actors {
		c.Suspects = append(c.Suspects, attribution.Suspect{Actor: s.Name, Probability: s.P})
	}
	c.Complete = func(doc *attackgraph.Document) { fillRecorded(doc, t, head) }
	c.Author, c.Account = accountOf(t, number)
	x := &Incident{}
	x.Threat, x.Graph = fusion.Explain(c)
	return x, nil
}

func find(t *record.Trial, number int) *record.Incident {
	for i := range t.Incidents {
		if t.Incidents[i].Incident == number {
			return &t.Incidents[i]
		}
	}
	if len(t.Incidents) > 0 {
		return nil
	}
	for i := range t.Alerts { // a database of an earlier version has no rows of incidents
		if a := &t.Alerts[i]; a.Incident == number {
			return &record.Incident{Incident: number, Campaign: a.Campaign, First: a.Time, Last: a.Time}
		}
	}
	return nil
}

// collect gathers the alerts of the campaign of an incident.
func collect(t *record.Trial, row *record.Incident) *fusion.Case {
	c := &fusion.Case{IncidentOf: map[int]int{}, Verdicts: map[int]string{}}
	for i := range t.Incidents {
		x := &t.Incidents[i]
		if x.Campaign != row.Campaign {
			continue
		}
		c.Incidents = append(c.Incidents, x.Incident)
		c.Confidence = max(c.Confidence, x.Score)
		for _, name := range x.Missing {
			if !slices.Contains(c.Missing, name) {
				c.Missing = append(c.Missing, name)
			}
		}
	}
	known := map[int][]indicator.IOC{}
	for i := range t.Sightings {
		s := &t.Sightings[i]
		known[s.Alert] = append(known[s.Alert], iocOf(s))
	}
	estate := inventoryOf(t)
	for i := range t.Alerts {
		a := &t.Alerts[i]
		if a.Campaign != row.Campaign || a.Incident == 0 {
			continue
		}
		x := alertOf(a)
		o := attackgraph.Observation{Alert: &x, Known: known[a.Alert]}
		if estate.Host(a.Source) == nil {
			o.Outside = a.Source
		}
		c.Observations = append(c.Observations, o)
		c.IncidentOf[a.Alert], c.Verdicts[a.Alert] = a.Incident, a.Verdict
	}
	return c
}

// iocOf is a sighting as an indicator of compromise.
func iocOf(s *record.Sighting) indicator.IOC {
	return fusion.IOCOf(indicator.IOC{Value: s.Entry, Source: s.Source, Confidence: s.Confidence, Tags: s.Tags}, s.Value)
}

// alertOf is a row as the alert that it was.
func alertOf(a *record.Alert) alert.Alert {
	level, err := severity.Parse(a.Severity)
	if err != nil {
		level = severity.Informational
	}
	x := alert.Alert{
		ID: a.Alert, Raised: time.Duration(a.Time), EventTime: time.Duration(a.EventTime), Detector: a.Detector,
		RuleID: a.RuleID, Title: a.Title, Techniques: a.Techniques, Severity: level, Confidence: a.Confidence,
		Evidence: a.Evidence,
		Entities: alert.Entities{Host: a.Host, User: a.User, SourceIP: a.Source, Source: a.SourceHost, Zone: a.Zone,
			Destination: a.Destination, Domain: a.Domain, FileHash: a.FileHash},
	}
	if len(x.Techniques) == 0 && a.Technique != "" {
		x.Techniques = []string{a.Technique}
	}
	return x
}

// inventoryOf is what the defence knew of the hosts and accounts that alerts name.
func inventoryOf(t *record.Trial) *inventory.Inventory {
	var hosts []inventory.Host
	var accounts []inventory.Account
	for i := range t.Entities {
		switch e := &t.Entities[i]; e.Kind {
		case "host":
			hosts = append(hosts, inventory.Host{Name: e.Name, IP: e.Address, Zone: e.Zone, Role: role.Role(e.Role),
				Criticality: e.Criticality})
		case "account":
			accounts = append(accounts, inventory.Account{Name: e.Name, Privilege: e.Privilege})
		}
	}
	return inventory.New(hosts, accounts)
}

// fillRecorded writes into the graph what rests on the whole estate, which the rows do not
// hold: the blast radius and the next hosts.
func fillRecorded(doc *attackgraph.Document, t *record.Trial, head *record.Incident) {
	doc.BlastRadius.Share, doc.BlastRadius.InReach = head.HostsShare, head.InReach
	doc.BlastRadius.ReachShare = head.ReachShare
	doc.Next = []attackgraph.NextDocument{}
	for _, n := range head.Next {
		next := attackgraph.NextDocument{Host: n.Name, Probability: n.P}
		for i := range t.Entities {
			if e := &t.Entities[i]; e.Kind == "host" && e.Name == n.Name {
				next.Zone, next.Role = e.Zone, e.Role
			}
		}
		doc.Next = append(doc.Next, next)
	}
}

// accountOf is the account that a model wrote of an incident when the trial ran; "" and nil
// where none did.
func accountOf(t *record.Trial, number int) (author string, account []narrative.Sentence) {
	for _, s := range t.Accounts {
		if s.Incident != number || s.Author == narrative.Author {
			continue
		}
		author = s.Author
		sentence := narrative.Sentence{About: "what", Text: s.Text}
		for _, id := range s.Alerts {
			sentence.Alerts = append(sentence.Alerts, int(id))
		}
		account = append(account, sentence)
	}
	return author, account
}
