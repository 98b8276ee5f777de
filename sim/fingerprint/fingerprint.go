// Package fingerprint is what a TLS client and a TLS server say of themselves before
// anything is encrypted, and the fingerprints that are made of it: JA3 and JA3S (the
// published method of 2017), JA4 and JA4S (FoxIO's technical details, JA4.md and JA4S.md).
// JA4 is under the BSD licence with three clauses; JA4S is part of JA4+ and under the
// FoxIO licence 1.1, which permits research and internal use and asks vendors who sell it
// for a licence of theirs. The other methods of JA4+ are left out for that reason.
//
// It is vocabulary only: the simulated world fills it from profiles of real clients,
// defenders/ingest/capture from recorded packets.
package fingerprint

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// Transport is what carries the handshake, as the first letter of JA4 says it.
type Transport byte

// The transports.
const (
	TCP  Transport = 't'
	QUIC Transport = 'q'
	DTLS Transport = 'd'
)

// Numbers of extensions that fingerprints treat in their own way (IANA, TLS ExtensionType
// Values).
const (
	ExtensionServerName          uint16 = 0
	ExtensionSupportedGroups     uint16 = 10
	ExtensionPointFormats        uint16 = 11
	ExtensionSignatureAlgorithms uint16 = 13
	ExtensionALPN                uint16 = 16
	ExtensionSupportedVersions   uint16 = 43
)

// ClientHello is what a client offers, in the order in which it does (RFC 8446, section
// 4.1.2), with reserved values (GREASE) as they came.
type ClientHello struct {
	Transport           Transport
	Version             uint16 // of the message itself, 0x0303 for TLS 1.2 and later
	Ciphers             []uint16
	Extensions          []uint16
	SupportedVersions   []uint16 // of that extension
	Groups              []uint16 // also called curves
	PointFormats        []uint8
	SignatureAlgorithms []uint16
	ALPN                []string
	ServerName          string
}

// ServerHello is what a server chose (RFC 8446, section 4.1.3).
type ServerHello struct {
	Transport  Transport
	Version    uint16 // of the message itself
	Selected   uint16 // of the extension supported_versions; 0 where it is absent
	Cipher     uint16
	Extensions []uint16
	ALPN       string
}

// isGREASE tells the values that clients mix in so that servers learn to ignore what they
// do not know (RFC 8701).
func isGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// UsedVersion is the version that the two agreed on.
func (s *ServerHello) UsedVersion() uint16 {
	if s.Selected != 0 {
		return s.Selected
	}
	return s.Version
}

// JA3 is the MD5 sum of JA3Text in hexadecimal.
func (c *ClientHello) JA3() string { return md5Hex(c.JA3Text()) }

// JA3Text is version, ciphers, extensions, groups and point formats in decimal.
func (c *ClientHello) JA3Text() string {
	b := strconv.AppendUint(nil, uint64(c.Version), 10)
	for _, list := range [][]uint16{c.Ciphers, c.Extensions, c.Groups} {
		b = appendDecimal(append(b, ','), list)
	}
	b = append(b, ',')
	for i, f := range c.PointFormats {
		if i > 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, uint64(f), 10)
	}
	return string(b)
}

// JA3S is the MD5 sum of version, cipher and extensions in decimal.
func (s *ServerHello) JA3S() string {
	b := strconv.AppendUint(nil, uint64(s.Version), 10)
	b = strconv.AppendUint(append(b, ','), uint64(s.Cipher), 10)
	return md5Hex(string(appendDecimal(append(b, ','), s.Extensions)))
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func appendDecimal(b []byte, list []uint16) []byte {
	first := true
	for _, v := range list {
		if isGREASE(v) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		first = false
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return b
}

// JA4 is the fingerprint with ciphers and extensions sorted and hashed.
func (c *ClientHello) JA4() string {
	var buffer [64]byte
	return string(c.appendJA4(buffer[:0], true, true))
}

// JA4Raw is JA4 with the sorted lists in place of their hashes (ja4_r).
func (c *ClientHello) JA4Raw() string { return string(c.appendJA4(nil, true, false)) }

// JA4Original is JA4 over the lists in their own order, with the server's name and the
// application protocols among the extensions (ja4_o).
func (c *ClientHello) JA4Original() string { return string(c.appendJA4(nil, false, true)) }

// JA4OriginalRaw is the same with the lists in place of their hashes (ja4_ro).
func (c *ClientHello) JA4OriginalRaw() string { return string(c.appendJA4(nil, false, false)) }

// appendJA4 allocates nothing beyond dst for hellos of usual size.
func (c *ClientHello) appendJA4(dst []byte, sorted, hashed bool) []byte {
	var forCiphers, forExtensions [128]uint16
	var text [1024]byte

	ciphers := appendReal(forCiphers[:0], c.Ciphers)
	extensions := appendReal(forExtensions[:0], c.Extensions)
	dst = append(dst, byte(c.Transport))
	dst = append(dst, versionText(c.offeredVersion())...)
	if slices.Contains(c.Extensions, ExtensionServerName) {
		dst = append(dst, 'd')
	} else {
		dst = append(dst, 'i')
	}
	dst = appendCount(appendCount(dst, len(ciphers)), len(extensions))
	first := ""
	if len(c.ALPN) > 0 {
		first = c.ALPN[0]
	}
	dst = appendALPN(dst, first)
	if sorted {
		slices.Sort(ciphers)
		extensions = slices.DeleteFunc(extensions, func(v uint16) bool {
			return v == ExtensionServerName || v == ExtensionALPN
		})
		slices.Sort(extensions)
	}
	dst = append(dst, '_')
	dst = appendPart(dst, appendHex(text[:0], ciphers), hashed)
	dst = append(dst, '_')
	list := appendHex(text[:0], extensions)
	before := len(list)
	list = append(list, '_')
	list = appendHex(list, c.SignatureAlgorithms)
	if len(list) == before+1 { // none: no underscore
		list = list[:before]
	}
	return appendPart(dst, list, hashed)
}

// JA4S is the fingerprint of a server's answer (FoxIO licence 1.1).
func (s *ServerHello) JA4S() string { return string(s.appendJA4S(true)) }

// JA4SRaw is JA4S with the list of extensions in place of its hash.
func (s *ServerHello) JA4SRaw() string { return string(s.appendJA4S(false)) }

func (s *ServerHello) appendJA4S(hashed bool) []byte {
	extensions := appendReal(nil, s.Extensions)
	dst := append([]byte{byte(s.Transport)}, versionText(s.UsedVersion())...)
	dst = appendCount(dst, len(extensions))
	dst = appendALPN(dst, s.ALPN)
	dst = append(appendHex(append(dst, '_'), []uint16{s.Cipher}), '_')
	return appendPart(dst, appendHex(nil, extensions), hashed)
}

// offeredVersion is the highest version that the client supports.
func (c *ClientHello) offeredVersion() uint16 {
	best := uint16(0)
	for _, v := range c.SupportedVersions {
		if !isGREASE(v) && (best == 0 || isNewer(v, best)) {
			best = v
		}
	}
	if best != 0 {
		return best
	}
	return c.Version
}

// isNewer compares versions; those of DTLS count downwards.
func isNewer(a, b uint16) bool {
	if a>>8 == 0xfe && b>>8 == 0xfe {
		return a < b
	}
	return a > b
}

func versionText(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	case 0xfeff:
		return "d1"
	case 0xfefd:
		return "d2"
	case 0xfefc:
		return "d3"
	}
	return "00"
}

// VersionName is a version as Zeek names it, such as TLSv13; "" for an unknown one.
func VersionName(v uint16) string {
	switch v {
	case 0x0304:
		return "TLSv13"
	case 0x0303:
		return "TLSv12"
	case 0x0302:
		return "TLSv11"
	case 0x0301:
		return "TLSv10"
	case 0x0300:
		return "SSLv3"
	case 0x0002:
		return "SSLv2"
	case 0xfeff:
		return "DTLSv10"
	case 0xfefd:
		return "DTLSv12"
	case 0xfefc:
		return "DTLSv13"
	}
	return ""
}

func appendReal(dst, list []uint16) []uint16 {
	for _, v := range list {
		if !isGREASE(v) {
			dst = append(dst, v)
		}
	}
	return dst
}

// appendCount writes a count of two digits, 99 for more.
func appendCount(dst []byte, n int) []byte {
	n = min(n, 99)
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// appendALPN writes the first and the last character of a protocol's name, or, where one
// of them is no letter or digit, those of its bytes in hexadecimal.
func appendALPN(dst []byte, name string) []byte {
	const digits = "0123456789abcdef"
	if name == "" {
		return append(dst, '0', '0')
	}
	first, last := name[0], name[len(name)-1]
	if isAlphanumeric(first) && isAlphanumeric(last) {
		return append(dst, first, last)
	}
	return append(dst, digits[first>>4], digits[last&15])
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// appendHex writes numbers of four hexadecimal digits with commas between them, without
// reserved values.
func appendHex(dst []byte, list []uint16) []byte {
	const digits = "0123456789abcdef"
	first := true
	for _, v := range list {
		if isGREASE(v) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, digits[v>>12], digits[v>>8&15], digits[v>>4&15], digits[v&15])
	}
	return dst
}

// appendPart writes a list, or the first twelve digits of its SHA-256 sum; that of an
// empty list is twelve zeros.
func appendPart(dst, list []byte, hashed bool) []byte {
	if !hashed {
		return append(dst, list...)
	}
	if len(list) == 0 {
		return append(dst, "000000000000"...)
	}
	sum := sha256.Sum256(list)
	return hex.AppendEncode(dst, sum[:6])
}
