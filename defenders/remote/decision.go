package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"hemostat/sim/action"
	"hemostat/sim/suggest"
)

// MostDecisions bounds the decisions of one answer; those beyond are refused.
const MostDecisions = 64

// longestTTL bounds for how long an action may be asked for.
const longestTTL = 30 * 24 * time.Hour

// Decision is one thing that a defender decides: an action of a kind with its parameters, or
// the undoing of one that is in force.
type Decision struct {
	Kind   action.Kind      `json:"kind,omitempty"`
	Params map[string]Value `json:"params,omitempty"`
	// Incident is the one that the action belongs to. When absent it is the newest open one that
	// names the target, or none.
	Incident int `json:"incident,omitempty"`
	// TTL is for how long the action stays in force, in nanoseconds; until it is undone when 0.
	TTL  int64  `json:"ttl_ns,omitempty"`
	Undo *int64 `json:"undo,omitempty"` // number of an action
}

// Outcome tells whether a decision was accepted. What was accepted may still wait for a person,
// fail, or turn out to be in place already; the observations after tell.
type Outcome struct {
	Accepted bool `json:"accepted"`
	// Decision is the number by which actions and approval requests name it.
	Decision int    `json:"decision,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Value is a parameter: text, a number, or a list of texts.
type Value string

// UnmarshalJSON takes a text, a number, or a list of texts, which become one with commas.
func (v *Value) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case len(data) > 0 && data[0] == '"':
		return json.Unmarshal(data, (*string)(v))
	case len(data) > 0 && data[0] == '[':
		var list []string
		if err := json.Unmarshal(data, &list); err != nil {
			return errors.New("a list of texts is expected")
		}
		*v = Value(strings.Join(list, ","))
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return fmt.Errorf("a text, a number or a list of texts is expected, not %.40s", data)
	}
	*v = Value(n)
	return nil
}

// request checks a decision against what there is, and makes a request of it.
func (s *Seat) request(d *Decision) (action.Request, error) {
	if d.Kind == action.ReleaseContainment {
		return action.Request{}, errors.New("release_containment is a step of restoration: undo the actions instead")
	}
	if _, ok := action.Find(d.Kind); !ok {
		var kinds []string
		for _, k := range Kinds() {
			kinds = append(kinds, k.Kind)
		}
		return action.Request{}, fmt.Errorf("there is no action %q%s", d.Kind, suggest.For(string(d.Kind), kinds))
	}
	spec := action.Must(d.Kind)
	params := make(map[string]string, len(d.Params))
	for name, v := range d.Params {
		if err := spec.CheckParam(name, string(v)); err != nil {
			return action.Request{}, err
		}
		params[name] = string(v)
	}
	r, err := action.Parse(d.Kind, params)
	if err != nil {
		return r, err
	}
	if d.TTL < 0 || time.Duration(d.TTL) > longestTTL {
		return r, fmt.Errorf("ttl_ns is %d; 0 to %d are accepted", d.TTL, int64(longestTTL))
	}
	return r, s.checkTarget(&r)
}

// checkTarget tells what is wrong with what an action is aimed at.
func (s *Seat) checkTarget(r *action.Request) error {
	name := r.Target.Value
	switch r.Target.Kind {
	case action.Host:
		return s.checkHost(name)
	case action.Hosts:
		for _, h := range r.HostNames() {
			if err := s.checkHost(h); err != nil {
				return err
			}
		}
	case action.Account:
		if s.estate.Account(name) == nil {
			return fmt.Errorf("there is no account %q", name)
		}
	case action.Zone:
		if s.estate.ZoneWorth(name) == 0 {
			return fmt.Errorf("there is no zone %q%s", name, suggest.For(name, s.estate.Zones()))
		}
	case action.Address:
		if _, err := netip.ParseAddr(name); err != nil {
			return fmt.Errorf("%q is no address", name)
		}
	}
	return nil
}

func (s *Seat) checkHost(name string) error {
	if s.estate.Host(name) == nil {
		return fmt.Errorf("there is no host %q", name)
	}
	return nil
}
