package evtx

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// The types of values ([MS-EVEN6], 2.2.12.2).
const (
	typeNull       = 0x00
	typeString     = 0x01
	typeANSI       = 0x02
	typeInt8       = 0x03
	typeUint8      = 0x04
	typeInt16      = 0x05
	typeUint16     = 0x06
	typeInt32      = 0x07
	typeUint32     = 0x08
	typeInt64      = 0x09
	typeUint64     = 0x0a
	typeReal32     = 0x0b
	typeReal64     = 0x0c
	typeBool       = 0x0d
	typeBinary     = 0x0e
	typeGUID       = 0x0f
	typeSize       = 0x10
	typeFileTime   = 0x11
	typeSystemTime = 0x12
	typeSID        = 0x13
	typeHex32      = 0x14
	typeHex64      = 0x15
	typeHandle     = 0x20
	typeBinXML     = 0x21
	typeEvtXML     = 0x23
	typeArray      = 0x80
)

// widths are the sizes of the types that have one, in bytes.
var widths = map[byte]int{
	typeInt8: 1, typeUint8: 1, typeInt16: 2, typeUint16: 2, typeInt32: 4, typeUint32: 4, typeInt64: 8, typeUint64: 8,
	typeReal32: 4, typeReal64: 8, typeBool: 4, typeGUID: 16, typeFileTime: 8, typeSystemTime: 16, typeHex32: 4, typeHex64: 8,
}

// value appends a value's text, and tells whether it is anything but null.
func (d *decoder) value(v substitution) (bool, error) {
	if v.kind&typeArray == 0 {
		return d.format(v.kind, d.chunk[v.from:v.to])
	}
	first, before := len(d.values), len(d.text) // in an attribute, or beside other text
	if err := d.array(v); err != nil {
		return false, err
	}
	joined := strings.Join(d.values[first:], ",")
	d.values, d.text = d.values[:first], append(d.text[:before], joined...)
	return joined != "", nil
}

func (d *decoder) format(kind byte, raw []byte) (bool, error) {
	if w := fixedWidth(kind); w > 0 {
		if len(raw) == 0 {
			return false, nil
		}
		if len(raw) < w {
			return false, fmt.Errorf("a value of type 0x%02x has %d bytes", kind, len(raw))
		}
	}
	little := binary.LittleEndian
	switch kind {
	case typeNull:
		return false, nil
	case typeString:
		d.appendUTF16(withoutTrailingNull(raw))
	case typeANSI:
		d.appendANSI(bytes.TrimRight(raw, "\x00"))
	case typeInt8:
		d.text = strconv.AppendInt(d.text, int64(int8(raw[0])), 10)
	case typeUint8:
		d.text = strconv.AppendUint(d.text, uint64(raw[0]), 10)
	case typeInt16:
		d.text = strconv.AppendInt(d.text, int64(int16(little.Uint16(raw))), 10)
	case typeUint16:
		d.text = strconv.AppendUint(d.text, uint64(little.Uint16(raw)), 10)
	case typeInt32:
		d.text = strconv.AppendInt(d.text, int64(int32(little.Uint32(raw))), 10)
	case typeUint32:
		d.text = strconv.AppendUint(d.text, uint64(little.Uint32(raw)), 10)
	case typeInt64:
		d.text = strconv.AppendInt(d.text, int64(little.Uint64(raw)), 10)
	case typeUint64:
		d.text = strconv.AppendUint(d.text, little.Uint64(raw), 10)
	case typeReal32:
		d.text = strconv.AppendFloat(d.text, float64(math.Float32frombits(little.Uint32(raw))), 'g', -1, 32)
	case typeReal64:
		d.text = strconv.AppendFloat(d.text, math.Float64frombits(little.Uint64(raw)), 'g', -1, 64)
	case typeBool:
		d.text = strconv.AppendBool(d.text, little.Uint32(raw) != 0)
	case typeBinary:
		d.text = appendHex(d.text, raw)
	case typeGUID:
		d.appendGUID(raw)
	case typeSize, typeHex32, typeHex64, typeHandle:
		return d.appendAddress(raw)
	case typeFileTime:
		d.text = appendTime(d.text, fileTime(little.Uint64(raw)))
	case typeSystemTime:
		part := func(i int) int { return int(little.Uint16(raw[2*i:])) }
		at := time.Date(part(0), time.Month(part(1)), part(3), part(4), part(5), part(6), part(7)*1e6, time.UTC)
		d.text = appendTime(d.text, at)
	case typeSID:
		return d.appendSID(raw)
	case typeEvtXML:
		d.appendUTF16(withoutTrailingNull(raw))
	default:
		return false, fmt.Errorf("the type of a value is unknown: 0x%02x", kind)
	}
	return true, nil
}

func fixedWidth(kind byte) int {
	if kind >= typeInt8 && kind <= typeHex64 {
		return widths[kind]
	}
	return 0
}

// array appends the members of an array to the values.
func (d *decoder) array(v substitution) error {
	raw, kind := d.chunk[v.from:v.to], v.kind&^typeArray
	add := func(raw []byte) error {
		before := len(d.text)
		if _, err := d.format(kind, raw); err != nil {
			return err
		}
		if len(d.text) > maxText {
			return errText
		}
		d.values = append(d.values, d.taken(before))
		return nil
	}
	switch {
	case kind == typeString || kind == typeANSI: // each ends with a null
		step := 2
		if kind == typeANSI {
			step = 1
		}
		for from := 0; from < len(raw); {
			to := from
			for to+step <= len(raw) && (raw[to] != 0 || step == 2 && raw[to+1] != 0) {
				to += step
			}
			if err := add(raw[from:to]); err != nil {
				return err
			}
			from = to + step
		}
	case kind == typeSID:
		for len(raw) >= 8 {
			n := 8 + 4*int(raw[1])
			if n > len(raw) {
				return errShort
			}
			if err := add(raw[:n]); err != nil {
				return err
			}
			raw = raw[n:]
		}
	case widths[kind] > 0:
		for w := widths[kind]; len(raw) >= w; raw = raw[w:] {
			if err := add(raw[:w]); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("the type of an array's members is unknown: 0x%02x", kind)
	}
	return nil
}

func withoutTrailingNull(raw []byte) []byte {
	for len(raw) >= 2 && raw[len(raw)-1] == 0 && raw[len(raw)-2] == 0 {
		raw = raw[:len(raw)-2]
	}
	return raw
}

// appendUTF16 appends little-endian UTF-16 as UTF-8; what is no character becomes
// U+FFFD.
func (d *decoder) appendUTF16(raw []byte) {
	const notASCII = 0xff80ff80ff80ff80
	for len(raw) >= 8 {
		four := binary.LittleEndian.Uint64(raw)
		if four&notASCII != 0 {
			break
		}
		d.text = append(d.text, byte(four), byte(four>>16), byte(four>>32), byte(four>>48))
		raw = raw[8:]
	}
	for len(raw) >= 2 && raw[1] == 0 && raw[0] < utf8.RuneSelf {
		d.text = append(d.text, raw[0])
		raw = raw[2:]
	}
	if len(raw) < 2 {
		return
	}
	d.wide = d.wide[:0]
	for ; len(raw) >= 2; raw = raw[2:] {
		d.wide = append(d.wide, binary.LittleEndian.Uint16(raw))
	}
	for i := 0; i < len(d.wide); i++ {
		r := rune(d.wide[i])
		if utf16.IsSurrogate(r) {
			second := rune(utf8.RuneError)
			if i+1 < len(d.wide) {
				second = rune(d.wide[i+1])
			}
			if r = utf16.DecodeRune(r, second); r != utf8.RuneError {
				i++
			}
		}
		d.text = utf8.AppendRune(d.text, r)
	}
}

func appendRune(b []byte, r rune) []byte { return utf8.AppendRune(b, r) }

// appendANSI appends text of the code page 1252, of which the part beyond Latin-1 is
// left as it is in Unicode's C1 block.
func (d *decoder) appendANSI(raw []byte) {
	for _, b := range raw {
		d.text = utf8.AppendRune(d.text, rune(b))
	}
}

func appendHex(b, raw []byte) []byte {
	before := len(b)
	b = hex.AppendEncode(b, raw)
	for i := before; i < len(b); i++ {
		if b[i] >= 'a' {
			b[i] -= 'a' - 'A'
		}
	}
	return b
}

// appendGUID writes a GUID in capitals and without braces.
func (d *decoder) appendGUID(raw []byte) {
	order := [...]int{3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15}
	for _, i := range order {
		if i < 0 {
			d.text = append(d.text, '-')
			continue
		}
		d.text = appendHex(d.text, raw[i:i+1])
	}
}

// appendAddress writes a number in hexadecimal.
func (d *decoder) appendAddress(raw []byte) (bool, error) {
	var n uint64
	switch len(raw) {
	case 0:
		return false, nil
	case 4:
		n = uint64(binary.LittleEndian.Uint32(raw))
	case 8:
		n = binary.LittleEndian.Uint64(raw)
	default:
		return false, fmt.Errorf("an address has %d bytes", len(raw))
	}
	d.text = strconv.AppendUint(append(d.text, "0x"...), n, 16)
	return true, nil
}

// appendSID writes a security identifier as S-1-5-18 ([MS-DTYP], 2.4.2.1).
func (d *decoder) appendSID(raw []byte) (bool, error) {
	if len(raw) == 0 {
		return false, nil
	}
	if len(raw) < 8 || len(raw) < 8+4*int(raw[1]) {
		return false, fmt.Errorf("a security identifier has %d bytes", len(raw))
	}
	d.text = strconv.AppendUint(append(d.text, "S-"...), uint64(raw[0]), 10)
	authority := uint64(0)
	for _, b := range raw[2:8] {
		authority = authority<<8 | uint64(b)
	}
	d.text = strconv.AppendUint(append(d.text, '-'), authority, 10)
	for i := range int(raw[1]) {
		d.text = strconv.AppendUint(append(d.text, '-'), uint64(binary.LittleEndian.Uint32(raw[8+4*i:])), 10)
	}
	return true, nil
}

// fileTime is a count of 100 nanoseconds since 1601 ([MS-DTYP], 2.3.3).
func fileTime(ticks uint64) time.Time {
	const epoch = 11644473600 // seconds from 1601 to 1970
	return time.Unix(int64(ticks/1e7)-epoch, int64(ticks%1e7)*100).UTC()
}

// appendTime writes a time in UTC with microseconds.
func appendTime(b []byte, at time.Time) []byte {
	return at.AppendFormat(b, "2006-01-02T15:04:05.000000Z")
}
