package background

import (
	"fmt"
	"math"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// The mean time between two activities of a person at full activity. Each
// activity leaves about five events.
const (
	personGap = 5 * time.Minute
	adminGap  = 12 * time.Minute
)

func (b *Background) addPeople() {
	for _, account := range b.world.Accounts {
		switch {
		case account.Home == nil:
		case account.Privilege == world.User:
			b.add(
				actor{act: (*Background).work, account: account, host: account.Home, gap: personGap, office: true},
				"person "+account.Name,
			)
		default:
			b.add(
				actor{act: (*Background).work, account: account, host: account.Home, gap: 2 * personGap, office: true},
				"person "+account.Name,
			)
			b.add(
				actor{act: (*Background).administer, account: account, host: account.Home, gap: adminGap, office: true},
				"admin "+account.Name,
			)
		}
	}
}

var workWeights = []float64{38, 12, 18, 10, 10, 6, 4, 2}

// work is one thing that a person does at a desk.
func (b *Background) work(a *actor, now time.Duration, s *sim.Stream) outcome {
	switch sim.PickWeighted(s, workWeights) {
	case 0:
		return b.browse(a, now, s)
	case 1:
		return b.readMail(a, now, s)
	case 2:
		return b.openShare(a, now, s)
	case 3:
		return b.useApplication(a, now, s)
	case 4:
		return b.startProgram(a, now, s)
	case 5:
		return b.writeDocument(a, now, s)
	case 6:
		return b.unlock(a, now, s)
	}
	return b.workFromHome(a, now, s)
}

func (b *Background) browse(a *actor, now time.Duration, s *sim.Stream) outcome {
	w, where := b.world, b.sites[min(s.IntN(len(siteNames)), s.IntN(len(siteNames)))]
	to := world.Endpoint{Address: where.address, Domain: where.name}
	sent, received := uint64(s.LogNormal(4e3, 1.2)), uint64(s.LogNormal(9e4, 1.6))
	typo := s.Bool(0.03)
	browser := b.running(a, world.Edge)
	if typo {
		w.Resolve(now, a.as, a.host, browser, "ww."+where.name, "A", "")
	}
	w.Resolve(now, a.as, a.host, browser, where.name, "A", where.address)
	if r := w.Reach(world.At(a.host), to, 443); !r.OK() {
		return refused(r)
	}
	if s.Bool(0.0003) { // a large delivery to a customer, in several parts
		for part := range 4 {
			w.Flow(
				now+time.Duration(part)*3*time.Minute,
				a.as,
				world.Flow{
					From:     world.At(a.host),
					To:       to,
					Port:     443,
					Service:  "ssl",
					Process:  browser,
					Sent:     60e6 + uint64(s.IntN(90e6)),
					Received: 90e3,
					Duration: 2 * time.Minute,
				},
			)
		}
	}
	w.Flow(
		now,
		a.as,
		world.Flow{
			From:     world.At(a.host),
			To:       to,
			Port:     443,
			Service:  "ssl",
			Process:  browser,
			Sent:     sent,
			Received: received,
			Duration: s.Between(time.Second, time.Minute),
		},
	)
	w.TLS(now, a.as, world.At(a.host), to, 443, where.name, world.EdgeTLS, "", "", true)
	w.ProxyRequest(
		now,
		a.as,
		world.Request{
			From:     world.At(a.host),
			To:       to,
			Port:     443,
			Method:   "CONNECT",
			Host:     where.name,
			URI:      where.name + ":443",
			Agent:    browserAgent,
			Status:   "200",
			Sent:     sent,
			Received: received,
			User:     a.account.Name,
		},
	)
	b.loadParts(a, now, s, browser)
	return b.slowed(a, to)
}

// loadParts is what a page brings along: a process for its contents, and parts from
// other places, most of whose names are asked for first.
func (b *Background) loadParts(a *actor, now time.Duration, s *sim.Stream, browser *world.Process) {
	w := b.world
	w.StartProcess(
		now+time.Second,
		a.as,
		world.Start{
			Host:    a.host,
			Account: a.account,
			Binary:  world.Edge,
			CommandLine: `"` + world.Edge.Path + `" --type=renderer --lang=en-US --renderer-client-id=` + fmt.Sprint(
				s.IntN(900),
			),
			Parent:    browser,
			Integrity: "Low",
		},
	)
	for range 3 + s.IntN(3) {
		part := b.sites[s.IntN(len(siteNames))]
		to := world.Endpoint{Address: part.address, Domain: part.name}
		if s.Bool(0.7) {
			w.Resolve(now+time.Second, a.as, a.host, browser, part.name, "A", part.address)
		}
		if w.Reach(world.At(a.host), to, 443).OK() {
			w.Flow(
				now+time.Second,
				a.as,
				world.Flow{
					From:     world.At(a.host),
					To:       to,
					Port:     443,
					Service:  "ssl",
					Process:  browser,
					Sent:     2e3,
					Received: uint64(s.LogNormal(2e4, 1.4)),
					Duration: 3 * time.Second,
				},
			)
			w.TLS(now+time.Second, a.as, world.At(a.host), to, 443, part.name, world.EdgeTLS, "", "", true)
		}
	}
}

const browserAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36 Edg/121.0.2277.128"

// running is a program that the person has had open for long.
func (b *Background) running(a *actor, binary *world.Binary) *world.Process {
	return a.host.Program(binary, `"`+binary.Path+`"`, a.account)
}

// slowed charges part of a person's time when traffic is shaped on the way.
func (b *Background) slowed(a *actor, to world.Endpoint) outcome {
	if factor, action := b.world.Throttle(world.At(a.host), to); action != 0 {
		return outcome{slowed: time.Duration((factor - 1) * float64(2*time.Second)), by: action}
	}
	return outcome{}
}

func (b *Background) readMail(a *actor, now time.Duration, s *sim.Stream) outcome {
	if len(b.mail) == 0 {
		return outcome{}
	}
	server := b.mail[0]
	sent, received := uint64(s.LogNormal(3e3, 1)), uint64(s.LogNormal(3e4, 1.5))
	if r := b.world.Reach(world.At(a.host), world.At(server), 443); !r.OK() {
		return refused(r)
	}
	b.world.Flow(
		now,
		a.as,
		world.Flow{
			From:     world.At(a.host),
			To:       world.At(server),
			Port:     443,
			Service:  "ssl",
			Process:  b.running(a, world.Outlook),
			Sent:     sent,
			Received: received,
			Duration: 3 * time.Second,
		},
	)
	return b.slowed(a, world.At(server))
}

var documentNames = []string{
	"budget.xlsx",
	"minutes.docx",
	"plan.pptx",
	"offer.docx",
	"customers.xlsx",
	"notes.txt",
	"report.pdf",
	"contract.docx",
	"invoice.xlsx",
	"roadmap.pptx",
}

func (b *Background) openShare(a *actor, now time.Duration, s *sim.Stream) outcome {
	w, server := b.world, sim.Pick(s, b.files)
	files := 1 + s.IntN(3)
	write := s.Bool(0.3)
	bytes := uint64(s.LogNormal(3e5, 1.4))
	if r := w.Reach(world.At(a.host), world.At(server), 445); !r.OK() {
		return refused(r)
	}
	byAddress := s.Bool(0.03) // a drive mapped by address falls back to NTLM
	session, r := w.LogOn(
		now,
		a.as,
		world.Logon{
			From:       world.At(a.host),
			To:         server,
			Account:    a.account,
			Type:       world.LogonNetwork,
			NTLM:       byAddress,
			Generation: a.account.Generation,
		},
	)
	if !r.OK() {
		return refused(r)
	}
	share := `\\*\Shared`
	w.OpenShare(now, a.as, world.At(a.host), server, a.account, share)
	for i := range files {
		name := `Departments\` + sim.Pick(s, documentNames)
		w.AccessShareFile(
			now+time.Duration(i)*4*time.Second,
			a.as,
			world.At(a.host),
			server,
			a.account,
			share,
			name,
			write,
		)
	}
	w.Flow(
		now,
		a.as,
		world.Flow{
			From:     world.At(a.host),
			To:       world.At(server),
			Port:     445,
			Service:  "smb",
			Sent:     bytes / 10,
			Received: bytes,
			Duration: 30 * time.Second,
		},
	)
	w.TransferFile(
		now+5*time.Second,
		a.as,
		world.At(server),
		world.At(a.host),
		"SMB",
		"application/vnd.openxmlformats-officedocument",
		"",
		bytes,
	)
	w.LogOff(now+30*time.Second, a.as, server, session)
	return b.slowed(a, world.At(server))
}

func (b *Background) useApplication(a *actor, now time.Duration, s *sim.Stream) outcome {
	server := sim.Pick(s, b.apps)
	to := world.At(server)
	if r := b.world.Reach(world.At(a.host), to, 8080); !r.OK() {
		return refused(r)
	}
	status := "200"
	if s.Bool(0.02) {
		status = "404"
	}
	b.world.Flow(
		now,
		a.as,
		world.Flow{
			From:     world.At(a.host),
			To:       to,
			Port:     8080,
			Service:  "http",
			Process:  b.running(a, world.Edge),
			Sent:     900,
			Received: 22000,
			Duration: 2 * time.Second,
		},
	)
	b.world.HTTP(
		now,
		a.as,
		world.Request{
			From:     world.At(a.host),
			To:       to,
			Port:     8080,
			Method:   "GET",
			Host:     server.FQDN,
			URI:      "/app/view",
			Query:    fmt.Sprintf("id=%d", s.IntN(5000)),
			Agent:    browserAgent,
			Referrer: "http://" + server.FQDN + "/app/",
			Status:   status,
			Received: 22000,
			MIME:     "text/html",
		},
	)
	return b.slowed(a, to)
}

func (b *Background) startProgram(a *actor, now time.Duration, s *sim.Stream) outcome {
	w := b.world
	type program struct {
		binary *world.Binary
		line   string
		weight float64
	}
	programs := []program{
		{
			world.Winword,
			`"` + world.Winword.Path + `" /n "C:\Users\` + a.account.Name + `\Documents\` + sim.Pick(
				s,
				documentNames,
			) + `" /o ""`,
			6,
		},
		{
			world.Excel,
			`"` + world.Excel.Path + `" "C:\Users\` + a.account.Name + `\Documents\` + sim.Pick(s, documentNames) + `"`,
			5,
		},
		{world.Edge, `"` + world.Edge.Path + `" --type=renderer --lang=en-US`, 9},
		{world.Teams, `"` + world.Teams.Path + `"`, 3},
		{
			world.SearchProtocol,
			`"` + world.SearchProtocol.Path + `" Global\UsGthrFltPipeMssGthrPipe_S-1-5-21-1 Global\UsGthrCtrlFltPipeMssGthrPipe_S-1-5-21-1 1 -2147483646 "Software\Microsoft\Windows Search"`,
			4,
		},
		{world.Cmd, `"C:\Windows\System32\cmd.exe" /c "\\` + w.Domain + `\netlogon\logon.bat"`, 0.6},
		{world.PowerShell, `powershell.exe -NoProfile -File C:\ProgramData\it\inventory.ps1`, 0.4},
		{world.Whoami, `whoami`, 0.08},
		{world.Ipconfig, `ipconfig /all`, 0.15},
		{
			world.SevenZip,
			`"C:\Program Files\7-Zip\7z.exe" a -pForCustomer C:\Users\` + a.account.Name + `\Documents\offer.zip C:\Users\` + a.account.Name + `\Documents\offer`,
			0.03,
		},
	}
	weights := make([]float64, len(programs))
	for i := range programs {
		weights[i] = programs[i].weight
	}
	chosen := programs[sim.PickWeighted(s, weights)]
	p := w.StartProcess(
		now,
		a.as,
		world.Start{
			Host:        a.host,
			Account:     a.account,
			Binary:      chosen.binary,
			CommandLine: chosen.line,
			Directory:   `C:\Users\` + a.account.Name + `\`,
		},
	)
	w.LoadImage(now, a.as, p, combase)
	if s.Bool(0.5) {
		w.SetRegistryValue(
			now,
			a.as,
			p,
			`HKU\`+a.account.SID+`\Software\Microsoft\Windows\CurrentVersion\Explorer\RecentDocs\MRUListEx`,
			"Binary Data",
		)
	}
	return outcome{}
}

var combase = &world.Binary{
	Path:         `C:\Windows\System32\combase.dll`,
	OriginalName: "COMBASE.DLL",
	Company:      "Microsoft Corporation",
	Product:      "Microsoft® Windows® Operating System",
	Description:  "Microsoft COM for Windows",
	Version:      "10.0.17763.1",
	Signed:       true,
}

func (b *Background) writeDocument(a *actor, now time.Duration, s *sim.Stream) outcome {
	name := sim.Pick(s, documentNames)
	p := b.running(a, world.Winword)
	b.world.CreateFile(now, a.as, p, `C:\Users\`+a.account.Name+`\Documents\~$`+name)
	b.world.CreateFile(now+time.Second, a.as, p, `C:\Users\`+a.account.Name+`\Documents\`+name)
	b.world.DeleteFile(now+2*time.Second, a.as, p, `C:\Users\`+a.account.Name+`\Documents\~$`+name)
	return outcome{}
}

// unlock is a logon at one's own desk. Mistyping is a personal trait: the share
// of failures is Beta-like over users with a mean near 4 % of attempts and a
// heavy tail (Javed and Paxson 2013 for the form).
func (b *Background) unlock(a *actor, now time.Duration, s *sim.Stream) outcome {
	w := b.world
	l := world.Logon{
		From:       world.At(a.host),
		To:         a.host,
		Account:    a.account,
		Type:       world.LogonInteractive,
		Generation: a.account.Generation,
		Keep:       true,
	}
	mistypes := math.Pow(a.trait, 12) * 0.6
	at := now
	for range 4 {
		if !s.Bool(mistypes) {
			break
		}
		bad := l
		bad.BadSecret = true
		w.LogOn(at, a.as, bad)
		at += s.Between(3*time.Second, 12*time.Second)
	}
	_, r := w.LogOn(at, a.as, l)
	if r.OK() {
		w.StartProcess(
			at,
			a.as,
			world.Start{
				Host:        a.host,
				Account:     a.account,
				Binary:      world.RuntimeBroker,
				CommandLine: world.RuntimeBroker.Path + " -Embedding",
				Parent:      a.host.Service(world.ServiceDCOM),
			},
		)
	}
	return refused(r)
}

// workFromHome is a logon to one's own desk through the remote desktop gateway.
func (b *Background) workFromHome(a *actor, now time.Duration, s *sim.Stream) outcome {
	w := b.world
	gateways := w.WithRole(role.CloudGateway)
	if len(gateways) == 0 || a.account.Privilege != world.User {
		return outcome{}
	}
	gateway := sim.Pick(s, gateways)
	from := world.Outside(fmt.Sprintf("198.18.%d.%d", a.account.Index/250, 1+a.account.Index%250))
	if r := w.Reach(from, world.At(gateway), 443); !r.OK() {
		return refused(r)
	}
	w.Flow(
		now,
		a.as,
		world.Flow{
			From:     from,
			To:       world.At(gateway),
			Port:     443,
			Service:  "ssl",
			Sent:     40e3,
			Received: 2e6,
			Duration: 20 * time.Minute,
		},
	)
	w.TLS(
		now,
		a.as,
		from,
		world.At(gateway),
		443,
		"remote."+w.Domain,
		world.SchannelTLS,
		"CN=Public CA",
		"CN=remote."+w.Domain,
		true,
	)
	if r := w.Reach(world.At(gateway), world.At(a.host), 3389); !r.OK() {
		return refused(r)
	}
	_, r := w.LogOn(
		now,
		a.as,
		world.Logon{
			From:       world.At(gateway),
			To:         a.host,
			Account:    a.account,
			Type:       world.LogonRemote,
			Generation: a.account.Generation,
			Keep:       true,
		},
	)
	return refused(r)
}

// administer is one task of an administrator: the honest use of what attackers
// use too.
func (b *Background) administer(a *actor, now time.Duration, s *sim.Stream) outcome {
	w := b.world
	var targets []*world.Host
	for _, role := range a.account.LogsOnTo {
		targets = append(targets, w.WithRole(role)...)
	}
	if len(targets) == 0 {
		return outcome{}
	}
	target := sim.Pick(s, targets)
	if !target.Windows() {
		return b.administerOverSSH(a, now, s, target)
	}
	console := b.running(a, world.PowerShell)
	logon := world.Logon{
		From:       world.At(a.host),
		To:         target,
		Account:    a.account,
		Type:       world.LogonNetwork,
		Generation: a.account.Generation,
	}
	// PsExec, remote PowerShell, scheduled tasks, remote desktop, consoles: most of the
	// work is done in consoles (assumed; docs/calibration.md).
	switch sim.PickWeighted(s, []float64{0.15, 0.5, 0.15, 9, 14}) {
	case 0:
		if r := b.connect(a, now, target, 445, "smb", console); !r.OK() {
			return refused(r)
		}
		logon.Explicit = world.PsExec.Path
		if _, r := w.LogOn(now, a.as, logon); !r.OK() {
			return refused(r)
		}
		b.psExec(a, now, target)
	case 1:
		if r := b.connect(a, now, target, 5985, "http", console); !r.OK() {
			return refused(r)
		}
		if _, r := w.LogOn(now, a.as, logon); !r.OK() {
			return refused(r)
		}
		shell := w.StartProcess(
			now,
			a.as,
			world.Start{
				Host:        target,
				Account:     a.account,
				Binary:      world.WsmProvHost,
				CommandLine: `C:\Windows\system32\wsmprovhost.exe -Embedding`,
				Integrity:   "High",
			},
		)
		w.RunScript(now, a.as, target.Program(world.WsmProvHost, `C:\Windows\system32\wsmprovhost.exe -Embedding`, a.account), sim.Pick(s, honestScripts))
		w.LoadImage(now, a.as, shell, combase)
	case 2:
		if r := b.connect(a, now, target, 135, "dce_rpc", console); !r.OK() {
			return refused(r)
		}
		if _, r := w.LogOn(now, a.as, logon); !r.OK() {
			return refused(r)
		}
		name := sim.Pick(
			s,
			[]string{`\Maintenance\DiskCleanup`, `\Maintenance\LogRotate`, `\IT\Inventory`, `\IT\CertificateCheck`},
		)
		w.StartProcess(
			now,
			a.as,
			world.Start{
				Host:        a.host,
				Account:     a.account,
				Binary:      world.Schtasks,
				CommandLine: `schtasks /create /s ` + target.Name + ` /tn "` + name[1:] + `" /tr "C:\Program Files\IT\maintenance.cmd" /sc daily /st 03:00`,
				Parent:      console,
				Integrity:   "High",
			},
		)
	case 3:
		if r := b.connect(a, now, target, 3389, "rdp", b.running(a, world.Mstsc)); !r.OK() {
			return refused(r)
		}
		logon.Type = world.LogonRemote
		logon.Keep = true
		if _, r := w.LogOn(now, a.as, logon); !r.OK() {
			return refused(r)
		}
	default:
		dc := w.DomainController(a.host)
		if a.account.Privilege == world.DomainAdmin && dc != nil && s.Bool(0.4) {
			b.manageAccounts(a, now, dc, s)
			break
		}
		switch s.IntN(4) {
		case 0:
			w.StartProcess(
				now,
				a.as,
				world.Start{
					Host:        a.host,
					Account:     a.account,
					Binary:      world.Quser,
					CommandLine: "quser /server:" + target.Name,
					Parent:      console,
				},
			)
		default:
			snapIn := sim.Pick(s, []string{"dsa.msc", "services.msc", "eventvwr.msc", "compmgmt.msc", "gpmc.msc"})
			w.StartProcess(
				now,
				a.as,
				world.Start{
					Host:        a.host,
					Account:     a.account,
					Binary:      world.Mmc,
					CommandLine: `"C:\Windows\system32\mmc.exe" C:\Windows\system32\` + snapIn,
					Integrity:   "High",
				},
			)
			w.Flow(
				now+time.Second,
				a.as,
				world.Flow{
					From:     world.At(a.host),
					To:       world.At(target),
					Port:     135,
					Service:  "dce_rpc",
					Sent:     30e3,
					Received: 90e3,
					Duration: 30 * time.Second,
				},
			)
		}
	}
	return outcome{}
}

var honestScripts = []string{
	"Get-Service | Where-Object {$_.Status -eq 'Stopped'} | Export-Csv C:\\ProgramData\\it\\services.csv",
	"Get-WinEvent -LogName System -MaxEvents 200 | Out-File C:\\ProgramData\\it\\events.txt",
	"Get-HotFix | Sort-Object InstalledOn | Select-Object -Last 5",
	"Restart-Service -Name Spooler",
	"Get-ChildItem C:\\inetpub\\logs -Recurse | Measure-Object -Property Length -Sum",
}

func (b *Background) connect(
	a *actor,
	now time.Duration,
	target *world.Host,
	port int,
	service string,
	p *world.Process,
) world.Refusal {
	if r := b.world.Reach(world.At(a.host), world.At(target), port); !r.OK() {
		return r
	}
	b.world.Flow(
		now,
		a.as,
		world.Flow{
			From:     world.At(a.host),
			To:       world.At(target),
			Port:     port,
			Service:  service,
			Process:  p,
			Sent:     40e3,
			Received: 60e3,
			Duration: 20 * time.Second,
		},
	)
	return world.Refusal{}
}

func (b *Background) psExec(a *actor, now time.Duration, target *world.Host) {
	w := b.world
	w.StartProcess(
		now,
		a.as,
		world.Start{
			Host:        a.host,
			Account:     a.account,
			Binary:      world.PsExec,
			CommandLine: `PsExec64.exe \\` + target.Name + ` -s ipconfig /all`,
			Parent:      b.running(a, world.Cmd),
			Integrity:   "High",
		},
	)
	w.AccessShareFile(now+time.Second, a.as, world.At(a.host), target, a.account, `\\*\ADMIN$`, "PSEXESVC.exe", true)
	w.InstallService(now+2*time.Second, a.as, target, a.account, "PSEXESVC", `%SystemRoot%\PSEXESVC.exe`)
	service := w.StartProcess(
		now+2*time.Second,
		a.as,
		world.Start{Host: target, Binary: world.PsExecSvc, CommandLine: `C:\Windows\PSEXESVC.exe`},
	)
	w.CreatePipe(now+2*time.Second, a.as, service, `\PSEXESVC`)
	w.StartProcess(
		now+3*time.Second,
		a.as,
		world.Start{Host: target, Binary: world.Ipconfig, CommandLine: `"ipconfig" /all`, Parent: service},
	)
}

func (b *Background) administerOverSSH(a *actor, now time.Duration, s *sim.Stream, target *world.Host) outcome {
	if r := b.world.Reach(world.At(a.host), world.At(target), 22); !r.OK() {
		return refused(r)
	}
	attempt := world.SSHAttempt{
		From:       world.At(a.host),
		To:         target,
		User:       a.account.Name,
		Account:    a.account,
		Generation: a.account.Generation,
		Good:       true,
		Key:        s.Bool(0.7),
	}
	at := now
	if !attempt.Key && s.Bool(0.1) {
		bad := attempt
		bad.Good = false
		b.world.SSH(at, a.as, bad)
		at += 6 * time.Second
	}
	_, r := b.world.SSH(at, a.as, attempt)
	if r.OK() {
		for i, binary := range []*world.Binary{world.Sudo, world.Systemctl, world.Df} {
			b.world.StartProcess(
				at+time.Duration(i+1)*20*time.Second,
				a.as,
				world.Start{
					Host:        target,
					Account:     a.account,
					Binary:      binary,
					CommandLine: []string{"sudo -i", "systemctl status nginx", "df -h"}[i],
				},
			)
		}
	}
	return refused(r)
}

// manageAccounts is what a domain's administrators do with accounts: mostly they renew
// passwords; a new account is rare.
func (b *Background) manageAccounts(a *actor, now time.Duration, dc *world.Host, s *sim.Stream) {
	who := sim.Pick(s, b.world.Accounts)
	switch sim.PickWeighted(s, []float64{1, 14, 3, 2}) {
	case 0:
		b.world.CreateUser(now, a.as, dc, a.account, fmt.Sprintf("new%04d", s.IntN(10000)))
	case 1:
		b.world.SetPassword(now, a.as, dc, a.account, who.Name)
	case 2:
		b.world.ChangeUser(now, a.as, dc, a.account, who.Name, "DisplayName", who.Name)
	default:
		b.world.ChangeDirectory(now, a.as, dc, a.account, "user", "CN="+who.Name+",CN=Users", "telephoneNumber", "+49 30 901820")
	}
}
