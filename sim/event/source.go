package event

import "strings"

// LogSource is where an event comes from, in the three parts of a Sigma rule's
// logsource. An event carries every part that applies: Sysmon event 1 has the
// category process_creation, the product windows and the service sysmon, so
// rules that name any of them find it.
type LogSource struct {
	Category string `json:"category,omitempty" yaml:"category,omitempty"`
	Product  string `json:"product,omitempty" yaml:"product,omitempty"`
	Service  string `json:"service,omitempty" yaml:"service,omitempty"`
}

// String joins the parts that are present with slashes.
func (s LogSource) String() string {
	var parts []string
	for _, p := range []string{s.Product, s.Category, s.Service} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "/")
}

// Channel is the stream that a sensor is told to collect; one channel carries
// several log sources (Sysmon carries process creation, network connections, …).
type Channel uint8

// The channels that the simulated estate has.
const (
	ChannelSysmon Channel = iota
	ChannelSecurity
	ChannelSystem
	ChannelPowerShell
	ChannelSSHD
	ChannelAuditd
	ChannelZeek
	ChannelProxy
	ChannelWebServer
	ChannelDecoy
	ChannelCloud
	// Parts of Windows' logs that an estate may leave off, since they are many.
	ChannelProcessAudit   // Security 4688
	ChannelProcessEnd     // Security 4689, Sysmon 5
	ChannelHandleAudit    // Security 4656 to 4663, 4690: handles to files, keys, processes
	ChannelPrivilegeAudit // Security 4627, 4673, 4674, 4703
	ChannelNetworkAudit   // Security 5152 to 5158
	ChannelDirectoryAudit // Security 4662, 5136 to 5141
	ChannelModules        // PowerShell 4103, 4105, 4106 and the classic log
	ChannelWindowsLogs    // Task Scheduler, WMI, BITS, remote desktop, Defender and others
	NumChannels
)

var channelNames = [NumChannels]string{
	"sysmon",
	"security",
	"system",
	"powershell",
	"sshd",
	"auditd",
	"zeek",
	"proxy",
	"webserver",
	"decoy",
	"cloud",
	"process_audit",
	"process_end",
	"handle_audit",
	"privilege_audit",
	"network_audit",
	"directory_audit",
	"powershell_modules",
	"windows_logs",
}

// ChannelByName finds a channel, reporting false for an unknown name.
func ChannelByName(name string) (Channel, bool) {
	for c, n := range channelNames {
		if n == name {
			return Channel(c), true
		}
	}
	return 0, false
}

// ChannelNames lists the names that sensor definitions may use.
func ChannelNames() []string { return channelNames[:] }

// AuditNames lists the names of the parts of Windows' logs that an estate may leave off.
func AuditNames() []string { return channelNames[ChannelProcessAudit:] }

// Kind is one type of event that the simulated estate emits: its log source, the
// channel that carries it and, on Windows, its event id and provider.
type Kind struct {
	Source   LogSource
	Channel  Channel
	EventID  string
	Log      string // Windows channel name as written in the event
	Provider string
}

const (
	sysmonLog        = "Microsoft-Windows-Sysmon/Operational"
	sysmonProvider   = "Microsoft-Windows-Sysmon"
	securityProvider = "Microsoft-Windows-Security-Auditing"
	powershellLog    = "Microsoft-Windows-PowerShell/Operational"
)

func sysmon(id, category string) Kind { return sysmonOn(id, category, ChannelSysmon) }

func sysmonOn(id, category string, channel Channel) Kind {
	return Kind{LogSource{category, "windows", "sysmon"}, channel, id, sysmonLog, sysmonProvider}
}

func security(id string) Kind { return audited(id, "", ChannelSecurity) }

func audited(id, category string, channel Channel) Kind {
	return Kind{LogSource{category, "windows", "security"}, channel, id, "Security", securityProvider}
}

func zeek(stream, category string) Kind {
	return Kind{Source: LogSource{category, "zeek", stream}, Channel: ChannelZeek}
}

// The kinds, named after the source's own event ids.
var (
	SysmonProcess       = sysmon("1", "process_creation")
	SysmonNetwork       = sysmon("3", "network_connection")
	SysmonProcessEnd    = sysmonOn("5", "process_termination", ChannelProcessEnd)
	SysmonImageLoad     = sysmon("7", "image_load")
	SysmonRemoteThread  = sysmon("8", "create_remote_thread")
	SysmonRawRead       = sysmon("9", "raw_access_thread")
	SysmonProcessAccess = sysmon("10", "process_access")
	SysmonFile          = sysmon("11", "file_event")
	SysmonRegistryAdd   = sysmon("12", "registry_add")
	SysmonRegistrySet   = sysmon("13", "registry_set")
	// SysmonRegistryDelete is event 12 when something is deleted.
	SysmonRegistryDelete = sysmon("12", "registry_delete")
	SysmonPipeCreated    = sysmon("17", "pipe_created")
	SysmonPipeConnected  = sysmon("18", "pipe_created")
	SysmonDNS            = sysmon("22", "dns_query")
	SysmonFileDelete     = sysmon("23", "file_delete")

	SecurityLogon          = security("4624")
	SecurityLogonFailed    = security("4625")
	SecurityLogoff         = security("4634")
	SecurityExplicitLogon  = security("4648")
	SecurityPrivileges     = security("4672")
	SecurityProcess        = audited("4688", "process_creation", ChannelProcessAudit)
	SecurityProcessEnd     = audited("4689", "", ChannelProcessEnd)
	SecurityService        = security("4697")
	SecurityTask           = security("4698")
	SecurityUserCreated    = security("4720")
	SecurityKerberosTGT    = security("4768")
	SecurityKerberosTicket = security("4769")
	SecurityNTLM           = security("4776")
	SecurityShare          = security("5140")
	SecurityShareFile      = security("5145")

	SystemService = Kind{LogSource{"", "windows", "system"}, ChannelSystem, "7045", "System", "Service Control Manager"}

	PowerShellScript = Kind{
		LogSource{"ps_script", "windows", "powershell"},
		ChannelPowerShell,
		"4104",
		powershellLog,
		"Microsoft-Windows-PowerShell",
	}

	SSHD   = Kind{Source: LogSource{"", "linux", "sshd"}, Channel: ChannelSSHD}
	Auditd = Kind{Source: LogSource{"process_creation", "linux", "auditd"}, Channel: ChannelAuditd}

	ZeekConn     = zeek("conn", "")
	ZeekDNS      = zeek("dns", "dns")
	ZeekHTTP     = zeek("http", "")
	ZeekSSL      = zeek("ssl", "")
	ZeekFiles    = zeek("files", "")
	ZeekSMBFiles = zeek("smb_files", "")
	ZeekKerberos = zeek("kerberos", "")
	ZeekRPC      = zeek("dce_rpc", "")
	ZeekMapping  = zeek("smb_mapping", "")

	// The cloud directory's logs, under the names of Azure's.
	CloudSignIn = Kind{Source: LogSource{"", "azure", "signinlogs"}, Channel: ChannelCloud}
	CloudRisk   = Kind{Source: LogSource{"", "azure", "riskdetection"}, Channel: ChannelCloud}
	CloudAudit  = Kind{Source: LogSource{"", "azure", "auditlogs"}, Channel: ChannelCloud}

	Proxy = Kind{Source: LogSource{"proxy", "", "proxy"}, Channel: ChannelProxy}
	// Decoy is a deliberate trap in OpenCanary's vocabulary.
	Decoy     = Kind{Source: LogSource{"application", "opencanary", ""}, Channel: ChannelDecoy}
	WebServer = Kind{Source: LogSource{"webserver", "", "webserver"}, Channel: ChannelWebServer}
)
