package sentinel

import (
	"fmt"
	"slices"
	"strings"

	"hemostat/defenders/detect"
	"hemostat/defenders/reflex"
	"hemostat/defenders/sentinel/ruledetector"
)

// kinds are the detectors that a variant may name, in the order in which an event is
// shown to them.
var kinds = []detect.Kind{
	reflex.Kind,
	ruledetector.Kind,
}

// Kinds lists the kinds of detector.
func Kinds() []detect.Kind { return slices.Clone(kinds) }

// KindByName finds a kind of detector; the error lists those that there are.
func KindByName(name string) (detect.Kind, error) {
	at := slices.IndexFunc(kinds, func(k detect.Kind) bool { return k.Name == name })
	if at < 0 {
		return detect.Kind{}, fmt.Errorf("unknown detector %q; accepted: %s", name, strings.Join(kindNames(), ", "))
	}
	return kinds[at], nil
}

func kindNames() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	slices.Sort(names)
	return names
}

// Chosen is a detector that a variant asks for.
type Chosen struct {
	Kind    detect.Kind
	Options any // nil for the defaults
}

// AllKinds chooses every kind with its defaults.
func AllKinds() []Chosen {
	var out []Chosen
	for _, k := range kinds {
		out = append(out, Chosen{Kind: k})
	}
	return out
}

// Build makes the members of the stage, in the order of the registry whatever the order
// in which they are chosen.
func Build(chosen []Chosen, env detect.Env) ([]Member, error) {
	var members []Member
	for _, k := range kinds {
		at := slices.IndexFunc(chosen, func(c Chosen) bool { return c.Kind.Name == k.Name })
		if at < 0 {
			continue
		}
		options := chosen[at].Options
		if options == nil && k.Options != nil {
			options = k.Options()
		}
		d, err := k.New(env, options)
		if err != nil {
			return nil, fmt.Errorf("detector %s: %w", k.Name, err)
		}
		members = append(
			members,
			Member{Name: k.Name, Version: k.Version, Detector: d, Service: chosen[at].Kind.Service},
		)
	}
	return members, nil
}
