package world

import (
	"slices"
	"time"

	"hemostat/sim/action"

	"hemostat/sim/event"
)

const decoyChannel = event.ChannelDecoy

// AttackerAssets is what the attackers own or have taken, in truth. Reports use it to
// tell a justified action from one on the innocent; defenders never see it.
type AttackerAssets struct {
	hosts, accounts, addresses map[string]bool
}

// MarkHost notes that an attacker has been on a host.
func (t *AttackerAssets) MarkHost(name string) { mark(&t.hosts, name) }

// MarkAccount notes that an attacker holds an account's credential.
func (t *AttackerAssets) MarkAccount(name string) { mark(&t.accounts, name) }

// MarkAddress notes an address or domain of an attacker's infrastructure.
func (t *AttackerAssets) MarkAddress(address string) { mark(&t.addresses, address) }

func mark(set *map[string]bool, name string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[name] = true
}

// IsJustified tells whether an action is justified in truth, by what its kind declares.
func (t *AttackerAssets) IsJustified(w *World, r action.Request) bool {
	switch action.Must(r.Kind).Justified {
	case action.Always:
		return true
	case action.IfExists:
		return w.Host(r.Target.Value) != nil
	case action.IfClean:
		return !slices.ContainsFunc(r.HostNames(), func(name string) bool {
			h := w.Host(name)
			return h != nil && h.hasImplant()
		})
	}
	return t.owns(w, r.Target)
}

// owns tells whether a target is something of the attackers'. A kind of target that is
// not known here is not.
func (t *AttackerAssets) owns(w *World, target action.Target) bool {
	switch target.Kind {
	case action.Host:
		h := w.Host(target.Value)
		return h != nil && t.hosts[h.Name]
	case action.Account:
		who := w.account(target.Value)
		return who != nil && t.accounts[who.Name]
	case action.Address:
		h := w.Host(target.Value)
		return t.addresses[target.Value] || h != nil && t.hosts[h.Name]
	case action.Domain:
		return t.addresses[target.Value]
	case action.Zone:
		return slices.ContainsFunc(
			w.Hosts,
			func(h *Host) bool { return h.Zone.Name == target.Value && t.hosts[h.Name] },
		)
	}
	return false
}

// Plant starts an attacker's program on a host and returns its handle.
func (w *World) Plant(now time.Duration, a *Actor, s Start) *Implant {
	i := &Implant{Host: s.Host, Attack: a.Label.Attack}
	i.Process = w.StartProcess(now, a, s)
	i.Elevated = i.Process.Integrity == "High" || i.Process.Integrity == "System"
	s.Host.Implants = append(s.Host.Implants, i)
	return i
}

// CheckImplant tells whether an implant can still be used: it runs, its host is up and
// can talk to the outside.
func (w *World) CheckImplant(i *Implant) Refusal {
	switch {
	case i.killed != nil:
		return refusedBy("process_killed", i.killed)
	case i.Host.isolated != nil:
		return refusedBy("host_isolated", i.Host.isolated)
	}
	return Refusal{}
}

// rotations remembers which action last replaced an account's credential.
func (w *World) rotations(who *Account, e *effect) {
	if w.rotated == nil {
		w.rotated = map[int]*effect{}
	}
	w.rotated[who.Index] = e
}

// Rotated is the action that last replaced an account's credential, or 0.
func (w *World) Rotated(who *Account) uint64 { return w.rotatedBy(who) }

func (w *World) rotatedBy(who *Account) uint64 {
	if e := w.rotated[who.Index]; e != nil {
		return e.action
	}
	return 0
}

// HitDecoy is the refusal that a decoy amounts to: time wasted by the action that
// put it there.
func (w *World) HitDecoy(h *Host) Refusal {
	if h.honeypot == nil {
		return Refusal{Reason: "decoy"}
	}
	return refusedBy("decoy", h.honeypot)
}
