package world

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/sim/event"
)

// logNames are the short names of Windows logs: the channel as events name it, and the
// provider that writes most of its events.
var logNames = map[string]struct {
	log, provider string
	channel       event.Channel
}{
	"Security":    {"Security", "Microsoft-Windows-Security-Auditing", event.ChannelSecurity},
	"Sysmon":      {"Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon", event.ChannelSysmon},
	"System":      {"System", "Service Control Manager", event.ChannelSystem},
	"Application": {"Application", "Application", event.ChannelSystem},
	"PowerShell": {"Microsoft-Windows-PowerShell/Operational", "Microsoft-Windows-PowerShell",
		event.ChannelPowerShell},
	"WindowsPowerShell": {"Windows PowerShell", "PowerShell", event.ChannelPowerShell},
	"TaskScheduler":     operational("Microsoft-Windows-TaskScheduler", "Operational"),
	"WMI":               operational("Microsoft-Windows-WMI-Activity", "Operational"),
	"BITS":              operational("Microsoft-Windows-Bits-Client", "Operational"),
	"Defender":          operational("Microsoft-Windows-Windows Defender", "Operational"),
	"Firewall":          operational("Microsoft-Windows-Windows Firewall With Advanced Security", "Firewall"),
	"LocalSession":      operational("Microsoft-Windows-TerminalServices-LocalSessionManager", "Operational"),
	"RemoteConnection":  operational("Microsoft-Windows-TerminalServices-RemoteConnectionManager", "Operational"),
	"RdpCore":           operational("Microsoft-Windows-RemoteDesktopServices-RdpCoreTS", "Operational"),
	"SMBServer":         operational("Microsoft-Windows-SMBServer", "Audit"),
	"PrintService":      operational("Microsoft-Windows-PrintService", "Operational"),
	"PrintAdmin":        operational("Microsoft-Windows-PrintService", "Admin"),
	"WinRM":             operational("Microsoft-Windows-WinRM", "Operational"),
	"CAPI2":             operational("Microsoft-Windows-CAPI2", "Operational"),
	"KernelIO":          operational("Microsoft-Windows-Kernel-IO", "Operational"),
	"DNSServer":         {"DNS Server", "Microsoft-Windows-DNS-Server-Service", event.ChannelWindowsLogs},
	"DirectoryService": {"Directory Service", "Microsoft-Windows-ActiveDirectory_DomainService",
		event.ChannelWindowsLogs},
}

type logName = struct {
	log, provider string
	channel       event.Channel
}

func operational(provider, stream string) logName {
	return logName{provider + "/" + stream, provider, event.ChannelWindowsLogs}
}

// otherProviders are events that the log's usual provider does not write.
var otherProviders = map[string]string{
	"Security 1102": "Microsoft-Windows-Eventlog", "Security 1100": "Microsoft-Windows-Eventlog",
	"System 104": "Microsoft-Windows-Eventlog", "System 6005": "EventLog", "System 6006": "EventLog", "System 6013": "EventLog",
	"System 1": "Microsoft-Windows-Kernel-General", "System 16": "Microsoft-Windows-Kernel-General",
	"System 98": "Microsoft-Windows-Ntfs", "System 1014": "Microsoft-Windows-DNS-Client",
	"System 1500": "Microsoft-Windows-GroupPolicy", "System 1074": "User32", "System 10005": "Microsoft-Windows-DistributedCOM",
	"System 10016": "Microsoft-Windows-DistributedCOM", "System 16962": "Microsoft-Windows-Directory-Services-SAM",
	"System 16968": "Microsoft-Windows-Directory-Services-SAM", "System 19": "Microsoft-Windows-WindowsUpdateClient",
	"System 43": "Microsoft-Windows-WindowsUpdateClient", "System 44": "Microsoft-Windows-WindowsUpdateClient",
	"System 10": "netvsc", "System 11": "netvsc",
	"Application 216": "ESENT", "Application 325": "ESENT", "Application 326": "ESENT", "Application 327": "ESENT",
	"Application 330": "ESENT", "Application 1000": "Application Error", "Application 1001": "Windows Error Reporting",
	"Application 1034": "MsiInstaller", "Application 1040": "MsiInstaller", "Application 1042": "MsiInstaller",
	"Application 15457": "MSSQLSERVER", "Application 16384": "Microsoft-Windows-Security-SPP", "Application 1003": "Microsoft-Windows-Security-SPP",
	"Application 18454": "MSSQLSERVER", "Application 18456": "MSSQLSERVER", "Application 33205": "MSSQLSERVER",
}

// record is one type of event with what it always holds.
type record struct {
	kind   event.Kind
	fields []recordField
}

// recordField is a field with its usual value; parts are constant text and placeholders
// in turn, nil when the value is constant.
type recordField struct {
	field event.Field // NoField when the table of fields does not know it
	name  string
	value string
	parts []string
}

//go:embed records.txt
var recordsText string

// records are the types of events that World.Log writes, by log and id.
var records = parseRecords(recordsText)

func parseRecords(text string) map[string]*record {
	out := map[string]*record{}
	var last *record
	for n, line := range strings.Split(text, "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, " "):
			words := strings.Fields(line)
			if len(words) != 3 || out[words[0]+" "+words[1]] != nil {
				panic(fmt.Sprintf("records.txt:%d: a log, an id and an audit are expected once: %q", n+1, line))
			}
			last = newRecord(words[0], words[1], words[2])
			out[words[0]+" "+words[1]] = last
		default:
			for _, field := range strings.Split(line[2:], " | ") {
				last.fields = append(last.fields, parseField(field)...)
			}
		}
	}
	return out
}

func newRecord(log, id, audit string) *record {
	l, ok := logNames[log]
	if !ok {
		panic("records.txt: unknown log " + log)
	}
	kind := event.Kind{Source: event.WindowsSource(l.log, id, ""), Channel: l.channel, EventID: id, Log: l.log,
		Provider: l.provider}
	if other := otherProviders[log+" "+id]; other != "" {
		kind.Provider = other
	}
	if audit != "-" {
		if kind.Channel, ok = event.ChannelByName(audit); !ok {
			panic("records.txt: unknown audit " + audit)
		}
	}
	return &record{kind: kind}
}

// groups are fields that come together.
var groups = map[string][]string{
	"@subject": {"SubjectUserSid={sid}", "SubjectUserName={user}", "SubjectDomainName={domain}", "SubjectLogonId={logon}"},
	"@by": {"RuleName=-", "UtcTime={utc}", "ProcessGuid={pguid}", "ProcessId={pid}", "Image={image}",
		"User={account}"},
}

var lineEnds = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t", `\\`, `\`)

func parseField(text string) []recordField {
	if group := groups[text]; group != nil {
		var out []recordField
		for _, f := range group {
			out = append(out, parseField(f)...)
		}
		return out
	}
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		panic("records.txt: name=value is expected: " + text)
	}
	if strings.HasPrefix(value, "\\n") || strings.Contains(value, `\r`) {
		value = lineEnds.Replace(value)
	}
	f := recordField{field: event.FieldByName(name), name: name, value: value}
	for rest := value; ; {
		before, after, found := strings.Cut(rest, "{")
		if !found {
			f.parts = append(f.parts, rest)
			break
		}
		key, tail, closed := strings.Cut(after, "}")
		if !closed || !slices.Contains(placeholders, key) {
			f.parts = append(f.parts, before+"{", "")
			rest = after
			continue
		}
		f.parts = append(f.parts, before, key)
		rest = tail
	}
	if len(f.parts) == 1 {
		f.parts = nil
	}
	return []recordField{f}
}

// placeholders are what a record's values may leave to the occasion.
var placeholders = []string{
	"sid", "user", "domain", "logon", "account", "host", "fqdn", "domainname", "domainsid", "dn", "dc", "ip", "port",
	"pid", "xpid", "ppid", "pguid", "image", "device", "hashes", "time", "utc", "guid", "guidtext", "handle", "handle2", "n",
	"context", "hostapplication",
}

// Log writes an event of a Windows log that a process causes, named by log and id such as
// "Security 4662": all fields that Windows writes with their usual values, and those
// given, as names and values in turn.
func (w *World) Log(now time.Duration, a *Actor, p *Process, id string, pairs ...string) {
	w.writeLog(now, a, p.Host, p, id, pairs)
}

// LogBy is Log for what no process on the host is known to cause: it is the local
// security authority's then, on behalf of an account (nil is the system).
func (w *World) LogBy(now time.Duration, a *Actor, h *Host, by *Account, id string, pairs ...string) {
	w.writeLog(now, a, h, &Process{Host: h, Account: by, LogonID: h.logonID(by)}, id, pairs)
}

func (w *World) writeLog(now time.Duration, a *Actor, h *Host, p *Process, id string, pairs []string) {
	r := records[id]
	if r == nil {
		panic("no record " + id) // a fault of the program: every id is a constant of it
	}
	if !h.Windows() {
		return
	}
	e := w.begin(now, &r.kind, h, a, len(r.fields)+len(pairs)/2)
	if e == nil {
		return
	}
	if p.Binary == nil {
		lsass := *h.System(Lsass, Lsass.Path)
		lsass.Account, lsass.LogonID = p.Account, p.LogonID
		p = &lsass
	}
	o := occasion{w: w, now: now, h: h, p: p, u: unique(a, h, uint64(len(id)))}
	for i := range r.fields {
		f := &r.fields[i]
		value := f.value
		if f.parts != nil {
			value = o.expand(f.parts)
		}
		set(e, f, value)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.SetData(pairs[i], pairs[i+1])
	}
	e.AddSysmonNames()
	w.finish(e, a)
}

func set(e *event.Event, f *recordField, value string) {
	if f.field != event.NoField {
		e.Set(f.field, value)
		return
	}
	e.SetData(f.name, value)
}

// occasion is what placeholders are filled from.
type occasion struct {
	w   *World
	now time.Duration
	h   *Host
	p   *Process
	u   uint64
}

func (o *occasion) expand(parts []string) string {
	out := make([]string, len(parts))
	for i, part := range parts {
		if out[i] = part; i%2 == 1 && part != "" {
			out[i] = o.value(part)
		}
	}
	return o.w.arena.Join(out...)
}

func (o *occasion) value(key string) string {
	w, h, p := o.w, o.h, o.p
	switch key {
	case "sid":
		return sidOf(p.Account)
	case "user":
		return w.subjectName(p.Account, h)
	case "domain":
		return w.NetBIOS
	case "logon":
		return w.arena.Hex(p.LogonID)
	case "account":
		return w.userName(p.Account)
	case "host":
		return h.Name
	case "fqdn":
		return h.FQDN
	case "domainname":
		return w.Domain
	case "domainsid":
		return w.domainSID
	case "dn":
		return "DC=" + strings.ReplaceAll(w.Domain, ".", ",DC=")
	case "dc":
		if dc := w.DomainController(h); dc != nil {
			return dc.FQDN
		}
		return h.FQDN
	case "ip":
		return h.IP
	case "port":
		return w.arena.Uint(49152 + o.u%16000)
	case "n":
		return w.arena.Uint(2814749767106560 + o.u%1e6)
	}
	return o.processValue(key)
}

func (o *occasion) processValue(key string) string {
	w, p := o.w, o.p
	switch key {
	case "pid":
		return w.arena.Uint(uint64(p.PID))
	case "xpid":
		return w.arena.Hex(uint64(p.PID))
	case "ppid":
		return w.arena.Uint(uint64(p.parent().PID))
	case "pguid":
		return p.GUID
	case "image":
		return p.Binary.Path
	case "device":
		return w.arena.Join(`\device\harddiskvolume2`, strings.ToLower(strings.TrimPrefix(p.Binary.Path, "C:")))
	case "hashes":
		return p.Binary.Hashes
	case "context":
		return w.scriptContext(p, o.u, "")
	case "hostapplication":
		return w.hostApplication(p, o.u)
	case "time":
		return w.Epoch.Add(o.now).UTC().Format("2006-01-02T15:04:05.0000000Z")
	case "utc":
		return w.utc(o.now)
	case "handle":
		return w.arena.Hex(0x100 + o.u%0x2000&^3)
	case "handle2":
		return w.arena.Hex(0x1000 + o.u>>16%0x2000&^3)
	}
	guid := w.guid(o.h.machine, o.now, o.u)
	if key == "guidtext" {
		return guid[1 : len(guid)-1]
	}
	return guid
}

func sidOf(who *Account) string {
	if who == nil {
		return "S-1-5-18"
	}
	return who.SID
}

// subjectName is an account as the Security log names it: the host's own for the system.
func (w *World) subjectName(who *Account, h *Host) string {
	if who == nil {
		return w.arena.Join(h.Name, "$")
	}
	return who.Name
}
