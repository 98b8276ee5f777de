package observe

import (
	"slices"

	"hemostat/attackers/technique"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/scenarios/coverage"
	"hemostat/sim/event"
	"hemostat/sim/footprint"
	"hemostat/sim/world"
)

// Footprint tries rules on a recording and on its footprint as the simulation plays it, in
// an estate with the whole audit. It returns the titles of the rules that fire on both,
// and of those that fire on the recording only.
func Footprint(rules []*sigma.Rule, recorded []*event.Event, f *footprint.Footprint) (both, only []string, err error) {
	x, err := newObserver(rules)
	if err != nil {
		return nil, nil, err
	}
	outside := x.view("recording")
	for _, e := range recorded {
		outside.event(e)
	}
	library, err := technique.NewLibrary([]*footprint.Footprint{f})
	if err != nil {
		return nil, nil, err
	}
	stage, err := coverage.NewStage()
	if err != nil {
		return nil, nil, err
	}
	inside := x.view("footprint")
	err = stage.Rehearse(library.Find(f.Technique), f.Name, func(*world.World) (func(*event.Event), error) {
		return inside.event, nil
	})
	if err != nil {
		return nil, nil, err
	}
	inside.close()
	var simulated []int
	for _, h := range inside.log.Hits {
		simulated = append(simulated, h.Rule)
	}
	seen := map[int]bool{}
	for _, h := range outside.close().Hits {
		if seen[h.Rule] {
			continue
		}
		seen[h.Rule] = true
		if slices.Contains(simulated, h.Rule) {
			both = append(both, x.o.Rules[h.Rule].Title)
		} else {
			only = append(only, x.o.Rules[h.Rule].Title)
		}
	}
	return both, only, nil
}
