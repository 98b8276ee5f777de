package world

import (
	"strings"
	"time"
)

// CreateUser is an account created on a host, on a domain controller in the domain: 4720,
// 4722, 4724 and 4738, as Windows writes them for `net user NAME PASSWORD /add`.
func (w *World) CreateUser(now time.Duration, a *Actor, h *Host, by *Account, name string) {
	target := w.target(h, name)
	w.LogBy(now, a, h, by, "Security 4720", append(target, "SamAccountName", name,
		"UserPrincipalName", w.arena.Join(name, "@", w.Domain))...)
	w.LogBy(now, a, h, by, "Security 4722", target...)
	w.LogBy(now, a, h, by, "Security 4738", append(target, "SamAccountName", name)...)
	w.LogBy(now, a, h, by, "Security 4724", target...)
	w.member(now, a, h, by, name, "4728", "Domain Users", w.arena.Join(w.domainSID, "-513"))
}

// deleteUser is an account removed (4726).
func (w *World) deleteUser(now time.Duration, a *Actor, h *Host, by *Account, name string) {
	w.LogBy(now, a, h, by, "Security 4726", w.target(h, name)...)
}

// ChangeUser is an account changed (4738), with the fields that change.
func (w *World) ChangeUser(now time.Duration, a *Actor, h *Host, by *Account, name string, changes ...string) {
	w.LogBy(now, a, h, by, "Security 4738", append(w.target(h, name), changes...)...)
}

// SetPassword is a password set by somebody else (4724, 4738).
func (w *World) SetPassword(now time.Duration, a *Actor, h *Host, by *Account, name string) {
	w.LogBy(now, a, h, by, "Security 4724", w.target(h, name)...)
	w.ChangeUser(now, a, h, by, name, "PasswordLastSet", w.Epoch.Add(now).UTC().Format("1/2/2006 3:04:05 PM"))
}

// AddMember is an account that becomes a member of a group: a local one (4732), one of the
// domain (4728) or of the forest (4756).
func (w *World) AddMember(now time.Duration, a *Actor, h *Host, by *Account, name, group string) {
	switch strings.ToLower(group) {
	case "administrators":
		w.member(now, a, h, by, name, "4732", group, "S-1-5-32-544")
	case "remote desktop users":
		w.member(now, a, h, by, name, "4732", group, "S-1-5-32-555")
	case "enterprise admins":
		w.member(now, a, h, by, name, "4756", group, w.arena.Join(w.domainSID, "-519"))
	default:
		w.member(now, a, h, by, name, "4728", group, w.arena.Join(w.domainSID, "-512"))
	}
}

func (w *World) member(now time.Duration, a *Actor, h *Host, by *Account, name, id, group, sid string) {
	w.LogBy(now, a, h, by, "Security "+id, "MemberName", w.arena.Join("CN=", name, ",CN=Users,DC=",
		strings.ReplaceAll(w.Domain, ".", ",DC=")),
		"MemberSid", w.newSID(name), "TargetUserName", group, "TargetSid", sid)
}

// ChangeDirectory is an attribute of an object of the directory written (5136).
func (w *World) ChangeDirectory(now time.Duration, a *Actor, dc *Host, by *Account, class, dn, attribute,
	value string) {
	w.LogBy(now, a, dc, by, "Security 5136", "ObjectDN", dn, "ObjectClass", class, "AttributeLDAPDisplayName", attribute,
		"AttributeValue", value)
}

// enumerateGroup is a local group's members read by a program (4799).
func (w *World) enumerateGroup(now time.Duration, a *Actor, p *Process, group, sid string) {
	w.Log(now, a, p, "Security 4799", "TargetUserName", group, "TargetSid", sid)
}

// enumerateDirectory is the domain's account database read over the network, as net.exe
// with /domain does: handles to the domain, its groups and policy (4661) on the controller.
func (w *World) enumerateDirectory(now time.Duration, a *Actor, dc *Host, by *Account) {
	w.LogBy(now, a, dc, by, "Security 4661")
	w.LogBy(now, a, dc, by, "Security 4661", "ObjectType", "SAM_USER", "ObjectName", w.arena.Join(w.domainSID, "-500"),
		"AccessMask", "0x1b0",
		"AccessList", "%%5440\r\n\t\t\t\t%%5441\r\n\t\t\t\t")
	w.LogBy(now, a, dc, by, "Security 4661", "ObjectType", "SAM_GROUP", "ObjectName", w.arena.Join(w.domainSID, "-512"),
		"AccessMask", "0x2d",
		"AccessList", "%%5447\r\n\t\t\t\t%%5448\r\n\t\t\t\t")
}

// target fills in the account that an event is about.
func (w *World) target(h *Host, name string) []string {
	domain := w.NetBIOS
	if dc := w.DomainController(h); dc != h {
		domain = h.Name
	}
	return []string{"TargetUserName", name, "TargetDomainName", domain, "TargetSid", w.newSID(name)}
}

// newSID is the identifier of an account that somebody created.
func (w *World) newSID(name string) string {
	id := uint64(9000)
	for i := range len(name) {
		id += uint64(name[i]) * uint64(i+1)
	}
	return w.arena.Join(w.domainSID, "-", w.arena.Uint(id))
}
