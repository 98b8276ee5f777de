package gate

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"hemostat/reports/compare"
	"hemostat/sim/strictyaml"
)

// Policy says what a candidate must not lose, and what it must gain.
type Policy struct {
	Pos         strictyaml.Pos               `yaml:"-"`
	Name        string                       `yaml:"name" name:"true" doc:"name of the policy; that of the file when absent"`
	Description string                       `yaml:"description" doc:"what it guards"`
	Alpha       float64                      `yaml:"alpha" doc:"error rate of the verdicts; 0.05 when absent"`
	Trials      Trials                       `yaml:"trials" doc:"how many trials, of both sides together"`
	Scenarios   []string                     `yaml:"scenarios" doc:"scenarios to run, names or files; the embedded ones when absent"`
	Weights     map[string]float64           `yaml:"weights" doc:"weight of a scenario in checks over all together; 1 when absent"`
	Set         map[string]string            `yaml:"set" doc:"settings of the scenarios, such as background.rate: 0.1"`
	Errors      string                       `yaml:"errors" enum:"refuse,fail,ignore" doc:"when trials of one side end in errors and those of the other do not: refuse to pass (when absent), fail, or leave them out"`
	Checks      []Check                      `yaml:"checks" doc:"what is checked"`
	Floors      map[string]map[string]Amount `yaml:"floors" doc:"metric, scenario and the value that the candidate must reach there, such as contained: {ransomware: 0.6}"`

	Benign       []string `yaml:"benign" doc:"attack-free recordings, files or folders relative to the policy, that both sides are tried on"`
	BenignMargin int      `yaml:"benign_margin" doc:"alerts that the candidate may add on them; 0 when absent"`

	// Digest is the SHA-256 of the file.
	Digest string `yaml:"-"`
}

// Trials bounds a gate's effort. All numbers count the trials of both sides.
type Trials struct {
	Min   int `yaml:"min" doc:"before any verdict; 80 when absent"`
	Max   int `yaml:"max" doc:"after which the gate gives up undecided; 3600 when absent"`
	Batch int `yaml:"batch" doc:"between two looks, rounded up to whole rounds of all scenarios; 160 when absent"`
}

// Check is one condition on a metric. Margins and gains are positive amounts;
// which direction is better is known of each metric.
type Check struct {
	Pos           strictyaml.Pos `yaml:"-"`
	Metric        string         `yaml:"metric" required:"true" doc:"what is measured"`
	Scenario      string         `yaml:"scenario" doc:"only in this scenario; over all together when absent"`
	EachScenario  bool           `yaml:"each_scenario" doc:"in each scenario by itself"`
	EachTechnique bool           `yaml:"each_technique" doc:"for each technique by itself; for the metric technique_detected"`
	Margin        Amount         `yaml:"margin" doc:"how much worse than the baseline is still accepted: 0.03 or 3 % is three points of a rate; 10m an amount of time; 25 % of anything else is relative, pair by pair"`
	Gain          Amount         `yaml:"gain" doc:"how much better than the baseline the candidate must be"`
	Floor         Amount         `yaml:"floor" doc:"the candidate's own mean must not be worse than this"`
	Cap           Amount         `yaml:"cap" doc:"what one trial counts for at most; the metric's own bound when absent, the horizon for times"`
	Veto          bool           `yaml:"veto" doc:"fails the gate when the loss is certain; for a pass it is enough that no such loss was seen, certain or not"`
}

// Amount is a number, a number with %, or a duration.
type Amount struct {
	Text    string
	Value   float64 // nanoseconds for a duration, a share for %
	Percent bool
}

// given tells whether there is one.
func (a Amount) given() bool { return a.Text != "" }

// UnmarshalText reads 0.03, 3 %, or 10m.
func (a *Amount) UnmarshalText(text []byte) error {
	a.Text = strings.TrimSpace(string(text))
	if d, err := time.ParseDuration(a.Text); err == nil && a.Text != "0" {
		a.Value = float64(d)
		return nil
	}
	number, percent := strings.CutSuffix(a.Text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf(
			"a number such as 0.03, a share such as 3 %%, or a duration such as 10m is expected, not %q",
			a.Text,
		)
	}
	a.Value, a.Percent = v, percent
	if percent {
		a.Value /= 100
	}
	return nil
}

//go:embed default.yaml
var defaultPolicy []byte

// Default is the policy that stands in for none.
func Default() (*Policy, error) { return Parse("default.yaml", defaultPolicy) }

// DefaultText is the default policy as it is written.
func DefaultText() []byte { return defaultPolicy }

// Schema is the JSON Schema of policies.
func Schema() []byte { return strictyaml.Schema("hemostat gate policy", Policy{}) }

// metrics are those of comparisons, and how well techniques are detected.
func metric(name string) *compare.Metric {
	if name == compare.TechniqueDetected.Name {
		return &compare.TechniqueDetected
	}
	return compare.MetricByName(name)
}

// Parse reads a policy; every fault is reported with its place.
func Parse(file string, data []byte) (*Policy, error) {
	p := &Policy{}
	if err := strictyaml.Decode(file, data, p); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	p.Digest = hex.EncodeToString(sum[:])
	p.defaults(file)
	var faults strictyaml.Faults
	fault := func(path, format string, args ...any) { faults = append(faults, p.Pos.Fault(path, format, args...)) }
	p.floors()
	if p.Alpha < 1e-6 || p.Alpha > 0.5 {
		fault("alpha", "an error rate from 0.000001 to 0.5 is expected, not %g", p.Alpha)
	}
	if t := p.Trials; t.Min < 2 || t.Max < t.Min || t.Batch < 2 {
		fault(
			"trials",
			"min and batch of at least 2 and a max of at least min are expected, not {min: %d, max: %d, batch: %d}",
			t.Min,
			t.Max,
			t.Batch,
		)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Weights)) {
		if w := p.Weights[name]; !(w > 0) || w > 1000 {
			fault("weights", "the weight of %s is a positive number up to 1000, not %g", name, w)
		}
	}
	if p.BenignMargin < 0 {
		fault("benign_margin", "0 or more is expected, not %d", p.BenignMargin)
	}
	if len(p.Checks) == 0 {
		fault("checks", "a policy without checks lets everything pass; name at least one check or floor")
	}
	for i := range p.Checks {
		c := &p.Checks[i]
		c.check(func(path, format string, args ...any) {
			faults = append(faults, c.Pos.Fault(fmt.Sprintf("checks[%d].%s", i, path), format, args...))
		})
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) defaults(file string) {
	if p.Name == "" {
		p.Name = file
	}
	if p.Alpha == 0 {
		p.Alpha = 0.05
	}
	if p.Trials.Max == 0 {
		p.Trials.Max = max(3600, p.Trials.Min)
	}
	if p.Trials.Min == 0 {
		p.Trials.Min = min(80, p.Trials.Max)
	}
	if p.Trials.Batch == 0 {
		p.Trials.Batch = 160
	}
	if p.Errors == "" {
		p.Errors = "refuse"
	}
}

// floors turns the floors into checks.
func (p *Policy) floors() {
	for _, m := range slices.Sorted(maps.Keys(p.Floors)) {
		for _, scenario := range slices.Sorted(maps.Keys(p.Floors[m])) {
			c := Check{Pos: p.Pos, Metric: m, Scenario: scenario, Floor: p.Floors[m][scenario]}
			if scenario == "*" {
				c.Scenario = ""
			}
			p.Checks = append(p.Checks, c)
		}
	}
}

// Names checks that what the policy names is among the scenarios of this gate.
func (p *Policy) Names(scenarios []string) error {
	var faults strictyaml.Faults
	known := func(pos strictyaml.Pos, path, name string) {
		if name != "" && !slices.Contains(scenarios, name) {
			faults = append(
				faults,
				pos.Fault(path, "%s is none of the scenarios of this gate: %s", name, strings.Join(scenarios, ", ")),
			)
		}
	}
	for i, c := range p.Checks {
		known(c.Pos, fmt.Sprintf("checks[%d].scenario", i), c.Scenario)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Weights)) {
		known(p.Pos, "weights", name)
	}
	return faults.Err()
}

func (c *Check) check(fault func(path, format string, args ...any)) {
	m := metric(c.Metric)
	if m == nil {
		fault(
			"metric",
			"unknown metric %q; accepted: %s",
			c.Metric,
			strings.Join(append(compare.MetricNames(), compare.TechniqueDetected.Name), ", "),
		)
		return
	}
	given := 0
	for _, x := range []struct {
		path   string
		amount Amount
	}{{"margin", c.Margin}, {"gain", c.Gain}, {"floor", c.Floor}} {
		if !x.amount.given() {
			continue
		}
		given++
		if x.path != "floor" && !(x.amount.Value > 0) {
			fault(
				x.path,
				"a positive amount is expected, whichever direction is better for %s, not %s",
				c.Metric,
				x.amount.Text,
			)
		}
		c.bounds(x.path, x.amount, m, fault)
	}
	if given != 1 {
		fault("margin", "a check needs one of margin, gain and floor; this one has %d", given)
	}
	if c.Cap.given() && !(c.Cap.Value > 0) {
		fault("cap", "a cap is a positive amount, not %s", c.Cap.Text)
	}
	if n := btoi(c.EachScenario) + btoi(c.EachTechnique) + btoi(c.Scenario != ""); n > 1 {
		fault("scenario", "scenario, each_scenario and each_technique exclude each other")
	}
	if technique := c.Metric == compare.TechniqueDetected.Name; technique != c.EachTechnique {
		fault("each_technique", "the metric technique_detected and each_technique: true go together")
	} else if technique && (!c.Veto || !c.Margin.given()) {
		fault("veto", "a check of each technique has a margin and veto: true: rare techniques may not come up often enough to show more")
	}
}

// bounds checks an amount against what the metric can be at all.
func (c *Check) bounds(path string, a Amount, m *compare.Metric, fault func(path, format string, args ...any)) {
	bound := m.Bound
	if c.Cap.given() {
		bound = c.Cap.Value
	}
	relative := c.relative(m)
	switch {
	case relative && path == "floor":
		fault(path, "a floor of %s is a value, not a share: %s", m.Name, example(m))
	case relative && path == "gain" && m.Better < 0 && a.Value >= 1:
		fault(path, "nothing can be better by %s", a.Text)
	case relative && a.Value > 10:
		fault(path, "at most 1000 %% is accepted, not %s", a.Text)
	case relative || bound == 0:
	case a.Value < 0 || a.Value > bound || path != "floor" && a.Value >= bound:
		fault(
			path,
			"%s lies between 0 and %s, so %s cannot be its %s; write for example %s",
			m.Name,
			m.Format(bound),
			a.Text,
			path,
			example(m),
		)
	}
	if m.Kind == compare.Time && !a.Percent && a.Value > 0 && a.Value < float64(time.Millisecond) {
		fault(path, "a duration such as 10m or a share such as 10 %% is expected for a time, not %s", a.Text)
	}
}

func example(m *compare.Metric) string {
	switch m.Kind {
	case compare.Rate:
		return "0.03 or 3 %"
	case compare.Time:
		return "10m"
	}
	return m.Format(m.Bound / 10)
}

// relative tells whether the check's amount is a share of the baseline's value,
// pair by pair. Of a rate, % are points.
func (c *Check) relative(m *compare.Metric) bool {
	return m.Kind != compare.Rate && (c.Margin.Percent || c.Gain.Percent || c.Floor.Percent)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
