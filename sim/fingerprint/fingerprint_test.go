package fingerprint

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// chrome is the ClientHello of the example in FoxIO's technical details of JA4, with
// reserved values among its own.
func chrome() *ClientHello {
	return &ClientHello{
		Transport: TCP, Version: 0x0303, SupportedVersions: []uint16{0x1a1a, 0x0304, 0x0303},
		Ciphers: []uint16{0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
			0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
		Extensions: []uint16{0xdada, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
			0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015},
		Groups: []uint16{0xfafa, 0x001d, 0x0017, 0x0018}, PointFormats: []uint8{0},
		SignatureAlgorithms: []uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601},
		ALPN:                []string{"h2", "http/1.1"},
	}
}

func TestJA4OfTheTechnicalDetails(t *testing.T) {
	h := chrome()
	require.Equal(t, "t13d1516h2_8daaf6152771_e5627efa2ab1", h.JA4())
	require.Equal(t, "t13d1516h2_acb858a92679_18f69afefd3d", h.JA4Original())
	require.Equal(t, "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_"+
		"0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601", h.JA4Raw())
	h.SignatureAlgorithms = nil
	require.Equal(t, "t13d1516h2_8daaf6152771_6d807ffa2a79", h.JA4())
}

func TestJA4OfHellosAtTheEdge(t *testing.T) {
	require.Equal(t, "t00i000000_000000000000_000000000000", (&ClientHello{Transport: TCP}).JA4())
	require.Equal(t, "t00i000000__", (&ClientHello{Transport: TCP}).JA4Raw())
	many := &ClientHello{Transport: QUIC, Version: 0x0301, Ciphers: make([]uint16, 300), Extensions: make([]uint16, 300)}
	require.Regexp(t, `^q10d999900_[0-9a-f]{12}_0{12}$`, many.JA4())
	require.Equal(t, "dd3", (&ClientHello{Transport: DTLS, SupportedVersions: []uint16{0xfefd, 0xfefc}}).JA4()[:3])
}

// TestALPN has the vectors of the technical details.
func TestALPN(t *testing.T) {
	for name, want := range map[string]string{
		"": "00", "h2": "h2", "http/1.1": "h1", "a": "aa", "\xab": "ab", "\x20\x61": "21", "\x30\x31\xab\xcd": "3d",
		"\x30\xab\xcd\x31": "01",
	} {
		require.Equal(t, want, string(appendALPN(nil, name)), "%q", name)
	}
}

func TestJA3(t *testing.T) {
	h := &ClientHello{
		Version: 769, Ciphers: []uint16{47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4},
		Extensions: []uint16{0, 10, 11},
		Groups:     []uint16{23, 24, 25}, PointFormats: []uint8{0},
	}
	require.Equal(t, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", h.JA3Text())
	require.Equal(t, "ada70206e40642a3e4461f35503241d5", h.JA3())
	h = &ClientHello{Version: 769, Ciphers: []uint16{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99}}
	require.Equal(t, "769,4-5-10-9-100-98-3-6-19-18-99,,,", h.JA3Text())
	require.Equal(t, "de350869b8c85de67a350c8d186f11e6", h.JA3())
}

func TestServerFingerprints(t *testing.T) {
	s := &ServerHello{Transport: TCP, Version: 0x0303, Selected: 0x0304, Cipher: 0x1301, Extensions: []uint16{0x0033, 0x002b}}
	require.Equal(t, "t130200_1301_0033,002b", s.JA4SRaw())
	require.Equal(t, "t130200_1301_234ea6891581", s.JA4S())
	require.Equal(t, "eb1d94daa7e0344597e756a1fb6e7054", s.JA3S())
}

func TestJA4AllocatesNothing(t *testing.T) {
	h, buffer := chrome(), make([]byte, 0, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() { buffer = h.appendJA4(buffer[:0], true, true) }))
}

func TestVersionNames(t *testing.T) {
	for v := range uint16(0x0305) {
		require.Equal(t, VersionName(v) == "", versionText(v) == "00", "%#x", v)
	}
}

func BenchmarkJA4(b *testing.B) {
	h, buffer := chrome(), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buffer = h.appendJA4(buffer[:0], true, true)
	}
}
