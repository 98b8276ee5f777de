package world

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hemostat/sim/fingerprint"
)

// TLSClient is a program's TLS library with what it offers, and what a sensor makes of it.
type TLSClient struct {
	Name  string
	Hello *fingerprint.ClientHello

	version, cipher, curve, nextProtocol string
	ciphers, extensions                  string
	ja3, ja4, ja4Raw                     string
	answers                              [2]serverAnswer // of a public server, of a server of one's own
}

// serverAnswer is a server's hello as a sensor sees it.
type serverAnswer struct{ ja3s, ja4s string }

// The clients. What each offers was recorded from the program itself, or is what makes up
// its published fingerprint (FoxIO's list of known JA4 fingerprints).
var (
	// EdgeTLS is a browser of Chromium's family.
	EdgeTLS = newTLSClient("browser", &fingerprint.ClientHello{
		Ciphers:             hexNumbers("1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"),
		Extensions:          hexNumbers("001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015"),
		SignatureAlgorithms: hexNumbers("0403,0804,0401,0503,0805,0501,0806,0601"), SupportedVersions: hexNumbers("0304,0303"),
		Groups: hexNumbers("001d,0017,0018"), ALPN: []string{"h2", "http/1.1"},
	}, "TLS_AES_128_GCM_SHA256")
	// FirefoxTLS is Mozilla's browser.
	FirefoxTLS = newTLSClient("firefox", &fingerprint.ClientHello{
		Ciphers:             hexNumbers("1301,1303,1302,c02b,c02f,cca9,cca8,c02c,c030,c00a,c009,c013,c014,009c,009d,002f,0035"),
		Extensions:          hexNumbers("0000,0017,ff01,000a,000b,0023,0010,0005,0022,0033,002b,000d,002d,001c,0015"),
		SignatureAlgorithms: hexNumbers("0403,0503,0603,0804,0805,0806,0401,0501,0601,0203,0201"),
		SupportedVersions:   hexNumbers("0304,0303"),
		Groups:              hexNumbers("001d,0017,0018,0019,0100,0101"), ALPN: []string{"h2", "http/1.1"},
	}, "TLS_AES_128_GCM_SHA256")
	// SchannelTLS is Windows' own library as its programs use it (WinINet).
	SchannelTLS = newTLSClient("schannel", schannel(false, true), "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
	// WinHTTPTLS is the same library as services use it.
	WinHTTPTLS = newTLSClient("winhttp", schannel(true, true), "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
	// CobaltStrikeTLS is that library as Cobalt Strike's beacon uses it, which offers no
	// RSA-PSS.
	CobaltStrikeTLS = newTLSClient("cobalt_strike", schannel(false, false), "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
	// GoTLS is the library of Go 1.26.
	GoTLS = newTLSClient("go", &fingerprint.ClientHello{
		Ciphers:             hexNumbers("c02b,c02f,c02c,c030,cca9,cca8,c009,c013,c00a,c014,1301,1302,1303"),
		Extensions:          hexNumbers("0000,000b,ff01,0017,0012,0005,000a,000d,0032,002b,0033"),
		SignatureAlgorithms: hexNumbers("0804,0403,0807,0805,0806,0401,0501,0601,0503,0603"),
		SupportedVersions:   hexNumbers("0304,0303"),
		Groups:              hexNumbers("11ec,11eb,11ed,001d,0017,0018,0019"),
	}, "TLS_CHACHA20_POLY1305_SHA256")
	// SliverTLS is that of Go before 1.22, which Sliver's implants are known by.
	SliverTLS = newTLSClient("sliver", &fingerprint.ClientHello{
		Ciphers:             hexNumbers("c02f,c030,c02b,c02c,cca8,cca9,c013,c009,c014,c00a,009c,009d,002f,0035,c012,000a,1301,1303,1302"),
		Extensions:          hexNumbers("0000,0005,000a,000b,000d,ff01,0012,002b,0033"),
		SignatureAlgorithms: hexNumbers("0804,0403,0807,0805,0806,0401,0501,0601,0503,0603,0201,0203"),
		SupportedVersions:   hexNumbers("0304,0303"),
		Groups:              hexNumbers("001d,0017,0018,0019"),
	}, "TLS_CHACHA20_POLY1305_SHA256")
	// PythonTLS is Python 3.11's urllib over OpenSSL 3.
	PythonTLS = newTLSClient("python", &fingerprint.ClientHello{
		Ciphers:             hexNumbers("1302,1303,1301,c02c,c030,c02b,c02f,cca9,cca8,c024,c028,c023,c027,009f,009e,006b,0067,00ff"),
		Extensions:          hexNumbers("0000,000b,000a,0023,0016,0017,000d,002b,002d,0033,0015"),
		SignatureAlgorithms: openSSLSignatures, SupportedVersions: hexNumbers("0304,0303"), Groups: openSSLGroups,
		PointFormats: []uint8{0, 1, 2},
	}, "TLS_AES_256_GCM_SHA384")
	// CurlTLS is curl 7.88 over OpenSSL 3.
	CurlTLS = newTLSClient("curl", &fingerprint.ClientHello{
		Ciphers: hexNumbers("1302,1303,1301,c02c,c030,009f,cca9,cca8,ccaa,c02b,c02f,009e,c024,c028,006b,c023,c027,0067,c00a,c014,0039,c009,c013," +
			"0033,009d,009c,003d,003c,0035,002f,00ff"),
		Extensions:          hexNumbers("0000,000b,000a,0010,0016,0017,0031,000d,002b,002d,0033,0015"),
		SignatureAlgorithms: openSSLSignatures, SupportedVersions: hexNumbers("0304,0303,0302,0301"), Groups: openSSLGroups,
		PointFormats: []uint8{0, 1, 2}, ALPN: []string{"h2", "http/1.1"},
	}, "TLS_AES_256_GCM_SHA384")
	// JavaTLS is Java 17's HttpsURLConnection.
	JavaTLS = newTLSClient("java", &fingerprint.ClientHello{
		Ciphers: hexNumbers("1302,1301,1303,c02c,c02b,cca9,c030,cca8,c02f,009f,ccaa,00a3,009e,00a2,c024,c028,c023,c027,006b,006a,0067,0040,c00a," +
			"c014,c009,c013,0039,0038,0033,0032,009d,009c,003d,003c,0035,002f,00ff"),
		Extensions:          hexNumbers("0000,0005,000a,000b,0011,0017,0023,000d,002b,002d,0032,0033"),
		SignatureAlgorithms: hexNumbers("0403,0503,0603,0807,0808,0804,0805,0806,0809,080a,080b,0401,0501,0601,0402,0303,0301,0302,0203,0201,0202"),
		SupportedVersions:   hexNumbers("0304,0303"), Groups: hexNumbers("001d,0017,0018,0019,001e,0100,0101,0102,0103,0104"),
	}, "TLS_AES_256_GCM_SHA384")
)

var (
	openSSLSignatures = hexNumbers("0403,0503,0603,0807,0808,0809,080a,080b,0804,0805,0806,0401,0501,0601,0303,0301,0302,0402,0502,0602")
	openSSLGroups     = hexNumbers("001d,0017,001e,0019,0018,0100,0101,0102,0103,0104")
)

// tlsClients are all clients.
func tlsClients() []*TLSClient {
	return []*TLSClient{
		EdgeTLS, FirefoxTLS, SchannelTLS, WinHTTPTLS, CobaltStrikeTLS, GoTLS, SliverTLS, PythonTLS, CurlTLS, JavaTLS,
	}
}

// TLSClientByName finds a client; nil for none.
func TLSClientByName(name string) *TLSClient {
	all := tlsClients()
	if at := slices.IndexFunc(all, func(c *TLSClient) bool { return c.Name == name }); at >= 0 {
		return all[at]
	}
	return nil
}

// schannel is the hello of Windows 10's library; services offer DHE beside the others.
func schannel(services, pss bool) *fingerprint.ClientHello {
	h := &fingerprint.ClientHello{
		Ciphers:             hexNumbers("c02c,c02b,c030,c02f,c024,c023,c028,c027,c00a,c009,c014,c013,009d,009c,003d,003c,0035,002f,000a"),
		Extensions:          hexNumbers("0000,0005,000a,000b,000d,0023,0017,ff01"),
		SignatureAlgorithms: hexNumbers("0401,0501,0201,0403,0503,0203,0202,0601,0603"), Groups: hexNumbers("001d,0017,0018"),
	}
	if services {
		h.Ciphers = slices.Insert(h.Ciphers, 4, hexNumbers("009f,009e")...)
	}
	if pss {
		h.SignatureAlgorithms = append(hexNumbers("0804,0805,0806"), h.SignatureAlgorithms...)
	}
	return h
}

// hexNumbers reads hexadecimal numbers with commas between them.
func hexNumbers(text string) []uint16 {
	var out []uint16
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(part, 16, 16)
		if err != nil {
			panic("world: the hello of a client has the number " + part)
		}
		out = append(out, uint16(n))
	}
	return out
}

func hexText(list []uint16) string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprintf("%04x", v))
	}
	return strings.Join(out, ",")
}

func newTLSClient(name string, h *fingerprint.ClientHello, cipher string) *TLSClient {
	h.Transport, h.Version = fingerprint.TCP, 0x0303
	if h.PointFormats == nil {
		h.PointFormats = []uint8{0}
	}
	c := &TLSClient{
		Name: name, Hello: h, cipher: cipher, curve: "x25519", ciphers: hexText(h.Ciphers), extensions: hexText(h.Extensions),
		ja3: h.JA3(), ja4: h.JA4(), ja4Raw: h.JA4OriginalRaw(),
	}
	selected := uint16(0x0303)
	if len(h.SupportedVersions) > 0 {
		selected = slices.Max(h.SupportedVersions)
	}
	c.version = fingerprint.VersionName(selected)
	if len(h.ALPN) > 0 {
		c.nextProtocol = h.ALPN[0]
	}
	for i := range c.answers {
		c.answers[i] = answerTo(selected, c.nextProtocol, i == 1)
	}
	return c
}

// answerTo is the hello of a server: those of large sites and those that somebody runs with
// a library's defaults list their extensions in another order.
func answerTo(version uint16, protocol string, own bool) serverAnswer {
	s := fingerprint.ServerHello{Transport: fingerprint.TCP, Version: 0x0303, Cipher: 0xc030, ALPN: protocol}
	switch {
	case version == 0x0304:
		s.Selected, s.Cipher, s.Extensions, s.ALPN = version, 0x1301, []uint16{0x0033, 0x002b}, ""
		if own {
			s.Extensions = []uint16{0x002b, 0x0033}
		}
	case own:
		s.Extensions = []uint16{0x0017, 0xff01, 0x000b}
	default:
		s.Extensions = []uint16{0xff01, 0x000b, 0x0023, 0x0017}
	}
	if s.ALPN != "" {
		s.Extensions = append(s.Extensions, fingerprint.ExtensionALPN)
	}
	return serverAnswer{s.JA3S(), s.JA4S()}
}
