package technique

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var quick = sim.LogNormal(time.Minute, 0.7)

// defenseImpairment are techniques of the tactic Defense Impairment (TA0112).
var defenseImpairment = []*Technique{
	{
		ID: "T1685", Name: "Disable or Modify Tools", Tactic: "defense-impairment", Platforms: []string{"windows"},
		Needs: "an elevated foothold on Windows", Effect: "the endpoint agent on the host may be silent from then on",
		Telemetry: []string{"windows/sysmon 1 13", "windows/powershell 4104"}, Tools: []string{"Set-MpPreference", "registry", "service stop"}, Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.8,
		ready: needElevated, run: impairDefences,
	},
	{
		ID: "T1685.001", Name: "Disable or Modify Tools: Disable or Modify Windows Event Log", Tactic: "defense-impairment", Effect: "the Security log misses logons",
		Takes: quick, Success: 0.95,
		script: &script{at: onElevated, variants: []variant{
			by("auditpol", cmd(world.Auditpol, `auditpol.exe /set /category:"Account Logon" /success:disable /failure:disable`)),
			by("autologger", cmd(world.Reg, `reg add "HKLM\System\CurrentControlSet\Control\WMI\Autologger\EventLog-Security" /v Start /t REG_DWORD /d 0 /f`)),
		}},
	},
	{
		ID: "T1686", Name: "Disable or Modify System Firewall", Tactic: "defense-impairment", Effect: "the host's own firewall lets everything in",
		Takes: quick, Success: 0.96,
		script: &script{at: anywhere, variants: []variant{
			by("one rule", either(cmd(world.Netsh, `netsh advfirewall firewall add rule name="Core Networking" dir=in action=allow program="C:\Users\Public\agent.exe" enable=yes`), sh(world.Iptables, "iptables -F"))),
			by("off", either(cmd(world.Netsh, `netsh advfirewall set allprofiles state off`), sh(world.UFW, "ufw disable"))),
		}},
	},
	{
		ID: "T1685.005", Name: "Disable or Modify Tools: Clear Windows Event Logs", Tactic: "defense-impairment", Effect: "the logs of the host are empty",
		Takes: quick, Success: 0.98,
		script: &script{at: onElevated, variants: []variant{
			by("wevtutil", cmd(world.Wevtutil, "wevtutil.exe cl Security"), cmd(world.Wevtutil, "wevtutil.exe cl System")),
			by("Clear-EventLog", powershell("Clear-EventLog -LogName Application,System")),
		}},
	},
	{
		ID: "T1112", Name: "Modify Registry", Tactic: "defense-impairment", Effect: "a setting of the system serves the attacker",
		Takes: quick, Success: 0.98,
		script: &script{at: onElevated, variants: []variant{
			by("wdigest", cmd(world.Reg, `reg add HKLM\SYSTEM\CurrentControlSet\Control\SecurityProviders\WDigest /v UseLogonCredential /t REG_DWORD /d 1 /f`)),
			by("remote desktop on", cmd(world.Reg, `reg add "HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server" /v fDenyTSConnections /t REG_DWORD /d 0 /f`)),
		}},
	},
	{
		ID: "T1222.001", Name: "File and Directory Permissions Modification: Windows Permissions", Tactic: "defense-impairment", Effect: "everybody may write where only the system might",
		Takes: quick, Success: 0.97,
		script: &script{at: onElevated, variants: []variant{
			by("icacls", cmd(world.Icacls, `icacls.exe C:\Data /grant Everyone:F /T /C /Q`)),
			by("takeown", cmd(world.Takeown, `takeown.exe /f C:\Data /r /d y`)),
		}},
	},
	{
		ID: "T1222.002", Name: "File and Directory Permissions Modification: Linux and Mac Permissions", Tactic: "defense-impairment", Effect: "the attacker's files can be run, and not be removed",
		Takes: quick, Success: 0.99,
		script: &script{at: onLinux, variants: []variant{
			by("chattr", sh(world.Chattr, "chattr -i /etc/ld.so.preload"), sh(world.Chmod, "chmod 777 /tmp/.agent")),
			by("chmod", sh(world.Chmod, "chmod +x /tmp/.agent")),
		}},
	},
}

var sdelete = named(world.Dropped(`C:\Users\Public\sdelete64.exe`, &plain), "sdelete.exe", "Secure file delete", "Sysinternals - www.sysinternals.com")

// powershellArgs runs PowerShell with these arguments, without a script block.
func powershellArgs(args string) move {
	return move{"windows/sysmon 1", func(a *Attempt, f *Foothold) world.Refusal {
		a.Process = a.start(f, world.PowerShell, "powershell.exe "+a.text(f, args))
		return world.Refusal{}
	}}
}

// written writes a file where the foothold is a Windows host.
func written(path string) move {
	return move{"windows/sysmon 11", func(a *Attempt, f *Foothold) world.Refusal {
		if !f.Host.Windows() {
			return world.Refusal{}
		}
		return file(path).do(a, f)
	}}
}

// stream writes an alternate data stream (Sysmon 15).
func stream(path string) move {
	return move{"windows/sysmon 15", func(a *Attempt, f *Foothold) world.Refusal {
		p := a.last(f)
		a.World.Log(a.Now, a.Actor, p, "Sysmon 15", "TargetFilename", a.text(f, path), "Contents", "-", "Hash", p.Binary.Hashes)
		return world.Refusal{}
	}}
}

func impairDefences(a *Attempt) Progress {
	f := a.Where(true, true)
	if f == nil {
		return failure("%s", errNotElevated)
	}
	r, played := a.playFurther(f)
	if !r.OK() {
		return blocked(r)
	}
	switch {
	case played:
	case a.Tool == "Set-MpPreference":
		line := "Set-MpPreference -DisableRealtimeMonitoring $true"
		a.start(f, world.PowerShell, `powershell.exe -c "`+line+`"`)
		a.World.RunScript(a.Now+time.Second, a.Actor, a.last(f), line)
	case a.Tool == "registry":
		p := a.start(f, world.Reg, `reg add "HKLM\SOFTWARE\Policies\Microsoft\Windows Defender" /v DisableAntiSpyware /t REG_DWORD /d 1 /f`)
		a.World.SetRegistryValue(a.Now+time.Second, a.Actor, p, `HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\DisableAntiSpyware`, "DWORD (0x00000001)")
	default:
		a.start(f, world.Sc, "sc stop WinDefend")
	}
	if a.failed {
		return failure("tamper protection on %s held", f.Host.Name)
	}
	f.Host.Agent = false
	return success("the agent on %s is silent", f.Host.Name)
}
