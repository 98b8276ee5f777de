package strictyaml

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"hemostat/sim/suggest"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	// maxNodes bounds the values of a document, and what its aliases expand to.
	maxNodes = 200_000
	// maxKeys bounds the keys of one mapping: yaml.v3 compares every key with every
	// other.
	maxKeys = 10_000
	// maxFaults bounds the faults of one document that are kept; the rest is counted.
	maxFaults = 100
)

// Positioned is implemented by types that want to know where they were read.
type Positioned interface{ SetPosition(line, column int) }

// NodeReader is implemented by types with more than one spelling, such as "one
// technique, or a list of them". It reports its own faults through d.
type NodeReader interface {
	ReadYAML(d *Decoder, n *yaml.Node, path string)
}

// enumerated is implemented by texts of a closed set, so that a fault lists what is
// accepted and what was probably meant.
type enumerated interface{ Accepted() []string }

// Decode reads one YAML document into the struct that into points to. Defaults
// set in *into beforehand stay where the file is silent. The error is a Faults.
func Decode(file string, data []byte, into any) error {
	d := &Decoder{file: file}
	root, err := parse(file, data)
	if err != nil {
		return err
	}
	d.Read(root, reflect.ValueOf(into).Elem(), "")
	return d.err()
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func parse(file string, data []byte) (*yaml.Node, error) {
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, Faults{{File: file, Line: 1, Column: 1, Message: "the file is empty"}}
	}
	if err != nil {
		return nil, Faults{yamlFault(file, err)}
	}
	if err := checkSize(file, doc.Content[0]); err != nil {
		return nil, err
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc.Content[0], nil
	case err != nil:
		fault := yamlFault(file, err)
		fault.Message = "one document a file is accepted; what follows the first is " + fault.Message
		return nil, Faults{fault}
	}
	return nil, Faults{
		{
			File:    file,
			Line:    second.Line,
			Column:  1,
			Message: "one document a file is accepted, here begins a second one",
		},
	}
}

// yamlFault gives an error of yaml.v3 its place.
func yamlFault(file string, err error) Fault {
	fault := Fault{File: file, Line: 1, Column: 1, Message: err.Error()}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil {
			fault.Line = n
		}
		fault.Message = "not valid YAML: " + m[2]
	}
	return fault
}

// checkSize refuses documents that would take minutes to read: those of more than
// maxNodes values, or with a mapping of more than maxKeys keys.
func checkSize(file string, root *yaml.Node) error {
	nodes := 0
	var visit func(n *yaml.Node) error
	visit = func(n *yaml.Node) error {
		if nodes++; nodes > maxNodes {
			return Faults{
				{
					File:    file,
					Line:    n.Line,
					Column:  n.Column,
					Message: fmt.Sprintf("the document holds more than %d values; split it", maxNodes),
				},
			}
		}
		if n.Kind == yaml.MappingNode && len(n.Content) > 2*maxKeys {
			return Faults{
				{
					File:   file,
					Line:   n.Line,
					Column: n.Column,
					Message: fmt.Sprintf(
						"this mapping has %d keys; at most %d are accepted",
						len(n.Content)/2,
						maxKeys,
					),
				},
			}
		}
		for _, child := range n.Content {
			if err := visit(child); err != nil {
				return err
			}
		}
		return nil
	}
	return visit(root)
}

// Unmarshal reads one YAML document of another tool leniently: keys that the value
// has no field for are passed over. Its size is bounded as that of the project's own
// files is.
func Unmarshal(file string, data []byte, into any) error {
	root, err := parse(file, data)
	if err != nil {
		return err
	}
	if err := root.Decode(into); err != nil {
		return Faults{yamlFault(file, err)}
	}
	return nil
}

// Decoder walks one document.
type Decoder struct {
	file    string
	faults  Faults
	omitted int // faults beyond maxFaults
	nodes   int
}

// err returns the faults, with a line for those that were not kept.
func (d *Decoder) err() error {
	if d.omitted > 0 {
		d.faults = append(
			d.faults,
			Fault{File: d.file, Message: fmt.Sprintf("and %d more faults", d.omitted), last: true},
		)
	}
	return d.faults.Err()
}

// Fault records a fault at a node.
func (d *Decoder) Fault(n *yaml.Node, path, format string, args ...any) {
	if len(d.faults) >= maxFaults {
		d.omitted++
		return
	}
	d.keep(n, path, format, args...)
}

func (d *Decoder) keep(n *yaml.Node, path, format string, args ...any) {
	d.faults = append(
		d.faults,
		Fault{File: d.file, Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...)},
	)
}

// Pos is the place of a node.
func (d *Decoder) Pos(n *yaml.Node) Pos { return Pos{File: d.file, Line: n.Line, Column: n.Column} }

// ReadInto reads a node into what the pointer points to.
func (d *Decoder) ReadInto(n *yaml.Node, into any, path string) {
	d.Read(n, reflect.ValueOf(into).Elem(), path)
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	nodeType     = reflect.TypeFor[yaml.Node]()
	posType      = reflect.TypeFor[Pos]()
)

// Read reads a node into a settable value.
func (d *Decoder) Read(n *yaml.Node, v reflect.Value, path string) {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.keep(n, path, "the document expands to more than %d values; are its aliases nested?", maxNodes)
		}
		return
	}
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if v.Kind() == reflect.Pointer {
		if isNull(n) {
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.Read(n, v.Elem(), path)
		return
	}
	if v.CanAddr() {
		if p, ok := v.Addr().Interface().(Positioned); ok {
			p.SetPosition(n.Line, n.Column)
		}
		switch r := v.Addr().Interface().(type) {
		case NodeReader:
			r.ReadYAML(d, n, path)
			return
		case encoding.TextUnmarshaler:
			d.readText(n, r, path)
			return
		}
	}
	switch v.Type() {
	case nodeType:
		v.Set(reflect.ValueOf(*n))
		return
	case durationType:
		d.readDuration(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.readStruct(n, v, path)
	case reflect.Map:
		d.readMap(n, v, path)
	case reflect.Slice:
		d.readSlice(n, v, path)
	case reflect.Interface:
		d.readAny(n, v, path)
	default:
		d.readScalar(n, v, path)
	}
}

func (d *Decoder) readText(n *yaml.Node, into encoding.TextUnmarshaler, path string) {
	if n.Kind != yaml.ScalarNode {
		d.Fault(n, path, "a single value is expected, not %s", describe(n))
		return
	}
	err := into.UnmarshalText([]byte(n.Value))
	if list, ok := into.(enumerated); ok && err != nil {
		accepted := list.Accepted()
		d.Fault(
			n,
			path,
			"%q is not accepted%s; accepted: %s",
			n.Value,
			suggest.For(n.Value, accepted),
			strings.Join(accepted, ", "),
		)
		return
	}
	if err != nil {
		d.Fault(n, path, "%s", err)
	}
}

func (d *Decoder) readDuration(n *yaml.Node, v reflect.Value, path string) {
	parsed, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.Fault(n, path, "a duration with its unit is expected, such as 90s, 5m or 6h, not %s", describe(n))
		return
	}
	if parsed < 0 {
		d.Fault(n, path, "a duration of 0 or more is expected, not %s", n.Value)
		return
	}
	v.SetInt(int64(parsed))
}

func (d *Decoder) readStruct(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.Fault(
			n,
			path,
			"a mapping is expected, not %s; keys accepted: %s",
			describe(n),
			strings.Join(keysOf(v.Type()), ", "),
		)
		return
	}
	fields := structFields(v.Type())
	d.setPos(n, v)
	seen := map[string]bool{}
	keys := keysOf(v.Type())
	accepted := strings.Join(keys, ", ")
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := key.Value
		if seen[name] {
			d.Fault(key, join(path, name), "this key stands here twice")
			continue
		}
		seen[name] = true
		index := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if index < 0 {
			d.Fault(key, join(path, name), "unknown key%s; accepted: %s", suggest.For(name, keys), accepted)
			continue
		}
		f := fields[index]
		target := v.FieldByIndex(f.index)
		d.Read(value, target, join(path, name))
		if len(f.enum) > 0 && target.Kind() == reflect.String && value.Kind == yaml.ScalarNode &&
			!slices.Contains(f.enum, target.String()) {
			d.Fault(
				value,
				join(path, name),
				"%q is not accepted%s; accepted: %s",
				target.String(),
				suggest.For(target.String(), f.enum),
				strings.Join(f.enum, ", "),
			)
		}
		if f.isName && target.Kind() == reflect.String && value.Kind == yaml.ScalarNode {
			if err := CheckName(target.String()); err != nil {
				d.Fault(value, join(path, name), "%s", err)
			}
		}
	}
	for _, f := range fields {
		if f.required && !seen[f.name] {
			d.Fault(n, path, "%q is missing", f.name)
		}
	}
}

func (d *Decoder) setPos(n *yaml.Node, v reflect.Value) {
	for i := range v.NumField() {
		if v.Type().Field(i).Type == posType && v.Field(i).CanSet() {
			v.Field(i).Set(reflect.ValueOf(d.Pos(n)))
		}
	}
}

func (d *Decoder) readMap(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.Fault(n, path, "a mapping is expected, not %s", describe(n))
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		k := reflect.ValueOf(key.Value).Convert(v.Type().Key())
		item := reflect.New(v.Type().Elem()).Elem()
		d.Read(value, item, join(path, key.Value))
		v.SetMapIndex(k, item)
	}
}

func (d *Decoder) readSlice(n *yaml.Node, v reflect.Value, path string) {
	items := n.Content
	switch {
	case n.Kind == yaml.SequenceNode:
	case isNull(n):
		items = nil
	case n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String:
		items = []*yaml.Node{n} // one name is a list of one
	default:
		d.Fault(n, path, "a list is expected, not %s", describe(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.Read(item, out.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(out)
}

func (d *Decoder) readAny(n *yaml.Node, v reflect.Value, path string) {
	var out any
	if err := n.Decode(&out); err != nil {
		d.Fault(n, path, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if out != nil {
		v.Set(reflect.ValueOf(out))
	}
}

func (d *Decoder) readScalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.Fault(n, path, "%s is expected, not %s", kindName(v.Kind()), describe(n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if n.Tag == "!!null" {
			d.Fault(n, path, "text is expected, not an empty value")
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		if n.Tag != "!!bool" {
			d.Fault(n, path, "true or false is expected, not %s", describe(n))
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		if err != nil || v.OverflowInt(i) {
			d.Fault(n, path, "a whole number is expected, not %s", describe(n))
			return
		}
		v.SetInt(i)
	case reflect.Uint64, reflect.Uint32, reflect.Uint:
		u, err := strconv.ParseUint(n.Value, 10, 64)
		if err != nil || v.OverflowUint(u) {
			d.Fault(n, path, "a whole number of 0 or more is expected, not %s", describe(n))
			return
		}
		v.SetUint(u)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || f != f || f > 1e300 || f < -1e300 {
			d.Fault(n, path, "a number is expected, not %s", describe(n))
			return
		}
		v.SetFloat(f)
	default:
		d.Fault(n, path, "this kind of value cannot be read here")
	}
}

type field struct {
	name     string
	index    []int
	typ      reflect.Type
	doc      string
	enum     []string
	required bool
	isName   bool // held to the rule of names
}

// structFields lists the fields that a file may set, those of structs marked
// `yaml:",inline"` included.
func structFields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if options == "inline" {
			for _, inner := range structFields(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				out = append(out, inner)
			}
			continue
		}
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		var enum []string
		if tag := f.Tag.Get("enum"); tag != "" {
			enum = strings.Split(tag, ",")
		}
		out = append(out, field{name: name, index: []int{i}, typ: f.Type, doc: f.Tag.Get("doc"), enum: enum,
			required: f.Tag.Get("required") == "true", isName: f.Tag.Get("name") == "true"})
	}
	return out
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range structFields(t) {
		keys = append(keys, f.name)
	}
	return keys
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "an empty value"
	}
	return quoteShort(n.Value)
}

// quoteShort quotes the beginning of a text.
func quoteShort(s string) string {
	if len(s) > 60 {
		return strconv.Quote(s[:60] + "…")
	}
	return strconv.Quote(s)
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
