package technique

import (
	"slices"
	"strings"
	"time"

	"hemostat/sim/world"
)

// Most techniques are scripts: variants, each a few moves on a foothold, and then an
// effect on what the attacker has. A move acts through the world and leaves the
// telemetry of what it does; the sources that may see it are collected from the moves.

// place says which foothold a script needs.
type place int

const (
	anywhere place = iota
	onWindows
	onElevated
	onLinux
	onDomain // a Windows foothold in a domain whose controller answers
	outside  // no foothold: from the internet
)

var places = map[place]struct {
	needs     string
	platforms []string
	ready     func(*State) error
}{
	anywhere:   {"a foothold", []string{"windows", "linux"}, needFoothold},
	onWindows:  {"a foothold on Windows", []string{"windows"}, needWindows},
	onElevated: {"an elevated foothold on Windows", []string{"windows"}, needElevated},
	onLinux:    {"a session on Linux", []string{"linux"}, needLinux},
	onDomain:   {"a foothold on Windows, and a domain controller that answers", []string{"windows"}, needWindows},
	outside:    {"an address on the internet", []string{"network"}, nil},
}

// foothold finds the place; nil where none is needed or none works.
func (p place) foothold(s *State) *Foothold {
	switch p {
	case anywhere:
		return s.Current()
	case onWindows, onDomain:
		return s.Where(true, false)
	case onElevated:
		return s.Where(true, true)
	case onLinux:
		return s.Where(false, false)
	}
	return nil
}

// script is what a technique does, in variants of which the first is the loudest.
type script struct {
	at       place
	variants []variant
	// then is the effect once all moves went through; it returns what to note.
	then func(a *Attempt, f *Foothold) string
}

// variant is one way to do it.
type variant struct {
	name  string
	moves []move
}

func by(name string, moves ...move) variant { return variant{name, moves} }

// move is one act on a foothold. Texts may hold {c2}, {c2ip}, {user}, {host},
// {domain}, {netbios}, {dc}, {dn}.
type move struct {
	source string // log source that may see it
	do     func(a *Attempt, f *Foothold) world.Refusal
}

// complete fills in what follows from a technique's script.
func complete(techniques []*Technique) []*Technique {
	for _, t := range techniques {
		if t.script == nil {
			for i, v := range further[t.ID] {
				t.Tools = slices.Insert(t.Tools, 1+i, v.name)
			}
			continue
		}
		t.script.variants = slices.Insert(t.script.variants, 1, further[t.ID]...)
		p := places[t.script.at]
		if t.Needs == "" {
			t.Needs = p.needs
		}
		if t.Platforms == nil {
			t.Platforms = p.platforms
		}
		if t.ready == nil {
			t.ready = p.ready
		}
		for _, v := range t.script.variants {
			t.Tools = append(t.Tools, v.name)
			for _, m := range v.moves {
				if !slices.Contains(t.Telemetry, m.source) {
					t.Telemetry = append(t.Telemetry, m.source)
				}
			}
		}
		slices.Sort(t.Telemetry)
		t.run = t.script.run
	}
	return techniques
}

func (s *script) run(a *Attempt) Progress {
	f := s.at.foothold(a.State)
	if f == nil && s.at != outside {
		return failure("%s", places[s.at].needs+" is missing")
	}
	if s.at == onDomain {
		if dc, refused := a.directory(f); dc == nil {
			return refused
		}
	}
	at := slices.IndexFunc(s.variants, func(v variant) bool { return v.name == a.Tool })
	if r := a.play(f, s.variants[max(at, 0)].moves); !r.OK() {
		return blocked(r)
	}
	where := "from outside"
	if f != nil {
		where = "on " + f.Host.Name
	}
	if a.failed {
		return failure("%s did not work %s", a.Tool, where)
	}
	if s.then != nil {
		return success("%s", s.then(a, f))
	}
	return success("%s %s", a.Tool, where)
}

// text fills in what a move's text leaves open.
func (a *Attempt) text(f *Foothold, s string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	c2, user, host, dc := a.C2(), "SYSTEM", "", ""
	if f != nil {
		host = f.Host.Name
		if f.Account != nil {
			user = f.Account.Name
		}
		if d := a.World.DomainController(f.Host); d != nil {
			dc = d.FQDN
		}
	}
	dn := "DC=" + strings.ReplaceAll(a.World.Domain, ".", ",DC=")
	return strings.NewReplacer("{c2}", c2.Domain, "{c2ip}", c2.Address, "{user}", user, "{host}", host, "{domain}", a.World.Domain,
		"{netbios}", a.World.NetBIOS, "{dc}", dc, "{dn}", dn).Replace(s)
}

// cmd runs a program on Windows.
func cmd(b *world.Binary, line string) move {
	return move{"windows/sysmon 1", func(a *Attempt, f *Foothold) world.Refusal {
		a.Process = a.start(f, b, a.text(f, line))
		return world.Refusal{}
	}}
}

// child runs a program from the one before.
func child(b *world.Binary, line string) move {
	return move{"windows/sysmon 1", func(a *Attempt, f *Foothold) world.Refusal {
		s := world.Start{Host: f.Host, Account: f.Account, Binary: b, CommandLine: a.text(f, line), Parent: a.Process}
		if f.Elevated {
			s.Integrity = "High"
		}
		a.Process = a.World.StartProcess(a.Now, a.Actor, s)
		return world.Refusal{}
	}}
}

// asSystem runs a program as SYSTEM below services or a given parent.
func asSystem(parent, b *world.Binary, line string) move {
	return move{"windows/sysmon 1", func(a *Attempt, f *Foothold) world.Refusal {
		from := f.Host.System(parent, parent.Path)
		a.Process = a.World.StartProcess(a.Now, a.Actor, world.Start{Host: f.Host, Binary: b, CommandLine: a.text(f, line), Parent: from, Integrity: "System"})
		return world.Refusal{}
	}}
}

// under runs a program as the user below a given program.
func under(parent, b *world.Binary, line string) move {
	return move{"windows/sysmon 1", func(a *Attempt, f *Foothold) world.Refusal {
		from := f.Host.Program(parent, `"`+parent.Path+`"`, f.Account)
		a.Process = a.World.StartProcess(a.Now, a.Actor, world.Start{Host: f.Host, Account: f.Account, Binary: b, CommandLine: a.text(f, line), Parent: from})
		return world.Refusal{}
	}}
}

// sh runs a program on Linux.
func sh(b *world.Binary, line string) move {
	return move{"linux/auditd", func(a *Attempt, f *Foothold) world.Refusal {
		a.Process = a.start(f, b, a.text(f, line))
		return world.Refusal{}
	}}
}

// either runs one program on Windows and another on Linux.
func either(windows, linux move) move {
	return move{windows.source + ", " + linux.source, func(a *Attempt, f *Foothold) world.Refusal {
		if f.Host.Windows() {
			return windows.do(a, f)
		}
		return linux.do(a, f)
	}}
}

// last is the process of the move before, or the implant's.
func (a *Attempt) last(f *Foothold) *world.Process {
	if a.Process != nil {
		return a.Process
	}
	if f.Implant != nil {
		return f.Implant.Process
	}
	return f.Host.Program(world.PowerShell, world.PowerShell.Path, f.Account)
}

// file writes a file by the program before.
func file(path string) move {
	return move{"windows/sysmon 11", func(a *Attempt, f *Foothold) world.Refusal {
		return a.createFile(a.Now, a.last(f), a.text(f, path))
	}}
}

// registry sets a value; HKCU stands for the user's own hive.
func registry(key, details string) move {
	return move{"windows/sysmon 13", func(a *Attempt, f *Foothold) world.Refusal {
		k := strings.Replace(a.text(f, key), `HKCU\`, `HKU\`+sid(f)+`\`, 1)
		a.World.SetRegistryValue(a.Now, a.Actor, a.last(f), k, a.text(f, details))
		return world.Refusal{}
	}}
}

// powershell runs a line in PowerShell, which logs the script block.
func powershell(line string) move {
	return move{"windows/sysmon 1, windows/powershell 4104", func(a *Attempt, f *Foothold) world.Refusal {
		t := a.text(f, line)
		a.Process = a.start(f, world.PowerShell, `powershell.exe -NoProfile -Command "`+t+`"`)
		a.World.RunScript(a.Now+500*time.Millisecond, a.Actor, a.Process, t)
		return world.Refusal{}
	}}
}

// block is a script that runs in a PowerShell already there.
func block(text string) move {
	return move{"windows/powershell 4104", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.RunScript(a.Now, a.Actor, a.last(f), a.text(f, text))
		return world.Refusal{}
	}}
}

// load loads an unsigned library into the program before.
func load(path string) move {
	return move{"windows/sysmon 7", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.LoadImage(a.Now, a.Actor, a.last(f), &world.Binary{Path: a.text(f, path), OriginalName: "-", Company: "-", Product: "-", Description: "-", Version: "-"})
		return world.Refusal{}
	}}
}

// inject starts a thread in another program.
func inject(target *world.Binary, function string) move {
	return move{"windows/sysmon 8", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.CreateRemoteThread(a.Now, a.Actor, a.last(f), target, function)
		return world.Refusal{}
	}}
}

// open opens another program with rights.
func open(target *world.Binary, mask, trace string) move {
	return move{"windows/sysmon 10", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.AccessProcess(a.Now, a.Actor, a.last(f), target, mask, trace)
		return world.Refusal{}
	}}
}

// pipe makes a named pipe.
func pipe(name string) move {
	return move{"windows/sysmon 17", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.CreatePipe(a.Now, a.Actor, a.last(f), name)
		return world.Refusal{}
	}}
}

// log writes an event of a Windows log: names and values in turn.
func log(id string, pairs ...string) move {
	return move{"windows/" + strings.ToLower(id), func(a *Attempt, f *Foothold) world.Refusal {
		a.World.LogBy(a.Now, a.Actor, f.Host, f.Account, id, a.texts(f, pairs)...)
		return world.Refusal{}
	}}
}

// atController writes an event of the domain controller's log.
func atController(id string, pairs ...string) move {
	return move{"windows/" + strings.ToLower(id), func(a *Attempt, f *Foothold) world.Refusal {
		if dc := a.World.DomainController(f.Host); dc != nil {
			a.World.LogBy(a.Now, a.Actor, dc, f.Account, id, a.texts(f, pairs)...)
		}
		return world.Refusal{}
	}}
}

func (a *Attempt) texts(f *Foothold, pairs []string) []string {
	out := make([]string, len(pairs))
	for i, p := range pairs {
		out[i] = a.text(f, p)
	}
	return out
}

// query asks for the address of a name; an empty answer is one that does not exist.
func query(name, answer string) move {
	return move{"zeek/dns, windows/sysmon 22", func(a *Attempt, f *Foothold) world.Refusal {
		a.World.Resolve(a.Now, a.Actor, f.Host, a.processOn(f), a.text(f, name), "A", a.text(f, answer))
		return world.Refusal{}
	}}
}

// processOn is the last process where Sysmon would name it.
func (a *Attempt) processOn(f *Foothold) *world.Process {
	if f.Host.Windows() {
		return a.last(f)
	}
	return nil
}

// connect opens a connection to the attacker's server, or to a name of somebody
// else's service.
func connect(name string, port int, service string, sent, received uint64) move {
	return move{"zeek/conn, windows/sysmon 3", func(a *Attempt, f *Foothold) world.Refusal {
		to := a.C2()
		if name != "" {
			to = world.Endpoint{Address: "198.51.100.77", Domain: name}
		}
		if r := a.World.Reach(world.At(f.Host), to, port); r.ByDefence() {
			return r
		}
		a.World.Resolve(a.Now, a.Actor, f.Host, a.processOn(f), to.Domain, "A", to.Address)
		a.World.Flow(a.Now, a.Actor, world.Flow{From: world.At(f.Host), To: to, Port: port, Service: service, Process: a.processOn(f), Sent: sent, Received: received, Duration: 2 * time.Second})
		return world.Refusal{}
	}}
}

// proxied asks the web proxy for an address in clear text.
func proxied(method, host, uri, agent string, sent, received uint64) move {
	return move{"proxy, zeek/http", func(a *Attempt, f *Foothold) world.Refusal {
		to := a.C2()
		name := a.text(f, host)
		if name != to.Domain {
			to = world.Endpoint{Address: "198.51.100.78", Domain: name}
		}
		if r := a.World.Reach(world.At(f.Host), to, 80); r.ByDefence() {
			return r
		}
		r := world.Request{From: world.At(f.Host), To: to, Port: 80, Method: method, Host: name, URI: "http://" + name + uri, Agent: agent, Status: "200", Sent: sent, Received: received}
		a.World.ProxyRequest(a.Now, a.Actor, r)
		r.URI = uri
		a.World.HTTP(a.Now, a.Actor, r)
		return world.Refusal{}
	}}
}
