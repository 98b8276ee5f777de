package ingest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// jsonDecoder reads JSON of every kind: each document is known by its keys, so one
// input may hold several kinds.
type jsonDecoder struct {
	parser  fastjson.Parser
	nested  fastjson.Parser             // of JSON within a text of JSON
	wrapped [maxWrapped]fastjson.Parser // of documents as text within others, by depth
	scanner fastjson.Scanner            // of documents one behind another
	arena   event.Arena
	names   map[string]*knownName
	last    *knownName // the name that was looked up before
	stream  string     // the stream of Zeek that the input's name says
	clock   int        // rank among clocks of the time found so far
	linux   messages   // of journald
}

// knownName is the name of a field that came before.
type knownName struct {
	name  string
	field event.Field // NoField for one outside of the table
	frame bool        // of the frame of a Windows event
	next  *knownName  // what followed it last: records of a kind have their keys in one order
}

// jsonKind is one kind of JSON document.
type jsonKind struct {
	name string
	is   func(o *fastjson.Object) bool
	// fill fills an event, and returns "" or why there is none.
	fill func(d *jsonDecoder, e *event.Event, o *fastjson.Object) string
}

// jsonKinds are tried in this order.
var jsonKinds []jsonKind

func init() { // the decoders of wrapped documents refer to the table
	jsonKinds = []jsonKind{
		{"winlog", isWindows, (*jsonDecoder).windows},
		{"zeek", isZeek, (*jsonDecoder).zeek},
		{"suricata", isSuricata, (*jsonDecoder).suricata},
		{"journald", isJournald, (*jsonDecoder).journald},
		{"cloudtrail", isCloudTrail, (*jsonDecoder).cloudTrail},
		{"kubernetes", isKubernetes, (*jsonDecoder).kubernetes},
		{"okta", isOkta, (*jsonDecoder).okta},
		{"gcp", isGCP, (*jsonDecoder).gcp},
		{"m365", isM365, (*jsonDecoder).m365},
		{"entra", isEntra, (*jsonDecoder).entra},
		{"azure", isAzureActivity, (*jsonDecoder).azureActivity},
		{"github", isGitHub, (*jsonDecoder).gitHub},
		{"bitbucket", isBitbucket, (*jsonDecoder).bitbucket},
		{"duo", isDuo, (*jsonDecoder).duo},
		{"opencanary", isOpenCanary, (*jsonDecoder).openCanary},
		{"workspace", isWorkspace, (*jsonDecoder).workspace},
		{"ecs", isECS, (*jsonDecoder).ecs},
	}
}

const reasonUnknownJSON = "JSON of no kind that is known"

func newJSONDecoder(stream string) *jsonDecoder {
	return &jsonDecoder{names: map[string]*knownName{}, stream: stream}
}

func (d *jsonDecoder) decode(line []byte, out *output) string {
	v, err := d.parser.ParseBytes(line)
	if err != nil {
		return d.several(line, out)
	}
	if bytes.HasPrefix(line, exchangeHead) { // most likely; whether it is of another kind takes a while to find out
		if o, err := v.Object(); err == nil && isExchange(o) {
			return d.exchange(o, out)
		}
	}
	return d.value(v, out, 0)
}

// exchangeHead begins events of the exchange format as the program writes them.
var exchangeHead = []byte(`{"id":`)

func isExchange(o *fastjson.Object) bool { return o.Get("logsource") != nil && o.Get("fields") != nil }

// several decodes a line that holds more than one document: logs that were put one
// behind another may lack the end of a line between them.
func (d *jsonDecoder) several(line []byte, out *output) string {
	d.scanner.InitBytes(line)
	n := 0
	for d.scanner.Next() {
		out.count(d.value(d.scanner.Value(), out, 0))
		n++
	}
	if n > 0 && d.scanner.Error() == nil {
		return ignored
	}
	return "no valid JSON"
}

// exchange reads an event of the program's own exchange format.
func (d *jsonDecoder) exchange(o *fastjson.Object, out *output) string {
	e := d.arena.NewWide(32, 16)
	known := func(b []byte) (string, event.Field) {
		k := d.known(b)
		return k.name, k.field
	}
	if e.Fill(o, known, d.keep) != nil {
		return "no event of the exchange format"
	}
	out.event(e)
	return ""
}

// keep is a text in the memory of the decoder's events.
func (d *jsonDecoder) keep(b []byte) string {
	return d.arena.Text(len(b), func(out []byte) []byte { return append(out, b...) })
}

// maxWrapped bounds how often a document may be wrapped in others.
const maxWrapped = 4

func (d *jsonDecoder) value(v *fastjson.Value, out *output, depth int) string {
	if items := v.GetArray(); v.Type() == fastjson.TypeArray && depth < maxWrapped {
		for _, item := range items {
			out.count(d.value(item, out, depth+1))
		}
		if len(items) == 0 {
			return "no JSON object"
		}
		return ignored
	}
	o, err := v.Object()
	if err != nil {
		return "no JSON object"
	}
	for i := range jsonKinds {
		if i == 1 && isExchange(o) { // behind the commonest kind
			return d.exchange(o, out)
		}
		if !jsonKinds[i].is(o) {
			continue
		}
		e := d.arena.NewWide(32, 16)
		d.clock = len(clocks)
		reason := jsonKinds[i].fill(d, e, o)
		if reason == "" {
			out.event(e)
		}
		return reason
	}
	if depth < maxWrapped {
		if inner := d.unwrap(o, depth); inner != nil {
			return d.value(inner, out, depth+1)
		}
	}
	return reasonUnknownJSON
}

// textKeys are keys under which a shipper puts a record as text, or as an object.
var textKeys = []string{
	"message", "_raw", "log", "AuditData", "auditData", "event", "body", "data", "detail", "line", "MESSAGE",
}

// unwrap finds the document that a collector or an export put within another.
func (d *jsonDecoder) unwrap(o *fastjson.Object, depth int) *fastjson.Value {
	for _, key := range []string{"_source", "result"} {
		if v := o.Get(key); v != nil && v.Type() == fastjson.TypeObject {
			return v
		}
	}
	for _, key := range slices.Concat(wrapperKeys, []string{"events", "entries", "data"}) {
		switch v := o.Get(key); {
		case v == nil:
		case v.Type() == fastjson.TypeArray && len(v.GetArray()) > 0 && v.GetArray()[0].Type() == fastjson.TypeObject:
			return v
		case v.Type() == fastjson.TypeObject && key == "hits":
			return v
		}
	}
	for _, key := range textKeys {
		v := o.Get(key)
		if v == nil {
			continue
		}
		if v.Type() == fastjson.TypeObject {
			if key == "event" || key == "body" || key == "data" || key == "detail" {
				return v
			}
			continue
		}
		if text := v.GetStringBytes(); len(text) > 1 && text[0] == '{' {
			if inner, err := d.wrapped[depth].ParseBytes(text); err == nil {
				return inner
			}
		}
	}
	return nil
}

// text is a JSON scalar as field text; containers and null are none.
func (d *jsonDecoder) text(v *fastjson.Value) (string, bool) {
	if v == nil {
		return "", false
	}
	switch v.Type() {
	case fastjson.TypeString:
		b := v.GetStringBytes()
		return d.arena.Text(len(b), func(out []byte) []byte { return append(out, b...) }), true
	case fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		return d.arena.Text(24, v.MarshalTo), true
	}
	return "", false
}

// scalar is the text of a value, of the member #text of an object, or "".
func (d *jsonDecoder) scalar(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	if v.Type() == fastjson.TypeObject {
		for _, key := range []string{"#text", "_", "text", "value", "content"} {
			if inner := v.Get(key); inner != nil {
				v = inner
				break
			}
		}
	}
	t, _ := d.text(v)
	return t
}

// maxNames bounds the names of fields that a decoder remembers.
const maxNames = 20_000

// name keeps the name of a field. The same name is kept once.
func (d *jsonDecoder) name(key []byte) string { return d.known(key).name }

// known finds a name, or makes it known.
func (d *jsonDecoder) known(key []byte) *knownName {
	before := d.last
	if before != nil && before.next != nil && before.next.name == string(key) {
		d.last = before.next
		return d.last
	}
	k, ok := d.names[string(key)]
	if !ok {
		if len(d.names) > maxNames {
			clear(d.names)
		}
		name := string(key)
		k = &knownName{name: name, field: event.FieldByName(name), frame: isFrame(name)}
		d.names[name] = k
	}
	if before != nil {
		before.next = k
	}
	d.last = k
	return k
}

// put gives an event the scalar or the list of scalars that a value is. It reports
// false for other values.
func (d *jsonDecoder) put(e *event.Event, key []byte, v *fastjson.Value) bool {
	switch v.Type() {
	case fastjson.TypeNull:
		return true
	case fastjson.TypeObject:
		return false
	case fastjson.TypeArray:
		var members []string
		for _, item := range v.GetArray() {
			t, ok := d.text(item)
			if !ok {
				if item.Type() == fastjson.TypeNull {
					continue
				}
				return false
			}
			members = append(members, t)
		}
		e.SetList(d.name(key), members)
		return true
	}
	t, _ := d.text(v)
	set(e, d.known(key), t)
	return true
}

func set(e *event.Event, k *knownName, value string) {
	if k.field != event.NoField {
		e.Set(k.field, value)
	} else {
		e.SetExtra(k.name, value)
	}
}

// flatten gives an event every value within an object: those of nested objects under
// dotted names, arrays of scalars as lists. An object or array of objects within it
// also stands as JSON text under its own name, since rules look for pieces of it.
// The fields of an array's objects are lists of the values of all of them.
func (d *jsonDecoder) flatten(e *event.Event, o *fastjson.Object) {
	f := flattener{d: d, e: e}
	f.object("", o)
	f.finish()
}

type flattener struct {
	d     *jsonDecoder
	e     *event.Event
	lists map[string][]string // of fields within arrays
	order []string
	depth int
	inner int // arrays around
	count int
}

const (
	maxFlattenDepth  = 32
	maxFlattenValues = 20_000
)

func (f *flattener) object(prefix string, o *fastjson.Object) {
	o.Visit(func(key []byte, v *fastjson.Value) {
		name := key
		if prefix != "" {
			name = append(append(append(make([]byte, 0, len(prefix)+len(key)+1), prefix...), '.'), key...)
		}
		f.value(name, v)
	})
}

func (f *flattener) value(name []byte, v *fastjson.Value) {
	if f.count++; f.count > maxFlattenValues || f.depth > maxFlattenDepth {
		f.e.Omit()
		return
	}
	if f.inner > 0 {
		if t, ok := f.d.text(v); ok {
			f.add(string(name), t)
			return
		}
	} else if f.d.put(f.e, name, v) {
		return
	}
	f.depth++
	defer func() { f.depth-- }()
	switch v.Type() {
	case fastjson.TypeObject:
		if f.inner == 0 {
			f.e.SetName(f.d.name(name), f.d.arena.Text(64, v.MarshalTo))
		}
		f.object(string(name), v.GetObject())
	case fastjson.TypeArray:
		if f.inner == 0 {
			f.e.SetName(f.d.name(name), f.d.arena.Text(64, v.MarshalTo))
		}
		f.inner++
		for _, item := range v.GetArray() {
			if o := item.GetObject(); o != nil {
				f.object(string(name), o)
			} else {
				f.value(name, item)
			}
		}
		f.inner--
	}
}

func (f *flattener) add(name, text string) {
	if f.lists == nil {
		f.lists = map[string][]string{}
	}
	if f.lists[name] == nil {
		f.order = append(f.order, name)
	}
	f.lists[name] = append(f.lists[name], text)
}

func (f *flattener) finish() {
	for _, name := range f.order {
		f.e.SetList(f.d.name([]byte(name)), f.lists[name])
	}
}

// timeFrom sets the event's time from the first of the values that is a time.
func (d *jsonDecoder) timeFrom(e *event.Event, o *fastjson.Object, paths ...string) {
	for _, path := range paths {
		if at, ok := parseTime(d.scalar(at(o, path))); ok {
			e.Time = at
			return
		}
	}
}

// at is the value at a dotted path, or under the path as one key; nil when there is none.
func at(o *fastjson.Object, path string) *fastjson.Value {
	if v := o.Get(path); v != nil {
		return v
	}
	for {
		key, rest, more := strings.Cut(path, ".")
		v := o.Get(key)
		if v == nil || !more {
			return v
		}
		if o = v.GetObject(); o == nil {
			return nil
		}
		if path = rest; o.Get(path) != nil {
			return o.Get(path)
		}
	}
}

// has tells whether an object has all of these paths.
func has(o *fastjson.Object, paths ...string) bool {
	for _, path := range paths {
		if v := at(o, path); v == nil || v.Type() == fastjson.TypeNull {
			return false
		}
	}
	return true
}

// copyField gives a field's value to other names too, which rules use for it.
func copyField(e *event.Event, from string, to ...string) {
	f := event.FieldByName(from)
	if members := e.Members(f, from); members != nil {
		for _, name := range to {
			e.SetList(name, members)
		}
		return
	}
	if v, ok := e.Lookup(from); ok {
		for _, name := range to {
			if _, there := e.Lookup(name); !there {
				e.SetName(name, v)
			}
		}
	}
}
