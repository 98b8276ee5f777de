package capture

import (
	"net/netip"
	"time"

	"hemostat/sim/fingerprint"
)

// Connection is a TCP connection, or the datagrams between two ends. Side 0 is the
// originator, side 1 the responder.
type Connection struct {
	UDP   bool
	Ends  [2]netip.AddrPort
	Start time.Duration // since 1970
	Last  time.Duration // of the last packet
	// Packets and Bytes are counted by the side that sent them; Bytes are those of the
	// payload, WireBytes those with the headers of IP and above.
	Packets, Bytes, WireBytes [2]uint64
	// Shape are the first packets with a payload.
	Shape []Packet

	ClientHello  *fingerprint.ClientHello
	HelloAt      time.Duration
	ServerHello  *fingerprint.ServerHello
	Certificates [][]byte // DER, of TLS 1.2 and before; the server's own first
	Request      *Request // first clear-text HTTP request
	Malformed    int      // handshake messages that could not be read

	clientSide int // that sent the ClientHello
	flags      [2]tcpFlags
	streams    [2]stream
	client     [2]records // search for a ClientHello, by side
	server     records    // search for a ServerHello
	quic       *quic
	dtls       [2]dtls
	questions  map[uint16]question

	key            connectionKey
	initial        uint32 // sequence number of the originator's SYN
	closed         bool
	reported       bool // as a TLS connection
	previous, next *Connection
}

// Packet is one packet of a connection's shape.
type Packet struct {
	At   time.Duration
	Size int32 // bytes of payload, negative from the responder
}

// maxShape bounds the packets of a connection that are kept as its shape.
const maxShape = 64

// tcpFlags are the flags that a side has sent.
type tcpFlags struct{ syn, ack, fin, rst bool }

// Client is the end that sent the ClientHello, or the originator.
func (c *Connection) Client() netip.AddrPort { return c.Ends[c.clientSide] }

// Server is the other end.
func (c *Connection) Server() netip.AddrPort { return c.Ends[1-c.clientSide] }

func (c *Connection) setClientHello(from int, h *fingerprint.ClientHello) {
	c.ClientHello, c.clientSide, c.HelloAt = h, from, c.Last
}

// State is the state of the connection as Zeek names it (conn.log, conn_state).
func (c *Connection) State() string {
	o, r := c.flags[0], c.flags[1]
	switch {
	case c.UDP:
		if c.Packets[1] == 0 {
			return "S0"
		}
		return "SF"
	case !o.syn && !r.syn:
		return "OTH"
	case o.syn && c.Packets[1] == 0:
		switch {
		case o.rst:
			return "RSTOS0"
		case o.fin:
			return "SH"
		}
		return "S0"
	case o.syn && !r.syn && r.rst:
		return "REJ"
	case !o.syn && r.syn:
		if r.rst {
			return "RSTRH"
		}
		return "SHR"
	case o.rst:
		return "RSTO"
	case r.rst:
		return "RSTR"
	case o.fin && r.fin:
		return "SF"
	case o.fin:
		return "S2"
	case r.fin:
		return "S3"
	}
	return "S1"
}

// Limits bound the memory of a capture.
type Limits struct {
	Connections int           // open at once; the one that was silent longest is closed early
	Idle        time.Duration // silence after which a TCP connection is over
	IdleUDP     time.Duration
}

// DefaultLimits are those of Zeek for silence, and a quarter of a million connections.
func DefaultLimits() Limits {
	return Limits{Connections: 250_000, Idle: 5 * time.Minute, IdleUDP: time.Minute}
}

// connectionKey is the two ends in the order of their bytes.
type connectionKey struct {
	low, high         [16]byte
	lowPort, highPort uint16
	udp               bool
}

// keyOf is the key of two ends, and whether the first is the high one.
func keyOf(from, to netip.AddrPort, udp bool) (key connectionKey, swapped bool) {
	a, b := from.Addr().As16(), to.Addr().As16()
	order := from.Addr().Compare(to.Addr())
	if order > 0 || order == 0 && from.Port() > to.Port() {
		return connectionKey{b, a, to.Port(), from.Port(), udp}, true
	}
	return connectionKey{a, b, from.Port(), to.Port(), udp}, false
}

// table keeps the open connections, those that were silent longest first.
type table struct {
	limits Limits
	byKey  map[connectionKey]*Connection
	list   Connection // head of a ring, in the order of the last packet
	closed func(*Connection)
	// evicted counts connections that were closed early for want of room.
	evicted int
}

func newTable(limits Limits, closed func(*Connection)) *table {
	t := &table{limits: limits, byKey: map[connectionKey]*Connection{}, closed: closed}
	t.list.previous, t.list.next = &t.list, &t.list
	return t
}

// opening is the sequence number of a SYN, nil for other packets.
type opening *uint32

// find returns the connection of a packet and the side that sent it; it is made when it is
// new. A SYN after the end begins another connection, and so does one with another number
// while the old one was not seen to end.
func (t *table) find(at time.Duration, from, to netip.AddrPort, udp bool, syn opening) (c *Connection, side int) {
	key, _ := keyOf(from, to, udp)
	c = t.byKey[key]
	if c != nil && syn != nil && (c.closed || c.flags[0].syn && c.initial != *syn && c.Ends[0] == from) {
		t.end(c)
		c = nil
	}
	if c == nil {
		if len(t.byKey) >= t.limits.Connections {
			t.evicted++
			t.end(t.list.next)
		}
		c = &Connection{UDP: udp, Ends: [2]netip.AddrPort{from, to}, Start: at, key: key}
		c.client[0].wanted, c.client[1].wanted = typeClientHello, typeClientHello
		c.server.wanted = typeServerHello
		if syn != nil {
			c.initial = *syn
		}
		t.byKey[key] = c
	} else {
		c.unlink()
	}
	c.previous, c.next = t.list.previous, &t.list
	c.previous.next, t.list.previous = c, c
	c.Last = max(c.Last, at)
	if c.Ends[0] == from {
		return c, 0
	}
	return c, 1
}

func (c *Connection) unlink() {
	c.previous.next, c.next.previous = c.next, c.previous
	c.previous, c.next = nil, nil
}

// expire ends the connections that have been silent too long.
func (t *table) expire(now time.Duration) {
	for c := t.list.next; c != &t.list; {
		next, limit := c.next, t.limits.Idle
		if c.UDP {
			limit = t.limits.IdleUDP
		}
		if now-c.Last >= limit {
			t.end(c)
		} else if now-c.Last < t.limits.IdleUDP {
			return
		}
		c = next
	}
}

// end takes a connection out of the table and reports it.
func (t *table) end(c *Connection) {
	c.unlink()
	delete(t.byKey, c.key)
	for i := range c.streams {
		c.streams[i].finish()
	}
	c.closed = true
	t.closed(c)
}

// endAll ends all connections.
func (t *table) endAll() {
	for t.list.next != &t.list {
		t.end(t.list.next)
	}
}
