package response

import "hemostat/sim/action"

// GraphTargets are what the attack graph of an incident names as targets.
type GraphTargets struct {
	// Cut is the smallest cut that would stop the attacker, by kind of target.
	Cut map[action.TargetKind][]string
	// Next are the hosts that the attacker is likely to go to, the likeliest first, NextZones
	// the zones of these.
	Next, NextZones []string
	// Root is the host, account or address where it began, "" for none.
	Root string
}

// incidentGraph is where the attack graph of an incident comes from; the zero value has none.
type incidentGraph struct {
	engine   *Engine
	incident int
}

// cut is ${graph.cut}: which part of it counts depends on what the action is done to.
type cut map[action.TargetKind][]string

// of is the part of the cut that an action of a target kind can be done to.
func (c cut) of(kind action.TargetKind) []string {
	if kind == action.Hosts {
		kind = action.Host
	}
	return c[kind]
}

// graphPaths are the paths below graph.
var graphPaths = map[string]func(g *GraphTargets) any{
	"graph.cut":           func(g *GraphTargets) any { return cut(g.Cut) },
	"graph.cut_hosts":     func(g *GraphTargets) any { return g.Cut[action.Host] },
	"graph.cut_accounts":  func(g *GraphTargets) any { return g.Cut[action.Account] },
	"graph.cut_addresses": func(g *GraphTargets) any { return g.Cut[action.Address] },
	"graph.cut_domains":   func(g *GraphTargets) any { return g.Cut[action.Domain] },
	"graph.next":          func(g *GraphTargets) any { return g.Next },
	"graph.next_zones":    func(g *GraphTargets) any { return g.NextZones },
	"graph.root":          func(g *GraphTargets) any { return g.Root },
}

// fieldOf is the value of a path that inputs and ${…} may name (knownPath).
func (e *env) fieldOf(name string) any {
	if get := fieldGetters[name]; get != nil {
		return get(e)
	}
	if e.targets == nil {
		e.targets = &GraphTargets{}
		if e.graph.engine != nil {
			*e.targets = e.graph.engine.options.Graph(e.graph.incident)
		}
	}
	return graphPaths[name](e.targets)
}
