package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/sim/severity"
)

// panel joins what several detectors nearly report about one host. An attacker who stays below
// the bar of each is still near several of them.
type panel struct {
	votes map[string][]vote // by host
	told  map[string]time.Duration
	ready []detect.Finding
}

// vote is what one detector thinks of a host, by one of its questions.
type vote struct {
	by       string
	at       time.Duration
	evidence uint64
	text     string
}

const (
	// voteLasts is for how long a vote counts.
	voteLasts = 2 * time.Hour
	// quorum is how many different voters make an alert.
	quorum = 2
	// agreedFor is how long nothing more is said about a host.
	agreedFor = 12 * time.Hour
	// maxVotedOn bounds the hosts that have votes.
	maxVotedOn = 20_000
)

func newPanel() panel { return panel{votes: map[string][]vote{}, told: map[string]time.Duration{}} }

// score takes what a detector says of an entity.
func (g *Guard) score(detector string, s detect.Score) {
	if s.Reported || s.Bar <= 0 || s.Value < g.options.Agreement*s.Bar {
		return
	}
	first, _, _ := strings.Cut(s.Entity, " ")
	h := g.inventory.Host(first)
	if h == nil {
		return
	}
	g.vote(h.Name, vote{detector + "/" + s.Of, s.Time, s.Evidence, fmt.Sprintf("%.2f of its bar", s.Value/s.Bar)})
}

// hear takes an alert that is not serious by itself.
func (g *Guard) hear(a *alert.Alert) {
	if a.Host == "" || a.Severity >= severity.Medium || a.Detector == name {
		return
	}
	v := vote{by: a.Detector + "/" + a.RuleID, at: a.EventTime, text: a.Title}
	if len(a.Evidence) > 0 {
		v.evidence = a.Evidence[len(a.Evidence)-1]
	}
	g.vote(a.Host, v)
}

// vote notes a vote, and makes a finding of enough of them.
func (g *Guard) vote(host string, v vote) {
	p := &g.panel
	if len(p.votes) >= maxVotedOn {
		clear(p.votes)
	}
	list := slices.DeleteFunc(p.votes[host], func(x vote) bool { return x.by == v.by || (v.at-x.at).Abs() > voteLasts })
	list = append(list, v)
	p.votes[host] = list
	if told, ok := p.told[host]; len(list) < quorum || ok && (v.at-told).Abs() < agreedFor {
		return
	}
	p.told[host] = v.at
	h := g.inventory.Host(host)
	f := detect.Finding{
		RuleID: "guard/agreement", Title: "Several Detectors Nearly Agree", Severity: severity.Medium, Confidence: 0.6, EventTime: v.at,
		Entities: &alert.Entities{Host: host},
	}
	if h != nil {
		f.Entities.Zone = h.Zone
	}
	for _, x := range list {
		if x.evidence != 0 && !slices.Contains(f.Evidence, x.evidence) {
			f.Evidence = append(f.Evidence, x.evidence)
		}
		f.Reasons = append(f.Reasons, alert.Reason{Part: x.by, Field: "host", Value: host, Test: x.text})
	}
	p.ready = append(p.ready, f)
}

// take returns the findings that are ready.
func (p *panel) take() []detect.Finding {
	out := p.ready
	p.ready = nil
	return out
}
