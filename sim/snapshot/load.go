package snapshot

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"reflect"
	"strings"
	"unsafe"
)

// Load puts a state that Save wrote into root, which was built anew from the same
// configuration; the fixed values are those of the new one, in the order in which they were
// given to Save. After an error, which wraps ErrOtherVersion where the program or its
// configuration changed, root is of no use any more.
func Load(r io.Reader, root any, fixed ...any) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	if !bytes.HasPrefix(data, []byte(magic)) {
		return fmt.Errorf("it is no snapshot of this version: it does not begin with %q (%w)",
			strings.TrimSpace(magic), ErrOtherVersion)
	}
	end := len(data) - crc32.Size
	if end < len(magic) ||
		crc32.Checksum(data[:end], crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(data[end:]) {
		return errors.New("the snapshot is not whole: its checksum is wrong")
	}
	d := &decoder{data: data[len(magic):end], root: reflect.TypeOf(root), used: map[place]bool{}}
	if d.fixed, err = placesOf(fixed); err != nil {
		return err
	}
	if d.uint() != d.fixed.digest {
		return fmt.Errorf("%w: the rules, playbooks or inventory are others", ErrOtherVersion)
	}
	d.types = typesFrom(d.root)
	err = d.everything(reflect.ValueOf(root))
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// pending is a value that a pointer leads to and that is still to be read.
type pending struct {
	value reflect.Value
	path  string
}

// decoder reads a snapshot. What it cannot read it panics with a failure about, which
// everything returns as an error.
type decoder struct {
	data  []byte
	root  reflect.Type
	fixed *fixedPlaces
	known []reflect.Value // pointers by id
	lists []reflect.Value // long slices by id
	used  map[place]bool  // values of the new part that were given a state
	types *typeSet
	named []reflect.Type // by the order in which they were named
	queue []pending
}

type failure struct{ error }

func (d *decoder) fail(path, format string, args ...any) {
	panic(failure{fmt.Errorf("%w: %s: %s", ErrOtherVersion, strings.TrimPrefix(path, "."), fmt.Sprintf(format, args...))})
}

func (d *decoder) everything(root reflect.Value) (err error) {
	defer func() {
		if f := recover(); f != nil {
			x, ok := f.(failure)
			if !ok {
				panic(f)
			}
			err = x.error
		}
	}()
	at := copied(root)
	d.pointer(at, "")
	if at.UnsafePointer() != root.UnsafePointer() {
		d.fail("", "the root is not where it was")
	}
	for len(d.queue) > 0 {
		x := d.queue[0]
		d.queue[0] = pending{}
		d.queue = d.queue[1:]
		d.value(x.value, x.path)
	}
	if len(d.data) > 0 {
		d.fail("", "%d bytes are left over", len(d.data))
	}
	return nil
}

func (d *decoder) uint() uint64 {
	x, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail("", "it ends within a number")
	}
	d.data = d.data[n:]
	return x
}

func (d *decoder) int() int64 {
	x, n := binary.Varint(d.data)
	if n <= 0 {
		d.fail("", "it ends within a number")
	}
	d.data = d.data[n:]
	return x
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.fail("", "it ends within a value")
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) text() string { return string(d.take(d.uint())) }

// value reads into an addressable value, which may hold what the new part was built with.
func (d *decoder) value(v reflect.Value, path string) {
	t := v.Type()
	if t.Kind() == reflect.Struct {
		path = t.String()
	}
	if isMarshaler(t) {
		if err := v.Addr().Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary([]byte(d.text())); err != nil {
			d.fail(path, "%s", err)
		}
		return
	}
	if isScalar(t.Kind()) {
		d.scalar(v)
		return
	}
	switch t.Kind() {
	case reflect.String:
		v.SetString(d.text())
	case reflect.Struct:
		for _, f := range layoutOf(t).fields {
			d.value(field(v, f.index), path)
		}
	case reflect.Array:
		for i := range v.Len() {
			d.value(v.Index(i), path)
		}
	case reflect.Slice:
		d.slice(v, path)
	case reflect.Map:
		d.mapping(v, path)
	case reflect.Pointer:
		d.pointer(v, path)
	case reflect.Interface:
		d.dynamic(v, path)
	default:
		v.SetZero()
	}
}

func (d *decoder) scalar(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Bool:
		v.SetBool(d.uint() != 0)
	case v.CanInt():
		v.SetInt(d.int())
	case v.CanUint():
		v.SetUint(d.uint())
	default:
		v.SetFloat(math.Float64frombits(binary.LittleEndian.Uint64(d.take(8))))
	}
}

func (d *decoder) slice(v reflect.Value, path string) {
	n := d.uint()
	switch n {
	case isNoList:
		v.SetZero()
		return
	case isKnownList:
		id := d.uint()
		if id >= uint64(len(d.lists)) || d.lists[id].Type().Elem() != v.Type().Elem() {
			d.fail(path, "a list is not known")
		}
		v.Set(d.lists[id].Convert(v.Type()))
		return
	}
	n -= firstLength
	elem := v.Type().Elem()
	if isFlat(elem) {
		if n > uint64(len(d.data)) && elem.Size() > 0 {
			d.fail(path, "it ends within a list")
		}
		list := reflect.MakeSlice(v.Type(), int(n), int(n))
		if n > 0 {
			copy(unsafe.Slice((*byte)(list.UnsafePointer()), n*uint64(elem.Size())), d.take(n*uint64(elem.Size())))
		}
		v.Set(list)
		d.keep(list)
		return
	}
	if n > uint64(len(d.data)) && elem.Size() > 0 {
		d.fail(path, "it ends within a list")
	}
	if v.IsNil() || uint64(v.Len()) != n { // one of the same length was built with what is no state of its elements
		v.Set(reflect.MakeSlice(v.Type(), int(n), int(n)))
	}
	d.keep(v)
	for i := range int(n) {
		d.value(v.Index(i), path)
	}
}

// keep remembers a slice that later ones may share, as Save did.
func (d *decoder) keep(list reflect.Value) {
	if uintptr(list.Len())*list.Type().Elem().Size() >= shareFrom {
		d.lists = append(d.lists, copied(list))
	}
}

func (d *decoder) mapping(v reflect.Value, path string) {
	n := d.uint()
	if n == 0 {
		v.SetZero()
		return
	}
	n--
	if n > uint64(len(d.data)) {
		d.fail(path, "it ends within a map")
	}
	t := v.Type()
	m := reflect.MakeMapWithSize(t, int(n))
	for range n {
		key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		d.value(key, path)
		if !v.IsNil() {
			if before := v.MapIndex(key); before.IsValid() {
				value.Set(before)
			}
		}
		d.value(value, path)
		m.SetMapIndex(key, value)
	}
	v.Set(m)
}

func (d *decoder) pointer(v reflect.Value, path string) {
	t := v.Type().Elem()
	switch d.uint() {
	case isNil:
		v.SetZero()
	case isFixed:
		d.setKnown(v, d.fixed.values, path)
	case isKnown:
		d.setKnown(v, d.known, path)
	case isFresh:
		p := place{v.UnsafePointer(), t}
		if v.IsNil() || d.used[p] {
			if t.Kind() == reflect.Struct && layoutOf(t).keeps {
				d.fail(path, "a %s holds what is no state and was not built anew", t)
			}
			v.Set(reflect.New(t))
		}
		d.used[place{v.UnsafePointer(), t}] = true
		d.known = append(d.known, copied(v))
		d.queue = append(d.queue, pending{v.Elem(), path})
	default:
		d.fail(path, "an unknown kind of pointer")
	}
}

func (d *decoder) setKnown(v reflect.Value, list []reflect.Value, path string) {
	id := d.uint()
	if id >= uint64(len(list)) || list[id].Type() != v.Type() {
		d.fail(path, "a pointer leads to something else")
	}
	v.Set(list[id])
}

func (d *decoder) dynamic(v reflect.Value, path string) {
	id := d.uint()
	if id == 0 {
		v.SetZero()
		return
	}
	if id == uint64(len(d.named))+1 {
		name := d.text()
		t := d.types.byName(name)
		if t == nil && !v.IsNil() && nameOf(v.Elem().Type()) == name {
			t = v.Elem().Type()
		}
		if t == nil {
			d.fail(path, "the type %s is not known", name)
		}
		d.types.add(t)
		d.named = append(d.named, t)
	}
	if id > uint64(len(d.named)) {
		d.fail(path, "the type %d is not known", id)
	}
	t := d.named[id-1]
	x := reflect.New(t).Elem()
	if !v.IsNil() && v.Elem().Type() == t {
		x.Set(v.Elem())
	}
	d.value(x, path)
	if !t.AssignableTo(v.Type()) {
		d.fail(path, "a %s is no %s", t, v.Type())
	}
	v.Set(x)
}

// basic are types that stand in interfaces without a field of theirs anywhere.
var basic = []any{false, 0, int8(0), int16(0), int32(0), int64(0), uint(0), uint8(0), uint16(0), uint32(0), uint64(0),
	float32(0), 0.0, "", []any{}, map[string]any{}, []string{}, map[string]string{}, []byte{}, []int{}, []float64{}}

// typeSet are the types that can be reached from a type.
type typeSet struct{ names map[string]reflect.Type }

// typesFrom finds types that may stand in interfaces: those that the fields of a type lead to,
// and basic ones. What only stands in an interface is found where the new part has one there.
func typesFrom(root reflect.Type) *typeSet {
	s := &typeSet{names: map[string]reflect.Type{}}
	s.add(root)
	for _, x := range basic {
		s.add(reflect.TypeOf(x))
	}
	return s
}

func (s *typeSet) byName(name string) reflect.Type { return s.names[name] }

func (s *typeSet) add(t reflect.Type) {
	if _, ok := s.names[nameOf(t)]; ok {
		return
	}
	s.names[nameOf(t)] = t
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		s.add(t.Elem())
	case reflect.Map:
		s.add(t.Key())
		s.add(t.Elem())
	case reflect.Struct:
		s.add(reflect.PointerTo(t))
		for _, f := range layoutOf(t).fields {
			s.add(t.Field(f.index).Type)
		}
	}
}
