package world

import (
	"slices"
	"strings"
	"time"

	"hemostat/sim/event"
)

// Process is a running program, as far as events need to know it.
type Process struct {
	Host        *Host
	PID         uint32
	GUID        string
	Binary      *Binary
	CommandLine string
	Account     *Account // nil is SYSTEM or root
	LogonID     uint64
	Integrity   string // Low, Medium, High or System
	Parent      *Process
}

// Start says which process to start.
type Start struct {
	Host        *Host
	Account     *Account
	Binary      *Binary
	CommandLine string // the binary's path when empty
	Directory   string
	Integrity   string // Medium when empty, System for a nil account
	Parent      *Process
}

// StartProcess starts a process: Sysmon 1 and, off the workstations, Security
// 4688; execve in auditd on Linux.
func (w *World) StartProcess(now time.Duration, a *Actor, s Start) *Process {
	p := w.newProcess(now, a, s)
	if a.Label.Malicious() {
		if s.Host.hostile == nil {
			s.Host.hostile = map[uint32]int32{}
		}
		s.Host.hostile[p.PID] = a.Label.Attack
	}
	if !s.Host.Windows() {
		w.auditExec(now, a, p)
		return p
	}
	if e := w.begin(now, &event.SysmonProcess, s.Host, a, 23); e != nil {
		parent := p.parent()
		e.Set(event.Image, p.Binary.Path)
		e.Set(event.CommandLine, p.CommandLine)
		e.Set(event.CurrentDirectory, directoryOr(s.Directory, `C:\Windows\System32\`))
		e.Set(event.ParentImage, parent.Binary.Path)
		e.Set(event.ParentCommandLine, parent.CommandLine)
		e.Set(event.ParentUser, w.userName(parent.Account))
		e.Set(event.OriginalFileName, p.Binary.OriginalName)
		e.Set(event.Description, p.Binary.Description)
		e.Set(event.Product, p.Binary.Product)
		e.Set(event.Company, p.Binary.Company)
		e.Set(event.FileVersion, p.Binary.Version)
		e.Set(event.IntegrityLevel, p.Integrity)
		e.Set(event.Hashes, p.Binary.Hashes)
		e.Set(event.LogonId, w.arena.Hex(p.LogonID))
		e.Set(event.LogonGuid, w.guid(s.Host.machine, 0, p.LogonID))
		e.Set(event.TerminalSessionId, terminal(p.Account))
		e.Set(event.ProcessGuid, p.GUID)
		e.Set(event.ParentProcessGuid, parent.GUID)
		e.Set(event.ProcessId, w.arena.Uint(uint64(p.PID)))
		e.Set(event.ParentProcessId, w.arena.Uint(uint64(parent.PID)))
		e.Set(event.User, w.userName(p.Account))
		e.Set(event.UtcTime, w.utc(now))
		e.Set(event.RuleName, "-")
		w.finish(e, a)
	}
	w.securityProcess(now, a, p)
	w.usePrivileges(now, a, p)
	if p.Binary.Name() == "powershell.exe" {
		w.startPowerShell(now, a, p)
	}
	w.useTool(now, a, p)
	if p.Binary.lifetime > 0 {
		w.endProcess(now+p.Binary.lifetime, a, p)
	}
	return p
}

// usePrivileges is what a process with rights does first: it turns them on (4703) and uses
// them (4673).
func (w *World) usePrivileges(now time.Duration, a *Actor, p *Process) {
	if p.Integrity != "High" && p.Integrity != "System" {
		return
	}
	if w.unwatched(p.Host, event.ChannelPrivilegeAudit, a, 2) {
		return
	}
	w.Log(now, a, p, "Security 4703")
	w.Log(now, a, p, "Security 4673", "Service", "LsaRegisterLogonProcess()")
}

func (w *World) securityProcess(now time.Duration, a *Actor, p *Process) {
	e := w.begin(now, &event.SecurityProcess, p.Host, a, 15)
	if e == nil {
		return
	}
	e.Set(event.CommandLine, p.CommandLine)
	e.Set(event.ProcessId, w.arena.Hex(uint64(p.parent().PID)))
	w.subject(e, p.Account, p.Host, p.LogonID)
	e.Set(event.TargetUserSid, "S-1-0-0")
	e.Set(event.TargetUserName, "-")
	e.Set(event.TargetDomainName, "-")
	e.Set(event.TargetLogonId, "0x0")
	e.Set(event.NewProcessId, w.arena.Hex(uint64(p.PID)))
	e.Set(event.NewProcessName, p.Binary.Path)
	e.Set(event.TokenElevationType, tokenType(p.Integrity))
	e.Set(event.ParentProcessName, p.parent().Binary.Path)
	e.Set(event.MandatoryLabel, mandatoryLabel(p.Integrity))
	w.finish(e, a)
}

func (w *World) newProcess(now time.Duration, a *Actor, s Start) *Process {
	u := unique(a, s.Host, 1)
	p := &Process{
		Host: s.Host, Binary: s.Binary, CommandLine: s.CommandLine, Account: s.Account,
		Integrity: s.Integrity, Parent: s.Parent,
		PID: uint32(1000+u%30000) &^ 3, GUID: w.guid(s.Host.machine, now, u>>20),
		LogonID: s.Host.logonID(s.Account),
	}
	if p.CommandLine == "" {
		p.CommandLine = s.Binary.Path
	}
	if p.Integrity == "" {
		p.Integrity = "Medium"
		if s.Account == nil {
			p.Integrity = "System"
		}
	}
	return p
}

// logonID is the id of an account's current logon on a host.
func (h *Host) logonID(a *Account) uint64 {
	if a == nil {
		return 0x3e7
	}
	for _, s := range h.Sessions {
		if s.Account == a && !s.Ended {
			return s.LogonID
		}
	}
	return 0x10000 + (h.machine^uint64(a.Index)*0x9e3779b97f4a7c15)>>40
}

func (p *Process) parent() *Process {
	if p.Parent != nil {
		return p.Parent
	}
	return p.Host.session(p.Account)
}

// session is the process from which an account's programs start: the shell of a
// user, the service manager of the system.
func (h *Host) session(a *Account) *Process {
	switch {
	case !h.Windows() && a == nil:
		return h.System(initd, "/sbin/init")
	case h.Windows() && a == nil:
		return h.System(Services, `C:\Windows\system32\services.exe`)
	}
	b, line := Bash, "-bash"
	if h.Windows() {
		b, line = Explorer, `C:\Windows\Explorer.EXE`
	}
	pid := 3000 + (h.machine^uint64(a.Index)*0x9e3779b97f4a7c15)>>8%4000&^3
	p := &Process{
		Host: h, PID: uint32(pid), Binary: b, CommandLine: line, Account: a, Integrity: "Medium",
		GUID: processGUID(h.machine, pid), LogonID: h.logonID(a),
	}
	if h.Windows() {
		p.Parent = h.System(Userinit, `C:\Windows\system32\userinit.exe`)
	}
	return p
}

var initd = linux("/sbin/init")

func directoryOr(given, usual string) string {
	if given != "" {
		return given
	}
	return usual
}

func terminal(a *Account) string {
	if a == nil || a.Privilege == Service {
		return "0"
	}
	return "1"
}

func tokenType(integrity string) string {
	switch integrity {
	case "High":
		return "%%1937"
	case "System":
		return "%%1936"
	}
	return "%%1938"
}

func mandatoryLabel(integrity string) string {
	switch integrity {
	case "High":
		return "S-1-16-12288"
	case "System":
		return "S-1-16-16384"
	}
	return "S-1-16-8192"
}

// subject fills in who did it, as the Security log writes it.
func (w *World) subject(e *event.Event, who *Account, h *Host, logon uint64) {
	if who == nil {
		e.Set(event.SubjectUserSid, "S-1-5-18")
		e.Set(event.SubjectUserName, w.arena.Join(h.Name, "$"))
	} else {
		e.Set(event.SubjectUserSid, who.SID)
		e.Set(event.SubjectUserName, who.Name)
	}
	e.Set(event.SubjectDomainName, w.NetBIOS)
	e.Set(event.SubjectLogonId, w.arena.Hex(logon))
}

// by fills in the process that caused a Sysmon event.
func (w *World) by(e *event.Event, now time.Duration, p *Process) {
	e.Set(event.Image, p.Binary.Path)
	e.Set(event.ProcessGuid, p.GUID)
	e.Set(event.ProcessId, w.arena.Uint(uint64(p.PID)))
	e.Set(event.User, w.userName(p.Account))
	e.Set(event.UtcTime, w.utc(now))
	e.Set(event.RuleName, "-")
}

// LoadImage is a library loaded into a process (Sysmon 7).
func (w *World) LoadImage(now time.Duration, a *Actor, p *Process, b *Binary) {
	e := w.begin(now, &event.SysmonImageLoad, p.Host, a, 16)
	if e == nil {
		return
	}
	w.by(e, now, p)
	e.Set(event.OriginalFileName, b.OriginalName)
	e.Set(event.Description, b.Description)
	e.Set(event.Product, b.Product)
	e.Set(event.Company, b.Company)
	e.Set(event.FileVersion, b.Version)
	e.Set(event.Hashes, b.Hashes)
	e.Set(event.ImageLoaded, b.Path)
	if b.Signed {
		e.Set(event.Signed, "true")
		e.Set(event.Signature, "Microsoft Windows")
		e.Set(event.SignatureStatus, "Valid")
	} else {
		e.Set(event.Signed, "false")
		e.Set(event.Signature, "-")
		e.Set(event.SignatureStatus, "Unavailable")
	}
	w.finish(e, a)
}

// CreateRemoteThread is a thread started in another process (Sysmon 8).
func (w *World) CreateRemoteThread(now time.Duration, a *Actor, from *Process, target *Binary, function string) {
	e := w.begin(now, &event.SysmonRemoteThread, from.Host, a, 14)
	if e == nil {
		return
	}
	u := unique(a, from.Host, 8)
	w.between(e, now, from, target, u)
	e.Set(
		event.StartAddress,
		w.arena.Text(18, func(b []byte) []byte { return appendHex(append(b, "0x0000"...), u>>20, 12) }),
	)
	e.Set(event.StartModule, `C:\Windows\System32\KERNEL32.DLL`)
	e.Set(event.StartFunction, function)
	e.Set(event.NewThreadId, w.arena.Uint(1000+u%9000))
	w.finish(e, a)
}

// AccessProcess is one process opening another (Sysmon 10). The access mask is
// hexadecimal, such as 0x1010; the trace names the modules of the call stack.
func (w *World) AccessProcess(now time.Duration, a *Actor, from *Process, target *Binary, mask, trace string) {
	if e := w.begin(now, &event.SysmonProcessAccess, from.Host, a, 14); e != nil {
		w.between(e, now, from, target, unique(a, from.Host, 10))
		e.Set(event.GrantedAccess, mask)
		e.Set(event.CallTrace, trace)
		w.finish(e, a)
	}
	if target == Lsass { // the one process that Windows audits by itself
		w.openObject(now, a, from, "Process", `\Device\HarddiskVolume2\Windows\System32\lsass.exe`, mask,
			"%%4484\r\n\t\t\t\t%%4490\r\n\t\t\t\t")
	}
}

// openObject is a handle to an audited object: asked for (4656), used (4663), duplicated
// (4690) and closed (4658).
func (w *World) openObject(now time.Duration, a *Actor, p *Process, kind, name, mask, list string) {
	if w.unwatched(p.Host, event.ChannelHandleAudit, a, 4) {
		return
	}
	handle := w.arena.Hex(0x100 + unique(a, p.Host, 4656)%0x2000&^3)
	about := []string{"ObjectType", kind, "ObjectName", name, "AccessMask", mask, "AccessList", list, "HandleId", handle}
	w.Log(now, a, p, "Security 4656", about...)
	w.Log(now, a, p, "Security 4663", about...)
	w.Log(now, a, p, "Security 4690", "SourceHandleId", handle)
	w.Log(now+5*time.Millisecond, a, p, "Security 4658", "HandleId", handle)
}

// auditedFiles are parts of paths that Windows' own audit of files covers in estates that
// audit handles: password stores.
var auditedFiles = []string{`\system32\config\`, `ntds.dit`, `login data`, `\protect\`, `\credentials\`, `.kdbx`,
	`logins.json`, `unattend.xml`}

// ReadFile is a file read by a process; an audit of handles sees password stores.
func (w *World) ReadFile(now time.Duration, a *Actor, p *Process, path string) {
	lower := strings.ToLower(path)
	if slices.ContainsFunc(auditedFiles, func(part string) bool { return strings.Contains(lower, part) }) {
		w.openObject(now, a, p, "File", path, "0x1", "%%4416\r\n\t\t\t\t")
	}
}

func (w *World) between(e *event.Event, now time.Duration, from *Process, target *Binary, u uint64) {
	e.Set(event.UtcTime, w.utc(now))
	e.Set(event.RuleName, "-")
	e.Set(event.SourceImage, from.Binary.Path)
	e.Set(event.TargetImage, target.Path)
	e.Set(event.SourceProcessId, w.arena.Uint(uint64(from.PID)))
	e.Set(event.TargetProcessId, w.arena.Uint(500+u%400))
	e.Set(event.SourceProcessGUID, from.GUID)
	e.Set(event.TargetProcessGUID, w.guid(from.Host.machine, 0, u>>32))
	e.Set(event.SourceThreadId, w.arena.Uint(1000+u>>50))
	e.Set(event.SourceUser, w.userName(from.Account))
	e.Set(event.TargetUser, `NT AUTHORITY\SYSTEM`)
}

// UsualCallTrace is the stack of an ordinary handle request.
const UsualCallTrace = `C:\Windows\SYSTEM32\ntdll.dll+9c534|C:\Windows\System32\KERNELBASE.dll+305fe|C:\Windows\System32\svchost.exe+2fba`

// CreateFile is a file written by a process (Sysmon 11). It fails when the file
// was quarantined.
func (w *World) CreateFile(now time.Duration, a *Actor, p *Process, path string) Refusal {
	if r := w.MayWrite(p.Host, path); !r.OK() {
		return r
	}
	if e := w.begin(now, &event.SysmonFile, p.Host, a, 8); e != nil {
		w.by(e, now, p)
		e.Set(event.TargetFilename, path)
		e.Set(event.CreationUtcTime, e.Value(event.UtcTime))
		w.finish(e, a)
	}
	return Refusal{}
}

// MayWrite tells why a file cannot be written on a host: it was quarantined there.
func (w *World) MayWrite(h *Host, path string) Refusal {
	if q := w.quarantine[fileKey{h.Name, path}]; q != nil {
		return refusedBy("file_quarantined", q)
	}
	return Refusal{}
}

// DeleteFile is a file removed by a process (Sysmon 23).
func (w *World) DeleteFile(now time.Duration, a *Actor, p *Process, path string) {
	e := w.begin(now, &event.SysmonFileDelete, p.Host, a, 10)
	if e == nil {
		return
	}
	w.by(e, now, p)
	e.Set(event.Hashes, p.Binary.Hashes)
	e.Set(event.TargetFilename, path)
	e.Set(event.IsExecutable, "false")
	e.Set(event.Archived, "true")
	w.finish(e, a)
}

// AddRegistryKey is a key created or deleted by a process (Sysmon 12).
func (w *World) AddRegistryKey(now time.Duration, a *Actor, p *Process, key string) {
	e := w.begin(now, &event.SysmonRegistryAdd, p.Host, a, 8)
	if e == nil {
		return
	}
	w.by(e, now, p)
	e.Set(event.TargetObject, key)
	e.Set(event.EventType, "CreateKey")
	w.finish(e, a)
}

// SetRegistryValue is a value written by a process (Sysmon 13).
func (w *World) SetRegistryValue(now time.Duration, a *Actor, p *Process, key, details string) {
	if e := w.begin(now, &event.SysmonRegistrySet, p.Host, a, 9); e != nil {
		w.by(e, now, p)
		e.Set(event.TargetObject, key)
		e.Set(event.Details, details)
		e.Set(event.EventType, "SetValue")
		w.finish(e, a)
	}
	if w.unwatched(p.Host, event.ChannelHandleAudit, a, 1) {
		return
	}
	at := max(0, strings.LastIndexByte(key, '\\'))
	name := strings.NewReplacer("HKLM", `\REGISTRY\MACHINE`, "HKU", `\REGISTRY\USER`).Replace(key[:at])
	w.Log(now, a, p, "Security 4657", "ObjectName", name, "ObjectValueName", key[min(len(key), at+1):], "NewValue",
		details)
}

// CreatePipe is a named pipe created by a process (Sysmon 17).
func (w *World) CreatePipe(now time.Duration, a *Actor, p *Process, name string) {
	w.pipe(now, a, &event.SysmonPipeCreated, "CreatePipe", p, name)
}

// ConnectPipe is a named pipe opened by a process (Sysmon 18).
func (w *World) ConnectPipe(now time.Duration, a *Actor, p *Process, name string) {
	w.pipe(now, a, &event.SysmonPipeConnected, "ConnectPipe", p, name)
}

func (w *World) pipe(now time.Duration, a *Actor, kind *event.Kind, what string, p *Process, name string) {
	e := w.begin(now, kind, p.Host, a, 8)
	if e == nil {
		return
	}
	w.by(e, now, p)
	e.Set(event.EventType, what)
	e.Set(event.PipeName, name)
	w.finish(e, a)
}

// Logon types of Windows (4624).
const (
	LogonInteractive = "2"
	LogonNetwork     = "3"
	LogonBatch       = "4"
	LogonService     = "5"
	LogonRemote      = "10"
)

// Logon is one attempt to log on to a Windows host.
type Logon struct {
	From       Endpoint
	To         *Host
	Account    *Account
	Type       string
	NTLM       bool
	Generation int    // of the credential used
	BadSecret  bool   // the password or hash is wrong
	Explicit   string // program that used other credentials, for 4648 on the source
	Keep       bool   // leave a session behind
}

// LogOn tries to log on: reachability is the caller's business. It leaves 4768,
// 4769 or 4776 on the controller, 4624 and 4672 or 4625 on the target, 4648 on
// the source. A refusal says why it failed.
func (w *World) LogOn(now time.Duration, a *Actor, l Logon) (*Session, Refusal) {
	refusal := w.MayLogOn(l.Account, l.Generation)
	if refusal.OK() && l.BadSecret {
		refusal = Refusal{Reason: "bad_password"}
	}
	if l.Explicit != "" && l.From.Host != nil && l.From.Host.Windows() {
		w.explicitLogon(now, a, l)
	}
	if dc := w.DomainController(l.To); dc != nil && l.Type != LogonService {
		w.authenticate(now, a, dc, l, refusal)
	}
	if !refusal.OK() {
		w.logonFailed(now, a, l, refusal)
		return nil, refusal
	}
	s := &Session{
		Account: l.Account,
		From:    l.From.IP(),
		Remote:  l.From.Host != l.To,
		LogonID: 0x20000 + unique(a, l.To, 4624)>>36,
	}
	w.loggedOn(now, a, l, s)
	if l.Type == LogonRemote {
		w.remoteDesktop(now, a, l)
	}
	if l.Keep {
		l.To.addSession(s)
	}
	return s, Refusal{}
}

// remoteDesktop is a session of remote desktop as the services of the target log it.
func (w *World) remoteDesktop(now time.Duration, a *Actor, l Logon) {
	from := l.From.IP()
	w.LogBy(now, a, l.To, nil, "RdpCore 131", "ClientIP", w.arena.Join(from, ":", w.port(a, l.To)))
	w.LogBy(now, a, l.To, nil, "RemoteConnection 261")
	w.LogBy(now, a, l.To, l.Account, "RemoteConnection 1149", "Param3", from)
	w.LogBy(now, a, l.To, l.Account, "LocalSession 21", "Address", from)
	w.LogBy(now, a, l.To, l.Account, "LocalSession 22", "Address", from)
	w.LogBy(now, a, l.To, l.Account, "Security 4778", "ClientName", strings.ToUpper(sourceName(l.From)), "ClientAddress",
		from)
}

// addSession keeps a session, in the place of an older one of the same account.
func (h *Host) addSession(s *Session) {
	at := slices.IndexFunc(h.Sessions, func(old *Session) bool { return old.Account == s.Account })
	if at >= 0 {
		h.Sessions[at] = s
		return
	}
	h.Sessions = append(h.Sessions, s)
}

func (w *World) explicitLogon(now time.Duration, a *Actor, l Logon) {
	e := w.begin(now, &event.SecurityExplicitLogon, l.From.Host, a, 14)
	if e == nil {
		return
	}
	u := unique(a, l.From.Host, 4648)
	e.Set(event.LogonGuid, "{00000000-0000-0000-0000-000000000000}")
	e.Set(event.ProcessId, w.arena.Hex(1000+u%8000))
	w.subject(e, l.From.Host.Owner, l.From.Host, l.From.Host.logonID(l.From.Host.Owner))
	e.Set(event.TargetUserName, l.Account.Name)
	e.Set(event.TargetDomainName, w.NetBIOS)
	e.Set(event.ProcessName, l.Explicit)
	e.Set(event.IpAddress, l.To.IP)
	e.Set(event.IpPort, "0")
	e.Set(event.TargetServerName, l.To.FQDN)
	e.Set(event.TargetInfo, l.To.FQDN)
	e.Set(event.TargetLogonGuid, "{00000000-0000-0000-0000-000000000000}")
	w.finish(e, a)
}

func (w *World) authenticate(now time.Duration, a *Actor, dc *Host, l Logon, refusal Refusal) {
	switch {
	case l.NTLM:
		if e := w.begin(now, &event.SecurityNTLM, dc, a, 4); e != nil {
			e.Set(event.TargetUserName, l.Account.Name)
			e.Set(event.Workstation, strings.ToUpper(sourceName(l.From)))
			e.Set(event.Status, statusCode(refusal))
			e.Set(event.PackageName, "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0")
			w.finish(e, a)
		}
	case l.Type == LogonNetwork:
		w.KerberosTicket(now, a, dc, l.From, l.Account, l.To.Name+"$", "0x12")
	default:
		if e := w.begin(now, &event.SecurityKerberosTGT, dc, a, 12); e != nil {
			e.Set(event.TargetUserName, l.Account.Name)
			e.Set(event.TargetDomainName, strings.ToUpper(w.Domain))
			e.Set(event.TargetSid, l.Account.SID)
			e.Set(event.IpAddress, w.arena.Join("::ffff:", l.To.IP))
			e.Set(event.IpPort, w.port(a, dc))
			e.Set(event.Status, kerberosStatus(refusal))
			e.Set(event.ServiceName, "krbtgt")
			e.Set(event.ServiceSid, w.arena.Join(w.domainSID, "-502"))
			e.Set(event.TicketOptions, "0x40810010")
			e.Set(event.TicketEncryptionType, "0x12")
			e.Set(event.PreAuthType, "2")
			e.Set(event.CertIssuerName, "")
			e.Set(event.CertSerialNumber, "")
			e.Set(event.CertThumbprint, "")
			w.finish(e, a)
		}
	}
}

// KerberosTicket is a service ticket asked of a controller (4769, and Zeek's
// kerberos log). The encryption type is 0x12 for AES256, 0x17 for RC4.
func (w *World) KerberosTicket(
	now time.Duration,
	a *Actor,
	dc *Host,
	from Endpoint,
	who *Account,
	service, encryption string,
) {
	if e := w.begin(now, &event.SecurityKerberosTicket, dc, a, 12); e != nil {
		e.Set(event.LogonGuid, w.guid(dc.machine, now, unique(a, dc, 4769)))
		e.Set(event.TargetUserName, w.arena.Join(who.Name, "@", strings.ToUpper(w.Domain)))
		e.Set(event.TargetDomainName, strings.ToUpper(w.Domain))
		e.Set(event.IpAddress, w.arena.Join("::ffff:", from.IP()))
		e.Set(event.IpPort, w.port(a, dc))
		e.Set(event.TransmittedServices, "-")
		e.Set(event.Status, "0x0")
		e.Set(event.ServiceName, service)
		e.Set(event.ServiceSid, w.arena.Join(w.domainSID, "-", w.arena.Uint(1000+uint64(len(service)))))
		e.Set(event.TicketOptions, "0x40810000")
		e.Set(event.TicketEncryptionType, encryption)
		w.finish(e, a)
	}
	if from.Host == nil {
		return
	}
	if e := w.begin(now, &event.ZeekKerberos, from.Host, a, 14); e != nil {
		w.flow(e, now, a, from, At(dc), 88, "tcp")
		e.Set(event.Cipher, cipherName(encryption))
		e.Set(event.ConnService, "")
		e.Set(event.RequestType, "TGS")
		e.Set(event.KerberosClient, w.arena.Join(who.Name, "/", strings.ToUpper(w.Domain)))
		e.SetName("service", w.arena.Join(strings.ToLower(strings.TrimSuffix(service, "$")), "/", w.Domain))
		e.SetName("success", "true")
		e.Set(event.Till, w.unix(now+10*time.Hour))
		e.Set(event.Forwardable, "true")
		e.Set(event.Renewable, "true")
		w.finish(e, a)
	}
}

func cipherName(encryption string) string {
	if encryption == "0x17" {
		return "rc4-hmac"
	}
	return "aes256-cts-hmac-sha1-96"
}

func (w *World) loggedOn(now time.Duration, a *Actor, l Logon, s *Session) {
	if e := w.begin(now, &event.SecurityLogon, l.To, a, 24); e != nil {
		e.Set(event.LogonGuid, w.guid(l.To.machine, now, s.LogonID))
		e.Set(event.ProcessId, "0x0")
		if l.Type == LogonNetwork {
			e.Set(event.SubjectUserSid, "S-1-0-0")
			e.Set(event.SubjectUserName, "-")
			e.Set(event.SubjectDomainName, "-")
			e.Set(event.SubjectLogonId, "0x0")
		} else {
			w.subject(e, nil, l.To, 0x3e7)
		}
		e.Set(event.TargetUserSid, l.Account.SID)
		e.Set(event.TargetUserName, l.Account.Name)
		e.Set(event.TargetDomainName, w.NetBIOS)
		e.Set(event.TargetLogonId, w.arena.Hex(s.LogonID))
		e.Set(event.LogonType, l.Type)
		w.logonPackage(e, l)
		e.Set(event.ProcessName, "-")
		w.origin(e, a, l)
		e.Set(event.ImpersonationLevel, "%%1833")
		e.Set(event.RestrictedAdminMode, "-")
		e.Set(event.ElevatedToken, elevated(w.Administers(l.Account, l.To)))
		e.Set(event.VirtualAccount, "%%1843")
		e.Set(event.TargetOutboundUserName, "-")
		e.Set(event.TargetOutboundDomainName, "-")
		e.Set(event.TransmittedServices, "-")
		e.Set(event.TargetLinkedLogonId, "0x0")
		w.finish(e, a)
	}
	w.groupMembership(now, a, l, s)
	if w.Administers(l.Account, l.To) {
		if e := w.begin(now, &event.SecurityPrivileges, l.To, a, 5); e != nil {
			w.subject(e, l.Account, l.To, s.LogonID)
			e.Set(
				event.PrivilegeList,
				"SeSecurityPrivilege\r\n\t\t\tSeBackupPrivilege\r\n\t\t\tSeRestorePrivilege\r\n\t\t\tSeTakeOwnershipPrivilege\r\n\t\t\tSeDebugPrivilege\r\n\t\t\tSeSystemEnvironmentPrivilege\r\n\t\t\tSeLoadDriverPrivilege\r\n\t\t\tSeImpersonatePrivilege",
			)
			w.finish(e, a)
		}
	}
}

// groupMembership is the groups that a logon brings along (4627).
func (w *World) groupMembership(now time.Duration, a *Actor, l Logon, s *Session) {
	if w.unwatched(l.To, event.ChannelPrivilegeAudit, a, 1) {
		return
	}
	groups := "\n\t\t%{S-1-5-32-545}\n\t\t%{S-1-1-0}\n\t\t%{S-1-5-2}\n\t\t%{S-1-5-11}\n\t\t%{S-1-16-8448}"
	if w.Administers(l.Account, l.To) {
		groups = "\n\t\t%{S-1-5-32-544}" + groups
	}
	w.LogBy(now, a, l.To, nil, "Security 4627", "TargetUserSid", l.Account.SID, "TargetUserName", l.Account.Name,
		"TargetLogonId", w.arena.Hex(s.LogonID), "LogonType", l.Type, "GroupMembership", groups)
}

func elevated(yes bool) string {
	if yes {
		return "%%1842"
	}
	return "%%1843"
}

func (w *World) logonPackage(e *event.Event, l Logon) {
	switch {
	case l.NTLM:
		e.Set(event.LogonProcessName, "NtLmSsp ")
		e.Set(event.AuthenticationPackageName, "NTLM")
		e.Set(event.LmPackageName, "NTLM V2")
		e.Set(event.KeyLength, "128")
	case l.Type == LogonNetwork:
		e.Set(event.LogonProcessName, "Kerberos")
		e.Set(event.AuthenticationPackageName, "Kerberos")
		e.Set(event.LmPackageName, "-")
		e.Set(event.KeyLength, "0")
	default:
		e.Set(event.LogonProcessName, "User32 ")
		e.Set(event.AuthenticationPackageName, "Negotiate")
		e.Set(event.LmPackageName, "-")
		e.Set(event.KeyLength, "0")
	}
}

func (w *World) origin(e *event.Event, a *Actor, l Logon) {
	switch l.From.Host {
	case l.To:
		e.Set(event.WorkstationName, l.To.Name)
		e.Set(event.IpAddress, "127.0.0.1")
		e.Set(event.IpPort, "0")
	default:
		name := "-"
		if l.NTLM {
			name = strings.ToUpper(sourceName(l.From))
		}
		e.Set(event.WorkstationName, name)
		e.Set(event.IpAddress, l.From.IP())
		e.Set(event.IpPort, w.port(a, l.To))
	}
}

func sourceName(e Endpoint) string {
	if e.Host != nil {
		return e.Host.Name
	}
	return "WIN-" + strings.ReplaceAll(e.Address, ".", "")
}

func (w *World) logonFailed(now time.Duration, a *Actor, l Logon, refusal Refusal) {
	e := w.begin(now, &event.SecurityLogonFailed, l.To, a, 20)
	if e == nil {
		return
	}
	e.Set(event.ProcessId, "0x0")
	e.Set(event.SubjectUserSid, "S-1-0-0")
	e.Set(event.SubjectUserName, "-")
	e.Set(event.SubjectDomainName, "-")
	e.Set(event.SubjectLogonId, "0x0")
	e.Set(event.TargetUserSid, "S-1-0-0")
	e.Set(event.TargetUserName, l.Account.Name)
	e.Set(event.TargetDomainName, w.NetBIOS)
	e.Set(event.LogonType, l.Type)
	w.logonPackage(e, l)
	e.Set(event.ProcessName, "-")
	w.origin(e, a, l)
	e.Set(event.TransmittedServices, "-")
	e.Set(event.Status, "0xc000006d")
	e.Set(event.SubStatus, statusCode(refusal))
	e.Set(event.FailureReason, "%%2313")
	w.finish(e, a)
}

func statusCode(r Refusal) string {
	switch r.Reason {
	case "":
		return "0x0"
	case "account_revoked":
		return "0xc0000072"
	}
	return "0xc000006a"
}

func kerberosStatus(r Refusal) string {
	switch r.Reason {
	case "":
		return "0x0"
	case "account_revoked":
		return "0x12"
	}
	return "0x18"
}

// LogOff ends a session (4634).
func (w *World) LogOff(now time.Duration, a *Actor, h *Host, s *Session) {
	s.Ended = true
	h.Sessions = slices.DeleteFunc(h.Sessions, func(x *Session) bool { return x == s })
	e := w.begin(now, &event.SecurityLogoff, h, a, 5)
	if e == nil {
		return
	}
	e.Set(event.TargetUserSid, s.Account.SID)
	e.Set(event.TargetUserName, s.Account.Name)
	e.Set(event.TargetDomainName, w.NetBIOS)
	e.Set(event.TargetLogonId, w.arena.Hex(s.LogonID))
	e.Set(event.LogonType, LogonNetwork)
	w.finish(e, a)
}

// OpenShare is a share opened on a host (5140).
func (w *World) OpenShare(now time.Duration, a *Actor, from Endpoint, to *Host, who *Account, share string) {
	if e := w.begin(now, &event.SecurityShare, to, a, 11); e != nil {
		w.share(e, a, from, to, who, share)
		e.Set(event.AccessMask, "0x1")
		e.Set(event.AccessList, "%%4416\r\n\t\t\t\t")
		w.finish(e, a)
	}
	if e := w.begin(now, &event.ZeekMapping, watcher(from, At(to)), a, 8); e != nil {
		w.flow(e, now, a, from, At(to), 445, "")
		e.Set(event.FilePath, w.arena.Join(`\\`, to.FQDN, `\`, strings.TrimPrefix(share, `\\*\`)))
		kind := "DISK"
		if strings.HasSuffix(share, "IPC$") {
			kind = "PIPE"
		}
		e.Set(event.ShareType, kind)
		w.finish(e, a)
	}
}

// AccessShareFile is a file on a share checked for access (5145) and seen by
// Zeek. The mask is 0x120089 for reading, 0x12019f for writing.
func (w *World) AccessShareFile(
	now time.Duration,
	a *Actor,
	from Endpoint,
	to *Host,
	who *Account,
	share, name string,
	write bool,
) {
	mask, list := "0x120089", "%%1538\r\n\t\t\t\t%%1541\r\n\t\t\t\t%%4416\r\n\t\t\t\t%%4419\r\n\t\t\t\t%%4423\r\n\t\t\t\t"
	action := "SMB::FILE_OPEN"
	if write {
		mask, list = "0x12019f", "%%1538\r\n\t\t\t\t%%1541\r\n\t\t\t\t%%4416\r\n\t\t\t\t%%4417\r\n\t\t\t\t%%4418\r\n\t\t\t\t"
		action = "SMB::FILE_WRITE"
	}
	if e := w.begin(now, &event.SecurityShareFile, to, a, 13); e != nil {
		w.share(e, a, from, to, who, share)
		e.Set(event.RelativeTargetName, name)
		e.Set(event.AccessMask, mask)
		e.Set(event.AccessList, list)
		e.Set(event.AccessReason, "-")
		w.finish(e, a)
	}
	if strings.HasSuffix(share, "IPC$") {
		w.callRPC(now, a, from, to, name)
		return
	}
	if e := w.begin(now, &event.ZeekSMBFiles, watcher(from, At(to)), a, 18); e != nil {
		w.flow(e, now, a, from, At(to), 445, "")
		e.Set(event.Action, action)
		e.Set(event.FileName, name)
		e.Set(event.FilePath, w.arena.Join(`\\`, to.FQDN, `\`, strings.TrimPrefix(share, `\\*\`)))
		e.Set(event.FileSize, w.arena.Uint(1000+unique(a, to, 445)%200_000))
		changed := w.unix(now - 26*time.Hour)
		e.Set(event.TimesModified, changed)
		e.Set(event.TimesAccessed, w.unix(now))
		e.Set(event.TimesCreated, changed)
		e.Set(event.TimesChanged, changed)
		w.finish(e, a)
	}
}

// calls are the operations that programs ask of an interface over a named pipe, as Zeek's
// dce_rpc log names them.
var calls = map[string][]string{
	"svcctl":  {"OpenSCManagerW", "CreateServiceW", "StartServiceW"},
	"samr":    {"SamrConnect5", "SamrEnumerateUsersInDomain", "SamrQueryInformationDomain"},
	"atsvc":   {"SchRpcRegisterTask", "SchRpcRun"},
	"winreg":  {"OpenLocalMachine", "BaseRegSaveKey"},
	"lsarpc":  {"EfsRpcOpenFileRaw"},
	"spoolss": {"RpcRemoteFindFirstPrinterChangeNotificationEx"},
	"drsuapi": {"DRSBind", "DRSGetNCChanges"},
	"srvsvc":  {"NetrShareEnum"},
	"wkssvc":  {"NetrWkstaUserEnum"},
}

// callRPC is what Zeek reads of calls over a named pipe (dce_rpc).
func (w *World) callRPC(now time.Duration, a *Actor, from Endpoint, to *Host, pipe string) {
	for i, operation := range calls[pipe] {
		e := w.begin(now+time.Duration(i)*30*time.Millisecond, &event.ZeekRPC, watcher(from, At(to)), a, 12)
		if e == nil {
			continue
		}
		w.flow(e, now, a, from, At(to), 445, "")
		e.Set(event.DNSRtt, "0.000816")
		e.Set(event.NamedPipe, w.arena.Join(`\pipe\`, pipe))
		e.Set(event.RPCEndpoint, pipe)
		e.Set(event.RPCOperation, operation)
		w.finish(e, a)
	}
}

func (w *World) share(e *event.Event, a *Actor, from Endpoint, to *Host, who *Account, share string) {
	w.subject(e, who, to, to.logonID(who))
	e.Set(event.IpAddress, from.IP())
	e.Set(event.IpPort, w.port(a, to))
	e.Set(event.ObjectType, "File")
	e.Set(event.ShareName, share)
	e.Set(event.ShareLocalPath, w.arena.Join(`\??\C:\Shares\`, strings.TrimPrefix(share, `\\*\`)))
}

// port is an ephemeral source port.
func (w *World) port(a *Actor, h *Host) string {
	return w.arena.Uint(49152 + unique(a, h, 7)%16000)
}
