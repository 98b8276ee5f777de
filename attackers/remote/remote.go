// Package remote is the place of an attacker who is directed by a program outside: what they see
// (Observation) and may choose (Decision). An attacker sees what an attacker knows: their
// footholds, what they have found and stolen, and how their own steps ended. What the defence does
// they learn by what no longer works.
package remote

import (
	"fmt"
	"time"

	"hemostat/attackers"
	"hemostat/sim/record"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// Decision is what a program decides for an attacker: a technique, a wait, or to give up.
type Decision struct {
	Technique  string `json:"technique,omitempty"`
	Tool       string `json:"tool,omitempty"`
	Target     string `json:"target,omitempty"` // a host that they know
	From       string `json:"from,omitempty"`   // a host that they can use
	Wait       int64  `json:"wait_ns,omitempty"`
	NewAddress bool   `json:"new_address,omitempty"`
	GiveUp     bool   `json:"give_up,omitempty"`
}

// Outcome tells whether the last decision was accepted.
type Outcome struct {
	Accepted bool   `json:"accepted"`
	Error    string `json:"error,omitempty"`
}

// Observation is what an attacker knows. Steps are those that have ended since the last one.
type Observation struct {
	Now          int64        `json:"now_ns"`
	Attacker     string       `json:"attacker"`
	Due          bool         `json:"due"` // a decision is due; otherwise a step goes on
	Goal         string       `json:"goal"`
	Progress     float64      `json:"progress"` // of the goal, 0 to 1
	Ended        bool         `json:"ended"`
	EndReason    string       `json:"end_reason,omitempty"`
	Footholds    []Foothold   `json:"footholds"`
	Known        []Host       `json:"known"`
	Credentials  []Credential `json:"credentials"`
	Persistent   []string     `json:"persistent"` // hosts on which a program of theirs starts by itself
	Cloud        int          `json:"cloud_accounts"`
	Staged       uint64       `json:"staged_bytes"`
	Exfiltrated  uint64       `json:"exfiltrated_bytes"`
	Encrypted    int          `json:"encrypted_hosts"`
	Destroyed    int          `json:"destroyed_hosts"`
	Mining       int          `json:"mining_hosts"`
	AddressesNew int          `json:"addresses_left"`
	Steps        []Step       `json:"steps"`
	Techniques   []string     `json:"techniques"` // that can be used now
	Outcome      *Outcome     `json:"outcome,omitempty"`
}

// Foothold is a host on which the attacker has worked.
type Foothold struct {
	Host     string `json:"host"`
	Account  string `json:"account,omitempty"`
	Elevated bool   `json:"elevated"`
	Usable   bool   `json:"usable"`
}

// Host is a host that the attacker has found.
type Host struct {
	Name    string `json:"name"`
	IP      string `json:"ip"`
	Role    string `json:"role"` // as it looks; a decoy looks like what it pretends to be
	Windows bool   `json:"windows"`
}

// Credential is a stolen one.
type Credential struct {
	Account   string `json:"account"`
	Privilege string `json:"privilege"`
	Hash      bool   `json:"hash"`    // usable over NTLM only
	Refused   bool   `json:"refused"` // it was tried and no longer works
}

// Step is a step that has ended.
type Step struct {
	Step      int    `json:"step"`
	Technique string `json:"technique"`
	Tool      string `json:"tool"`
	Host      string `json:"host,omitempty"`
	Target    string `json:"target,omitempty"`
	Started   int64  `json:"started_ns"`
	Ended     int64  `json:"ended_ns"`
	Succeeded bool   `json:"succeeded"`
	Note      string `json:"note"`
}

// Technique is one that an attacker knows how to use.
type Technique struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Tactic string   `json:"tactic"`
	Needs  string   `json:"needs"`
	Effect string   `json:"effect"`
	Tools  []string `json:"tools"` // the first is the loudest
	Takes  string   `json:"takes"` // distribution of its time, before skill
}

// Seat is the place of a program at one attacker.
type Seat struct {
	agent   *attackers.Agent
	name    string
	shown   int // steps that were shown
	outcome *Outcome
}

// NewSeat makes the seat at an attacker with a name.
func NewSeat(name string, a *attackers.Agent) *Seat { return &Seat{agent: a, name: name} }

// IsDue tells whether a decision is due.
func (s *Seat) IsDue() bool { return s.agent.IsAsking() }

// Techniques are what the attacker knows how to use.
func (s *Seat) Techniques() []Technique {
	var list []Technique
	for _, t := range s.agent.Library().All() {
		list = append(list, Technique{t.ID, t.Name, t.Tactic, t.Needs, t.Effect, orEmpty(t.Tools), t.Takes.String()})
	}
	return list
}

// Decide carries a decision out. What is impossible becomes the outcome of the next observation,
// and the decision stays due.
func (s *Seat) Decide(now time.Duration, d *Decision) {
	err := fmt.Errorf("wait_ns is %d, and time does not run backwards", d.Wait)
	if d.Wait >= 0 {
		err = s.agent.Choose(now, attackers.Choice{Technique: d.Technique, Tool: d.Tool, Target: d.Target, From: d.From,
			Wait: time.Duration(d.Wait), NewAddress: d.NewAddress, GiveUp: d.GiveUp})
	}
	s.outcome = &Outcome{Accepted: err == nil}
	if err != nil {
		s.outcome.Error = err.Error()
	}
}

// Observe says what the attacker knows now.
func (s *Seat) Observe(now time.Duration) *Observation {
	x := s.agent.State()
	o := &Observation{
		Now: int64(now), Attacker: s.name, Due: s.IsDue(), Goal: s.agent.Goal(), Progress: s.agent.Progress(), Ended: s.agent.Done(),
		EndReason: s.agent.EndReason, Footholds: []Foothold{}, Known: []Host{}, Credentials: []Credential{}, Persistent: []string{},
		Cloud: x.CloudAccounts(), Staged: x.Staged, Exfiltrated: x.Exfiltrated, Encrypted: len(x.Encrypted), Destroyed: len(x.Destroyed),
		Mining: len(x.Mining), AddressesNew: len(x.Addresses) - 1 - x.Address, Steps: []Step{}, Techniques: []string{}, Outcome: s.outcome,
	}
	s.outcome = nil
	for _, f := range x.Footholds {
		shown := Foothold{Host: f.Host.Name, Elevated: f.Elevated, Usable: x.Usable(f).OK()}
		if f.Account != nil {
			shown.Account = f.Account.Name
		}
		o.Footholds = append(o.Footholds, shown)
	}
	for _, h := range x.Known {
		if h.Role == role.RetiredDecoy { // it answers no more
			continue
		}
		o.Known = append(o.Known, Host{h.Name, h.IP, looksLike(h), h.Windows()})
	}
	for _, c := range x.Credentials {
		o.Credentials = append(o.Credentials, Credential{c.Account.Name, c.Account.Privilege.String(), c.Hash, c.Refused})
	}
	for _, h := range x.PersistentHosts() {
		o.Persistent = append(o.Persistent, h.Name)
	}
	if o.Due {
		for _, t := range s.agent.Library().All() {
			if t.Ready(x) == nil {
				o.Techniques = append(o.Techniques, t.ID)
			}
		}
	}
	ended := s.agent.Steps
	if !o.Due && !o.Ended && len(ended) > 0 {
		ended = ended[:len(ended)-1] // it goes on
	}
	for _, step := range ended[min(s.shown, len(ended)):] {
		o.Steps = append(o.Steps, shownStep(&step))
	}
	s.shown = len(ended)
	return o
}

func shownStep(s *record.Step) Step {
	return Step{s.Step, s.Technique, s.Tool, s.Host, s.Target, s.Started, s.Ended, s.Succeeded, s.Reason}
}

// looksLike is the role of a host as it looks from outside: a decoy looks like a file server or,
// where it runs no Windows, an application server.
func looksLike(h *world.Host) string {
	switch {
	case !h.Decoy:
		return string(h.Role)
	case h.Windows():
		return string(role.FileServer)
	}
	return string(role.AppServer)
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
