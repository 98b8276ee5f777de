package cacao

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"hemostat/defenders/response"
	"hemostat/sim/action"
)

// Imported is a playbook that was read, as YAML, and what its reader should know.
type Imported struct {
	ID    string
	YAML  []byte
	Notes []string
}

// Import reads a CACAO 2.0 playbook. An export of this project comes back as it
// was; of others the part with a counterpart is read: start, end, action,
// parallel and if-condition steps, and openc2-http, http-api and manual commands
// that name an action known here. Everything else is an error that names the step.
func Import(data []byte) (*Imported, error) {
	var p Playbook
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("not a CACAO playbook: %w", err)
	}
	if p.Type != "playbook" || p.SpecVersion != "cacao-2.0" {
		return nil, fmt.Errorf(
			`not a CACAO 2.0 playbook: type is %q and spec_version %q, expected "playbook" and "cacao-2.0"`,
			p.Type,
			p.SpecVersion,
		)
	}
	if own, ok := p.Extensions[extension]; ok {
		var x struct {
			Source string `json:"source"`
		}
		if err := json.Unmarshal(own, &x); err != nil || x.Source == "" {
			return nil, errors.New("playbook_extensions: the extension of hemostat holds no source")
		}
		return &Imported{ID: p.Name, YAML: []byte(x.Source)}, nil
	}
	im := &importer{in: &p, used: map[string]bool{}, seen: map[string]bool{}}
	steps := im.chain(im.start(), "workflow")
	im.unreached()
	if len(im.faults) > 0 {
		return nil, errors.Join(im.faults...)
	}
	doc, id := im.document(steps)
	text, err := yamlOf(doc)
	if err != nil {
		return nil, fmt.Errorf("playbook %s: %w", id, err)
	}
	return &Imported{ID: id, YAML: text, Notes: im.notes}, nil
}

type importer struct {
	in     *Playbook
	faults []error
	notes  []string
	used   map[string]bool // variables
	seen   map[string]bool // steps
}

func (im *importer) fault(step, format string, args ...any) {
	im.faults = append(im.faults, fmt.Errorf("%s: %s", step, fmt.Sprintf(format, args...)))
}

func (im *importer) start() string {
	s := im.in.Workflow[im.in.Start]
	if s == nil || s.Type != "start" {
		im.fault("workflow_start", "%q is no start step of the workflow", im.in.Start)
		return ""
	}
	im.seen[im.in.Start] = true
	return s.OnCompletion
}

// chain reads the steps from one to the end of its branch.
func (im *importer) chain(id, from string) []*yaml.Node {
	var out []*yaml.Node
	for id != "" {
		s := im.in.Workflow[id]
		if s == nil {
			im.fault(from, "it leads to %q, which is no step of the workflow", id)
			return out
		}
		if s.Type == "end" {
			im.seen[id] = true
			return out
		}
		if im.seen[id] {
			im.fault(id, "it is reached twice: loops and joins have no counterpart")
			return out
		}
		im.seen[id] = true
		out = append(out, im.step(id, s)...)
		from, id = id, first(s.OnCompletion, s.OnSuccess)
		if end := im.in.Workflow[s.OnFailure]; end != nil && end.Type == "end" {
			im.seen[s.OnFailure] = true // the run ends there, as it does here after a failure
		}
		if s.OnFailure != "" && im.in.Workflow[s.OnFailure] != nil && im.in.Workflow[s.OnFailure].Type != "end" &&
			s.OnFailure != id {
			im.fault(
				from,
				"on_failure leads to steps of its own (%s), which has no counterpart; use steps with always",
				s.OnFailure,
			)
		}
	}
	im.fault(from, "the branch does not lead to an end step")
	return out
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func (im *importer) step(id string, s *Step) []*yaml.Node {
	switch s.Type {
	case "action":
		return im.action(id, s)
	case "parallel":
		var branches []*yaml.Node
		for _, next := range s.NextSteps {
			steps := im.chain(next, id)
			switch len(steps) {
			case 0:
				im.fault(id, "the branch at %s holds nothing that could be read", next)
			case 1:
				branches = append(branches, steps[0])
			default:
				branches = append(branches, mapping("id", name(id+"/"+next), "sequence", steps))
			}
		}
		return []*yaml.Node{
			mapping("id", name(first(s.Name, id)), "on_failure", "continue", "parallel", mapping("steps", branches)),
		}
	case "if-condition":
		return im.condition(id, s)
	}
	im.fault(
		id,
		"steps of type %s have no counterpart; start, action, parallel, if-condition and end can be read",
		s.Type,
	)
	return nil
}

// condition reads an if. One comparison of a variable with a text can be an
// expression, if the variable has a counterpart.
func (im *importer) condition(id string, s *Step) []*yaml.Node {
	if s.OnFalse != "" && im.in.Workflow[s.OnFalse] != nil && im.in.Workflow[s.OnFalse].Type != "end" {
		im.fault(id, "on_false has steps of its own, which has no counterpart; write a second condition")
		return nil
	}
	im.seen[s.OnFalse] = true
	m := comparison.FindStringSubmatch(s.Condition)
	if m == nil {
		im.fault(
			id,
			"the condition %q has no counterpart; one comparison such as __severity__:value = 'high' can be read",
			s.Condition,
		)
		return nil
	}
	path := lookups[strings.ToLower(m[1])]
	if path == "" || strings.HasSuffix(path, "[]") || strings.HasPrefix(path, "fusion.") {
		im.fault(
			id,
			"the variable __%s__ of its condition has no counterpart; known are %s",
			m[1],
			strings.Join(slices.Sorted(maps.Keys(lookups)), ", "),
		)
		return nil
	}
	operator := map[string]string{"=": "==", "!=": "!="}[m[2]]
	text := fmt.Sprintf("%s %s %q", path, operator, m[3])
	steps := im.chain(s.OnTrue, id)
	for _, n := range steps {
		setKey(n, "if", text)
	}
	return steps
}

var comparison = regexp.MustCompile(`^\s*__([A-Za-z][A-Za-z0-9_-]*?)__:value\s*(=|!=)\s*'([^']*)'\s*$`)

// lookups are the values that variables of these names may stand for.
var lookups = map[string]string{
	"source_ip": "alert.source_ip", "src_ip": "alert.source_ip", "ip": "alert.source_ip", "ipv4": "alert.source_ip", "ip_address": "alert.source_ip", "attacker_ip": "alert.source_ip",
	"host": "alert.host", "hostname": "alert.host", "device": "alert.host", "endpoint": "alert.host", "target_host": "alert.target_host",
	"user": "alert.user", "username": "alert.user", "account": "alert.user", "zone": "alert.zone", "domain": "alert.domain", "domain_name": "alert.domain",
	"dest": "alert.destination", "destination": "alert.destination", "dst_ip": "alert.destination", "pid": "alert.process_id", "process_id": "alert.process_id",
	"sha256": "alert.file_hash", "hash": "alert.file_hash", "file_hash": "alert.file_hash", "severity": "alert.severity", "technique": "alert.technique",
}

// inputTypes are the types of what lookups lead to.
var inputTypes = map[string]string{
	"alert.source_ip":   "ipv4",
	"alert.host":        "host",
	"alert.target_host": "host",
	"alert.user":        "account",
	"alert.zone":        "zone",
	"alert.domain":      "domain",
	"alert.destination": "endpoint",
	"alert.process_id":  "int",
	"alert.file_hash":   "hash",
	"alert.severity":    "string",
	"alert.technique":   "string",
}

func (im *importer) action(id string, s *Step) []*yaml.Node {
	var out []*yaml.Node
	for i, c := range s.Commands {
		kind, with, ok := im.command(id, s, c)
		if !ok {
			continue
		}
		stepID := name(first(s.Name, string(kind)))
		if len(s.Commands) > 1 {
			stepID = fmt.Sprintf("%s_%d", stepID, i+1)
		}
		spec := action.Must(kind)
		pairs := []any{"id", stepID, "action", string(kind), "with", with}
		if s.Timeout > 0 {
			pairs = append(pairs, "timeout", fmt.Sprintf("%dms", s.Timeout))
		}
		if s.OnSuccess == "" {
			pairs = append(pairs, "on_failure", "continue")
		}
		if spec.Risk == action.High {
			pairs = append(pairs, "hotl", mapping("required", true, "timeout", "10m", "on_timeout", "deny"))
			im.notes = append(
				im.notes,
				fmt.Sprintf("step %s: %s is of high risk, so an approval was added", stepID, kind),
			)
		}
		out = append(out, mapping(pairs...))
	}
	if len(s.Commands) == 0 {
		im.fault(id, "an action step without commands")
	}
	return out
}

// command finds the action that a command stands for.
func (im *importer) command(id string, s *Step, c Command) (action.Kind, *yaml.Node, bool) {
	switch c.Type {
	case "openc2-http":
		return im.openc2(id, c)
	case "http-api", "manual":
		for _, text := range []string{c.Command, s.Name} {
			for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) {
				if _, ok := action.Find(action.Kind(word)); ok {
					with, missing := im.parameters(action.Kind(word), s)
					if missing != "" {
						im.fault(
							id,
							"%s needs the parameter %s, and no variable of the step stands for it",
							word,
							missing,
						)
						return "", nil, false
					}
					return action.Kind(word), with, true
				}
			}
		}
		im.fault(
			id,
			"the %s command %q names no action known here; known are %s",
			c.Type,
			c.Command,
			response.JoinKinds(),
		)
	default:
		im.fault(id, "commands of type %s have no counterpart; openc2-http, http-api and manual can be read", c.Type)
	}
	return "", nil, false
}

// parameters takes an action's parameters from the variables of a step, by name.
func (im *importer) parameters(kind action.Kind, s *Step) (*yaml.Node, string) {
	spec := action.Must(kind)
	var pairs []any
	for _, p := range spec.ParamNames() {
		for _, arg := range s.InArgs {
			plain := strings.ToLower(strings.Trim(arg, "_"))
			if target, ok := lookups[plain]; ok && strings.HasSuffix(target, "."+alias(p)) || plain == p {
				im.used[plain] = true
				pairs = append(pairs, p, "${"+plain+"}")
				break
			}
		}
	}
	if len(pairs) == 0 || pairs[0] != spec.Params[0].Name {
		if spec.Params[0].Name == "severity" {
			return mapping("severity", "${severity}"), ""
		}
		return nil, spec.Params[0].Name
	}
	return mapping(pairs...), ""
}

// alias is the field of an alert that a parameter usually takes.
func alias(parameter string) string {
	switch parameter {
	case "near":
		return "host"
	case "dest":
		return "destination"
	case "pid":
		return "process_id"
	case "sha256":
		return "file_hash"
	}
	return parameter
}

// openc2 finds the action whose pair of action and target a command has.
func (im *importer) openc2(id string, c Command) (action.Kind, *yaml.Node, bool) {
	data, err := base64.StdEncoding.DecodeString(c.Content)
	var cmd Command2
	if err == nil {
		err = json.Unmarshal(data, &cmd)
	}
	if err != nil || len(cmd.Target) != 1 {
		im.fault(id, "content_b64 holds no OpenC2 command with one target")
		return "", nil, false
	}
	target := slices.Collect(maps.Keys(cmd.Target))[0]
	for _, kind := range action.Kinds() {
		spec := action.Must(kind)
		if spec.OpenC2 != (action.OpenC2{Action: cmd.Action, Target: target}) {
			continue
		}
		if own, ok := cmd.Args["x-hemostat"].(map[string]any); ok && own["action"] != string(kind) {
			continue
		}
		value := specific(cmd.Target[target])
		if value == "" {
			im.fault(id, "the target %s of the OpenC2 command is empty", target)
			return "", nil, false
		}
		return kind, mapping(spec.Params[0].Name, im.variables(value)), true
	}
	im.fault(id, "the OpenC2 command %s %s has no counterpart", cmd.Action, target)
	return "", nil, false
}

// specific is the value that a target names.
func specific(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		for _, key := range []string{"hostname", "src_addr", "x-hemostat:host", "name", "pid", "device_id"} {
			if text, ok := v[key].(string); ok {
				return text
			}
		}
	}
	return ""
}

var reference = regexp.MustCompile(`__([A-Za-z][A-Za-z0-9_-]*?)__:value`)

// variables turns __name__:value into ${name}.
func (im *importer) variables(text string) string {
	return reference.ReplaceAllStringFunc(text, func(m string) string {
		plain := reference.FindStringSubmatch(m)[1]
		im.used[plain] = true
		return "${" + plain + "}"
	})
}

// unreached reports steps that no path leads to.
func (im *importer) unreached() {
	if len(im.faults) > 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(im.in.Workflow)) {
		if !im.seen[id] {
			im.fault(id, "no path leads to it")
		}
	}
}

func (im *importer) document(steps []*yaml.Node) (*yaml.Node, string) {
	id := name(im.in.Name)
	inputs := &yaml.Node{Kind: yaml.MappingNode}
	for _, v := range slices.Sorted(maps.Keys(im.used)) {
		pairs := []any{"type", "string"}
		if path := lookups[strings.ToLower(v)]; path != "" {
			pairs = []any{"type", inputTypes[path], "from", path, "required", true}
		} else if declared := im.in.Variables["__"+v+"__"]; declared.Value != nil && *declared.Value != "" {
			pairs = append(pairs, "default", *declared.Value)
		} else {
			im.notes = append(im.notes, fmt.Sprintf("input %s: nothing here is called so; give it from or default", v))
		}
		n := mapping(pairs...)
		n.Style = yaml.FlowStyle
		inputs.Content = append(inputs.Content, scalar(v), n)
	}
	trigger := mapping("min_severity", "high")
	var techniques []string
	for _, r := range im.in.References {
		if strings.HasPrefix(r.ExternalID, "T") {
			techniques = append(techniques, r.ExternalID)
		}
	}
	if len(techniques) > 0 {
		trigger = mapping("any", techniques, "min_severity", "high")
	} else {
		im.notes = append(im.notes, "trigger: CACAO says nothing about it; every alert of severity high or more starts the playbook")
	}
	trigger.Style = yaml.FlowStyle
	pairs := []any{"schema", "hemostat.playbook/v1", "id", id, "version", "1.0.0"}
	if im.in.Description != "" {
		pairs = append(pairs, "description", im.in.Description)
	}
	pairs = append(pairs, "trigger", trigger)
	if len(inputs.Content) > 0 {
		pairs = append(pairs, "inputs", inputs)
	}
	return mapping(append(pairs, "steps", steps)...), id
}

// name makes an identifier of a text.
func name(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, text)
	return strings.Trim(text, "_")
}

func scalar(v any) *yaml.Node {
	n := &yaml.Node{}
	if err := n.Encode(v); err != nil {
		n.SetString(fmt.Sprint(v))
	}
	return n
}

// mapping makes a YAML mapping of keys and values in turn.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		value, ok := pairs[i+1].(*yaml.Node)
		if list, isList := pairs[i+1].([]*yaml.Node); isList {
			value, ok = &yaml.Node{Kind: yaml.SequenceNode, Content: list}, true
		}
		if !ok {
			value = scalar(pairs[i+1])
		}
		n.Content = append(n.Content, scalar(pairs[i]), value)
	}
	return n
}

func setKey(n *yaml.Node, key, value string) {
	n.Content = append(n.Content, scalar(key), scalar(value))
}
