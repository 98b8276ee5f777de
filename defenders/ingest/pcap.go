package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"hemostat/defenders/ingest/capture"
	"hemostat/sim/event"
	"hemostat/sim/fingerprint"
)

// readPCAP makes events of a capture in the form of Zeek's logs conn, ssl, x509, dns and
// http, with the fields that Zeek's packages for JA3 and JA4 add. A log of connections
// stands where the connection ended, and bears the time of its beginning, as Zeek's does.
func readPCAP(ctx context.Context, name string, in *bufio.Reader, out *output) error {
	p := packets{out: out}
	summary, err := capture.Read(ctx, in, capture.DefaultLimits(), capture.Handler{
		TLS: p.tls, Closed: p.closed, DNS: p.dns,
	})
	for why, n := range summary.Skipped {
		if why == capture.NoIP || why == capture.WaitingFragment {
			out.note("packets: "+why, n)
		} else {
			out.skip("packets: "+why, n)
		}
	}
	for what, n := range map[string]int{
		"malformed handshake messages":                        summary.Malformed,
		"connections that were ended early for want of room":  summary.Evicted,
		"packets with a time before that of the packet ahead": summary.Late,
	} {
		if n > 0 {
			out.note(what, n)
		}
	}
	if err == nil || out.err != nil || ctx.Err() != nil {
		return firstOfErrors(out.err, ctx.Err())
	}
	out.skip("the capture ends early: "+err.Error(), 1)
	return &badLogError{Name: name, Reason: "it ends early: " + err.Error()}
}

// ReadCaptures reads captures without making events of them. Names are as for Read; what
// is no capture is a fault where it was named itself, and passed over elsewhere.
func ReadCaptures(ctx context.Context, names []string, h capture.Handler) (total capture.Summary,
	passedOver []string, err error) {
	var f found
	defer f.close()
	for _, name := range names {
		f.find(ctx, name)
	}
	faults := f.faults
	total.Skipped = map[string]int{}
	for _, in := range f.inputs {
		summary, err := in.readCapture(ctx, h)
		total.Add(summary)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return total, passedOver, ctx.Err()
		case errors.Is(err, errNoCapture) && in.member:
			passedOver = append(passedOver, in.name)
		default:
			faults = append(faults, &badLogError{Name: in.name, Reason: err.Error()})
		}
	}
	return total, append(f.passedOver, passedOver...), errors.Join(faults...)
}

var errNoCapture = errors.New("it does not begin as a capture of packets does (pcap, pcapng)")

func (in input) readCapture(ctx context.Context, h capture.Handler) (capture.Summary, error) {
	r, err := in.open()
	if err != nil {
		return capture.Summary{}, err
	}
	defer r.Close()
	plain, done, err := plainText(ctx, r)
	if err != nil {
		return capture.Summary{}, err
	}
	defer done()
	if head, _ := plain.Peek(4); !capture.IsCapture(head) {
		return capture.Summary{}, errNoCapture
	}
	return capture.Read(ctx, plain, capture.DefaultLimits(), h)
}

func firstOfErrors(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// packets turns what a capture holds into events.
type packets struct {
	out   *output
	arena event.Arena
}

// begin makes an event with what all logs of Zeek begin with.
func (p *packets) begin(log string, at time.Duration, c *capture.Connection, from, to netip.AddrPort) *event.Event {
	e := p.arena.NewWide(32, 8)
	e.Time, e.Observed = at, at
	e.Source = event.LogSource{Product: "zeek", Service: log}
	e.Host = from.Addr().String()
	e.Set(event.UID, uidOf(c))
	e.Set(event.ZeekTime, unixText(at))
	e.Set(event.IDOrigHost, e.Host)
	e.Set(event.IDOrigPort, strconv.Itoa(int(from.Port())))
	e.Set(event.IDRespHost, to.Addr().String())
	e.Set(event.IDRespPort, strconv.Itoa(int(to.Port())))
	return e
}

// finish hands an event on.
func (p *packets) finish(e *event.Event) error {
	p.out.event(e)
	p.out.count("")
	return p.out.err
}

// uidOf identifies a connection within all logs of a capture, in the form of Zeek's.
func uidOf(c *capture.Connection) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	h := fnv.New128a()
	fmt.Fprint(h, c.Ends[0], c.Ends[1], c.UDP, int64(c.Start))
	sum := h.Sum(nil)
	id := []byte{'C'}
	for _, half := range []uint64{binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:])} {
		for range 8 {
			id = append(id, digits[half%62])
			half /= 62
		}
	}
	return string(id)
}

func unixText(at time.Duration) string {
	return fmt.Sprintf("%d.%06d", at/time.Second, at%time.Second/time.Microsecond)
}

func secondsText(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 6, 64)
}

// closed makes a log of a connection.
func (p *packets) closed(c *capture.Connection) error {
	e := p.begin("conn", c.Start, c, c.Ends[0], c.Ends[1])
	proto := "tcp"
	if c.UDP {
		proto = "udp"
	}
	e.Set(event.ConnProto, proto)
	if service := serviceOf(c); service != "" {
		e.Set(event.ConnService, service)
	}
	e.Set(event.ConnDuration, secondsText(c.Last-c.Start))
	e.Set(event.OrigBytes, strconv.FormatUint(c.Bytes[0], 10))
	e.Set(event.RespBytes, strconv.FormatUint(c.Bytes[1], 10))
	e.Set(event.ConnState, c.State())
	e.Set(event.OrigPkts, strconv.FormatUint(c.Packets[0], 10))
	e.Set(event.RespPkts, strconv.FormatUint(c.Packets[1], 10))
	e.Set(event.OrigIPBytes, strconv.FormatUint(c.WireBytes[0], 10))
	e.Set(event.RespIPBytes, strconv.FormatUint(c.WireBytes[1], 10))
	if len(c.Shape) > 0 {
		sizes, gaps := shapeText(c.Shape)
		e.SetName("packet_sizes", sizes)
		e.SetName("packet_gaps", gaps)
	}
	if err := p.finish(e); err != nil {
		return err
	}
	return p.http(c)
}

// shapeText writes the sizes of a connection's first packets in bytes, negative from the
// responder, and the times between them in microseconds.
func shapeText(shape []capture.Packet) (sizes, gaps string) {
	var s, g []byte
	for i, packet := range shape {
		if i > 0 {
			s, g = append(s, ','), append(g, ',')
			g = strconv.AppendInt(g, int64((packet.At-shape[i-1].At)/time.Microsecond), 10)
		} else {
			g = append(g, '0')
		}
		s = strconv.AppendInt(s, int64(packet.Size), 10)
	}
	return string(s), string(g)
}

func serviceOf(c *capture.Connection) string {
	switch {
	case c.ClientHello != nil && c.ClientHello.Transport == fingerprint.QUIC:
		return "quic,ssl"
	case c.ClientHello != nil && c.UDP:
		return "dtls"
	case c.ClientHello != nil:
		return "ssl"
	case c.Request != nil:
		return "http"
	case c.UDP && (c.Ends[1].Port() == 53 || c.Ends[1].Port() == 5353):
		return "dns"
	}
	return ""
}

// tls makes logs of a handshake and of the server's certificate.
func (p *packets) tls(c *capture.Connection) error {
	h := c.ClientHello
	e := p.begin("ssl", c.HelloAt, c, c.Client(), c.Server())
	e.SetName("server_name", h.ServerName)
	e.SetName("client_ciphers", strings.Join(hexList(h.Ciphers), ","))
	e.SetName("client_extensions", strings.Join(hexList(h.Extensions), ","))
	e.Set(event.JA3, h.JA3())
	e.Set(event.JA4, h.JA4())
	e.Set(event.JA4OriginalRaw, h.JA4OriginalRaw())
	e.SetName("established", strconv.FormatBool(c.ServerHello != nil))
	if s := c.ServerHello; s != nil {
		e.SetName("version", fingerprint.VersionName(s.UsedVersion()))
		e.SetName("cipher", tls.CipherSuiteName(s.Cipher))
		e.Set(event.JA3S, s.JA3S())
		e.Set(event.JA4S, s.JA4S())
		e.SetName("next_protocol", s.ALPN)
	}
	chain := p.chain(c)
	if len(chain) > 0 {
		leaf := chain[0]
		e.SetName("subject", leaf.Subject.String())
		e.SetName("issuer", leaf.Issuer.String())
		if isSelfSigned(leaf) {
			e.SetName("validation_status", "self signed certificate")
		}
		e.SetList("cert_chain_fuids", fileIDs(c))
	}
	if err := p.finish(e); err != nil {
		return err
	}
	for i, x := range chain {
		if err := p.finish(p.certificate(c, i, x)); err != nil {
			return err
		}
	}
	return nil
}

func hexList(list []uint16) []string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprintf("%04x", v))
	}
	return out
}

// chain parses the certificates; what is none is counted.
func (p *packets) chain(c *capture.Connection) []*x509.Certificate {
	var out []*x509.Certificate
	for _, der := range c.Certificates {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			if x, err = parseLoosely(der); err != nil {
				p.out.note("certificates that cannot be read", 1)
				continue
			}
		}
		out = append(out, x)
	}
	return out
}

// parseLoosely reads who a certificate is for, by whom, and for how long, where its key or
// an extension is of a kind that the library refuses, as forged certificates have it.
func parseLoosely(der []byte) (*x509.Certificate, error) {
	var outer struct {
		Signed struct {
			Raw       asn1.RawContent
			Version   int `asn1:"optional,explicit,default:0,tag:0"`
			Serial    *big.Int
			Algorithm pkix.AlgorithmIdentifier
			Issuer    asn1.RawValue
			Validity  struct{ NotBefore, NotAfter time.Time }
			Subject   asn1.RawValue
			Key       asn1.RawValue
		}
		Rest []asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		var syntax asn1.StructuralError
		if !errors.As(err, &syntax) || outer.Signed.Serial == nil || len(outer.Signed.Subject.FullBytes) == 0 {
			return nil, err
		}
	}
	s := &outer.Signed
	x := &x509.Certificate{
		Raw: der, Version: s.Version + 1, SerialNumber: s.Serial, NotBefore: s.Validity.NotBefore,
		NotAfter:  s.Validity.NotAfter,
		RawIssuer: s.Issuer.FullBytes, RawSubject: s.Subject.FullBytes,
	}
	for _, name := range []struct {
		raw []byte
		to  *pkix.Name
	}{{x.RawIssuer, &x.Issuer}, {x.RawSubject, &x.Subject}} {
		var sequence pkix.RDNSequence
		if _, err := asn1.Unmarshal(name.raw, &sequence); err != nil {
			return nil, err
		}
		name.to.FillFromRDNSequence(&sequence)
	}
	return x, nil
}

func isSelfSigned(x *x509.Certificate) bool {
	return bytes.Equal(x.RawSubject, x.RawIssuer) && x.CheckSignature(x.SignatureAlgorithm, x.RawTBSCertificate,
		x.Signature) == nil
}

func fileIDs(c *capture.Connection) []string {
	var out []string
	for i := range c.Certificates {
		out = append(out, fileID(c, i))
	}
	return out
}

func fileID(c *capture.Connection, i int) string { return "F" + uidOf(c)[1:] + strconv.Itoa(i) }

// certificate makes a log of a certificate (Zeek's x509.log).
func (p *packets) certificate(c *capture.Connection, i int, x *x509.Certificate) *event.Event {
	e := p.arena.NewWide(24, 16)
	e.Time, e.Observed = c.HelloAt, c.HelloAt
	e.Source = event.LogSource{Product: "zeek", Service: "x509"}
	e.Host = c.Client().Addr().String()
	e.Set(event.ZeekTime, unixText(c.HelloAt))
	sum := sha256.Sum256(x.Raw)
	kind, length := keyOf(x)
	for _, field := range [][2]string{
		{"id", fileID(c, i)},
		{"fingerprint", hex.EncodeToString(sum[:])},
		{"certificate.version", strconv.Itoa(x.Version)},
		{"certificate.serial", fmt.Sprintf("%X", x.SerialNumber)},
		{"certificate.subject", x.Subject.String()},
		{"certificate.issuer", x.Issuer.String()},
		{"certificate.not_valid_before", unixText(event.Since(x.NotBefore))},
		{"certificate.not_valid_after", unixText(event.Since(x.NotAfter))},
		{"certificate.sig_alg", x.SignatureAlgorithm.String()},
		{"certificate.key_alg", x.PublicKeyAlgorithm.String()},
		{"certificate.key_type", kind},
		{"certificate.key_length", length},
		{"host_cert", strconv.FormatBool(i == 0)},
		{"client_cert", "false"},
		{"basic_constraints.ca", strconv.FormatBool(x.IsCA)},
	} {
		e.SetName(field[0], field[1])
	}
	if len(x.DNSNames) > 0 {
		e.SetList("san.dns", x.DNSNames)
	}
	return e
}

func keyOf(x *x509.Certificate) (kind, length string) {
	switch k := x.PublicKey.(type) {
	case *rsa.PublicKey:
		return "rsa", strconv.Itoa(k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ecdsa", strconv.Itoa(k.Params().BitSize)
	}
	return strings.ToLower(x.PublicKeyAlgorithm.String()), ""
}

// dns makes a log of a question.
func (p *packets) dns(q *capture.Question) error {
	c := q.Connection
	e := p.begin("dns", q.At, c, c.Ends[0], c.Ends[1])
	e.Source.Category = "dns"
	set := func(name, value string) { e.SetName(name, value) }
	set("proto", "udp")
	set("trans_id", strconv.Itoa(int(q.ID)))
	set("query", q.Name)
	set("qclass", strconv.Itoa(int(q.Class)))
	set("qtype", strconv.Itoa(int(q.TypeNumber)))
	set("qtype_name", q.Type)
	set("RD", strconv.FormatBool(q.RecursionDesired))
	if q.Code >= 0 {
		set("rtt", secondsText(q.Answered-q.At))
		set("rcode", strconv.Itoa(q.Code))
		set("rcode_name", codeName(q.Code))
		set("AA", strconv.FormatBool(q.Authoritative))
		set("TC", strconv.FormatBool(q.Truncated))
		set("RA", strconv.FormatBool(q.RecursionAvailable))
		set("rejected", strconv.FormatBool(q.Code == 5))
	}
	if len(q.Answers) > 0 {
		e.SetList("answers", q.Answers)
		var lives []string
		for _, ttl := range q.TTLs {
			lives = append(lives, secondsText(ttl))
		}
		e.SetList("TTLs", lives)
	}
	return p.finish(e)
}

// codeName is a response code as Zeek writes it (RFC 1035, section 4.1.1).
func codeName(code int) string {
	names := []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
	if code < len(names) {
		return names[code]
	}
	return "unknown-" + strconv.Itoa(code)
}

// http makes a log of the first request of a connection in clear text.
func (p *packets) http(c *capture.Connection) error {
	q := c.Request
	if q == nil {
		return nil
	}
	e := p.begin("http", c.Start, c, c.Ends[0], c.Ends[1])
	for _, field := range [][2]string{
		{"trans_depth", "1"}, {"method", q.Method}, {"host", q.Host}, {"uri", q.URI}, {"referrer", q.Referrer},
		{"version", q.Version}, {"user_agent", q.UserAgent},
	} {
		if field[1] != "" {
			e.SetName(field[0], field[1])
		}
	}
	if q.Status > 0 {
		e.SetName("status_code", strconv.Itoa(q.Status))
		e.SetName("status_msg", q.StatusText)
	}
	if q.RequestLength >= 0 {
		e.SetName("request_body_len", strconv.FormatInt(q.RequestLength, 10))
	}
	if q.ResponseLength >= 0 {
		e.SetName("response_body_len", strconv.FormatInt(q.ResponseLength, 10))
	}
	if q.ContentType != "" {
		kind, _, _ := strings.Cut(q.ContentType, ";")
		e.SetList("resp_mime_types", []string{strings.TrimSpace(kind)})
	}
	return p.finish(e)
}
