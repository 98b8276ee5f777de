package attackers

import (
	"hemostat/attackers/campaign"
	"hemostat/sim/role"
	"hemostat/sim/world"
)

// holds tells whether a condition of the plan is met.
func (a *Agent) holds(c campaign.Condition) bool {
	s := a.state
	switch {
	case c.Goal:
		return a.Objective != nil
	case c.Elevated:
		return s.Where(true, true) != nil
	case c.Cloud:
		return s.CloudAccounts() > 0
	case c.Credential != "":
		best, any := s.BestPrivilege()
		return any && best >= privilege(c.Credential)
	case c.Foothold != "":
		for _, f := range s.Footholds {
			if (c.Foothold == "any" || string(f.Host.Role) == c.Foothold) && s.Usable(f).OK() {
				return true
			}
		}
		return false
	case c.KnownHosts > 0:
		return len(s.Known) >= c.KnownHosts
	case c.Staged > 0:
		return float64(s.Staged) >= c.Staged*1e9
	}
	return false
}

func privilege(name string) world.Privilege {
	switch name {
	case "domain_admin":
		return world.DomainAdmin
	case "server_admin", "admin":
		return world.ServerAdmin
	case "service":
		return world.Service
	}
	return world.User
}

// Progress is how much of the goal is reached, 0 to 1.
func (a *Agent) Progress() float64 {
	s, g := a.state, a.spec.Goal
	part := func(have, want float64) float64 { return min(1, have/max(want, 1e-9)) }
	switch {
	case g.Control != nil:
		n := map[string]bool{}
		for _, f := range s.Footholds {
			if (g.Control.Role == "" || f.Host.Role == g.Control.Role) && s.Usable(f).OK() {
				n[f.Host.Name] = true
			}
		}
		return part(float64(len(n)), float64(max(g.Control.Count, 1)))
	case g.Persist != nil:
		return part(ofRole(s.PersistentHosts(), g.Persist.Role), float64(max(g.Persist.Count, 1)))
	case g.Exfiltrate != nil:
		return part(float64(s.Exfiltrated), g.Exfiltrate.Gigabytes*1e9)
	case g.Encrypt != nil:
		return part(float64(len(s.Encrypted)), float64(g.Encrypt.Hosts))
	case g.Destroy != nil:
		return part(float64(len(s.Destroyed)), float64(g.Destroy.Hosts))
	case g.Mine != nil:
		return part(ofRole(s.Mining, g.Mine.Role), float64(max(g.Mine.Count, 1)))
	case g.Finish != nil:
		share := g.Finish.Share
		if share == 0 {
			share = 1
		}
		return part(float64(a.plan.stagesSucceeded()), share*float64(len(a.spec.Campaign)))
	case g.Cloud != nil:
		return part(float64(s.CloudAccounts()), float64(max(g.Cloud.Accounts, 1)))
	}
	return 0
}

// ofRole counts the hosts of a role; the empty role is any.
func ofRole(hosts []*world.Host, wanted role.Role) float64 {
	n := 0
	for _, h := range hosts {
		if wanted == "" || h.Role == wanted {
			n++
		}
	}
	return float64(n)
}
