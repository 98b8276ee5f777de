package ingest

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"hemostat/sim/event"
)

// clocks are the fields that hold a time, the best first: EventTime carries no
// time zone.
var clocks = []string{"SystemTime", "TimeCreated", "@timestamp", "_time", "EventTime"}

// clock sets an event's time from a field of a rank among clocks, unless a better one
// was found before. It returns the rank of the time that counts.
func clock(e *event.Event, rank, found int, text string) int {
	if rank >= found {
		return found
	}
	if at, ok := parseTime(text); ok {
		e.Time = at
		return rank
	}
	return found
}

// setData gives an event a value of its EventData or UserData, or reports false when
// the value would replace one of the frame. A second channel stands beside the
// frame's: event 104 names the log that was cleared, and rules ask for that one.
func setData(e *event.Event, name, value string) {
	switch event.FieldByName(name) {
	case event.LogChannel:
		if frame, ok := e.Get(event.LogChannel); ok && frame != value {
			e.SetList(name, []string{frame, value})
			return
		}
	case event.EventID, event.Computer, event.ProviderName:
		e.SetName("Data_"+name, value)
		return
	}
	e.SetData(name, value)
}

// setDataList does the same for a list.
func setDataList(e *event.Event, name string, members []string) {
	if len(members) == 1 {
		setData(e, name, members[0])
		return
	}
	e.SetList(name, members)
}

// finishWindows completes an event of a Windows log: its log source, and fields of
// the Security log under the names that Sysmon has for them.
func finishWindows(e *event.Event) string {
	id := e.Value(event.EventID)
	if id == "" {
		return "no EventID"
	}
	channel := e.Value(event.LogChannel)
	if members := e.Members(event.LogChannel, ""); members != nil {
		channel = members[0]
	}
	if channel == "" {
		channel = providerChannels[strings.ToLower(e.Value(event.ProviderName))]
	}
	e.Source = event.WindowsSource(channel, id, e.Value(event.EventType))
	switch {
	case e.Source.Service == "sysmon":
		if kind, ok := e.Lookup("EventTypeOrignal"); ok && e.Value(event.EventType) == "INFO" {
			e.Set(event.EventType, kind)
		}
	case e.Source.Service == "security" && id == "4688":
		e.SetAbsent(event.Image, e.Value(event.NewProcessName))
		e.SetAbsent(event.ParentImage, e.Value(event.ParentProcessName))
		e.SetAbsent(event.User, e.Value(event.SubjectUserName))
	case e.Source.Service == "security":
		e.AddSysmonNames()
	case e.Source.Service == "windefend" && (id == "1116" || id == "1117"):
		copyField(e, "ThreatName", "Signature")
		copyField(e, "Path", "Filename")
	}
	if e.Time == 0 {
		if at, ok := parseTime(e.Value(event.UtcTime)); ok {
			e.Time = at
		}
	}
	e.Observed = e.Time
	return ""
}

// providerChannels are the channels of providers that write to one, for exports that
// leave the channel out.
var providerChannels = map[string]string{
	"microsoft-windows-sysmon":            "Microsoft-Windows-Sysmon/Operational",
	"microsoft-windows-security-auditing": "Security",
	"service control manager":             "System",
	"microsoft-windows-powershell":        "Microsoft-Windows-PowerShell/Operational",
	"powershell":                          "Windows PowerShell",
	"microsoft-windows-windows defender":  "Microsoft-Windows-Windows Defender/Operational",
	"microsoft-windows-taskscheduler":     "Microsoft-Windows-TaskScheduler/Operational",
	"microsoft-windows-wmi-activity":      "Microsoft-Windows-WMI-Activity/Operational",
	"microsoft-windows-bits-client":       "Microsoft-Windows-Bits-Client/Operational",
}

// capital is a name with its first letter in upper case, as Windows writes names that
// Wazuh writes in camel case.
func capital(name string) string {
	r, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(r)) + name[size:]
}
