package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Rules written before Sigma 2 count and join matches behind a bar in the condition,
// with a timeframe beside it:
//
//	condition: selection | count(TargetUserName) by IpAddress > 10
//	condition: selection | near other and third
//
// Such a rule is read as what it means now: a rule on single events that only feeds a
// correlation, and the correlation, which has the rule's id, title and level.

// aggregation is the part of a condition behind the bar.
type aggregation struct {
	function string // count, sum, avg, min, max or near
	field    string
	by       []string
	bound    bound
	near     []string // selections
}

var (
	aggregate = regexp.MustCompile(
		`(?i)^(count|sum|avg|min|max)\s*\(\s*([^)\s]*)\s*\)(?:\s+by\s+(.+?))?\s*(>=|<=|==|!=|=|>|<)\s*(-?[0-9.]+)$`,
	)
	nearby = regexp.MustCompile(`(?i)^near\s+(.+?)(?:\s+by\s+(.+))?$`)
)

// parseAggregation reads what stands behind the bar.
func parseAggregation(text string) (*aggregation, error) {
	text = strings.TrimSpace(text)
	if m := nearby.FindStringSubmatch(text); m != nil {
		a := &aggregation{function: "near", by: listed(m[2])}
		for i, word := range strings.Fields(m[1]) {
			switch {
			case i%2 == 1 && strings.EqualFold(word, "and"):
			case i%2 == 1 || strings.EqualFold(word, "not") || strings.ContainsAny(word, "()"):
				return nil, errors.New(
					"near takes selections joined with and; write a correlation of type temporal for anything else",
				)
			default:
				a.near = append(a.near, word)
			}
		}
		return a, nil
	}
	m := aggregate.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf(
			"the aggregation %q is not understood; write count(field) by other > 10, near selection, or a correlation rule",
			text,
		)
	}
	to, err := strconv.ParseFloat(m[5], 64)
	if err != nil {
		return nil, fmt.Errorf("a number is expected, not %q", m[5])
	}
	op := map[string]string{">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "eq", "==": "eq", "!=": "neq"}[m[4]]
	a := &aggregation{function: strings.ToLower(m[1]), field: m[2], by: listed(m[3]), bound: bound{op, to}}
	switch a.function {
	case "min", "max":
		return nil, fmt.Errorf(
			"%s has no counterpart among correlations; compare the field with lt or gt in the selection",
			a.function,
		)
	case "sum", "avg":
		if a.field == "" {
			return nil, fmt.Errorf("%s needs a field, as in %s(bytes)", a.function, a.function)
		}
	}
	return a, nil
}

// listed splits names at commas and spaces.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// correlated makes a rule with an aggregation into rules that feed a correlation, and
// the correlation.
func (p *parser) correlated(r *Rule, a *aggregation, condition *yaml.Node, timeframe time.Duration) []*Rule {
	if timeframe <= 0 {
		p.fault(condition, "the aggregation has no timeframe; add one beside the condition, such as timeframe: 15m")
		return nil
	}
	whole := *r
	whole.detection = nil
	whole.Correlation = &Correlation{
		Type: "event_count", GroupBy: a.by, Timespan: timeframe, line: condition.Line, column: condition.Column,
	}
	c := whole.Correlation
	base := func(suffix string, detection *detection) *Rule {
		part := *r
		part.part = true
		part.ID = ""
		part.Name = r.Key() + " " + suffix
		part.detection = detection
		c.Rules = append(c.Rules, part.Name)
		return &part
	}
	rules := []*Rule{base("(events)", r.detection)}
	if a.function == "near" {
		c.Type = "temporal"
		for _, name := range a.near {
			condition, err := parseCondition(name, r.detection.names)
			if err != nil {
				p.faults = append(
					p.faults,
					Error{File: p.file, Line: c.line, Column: c.column, Message: "near: " + err.Error()},
				)
				return nil
			}
			near := *r.detection
			near.condition = condition
			rules = append(rules, base("("+name+")", &near))
		}
		return append(rules, &whole)
	}
	c.bounds = []bound{a.bound}
	switch {
	case a.function == "count" && a.field != "":
		c.Type, c.Fields = "value_count", []string{a.field}
	case a.function == "sum":
		c.Type, c.Fields = "value_sum", []string{a.field}
	case a.function == "avg":
		c.Type, c.Fields = "value_avg", []string{a.field}
	}
	return append(rules, &whole)
}
