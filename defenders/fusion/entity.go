package fusion

import (
	"net/netip"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
)

// resolver learns from events which host had an address when, which account a security
// identifier is, and which identity came from an outside address, so that alerts about one
// thing under several names join. It is for estates whose inventory is not known; where there
// is one, the inventory says it. Memory is bounded.
type resolver struct {
	hosts      *sketch.Map[string, use]    // by address
	accounts   *sketch.Map[string, string] // by security identifier
	identities *sketch.Map[string, use]    // by outside address
}

// use is what an address was used by.
type use struct {
	name  string
	at    time.Duration
	mixed time.Duration // until when others used it too, so that it tells nothing
}

const (
	maxResolved = 100_000
	// lease is for how long an address is held to belong to the host that was last seen with it,
	// session the same for an identity.
	lease   = 24 * time.Hour
	session = 8 * time.Hour
)

func newResolver() *resolver {
	return &resolver{hosts: sketch.NewMap[string, use](maxResolved), accounts: sketch.NewMap[string, string](maxResolved),
		identities: sketch.NewMap[string, use](maxResolved)}
}

// observe learns from an event.
func (r *resolver) observe(e *event.Event) {
	switch {
	case e.Source.Product == "azure" && e.Source.Service == "signinlogs":
		name, _, _ := strings.Cut(e.Value(event.UserPrincipalName), "@")
		address, _ := e.Lookup("ipAddress")
		r.note(r.identities, address, name, e.Time, session)
		return
	case e.Source.Product == "zeek" && e.Source.Service == "dhcp":
		address, _ := e.Lookup("assigned_addr")
		name, _ := e.Lookup("host_name")
		r.note(r.hosts, address, shortHost(name), e.Time, lease)
		return
	case e.Source.Category == "network_connection" && e.Host != "" && e.Value(event.Initiated) == "true":
		r.note(r.hosts, e.Value(event.SourceIp), shortHost(e.Host), e.Time, lease)
	}
	r.learnAccount(e, event.SubjectUserSid, event.SubjectUserName)
	r.learnAccount(e, event.TargetUserSid, event.TargetUserName)
	r.learnAccount(e, event.TargetSid, event.TargetUserName)
}

func (r *resolver) learnAccount(e *event.Event, sid, name event.Field) {
	id := e.Value(sid)
	if !strings.HasPrefix(id, "S-1-5-21-") { // others are the same everywhere
		return
	}
	n := e.Value(name)
	if n == "" || n == "-" || strings.HasPrefix(n, "S-1-") || r.accounts.Get(id) != nil {
		return
	}
	n = strings.Clone(n)
	r.accounts.Put(strings.Clone(id), &n)
}

// note takes in that an address was used by something. One that is used by several within the
// time tells nothing.
func (r *resolver) note(m *sketch.Map[string, use], address, name string, at, within time.Duration) {
	a, err := netip.ParseAddr(address)
	if err != nil || name == "" || a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() {
		return
	}
	u := m.Get(address)
	if u == nil {
		m.Put(strings.Clone(address), &use{name: strings.Clone(name), at: at})
		return
	}
	if u.name != name {
		if m == r.identities && at-u.at < within {
			u.mixed = at + within
		}
		u.name = strings.Clone(name)
	}
	u.at = max(u.at, at)
}

// shortHost is a host's name without its domain.
func shortHost(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}

// usedBy is what used an address at a time; "" where that is not known.
func usedBy(m *sketch.Map[string, use], address string, at, within time.Duration) string {
	u := m.Get(address)
	if u == nil || at < u.mixed || at-u.at > within {
		return ""
	}
	return u.name
}

// resolve fills in the host that an alert came from, and the account that it is about.
func (r *resolver) resolve(a *alert.Alert) {
	if a.Source == "" && a.SourceIP != "" {
		if host := usedBy(r.hosts, a.SourceIP, a.EventTime, lease); host != "" && !strings.EqualFold(host, a.Host) {
			a.Source = host
		}
	}
	if name := r.accounts.Get(a.UserSID); a.User == "" && name != nil {
		a.User = *name
	}
	if a.User == "" && a.SourceIP != "" {
		a.User = usedBy(r.identities, a.SourceIP, a.EventTime, session)
	}
}

// generic are names that exist everywhere, so that they relate nothing.
var generic = map[string]bool{
	"administrator": true, "admin": true, "root": true, "guest": true, "system": true, "user": true, "ubuntu": true,
	"ec2-user": true, "test": true, "nobody": true, "krbtgt": true, "defaultaccount": true, "www-data": true,
}

// isPersonal tells whether a name is likely that of one person or service of an estate whose
// accounts are not known.
func isPersonal(name string) bool {
	return name != "" && name != "-" && !generic[strings.ToLower(name)] && !strings.HasSuffix(name, "$")
}
