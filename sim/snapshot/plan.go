package snapshot

import (
	"encoding"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unsafe"
)

// plan is how values of a type are written. A snapshot is taken while a pipeline stands still, so
// a type is looked at once, and its values are then read where they stand in memory.
type plan struct {
	kind reflect.Type
	// write is nil until the plan is whole; plans of types that hold each other refer to plans.
	write  func(e *encoder, at unsafe.Pointer, path string)
	isFlat bool
}

var (
	plans      = map[reflect.Type]*plan{}
	plansMutex sync.Mutex
)

// planOf is the plan of a type.
func planOf(t reflect.Type) *plan {
	plansMutex.Lock()
	defer plansMutex.Unlock()
	return planLocked(t)
}

func planLocked(t reflect.Type) *plan {
	if p, ok := plans[t]; ok {
		return p
	}
	p := &plan{kind: t, isFlat: isFlat(t)}
	plans[t] = p
	p.write = writerOf(t)
	return p
}

// header is what a slice is in memory.
type header struct {
	at       unsafe.Pointer
	len, cap int
}

func writerOf(t reflect.Type) func(*encoder, unsafe.Pointer, string) {
	if isMarshaler(t) {
		return func(e *encoder, at unsafe.Pointer, path string) {
			data, err := reflect.NewAt(t, at).Interface().(encoding.BinaryMarshaler).MarshalBinary()
			if err != nil {
				e.fail(path, "%s", err)
			}
			e.text(string(data))
		}
	}
	if isScalar(t.Kind()) {
		return scalarWriter(t)
	}
	switch t.Kind() {
	case reflect.String:
		return func(e *encoder, at unsafe.Pointer, _ string) { e.text(*(*string)(at)) }
	case reflect.Struct:
		return structWriter(t)
	case reflect.Array:
		elem, size, n := planLocked(t.Elem()), t.Elem().Size(), t.Len()
		return func(e *encoder, at unsafe.Pointer, path string) {
			for i := range n {
				e.value(elem, unsafe.Add(at, uintptr(i)*size), e.below(path, "[]"))
			}
		}
	case reflect.Slice:
		elem := planLocked(t.Elem())
		return func(e *encoder, at unsafe.Pointer, path string) { e.slice(elem, (*header)(at), path) }
	case reflect.Map:
		key, elem := planLocked(t.Key()), planLocked(t.Elem())
		return func(e *encoder, at unsafe.Pointer, path string) {
			e.mapping(key, elem, reflect.NewAt(t, at).Elem(), path)
		}
	case reflect.Pointer:
		elem := planLocked(t.Elem())
		return func(e *encoder, at unsafe.Pointer, path string) { e.pointer(elem, *(*unsafe.Pointer)(at), path) }
	case reflect.Interface:
		return func(e *encoder, at unsafe.Pointer, path string) { e.dynamic(reflect.NewAt(t, at).Elem(), path) }
	}
	return func(e *encoder, at unsafe.Pointer, path string) {
		if !reflect.NewAt(t, at).Elem().IsZero() {
			e.fail(path, "a %s is no state; give the field the tag snapshot:\"-\" or make it data", t)
		}
	}
}

func structWriter(t reflect.Type) func(*encoder, unsafe.Pointer, string) {
	type part struct {
		offset uintptr
		plan   *plan
		dotted string
	}
	var parts []part
	for _, f := range layoutOf(t).fields {
		x := t.Field(f.index)
		parts = append(parts, part{x.Offset, planLocked(x.Type), f.dotted})
	}
	return func(e *encoder, at unsafe.Pointer, path string) {
		for i := range parts {
			f := &parts[i]
			e.value(f.plan, unsafe.Add(at, f.offset), e.below(path, f.dotted))
		}
	}
}

func scalarWriter(t reflect.Type) func(*encoder, unsafe.Pointer, string) {
	switch t.Kind() {
	case reflect.Bool:
		return func(e *encoder, at unsafe.Pointer, _ string) { e.uint(uint64(*(*uint8)(at))) }
	case reflect.Int, reflect.Int64:
		return func(e *encoder, at unsafe.Pointer, _ string) { e.int(*(*int64)(at)) }
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		return func(e *encoder, at unsafe.Pointer, _ string) { e.uint(*(*uint64)(at)) }
	case reflect.Float64:
		return func(e *encoder, at unsafe.Pointer, _ string) { e.float(*(*float64)(at)) }
	}
	return func(e *encoder, at unsafe.Pointer, _ string) { // the rarer widths
		v := reflect.NewAt(t, at).Elem()
		switch {
		case v.CanInt():
			e.int(v.Int())
		case v.CanUint():
			e.uint(v.Uint())
		default:
			e.float(v.Float())
		}
	}
}

func (e *encoder) float(x float64) {
	e.bytes(binary.LittleEndian.AppendUint64(e.scratch[:0], math.Float64bits(x)))
}

// value writes the value that stands at a place.
func (e *encoder) value(p *plan, at unsafe.Pointer, path string) {
	if e.err == nil {
		p.write(e, at, path)
	}
}

func (e *encoder) slice(elem *plan, list *header, path string) {
	if list.at == nil {
		e.uint(isNoList)
		return
	}
	size := elem.kind.Size()
	total := uintptr(list.len) * size
	if total >= shareFrom {
		p := listPlace{planPlace{list.at, elem}, list.len}
		if id, ok := e.lists[p]; ok {
			e.uint(isKnownList)
			e.uint(id)
			return
		}
		e.lists[p] = uint64(len(e.lists))
	}
	e.uint(uint64(list.len) + firstLength)
	if list.len == 0 {
		return
	}
	if size > 0 {
		from := uintptr(list.at)
		e.note(area{from, from + total, path, true})
	}
	if elem.isFlat {
		e.bytes(unsafe.Slice((*byte)(list.at), total))
		return
	}
	for i := range list.len {
		e.value(elem, unsafe.Add(list.at, uintptr(i)*size), e.below(path, "[]"))
	}
}

func (e *encoder) mapping(key, elem *plan, v reflect.Value, path string) {
	if v.IsNil() {
		e.uint(0)
		return
	}
	e.uint(uint64(v.Len()) + 1)
	if key.kind.Kind() == reflect.String {
		e.named(key, elem, v, path)
		return
	}
	k, x := reflect.New(key.kind).Elem(), reflect.New(elem.kind).Elem() // of the entry that is written
	for _, name := range sortedKeys(v) {
		k.Set(name)
		e.value(key, k.Addr().UnsafePointer(), e.below(path, "{key}"))
		x.Set(v.MapIndex(name))
		e.value(elem, x.Addr().UnsafePointer(), e.below(path, "{}"))
	}
}

// named writes a map by name, the commonest of large maps, without looking each entry up.
func (e *encoder) named(key, elem *plan, v reflect.Value, path string) {
	type entry struct {
		name string
		at   int
	}
	entries := make([]entry, 0, v.Len())
	values := reflect.MakeSlice(reflect.SliceOf(elem.kind), v.Len(), v.Len())
	for i := v.MapRange(); i.Next(); {
		values.Index(len(entries)).SetIterValue(i)
		entries = append(entries, entry{i.Key().String(), len(entries)})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for i := range entries {
		x := &entries[i]
		e.value(key, unsafe.Pointer(&x.name), e.below(path, "{key}"))
		e.value(elem, values.Index(x.at).Addr().UnsafePointer(), e.below(path, "{}"))
	}
}

// What stands before a slice: none, one that was written before, or its length and firstLength.
const (
	isNoList = iota
	isKnownList
	firstLength
)

// Kinds of pointers.
const (
	isNil = iota
	isFixed
	isKnown
	isFresh
)

// pointer writes where a pointer leads, and has what stands there written later.
func (e *encoder) pointer(elem *plan, to unsafe.Pointer, path string) {
	if to == nil {
		e.uint(isNil)
		return
	}
	if e.fixed.kinds[elem.kind] {
		if n, ok := e.fixed.numbers[place{to, elem.kind}]; ok {
			e.uint(isFixed)
			e.uint(n)
			return
		}
	}
	p := planPlace{to, elem}
	if id, ok := e.ids[p]; ok {
		e.uint(isKnown)
		e.uint(id)
		return
	}
	e.ids[p] = uint64(len(e.ids))
	e.uint(isFresh)
	if size := elem.kind.Size(); size > 0 {
		e.note(area{uintptr(to), uintptr(to) + size, path, false})
	}
	e.queue = append(e.queue, unwritten{p, path})
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
	e.value(planOf(t), copied(v.Elem()).Addr().UnsafePointer(), path)
}
