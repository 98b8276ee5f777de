package world

import (
	"slices"
	"strings"
	"time"

	"hemostat/sim/role"
)

// Refusal says why an operation failed. The zero Refusal means it did not.
type Refusal struct {
	// Reason is a word for reports, such as host_isolated.
	Reason string
	// Action is the defence's action that caused it, or 0 when the estate itself
	// does not allow the operation.
	Action uint64
	// Since is when that action took effect.
	Since time.Duration
}

// OK tells whether the operation went through.
func (r Refusal) OK() bool { return r.Reason == "" }

// ByDefence tells whether an action of the defence caused the refusal.
func (r Refusal) ByDefence() bool { return r.Action != 0 }

func refusedBy(reason string, e *effect) Refusal {
	return Refusal{Reason: reason, Action: e.action, Since: e.since}
}

// Endpoint is one end of a connection: a host of the estate or an address
// outside it.
type Endpoint struct {
	Host    *Host
	Address string // used when Host is nil
	Domain  string // name by which an outside address was asked for, if any
}

// At is the endpoint of a host.
func At(h *Host) Endpoint { return Endpoint{Host: h} }

// Outside is the endpoint of an address outside the estate.
func Outside(address string) Endpoint { return Endpoint{Address: address} }

// IP is the endpoint's address.
func (e Endpoint) IP() string {
	if e.Host != nil {
		return e.Host.IP
	}
	return e.Address
}

func (e Endpoint) zoneIndex() int {
	if e.Host != nil {
		return e.Host.Zone.Index
	}
	return internetIndex
}

// Reach tells whether a connection from one endpoint to a port of another goes
// through now: flows between zones, and what the defence has isolated or
// blocked.
func (w *World) Reach(from, to Endpoint, port int) Refusal {
	if r := w.Permitted(from, to, port); !r.OK() {
		return r
	}
	for _, e := range [2]Endpoint{from, to} {
		if e.Host == nil {
			continue
		}
		if e.Host.isolated != nil {
			return refusedBy("host_isolated", e.Host.isolated)
		}
		if z := e.Host.Zone; z.isolated != nil && from.zoneIndex() != to.zoneIndex() {
			return refusedBy("zone_isolated", z.isolated)
		}
	}
	for _, e := range [2]Endpoint{from, to} {
		if b := w.addresses[e.IP()]; b != nil {
			return refusedBy("address_blocked", b)
		}
	}
	if to.Host == nil && from.Host != nil && from.Host.egress != nil {
		if d := from.Host.egress.target; d == "" || d == to.Address || d == to.Domain {
			return refusedBy("egress_blocked", from.Host.egress)
		}
	}
	if to.Domain != "" {
		if s := w.sinkholed(to.Domain); s != nil {
			return refusedBy("domain_sinkholed", s)
		}
	}
	return Refusal{}
}

// sinkholed is the effect that covers a name: it, or a name above it.
func (w *World) sinkholed(name string) *effect {
	for len(w.sinkholes) > 0 && name != "" {
		if s := w.sinkholes[name]; s != nil {
			return s
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return nil
}

// Permitted tells whether the estate's own flows allow a connection, whatever
// the defence has done since.
func (w *World) Permitted(from, to Endpoint, port int) Refusal {
	if from.zoneIndex() == to.zoneIndex() {
		return Refusal{}
	}
	if !w.allowed[flowKey{from.zoneIndex(), to.zoneIndex()}].has(port) {
		return Refusal{Reason: "no_route"}
	}
	return Refusal{}
}

// Throttle is the factor by which work between two endpoints takes longer while
// their zones are shaped; 1 when they are not. The action is the first shaping
// found.
func (w *World) Throttle(from, to Endpoint) (factor float64, action uint64) {
	factor = 1
	for _, e := range [2]Endpoint{from, to} {
		if e.Host == nil {
			continue
		}
		if z := e.Host.Zone; z.shaped != nil && z.shapedTo > 0 {
			factor /= z.shapedTo
			if action == 0 {
				action = z.shaped.action
			}
		}
	}
	return factor, action
}

// RateLimit is the least time between two attempts from an address, 0 when it is
// not limited, and the action that limits it.
func (w *World) RateLimit(address string) (time.Duration, uint64) {
	l, ok := w.limits[address]
	if !ok {
		return 0, 0
	}
	return l.interval, l.effect.action
}

// MayLogOn tells whether a credential of this generation still works.
func (w *World) MayLogOn(a *Account, generation int) Refusal {
	if a.revoked != nil {
		return refusedBy("account_revoked", a.revoked)
	}
	if generation != a.Generation {
		return Refusal{Reason: "credential_rotated", Action: w.rotatedBy(a)}
	}
	return Refusal{}
}

// Administers tells whether an account has administrator rights on a host.
func (w *World) Administers(a *Account, h *Host) bool {
	if a == nil {
		return false
	}
	switch a.Privilege {
	case DomainAdmin:
		return true
	case ServerAdmin, Service:
		return slices.Contains(a.LogsOnTo, h.Role) && h.Role != role.DomainController
	}
	return false
}

// MayUse tells whether an account may log on to a host at all.
func (w *World) MayUse(a *Account, h *Host) bool {
	return a != nil && (a.Home == h || w.Administers(a, h) || slices.Contains(a.LogsOnTo, h.Role))
}
