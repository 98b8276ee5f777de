package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxNodes bounds a document with its aliases written out; the greatest public
// rule has some 3,000.
const maxNodes = 200_000

// documents calls use for each document of a file that holds something. Aliases
// are replaced by what they stand for.
func (p *parser) documents(data []byte, use func(*yaml.Node)) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			p.yamlError(err)
			return
		}
		if len(doc.Content) == 0 {
			continue
		}
		w := writtenOut{sizes: map[*yaml.Node]int{}}
		root := w.node(doc.Content[0])
		if w.fault != nil {
			p.fault(w.fault, "%s", w.why)
			continue
		}
		use(root)
	}
}

// writtenOut replaces aliases. Nodes that several aliases name stay shared; their
// number is counted as if they did not.
type writtenOut struct {
	sizes map[*yaml.Node]int
	fault *yaml.Node
	why   string
}

const unfinished = -1

func (w *writtenOut) node(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	size, ok := w.sizes[n]
	switch {
	case w.fault != nil:
	case size == unfinished:
		w.fault, w.why = n, "an anchor holds an alias to itself"
	case !ok:
		w.sizes[n] = unfinished
		size = 1
		for i, c := range n.Content {
			n.Content[i] = w.node(c)
			size += w.sizes[n.Content[i]]
		}
		if w.sizes[n] = size; size > maxNodes && w.fault == nil {
			w.fault, w.why = n, fmt.Sprintf("this makes more than %d values when its aliases are written out", maxNodes)
		}
		w.merge(n)
	}
	return n
}

// merge lays a mapping over those that its key << names.
func (w *writtenOut) merge(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return
	}
	at := -1
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			at = i
		}
	}
	if at < 0 {
		return
	}
	below := n.Content[at+1]
	n.Content = slices.Delete(slices.Clone(n.Content), at, at+2)
	parts := []*yaml.Node{below}
	if below.Kind == yaml.SequenceNode {
		parts = below.Content
	}
	for _, p := range parts {
		if p.Kind != yaml.MappingNode {
			w.fault, w.why = p, "<< takes a mapping or a list of mappings"
			return
		}
		for i := 0; i+1 < len(p.Content); i += 2 {
			if valueOf(n, p.Content[i].Value) == nil {
				n.Content = append(n.Content, p.Content[i], p.Content[i+1])
			}
		}
	}
}

// valueOf is the value of a key of a mapping, or nil.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// fault notes what is wrong at a node.
func (p *parser) fault(n *yaml.Node, format string, args ...any) {
	p.faults = append(p.faults, Error{File: p.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

func (p *parser) yamlError(err error) {
	line := 1
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	text := "not valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(text, "cannot start any token") {
		text += "; indent with spaces, not tabs, and quote values that begin with @, ` or %"
	}
	p.faults = append(p.faults, Error{File: p.file, Line: line, Column: 1, Message: text})
}

// texts is a value, or a list of values, as texts.
func texts(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var out []string
	for _, item := range n.Content {
		out = append(out, item.Value)
	}
	return out
}

type pair struct{ name, value *yaml.Node }

func (p *parser) pairs(n *yaml.Node, what string) []pair {
	if n.Kind != yaml.MappingNode {
		p.fault(n, "%s is a mapping", what)
		return nil
	}
	var out []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, pair{n.Content[i], n.Content[i+1]})
	}
	return out
}

// keyed reads a mapping key by key, so that what nobody asked for is a fault.
type keyed struct {
	p     *parser
	n     *yaml.Node
	what  string
	pairs []pair
	asked []string
}

func (p *parser) keys(n *yaml.Node, what string) *keyed {
	return &keyed{p: p, n: n, what: what, pairs: p.pairs(n, what)}
}

// take is the value of a key, or nil.
func (k *keyed) take(key string) *yaml.Node {
	k.asked = append(k.asked, key)
	for i, p := range k.pairs {
		if p.name.Value == key {
			k.pairs = slices.Delete(k.pairs, i, i+1)
			return p.value
		}
	}
	return nil
}

func (k *keyed) need(key string) *yaml.Node {
	n := k.take(key)
	if n == nil && k.n.Kind == yaml.MappingNode {
		k.p.fault(k.n, "%s needs %s", k.what, key)
	}
	return n
}

func (k *keyed) text(key string) string {
	if n := k.take(key); n != nil {
		return n.Value
	}
	return ""
}

func (k *keyed) texts(key string) []string {
	if n := k.take(key); n != nil {
		return texts(n)
	}
	return nil
}

func (k *keyed) yes(key string) bool { return k.text(key) == "true" }

// expression is a regular expression; a missing one is a fault, and matches
// nothing.
func (k *keyed) expression(key string) *regexp.Regexp {
	n := k.need(key)
	if n == nil {
		return nothing
	}
	r, err := regexp.Compile(n.Value)
	if err != nil {
		k.p.fault(n, "%s", refusedByRE2(err))
		return nothing
	}
	return r
}

// table reads a mapping of a name to one or several.
func (k *keyed) table(key string) map[string][]string {
	out := map[string][]string{}
	if n := k.need(key); n != nil {
		for _, p := range k.p.pairs(n, key) {
			if out[p.name.Value] = texts(p.value); len(out[p.name.Value]) == 0 {
				k.p.fault(p.value, "%s maps %q to nothing; name one or a list", key, p.name.Value)
			}
		}
	}
	return out
}

// end reports the keys that nobody took.
func (k *keyed) end() {
	for _, p := range k.pairs {
		k.p.fault(p.name, "unknown key %q of %s; accepted: %s", p.name.Value, k.what, strings.Join(k.asked, ", "))
	}
}

var nothing = regexp.MustCompile(`[^\x00-\x{10FFFF}]`)

func refusedByRE2(err error) string {
	text := "the regular expression is not accepted by RE2: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	switch {
	case strings.Contains(text, "(?!"), strings.Contains(text, "(?<!"):
		text += "; write what must not stand there as a selection behind not"
	case strings.Contains(text, "(?="), strings.Contains(text, "(?<="):
		text += "; write what must stand there as a value of its own, joined with |all"
	}
	return text
}
