// Package importer turns plans of other tools into scenarios: adversary profiles of
// Caldera with their abilities, Atomic Red Team tests, and MITRE Attack Flows (as the
// builder saves them, or as STIX). It takes files and yields the text of a scenario and
// a list of what has no counterpart in the library; nothing is dropped in silence.
// What it reads is data of others: only names, technique ids and their order are used.
package importer

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"hemostat/attackers/technique"
)

// Action is one step of a foreign plan.
type Action struct {
	Name      string // as the plan calls it
	Technique string // ATT&CK id
	Source    string // file it stands in
}

// Plan is a foreign plan in our words.
type Plan struct {
	Name, Description string
	Actions           []Action
	// Missing is what could not be read at all, such as abilities that are not there.
	Missing []string
}

// Outcome is what an import came to.
type Outcome struct {
	Scenario []byte
	Name     string
	// Mapped are the actions that the campaign does, Near those for which a relative of
	// their technique stands in, Unmapped those that have no counterpart.
	Mapped, Near, Unmapped []Mapping
	Missing                []string
}

// Mapping is an action and the technique that stands for it.
type Mapping struct {
	Action    string `json:"action"`
	Technique string `json:"technique"`
	Becomes   string `json:"becomes,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// counterpart finds the library's technique for an id: itself, its parent, or a
// sibling below the same parent.
func counterpart(id string) (becomes string, exact bool) {
	if technique.Find(id) != nil {
		return id, true
	}
	parent, _, sub := strings.Cut(id, ".")
	if sub && technique.Find(parent) != nil {
		return parent, false
	}
	for _, t := range technique.All() {
		if strings.HasPrefix(t.ID, parent+".") {
			return t.ID, false
		}
	}
	return "", false
}

// Scenario writes the plan as a scenario.
func (p *Plan) Scenario() (*Outcome, error) {
	out := &Outcome{Name: slug(p.Name), Missing: p.Missing}
	var ids []string
	for _, a := range p.Actions {
		becomes, exact := counterpart(a.Technique)
		m := Mapping{Action: a.Name, Technique: a.Technique, Becomes: becomes}
		switch {
		case a.Technique == "":
			m.Reason = "it names no technique"
			out.Unmapped = append(out.Unmapped, m)
			continue
		case becomes == "":
			m.Reason = "the library has nothing like it"
			out.Unmapped = append(out.Unmapped, m)
			continue
		case exact:
			out.Mapped = append(out.Mapped, m)
		default:
			m.Reason = "a relative stands in for it"
			out.Near = append(out.Near, m)
		}
		ids = append(ids, becomes)
	}
	if len(ids) == 0 {
		return out, fmt.Errorf("plan %q has no action with a counterpart in the library: %s", p.Name, unmapped(out.Unmapped))
	}
	text, err := p.write(out, ids)
	out.Scenario = text
	return out, err
}

func unmapped(all []Mapping) string {
	var out []string
	for _, m := range all {
		out = append(out, fmt.Sprintf("%s (%s)", m.Action, m.Technique))
	}
	return strings.Join(out, ", ")
}

type stage struct {
	Do   string `yaml:"do"`
	From string `yaml:"from,omitempty"`
	Pace string `yaml:"pace,omitempty"`
}

// write makes the YAML; what was left out stands in comments at its top.
func (p *Plan) write(out *Outcome, ids []string) ([]byte, error) {
	var stages []stage
	entry := ""
	if first := technique.Find(ids[0]); !begins(first) {
		entry = "T1566.001"
		if !slices.Contains(first.Platforms, "windows") {
			entry = "T1190"
		}
		stages = append(stages, stage{Do: entry, From: "internet"})
	}
	for _, id := range ids {
		stages = append(stages, stage{Do: id, Pace: "lognormal(median 3m, sigma 0.8)"})
	}
	type attacker struct {
		Name     string         `yaml:"name"`
		Skill    float64        `yaml:"skill"`
		Stealth  float64        `yaml:"stealth"`
		Infra    map[string]any `yaml:"infrastructure"`
		Start    map[string]any `yaml:"start"`
		Goal     map[string]any `yaml:"goal"`
		GiveUp   map[string]any `yaml:"give_up"`
		Campaign []stage        `yaml:"campaign"`
	}
	hours := 2 + len(stages)/4
	doc := struct {
		Name        string         `yaml:"name"`
		Description string         `yaml:"description"`
		World       map[string]any `yaml:"world"`
		Horizon     string         `yaml:"horizon"`
		Background  map[string]any `yaml:"background"`
		Attackers   []attacker     `yaml:"attackers"`
	}{
		Name: out.Name, Description: firstLine(p.Description, p.Name), World: map[string]any{"name": "midsize"}, Horizon: fmt.Sprintf("%dh", hours),
		Background: map[string]any{"rate": 1.0, "start": "Tue 08:30"},
		Attackers: []attacker{{Name: "imported", Skill: 0.6, Stealth: 0.3, Infra: map[string]any{"addresses": 2, "domains": 2}, Start: map[string]any{"after": "exponential(10m)"},
			Goal: map[string]any{"finish": map[string]any{"share": 0.8}}, GiveUp: map[string]any{"failures": 12}, Campaign: stages}},
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Imported from %q: %d actions, %d done as they are, %d by a relative, %d left out.\n", oneLine(p.Name), len(p.Actions), len(out.Mapped), len(out.Near), len(out.Unmapped))
	if entry != "" {
		fmt.Fprintf(&b, "# The plan begins inside, so %s was put before it.\n", entry)
	}
	for _, m := range out.Near {
		fmt.Fprintf(&b, "# by a relative: %s, %s becomes %s\n", oneLine(m.Action), m.Technique, m.Becomes)
	}
	for _, m := range out.Unmapped {
		fmt.Fprintf(&b, "# left out: %s, %s: %s\n", oneLine(m.Action), m.Technique, m.Reason)
	}
	for _, m := range out.Missing {
		fmt.Fprintf(&b, "# missing: %s\n", oneLine(m))
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("scenario of plan %q: %w", p.Name, err)
	}
	b.Write(text)
	return []byte(b.String()), nil
}

// begins tells whether a campaign may begin with a technique.
func begins(t *technique.Technique) bool {
	return t.Tactic == "reconnaissance" || t.Tactic == "initial-access" || slices.Contains([]string{"T1110.001", "T1110.003", "T1621", "T1528"}, t.ID)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func firstLine(text, otherwise string) string {
	line := oneLine(text)
	if line == "" {
		line = otherwise
	}
	if runes := []rune(line); len(runes) > 160 {
		line = string(runes[:157]) + "…"
	}
	return line
}

// slug is a name fit for a scenario.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-")
	if out == "" {
		return "imported"
	}
	return out
}

// stem is a file's name without folder and ending.
func stem(file string) string {
	return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
}
