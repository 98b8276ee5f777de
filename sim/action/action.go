// Package action is the vocabulary of what a defence does to an estate: each kind of
// action is declared once, in specs.go, with its parameters, risk, disruption,
// latency, failure, undo, observation, counterparts in other vocabularies and price.
// The response reads the declaration to decide, the world registers an effect for
// each kind, measurement prices it. The package holds no state.
//
// A request is parsed once, by Parse, when a playbook's step has its values; past
// that nobody handles parameters by name.
package action

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind names a kind of action.
type Kind string

// Risk says how much harm a needless action does.
type Risk string

// The risks in ascending order.
const (
	Low    Risk = "low"
	Medium Risk = "medium"
	High   Risk = "high"
)

// Rank is the place in the order of risks; -1 for none of them.
func (r Risk) Rank() int { return slices.Index([]Risk{Low, Medium, High}, r) }

// Status is how a step of a playbook or an action ended.
type Status string

// The statuses.
const (
	Pending     Status = "pending" // it has not ended
	Succeeded   Status = "succeeded"
	Failed      Status = "failed"
	Skipped     Status = "skipped"   // its condition does not hold, or the run was stopped
	Denied      Status = "denied"    // a person said no
	TimedOut    Status = "timed_out" // nobody answered in time
	DryRun      Status = "dry_run"   // nothing was done, as asked
	Limited     Status = "limited"   // a limit of the playbook stopped it
	Compensated Status = "compensated"
	Partial     Status = "partial" // of a run: a step was denied, limited or not answered
)

// IsGood tells whether what was wanted was done, or would have been.
func (s Status) IsGood() bool { return s == Succeeded || s == DryRun }

// Disruption is whose ordinary work an action stops while it is in force.
type Disruption string

// The classes of disruption.
const (
	NoDisruption  Disruption = ""
	AccountWork   Disruption = "account"
	EgressTraffic Disruption = "egress"
	HostWork      Disruption = "host"
	ZoneTraffic   Disruption = "zone"
)

// ReleaseOrder is the order in which restoration releases what is in force: the least
// disruptive first.
var ReleaseOrder = [][]Disruption{{NoDisruption}, {AccountWork, EgressTraffic}, {HostWork}, {ZoneTraffic}}

// TargetKind is what an action is done to.
type TargetKind string

// The kinds of target.
const (
	NoTarget TargetKind = "" // nothing of the estate, such as a message
	Address  TargetKind = "address"
	Host     TargetKind = "host"
	Hosts    TargetKind = "hosts" // several, joined by commas
	Account  TargetKind = "account"
	Zone     TargetKind = "zone"
	Domain   TargetKind = "domain"
)

// Target is what one action is done to.
type Target struct {
	Kind  TargetKind
	Value string
}

// Justification is what makes an action justified in truth. What is not declared is
// held against its target.
type Justification uint8

// The justifications.
const (
	ByTarget Justification = iota // the target is something of the attackers'
	Always                        // nobody can be hit by it
	IfExists                      // the target exists: a decoy beside it hits nobody
	IfClean                       // nothing of an attacker runs on the targets any more
)

// OpenC2 is the pair of action and target type of an OpenC2 command (OASIS
// OpenC2 Language Specification 1.0, sections 3.3.1 and 3.4.1).
type OpenC2 struct{ Action, Target string }

// Latency is a log-normal time from the request to the effect; without a sigma it is
// fixed.
type Latency struct {
	Median time.Duration
	Sigma  float64
}

// Spec is all that is known of a kind of action without knowing the world.
type Spec struct {
	Kind   Kind
	Target TargetKind
	// Params are the parameters of a playbook's step; the first names the target.
	Params   []Param
	Risk     Risk
	Disrupts Disruption
	Undo     bool // it can be undone
	// Evidence actions read a host that the actions that Destroy would wipe.
	Evidence, Destroys bool
	// Observed is what verify observes; "" when there is nothing to see.
	Observed  string
	Justified Justification

	Latency    Latency
	Failure    float64 // share of attempts that fail and say so
	Silent     float64 // share that are reported done and have no effect
	NeedsAgent bool    // it works through the endpoint agent of its host

	// Rework is charged to the owner of a host whose work is lost by it.
	Rework bool
	// ChargedInFull is disruption that the innocent share, whatever the target.
	ChargedInFull bool

	D3FEND string // counterpart in MITRE D3FEND 1.2, or "" where it has none by name
	OpenC2 OpenC2
}

// Param is a parameter of a kind of action.
type Param struct {
	Name string
	// set takes a value into a request, or tells what is wrong with it.
	set func(*Request, string) error
	// get is what set takes; "" for what is not given.
	get func(*Request) string
}

func number(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// Params are the parameters of a request by name, as Parse takes them.
func (r *Request) Params() map[string]string {
	m := map[string]string{}
	for _, p := range Must(r.Kind).Params {
		if v := p.get(r); v != "" {
			m[p.Name] = v
		}
	}
	return m
}

// ParamNames lists the names of a kind's parameters, the target's first.
func (s *Spec) ParamNames() []string {
	names := make([]string, len(s.Params))
	for i, p := range s.Params {
		names[i] = p.Name
	}
	return names
}

// Request is an action to carry out, with typed parameters. What a kind does not take
// is zero.
type Request struct {
	Kind   Kind
	Target Target

	Rate        float64  // attempts a second that are left
	Kbps        float64  // kilobits a second that a conversation is left with
	Count       int      // of decoys
	Seconds     float64  // of a capture
	Destination string   // outside address that is blocked; "" for all
	ProcessID   string   // decimal or 0x…; "" for every suspicious process
	FileHash    string   // SHA-256
	Service     string   // that a decoy offers
	Allow, Keep []string // what an isolation leaves reachable
	Severity    string   // of a message
}

// Key names what a request does to what: requests of one key have one effect.
func (r Request) Key() string {
	key := string(r.Kind) + " " + r.Target.Value
	if r.Destination != "" {
		key += " " + r.Destination
	}
	return key
}

// HostNames are the hosts of a target of several.
func (r Request) HostNames() []string { return splitList(r.Target.Value) }

// Parse makes a request of the parameters of a playbook's step. Every fault is named
// with its parameter.
func Parse(kind Kind, params map[string]string) (Request, error) {
	spec, ok := Find(kind)
	if !ok {
		return Request{}, fmt.Errorf("unknown action %q", kind)
	}
	r := Request{Kind: kind, Target: Target{Kind: spec.Target}}
	for _, p := range spec.Params {
		value, given := params[p.Name]
		if !given {
			continue
		}
		if err := p.set(&r, value); err != nil {
			return Request{}, fmt.Errorf("%s of %s: %w", p.Name, kind, err)
		}
	}
	if r.Target.Value == "" {
		return Request{}, fmt.Errorf("%s needs the parameter %s", kind, spec.Params[0].Name)
	}
	return r, nil
}

// CheckParam tells whether a value is one that a parameter takes.
func (s *Spec) CheckParam(name, value string) error {
	for _, p := range s.Params {
		if p.Name == name {
			return p.set(&Request{}, value)
		}
	}
	return fmt.Errorf("%s takes no parameter %q; accepted: %s", s.Kind, name, strings.Join(s.ParamNames(), ", "))
}

func splitList(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// The kinds of parameter.

func target(name string) Param {
	return Param{name, func(r *Request, v string) error {
		if r.Target.Value = v; v == "" {
			return fmt.Errorf("it is empty")
		}
		return nil
	}, func(r *Request) string { return r.Target.Value }}
}

func text(name string, field func(*Request) *string) Param {
	return Param{name, func(r *Request, v string) error {
		*field(r) = v
		return nil
	}, func(r *Request) string { return *field(r) }}
}

func list(name string, field func(*Request) *[]string) Param {
	return Param{name, func(r *Request, v string) error {
		*field(r) = splitList(v)
		return nil
	}, func(r *Request) string { return strings.Join(*field(r), ",") }}
}

// positive is a number above 0 and at most the greatest one.
func positive(name string, greatest float64, field func(*Request) *float64) Param {
	return Param{name, func(r *Request, v string) error {
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || !(n > 0) || n > greatest {
			return fmt.Errorf("a number above 0 and at most %g is expected, not %q", greatest, v)
		}
		*field(r) = n
		return nil
	}, func(r *Request) string { return number(*field(r)) }}
}

// process is the number of a process.
func process(name string, field func(*Request) *string) Param {
	return Param{name, func(r *Request, v string) error {
		if _, err := strconv.ParseUint(v, 0, 32); v != "" && err != nil {
			return fmt.Errorf("the number of a process is expected, such as 4711 or 0x1267, not %q", v)
		}
		*field(r) = v
		return nil
	}, func(r *Request) string { return *field(r) }}
}
