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
	e.SetName(name, value)
	if strings.IndexByte(name, ' ') >= 0 { // "Threat Name" of Defender
		e.SetName(strings.ReplaceAll(name, " ", ""), value)
		e.SetName(strings.ReplaceAll(name, " ", "_"), value)
	}
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
	e.Source = windowsSource(channel, id, e.Value(event.EventType))
	switch {
	case e.Source.Service == "sysmon":
		if kind, ok := e.Lookup("EventTypeOrignal"); ok && e.Value(event.EventType) == "INFO" {
			e.Set(event.EventType, kind)
		}
	case e.Source.Service == "security" && id == "4688":
		setAbsent(e, event.Image, e.Value(event.NewProcessName))
		setAbsent(e, event.ParentImage, e.Value(event.ParentProcessName))
		setAbsent(e, event.User, e.Value(event.SubjectUserName))
	case e.Source.Service == "security" && id == "4657":
		registryFields(e)
	case e.Source.Service == "security" && id == "5156":
		connectionFields(e)
	case e.Source.Service == "windefend" && (id == "1116" || id == "1117"):
		e.Source.Category = "antivirus"
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

// registryFields gives an event 4657 (a registry value was modified) the fields of
// Sysmon's event 13, and the category that follows from the operation.
func registryFields(e *event.Event) {
	value := func(name string) string { v, _ := e.Lookup(name); return v }
	e.Source.Category = "registry_set"
	kind := "SetValue"
	if value("OperationType") == "%%1906" {
		e.Source.Category, kind = "registry_delete", "DeleteValue"
	}
	key := value("ObjectName")
	for _, root := range [][2]string{{`\REGISTRY\MACHINE`, "HKLM"}, {`\REGISTRY\USER`, "HKU"}} {
		if n := len(root[0]); len(key) >= n && strings.EqualFold(key[:n], root[0]) {
			key = root[1] + key[n:]
		}
	}
	if name := value("ObjectValueName"); name != "" {
		key += `\` + name
	}
	setAbsent(e, event.EventType, kind)
	setAbsent(e, event.TargetObject, key)
	setAbsent(e, event.Details, value("NewValue"))
	setAbsent(e, event.Image, value("ProcessName"))
	setAbsent(e, event.User, value("SubjectUserName"))
}

// connectionFields gives an event 5156 (a connection was permitted) the fields of
// Sysmon's event 3.
func connectionFields(e *event.Event) {
	value := func(name string) string { v, _ := e.Lookup(name); return v }
	e.Source.Category = "network_connection"
	image := value("Application")
	if rest, ok := strings.CutPrefix(strings.ToLower(image), `\device\harddiskvolume`); ok {
		if at := strings.IndexByte(rest, '\\'); at >= 0 {
			image = `C:` + image[len(image)-len(rest)+at:]
		}
	}
	setAbsent(e, event.Image, image)
	outbound := value("Direction") == "%%14593"
	local, remote := [2]string{
		value("SourceAddress"),
		value("SourcePort"),
	}, [2]string{
		value("DestAddress"),
		value("DestPort"),
	}
	setAbsent(e, event.SourceIp, local[0])
	setAbsent(e, event.SourcePort, local[1])
	setAbsent(e, event.DestinationIp, remote[0])
	setAbsent(e, event.DestinationPort, remote[1])
	if outbound {
		setAbsent(e, event.Initiated, "true")
	} else {
		setAbsent(e, event.Initiated, "false")
	}
	switch value("Protocol") {
	case "6":
		e.Set(event.Protocol, "tcp")
	case "17":
		e.Set(event.Protocol, "udp")
	}
	setAbsent(e, event.ProcessId, value("ProcessID"))
}

// setAbsent gives a field a value unless it has one, or the value is empty.
func setAbsent(e *event.Event, f event.Field, value string) {
	if _, ok := e.Get(f); !ok && value != "" {
		e.Set(f, value)
	}
}

// windowsSource is the log source of an event of a Windows channel (Sigma
// taxonomy; the channels are those of the public Windows pipelines).
func windowsSource(channel, id, eventType string) event.LogSource {
	channel = strings.ToLower(channel)
	s := event.LogSource{Product: "windows", Service: windowsServices[channel]}
	switch s.Service {
	case "sysmon":
		s.Category = sysmonCategories[id]
		if id == "12" && strings.HasPrefix(eventType, "Delete") {
			s.Category = "registry_delete"
		}
	case "security":
		if id == "4688" {
			s.Category = "process_creation"
		}
	case "powershell":
		s.Category = powershellCategories[id]
	case "powershell-classic":
		s.Category = powershellClassicCategories[id]
	case "":
		s.Service = channel
	}
	return s
}

var (
	powershellCategories        = map[string]string{"4104": "ps_script", "4103": "ps_module"}
	powershellClassicCategories = map[string]string{
		"400": "ps_classic_start", "600": "ps_classic_provider_start", "800": "ps_classic_script",
	}
)

// capital is a name with its first letter in upper case, as Windows writes names that
// Wazuh writes in camel case.
func capital(name string) string {
	r, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(r)) + name[size:]
}

var windowsServices = map[string]string{
	"microsoft-windows-sysmon/operational": "sysmon",
	"security":                             "security",
	"system":                               "system",
	"application":                          "application",
	"microsoft-windows-powershell/operational":                                 "powershell",
	"powershellcore/operational":                                               "powershell",
	"windows powershell":                                                       "powershell-classic",
	"microsoft-windows-taskscheduler/operational":                              "taskscheduler",
	"microsoft-windows-wmi-activity/operational":                               "wmi",
	"microsoft-windows-windows defender/operational":                           "windefend",
	"microsoft-windows-terminalservices-localsessionmanager/operational":       "terminalservices-localsessionmanager",
	"microsoft-windows-bits-client/operational":                                "bits-client",
	"microsoft-windows-codeintegrity/operational":                              "codeintegrity-operational",
	"microsoft-windows-dns-client/operational":                                 "dns-client",
	"microsoft-windows-ntlm/operational":                                       "ntlm",
	"microsoft-windows-printservice/operational":                               "printservice-operational",
	"microsoft-windows-printservice/admin":                                     "printservice-admin",
	"microsoft-windows-smbclient/security":                                     "smbclient-security",
	"microsoft-windows-smbclient/connectivity":                                 "smbclient-connectivity",
	"microsoft-windows-applocker/exe and dll":                                  "applocker",
	"microsoft-windows-applocker/msi and script":                               "applocker",
	"microsoft-windows-windows firewall with advanced security/firewall":       "firewall-as",
	"microsoft-windows-driverframeworks-usermode/operational":                  "driver-framework",
	"microsoft-windows-ldap-client/debug":                                      "ldap",
	"microsoft-windows-appxdeploymentserver/operational":                       "appxdeployment-server",
	"microsoft-windows-appmodel-runtime/admin":                                 "appmodel-runtime",
	"microsoft-windows-security-mitigations/kernelmode":                        "security-mitigations",
	"microsoft-windows-security-mitigations/usermode":                          "security-mitigations",
	"microsoft-windows-openssh/operational":                                    "openssh",
	"microsoft-windows-shell-core/operational":                                 "shell-core",
	"microsoft-windows-diagnosis-scripted/operational":                         "diagnosis-scripted",
	"microsoft-windows-certificateservicesclient-lifecycle-system/operational": "certificateservicesclient-lifecycle-system",
	"microsoft-windows-capi2/operational":                                      "capi2",
	"microsoft-windows-vhdmp-operational":                                      "vhdmp",
	"microsoft-servicebus-client":                                              "microsoft-servicebus-client",
	"microsoft-servicebus-client/operational":                                  "microsoft-servicebus-client",
	"msexchange management":                                                    "msexchange-management",
	"dns server":                                                               "dns-server",
	"microsoft-windows-dns-server/analytical":                                  "dns-server-analytic",
	"microsoft-windows-kernel-shimengine/operational":                          "kernel-shimengine",
	"microsoft-windows-kernel-shimengine/diagnostic":                           "kernel-shimengine",
	"microsoft-windows-application-experience/program-telemetry":               "application-experience",
	"microsoft-windows-application-experience/program-compatibility-assistant": "application-experience",
	"microsoft-windows-kernel-eventtracing/admin":                              "kernel-event-tracing",
	"microsoft-windows-hyper-v-worker-admin":                                   "hyper-v-worker",
	"microsoft-windows-sense/operational":                                      "sense",
	"microsoft-windows-vhdmp/operational":                                      "vhdmp",
	"microsoft-windows-dhcp-server/operational":                                "dhcp",
	"microsoft-windows-dns-server/audit":                                       "dns-server-audit",
	"microsoft-windows-smbserver/connectivity":                                 "smbserver-connectivity",
	"microsoft-windows-appxpackaging/operational":                              "appxpackaging-om",
	"microsoft-windows-applocker/packaged app-deployment":                      "applocker",
	"microsoft-windows-applocker/packaged app-execution":                       "applocker",
	"microsoft-windows-lsa-server/operational":                                 "lsa-server",
	"microsoft-windows-iis-configuration/operational":                          "iis-configuration",
	"microsoft-iis-configuration/operational":                                  "iis-configuration",
}

var sysmonCategories = map[string]string{
	"1": "process_creation", "2": "file_change", "3": "network_connection", "4": "sysmon_status", "5": "process_termination",
	"6": "driver_load", "7": "image_load", "8": "create_remote_thread", "9": "raw_access_thread", "10": "process_access",
	"11": "file_event", "12": "registry_add", "13": "registry_set", "14": "registry_rename", "15": "create_stream_hash",
	"16": "sysmon_status", "17": "pipe_created", "18": "pipe_created", "19": "wmi_event", "20": "wmi_event", "21": "wmi_event",
	"22": "dns_query", "23": "file_delete", "24": "clipboard_capture", "25": "process_tampering", "26": "file_delete",
	"27": "file_block_executable", "28": "file_block_shredding", "29": "file_executable_detected", "255": "sysmon_error",
}
