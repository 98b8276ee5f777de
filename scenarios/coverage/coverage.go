// Package coverage rehearses techniques against a variant's detectors: what telemetry
// each tool leaves, and who sees it. It runs no trial; each tool acts by itself in a fresh
// estate with complete sensors.
package coverage

import (
	"cmp"
	"fmt"
	"slices"

	"hemostat/attackers/technique"
	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim"
	"hemostat/sim/event"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

// Technique is what a variant's detectors see of a technique.
type Technique struct {
	Technique *technique.Technique
	Tools     []ToolCoverage
}

// ToolCoverage is what a technique leaves behind with one of its tools, and which rules
// raise an alert.
type ToolCoverage struct {
	Tool    string
	Events  int
	Sources []string // log sources that saw something
	Rules   []RuleHit
}

// RuleHit is a rule, or another detector's finding, that saw a tool. Own tells whether the rule is tagged with the
// technique.
type RuleHit struct {
	ID, Title, Level string
	Own              bool
}

// Blind lists the tools that no rule sees.
func (c *Technique) Blind() []string {
	var out []string
	for _, t := range c.Tools {
		if len(t.Rules) == 0 {
			out = append(out, t.Tool)
		}
	}
	return out
}

// Rules lists the rules that see any of the tools, each once.
func (c *Technique) Rules() []RuleHit {
	var out []RuleHit
	for _, t := range c.Tools {
		for _, r := range t.Rules {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	return out
}

// Of rehearses techniques against a variant's detectors: each tool by itself, in a
// fresh estate with complete sensors and nobody else at work.
func Of(v *defence.Variant, techniques []*technique.Technique) ([]Technique, error) {
	data, _ := world.Embedded("midsize")
	spec, err := world.ParseSpec("midsize.yaml", data)
	if err != nil {
		return nil, err
	}
	for i := range spec.Sensors {
		all := 1.0
		spec.Sensors[i].Coverage, spec.Sensors[i].Loss = &all, 0
	}
	var out []Technique
	for _, t := range techniques {
		c := Technique{Technique: t}
		for _, tool := range t.Tools {
			seen := ToolCoverage{Tool: tool}
			for _, platform := range t.Stages() {
				if err := seen.rehearse(spec, v, t, platform); err != nil {
					return nil, err
				}
			}
			c.Tools = append(c.Tools, seen)
		}
		out = append(out, c)
	}
	return out, nil
}

// rehearse adds what one run on one platform leaves behind.
func (seen *ToolCoverage) rehearse(
	spec *world.Spec,
	v *defence.Variant,
	t *technique.Technique,
	platform string,
) error {
	ledger := truth.NewLedger()
	epoch, err := scenarios.WeekTime("")
	if err != nil {
		return err
	}
	w := world.Build(spec, sim.NewStreams(3, 1), ledger, epoch)
	actor := w.NewActor("attacker")
	actor.Label.Attack = 1
	s := technique.NewState(w, actor, &world.AttackerAssets{})
	s.Skill, s.Addresses, s.Domains = 1, []string{
		"203.0.113.1",
		"203.0.113.2",
	}, []technique.Domain{
		{Name: "cdn-sync7.example", Address: "203.0.113.9"},
	}
	technique.Stage(s, t, platform)
	members, err := v.BuildDetectors(detect.Env{Inventory: trial.InventoryOf(w)})
	if err != nil {
		return err
	}
	var failed error
	report := func(f detect.Finding) {
		hit := RuleHit{f.RuleID, f.Title, f.Severity.String(), slices.Contains(f.Techniques, t.ID)}
		if !slices.Contains(seen.Rules, hit) {
			seen.Rules = append(seen.Rules, hit)
		}
	}
	w.Deliver = func(e *event.Event) {
		seen.Events++
		if source := e.Source.String(); !slices.Contains(seen.Sources, source) {
			seen.Sources = append(seen.Sources, source)
		}
		for _, m := range members {
			if err := m.Detector.Inspect(e.Time, e, report); err != nil && failed == nil {
				failed = err
			}
		}
	}
	if _, err := technique.Rehearse(s, t, seen.Tool); err != nil {
		return fmt.Errorf("rehearsal: %w", err)
	}
	if failed != nil {
		return failed
	}
	slices.Sort(seen.Sources)
	slices.SortFunc(
		seen.Rules,
		func(a, b RuleHit) int { return cmp.Compare(sigma.LevelRank(b.Level), sigma.LevelRank(a.Level)) },
	)
	return nil
}
