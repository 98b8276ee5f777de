package alert

import (
	"strings"

	"hemostat/defenders/inventory"
	"hemostat/sim/event"
)

// Entities are who and what an alert is about.
type Entities struct {
	Host        string // short name
	Zone        string
	User        string
	UserSID     string // security identifier, where no name is known
	SourceIP    string // where it came from
	Source      string // short name of a host of the estate at that address
	Destination string // address or name outside the estate
	Domain      string
	ProcessID   string
	FileHash    string // SHA-256
	Image       string
}

// Detached copies the texts, so that what keeps an alert does not keep the block of memory
// that its event was read into.
func (x Entities) Detached() Entities {
	for _, text := range []*string{&x.Host, &x.Zone, &x.User, &x.UserSID, &x.SourceIP, &x.Source, &x.Destination,
		&x.Domain, &x.ProcessID, &x.FileHash, &x.Image} {
		*text = strings.Clone(*text)
	}
	return x
}

// EntitiesOf reads from an event who and what it is about.
func EntitiesOf(e *event.Event, v *inventory.Inventory) Entities {
	first := func(fields ...event.Field) string {
		for _, f := range fields {
			if s := e.Value(f); s != "" && s != "-" {
				return s
			}
		}
		return ""
	}
	x := Entities{
		Host: e.Host,
		User: shortUser(
			first(
				event.TargetUserName,
				event.User,
				event.SubjectUserName,
				event.KerberosClient,
				event.ClientServerUsername,
			),
		),
	}
	if strings.HasPrefix(e.Value(event.TargetUserName), "S-1-") || strings.HasSuffix(x.User, "$") {
		x.User = ""
	}
	if strings.HasPrefix(x.User, "S-1-") {
		x.UserSID, x.User = x.User, ""
	} else if x.User == "" {
		x.UserSID = first(event.TargetUserSid, event.TargetSid, event.SubjectUserSid)
	}
	x.SourceIP = strings.TrimPrefix(first(event.SourceIp, event.IpAddress, event.IDOrigHost, event.ClientIP), "::ffff:")
	if x.SourceIP == "" {
		x.SourceIP, _ = e.Lookup("src_host")
	}
	x.Domain = first(event.ServerName, event.QueryName, event.DNSQuery, event.ClientServerHost, event.HTTPHost)
	if ip := first(event.DestinationIp, event.IDRespHost, event.DstIP); ip != "" && v.Host(ip) == nil {
		x.Destination = ip
	}
	x.Image = first(event.Image, event.NewProcessName, event.AuditExe, event.SourceImage)
	x.ProcessID = first(event.ProcessId, event.SourceProcessId)
	if e.Source.Service == "security" {
		x.ProcessID = e.Value(event.NewProcessId)
	}
	if _, after, ok := strings.Cut(e.Value(event.Hashes), "SHA256="); ok {
		x.FileHash, _, _ = strings.Cut(after, ",")
	}
	if h := v.Host(e.Host); h != nil {
		x.Host, x.Zone = h.Name, h.Zone
	}
	if h := v.Host(x.SourceIP); h != nil {
		x.Source = h.Name
	}
	return x
}

func shortUser(name string) string {
	if at := strings.LastIndexByte(name, '\\'); at >= 0 {
		name = name[at+1:]
	}
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, "/")
	switch strings.ToUpper(name) {
	case "SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE", "ANONYMOUS LOGON", "ROOT":
		return ""
	}
	return name
}
