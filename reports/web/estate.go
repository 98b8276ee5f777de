package web

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"slices"

	"hemostat/sim/action"
	"hemostat/sim/record"
)

// The measures of the map, in pixels.
const (
	mapWidth    = 1000
	hostSize    = 15
	hostGap     = 4
	zonePad     = 10
	zoneTitle   = 22
	zoneGap     = 14
	hostsPerRow = 24
	// mostHosts bounds the hosts of a zone that are drawn; beyond it only those that something
	// happened to are.
	mostHosts = 360
	// mostMoves bounds the arrows.
	mostMoves = 200
)

// The states of a host, from the least to the most that a colour can say. Isolation is drawn
// beside the others.
const (
	stateQuiet    = "quiet"
	stateAlert    = "alert"    // an alert is about it
	stateAttacked = "attacked" // a step of an attacker succeeded there
	stateHeld     = "held"     // an attacker acts from it
	stateIsolated = "isolated"
	stateRestored = "restored"
)

// change is that a host comes to a state or leaves it.
type change struct {
	At    int64  `json:"at"`
	Host  string `json:"host"`
	State string `json:"state"`
	On    bool   `json:"on"`
}

// move is a step of an attacker from a host to another.
type move struct {
	At       int64
	From, To string
	Title    string
}

// changesOf are the changes of hosts in a trial, in the order of time.
func changesOf(t *record.Trial) []change {
	var out []change
	add := func(at int64, host, state string, on bool) {
		if host != "" {
			out = append(out, change{at, host, state, on})
		}
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		if s.Succeeded {
			add(s.Started, s.Host, stateHeld, true)
			add(s.Ended, s.Target, stateAttacked, true)
		}
	}
	for i := range t.Alerts {
		add(t.Alerts[i].Time, t.Alerts[i].Host, stateAlert, true)
	}
	for i := range t.Actions {
		a := &t.Actions[i]
		if a.Status != string(action.Succeeded) || a.Ended == nil {
			continue
		}
		switch action.Kind(a.Kind) {
		case action.IsolateHost:
			add(*a.Ended, a.Target, stateIsolated, true)
			if a.Undone != nil {
				add(*a.Undone, a.Target, stateIsolated, false)
			}
		case action.RestoreFromBackup:
			add(*a.Ended, a.Target, stateRestored, true)
		}
	}
	slices.SortStableFunc(out, func(a, b change) int { return cmp.Compare(a.At, b.At) })
	return out
}

// statesAt are the states of hosts at a time. A host that is restored from a backup is as new.
func statesAt(changes []change, at int64) map[string]map[string]bool {
	states := map[string]map[string]bool{}
	for _, c := range changes {
		if c.At > at {
			break
		}
		if states[c.Host] == nil || c.State == stateRestored {
			isolated := states[c.Host][stateIsolated]
			states[c.Host] = map[string]bool{}
			if isolated {
				states[c.Host][stateIsolated] = true
			}
		}
		if c.On {
			states[c.Host][c.State] = true
		} else {
			delete(states[c.Host], c.State)
		}
	}
	return states
}

// classOf is how a host is drawn.
func classOf(states map[string]bool) string {
	class := "host " + stateQuiet
	for _, s := range []string{stateRestored, stateAlert, stateAttacked, stateHeld} {
		if states[s] {
			class = "host " + s
		}
	}
	if states[stateIsolated] {
		class += " " + stateIsolated
	}
	return class
}

// drawnHost and drawnZone are places of the map.
type drawnHost struct {
	Name, Role, Class string
	X, Y              int
}

type drawnZone struct {
	Name          string
	X, Y, W, H    int
	Hosts, Hidden int
}

type drawnMove struct {
	At             int64
	X1, Y1, X2, Y2 int
	Title          string
	IsLater        bool
}

// estateMap is the map of an estate at a time.
type estateMap struct {
	At, Horizon int64
	Width       int
	Height      int
	Zones       []drawnZone
	Hosts       []drawnHost
	Moves       []drawnMove
	Changes     []change
	Counts      map[string]int
}

// mapOf places the hosts of an estate by zone.
func mapOf(t *record.Trial, hosts []Host, at int64) *estateMap {
	m := &estateMap{At: at, Horizon: t.Horizon, Width: mapWidth, Counts: map[string]int{}, Changes: changesOf(t)}
	if m.Changes == nil {
		m.Changes = []change{}
	}
	touched := map[string]bool{}
	for _, c := range m.Changes {
		touched[c.Host] = true
	}
	states := statesAt(m.Changes, at)
	zones := map[string][]Host{}
	for _, h := range hosts {
		zones[cmp.Or(h.Zone, "elsewhere")] = append(zones[cmp.Or(h.Zone, "elsewhere")], h)
	}
	names := make([]string, 0, len(zones))
	for name := range zones {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(zones[b]), len(zones[a])), cmp.Compare(a, b)) })
	places := map[string][2]int{}
	x, y, tallest := 0, 0, 0
	for _, name := range names {
		list := zones[name]
		hidden := 0
		if len(list) > mostHosts {
			shown := slices.DeleteFunc(slices.Clone(list), func(h Host) bool { return !touched[h.Name] })
			hidden = len(list) - len(shown)
			list = shown
		}
		perRow := min(hostsPerRow, max(6, len(list)))
		rows := (len(list) + perRow - 1) / perRow
		z := drawnZone{Name: name, W: perRow*(hostSize+hostGap) + 2*zonePad, H: zoneTitle + max(1, rows)*(hostSize+hostGap) + zonePad,
			Hosts: len(list) + hidden, Hidden: hidden}
		if x > 0 && x+z.W > mapWidth {
			x, y, tallest = 0, y+tallest+zoneGap, 0
		}
		z.X, z.Y = x, y
		for i, h := range list {
			p := [2]int{x + zonePad + i%perRow*(hostSize+hostGap), y + zoneTitle + i/perRow*(hostSize+hostGap)}
			places[h.Name] = p
			m.Hosts = append(m.Hosts, drawnHost{h.Name, h.Role, classOf(states[h.Name]), p[0], p[1]})
		}
		m.Zones = append(m.Zones, z)
		x += z.W + zoneGap
		tallest = max(tallest, z.H)
	}
	m.Height = y + tallest + 4
	for _, x := range movesOf(t) {
		from, to := places[x.From], places[x.To]
		if _, known := places[x.From]; !known {
			from = [2]int{mapWidth - hostSize, 0} // from outside
		}
		if _, known := places[x.To]; !known {
			continue
		}
		m.Moves = append(m.Moves, drawnMove{x.At, from[0] + hostSize/2, from[1] + hostSize/2, to[0] + hostSize/2, to[1] + hostSize/2,
			x.Title, x.At > at})
	}
	for _, s := range states {
		for name := range s {
			m.Counts[name]++
		}
	}
	return m
}

// movesOf are the first of the attackers' steps between two hosts, or from outside to one.
func movesOf(t *record.Trial) []move {
	var out []move
	seen := map[[2]string]bool{}
	for i := range t.Steps {
		s := &t.Steps[i]
		if !s.Succeeded || s.Target == "" || s.Host == s.Target || seen[[2]string{s.Host, s.Target}] || len(out) == mostMoves {
			continue
		}
		seen[[2]string{s.Host, s.Target}] = true
		out = append(out, move{s.Ended, s.Host, s.Target,
			fmt.Sprintf("%s %s, from %s to %s", stamp(s.Ended), s.Name, cmp.Or(s.Host, "outside"), s.Target)})
	}
	return out
}

// draw draws the map as SVG.
func (m *estateMap) draw() (template.HTML, error) {
	var out bytes.Buffer
	err := pages.ExecuteTemplate(&out, "map.html", m)
	return template.HTML(out.String()), err //nolint:gosec // written by a template, which escapes
}
