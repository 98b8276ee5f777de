package response

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Decoder reads a YAML file into a struct strictly. It is handed in because the
// reader of the project's files is no part of the defenders.
type Decoder func(file string, data []byte, into any) error

// Load reads every playbook of a folder. An empty or unreadable folder is an
// error; so is every fault of every file, all reported together.
func Load(fsys fs.FS, dir string, decode Decoder) ([]*Playbook, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("playbook folder %s: %w", dir, err)
	}
	var books []*Playbook
	var faults []error
	files := 0
	for _, e := range entries {
		if ext := path.Ext(e.Name()); e.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		files++
		name := path.Join(dir, e.Name())
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("playbook %s: %w", name, err)
		}
		p, err := Parse(name, data, decode)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, other := range books {
			if other.ID == p.ID {
				faults = append(faults, p.fault(p.line, p.column, "id", "the id %q is used by %s too", p.ID, other.File))
			}
		}
		books = append(books, p)
	}
	if files == 0 {
		return nil, fmt.Errorf("playbook folder %s holds no .yaml file", dir)
	}
	return books, errors.Join(faults...)
}

// Parse reads and checks one playbook; the error names every fault.
func Parse(file string, data []byte, decode Decoder) (*Playbook, error) {
	p := &Playbook{File: file}
	if err := decode(file, data, p); err != nil {
		return nil, err
	}
	if faults := p.check(); len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return p, nil
}

func (p *Playbook) fault(line, column int, where, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s: %s", p.File, line, column, where, fmt.Sprintf(format, args...))
}

func (p *Playbook) check() []error {
	var faults []error
	add := func(line, column int, where, format string, args ...any) {
		faults = append(faults, p.fault(line, column, where, format, args...))
	}
	for _, name := range p.Trigger.Any {
		if triggerTechniques(name) == nil {
			add(p.line, p.column, "trigger.any", "%q is no ATT&CK id and none of %s", name, strings.Join(triggerNames(), ", "))
		}
	}
	var err error
	if p.when, err = compile(p.Trigger.When); err != nil {
		add(p.line, p.column, "trigger.when", "%s", err)
	}
	for name, in := range p.Inputs {
		if in.From != "" && !knownPath(in.From) {
			add(p.line, p.column, "inputs."+name+".from", "nothing is called %q; accepted: %s", in.From, strings.Join(paths(), ", "))
		}
	}
	if key := p.Limits.Key; key != "" {
		if _, ok := p.Inputs[key]; !ok {
			add(p.line, p.column, "limits.key", "no input is called %q", key)
		}
	}
	if len(p.Steps) == 0 {
		add(p.line, p.column, "steps", "a playbook needs at least one step")
	}
	ids := map[string]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		where := fmt.Sprintf("steps[%d]", i)
		if ids[s.ID] {
			add(s.line, s.column, where+".id", "the step id %q is used twice", s.ID)
		}
		ids[s.ID] = true
		p.checkStep(s, where, add)
	}
	return faults
}

func (p *Playbook) checkStep(s *Step, where string, add func(line, column int, where, format string, args ...any)) {
	kind, ok := registry[s.Action]
	if !ok {
		add(s.line, s.column, where+".action", "unknown action %q; accepted: %s", s.Action, strings.Join(Actions(), ", "))
		return
	}
	switch {
	case s.Risk == "":
		s.Risk = kind.Risk
	case s.Risk.rank() < kind.Risk.rank():
		add(s.line, s.column, where+".risk", "the risk of %s is %s; a playbook may raise it, not lower it to %s", s.Action, kind.Risk, s.Risk)
	}
	for key, value := range s.With {
		if !slices.Contains(kind.Params, key) {
			add(s.line, s.column, where+".with."+key, "%s takes no parameter %q; accepted: %s", s.Action, key, strings.Join(kind.Params, ", "))
		}
		p.checkVariables(s, value, where+".with."+key, add)
	}
	p.checkVariables(s, s.ForEach, where+".for_each", add)
	var err error
	if s.cond, err = compile(s.If); err != nil {
		add(s.line, s.column, where+".if", "%s", err)
	}
	if s.TTL > 0 && !kind.Undo {
		add(s.line, s.column, where+".ttl", "%s cannot be undone, so a ttl means nothing", s.Action)
	}
	if s.Retry.Max < 0 || s.Retry.Max > 10 {
		add(s.line, s.column, where+".retry.max", "0 to 10 is accepted, not %d", s.Retry.Max)
	}
	if s.Risk == High && (s.HOTL == nil || !s.HOTL.Required) {
		add(s.line, s.column, where, "risk high needs hotl: {required: true, timeout: …, on_timeout: …}")
	}
	p.checkHOTL(s, where+".hotl", add)
}

func (p *Playbook) checkHOTL(s *Step, where string, add func(line, column int, where, format string, args ...any)) {
	h := s.HOTL
	if h == nil {
		return
	}
	if h.Timeout <= 0 {
		add(s.line, s.column, where+".timeout", "a time above 0 is expected")
	}
	if h.Approvers < 0 || h.Approvers > 2 {
		add(s.line, s.column, where+".approvers", "1 or 2 is accepted, not %d", h.Approvers)
	}
	switch h.OnTimeout {
	case "escalate":
		if h.EscalateTo == "" {
			add(s.line, s.column, where, "on_timeout: escalate needs escalate_to")
		}
	case "approve_if":
		if h.ApproveIf == "" {
			add(s.line, s.column, where, "on_timeout: approve_if needs the expression approve_if")
		}
		if s.Risk == High {
			add(s.line, s.column, where, "a step of risk high may not be approved by an expression")
		}
	}
	var err error
	if s.approveIf, err = compile(h.ApproveIf); err != nil {
		add(s.line, s.column, where+".approve_if", "%s", err)
	}
}

func (p *Playbook) checkVariables(s *Step, value any, where string, add func(line, column int, where, format string, args ...any)) {
	text, ok := value.(string)
	if !ok {
		return
	}
	for _, name := range variables(text) {
		_, input := p.Inputs[name]
		switch {
		case input, name == "severity", knownPath(name):
		case name == "item":
			if s.ForEach == "" {
				add(s.line, s.column, where, "${item} stands for something only with for_each")
			}
		default:
			add(s.line, s.column, where, "${%s} is neither an input nor a field of alert or fusion", name)
		}
	}
}

var triggerSets = map[string][]string{
	"brute_force":      {"T1110"},
	"password_spray":   {"T1110.003"},
	"malware":          {"T1204", "T1566", "T1059", "T1547", "T1053", "T1105", "T1562", "T1003", "T1548", "T1496"},
	"ransomware":       {"T1486", "T1490"},
	"exfiltration":     {"T1041", "T1048", "T1567", "T1560", "T1039"},
	"lateral_movement": {"T1021", "T1550", "T1570", "T1569"},
}

func triggerNames() []string {
	var names []string
	for n := range triggerSets {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// triggerTechniques are the techniques that a name of a trigger stands for.
func triggerTechniques(name string) []string {
	if set, ok := triggerSets[name]; ok {
		return set
	}
	if len(name) >= 5 && name[0] == 'T' && strings.Trim(name[1:], "0123456789.") == "" {
		return []string{name}
	}
	return nil
}
