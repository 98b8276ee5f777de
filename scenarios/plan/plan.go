// Package plan is what a run is to do: the matrix of scenarios, variants, parameters and
// trials, from a file or the command line, made ready as tasks for sim/batch.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/batch"
	"hemostat/sim/boundedfile"
	"hemostat/sim/record"
	"hemostat/sim/strictyaml"
)

// Plan is what a run is to do: a matrix of scenarios, variants and parameters.
type Plan struct {
	Pos       strictyaml.Pos      `yaml:"-" json:"-"`
	Scenarios []string            `yaml:"scenarios" doc:"scenarios by name or file; all embedded ones when absent"`
	Variants  []string            `yaml:"variants" doc:"variant files; the word default for the defence as it comes"`
	Trials    int                 `yaml:"trials" doc:"trials of each scenario and variant; 5 when absent"`
	Seed      uint64              `yaml:"seed" doc:"seed of all randomness; 1 when absent"`
	Set       map[string]string   `yaml:"set" json:"-" doc:"values to set, by path, in scenarios or variants"`
	Sweep     map[string][]string `yaml:"sweep" json:"-" doc:"values to go through, by path; each makes a variant"`

	// LeaveOneOut adds each variant without each of its detectors in turn.
	LeaveOneOut bool `yaml:"leave_one_out" doc:"also run each variant without each of its detectors in turn"`

	// Settings and sweeps of the file and from the command line, in order.
	Settings []scenarios.Setting `yaml:"-"`
	Sweeps   []Sweep             `yaml:"-"`
}

// Sweep is a path and the values that it takes in turn.
type Sweep struct {
	Path   string
	Values []string
}

// Read reads a plan file.
func Read(file string) (*Plan, error) {
	data, err := boundedfile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", file, err)
	}
	p := &Plan{}
	if err := strictyaml.Decode(file, data, p); err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(p.Set)) {
		p.Settings = append(p.Settings, scenarios.Setting{Path: path, Value: p.Set[path]})
	}
	for _, path := range slices.Sorted(maps.Keys(p.Sweep)) {
		sweep := Sweep{path, p.Sweep[path]}
		if err := sweep.check(); err != nil {
			return nil, p.Pos.Fault("sweep", "%s", err)
		}
		p.Sweeps = append(p.Sweeps, sweep)
	}
	return p, nil
}

// ParseSweep reads PATH=A,B,C. Commas inside parentheses or brackets do not
// part values. Values must differ, and brackets must be closed.
func ParseSweep(text string) (Sweep, error) {
	s, err := scenarios.ParseSetting(text)
	if err != nil {
		return Sweep{}, err
	}
	sweep := Sweep{Path: s.Path}
	var open []rune // brackets that are not closed yet
	from := 0
	for i, r := range s.Value + "," {
		switch r {
		case '(', '[', '{':
			open = append(open, closing[r])
		case ')', ']', '}':
			if len(open) == 0 || open[len(open)-1] != r {
				return Sweep{}, fmt.Errorf("%s: the bracket %c closes none that is open", s.Path, r)
			}
			open = open[:len(open)-1]
		case ',':
			if len(open) == 0 {
				sweep.Values = append(sweep.Values, strings.TrimSpace(s.Value[from:i]))
				from = i + 1
			}
		}
	}
	if len(open) > 0 {
		return Sweep{}, fmt.Errorf("%s: a bracket is not closed; %c is missing", s.Path, open[len(open)-1])
	}
	return sweep, sweep.check()
}

var closing = map[rune]rune{'(': ')', '[': ']', '{': '}'}

// check refuses sweeps that would run nothing, or the same twice.
func (s Sweep) check() error {
	if len(s.Values) == 0 {
		return fmt.Errorf("%s: there is no value to go through", s.Path)
	}
	seen := map[string]bool{}
	for _, v := range s.Values {
		if v == "" {
			return fmt.Errorf("%s: a value is empty", s.Path)
		}
		if seen[v] {
			return fmt.Errorf("%s: the value %s stands there twice", s.Path, v)
		}
		seen[v] = true
	}
	return nil
}

// Combination is a scenario against a variant.
type Combination struct {
	Scenario *scenarios.Scenario
	Variant  *defence.Variant
}

// Matrix is a plan made ready.
type Matrix struct {
	Cells  []Combination
	Trials int
	Seed   uint64
}

// maxTrials bounds a plan.
const maxTrials = 10_000_000

// Build loads everything that a plan names. Every scenario or variant that does
// not load is reported.
func (p *Plan) Build() (*Matrix, error) {
	m := &Matrix{Trials: p.Trials, Seed: p.Seed}
	names := p.Scenarios
	if len(names) == 0 {
		names = scenarios.EmbeddedNames()
	}
	files := p.Variants
	if len(files) == 0 {
		files = []string{"default"}
	}
	combinations := [][]scenarios.Setting{slices.Clone(p.Settings)}
	for _, sweep := range p.Sweeps {
		var next [][]scenarios.Setting
		for _, c := range combinations {
			for _, value := range sweep.Values {
				next = append(next, append(slices.Clone(c), scenarios.Setting{Path: sweep.Path, Value: value}))
			}
		}
		combinations = next
	}
	var faults []error
	variants := map[string]*defence.Variant{}
	for _, file := range files {
		for _, set := range combinations {
			v, err := defence.LoadSimulated(file, set)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			if other := variants[v.Name]; other != nil && other.Digest != v.Digest {
				faults = append(faults, fmt.Errorf("two variants are named %q; give one another name", v.Name))
			}
			variants[v.Name] = v
			own := []*defence.Variant{v}
			if p.LeaveOneOut {
				own = append(own, withoutEach(v)...)
			}
			for _, name := range names {
				s, err := scenarios.Load(name, v.Scenario)
				if err != nil {
					faults = append(faults, err)
					continue
				}
				if err := v.Fits(s); err != nil {
					faults = append(faults, err)
				}
				for _, x := range own {
					m.Cells = append(m.Cells, Combination{s, x})
				}
			}
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(unique(faults)...)
	}
	if m.Trials < 1 || m.Trials*len(m.Cells) > maxTrials {
		return nil, fmt.Errorf(
			"from 1 to %d trials in all are accepted, not %d of each of %d cells",
			maxTrials,
			m.Trials,
			len(m.Cells),
		)
	}
	return m, nil
}

// withoutEach is a variant without each of its detectors in turn, as long as one is left.
func withoutEach(v *defence.Variant) []*defence.Variant {
	names := v.DetectorNames()
	if len(names) < 2 {
		return nil
	}
	var out []*defence.Variant
	for _, name := range names {
		out = append(out, v.Without(name))
	}
	return out
}

// Variants lists the variants, each once.
func (m *Matrix) Variants() []*defence.Variant {
	var all []*defence.Variant
	for _, c := range m.Cells {
		if !slices.Contains(all, c.Variant) {
			all = append(all, c.Variant)
		}
	}
	return all
}

// Replace puts a variant in the place of another.
func (m *Matrix) Replace(old, by *defence.Variant) {
	for i := range m.Cells {
		if m.Cells[i].Variant == old {
			m.Cells[i].Variant = by
		}
	}
}

// Close ends the plug-ins of the variants.
func (m *Matrix) Close() error {
	var faults []error
	closed := map[*defence.Variant]bool{}
	for _, c := range m.Cells {
		if !closed[c.Variant] {
			closed[c.Variant] = true
			faults = append(faults, c.Variant.Close())
		}
	}
	return errors.Join(faults...)
}

func unique(all []error) []error {
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(e error) bool {
		again := seen[e.Error()]
		seen[e.Error()] = true
		return again
	})
}

// Digests are those of the scenarios and variants, by kind and name.
func (m *Matrix) Digests() map[string]string {
	all := map[string]string{}
	for _, c := range m.Cells {
		all["scenario "+c.Scenario.Name] = c.Scenario.Digest()
		all["variant "+c.Variant.Name] = c.Variant.Digest
	}
	return all
}

// Digest identifies the plan.
func (m *Matrix) Digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n", m.Trials, m.Seed)
	for _, c := range m.Cells {
		fmt.Fprintln(h, c.Scenario.Digest(), c.Variant.Digest)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Tasks lists the trials, those of one index together, so that an interrupted
// run leaves pairs.
func (m *Matrix) Tasks(o trial.Options) []batch.Task {
	o.Seed = m.Seed
	digests := make([]string, len(m.Cells))
	for i, c := range m.Cells {
		digests[i] = c.Scenario.Digest()
	}
	var tasks []batch.Task
	for index := range m.Trials {
		for i, c := range m.Cells {
			tasks = append(tasks, batch.Task{
				TrialID: record.TrialID(
					digests[i],
					c.Variant.Digest,
					m.Seed,
					index,
				), Scenario: c.Scenario.Name, Variant: c.Variant.Name, Index: index,
				Run: func(interrupted func() bool) (*record.Trial, error) {
					return trial.Run(c.Scenario, c.Variant, index, o, interrupted)
				},
			})
		}
	}
	return tasks
}
