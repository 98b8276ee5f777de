package capture

import (
	"bytes"
	"encoding/binary"

	"hemostat/sim/fingerprint"
)

// records searches one direction of a TCP connection for a TLS handshake and reads its
// messages. A handshake need not stand at the beginning: proxies (SOCKS, CONNECT) and
// protocols that turn to TLS on request (SMTP, IMAP, FTP, LDAP, databases) say other
// things before it.
type records struct {
	wanted  byte // type of the first message: ClientHello or ServerHello
	from    int  // where the search goes on
	found   bool
	message []byte // handshake messages put together from records
	read    int    // bytes of the stream that records were read to
	over    bool   // no handshake message in the clear follows
}

const recordHeader = 5

// advance reads on in the data of the stream, calling f for every whole handshake message;
// f returns false when it wants no more of them.
func (r *records) advance(data []byte, f func(kind byte, body []byte) bool) {
	if !r.found && !r.search(data) {
		return
	}
	for !r.over && r.nextRecord(data) {
		for !r.over && len(r.message) >= 4 {
			size := int(r.message[1])<<16 | int(r.message[2])<<8 | int(r.message[3])
			if size > maxPrefix {
				r.over = true
				return
			}
			if len(r.message) < 4+size {
				break
			}
			kind, body := r.message[0], r.message[4:4+size]
			r.message = r.message[4+size:]
			if !f(kind, body) {
				r.over = true
			}
		}
	}
}

// nextRecord takes the next handshake record into message.
func (r *records) nextRecord(data []byte) bool {
	rest := data[r.read:]
	if len(rest) < recordHeader {
		return false
	}
	size := int(binary.BigEndian.Uint16(rest[3:]))
	switch {
	case rest[0] == recordChangeCipherSpec && size == 1: // stands before a second ServerHello
	case rest[0] != recordHandshake:
		r.over = true
		return false
	}
	if len(rest) < recordHeader+size {
		return false
	}
	if rest[0] == recordHandshake {
		r.message = append(r.message, rest[recordHeader:recordHeader+size]...)
	}
	r.read += recordHeader + size
	return true
}

// Types of TLS records (RFC 8446, section 5.1).
const (
	recordChangeCipherSpec = 20
	recordHandshake        = 22
)

// search finds the beginning of the handshake.
func (r *records) search(data []byte) bool {
	for {
		at := bytes.IndexByte(data[r.from:], recordHandshake)
		if at < 0 {
			r.from = len(data)
			return false
		}
		r.from += at
		begins, known := beginsHandshake(data[r.from:], r.wanted)
		if begins {
			r.found, r.read = true, r.from
			return true
		}
		if !known {
			return false // more of it has to come
		}
		r.from++
	}
}

// restart goes on with the search behind what was taken for a handshake and was none.
func (r *records) restart() {
	*r = records{wanted: r.wanted, from: r.from + 1}
}

// beginsHandshake tells whether data begins with a record that holds the beginning of a
// hello: record type, version, length, message type, length, version. It is not known
// while they do not stand there whole.
func beginsHandshake(data []byte, wanted byte) (begins, known bool) {
	const head = recordHeader + 6
	for i, c := range data[:min(len(data), head)] {
		fits := true
		switch i {
		case 1, 9:
			fits = c == 3
		case 2, 10:
			fits = c <= 4
		case 3:
			fits = c <= 0x48 // 2^14 and what compression may add
		case 5:
			fits = c == wanted
		case 6:
			fits = c == 0
		}
		if !fits {
			return false, true
		}
	}
	return len(data) >= head, len(data) >= head
}

// clientHandshake reads a client's direction.
func (c *Connection) clientHandshake(from int, st *stream, r *records) {
	for {
		r.advance(st.data, func(kind byte, body []byte) bool {
			if kind != typeClientHello {
				return false
			}
			h, err := parseClientHello(body, fingerprint.TCP)
			if err != nil {
				c.Malformed++
				return false
			}
			c.setClientHello(from, h)
			return false
		})
		if !r.over || c.ClientHello != nil {
			return
		}
		r.restart() // the bytes only looked like a handshake
	}
}

// serverHandshake reads a server's direction up to its certificates.
func (c *Connection) serverHandshake(st *stream, r *records) {
	r.advance(st.data, func(kind byte, body []byte) bool {
		switch kind {
		case typeServerHello:
			h, retry, err := parseServerHello(body, fingerprint.TCP)
			if err != nil {
				c.Malformed++
				return false
			}
			if retry {
				return true
			}
			c.ServerHello = h
			return h.UsedVersion() <= 0x0303
		case typeCertificate:
			certificates, err := parseCertificates(body)
			if err != nil {
				c.Malformed++
			}
			c.Certificates = certificates
			return false
		}
		return kind != typeServerHelloDone
	})
}
