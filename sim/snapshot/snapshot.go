// Package snapshot writes the whole state of a running part of the program to a stream, and
// puts it back into a part that was built anew from the same configuration. It walks the
// values that can be reached from a root, whatever their types: structs with their unexported
// fields, slices, maps, pointers with what they share and their cycles, and interfaces.
//
// What is no state is left as it is in the part that was built anew:
//
//   - a struct field with the tag snapshot:"-", such as configuration, metrics and callbacks;
//   - what can be reached from the values that are named as fixed, such as rules, playbooks and
//     the inventory: a pointer into them is written as its place there.
//
// A function, a channel or a pointer into the middle of something else that is state is an
// error that names where it stands, so that forgetting a tag is found by the first test that
// takes a snapshot.
package snapshot

import (
	"bufio"
	"cmp"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"unsafe"
)

// magic begins a snapshot; its number changes with the format.
const magic = "hemostat snapshot 1\n"

// ErrOtherVersion is the error where the types of a snapshot are not those of the program.
var ErrOtherVersion = errors.New("the snapshot is of another version of the program or of its configuration")

// Save writes the state that can be reached from root, a pointer to a struct. Fixed values
// (pointers, slices or maps) are not part of it; the same must be given to Load in the same
// order.
func Save(w io.Writer, root any, fixed ...any) error {
	err := save(w, false, root, fixed)
	var s stateError
	if errors.As(err, &s) { // to say where takes longer than to save
		if placed := save(io.Discard, true, root, fixed); placed != nil {
			return placed
		}
	}
	return err
}

// stateError is an error in the state, not in the writing.
type stateError struct{ error }

func save(w io.Writer, places bool, root any, fixed []any) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	b := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)
	e := &encoder{w: b, places: places, ids: map[place]uint64{}, types: map[reflect.Type]uint64{}}
	var err error
	if e.fixed, err = placesOf(fixed); err != nil {
		return err
	}
	if _, err := b.WriteString(magic); err != nil {
		return err
	}
	e.uint(e.fixed.digest)
	v := reflect.ValueOf(root)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("snapshot: the root is a %T, not a pointer", root)
	}
	e.pointer(v, "")
	for len(e.queue) > 0 && e.err == nil {
		x := e.queue[0]
		e.queue[0] = pending{}
		e.queue = e.queue[1:]
		e.value(x.value, x.path)
	}
	if e.err == nil {
		e.err = e.checkOverlaps()
	}
	if e.err != nil {
		return fmt.Errorf("snapshot: %w", e.err)
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, sum.Sum32())
}

// place is where a value stands in memory. The type is needed, since a struct and its first
// field stand at the same address.
type place struct {
	at   unsafe.Pointer
	kind reflect.Type
}

// pending is a value that a pointer leads to and that is still to be written or read.
type pending struct {
	value reflect.Value
	path  string
}

// area is a stretch of memory that was written.
type area struct {
	from, to uintptr
	path     string
	isSlice  bool
}

type encoder struct {
	w       *bufio.Writer
	fixed   *fixedPlaces
	ids     map[place]uint64
	types   map[reflect.Type]uint64
	queue   []pending
	areas   []area
	scratch [binary.MaxVarintLen64]byte
	places  bool // note where each value stands, for errors
	err     error
}

// below is the place of a part of a value.
func (e *encoder) below(path, part string) string {
	if !e.places {
		return ""
	}
	return path + part
}

func (e *encoder) fail(path, format string, args ...any) {
	if e.err == nil {
		e.err = stateError{fmt.Errorf("%s: %s", strings.TrimPrefix(path, "."), fmt.Sprintf(format, args...))}
	}
}

func (e *encoder) bytes(b []byte) {
	if _, err := e.w.Write(b); err != nil && e.err == nil {
		e.err = err
	}
}

func (e *encoder) uint(x uint64) { e.bytes(binary.AppendUvarint(e.scratch[:0], x)) }
func (e *encoder) int(x int64)   { e.bytes(binary.AppendVarint(e.scratch[:0], x)) }
func (e *encoder) text(s string) {
	e.uint(uint64(len(s)))
	if _, err := e.w.WriteString(s); err != nil && e.err == nil {
		e.err = err
	}
}

// value writes an addressable value.
func (e *encoder) value(v reflect.Value, path string) {
	if e.err != nil {
		return
	}
	t := v.Type()
	if m, ok := marshaler(v); ok {
		data, err := m.MarshalBinary()
		if err != nil {
			e.fail(path, "%s", err)
		}
		e.text(string(data))
		return
	}
	if isScalar(t.Kind()) {
		e.scalar(v)
		return
	}
	switch t.Kind() {
	case reflect.String:
		e.text(v.String())
	case reflect.Struct:
		for _, f := range layoutOf(t).fields {
			e.value(field(v, f.index), e.below(path, f.dotted))
		}
	case reflect.Array:
		for i := range v.Len() {
			e.value(v.Index(i), e.below(path, "[]"))
		}
	case reflect.Slice:
		e.slice(v, path)
	case reflect.Map:
		e.mapping(v, path)
	case reflect.Pointer:
		e.pointer(v, path)
	case reflect.Interface:
		e.dynamic(v, path)
	default:
		if !v.IsZero() {
			e.fail(path, "a %s is no state; give the field the tag snapshot:\"-\" or make it data", t)
		}
	}
}

func (e *encoder) scalar(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Bool:
		x := uint64(0)
		if v.Bool() {
			x = 1
		}
		e.uint(x)
	case v.CanInt():
		e.int(v.Int())
	case v.CanUint():
		e.uint(v.Uint())
	default:
		e.bytes(binary.LittleEndian.AppendUint64(e.scratch[:0], math.Float64bits(v.Float())))
	}
}

func (e *encoder) slice(v reflect.Value, path string) {
	if v.IsNil() {
		e.uint(0)
		return
	}
	n := v.Len()
	e.uint(uint64(n) + 1)
	if n == 0 {
		return
	}
	elem := v.Type().Elem()
	from := uintptr(v.UnsafePointer())
	if elem.Size() > 0 {
		e.areas = append(e.areas, area{from, from + uintptr(n)*elem.Size(), path, true})
	}
	if isFlat(elem) {
		e.bytes(unsafe.Slice((*byte)(v.UnsafePointer()), n*int(elem.Size())))
		return
	}
	for i := range n {
		e.value(v.Index(i), e.below(path, "[]"))
	}
}

func (e *encoder) mapping(v reflect.Value, path string) {
	if v.IsNil() {
		e.uint(0)
		return
	}
	e.uint(uint64(v.Len()) + 1)
	for _, k := range sortedKeys(v) {
		e.value(copied(k), e.below(path, "{key}"))
		e.value(copied(v.MapIndex(k)), e.below(path, "{}"))
	}
}

// Kinds of pointers.
const (
	isNil = iota
	isFixed
	isKnown
	isFresh
)

func (e *encoder) pointer(v reflect.Value, path string) {
	if v.IsNil() {
		e.uint(isNil)
		return
	}
	p := place{v.UnsafePointer(), v.Type().Elem()}
	if n, ok := e.fixed.numbers[p]; ok {
		e.uint(isFixed)
		e.uint(n)
		return
	}
	if id, ok := e.ids[p]; ok {
		e.uint(isKnown)
		e.uint(id)
		return
	}
	e.ids[p] = uint64(len(e.ids))
	e.uint(isFresh)
	if size := p.kind.Size(); size > 0 {
		e.areas = append(e.areas, area{uintptr(p.at), uintptr(p.at) + size, path, false})
	}
	e.queue = append(e.queue, pending{v.Elem(), path})
}

// dynamic writes what stands in an interface, with its type.
func (e *encoder) dynamic(v reflect.Value, path string) {
	if v.IsNil() {
		e.uint(0)
		return
	}
	t := v.Elem().Type()
	id, ok := e.types[t]
	if !ok {
		id = uint64(len(e.types)) + 1
		e.types[t] = id
	}
	e.uint(id)
	if !ok {
		e.text(nameOf(t))
	}
	e.value(copied(v.Elem()), path)
}

// checkOverlaps finds a pointer that leads into the middle of something else that is state:
// what both share would be two things afterwards. Slices may share memory, since what is
// shared by slices is not changed in place.
func (e *encoder) checkOverlaps() error {
	slices.SortFunc(e.areas, func(a, b area) int {
		if a.from != b.from {
			return cmp.Compare(a.from, b.from)
		}
		return cmp.Compare(b.to, a.to)
	})
	var pointed, sliced area // those that reach furthest so far
	for _, x := range e.areas {
		other := pointed
		if !x.isSlice && sliced.to > other.to {
			other = sliced
		}
		if x.from < other.to {
			return stateError{fmt.Errorf("%s and %s share memory",
				strings.TrimPrefix(other.path, "."), strings.TrimPrefix(x.path, "."))}
		}
		if x.isSlice && x.to > sliced.to {
			sliced = x
		} else if !x.isSlice && x.to > pointed.to {
			pointed = x
		}
	}
	return nil
}

// marshaler is how values of a type write themselves, for types of the standard library whose
// fields are no state.
func marshaler(v reflect.Value) (encoding.BinaryMarshaler, bool) {
	if p := v.Type().PkgPath(); v.Kind() != reflect.Struct || p != "time" && p != "net/netip" {
		return nil, false
	}
	m, ok := v.Addr().Interface().(encoding.BinaryMarshaler)
	return m, ok
}

// copied is a value that can be addressed.
func copied(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

// field is a field, also an unexported one, of an addressable struct.
func field(v reflect.Value, index int) reflect.Value {
	f := v.Field(index)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}
