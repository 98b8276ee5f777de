package sigma

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"

	"hemostat/sim/event"
	"hemostat/sim/suggest"
)

// ErrNoRuleFile tells that a folder holds no file of rules.
var ErrNoRuleFile = errors.New("it holds no .yml or .yaml file")

// ReadDir reads every .yml and .yaml file below a folder, as Parse does. Rules that are in
// order are returned even when others are not; the error lists every fault.
func ReadDir(fsys fs.FS, dir string, pipelines ...*Pipeline) ([]*Rule, error) {
	var names []string
	err := fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("rules folder %s: %w", name, err)
		}
		if ext := path.Ext(name); !d.IsDir() && (ext == ".yml" || ext == ".yaml") {
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("rules folder %s: %w", dir, ErrNoRuleFile)
	}
	// Files are read side by side; what they give keeps their order.
	rules, faults := make([][]*Rule, len(names)), make([]Errors, len(names))
	var readers sync.WaitGroup
	next := make(chan int)
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		readers.Go(func() {
			for i := range next {
				data, err := fs.ReadFile(fsys, names[i])
				if err != nil {
					faults[i] = Errors{{File: names[i], Message: err.Error()}}
					continue
				}
				rules[i], err = Parse(names[i], data, pipelines...)
				errors.As(err, &faults[i])
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	readers.Wait()
	return slices.Concat(rules...), slices.Concat(faults...).Err()
}

// Parse reads the rules of one file, which may hold several documents, and adapts
// them by pipelines. The error is an Errors.
func Parse(file string, data []byte, pipelines ...*Pipeline) ([]*Rule, error) {
	p := &parser{file: file, pipelines: pipelines}
	digest := sha256.Sum256(data)
	var collection collection
	var rules []*Rule
	p.documents(data, func(n *yaml.Node) {
		root := collection.next(n)
		if root == nil {
			return
		}
		for _, r := range p.rule(root) {
			r.Digest = digest
			rules = append(rules, r)
		}
	})
	if len(rules) == 0 && len(p.faults) == 0 && !collection.used {
		p.faults = append(p.faults, Error{File: file, Line: 1, Column: 1, Message: "the file holds no rule"})
	}
	return rules, p.faults.Err()
}

type parser struct {
	file      string
	pipelines []*Pipeline
	faults    Errors

	// plan is what pipelines do with the rule at hand, from one of their steps on.
	plan *plan
	from int

	// aggregation is what the condition of the rule at hand counts, written at
	// aggregated; timeframe stands beside it.
	aggregation *aggregation
	aggregated  *yaml.Node
	timeframe   time.Duration
	fields      []namedField // of the rule at hand
	arrays      int          // selectors around the place at hand
}

// ruleParts are the parts of a document of which a rule has one.
type ruleParts struct{ detection, correlation, filter *yaml.Node }

// rule reads a document: one rule, or those that an aggregation stands for.
func (p *parser) rule(n *yaml.Node) []*Rule {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "a rule is a mapping with title, logsource and detection; this document is something else")
		return nil
	}
	before := len(p.faults)
	p.aggregation, p.timeframe = nil, 0
	r := &Rule{File: p.file, Line: n.Line, Level: "medium"}
	parts := p.head(n, r)
	if r.Title == "" {
		p.fault(n, "a rule needs a title; add title: with what it detects")
	}
	var err error
	if r.plan, err = newPlan(p.pipelines, r); err != nil {
		p.fault(n, "%s", err)
		return nil
	}
	if p.plan = r.plan; r.plan != nil {
		r.Source = r.plan.source
	}
	p.body(n, r, parts)
	if len(p.faults) > before {
		return nil
	}
	if r.detection != nil && p.plan == nil { // a pipeline names fields of its own
		r.fields = p.fields
	}
	if p.aggregation != nil {
		return p.correlated(r, p.aggregation, p.aggregated, p.timeframe)
	}
	return []*Rule{r}
}

// head reads what a rule says of itself, and finds its parts.
func (p *parser) head(n *yaml.Node, r *Rule) ruleParts {
	var parts ruleParts
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch key {
		case "id":
			r.ID = value.Value
		case "name":
			r.Name = value.Value
		case "title":
			r.Title = value.Value
		case "status":
			r.Status = value.Value
		case "description":
			r.Description = value.Value
		case "level":
			r.Level = p.level(value)
		case "tags":
			r.Tags = texts(value)
		case "falsepositives":
			r.FalsePositives = texts(value)
		case "logsource":
			r.Source = p.logsource(value)
		case "detection":
			parts.detection = value
		case "correlation":
			parts.correlation = value
		case "filter":
			parts.filter = value
		}
	}
	if c := parts.correlation; c != nil && c.Kind != yaml.MappingNode && parts.detection != nil {
		parts.correlation = nil // a text of the author's
	}
	return parts
}

func (p *parser) level(n *yaml.Node) string {
	level := strings.ToLower(strings.TrimSpace(n.Value))
	if !slices.Contains(levels, level) {
		p.fault(
			n,
			"unknown level %q%s; accepted: %s",
			n.Value,
			suggest.For(level, levels),
			strings.Join(levels, ", "),
		)
	}
	return level
}

// body reads the part that makes a rule a correlation, a filter or a detection.
func (p *parser) body(n *yaml.Node, r *Rule, parts ruleParts) {
	switch {
	case parts.correlation != nil:
		r.Correlation = p.correlation(parts.correlation)
	case parts.filter != nil:
		r.Filter, r.detection = p.filter(parts.filter)
	case parts.detection != nil:
		if r.Source == (event.LogSource{}) {
			p.fault(
				n,
				"a rule needs a logsource with category, product or service; add for example "+
					"logsource: {product: windows, category: process_creation}",
			)
		}
		if r.detection = p.detection(parts.detection); r.detection != nil && p.plan != nil {
			p.addConditions(r.detection)
		}
	default:
		p.fault(n, "a rule needs a detection, a correlation or a filter; add detection: with selections and a condition")
	}
}

func (p *parser) logsource(n *yaml.Node) event.LogSource {
	var s event.LogSource
	if n.Kind != yaml.MappingNode {
		p.fault(n, "logsource is a mapping with category, product or service")
		return s
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case "category":
			s.Category = n.Content[i+1].Value
		case "product":
			s.Product = n.Content[i+1].Value
		case "service":
			s.Service = n.Content[i+1].Value
		}
	}
	return s
}

func (p *parser) detection(n *yaml.Node) *detection {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "detection is a mapping of selections and a condition")
		return nil
	}
	d := &detection{}
	p.fields = nil
	var conditions []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch key {
		case "condition":
			if value.Kind == yaml.SequenceNode {
				conditions = value.Content
			} else {
				conditions = []*yaml.Node{value}
			}
		case "timeframe":
			span, err := parseTimespan(strings.TrimPrefix(strings.ReplaceAll(value.Value, " ", ""), "last"))
			if err != nil {
				p.fault(value, "%s", err)
			}
			p.timeframe = span
		default:
			d.names = append(d.names, key)
			d.selections = append(d.selections, p.selection(value))
		}
	}
	if len(conditions) == 0 {
		p.fault(n, "detection needs a condition; add condition: with the names of its selections (%s)", strings.Join(d.names, ", "))
		return nil
	}
	var parts []node
	for _, c := range conditions {
		text, behind, counts := strings.Cut(c.Value, "|")
		if counts {
			a, err := parseAggregation(behind)
			switch {
			case err != nil:
				p.fault(c, "condition %q: %s", c.Value, err)
				continue
			case len(conditions) > 1:
				p.fault(c, "an aggregation stands in a rule's only condition; give each condition a rule of its own")
				continue
			}
			p.aggregation, p.aggregated = a, c
		}
		expression, err := parseCondition(text, d.names)
		if err != nil {
			p.fault(c, "condition %q: %s", c.Value, err)
			continue
		}
		parts = append(parts, expression)
	}
	d.condition = anyOf(parts)
	return d
}

// addConditions adds those of the pipelines.
func (p *parser) addConditions(d *detection) {
	for _, a := range p.plan.added {
		p.from = a.from
		var also node = reference(len(d.selections))
		d.names = append(d.names, a.name)
		d.selections = append(d.selections, p.selection(a.of))
		if a.negated {
			also = notNode{also}
		}
		d.condition = allOf([]node{d.condition, also})
	}
	p.from = 0
}

// selection reads a map, a list of maps, or a list of keywords.
func (p *parser) selection(n *yaml.Node) node {
	switch n.Kind {
	case yaml.MappingNode:
		var all []node
		for i := 0; i+1 < len(n.Content); i += 2 {
			all = append(all, p.item(n.Content[i], n.Content[i+1]))
		}
		return allOf(all)
	case yaml.SequenceNode:
		var any []node
		for _, item := range n.Content {
			any = append(any, p.selection(item))
		}
		return anyOf(any)
	case yaml.ScalarNode:
		return p.compile(n, item{values: []scalar{{n.Value, n.Tag}}})
	}
	p.fault(n, "a selection is a map, a list of maps or a list of keywords")
	return constant(false)
}

// item reads one field with its modifiers and values.
func (p *parser) item(key, value *yaml.Node) node {
	if n, ok := p.arrayItem(key, value); ok {
		return n
	}
	parts := strings.Split(unescapeBrackets.Replace(key.Value), "|")
	if parts[0] != "" {
		p.fields = append(p.fields, namedField{parts[0], key.Line, key.Column})
	}
	var values []scalar
	switch value.Kind {
	case yaml.SequenceNode:
		for _, v := range value.Content {
			if v.Kind != yaml.ScalarNode {
				p.fault(v, "the values of %s are single values", key.Value)
				return constant(false)
			}
			values = append(values, scalar{v.Value, v.Tag})
		}
	case yaml.ScalarNode:
		values = []scalar{{value.Value, value.Tag}}
	default:
		p.fault(value, "%s takes a value or a list of values", key.Value)
		return constant(false)
	}
	return p.compile(key, item{parts[0], parts[1:], values})
}

// compile takes an item through the pipelines and compiles what they make of it.
func (p *parser) compile(n *yaml.Node, i item) node {
	items, err := p.plan.apply(i, p.from)
	if err != nil {
		p.fault(n, "%s: %s", i, err)
		return constant(false)
	}
	if len(items) == 0 {
		return constant(true) // dropped: the rest of the selection decides
	}
	var any []node
	for _, i := range items {
		m, err := compileItem(i)
		if err != nil {
			p.fault(n, "%s: %s", i, err)
			if errors.Is(err, errPlaceholders) {
				p.faults[len(p.faults)-1].Unsupported = "modifier expand"
			}
			return constant(false)
		}
		any = append(any, m)
	}
	return anyOf(any)
}

// filter reads a filter: the rules that it narrows, and a detection beside them.
func (p *parser) filter(n *yaml.Node) (*Filter, *detection) {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "filter is a mapping with rules, selections and a condition")
		return nil, nil
	}
	f := &Filter{line: n.Line, column: n.Column}
	rest := *n
	rest.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "rules" {
			f.Rules = texts(n.Content[i+1])
			continue
		}
		rest.Content = append(rest.Content, n.Content[i], n.Content[i+1])
	}
	if len(f.Rules) == 0 {
		p.fault(n, "a filter needs the rules that it narrows, or any")
	}
	return f, p.detection(&rest)
}

var correlationTypes = []string{
	"event_count",
	"value_count",
	"temporal",
	"temporal_ordered",
	"value_sum",
	"value_avg",
	"value_percentile",
}

func (p *parser) correlation(n *yaml.Node) *Correlation {
	c := &Correlation{line: n.Line, column: n.Column}
	if n.Kind != yaml.MappingNode {
		p.fault(n, "correlation is a mapping with type, rules, timespan and condition")
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch key {
		case "type":
			c.Type = value.Value
			if !slices.Contains(correlationTypes, c.Type) {
				p.fault(
					value,
					"unknown correlation type %q%s; accepted: %s",
					c.Type,
					suggest.For(c.Type, correlationTypes),
					strings.Join(correlationTypes, ", "),
				)
			}
		case "rules":
			c.Rules = texts(value)
		case "group-by":
			c.GroupBy = texts(value)
		case "timespan":
			span, err := parseTimespan(value.Value)
			if err != nil {
				p.fault(value, "%s", err)
			}
			c.Timespan = span
		case "generate":
			c.Generate = value.Value == "true"
		case "aliases":
			c.Aliases = map[string]map[string]string{}
			if err := value.Decode(&c.Aliases); err != nil {
				p.fault(value, "aliases map an alias to a field for each rule")
			}
		case "condition":
			p.correlationCondition(c, value)
		default:
			p.fault(
				n.Content[i],
				"unknown key %q of a correlation; accepted: type, rules, group-by, timespan, condition, aliases, generate",
				key,
			)
		}
	}
	if len(c.Rules) == 0 {
		p.fault(n, "a correlation needs rules")
	}
	if c.Timespan <= 0 {
		p.fault(n, "a correlation needs a timespan, such as 5m")
	}
	if strings.HasPrefix(c.Type, "value_") && len(c.Fields) == 0 {
		p.fault(n, "a %s needs condition.field", c.Type)
	}
	if len(c.bounds) == 0 && !strings.HasPrefix(c.Type, "temporal") {
		p.fault(n, "a %s needs a condition such as {gte: 10}", c.Type)
	}
	return c
}

func (p *parser) correlationCondition(c *Correlation, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "a correlation's condition is a mapping such as {gte: 10}")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch key {
		case "field":
			c.Fields = texts(value)
		case "gte", "gt", "lte", "lt", "eq", "neq":
			to, err := strconv.ParseFloat(value.Value, 64)
			if err != nil {
				p.fault(value, "a number is expected, not %q", value.Value)
			}
			c.bounds = append(c.bounds, bound{key, to})
		default:
			p.fault(n.Content[i], "unknown key %q of a condition; accepted: gte, gt, lte, lt, eq, neq, field", key)
		}
	}
}

func parseTimespan(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	units := map[byte]time.Duration{
		's': time.Second,
		'm': time.Minute,
		'h': time.Hour,
		'd': day,
		'w': 7 * day,
		'M': 30 * day,
		'y': 365 * day,
	}
	if len(s) >= 2 {
		if n, err := strconv.Atoi(s[:len(s)-1]); err == nil && n > 0 && units[s[len(s)-1]] > 0 {
			return time.Duration(n) * units[s[len(s)-1]], nil
		}
	}
	return 0, fmt.Errorf("%q is no timespan; accepted: a number with s, m, h, d, w, M or y", s)
}
