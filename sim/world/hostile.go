package world

import (
	"strings"
	"time"

	"hemostat/sim/event"
)

const decoyChannel = event.ChannelDecoy

// Hostile is what the attackers own or have taken, in truth. Reports use it to
// tell a justified action from one on the innocent; defenders never see it.
type Hostile struct {
	hosts, accounts, addresses map[string]bool
}

// MarkHost notes that an attacker has been on a host.
func (t *Hostile) MarkHost(name string) { mark(&t.hosts, name) }

// MarkAccount notes that an attacker holds an account's credential.
func (t *Hostile) MarkAccount(name string) { mark(&t.accounts, name) }

// MarkAddress notes an address or domain of an attacker's infrastructure.
func (t *Hostile) MarkAddress(address string) { mark(&t.addresses, address) }

func mark(set *map[string]bool, name string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[name] = true
}

// Justified tells whether an action was aimed at something of the attackers'.
func (t *Hostile) Justified(w *World, a Action) bool {
	if a.Kind == "release_containment" { // when nothing of the intruder runs there any more
		for _, name := range strings.Split(a.Params["hosts"], ",") {
			if h := w.Host(name); h != nil && h.HasImplant() {
				return false
			}
		}
		return true
	}
	for _, key := range []string{"host", "near"} {
		if name := a.Params[key]; name != "" {
			h := w.Host(name)
			return h != nil && (t.hosts[h.Name] || key == "near")
		}
	}
	if user := a.Params["user"]; user != "" {
		who := w.Account(user)
		return who != nil && t.accounts[who.Name]
	}
	if source := a.Params["source_ip"]; source != "" {
		h := w.Host(source)
		return t.addresses[source] || h != nil && t.hosts[h.Name]
	}
	if domain := a.Params["domain"]; domain != "" {
		return t.addresses[domain]
	}
	if name := a.Params["zone"]; name != "" {
		for _, h := range w.Hosts {
			if h.Zone.Name == name && t.hosts[h.Name] {
				return true
			}
		}
		return false
	}
	return true // nothing was aimed at
}

// Plant starts an attacker's program on a host and returns its handle.
func (w *World) Plant(now time.Duration, a *Actor, s Start) *Implant {
	i := &Implant{Host: s.Host, Attack: a.Label.Attack}
	i.Process = w.StartProcess(now, a, s)
	i.Elevated = i.Process.Integrity == "High" || i.Process.Integrity == "System"
	s.Host.Implants = append(s.Host.Implants, i)
	return i
}

// Works tells whether an implant can still be used: it runs, its host is up and
// can talk to the outside.
func (w *World) Works(i *Implant) Refusal {
	switch {
	case i.killed != nil:
		return refusedBy("process_killed", i.killed)
	case i.Host.isolated != nil:
		return refusedBy("host_isolated", i.Host.isolated)
	}
	return Refusal{}
}

// Retire marks an implant as ended by its owner.
func (w *World) Retire(i *Implant) {
	if i.killed == nil {
		i.killed = &effect{}
	}
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

// Decoyed is the refusal that a decoy amounts to: time wasted by the action that
// put it there.
func (w *World) Decoyed(h *Host) Refusal {
	if h.honeypot == nil {
		return Refusal{Reason: "decoy"}
	}
	return refusedBy("decoy", h.honeypot)
}
