package event

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
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
	var members []string
	if e.HasLists() {
		members = e.Members(FieldByName(name), name)
	}
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

// Decode reads one object written by AppendJSON. Field values may also be
// numbers, booleans, null or arrays of these.
func Decode(line []byte) (*Event, error) {
	var raw struct {
		ID       uint64                     `json:"id"`
		Time     int64                      `json:"time_ns"`
		Observed *int64                     `json:"observed_ns"`
		Sensor   string                     `json:"sensor"`
		Host     string                     `json:"host"`
		Source   LogSource                  `json:"logsource"`
		Fields   map[string]json.RawMessage `json:"fields"`
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return nil, fmt.Errorf("event is no JSON object of the exchange format: %w", err)
	}
	if raw.Fields == nil {
		return nil, fmt.Errorf("event has no \"fields\"")
	}
	e := &Event{ID: raw.ID, Time: time.Duration(raw.Time), Sensor: raw.Sensor, Host: raw.Host, Source: raw.Source}
	e.Observed = e.Time
	if raw.Observed != nil {
		e.Observed = time.Duration(*raw.Observed)
	}
	for _, name := range slices.Sorted(maps.Keys(raw.Fields)) {
		var members []json.RawMessage
		if raw := raw.Fields[name]; len(raw) > 0 && raw[0] == '[' && json.Unmarshal(raw, &members) == nil {
			var texts []string
			for _, m := range members {
				if text, ok := scalarText(m); ok {
					texts = append(texts, text)
				}
			}
			e.SetList(name, texts)
			continue
		}
		if value, ok := scalarText(raw.Fields[name]); ok {
			e.SetName(name, value)
		}
	}
	return e, nil
}

// scalarText gives a JSON value as field text; null is an absent field.
func scalarText(raw json.RawMessage) (string, bool) {
	if len(raw) > 0 && raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s, true
		}
	}
	if string(raw) == "null" {
		return "", false
	}
	return string(raw), true
}
