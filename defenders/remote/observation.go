// Package remote is the place of a defender who is a program outside: observation.go is what
// they are shown, decision.go what they may decide, seat.go gathers the one from a pipeline and
// carries the other out through its response, with the approval requests, prices and failures
// that any action has.
//
// Everything here is what a defence knows. Nothing comes from the truth.
package remote

import (
	"time"

	"hemostat/defenders"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	"hemostat/defenders/response"
	"hemostat/sim/action"
)

// Observation is what a defender is shown before a decision. Lists hold what is new or has
// changed since the last observation. Times are nanoseconds from the beginning of the day.
type Observation struct {
	Now       int64      `json:"now_ns"`
	Alerts    []Alert    `json:"alerts"`
	Incidents []Incident `json:"incidents"`
	Actions   []Action   `json:"actions"`
	Approvals []Approval `json:"approvals"`
	// Outcomes tell of each decision of the last answer whether it was accepted, in their order.
	Outcomes []Outcome `json:"outcomes"`
	Budget   Budget    `json:"budget"`
}

// Alert is an alert that has joined its incident, or was dismissed by the automatic analyst.
type Alert struct {
	ID          int      `json:"id"`
	Time        int64    `json:"time_ns"`
	Detector    string   `json:"detector"`
	RuleID      string   `json:"rule_id"`
	Title       string   `json:"title"`
	Techniques  []string `json:"techniques"`
	Severity    string   `json:"severity"`
	Confidence  float64  `json:"confidence"`
	Incident    int      `json:"incident"`
	Dismissed   bool     `json:"dismissed,omitempty"`
	Sightings   int      `json:"sightings,omitempty"` // indicators that feeds know
	Host        string   `json:"host,omitempty"`
	Zone        string   `json:"zone,omitempty"`
	User        string   `json:"user,omitempty"`
	SourceIP    string   `json:"source_ip,omitempty"`
	Destination string   `json:"destination,omitempty"`
	Domain      string   `json:"domain,omitempty"`
	ProcessID   string   `json:"process_id,omitempty"`
	FileHash    string   `json:"file_hash,omitempty"`
}

// Incident is an incident as it stands now.
type Incident struct {
	ID         int      `json:"id"`
	Status     string   `json:"status"`                // open, merged or ended
	MergedInto int      `json:"merged_into,omitempty"` // the incident that it turned out to be a part of
	First      int64    `json:"first_ns"`
	Last       int64    `json:"last_ns"`
	Alerts     int      `json:"alerts"`
	Severity   string   `json:"severity"`
	Score      float64  `json:"score"` // 0 to 1: how sure it is that it is real
	Hosts      []string `json:"hosts"`
	Accounts   []string `json:"accounts"`
	Sources    []string `json:"sources"` // outside addresses
	Targets    []string `json:"destinations"`
	Techniques []string `json:"techniques"`
}

// Action is an action that was asked for, by whomever.
type Action struct {
	ID       int64             `json:"id"`
	Kind     string            `json:"kind"`
	Params   map[string]string `json:"params"`
	Target   string            `json:"target"`
	By       string            `json:"by"`                 // the playbook, rule or agent
	Decision int               `json:"decision,omitempty"` // number of one's own
	Incident int               `json:"incident"`
	Status   string            `json:"status"`
	Detail   string            `json:"detail,omitempty"`
	Asked    int64             `json:"asked_ns"`
	Ended    *int64            `json:"ended_ns"`
	Undone   *int64            `json:"undone_ns"`
	InForce  bool              `json:"in_force"`
	// Disruption is what was predicted, in hours of work.
	Disruption float64 `json:"disruption"`
}

// Approval is a question to a person.
type Approval struct {
	ID       int    `json:"id"`
	Kind     string `json:"kind"`
	Target   string `json:"target"`
	By       string `json:"by"`
	Decision int    `json:"decision,omitempty"`
	Incident int    `json:"incident"`
	Role     string `json:"role"` // who is asked, then who answered
	Outcome  string `json:"outcome"`
	Asked    int64  `json:"asked_ns"`
	Closed   *int64 `json:"closed_ns"`
}

// Budget is what the defence has spent of what is limited.
type Budget struct {
	InForce   int     `json:"actions_in_force"`
	Approvals int     `json:"approvals_open"`
	CutOff    float64 `json:"cut_off"` // share of the estate's worth that isolation keeps from working
}

// Estate is what a defender knows of the estate at the beginning.
type Estate struct {
	Hosts    []Host    `json:"hosts"`
	Accounts []Account `json:"accounts"`
	Zones    []string  `json:"zones"`
}

// Host is a machine of the estate.
type Host struct {
	Name        string  `json:"name"`
	IP          string  `json:"ip"`
	Zone        string  `json:"zone"`
	OS          string  `json:"os"`
	Role        string  `json:"role"`
	Criticality float64 `json:"criticality"` // worth of an hour, 1 for a workstation
	Owner       string  `json:"owner,omitempty"`
}

// Account is an account of the directory.
type Account struct {
	Name      string `json:"name"`
	Privilege string `json:"privilege"`
}

// EstateOf is an inventory as it is shown.
func EstateOf(v *inventory.Inventory) Estate {
	e := Estate{Zones: v.Zones(), Hosts: make([]Host, 0, len(v.Hosts)), Accounts: make([]Account, 0, len(v.Accounts))}
	for i := range v.Hosts {
		h := &v.Hosts[i]
		e.Hosts = append(e.Hosts, Host{h.Name, h.IP, h.Zone, h.OS, string(h.Role), h.Criticality, h.Owner})
	}
	for _, a := range v.Accounts {
		e.Accounts = append(e.Accounts, Account{a.Name, a.Privilege})
	}
	return e
}

// Kind is a kind of action that may be decided on.
type Kind struct {
	Kind      string   `json:"kind"`
	Params    []string `json:"params"` // the first names the target
	Target    string   `json:"target"` // address, host, hosts, account, zone or domain
	Risk      string   `json:"risk"`
	Undo      bool     `json:"undo"`
	Disrupts  string   `json:"disrupts,omitempty"`
	LatencyNS int64    `json:"latency_ns"` // median time to take effect
	Failure   float64  `json:"failure"`    // share of attempts that fail
}

// Kinds are the kinds of action that a defender from outside may decide on: all but those that
// are steps of restoration, for which there is undo.
func Kinds() []Kind {
	var kinds []Kind
	for _, k := range action.Kinds() {
		if s := action.Must(k); k != action.ReleaseContainment {
			kinds = append(kinds, Kind{string(k), s.ParamNames(), string(s.Target), string(s.Risk), s.Undo,
				string(s.Disrupts), int64(s.Latency.Median), s.Failure + s.Silent})
		}
	}
	return kinds
}

func shownAlert(a *defenders.RaisedAlert) Alert {
	return Alert{
		ID: a.ID, Time: int64(a.Enriched), Detector: a.Detector, RuleID: a.RuleID, Title: a.Title, Techniques: orEmpty(a.Techniques),
		Severity: a.Severity.String(), Confidence: a.Confidence, Incident: a.Incident, Dismissed: a.IsDismissed(),
		Sightings: len(a.Enrichment.Sightings), Host: a.Host, Zone: a.Zone, User: a.User, SourceIP: a.SourceIP,
		Destination: a.Destination, Domain: a.Domain, ProcessID: a.ProcessID, FileHash: a.FileHash,
	}
}

func shownIncident(in *incident.Incident) Incident {
	return Incident{
		ID: in.ID, Status: "open", First: int64(in.First), Last: int64(in.Last), Alerts: in.Count, Severity: in.Severity.String(),
		Score: in.Score, Hosts: orEmpty(in.Hosts), Accounts: orEmpty(in.Accounts), Sources: orEmpty(in.Sources),
		Targets: orEmpty(in.Destinations), Techniques: orEmpty(in.Techniques),
	}
}

func shownAction(a *response.ActionRecord, decision int, inForce bool) Action {
	return Action{
		ID: a.ID, Kind: string(a.Request.Kind), Params: a.Request.Params(), Target: a.Target, By: a.Playbook, Decision: decision,
		Incident: a.Incident, Status: string(a.Status), Detail: a.Detail, Asked: int64(a.Asked), Ended: nanoseconds(a.Ended),
		Undone: nanoseconds(a.Undone), InForce: inForce, Disruption: a.Predicted,
	}
}

func shownApproval(a *response.ApprovalRecord, decision int) Approval {
	return Approval{
		ID: a.ID, Kind: string(a.Kind), Target: a.Target, By: a.Playbook, Decision: decision, Incident: a.Incident, Role: a.Approver,
		Outcome: string(a.Outcome), Asked: int64(a.Asked), Closed: nanoseconds(a.Closed),
	}
}

func nanoseconds(d *time.Duration) *int64 {
	if d == nil {
		return nil
	}
	n := int64(*d)
	return &n
}

// orEmpty makes of no list an empty one, which JSON writes as [].
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
