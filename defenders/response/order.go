package response

import (
	"time"

	"hemostat/defenders/incident"
	"hemostat/sim/action"
)

var _ incident.Responder = (*Engine)(nil)

// Execute carries out an order of an incident as a playbook of the program's own.
func (e *Engine) Execute(now time.Duration, o incident.Order) {
	p := &Playbook{ID: o.Name, Deadline: o.Deadline}
	q := runRequest{Playbook: p, Incident: o.Incident, Origin: o.Origin, about: o.About, key: o.Key}
	for _, s := range o.Steps {
		q.steps = append(q.steps, orderStep(s))
	}
	e.run(now, q)
}

func orderStep(s incident.OrderStep) Step {
	step := Step{
		ID:          s.ID,
		Action:      s.Requests[0].Kind,
		requests:    s.Requests,
		Risk:        s.Risk,
		TTL:         s.TTL,
		MaxParallel: s.Width,
		Timeout:     s.Timeout,
		OnFailure:   "continue",
	}
	switch a := s.Approval; {
	case a == nil:
		step.automatic = true
	case a.EscalateTo == "":
		step.HOTL = &HOTL{Required: true, Ask: "reached", Timeout: a.Timeout, OnTimeout: "deny"}
	default:
		step.HOTL = &HOTL{
			Required:   true,
			Ask:        "reached",
			Timeout:    a.Timeout,
			OnTimeout:  "escalate",
			EscalateTo: a.EscalateTo,
			Then:       "hold",
		}
	}
	return step
}

// Merge moves what is done and in force for an incident to another, which it turned out
// to be a part of.
func (e *Engine) Merge(from, into *incident.Incident) {
	move := func(r *run) {
		if r.incident.ID == from.ID {
			r.incident = into
		}
	}
	for _, r := range e.running {
		move(r)
	}
	for _, list := range e.waitingRuns {
		for _, r := range list {
			move(r)
		}
	}
	for _, t := range e.inFlight {
		move(t.node.run)
	}
	for _, h := range e.effectsByIncident[from.ID] {
		for _, x := range h.holders {
			move(x.run)
		}
		e.effectsByIncident[into.ID] = addEffect(e.effectsByIncident[into.ID], h)
	}
	delete(e.effectsByIncident, from.ID)
	if n := e.runsByIncident[from.ID]; n > 0 {
		e.runsByIncident[into.ID] += n
		delete(e.runsByIncident, from.ID)
	}
}

// Release undoes what is in force for an incident and of a class of disruption, the
// latest first, and returns what was undone. What another incident holds too stays, and
// what a step keeps until its ttl.
func (e *Engine) Release(now time.Duration, id int, classes []action.Disruption) []incident.Released {
	var released []incident.Released
	for _, rec := range e.release(now, id, classes) {
		released = append(released, incident.Released{Incident: rec.Incident, Request: rec.Request})
	}
	e.drain(now)
	return released
}

// Reapply puts actions that were undone in force again, for a while.
func (e *Engine) Reapply(now time.Duration, list []incident.Released, ttl time.Duration) {
	for _, r := range list {
		e.Act(now, r.Incident, action.FromRollback, incident.Rollback, r.Request, ttl)
	}
}
