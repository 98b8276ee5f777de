package cacao

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"hemostat/defenders/response"
	"hemostat/sim/action"
	"hemostat/sim/severity"
)

// exporter writes one playbook.
type exporter struct {
	book *response.Playbook
	out  *Playbook
	err  error
}

// Export renders a playbook. The source is its YAML, which goes into the
// extension whole, so that reading back loses nothing.
func Export(p *response.Playbook, source []byte) (*Playbook, error) {
	types := []string{"mitigation"}
	name, err := json.Marshal(struct {
		Name  string   `json:"name"`
		Types []string `json:"playbook_types"`
	}{p.ID, types}) // keys in the order of RFC 8785
	if err != nil {
		return nil, fmt.Errorf("playbook %s: %w", p.ID, err)
	}
	e := &exporter{book: p, out: &Playbook{
		Type: "playbook", SpecVersion: "cacao-2.0", ID: "playbook--" + uuid(string(name), 5), Name: p.ID, Description: p.Description, Types: types,
		CreatedBy: identity, Created: epoch, Modified: epoch, Severity: cacaoSeverity[p.Trigger.MinSeverity],
		Priority: max(
			1,
			min(100, 50-p.Precedence/2),
		), Variables: map[string]Variable{}, Workflow: map[string]*Step{}, Agents: map[string]Agent{},
		Summary: map[string]bool{"extensions": true, "temporal_logic": true},
		ExtensionDef: map[string]Definition{
			extension: {Type: "extension-definition", Name: "hemostat playbook", CreatedBy: identity, Version: "1.0.0",
				Description: "What CACAO has no words for: trigger, expressions, ttl and undo, verification, retries, limits, lists, escalation.",
				Schema:      "the property source of a playbook is its text in the format hemostat.playbook/v1, whose JSON Schema `hemostat playbook schema` prints; the property step of a step is its id there"},
		},
	}}
	for _, t := range p.Trigger.Any {
		if strings.HasPrefix(t, "T") {
			e.out.References = append(e.out.References, Reference{Name: "ATT&CK", ExternalID: t})
		}
	}
	e.variables()
	end := e.end("end")
	first := e.sequence(p.Steps, "steps", end, "")
	start := e.add("start", "start", &Step{Type: "start", OnCompletion: first})
	e.out.Start = start
	e.out.Extensions = e.extend(map[string]any{"source": string(source)})
	e.activities()
	return e.out, e.err
}

func (e *exporter) add(kind, place string, s *Step) string {
	id := kind + "--" + uuid(e.book.ID+"/"+place, 4)
	e.out.Workflow[id] = s
	return id
}

func (e *exporter) end(place string) string { return e.add("end", place, &Step{Type: "end"}) }

func (e *exporter) extend(v any) map[string]json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		e.err = fmt.Errorf("playbook %s: %w", e.book.ID, err)
	}
	return map[string]json.RawMessage{extension: data}
}

// variables declares the inputs.
func (e *exporter) variables() {
	types := map[string]string{"ipv4": "ipv4-addr", "int": "integer", "number": "float", "hash": "sha256-hash"}
	for _, name := range slices.Sorted(maps.Keys(e.book.Inputs)) {
		in := e.book.Inputs[name]
		v := Variable{Type: types[in.Type], Description: "from " + in.From, External: true}
		if v.Type == "" {
			v.Type = "string"
		}
		if in.Default != "" {
			v.Value = &in.Default
		}
		e.out.Variables[variable(name)] = v
	}
}

func variable(name string) string {
	return "__" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name) + "__"
}

// flag declares a variable that holds a truth.
func (e *exporter) flag(name, description string) string {
	v := variable(name)
	e.out.Variables[v] = Variable{Type: "bool", Description: description}
	return v
}

// sequence writes steps one after another before next, and returns the first.
// After a failure that stops the run only steps that always run follow.
func (e *exporter) sequence(steps []response.Step, path, next, failed string) string {
	if failed == "" {
		failed = next
	}
	for i := len(steps) - 1; i >= 0; i-- {
		s := &steps[i]
		next = e.step(s, fmt.Sprintf("%s[%d]", path, i), next, failed)
		if s.Always {
			failed = next
		}
	}
	return next
}

// step writes a step before next and returns its first CACAO step: a condition, a
// question, the answer's condition, then the action or group.
func (e *exporter) step(s *response.Step, place, next, failed string) string {
	var id string
	guarded := s.If != "" || s.HOTL != nil && s.HOTL.Required
	after := next
	if guarded { // what is in a branch ends at an end of its own
		after = e.end(place + "/end")
	}
	x := &Step{
		Name:         s.ID,
		OnCompletion: after,
		Timeout:      s.Timeout.Milliseconds(),
		Extensions:   e.extend(map[string]any{"step": s.ID}),
	}
	if s.OnFailure != "continue" && !guarded && failed != next {
		x.OnCompletion, x.OnSuccess, x.OnFailure = "", after, failed
	}
	switch {
	case s.Parallel != nil:
		e.out.Summary["parallel_processing"] = true
		x.Type = "parallel"
		for i := range s.Parallel.Steps {
			at := fmt.Sprintf("%s.parallel.steps[%d]", place, i)
			end := e.end(at + "/branch")
			x.NextSteps = append(x.NextSteps, e.step(&s.Parallel.Steps[i], at, end, end))
		}
		id = e.add("parallel", place, x)
	case len(s.Sequence) > 0:
		id = e.sequence(s.Sequence, place+".sequence", after, after)
	default:
		e.action(s, x)
		id = e.add("action", place, x)
	}
	if s.HOTL != nil && s.HOTL.Required {
		approved := e.flag("approve_"+s.ID, "whether a person approved "+string(s.Action))
		answer := e.condition(
			place+"/answer",
			s.ID+" approved",
			approved,
			id,
			e.end(place+"/refused"),
			next,
			s.If == "",
		)
		id = e.add(
			"action",
			place+"/ask",
			&Step{
				Type:         "action",
				Name:         s.ID + " approval",
				Timeout:      s.HOTL.Timeout.Milliseconds(),
				OnCompletion: answer,
				Agent:        e.individual(),
				OutArgs:      []string{approved},
				Commands: []Command{
					{
						Type:    "manual",
						Command: fmt.Sprintf("May %s be done? No answer means: %s", s.Action, s.HOTL.OnTimeout),
					},
				},
			},
		)
	}
	if s.If != "" {
		holds := e.flag("if_"+s.ID, "whether this holds: "+s.If)
		id = e.condition(place+"/if", s.ID+" condition", holds, id, "", next, true)
	}
	return id
}

// condition writes an if-condition; outermost ones lead on to what follows the step.
func (e *exporter) condition(place, name, flag, yes, no, next string, outermost bool) string {
	e.out.Summary["if_logic"] = true
	on := next
	if !outermost {
		on = e.end(place + "/end")
	}
	return e.add(
		"if-condition",
		place,
		&Step{
			Type:         "if-condition",
			Name:         name,
			Condition:    flag + ":value = 'true'",
			OnTrue:       yes,
			OnFalse:      no,
			OnCompletion: on,
		},
	)
}

// action fills in what carries an action out.
func (e *exporter) action(s *response.Step, x *Step) {
	x.Type = "action"
	x.Agent = e.orchestrator()
	if spec, ok := action.Find(s.Action); ok && spec.D3FEND != "" {
		x.References = append(x.References, Reference{Name: "D3FEND", ExternalID: spec.D3FEND})
	}
	command, err := json.Marshal(OpenC2(s))
	if err != nil {
		e.err = fmt.Errorf("playbook %s, step %s: %w", e.book.ID, s.ID, err)
	}
	x.Commands = []Command{
		{
			Type:    "openc2-http",
			Command: "POST /.well-known/openc2 HTTP/1.1",
			Content: base64.StdEncoding.EncodeToString(command),
			Headers: map[string][]string{
				"Content-Type": {"application/openc2+json;version=1.0"},
			},
			Activity: activity(string(s.Action)),
		},
	}
	for _, name := range slices.Sorted(maps.Keys(e.book.Inputs)) {
		for _, v := range s.With {
			if text, ok := v.(string); ok && strings.Contains(text, "${"+name+"}") &&
				!slices.Contains(x.InArgs, variable(name)) {
				x.InArgs = append(x.InArgs, variable(name))
			}
		}
	}
}

func (e *exporter) orchestrator() string {
	id := "http-api--" + uuid("hemostat/orchestrator", 4)
	e.out.Agents[id] = Agent{
		Type:        "http-api",
		Name:        "response orchestrator",
		Description: "takes OpenC2 commands",
		Address:     map[string][]string{"dname": {"orchestrator.example"}},
	}
	return id
}

func (e *exporter) individual() string {
	id := "individual--" + uuid("hemostat/approver", 4)
	e.out.Agents[id] = Agent{Type: "individual", Name: "approver", Description: "a person on the loop"}
	return id
}

// activity is CACAO's word (playbook-activity-type-ov) for what an action does.
func activity(action string) string {
	switch action {
	case "alert_soc":
		return "deliver-content"
	case "isolate_host", "zone_isolation":
		return "disconnect-system"
	case "snapshot_memory", "forensic_analysis", "traffic_capture":
		return "analyze-collected-data"
	case "restore_from_backup":
		return "restore-data"
	case "kill_malicious_process", "quarantine_files", "remove_persistence", "patch_service":
		return "eliminate-risk"
	case "deploy_honeypot", "deploy_decoys":
		return "prepare-engagement"
	}
	return "restrict-access"
}

func (e *exporter) activities() {
	for _, id := range slices.Sorted(maps.Keys(e.out.Workflow)) {
		for _, c := range e.out.Workflow[id].Commands {
			if c.Activity != "" && !slices.Contains(e.out.Activities, c.Activity) {
				e.out.Activities = append(e.out.Activities, c.Activity)
			}
		}
	}
	slices.Sort(e.out.Activities)
}

// Command2 is an OpenC2 command (language specification, section 3.3.1).
type Command2 struct {
	Action    string         `json:"action"`
	Target    map[string]any `json:"target"`
	Args      map[string]any `json:"args,omitempty"`
	CommandID string         `json:"command_id,omitempty"`
}

// cacaoSeverity is the severity of CACAO (CACAO 2.0, section 3.1, 0 to 100) by ours.
var cacaoSeverity = [severity.Count]int{
	severity.Low:      25,
	severity.Medium:   50,
	severity.High:     75,
	severity.Critical: 100,
}

// OpenC2 renders a step's action. Values that a run fills in stand as CACAO
// variables, and the duration is the ttl in milliseconds.
func OpenC2(s *response.Step) Command2 {
	spec := action.Must(s.Action)
	value := func(name string) any {
		v, ok := s.With[name]
		if !ok {
			return nil
		}
		if text, isText := v.(string); isText {
			return references(text)
		}
		return v
	}
	first := value(spec.Params[0].Name)
	var specifier any
	switch spec.OpenC2.Target {
	case "ipv4_net", "domain_name":
		specifier = first
	case "device":
		specifier = map[string]any{"hostname": first}
	case "ipv4_connection":
		specifier = without(map[string]any{"src_addr": first, "dst_addr": value("dest")})
	case "process":
		specifier = without(map[string]any{"pid": value("pid"), "x-hemostat:host": first})
	case "file":
		specifier = without(map[string]any{"hashes": hashes(value("sha256")), "x-hemostat:host": first})
	default:
		specifier = map[string]any{"name": first}
	}
	args := map[string]any{"response_requested": "complete", "x-hemostat": map[string]any{"action": s.Action}}
	if s.TTL > 0 {
		args["duration"] = s.TTL.Milliseconds()
	}
	rest := map[string]any{}
	for _, name := range spec.ParamNames()[1:] {
		if v := value(name); v != nil && name != "dest" && name != "pid" && name != "sha256" {
			rest[name] = v
		}
	}
	if len(rest) > 0 {
		args["x-hemostat"] = map[string]any{"action": s.Action, "parameters": rest}
	}
	return Command2{
		Action:    spec.OpenC2.Action,
		Target:    map[string]any{spec.OpenC2.Target: specifier},
		Args:      args,
		CommandID: s.ID,
	}
}

func hashes(v any) any {
	if v == nil {
		return nil
	}
	return map[string]any{"sha256": v}
}

func without(m map[string]any) map[string]any {
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// references turns ${name} into CACAO's __name__:value.
func references(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return b.String()
		}
		b.WriteString(variable(name) + ":value")
		text = after
	}
}

// yamlOf writes a playbook's fields as YAML, in the order given.
func yamlOf(doc *yaml.Node) ([]byte, error) {
	var b strings.Builder
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	return []byte(b.String()), enc.Close()
}
