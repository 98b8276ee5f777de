package evtx

import (
	"encoding/binary"
	"hash/crc32"
	"time"
	"unicode/utf16"
)

// builder writes event logs for tests: one chunk with records that use one template.
type builder struct {
	chunk []byte
	next  uint64
	// template is where the template's definition stands, 0 before the first record.
	template int
}

func newBuilder() *builder {
	c := make([]byte, chunkHeader, chunkSize)
	copy(c, chunkMagic)
	return &builder{chunk: c, next: 1}
}

func (b *builder) u8(v ...byte) { b.chunk = append(b.chunk, v...) }
func (b *builder) u16(v int)    { b.chunk = binary.LittleEndian.AppendUint16(b.chunk, uint16(v)) }
func (b *builder) u32(v int)    { b.chunk = binary.LittleEndian.AppendUint32(b.chunk, uint32(v)) }
func (b *builder) u64(v uint64) { b.chunk = binary.LittleEndian.AppendUint64(b.chunk, v) }

func (b *builder) text(s string) {
	for _, u := range utf16.Encode([]rune(s)) {
		b.u16(int(u))
	}
}

// name writes a name where it is first used.
func (b *builder) name(s string) {
	b.u32(len(b.chunk) + 4)
	b.u32(0)
	b.u16(0)
	b.u16(len(utf16.Encode([]rune(s))))
	b.text(s)
	b.u16(0)
}

func (b *builder) open(name string, attributes func()) {
	token := byte(tokenOpenElement)
	if attributes != nil {
		token |= flagMore
	}
	b.u8(token)
	b.u16(0xffff)
	b.u32(0)
	b.name(name)
	if attributes != nil {
		b.u32(0)
		attributes()
	}
	b.u8(tokenCloseStart)
}

func (b *builder) close() { b.u8(tokenEndElement) }

func (b *builder) literal(s string) {
	b.u8(tokenValue, typeString)
	b.u16(len(utf16.Encode([]rune(s))))
	b.text(s)
}

func (b *builder) substitution(i int, kind byte) {
	b.u8(tokenOptional)
	b.u16(i)
	b.u8(kind)
}

// record writes an event whose values fill the template.
func (b *builder) record(id uint16, computer string, image []byte) {
	start := len(b.chunk)
	b.u8('*', '*', 0, 0)
	b.u32(0)
	b.u64(b.next)
	b.next++
	b.u64(uint64(time.Date(2026, 3, 2, 8, 15, 0, 0, time.UTC).Unix()+11644473600) * 1e7)
	b.u8(tokenFragmentHeader, 1, 1, 0)
	b.u8(tokenTemplate, 1)
	b.u32(7)
	if b.template == 0 {
		b.template = len(b.chunk) + 4
		b.u32(b.template)
		b.definition()
	} else {
		b.u32(b.template)
	}
	values := []struct {
		kind byte
		raw  []byte
	}{
		{typeUint16, binary.LittleEndian.AppendUint16(nil, id)},
		{typeString, utf16Bytes(computer)},
		{typeString, image},
	}
	b.u32(len(values))
	for _, v := range values {
		b.u16(len(v.raw))
		b.u8(v.kind, 0)
	}
	for _, v := range values {
		b.u8(v.raw...)
	}
	b.u8(tokenEnd)
	for (len(b.chunk)-start+4)%8 != 0 {
		b.u8(0)
	}
	size := len(b.chunk) - start + 4
	b.u32(size)
	binary.LittleEndian.PutUint32(b.chunk[start+4:], uint32(size))
}

func utf16Bytes(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

func (b *builder) definition() {
	b.u32(0)
	b.chunk = append(b.chunk, make([]byte, 16)...)
	size := len(b.chunk)
	b.u32(0)
	b.u8(tokenFragmentHeader, 1, 1, 0)
	b.open("Event", nil)
	b.open("System", nil)
	b.open("EventID", nil)
	b.substitution(0, typeUint16)
	b.close()
	b.open("Channel", nil)
	b.literal("Microsoft-Windows-Sysmon/Operational")
	b.close()
	b.open("Computer", nil)
	b.substitution(1, typeString)
	b.close()
	b.close()
	b.open("EventData", nil)
	b.open("Data", func() {
		b.u8(tokenAttribute)
		b.name("Name")
		b.literal("Image")
	})
	b.substitution(2, typeString)
	b.close()
	b.close()
	b.close()
	b.u8(tokenEnd)
	binary.LittleEndian.PutUint32(b.chunk[size:], uint32(len(b.chunk)-size-4))
}

// file finishes the chunk and puts the file's header before it.
func (b *builder) file() []byte {
	c := b.chunk
	free := len(c)
	c = append(c, make([]byte, chunkSize-len(c))...)
	little := binary.LittleEndian
	little.PutUint64(c[8:], 1)
	little.PutUint64(c[16:], b.next-1)
	little.PutUint64(c[24:], 1)
	little.PutUint64(c[32:], b.next-1)
	little.PutUint32(c[40:], 128)
	little.PutUint32(c[48:], uint32(free))
	little.PutUint32(c[52:], crc32.ChecksumIEEE(c[chunkHeader:free]))
	little.PutUint32(c[124:], crc32.Update(crc32.ChecksumIEEE(c[:120]), crc32.IEEETable, c[128:chunkHeader]))
	head := make([]byte, fileHeaderSize)
	copy(head, fileMagic)
	little.PutUint32(head[32:], 128)
	little.PutUint16(head[40:], fileHeaderSize)
	little.PutUint16(head[42:], 1)
	little.PutUint32(head[124:], crc32.ChecksumIEEE(head[:120]))
	return append(head, c...)
}

// smallLog is a log of n events.
func smallLog(n int) []byte {
	b := newBuilder()
	for i := range n {
		b.record(uint16(i+1), "pc1", utf16Bytes(`C:\Windows\System32\whoami.exe`))
	}
	return b.file()
}
