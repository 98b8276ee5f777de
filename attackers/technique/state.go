package technique

import (
	"errors"
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// State is what one attacker has and knows.
type State struct {
	World   *world.World
	Actor   *world.Actor
	Hostile *world.AttackerAssets
	Skill   float64 // 0 to 1
	Stealth float64 // 0 to 1

	Addresses []string // source addresses that they own
	Address   int      // the one in use
	Domains   []Domain // command-and-control names
	Domain    int
	Hello     *world.TLSClient // TLS client of their tools
	// PublicCertificate tells that their servers show a certificate of a public authority.
	PublicCertificate bool

	Footholds   []*Foothold
	Credentials []Credential
	Known       []*world.Host // hosts that they have found
	Avoid       map[string]bool
	// Watched are the tools that they believe the defence knows, by technique.
	Watched map[string][]string

	// Rhythm is how their implants call home; nil for the way of each tool.
	Rhythm *Rhythm
	// Annotation is text for a model that reads telemetry; the zero value is none.
	Annotation Annotation

	// AimAt and WorkFrom are the hosts that somebody has chosen for the attempt that goes on; nil
	// for none.
	AimAt, WorkFrom *world.Host

	Cloud []CloudSession

	Staged      uint64 // bytes collected and ready to leave
	Exfiltrated uint64
	Encrypted   []*world.Host
	Destroyed   []*world.Host
	Mining      []*world.Host
	Persisted   []*world.Autostart
	Slowdown    float64 // factor on their own pace, 1 or more
	Care        float64 // factor on the time before each step and between steps, 1 or more
}

// Domain is a name and address of the attacker's infrastructure.
type Domain struct{ Name, Address string }

// Foothold is a host on which the attacker can work.
type Foothold struct {
	Host       *world.Host
	Account    *world.Account
	Generation int
	Implant    *world.Implant // nil for an interactive session from outside
	Address    string         // for such a session, where it comes from
	Via        *Foothold      // the foothold from which this one is steered, if any
	Port       int            // the port that steering uses
	Elevated   bool
	Since      time.Duration
}

// Credential is a stolen password, hash or ticket.
type Credential struct {
	Account    *world.Account
	Generation int
	Hash       bool // usable over NTLM only
	Refused    bool // it was tried and no longer works
}

// Usable tells whether a foothold can be worked from now.
func (s *State) Usable(f *Foothold) world.Refusal {
	if f.Implant == nil {
		return s.World.Reach(world.Outside(f.Address), world.At(f.Host), f.Port)
	}
	if r := s.World.CheckImplant(f.Implant); !r.OK() {
		return r
	}
	direct := s.World.Reach(world.At(f.Host), s.C2(), 443)
	if direct.OK() || f.Via == nil {
		return direct
	}
	if r := s.Usable(f.Via); !r.OK() {
		return r
	}
	return s.World.Reach(world.At(f.Via.Host), world.At(f.Host), f.Port)
}

// C2 is the command-and-control endpoint in use.
func (s *State) C2() world.Endpoint {
	if len(s.Domains) == 0 {
		return world.Outside(s.Addresses[s.Address])
	}
	d := s.Domains[s.Domain]
	return world.Endpoint{Address: d.Address, Domain: d.Name}
}

// MarkBurned counts a tool of a technique as burned from now on; false means that
// nothing else is left, or that it was already.
func (s *State) MarkBurned(t *Technique, tool string) bool {
	if !slices.Contains(t.Tools, tool) || slices.Contains(s.Watched[t.ID], tool) || len(s.Watched[t.ID])+1 >= len(t.Tools) {
		return false
	}
	if s.Watched == nil {
		s.Watched = map[string][]string{}
	}
	s.Watched[t.ID] = append(s.Watched[t.ID], tool)
	return true
}

// quiet is how likely the attacker passes over a louder tool for a quieter one: it
// takes the wish and the skill.
func (s *State) quiet() float64 { return 0.4*s.Stealth + 0.6*s.Skill }

// Issuer is who signed the certificate of the attacker's server: itself, or a public
// authority.
func (s *State) Issuer(to world.Endpoint) string {
	if s.PublicCertificate {
		return "CN=Public CA"
	}
	return "CN=" + to.Domain
}

// source is the outside endpoint in use.
func (s *State) source() world.Endpoint { return world.Outside(s.Addresses[s.Address]) }

// Current is the best foothold that can be worked from, the newest elevated one
// first, or nil.
func (s *State) Current() *Foothold {
	var best *Foothold
	for _, f := range s.Footholds {
		if s.Avoid[f.Host.Name] || !s.Usable(f).OK() {
			continue
		}
		if s.WorkFrom == f.Host {
			return f
		}
		if best == nil || f.Elevated && !best.Elevated || f.Elevated == best.Elevated && f.Since >= best.Since {
			best = f
		}
	}
	return best
}

// Where is a usable foothold on this platform, elevated if asked, or nil.
func (s *State) Where(windows, elevated bool) *Foothold {
	var best *Foothold
	for _, f := range s.Footholds {
		if f.Host.Windows() != windows || elevated && !f.Elevated || s.Avoid[f.Host.Name] || !s.Usable(f).OK() {
			continue
		}
		if s.WorkFrom == f.Host {
			return f
		}
		if best == nil || f.Since >= best.Since {
			best = f
		}
	}
	return best
}

// on tells whether there is a usable foothold on a host.
func (s *State) on(h *world.Host) bool {
	return slices.ContainsFunc(s.Footholds, func(f *Foothold) bool { return f.Host == h && s.Usable(f).OK() })
}

// gain records a foothold on a host.
func (s *State) gain(f *Foothold) {
	s.Footholds = append(s.Footholds, f)
	s.Hostile.MarkHost(f.Host.Name)
	s.learn(f.Host)
}

// PersistentHosts are the hosts whose autostart still works.
func (s *State) PersistentHosts() []*world.Host {
	var hosts []*world.Host
	for _, p := range s.Persisted {
		if s.World.CheckPersistence(p).OK() && !slices.Contains(hosts, p.Host) {
			hosts = append(hosts, p.Host)
		}
	}
	return hosts
}

// Revive lets an attacker's program that starts by itself come up again on a host
// that they have lost, if it can call home. It returns the host, or nil.
func (s *State) Revive(now time.Duration, r sim.Stream) *world.Host {
	for _, h := range s.PersistentHosts() {
		if s.on(h) || !s.World.Reach(world.At(h), s.C2(), 443).OK() {
			continue
		}
		a := &Attempt{State: s, Now: now, Rand: r}
		if h.Windows() {
			a.implant(h, h.Owner, nil, 0, "Medium")
		} else {
			i := s.World.Plant(now, s.Actor, world.Start{Host: h, Binary: world.UnixProgram("/tmp/.agent"), CommandLine: "/tmp/.agent"})
			i.Files = []string{"/tmp/.agent"}
			s.gain(&Foothold{Host: h, Implant: i, Since: now})
		}
		return h
	}
	return nil
}

// learn adds hosts to what the attacker knows.
func (s *State) learn(hosts ...*world.Host) {
	for _, h := range hosts {
		if !slices.Contains(s.Known, h) {
			s.Known = append(s.Known, h)
		}
	}
}

// steal records a credential.
func (s *State) steal(a *world.Account, hash bool) bool {
	s.Hostile.MarkAccount(a.Name)
	for i := range s.Credentials {
		if s.Credentials[i].Account == a {
			fresh := s.Credentials[i].Generation != a.Generation
			s.Credentials[i].Generation, s.Credentials[i].Refused = a.Generation, false
			return fresh
		}
	}
	s.Credentials = append(s.Credentials, Credential{Account: a, Generation: a.Generation, Hash: hash})
	return true
}

// BestPrivilege is the highest privilege among the credentials not yet refused;
// false when there are none.
func (s *State) BestPrivilege() (world.Privilege, bool) {
	best, any := world.User, false
	for _, c := range s.Credentials {
		if !c.Refused {
			best, any = max(best, c.Account.Privilege), true
		}
	}
	return best, any
}

// credentialFor picks a credential that should give administrator rights on a
// host, the most privileged first.
func (s *State) credentialFor(h *world.Host) *Credential {
	var best *Credential
	for i := range s.Credentials {
		c := &s.Credentials[i]
		if c.Refused || !s.World.Administers(c.Account, h) && c.Account.Home != h {
			continue
		}
		if best == nil || c.Account.Privilege > best.Account.Privilege {
			best = c
		}
	}
	return best
}

// pick chooses a host among those they know. Decoys look like any other; a
// skilled operator recognises most of them.
func (s *State) pick(r *sim.Stream, fits func(*world.Host) bool) *world.Host {
	if h := s.AimAt; h != nil && (h.Decoy || fits(h)) {
		return h
	}
	var hosts []*world.Host
	var weights []float64
	for _, h := range s.Known {
		if s.Avoid[h.Name] || h.Role == role.RetiredDecoy || !h.Decoy && !fits(h) {
			continue
		}
		weight := 1.0
		if h.Decoy {
			weight = 1 - 0.9*s.Skill
		}
		hosts = append(hosts, h)
		weights = append(weights, weight)
	}
	if i := sim.PickWeighted(r, weights); i >= 0 {
		return hosts[i]
	}
	return nil
}

var (
	errNoFoothold   = errors.New("no foothold that still works")
	errNoWindows    = errors.New("no foothold on a Windows host that still works")
	errNotElevated  = errors.New("no elevated foothold that still works")
	errNoLinux      = errors.New("no session on a Linux host that still works")
	errNoAdmin      = errors.New("no credential of a domain administrator")
	errNoController = errors.New("no foothold on a domain controller")
	errNoWeb        = errors.New("the estate has no web server")
	errNothingKnown = errors.New("no hosts discovered yet")
	errNothingToUse = errors.New("no credential that fits a known host")
	errNothingTaken = errors.New("no data collected yet")
	errNoData       = errors.New("no data store that they may read")
)

func needFoothold(s *State) error {
	if s.Current() == nil {
		return errNoFoothold
	}
	return nil
}

func needWindows(s *State) error {
	if s.Where(true, false) == nil {
		return errNoWindows
	}
	return nil
}

func needElevated(s *State) error {
	if s.Where(true, true) == nil {
		return errNotElevated
	}
	return nil
}

func needLinux(s *State) error {
	if s.Where(false, false) == nil {
		return errNoLinux
	}
	return nil
}
