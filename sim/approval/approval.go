// Package approval is the vocabulary of approval requests: who is asked and how a
// request ends. Response, simulated analysts and reports share it; it holds no state.
package approval

import (
	"fmt"
	"slices"
)

// Role is who is asked to approve.
type Role string

// The roles, in the order of escalation (NIST SP 800-61r3, "Incident response roles").
const (
	Tier1             Role = "tier1"
	Tier2             Role = "tier2"
	IncidentCommander Role = "incident_commander"
)

// Roles lists the roles in the order of escalation.
func Roles() []Role { return []Role{Tier1, Tier2, IncidentCommander} }

// UnmarshalText reads a role.
func (r *Role) UnmarshalText(text []byte) error {
	if !slices.Contains(Roles(), Role(text)) {
		return fmt.Errorf("%q is no role of people who approve; accepted: tier1, tier2, incident_commander", text)
	}
	*r = Role(text)
	return nil
}

// Accepted lists the names of the roles.
func (Role) Accepted() []string {
	var names []string
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return names
}

// JSONSchema lists the roles for an editor's completion.
func (Role) JSONSchema() map[string]any { return map[string]any{"type": "string", "enum": Roles()} }

// Outcome is how an approval request ended.
type Outcome string

// The outcomes.
const (
	Pending   Outcome = "pending"   // it is open
	Approved  Outcome = "approved"  // somebody said yes
	Denied    Outcome = "denied"    // somebody said no
	TimedOut  Outcome = "timed_out" // nobody answered in time
	Escalated Outcome = "escalated" // nobody answered in time, and others were asked
	TooLate   Outcome = "too_late"  // somebody answered when nobody waited any more
	Withdrawn Outcome = "withdrawn" // the step will not run, so nobody needs to answer
)

// IsAnswer tells whether a person decided while the request was open.
func (o Outcome) IsAnswer() bool { return o == Approved || o == Denied }
