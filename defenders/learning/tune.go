package learning

import (
	"cmp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"hemostat/sim/event"
)

// Exclusion is a condition that false alarms of a rule fulfil and no true one does.
type Exclusion struct {
	// Removes is how many of the false alarms it removes that those before it left.
	Removes int
	feature feature
}

// Alarm is an alert of a rule: the events that it rests on, and the day on which it was raised.
type Alarm struct {
	Day    int
	Events []*event.Event
}

// Limits of exclusions.
const (
	mostExclusions = 3
	leastRemoved   = 0.15 // share of the false alarms
	fewRemoved     = 3
	fewTrue        = 3 // below so many true alarms nothing is said of what they lack
	fewDays        = 2 // on which an exclusion must have been met
)

// Exclude proposes what a rule should not fire on: features of false alarms that no event of a true
// one has. Names of hosts and accounts count, since exceptions are often about those.
func Exclude(true_, false_ []Alarm) []Exclusion {
	if len(true_) < fewTrue {
		return nil
	}
	hostile := map[feature]bool{}
	for _, a := range true_ {
		for f := range featuresOfAlarm(a) {
			hostile[f] = true
		}
	}
	left := make([]falseAlarm, len(false_))
	for i, a := range false_ {
		left[i] = falseAlarm{a.Day, featuresOfAlarm(a)}
	}
	needed := max(fewRemoved, int(leastRemoved*float64(len(false_))+0.5))
	var out []Exclusion
	for len(out) < mostExclusions {
		best := bestExclusion(left, hostile, true_, needed)
		if best == nil {
			break
		}
		out = append(out, *best)
		left = slices.DeleteFunc(left, func(a falseAlarm) bool { return a.has[best.feature] })
	}
	return out
}

// falseAlarm is one that no exclusion removes yet.
type falseAlarm struct {
	day int
	has map[feature]bool
}

// bestExclusion is what removes most false alarms, enough of them, on several days; nil for none.
func bestExclusion(left []falseAlarm, hostile map[feature]bool, true_ []Alarm, needed int) (best *Exclusion) {
	count, days := map[feature]int{}, map[feature]map[int]bool{}
	for _, a := range left {
		for f := range a.has {
			if hostile[f] || strings.ContainsRune(f.text, open) {
				continue
			}
			count[f]++
			if days[f] == nil {
				days[f] = map[int]bool{}
			}
			days[f][a.day] = true
		}
	}
	for f, n := range count {
		if n < needed || len(days[f]) < fewDays {
			continue
		}
		x := Exclusion{n, f}
		if (best == nil || x.isBetter(best)) && !slices.ContainsFunc(true_, x.Holds) {
			best = &x
		}
	}
	return best
}

// Holds tells whether an event of an alarm fulfils the exclusion as a rule's filter reads it.
func (x *Exclusion) Holds(a Alarm) bool {
	return slices.ContainsFunc(a.Events, func(e *event.Event) bool {
		value, ok := e.Lookup(x.feature.field)
		if !ok {
			return false
		}
		value = strings.ToLower(value)
		switch x.feature.kind {
		case ending:
			return strings.HasSuffix(value, x.feature.text)
		case folder:
			return strings.HasPrefix(value, x.feature.text)
		case word:
			return strings.Contains(value, x.feature.text)
		}
		return value == x.feature.text
	})
}

// isBetter orders exclusions: what removes more, then what is more exact, since whoever attacks
// reads rules too.
func (x *Exclusion) isBetter(y *Exclusion) bool {
	exactness := func(f feature) int {
		n := len(f.text) - 5*strings.Count(f.text, string(open))
		if f.kind == whole {
			n += 100
		}
		return n
	}
	a, b := x.feature, y.feature
	return cmp.Or(cmp.Compare(x.Removes, y.Removes), cmp.Compare(exactness(a), exactness(b)),
		strings.Compare(b.field, a.field), strings.Compare(b.text, a.text), cmp.Compare(b.kind, a.kind)) > 0
}

// featuresOfAlarm are the features that all events of an alarm's rule could be excluded by: those
// of any of its events.
func featuresOfAlarm(a Alarm) map[feature]bool {
	all := map[feature]bool{}
	for _, e := range a.Events {
		e.Each(func(name, value string) bool {
			if value == "" || value == "-" || len(value) > longestValue || isFleeting(name) {
				return true
			}
			value = strings.ToLower(value)
			if isAddress(value) || isAboutEntities(name) {
				all[feature{name, whole, value}] = true
				return true
			}
			featuresOf(name, value, nil, func(f feature) { all[f] = true })
			return true
		})
	}
	return all
}

// isFleeting tells whether a field has another value each time, so that no exception can be about it.
func isFleeting(field string) bool {
	f := strings.ToLower(field)
	for _, part := range []string{"guid", "logonid", "hash", "md5", "sha1", "sha256", "imphash", "time", "pid", "processid", "threadid",
		"session", "uid", "serial", "recordid", "bytes", "length", "_len", "size", "duration"} {
		if strings.Contains(f, part) {
			return true
		}
	}
	return f == "ts" || f == "id.orig_p" || f == "src_port" || f == "sourceport"
}

// YAML writes exclusions as selections for a rule's detection.
func YAML(all []Exclusion) ([]byte, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for i := range all {
		key, value := all[i].feature.test()
		out.Content = append(out.Content, scalar("filter_learned_"+string(rune('1'+i))),
			&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar(key), scalar(value)}})
	}
	return yaml.Marshal(out)
}
