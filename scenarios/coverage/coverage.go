// Package coverage rehearses techniques against a variant's detectors: what telemetry
// each tool leaves, and who sees it. It runs no trial; each tool acts by itself in a fresh
// estate with complete sensors.
package coverage

import (
	"cmp"
	"slices"

	"hemostat/attackers/technique"
	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/scenarios/defence"
	"hemostat/sim/event"
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
	stage, err := NewStage()
	if err != nil {
		return nil, err
	}
	var out []Technique
	for _, t := range techniques {
		c := Technique{Technique: t}
		for _, tool := range t.Tools {
			seen := ToolCoverage{Tool: tool}
			if err := seen.rehearse(stage, v, t); err != nil {
				return nil, err
			}
			c.Tools = append(c.Tools, seen)
		}
		out = append(out, c)
	}
	return out, nil
}

// Sees tells whether the variant's detectors see a tool of a technique.
func Sees(v *defence.Variant, t *technique.Technique, tool string) (bool, error) {
	stage, err := NewStage()
	if err != nil {
		return false, err
	}
	seen := ToolCoverage{Tool: tool}
	err = seen.rehearse(stage, v, t)
	return len(seen.Rules) > 0, err
}

// rehearse adds what a tool leaves behind.
func (seen *ToolCoverage) rehearse(stage *Stage, v *defence.Variant, t *technique.Technique) error {
	var failed error
	report := func(f detect.Finding) {
		hit := RuleHit{f.RuleID, f.Title, f.Severity.String(), slices.Contains(f.Techniques, t.ID)}
		if !slices.Contains(seen.Rules, hit) {
			seen.Rules = append(seen.Rules, hit)
		}
	}
	direct := sentinel.Direct{Report: report}
	err := stage.Rehearse(t, seen.Tool, func(w *world.World) (func(*event.Event), error) {
		var err error
		direct.Members, err = v.BuildDetectors(detect.Env{Inventory: defence.InventoryOf(w)})
		return func(e *event.Event) {
			seen.Events++
			if source := e.Source.String(); !slices.Contains(seen.Sources, source) {
				seen.Sources = append(seen.Sources, source)
			}
			if failed == nil {
				failed = direct.Event(e)
			}
		}, err
	})
	err = cmp.Or(err, failed)
	if err = cmp.Or(err, direct.End(err == nil)); err != nil {
		return err
	}
	slices.Sort(seen.Sources)
	slices.SortFunc(
		seen.Rules,
		func(a, b RuleHit) int { return cmp.Compare(sigma.LevelRank(b.Level), sigma.LevelRank(a.Level)) },
	)
	return nil
}
