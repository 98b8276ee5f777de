package background

import (
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// The kinds of day. All have ordinary work; a patch day has updates and restarts on
// top, an audit day people who look into everything.
const (
	ordinary = "ordinary"
	patch    = "patch"
	audit    = "audit"
)

// signInGap is the mean time between a person's sign-ins to the cloud during work
// (assumed: tokens last an hour or more, several applications).
const signInGap = 3 * time.Hour

// patchGap and auditGap are the mean times between steps of one host's updates, and
// of one auditor.
const (
	patchGap = 40 * time.Minute
	auditGap = 3 * time.Minute
)

// addDay adds the actors that belong to the kind of day.
func (b *Background) addDay(kind string) {
	w := b.world
	for _, who := range w.Accounts {
		if who.Home != nil && who.Privilege != world.Service {
			b.add(actor{act: (*Background).signIn, account: who, gap: signInGap, office: true}, "cloud "+who.Name)
		}
	}
	switch kind {
	case patch:
		for _, h := range w.Hosts {
			b.add(actor{act: (*Background).patch, host: h, gap: patchGap}, "updates "+h.Name)
		}
	case audit:
		for _, h := range w.WithRole(role.JumpHost) {
			b.add(actor{act: (*Background).audit, host: h, gap: auditGap, office: true}, "auditor "+h.Name)
		}
		for _, h := range w.WithRole(role.Scanner) {
			b.add(actor{act: (*Background).scan, host: h, every: 20 * time.Minute, jitter: 0.1}, "audit scan "+h.Name)
		}
	}
}

// signIn is a person who signs in to the cloud, mostly from the office, sometimes on
// the way, always with a managed device.
func (b *Background) signIn(a *actor, now time.Duration, s *sim.Stream) outcome {
	from, country := world.Outside("192.0.1.9"), "US" // the office's way out
	if s.Bool(0.25) {
		home := a.stream.For("home")
		from = world.Outside(fmt.Sprintf("98.%d.%d.%d", home.IntN(200), home.IntN(255), 1+home.IntN(254)))
	}
	attempt := world.SignIn{
		Account:    a.account,
		From:       from,
		Country:    country,
		Client:     "Browser",
		Agent:      browserAgent,
		Device:     fmt.Sprintf("d-%05d", a.account.Index),
		Generation: a.account.Generation,
		MFA:        "approved",
		App: sim.Pick(
			s,
			[]string{"Office 365", "Office 365 Exchange Online", "Microsoft Teams", "Office 365 SharePoint Online"},
		),
	}
	if s.Bool(0.01 + 0.03*a.trait) {
		mistyped := attempt
		mistyped.BadPassword = true
		b.world.SignIn(now, a.as, mistyped)
		now += 8 * time.Second
	}
	return refused(b.world.SignIn(now, a.as, attempt))
}

var updater = world.InSystem32("wuauclt.exe", "wuauclt.exe", "Windows Update")

// patch is one step of a host's updates: a download, an installation, a restart.
func (b *Background) patch(a *actor, now time.Duration, s *sim.Stream) outcome {
	w, h := b.world, a.host
	where := b.sites[len(siteNames)] // the update service
	to := world.Endpoint{Address: where.address, Domain: where.name}
	if r := w.Reach(world.At(h), to, 443); r.OK() {
		w.Flow(
			now,
			a.as,
			world.Flow{
				From:     world.At(h),
				To:       to,
				Port:     443,
				Service:  "ssl",
				Sent:     90e3,
				Received: uint64(s.LogNormal(60e6, 1)),
				Duration: time.Minute,
			},
		)
	}
	if !h.Windows() {
		w.StartProcess(
			now+time.Minute,
			a.as,
			world.Start{Host: h, Binary: world.UnixProgram("/usr/bin/apt-get"), CommandLine: "apt-get -y upgrade"},
		)
		w.StartProcess(
			now+3*time.Minute,
			a.as,
			world.Start{Host: h, Binary: world.Systemctl, CommandLine: "systemctl daemon-reload"},
		)
		return outcome{}
	}
	p := w.StartProcess(
		now+time.Minute,
		a.as,
		world.Start{
			Host:        h,
			Binary:      updater,
			CommandLine: `"C:\Windows\system32\wuauclt.exe" /UpdateDeploymentProvider UpdateDeploymentProvider.dll /ClassId 1 /RunHandlerComServer`,
		},
	)
	w.StartProcess(
		now+2*time.Minute,
		a.as,
		world.Start{Host: h, Binary: world.Msiexec, CommandLine: `C:\Windows\system32\msiexec.exe /V`},
	)
	for i := range 3 {
		w.CreateFile(
			now+time.Duration(i+2)*time.Minute,
			a.as,
			p,
			fmt.Sprintf(`C:\Windows\SoftwareDistribution\Download\%08x\update.cab`, s.IntN(1<<31)),
		)
	}
	w.SetRegistryValue(
		now+5*time.Minute,
		a.as,
		p,
		`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\SessionIdHigh`,
		fmt.Sprintf("DWORD (0x%08x)", s.IntN(1<<31)),
	)
	if s.Bool(0.1) {
		w.LogBy(
			now+8*time.Minute,
			a.as,
			h,
			nil,
			"System 1074",
			"param1",
			`C:\Windows\system32\svchost.exe`,
			"param2",
			h.Name,
			"param3",
			"Operating System: Service pack (Planned)",
		)
	}
	return outcome{}
}

// audited is what auditors ask of hosts, by weight: mostly what only auditors ask, now and
// then what intruders ask first.
var audited = []struct {
	weight float64
	binary *world.Binary
	line   string
}{
	{8, world.Auditpol, `auditpol.exe /get /category:*`},
	{8, world.Gpresult, `gpresult.exe /h C:\Audit\report.html`},
	{8, world.Sc, "sc query"},
	{6, world.Reg, `reg query HKLM\SOFTWARE\Policies`},
	{5, world.Icacls, `icacls.exe C:\Data`},
	{2, world.Systeminfo, "systeminfo"},
	{1, world.Net, `net accounts /domain`},
	{1, world.Net, `net localgroup administrators`},
	{1, world.Wmic, `wmic qfe list brief`},
	{0.5, world.Nltest, `nltest.exe /dclist:corp.example`},
}

// auditWeights are the weights of audited alone.
var auditWeights = func() []float64 {
	var out []float64
	for _, x := range audited {
		out = append(out, x.weight)
	}
	return out
}()

func (b *Background) audit(a *actor, now time.Duration, s *sim.Stream) outcome {
	w := b.world
	var who *world.Account
	for _, account := range w.Accounts {
		if account.Privilege == world.ServerAdmin {
			who = account
			break
		}
	}
	what := audited[sim.PickWeighted(s, auditWeights)]
	shell := a.host.Program(world.Cmd, "cmd.exe", who)
	w.StartProcess(
		now,
		a.as,
		world.Start{
			Host:        a.host,
			Account:     who,
			Binary:      what.binary,
			CommandLine: what.line,
			Parent:      shell,
			Integrity:   "High",
		},
	)
	if dc := w.DomainController(a.host); dc != nil && s.Bool(0.3) {
		if r := w.Reach(world.At(a.host), world.At(dc), 389); !r.OK() {
			return refused(r)
		}
		w.Flow(
			now+time.Second,
			a.as,
			world.Flow{
				From:     world.At(a.host),
				To:       world.At(dc),
				Port:     389,
				Service:  "ldap",
				Sent:     4e3,
				Received: 700e3,
				Duration: 3 * time.Second,
			},
		)
	}
	return outcome{}
}
