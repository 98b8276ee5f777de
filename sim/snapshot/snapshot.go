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
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"
)

// magic begins a snapshot; its number changes with the format.
const magic = "hemostat snapshot 3\n"

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
	e := &encoder{w: b, places: places, ids: make(map[planPlace]uint64, largest.Load()),
		lists: map[listPlace]uint64{}, types: map[reflect.Type]uint64{}}
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
	e.pointer(planOf(v.Type().Elem()), v.UnsafePointer(), "")
	for len(e.queue) > 0 && e.err == nil {
		x := e.queue[0]
		e.queue[0] = unwritten{}
		e.queue = e.queue[1:]
		e.value(x.plan, x.at, x.path)
	}
	largest.Store(max(largest.Load(), int64(len(e.ids))))
	if e.err == nil && len(e.areas) <= mostChecked {
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

// largest is how many pointers the largest state so far had.
var largest atomic.Int64

// mostChecked is up to how many stretches of memory a state is checked for overlaps. What
// overlaps is a fault of the program, which its tests find with small states.
const mostChecked = 100_000

// note remembers a stretch of memory for checkOverlaps.
func (e *encoder) note(a area) {
	if len(e.areas) <= mostChecked {
		e.areas = append(e.areas, a)
	}
}

// planPlace is where a value that is written stands in memory.
type planPlace struct {
	at   unsafe.Pointer
	plan *plan
}

// listPlace is where the members of a slice stand in memory.
type listPlace struct {
	planPlace
	length int
}

// shareFrom is the size in bytes from which on a slice is written once, however many values hold
// it.
const shareFrom = 256

// unwritten is a value that a pointer leads to and that is still to be written.
type unwritten struct {
	planPlace
	path string
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
	ids     map[planPlace]uint64
	lists   map[listPlace]uint64 // long slices that were written
	types   map[reflect.Type]uint64
	queue   []unwritten
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

// isMarshaler tells whether values of a type write themselves: those of the standard library whose
// fields are no state.
func isMarshaler(t reflect.Type) bool {
	if p := t.PkgPath(); t.Kind() != reflect.Struct || p != "time" && p != "net/netip" {
		return false
	}
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.BinaryMarshaler]())
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
