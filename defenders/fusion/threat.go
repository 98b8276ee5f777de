package fusion

import (
	"time"

	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/fusion/narrative"
)

// EnrichedThreat is an explained incident in the form in which it is exchanged: the campaign
// that it belongs to with its alerts, indicators, graph, likely actor and account.
type EnrichedThreat struct {
	ID        string `json:"id"`
	Incident  int    `json:"incident"`
	Incidents []int  `json:"incidents"` // of the campaign, with this one

	FirstSeen  time.Time `json:"first_seen"`
	LastSeen   time.Time `json:"last_seen"`
	Severity   string    `json:"severity"`
	Confidence float64   `json:"confidence"` // that it is real, 0 to 1
	Techniques []string  `json:"techniques"`

	// CorrelationScore is the score of the link to the earlier incident LinkedTo, or of the best
	// campaign that the incident was not linked to where LinkedTo is 0; CorrelationParts are what
	// each part adds to its log odds.
	LinkedTo         int                `json:"linked_to"`
	CorrelationScore float64            `json:"correlation_score"`
	CorrelationParts map[string]float64 `json:"correlation_parts"`

	IOCs        []indicator.IOC          `json:"iocs"`
	AttackGraph attackgraph.Document     `json:"attack_graph"`
	Actors      []attribution.Suspect    `json:"actors"`
	ThreatActor *attribution.ThreatActor `json:"threat_actor"` // the likeliest, null for none
	Narrative   []narrative.Sentence     `json:"narrative"`
	Author      string                   `json:"narrative_author"`
	// MissingSources could not answer for an alert of it.
	MissingSources []string      `json:"missing_sources"`
	Alerts         []ThreatAlert `json:"alerts"`
}

// ThreatAlert is an alert of an explained incident.
type ThreatAlert struct {
	Alert      int       `json:"alert"`
	Incident   int       `json:"incident"`
	Time       time.Time `json:"time"`
	TimeNs     int64     `json:"time_ns"` // virtual
	Detector   string    `json:"detector"`
	RuleID     string    `json:"rule_id"`
	Title      string    `json:"title"`
	Technique  string    `json:"technique"`
	Severity   string    `json:"severity"`
	Confidence float64   `json:"confidence"`
	Host       string    `json:"host"`
	User       string    `json:"user"`
	SourceIP   string    `json:"source_ip"`
	Verdict    string    `json:"verdict,omitempty"`
}
