package technique

import (
	"errors"
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

var lateralMovement = []*Technique{
	{
		ID: "T1021.001", Name: "Remote Services: Remote Desktop Protocol", Tactic: "lateral-movement", Platforms: []string{"windows"},
		Needs: "a foothold, and a password that fits a known host", Effect: "a foothold on that host",
		Telemetry: []string{"windows/security 4624 4648", "windows/sysmon 1 3", "zeek/conn"}, Achieves: "control", Tools: []string{"mstsc", "tunnelled mstsc"}, Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.93,
		ready: needHop, run: func(a *Attempt) Progress { return hop(a, 3389, "rdp") },
	},
	{
		ID: "T1021.002", Name: "Remote Services: SMB/Windows Admin Shares", Tactic: "lateral-movement", Platforms: []string{"windows"},
		Needs: "a foothold, and a credential that administers a known host", Effect: "an elevated foothold on that host",
		Telemetry: []string{"windows/system 7045", "windows/security 4624 4697 5140 5145", "windows/sysmon 1 3 11 13 17", "zeek"}, Achieves: "control", Tools: []string{"psexec", "renamed psexec", "service by rpc"}, Takes: sim.LogNormal(90*time.Second, 0.8), Success: 0.93,
		ready: needHop, run: func(a *Attempt) Progress { return hop(a, 445, "smb") },
	},
	{
		ID: "T1021.004", Name: "Remote Services: SSH", Tactic: "lateral-movement", Platforms: []string{"linux"},
		Needs: "a session on Linux", Effect: "a session on a neighbour that trusts the same key",
		Telemetry: []string{"linux/sshd", "linux/auditd", "zeek/conn"}, Achieves: "control", Tools: []string{"found key", "forwarded agent"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.75,
		ready: needLinux, run: hopOverSSH,
	},
	{
		ID: "T1021.006", Name: "Remote Services: Windows Remote Management", Tactic: "lateral-movement", Platforms: []string{"windows"},
		Needs: "a foothold, and a credential that administers a known host", Effect: "an elevated foothold on that host",
		Telemetry: []string{"windows/security 4624", "windows/sysmon 1 3", "windows/powershell 4104", "zeek/conn"}, Achieves: "control", Tools: []string{"Enter-PSSession", "Invoke-Command", "winrs"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.93,
		ready: needHop, run: func(a *Attempt) Progress { return hop(a, 5985, "http") },
	},
	{
		ID: "T1021.003", Name: "Remote Services: Distributed Component Object Model", Tactic: "lateral-movement", Platforms: []string{"windows"},
		Needs: "a foothold, and a credential that administers a known host", Effect: "an elevated foothold on that host",
		Telemetry: []string{"windows/security 4624", "windows/sysmon 1 3", "zeek/conn"}, Achieves: "control", Tools: []string{"MMC20.Application", "ShellWindows"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.9,
		ready: needHop, run: func(a *Attempt) Progress { return hop(a, 135, "dce_rpc") },
	},
	{
		ID: "T1550.002", Name: "Use Alternate Authentication Material: Pass the Hash", Tactic: "lateral-movement", Platforms: []string{"windows"},
		Needs: "a foothold, and a hash that administers a known host", Effect: "an elevated foothold on that host",
		Telemetry: []string{"windows/security 4624 4776", "windows/sysmon 1 3", "zeek/conn"}, Achieves: "control", Tools: []string{"sekurlsa::pth", "impacket from the implant"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.92,
		ready: needHop, run: func(a *Attempt) Progress { return hop(a, 445, "smb") },
	},
	{
		ID: "T1550.003", Name: "Use Alternate Authentication Material: Pass the Ticket", Tactic: "lateral-movement", Platforms: []string{"windows"},
		Needs: "a foothold, and a ticket that administers a known host", Effect: "an elevated foothold on that host",
		Telemetry: []string{"windows/security 4624 4769", "windows/sysmon 1 3", "zeek/kerberos"}, Achieves: "control", Tools: []string{"Rubeus ptt", "injected by the implant"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.92,
		ready: needHop, run: func(a *Attempt) Progress { return hop(a, 5985, "http") },
	},
	{
		ID: "T1563.002", Name: "Remote Service Session Hijacking: RDP Hijacking", Tactic: "lateral-movement", Effect: "somebody else's session is the attacker's", Takes: quick, Success: 0.85,
		script: &script{at: onElevated, then: stealOwner, variants: []variant{
			by("tscon", cmd(world.Tscon, `tscon.exe 2 /dest:rdp-tcp#55`)),
			by("tscon as a service", installService("sesshijack", `cmd.exe /k tscon 2 /dest:rdp-tcp#55`), asSystem(world.Services, world.Cmd, `cmd.exe /k tscon 2 /dest:rdp-tcp#55`)),
		}},
	},
	{
		ID: "T1570", Name: "Lateral Tool Transfer", Tactic: "lateral-movement", Effect: "the tools lie on another host", Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.95,
		script: &script{at: anywhere, variants: []variant{
			by("copy to the admin share", either(cmd(world.Cmd, `cmd.exe /c copy C:\Users\Public\agent.exe \\{dc}\C$\Windows\Temp\agent.exe`), sh(world.SCP, "scp /tmp/.agent root@10.30.0.40:/tmp/")), copied),
			by("quiet copy", either(cmd(world.Robocopy, `robocopy.exe C:\Users\Public \\{dc}\C$\Windows\Temp agent.exe`), sh(world.Rsync, "rsync /tmp/.agent root@10.30.0.40:/tmp/")), copied),
		}},
	},
}

func needHop(s *State) error {
	if err := needWindows(s); err != nil {
		return err
	}
	if len(s.Known) == 0 {
		return errNothingKnown
	}
	if !slices.ContainsFunc(s.Known, func(h *world.Host) bool {
		return h.Windows() && !s.Avoid[h.Name] && !s.on(h) && s.credentialFor(h) != nil
	}) {
		return errNothingToUse
	}
	return nil
}

// chooseTarget prefers hosts of the role that the campaign is after, then
// servers, then anything that a credential opens.
func (a *Attempt) chooseTarget(port int) *world.Host {
	fits := func(h *world.Host) bool {
		return h.Windows() && !a.on(h) && a.credentialFor(h) != nil &&
			(port == 135 || slices.ContainsFunc(h.Ports, func(p world.Port) bool { return p.Number == port })) // every Windows host answers on 135
	}
	if wanted := role.Role(a.Options["role"]); wanted != "" {
		if h := a.pick(&a.Rand, func(h *world.Host) bool { return h.Role == wanted && fits(h) }); h != nil {
			return h
		}
	}
	if h := a.pick(&a.Rand, func(h *world.Host) bool { return h.Role != role.Workstation && fits(h) }); h != nil && a.Rand.Bool(0.7) {
		return h
	}
	return a.pick(&a.Rand, fits)
}

func hop(a *Attempt, port int, service string) Progress {
	w := a.World
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	a.Target = a.chooseTarget(port)
	if a.Target == nil {
		return failure("%s", errNothingToUse)
	}
	h := a.Target
	r := w.Reach(world.At(f.Host), world.At(h), port)
	state := "SF"
	if !r.OK() {
		state = "S0"
	}
	factor, _ := w.Throttle(world.At(f.Host), world.At(h))
	took := time.Duration(float64(20*time.Second) * factor)
	if r, _ := a.playFurther(f); !r.OK() {
		return blocked(r)
	}
	tool := hopTool(a, f, service)
	w.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(h), Port: port, Service: service, Process: tool, Sent: 60e3, Received: 40e3, Duration: took, State: state})
	if !r.OK() {
		if !r.ByDefence() {
			a.Avoid[h.Name] = true // no route leads there from here
		}
		return blocked(r)
	}
	if h.Decoy {
		w.TouchDecoy(a.Now, a.Actor, world.At(f.Host), h, decoyLog(port))
		a.Avoid[h.Name] = true
		return blocked(w.HitDecoy(h))
	}
	c := a.credentialFor(h)
	logon := world.Logon{From: world.At(f.Host), To: h, Account: c.Account, Type: world.LogonNetwork, NTLM: c.Hash, Generation: c.Generation, BadSecret: a.failed && !c.Hash}
	if port == 3389 {
		logon.Type, logon.Keep, logon.Explicit = world.LogonRemote, true, world.Mstsc.Path
	}
	session, refusal := w.LogOn(a.Now+2*time.Second, a.Actor, logon)
	if !refusal.OK() {
		c.Refused = refusal.Reason != "bad_password"
		return Progress{Done: true, Refusal: onlyDefence(refusal), Note: "logon to " + h.Name + " as " + c.Account.Name + " was refused: " + refusal.Reason}
	}
	if a.failed {
		return failure("the tool failed on %s", h.Name)
	}
	a.Account = c.Account
	arrive(a, f, h, c.Account, port)
	if !logon.Keep {
		w.LogOff(a.Now+20*time.Second, a.Actor, h, session)
	}
	return success("moved from %s to %s as %s", f.Host.Name, h.Name, c.Account.Name)
}

func decoyLog(port int) string {
	switch port {
	case 22:
		return "4002"
	case 3389:
		return "14001"
	}
	return "5000"
}

// hopTool starts the client side and returns the process that connects.
func hopTool(a *Attempt, f *Foothold, service string) *world.Process {
	switch {
	case service == "rdp":
		return a.start(f, world.Mstsc, `mstsc.exe /v:`+a.Target.FQDN)
	case service == "smb" && a.Tool == "psexec":
		return a.start(f, world.PsExec.Renamed(`C:\Users\Public\PsExec64.exe`), `PsExec64.exe -accepteula \\`+a.Target.Name+` -s cmd.exe`)
	case service == "smb" && a.Tool == "renamed psexec":
		return a.start(f, world.PsExec.Renamed(`C:\Users\Public\upd.exe`), `upd.exe -accepteula \\`+a.Target.Name+` -s -r sysmgmt cmd.exe`)
	case a.Tool == "sekurlsa::pth":
		name := "Administrator" // of a decoy, which no credential fits
		if c := a.credentialFor(a.Target); c != nil {
			name = c.Account.Name
		}
		a.World.LogBy(a.Now+time.Second, a.Actor, f.Host, f.Account, "Security 4624", "TargetUserName", name, "LogonType", "9", "LogonProcessName", "seclogo", "AuthenticationPackageName", "Negotiate", "KeyLength", "0")
		return a.start(f, mimikatz, a.text(f, `mimikatz.exe "sekurlsa::pth /user:`+name+` /domain:{domain} /ntlm:cc36cf7a8514893efccd332446158b1a" exit`))
	case a.Tool == "Rubeus ptt":
		return a.start(f, rubeus, `Rubeus.exe ptt /ticket:C:\Users\Public\t.kirbi`)
	case service == "dce_rpc":
		line := `$c=[activator]::CreateInstance([type]::GetTypeFromProgID("MMC20.Application","` + a.Target.Name + `")); $c.Document.ActiveView.ExecuteShellCommand("cmd",$null,"/c C:\Users\Public\agent.exe","7")`
		a.World.RunScript(a.Now, a.Actor, a.last(f), line)
		return a.start(f, world.PowerShell, `powershell.exe -c "`+line+`"`)
	case service == "http" && a.Technique.ID == "T1021.006" && a.Tool != "winrs":
		line := "Invoke-Command -ComputerName " + a.Target.Name + " -ScriptBlock { hostname }"
		if a.Tool == "Enter-PSSession" {
			line = "Enter-PSSession -ComputerName " + a.Target.Name
		}
		a.World.RunScript(a.Now, a.Actor, a.last(f), line)
		return a.start(f, world.PowerShell, `powershell.exe -c "`+line+`"`)
	}
	if f.Implant != nil {
		return f.Implant.Process
	}
	return nil
}

// arrive leaves the target's side of a hop and an implant there.
func arrive(a *Attempt, from *Foothold, h *world.Host, who *world.Account, port int) {
	w := a.World
	a.Now += 4 * time.Second
	switch port {
	case 445:
		name, image := "PSEXESVC", `%SystemRoot%\PSEXESVC.exe`
		pipe := `\PSEXESVC`
		switch a.Tool {
		case "renamed psexec":
			name, image, pipe = "sysmgmt", `%SystemRoot%\sysmgmt.exe`, `\sysmgmt`
		case "service by rpc":
			name = sim.Pick(&a.Rand, []string{"Updater", "NetSvcHelper", "WinTelemetry"})
			image, pipe = `%COMSPEC% /b /c start /b /min powershell -nop -w hidden -encodedcommand `+encoded("IEX $env:x"), ""
		}
		w.OpenShare(a.Now, a.Actor, world.At(from.Host), h, who, `\\*\ADMIN$`)
		if pipe != "" {
			w.AccessShareFile(a.Now, a.Actor, world.At(from.Host), h, who, `\\*\ADMIN$`, name+".exe", true)
		}
		w.AccessShareFile(a.Now+time.Second, a.Actor, world.At(from.Host), h, who, `\\*\IPC$`, "svcctl", true)
		w.InstallService(a.Now+time.Second, a.Actor, h, who, name, image)
		services := h.System(world.Services, `C:\Windows\system32\services.exe`)
		if pipe != "" {
			svc := w.StartProcess(a.Now+2*time.Second, a.Actor, world.Start{Host: h, Binary: world.PsExecSvc.Renamed(`C:\Windows\` + name + `.exe`), CommandLine: `C:\Windows\` + name + `.exe`, Parent: services})
			w.CreatePipe(a.Now+2*time.Second, a.Actor, svc, pipe)
			for _, stream := range []string{"stdin", "stdout", "stderr"} {
				w.AccessShareFile(a.Now+3*time.Second, a.Actor, world.At(from.Host), h, who, `\\*\IPC$`, name+"-"+from.Host.Name+"-3844-"+stream, true)
			}
			shell := w.StartProcess(a.Now+3*time.Second, a.Actor, world.Start{Host: h, Binary: world.Cmd, CommandLine: `"cmd.exe"`, Parent: svc})
			w.StartProcess(a.Now+4*time.Second, a.Actor, world.Start{Host: h, Binary: world.Whoami, CommandLine: `whoami`, Parent: shell})
			w.StartProcess(a.Now+5*time.Second, a.Actor, world.Start{Host: h, Binary: world.Hostname, CommandLine: `hostname`, Parent: shell})
		} else {
			w.StartProcess(a.Now+2*time.Second, a.Actor, world.Start{Host: h, Binary: world.Cmd, CommandLine: image, Parent: services})
		}
	case 5985:
		shell := w.StartProcess(a.Now, a.Actor, world.Start{Host: h, Account: who, Binary: world.WsmProvHost, CommandLine: `C:\Windows\system32\wsmprovhost.exe -Embedding`, Integrity: "High"})
		w.StartProcess(a.Now+time.Second, a.Actor, world.Start{Host: h, Account: who, Binary: world.Whoami, CommandLine: `"C:\Windows\system32\whoami.exe"`, Parent: shell, Integrity: "High"})
	case 135:
		parent := h.Program(world.Explorer, `C:\Windows\Explorer.EXE`, who)
		if a.Tool != "ShellWindows" {
			parent = w.StartProcess(a.Now, a.Actor, world.Start{Host: h, Account: who, Binary: world.Mmc, CommandLine: `C:\Windows\system32\mmc.exe -Embedding`, Parent: h.Service(world.ServiceDCOM), Integrity: "High"})
		}
		w.StartProcess(a.Now, a.Actor, world.Start{Host: h, Account: who, Binary: world.Cmd, CommandLine: `"C:\Windows\System32\cmd.exe" /c C:\Users\Public\agent.exe`, Parent: parent, Integrity: "High"})
	case 3389:
		w.StartProcess(a.Now, a.Actor, world.Start{Host: h, Account: who, Binary: world.Cmd, CommandLine: `"C:\Windows\system32\cmd.exe"`})
	}
	a.Now += 5 * time.Second
	a.implant(h, who, from, port, "High")
}

func hopOverSSH(a *Attempt) Progress {
	w := a.World
	f := a.Where(false, false)
	if f == nil {
		return failure("%s", errNoLinux)
	}
	a.Target = a.pick(&a.Rand, func(h *world.Host) bool {
		return sshServer(h) && !a.on(h) && (a.Options["role"] == "" || h.Role == role.Role(a.Options["role"]))
	})
	if a.Target == nil {
		return Progress{Done: true, Note: errors.New("no further SSH server known").Error()}
	}
	if r := w.Reach(world.At(f.Host), world.At(a.Target), 22); !r.OK() {
		a.Avoid[a.Target.Name] = !r.ByDefence()
		return blocked(r)
	}
	if a.Target.Decoy {
		w.TouchDecoy(a.Now, a.Actor, world.At(f.Host), a.Target, "4002")
		a.Avoid[a.Target.Name] = true
		return blocked(w.HitDecoy(a.Target))
	}
	if a.Tool == "forwarded agent" {
		a.start(f, world.SSH, "ssh -A root@"+a.Target.IP)
	} else {
		a.start(f, world.Cat, "cat /root/.ssh/id_rsa")
	}
	ok, _ := w.SSH(a.Now+10*time.Second, a.Actor, world.SSHAttempt{From: world.At(f.Host), To: a.Target, User: "root", Good: !a.failed, Key: true})
	if !ok {
		return failure("%s does not trust the key", a.Target.Name)
	}
	file := world.Dropped("/usr/local/bin/.sshd-agent", &a.Rand)
	a.Now += 20 * time.Second
	i := w.Plant(a.Now, a.Actor, world.Start{Host: a.Target, Binary: file, CommandLine: file.Path + " -d"})
	i.Files = []string{file.Path}
	a.gain(&Foothold{Host: a.Target, Implant: i, Via: f, Port: 22, Since: a.Now, Elevated: true})
	return success("moved from %s to %s with a key", f.Host.Name, a.Target.Name)
}

// copied is a file that arrives on a neighbour over SMB, as its share log shows.
var copied = move{"windows/security 5145, zeek/conn", func(a *Attempt, f *Foothold) world.Refusal {
	if !f.Host.Windows() {
		return world.Refusal{}
	}
	dc := a.World.DomainController(f.Host)
	if dc == nil {
		return world.Refusal{}
	}
	if r := a.World.Reach(world.At(f.Host), world.At(dc), 445); !r.OK() {
		return r
	}
	a.World.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(dc), Port: 445, Service: "smb", Process: a.last(f), Sent: 3e6, Received: 30e3, Duration: 3 * time.Second})
	a.World.AccessShareFile(a.Now, a.Actor, world.At(f.Host), dc, f.Account, `\\*\C$`, `Windows\Temp\agent.exe`, true)
	return world.Refusal{}
}}

var rubeus = world.Dropped(`C:\Users\Public\Rubeus.exe`, &plain)
