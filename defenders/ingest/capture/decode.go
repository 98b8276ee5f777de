package capture

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/ip4defrag"
	"github.com/gopacket/gopacket/ip6defrag"
	"github.com/gopacket/gopacket/layers"
)

// decoder finds the innermost addresses, ports and payload of a packet, below VLANs, MPLS,
// PPPoE, GRE, ERSPAN, VXLAN, Geneve, GTP and IP in IP.
type decoder struct {
	decoders  map[gopacket.LayerType]gopacket.DecodingLayer
	ip4       layers.IPv4
	ip6       layers.IPv6
	fragment6 layers.IPv6Fragment
	gre       layers.GRE
	tcp       layers.TCP
	udp       layers.UDP

	fragments4 *ip4defrag.IPv4Defragmenter
	fragments6 *ip6defrag.IPv6Defragmenter
	fragments  int // taken in since the defragmenters were made

	// Of the packet in hand.
	source, destination netip.Addr
	wire                int // bytes from the innermost IP header on
	isTCP, isUDP        bool
}

// decodingLayers are those that lead to IP.
func decodingLayers() []gopacket.DecodingLayer {
	return []gopacket.DecodingLayer{
		&layers.Ethernet{}, &layers.Dot1Q{}, &layers.Loopback{},
		&layers.LinuxSLL{}, &layers.LinuxSLL2{}, &layers.ERSPANII{}, &layers.VXLAN{}, &layers.Geneve{},
		&layers.GTPv1U{}, &layers.IPv6ExtensionSkipper{}, &layers.RadioTap{}, &layers.PrismHeader{}, &layers.Dot11{},
		&layers.Dot11Data{}, &layers.Dot11DataQOSData{}, &layers.LLC{}, &layers.SNAP{}, &layers.PFLog{},
		&layers.EtherIP{},
	}
}

func newDecoder() *decoder {
	d := &decoder{decoders: map[gopacket.LayerType]gopacket.DecodingLayer{}}
	d.forgetFragments()
	for _, l := range append(decodingLayers(), &d.ip4, &d.ip6, &d.fragment6, &d.gre, &d.tcp, &d.udp) {
		for _, kind := range l.CanDecode().LayerTypes() {
			d.decoders[kind] = l
		}
	}
	return d
}

// firstLayer is what packets of a link type begin with.
func firstLayer(link layers.LinkType, data []byte) (gopacket.LayerType, error) {
	switch link {
	case layers.LinkTypeEthernet:
		return layers.LayerTypeEthernet, nil
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return layers.LayerTypeLoopback, nil
	case layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6, 12, 14:
		return ipLayer(data), nil
	case layers.LinkTypeLinuxSLL:
		return layers.LayerTypeLinuxSLL, nil
	case layers.LinkTypeLinuxSLL2:
		return layers.LayerTypeLinuxSLL2, nil
	case layers.LinkTypeC_HDLC:
		if len(data) > 4 && data[2] == 0x08 && data[3] == 0 || len(data) > 4 && data[2] == 0x86 && data[3] == 0xdd {
			return layerTypeHDLC, nil
		}
		return gopacket.LayerTypeZero, errNoIP
	case layers.LinkTypePPP, layers.LinkTypePPP_HDLC:
		return layers.LayerTypePPP, nil
	case layers.LinkTypeIEEE802_11:
		return layers.LayerTypeDot11, nil
	case layers.LinkTypeIEEE80211Radio:
		return layers.LayerTypeRadioTap, nil
	case layers.LinkTypePrismHeader:
		return layers.LayerTypePrismHeader, nil
	case layers.LinkTypePFLog:
		return layers.LayerTypePFLog, nil
	}
	return gopacket.LayerTypeZero, fmt.Errorf("packets of link type %d are not read", link)
}

// layerTypeHDLC stands for Cisco's framing, which is four bytes before IP.
const layerTypeHDLC = gopacket.LayerType(-1)

func ipLayer(data []byte) gopacket.LayerType {
	if len(data) > 0 && data[0]>>4 == 6 {
		return layers.LayerTypeIPv6
	}
	return layers.LayerTypeIPv4
}

// SetTruncated implements gopacket.DecodeFeedback: what is there of a cut packet is read.
func (d *decoder) SetTruncated() {}

// Reasons of packets that give nothing and are no fault.
const (
	NoIP            = "no TCP or UDP"
	WaitingFragment = "a fragment whose others are to come"
)

var (
	errNoIP       = errors.New(NoIP)
	errFragment   = errors.New(WaitingFragment)
	errNoFragment = errors.New("a fragment that fits no other")
	errPacket     = errors.New("a malformed packet")
)

// maxLayers bounds the layers of a packet.
const maxLayers = 32

// decode reads a packet down to TCP or UDP.
func (d *decoder) decode(at time.Time, link layers.LinkType, data []byte) (err error) {
	defer func() {
		if recover() != nil { // of a decoder that met what it did not expect
			err = errPacket
		}
	}()
	kind, err := firstLayer(link, data)
	if err != nil {
		return err
	}
	d.isTCP, d.isUDP = false, false
	kind, data, err = d.descend(at, kind, data)
	if !d.isUDP || d.decoders[kind] == nil {
		return err
	}
	// The port is that of a tunnel; if no tunnel stands there the datagram is what it is.
	source, destination, wire, udp := d.source, d.destination, d.wire, d.udp
	d.isUDP = false
	if _, _, err := d.descend(at, kind, data); err != nil {
		d.source, d.destination, d.wire, d.udp = source, destination, wire, udp
		d.isTCP, d.isUDP = false, true
	}
	return nil
}

// descend reads layer by layer down to TCP or UDP, and returns what stands in that.
func (d *decoder) descend(at time.Time, kind gopacket.LayerType, data []byte) (gopacket.LayerType, []byte, error) {
	for range maxLayers {
		layer := d.decoders[kind]
		if layer == nil {
			var ok bool
			if kind, data, ok = skipHeader(kind, data); !ok {
				return kind, data, errNoIP
			}
			continue
		}
		if layer.DecodeFromBytes(data, d) != nil {
			return kind, data, errPacket
		}
		data, kind = layer.LayerPayload(), layer.NextLayerType()
		var err error
		switch layer {
		case &d.ip4:
			d.source, d.destination, d.wire = address(d.ip4.SrcIP), address(d.ip4.DstIP), len(d.ip4.Contents)+len(data)
			data, kind, err = d.joinIPv4(at, data, kind)
		case &d.ip6:
			d.source, d.destination, d.wire = address(d.ip6.SrcIP), address(d.ip6.DstIP), len(d.ip6.Contents)+len(data)
		case &d.fragment6:
			data, kind, err = d.joinIPv6()
		case &d.gre:
			data, kind = d.mirrored(data, kind)
		case &d.tcp:
			d.isTCP = true
			return kind, data, nil
		case &d.udp:
			d.isUDP = true
			return kind, data, nil
		}
		if err != nil {
			return kind, data, err
		}
	}
	return kind, data, errPacket
}

// typeERSPANIII is the protocol of ERSPAN of type III within GRE.
const typeERSPANIII = 0x22eb

// mirrored passes over the headers of mirrored packets that gopacket does not know: ERSPAN of
// type I has none, that of type III twelve bytes and maybe eight more
// (draft-foschiano-erspan-03).
func (d *decoder) mirrored(data []byte, kind gopacket.LayerType) ([]byte, gopacket.LayerType) {
	switch {
	case d.gre.Protocol == layers.EthernetTypeERSPAN && !d.gre.SeqPresent:
		return data, layers.LayerTypeEthernet
	case d.gre.Protocol == typeERSPANIII && len(data) > 20:
		size := 12
		if data[11]&1 != 0 {
			size = 20
		}
		return data[size:], layers.LayerTypeEthernet
	}
	return data, kind
}

// skipHeader passes over the headers that gopacket decodes for whole packets only: MPLS
// (RFC 3032), PPP over Ethernet (RFC 2516) and PPP (RFC 1661).
func skipHeader(kind gopacket.LayerType, data []byte) (next gopacket.LayerType, rest []byte, ok bool) {
	switch {
	case kind == layers.LayerTypeMPLS && len(data) > 4:
		if data[2]&1 == 0 { // not the bottom of the stack
			return kind, data[4:], true
		}
		return ipLayer(data[4:]), data[4:], true
	case kind == layerTypeHDLC:
		return ipLayer(data[4:]), data[4:], true
	case kind == layers.LayerTypePPPoE && len(data) > 6:
		return layers.LayerTypePPP, data[6:], true
	case kind == layers.LayerTypePPP && len(data) > 4:
		if data[0] == 0xff && data[1] == 3 {
			data = data[2:]
		}
		protocol, size := int(data[0])<<8|int(data[1]), 2
		if data[0]&1 == 1 { // compressed to one byte
			protocol, size = int(data[0]), 1
		}
		switch protocol {
		case 0x21, 0x57, 0x281:
			if protocol == 0x281 {
				return layers.LayerTypeMPLS, data[size:], true
			}
			return ipLayer(data[size:]), data[size:], true
		}
	}
	return kind, data, false
}

// address is an IPv4 or IPv6 address; one of no other length comes from gopacket.
func address(ip []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// joinIPv4 puts a fragment together with the others of its datagram.
func (d *decoder) joinIPv4(
	at time.Time,
	data []byte,
	kind gopacket.LayerType,
) ([]byte, gopacket.LayerType, error) {
	if d.ip4.Flags&layers.IPv4MoreFragments == 0 && d.ip4.FragOffset == 0 {
		return data, kind, nil
	}
	d.countFragment()
	copied := d.ip4
	copied.SrcIP, copied.DstIP = append([]byte{}, d.ip4.SrcIP...), append([]byte{}, d.ip4.DstIP...)
	copied.Contents, copied.Payload = append([]byte{}, d.ip4.Contents...), append([]byte{}, d.ip4.Payload...)
	whole, err := d.fragments4.DefragIPv4WithTimestamp(&copied, at)
	if err != nil {
		return nil, 0, errNoFragment
	}
	if whole == nil {
		return nil, 0, errFragment
	}
	return whole.Payload, whole.NextLayerType(), nil
}

// joinIPv6 does the same for IPv6.
func (d *decoder) joinIPv6() ([]byte, gopacket.LayerType, error) {
	d.countFragment()
	header, fragment := d.ip6, d.fragment6
	header.SrcIP, header.DstIP = append([]byte{}, d.ip6.SrcIP...), append([]byte{}, d.ip6.DstIP...)
	header.Contents = append([]byte{}, d.ip6.Contents...)
	header.Payload = append([]byte{}, d.ip6.Payload...)
	fragment.Contents = append([]byte{}, d.fragment6.Contents...)
	fragment.Payload = append([]byte{}, d.fragment6.Payload...)
	whole := d.fragments6.DefragIPv6(&header, &fragment)
	if whole == nil {
		return nil, 0, errFragment
	}
	return whole.Payload, whole.NextHeader.LayerType(), nil
}

// maxFragments bounds the fragments that wait for others: after so many all are given up.
const maxFragments = 10_000

func (d *decoder) countFragment() {
	if d.fragments++; d.fragments > maxFragments {
		d.forgetFragments()
	}
}

func (d *decoder) forgetFragments() {
	d.fragments = 0
	d.fragments4, d.fragments6 = ip4defrag.NewIPv4Defragmenter(), ip6defrag.NewIPv6Defragmenter()
}
