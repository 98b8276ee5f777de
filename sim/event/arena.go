package event

import (
	"strconv"
	"unsafe"
)

// Arena makes events and the text in them from large blocks, so that generating
// telemetry allocates for a batch and not for each event. Blocks are never
// reused: an event that somebody keeps stays valid, and the garbage collector
// takes a block when its last event is gone. An Arena serves one goroutine.
type Arena struct {
	events []Event
	values []string
	extra  []pair
	text   []byte
}

const (
	eventsPerBlock = 256
	pairsPerBlock  = 2048
	valuesPerBlock = 8192
	textPerBlock   = 64 << 10
)

// New returns an empty event with room for so many known fields.
func (a *Arena) New(fields int) *Event {
	if len(a.events) == 0 {
		a.events = make([]Event, eventsPerBlock)
	}
	e := &a.events[0]
	a.events = a.events[1:]
	if len(a.values) < fields {
		a.values = make([]string, max(valuesPerBlock, fields))
	}
	e.values = a.values[:0:fields]
	a.values = a.values[fields:]
	return e
}

// NewWide returns an empty event with room for so many known fields, and for others.
func (a *Arena) NewWide(fields, others int) *Event {
	e := a.New(fields)
	if len(a.extra) < others {
		a.extra = make([]pair, max(pairsPerBlock, others))
	}
	e.extra = a.extra[:0:others]
	a.extra = a.extra[others:]
	return e
}

// Join returns the parts joined as one string.
func (a *Arena) Join(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := a.grab(n)
	for _, p := range parts {
		b = append(b, p...)
	}
	return a.keep(b)
}

// Uint writes a number in decimal.
func (a *Arena) Uint(v uint64) string {
	if v < 100 {
		return strconv.FormatUint(v, 10) // the standard library has these ready
	}
	return a.keep(strconv.AppendUint(a.grab(20), v, 10))
}

// Hex writes a number as Windows logs do: 0x3e7.
func (a *Arena) Hex(v uint64) string {
	return a.keep(strconv.AppendUint(append(a.grab(18), "0x"...), v, 16))
}

// Text lets write append to a buffer and returns what it appended as a string.
func (a *Arena) Text(capacity int, write func([]byte) []byte) string {
	return a.keep(write(a.grab(capacity)))
}

// grab returns an empty slice with room for n bytes at the arena's end.
func (a *Arena) grab(n int) []byte {
	if cap(a.text)-len(a.text) < n {
		a.text = make([]byte, 0, max(textPerBlock, n))
	}
	return a.text[len(a.text):]
}

// keep turns a slice from grab into a string. If append moved it to memory of
// its own, nothing of the arena is used up.
func (a *Arena) keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	end := len(a.text)
	if end < cap(a.text) && unsafe.SliceData(b) == unsafe.SliceData(a.text[end:cap(a.text)]) {
		a.text = a.text[:end+len(b)]
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}
