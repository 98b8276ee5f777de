package ingest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// isWindows tells whether a document is an event of a Windows log, in one of the forms
// that converters, collectors and exports give it.
func isWindows(o *fastjson.Object) bool {
	for _, key := range []string{"EventID", "Event", "winlog", "EventCode", "EventId"} {
		if v := o.Get(key); v != nil && v.Type() != fastjson.TypeNull {
			switch key {
			case "Event":
				return v.Type() == fastjson.TypeObject && v.Get("System") != nil
			case "EventId":
				return has(o, "Channel") || has(o, "Provider")
			}
			return true
		}
	}
	return has(o, "data.win.system") || has(o, "win.system") || has(o, "winlog.event_id") || has(o, "winlog.channel") ||
		has(o, "Event.System.EventID") || has(o, "Id", "LogName", "ProviderName") || has(o, "System", "EventData") ||
		has(o, "System.EventID") || has(o, "event.code", "event.provider") && has(o, "winlog.event_data") ||
		has(o, "sourcetype", "_raw") &&
			bytes.HasPrefix(bytes.TrimSpace(o.Get("_raw").GetStringBytes()), []byte("<Event"))
}

func (d *jsonDecoder) windows(e *event.Event, o *fastjson.Object) string {
	if reason := d.windowsFields(e, o); reason != "" {
		return reason
	}
	return finishWindows(e)
}

// windowsFields finds out which form an event has and reads it.
func (d *jsonDecoder) windowsFields(e *event.Event, o *fastjson.Object) string {
	switch {
	case o.Get("EventID") != nil && o.Get("_raw") == nil && o.Get("System") == nil && o.Get("Event") == nil:
		d.flatEvent(e, o)
	case o.Get("Event") != nil:
		d.nestedEvent(e, o.Get("Event").GetObject())
	case o.Get("System") != nil && o.Get("System").GetObject() != nil:
		d.nestedEvent(e, o)
	case o.Get("winlog") != nil:
		return d.dotted(e, o, "winlog")
	case o.Get("_raw") != nil && bytes.HasPrefix(bytes.TrimSpace(o.Get("_raw").GetStringBytes()), []byte("<Event")):
		root, err := parseXML(o.Get("_raw").GetStringBytes())
		if err != nil {
			return "no valid event XML"
		}
		fillElement(e, &d.arena, root)
	case has(o, "data.win.system"):
		d.wazuh(e, at(o, "data.win"))
	case has(o, "win.system"):
		d.wazuh(e, at(o, "win"))
	case has(o, "Id", "LogName"):
		return d.getWinEvent(e, o)
	case o.Get("EventId") != nil:
		return d.evtxECmd(e, o)
	case has(o, "Event.System.EventID"):
		return d.dotted(e, o, "Event")
	case has(o, "System.EventID"):
		return d.dotted(e, o, "")
	case o.Get("EventCode") != nil:
		d.flatEvent(e, o)
	default:
		return d.dotted(e, o, "winlog")
	}
	return ""
}

// frame takes a value that belongs to the frame of an event, under the names that
// collectors use for it.
func (d *jsonDecoder) frame(e *event.Event, name, value string) {
	switch name {
	case "Hostname", "Computer", "computer_name", "ComputerName", "MachineName":
		e.Host = value
		e.Set(event.Computer, value)
	case "TimeCreated", "@timestamp", "EventTime", "SystemTime", "_time":
		d.clock = clock(e, slices.Index(clocks, name), d.clock, value)
	case "EventID", "event_id", "EventCode":
		e.Set(event.EventID, value)
	case "Channel", "channel", "LogName":
		e.Set(event.LogChannel, value)
	case "SourceName", "provider_name", "Provider", "ProviderName":
		e.Set(event.ProviderName, value)
	}
}

// flatEvent reads an event whose frame and data stand beside each other.
func (d *jsonDecoder) flatEvent(e *event.Event, o *fastjson.Object) {
	host := ""
	f := flattener{d: d, e: e}
	o.Visit(func(key []byte, v *fastjson.Value) {
		switch v.Type() {
		case fastjson.TypeObject:
			switch string(key) { // exports that nest the data only
			case "EventData", "event_data", "UserData":
				d.data(e, v)
				return
			case "TimeCreated", "Provider":
				d.frame(e, "SystemTime", d.attribute(o, "TimeCreated", "SystemTime"))
				if name := d.attribute(o, "Provider", "Name"); name != "" {
					d.frame(e, "Provider", name)
				}
				return
			case "EventID":
				e.Set(event.EventID, d.scalar(v))
				return
			}
			f.value(key, v)
			return
		case fastjson.TypeArray:
			f.value(key, v)
			return
		case fastjson.TypeNull:
			return
		}
		t, _ := d.text(v)
		switch k := d.known(key); {
		case k.frame:
			d.frame(e, k.name, t)
		case k.field == event.NoField && strings.IndexByte(k.name, ' ') >= 0:
			setData(e, k.name, t)
		default:
			if k.name == "host" {
				host = t
			}
			set(e, k, t)
		}
	})
	f.finish()
	if e.Host == "" {
		e.Host = host
	}
}

// isFrame tells whether frame knows a name.
func isFrame(name string) bool {
	switch name {
	case "Hostname",
		"Computer",
		"computer_name",
		"ComputerName",
		"MachineName",
		"TimeCreated",
		"@timestamp",
		"EventTime",
		"SystemTime",
		"_time",
		"EventID",
		"event_id",
		"EventCode",
		"Channel",
		"channel",
		"LogName",
		"SourceName",
		"provider_name",
		"Provider",
		"ProviderName":
		return true
	}
	return false
}

// attribute is an attribute of an element in one of the forms that converters give
// it: within #attributes, as @Name, or within NAME_attributes beside the element.
func (d *jsonDecoder) attribute(parent *fastjson.Object, element, name string) string {
	v := parent.Get(element)
	if v != nil && v.Type() == fastjson.TypeObject {
		for _, path := range []string{"#attributes", "@attributes", "_attributes", "$"} {
			if a := v.GetObject(path); a != nil {
				return d.scalar(a.Get(name))
			}
		}
		for _, key := range []string{"@" + name, "-" + name, name, "_" + name} {
			if a := v.Get(key); a != nil {
				return d.scalar(a)
			}
		}
	}
	if a := parent.Get(element + "_attributes").GetObject(); a != nil {
		return d.scalar(a.Get(name))
	}
	return ""
}

// nestedEvent reads an event that has the structure of its XML.
func (d *jsonDecoder) nestedEvent(e *event.Event, o *fastjson.Object) {
	if sys := o.Get("System").GetObject(); sys != nil {
		for _, name := range []string{"Provider", "EventID", "Channel", "Computer"} {
			v := sys.Get(name)
			t := ""
			if name == "Provider" {
				if t = d.attribute(sys, name, "Name"); t == "" && v != nil && v.Type() == fastjson.TypeString {
					t = d.scalar(v)
				}
			} else {
				t = d.scalar(v)
			}
			if t != "" {
				d.frame(e, name, t)
			}
		}
		at := d.attribute(sys, "TimeCreated", "SystemTime")
		if at == "" {
			at = d.scalar(sys.Get("TimeCreated"))
		}
		d.clock = clock(e, 0, d.clock, at)
		for _, name := range frameData {
			if t := d.scalar(sys.Get(name)); t != "" {
				e.SetName(name, t)
			}
		}
	}
	for _, section := range sections {
		if v := o.Get(section); v != nil {
			d.data(e, v)
		}
	}
	if rendering := o.Get("RenderingInfo").GetObject(); rendering != nil {
		if t := d.scalar(rendering.Get("Message")); t != "" {
			e.SetName("Message", t)
		}
	}
}

var (
	// frameData are elements of System that rules ask for.
	frameData = []string{"Keywords", "Level", "Task", "Opcode", "Version", "EventRecordID"}
	// sections are the elements of an event that hold its data.
	sections = []string{"EventData", "UserData", "DebugData", "ProcessingErrorData", "BinaryEventData"}
)

// data reads EventData or UserData: a map, an array of Data with names or without,
// or elements that wrap others.
func (d *jsonDecoder) data(e *event.Event, v *fastjson.Value) {
	switch v.Type() {
	case fastjson.TypeArray:
		d.dataArray(e, v.GetArray())
	case fastjson.TypeObject:
		v.GetObject().Visit(func(key []byte, v *fastjson.Value) { d.dataMember(e, key, v) })
	case fastjson.TypeString:
		if t := d.scalar(v); strings.TrimSpace(t) != "" {
			setData(e, "Data", t)
		}
	}
}

func (d *jsonDecoder) dataMember(e *event.Event, key []byte, v *fastjson.Value) {
	switch string(key) {
	case "#attributes", "@attributes", "xmlns", "@xmlns", "_attributes":
		return
	case "Data":
		switch v.Type() {
		case fastjson.TypeArray:
			d.dataArray(e, v.GetArray())
			return
		case fastjson.TypeObject:
			d.dataArray(e, []*fastjson.Value{v})
			return
		}
	}
	if bytes.HasSuffix(key, []byte("_attributes")) && v.Type() == fastjson.TypeObject {
		return
	}
	switch v.Type() {
	case fastjson.TypeNull:
	case fastjson.TypeArray:
		var members []string
		for _, item := range v.GetArray() {
			if t, ok := d.text(item); ok {
				members = append(members, t)
			} else if item.Type() == fastjson.TypeObject {
				d.dataMember(e, key, item)
			}
		}
		setDataList(e, d.name(key), members)
	case fastjson.TypeObject:
		if text := v.Get("#text"); text != nil { // an element with attributes, or repeated
			d.dataMember(e, key, text)
			return
		}
		if a := v.GetObject("#attributes"); a != nil {
			a.Visit(func(key []byte, v *fastjson.Value) {
				if t, ok := d.text(v); ok && !bytes.HasPrefix(key, []byte("xmlns")) {
					d.once(e, d.name(key), t)
				}
			})
		}
		d.data(e, v)
	default:
		if t, ok := d.text(v); ok {
			setData(e, d.name(key), t)
		}
	}
}

// once sets a field unless it is there already.
func (d *jsonDecoder) once(e *event.Event, name, value string) {
	if _, there := e.Lookup(name); !there {
		setData(e, name, value)
	}
}

// dataArray reads elements Data.
func (d *jsonDecoder) dataArray(e *event.Event, items []*fastjson.Value) {
	var unnamed []string
	for _, item := range items {
		o := item.GetObject()
		if o == nil {
			if t, ok := d.text(item); ok {
				unnamed = append(unnamed, t)
			}
			continue
		}
		name := ""
		for _, path := range []string{"@Name", "Name", "-Name", "name", "_Name", "#attributes.Name", "@attributes.Name", "_attributes.Name", "$.Name"} {
			if name = d.scalar(at(o, path)); name != "" {
				break
			}
		}
		var text *fastjson.Value
		for _, key := range []string{"#text", "_", "text", "Text", "content", "Value", "value", "$t", "#content"} {
			if text = o.Get(key); text != nil {
				break
			}
		}
		switch {
		case text != nil && text.Type() == fastjson.TypeArray:
			var members []string
			for _, m := range text.GetArray() {
				if t, ok := d.text(m); ok {
					members = append(members, t)
				}
			}
			if name == "" {
				unnamed = append(unnamed, members...)
			} else {
				setDataList(e, name, members)
			}
		case text == nil && name != "":
		case text == nil:
			d.data(e, item)
		case name == "":
			if t, ok := d.text(text); ok {
				unnamed = append(unnamed, t)
			}
		default:
			if t, ok := d.text(text); ok {
				setData(e, name, t)
			}
		}
	}
	if len(unnamed) > 0 {
		setDataList(e, "Data", unnamed)
	}
}

// dotted reads an event whose members, nested or not, have dotted names: Winlogbeat's
// and Elastic's, and flattened XML.
func (d *jsonDecoder) dotted(e *event.Event, o *fastjson.Object, form string) string {
	later := []struct{ name, value string }{}
	lists := map[string][]string{}
	var walk func(prefix string, o *fastjson.Object, depth int)
	walk = func(prefix string, o *fastjson.Object, depth int) {
		o.Visit(func(key []byte, v *fastjson.Value) {
			name := prefix + string(key)
			switch v.Type() {
			case fastjson.TypeObject:
				if depth < maxFlattenDepth {
					walk(name+".", v.GetObject(), depth+1)
				}
			case fastjson.TypeArray:
				var members []string
				for _, item := range v.GetArray() {
					if t, ok := d.text(item); ok {
						members = append(members, t)
					} else if inner := item.GetObject(); inner != nil && depth < maxFlattenDepth {
						walk(name+".", inner, depth+1)
					}
				}
				if len(members) == 1 {
					later = append(later, struct{ name, value string }{name, members[0]})
				} else if len(members) > 1 {
					lists[name] = members
					later = append(later, struct{ name, value string }{name, ""})
				}
			default:
				if t, ok := d.text(v); ok {
					later = append(later, struct{ name, value string }{name, t})
				}
			}
		})
	}
	walk("", o, 0)
	for _, f := range later { // the frame first, so that data cannot replace it
		d.dottedFrame(e, f.name, f.value)
	}
	for _, f := range later {
		name, ok := dataName(f.name, form)
		switch {
		case ok && lists[f.name] != nil:
			setDataList(e, name, lists[f.name])
		case ok:
			setData(e, name, f.value)
		case f.name == "message" || f.name == "Event.RenderingInfo.Message":
			e.SetName("Message", f.value)
		}
	}
	ecsFields(e, func(path string) string {
		for _, f := range later {
			if f.name == path {
				return f.value
			}
		}
		return ""
	})
	return ""
}

// dottedFrame takes the members of an event's frame.
func (d *jsonDecoder) dottedFrame(e *event.Event, name, value string) {
	switch name {
	case "winlog.event_id", "event.code", "Event.System.EventID", "Event.System.EventID.#text", "System.EventID":
		if name != "event.code" || e.Value(event.EventID) == "" {
			e.Set(event.EventID, value)
		}
	case "winlog.channel", "Event.System.Channel", "System.Channel":
		e.Set(event.LogChannel, value)
	case "winlog.provider_name",
		"event.provider",
		"Event.System.Provider.Name",
		"Event.System.Provider.#attributes.Name",
		"Event.System.Provider.@Name",
		"System.Provider.Name":
		if name != "event.provider" || e.Value(event.ProviderName) == "" {
			e.Set(event.ProviderName, value)
		}
	case "winlog.computer_name", "Event.System.Computer", "System.Computer":
		e.Host = value
		e.Set(event.Computer, value)
	case "host.name", "host.hostname", "agent.hostname":
		if e.Host == "" {
			e.Host = value
		}
	case "Event.System.TimeCreated.SystemTime",
		"Event.System.TimeCreated.#attributes.SystemTime",
		"Event.System.TimeCreated.@SystemTime",
		"System.TimeCreated.SystemTime",
		"Event.System.TimeCreated":
		d.clock = clock(e, 0, d.clock, value)
	case "@timestamp":
		d.clock = clock(e, slices.Index(clocks, name), d.clock, value)
	case "winlog.keywords", "Event.System.Keywords":
		e.SetName("Keywords", value)
	case "winlog.record_id", "Event.System.EventRecordID":
		e.SetName("EventRecordID", value)
	}
}

// dataName is the name of the field that a dotted member is, and whether it belongs
// to an event's data.
func dataName(path, form string) (string, bool) {
	prefixes := []string{"winlog.event_data.", "winlog.user_data."}
	if form != "winlog" {
		prefixes = []string{"Event.EventData.", "Event.UserData.", "EventData.", "UserData."}
	}
	for _, prefix := range prefixes {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok || strings.HasPrefix(rest, "xml") || strings.Contains(rest, "#attributes.xmlns") {
			continue
		}
		rest = strings.TrimSuffix(rest, ".#text")
		if at := strings.LastIndexByte(rest, '.'); at >= 0 && strings.HasSuffix(prefix, "serData.") ||
			at >= 0 && strings.HasSuffix(prefix, "user_data.") {
			rest = rest[at+1:]
		}
		rest = strings.TrimPrefix(rest, "Data.")
		return rest, rest != ""
	}
	return "", false
}

// wazuh reads what Wazuh's agent makes of an event: names in camel case.
func (d *jsonDecoder) wazuh(e *event.Event, v *fastjson.Value) {
	if sys := v.GetObject("system"); sys != nil {
		sys.Visit(func(key []byte, v *fastjson.Value) {
			t, ok := d.text(v)
			if !ok {
				return
			}
			switch string(key) {
			case "eventID":
				e.Set(event.EventID, t)
			case "providerName":
				e.Set(event.ProviderName, t)
			case "channel":
				e.Set(event.LogChannel, t)
			case "computer":
				e.Host = t
				e.Set(event.Computer, t)
			case "systemTime":
				d.clock = clock(e, 0, d.clock, t)
			case "message":
				e.SetName("Message", strings.Trim(t, `"`))
			case "eventRecordID", "keywords", "level", "task", "opcode", "version":
				e.SetName(capital(string(key)), t)
			}
		})
	}
	for _, section := range []string{"eventdata", "userdata", "eventData", "userData"} {
		o := v.GetObject(section)
		if o == nil {
			continue
		}
		var walk func(o *fastjson.Object)
		walk = func(o *fastjson.Object) {
			o.Visit(func(key []byte, v *fastjson.Value) {
				if inner := v.GetObject(); inner != nil {
					walk(inner)
				} else if t, ok := d.text(v); ok {
					setData(e, wazuhName(string(key)), strings.ReplaceAll(t, `\\`, `\`))
				}
			})
		}
		walk(o)
	}
}

// wazuhName is Windows' spelling of a name that Wazuh writes in camel case.
func wazuhName(name string) string {
	name = capital(name)
	if name == "DestinationIsIpv6" || name == "SourceIsIpv6" || event.FieldByName(name) != event.NoField {
		return name
	}
	for _, suffix := range [][2]string{{"Guid", "GUID"}} {
		if rest, ok := strings.CutSuffix(name, suffix[0]); ok && event.FieldByName(rest+suffix[1]) != event.NoField {
			return rest + suffix[1]
		}
	}
	return name
}

// evtxECmd reads what Eric Zimmerman's EvtxECmd writes: the event's data is JSON text
// under Payload.
func (d *jsonDecoder) evtxECmd(e *event.Event, o *fastjson.Object) string {
	for _, pair := range [][2]string{
		{"EventId", "EventID"}, {"Channel", "Channel"}, {"Provider", "Provider"}, {"Computer", "Computer"}, {"TimeCreated", "SystemTime"},
	} {
		if t := d.scalar(o.Get(pair[0])); t != "" {
			d.frame(e, pair[1], t)
		}
	}
	for _, pair := range [][2]string{{"Keywords", "Keywords"}, {"Level", "Level"}, {"EventRecordId", "EventRecordID"}} {
		if t := d.scalar(o.Get(pair[0])); t != "" {
			e.SetName(pair[1], t)
		}
	}
	payload := o.Get("Payload").GetStringBytes()
	if len(payload) == 0 {
		return ""
	}
	v, err := d.nested.ParseBytes(payload)
	if err != nil {
		return "no valid JSON in Payload"
	}
	for _, section := range sections {
		if data := v.Get(section); data != nil {
			d.data(e, data)
		}
	}
	return ""
}
