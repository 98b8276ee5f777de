package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"hemostat/sim/event"
)

// transformations are the types that pipelines may name, after pySigma.
var transformations = map[string]func(*keyed, *step){
	"field_name_mapping":        mapNames,
	"field_name_prefix_mapping": mapPrefixes,
	"field_name_prefix":         prefixNames,
	"field_name_suffix":         suffixNames,
	"change_logsource":          changeSource,
	"add_condition":             addCondition,
	"drop_detection_item":       dropItem,
	"replace_string":            replaceText,
	"map_string":                mapText,
	"set_value":                 setValue,
	"value_placeholders":        fillPlaceholders,
	"wildcard_placeholders":     widenPlaceholders,
	"rule_failure":              failRule,
	"detection_item_failure":    failItem,
}

func mapNames(k *keyed, s *step) {
	to := k.table("mapping")
	s.rename = func(field string) []string {
		if names, ok := to[field]; ok {
			return names
		}
		return []string{field}
	}
}

func mapPrefixes(k *keyed, s *step) {
	to := k.table("mapping")
	s.rename = func(field string) []string {
		best := ""
		for prefix := range to {
			if strings.HasPrefix(field, prefix) && len(prefix) >= len(best) {
				best = prefix
			}
		}
		prefixes, ok := to[best]
		if !ok {
			return []string{field}
		}
		var out []string
		for _, p := range prefixes {
			out = append(out, p+strings.TrimPrefix(field, best))
		}
		return out
	}
}

func prefixNames(k *keyed, s *step) {
	prefix := k.text("prefix")
	s.rename = func(field string) []string { return []string{prefix + field} }
}

func suffixNames(k *keyed, s *step) {
	suffix := k.text("suffix")
	s.rename = func(field string) []string { return []string{field + suffix} }
}

func changeSource(k *keyed, s *step) {
	to := event.LogSource{Category: k.text("category"), Product: k.text("product"), Service: k.text("service")}
	if to == (event.LogSource{}) {
		k.p.fault(k.n, "change_logsource needs category, product or service")
	}
	s.whole = func(p *plan) error {
		p.source = to
		return nil
	}
}

func addCondition(k *keyed, s *step) {
	of, negated := k.need("conditions"), k.yes("negated")
	if of != nil && of.Kind != yaml.MappingNode {
		k.p.fault(of, "conditions map fields to values")
	}
	s.whole = func(p *plan) error {
		name := "added by pipeline"
		if s.id != "" {
			name += ": " + s.id
		}
		p.added = append(p.added, addition{name: name, of: of, negated: negated, from: len(p.steps)})
		return nil
	}
}

func dropItem(_ *keyed, s *step) {
	s.each = func(item, map[string][]string) ([]item, error) { return nil, nil }
}

// withTexts is an item whose texts are changed, each into one or several.
func (i item) withTexts(change func(string) []string) item {
	values := i.values
	i.values = nil
	for _, v := range values {
		if v.tag != "!!str" {
			i.values = append(i.values, v)
			continue
		}
		for _, text := range change(v.text) {
			i.values = append(i.values, scalar{text, v.tag})
		}
	}
	return i
}

// backReference is a group in the replacement, as Python's expressions name it.
var backReference = regexp.MustCompile(`\\(?:g<(\w+)>|(\d+))`)

// replaceText works on values as they are written, before their modifiers.
func replaceText(k *keyed, s *step) {
	r, with := k.expression("regex"), k.text("replacement")
	with = strings.ReplaceAll(with, "$", "$$")
	with = backReference.ReplaceAllString(with, "$${$1$2}")
	s.each = func(i item, _ map[string][]string) ([]item, error) {
		return []item{i.withTexts(func(text string) []string { return []string{r.ReplaceAllString(text, with)} })}, nil
	}
}

func mapText(k *keyed, s *step) {
	to := k.table("mapping")
	s.each = func(i item, _ map[string][]string) ([]item, error) {
		return []item{i.withTexts(func(text string) []string {
			if others, ok := to[text]; ok {
				return others
			}
			return []string{text}
		})}, nil
	}
}

func setValue(k *keyed, s *step) {
	n := k.need("value")
	s.each = func(i item, _ map[string][]string) ([]item, error) {
		i.values = []scalar{{n.Value, n.Tag}}
		return []item{i}, nil
	}
}

// placeholder is a name between percent signs in a value with the modifier
// expand; a backslash takes the sign's meaning away.
var placeholder = regexp.MustCompile(`(^|[^\\])%(\w+)%`)

// maxExpanded bounds the values that placeholders and dashes make of one.
const maxExpanded = 10_000

// chosen reads include and exclude of a transformation of placeholders.
func (k *keyed) chosen() func(name string) bool {
	include, exclude := k.texts("include"), k.texts("exclude")
	return func(name string) bool {
		return (include == nil || slices.Contains(include, name)) && !slices.Contains(exclude, name)
	}
}

func fillPlaceholders(k *keyed, s *step) {
	chosen := k.chosen()
	s.each = func(i item, vars map[string][]string) ([]item, error) {
		return i.expanded(func(name string) ([]string, bool) {
			values, ok := vars[name]
			return values, ok && chosen(name)
		})
	}
}

func widenPlaceholders(k *keyed, s *step) {
	chosen := k.chosen()
	s.each = func(i item, _ map[string][]string) ([]item, error) {
		return i.expanded(func(name string) ([]string, bool) { return []string{"*"}, chosen(name) })
	}
}

var errExpanded = fmt.Errorf("placeholders make more than %d values of one", maxExpanded)

// expanded puts values in the place of placeholders, in every combination.
func (i item) expanded(values func(name string) ([]string, bool)) ([]item, error) {
	if !i.is("expand") {
		return []item{i}, nil
	}
	tooMany := false
	i = i.withTexts(func(text string) []string {
		out := []string{""}
		for {
			at := placeholder.FindStringSubmatchIndex(text)
			if at == nil {
				break
			}
			before, whole, name := text[:at[3]], text[at[3]:at[1]], text[at[4]:at[5]]
			with, ok := values(name)
			if !ok {
				with = []string{whole}
			}
			if len(out)*len(with) > maxExpanded {
				tooMany = true
				return nil
			}
			var next []string
			for _, head := range out {
				for _, v := range with {
					next = append(next, head+before+v)
				}
			}
			out, text = next, text[at[1]:]
		}
		for n := range out {
			out[n] += text
		}
		return out
	})
	if tooMany {
		return nil, errExpanded
	}
	return []item{i}, nil
}

func failRule(k *keyed, s *step) {
	message := k.text("message")
	s.whole = func(*plan) error { return errors.New(message) }
}

func failItem(k *keyed, s *step) {
	message := k.text("message")
	s.each = func(item, map[string][]string) ([]item, error) { return nil, errors.New(message) }
}
