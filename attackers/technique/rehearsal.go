package technique

import (
	"fmt"
	"slices"
	"time"

	"hemostat/sim"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// rehearsalStart is when a rehearsed technique begins.
const rehearsalStart = time.Hour

// NewState is what an attacker begins with who has nothing yet but their addresses and
// domains.
func NewState(w *world.World, actor *world.Actor, hostile *world.AttackerAssets) *State {
	return &State{World: w, Actor: actor, Hostile: hostile, Avoid: map[string]bool{}, Slowdown: 1, Care: 1, Hello: world.GoTLS}
}

// Stages lists the platforms on which a technique is to be rehearsed: where it works on
// Windows and on Linux, each by itself.
func (t *Technique) Stages() []string {
	if slices.Contains(t.Platforms, "windows") && slices.Contains(t.Platforms, "linux") {
		return []string{"windows", "linux"}
	}
	return []string{""}
}

// Stage gives an attacker everything that any technique may need: elevated footholds
// on a controller, a workstation and a Linux host (or those of one platform only), the
// best credentials, a session in the cloud, knowledge of the estate, and some data
// collected. What would stand in a technique's way is left out.
func Stage(s *State, t *Technique, platform string) {
	w := s.World
	for _, r := range []role.Role{role.DomainController, role.SSHGateway, role.Workstation} {
		hosts := w.WithRole(r)
		if len(hosts) == 0 || t.ID == "T1110.001" || t.ID == "T1003.003" && r != role.DomainController || t.ID == "T1548.002" && r == role.DomainController {
			continue
		}
		h := hosts[0]
		if platform != "" && h.OS != platform {
			continue
		}
		i := w.Plant(0, s.Actor, world.Start{Host: h, Account: h.Owner, Binary: world.PowerShell, Integrity: "High"})
		s.gain(&Foothold{Host: h, Account: h.Owner, Implant: i, Elevated: t.ID != "T1548.002", Since: time.Duration(len(s.Footholds))})
	}
	for _, a := range w.Accounts {
		if a.Privilege >= world.ServerAdmin {
			s.steal(a, true)
		}
		if a.Privilege == world.User && a.Home != nil && len(s.Cloud) == 0 {
			s.Cloud = append(s.Cloud, CloudSession{a, a.Generation})
		}
	}
	s.learn(w.Hosts...)
	if t.ID == "T1110.001" {
		for _, h := range w.Hosts {
			h.Weak = true
		}
	}
	s.Staged = 2e8
}

// Rehearse runs a technique with one of its tools to its end, without the operator's
// blunders, a few times if luck is against it. It is how one learns what telemetry a
// technique leaves.
func Rehearse(s *State, t *Technique, tool string) (p Progress, err error) {
	const mostTries = 8
	for try := range uint64(mostTries) {
		if err := t.Ready(s); err != nil {
			return p, fmt.Errorf("%s with %s: %w", t.ID, tool, err)
		}
		if p, err = rehearse(s, t, tool, sim.NewStreams(9, 9).Stream("rehearsal", t.ID).At(try)); err != nil || p.OK || p.Refusal.ByDefence() {
			return p, err
		}
	}
	return p, nil
}

func rehearse(s *State, t *Technique, tool string, r sim.Stream) (Progress, error) {
	options := map[string]string{"tool": tool}
	if t.Platforms[0] == "windows" {
		options["role"] = string(role.FileServer) // a host that a way leads to
	}
	a := t.Begin(s, options, rehearsalStart, r)
	a.failed = false
	now := rehearsalStart + a.Delay()
	const mostRounds = 100_000
	for range mostRounds {
		p := a.Run(now)
		if p.Done {
			return p, nil
		}
		now += max(p.Wait, time.Millisecond)
	}
	return Progress{}, fmt.Errorf("%s with %s does not end", t.ID, tool)
}
