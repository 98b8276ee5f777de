package background

import (
	"fmt"
	"time"

	"hemostat/sim"
	"hemostat/sim/footprint"
	"hemostat/sim/world"
)

// recordedDay plays attack-free recordings: its hosts and accounts are ones of the estate,
// its first event happens at the scenario's start.
type recordedDay struct {
	engine *sim.Engine
	world  *world.World
	actor  *world.Actor
	day    *footprint.Footprint
	cast   *footprint.Cast
	hosts  map[string]*world.Host
	next   int
}

// playRecorded schedules the events of a recorded day.
func playRecorded(e *sim.Engine, w *world.World, day *footprint.Footprint) {
	r := &recordedDay{engine: e, world: w, actor: w.NewActor("recorded background"), day: day, cast: w.Cast(),
		hosts: map[string]*world.Host{}}
	draw := w.Streams().Stream("recorded background", "cast")
	taken := map[*world.Host]bool{}
	for _, part := range day.Hosts {
		h := standIn(w, part.Is, taken, &draw)
		taken[h] = true
		r.hosts[part.Name] = h
		r.cast.Hosts[part.Name] = h.Part()
	}
	key := draw.Uint64()
	r.cast.User = func(n int) footprint.Account {
		who := w.Accounts[(key+uint64(n)*0x9e3779b97f4a7c15)>>8%uint64(len(w.Accounts))]
		return footprint.Account{Name: who.Name, SID: who.SID}
	}
	r.cast.Number = func(kind string, n int) uint64 { return sim.Key(fmt.Sprintf("%x %s %d", key, kind, n)) }
	r.cast.C2, r.cast.C2IP = "www.recorded.example", "198.51.100.20"
	e.Schedule(day.Events[0].At, r, 0)
}

// standIn chooses a host for one of the recording, each only once while there are enough.
func standIn(w *world.World, is string, taken map[*world.Host]bool, draw *sim.Stream) *world.Host {
	var fits, rest []*world.Host
	for _, h := range w.Hosts {
		switch {
		case h.Decoy:
		case h.StandsInFor(is) && !taken[h]:
			fits = append(fits, h)
		case h.Windows() == (is != "linux"):
			rest = append(rest, h)
		}
	}
	switch {
	case len(fits) > 0:
		return sim.Pick(draw, fits)
	case len(rest) > 0:
		return sim.Pick(draw, rest)
	}
	return w.Hosts[0]
}

// Handle writes the events that are due and waits for the next.
func (r *recordedDay) Handle(now time.Duration, _ uint64) {
	for r.next < len(r.day.Events) {
		e := &r.day.Events[r.next]
		if e.At > now {
			r.engine.Schedule(e.At, r, 0)
			return
		}
		name := e.On
		if name == "" {
			name = r.day.Hosts[0].Name
		}
		r.world.Recorded(now, r.actor, r.hosts[name], e, r.cast)
		r.next++
	}
}
