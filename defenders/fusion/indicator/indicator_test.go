package indicator

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNormalForms(t *testing.T) {
	for _, c := range []struct {
		kind        Kind
		given, want string
	}{
		{IPv4, "203[.]0[.]113[.]7", "203.0.113.7"}, {IPv4, " 203.0.113.7:443 ", "203.0.113.7"}, {IPv4,
			"::ffff:203.0.113.7", "203.0.113.7"},
		{IPv6, "[2001:DB8::1]", "2001:db8::1"}, {IPv6, "2001:db8:0:0::1%eth0", "2001:db8::1"},
		{CIDR, "203.0.113.77/24", "203.0.113.0/24"}, {CIDR, "2001:db8::1/32", "2001:db8::/32"},
		{Domain, "Evil[.]Example[.]COM.", "evil.example.com"}, {Domain, "*.evil.example.com", "evil.example.com"},
		{Domain, "bücher.example.com", "xn--bcher-kva.example.com"}, {Domain, "evil(dot)example(.)com",
			"evil.example.com"},
		{Domain, "_ldap._tcp.evil.com", "_ldap._tcp.evil.com"},
		{URL, "hxxps://Evil[.]com:443/A?b=1#x", "https://evil.com/A?b=1"}, {URL, "hxxp[://]evil.com",
			"http://evil.com/"}, {URL, "evil.com/a", "http://evil.com/a"},
		{URL, "http://user:pw@evil.com/", "http://evil.com/"}, {URL, "http://[2001:db8::1]:8080/x",
			"http://[2001:db8::1]:8080/x"},
		{Email, "Mallory[@]Evil[.]com", "mallory@evil.com"}, {Email, "mailto:m@evil.com", "m@evil.com"},
		{SHA256, "AABB" + hashOf(60), "aabb" + hashOf(60)}, {MD5, hashOf(32), hashOf(32)}, {SHA1, hashOf(40),
			hashOf(40)},
		{JA3, hashOf(32), hashOf(32)}, {JA4, "T13D1516H2_8daaf6152771_b186095e22b6",
			"t13d1516h2_8daaf6152771_b186095e22b6"},
		{Certificate, "AA:BB:" + "CC:DD:EE:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE",
			"aabbccddee00112233445566778899aabbccddee"},
		{RegistryKey, `HKLM\Software\Run\`, `hkey_local_machine\software\run`}, {RegistryKey, `HKCU:\Software`,
			`hkey_current_user\software`},
		{ProcessPath, `C:/Temp/X.exe`, `c:\temp\x.exe`}, {Account, `CORP\Alice`, `corp\alice`}, {Mutex,
			" Global\\MTX ", `Global\MTX`},
	} {
		got, err := Normalize(c.kind, c.given)
		require.NoError(t, err, c.given)
		require.Equal(t, c.want, got, c.given)
		again, err := Normalize(c.kind, got)
		require.NoError(t, err, got)
		require.Equal(t, got, again, "the normal form is its own")
	}
}

func hashOf(n int) string {
	out := ""
	for len(out) < n {
		out += "0123456789abcdef"
	}
	return out[:n]
}

func TestWhatCanNeverBeAnIndicator(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		given string
	}{
		{IPv4, "10.1.2.3"}, {IPv4, "192.168.0.1"}, {IPv4, "127.0.0.1"}, {IPv4, "169.254.1.1"}, {IPv4,
			"224.0.0.1"}, {IPv4, "0.0.0.0"},
		{IPv4, "100.64.3.3"}, {IPv4, "255.255.255.255"}, {IPv6, "fe80::1"}, {IPv6, "fd00::1"}, {IPv6, "::1"}, {CIDR,
			"10.0.0.0/8"},
		{CIDR, "0.0.0.0/0"}, {CIDR, "128.0.0.0/2"}, {CIDR, "2000::/3"}, {Domain, "com."}, {Domain, "co.uk"}, {Domain,
			"printer.local"},
		{Domain, "4.3.2.1.in-addr.arpa"}, {URL, "http://192.168.1.1/x"}, {SHA256,
			"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{MD5, "00000000000000000000000000000000"},
	} {
		_, err := Normalize(c.kind, c.given)
		require.ErrorIs(t, err, ErrNever, c.given)
	}
	for _, c := range []struct {
		kind  Kind
		given string
	}{
		{IPv4, "evil"}, {IPv4, "2001:db8::1"}, {IPv6, "1.2.3.4"}, {CIDR, "1.2.3.4"}, {Domain, "localhosts"}, {Domain,
			"a b.com"}, {Domain, ""},
		{URL, "http://"}, {Email, "nobody"}, {MD5, "xyz"}, {SHA1, hashOf(32)}, {JA4, "t13"}, {"colour", "red"},
	} {
		_, err := Normalize(c.kind, c.given)
		require.Error(t, err, c.given)
		require.False(t, errors.Is(err, ErrNever), c.given)
	}
}

func TestGuess(t *testing.T) {
	for given, want := range map[string]Kind{
		"1[.]2[.]3[.]4": IPv4, "2001:db8::1": IPv6, "198.51.100.0/24": CIDR, "evil[.]com": Domain, "hxxp://evil.com/a": URL, "evil.com/a": URL,
		"a@evil.com": Email, hashOf(32): MD5, hashOf(40): SHA1, hashOf(64): SHA256, `HKLM\Run`: RegistryKey, `C:\x.exe`: ProcessPath,
		"t13d1516h2_8daaf6152771_b186095e22b6": JA4,
	} {
		k, _, err := Guess(given)
		require.NoError(t, err, given)
		require.Equal(t, want, k, given)
	}
	_, err := ParseKind("colour")
	require.ErrorContains(t, err, "accepted: ipv4, ipv6")
}

func TestTheSetFindsNetworksAndParents(t *testing.T) {
	s := NewSet(0)
	seen := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, i := range []IOC{
		{Value: "203.0.113.7", Type: IPv4, Source: "a", Confidence: 0.9, LastSeen: seen, Tags: []string{"c2", "x"}},
		{Value: "203.0.113.7", Type: IPv4, Source: "b", Confidence: 0.4},
		{Value: "203.0.113.7", Type: IPv4, Source: "c", Confidence: 0.3},
		{Value: "203.0.113.0/24", Type: CIDR, Source: "a", Confidence: 0.2},
		{Value: "203.0.0.0/16", Type: CIDR, Source: "b"},
		{Value: "2001:db8::/32", Type: CIDR, Source: "b"},
		{Value: "evil.com", Type: Domain, Source: "a"},
		{Value: "http://bad.org/x", Type: URL, Source: "a"},
	} {
		require.NoError(t, s.Add(&i))
	}
	found := s.Lookup(IPv4, "203.0.113.7")
	require.Len(t, found, 5)
	require.Equal(t, Entry{Value: "203.0.113.7", Kind: IPv4, Source: "a", Confidence: 0.9, LastSeen: seen,
		Tags: []string{"c2", "x"}}, found[0])
	require.Len(t, s.Lookup(IPv4, "203.0.113.8"), 2)
	require.Len(t, s.Lookup(IPv6, "2001:db8::5"), 1)
	require.Empty(t, s.Lookup(IPv4, "198.51.100.1"))
	require.Len(t, s.Lookup(Domain, "a.b.evil.com"), 1)
	require.Empty(t, s.Lookup(Domain, "notevil.com"))
	require.Empty(t, s.Lookup(Domain, "com"))
	require.Len(t, s.Lookup(URL, "https://www.evil.com:8443/x"), 1)
	require.Len(t, s.Lookup(URL, "http://203.0.113.7/"), 5)
	require.Len(t, s.Lookup(URL, "http://bad.org/x"), 1)
	require.Len(t, s.Lookup(Email, "m@evil.com"), 1)

	require.NoError(t, s.Add(&IOC{Value: "203.0.113.7", Type: IPv4, Source: "b", Confidence: 0.8}))
	require.Equal(t, 1, s.Replaced)
	require.Equal(t, 0.8, s.Lookup(IPv4, "203.0.113.7")[2].Confidence)
	require.Equal(t, 8, s.Len())
	require.Error(t, s.Add(&IOC{Value: "x", Type: "colour"}))
}

func TestTheSetGrows(t *testing.T) {
	s := NewSet(0)
	for i := range 20_000 {
		require.NoError(t, s.Add(&IOC{Value: fmt.Sprintf("d%d.example.com", i), Type: Domain,
			Source: fmt.Sprint(i % 3)}))
		require.NoError(t, s.Add(&IOC{Value: fmt.Sprintf("d%d.example.com", i), Type: Domain, Source: "all"}))
	}
	for i := range 20_000 {
		require.Len(t, s.Lookup(Domain, fmt.Sprintf("d%d.example.com", i)), 2, i)
	}
	require.Equal(t, 40_000, s.Len())
}

func TestConfidenceDecays(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	require.InDelta(t, 0.4, Decayed(IPv4, 0.8, now.Add(-30*day), now), 1e-9)
	require.Equal(t, 0.8, Decayed(SHA256, 0.8, now.Add(-3000*day), now))
	require.Equal(t, 0.8, Decayed(IPv4, 0.8, time.Time{}, now))
	require.Equal(t, 0.8, Decayed(IPv4, 0.8, now.Add(day), now))
}

func TestTheFormOfExchange(t *testing.T) {
	text, err := json.Marshal(IOC{Value: "evil.com", Type: Domain, Source: "feed", Confidence: 0.5,
		FirstSeen: time.Unix(1e9, 0).UTC()})
	require.NoError(t, err)
	require.JSONEq(t, `{"value":"evil.com","ioc_type":"domain","first_seen":"2001-09-09T01:46:40Z","last_seen":null,"source":"feed","confidence":0.5,"tags":[],"context":{}}`, string(text))
	var back IOC
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, "evil.com", back.Value)
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"203[.]0[.]113[.]7", "hxxps://evil[.]com/a", "bücher.example", "1.2.3.0/24", "a@b.com",
		"HKLM:\\x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, k := range kinds {
			v, err := Normalize(k, s)
			if err != nil {
				continue
			}
			if again, err := Normalize(k, v); err == nil && k != Mutex && k != UserAgent {
				require.Equal(t, v, again, "%s %q", k, s)
			}
		}
		_, _, _ = Guess(s)
	})
}

// large is a set of five million indicators: addresses, domains, hashes, networks.
func large(b *testing.B) *Set {
	const n = 5_000_000
	s := NewSet(n)
	add := func(k Kind, v string) {
		if err := s.Add(&IOC{Value: v, Type: k, Source: "feed", Confidence: 0.5}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		switch i % 5 {
		case 0, 1:
			add(IPv4, fmt.Sprintf("%d.%d.%d.%d", 11+i>>24&127, i>>16&255, i>>8&255, i&255))
		case 2:
			add(Domain, fmt.Sprintf("host%d.evil%d.com", i, i%1000))
		case 3:
			add(SHA256, fmt.Sprintf("%064x", i+1))
		case 4:
			add(CIDR, fmt.Sprintf("%d.%d.%d.0/%d", 20+i>>16&63, i>>8&255, i&255, 24-i%8))
		}
	}
	return s
}

// BenchmarkLookup asks a set of five million indicators; the targets are 1 µs for exact
// values, 5 µs for networks and domains, and 1 GB.
func BenchmarkLookup(b *testing.B) {
	s := large(b)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	mb := float64(m.HeapAlloc) / 1e6
	hash := fmt.Sprintf("%064x", 1_000_004)
	ignore := func(*entry) {}
	b.Run("exact", func(b *testing.B) {
		for b.Loop() {
			s.exact(kindNumber(SHA256), hash, ignore)
		}
		b.ReportMetric(mb, "MB")
	})
	b.Run("network", func(b *testing.B) {
		for b.Loop() {
			s.lookup(IPv4, "45.33.32.156", ignore)
		}
	})
	b.Run("domain", func(b *testing.B) {
		for b.Loop() {
			s.lookup(Domain, "a.b.c.host12.evil12.com", ignore)
		}
	})
}
