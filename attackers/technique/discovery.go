package technique

import (
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

var discovery = []*Technique{
	{
		ID: "T1082", Name: "System Information Discovery", Tactic: "discovery", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "the host is known", Telemetry: []string{"windows/sysmon 1", "linux/auditd"},
		Tools: []string{"systeminfo", "registry read"}, Takes: sim.LogNormal(30*time.Second, 0.8), Success: 0.99,
		ready: needFoothold, run: func(a *Attempt) Progress {
			f := a.Current()
			if f == nil {
				return failure("%s", errNoFoothold)
			}
			switch {
			case !f.Host.Windows():
				a.start(f, world.Uname, "uname -a")
				a.start(f, world.Cat, "cat /etc/passwd")
				a.start(f, world.Id, "id")
			case a.Tool == "systeminfo":
				a.start(f, world.Cmd, `cmd.exe /c systeminfo & whoami /all & ipconfig /all`)
				a.start(f, world.Whoami, "whoami /all")
			default:
				a.start(f, world.Reg, `reg query "HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion" /v ProductName`)
			}
			return success("looked around on %s", f.Host.Name)
		},
	},
	{
		ID: "T1018", Name: "Remote System Discovery", Tactic: "discovery", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "hosts of the domain or of the neighbourhood are known", Telemetry: []string{"windows/sysmon 1 3", "windows/powershell 4104", "zeek/conn"},
		Tools: []string{"nltest and net", "Get-ADComputer", "ldap query"}, Takes: sim.LogNormal(3*time.Minute, 0.9), Success: 0.96,
		ready: needFoothold, run: findHosts,
	},
	{
		ID: "T1046", Name: "Network Service Discovery", Tactic: "discovery", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "hosts that answer are known", Telemetry: []string{"zeek/conn"},
		Tools: []string{"fast sweep", "slow sweep"}, Takes: sim.LogNormal(4*time.Minute, 0.8), Success: 0.97,
		ready: needFoothold, run: sweep,
	},
	{
		ID: "T1087.002", Name: "Account Discovery: Domain Account", Tactic: "discovery", Platforms: []string{"windows"},
		Needs: "a foothold on Windows", Effect: "the administrators' names are known", Telemetry: []string{"windows/sysmon 1", "windows/powershell 4104"},
		Tools: []string{"net group", "Get-ADUser", "ldap query"}, Takes: sim.LogNormal(2*time.Minute, 0.8), Success: 0.97,
		ready: needWindows, run: findAccounts,
	},
	{
		ID: "T1083", Name: "File and Directory Discovery", Tactic: "discovery", Platforms: []string{"windows", "linux"},
		Needs: "a foothold", Effect: "where the data lies is known", Telemetry: []string{"windows/sysmon 1", "windows/security 5140 5145", "linux/auditd"},
		Tools: []string{"dir /s", "explorer"}, Takes: sim.LogNormal(5*time.Minute, 0.9), Success: 0.98,
		ready: needFoothold, run: func(a *Attempt) Progress {
			f := a.Current()
			if f == nil {
				return failure("%s", errNoFoothold)
			}
			if !f.Host.Windows() {
				a.start(f, world.Find, "find / -name *.sql -o -name *.key")
				return success("searched %s", f.Host.Name)
			}
			if a.Tool == "dir /s" {
				a.start(f, world.Cmd, `cmd.exe /c dir /s /b C:\Users\*.xlsx C:\Users\*.pdf C:\Users\*.kdbx > C:\Users\Public\l.txt`)
			}
			for _, d := range a.World.Data {
				a.learn(d.Host)
				if a.World.Reach(world.At(f.Host), world.At(d.Host), 445).OK() && f.Account != nil && a.Tool == "dir /s" {
					a.World.OpenShare(a.Now+5*time.Second, a.Actor, world.At(f.Host), d.Host, f.Account, `\\*\`+d.Name)
				}
			}
			return success("found %d data stores", len(a.World.Data))
		},
	},
}

func findHosts(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	if !f.Host.Windows() {
		a.start(f, world.Cat, "cat /etc/hosts /root/.ssh/known_hosts")
		a.learnSome(0.15, func(h *world.Host) bool {
			return a.World.Permitted(world.At(f.Host), world.At(h), 22).OK() && sshServer(h)
		})
		return success("%d hosts known", len(a.Known))
	}
	dc, refused := a.directory(f)
	if dc == nil {
		return refused
	}
	switch a.Tool {
	case "nltest and net":
		a.start(f, world.Nltest, "nltest /dclist:"+a.World.Domain)
		a.start(f, world.Net, `net view /domain:`+a.World.NetBIOS)
		a.start(f, world.Net, `net group "domain computers" /domain`)
	case "Get-ADComputer":
		a.start(f, world.PowerShell, `powershell.exe -c "Get-ADComputer -Filter * -Properties *"`)
		a.World.RunScript(a.Now+time.Second, a.Actor, f.Host, "Get-ADComputer -Filter * -Properties * | Select Name,OperatingSystem")
	}
	var p *world.Process
	if f.Implant != nil {
		p = f.Implant.Process
	}
	a.World.Flow(a.Now+2*time.Second, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(dc), Port: 389, Service: "ldap", Process: p, Sent: 4e3, Received: 600e3, Duration: 4 * time.Second})
	a.learn(dc)
	a.learnSome(1, (*world.Host).Windows)
	return success("%d hosts known", len(a.Known))
}

// directory is the domain controller that a foothold can ask over LDAP; without
// one it is nil and the progress says why.
func (a *Attempt) directory(f *Foothold) (*world.Host, Progress) {
	dc := a.World.DomainController(f.Host)
	if dc == nil {
		return nil, failure("no domain controller answers")
	}
	if r := a.World.Reach(world.At(f.Host), world.At(dc), 389); !r.OK() {
		return nil, blocked(r)
	}
	return dc, Progress{}
}

// learnSome makes a share of the hosts that fit known, drawn per host.
func (a *Attempt) learnSome(share float64, fits func(*world.Host) bool) {
	for _, h := range a.World.Hosts {
		if (fits(h) || h.Decoy) && a.Rand.Bool(share) {
			a.learn(h)
		}
	}
}

func sweep(a *Attempt) Progress {
	f := a.Current()
	if f == nil {
		return failure("%s", errNoFoothold)
	}
	gap := 30 * time.Millisecond
	if a.Tool == "slow sweep" {
		gap = 3 * time.Second
	}
	port := 445
	if !f.Host.Windows() {
		port = 22
		a.start(f, world.Nmap, "nmap -Pn -p 22 --open "+f.Host.Zone.Prefix.String())
	}
	at := a.Now
	found := 0
	for range 60 {
		h := sim.Pick(&a.Rand, a.World.Hosts)
		at += gap
		if !a.World.Permitted(world.At(f.Host), world.At(h), port).OK() {
			continue
		}
		r := a.World.Reach(world.At(f.Host), world.At(h), port)
		state := "S0"
		if r.OK() {
			state = "RSTO"
			if !slices.Contains(a.Known, h) {
				found++
			}
			a.learn(h)
			if h.Decoy && a.Rand.Bool(0.5) {
				a.World.TouchDecoy(at, a.Actor, world.At(f.Host), h, "5001")
			}
		}
		a.World.Flow(at, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(h), Port: port, Sent: 44, Received: 40, State: state})
	}
	return success("%d further hosts answer", found)
}

func findAccounts(a *Attempt) Progress {
	f := a.Where(true, false)
	if f == nil {
		return failure("%s", errNoWindows)
	}
	dc, refused := a.directory(f)
	if dc == nil {
		return refused
	}
	switch a.Tool {
	case "net group":
		a.start(f, world.Net, `net group "domain admins" /domain`)
		a.start(f, world.Net, `net user /domain`)
	case "Get-ADUser":
		a.start(f, world.PowerShell, `powershell.exe -c "Get-ADUser -Filter * -Properties MemberOf"`)
		a.World.RunScript(a.Now+time.Second, a.Actor, f.Host, "Get-ADGroupMember 'Domain Admins' -Recursive")
	}
	a.World.Flow(a.Now+2*time.Second, a.Actor, world.Flow{From: world.At(f.Host), To: world.At(dc), Port: 389, Service: "ldap", Sent: 3e3, Received: 200e3, Duration: 2 * time.Second})
	return success("the administrators' names are known")
}
