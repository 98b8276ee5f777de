package strictyaml

import (
	"encoding"
	"encoding/json"
	"reflect"
)

// Schemer is implemented by types that NodeReader or TextUnmarshaler read, to
// say in JSON Schema what they accept.
type Schemer interface{ JSONSchema() map[string]any }

// Schema writes the JSON Schema (draft 2020-12) of the files that Decode reads
// into a value of this type. Descriptions, enumerations and required keys come
// from the struct tags doc, enum and required.
func Schema(title string, value any) []byte {
	s := &schemaWriter{defs: map[string]any{}}
	root := s.of(reflect.TypeOf(value))
	out := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   title,
		"$defs":   s.defs,
	}
	for k, v := range root {
		out[k] = v
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		panic("strictyaml: a schema of maps and strings must marshal: " + err.Error())
	}
	return append(text, '\n')
}

// SchemaOf is the JSON Schema of a value's type in place, for a Schemer that has parts of
// other types.
func SchemaOf(value any) map[string]any {
	s := &schemaWriter{inline: true}
	return s.of(reflect.TypeOf(value))
}

type schemaWriter struct {
	defs   map[string]any
	inline bool // structs stand in place
}

func (s *schemaWriter) of(t reflect.Type) map[string]any {
	if t.Kind() == reflect.Pointer {
		return s.of(t.Elem())
	}
	if described, ok := reflect.New(t).Interface().(Schemer); ok {
		return described.JSONSchema()
	}
	if _, ok := reflect.New(t).Interface().(encoding.TextUnmarshaler); ok {
		return map[string]any{"type": []string{"string", "number"}}
	}
	switch {
	case t == durationType:
		return map[string]any{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$`}
	case t == nodeType || t.Kind() == reflect.Interface:
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.ofStruct(t)
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Slice:
		list := map[string]any{"type": "array", "items": s.of(t.Elem())}
		if t.Elem().Kind() == reflect.String {
			return map[string]any{"anyOf": []any{list, s.of(t.Elem())}}
		}
		return list
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	}
	return map[string]any{"type": "integer"}
}

// ofStruct puts the struct under $defs, so that types may contain themselves.
func (s *schemaWriter) ofStruct(t reflect.Type) map[string]any {
	ref := map[string]any{"$ref": "#/$defs/" + t.Name()}
	if t.Name() != "" && !s.inline {
		if _, done := s.defs[t.Name()]; done {
			return ref
		}
		s.defs[t.Name()] = nil
	}
	properties, required := map[string]any{}, []string{}
	for _, f := range structFields(t) {
		p := s.of(f.typ)
		if f.doc != "" {
			p["description"] = f.doc
		}
		if len(f.enum) > 0 {
			p["enum"] = f.enum
		}
		if f.isName {
			p["pattern"] = namePattern
		}
		properties[f.name] = p
		if f.required {
			required = append(required, f.name)
		}
	}
	object := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		object["required"] = required
	}
	if t.Name() == "" || s.inline {
		return object
	}
	s.defs[t.Name()] = object
	return ref
}
