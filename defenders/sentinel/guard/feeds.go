package guard

import (
	"strings"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
)

// places is how many hosts of the estate call each address and name outside.
type places struct {
	callers *sketch.Map[string, callers]
	feeds   map[string]*reputation
	began   time.Duration
	any     bool
}

// callers are the first hosts that called a place.
type callers struct{ hosts []uint64 }

// reputation is how often a feed was right, as far as that shows: of what it was asked about,
// how much was in ordinary use.
type reputation struct{ Hits, Refuted float64 }

const (
	// maxPlaces bounds the places that are remembered, and maxCallers the hosts of each.
	maxPlaces  = 100_000
	maxCallers = 64
	// probation is for how long, from the start, nothing is certain: which places are in ordinary
	// use is not known yet.
	probation = time.Hour
)

func newPlaces() places {
	return places{callers: sketch.NewMap[string, callers](maxPlaces), feeds: map[string]*reputation{}}
}

// see notes who calls where.
func (p *places) see(e *event.Event) {
	if !p.any {
		p.any, p.began = true, e.Time
	}
	switch e.Source.Service {
	case "conn":
		p.called(e.Value(event.IDRespHost), e.Value(event.IDOrigHost))
	case "ssl":
		p.called(e.Value(event.IDRespHost), e.Value(event.IDOrigHost))
		p.called(e.Value(event.ServerName), e.Value(event.IDOrigHost))
	case "dns":
		p.called(e.Value(event.DNSQuery), e.Value(event.IDOrigHost))
	}
}

func (p *places) called(place, by string) {
	if place == "" || by == "" {
		return
	}
	c := p.callers.Get(place)
	if c == nil {
		c = &callers{}
		p.callers.Put(strings.Clone(place), c)
	}
	host := sketch.Hash(by)
	for _, h := range c.hosts {
		if h == host {
			return
		}
	}
	if len(c.hosts) < maxCallers {
		c.hosts = append(c.hosts, host)
	}
}

// isTrusted tells whether a place is in ordinary use, or it is too early to tell.
func (g *Guard) isTrusted(now time.Duration, place string) bool {
	return !g.places.any || now < g.places.began+probation || g.isInUse(place)
}

func (g *Guard) isInUse(place string) bool {
	c := g.places.callers.Get(place)
	return c != nil && len(c.hosts) >= g.options.Feeds
}

// source is a source whose entries about places in ordinary use do not count, and whose others
// count the less the more of them were.
type source struct {
	fusion.Source
	guard *Guard
}

// Lookup implements fusion.Source.
func (s *source) Lookup(now time.Duration, i fusion.Indicator) (fusion.Hit, bool, error) {
	hit, ok, err := s.Source.Lookup(now, i)
	if err != nil || !ok {
		return hit, ok, err
	}
	r := s.guard.places.feeds[s.Name()]
	if r == nil {
		r = &reputation{}
		s.guard.places.feeds[s.Name()] = r
	}
	r.Hits++
	if s.guard.isInUse(i.Value) {
		r.Refuted++
		return fusion.Hit{}, false, nil
	}
	hit.Confidence *= 1 - r.Refuted/(r.Hits+2)
	return hit, true, nil
}
