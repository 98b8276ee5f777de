package background

import (
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/footprint"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// Config is a scenario's background.
type Config struct {
	// Rate multiplies how often people and machines act; 1 is an ordinary
	// company, 0 silence.
	Rate float64
	// Day is the kind of day; Ordinary when empty.
	Day string
	// Blocked lists accounts that never act. It serves experiments on what one
	// user's absence changes.
	Blocked []string
	// Recorded is an attack-free recording that is played beside all others; nil for none.
	Recorded *footprint.Footprint
}

// Collateral is what the defence, and the attack, cost honest people.
type Collateral struct {
	// UserSeconds is working time lost to things that did not work.
	UserSeconds float64
	// Attempts counts honest activities; Failed those that the defence stopped.
	Attempts, Failed int
	// ByAction is the work lost to each action of the defence, in seconds of one
	// person: people's time as in UserSeconds, work that had to be done again, and
	// the flows of services and customers.
	ByAction map[uint64]float64
	// Idle is working time lost at hosts that the attacker has encrypted or wiped,
	// in seconds.
	Idle float64
}

// Background runs the honest actors of one trial.
type Background struct {
	engine     *sim.Engine
	world      *world.World
	rate       float64
	actors     []actor
	collateral Collateral
	sites      []site
	mail       []*world.Host
	files      []*world.Host
	apps       []*world.Host
	webs       []*world.Host
}

// actor is somebody with a pace of their own.
type actor struct {
	as      *world.Actor
	act     func(b *Background, a *actor, now time.Duration, s *sim.Stream) outcome
	account *world.Account
	host    *world.Host
	gap     time.Duration // mean time between activities at full activity
	office  bool          // follows the day curve
	every   time.Duration // for pollers: a fixed interval instead of gap
	jitter  float64
	stream  sim.Stream
	ordinal uint64
	trait   float64 // per-actor propensity, such as mistyping
	site    site
	client  *world.TLSClient // of a poller; nil for that of its operating system
	worth   time.Duration    // of one flow of a service or customer, in work of a person
	known   int              // generation of the account's credential that its owner knows
}

// outcome is what came of an activity: refused by the defence, and how much of
// the actor's time until the next activity that costs.
type outcome struct {
	refusal world.Refusal
	slowed  time.Duration
	by      uint64 // action that slowed it
}

func refused(r world.Refusal) outcome { return outcome{refusal: r} }

// Start schedules the first activity of everybody.
func Start(e *sim.Engine, w *world.World, c Config) *Background {
	b := &Background{engine: e, world: w, rate: c.Rate,
		mail: w.WithRole(
			role.MailServer,
		), files: w.WithRole(role.FileServer), apps: w.WithRole(role.AppServer), webs: w.WithRole(role.WebServer)}
	b.sites = makeSites(w.Streams().Stream("internet", "sites"))
	if c.Recorded != nil {
		playRecorded(e, w, c.Recorded)
	}
	if c.Rate <= 0 {
		return b
	}
	blocked := map[string]bool{}
	for _, name := range c.Blocked {
		blocked[name] = true
	}
	b.collateral.ByAction = map[uint64]float64{}
	b.addPeople()
	b.addMachines()
	b.addDay(c.Day)
	for i := range b.actors {
		a := &b.actors[i]
		if a.account != nil && blocked[a.account.Name] {
			continue
		}
		first := a.stream.For("first")
		b.engine.Schedule(time.Duration(first.Float64()*float64(b.wait(a, e.Now()))), b, uint64(i))
	}
	return b
}

// Collateral is what the defence has cost so far.
func (b *Background) Collateral() Collateral { return b.collateral }

func (b *Background) add(a actor, name string) {
	a.as = b.world.NewActor(name)
	a.stream = b.world.Streams().Stream(name, "work")
	trait := b.world.Streams().Stream(name, "trait")
	a.trait = trait.Float64()
	b.actors = append(b.actors, a)
}

// Handle lets one actor act and schedules its next activity. Draws depend on
// the activity's ordinal only.
func (b *Background) Handle(now time.Duration, arg uint64) {
	a := &b.actors[arg]
	a.ordinal++
	s := a.stream.At(a.ordinal)
	result := outcome{}
	wait := b.wait(a, now)
	atWork := a.account != nil && a.account.Home == a.host
	if a.host == nil || !a.host.Encrypted {
		result = a.act(b, a, now, &s)
	} else if atWork {
		b.collateral.Idle += min(wait, longestLoss).Seconds()
	}
	switch {
	case atWork:
		b.renewed(a)
		b.charge(result, wait)
	case a.worth > 0 && result.refusal.ByDefence():
		b.collateral.ByAction[result.refusal.Action] += min(a.worth, wait).Seconds()
	}
	b.engine.Schedule(now+wait, b, arg)
}

// longestLoss bounds what one failed activity costs; nobody waits longer before
// doing something else.
const longestLoss = 15 * time.Minute

func (b *Background) charge(o outcome, wait time.Duration) {
	b.collateral.Attempts++
	switch {
	case o.refusal.ByDefence():
		b.collateral.Failed++
		b.lose(o.refusal.Action, min(wait, longestLoss))
	case o.slowed > 0:
		b.lose(o.by, min(o.slowed, wait))
	}
}

func (b *Background) lose(action uint64, lost time.Duration) {
	b.collateral.UserSeconds += lost.Seconds()
	b.collateral.ByAction[action] += lost.Seconds()
}

// passwordReset is what a person loses when a credential is renewed while they work: a
// call to the help desk (an assumption, docs/calibration.md).
const passwordReset = 15 * time.Minute

// renewed charges a person once for each new credential.
func (b *Background) renewed(a *actor) {
	if g := a.account.Generation; g != a.known {
		a.known = g
		b.lose(b.world.Rotated(a.account), passwordReset)
	}
}

// WorkHours is the ordinary work of a world over a horizon, in hours of one
// person: that of its people, each for their activity on the day curve and at most
// in full, and the flows of customers and services at what they are worth. It
// depends on the world, the calendar and the rate alone.
func WorkHours(w *world.World, epoch time.Time, horizon time.Duration, rate float64) float64 {
	const step = 10 * time.Minute
	people, services := 0, 0
	for _, a := range w.Accounts {
		if a.Home != nil {
			people++
		}
		if a.Privilege == world.Service {
			services++
		}
	}
	hours := 0.0
	for at := time.Duration(0); at < horizon; at += step {
		hours += min(1, dayCurve(epoch.Add(at))*rate) * min(step, horizon-at).Hours()
	}
	flows := float64(
		len(w.WithRole(role.WebServer)),
	)*visitWorth.Hours()/visitorGap.Hours() + float64(
		services,
	)*serviceWorth.Hours()/serviceGap.Hours()
	return hours*float64(people) + flows*rate*horizon.Hours()
}

// wait is the time to the actor's next activity.
func (b *Background) wait(a *actor, now time.Duration) time.Duration {
	s := a.stream.At(a.ordinal).For("wait")
	if a.every > 0 {
		return time.Duration(float64(a.every) * (1 + a.jitter*(2*s.Float64()-1)))
	}
	mean := float64(a.gap) / b.rate
	if a.office {
		mean /= dayCurve(b.world.Epoch.Add(now))
	}
	return max(time.Duration(mean*s.Exp()), time.Second)
}

// site is a place on the internet that honest people and machines use.
type site struct{ name, address string }

var siteNames = []string{
	"www.news.example", "mail.office.example", "login.office.example", "cdn.static.example", "search.engine.example",
	"docs.office.example", "video.meet.example", "img.shop.example", "api.weather.example", "www.wiki.example",
	"forum.dev.example", "pkg.dev.example", "git.dev.example", "www.bank.example", "maps.travel.example",
	"social.media.example", "cdn.fonts.example", "ads.track.example", "stats.track.example", "www.supplier.example",
	"portal.customer.example", "www.gov.example", "music.stream.example", "blog.tech.example", "files.share.example",
}

var pollerNames = []string{
	"update.os.example",
	"telemetry.os.example",
	"av.vendor.example",
	"sync.cloud.example",
	"crl.ca.example",
	"time.os.example",
	"agent.monitor.example",
	"push.chat.example",
}

func makeSites(s sim.Stream) []site {
	var out []site
	for i, n := range append(append([]string{}, siteNames...), pollerNames...) {
		out = append(out, site{n, fmt.Sprintf("192.0.%d.%d", 2+s.IntN(100), 10+i*5)})
	}
	return out
}

// Sites lists the addresses that honest people and machines use on the internet
// in a trial.
func Sites(streams sim.Streams) []string {
	var out []string
	for _, s := range makeSites(streams.Stream("internet", "sites")) {
		out = append(out, s.address)
	}
	return out
}
