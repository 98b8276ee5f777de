package background

import (
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// Mean times between the activities of machines.
const (
	windowsGap  = 6 * time.Minute
	linuxGap    = 7 * time.Minute
	visitorGap  = 15 * time.Second // of all visitors of one web server together
	guessGap    = 12 * time.Second // of all guessing machines at one SSH server together (Abdou et al. 2015: about 5 a minute)
	serviceGap  = 8 * time.Minute
	scanEvery   = 4 * time.Hour
	backupEvery = 20 * time.Minute
)

// What a flow that fails is worth, in work of a person: a customer who goes away,
// a job of a service that must be run again. Both are assumptions.
const (
	visitWorth   = time.Minute
	serviceWorth = 3 * time.Minute
)

func (b *Background) addMachines() {
	w := b.world
	pollers := b.sites[len(siteNames):]
	setup := w.Streams().Stream("pollers", "setup")
	intervals := []time.Duration{
		5 * time.Minute,
		10 * time.Minute,
		15 * time.Minute,
		30 * time.Minute,
		60 * time.Minute,
	}
	for _, h := range w.Hosts {
		if h.Windows() {
			b.add(actor{act: (*Background).windowsRoutine, host: h, gap: windowsGap}, "system "+h.Name)
		} else {
			b.add(actor{act: (*Background).linuxRoutine, host: h, gap: linuxGap}, "system "+h.Name)
		}
		s := setup.At(uint64(h.Index))
		for n := range 2 {
			every := sim.Pick(&s, intervals)
			where := sim.Pick(&s, pollers)
			b.add(
				actor{
					act:    (*Background).poll,
					host:   h,
					every:  time.Duration(float64(every) / b.rate),
					jitter: 0.05 * s.Float64(),
					site:   where,
				},
				fmt.Sprintf("poller %s %d", h.Name, n),
			)
		}
		b.addAgent(h)
	}
	for _, h := range b.webs {
		b.add(actor{act: (*Background).visit, host: h, gap: visitorGap, worth: visitWorth}, "visitors of "+h.Name)
	}
	for _, h := range append(append([]*world.Host{}, w.WithRole(role.SSHGateway)...), b.webs...) {
		b.add(actor{act: (*Background).guess, host: h, gap: guessGap}, "guessers at "+h.Name)
	}
	for _, account := range w.Accounts {
		if account.Privilege == world.Service {
			b.add(
				actor{act: (*Background).serve, account: account, gap: serviceGap, worth: serviceWorth},
				"service "+account.Name,
			)
		}
	}
	for _, h := range w.WithRole(role.BackupServer) {
		b.add(actor{act: (*Background).backUp, host: h, every: backupEvery, jitter: 0.02}, "backup "+h.Name)
	}
	for _, h := range w.WithRole(role.Scanner) {
		b.add(actor{act: (*Background).scan, host: h, every: scanEvery, jitter: 0.1}, "scanner "+h.Name)
	}
}

// windowsRoutine is one thing that Windows does by itself.
func (b *Background) windowsRoutine(a *actor, now time.Duration, s *sim.Stream) outcome {
	w, h := b.world, a.host
	svchost := h.Service(world.ServiceSchedule)
	start := func(binary *world.Binary, line string) *world.Process {
		parent := svchost
		switch binary {
		case world.Svchost:
			parent = nil // the service manager
		case world.WmiPrvSE, world.BackgroundTask:
			parent = h.Service(world.ServiceDCOM)
		case world.Gpupdate:
			parent = h.Service(world.ServicePolicy)
		}
		return w.StartProcess(now, a.as, world.Start{Host: h, Binary: binary, CommandLine: line, Parent: parent})
	}
	if s.Bool(0.4) {
		b.keepHouse(a, now, s)
	}
	switch sim.PickWeighted(s, []float64{5, 4, 3, 3, 2, 4, 3, 0.3, 0.003}) {
	case 0:
		p := start(world.Svchost, `C:\Windows\System32\svchost.exe -k netsvcs -p -s wuauserv`)
		w.LoadImage(now, a.as, p, combase)
	case 1:
		p := start(world.WmiPrvSE, `C:\Windows\system32\wbem\wmiprvse.exe -secured -Embedding`)
		w.ConnectPipe(now, a.as, p, `\wkssvc`)
	case 2:
		start(world.Taskhostw, `taskhostw.exe SYSTEM`)
	case 3:
		p := start(
			world.BackgroundTask,
			`"C:\Windows\system32\backgroundTaskHost.exe" -ServerName:App.AppXmtcan0h2tfbfy7k9kn8hbxb6dmzz1zh0.mca`,
		)
		w.AddRegistryKey(now, a.as, p, `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\VFUProvider`)
	case 4:
		p := start(world.Gpupdate, `"C:\Windows\system32\gpupdate.exe" /target:computer`)
		w.SetRegistryValue(
			now,
			a.as,
			p,
			`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\State\Machine\Extension-List\{00000000-0000-0000-0000-000000000000}\StartTimeLo`,
			fmt.Sprintf("DWORD (0x%08x)", s.IntN(1<<31)),
		)
	case 5:
		defender := h.System(world.Defender, world.Defender.Path)
		w.AccessProcess(now, a.as, defender, world.Lsass, "0x1000", world.UsualCallTrace)
		w.AccessProcess(now, a.as, svchost, world.Svchost, "0x1400", world.UsualCallTrace)
	case 6:
		w.CreateFile(now, a.as, svchost, `C:\Windows\ServiceState\EventLog\Data\lastalive0.dat`)
		w.SetRegistryValue(
			now,
			a.as,
			svchost,
			`HKLM\System\CurrentControlSet\Services\W32Time\Config\LastKnownGoodTime`,
			"QWORD (0x01da7e6c-0x3f1b2a00)",
		)
	case 8: // the management agent runs a script the way intruders do
		start(
			world.PowerShell,
			`powershell.exe -NoProfile -NonInteractive -EncodedCommand RwBlAHQALQBIAG8AdABGAGkAeAA=`,
		)
	default:
		w.CreateRemoteThread(
			now,
			a.as,
			h.Console(),
			world.Conhost,
			"CtrlRoutine",
		)
	}
	return outcome{}
}

var crond = world.UnixProgram("/usr/sbin/cron")

var cronJobs = []struct {
	binary *world.Binary
	line   string
}{
	{world.Logroll, "/usr/sbin/logrotate /etc/logrotate.conf"},
	{world.Find, "find /tmp -type f -mtime +7 -delete"},
	{world.Df, "df -P"},
	{world.Ps, "ps aux"},
	{world.Curl, "curl -fsS http://localhost/health"},
	{world.Systemctl, "systemctl is-active nginx"},
	{world.Rsync, "rsync -a /var/log/ /var/backups/log/"},
	{world.Python, "python3 /usr/lib/monitoring/agent.py --once"},
}

func (b *Background) linuxRoutine(a *actor, now time.Duration, s *sim.Stream) outcome {
	job := sim.Pick(s, cronJobs)
	cron := a.host.System(crond, "/usr/sbin/cron -f")
	b.world.StartProcess(now, a.as, world.Start{Host: a.host, Binary: job.binary, CommandLine: job.line, Parent: cron})
	return outcome{}
}

// agentShare is the share of hosts with an agent that hardly another host has, such as
// the client of some service that one department uses: an assumption.
const agentShare = 0.15

// agentServices is how many such services there are.
const agentServices = 40

// addAgent gives a host, or not, an agent that calls a service of its own in quick and even
// intervals, which is what beacons look like.
func (b *Background) addAgent(h *world.Host) {
	s := b.world.Streams().Stream("agents", "setup").At(uint64(h.Index))
	if !s.Bool(agentShare) {
		return
	}
	n := s.IntN(agentServices)
	where := site{fmt.Sprintf("api.service%02d.example", n), fmt.Sprintf("192.1.%d.%d", n/8, 10+n%8*11)}
	every := sim.Pick(&s, []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute})
	client := world.SchannelTLS
	if !h.Windows() {
		client = sim.Pick(&s, []*world.TLSClient{world.CurlTLS, world.PythonTLS, world.JavaTLS})
	} else if s.Bool(0.3) {
		client = world.JavaTLS
	}
	b.add(actor{
		act: (*Background).poll, host: h, every: time.Duration(float64(every) / b.rate), jitter: 0.1 * s.Float64(), site: where,
		client: client,
	}, "agent "+h.Name)
}

// poll is an update check or sync client: regular, to one place, little data.
func (b *Background) poll(a *actor, now time.Duration, s *sim.Stream) outcome {
	to := world.Endpoint{Address: a.site.address, Domain: a.site.name}
	if r := b.world.Reach(world.At(a.host), to, 443); !r.OK() {
		return refused(r)
	}
	if s.Bool(0.2) { // the answer is cached most of the time
		b.world.Resolve(now, a.as, a.host, nil, a.site.name, "A", a.site.address)
	}
	b.world.Flow(
		now,
		a.as,
		world.Flow{
			From:     world.At(a.host),
			To:       to,
			Port:     443,
			Service:  "ssl",
			Sent:     700 + uint64(s.IntN(60)),
			Received: 3000 + uint64(s.IntN(900)),
			Duration: time.Second,
		},
	)
	b.world.TLS(
		now,
		a.as,
		world.At(a.host),
		to,
		443,
		a.site.name,
		a.tlsClient(),
		"CN=Public CA",
		"CN="+a.site.name,
		true,
	)
	return outcome{}
}

// tlsClient is the TLS library of what polls: its own, or that of the operating system.
func (a *actor) tlsClient() *world.TLSClient {
	switch {
	case a.client != nil:
		return a.client
	case a.host.Windows():
		return world.SchannelTLS
	}
	return world.CurlTLS
}

var pages = []string{
	"/",
	"/products",
	"/about",
	"/contact",
	"/news/17",
	"/img/logo.png",
	"/css/site.css",
	"/js/app.js",
	"/search",
	"/login",
}

// visit is a stranger who looks at a public web server.
func (b *Background) visit(a *actor, now time.Duration, s *sim.Stream) outcome {
	from := world.Outside(fmt.Sprintf("%d.%d.%d.%d", 11+s.IntN(150), s.IntN(255), s.IntN(255), 1+s.IntN(254)))
	uri := sim.Pick(s, pages)
	status := "200"
	if s.Bool(0.05) {
		uri, status = sim.Pick(s, []string{"/wp-login.php", "/robots.txt", "/.env", "/favicon.ico", "/old"}), "404"
	}
	size := uint64(s.LogNormal(12e3, 1.1))
	if r := b.world.Reach(from, world.At(a.host), 443); !r.OK() {
		return refused(r)
	}
	b.world.Flow(
		now,
		a.as,
		world.Flow{
			From:     from,
			To:       world.At(a.host),
			Port:     443,
			Service:  "ssl",
			Sent:     800,
			Received: size,
			Duration: time.Second,
		},
	)
	b.world.WebAccess(
		now,
		a.as,
		world.Request{
			From:     from,
			To:       world.At(a.host),
			Port:     443,
			Method:   "GET",
			Host:     "www." + b.world.Domain,
			URI:      uri,
			Agent:    browserAgent,
			Status:   status,
			Received: size,
			MIME:     "text/html",
		},
	)
	return outcome{}
}

var guessedNames = []string{"root", "admin", "test", "oracle", "ubuntu", "postgres", "git", "user", "pi", "ftp"}

// guess is the constant noise of password guessing: many machines, each at one
// server only now and then.
func (b *Background) guess(a *actor, now time.Duration, s *sim.Stream) outcome {
	from := world.Outside(fmt.Sprintf("45.%d.%d.%d", s.IntN(4), s.IntN(100), 1+s.IntN(254)))
	name := sim.Pick(s, guessedNames)
	if r := b.world.Reach(from, world.At(a.host), 22); !r.OK() {
		return refused(r)
	}
	b.world.SSH(now, a.as, world.SSHAttempt{From: from, To: a.host, User: name, Unknown: name != "root"})
	return outcome{}
}

// serve is a service account logging on to the servers that it keeps running.
func (b *Background) serve(a *actor, now time.Duration, s *sim.Stream) outcome {
	var targets []*world.Host
	for _, role := range a.account.LogsOnTo {
		targets = append(targets, b.world.WithRole(role)...)
	}
	if len(targets) == 0 {
		return outcome{}
	}
	to, from := sim.Pick(s, targets), sim.Pick(s, targets)
	if !to.Windows() || !from.Windows() {
		return outcome{}
	}
	if r := b.world.Reach(world.At(from), world.At(to), 445); !r.OK() {
		return refused(r)
	}
	session, r := b.world.LogOn(
		now,
		a.as,
		world.Logon{
			From:       world.At(from),
			To:         to,
			Account:    a.account,
			Type:       world.LogonNetwork,
			Generation: a.account.Generation,
		},
	)
	if r.OK() {
		b.world.LogOff(now+time.Minute, a.as, to, session)
	}
	return refused(r)
}

// backUp moves a little by day and gigabytes by night.
func (b *Background) backUp(a *actor, now time.Duration, s *sim.Stream) outcome {
	w := b.world
	sources := append(append([]*world.Host{}, w.WithRole(role.FileServer)...), w.WithRole(role.DatabaseServer)...)
	if len(sources) == 0 {
		return outcome{}
	}
	from := sim.Pick(s, sources)
	bytes := s.LogNormal(60e6, 0.8)
	if night(w.Epoch.Add(now)) {
		bytes = s.LogNormal(20e9, 0.7)
	}
	if r := w.Reach(world.At(a.host), world.At(from), 445); !r.OK() {
		return refused(r)
	}
	agent := w.StartProcess(
		now,
		a.as,
		world.Start{
			Host:        from,
			Binary:      world.BackupAgent,
			CommandLine: `"` + world.BackupAgent.Path + `" --job nightly --incremental`,
		},
	)
	w.CreateFile(now, a.as, agent, `C:\ProgramData\Backup\journal.db`)
	w.Flow(
		now,
		a.as,
		world.Flow{
			From:     world.At(a.host),
			To:       world.At(from),
			Port:     445,
			Service:  "smb",
			Sent:     uint64(bytes / 200),
			Received: uint64(bytes),
			Duration: time.Duration(bytes / 60e6 * float64(time.Second)),
		},
	)
	return outcome{}
}

var scanPorts = []int{22, 80, 135, 443, 445, 1433, 3389, 5985, 8080}

// scan is the vulnerability scanner's round over part of the estate.
func (b *Background) scan(a *actor, now time.Duration, s *sim.Stream) outcome {
	w := b.world
	w.StartProcess(
		now,
		a.as,
		world.Start{Host: a.host, Binary: world.Nmap, CommandLine: "nmap -sS -T3 --top-ports 9 10.0.0.0/8"},
	)
	at := now
	for range 40 {
		target := sim.Pick(s, w.Hosts)
		for _, port := range scanPorts[:3+s.IntN(6)] {
			at += 200 * time.Millisecond
			if r := w.Reach(world.At(a.host), world.At(target), port); !r.OK() {
				continue
			}
			state := "REJ"
			for _, p := range target.Ports {
				if p.Number == port {
					state = "RSTO"
				}
			}
			w.Flow(
				at,
				a.as,
				world.Flow{
					From:     world.At(a.host),
					To:       world.At(target),
					Port:     port,
					Sent:     44,
					Received: 44,
					State:    state,
				},
			)
		}
	}
	return outcome{}
}
