package sigma

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// collection keeps what the documents of a file hand on to each other (rule
// collections of the specification): a document with action global is part of
// every later one, reset forgets that, repeat takes the last rule over.
type collection struct {
	global, last *yaml.Node
	used         bool
}

// next returns the rule that a document makes, or nil when it makes none.
func (c *collection) next(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return n
	}
	action := ""
	own := *n
	own.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "action" {
			action = n.Content[i+1].Value
			continue
		}
		own.Content = append(own.Content, n.Content[i], n.Content[i+1])
	}
	switch action {
	case "global":
		c.global, c.used = merge(c.global, &own), true
		return nil
	case "reset":
		c.global, c.used = nil, true
		if len(own.Content) == 0 {
			return nil
		}
	case "repeat":
		c.last = merge(c.last, &own)
		return c.last
	}
	c.last = merge(c.global, &own)
	return c.last
}

// merge lays one mapping over another; mappings in both are merged, everything
// else of the upper one replaces what is below.
func merge(below, above *yaml.Node) *yaml.Node {
	if below == nil || below.Kind != yaml.MappingNode || above.Kind != yaml.MappingNode {
		return above
	}
	out := *above
	out.Content = slices.Clone(below.Content)
	for i := 0; i+1 < len(above.Content); i += 2 {
		key, value := above.Content[i], above.Content[i+1]
		at := -1
		for k := 0; k+1 < len(out.Content); k += 2 {
			if out.Content[k].Value == key.Value {
				at = k
			}
		}
		if at < 0 {
			out.Content = append(out.Content, key, value)
			continue
		}
		out.Content[at+1] = merge(out.Content[at+1], value)
	}
	return &out
}
