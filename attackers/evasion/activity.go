package evasion

import (
	"fmt"
	"math"
	"time"

	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// besideSteps is the number of the step that events carry which belong to the attack and to no
// step of its campaign.
const besideSteps = -1

// activity is what an attacker does beside their campaign.
type activity struct {
	engine *sim.Engine
	world  *world.World
	state  *technique.State
	attack int32
	luck   sim.Stream

	inside    bool // the attack has stood on a host
	heldUntil time.Duration
	annotated []*technique.Foothold
}

// aside does something that belongs to no step.
func (a *activity) aside(do func()) {
	label := &a.state.Actor.Label
	step := label.Step
	label.Step = besideSteps
	do()
	label.Step = step
}

// annotate leaves a text for models on each foothold that has none.
func (a *activity) annotate(now time.Duration) {
	f := a.state.Current()
	for _, done := range a.annotated {
		if done == f {
			return
		}
	}
	a.aside(func() { a.state.LeaveAnnotation(now, f) })
	a.annotated = append(a.annotated, f)
}

// tasteEvery is the time between two tastes: one falls into each window of a detector that adds
// up a quarter of an hour.
const tasteEvery = 17 * time.Minute

// firstTaste is how many bytes the first taste carries out.
const firstTaste = 20e6

// beginTastes holds the campaign and does parts of it one by one.
func (a *activity) beginTastes(now time.Duration, s *Spec) {
	a.heldUntil = now + s.For
	for k, at := 0, now+tasteEvery; at < a.heldUntil; k, at = k+1, at+tasteEvery {
		size := firstTaste * math.Pow(s.Growth, float64(k))
		a.engine.Schedule(at, sim.HandlerFunc(func(now time.Duration) { a.taste(now, k, size) }), 0)
	}
}

// windowsTastes and linuxTastes are the programs that attacks on hosts begin with.
var windowsTastes = []struct {
	binary *world.Binary
	line   string
}{
	{world.Whoami, "whoami.exe"}, {world.Ipconfig, "ipconfig.exe /all"}, {world.Tasklist, "tasklist.exe"}, {world.Net, "net.exe view"},
	{world.Systeminfo, "systeminfo.exe"}, {world.Nltest, "nltest.exe /dsgetdc:"}, {world.Quser, "quser.exe"},
	{world.PowerShell, "powershell.exe -NoProfile"},
	{world.Wmic, "wmic.exe os get caption"}, {world.Netstat, "netstat.exe -ano"},
	{world.Cmd, "cmd.exe /c dir"}, {world.Reg, "reg.exe query HKCU"},
}

var linuxTastes = []struct {
	binary *world.Binary
	line   string
}{
	{world.Uname, "uname -a"}, {world.Id, "id"}, {world.Ps, "ps aux"}, {world.SS, "ss -tlnp"},
	{world.Find, "find /home -maxdepth 1"}, {world.Tar, "tar --version"},
}

// taste does the k-th part: a program, a connection to a server, and an upload of a size.
func (a *activity) taste(now time.Duration, k int, size float64) {
	f := a.state.Current()
	if f == nil {
		return
	}
	a.aside(func() {
		tastes := windowsTastes
		if !f.Host.Windows() {
			tastes = linuxTastes
		}
		x := tastes[k%len(tastes)]
		a.state.StartOn(now, f, x.binary, x.line)
		if servers := a.world.WithRole(role.FileServer); len(servers) > 0 {
			a.call(now+time.Second, f, servers[k%len(servers)])
		}
		to := a.state.C2()
		if !a.world.Reach(world.At(f.Host), to, 443).OK() {
			return
		}
		a.world.Flow(now+2*time.Second, a.state.Actor, world.Flow{From: world.At(f.Host), To: to, Port: 443, Service: "ssl", Sent: uint64(size),
			Received: 9000, Duration: time.Minute})
		a.world.TLS(now+2*time.Second, a.state.Actor, world.At(f.Host), to, 443, to.Domain, a.state.Hello, a.state.Issuer(to), "CN="+to.Domain,
			a.state.PublicCertificate)
	})
}

// call connects to a server inside as clients do.
func (a *activity) call(now time.Duration, f *technique.Foothold, to *world.Host) {
	if a.world.Reach(world.At(f.Host), world.At(to), 445).OK() {
		a.world.Flow(now, a.state.Actor, world.Flow{From: world.At(f.Host), To: world.At(to), Port: 445,
			Service: "smb", Sent: 4000, Received: 12000,
			Duration: time.Second})
	}
}

// chaff is an attacker's second pair of hands: it does loud things that come to nothing.
type chaff struct {
	engine     *sim.Engine
	state      *technique.State
	techniques []string
	mean       time.Duration // between two of them
	until      time.Duration
	luck       sim.Stream
	attempt    *technique.Attempt
	count      uint64
}

// chaffAddresses is how many addresses are thrown away at it, one after the other.
const chaffAddresses = 12

// beginChaff begins it with the attack.
func (a *activity) beginChaff(s *Spec, start time.Duration, hostile *world.AttackerAssets) {
	actor := a.world.NewActor(fmt.Sprintf("chaff of attacker %d", a.attack))
	actor.Label.Attack, actor.Label.Step = a.attack, besideSteps
	c := &chaff{
		engine: a.engine, techniques: s.Techniques, mean: time.Duration(float64(time.Hour) / s.Rate),
		until: start + s.For, luck: a.luck.For("chaff"),
	}
	c.state = technique.NewState(a.world, actor, hostile)
	for range chaffAddresses {
		address := fmt.Sprintf("%d.%d.%d.%d", 193+c.luck.IntN(8), c.luck.IntN(255), c.luck.IntN(255), 1+c.luck.IntN(254))
		c.state.Addresses = append(c.state.Addresses, address)
		hostile.MarkAddress(address)
	}
	a.engine.Schedule(start, c, 0)
}

// Handle makes a round of the attempt in hand, or begins the next.
func (c *chaff) Handle(now time.Duration, _ uint64) {
	if now >= c.until {
		return
	}
	if c.attempt == nil {
		c.count++
		draw := c.luck.At(c.count)
		t := technique.Find(sim.Pick(&draw, c.techniques))
		if t.Ready(c.state) != nil {
			t = technique.Find("T1595.001") // what has to be known first
		}
		c.state.Address = int(c.count) % len(c.state.Addresses)
		c.attempt = t.Begin(c.state, map[string]string{"tool": t.Tools[0]}, now, draw)
	}
	p := c.attempt.Run(now)
	wait := max(p.Wait, time.Millisecond)
	if p.Done {
		c.attempt = nil
		pause := c.luck.For("pause").At(c.count)
		wait = time.Duration(float64(c.mean) * pause.Exp())
	}
	c.engine.Schedule(now+wait, c, 0)
}
