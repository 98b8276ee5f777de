// Package eventblock packs kept events into blocks: their numbers and each of their fields stand
// together and are compressed with zstd, some 35 bytes an event.
//
// A block is a byte with the version of the format, the length of the first frame, and two frames
// of zstd (RFC 8878) with checksums. The first holds the numbers of the events, in the order of
// their ids, since what was caused together has ids in a row; the second the texts.
package eventblock

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"hemostat/sim/event"
	"hemostat/sim/record"
)

// Size is how many events a block holds at most.
const Size = 8_192

const version = 1

var encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)) // its options are always accepted

// maxBlock bounds what a frame may hold, so that a faulty file cannot take all memory.
const maxBlock = 512 << 20

var decoder, _ = zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxBlock))

// Sort puts events in the order in which sensors delivered them.
func Sort(list []record.StoredEvent) {
	slices.SortFunc(list, func(a, b record.StoredEvent) int { return delivered(a.Event, b.Event) })
}

func delivered(a, b *event.Event) int {
	return cmp.Or(cmp.Compare(a.Observed, b.Observed), cmp.Compare(a.ID, b.ID))
}

// numbers are the columns of numbers, in their order.
const (
	ids = iota
	times
	delays // until the sensor delivered it
	attacks
	steps
	shapes
	sensors
	hosts
	numberColumns
)

// names numbers texts in the order in which they first come.
type names struct {
	list []string
	at   map[string]int
}

func (n *names) number(text string) int {
	i, ok := n.at[text]
	if !ok {
		if n.at == nil {
			n.at = map[string]int{}
		}
		i = len(n.list)
		n.at[text] = i
		n.list = append(n.list, text)
	}
	return i
}

// What separates names in the text of a shape: a source is three names, then come the fields.
const separator = "\x00"

// Pack makes a block of events; it puts the list in the order of their ids.
func Pack(list []record.StoredEvent) []byte {
	slices.SortFunc(list, func(a, b record.StoredEvent) int { return cmp.Compare(a.Event.ID, b.Event.ID) })
	var columns [numberColumns][]byte
	put := func(column int, x int64) { columns[column] = binary.AppendVarint(columns[column], x) }
	var shapeNames, sensorNames, hostNames names
	texts := map[string]*[]byte{} // by source and name of the field
	var order []string
	before := &event.Event{}
	for i := range list {
		e := list[i].Event
		put(ids, int64(e.ID-before.ID))
		put(times, int64(e.Time-before.Time))
		put(delays, int64(e.Observed-e.Time))
		put(attacks, int64(list[i].Attack))
		put(steps, int64(list[i].Step))
		put(sensors, int64(sensorNames.number(e.Sensor)))
		put(hosts, int64(hostNames.number(e.Host)))
		source := e.Source.Category + separator + e.Source.Product + separator + e.Source.Service
		shape := source
		e.Each(func(name, value string) bool {
			shape += separator + name
			key := source + separator + name
			column := texts[key]
			if column == nil {
				column = new([]byte)
				texts[key] = column
				order = append(order, key)
			}
			*column = appendCell(*column, e, name, value)
			return true
		})
		put(shapes, int64(shapeNames.number(shape)))
		before = e
	}
	first := binary.AppendUvarint(nil, uint64(len(list)))
	for _, c := range columns {
		first = appendBytes(first, c)
	}
	var second []byte
	for _, n := range []*names{&shapeNames, &sensorNames, &hostNames} {
		second = binary.AppendUvarint(second, uint64(len(n.list)))
		for _, text := range n.list {
			second = appendBytes(second, []byte(text))
		}
	}
	second = binary.AppendUvarint(second, uint64(len(order)))
	for _, key := range order {
		second = appendBytes(appendBytes(second, []byte(key)), *texts[key])
	}
	head := encoder.EncodeAll(first, nil)
	block := binary.AppendUvarint([]byte{version}, uint64(len(head)))
	return encoder.EncodeAll(second, append(block, head...))
}

// isEncoded begins a cell that is JSON, since it holds several values or the end of a line.
const isEncoded = "\x01"

// appendCell appends the value of a field as a line.
func appendCell(column []byte, e *event.Event, name, value string) []byte {
	members := e.MembersOf(name)
	if members == nil && !strings.Contains(value, "\n") && !strings.HasPrefix(value, isEncoded) {
		return append(append(column, value...), '\n')
	}
	if members == nil {
		members = []string{value}
	}
	encoded, _ := json.Marshal(members) // texts always marshal
	return append(append(append(column, isEncoded...), encoded...), '\n')
}

func appendBytes(to, b []byte) []byte {
	return append(binary.AppendUvarint(to, uint64(len(b))), b...)
}

// errFaulty is the error for a block that was cut or changed.
var errFaulty = errors.New("a block of events is faulty")

// reader reads what Pack wrote; after the end of its data it is faulty.
type reader struct {
	data   []byte
	faulty bool
}

func (r *reader) uint() uint64 {
	x, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.faulty = true
		return 0
	}
	r.data = r.data[n:]
	return x
}

// length is how many things follow, each of which takes a byte at least.
func (r *reader) length() int {
	n := r.uint()
	if n > uint64(len(r.data)) {
		r.faulty = true
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte {
	n := r.length()
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) texts() []string {
	list := make([]string, r.length())
	for i := range list {
		list[i] = string(r.bytes())
	}
	return list
}

// Block is a block whose numbers were read.
type Block struct {
	columns [numberColumns][]int64
	texts   []byte // compressed
}

// Open reads the numbers of a block.
func Open(data []byte) (*Block, error) {
	if len(data) == 0 {
		return nil, errFaulty
	}
	if data[0] != version {
		return nil, fmt.Errorf("kept events are in a newer form (%d) than this version of the program reads (%d)", data[0], version)
	}
	r := &reader{data: data[1:]}
	head := r.bytes()
	if r.faulty {
		return nil, errFaulty
	}
	first, err := decoder.DecodeAll(head, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFaulty, err)
	}
	b := &Block{texts: r.data}
	r = &reader{data: first}
	n := r.length()
	if r.faulty {
		return nil, errFaulty
	}
	for c := range b.columns {
		if b.columns[c], err = varints(r.bytes(), n); err != nil || r.faulty {
			return nil, errFaulty
		}
	}
	for i := 1; i < n; i++ {
		b.columns[ids][i] += b.columns[ids][i-1]
		b.columns[times][i] += b.columns[times][i-1]
	}
	return b, nil
}

func varints(data []byte, n int) ([]int64, error) {
	out := make([]int64, n)
	for i := range out {
		x, size := binary.Varint(data)
		if size <= 0 {
			return nil, errFaulty
		}
		out[i], data = x, data[size:]
	}
	if len(data) > 0 {
		return nil, errFaulty
	}
	return out, nil
}

// Has tells whether an event is in the block.
func (b *Block) Has(id uint64) bool {
	_, ok := slices.BinarySearchFunc(b.columns[ids], id, func(x int64, id uint64) int { return cmp.Compare(uint64(x), id) })
	return ok
}

// Events reads the events, in the order in which sensors delivered them.
func (b *Block) Events() ([]record.StoredEvent, error) {
	second, err := decoder.DecodeAll(b.texts, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFaulty, err)
	}
	r := &reader{data: second}
	shapeList, sensorList, hostList := r.texts(), r.texts(), r.texts()
	cells := map[string]*reader{}
	for range r.length() {
		key := string(r.bytes())
		cells[key] = &reader{data: r.bytes()}
	}
	if r.faulty || len(r.data) > 0 {
		return nil, errFaulty
	}
	layouts := make([]*layout, len(shapeList))
	for i, s := range shapeList {
		if layouts[i], err = layoutOf(s, cells); err != nil {
			return nil, err
		}
	}
	out := make([]record.StoredEvent, len(b.columns[ids]))
	for i := range out {
		shape, sensor, host := b.columns[shapes][i], b.columns[sensors][i], b.columns[hosts][i]
		if !within(shape, len(layouts)) || !within(sensor, len(sensorList)) || !within(host, len(hostList)) {
			return nil, errFaulty
		}
		l := layouts[shape]
		e := &event.Event{ID: uint64(b.columns[ids][i]), Time: time.Duration(b.columns[times][i]), Sensor: sensorList[sensor],
			Host: hostList[host], Source: l.source}
		e.Observed = e.Time + time.Duration(b.columns[delays][i])
		if err := l.fill(e); err != nil {
			return nil, err
		}
		out[i] = record.StoredEvent{Event: e, Attack: int(b.columns[attacks][i]), Step: int(b.columns[steps][i])}
	}
	Sort(out)
	return out, nil
}

func within(i int64, n int) bool { return 0 <= i && i < int64(n) }

// layout is the source and the fields of events of a shape, with where their values come from.
type layout struct {
	source event.LogSource
	names  []string
	cells  []*reader
}

func layoutOf(shape string, cells map[string]*reader) (*layout, error) {
	parts := strings.Split(shape, separator)
	if len(parts) < 3 {
		return nil, errFaulty
	}
	l := &layout{source: event.LogSource{Category: parts[0], Product: parts[1], Service: parts[2]}, names: parts[3:]}
	source := strings.Join(parts[:3], separator)
	for _, name := range l.names {
		c := cells[source+separator+name]
		if c == nil {
			return nil, errFaulty
		}
		l.cells = append(l.cells, c)
	}
	return l, nil
}

// fill gives an event its fields.
func (l *layout) fill(e *event.Event) error {
	for i, c := range l.cells {
		end := bytes.IndexByte(c.data, '\n')
		if end < 0 {
			return errFaulty
		}
		cell := string(c.data[:end])
		c.data = c.data[end+1:]
		encoded, isJSON := strings.CutPrefix(cell, isEncoded)
		if !isJSON {
			e.SetName(l.names[i], cell)
			continue
		}
		var members []string
		if err := json.Unmarshal([]byte(encoded), &members); err != nil {
			return fmt.Errorf("%w: %w", errFaulty, err)
		}
		e.SetList(l.names[i], members)
	}
	return nil
}
