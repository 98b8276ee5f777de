package world

import (
	"strings"
	"time"

	"hemostat/sim/event"
	"hemostat/sim/footprint"
	"hemostat/sim/role"
)

// channelsByProduct are the channels that carry events which are of no Windows log.
var channelsByProduct = []struct {
	source  event.LogSource
	channel event.Channel
}{
	{event.LogSource{Product: "windows"}, event.ChannelWindowsLogs},
	{event.LogSource{Product: "zeek"}, event.ChannelZeek},
	{event.LogSource{Product: "linux", Service: "sshd"}, event.ChannelSSHD},
	{event.LogSource{Product: "linux"}, event.ChannelAuditd},
	{event.LogSource{Category: "proxy"}, event.ChannelProxy},
	{event.LogSource{Category: "webserver"}, event.ChannelWebServer},
	{event.LogSource{Product: "azure"}, event.ChannelCloud},
	{event.LogSource{Product: "m365"}, event.ChannelCloud},
	{event.LogSource{Product: "aws"}, event.ChannelCloud},
	{event.LogSource{Product: "gcp"}, event.ChannelCloud},
	{event.LogSource{Product: "okta"}, event.ChannelCloud},
}

// RecordedKind is the kind of a footprint's event; false when no sensor of an estate
// carries such events.
func RecordedKind(e *footprint.Event) (event.Kind, bool) {
	if e.Log == "" {
		for _, c := range channelsByProduct {
			if (c.source.Product == "" || c.source.Product == e.Source.Product) &&
				(c.source.Category == "" || c.source.Category == e.Source.Category) &&
				(c.source.Service == "" || c.source.Service == e.Source.Service) {
				return event.Kind{Source: e.Source, Channel: c.channel}, true
			}
		}
		return event.Kind{}, false
	}
	kind := event.Kind{
		Source: event.WindowsSource(e.Log, e.ID,
			e.Fields["EventType"]), Channel: event.ChannelWindowsLogs, EventID: e.ID, Log: e.Log, Provider: e.Provider,
	}
	switch kind.Source.Service {
	case "sysmon":
		kind.Channel = event.ChannelSysmon
	case "security":
		kind.Channel = event.ChannelSecurity
	case "powershell":
		kind.Channel = event.ChannelPowerShell
	case "powershell-classic":
		kind.Channel = event.ChannelModules
	case "system", "application":
		kind.Channel = event.ChannelSystem
	}
	for name, l := range logNames { // one entry has the log, so the order does not matter
		if r := records[name+" "+e.ID]; strings.EqualFold(l.log, e.Log) && r != nil {
			kind.Channel = r.kind.Channel
		}
	}
	switch kind.Source.Service + " " + e.ID {
	case "security 4688":
		kind.Channel = event.ChannelProcessAudit
	case "security 4689", "sysmon 5":
		kind.Channel = event.ChannelProcessEnd
	}
	return kind, true
}

// Recorded writes an event of a footprint on a host.
func (w *World) Recorded(now time.Duration, a *Actor, h *Host, e *footprint.Event, cast *footprint.Cast) {
	kind, ok := RecordedKind(e)
	if !ok {
		return
	}
	out := w.begin(now, &kind, h, a, len(e.Fields))
	if out == nil {
		return
	}
	cast.Fill(out, e, now)
	out.AddSysmonNames()
	w.finish(out, a)
}

// StandsInFor tells whether a host may take the part of a recorded one (footprint.Host.Is).
func (h *Host) StandsInFor(is string) bool {
	switch is {
	case "linux":
		return !h.Windows()
	case "domain_controller":
		return h.Role == role.DomainController
	case "workstation", "foothold":
		return h.Role == role.Workstation
	}
	return h.Windows() && h.Role != role.Workstation && h.Role != role.DomainController
}

// Part is a host as footprints name it.
func (h *Host) Part() footprint.Part { return footprint.Part{Name: h.Name, FQDN: h.FQDN, IP: h.IP} }

// Cast is the estate as footprints name it, without hosts, accounts and servers.
func (w *World) Cast() *footprint.Cast {
	return &footprint.Cast{
		Hosts: map[string]footprint.Part{}, NetBIOS: w.NetBIOS, Domain: w.Domain, DomainSID: w.domainSID, Epoch: w.Epoch,
	}
}

// NoteProcess notes that a process with this number on a host is an attacker's.
func (h *Host) NoteProcess(pid uint32, attack int32) {
	if h.hostile == nil {
		h.hostile = map[uint32]int32{}
	}
	h.hostile[pid] = attack
}

// Silently runs what changes the estate without a trace in any log: its trace is written
// otherwise.
func (w *World) Silently(do func()) {
	before := w.silent
	w.silent = true
	defer func() { w.silent = before }()
	do()
}
