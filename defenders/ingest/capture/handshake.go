package capture

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"

	"hemostat/sim/fingerprint"
)

// Types of handshake messages (RFC 8446, section 4).
const (
	typeClientHello     = 1
	typeServerHello     = 2
	typeCertificate     = 11
	typeServerHelloDone = 14
)

var errMalformed = errors.New("malformed handshake message")

// parseClientHello reads the body of a ClientHello (RFC 8446, section 4.1.2; RFC 6347,
// section 4.2.1 for DTLS, which has a cookie more). Numbers are copied, so that the body
// may be used again.
func parseClientHello(body []byte, transport fingerprint.Transport) (*fingerprint.ClientHello, error) {
	h := &fingerprint.ClientHello{Transport: transport}
	s := cryptobyte.String(body)
	var session, cookie, ciphers, compression cryptobyte.String
	if !s.ReadUint16(&h.Version) || !s.Skip(32) || !s.ReadUint8LengthPrefixed(&session) {
		return nil, errMalformed
	}
	if transport == fingerprint.DTLS && !s.ReadUint8LengthPrefixed(&cookie) {
		return nil, errMalformed
	}
	if !s.ReadUint16LengthPrefixed(&ciphers) || !s.ReadUint8LengthPrefixed(&compression) {
		return nil, errMalformed
	}
	var ok bool
	if h.Ciphers, ok = numbers(ciphers); !ok {
		return nil, errMalformed
	}
	return h, eachExtension(s, func(kind uint16, data cryptobyte.String) bool {
		h.Extensions = append(h.Extensions, kind)
		return readClientExtension(h, kind, data)
	})
}

func readClientExtension(h *fingerprint.ClientHello, kind uint16, data cryptobyte.String) bool {
	var list cryptobyte.String
	ok := true
	switch kind {
	case fingerprint.ExtensionServerName:
		h.ServerName = serverName(data)
	case fingerprint.ExtensionSupportedGroups:
		if ok = data.ReadUint16LengthPrefixed(&list); ok {
			h.Groups, ok = numbers(list)
		}
	case fingerprint.ExtensionSignatureAlgorithms:
		if ok = data.ReadUint16LengthPrefixed(&list); ok {
			h.SignatureAlgorithms, ok = numbers(list)
		}
	case fingerprint.ExtensionPointFormats:
		if ok = data.ReadUint8LengthPrefixed(&list); ok {
			h.PointFormats = append([]uint8{}, list...)
		}
	case fingerprint.ExtensionALPN:
		h.ALPN, ok = protocols(data)
	case fingerprint.ExtensionSupportedVersions:
		if ok = data.ReadUint8LengthPrefixed(&list); ok {
			h.SupportedVersions, ok = numbers(list)
		}
	}
	return ok
}

// serverName is the host name among the names of the extension (RFC 6066, section 3); one
// that cannot be read is "".
func serverName(data cryptobyte.String) string {
	var list, name cryptobyte.String
	var kind uint8
	if !data.ReadUint16LengthPrefixed(&list) {
		return ""
	}
	for !list.Empty() {
		if !list.ReadUint8(&kind) || !list.ReadUint16LengthPrefixed(&name) {
			return ""
		}
		if kind == 0 {
			return string(name)
		}
	}
	return ""
}

func protocols(data cryptobyte.String) ([]string, bool) {
	var list, name cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) {
		return nil, false
	}
	var out []string
	for !list.Empty() {
		if !list.ReadUint8LengthPrefixed(&name) {
			return nil, false
		}
		out = append(out, string(name))
	}
	return out, true
}

func numbers(s cryptobyte.String) ([]uint16, bool) {
	if len(s)%2 != 0 {
		return nil, false
	}
	out := make([]uint16, 0, len(s)/2)
	var v uint16
	for s.ReadUint16(&v) {
		out = append(out, v)
	}
	return out, true
}

// eachExtension calls f for every extension; a message without any has no list of them.
func eachExtension(s cryptobyte.String, f func(kind uint16, data cryptobyte.String) bool) error {
	if s.Empty() {
		return nil
	}
	var list, data cryptobyte.String
	var kind uint16
	if !s.ReadUint16LengthPrefixed(&list) {
		return errMalformed
	}
	for !list.Empty() {
		if !list.ReadUint16(&kind) || !list.ReadUint16LengthPrefixed(&data) || !f(kind, data) {
			return errMalformed
		}
	}
	return nil
}

// helloRetryRequest is the random value by which a ServerHello is known that only asks for
// another ClientHello (RFC 8446, section 4.1.3).
const helloRetryRequest = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// parseServerHello reads the body of a ServerHello; retry tells one that only asks for
// another ClientHello.
func parseServerHello(
	body []byte,
	transport fingerprint.Transport,
) (h *fingerprint.ServerHello, retry bool, err error) {
	h = &fingerprint.ServerHello{Transport: transport}
	s := cryptobyte.String(body)
	var random []byte
	var session cryptobyte.String
	if !s.ReadUint16(&h.Version) || !s.ReadBytes(&random, 32) || !s.ReadUint8LengthPrefixed(&session) ||
		!s.ReadUint16(&h.Cipher) || !s.Skip(1) {
		return nil, false, errMalformed
	}
	err = eachExtension(s, func(kind uint16, data cryptobyte.String) bool {
		h.Extensions = append(h.Extensions, kind)
		switch kind {
		case fingerprint.ExtensionSupportedVersions:
			return data.ReadUint16(&h.Selected)
		case fingerprint.ExtensionALPN:
			names, ok := protocols(data)
			if len(names) > 0 {
				h.ALPN = names[0]
			}
			return ok
		}
		return true
	})
	return h, string(random) == helloRetryRequest, err
}

// parseCertificates reads the certificates of a message of TLS 1.2 and before, the
// server's own first (RFC 5246, section 7.4.2).
func parseCertificates(body []byte) ([][]byte, error) {
	s := cryptobyte.String(body)
	var list, one cryptobyte.String
	if !s.ReadUint24LengthPrefixed(&list) {
		return nil, errMalformed
	}
	var out [][]byte
	for !list.Empty() {
		if !list.ReadUint24LengthPrefixed(&one) {
			return nil, errMalformed
		}
		out = append(out, append([]byte{}, one...))
	}
	return out, nil
}
