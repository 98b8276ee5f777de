// Package incident owns an incident from its first alert to the restored baseline: which
// alerts join it, which incidents turn out to be one, how severe and how certain it is,
// what the cascade does about its zone, and its restoration.
//
// incident.go says what an incident is, lifecycle.go moves it, order.go is what it asks
// the response for. Its input are enriched alerts (defenders/fusion) and what the
// response did (defenders/response, through typed calls); its output are orders to a
// Responder, stages to a listener, and incidents that have ended.
package incident

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion"
	"hemostat/sim/severity"
)

// Incident is a set of alerts that belong together.
type Incident struct {
	ID           int
	First, Last  time.Duration // when the first and the last alert joined
	Count        int           // alerts that joined
	Hosts        []string
	Zones        []string
	Accounts     []string
	Sources      []string // outside addresses
	Destinations []string
	Techniques   []string
	Severity     severity.Severity
	Score        float64 // 0 to 1
	IntelHits    int

	// Attacker is what is believed of the attacker behind it; the zero value where nothing
	// is inferred.
	Attacker Attacker

	// SeriousHosts are those with an alert of severity high or more of their own: code
	// of the intruder may have run there.
	SeriousHosts []string
	// MergedInto is the incident that this one turned out to be a part of, or nil.
	MergedInto *Incident
	// Closed tells that it has ended; later alerts about its entities open a new one.
	Closed bool

	keys   []string           // by which it is found
	byRule map[string]float64 // confidence by rule and host, for the score
}

// Attacker is what is believed of the attacker behind an incident, and forecast of them.
type Attacker struct {
	Real           float64 // probability that there is one
	Goal           string  // the likeliest one
	GoalConfidence float64 // its probability
	Skill          string  // low, middle or high
	Stage          string  // tactic
	Aware          float64 // probability that they believe to be seen
	NextTechnique  string  // the likeliest one
	NextHost       string
	NextZone       string // of that host
}

// join takes an alert in.
func (in *Incident) join(now time.Duration, a *alert.Alert, e fusion.Enrichment) {
	in.Last = now
	in.Count++
	in.IntelHits += len(e.Sightings)
	in.Severity = max(in.Severity, a.Severity)
	addTo(&in.Hosts, a.Host)
	addTo(&in.Zones, a.Zone)
	addTo(&in.Accounts, e.Account)
	addTo(&in.Sources, e.OutsideSource)
	addTo(&in.Hosts, e.InsideSource)
	addTo(&in.Destinations, a.Destination)
	for _, t := range a.Techniques {
		addTo(&in.Techniques, t)
	}
	if a.Severity >= severity.High {
		addTo(&in.SeriousHosts, a.Host)
	}
	rule := a.RuleID + a.Host
	in.byRule[rule] = max(in.byRule[rule], a.Confidence)
	in.score(e.Confidence)
}

// absorb takes in another incident that turned out to be the same.
func (in *Incident) absorb(other *Incident) {
	in.First = min(in.First, other.First)
	in.Last = max(in.Last, other.Last)
	in.Count += other.Count
	in.IntelHits += other.IntelHits
	in.Severity = max(in.Severity, other.Severity)
	for _, list := range []struct {
		to   *[]string
		from []string
	}{{&in.Hosts, other.Hosts}, {&in.Zones, other.Zones}, {&in.Accounts, other.Accounts}, {&in.Sources, other.Sources},
		{&in.Destinations, other.Destinations}, {&in.Techniques, other.Techniques}, {&in.SeriousHosts,
			other.SeriousHosts}} {
		for _, x := range list.from {
			addTo(list.to, x)
		}
	}
	for rule, confidence := range other.byRule {
		in.byRule[rule] = max(in.byRule[rule], confidence)
	}
	in.Score = max(in.Score, other.Score)
	in.score(0)
	other.MergedInto, other.Closed = in, true
}

// score combines independent evidence: one minus the product of the chances that
// each piece is wrong. The same rule on the same host counts once, and each
// further piece counts for half, since detectors agree in their errors too.
func (in *Incident) score(intel float64) {
	all := slices.SortedFunc(maps.Values(in.byRule), func(a, b float64) int { return cmp.Compare(b, a) })
	wrong := 1 - intel
	for i, c := range all {
		if i > 0 {
			c /= 2
		}
		wrong *= 1 - c
	}
	in.Score = max(in.Score, 1-wrong)
}

// mostNamed bounds how many hosts, accounts, sources, … an incident remembers of each, so that one
// that never goes quiet holds its memory; the newest are kept.
const mostNamed = 128

// addTo adds a name to a list that holds it not yet. Who holds the list from before still sees
// what it was.
func addTo(list *[]string, s string) {
	if s == "" || slices.Contains(*list, s) {
		return
	}
	if len(*list) >= mostNamed {
		*list = (*list)[len(*list)-mostNamed+1:]
	}
	*list = append(*list, s)
}
