package ingest

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

//go:embed winproperties.txt
var propertyTable string

// propertyNames gives the names of an event's values by provider and event id, for
// each version of the event.
var propertyNames = sync.OnceValue(func() map[string]map[int][]string {
	names := map[string]map[int][]string{}
	for line := range strings.Lines(propertyTable) {
		parts := strings.Split(strings.TrimSpace(line), "\t")
		if len(parts) != 4 || strings.HasPrefix(line, "#") {
			continue
		}
		version, err := strconv.Atoi(parts[2])
		if err != nil {
			panic("winproperties.txt: " + line)
		}
		key := strings.ToLower(parts[0]) + "|" + parts[1]
		if names[key] == nil {
			names[key] = map[int][]string{}
		}
		names[key][version] = strings.Fields(parts[3])
	}
	return names
})

// namesOf finds the names of n values of an event: those of its version, or of the
// oldest version that has as many.
func namesOf(provider, id string, version, n int) []string {
	versions := propertyNames()[strings.ToLower(provider)+"|"+id]
	if names := versions[version]; len(names) >= n {
		return names[:n]
	}
	for v := range 10 {
		if names := versions[v]; len(names) >= n {
			return names[:n]
		}
	}
	return nil
}

// getWinEvent reads what PowerShell's Get-WinEvent and ConvertTo-Json make of an
// event: its values have no names, which a table gives for the events that are known;
// of others the message's lines "Name: value" are read.
func (d *jsonDecoder) getWinEvent(e *event.Event, o *fastjson.Object) string {
	e.Set(event.EventID, d.scalar(o.Get("Id")))
	for _, pair := range [][2]string{{"LogName", "LogName"}, {"ProviderName", "ProviderName"}, {"MachineName", "MachineName"}} {
		if t := d.scalar(o.Get(pair[0])); t != "" {
			d.frame(e, pair[1], t)
		}
	}
	created := o.Get("TimeCreated")
	if created != nil && created.Type() == fastjson.TypeObject { // of PowerShell 5 with more depth
		created = created.Get("value")
	}
	d.clock = clock(e, 1, d.clock, d.scalar(created))
	for _, name := range []string{"Level", "Task", "Opcode", "Version"} {
		if t := d.scalar(o.Get(name)); t != "" {
			e.SetName(name, t)
		}
	}
	var values []string
	for _, p := range o.Get("Properties").GetArray() {
		t := d.scalar(p.Get("Value"))
		if p.Type() != fastjson.TypeObject {
			t, _ = d.text(p)
		}
		values = append(values, t)
	}
	version, _ := strconv.Atoi(d.scalar(o.Get("Version")))
	names := namesOf(e.Value(event.ProviderName), e.Value(event.EventID), version, len(values))
	for i, name := range names {
		setData(e, name, values[i])
	}
	message := d.scalar(o.Get("Message"))
	if message != "" {
		e.SetName("Message", message)
	}
	if len(names) == 0 {
		if len(values) > 0 {
			setDataList(e, "Data", values)
		}
		messageFields(e, message)
	}
	return ""
}

// messageFields reads the lines "Name: value" of a rendered message. Of a name that
// comes again the first counts.
func messageFields(e *event.Event, message string) {
	for line := range strings.Lines(message) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		if !ok || value == "" || len(name) > 60 || strings.ContainsAny(name, `\/.,"'`) {
			continue
		}
		if _, there := e.Lookup(name); !there {
			setData(e, name, value)
		}
	}
}
