package analyst

import (
	"fmt"
	"strings"

	"hemostat/sim/event"
)

// What a model may ask for in between, of what the pipeline has seen.
const (
	entityHistory = "entity_history"
	processTree   = "process_tree"
	indicatorSeen = "indicator"
	neighbours    = "neighbours"
)

var queryNames = []string{entityHistory, processTree, indicatorSeen, neighbours}

// query answers a question of a model.
func (c *Case) query(x *exhibit, name, of string) shown {
	of = strings.TrimSpace(of)
	var s shown
	s.add("query", name)
	s.add("of", x.value(of))
	switch name {
	case entityHistory:
		for _, kind := range []string{hostEntity, userEntity, addressEntity, destinationEntity} {
			if past := c.memory.history(kind, of, c.Now, day); len(past) > 0 {
				s.add(strings.TrimSpace(kind), x.pastAlerts(past))
			}
		}
		if len(s) == 2 {
			s.add("result", "no earlier alert is known")
		}
	case processTree:
		s.add("processes", c.processTree(x, of))
	case indicatorSeen:
		c.indicator(x, of, &s)
	case neighbours:
		s.add("shares_alerts_with", c.neighbours(x, of))
	default:
		s.add("result", "there is no such query; there are "+strings.Join(queryNames, ", "))
	}
	return s
}

// longestLine bounds a process tree.
const longestLine = 8

// processTree is the process of an event and those that started it.
func (c *Case) processTree(x *exhibit, label string) any {
	id, ok := x.byLabel(label)
	e := c.memory.events.byID(id)
	if !ok || e == nil {
		return "there is no such event; name one by its id, such as e1"
	}
	pid := e.Value(event.ProcessId)
	if e.Source.Service == "security" && e.Value(event.NewProcessId) != "" {
		pid = e.Value(event.NewProcessId)
	}
	var out []shown
	for range longestLine {
		p := c.memory.tree.Get(processKey(e.Host, pid))
		if p == nil {
			break
		}
		s := shown{{"id", x.label(p.event)}}
		s.add("when", x.ago(p.at))
		s.add("image", x.value(p.image))
		s.add("command", x.value(p.command))
		s.add("user", x.value(p.user))
		s.add("parent", x.value(p.parent))
		s.add("parents_command", x.value(p.parentsCommand))
		out = append(out, s)
		pid = p.parentID
	}
	if out == nil {
		return "the start of this process was not seen"
	}
	return out
}

// indicator tells where and how often a value was seen among the newest events.
func (c *Case) indicator(x *exhibit, value string, s *shown) {
	if len(value) < 3 {
		s.add("result", "an address, a domain or a hash is expected")
		return
	}
	hosts, n := map[string]bool{}, 0
	var first, last *event.Event
	c.memory.events.newest(func(e *event.Event) bool {
		found := false
		e.Each(func(_, v string) bool {
			found = v == value || len(v) > len(value) && strings.Contains(v, value)
			return !found
		})
		if found {
			hosts[e.Host] = true
			n++
			if first = e; last == nil {
				last = e
			}
		}
		return true
	})
	s.add("events", n)
	s.add("hosts", len(hosts))
	if n > 0 {
		s.add("first", x.ago(first.Time))
		s.add("example", x.event(last))
	}
}

// neighbours are the hosts, users and addresses that share alerts with a name.
func (c *Case) neighbours(x *exhibit, of string) any {
	counts := map[string]int{}
	var order []string
	for _, kind := range []string{hostEntity, userEntity, addressEntity, destinationEntity} {
		for _, p := range c.memory.history(kind, of, c.Now, day) {
			for _, other := range [][2]string{{"host", p.host}, {"user", p.user}} {
				if other[1] == "" || other[1] == of {
					continue
				}
				key := other[0] + " " + other[1]
				if counts[key] == 0 {
					order = append(order, key)
				}
				counts[key]++
			}
		}
	}
	if len(order) == 0 {
		return "nothing is known that it shares alerts with"
	}
	out := []string{}
	for i, key := range order {
		if i == shownPast {
			break
		}
		out = append(out, fmt.Sprintf("%s (%d alerts)", x.value(key), counts[key]))
	}
	return out
}
