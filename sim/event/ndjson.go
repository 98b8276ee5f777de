package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fastjson"
)

// AppendJSON appends the event as one JSON object: id, time_ns, observed_ns,
// sensor, host, logsource and fields. Fields come in a stable order, so equal
// events give equal bytes.
func (e *Event) AppendJSON(b []byte) []byte { return e.appendJSON(b, nil) }

// AppendJSONOf is AppendJSON with these fields only, of those that the event has.
func (e *Event) AppendJSONOf(b []byte, fields []string) []byte { return e.appendJSON(b, fields) }

func (e *Event) appendJSON(b []byte, only []string) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendUint(b, e.ID, 10)
	b = append(b, `,"time_ns":`...)
	b = strconv.AppendInt(b, int64(e.Time), 10)
	b = append(b, `,"observed_ns":`...)
	b = strconv.AppendInt(b, int64(e.Observed), 10)
	b = appendMember(b, "sensor", e.Sensor)
	b = appendMember(b, "host", e.Host)
	b = append(b, `,"logsource":{`...)
	first := true
	for _, p := range []pair{{"category", e.Source.Category}, {"product", e.Source.Product}, {"service", e.Source.Service}} {
		if p.Value == "" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(b, p.Name)
		b = append(b, ':')
		b = appendString(b, p.Value)
	}
	b = append(b, `},"fields":{`...)
	first = true
	e.Each(func(name, value string) bool {
		if only != nil && !slices.Contains(only, name) {
			return true
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(b, name)
		b = append(b, ':')
		b = e.appendValue(b, name, value)
		return true
	})
	return append(b, "}}"...)
}

// appendValue writes a field's value, several as an array.
func (e *Event) appendValue(b []byte, name, value string) []byte {
	members := e.MembersOf(name)
	if members == nil {
		return appendString(b, value)
	}
	for i, m := range members {
		if i == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		b = appendString(b, m)
	}
	return append(b, ']')
}

func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',')
	b = appendString(b, name)
	b = append(b, ':')
	return appendString(b, value)
}

func appendString(b []byte, s string) []byte {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	quoted, _ := json.Marshal(s) // a string always marshals
	return append(b, quoted...)
}

// Fill takes in an object written by AppendJSON; field values may also be numbers, booleans, null
// or arrays of these. Names and texts are copied by the functions, names of fields and sources, of
// which there are few, by the first; it also knows which fields they are.
func (e *Event) Fill(o *fastjson.Object, name func([]byte) (string, Field), text func([]byte) string) error {
	of := o.Get("fields")
	if of == nil {
		return errors.New("event has no \"fields\"")
	}
	fields, err := of.Object()
	if err != nil {
		return fmt.Errorf("event's \"fields\": %w", err)
	}
	r := exchangeReader{o: o}
	e.ID = r.unsigned("id")
	e.Time = time.Duration(r.signed("time_ns", 0))
	e.Observed = time.Duration(r.signed("observed_ns", int64(e.Time)))
	e.Sensor, _ = name(r.text("sensor"))
	e.Host = text(r.text("host"))
	if source := o.Get("logsource"); source != nil && source.Type() != fastjson.TypeNull {
		inner, err := source.Object()
		if err != nil {
			return fmt.Errorf("event's \"logsource\": %w", err)
		}
		s := exchangeReader{o: inner}
		e.Source.Category, _ = name(s.text("category"))
		e.Source.Product, _ = name(s.text("product"))
		e.Source.Service, _ = name(s.text("service"))
		r.err = errors.Join(r.err, s.err)
	}
	if r.err != nil {
		return fmt.Errorf("event is no JSON object of the exchange format: %w", r.err)
	}
	fields.Visit(func(key []byte, v *fastjson.Value) {
		if v.Type() == fastjson.TypeArray {
			var members []string
			for _, item := range v.GetArray() {
				if value, ok := scalarText(item, text); ok {
					members = append(members, value)
				}
			}
			n, _ := name(key)
			e.SetList(n, members)
		} else if value, ok := scalarText(v, text); ok {
			if n, f := name(key); f != NoField {
				e.Set(f, value)
			} else {
				e.SetExtra(n, value)
			}
		}
	})
	return nil
}

// exchangeReader reads members of an object, and keeps the first error.
type exchangeReader struct {
	o   *fastjson.Object
	err error
}

// member is a member's value, nil where it is absent or null.
func (r *exchangeReader) member(name string) *fastjson.Value {
	v := r.o.Get(name)
	if v == nil || v.Type() == fastjson.TypeNull || r.err != nil {
		return nil
	}
	return v
}

func (r *exchangeReader) fail(name string, err error) {
	if err != nil {
		r.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (r *exchangeReader) unsigned(name string) uint64 {
	v := r.member(name)
	if v == nil {
		return 0
	}
	x, err := v.Uint64()
	r.fail(name, err)
	return x
}

func (r *exchangeReader) signed(name string, otherwise int64) int64 {
	v := r.member(name)
	if v == nil {
		return otherwise
	}
	x, err := v.Int64()
	r.fail(name, err)
	return x
}

func (r *exchangeReader) text(name string) []byte {
	v := r.member(name)
	if v == nil {
		return nil
	}
	b, err := v.StringBytes()
	r.fail(name, err)
	return b
}

// scalarText gives a JSON value as field text; null is an absent field.
func scalarText(v *fastjson.Value, text func([]byte) string) (string, bool) {
	switch v.Type() {
	case fastjson.TypeString:
		return text(v.GetStringBytes()), true
	case fastjson.TypeNull:
		return "", false
	}
	return text(v.MarshalTo(nil)), true
}
