package incident

import (
	"strings"
	"time"

	"hemostat/sim/action"
	"hemostat/sim/approval"
)

// Order is what an incident asks the response to do, beside the playbooks that its
// alerts start. The response carries it out like a playbook of its own.
type Order struct {
	Incident *Incident
	Origin   action.Origin
	// Name is the name under which it is recorded, as a playbook's id.
	Name string
	// Key keeps orders of one name and key from running side by side.
	Key      string
	About    string        // what it is about, for the audit
	Deadline time.Duration // 0 for the response's default
	Steps    []OrderStep
}

// OrderStep is one step of an order; a failure does not stop the next.
type OrderStep struct {
	ID       string
	Requests []action.Request // one a target
	Risk     action.Risk
	TTL      time.Duration
	Width    int           // how many run at once; 0 for all
	Timeout  time.Duration // of one attempt; 0 for the response's default
	// Approval is who decides first; nil for nobody, whatever the policy says.
	Approval *Approval
}

// The names under which orders are recorded. No playbook may have one of them as its id.
const (
	cascadeLocal    = "cascade_local"
	cascadeThrottle = "cascade_shape"
	cascadeIsolate  = "cascade_isolate"
	restoration     = "restoration"
	rebuild         = "restoration_rebuild"
	// Rollback is what restoration released too early and is in force again.
	Rollback = "restoration_rollback"
)

// IsReserved tells whether a name is one under which the program records what it does of
// its own accord.
func IsReserved(name string) bool {
	switch name {
	case cascadeLocal, cascadeThrottle, cascadeIsolate, restoration, rebuild, Rollback:
		return true
	}
	return strings.HasPrefix(name, "reflex.")
}

// Approval asks a person before a step.
type Approval struct {
	Timeout time.Duration
	// EscalateTo is asked when nobody answers in time, and then until the order's
	// deadline; without it no answer means no.
	EscalateTo approval.Role
}

// Released is an action that was undone for an incident, to be put in force again when
// that was too early.
type Released struct {
	Incident int
	Request  action.Request
}

// Responder carries out what incidents ask for. The response implements it.
type Responder interface {
	Execute(now time.Duration, o Order)
	// Release undoes what is in force for an incident and of a class of disruption, and
	// returns what it undid.
	Release(now time.Duration, incident int, classes []action.Disruption) []Released
	// Reapply puts what was released in force again, for a while.
	Reapply(now time.Duration, list []Released, ttl time.Duration)
	// InForce counts the actions in force for an incident that may be released.
	InForce(incident int) int
	// IsBusy tells whether something is being done for an incident.
	IsBusy(incident int) bool
	// Merge moves what is done and in force for an incident to another.
	Merge(from, into *Incident)
}
