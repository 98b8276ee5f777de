package response

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hemostat/sim/attack"

	"hemostat/defenders/incident"
	"hemostat/sim/action"
	"hemostat/sim/boundedfile"
)

// Decoder reads a YAML file into a struct strictly. It is handed in because the
// reader of the project's files is no part of the defenders.
type Decoder func(file string, data []byte, into any) error

// Load reads every playbook of a folder. An empty or unreadable folder is an
// error; so is every fault of every file, all reported together.
func Load(fsys fs.FS, dir string, decode Decoder) ([]*Playbook, error) {
	return load(fsys, dir, dir, decode)
}

// LoadFolder is Load for a folder on disk.
func LoadFolder(folder string, decode Decoder) ([]*Playbook, error) {
	return load(boundedfile.FS(folder), ".", filepath.ToSlash(folder), decode)
}

// load reads a folder that faults call by another name.
func load(fsys fs.FS, dir, shown string, decode Decoder) ([]*Playbook, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("playbook folder %s: %w", shown, err)
	}
	var books []*Playbook
	var faults []error
	files := 0
	for _, e := range entries {
		if ext := path.Ext(e.Name()); e.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		files++
		name := path.Join(shown, e.Name())
		data, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("playbook %s: %w", name, err)
		}
		p, err := Parse(name, data, decode)
		if err != nil {
			faults = append(faults, err)
			if p == nil {
				continue
			}
		}
		for _, other := range books {
			if other.ID == p.ID {
				faults = append(
					faults,
					p.fault(p.line, p.column, "id", "the id %q is used by %s too", p.ID, other.File),
				)
			}
		}
		books = append(books, p)
	}
	if files == 0 {
		return nil, fmt.Errorf("playbook folder %s holds no .yaml file", shown)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return books, nil
}

// Parse reads and checks one playbook; the error names every fault. With an error
// the playbook tells its id, if the file gives one, and is of no other use.
func Parse(file string, data []byte, decode Decoder) (*Playbook, error) {
	sum := sha256.Sum256(data)
	p := &Playbook{File: file, Digest: hex.EncodeToString(sum[:])}
	err := decode(file, data, p)
	if p.line > 0 || err == nil { // what is no mapping at all has no sense to check
		err = errors.Join(err, errors.Join(p.check()...))
	}
	if err != nil {
		if p.ID == "" {
			p = nil
		}
		return p, err
	}
	return p, nil
}

func (p *Playbook) fault(line, column int, where, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s: %s", p.File, line, column, where, fmt.Sprintf(format, args...))
}

// checker collects the faults of a playbook.
type checker struct {
	*Playbook
	faults []error
	// order is each step's place in the order of the file, from 1; a group has the
	// place of its first step.
	order map[string]int
	// parents are the groups around each step, outermost first.
	parents map[string][]*Step
}

func (c *checker) add(line, column int, where, format string, args ...any) {
	c.faults = append(c.faults, c.fault(line, column, where, format, args...))
}

// check looks for what a schema cannot see.
func (p *Playbook) check() []error {
	c := &checker{Playbook: p, order: map[string]int{}, parents: map[string][]*Step{}}
	if incident.IsReserved(p.ID) {
		c.add(
			p.line,
			p.column,
			"id",
			"the id %q is reserved for what the program does of its own accord; choose another",
			p.ID,
		)
	}
	for _, name := range p.Trigger.Any {
		wanted := triggerTechniques(name)
		p.techniques = append(p.techniques, wanted...)
		if wanted == nil {
			c.add(
				p.Trigger.line,
				p.Trigger.column,
				"trigger.any",
				"%q is no ATT&CK id and none of %s",
				name,
				strings.Join(triggerNames(), ", "),
			)
		}
	}
	if p.Trigger.MinConfidence < 0 || p.Trigger.MinConfidence > 1 {
		c.add(
			p.Trigger.line,
			p.Trigger.column,
			"trigger.min_confidence",
			"0 to 1 is accepted, not %g",
			p.Trigger.MinConfidence,
		)
	}
	var err error
	if p.when, err = compile(p.Trigger.When); err != nil {
		c.add(p.Trigger.line, p.Trigger.column, "trigger.when", "%s", err)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Inputs)) {
		in := p.Inputs[name]
		if in.From == "graph.cut" {
			c.add(in.line, in.column, "inputs."+name+".from", "graph.cut holds targets of several kinds; a step may name it as ${graph.cut}, "+
				"an input takes graph.cut_hosts, graph.cut_accounts, graph.cut_addresses or graph.cut_domains")
		}
		if in.From != "" && !knownPath(in.From) {
			c.add(
				in.line,
				in.column,
				"inputs."+name+".from",
				"nothing is called %q; accepted: %s",
				in.From,
				strings.Join(paths(), ", "),
			)
		}
		if in.From == "" && in.Default == "" {
			c.add(in.line, in.column, "inputs."+name, "it has neither from nor default, so it can never have a value")
		}
		if in.Default != "" && !matchesType(in.Default, in.Type) {
			c.add(in.line, in.column, "inputs."+name+".default", "%q is no %s", in.Default, in.Type)
		}
	}
	if key := p.Limits.Key; key != "" {
		if _, ok := p.Inputs[key]; !ok {
			c.add(p.Limits.line, p.Limits.column, "limits.key", "no input is called %q", key)
		}
	}
	for _, x := range p.Limits.Exempt {
		if kind, _, tagged := strings.Cut(x, ":"); tagged && kind != "role" && kind != "zone" {
			c.add(
				p.Limits.line,
				p.Limits.column,
				"limits.exempt",
				"%q is accepted as role:ROLE, zone:ZONE or a name, not %q",
				x,
				kind+":",
			)
		}
	}
	if p.Deadline < 0 {
		c.add(p.line, p.column, "deadline", "a time above 0 is expected")
	}
	if len(p.Steps) == 0 {
		c.add(p.line, p.column, "steps", "a playbook needs at least one step")
	}
	c.place(p.Steps, nil)
	p.Walk(c.step)
	c.cycles()
	return c.faults
}

// place notes the order of the steps and the groups around them.
func (c *checker) place(steps []Step, around []*Step) {
	for i := range steps {
		s := &steps[i]
		if c.order[s.ID] == 0 {
			c.order[s.ID] = len(c.order) + 1
			c.parents[s.ID] = around
		}
		inner := append(slices.Clone(around), s)
		if s.Parallel != nil {
			c.place(s.Parallel.Steps, inner)
		}
		c.place(s.Sequence, inner)
	}
}

func (c *checker) step(s *Step, where string) {
	if c.seen(s) {
		c.add(s.line, s.column, where+".id", "the step id %q is used twice", s.ID)
	}
	var err error
	if s.cond, err = compile(s.If); err != nil {
		c.add(s.line, s.column, where+".if", "%s", err)
	}
	looked := stepsIn(s.If)
	s.condSteps = len(looked) > 0
	for _, id := range looked {
		c.earlier(s, id, where+".if")
	}
	for _, id := range s.Needs {
		if c.order[id] == 0 {
			c.add(s.line, s.column, where+".needs", "no step is called %q", id)
		}
	}
	kinds := 0
	for _, given := range []bool{s.Action != "", s.Parallel != nil, len(s.Sequence) > 0} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		c.add(s.line, s.column, where, "a step has exactly one of action, parallel and sequence")
	case s.Action != "":
		c.action(s, where)
	default:
		c.group(s, where)
	}
}

// seen tells whether the id belongs to a step that was read before.
func (c *checker) seen(s *Step) bool {
	first := true
	twice := false
	c.Walk(func(other *Step, _ string) {
		if other.ID == s.ID {
			if other == s && !first {
				twice = true
			}
			first = false
		}
	})
	return twice
}

// earlier demands that a step which is looked at ends before the one that looks.
func (c *checker) earlier(s *Step, id, where string) {
	switch {
	case c.order[id] == 0:
		c.add(s.line, s.column, where, "no step is called %q", id)
	case c.order[id] >= c.order[s.ID] && !slices.Contains(s.Needs, id):
		c.add(s.line, s.column, where, "the step %q comes later, so it has no status yet; a cycle", id)
	}
}

// group checks what makes no sense on a group.
func (c *checker) group(s *Step, where string) {
	for _, x := range []struct {
		name  string
		given bool
	}{{"with", len(s.With) > 0}, {"hotl", s.HOTL != nil}, {"ttl", s.TTL != 0}, {"retry", s.Retry != (Retry{})}, {"for_each", s.ForEach != ""},
		{"verify", s.Verify != nil}, {"risk", s.Risk != ""}, {"timeout", s.Timeout != 0}, {"keep", s.Keep}} {
		if x.given {
			c.add(s.line, s.column, where+"."+x.name, "it belongs to a step with an action, not to a group")
		}
	}
	if s.Parallel != nil && len(s.Parallel.Steps) < 2 {
		c.add(s.line, s.column, where+".parallel.steps", "at least two branches are expected")
	}
	s.Risk = action.Low
}

// cycles finds steps that wait for each other: by needs, or by needs against the
// order of a sequence.
func (c *checker) cycles() {
	steps := map[string]*Step{}
	where := map[string]string{}
	var ids []string
	c.Walk(func(s *Step, path string) {
		if steps[s.ID] == nil {
			steps[s.ID], where[s.ID] = s, path
			ids = append(ids, s.ID)
		}
	})
	waits := map[string][]string{}
	for _, id := range ids {
		waits[id] = append(waits[id], steps[id].Needs...)
	}
	var chain func(list []Step, parallel bool)
	chain = func(list []Step, parallel bool) {
		for i := range list {
			s := &list[i]
			if i > 0 && !parallel {
				waits[s.ID] = append(waits[s.ID], list[i-1].ID)
			}
			inner := s.Sequence
			if s.Parallel != nil {
				inner = s.Parallel.Steps
			}
			for j := range inner { // a group ends with its parts, which begin after what it waits for
				waits[s.ID] = append(waits[s.ID], inner[j].ID)
				waits[inner[j].ID] = append(waits[inner[j].ID], steps[s.ID].Needs...)
				if i > 0 && !parallel {
					waits[inner[j].ID] = append(waits[inner[j].ID], list[i-1].ID)
				}
			}
			chain(inner, s.Parallel != nil)
		}
	}
	chain(c.Steps, false)
	state := map[string]int{} // 1 being looked at, 2 done
	var path []string
	var visit func(id string) bool
	visit = func(id string) bool {
		switch state[id] {
		case 1:
			from := slices.Index(path, id)
			s := steps[id]
			c.add(s.line, s.column, where[id], "a cycle: %s wait for each other", strings.Join(path[from:], ", "))
			return true
		case 2:
			return false
		}
		state[id] = 1
		path = append(path, id)
		for _, next := range waits[id] {
			if steps[next] != nil && visit(next) {
				return true
			}
		}
		path = path[:len(path)-1]
		state[id] = 2
		return false
	}
	for _, id := range ids {
		if visit(id) {
			return
		}
	}
}

func (c *checker) action(s *Step, where string) {
	spec, ok := action.Find(s.Action)
	if !ok {
		c.add(s.line, s.column, where+".action", "unknown action %q; accepted: %s", s.Action, JoinKinds())
		return
	}
	switch {
	case s.Risk == "":
		s.Risk = spec.Risk
	case s.Risk.Rank() < spec.Risk.Rank():
		c.add(
			s.line,
			s.column,
			where+".risk",
			"the risk of %s is %s; a playbook may raise it, not lower it to %s",
			s.Action,
			spec.Risk,
			s.Risk,
		)
	}
	for _, key := range slices.Sorted(maps.Keys(s.With)) {
		c.parameter(s, spec, key, where+".with."+key)
	}
	if _, given := s.With[spec.Params[0].Name]; !given {
		c.add(s.line, s.column, where+".with", "%s needs the parameter %s", s.Action, spec.Params[0].Name)
	}
	c.variables(s, s.ForEach, where+".for_each")
	if s.ForEach != "" {
		if _, err := listVariable(s.ForEach); err != nil {
			c.add(s.line, s.column, where+".for_each", "%s", err)
		}
	}
	if s.TTL > 0 && !spec.Undo {
		c.add(s.line, s.column, where+".ttl", "%s cannot be undone, so a ttl means nothing", s.Action)
	}
	if s.Keep && s.TTL == 0 {
		c.add(s.line, s.column, where+".keep", "keep needs a ttl, or the action would stay for ever")
	}
	if min(s.TTL, s.Timeout, s.Retry.Backoff, s.Retry.MaxBackoff) < 0 {
		c.add(s.line, s.column, where, "times above 0 are expected for ttl, timeout and retry")
	}
	if s.Retry.Max < 0 || s.Retry.Max > 10 {
		c.add(s.line, s.column, where+".retry.max", "0 to 10 is accepted, not %d", s.Retry.Max)
	}
	if v := s.Verify; v != nil {
		switch {
		case spec.Observed == "":
			c.add(s.line, s.column, where+".verify", "there is nothing to observe of %s", s.Action)
		case v.Metric != "" && v.Metric != spec.Observed:
			c.add(
				s.line,
				s.column,
				where+".verify.metric",
				"%s is observed by %s, not by %q",
				s.Action,
				spec.Observed,
				v.Metric,
			)
		case v.Within <= 0:
			c.add(s.line, s.column, where+".verify.within", "a time above 0 is expected")
		}
	}
	if s.Risk == action.High && (s.HOTL == nil || !s.HOTL.Required) {
		c.add(s.line, s.column, where, "risk high needs hotl: {required: true, timeout: …, on_timeout: …}")
	}
	c.hotl(s, where+".hotl")
}

// parameter checks a parameter's name, the variables in it, and its value where it has
// none.
func (c *checker) parameter(s *Step, spec *action.Spec, name, where string) {
	value := s.With[name]
	c.variables(s, value, where)
	text := formatParam(value)
	if strings.Contains(text, "${") {
		if !slices.Contains(spec.ParamNames(), name) {
			c.add(
				s.line,
				s.column,
				where,
				"%s takes no parameter %q; accepted: %s",
				s.Action,
				name,
				strings.Join(spec.ParamNames(), ", "),
			)
		}
		return
	}
	if err := spec.CheckParam(name, text); err != nil {
		c.add(s.line, s.column, where, "%s", err)
	}
}

// JoinKinds lists the kinds of action for a message.
func JoinKinds() string {
	var names []string
	for _, k := range action.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func (c *checker) hotl(s *Step, where string) {
	h := s.HOTL
	if h == nil {
		return
	}
	if h.Timeout <= 0 {
		c.add(s.line, s.column, where+".timeout", "a time above 0 is expected")
	}
	if c.Deadline > 0 && h.Timeout > c.Deadline {
		c.add(s.line, s.column, where+".timeout", "%s is longer than the run's deadline, %s", h.Timeout, c.Deadline)
	}
	if h.Approvers < 0 || h.Approvers > 2 {
		c.add(s.line, s.column, where+".approvers", "1 or 2 is accepted, not %d", h.Approvers)
	}
	switch h.OnTimeout {
	case "escalate":
		if h.EscalateTo == "" {
			c.add(s.line, s.column, where, "on_timeout: escalate needs escalate_to")
		}
	case "approve_if":
		if h.ApproveIf == "" {
			c.add(s.line, s.column, where, "on_timeout: approve_if needs the expression approve_if")
		}
		if s.Risk == action.High {
			c.add(s.line, s.column, where, "a step of risk high may not be approved by an expression")
		}
	}
	var err error
	if s.approveIf, err = compile(h.ApproveIf); err != nil {
		c.add(s.line, s.column, where+".approve_if", "%s", err)
	}
	for _, id := range stepsIn(h.ApproveIf) {
		c.earlier(s, id, where+".approve_if")
	}
}

func (c *checker) variables(s *Step, value any, where string) {
	text, ok := value.(string)
	if !ok {
		return
	}
	if strings.Count(text, "${") != len(variables(text)) {
		c.add(s.line, s.column, where, "%q lacks a closing brace", text)
	}
	for _, name := range variables(text) {
		_, input := c.Inputs[name]
		id, _, ofStep := stepPath(name)
		switch {
		case input, name == "severity", knownPath(name):
		case name == "item":
			if s.ForEach == "" {
				c.add(s.line, s.column, where, "${item} stands for something only with for_each")
			}
		case ofStep:
			c.earlier(s, id, where)
		default:
			c.add(
				s.line,
				s.column,
				where,
				"${%s} is neither an input nor a field of alert, fusion, estate or an earlier step",
				name,
			)
		}
	}
}

// Fits reports what of a playbook takes longer than a trial of this length can
// show: a person's time to answer, or a step's timeout.
func (p *Playbook) Fits(horizon time.Duration) []error {
	var faults []error
	long := func(line, column int, where string, d time.Duration) {
		if d > horizon {
			faults = append(faults, p.fault(line, column, where, "%s is longer than the horizon, %s", d, horizon))
		}
	}
	p.Walk(func(s *Step, where string) {
		long(s.line, s.column, where+".timeout", s.Timeout)
		if s.HOTL != nil {
			long(s.line, s.column, where+".hotl.timeout", s.HOTL.Timeout)
		}
	})
	return faults
}

// triggerSets are names for what belongs together.
var triggerSets = map[string][]string{
	"brute_force":         {"T1110"},
	"password_spray":      {"T1110.003", "T1110.004"},
	"malware":             {"T1204", "T1566", "T1059", "T1547", "T1053", "T1105", "T1685", "T1686", "T1003", "T1548", "T1496"},
	"ransomware":          {"T1486", "T1490"},
	"exfiltration":        {"T1041", "T1048", "T1567", "T1560", "T1039"},
	"lateral_movement":    {"T1021", "T1550", "T1570", "T1569"},
	"phishing":            {"T1566", "T1204", "T1189"},
	"web_shell":           {"T1505.003", "T1190"},
	"kerberoasting":       {"T1558", "T1003.006"},
	"command_and_control": {"T1071", "T1573", "T1572", "T1090", "T1219", "T1095", "T1102", "T1568"},
	"cloud": {
		"T1078.004",
		"T1621",
		"T1528",
		"T1098.003",
		"T1098.005",
		"T1114.003",
		"T1537",
		"T1550.001",
		"T1606",
	},
	"insider": {"T1052", "T1213", "T1039", "T1074", "T1005"},
	"wiper":   {"T1485", "T1561", "T1529", "T1490", "T1685.005", "T1489"},
	"miner":   {"T1496"},
}

func triggerNames() []string { return slices.Sorted(maps.Keys(triggerSets)) }

// triggerTechniques are the techniques that a name of a trigger stands for.
func triggerTechniques(name string) []string {
	if set, ok := triggerSets[name]; ok {
		return set
	}
	if len(name) >= 5 && name[0] == 'T' && strings.Trim(name[1:], "0123456789.") == "" {
		return attack.Successors(name)
	}
	return nil
}
