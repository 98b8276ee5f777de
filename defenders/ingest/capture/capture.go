package capture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// IsCapture tells whether a file begins as a capture does: pcap in either order of bytes,
// with microseconds or nanoseconds, or pcapng.
func IsCapture(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1, 0x0a0d0d0a:
		return true
	}
	return false
}

// Handler takes what a capture holds; every function may be nil. An error of one of them
// ends the reading and is returned as it is.
type Handler struct {
	// TLS is called with a connection whose hellos were read: when the server's answer is
	// known, or when the connection is over without one.
	TLS func(*Connection) error
	// Closed is called with a connection that is over, in the order of their ends.
	Closed func(*Connection) error
	// DNS is called with a question and its answer, if one came.
	DNS func(*Question) error
}

// Summary is what became of the packets.
type Summary struct {
	Packets     int
	Skipped     map[string]int // packets that gave nothing, by the reason
	Connections int
	Malformed   int // handshake messages that could not be read
	Evicted     int // connections that were closed early for want of room
	Late        int // packets whose time lies before that of the one before
}

// Add adds what became of the packets of another capture.
func (s *Summary) Add(o Summary) {
	if s.Skipped == nil {
		s.Skipped = map[string]int{}
	}
	s.Packets += o.Packets
	s.Connections += o.Connections
	s.Malformed += o.Malformed
	s.Evicted += o.Evicted
	s.Late += o.Late
	for why, n := range o.Skipped {
		s.Skipped[why] += n
	}
}

// Read reads a capture from its beginning to its end. What came before a fault counts.
func Read(ctx context.Context, in io.Reader, limits Limits, h Handler) (Summary, error) {
	r := &reader{handler: h, decoder: newDecoder(), summary: Summary{Skipped: map[string]int{}}}
	r.table = newTable(limits, r.close)
	packets, err := open(in)
	if err != nil {
		return r.summary, err
	}
	for r.err == nil {
		if r.summary.Packets&0xff == 0 && ctx.Err() != nil {
			return r.summary, ctx.Err()
		}
		data, info, link, err := packets()
		if err != nil {
			r.table.endAll()
			r.summary.Evicted = r.table.evicted
			if r.err == nil && !errors.Is(err, io.EOF) {
				r.err = fmt.Errorf("packet %d: %w", r.summary.Packets+1, err)
			}
			break
		}
		r.packet(data, info, link)
	}
	return r.summary, r.err
}

// nextPacket returns the next packet; its data is valid until the next call.
type nextPacket func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error)

// open reads a capture's header.
func open(in io.Reader) (nextPacket, error) {
	buffered := bufio.NewReaderSize(in, 1<<20)
	magic, err := buffered.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("a capture begins with four bytes that say its form: %w", err)
	}
	if !bytes.Equal(magic, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		r, err := pcapgo.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		return func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
			data, info, err := r.ZeroCopyReadPacketData()
			return data, info, r.LinkType(), err
		}, nil
	}
	r, err := pcapgo.NewNgReader(buffered, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return nil, err
	}
	return func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
		data, info, err := r.ZeroCopyReadPacketData()
		link := r.LinkType()
		if len(info.AncillaryData) > 0 {
			if l, ok := info.AncillaryData[0].(layers.LinkType); ok {
				link = l
			}
		}
		return data, info, link, err
	}, nil
}

// reader reads one capture.
type reader struct {
	handler Handler
	decoder *decoder
	table   *table
	summary Summary
	last    time.Duration
	expired time.Duration // when silent connections were last looked for
	err     error
}

// expireEvery is how often silent connections are looked for, in the capture's time.
const expireEvery = 10 * time.Second

func (r *reader) packet(data []byte, info gopacket.CaptureInfo, link layers.LinkType) {
	r.summary.Packets++
	at := time.Duration(info.Timestamp.UnixNano())
	if at < r.last {
		r.summary.Late++
	}
	r.last = max(r.last, at)
	if err := r.decoder.decode(info.Timestamp, link, data); err != nil {
		r.summary.Skipped[err.Error()]++
		return
	}
	if r.last-r.expired >= expireEvery {
		r.expired = r.last
		r.table.expire(r.last)
	}
	d := r.decoder
	if d.isTCP {
		r.segment(at, &d.tcp)
	} else {
		r.datagram(at, &d.udp)
	}
}

// segment takes in a TCP segment.
func (r *reader) segment(at time.Duration, t *layers.TCP) {
	from := netip.AddrPortFrom(r.decoder.source, uint16(t.SrcPort))
	to := netip.AddrPortFrom(r.decoder.destination, uint16(t.DstPort))
	var syn opening
	if t.SYN && !t.ACK {
		syn = &t.Seq
	}
	c, side := r.table.find(at, from, to, false, syn)
	if c.Packets == [2]uint64{} && t.SYN && t.ACK { // the answer was captured and the question not
		c.Ends[0], c.Ends[1] = to, from
		side = 1
	}
	f := &c.flags[side]
	f.syn, f.ack, f.fin, f.rst = f.syn || t.SYN, f.ack || t.ACK, f.fin || t.FIN, f.rst || t.RST
	r.count(c, side, at, len(t.Payload))
	if t.SYN {
		c.streams[side].begin(t.Seq + 1)
	}
	if !c.reported && len(t.Payload) > 0 && c.streams[side].add(t.Seq, t.Payload) {
		c.read(side)
		r.report(c)
	}
	c.closed = c.closed || t.RST || c.flags[0].fin && c.flags[1].fin
}

// count adds a packet to a connection's sums and shape.
func (r *reader) count(c *Connection, side int, at time.Duration, payload int) {
	c.Packets[side]++
	c.Bytes[side] += uint64(payload)
	c.WireBytes[side] += uint64(r.decoder.wire)
	if payload > 0 && len(c.Shape) < maxShape {
		size := int32(payload)
		if side == 1 {
			size = -size
		}
		c.Shape = append(c.Shape, Packet{at, size})
	}
}

// read looks for handshakes and requests in what a side has sent.
func (c *Connection) read(side int) {
	st := &c.streams[side]
	if c.ClientHello == nil {
		c.clientHandshake(side, st, &c.client[side])
		c.clearText(side)
	}
	if c.ClientHello != nil {
		if other := &c.streams[1-c.clientSide]; !c.server.over {
			c.serverHandshake(other, &c.server)
		}
		c.streams[c.clientSide].finish()
		if c.server.over {
			c.streams[1-c.clientSide].finish()
		}
		return
	}
	if st.isFull() { // nothing that is looked for stands at the beginning
		st.finish()
	}
}

// report hands on a TLS connection of which all is known that will be.
func (r *reader) report(c *Connection) {
	if c.reported || c.ClientHello == nil {
		return
	}
	switch {
	case c.closed:
	case c.UDP && c.ServerHello == nil, !c.UDP && !c.server.over:
		return
	}
	c.reported = true
	if r.handler.TLS != nil && r.err == nil {
		r.err = r.handler.TLS(c)
	}
}

// datagram takes in a UDP datagram.
func (r *reader) datagram(at time.Duration, u *layers.UDP) {
	from := netip.AddrPortFrom(r.decoder.source, uint16(u.SrcPort))
	to := netip.AddrPortFrom(r.decoder.destination, uint16(u.DstPort))
	c, side := r.table.find(at, from, to, true, nil)
	r.count(c, side, at, len(u.Payload))
	switch {
	case len(u.Payload) == 0 || c.reported:
	case isDNSPort(u.SrcPort) || isDNSPort(u.DstPort):
		r.dns(c, side, at, u.Payload)
	case u.Payload[0]&0xc0 == 0xc0:
		c.quicDatagram(side, u.Payload)
		r.report(c)
	case u.Payload[0] == recordHandshake:
		c.dtlsDatagram(side, u.Payload)
		r.report(c)
	}
}

// close reports a connection that is over.
func (r *reader) close(c *Connection) {
	r.report(c)
	r.unanswered(c)
	r.summary.Connections++
	r.summary.Malformed += c.Malformed
	if r.handler.Closed != nil && r.err == nil {
		r.err = r.handler.Closed(c)
	}
}
