package scenarios

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Setting changes one value of a file: a path such as background.rate or
// attackers[0].skill, and the value as YAML.
type Setting struct{ Path, Value string }

// ParseSetting reads PATH=VALUE.
func ParseSetting(text string) (Setting, error) {
	path, value, ok := strings.Cut(text, "=")
	if !ok || path == "" {
		return Setting{}, fmt.Errorf("PATH=VALUE is expected, such as background.rate=2, not %q", text)
	}
	return Setting{strings.TrimSpace(path), strings.TrimSpace(value)}, nil
}

// Root is the first key of the path.
func (s Setting) Root() string { return splitPath(s.Path)[0] }

// ApplySettings sets values in a YAML text. Keys that are missing on the way are made;
// an index beyond a list's end is an error. Whether the result makes sense is
// checked when it is read.
func ApplySettings(file string, data []byte, set []Setting) ([]byte, error) {
	if len(set) == 0 {
		return data, nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(doc.Content) == 0 {
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map"}}}
	}
	for _, s := range set {
		var value yaml.Node
		if err := yaml.Unmarshal([]byte(s.Value), &value); err != nil || len(value.Content) == 0 {
			return nil, fmt.Errorf("--set %s: %q is no YAML value", s.Path, s.Value)
		}
		if err := setNode(doc.Content[0], splitPath(s.Path), value.Content[0]); err != nil {
			return nil, fmt.Errorf("--set %s: %w", s.Path, err)
		}
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(doc.Content[0]); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out.Bytes(), nil
}

// splitPath turns a.b[2].c into a, b, [2], c.
func splitPath(path string) []string {
	path = strings.ReplaceAll(path, "[", ".[")
	return strings.Split(path, ".")
}

func setNode(n *yaml.Node, path []string, value *yaml.Node) error {
	part := path[0]
	if index, ok := strings.CutPrefix(part, "["); ok {
		i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		if err != nil || n.Kind != yaml.SequenceNode || i < 0 || i >= len(n.Content) {
			return fmt.Errorf("there is no element %s", part)
		}
		if len(path) == 1 {
			*n.Content[i] = *value
			return nil
		}
		return setNode(n.Content[i], path[1:], value)
	}
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("what %q should be in is no mapping", part)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == part {
			if len(path) == 1 {
				n.Content[i+1] = value
				return nil
			}
			return setNode(n.Content[i+1], path[1:], value)
		}
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: part}
	if len(path) == 1 {
		n.Content = append(n.Content, key, value)
		return nil
	}
	child := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	n.Content = append(n.Content, key, child)
	return setNode(child, path[1:], value)
}
