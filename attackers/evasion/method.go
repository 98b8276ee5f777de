package evasion

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hemostat/attackers/technique"
	"hemostat/sim/strictyaml"
)

// Name is a method's name in scenarios.
type Name string

// The methods.
const (
	Mimicry         Name = "mimicry"
	RhythmSearch    Name = "rhythm_search"
	LinkBreaking    Name = "link_breaking"
	Poisoning       Name = "poisoning"
	Tampering       Name = "tampering"
	Chaff           Name = "chaff"
	FalseIndicators Name = "false_indicators"
	Injection       Name = "injection"
	Extraction      Name = "extraction"
)

// Access is what an attacker can learn of the defence's detectors.
type Access string

// The kinds of access: none but what is published; answers of the detector to so many questions,
// as a customer of the same product has them; the model itself, so that questions cost nothing.
const (
	NoAccess     Access = "none"
	ScoreAccess  Access = "scores"
	WholeModel   Access = "model"
	freeQueries         = 2000 // of an attacker who holds the model
	proxyQueries        = 300  // of an attacker who tries themselves against what is published
)

// Method is a way to deceive a defence.
type Method struct {
	Name Name
	Doc  string
	// Techniques are the ids of MITRE ATLAS, the main one first.
	Techniques []string
	// Access lists what the attacker may be assumed to know, the default first.
	Access []Access
	// Price says what it costs the attacker.
	Price string
	// keys are the keys that the method reads beside method and access.
	keys []string
}

// Methods are all that there are.
var Methods = []Method{
	{
		Name: Mimicry, Doc: "tools, client, certificate and sizes are chosen to look like what is ordinary",
		Techniques: []string{"AML.T0015", "AML.T0043.003"}, Access: []Access{NoAccess},
		Price: "every step takes 1 + effort times as long", keys: []string{"effort"},
	},
	{
		Name: RhythmSearch, Doc: "intervals and sizes of calls home are searched until a detector of beacons finds them irregular",
		Techniques: []string{"AML.T0043.001", "AML.T0043.000", "AML.T0005.001"},
		Access:     []Access{NoAccess, ScoreAccess, WholeModel},
		Price:      "questions, and calls that come up to effort times more rarely", keys: []string{"queries", "slowdown"},
	},
	{
		Name: LinkBreaking, Doc: "pause, addresses, domains and tools are changed between the parts of the attack until a model of trees no longer links them",
		Techniques: []string{"AML.T0043.001", "AML.T0043.000", "AML.T0015"}, Access: []Access{ScoreAccess, WholeModel},
		Price: "questions, the pauses, and what is changed", keys: []string{"queries", "pause"},
	},
	{
		Name: Poisoning, Doc: "before the attack goes on, tastes of it come one by one, so that detectors learn them as ordinary",
		Techniques: []string{"AML.T0020", "AML.T0059"}, Access: []Access{NoAccess},
		Price: "the time for which the attack waits on its first foothold", keys: []string{"for", "growth"},
	},
	{
		Name: Tampering, Doc: "traces of the attack are put among the days from which the detectors learn",
		Techniques: []string{"AML.T0020", "AML.T0018.000"}, Access: []Access{WholeModel},
		Price: "write access to the training data", keys: []string{"days"},
	},
	{
		Name: Chaff, Doc: "loud techniques from throw-away addresses raise alerts that keep people and budgets busy",
		Techniques: []string{"AML.T0046", "AML.T0029", "AML.T0034"}, Access: []Access{NoAccess},
		Price: "addresses that are blocked, and early notice of an attack", keys: []string{"rate", "for", "techniques"},
	},
	{
		Name: FalseIndicators, Doc: "places that the estate needs are reported to feeds as hostile",
		Techniques: []string{"AML.T0059", "AML.T0031"}, Access: []Access{NoAccess},
		Price: "accounts at those who share indicators", keys: []string{"count"},
	},
	{
		Name: Injection, Doc: "text for a model that reads telemetry stands in commands, in names of files, or in what the model retrieves",
		Techniques: []string{"AML.T0051.000", "AML.T0051.001", "AML.T0068", "AML.T0071"}, Access: []Access{NoAccess},
		Price: "an odd text in the logs that a person would notice", keys: []string{"where", "disguise"},
	},
	{
		Name: Extraction, Doc: "tools are tried against the defence's rules and detectors beforehand, and those that are seen are not used",
		Techniques: []string{"AML.T0024.002", "AML.T0005.001", "AML.T0042"}, Access: []Access{ScoreAccess, WholeModel},
		Price: "questions: each tool is tried once", keys: []string{"queries"},
	},
}

// methodByName finds a method; nil when there is none.
func methodByName(name Name) *Method {
	at := slices.IndexFunc(Methods, func(m Method) bool { return m.Name == name })
	if at < 0 {
		return nil
	}
	return &Methods[at]
}

// Spec is a method as a scenario asks for it.
type Spec struct {
	Pos    strictyaml.Pos `yaml:"-" json:"-"`
	Method Name           `yaml:"method" required:"true" enum:"mimicry,rhythm_search,link_breaking,poisoning,tampering,chaff,false_indicators,injection,extraction" doc:"how the defence is deceived"`
	Access Access         `yaml:"access" json:",omitempty" enum:"none,scores,model" doc:"what the attacker can learn of the detectors: none but what is published, answers to questions (scores), the model itself; the least that the method needs when absent"`

	Effort     float64             `yaml:"effort" json:",omitempty" doc:"of mimicry: 0 to 1, how much of what is ordinary is imitated; 1 when absent"`
	Queries    int                 `yaml:"queries" json:",omitempty" doc:"of methods that ask with access scores: how many questions; 40 when absent"`
	Slowdown   float64             `yaml:"slowdown" json:",omitempty" doc:"of rhythm_search: how much more rarely calls may come at most; 3 when absent"`
	Pause      time.Duration       `yaml:"pause" json:",omitempty" doc:"of link_breaking: the longest pause between two parts of the attack; 2h when absent"`
	For        time.Duration       `yaml:"for" json:",omitempty" doc:"of poisoning and chaff: for how long; 4h when absent"`
	Growth     float64             `yaml:"growth" json:",omitempty" doc:"of poisoning: by what factor each taste is larger than the one before; 1.3 when absent"`
	Days       int                 `yaml:"days" json:",omitempty" doc:"of tampering: days of training among which the attack stands; 6 when absent"`
	Rate       float64             `yaml:"rate" json:",omitempty" doc:"of chaff: loud techniques an hour; 12 when absent"`
	Techniques []string            `yaml:"techniques" json:",omitempty" doc:"of chaff: which, of those that need no foothold; T1595.001 and T1595.002 when absent; T1110.001 may break in"`
	Count      int                 `yaml:"count" json:",omitempty" doc:"of false_indicators: how many; 10 when absent"`
	Where      technique.Placement `yaml:"where" json:",omitempty" enum:"direct,stored,retrieved" doc:"of injection: direct in command lines, stored in names of files, retrieved in scripts that run before; direct when absent"`
	Disguise   string              `yaml:"disguise" json:",omitempty" enum:"none,base64,letters,language" doc:"of injection: how the text is disguised; none when absent"`
}

// given lists the keys that are set beside method and access.
func (s *Spec) given() []string {
	var out []string
	for _, x := range []struct {
		key string
		set bool
	}{
		{"effort", s.Effort != 0}, {"queries", s.Queries != 0}, {"slowdown", s.Slowdown != 0}, {"pause", s.Pause != 0}, {"for", s.For != 0},
		{"growth", s.Growth != 0}, {"days", s.Days != 0}, {"rate", s.Rate != 0}, {"techniques", len(s.Techniques) > 0}, {"count", s.Count != 0},
		{"where", s.Where != ""}, {"disguise", s.Disguise != ""},
	} {
		if x.set {
			out = append(out, x.key)
		}
	}
	return out
}

// Check reports what is wrong beyond the form; specs are those of one attacker.
func Check(specs []Spec, path string) strictyaml.Faults {
	var faults strictyaml.Faults
	seen := map[Name]bool{}
	for i := range specs {
		s := &specs[i]
		fault := func(key, format string, args ...any) {
			faults = append(faults, s.Pos.Fault(fmt.Sprintf("%s.evasion[%d]%s", path, i, key), format, args...))
		}
		m := methodByName(s.Method)
		if m == nil {
			continue // the form says it
		}
		if seen[s.Method] {
			fault(".method", "%s stands there twice", s.Method)
		}
		seen[s.Method] = true
		if s.Access != "" && !slices.Contains(m.Access, s.Access) {
			fault(".access", "%s knows no access %s; accepted: %s", s.Method, s.Access, join(m.Access))
		}
		for _, key := range s.given() {
			if !slices.Contains(m.keys, key) {
				fault("."+key, "%s does not read it; it reads: %s", s.Method, strings.Join(m.keys, ", "))
			}
		}
		s.checkNumbers(fault)
	}
	return faults
}

func (s *Spec) checkNumbers(fault func(key, format string, args ...any)) {
	for _, x := range []struct {
		key       string
		value     float64
		low, high float64
	}{
		{"effort", s.Effort, 0, 1}, {"queries", float64(s.Queries), 1, 1e5}, {"slowdown", s.Slowdown, 1, 100},
		{"pause", s.Pause.Hours(), 0.25, 48},
		{"growth", s.Growth, 1, 10}, {"days", float64(s.Days), 1, 30}, {"rate", s.Rate, 0, 3600}, {"count", float64(s.Count), 1, 1000},
		{"for", s.For.Hours(), 0, 90 * 24},
	} {
		if x.value != 0 && !(x.value >= x.low && x.value <= x.high) {
			fault("."+x.key, "a number from %g to %g is expected, not %g", x.low, x.high, x.value)
		}
	}
	for _, id := range s.Techniques {
		if !slices.Contains(loud, id) {
			fault(".techniques", "%s is no loud technique that needs no foothold; accepted: %s", id, strings.Join(loud, ", "))
		}
	}
}

func join(list []Access) string {
	var out []string
	for _, a := range list {
		out = append(out, string(a))
	}
	return strings.Join(out, ", ")
}

// withDefaults fills in what is absent.
func (s Spec) withDefaults() Spec {
	set := func(to *float64, otherwise float64) {
		if *to == 0 {
			*to = otherwise
		}
	}
	number := func(to *int, otherwise int) {
		if *to == 0 {
			*to = otherwise
		}
	}
	set(&s.Effort, 1)
	set(&s.Slowdown, 3)
	set(&s.Growth, 1.3)
	set(&s.Rate, 12)
	number(&s.Queries, 40)
	number(&s.Days, 6)
	number(&s.Count, 10)
	if s.For == 0 {
		s.For = 4 * time.Hour
	}
	if s.Pause == 0 {
		s.Pause = 2 * time.Hour
	}
	if len(s.Techniques) == 0 {
		s.Techniques = loud[:2]
	}
	if s.Where == "" {
		s.Where = technique.InCommands
	}
	if s.Access == "" {
		s.Access = methodByName(s.Method).Access[0]
	}
	return s
}

// loud are techniques that need no foothold and raise alerts.
var loud = []string{"T1595.001", "T1595.002", "T1110.001"}

// questions is how many questions the attacker asks.
func (s *Spec) questions() int {
	switch s.Access {
	case WholeModel:
		return freeQueries
	case ScoreAccess:
		return s.Queries
	}
	return proxyQueries
}
