package snapshot

import (
	"bytes"
	"fmt"
	"hash"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// layout is which fields of a struct are state.
type layout struct {
	fields []fieldInfo
	// keeps tells that a field is none: a struct made by Load would lack it.
	keeps bool
}

type fieldInfo struct {
	index  int
	dotted string // the name behind a dot
}

var layouts sync.Map // layout by reflect.Type

func layoutOf(t reflect.Type) *layout {
	if l, ok := layouts.Load(t); ok {
		return l.(*layout)
	}
	l := &layout{}
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Tag.Get("snapshot") == "-":
			l.keeps = true
		case f.Name != "_":
			l.fields = append(l.fields, fieldInfo{i, "." + f.Name})
		}
	}
	layouts.Store(t, l)
	return l
}

var flats sync.Map // bool by reflect.Type

// isScalar tells whether values of a kind are a truth value or a number.
func isScalar(k reflect.Kind) bool { return reflect.Bool <= k && k <= reflect.Float64 }

// isFlat tells whether values of a type are their memory: numbers, and arrays and structs of
// numbers without gaps.
func isFlat(t reflect.Type) bool {
	if isScalar(t.Kind()) && t.Kind() != reflect.Uintptr {
		return true
	}
	switch t.Kind() {
	case reflect.Array:
		return isFlat(t.Elem())
	case reflect.Struct:
		if known, ok := flats.Load(t); ok {
			return known.(bool)
		}
		l := layoutOf(t)
		flat := !l.keeps && t.PkgPath() != "time" && t.PkgPath() != "net/netip"
		size := uintptr(0)
		for i := 0; flat && i < t.NumField(); i++ {
			flat = isFlat(t.Field(i).Type)
			size += t.Field(i).Type.Size()
		}
		flat = flat && size == t.Size() // what is between fields is not defined
		flats.Store(t, flat)
		return flat
	}
	return false
}

// nameOf names a type so that no two of a program are called alike.
func nameOf(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		return "*" + nameOf(t.Elem())
	}
	if t.PkgPath() != "" {
		return t.PkgPath() + "." + t.Name()
	}
	return t.String()
}

// sortedKeys are the keys of a map, in their order where they have one.
func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	encoded := func(v reflect.Value) []byte { return fmt.Appendf(nil, "%v", v) }
	switch k := m.Type().Key().Kind(); {
	case k == reflect.String:
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	case k >= reflect.Int && k <= reflect.Int64:
		slices.SortFunc(keys, func(a, b reflect.Value) int { return compare(a.Int(), b.Int()) })
	case k >= reflect.Uint && k <= reflect.Uint64:
		slices.SortFunc(keys, func(a, b reflect.Value) int { return compare(a.Uint(), b.Uint()) })
	case isFlat(m.Type().Key()) || k == reflect.Struct:
		texts := make(map[reflect.Value][]byte, len(keys))
		for _, x := range keys {
			texts[x] = encoded(x)
		}
		slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare(texts[a], texts[b]) })
	}
	return keys
}

func compare[T int64 | uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// isOwn tells whether a type belongs to this program rather than to a library.
func isOwn(t reflect.Type) bool {
	first, _, _ := strings.Cut(t.PkgPath(), "/")
	own, _, _ := strings.Cut(reflect.TypeFor[fixedPlaces]().PkgPath(), "/")
	return first == "" || first == own
}

// fixedPlaces are the places that can be reached from fixed values, numbered in the order of
// the walk.
type fixedPlaces struct {
	numbers map[place]uint64
	kinds   map[reflect.Type]bool // that numbers has
	values  []reflect.Value       // pointers
	digest  uint64                // of the types in their order

	sum   hash.Hash64
	queue []reflect.Value
}

// placesOf walks all that can be reached from fixed values.
func placesOf(roots []any) (*fixedPlaces, error) {
	f := &fixedPlaces{numbers: map[place]uint64{}, kinds: map[reflect.Type]bool{}, sum: fnv.New64a()}
	for _, r := range roots {
		v := reflect.ValueOf(r)
		switch v.Kind() {
		case reflect.Invalid:
		case reflect.Pointer, reflect.Slice, reflect.Map:
			f.visit(copied(v))
		default:
			return nil, fmt.Errorf("snapshot: a fixed value is a %T, not a pointer, slice or map", r)
		}
		for len(f.queue) > 0 {
			next := f.queue[0]
			f.queue = f.queue[1:]
			f.visit(next)
		}
	}
	f.digest = f.sum.Sum64()
	return f, nil
}

// add numbers the place of an addressable value, which is walked later.
func (f *fixedPlaces) add(v reflect.Value) {
	p := place{v.Addr().UnsafePointer(), v.Type()}
	if _, ok := f.numbers[p]; ok {
		return
	}
	f.numbers[p], f.kinds[p.kind] = uint64(len(f.values)), true
	f.values = append(f.values, v.Addr())
	fmt.Fprintln(f.sum, nameOf(v.Type()))
	f.queue = append(f.queue, v)
}

// visit walks a value.
func (f *fixedPlaces) visit(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			f.add(v.Elem())
		}
	case reflect.Interface:
		if !v.IsNil() {
			f.visit(copied(v.Elem()))
		}
	case reflect.Struct:
		f.visitFields(v)
	case reflect.Slice, reflect.Array:
		f.visitMembers(v)
	case reflect.Map:
		fmt.Fprintln(f.sum, v.Len())
		for _, k := range sortedKeys(v) {
			f.visit(copied(v.MapIndex(k)))
		}
	}
}

func (f *fixedPlaces) visitFields(v reflect.Value) {
	if !isOwn(v.Type()) {
		return
	}
	for i := range v.NumField() {
		x := field(v, i)
		if x.Kind() == reflect.Struct && !isFlat(x.Type()) {
			f.add(x)
		}
		f.visit(x)
	}
}

func (f *fixedPlaces) visitMembers(v reflect.Value) {
	fmt.Fprintln(f.sum, v.Len())
	elem := v.Type().Elem()
	if isFlat(elem) || elem.Kind() == reflect.String {
		return
	}
	for i := range v.Len() {
		if elem.Kind() == reflect.Struct {
			f.add(v.Index(i))
		} else {
			f.visit(v.Index(i))
		}
	}
}
