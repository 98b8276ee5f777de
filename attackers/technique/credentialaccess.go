package technique

import (
	"errors"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var credentialAccess = []*Technique{
	{
		ID: "T1548.002", Name: "Abuse Elevation Control Mechanism: Bypass User Account Control", Tactic: "privilege-escalation", Platforms: []string{"windows"},
		Needs: "a foothold on Windows", Effect: "the foothold is elevated",
		Telemetry: []string{"windows/sysmon 1 13"}, Tools: []string{"fodhelper", "eventvwr", "token of a service"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.85,
		ready: needWindows, run: elevate,
	},
	{
		ID: "T1003.001", Name: "OS Credential Dumping: LSASS Memory", Tactic: "credential-access", Platforms: []string{"windows"},
		Needs: "an elevated foothold on Windows", Effect: "credentials of accounts that used the host are stolen",
		Telemetry: []string{"windows/sysmon 1 10 11"}, Tools: []string{"comsvcs", "procdump", "direct read"}, Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.85,
		ready: needElevated, run: dumpLSASS,
	},
	{
		ID: "T1558.003", Name: "Steal or Forge Kerberos Tickets: Kerberoasting", Tactic: "credential-access", Platforms: []string{"windows"},
		Needs: "a foothold with a domain account", Effect: "weak passwords of service accounts are known after a while",
		Telemetry: []string{"windows/security 4769", "zeek/kerberos", "windows/powershell 4104"}, Tools: []string{"Rubeus", "Invoke-Kerberoast", "one at a time"}, Takes: sim.LogNormal(25*time.Minute, 0.9), Success: 0.7,
		ready: needWindows, run: kerberoast,
	},
}

func elevate(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	if f.Elevated {
		return success("%s is elevated already", f.Host.Name)
	}
	switch a.Tool {
	case "fodhelper":
		p := a.start(f, world.Reg, `reg add HKCU\Software\Classes\ms-settings\shell\open\command /d "C:\Users\Public\agent.exe" /f`)
		a.World.SetRegistryValue(a.Now+time.Second, a.Actor, p, `HKU\`+sid(f)+`_Classes\ms-settings\shell\open\command\(Default)`, `C:\Users\Public\agent.exe`)
		fod := &world.Binary{Path: `C:\Windows\System32\fodhelper.exe`, OriginalName: "FodHelper.EXE", Company: "Microsoft Corporation", Product: "Microsoft® Windows® Operating System", Description: "Features On Demand Helper", Version: "10.0.17763.1", Signed: true}
		high := *f
		high.Elevated = true
		parent := a.start(&high, fod, `"C:\Windows\System32\fodhelper.exe"`)
		a.World.StartProcess(a.Now+2*time.Second, a.Actor, world.Start{Host: f.Host, Account: f.Account, Binary: world.Cmd, CommandLine: `"C:\Windows\System32\cmd.exe" /c C:\Users\Public\agent.exe`, Parent: parent, Integrity: "High"})
	case "eventvwr":
		p := a.start(f, world.Reg, `reg add HKCU\Software\Classes\mscfile\shell\open\command /d "C:\Users\Public\agent.exe" /f`)
		a.World.SetRegistryValue(a.Now+time.Second, a.Actor, p, `HKU\`+sid(f)+`_Classes\mscfile\shell\open\command\(Default)`, `C:\Users\Public\agent.exe`)
	default:
		a.start(f, world.Whoami, "whoami /priv")
	}
	if a.failed {
		return failure("no elevation on %s", f.Host.Name)
	}
	f.Elevated = true
	if f.Implant != nil {
		f.Implant.Elevated = true
	}
	return success("elevated on %s", f.Host.Name)
}

func sid(f *Foothold) string {
	if f.Account == nil {
		return "S-1-5-18"
	}
	return f.Account.SID
}

const dumpTrace = `C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e|C:\Windows\SYSTEM32\dbgcore.DLL+6ce5|C:\Windows\SYSTEM32\dbgcore.DLL+13a1c`

func dumpLSASS(a *Attempt) Progress {
	f := a.Where(true, true)
	if f == nil {
		return failure("%s", errNotElevated)
	}
	var p *world.Process
	switch a.Tool {
	case "comsvcs":
		p = a.start(f, world.Rundll32, `rundll32.exe C:\Windows\System32\comsvcs.dll, MiniDump 624 C:\Windows\Temp\l.dmp full`)
		a.World.AccessProcess(a.Now+time.Second, a.Actor, p, world.Lsass, "0x1fffff", dumpTrace+`|C:\Windows\System32\comsvcs.dll+2a7c2`)
		a.World.CreateFile(a.Now+3*time.Second, a.Actor, p, `C:\Windows\Temp\l.dmp`)
	case "procdump":
		tool := world.Dropped(`C:\Users\Public\procdump64.exe`, &a.Rand)
		tool.OriginalName, tool.Company, tool.Product, tool.Description = "procdump", "Sysinternals - www.sysinternals.com", "ProcDump", "Sysinternals process dump utility"
		p = a.start(f, tool, `procdump64.exe -accepteula -ma lsass.exe C:\Users\Public\lsass.dmp`)
		a.World.AccessProcess(a.Now+time.Second, a.Actor, p, world.Lsass, "0x1fffff", dumpTrace)
		a.World.CreateFile(a.Now+4*time.Second, a.Actor, p, `C:\Users\Public\lsass.dmp`)
	default:
		if f.Implant != nil {
			trace := `C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e|UNKNOWN(00000277A5E0B7F1)`
			if a.Rand.Bool(a.Skill) { // a call stack made to look ordinary
				trace = world.UsualCallTrace
			}
			a.World.AccessProcess(a.Now+time.Second, a.Actor, f.Implant.Process, world.Lsass, "0x1010", trace)
		}
	}
	if a.failed {
		return failure("reading LSASS on %s failed", f.Host.Name)
	}
	fresh := 0
	take := func(who *world.Account) {
		if who != nil && a.steal(who, true) {
			fresh++
		}
	}
	take(f.Host.Owner)
	for _, s := range f.Host.Sessions {
		take(s.Account)
	}
	// Administrators leave credentials behind where they have worked.
	chance := 0.3
	if f.Host.Role != "workstation" {
		chance = 0.45
	}
	for _, who := range a.World.Accounts {
		switch {
		case who.Privilege == world.ServerAdmin && a.World.Administers(who, f.Host):
			if a.Rand.Bool(chance) {
				take(who)
			}
		case who.Privilege == world.DomainAdmin && f.Host.Role != "workstation":
			if a.Rand.Bool(chance / 3) {
				take(who)
			}
		}
	}
	return success("%d new credentials from %s", fresh, f.Host.Name)
}

// kerberoast asks one ticket a round, then cracks offline.
func kerberoast(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	var services []*world.Account
	for _, who := range a.World.Accounts {
		if who.Privilege == world.Service {
			services = append(services, who)
		}
	}
	dc := a.World.DomainController(f.Host)
	if dc == nil || len(services) == 0 || f.Account == nil {
		return Progress{Done: true, Note: errors.New("no service account to ask for").Error()}
	}
	if r := a.World.Reach(world.At(f.Host), world.At(dc), 88); !r.OK() {
		return blocked(r)
	}
	if a.Round == 0 && a.Tool == "Invoke-Kerberoast" {
		a.start(f, world.PowerShell, `powershell.exe -c "IEX(gc C:\Users\Public\k.ps1 -raw); Invoke-Kerberoast -OutputFormat Hashcat"`)
		a.World.RunScript(a.Now, a.Actor, f.Host, "Invoke-Kerberoast -OutputFormat Hashcat | % { $_.Hash }")
	}
	if a.Round == 0 && a.Tool == "Rubeus" {
		tool := world.Dropped(`C:\Users\Public\r.exe`, &a.Rand)
		tool.OriginalName, tool.Description, tool.Product = "Rubeus.exe", "Rubeus", "Rubeus"
		a.start(f, tool, `r.exe kerberoast /outfile:C:\Users\Public\h.txt`)
	}
	if a.Round < min(len(services), 12) {
		encryption := "0x17"
		if a.Tool == "one at a time" {
			encryption = "0x12"
		}
		who := services[a.Round]
		a.World.KerberosTicket(a.Now, a.Actor, dc, world.At(f.Host), f.Account, who.Name, encryption)
		wait := 400 * time.Millisecond
		if a.Tool == "one at a time" {
			wait = time.Duration(float64(4*time.Minute) * a.Rand.Exp())
		}
		return again(wait)
	}
	if a.failed {
		return failure("no service account had a weak password")
	}
	who := sim.Pick(&a.Rand, services)
	a.steal(who, false)
	return success("cracked the password of %s", who.Name)
}
