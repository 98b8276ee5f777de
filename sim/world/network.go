package world

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"hemostat/sim/event"
)

// Flow is one connection and what went over it.
type Flow struct {
	From, To  Endpoint
	Port      int
	UDP       bool
	Service   string // as Zeek names it: ssl, http, smb, dns, ssh, …
	Process   *Process
	Sent      uint64 // bytes from the originator
	Received  uint64
	Duration  time.Duration
	State     string // Zeek connection state, SF when empty
	NoProcess bool   // a router's or appliance's flow: no endpoint event
}

// Flow records a connection that went through, or that was tried: Zeek's conn
// log, and Sysmon 3 at the originator. Reachability is the caller's business.
func (w *World) Flow(now time.Duration, a *Actor, f Flow) {
	proto := "tcp"
	if f.UDP {
		proto = "udp"
	}
	if e := w.begin(now, &event.ZeekConn, watcher(f.From, f.To), a, 22); e != nil {
		w.flow(e, now, a, f.From, f.To, f.Port, proto)
		e.Set(event.ConnService, f.Service)
		e.Set(event.ConnDuration, w.seconds(f.Duration))
		e.Set(event.OrigBytes, w.arena.Uint(f.Sent))
		e.Set(event.RespBytes, w.arena.Uint(f.Received))
		state := stateOr(f.State)
		e.Set(event.ConnState, state)
		e.Set(event.ConnHistory, historyOf(state, f.UDP))
		sent, received := 1+f.Sent/1400, 1+f.Received/1400
		e.Set(event.OrigPkts, w.arena.Uint(sent))
		e.Set(event.RespPkts, w.arena.Uint(received))
		e.Set(event.LocalOrig, boolText(f.From.Host != nil))
		e.Set(event.LocalResp, boolText(f.To.Host != nil))
		e.Set(event.MissedBytes, "0")
		e.Set(event.OrigIPBytes, w.arena.Uint(f.Sent+ipHeader*sent))
		e.Set(event.RespIPBytes, w.arena.Uint(f.Received+ipHeader*received))
		w.finish(e, a)
	}
	if f.Process == nil || f.From.Host == nil || !f.From.Host.Windows() {
		return
	}
	if e := w.begin(now, &event.SysmonNetwork, f.From.Host, a, 19); e != nil {
		w.by(e, now, f.Process)
		e.Set(event.Protocol, proto)
		e.Set(event.Initiated, "true")
		e.Set(event.SourceIp, f.From.IP())
		e.Set(event.SourceHostname, f.From.Host.FQDN)
		e.Set(event.SourcePort, w.port(a, f.From.Host))
		e.Set(event.SourceIsIpv6, "false")
		e.Set(event.DestinationIp, f.To.IP())
		e.Set(event.DestinationHostname, destinationName(f.To))
		e.Set(event.DestinationPort, w.arena.Uint(uint64(f.Port)))
		e.Set(event.DestinationPortName, f.Service)
		e.Set(event.DestinationIsIpv6, "false")
		w.finish(e, a)
	}
	w.filtered(now, a, f)
}

// ipHeader is the size of the headers of IP and TCP in a packet.
const ipHeader = 40

// historyOf is Zeek's history of a connection's packets in its state.
func historyOf(state string, udp bool) string {
	switch {
	case state == "S0" && !udp:
		return "S"
	case state == "REJ":
		return "Sr"
	case state == "S0":
		return "D"
	case udp:
		return "Dd"
	}
	return "ShADadFf"
}

// filtered is a connection as the filtering platform of Windows audits it: a port bound
// (5158) and the connection permitted (5156) at the originator, and at the other end.
func (w *World) filtered(now time.Duration, a *Actor, f Flow) {
	if !w.unwatched(f.From.Host, event.ChannelNetworkAudit, a, 2) {
		protocol := "6"
		if f.UDP {
			protocol = "17"
		}
		port := w.port(a, f.From.Host)
		w.Log(now, a, f.Process, "Security 5158", "SourcePort", port, "Protocol", protocol)
		w.Log(now, a, f.Process, "Security 5156", "SourcePort", port, "DestAddress", f.To.IP(), "DestPort",
			w.arena.Uint(uint64(f.Port)), "Protocol", protocol)
	}
	if f.To.Host == nil || !f.To.Host.Windows() || w.unwatched(f.To.Host, event.ChannelNetworkAudit, a, 1) {
		return
	}
	w.Log(now, a, f.To.Host.System(Lsass, Lsass.Path), "Security 5156", "Direction", "%%14592", "SourcePort",
		w.arena.Uint(uint64(f.Port)),
		"DestAddress", f.From.IP(), "DestPort", w.port(a, f.From.Host), "LayerName", "%%14610", "LayerRTID", "44")
}

func destinationName(e Endpoint) string {
	switch {
	case e.Host != nil:
		return e.Host.FQDN
	case e.Domain != "":
		return e.Domain
	}
	return "-"
}

func stateOr(s string) string {
	if s == "" {
		return "SF"
	}
	return s
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func (w *World) seconds(d time.Duration) string {
	return w.arena.Join(w.arena.Uint(uint64(d/time.Second)), ".", w.arena.Text(6, func(b []byte) []byte {
		us := d % time.Second / time.Microsecond
		for div := time.Duration(100000); div > 0; div /= 10 {
			b = append(b, byte('0'+us/div%10))
		}
		return b
	}))
}

// watcher is the host by whose network sensor a connection is seen.
func watcher(from, to Endpoint) *Host {
	if from.Host != nil {
		return from.Host
	}
	return to.Host
}

// flow fills in the connection's identity as Zeek's logs write it.
func (w *World) flow(e *event.Event, now time.Duration, a *Actor, from, to Endpoint, port int, proto string) {
	u := unique(a, watcher(from, to), 3)
	e.Set(event.UID, w.arena.Text(18, func(b []byte) []byte { return appendBase62(append(b, 'C'), u) }))
	e.Set(event.ZeekTime, w.unix(now))
	e.Set(event.IDOrigHost, from.IP())
	e.Set(event.IDOrigPort, w.port(a, watcher(from, to)))
	e.Set(event.IDRespHost, to.IP())
	e.Set(event.IDRespPort, w.arena.Uint(uint64(port)))
	if proto != "" {
		e.Set(event.ConnProto, proto)
	}
}

// uidDigits is the length of an identifier of Zeek without its first letter.
const uidDigits = 17

func appendBase62(b []byte, v uint64) []byte {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for range uidDigits {
		b = append(b, digits[v%62])
		v = v/62 ^ v<<40
	}
	return b
}

// Resolve is a DNS question from a host: Zeek's dns log, and Sysmon 22 when a
// process is given. An empty answer is NXDOMAIN.
func (w *World) Resolve(now time.Duration, a *Actor, h *Host, p *Process, name, qtype, answer string) {
	dc := w.DomainController(h)
	if dc == nil {
		dc = h
	}
	rcode := "NOERROR"
	if answer == "" {
		rcode = "NXDOMAIN"
	}
	if e := w.begin(now, &event.ZeekDNS, h, a, 22); e != nil {
		w.flow(e, now, a, At(h), At(dc), 53, "udp")
		e.Set(event.DNSQuery, name)
		e.Set(event.QtypeName, qtype)
		e.Set(event.RcodeName, rcode)
		if answer != "" {
			e.Set(event.DNSAnswers, answer)
			e.Set(event.TTLs, "300.000000")
		}
		e.Set(event.Rejected, "false")
		u := unique(a, h, 53)
		e.Set(event.TransID, w.arena.Uint(u%65536))
		e.Set(event.AA, boolText(strings.HasSuffix(name, w.Domain)))
		e.Set(event.RA, "true")
		e.Set(event.DNSRtt, w.seconds(time.Duration(300+u>>16%40_000)*time.Microsecond))
		e.Set(event.DNSTC, "false")
		e.Set(event.DNSRD, "true")
		e.Set(event.DNSZ, "0")
		e.Set(event.Qclass, "1")
		e.Set(event.QclassName, "C_INTERNET")
		e.Set(event.Qtype, queryType(qtype))
		e.Set(event.Rcode, queryCode(rcode))
		w.finish(e, a)
	}
	if p == nil || !h.Windows() {
		return
	}
	if e := w.begin(now, &event.SysmonDNS, h, a, 9); e != nil {
		w.by(e, now, p)
		e.Set(event.QueryName, name)
		status := "0"
		if answer == "" {
			status = "9003"
		}
		e.Set(event.QueryStatus, status)
		results := "-"
		if answer != "" {
			results = w.arena.Join("::ffff:", answer, ";")
		}
		e.Set(event.QueryResults, results)
		w.finish(e, a)
	}
}

// queryType is the number of a type of DNS record (RFC 1035 and its successors).
func queryType(name string) string {
	switch name {
	case "NS":
		return "2"
	case "CNAME":
		return "5"
	case "PTR":
		return "12"
	case "MX":
		return "15"
	case "TXT":
		return "16"
	case "AAAA":
		return "28"
	case "SRV":
		return "33"
	case "NULL":
		return "10"
	case "ANY":
		return "255"
	}
	return "1"
}

// queryCode is the number of a DNS response code (RFC 1035).
func queryCode(name string) string {
	switch name {
	case "NXDOMAIN":
		return "3"
	case "SERVFAIL":
		return "2"
	case "REFUSED":
		return "5"
	}
	return "0"
}

// TLS records a TLS connection's handshake (Zeek ssl). Issuer and subject are
// empty for TLS 1.3, which hides them.
func (w *World) TLS(
	now time.Duration,
	a *Actor,
	from, to Endpoint,
	port int,
	server string,
	client *TLSClient,
	issuer, subject string,
	valid bool,
) {
	e := w.begin(now, &event.ZeekSSL, watcher(from, to), a, 29)
	if e == nil {
		return
	}
	w.flow(e, now, a, from, to, port, "")
	e.Set(event.TLSVersion, client.version)
	e.Set(event.Cipher, client.cipher)
	e.Set(event.Curve, client.curve)
	e.Set(event.ServerName, server)
	e.Set(event.Resumed, "false")
	e.Set(event.Established, "true")
	if client.version != "TLSv13" {
		e.Set(event.Subject, subject)
		e.Set(event.Issuer, issuer)
		status := "ok"
		if !valid {
			status = "self signed certificate"
		}
		e.Set(event.ValidationStatus, status)
		u := unique(a, watcher(from, to), 11)
		e.Set(event.CertChainFuids, w.arena.Text(18, func(b []byte) []byte { return appendBase62(append(b, 'F'), u) }))
		e.Set(event.ClientCertChainFuids, "")
		e.Set(event.SSLHistory, "CsxknGIi")
	}
	e.Set(event.NextProtocol, client.nextProtocol)
	e.Set(event.ClientCiphers, client.ciphers)
	e.Set(event.ClientExtensions, client.extensions)
	e.Set(event.JA3, client.ja3)
	answer := &client.answers[0]
	if !valid {
		answer = &client.answers[1]
	}
	e.Set(event.JA3S, answer.ja3s)
	e.Set(event.JA4, client.ja4)
	e.Set(event.JA4S, answer.ja4s)
	e.Set(event.JA4OriginalRaw, client.ja4Raw)
	w.finish(e, a)
}

// Request is one HTTP request.
type Request struct {
	From      Endpoint
	To        Endpoint
	Port      int
	Method    string
	Host, URI string
	Query     string
	Agent     string
	Referrer  string
	Status    string
	Sent      uint64
	Received  uint64
	MIME      string
	User      string
}

// HTTP records a clear-text request (Zeek http) and, when a host of the estate
// serves it, the web server's access log.
func (w *World) HTTP(now time.Duration, a *Actor, r Request) {
	if e := w.begin(now, &event.ZeekHTTP, watcher(r.From, r.To), a, 22); e != nil {
		w.flow(e, now, a, r.From, r.To, r.Port, "")
		e.Set(event.HTTPMethod, r.Method)
		e.Set(event.HTTPHost, r.Host)
		e.Set(event.URI, w.withQuery(r.URI, r.Query))
		e.Set(event.Referrer, r.Referrer)
		e.Set(event.UserAgent, r.Agent)
		e.Set(event.HTTPStatus, r.Status)
		e.Set(event.StatusMsg, statusText(r.Status))
		e.Set(event.TransDepth, "1")
		e.Set(event.TLSVersion, "1.1")
		e.Set(event.RespMimeTypes, r.MIME)
		e.Set(event.RequestBodyLen, w.arena.Uint(r.Sent))
		e.Set(event.ResponseBodyLen, w.arena.Uint(r.Received))
		w.finish(e, a)
	}
	w.WebAccess(now, a, r)
}

func statusText(status string) string {
	code, _ := strconv.Atoi(status)
	return http.StatusText(code)
}

// WebAccess records a request in the access log of the serving host only; Zeek
// cannot read it when it came over TLS.
func (w *World) WebAccess(now time.Duration, a *Actor, r Request) {
	if r.To.Host == nil {
		return
	}
	if e := w.begin(now, &event.WebServer, r.To.Host, a, 12); e != nil {
		e.Set(event.ClientIP, r.From.IP())
		e.Set(event.ClientServerMethod, r.Method)
		e.Set(event.ClientServerHost, r.Host)
		e.Set(event.ServerClientBytes, w.arena.Uint(r.Received))
		e.Set(event.ServerClientStatus, r.Status)
		e.Set(event.ClientServerURIQuery, r.Query)
		e.Set(event.ClientServerURIStem, r.URI)
		e.Set(event.ClientServerUserAgent, r.Agent)
		e.Set(event.ClientServerReferer, r.Referrer)
		w.finish(e, a)
	}
}

// ProxyRequest records a request through the web proxy, which sees the whole
// address in clear text and only the name in CONNECT.
func (w *World) ProxyRequest(now time.Duration, a *Actor, r Request) {
	if r.From.Host == nil {
		return
	}
	e := w.begin(now, &event.Proxy, r.From.Host, a, 14)
	if e == nil {
		return
	}
	e.Set(event.ClientIP, r.From.IP())
	e.Set(event.ClientURI, w.withQuery(r.URI, r.Query))
	e.Set(event.ClientUseragent, r.Agent)
	e.Set(event.ClientServerMethod, r.Method)
	e.Set(event.ClientServerHost, r.Host)
	e.Set(event.ClientServerBytes, w.arena.Uint(r.Sent))
	e.Set(event.ServerClientBytes, w.arena.Uint(r.Received))
	e.Set(event.ServerClientStatus, r.Status)
	e.Set(event.ClientServerReferer, r.Referrer)
	e.Set(event.ClientServerUsername, r.User)
	e.Set(event.RemoteDNS, r.Host)
	e.Set(event.DstIP, r.To.IP())
	e.Set(event.SrcIP, r.From.IP())
	if dot := strings.LastIndexByte(r.URI, '.'); dot >= 0 && dot > strings.LastIndexByte(r.URI, '/') {
		e.Set(event.ClientURIExtension, r.URI[dot+1:])
	}
	e.Set(event.ClientURIQuery, r.Query)
	w.finish(e, a)
}

func (w *World) withQuery(uri, query string) string {
	if query == "" {
		return uri
	}
	return w.arena.Join(uri, "?", query)
}

// TransferFile records a file seen in a flow (Zeek files).
func (w *World) TransferFile(now time.Duration, a *Actor, from, to Endpoint, source, mime, name string, bytes uint64) {
	e := w.begin(now, &event.ZeekFiles, watcher(from, to), a, 20)
	if e == nil {
		return
	}
	u := unique(a, watcher(from, to), 5)
	e.Set(event.ZeekTime, w.unix(now))
	e.Set(event.Fuid, w.arena.Text(18, func(b []byte) []byte { return appendBase62(append(b, 'F'), u) }))
	e.Set(event.FileSource, source)
	e.Set(event.MimeType, mime)
	e.Set(event.HTTPFilename, name)
	e.Set(event.SeenBytes, w.arena.Uint(bytes))
	e.Set(event.TotalBytes, w.arena.Uint(bytes))
	e.Set(event.IsOrig, "true")
	e.Set(event.TxHosts, from.IP())
	e.Set(event.RxHosts, to.IP())
	e.Set(event.FileDepth, "0")
	e.Set(event.FileAnalyzers, "MD5,SHA1")
	e.Set(event.ConnDuration, "0.000000")
	e.Set(event.MissingBytes, "0")
	e.Set(event.OverflowBytes, "0")
	e.Set(event.TimedOut, "false")
	e.Set(event.MD5, w.arena.Text(32, func(b []byte) []byte { return appendHex(appendHex(b, u, 16), u*31, 16) }))
	e.Set(event.SHA1, w.arena.Text(40, func(b []byte) []byte {
		return appendHex(appendHex(appendHex(b, u*7, 16), u*11, 16),
			u, 8)
	}))
	e.Set(event.ConnUIDs, w.arena.Text(18, func(b []byte) []byte { return appendBase62(append(b, 'C'), u*13) }))
	w.finish(e, a)
}

// TouchDecoy is somebody using a decoy or honeypot on a host: nobody has honest
// business there. The log type is OpenCanary's (4002 SSH login, 5000 SMB file
// open, 2000 FTP login).
func (w *World) TouchDecoy(now time.Duration, a *Actor, from Endpoint, decoy *Host, logType string) {
	e := w.begin(now, &event.Decoy, decoy, a, 6)
	if e == nil {
		return
	}
	e.SetName("src_host", from.IP())
	e.SetName("dst_host", decoy.IP)
	e.SetName("logtype", logType)
	e.SetName("node_id", decoy.Name)
	w.finish(e, a)
}
