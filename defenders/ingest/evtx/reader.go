package evtx

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

const (
	fileHeaderSize = 4096
	chunkSize      = 64 << 10
	chunkHeader    = 512
	recordHeader   = 24 // signature, size, record id, time
	recordTrailer  = 4  // the size again

	// dirty is the flag of a file that was not closed properly: the header of its last
	// chunk may be older than its records.
	dirty = 1
)

var (
	fileMagic   = []byte("ElfFile\x00")
	chunkMagic  = []byte("ElfChnk\x00")
	recordMagic = []byte{'*', '*', 0, 0}
)

// IsEVTX tells whether a file that begins so is an event log, or a chunk carved out
// of one.
func IsEVTX(head []byte) bool {
	return bytes.HasPrefix(head, fileMagic) || bytes.HasPrefix(head, chunkMagic)
}

// Record is one event.
type Record struct {
	ID      uint64
	Written time.Time // when the service wrote it
	Offset  int64     // of its first byte in the file
	// Root is the element Event. It is valid until the next call of Next.
	Root *Element
}

// Damage tells of a part of a file that could not be read. Reading may go on.
type Damage struct {
	Offset int64 // of the first byte concerned
	Reason string
	// Records is how many records could not be read: by the numbers of those around them
	// where these are readable, and one otherwise. It is 0 for a checksum that does not
	// fit what could be read nevertheless.
	Records int
}

// Error gives the offset and the reason.
func (d *Damage) Error() string { return fmt.Sprintf("at byte %d: %s", d.Offset, d.Reason) }

// Reader reads the records of a file one after another. It is not safe for
// concurrent use.
type Reader struct {
	in     *bufio.Reader
	offset int64 // of what in gives next
	flags  uint32
	began  bool
	end    error

	chunk   [chunkSize]byte
	start   int64   // of the chunk in the file
	size    int     // bytes of the chunk that are there
	at      int     // where the next record is looked for
	free    int     // where the chunk's records end by its header
	lastID  uint64  // of the latest record that was found
	finalID uint64  // of the chunk's last record by its header
	open    *Damage // a stretch without readable records
	cut     string  // why the chunk's end is missing; "" when it is there
	damages []*Damage

	decoder decoder
	record  Record
}

// NewReader returns a reader of a file, or of chunks without the file's header.
func NewReader(r io.Reader) *Reader {
	d := &Reader{in: bufio.NewReaderSize(r, chunkSize)}
	d.decoder.names = map[uint32]string{}
	d.decoder.intern = map[string]string{}
	return d
}

// Next returns the next record. The error is a *Damage when a part of the file is
// unreadable, after which Next may be called again; io.EOF at the end; and otherwise
// what the underlying reader said.
func (r *Reader) Next() (*Record, error) {
	for {
		if len(r.damages) > 0 {
			d := r.damages[0]
			r.damages = r.damages[1:]
			return nil, d
		}
		if r.end != nil {
			return nil, r.end
		}
		if !r.began {
			r.began = true
			r.end = r.fileHeader()
			continue
		}
		if r.at >= r.size || !r.seek() {
			if r.cut != "" {
				r.gap(r.start+int64(r.size), "%s", r.cut)
				r.cut = ""
			}
			r.closeGap(r.finalID + 1)
			if len(r.damages) == 0 {
				r.end = r.nextChunk()
			}
			continue
		}
		if r.open != nil {
			r.closeGap(binary.LittleEndian.Uint64(r.chunk[r.at+8:]))
			continue
		}
		record, damage := r.next()
		if damage != nil {
			return nil, damage
		}
		return record, nil
	}
}

func (r *Reader) damage(offset int64, records int, format string, args ...any) {
	r.damages = append(r.damages, &Damage{Offset: offset, Records: records, Reason: fmt.Sprintf(format, args...)})
}

// gap notes a stretch of the chunk in which no record is readable. How many it held is
// known when the next one is found, or at the chunk's end.
func (r *Reader) gap(offset int64, format string, args ...any) {
	if r.open == nil {
		r.open = &Damage{Offset: offset, Reason: fmt.Sprintf(format, args...)}
	}
}

// closeGap tells of the stretch before a record of this number.
func (r *Reader) closeGap(next uint64) {
	if r.open == nil {
		return
	}
	r.open.Records = 1
	if lost := next - r.lastID - 1; next > r.lastID && lost > 1 && lost <= chunkSize/(recordHeader+recordTrailer) {
		r.open.Records = int(lost)
	}
	r.damages = append(r.damages, r.open)
	r.open = nil
}

// fileHeader skips the header, if there is one.
func (r *Reader) fileHeader() error {
	head, err := r.in.Peek(128)
	if bytes.HasPrefix(head, chunkMagic) {
		return nil
	}
	if err != nil {
		if errors.Is(err, io.EOF) && len(head) > 0 {
			r.damage(0, 1, "the file ends within its header")
		}
		return err
	}
	if !bytes.HasPrefix(head, fileMagic) {
		r.damage(0, 0, "the file does not begin with an event log's header; its chunks are looked for")
		return r.findChunk()
	}
	if crc32.ChecksumIEEE(head[:120]) != binary.LittleEndian.Uint32(head[124:]) {
		r.damage(0, 0, "the checksum of the file's header does not fit")
	}
	r.flags = binary.LittleEndian.Uint32(head[120:])
	size := int(binary.LittleEndian.Uint16(head[40:]))
	if size < 128 {
		size = fileHeaderSize
	}
	n, err := r.in.Discard(size)
	r.offset += int64(n)
	if errors.Is(err, io.EOF) {
		r.damage(int64(n), 1, "the file ends within its header")
	}
	return err
}

// findChunk skips forward to the next chunk's beginning.
func (r *Reader) findChunk() error {
	for {
		window, err := r.in.Peek(4096)
		if at := bytes.Index(window, chunkMagic); at >= 0 {
			n, err := r.in.Discard(at)
			r.offset += int64(n)
			return err
		}
		if err != nil {
			return err
		}
		n, err := r.in.Discard(len(window) - len(chunkMagic) + 1)
		r.offset += int64(n)
		if err != nil {
			return err
		}
	}
}

// nextChunk reads the next chunk.
func (r *Reader) nextChunk() error {
	r.at, r.size = 0, 0
	head, err := r.in.Peek(len(chunkMagic))
	if len(head) == 0 {
		return err
	}
	if !bytes.Equal(head, chunkMagic) {
		if r.zeroes() {
			return nil
		}
		r.damage(r.offset, 1, "a chunk has no readable header and is skipped")
		// A chunk stands at each 64 KiB behind the header; a carved one may stand anywhere.
		if _, err := r.in.Discard(1); err != nil {
			return err
		}
		r.offset++
		return r.findChunk()
	}
	r.start = r.offset
	r.size, err = io.ReadFull(r.in, r.chunk[:])
	r.offset += int64(r.size)
	short := errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !short {
		return err
	}
	clear(r.chunk[r.size:])
	c := r.chunk[:]
	r.at, r.free, r.cut = chunkHeader, int(binary.LittleEndian.Uint32(c[48:])), ""
	first := binary.LittleEndian.Uint64(c[24:])
	r.finalID, r.lastID = binary.LittleEndian.Uint64(c[32:]), max(first, 1)-1
	if short {
		const reason = "the file ends within a chunk, after %d of its %d bytes"
		switch {
		case r.size < chunkHeader:
			r.damage(r.start, 1, reason, r.size, chunkSize)
		case r.size < r.free:
			r.cut = fmt.Sprintf(reason, r.size, chunkSize)
		default:
			r.damage(r.start, 0, reason, r.size, chunkSize)
		}
	}
	if r.size < chunkHeader {
		r.at = r.size
		return nil
	}
	if r.free < chunkHeader || r.free > chunkSize {
		r.damage(r.start, 0, "the chunk's header gives no sound end of its records (%d)", r.free)
		r.free = chunkSize
	} else if r.size == chunkSize && crc32.ChecksumIEEE(c[chunkHeader:r.free]) != binary.LittleEndian.Uint32(c[52:]) &&
		r.flags&dirty == 0 {
		r.damage(r.start, 0, "the checksum of a chunk's records does not fit")
	}
	if crc32.Update(crc32.ChecksumIEEE(c[:120]), crc32.IEEETable, c[128:chunkHeader]) !=
		binary.LittleEndian.Uint32(c[124:]) && r.flags&dirty == 0 {
		r.damage(r.start, 0, "the checksum of a chunk's header does not fit")
	}
	r.decoder.reset(c[:r.size])
	return nil
}

// zeroes skips a chunk that was reserved and never written.
func (r *Reader) zeroes() bool {
	window, _ := r.in.Peek(chunkSize)
	for _, b := range window {
		if b != 0 {
			return false
		}
	}
	n, err := r.in.Discard(len(window))
	r.offset += int64(n)
	r.at, r.size = 0, 0
	return err == nil
}

// seek goes to the next record of the chunk, past damaged bytes.
func (r *Reader) seek() bool {
	c := r.chunk[:r.size]
	from, end := r.at, min(r.free, len(c))
	switch {
	case r.at < r.free && r.isRecord(r.at):
		return true
	case r.at >= r.free:
		// What stands behind the end by the header is older, or newer than the header.
		if r.flags&dirty != 0 && r.isRecord(r.at) && binary.LittleEndian.Uint64(c[r.at+8:]) == r.lastID+1 {
			return true
		}
		r.at = len(c)
		return false
	}
	r.at = len(c)
	for at := from + 1; at < end; at++ {
		next := bytes.Index(c[at:end], recordMagic)
		if next < 0 {
			break
		}
		if at += next; r.isRecord(at) {
			r.at = at
			break
		}
	}
	if r.at == len(c) && r.cut != "" {
		return false // the file's end explains it
	}
	r.gap(r.start+int64(from), "no record begins here; %d bytes are skipped", min(r.at, end)-from)
	return r.at < len(c)
}

// isRecord tells whether a record begins at a place: its size is sound, and stands at
// its end too, or another record begins there.
func (r *Reader) isRecord(at int) bool {
	c := r.chunk[:r.size]
	if at+recordHeader+recordTrailer > len(c) || !bytes.Equal(c[at:at+4], recordMagic) {
		return false
	}
	size := int(binary.LittleEndian.Uint32(c[at+4:]))
	if size < recordHeader+recordTrailer || size > len(c)-at {
		return false
	}
	return int(binary.LittleEndian.Uint32(c[at+size-recordTrailer:])) == size ||
		bytes.HasPrefix(c[at+size:], recordMagic) || at+size == r.free
}

// next decodes the record at hand.
func (r *Reader) next() (*Record, *Damage) {
	c, at := r.chunk[:r.size], r.at
	size := int(binary.LittleEndian.Uint32(c[at+4:]))
	offset := r.start + int64(at)
	r.at += size
	r.lastID = binary.LittleEndian.Uint64(c[at+8:])
	root, err := r.decoder.decode(at+recordHeader, at+size-recordTrailer)
	if err != nil {
		return nil, &Damage{Offset: offset, Records: 1, Reason: fmt.Sprintf("record %d: %s", r.lastID, err)}
	}
	r.record = Record{
		ID:      r.lastID,
		Written: fileTime(binary.LittleEndian.Uint64(c[at+16:])),
		Offset:  offset,
		Root:    root,
	}
	return &r.record, nil
}
