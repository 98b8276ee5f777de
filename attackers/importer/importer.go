// Package importer turns plans of other tools into scenarios: adversary profiles of
// Caldera with their abilities, Atomic Red Team tests, and MITRE Attack Flows (as the
// builder saves them, or as STIX). It takes files and yields the text of a scenario and
// a list of what has no counterpart in the library; nothing is dropped in silence.
// What it reads is data of others: only names, technique ids and their order are used.
package importer

import (
	"fmt"
	"hemostat/sim/attack"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

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
	id = attack.Current(id)
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

// techniqueID is the form of a technique's id (ATT&CK, "ID" of a technique).
var techniqueID = regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)

// maxActions bounds a plan; Caldera's longest published profile has fewer than 100.
const maxActions = 2_000

// Scenario writes the plan as a scenario.
func (p *Plan) Scenario() (*Outcome, error) {
	if len(p.Actions) > maxActions {
		return nil, fmt.Errorf(
			"plan %q has %d actions; at most %d are accepted",
			oneLine(p.Name),
			len(p.Actions),
			maxActions,
		)
	}
	out := &Outcome{Name: slug(p.Name), Missing: p.Missing}
	var ids []string
	for _, a := range p.Actions {
		becomes, exact := "", false
		if techniqueID.MatchString(a.Technique) {
			becomes, exact = counterpart(a.Technique)
		}
		m := Mapping{Action: oneLine(a.Name), Technique: oneLine(a.Technique), Becomes: becomes}
		switch {
		case !techniqueID.MatchString(a.Technique):
			m.Reason = "it names no technique of ATT&CK, such as T1003.001"
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
		return out, fmt.Errorf(
			"plan %q has no action with a counterpart in the library: %s",
			p.Name,
			unmapped(out.Unmapped),
		)
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
		Attackers: []attacker{
			{
				Name:    "imported",
				Skill:   0.6,
				Stealth: 0.3,
				Infra:   map[string]any{"addresses": 2, "domains": 2},
				Start:   map[string]any{"after": "exponential(10m)"},
				Goal: map[string]any{
					"finish": map[string]any{"share": 0.8},
				},
				GiveUp:   map[string]any{"failures": 12},
				Campaign: stages,
			},
		},
	}
	var b strings.Builder
	comment := func(format string, args ...any) {
		b.WriteString("# " + oneLine(fmt.Sprintf(format, args...)) + "\n")
	}
	comment(
		"Imported from %q: %d actions, %d done as they are, %d by a relative, %d left out.",
		oneLine(p.Name),
		len(p.Actions),
		len(out.Mapped),
		len(out.Near),
		len(out.Unmapped),
	)
	if entry != "" {
		comment("The plan begins inside, so %s was put before it.", entry)
	}
	for _, m := range out.Near {
		comment("by a relative: %s, %s becomes %s", m.Action, m.Technique, m.Becomes)
	}
	for _, m := range out.Unmapped {
		comment("left out: %s, %s: %s", m.Action, m.Technique, m.Reason)
	}
	for _, m := range out.Missing {
		comment("missing: %s", m)
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
	return t.Tactic == "reconnaissance" || t.Tactic == "initial-access" ||
		slices.Contains([]string{"T1110.001", "T1110.003", "T1621", "T1528"}, t.ID)
}

// oneLine is a foreign text fit for a line of its own, such as a YAML comment: what
// ends a line, cannot be printed or reorders text becomes a blank.
func oneLine(s string) string {
	printable := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(printable), " ")
}

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
	out := b.String()
	out = strings.Trim(out[:min(len(out), 80)], "-")
	if out == "" {
		return "imported"
	}
	return out
}

// stem is a file's name without folder and ending.
func stem(file string) string {
	return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
}
