package response

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hemostat/defenders/alert"
	"hemostat/defenders/incident"
	"hemostat/sim/action"
	"hemostat/sim/attack"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"golang.org/x/net/publicsuffix"
)

// alertView is what expressions see as alert.
type alertView struct {
	Technique   string  `expr:"technique"`
	Severity    string  `expr:"severity"`
	Confidence  float64 `expr:"confidence"`
	Host        string  `expr:"host"`
	TargetHost  string  `expr:"target_host"`
	Zone        string  `expr:"zone"`
	User        string  `expr:"user"`
	SourceIP    string  `expr:"source_ip"`
	SourceHost  string  `expr:"source_host"`
	Destination string  `expr:"destination"`
	Domain      string  `expr:"domain"`
	ProcessID   string  `expr:"process_id"`
	FileHash    string  `expr:"file_hash"`
	RuleID      string  `expr:"rule_id"`
	Criticality float64 `expr:"criticality"`
}

// fusionView is what expressions see as fusion.
type fusionView struct {
	Confidence float64  `expr:"confidence"`
	Alerts     int      `expr:"alerts"`
	IntelHits  int      `expr:"intel_hits"`
	Hosts      []string `expr:"hosts"`
	Accounts   []string `expr:"accounts"`
	Sources    []string `expr:"sources"`
	Techniques []string `expr:"techniques"`
}

// attackerView is what expressions see as attacker: what is believed and forecast of them.
type attackerView struct {
	Real           float64 `expr:"real"`
	Goal           string  `expr:"goal"`
	GoalConfidence float64 `expr:"goal_confidence"`
	Skill          string  `expr:"skill"`
	Stage          string  `expr:"stage"`
	Aware          float64 `expr:"aware"`
	NextTechnique  string  `expr:"next_technique"`
	NextHost       string  `expr:"next_host"`
	NextZone       string  `expr:"next_zone"`
}

// stepView is what expressions see as steps.ID, and ${steps.ID.…} names.
type stepView struct {
	Status    string   `expr:"status"`
	Accounts  []string `expr:"accounts"`  // found by evidence
	Addresses []string `expr:"addresses"` // found by evidence
}

// estateView is what expressions see as estate.
type estateView struct {
	Zones []string `expr:"zones"`
}

// env is the environment of every expression.
type env struct {
	Estate   estateView          `expr:"estate"`
	Alert    alertView           `expr:"alert"`
	Fusion   fusionView          `expr:"fusion"`
	Attacker attackerView        `expr:"attacker"`
	Steps    map[string]stepView `expr:"steps"`

	// graph draws the attack graph of the incident when a path below graph is named, once;
	// targets is what it named.
	graph   incidentGraph
	targets *GraphTargets
}

// quotedTechnique is the id of a technique in a text of an expression.
var quotedTechnique = regexp.MustCompile(`["'` + "`" + `]T\d{4}(?:\.\d{3})?["'` + "`" + `]`)

// compile type-checks an expression that must give true or false. The clock of
// the expression language is disabled: time is given, never read.
func compile(text string) (*vm.Program, error) {
	if text == "" {
		return nil, nil
	}
	text = quotedTechnique.ReplaceAllStringFunc(text, func(quoted string) string { // alerts have current ids
		return quoted[:1] + attack.Current(quoted[1:len(quoted)-1]) + quoted[len(quoted)-1:]
	})
	p, err := expr.Compile(text, expr.Env(&env{}), expr.AsBool(), expr.DisableBuiltin("now"), expr.MaxNodes(200))
	if err != nil {
		return nil, fmt.Errorf("the expression does not compile: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return p, nil
}

// evaluate evaluates an expression; none is true.
func evaluate(p *vm.Program, env *env) (bool, error) {
	if p == nil {
		return true, nil
	}
	v, err := expr.Run(p, env)
	if err != nil {
		return false, err
	}
	return v == true, nil
}

func newEnv(a *alert.Alert, in *incident.Incident, criticality float64) env {
	return env{
		Alert: alertView{
			Technique: a.Technique(), Severity: a.Severity.String(), Confidence: a.Confidence, Host: a.Host, TargetHost: a.Host, Zone: a.Zone,
			User: a.User, SourceIP: a.SourceIP, SourceHost: a.Source, Destination: a.Destination, Domain: a.Domain,
			ProcessID: a.ProcessID, FileHash: a.FileHash, RuleID: a.RuleID, Criticality: criticality,
		},
		Fusion: fusionView{
			Confidence: in.Score,
			Alerts:     in.Count,
			IntelHits:  in.IntelHits,
			Hosts:      in.Hosts,
			Accounts:   in.Accounts,
			Sources:    in.Sources,
			Techniques: in.Techniques,
		},
		Attacker: attackerView(in.Attacker),
		Steps:    map[string]stepView{},
	}
}

// fieldGetters are the paths that inputs and ${…} may name.
var fieldGetters = map[string]func(*env) any{
	"alert.technique":   func(e *env) any { return e.Alert.Technique },
	"alert.severity":    func(e *env) any { return e.Alert.Severity },
	"alert.confidence":  func(e *env) any { return strconv.FormatFloat(e.Alert.Confidence, 'g', -1, 64) },
	"alert.host":        func(e *env) any { return e.Alert.Host },
	"alert.target_host": func(e *env) any { return e.Alert.TargetHost },
	"alert.zone":        func(e *env) any { return e.Alert.Zone },
	"alert.user":        func(e *env) any { return e.Alert.User },
	"alert.source_ip":   func(e *env) any { return e.Alert.SourceIP },
	"alert.source_host": func(e *env) any { return e.Alert.SourceHost },
	"alert.destination": func(e *env) any { return e.Alert.Destination },
	"alert.registered_domain": func(e *env) any {
		d, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimSuffix(strings.ToLower(e.Alert.Domain), "."))
		if err != nil { // an address, or a name without a dot
			return ""
		}
		return d
	},
	"alert.domain":      func(e *env) any { return e.Alert.Domain },
	"alert.process_id":  func(e *env) any { return e.Alert.ProcessID },
	"alert.file_hash":   func(e *env) any { return e.Alert.FileHash },
	"alert.rule_id":     func(e *env) any { return e.Alert.RuleID },
	"estate.zones":      func(e *env) any { return e.Estate.Zones },
	"fusion.confidence": func(e *env) any { return strconv.FormatFloat(e.Fusion.Confidence, 'g', -1, 64) },
	"fusion.hosts":      func(e *env) any { return e.Fusion.Hosts },
	"fusion.accounts":   func(e *env) any { return e.Fusion.Accounts },
	"fusion.sources":    func(e *env) any { return e.Fusion.Sources },
	"fusion.techniques": func(e *env) any { return e.Fusion.Techniques },

	"attacker.goal":           func(e *env) any { return e.Attacker.Goal },
	"attacker.skill":          func(e *env) any { return e.Attacker.Skill },
	"attacker.stage":          func(e *env) any { return e.Attacker.Stage },
	"attacker.next_technique": func(e *env) any { return e.Attacker.NextTechnique },
	"attacker.next_host":      func(e *env) any { return e.Attacker.NextHost },
	"attacker.next_zone":      func(e *env) any { return e.Attacker.NextZone },
}

func knownPath(name string) bool { return fieldGetters[name] != nil || graphPaths[name] != nil }

// stepPath splits steps.ID.field; false when the name is none.
func stepPath(name string) (id, field string, ok bool) {
	rest, found := strings.CutPrefix(name, "steps.")
	if !found {
		return "", "", false
	}
	id, field, ok = strings.Cut(rest, ".")
	return id, field, ok && slices.Contains([]string{"status", "accounts", "addresses"}, field)
}

// stepsIn lists the steps that an expression looks at.
func stepsIn(text string) []string {
	var ids []string
	for _, m := range stepNames.FindAllStringSubmatch(text, -1) {
		ids = append(ids, cmp.Or(m[1], m[2]))
	}
	return ids
}

var stepNames = regexp.MustCompile(`\bsteps(?:\.([A-Za-z_]\w*)|\[["']([^"']+)["']\])`)

func paths() []string {
	var out []string
	for name := range fieldGetters {
		out = append(out, name)
	}
	for name := range graphPaths {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// variables lists the names in ${…} of a text.
func variables(text string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(text, "${")
		if !ok {
			return out
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return out
		}
		out = append(out, name)
		text = after
	}
}

// scope resolves ${…}: item, then inputs, severity, alert and fusion, then steps.
type scope struct {
	env    *env
	inputs map[string]any
	item   string
	kind   action.TargetKind // of the action that the value is for
}

func (s scope) value(name string) (any, error) {
	var v any
	switch {
	case name == "item":
		v = s.item
	case s.inputs[name] != nil:
		v = s.inputs[name]
	case name == "severity":
		v = s.env.Alert.Severity
	case knownPath(name):
		v = s.env.fieldOf(name)
	default:
		if id, field, ok := stepPath(name); ok {
			switch view := s.env.Steps[id]; field {
			case "status":
				v = view.Status
			case "accounts":
				v = view.Accounts
			case "addresses":
				v = view.Addresses
			}
		}
	}
	if c, ok := v.(cut); ok {
		v = c.of(s.kind)
	}
	switch v := v.(type) {
	case nil:
		return nil, fmt.Errorf("${%s} has no value", name)
	case string:
		if v == "" {
			return nil, fmt.Errorf("${%s} is empty", name)
		}
	case []string:
		if len(v) == 0 {
			return nil, fmt.Errorf("${%s} is an empty list", name)
		}
	}
	return v, nil
}

// text fills the variables of a parameter in; an unknown or empty one is an
// error, never empty text.
func (s scope) text(value any) (string, error) {
	template, ok := value.(string)
	if !ok {
		return formatParam(value), nil
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%q lacks a closing brace", template)
		}
		v, err := s.value(name)
		if err != nil {
			return "", err
		}
		b.WriteString(formatParam(v))
		template = after
	}
}

// formatParam writes a YAML value as a parameter: lists joined by commas.
func formatParam(v any) string {
	switch v := v.(type) {
	case []string:
		return strings.Join(v, ",")
	case []any:
		var parts []string
		for _, x := range v {
			parts = append(parts, fmt.Sprint(x))
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}

// listVariable is the variable that a for_each names.
func listVariable(template string) (string, error) {
	names := variables(template)
	if len(names) != 1 || template != "${"+names[0]+"}" {
		return "", fmt.Errorf("it takes one variable such as ${users}, not %q", template)
	}
	return names[0], nil
}

// list is the list that for_each names.
func (s scope) list(template string) ([]string, error) {
	name, err := listVariable(template)
	if err != nil {
		return nil, err
	}
	v, err := s.value(name)
	if err != nil {
		return nil, err
	}
	if l, ok := v.([]string); ok {
		return l, nil
	}
	return []string{formatParam(v)}, nil
}

// bindInputs reads the inputs of a playbook from an alert; a value of the wrong type
// counts as none.
func (p *Playbook) bindInputs(env *env) (map[string]any, error) {
	inputs := map[string]any{}
	var names []string
	for name := range p.Inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		in := p.Inputs[name]
		var v any
		if in.From != "" {
			v = env.fieldOf(in.From)
		}
		if !matchesType(v, in.Type) {
			v = nil
			if in.Default != "" {
				v = in.Default
			}
		}
		if v == nil {
			if in.Required {
				return nil, fmt.Errorf("the required input %s (%s) has no value", name, in.From)
			}
			continue
		}
		inputs[name] = v
	}
	return inputs, nil
}

func matchesType(v any, kind string) bool {
	if l, ok := v.([]string); ok {
		return strings.HasSuffix(kind, "[]") && len(l) > 0
	}
	text, ok := v.(string)
	if !ok || text == "" {
		return false
	}
	switch kind {
	case "ipv4":
		a, err := netip.ParseAddr(text)
		return err == nil && a.Is4()
	case "int":
		_, err := strconv.ParseUint(text, 0, 64)
		return err == nil
	case "number":
		_, err := strconv.ParseFloat(text, 64)
		return err == nil
	case "hash":
		_, err := hex.DecodeString(text)
		return err == nil
	case "domain":
		return strings.Contains(text, ".") && !strings.ContainsAny(text, " /:")
	}
	return !strings.HasSuffix(kind, "[]")
}
