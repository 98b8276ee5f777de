package event

import (
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Event is one line of telemetry. Time is when it happened and Observed when
// the sensor delivered it; both count from the scenario's start in a simulation
// and from the Unix epoch in a replay.
//
// Known fields sit in a dense slice behind a presence bitmap, so that looking
// one up takes constant time; names outside the table go to a small list.
type Event struct {
	ID       uint64
	Time     time.Duration
	Observed time.Duration
	Sensor   string
	Host     string
	Source   LogSource

	mask    [(NumFields + 63) / 64]uint64
	values  []string
	extra   []pair
	omitted int // fields beyond maxExtra
	lists   []list
}

// list are the members of a field that holds several values.
type list struct {
	field   Field // NoField for a field outside of the table
	name    string
	members []string
}

// maxExtra bounds the fields outside of the table: they are kept sorted, so a line
// with hundreds of thousands would take minutes.
const maxExtra = 4096

// pair is a field by name.
type pair struct{ Name, Value string }

// has tells whether the field is present.
func (e *Event) has(f Field) bool {
	return f < NumFields && e.mask[f>>6]&(1<<(f&63)) != 0
}

// Get returns a field's value and whether it is present.
func (e *Event) Get(f Field) (string, bool) {
	if !e.has(f) {
		return "", false
	}
	return e.values[e.rank(f)], true
}

// Value returns a field's value, or "" when it is absent.
func (e *Event) Value(f Field) string {
	v, _ := e.Get(f)
	return v
}

// Lookup returns a field by its name, known to the table or not.
func (e *Event) Lookup(name string) (string, bool) {
	if f := FieldByName(name); f != NoField {
		return e.Get(f)
	}
	return e.Extra(name)
}

// Extra returns a field that the table does not know by its name.
func (e *Event) Extra(name string) (string, bool) {
	for i := range e.extra {
		if e.extra[i].Name == name {
			return e.extra[i].Value, true
		}
	}
	return "", false
}

// At is the value of the i-th field, in no particular order.
func (e *Event) At(i int) string {
	if i < len(e.values) {
		return e.values[i]
	}
	return e.extra[i-len(e.values)].Value
}

// Set gives a field a value. Setting fields in table order appends; any other
// order moves the later ones.
func (e *Event) Set(f Field, value string) {
	if f >= NumFields {
		return
	}
	at := e.rank(f)
	if e.has(f) {
		e.values[at] = value
		return
	}
	e.mask[f>>6] |= 1 << (f & 63)
	e.values = append(e.values, "")
	copy(e.values[at+1:], e.values[at:])
	e.values[at] = value
}

// SetName gives a field a value by name.
func (e *Event) SetName(name, value string) {
	if f := FieldByName(name); f != NoField {
		e.Set(f, value)
		return
	}
	e.SetExtra(name, value)
}

// SetData gives a field of Windows' EventData a value. A name with spaces, as Defender has
// them, is also set without and with underscores, which rules ask for.
func (e *Event) SetData(name, value string) {
	e.SetName(name, value)
	if strings.IndexByte(name, ' ') >= 0 {
		e.SetName(strings.ReplaceAll(name, " ", ""), value)
		e.SetName(strings.ReplaceAll(name, " ", "_"), value)
	}
}

// fewExtra is the number of fields outside of the table up to which they are looked
// through one by one; more are kept in the order of their names.
const fewExtra = 32

func byName(a, b pair) int { return strings.Compare(a.Name, b.Name) }

// SetExtra gives a field that the table does not know a value.
func (e *Event) SetExtra(name, value string) {
	if len(e.extra) < fewExtra {
		for i := range e.extra {
			if e.extra[i].Name == name {
				e.extra[i].Value = value
				return
			}
		}
		e.extra = append(e.extra, pair{name, value})
		if len(e.extra) == fewExtra {
			slices.SortFunc(e.extra, byName)
		}
		return
	}
	at, found := slices.BinarySearchFunc(e.extra, pair{Name: name}, byName)
	switch {
	case found:
		e.extra[at].Value = value
	case len(e.extra) >= maxExtra:
		e.omitted++
	default:
		e.extra = slices.Insert(e.extra, at, pair{name, value})
	}
}

// ordered is the fields outside of the table by name.
func (e *Event) ordered() []pair {
	if len(e.extra) >= fewExtra || slices.IsSortedFunc(e.extra, byName) {
		return e.extra
	}
	return slices.SortedFunc(slices.Values(e.extra), byName)
}

// SetList gives a field several values. Get returns them joined with commas; a test
// of the field holds when it holds for one of them.
func (e *Event) SetList(name string, members []string) {
	switch len(members) {
	case 0:
		return
	case 1:
		e.SetName(name, members[0])
		return
	}
	before := e.omitted
	e.SetName(name, strings.Join(members, ","))
	if e.omitted == before {
		e.lists = append(e.lists, list{FieldByName(name), name, members})
	}
}

// HasLists tells whether a field of the event holds several values.
func (e *Event) HasLists() bool { return len(e.lists) > 0 }

// Members returns the values of a field that holds several, or nil. A field outside
// of the table is found by its name.
func (e *Event) Members(f Field, name string) []string {
	for i := len(e.lists) - 1; i >= 0; i-- { // the last one given counts
		if l := &e.lists[i]; l.field == f && (f != NoField || l.name == name) {
			return l.members
		}
	}
	return nil
}

// MembersOf returns the values of a field that holds several, by its name, or nil.
func (e *Event) MembersOf(name string) []string {
	if !e.HasLists() {
		return nil
	}
	return e.Members(FieldByName(name), name)
}

// Omit counts a field that a reader left out since the event has too many.
func (e *Event) Omit() { e.omitted++ }

// Omitted counts the fields that were left out since the event has too many.
func (e *Event) Omitted() int { return e.omitted }

// Len counts the fields.
func (e *Event) Len() int { return len(e.values) + len(e.extra) }

// Each calls f for every field: the known ones in table order, then the others
// by name. It stops when f returns false.
func (e *Event) Each(f func(name, value string) bool) {
	at := 0
	for word, m := range e.mask {
		for ; m != 0; m &= m - 1 {
			if !f(fieldNames[word<<6+bits.TrailingZeros64(m)], e.values[at]) {
				return
			}
			at++
		}
	}
	for _, p := range e.ordered() {
		if !f(p.Name, p.Value) {
			return
		}
	}
}

func (e *Event) rank(f Field) int {
	word := int(f >> 6)
	n := bits.OnesCount64(e.mask[word] & (1<<(f&63) - 1))
	for i := range word {
		n += bits.OnesCount64(e.mask[i])
	}
	return n
}

// Since is a moment as the time of an event that was recorded: since the Unix epoch.
func Since(at time.Time) time.Duration { return time.Duration(at.UnixNano()) }
