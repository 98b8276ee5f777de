package sentinel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"hemostat/defenders/detect"
	"hemostat/defenders/reflex"
	"hemostat/defenders/sentinel/behavior"
	"hemostat/defenders/sentinel/encrypted"
	"hemostat/defenders/sentinel/ruledetector"
)

// kinds are the detectors that a variant may name, in the order in which an event is
// shown to them.
var kinds = []detect.Kind{
	reflex.Kind,
	ruledetector.Kind,
	encrypted.Kind,
	behavior.Kind,
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

// DefaultKinds chooses every kind that runs without being named, with its defaults.
func DefaultKinds() []Chosen {
	var out []Chosen
	for _, k := range kinds {
		if k.Optional {
			continue
		}
		out = append(out, Chosen{Kind: k})
	}
	return out
}

// Build makes the members of the stage: those of the registry in its order, whatever the
// order in which they are chosen, then the others, such as plug-ins.
func Build(chosen []Chosen, env detect.Env) ([]Member, error) {
	var members []Member
	for _, c := range inOrder(chosen) {
		k, options := c.Kind, c.Options
		if options == nil && k.Options != nil {
			options = k.Options()
		}
		if env.Scores != nil {
			env.Score = func(s detect.Score) { env.Scores(k.Name, s) }
		}
		d, err := k.New(env, options)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("detector %s: %w", k.Name, err), CloseAll(members, false))
		}
		if v, ok := d.(detect.Versioned); ok {
			k.Version = v.Version()
		}
		members = append(members, Member{Name: k.Name, Version: k.Version, Detector: d, Service: k.Service})
	}
	return members, nil
}

func inOrder(chosen []Chosen) []Chosen {
	place := func(c Chosen) int {
		at := slices.IndexFunc(kinds, func(k detect.Kind) bool { return k.Name == c.Kind.Name })
		if at < 0 {
			return len(kinds)
		}
		return at
	}
	chosen = slices.Clone(chosen)
	slices.SortStableFunc(chosen, func(a, b Chosen) int { return place(a) - place(b) })
	return chosen
}

// CloseAll ends detectors that hold something; completed tells that their work was done.
func CloseAll(members []Member, completed bool) error {
	var faults []error
	for _, m := range members {
		if c, ok := m.Detector.(detect.Closing); ok {
			if err := c.Close(completed); err != nil {
				faults = append(faults, fmt.Errorf("detector %s: %w", m.Name, err))
			}
		}
	}
	return errors.Join(faults...)
}
