package compare

import (
	"hemostat/sim/attack"
	"maps"
	"slices"

	"hemostat/sim/record"
)

// Tally counts what there was in a trial, and how much of it had the property in
// question: a technique and whether its first use was detected, alerts of a detector
// and those that were true.
type Tally struct{ All, Hits int }

// Tallies is the tallies of trials by technique or detector.
type Tallies map[Key]map[string]Tally

// TechniqueDetected is the metric by which techniques are compared: whether the
// first use in a trial was detected. Later uses depend on what the response did in
// between, and so tell less of the detection.
var TechniqueDetected = Metric{
	Name:   "technique_detected",
	Kind:   Rate,
	Better: 1,
	Bound:  1,
	Doc:    "trials in which the first use of the technique was detected, of those in which it was used",
}

// DetectedTechniques tells of each technique that was carried out in a trial whether its first
// use was detected.
func DetectedTechniques(steps []record.Step) map[string]bool {
	out := map[string]bool{}
	first := map[string]int64{}
	for i := range steps {
		s := &steps[i]
		id := attack.Current(s.Technique)
		if at, ok := first[id]; s.Ended > s.Started && (!ok || s.Started < at) {
			first[id] = s.Started
			out[id] = s.Detected != nil
		}
	}
	return out
}

var (
	trueAlerts = Metric{
		Name:   "alerts_true",
		Kind:   Count,
		Better: 1,
		Bound:  200,
		Doc:    "alerts about an attack, a trial",
	}
	falseAlerts = Metric{Name: "alerts_false", Kind: Count, Better: -1, Bound: 200, Doc: "false alarms a trial"}
)

// ByTechnique adds how well each technique was detected, over the trials in which
// both variants met it.
func (r *Result) ByTechnique(baseline, candidate Tallies) {
	r.Techniques = nil
	subjects, pairs := subjectsOf(baseline, candidate)
	for _, technique := range subjects {
		var before, after []float64
		for _, k := range pairs {
			b, c := baseline[k][technique], candidate[k][technique]
			if b.All > 0 && c.All > 0 {
				before, after = append(before, one(b.Hits > 0)), append(after, one(c.Hits > 0))
			}
		}
		if len(before) > 0 {
			row := Row{Scenario: "*", Subject: technique, Metric: TechniqueDetected}
			row.rates(before, after)
			r.Techniques = append(r.Techniques, row)
		}
	}
	r.Options.adjust(r.Techniques)
}

// ByDetector adds how many true and false alerts each detector raised.
func (r *Result) ByDetector(baseline, candidate Tallies) {
	r.Detectors = nil
	subjects, pairs := subjectsOf(baseline, candidate)
	for _, detector := range subjects {
		for _, m := range []Metric{trueAlerts, falseAlerts} {
			before, after := make([]float64, len(pairs)), make([]float64, len(pairs))
			for i, k := range pairs {
				b, c := baseline[k][detector], candidate[k][detector]
				before[i], after[i] = float64(b.Hits), float64(c.Hits)
				if m.Better < 0 {
					before[i], after[i] = float64(b.All-b.Hits), float64(c.All-c.Hits)
				}
			}
			row := Row{Scenario: "*", Subject: detector, Metric: m}
			row.counts(before, after)
			r.Detectors = append(r.Detectors, row)
		}
	}
	r.Options.adjust(r.Detectors)
}

// subjectsOf lists the techniques or detectors of both sides, and the trials that
// they share, in order.
func subjectsOf(baseline, candidate Tallies) (subjects []string, pairs []Key) {
	names := map[string]bool{}
	for k, tallies := range baseline {
		other, ok := candidate[k]
		if !ok {
			continue
		}
		pairs = append(pairs, k)
		for _, side := range []map[string]Tally{tallies, other} {
			for name := range side {
				names[name] = true
			}
		}
	}
	slices.SortFunc(pairs, Key.compare)
	return slices.Sorted(maps.Keys(names)), pairs
}
