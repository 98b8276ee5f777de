package world

import (
	"strings"
	"time"

	"hemostat/sim"
	"hemostat/sim/event"
)

// Services of Windows under which others start, by the command line of their host.
const (
	ServiceSchedule = `C:\Windows\system32\svchost.exe -k netsvcs -p -s Schedule`
	ServiceDCOM     = `C:\Windows\system32\svchost.exe -k DcomLaunch -p`
	ServicePolicy   = `C:\Windows\system32\svchost.exe -k netsvcs -p -s gpsvc`
	ServiceBITS     = `C:\Windows\System32\svchost.exe -k netsvcs -p -s BITS`
	ServiceWMI      = `C:\Windows\system32\svchost.exe -k netsvcs -p -s Winmgmt`
	ServiceProfile  = `C:\Windows\system32\svchost.exe -k netsvcs -p -s ProfSvc`
)

// Service is the host process of a service that has been running since the host started.
func (h *Host) Service(line string) *Process { return h.System(Svchost, line) }

// System is a process of the system that has been running since the host started, with
// the parent that Windows gives it. The same host, program and line give the same process.
func (h *Host) System(b *Binary, line string) *Process {
	for _, p := range h.resident {
		if p.Binary == b && p.CommandLine == line {
			return p
		}
	}
	id := sim.Key(strings.ToLower(line)) ^ h.machine
	p := &Process{
		Host: h, Binary: b, CommandLine: line, Integrity: "System", LogonID: 0x3e7,
		PID: uint32(500+id%3500) &^ 3,
	}
	p.GUID = processGUID(h.machine, uint64(p.PID))
	if !h.Windows() {
		return p
	}
	h.resident = append(h.resident, p)
	switch b {
	case wininit, Winlogon, csrss:
		p.Parent = &Process{Host: h, PID: 408, Binary: smss, CommandLine: smss.Path, Integrity: "System",
			GUID: processGUID(h.machine, 408), LogonID: 0x3e7}
	case Services, Lsass:
		p.Parent = h.System(wininit, "wininit.exe")
	case Userinit:
		p.Parent = h.System(Winlogon, "winlogon.exe")
	case WmiPrvSE, Dllhost, RuntimeBroker:
		p.Parent = h.Service(ServiceDCOM)
	default:
		p.Parent = h.System(Services, `C:\Windows\system32\services.exe`)
	}
	return p
}

var (
	wininit = system(`System32\wininit.exe`, "WinInit.exe", "Windows Start-Up Application")
	smss    = system(`System32\smss.exe`, "smss.exe", "Windows Session Manager")
	csrss   = system(`System32\csrss.exe`, "CSRSS.Exe", "Client Server Runtime Process")
)

// Console is the process that serves console windows of a session.
func (h *Host) Console() *Process { return h.System(csrss, `%SystemRoot%\system32\csrss.exe`) }

// endProcess is a process that ends: Security 4689 and Sysmon 5.
func (w *World) endProcess(now time.Duration, a *Actor, p *Process) {
	if !p.Host.Windows() {
		return
	}
	if e := w.begin(now, &event.SysmonProcessEnd, p.Host, a, 6); e != nil {
		w.by(e, now, p)
		w.finish(e, a)
	}
	if e := w.begin(now, &event.SecurityProcessEnd, p.Host, a, 8); e != nil {
		w.subject(e, p.Account, p.Host, p.LogonID)
		e.Set(event.Status, "0x0")
		e.Set(event.ProcessId, w.arena.Hex(uint64(p.PID)))
		e.Set(event.ProcessName, p.Binary.Path)
		w.finish(e, a)
	}
}

// lifetimes are how long programs of the command line run; others are not ended.
var lifetimes = map[string]time.Duration{
	"cmd.exe": 2 * time.Second, "net.exe": time.Second, "net1.exe": 700 * time.Millisecond, "whoami.exe": 200 * time.Millisecond,
	"ipconfig.exe": 300 * time.Millisecond, "reg.exe": 200 * time.Millisecond, "sc.exe": 300 * time.Millisecond,
	"schtasks.exe": 600 * time.Millisecond, "hostname.exe": 100 * time.Millisecond, "nltest.exe": 800 * time.Millisecond,
	"systeminfo.exe": 4 * time.Second, "tasklist.exe": time.Second, "taskkill.exe": 400 * time.Millisecond,
	"powershell.exe": 9 * time.Second, "wmic.exe": 2 * time.Second, "netsh.exe": time.Second, "gpupdate.exe": 5 * time.Second,
	"backgroundtaskhost.exe": 20 * time.Second, "taskhostw.exe": 30 * time.Second, "bitsadmin.exe": 3 * time.Second,
	"certutil.exe": 2 * time.Second, "vssadmin.exe": 2 * time.Second, "wevtutil.exe": time.Second, "nslookup.exe": time.Second,
}

// processGUID is the identifier that Sysmon gives a process that has run since the host
// started.
func processGUID(machine, pid uint64) string {
	b := append(make([]byte, 0, 38), '{')
	b = appendHex(b, machine>>32, 8)
	b = append(b, "-5fa1-65e4-"...)
	b = appendHex(b, pid>>16, 4)
	b = append(b, '-')
	b = appendHex(b, pid, 12)
	return string(append(b, '}'))
}

// Program is a program that an account has had open since it logged on, below its shell.
// The same host, program, line and account give the same process.
func (h *Host) Program(b *Binary, line string, who *Account) *Process {
	switch {
	case who == nil:
		return h.System(b, line)
	case b == Explorer:
		return h.session(who)
	}
	id := sim.Key(strings.ToLower(line)) ^ h.machine ^ uint64(who.Index)<<32
	p := &Process{
		Host: h, Binary: b, CommandLine: line, Account: who, Integrity: "Medium", LogonID: h.logonID(who),
		PID: uint32(4000+id%8000) &^ 3, Parent: h.session(who),
	}
	p.GUID = processGUID(h.machine, uint64(p.PID))
	return p
}
