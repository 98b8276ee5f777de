package capture

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"hemostat/sim/fingerprint"
)

// clientHello is what Go's own client sends first.
func clientHello(t testing.TB) []byte {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: "c2.example", NextProtos: []string{"h2"}}).Handshake()
	}()
	buffer := make([]byte, 8192)
	n, err := server.Read(buffer)
	require.NoError(t, err)
	return buffer[:n]
}

// file builds captures.
type file struct {
	t    testing.TB
	out  bytes.Buffer
	w    *pcapgo.Writer
	at   time.Time
	link layers.LinkType
}

func newFile(t testing.TB, link layers.LinkType) *file {
	f := &file{t: t, at: time.Unix(1772439300, 0), link: link}
	f.w = pcapgo.NewWriter(&f.out)
	require.NoError(t, f.w.WriteFileHeader(262144, link))
	return f
}

func (f *file) raw(data []byte) {
	f.at = f.at.Add(time.Millisecond)
	info := gopacket.CaptureInfo{Timestamp: f.at, CaptureLength: len(data), Length: len(data)}
	require.NoError(f.t, f.w.WritePacket(info, data))
}

func bytesOf(t testing.TB, parts ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, parts...))
	return b.Bytes()
}

func (f *file) packet(parts ...gopacket.SerializableLayer) { f.raw(bytesOf(f.t, parts...)) }

func (f *file) read() ([]*Connection, Summary) {
	var found []*Connection
	summary, err := Read(context.Background(), &f.out, DefaultLimits(), Handler{
		TLS: func(c *Connection) error { found = append(found, c); return nil },
	})
	require.NoError(f.t, err)
	return found, summary
}

var (
	macs = &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2},
		EthernetType: layers.EthernetTypeIPv4}
	here    = net.IP{10, 0, 0, 5}
	there   = net.IP{203, 0, 113, 9}
	ip6Here = net.ParseIP("2001:db8::5")
	ip6Far  = net.ParseIP("2001:db8:1::9")
)

func ip4(protocol layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, SrcIP: here, DstIP: there}
}

func tcp(sequence uint32) *layers.TCP {
	return &layers.TCP{SrcPort: 50123, DstPort: 8443, Seq: sequence, ACK: true, Window: 1000}
}

func payload(b []byte) gopacket.Payload { return gopacket.Payload(b) }

func TestAHelloIsFoundBelowWhateverCarriesIt(t *testing.T) {
	hello := clientHello(t)
	ethernet := func(kind layers.EthernetType) *layers.Ethernet {
		e := *macs
		e.EthernetType = kind
		return &e
	}
	half := len(hello) / 2
	inner := bytesOf(t, macs, ip4(layers.IPProtocolTCP), tcp(1), payload(hello))
	innerIP := bytesOf(t, ip4(layers.IPProtocolTCP), tcp(1), payload(hello))
	proxied := append([]byte("CONNECT c2.example:443 HTTP/1.1\r\nHost: c2.example:443\r\n\r\n"), hello...)
	socks := append([]byte{4, 1, 1, 0xbb, 203, 0, 113, 9, 0}, hello...)
	records := append(append([]byte{22, 3, 1, 0, 100}, hello[5:105]...),
		append([]byte{22, 3, 1, byte((len(hello) - 105) >> 8), byte(len(hello) - 105)}, hello[105:]...)...)
	udp := func(port layers.UDPPort) *layers.UDP { return &layers.UDP{SrcPort: 40000, DstPort: port} }

	for name, build := range map[string]struct {
		link layers.LinkType
		do   func(f *file)
	}{
		"ethernet": {layers.LinkTypeEthernet, func(f *file) { f.raw(inner) }},
		"raw":      {layers.LinkTypeRaw, func(f *file) { f.raw(innerIP) }},
		"two VLANs": {layers.LinkTypeEthernet, func(f *file) {
			f.packet(ethernet(layers.EthernetTypeQinQ), &layers.Dot1Q{VLANIdentifier: 5, Type: layers.EthernetTypeDot1Q},
				&layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeIPv4}, payload(innerIP))
		}},
		"IPv6": {layers.LinkTypeEthernet, func(f *file) {
			f.packet(ethernet(layers.EthernetTypeIPv6),
				&layers.IPv6{Version: 6, HopLimit: 9, NextHeader: layers.IPProtocolTCP, SrcIP: ip6Here,
					DstIP: ip6Far}, tcp(1), payload(hello))
		}},
		"segments out of order": {layers.LinkTypeRaw, func(f *file) {
			syn := tcp(0)
			syn.SYN, syn.ACK = true, false
			f.packet(ip4(layers.IPProtocolTCP), syn)
			f.packet(ip4(layers.IPProtocolTCP), tcp(uint32(1+half)), payload(hello[half:]))
			f.packet(ip4(layers.IPProtocolTCP), tcp(1), payload(hello[:half]))
		}},
		"retransmitted and overlapping": {layers.LinkTypeRaw, func(f *file) {
			f.packet(ip4(layers.IPProtocolTCP), tcp(0xfffffff0), payload(hello[:half]))
			f.packet(ip4(layers.IPProtocolTCP), tcp(0xfffffff0), payload(hello[:half]))
			f.packet(ip4(layers.IPProtocolTCP), tcp(0xfffffff0+uint32(half)-20), payload(hello[half-20:]))
		}},
		"one byte a segment": {layers.LinkTypeRaw, func(f *file) {
			for i := range hello {
				f.packet(ip4(layers.IPProtocolTCP), tcp(uint32(i)), payload(hello[i:i+1]))
			}
		}},
		"several records": {layers.LinkTypeRaw,
			func(f *file) { f.packet(ip4(layers.IPProtocolTCP), tcp(1), payload(records)) }},
		"after CONNECT": {layers.LinkTypeRaw,
			func(f *file) { f.packet(ip4(layers.IPProtocolTCP), tcp(1), payload(proxied)) }},
		"after SOCKS 4": {layers.LinkTypeRaw, func(f *file) { f.packet(ip4(layers.IPProtocolTCP), tcp(1), payload(socks)) }},
		"after STARTTLS": {layers.LinkTypeRaw, func(f *file) {
			f.packet(ip4(layers.IPProtocolTCP), tcp(1), payload([]byte("EHLO x\r\nSTARTTLS\r\n")))
			f.packet(ip4(layers.IPProtocolTCP), tcp(19), payload(hello))
		}},
		"after bytes like a hello": {layers.LinkTypeRaw, func(f *file) {
			f.packet(ip4(layers.IPProtocolTCP), tcp(1),
				payload(append([]byte{22, 3, 1, 0, 20, 1, 0, 0, 9, 3, 3, 1, 2, 3, 4, 5, 6, 7, 22, 3}, hello...)))
		}},
		"GRE": {layers.LinkTypeEthernet, func(f *file) {
			f.packet(macs, ip4(layers.IPProtocolGRE), &layers.GRE{Protocol: layers.EthernetTypeIPv4}, payload(innerIP))
		}},
		"ERSPAN": {layers.LinkTypeEthernet, func(f *file) {
			f.packet(macs, ip4(layers.IPProtocolGRE), &layers.GRE{Protocol: layers.EthernetTypeERSPAN, SeqPresent: true},
				&layers.ERSPANII{Version: 1}, payload(inner))
		}},
		"ERSPAN of type I": {layers.LinkTypeEthernet, func(f *file) {
			f.packet(macs, ip4(layers.IPProtocolGRE), &layers.GRE{Protocol: layers.EthernetTypeERSPAN}, payload(inner))
		}},
		"ERSPAN of type III": {layers.LinkTypeEthernet, func(f *file) {
			header := make([]byte, 20)
			header[0], header[11] = 0x20, 1
			f.packet(macs, ip4(layers.IPProtocolGRE), &layers.GRE{Protocol: typeERSPANIII},
				payload(slices.Concat(header, inner)))
		}},
		"Cisco HDLC": {layers.LinkTypeC_HDLC, func(f *file) { f.raw(slices.Concat([]byte{0x0f, 0, 8, 0}, innerIP)) }},
		"VXLAN": {layers.LinkTypeEthernet, func(f *file) {
			f.packet(macs, ip4(layers.IPProtocolUDP), udp(4789), &layers.VXLAN{ValidIDFlag: true, VNI: 5}, payload(inner))
		}},
		"MPLS": {layers.LinkTypeEthernet, func(f *file) {
			f.packet(ethernet(layers.EthernetTypeMPLSUnicast), &layers.MPLS{Label: 3},
				&layers.MPLS{Label: 4, StackBottom: true}, payload(innerIP))
		}},
		"PPPoE": {layers.LinkTypeEthernet, func(f *file) {
			f.packet(ethernet(layers.EthernetTypePPPoESession),
				payload(append([]byte{0x11, 0, 0, 1, byte((len(innerIP) + 2) >> 8), byte(len(innerIP) + 2), 0, 0x21},
					innerIP...)))
		}},
		"IP in IP": {layers.LinkTypeRaw, func(f *file) { f.packet(ip4(layers.IPProtocolIPv4), payload(innerIP)) }},
		"IPv4 fragments": {layers.LinkTypeRaw, func(f *file) {
			segment := bytesOf(t, tcp(1), payload(hello))
			cut := len(segment) / 2 / 8 * 8
			first, second := ip4(layers.IPProtocolTCP), ip4(layers.IPProtocolTCP)
			first.Id, second.Id = 77, 77
			first.Flags, second.FragOffset = layers.IPv4MoreFragments, uint16(cut/8)
			f.packet(second, payload(segment[cut:]))
			f.packet(first, payload(segment[:cut]))
		}},
		"IPv6 fragments": {layers.LinkTypeRaw, func(f *file) {
			segment := bytesOf(t, tcp(1), payload(hello))
			cut := len(segment) / 2 / 8 * 8
			header := &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: layers.IPProtocolIPv6Fragment, SrcIP: ip6Here,
				DstIP: ip6Far}
			part := func(offset int, more byte, data []byte) {
				head := []byte{byte(layers.IPProtocolTCP), 0, byte(offset >> 8), byte(offset)&0xf8 | more, 0, 0, 0, 9}
				f.packet(header, payload(append(head, data...)))
			}
			part(0, 1, segment[:cut])
			part(cut, 0, segment[cut:])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t, build.link)
			build.do(f)
			found, summary := f.read()
			require.Len(t, found, 1, "%+v", summary)
			require.Equal(t, "c2.example", found[0].ClientHello.ServerName)
			require.Equal(t, uint16(50123), found[0].Client().Port())
			require.Regexp(t, `^t13d\d{4}h2_`, found[0].ClientHello.JA4())
		})
	}
}

func TestWhatIsNoTunnelBelowATunnelsPortIsADatagram(t *testing.T) {
	f := newFile(t, layers.LinkTypeRaw)
	f.packet(ip4(layers.IPProtocolUDP), &layers.UDP{SrcPort: 4789, DstPort: 53}, payload([]byte("no tunnel at all, only text")))
	summary, err := Read(context.Background(), &f.out, DefaultLimits(), Handler{Closed: func(c *Connection) error {
		require.Equal(t, uint16(53), c.Ends[1].Port())
		return nil
	}})
	require.NoError(t, err)
	require.Equal(t, 1, summary.Connections)
}

// TestAPortThatIsUsedAgain: a SYN with another number is another connection.
func TestAPortThatIsUsedAgain(t *testing.T) {
	hello := clientHello(t)
	f := newFile(t, layers.LinkTypeRaw)
	for _, first := range []uint32{100, 70_000} {
		syn := tcp(first)
		syn.SYN, syn.ACK = true, false
		f.packet(ip4(layers.IPProtocolTCP), syn)
		f.packet(ip4(layers.IPProtocolTCP), syn) // sent again
		f.packet(ip4(layers.IPProtocolTCP), tcp(first+1), payload(hello))
	}
	found, summary := f.read()
	require.Len(t, found, 2)
	require.Equal(t, 2, summary.Connections)
}

func TestFaultyCapturesAreCountedAndEnd(t *testing.T) {
	hello := clientHello(t)
	f := newFile(t, layers.LinkTypeRaw)
	f.packet(ip4(layers.IPProtocolTCP), tcp(1), payload(hello[:200])) // truncated
	f.raw([]byte{0x45, 0, 0, 1})
	broken := bytes.Clone(hello)
	broken[9+34] = 255 // the length of the session id
	other := tcp(1)
	other.SrcPort = 9
	f.packet(ip4(layers.IPProtocolTCP), other, payload(broken))
	f.at = f.at.Add(-time.Hour)
	f.packet(ip4(layers.IPProtocolICMPv4), payload([]byte{8, 0, 0, 0}))
	whole := bytes.Clone(f.out.Bytes())
	found, summary := f.read()
	require.Empty(t, found)
	require.Equal(t, map[string]int{"a malformed packet": 1, NoIP: 1}, summary.Skipped)
	require.Equal(t, 1, summary.Malformed)
	require.Equal(t, 1, summary.Late)

	_, err := Read(context.Background(), bytes.NewReader(whole[:len(whole)-2]), DefaultLimits(), Handler{})
	require.ErrorContains(t, err, "packet 4")
	_, err = Read(context.Background(), strings.NewReader("no"), DefaultLimits(), Handler{})
	require.Error(t, err)

	unread := newFile(t, layers.LinkTypeLinuxUSB)
	unread.raw([]byte{1, 2, 3})
	_, summary = unread.read()
	require.Equal(t, map[string]int{"packets of link type 220 are not read": 1}, summary.Skipped)
}

func TestAScannerCannotFillTheMemory(t *testing.T) {
	f := newFile(t, layers.LinkTypeRaw)
	for port := range 2000 {
		syn := tcp(0)
		syn.SYN, syn.ACK, syn.DstPort = true, false, layers.TCPPort(port+1)
		f.packet(ip4(layers.IPProtocolTCP), syn)
	}
	limits := DefaultLimits()
	limits.Connections = 100
	most, states := 0, map[string]int{}
	summary, err := Read(context.Background(), &f.out, limits, Handler{Closed: func(c *Connection) error {
		states[c.State()]++
		most++
		return nil
	}})
	require.NoError(t, err)
	require.Equal(t, 2000, summary.Connections)
	require.Equal(t, 1900, summary.Evicted)
	require.Equal(t, map[string]int{"S0": 2000}, states)
}

// TestInitialKeys holds the keys against appendix A.1 of RFC 9001.
func TestInitialKeys(t *testing.T) {
	id, err := hex.DecodeString("8394c8f03e515708")
	require.NoError(t, err)
	version, ok := quicVersionOf(1)
	require.True(t, ok)
	keys := deriveInitial(version, id)
	require.Equal(t, "fa044b2f42a3fd3b46fb255c", hex.EncodeToString(keys[0].iv))
	require.Equal(t, "0ac1493ca1905853b0bba03e", hex.EncodeToString(keys[1].iv))
	var mask [16]byte
	sample, err := hex.DecodeString("d1b1c98dd7689fb8ec11d242b123dc9b")
	require.NoError(t, err)
	keys[0].header.Encrypt(mask[:], sample)
	require.Equal(t, "437b9aec36", hex.EncodeToString(mask[:5]))
}

func TestDTLSFragmentsAreJoined(t *testing.T) {
	body := append([]byte{0xfe, 0xfd}, make([]byte, 32)...) // version, random
	body = append(body, 0, 0)                               // session id, cookie
	body = append(body, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0) // ciphers, compression
	body = append(body, 0, 8, 0, 10, 0, 4, 0, 2, 0, 0x1d)   // groups
	record := func(offset, size int) []byte {
		head := []byte{typeClientHello, 0, 0, byte(len(body)), 0, 0, 0, 0, byte(offset), 0, 0, byte(size)}
		data := slices.Concat(head, body[offset:offset+size])
		return append([]byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(data))}, data...)
	}
	f := newFile(t, layers.LinkTypeRaw)
	udp := &layers.UDP{SrcPort: 40000, DstPort: 4433}
	f.packet(ip4(layers.IPProtocolUDP), udp, payload(record(20, len(body)-20)))
	f.packet(ip4(layers.IPProtocolUDP), udp, payload(record(0, 20)))
	found, _ := f.read()
	require.Len(t, found, 1)
	require.Equal(t, fingerprint.DTLS, found[0].ClientHello.Transport)
	require.Regexp(t, `^dd2i020100_`, found[0].ClientHello.JA4())
}

func TestConnectionStatesAreZeeks(t *testing.T) {
	for want, c := range map[string]Connection{
		"S0":   {flags: [2]tcpFlags{{syn: true}, {}}, Packets: [2]uint64{1, 0}},
		"REJ":  {flags: [2]tcpFlags{{syn: true}, {rst: true}}, Packets: [2]uint64{1, 1}},
		"SF":   {flags: [2]tcpFlags{{syn: true, fin: true}, {syn: true, fin: true}}, Packets: [2]uint64{4, 4}},
		"RSTO": {flags: [2]tcpFlags{{syn: true, rst: true}, {syn: true}}, Packets: [2]uint64{4, 4}},
		"RSTR": {flags: [2]tcpFlags{{syn: true}, {syn: true, rst: true}}, Packets: [2]uint64{4, 4}},
		"S1":   {flags: [2]tcpFlags{{syn: true}, {syn: true}}, Packets: [2]uint64{4, 4}},
		"OTH":  {Packets: [2]uint64{4, 4}},
	} {
		require.Equal(t, want, c.State())
	}
}

func FuzzRead(f *testing.F) {
	for _, link := range []layers.LinkType{layers.LinkTypeEthernet, layers.LinkTypeRaw} {
		file := newFile(f, link)
		file.packet(macs, ip4(layers.IPProtocolTCP), tcp(1), payload(clientHello(f)))
		f.Add(file.out.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Read(context.Background(), bytes.NewReader(data), DefaultLimits(), Handler{
			TLS: func(c *Connection) error { _ = c.ClientHello.JA4(); return nil },
		})
	})
}

func FuzzParseClientHello(f *testing.F) {
	f.Add(clientHello(f)[9:])
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, transport := range []fingerprint.Transport{fingerprint.TCP, fingerprint.DTLS} {
			if h, err := parseClientHello(data, transport); err == nil {
				require.NotEmpty(t, h.JA4()+h.JA3()+h.JA4OriginalRaw())
			}
			if h, _, err := parseServerHello(data, transport); err == nil {
				require.NotEmpty(t, h.JA4S()+h.JA3S())
			}
		}
	})
}

// BenchmarkRead reads a capture of TLS connections of 100 kB each.
func BenchmarkRead(b *testing.B) {
	hello := clientHello(b)
	f := newFile(b, layers.LinkTypeEthernet)
	full := make([]byte, 1400)
	for connection := range 200 {
		one := tcp(1)
		one.SrcPort = layers.TCPPort(10000 + connection)
		f.packet(macs, ip4(layers.IPProtocolTCP), one, payload(hello))
		for i := range 70 {
			one.Seq = uint32(1 + len(hello) + i*len(full))
			f.packet(macs, ip4(layers.IPProtocolTCP), one, payload(full))
		}
	}
	data := f.out.Bytes()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(context.Background(), bytes.NewReader(data), DefaultLimits(), Handler{}); err != nil {
			b.Fatal(err)
		}
	}
}
