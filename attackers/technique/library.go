package technique

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/sim"
	"hemostat/sim/attack"
	"hemostat/sim/footprint"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// Library is the built-in techniques with the footprints that a scenario adds as tools.
// The nil library has none.
type Library struct{ changed map[string]*Technique }

// NewLibrary adds footprints: each is a further tool of its technique. A technique that
// the built-in library lacks is made of its footprints alone.
func NewLibrary(prints []*footprint.Footprint) (*Library, error) {
	l := &Library{changed: map[string]*Technique{}}
	for _, f := range prints {
		id := attack.Current(f.Technique)
		t := l.changed[id]
		if t == nil {
			t = l.copyOf(id, f)
			l.changed[id] = t
		}
		if slices.Contains(t.Tools, f.Name) {
			return nil, fmt.Errorf("%s: %s has a tool %q already; name the footprint otherwise", f.Pos.File, id, f.Name)
		}
		for i := range f.Events {
			if _, ok := world.RecordedKind(&f.Events[i]); !ok {
				return nil, fmt.Errorf("%s: events[%d]: no sensor of an estate carries events of %s", f.Pos.File, i,
					f.Events[i].Source)
			}
		}
		t.Tools = slices.Insert(t.Tools, 0, f.Name)
		t.footprints[f.Name] = f
	}
	return l, nil
}

// copyOf is a technique that footprints can be added to.
func (l *Library) copyOf(id string, f *footprint.Footprint) *Technique {
	t := &Technique{
		ID: id, Name: id, Tactic: "execution", Platforms: []string{f.Platform()}, Needs: "a foothold", Effect: f.Effect,
		Takes: quick, Success: 0.95, ready: readyFor(f),
	}
	if known := Find(id); known != nil {
		*t = *known
		t.Tools = slices.Clone(known.Tools)
		if f.Needs != "" {
			t.ready = readyFor(f)
		}
	}
	t.footprints = map[string]*footprint.Footprint{}
	own := t.run
	t.run = func(a *Attempt) Progress {
		if f := t.footprints[a.Tool]; f != nil {
			return a.playFootprint(f, own)
		}
		return own(a)
	}
	return t
}

func readyFor(f *footprint.Footprint) func(*State) error {
	switch f.Needs {
	case "nothing":
		return nil
	case "elevated":
		return needElevated
	case "linux":
		return needLinux
	}
	if f.Platform() == "linux" {
		return needLinux
	}
	return needWindows
}

// Find returns a technique by its ATT&CK id, or nil.
func (l *Library) Find(id string) *Technique {
	if l != nil {
		if t := l.changed[attack.Current(id)]; t != nil {
			return t
		}
	}
	return Find(id)
}

// All lists the library by id.
func (l *Library) All() []*Technique {
	out := All()
	if l == nil {
		return out
	}
	for i, t := range out {
		if other := l.changed[t.ID]; other != nil {
			out[i] = other
		}
	}
	for id, t := range l.changed {
		if Find(id) == nil {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *Technique) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// playback is how far a footprint has been played.
type playback struct {
	started time.Duration
	next    int
	cast    *footprint.Cast
	hosts   map[string]*world.Host
	users   []*world.Account
	at      *Foothold
}

// playFootprint writes the events of a footprint at their times, each only while the
// defence lets it, and then lets the technique have its effect without a further trace.
func (a *Attempt) playFootprint(f *footprint.Footprint, effect func(*Attempt) Progress) Progress {
	if a.playing == nil {
		at := a.Where(f.Platform() != "linux", true)
		if at == nil {
			at = a.Where(f.Platform() != "linux", false)
		}
		if at == nil { // from outside: the first host is the one that is attacked
			at = a.attacked(f)
		}
		if at == nil {
			return failure("%s", errNoFoothold)
		}
		a.playing = a.cast(f, at)
	}
	p := a.playing
	if r := a.Usable(p.at); !r.OK() {
		return blocked(r)
	}
	for p.next < len(f.Events) {
		e := &f.Events[p.next]
		if wait := p.started + e.At - a.Now; wait > 0 {
			return again(wait)
		}
		if r := a.allowed(e); !r.OK() {
			return blocked(r)
		}
		a.writeRecorded(e)
		p.next++
	}
	if a.failed {
		return failure("%s did not work on %s", a.Tool, p.at.Host.Name)
	}
	if effect == nil {
		return success("%s on %s", f.Name, p.at.Host.Name)
	}
	return a.silentEffect(effect)
}

// mostSilentRounds bounds the rounds of an effect.
const mostSilentRounds = 100_000

// silentEffect lets a technique do what it does without a trace. A technique that moves to
// another host moves to the one on which the footprint's events were.
func (a *Attempt) silentEffect(effect func(*Attempt) Progress) (p Progress) {
	known := a.Known
	if there := a.playing.hosts["there1"]; there != nil && a.Technique.Tactic == "lateral-movement" {
		a.Known = []*world.Host{there}
	}
	a.Round, a.Tool = 0, ""
	a.World.Silently(func() {
		for range mostSilentRounds {
			if p = effect(a); p.Done {
				return
			}
			a.Round++
		}
	})
	for _, h := range known {
		a.learn(h)
	}
	return p
}

// cast gives the parts of a footprint to hosts and accounts.
func (a *Attempt) cast(f *footprint.Footprint, at *Foothold) *playback {
	w := a.World
	p := &playback{started: a.Now, cast: w.Cast(), hosts: map[string]*world.Host{}, at: at}
	draw := a.Rand.For("cast")
	for i, h := range f.Hosts {
		host := at.Host
		if i > 0 {
			host = a.standIn(h, at.Host, p.hosts, &draw)
		}
		p.hosts[h.Name] = host
		p.cast.Hosts[h.Name] = host.Part()
	}
	first := at.Account
	if first == nil {
		first = at.Host.Owner
	}
	if first != nil {
		p.users = append(p.users, first)
	}
	for _, c := range a.Credentials {
		if c.Account != first && !c.Refused {
			p.users = append(p.users, c.Account)
		}
	}
	for range 12 {
		p.users = append(p.users, sim.Pick(&draw, w.Accounts))
	}
	p.cast.User = func(n int) footprint.Account {
		who := p.users[min(max(n, 1), len(p.users))-1]
		return footprint.Account{Name: who.Name, SID: who.SID}
	}
	key := draw.Uint64()
	p.cast.Number = func(kind string, n int) uint64 { return sim.Key(fmt.Sprintf("%x %s %d", key, kind, n)) }
	c2 := a.C2()
	p.cast.C2, p.cast.C2IP = c2.Domain, c2.Address
	return p
}

// attacked is a host that attackers without a foothold can reach.
func (a *Attempt) attacked(f *footprint.Footprint) *Foothold {
	for _, h := range a.World.Hosts {
		for _, port := range []int{22, 80, 443} {
			if h.Windows() == (f.Platform() != "linux") && !h.Decoy && a.World.Permitted(a.source(), world.At(h), port).OK() {
				return &Foothold{Host: h, Account: h.Owner, Address: a.Addresses[a.Address], Port: port}
			}
		}
	}
	for _, h := range a.World.WithRole(role.Workstation) {
		if h.Windows() {
			return &Foothold{Host: h, Account: h.Owner, Implant: &world.Implant{Host: h}}
		}
	}
	return nil
}

// standIn chooses a host of the estate for one of the recording.
func (a *Attempt) standIn(h footprint.Host, here *world.Host, taken map[string]*world.Host,
	draw *sim.Stream) *world.Host {
	w := a.World
	var fits []*world.Host
	for _, host := range w.Hosts {
		used := host == here || host.Decoy
		for _, other := range taken {
			used = used || other == host
		}
		if used {
			continue
		}
		if host.StandsInFor(h.Is) && w.Permitted(world.At(here), world.At(host), 445).OK() {
			fits = append(fits, host)
		}
	}
	if len(fits) == 0 {
		return here
	}
	return sim.Pick(draw, fits)
}

// allowed tells why the defence does not let an event of a footprint happen.
func (a *Attempt) allowed(e *footprint.Event) world.Refusal {
	w, p := a.World, a.playing
	if e.On != "" && e.On != "here" {
		if there := p.hosts[e.On]; there != p.at.Host {
			if r := w.Reach(world.At(p.at.Host), world.At(there), 445); r.ByDefence() {
				return r
			}
		}
	}
	for _, name := range []string{"DestinationIp", "DestAddress", "id.resp_h", "QueryName", "query",
		"DestinationHostname"} {
		if value := e.Fields[name]; strings.Contains(value, "{c2") {
			if r := w.Reach(world.At(p.at.Host), a.C2(), 443); r.ByDefence() {
				return r
			}
		}
	}
	if e.ID == "4624" {
		for i, who := range p.users {
			if name := e.Fields["TargetUserName"]; name == "{user}" && i == 0 || name == fmt.Sprintf("{user%d}", i+1) {
				if r := w.MayLogOn(who, who.Generation); r.ByDefence() {
					return r
				}
			}
		}
	}
	if path := e.Fields["TargetFilename"]; path != "" && e.ID == "11" {
		return w.MayWrite(p.hosts[hostOr(e.On)], p.cast.Expand(path, a.Now))
	}
	return world.Refusal{}
}

func hostOr(on string) string {
	if on == "" {
		return "here"
	}
	return on
}

// writeRecorded writes one event and notes the processes that it starts.
func (a *Attempt) writeRecorded(e *footprint.Event) {
	p := a.playing
	host := p.hosts[hostOr(e.On)]
	if host == nil {
		host = p.at.Host
	}
	if n, ok := e.Started(); ok {
		host.NoteProcess(p.cast.PID(n), a.Actor.Label.Attack)
	}
	a.World.Recorded(a.Now, a.Actor, host, e, p.cast)
}
