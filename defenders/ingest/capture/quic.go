package capture

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"

	"hemostat/sim/fingerprint"
)

// quic is what is known of a connection's QUIC Initial packets. Their keys follow from the
// connection id that the client chose (RFC 9001, section 5.2), so that anyone on the path
// can read the hellos in them.
type quic struct {
	keys     [2]*initialKeys // of the client and of the server
	crypto   [2]stream       // CRYPTO frames of each direction
	attempts int             // packets that were tried
}

// maxInitials bounds the Initial packets of a connection that are tried.
const maxInitials = 24

// initialKeys protect the Initial packets of one direction.
type initialKeys struct {
	aead   cipher.AEAD
	iv     []byte
	header cipher.Block
}

// quicVersion is what differs between the versions of QUIC.
type quicVersion struct {
	salt    string
	initial byte // type bits of an Initial packet
	label   string
}

const (
	saltV1      = "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
	saltV2      = "\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"
	saltDraft29 = "\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
	saltDraft23 = "\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
)

// quicVersionOf finds a version (RFC 9000, RFC 9369, and the drafts from 23 on).
func quicVersionOf(number uint32) (v quicVersion, ok bool) {
	switch {
	case number == 1:
		return quicVersion{saltV1, 0, "quic "}, true
	case number == 0x6b3343cf:
		return quicVersion{saltV2, 1, "quicv2 "}, true
	case number >= 0xff00001d && number <= 0xff000022:
		return quicVersion{saltDraft29, 0, "quic "}, true
	case number >= 0xff000017 && number < 0xff00001d:
		return quicVersion{saltDraft23, 0, "quic "}, true
	}
	return quicVersion{}, false
}

// initialPacket is an Initial packet with its parts.
type initialPacket struct {
	version     quicVersion
	destination []byte
	whole       []byte // from the first byte to the end of the payload
	number      int    // where the packet number stands
}

// nextInitial cuts the first packet off a datagram; initial is nil for one of another kind
// and ok false when no further packet follows that could be read (RFC 9000, section 17.2).
func nextInitial(datagram []byte) (initial *initialPacket, rest []byte, ok bool) {
	s := cryptobyte.String(datagram)
	var first uint8
	var number uint32
	var destination, source cryptobyte.String
	if !s.ReadUint8(&first) || first&0xc0 != 0xc0 || !s.ReadUint32(&number) {
		return nil, nil, false
	}
	version, known := quicVersionOf(number)
	if !known || !s.ReadUint8LengthPrefixed(&destination) || !s.ReadUint8LengthPrefixed(&source) ||
		len(destination) > 20 || len(source) > 20 {
		return nil, nil, false
	}
	kind := first >> 4 & 3
	if kind == (version.initial+3)%4 {
		return nil, nil, false // a Retry has no length
	}
	if kind == version.initial {
		token, ok := readVarint(&s)
		if !ok || token > uint64(len(s)) || !s.Skip(int(token)) {
			return nil, nil, false
		}
	}
	length, ok := readVarint(&s)
	if !ok || length > uint64(len(s)) {
		return nil, nil, false
	}
	at := len(datagram) - len(s)
	end := at + int(length)
	if kind == version.initial {
		initial = &initialPacket{version, destination, datagram[:end], at}
	}
	return initial, datagram[end:], true
}

// readVarint reads a number of variable length (RFC 9000, section 16).
func readVarint(s *cryptobyte.String) (uint64, bool) {
	if s.Empty() {
		return 0, false
	}
	size := 1 << ((*s)[0] >> 6)
	var raw []byte
	if !s.ReadBytes(&raw, size) {
		return 0, false
	}
	v := uint64(raw[0] & 0x3f)
	for _, b := range raw[1:] {
		v = v<<8 | uint64(b)
	}
	return v, true
}

// deriveInitial derives the keys of both directions from the client's first connection id.
func deriveInitial(v quicVersion, id []byte) (keys [2]*initialKeys) {
	secret, err := hkdf.Extract(sha256.New, id, []byte(v.salt))
	if err != nil {
		return keys
	}
	for i, label := range []string{"client in", "server in"} {
		one := expandLabel(secret, label, 32)
		block, err := aes.NewCipher(expandLabel(one, v.label+"key", 16))
		if err != nil {
			return keys
		}
		header, err := aes.NewCipher(expandLabel(one, v.label+"hp", 16))
		if err != nil {
			return keys
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return keys
		}
		keys[i] = &initialKeys{aead: aead, iv: expandLabel(one, v.label+"iv", 12), header: header}
	}
	return keys
}

// expandLabel is HKDF-Expand-Label (RFC 8446, section 7.1).
func expandLabel(secret []byte, label string, size int) []byte {
	info := append([]byte{0, byte(size), byte(len("tls13 ") + len(label))}, "tls13 "+label...)
	out, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), size)
	if err != nil {
		return nil
	}
	return out
}

// open decrypts a packet (RFC 9001, sections 5.3 and 5.4); nil when the keys do not fit.
func (k *initialKeys) open(p *initialPacket) []byte {
	if k == nil || len(p.whole) < p.number+4+16 {
		return nil
	}
	var mask [16]byte
	k.header.Encrypt(mask[:], p.whole[p.number+4:p.number+4+16])
	header := append([]byte{}, p.whole[:p.number+4]...)
	header[0] ^= mask[0] & 0x0f
	size := int(header[0]&3) + 1
	header = header[:p.number+size]
	number := uint64(0)
	for i := range size {
		header[p.number+i] ^= mask[1+i]
		number = number<<8 | uint64(header[p.number+i])
	}
	nonce := append([]byte{}, k.iv...)
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], number)
	for i, b := range counter {
		nonce[4+i] ^= b
	}
	plain, err := k.aead.Open(nil, nonce, p.whole[p.number+size:], header)
	if err != nil {
		return nil
	}
	return plain
}

// quicDatagram reads the Initial packets of a datagram from a side.
func (c *Connection) quicDatagram(from int, datagram []byte) {
	for len(datagram) > 0 {
		packet, rest, ok := nextInitial(datagram)
		if !ok {
			return
		}
		datagram = rest
		if packet == nil {
			continue
		}
		if c.quic == nil {
			c.quic = &quic{}
		}
		if c.quic.attempts++; c.quic.attempts > maxInitials {
			return
		}
		role, plain := c.openInitial(from, packet)
		if plain == nil {
			continue
		}
		c.cryptoFrames(from, role, plain)
	}
}

// openInitial decrypts an Initial packet; role is 0 for one of the client. The client's
// keys are derived anew when those at hand do not fit: after a Retry, and where the
// beginning was not captured.
func (c *Connection) openInitial(from int, p *initialPacket) (role int, plain []byte) {
	q := c.quic
	if c.ClientHello == nil || from == c.clientSide {
		if plain = q.keys[0].open(p); plain != nil {
			return 0, plain
		}
	}
	if plain = q.keys[1].open(p); plain != nil {
		return 1, plain
	}
	if c.ClientHello == nil {
		keys := deriveInitial(p.version, p.destination)
		if plain = keys[0].open(p); plain != nil {
			q.keys = keys
			q.crypto = [2]stream{}
			return 0, plain
		}
	}
	return 0, nil
}

// cryptoFrames collects the handshake from the frames of a packet (RFC 9000, section 19).
func (c *Connection) cryptoFrames(from, role int, plain []byte) {
	s := cryptobyte.String(plain)
	st := &c.quic.crypto[role]
	st.begin(0)
	for !s.Empty() {
		kind, ok := readVarint(&s)
		if !ok {
			break
		}
		if kind == 6 {
			offset, ok := readVarint(&s)
			size, ok2 := readVarint(&s)
			var data []byte
			if !ok || !ok2 || size > uint64(len(s)) || !s.ReadBytes(&data, int(size)) || offset > maxPrefix {
				break
			}
			st.add(uint32(offset), data)
			continue
		}
		if !skipFrame(kind, &s) {
			break
		}
	}
	c.quicHandshake(from, role, st)
}

// skipFrame passes over a frame that an Initial packet may have beside CRYPTO.
func skipFrame(kind uint64, s *cryptobyte.String) bool {
	switch kind {
	case 0, 1: // PADDING, PING
		return true
	case 2, 3: // ACK
		var fields [4]uint64
		for i := range fields {
			v, ok := readVarint(s)
			if !ok {
				return false
			}
			fields[i] = v
		}
		more := 2 * fields[2]
		if kind == 3 {
			more += 3
		}
		for ; more > 0; more-- {
			if _, ok := readVarint(s); !ok {
				return false
			}
		}
		return true
	}
	return false
}

// quicHandshake reads the hello of a direction once it is there whole.
func (c *Connection) quicHandshake(from, role int, st *stream) {
	if len(st.data) < 4 {
		return
	}
	size := int(st.data[1])<<16 | int(st.data[2])<<8 | int(st.data[3])
	if len(st.data) < 4+size {
		return
	}
	body := st.data[4 : 4+size]
	switch {
	case role == 0 && st.data[0] == typeClientHello && c.ClientHello == nil:
		h, err := parseClientHello(body, fingerprint.QUIC)
		if err != nil {
			c.Malformed++
		} else {
			c.setClientHello(from, h)
		}
		st.finish()
	case role == 1 && st.data[0] == typeServerHello && c.ServerHello == nil:
		h, _, err := parseServerHello(body, fingerprint.QUIC)
		if err != nil {
			c.Malformed++
		} else {
			c.ServerHello = h
		}
		st.finish()
	}
}
