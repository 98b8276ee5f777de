package event

import "strings"

// WindowsSource is the log source of an event of a Windows channel (Sigma
// taxonomy; the channels are those of the public Windows pipelines).
func WindowsSource(channel, id, eventType string) LogSource {
	channel = strings.ToLower(channel)
	s := LogSource{Product: "windows", Service: windowsServices[channel]}
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
	case "windefend":
		if id == "1116" || id == "1117" {
			s.Category = "antivirus"
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

// SysmonCategory is Sigma's category of an event of Sysmon, by its id.
func SysmonCategory(id string) string { return sysmonCategories[id] }

// AddSysmonNames gives an event of the Security log that says the same as one of Sysmon's
// the fields and the category of Sysmon's: 4657 (a registry value was modified) those of
// 13, 5156 (a connection was permitted) those of 3.
func (e *Event) AddSysmonNames() {
	switch e.Value(EventID) {
	case "4657":
		e.registryFields()
	case "5156":
		e.connectionFields()
	}
}

func (e *Event) registryFields() {
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
	e.SetAbsent(EventType, kind)
	e.SetAbsent(TargetObject, key)
	e.SetAbsent(Details, value("NewValue"))
	e.SetAbsent(Image, value("ProcessName"))
	e.SetAbsent(User, value("SubjectUserName"))
}

func (e *Event) connectionFields() {
	value := func(name string) string { v, _ := e.Lookup(name); return v }
	e.Source.Category = "network_connection"
	image := value("Application")
	if rest, ok := strings.CutPrefix(strings.ToLower(image), `\device\harddiskvolume`); ok {
		if at := strings.IndexByte(rest, '\\'); at >= 0 {
			image = `C:` + image[len(image)-len(rest)+at:]
		}
	}
	e.SetAbsent(Image, image)
	outbound := value("Direction") == "%%14593"
	local, remote := [2]string{
		value("SourceAddress"),
		value("SourcePort"),
	}, [2]string{
		value("DestAddress"),
		value("DestPort"),
	}
	e.SetAbsent(SourceIp, local[0])
	e.SetAbsent(SourcePort, local[1])
	e.SetAbsent(DestinationIp, remote[0])
	e.SetAbsent(DestinationPort, remote[1])
	if outbound {
		e.SetAbsent(Initiated, "true")
	} else {
		e.SetAbsent(Initiated, "false")
	}
	switch value("Protocol") {
	case "6":
		e.Set(Protocol, "tcp")
	case "17":
		e.Set(Protocol, "udp")
	}
	e.SetAbsent(ProcessId, value("ProcessID"))
}

// SetAbsent gives a field a value unless it has one, or the value is empty.
func (e *Event) SetAbsent(f Field, value string) {
	if _, ok := e.Get(f); !ok && value != "" {
		e.Set(f, value)
	}
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
