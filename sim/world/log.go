package world

import (
	"strings"
	"time"

	"hemostat/sim/event"
)

// windowsLogs are the logs whose events techniques write by id, such as "Security
// 1102": channel, sensor channel, provider, log source.
var windowsLogs = map[string]struct {
	log, provider string
	channel       event.Channel
	source        event.LogSource
}{
	"security": {
		"Security",
		"Microsoft-Windows-Security-Auditing",
		event.ChannelSecurity,
		event.LogSource{Product: "windows", Service: "security"},
	},
	"system": {
		"System",
		"Microsoft-Windows-Eventlog",
		event.ChannelSystem,
		event.LogSource{Product: "windows", Service: "system"},
	},
	"application": {
		"Application",
		"Application",
		event.ChannelSystem,
		event.LogSource{Product: "windows", Service: "application"},
	},
	"sysmon": {
		"Microsoft-Windows-Sysmon/Operational",
		"Microsoft-Windows-Sysmon",
		event.ChannelSysmon,
		event.LogSource{Product: "windows", Service: "sysmon"},
	},
	"taskscheduler": {
		"Microsoft-Windows-TaskScheduler/Operational",
		"Microsoft-Windows-TaskScheduler",
		event.ChannelSystem,
		event.LogSource{Product: "windows", Service: "taskscheduler"},
	},
	"bits": {
		"Microsoft-Windows-Bits-Client/Operational",
		"Microsoft-Windows-Bits-Client",
		event.ChannelSystem,
		event.LogSource{Product: "windows", Service: "bits-client"},
	},
	"defender": {
		"Microsoft-Windows-Windows Defender/Operational",
		"Microsoft-Windows-Windows Defender",
		event.ChannelSystem,
		event.LogSource{Product: "windows", Service: "windefend"},
	},
}

// sysmonKinds are the categories of Sysmon's rarer events.
var sysmonKinds = map[string]string{
	"6":  "driver_load",
	"15": "create_stream_hash",
	"19": "wmi_event",
	"20": "wmi_event",
	"21": "wmi_event",
	"25": "process_tampering",
}

// WindowsLog writes an event of a Windows log, named by log and id such as "Security
// 1102", with fields as names and values in turn. Events of the Security log begin
// with who did it, unless the pairs say so themselves.
func (w *World) WindowsLog(now time.Duration, a *Actor, h *Host, by *Account, id string, pairs ...string) {
	name, number, _ := strings.Cut(id, " ")
	l, ok := windowsLogs[strings.ToLower(name)]
	if !ok || !h.Windows() {
		return
	}
	kind := event.Kind{Source: l.source, Channel: l.channel, EventID: number, Log: l.log, Provider: l.provider}
	if l.channel == event.ChannelSysmon {
		kind.Source.Category = sysmonKinds[number]
	}
	if number == "1102" {
		kind.Provider = "Microsoft-Windows-Eventlog"
	}
	e := w.begin(now, &kind, h, a, 4+len(pairs)/2)
	if e == nil {
		return
	}
	switch l.channel {
	case event.ChannelSecurity:
		w.subject(e, by, h, h.logonID(by))
	case event.ChannelSysmon:
		e.Set(event.UtcTime, w.utc(now))
		e.Set(event.User, w.userName(by))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.SetName(pairs[i], pairs[i+1])
	}
	w.finish(e, a)
}
