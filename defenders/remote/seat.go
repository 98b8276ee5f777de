package remote

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"hemostat/defenders"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	"hemostat/defenders/response"
	"hemostat/sim/action"
)

// Defence is what a seat needs of a pipeline.
type Defence interface {
	Decide(now time.Duration, incident int, by response.DecidedBy, r action.Request, ttl time.Duration) error
	Undo(now time.Duration, action int64, by string) bool
	Incidents() *incident.Lifecycle
}

// Seat is the place of a defender from outside at one pipeline. It is told what happens by the
// functions that it gives to the pipeline's listener.
type Seat struct {
	defence Defence
	estate  *inventory.Inventory
	agent   string
	worth   float64 // of the estate

	alerts    []Alert
	incidents map[int]incidentStatus // that have changed
	actions   []*shown[response.ActionRecord]
	approvals []*shown[response.ApprovalRecord]
	inForce   map[int64]*response.ActionRecord
	outcomes  []Outcome
	decided   int            // decisions that were accepted
	repeats   map[string]int // how often each request was decided on, by its key
	decision  map[string]int // number of a decision, by step and target
}

// incidentStatus is what has become of an incident.
type incidentStatus struct {
	ended      *incident.Incident
	mergedInto int
}

// shown is a record that may still change, and what was shown of it.
type shown[T any] struct {
	record *T
	status string // at the last observation; "" before
	undone bool
}

// NewSeat makes the seat of an agent with a name, which stands in records as agent:NAME, as no
// playbook is called. Sit gives it its pipeline.
func NewSeat(agent string, estate *inventory.Inventory) *Seat {
	s := &Seat{
		agent: "agent:" + agent, estate: estate, incidents: map[int]incidentStatus{}, inForce: map[int64]*response.ActionRecord{},
		repeats: map[string]int{}, decision: map[string]int{},
	}
	for i := range estate.Hosts {
		s.worth += estate.Hosts[i].Criticality
	}
	return s
}

// Sit tells the seat which pipeline it belongs to.
func (s *Seat) Sit(d Defence) { s.defence = d }

// Listen lets the seat hear what a listener is told, after the listener itself.
func (s *Seat) Listen(l defenders.Listener) defenders.Listener {
	alerted, merged, ended := l.Alert, l.IncidentMerged, l.IncidentEnded
	l.Alert = func(a *defenders.RaisedAlert) {
		alerted(a)
		s.alerts = append(s.alerts, shownAlert(a))
		if a.Incident != 0 {
			s.incidents[a.Incident] = incidentStatus{}
		}
	}
	l.IncidentMerged = func(from, into int) {
		merged(from, into)
		s.incidents[from], s.incidents[into] = incidentStatus{mergedInto: into}, incidentStatus{}
	}
	l.IncidentEnded = func(now time.Duration, in *incident.Incident) {
		if ended != nil {
			ended(now, in)
		}
		s.incidents[in.ID] = incidentStatus{ended: in}
	}
	requested, asked, took := l.Response.ActionRequested, l.Response.ApprovalAsked, l.Response.ActionTookEffect
	l.Response.ActionRequested = func(now time.Duration, a *response.ActionRecord) {
		requested(now, a)
		s.actions = append(s.actions, &shown[response.ActionRecord]{record: a})
	}
	l.Response.ActionTookEffect = func(now time.Duration, a *response.ActionRecord) {
		if took != nil {
			took(now, a)
		}
		if action.Must(a.Request.Kind).Undo {
			s.inForce[a.ID] = a
		}
	}
	l.Response.ApprovalAsked = func(now time.Duration, a *response.ApprovalRecord) {
		asked(now, a)
		s.approvals = append(s.approvals, &shown[response.ApprovalRecord]{record: a})
	}
	return l
}

// HasNews tells whether an alert has come since the last observation.
func (s *Seat) HasNews() bool { return len(s.alerts) > 0 }

// Observe says what is new since the last observation.
func (s *Seat) Observe(now time.Duration) *Observation {
	o := &Observation{
		Now: int64(now), Alerts: s.alerts, Outcomes: s.outcomes, Incidents: s.changedIncidents(),
		Actions: s.changedActions(), Approvals: s.changedApprovals(),
	}
	s.alerts, s.outcomes = []Alert{}, []Outcome{}
	if o.Alerts == nil {
		o.Alerts = s.alerts
	}
	if o.Outcomes == nil {
		o.Outcomes = s.outcomes
	}
	o.Budget = Budget{InForce: len(s.inForce), Approvals: len(s.approvals), CutOff: s.cutOff()}
	return o
}

func (s *Seat) changedIncidents() []Incident {
	list := []Incident{}
	for _, id := range slices.Sorted(maps.Keys(s.incidents)) {
		switch status := s.incidents[id]; {
		case status.mergedInto != 0:
			list = append(list, Incident{ID: id, Status: "merged", MergedInto: status.mergedInto, Hosts: []string{}, Accounts: []string{},
				Sources: []string{}, Targets: []string{}, Techniques: []string{}})
		case status.ended != nil:
			x := shownIncident(status.ended)
			x.Status = "ended"
			list = append(list, x)
		default:
			if in := s.defence.Incidents().Find(id); in != nil && in.ID == id {
				list = append(list, shownIncident(in))
			}
		}
	}
	clear(s.incidents)
	return list
}

// changedActions are the actions that are new or went on; those that cannot change any more are
// forgotten.
func (s *Seat) changedActions() []Action {
	list := []Action{}
	s.actions = slices.DeleteFunc(s.actions, func(x *shown[response.ActionRecord]) bool {
		a := x.record
		if a.Undone != nil {
			delete(s.inForce, a.ID)
		}
		if status := string(a.Status); x.status != status || x.undone != (a.Undone != nil) {
			x.status, x.undone = status, a.Undone != nil
			list = append(list, shownAction(a, s.decision[decisionKey(a.Step, a.Target)], s.inForce[a.ID] != nil))
		}
		return a.Ended != nil && s.inForce[a.ID] == nil
	})
	return list
}

// changedApprovals are the approval requests that are new or closed.
func (s *Seat) changedApprovals() []Approval {
	list := []Approval{}
	s.approvals = slices.DeleteFunc(s.approvals, func(x *shown[response.ApprovalRecord]) bool {
		if status := string(x.record.Outcome); x.status != status {
			x.status = status
			list = append(list, shownApproval(x.record, s.decision[decisionKey(x.record.Step, x.record.Target)]))
		}
		return x.record.Closed != nil
	})
	return list
}

// cutOff is the share of the estate's worth that isolation keeps from working.
func (s *Seat) cutOff() float64 {
	var zones, hosts []string
	for _, a := range s.inForce {
		switch a.Request.Kind {
		case action.IsolateZone:
			zones = append(zones, a.Target)
		case action.IsolateHost:
			hosts = append(hosts, a.Target)
		}
	}
	slices.Sort(zones)
	slices.Sort(hosts)
	lost := 0.0
	for _, z := range slices.Compact(zones) {
		lost += s.estate.ZoneWorth(z)
	}
	for _, name := range slices.Compact(hosts) {
		if h := s.estate.Host(name); h != nil && !slices.Contains(zones, h.Zone) {
			lost += h.Criticality
		}
	}
	return lost / max(1, s.worth)
}

// Act carries decisions out, in their order. What is impossible or forbidden becomes an error
// of its outcome, which stands in the next observation.
func (s *Seat) Act(now time.Duration, decisions []Decision) {
	s.outcomes = make([]Outcome, len(decisions))
	for i := range decisions {
		number, err := 0, error(nil)
		if i >= MostDecisions {
			err = fmt.Errorf("an answer may hold %d decisions, and this one holds %d", MostDecisions, len(decisions))
		} else {
			number, err = s.decide(now, &decisions[i])
		}
		s.outcomes[i] = Outcome{Accepted: err == nil, Decision: number}
		if err != nil {
			s.outcomes[i].Error = err.Error()
		}
	}
}

func (s *Seat) decide(now time.Duration, d *Decision) (number int, err error) {
	if d.Undo != nil {
		if d.Kind != "" || len(d.Params) > 0 {
			return 0, fmt.Errorf("undo takes no kind and no params")
		}
		if !s.defence.Undo(now, *d.Undo, s.agent) {
			return 0, fmt.Errorf("action %d is not in force", *d.Undo)
		}
		return 0, nil
	}
	r, err := s.request(d)
	if err != nil {
		return 0, err
	}
	id := d.Incident
	if id == 0 {
		id = s.incidentOf(&r)
	}
	step := string(r.Kind)
	if n := s.repeats[r.Key()]; n > 0 {
		step = fmt.Sprintf("%s-%d", step, n+1) // luck goes by the name, and each decision has its own
	}
	s.decision[decisionKey(step, r.Target.Value)] = s.decided + 1
	if err := s.defence.Decide(now, id, response.DecidedBy{Name: s.agent, Step: step}, r, time.Duration(d.TTL)); err != nil {
		delete(s.decision, decisionKey(step, r.Target.Value))
		return 0, err
	}
	s.repeats[r.Key()]++
	s.decided++
	return s.decided, nil
}

func decisionKey(step, target string) string { return step + " " + target }

// incidentOf is the newest open incident that names the target of a request, 0 for none.
func (s *Seat) incidentOf(r *action.Request) int {
	open := s.defence.Incidents().OpenOnes()
	for _, id := range slices.Backward(open) {
		in := s.defence.Incidents().Find(id)
		names := map[action.TargetKind][]string{
			action.Host: in.Hosts, action.Account: in.Accounts, action.Zone: in.Zones,
			action.Address: append(slices.Clone(in.Sources), in.Destinations...), action.Domain: in.Destinations,
		}[r.Target.Kind]
		if slices.ContainsFunc(names, func(name string) bool { return s.same(r.Target.Kind, name, r.Target.Value) }) {
			return id
		}
	}
	return 0
}

// same tells whether two names of a target mean one thing.
func (s *Seat) same(kind action.TargetKind, a, b string) bool {
	switch kind {
	case action.Host:
		x, y := s.estate.Host(a), s.estate.Host(b)
		return x != nil && x == y
	case action.Account:
		x, y := s.estate.Account(a), s.estate.Account(b)
		return x != nil && x == y
	}
	return a == b
}
