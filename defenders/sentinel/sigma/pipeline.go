package sigma

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"hemostat/sim/event"
)

// Pipeline adapts rules to a site: it renames fields, moves rules to other log
// sources, adds conditions, changes values and fills placeholders. Its form is
// that of pySigma's processing pipelines, as far as they concern rules and not
// the text of queries; the types that are accepted are transformationTypes.
type Pipeline struct {
	Name     string
	Priority int
	// Digest is the SHA-256 of the file.
	Digest [32]byte

	vars  map[string][]string
	steps []*step
}

// step is one transformation with the conditions under which it is applied. One
// of whole, rename and each is set.
type step struct {
	id     string
	rules  conditions[*facts]
	fields conditions[string]
	items  conditions[item]

	whole  func(*plan) error                               // changes the rule
	rename func(field string) []string                     // changes a field's name
	each   func(item, map[string][]string) ([]item, error) // changes a field with its values
}

// item is a field with its modifiers and values, before it is compiled.
type item struct {
	field     string
	modifiers []string
	values    []scalar
}

// String is the item's key as rules write it.
func (i item) String() string { return strings.Join(append([]string{i.field}, i.modifiers...), "|") }

func (i item) is(modifier string) bool { return slices.Contains(i.modifiers, modifier) }

// facts is what conditions on rules look at.
type facts struct {
	rule    *Rule
	source  event.LogSource
	applied map[string]bool // ids of earlier steps
}

// conditions must hold all, or one, or not.
type conditions[T any] struct {
	tests    []func(T) bool
	any, not bool
}

func (c conditions[T]) hold(of T) bool {
	if len(c.tests) == 0 {
		return true
	}
	test := func(t func(T) bool) bool { return t(of) }
	var holds bool
	if c.any {
		holds = slices.ContainsFunc(c.tests, test)
	} else {
		holds = !slices.ContainsFunc(c.tests, func(t func(T) bool) bool { return !t(of) })
	}
	return holds != c.not
}

// plan is what pipelines do with one rule.
type plan struct {
	source event.LogSource
	vars   map[string][]string
	steps  []*step
	added  []addition
}

// addition is a condition that a pipeline adds to a rule. The steps before it do
// not change it.
type addition struct {
	name    string
	of      *yaml.Node
	negated bool
	from    int
}

// newPlan finds the steps that apply to a rule. It is nil without pipelines.
func newPlan(pipelines []*Pipeline, r *Rule) (*plan, error) {
	if len(pipelines) == 0 {
		return nil, nil
	}
	ordered := slices.SortedStableFunc(slices.Values(pipelines), func(a, b *Pipeline) int { return cmp.Compare(a.Priority, b.Priority) })
	p := &plan{source: r.Source, vars: map[string][]string{}}
	for _, pipeline := range ordered {
		maps.Copy(p.vars, pipeline.vars)
	}
	f := &facts{rule: r, source: r.Source, applied: map[string]bool{}}
	for _, pipeline := range ordered {
		for _, s := range pipeline.steps {
			f.source = p.source
			if !s.rules.hold(f) {
				continue
			}
			f.applied[s.id] = true
			if s.whole == nil {
				p.steps = append(p.steps, s)
			} else if err := s.whole(p); err != nil {
				return nil, fmt.Errorf("pipeline %s: %w", pipeline.Name, err)
			}
		}
	}
	return p, nil
}

// names are those that a field has after the steps.
func (p *plan) names(field string) []string {
	names := []string{field}
	if p == nil {
		return names
	}
	for _, s := range p.steps {
		if s.rename != nil {
			names = s.renamed(names)
		}
	}
	return names
}

func (s *step) renamed(names []string) []string {
	var out []string
	for _, n := range names {
		if s.fields.hold(n) {
			out = append(out, s.rename(n)...)
		} else {
			out = append(out, n)
		}
	}
	return out
}

// apply takes an item through the steps. Several results are alternatives; none
// means that the item is dropped.
func (p *plan) apply(i item, from int) ([]item, error) {
	items := []item{i}
	if p == nil {
		return items, nil
	}
	for _, s := range p.steps[from:] {
		var next []item
		for _, i := range items {
			more := []item{i}
			var err error
			switch {
			case !s.fields.hold(i.field) || !s.items.hold(i):
			case s.rename != nil:
				more = s.alternatives(i)
			default:
				more, err = s.each(i, p.vars)
			}
			if err != nil {
				return nil, err
			}
			next = append(next, more...)
		}
		items = next
	}
	return items, nil
}

// alternatives is an item under each of its new names; fields that its values
// refer to are renamed too.
func (s *step) alternatives(i item) []item {
	if i.is("fieldref") {
		values := i.values
		i.values = nil
		for _, v := range values {
			for _, name := range s.renamed([]string{v.text}) {
				i.values = append(i.values, scalar{name, v.tag})
			}
		}
	}
	if i.field == "" {
		return []item{i}
	}
	var out []item
	for _, name := range s.rename(i.field) {
		i.field = name
		out = append(out, i)
	}
	return out
}

// ParsePipeline reads a pipeline from YAML. The error is an Errors.
func ParsePipeline(file string, data []byte) (*Pipeline, error) {
	p := &parser{file: file}
	var out []*Pipeline
	p.documents(data, func(n *yaml.Node) { out = append(out, p.pipeline(n)) })
	if len(out) != 1 && len(p.faults) == 0 {
		p.faults = append(p.faults, Error{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the file holds %d pipelines, and one is expected", len(out))})
	}
	if err := p.faults.Err(); err != nil {
		return nil, err
	}
	out[0].Digest = sha256.Sum256(data)
	return out[0], nil
}

func (p *parser) pipeline(n *yaml.Node) *Pipeline {
	out := &Pipeline{vars: map[string][]string{}}
	k := p.keys(n, "a pipeline")
	if out.Name = k.text("name"); out.Name == "" {
		out.Name = p.file
	}
	if n := k.take("priority"); n != nil {
		priority, err := strconv.Atoi(n.Value)
		if err != nil {
			p.fault(n, "priority is a whole number, not %q", n.Value)
		}
		out.Priority = priority
	}
	if n := k.take("vars"); n != nil {
		for _, pair := range p.pairs(n, "vars") {
			out.vars[pair.name.Value] = texts(pair.value)
		}
	}
	k.take("allowed_backends") // concerns translators of rules to queries
	steps := k.need("transformations")
	k.end()
	if steps == nil {
		return out
	}
	if steps.Kind != yaml.SequenceNode {
		p.fault(steps, "transformations is a list")
	}
	for _, n := range steps.Content {
		if s := p.step(n); s != nil {
			out.steps = append(out.steps, s)
		}
	}
	return out
}

func (p *parser) step(n *yaml.Node) *step {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "a transformation is a mapping with a type")
		return nil
	}
	k := p.keys(n, "a transformation")
	kind := k.need("type")
	s := &step{id: k.text("id")}
	s.rules = readConditions(k, "rule", ruleCondition)
	s.fields = readConditions(k, "field_name", fieldCondition)
	s.items = readConditions(k, "detection_item", itemCondition)
	if kind == nil {
		return nil
	}
	make := transformations[kind.Value]
	if make == nil {
		p.fault(kind, "transformation %q is not supported; accepted: %s", kind.Value, strings.Join(slices.Sorted(maps.Keys(transformations)), ", "))
		return nil
	}
	k.what = kind.Value
	make(k, s)
	k.end()
	return s
}

// readConditions reads KIND_conditions, a list or a mapping of names, with
// KIND_cond_op (KIND_name_cond_op for fields) and KIND_cond_not.
func readConditions[T any](k *keyed, kind string, read func(*keyed, string) func(T) bool) conditions[T] {
	var c conditions[T]
	if n := k.take(kind + "_cond_op"); n != nil {
		if n.Value != "and" && n.Value != "or" {
			k.p.fault(n, "%s_cond_op is and or or, not %q", kind, n.Value)
		}
		c.any = n.Value == "or"
	}
	c.not = k.yes(kind + "_cond_not")
	list := k.take(kind + "_conditions")
	if list == nil {
		return c
	}
	if list.Kind != yaml.SequenceNode {
		k.p.fault(list, "%s_conditions is a list", kind)
		return c
	}
	for _, n := range list.Content {
		of := k.p.keys(n, "a condition")
		if of.n.Kind != yaml.MappingNode {
			continue
		}
		name := of.need("type")
		if name == nil {
			continue
		}
		of.what = "condition " + name.Value
		test := read(of, name.Value)
		if test == nil {
			k.p.fault(name, "condition %q is not supported here; accepted: %s", name.Value, conditionTypes[kind])
			continue
		}
		of.end()
		c.tests = append(c.tests, test)
	}
	return c
}

var conditionTypes = map[string]string{
	"rule":           "logsource, tag, is_sigma_rule, is_sigma_correlation_rule, processing_item_applied",
	"field_name":     "include_fields, exclude_fields",
	"detection_item": "match_string, is_null",
}

func ruleCondition(k *keyed, kind string) func(*facts) bool {
	switch kind {
	case "logsource":
		of := event.LogSource{Category: k.text("category"), Product: k.text("product"), Service: k.text("service")}
		same := func(wanted, is string) bool { return wanted == "" || wanted == is }
		return func(f *facts) bool {
			return same(of.Category, f.source.Category) && same(of.Product, f.source.Product) && same(of.Service, f.source.Service)
		}
	case "tag":
		tag := k.text("tag")
		return func(f *facts) bool { return slices.Contains(f.rule.Tags, tag) }
	case "is_sigma_rule":
		return func(f *facts) bool { return f.rule.Correlation == nil }
	case "is_sigma_correlation_rule":
		return func(f *facts) bool { return f.rule.Correlation != nil }
	case "processing_item_applied":
		id := k.text("processing_item_id")
		return func(f *facts) bool { return f.applied[id] }
	}
	return nil
}

func fieldCondition(k *keyed, kind string) func(string) bool {
	if kind != "include_fields" && kind != "exclude_fields" {
		return nil
	}
	fields, exclude := k.texts("fields"), kind == "exclude_fields"
	if mode := k.take("mode"); mode == nil || mode.Value == "plain" || mode.Value == "" {
		return func(name string) bool { return slices.Contains(fields, name) != exclude }
	} else if mode.Value != "re" {
		k.p.fault(mode, "mode is plain or re, not %q", mode.Value)
	}
	var expressions []*regexp.Regexp
	for _, f := range fields {
		r, err := regexp.Compile(`^(?:` + f + `)`)
		if err != nil {
			k.p.fault(k.n, "%s", refusedByRE2(err))
			continue
		}
		expressions = append(expressions, r)
	}
	return func(name string) bool {
		return slices.ContainsFunc(expressions, func(r *regexp.Regexp) bool { return r.MatchString(name) }) != exclude
	}
}

func itemCondition(k *keyed, kind string) func(item) bool {
	switch kind {
	case "match_string":
		r, every, negate := k.expression("pattern"), k.text("cond") == "all", k.yes("negate")
		test := func(v scalar) bool { return v.tag != "!!null" && r.MatchString(v.text) }
		return func(i item) bool {
			if every {
				return !slices.ContainsFunc(i.values, func(v scalar) bool { return !test(v) }) != negate
			}
			return slices.ContainsFunc(i.values, test) != negate
		}
	case "is_null":
		every := k.text("cond") == "all"
		test := func(v scalar) bool { return v.tag == "!!null" }
		return func(i item) bool {
			if every {
				return !slices.ContainsFunc(i.values, func(v scalar) bool { return !test(v) })
			}
			return slices.ContainsFunc(i.values, test)
		}
	}
	return nil
}
