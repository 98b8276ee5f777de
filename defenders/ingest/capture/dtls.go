package capture

import (
	"encoding/binary"

	"hemostat/sim/fingerprint"
)

// dtls puts together one handshake message of DTLS from its fragments (RFC 6347, section
// 4.2.3).
type dtls struct {
	kind     byte
	sequence uint16
	body     []byte
	have     []bool // bytes that are there
	missing  int
}

const (
	dtlsRecordHeader    = 13
	dtlsHandshakeHeader = 12
)

// dtlsDatagram reads the handshake records of a datagram from a side.
func (c *Connection) dtlsDatagram(from int, datagram []byte) {
	for len(datagram) >= dtlsRecordHeader && datagram[0] == recordHandshake && datagram[1] == 0xfe {
		size := int(binary.BigEndian.Uint16(datagram[11:]))
		if len(datagram) < dtlsRecordHeader+size {
			return
		}
		if binary.BigEndian.Uint16(datagram[3:]) == 0 { // epoch 0 is in the clear
			c.dtlsFragments(from, datagram[dtlsRecordHeader:dtlsRecordHeader+size])
		}
		datagram = datagram[dtlsRecordHeader+size:]
	}
}

func (c *Connection) dtlsFragments(from int, data []byte) {
	for len(data) >= dtlsHandshakeHeader {
		uint24 := func(at int) int { return int(data[at])<<16 | int(data[at+1])<<8 | int(data[at+2]) }
		kind, total, sequence := data[0], uint24(1), binary.BigEndian.Uint16(data[4:])
		offset, size := uint24(6), uint24(9)
		if total > maxPrefix || offset+size > total || len(data) < dtlsHandshakeHeader+size {
			c.Malformed++
			return
		}
		fragment := data[dtlsHandshakeHeader : dtlsHandshakeHeader+size]
		data = data[dtlsHandshakeHeader+size:]
		if kind != typeClientHello && kind != typeServerHello {
			continue
		}
		d := &c.dtls[from]
		if d.body == nil || d.kind != kind || d.sequence != sequence || len(d.body) != total {
			*d = dtls{kind, sequence, make([]byte, total), make([]bool, total), total}
		}
		for i, b := range fragment {
			if !d.have[offset+i] {
				d.have[offset+i], d.body[offset+i] = true, b
				d.missing--
			}
		}
		if d.missing == 0 {
			c.dtlsMessage(from, d)
			*d = dtls{}
		}
	}
}

func (c *Connection) dtlsMessage(from int, d *dtls) {
	var err error
	switch {
	case d.kind == typeClientHello && c.ClientHello == nil:
		var h *fingerprint.ClientHello
		if h, err = parseClientHello(d.body, fingerprint.DTLS); err == nil {
			c.setClientHello(from, h)
		}
	case d.kind == typeServerHello && c.ServerHello == nil:
		var h *fingerprint.ServerHello
		if h, _, err = parseServerHello(d.body, fingerprint.DTLS); err == nil {
			c.ServerHello = h
		}
	}
	if err != nil {
		c.Malformed++
	}
}
