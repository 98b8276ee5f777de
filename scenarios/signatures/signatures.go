// Package signatures prepares recorded trials for defenders/learning, and holds learned rules
// against trials that were not learned from. Only the latter reads the truth.
package signatures

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/learning"
	"hemostat/sim/event"
	"hemostat/sim/record"
)

// Day is a recorded trial whose events were kept.
type Day struct {
	Trial *record.Trial
	// Events gives the kept events in the order in which sensors delivered them.
	Events func(func(*record.StoredEvent) error) error
}

// Name is the scenario and number of the day's trial.
func (d *Day) Name() string { return fmt.Sprintf("%s/%d", d.Trial.Scenario, d.Trial.Index) }

// Options say which incidents are confirmed, and how far their evidence reaches.
type Options struct {
	// Confirmed tells whether an incident of a day is taken as real; when nil, those are with a
	// score of Score and more, and those for which a person approved an action.
	Confirmed func(d *Day, incident int) bool
	Score     float64
	// OrdinaryDays bounds the days whose ordinary events are read; DefaultOrdinaryDays when 0. They
	// are spread over all.
	OrdinaryDays int
	// Before and After the alerts of an incident the events of its hosts and accounts belong to it.
	Before, After time.Duration
}

// The defaults of Options.
const (
	DefaultScore        = 0.8
	DefaultOrdinaryDays = 60
	before              = 30 * time.Minute
	after               = time.Hour
)

// perhaps is the score from which on an incident that is not confirmed is no ordinary event either.
const perhaps = 0.5

// scope is where and when events belong to a campaign of incidents.
type scope struct {
	campaign    int
	confirmed   bool
	from, to    time.Duration
	hosts       map[string]bool
	users       map[string]bool
	alerts      []*record.Alert // by time
	evidence    map[uint64]bool
	hasEntities bool
}

// learned is a day with what its incidents are about.
type learned struct {
	*Day
	scopes []*scope
}

// Material makes of days what is learned from. Names are the confirmed campaigns.
func Material(days []*Day, o Options) (m learning.Material, names []string) {
	o.Score = cmp.Or(o.Score, DefaultScore)
	o.Before, o.After = cmp.Or(o.Before, before), cmp.Or(o.After, after)
	m.Entities = map[string]bool{}
	var all, ordinary []learned
	most := cmp.Or(o.OrdinaryDays, DefaultOrdinaryDays)
	every := (len(days) + most - 1) / most
	for i, d := range days {
		x := learned{d, scopesOf(d, &o)}
		all = append(all, x)
		if i%max(every, 1) == 0 {
			ordinary = append(ordinary, x)
			m.Days += time.Duration(d.Trial.Horizon).Hours() / 24
		}
		for _, s := range x.scopes {
			if s.confirmed {
				names = append(names, x.nameOf(s))
			}
		}
		for _, e := range d.Trial.Entities {
			m.Entities[strings.ToLower(e.Name)] = true
			if short, _, found := strings.Cut(strings.ToLower(e.Name), "."); found && e.Kind == "host" {
				m.Entities[short] = true
			}
		}
	}
	m.Incidents = func(f func(*learning.Incident) error) error {
		for i := range all {
			if err := all[i].incidents(f); err != nil {
				return err
			}
		}
		return nil
	}
	m.Ordinary = func(f func(*event.Event) error) error {
		for i := range ordinary {
			if err := ordinary[i].ordinary(f); err != nil {
				return err
			}
		}
		return nil
	}
	return m, names
}

// scopesOf are the campaigns of a day that are confirmed, or may be real.
func scopesOf(d *Day, o *Options) []*scope {
	confirmed := o.Confirmed
	if confirmed == nil {
		confirmed = func(d *Day, incident int) bool { return d.isConfirmed(incident, o.Score) }
	}
	byCampaign := map[int]*scope{}
	campaignOf := map[int]int{}
	var all []*scope
	for i := range d.Trial.Incidents {
		in := &d.Trial.Incidents[i]
		campaignOf[in.Incident] = in.Campaign
		s := byCampaign[in.Campaign]
		if s == nil {
			s = &scope{campaign: in.Campaign, from: time.Duration(in.First) - o.Before, hosts: map[string]bool{},
				users: map[string]bool{}, evidence: map[uint64]bool{}}
			byCampaign[in.Campaign] = s
			all = append(all, s)
		}
		s.from = min(s.from, time.Duration(in.First)-o.Before)
		s.to = max(s.to, time.Duration(in.Last)+o.After)
		s.confirmed = s.confirmed || confirmed(d, in.Incident)
		s.hasEntities = s.hasEntities || in.Score >= perhaps
	}
	for i := range d.Trial.Alerts {
		a := &d.Trial.Alerts[i]
		s := byCampaign[campaignOf[a.Incident]]
		if s == nil {
			continue
		}
		for _, host := range []string{a.Host, a.SourceHost} {
			if host != "" {
				s.hosts[strings.ToLower(host)] = true
			}
		}
		if a.User != "" {
			s.users[strings.ToLower(a.User)] = true
		}
		s.alerts = append(s.alerts, a)
		for _, id := range a.Evidence {
			s.evidence[id] = true
		}
	}
	return slices.DeleteFunc(all, func(s *scope) bool { return !s.confirmed && !s.hasEntities })
}

// isConfirmed tells whether the defence took an incident as real: by its score, or since a person
// approved an action for it.
func (d *Day) isConfirmed(incident int, score float64) bool {
	for i := range d.Trial.Incidents {
		if in := &d.Trial.Incidents[i]; in.Incident == incident && in.Score >= score {
			return true
		}
	}
	for i := range d.Trial.Approvals {
		if a := &d.Trial.Approvals[i]; a.Incident == incident && a.Outcome == "approved" {
			return true
		}
	}
	return false
}

// accounts are the fields by which an event belongs to an account.
var accounts = []event.Field{event.FieldByName("User"), event.FieldByName("TargetUserName"), event.FieldByName("SubjectUserName")}

// holds tells whether an event belongs to a campaign.
func (s *scope) holds(e *event.Event) bool {
	if s.evidence[e.ID] {
		return true
	}
	if e.Time < s.from || e.Time > s.to {
		return false
	}
	if s.hosts[strings.ToLower(e.Host)] {
		return true
	}
	for _, f := range accounts {
		if user, ok := e.Get(f); ok {
			user = strings.ToLower(user)
			if at := strings.LastIndexByte(user, '\\'); at >= 0 {
				user = user[at+1:]
			}
			if s.users[user] {
				return true
			}
		}
	}
	return false
}

// near is how far from an event an alert may be whose technique it is taken to belong to.
const near = 15 * time.Minute

// beside is how far from an alert about a host an event of it counts as seen.
const beside = 10 * time.Second

// isAlerted tells whether an event, or what went on around it, was seen by a rule already.
func (s *scope) isAlerted(e *event.Event) bool {
	if s.evidence[e.ID] {
		return true
	}
	for _, a := range s.alerts {
		if (time.Duration(a.EventTime)-e.Time).Abs() <= beside && strings.EqualFold(a.Host, e.Host) {
			return true
		}
	}
	return false
}

// techniqueNear is that of the campaign's alert that is nearest in time, on the same host.
func (s *scope) techniqueNear(e *event.Event) string {
	best, technique := near+1, ""
	for _, a := range s.alerts {
		if a.Technique == "" || !strings.EqualFold(a.Host, e.Host) {
			continue
		}
		if d := (time.Duration(a.EventTime) - e.Time).Abs(); d < best {
			best, technique = d, a.Technique
		}
	}
	return technique
}

func (d *learned) nameOf(s *scope) string { return fmt.Sprintf("%s#%d", d.Name(), s.campaign) }

func (d *learned) incidents(f func(*learning.Incident) error) error {
	var all []*learning.Incident
	bySpace := map[*scope]*learning.Incident{}
	for _, s := range d.scopes {
		if s.confirmed {
			in := &learning.Incident{Name: d.nameOf(s)}
			all, bySpace[s] = append(all, in), in
		}
	}
	if len(all) == 0 {
		return nil
	}
	err := d.Events(func(x *record.StoredEvent) error {
		for _, s := range d.scopes {
			if in := bySpace[s]; in != nil && s.holds(x.Event) {
				in.Events = append(in.Events, learning.Sighting{Event: x.Event, Alerted: s.isAlerted(x.Event), Technique: s.techniqueNear(x.Event)})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, in := range all {
		if err := f(in); err != nil {
			return err
		}
	}
	return nil
}

func (d *learned) ordinary(f func(*event.Event) error) error {
	return d.Events(func(x *record.StoredEvent) error {
		for _, s := range d.scopes {
			if s.holds(x.Event) {
				return nil
			}
		}
		return f(x.Event)
	})
}
