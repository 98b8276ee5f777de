package source

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/fusion/indicator"
)

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	seen := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all := []indicator.IOC{
		{Value: "203.0.113.7", Type: indicator.IPv4}, {Value: "2001:db8::1",
			Type: indicator.IPv6}, {Value: "203.0.113.0/24", Type: indicator.CIDR},
		{Value: "2001:db8::/32", Type: indicator.CIDR}, {Value: "evil.com",
			Type: indicator.Domain}, {Value: "http://evil.com/it's", Type: indicator.URL},
		{Value: "m@evil.com", Type: indicator.Email}, {Value: strings.Repeat("ab", 16),
			Type: indicator.MD5}, {Value: strings.Repeat("ab", 20), Type: indicator.SHA1},
		{Value: strings.Repeat("ab", 32), Type: indicator.SHA256}, {Value: strings.Repeat("cd", 20),
			Type: indicator.Certificate},
		{Value: strings.Repeat("cd", 32), Type: indicator.Certificate}, {Value: `Global\it's`, Type: indicator.Mutex},
		{Value: `hkey_local_machine\run`, Type: indicator.RegistryKey}, {Value: `c:\x.exe`,
			Type: indicator.ProcessPath},
		{Value: `corp\alice`, Type: indicator.Account}, {Value: "curl/8 (x)", Type: indicator.UserAgent},
		{Value: strings.Repeat("ef", 16), Type: indicator.JA3},
	}
	for i := range all {
		all[i].Source, all[i].Confidence, all[i].FirstSeen, all[i].LastSeen, all[i].Tags = "feed", 0.7, seen, seen, []string{"c2", "x"}
	}
	for _, format := range []Format{STIX, CSV, NDJSON, List} {
		var text bytes.Buffer
		w, err := NewWriter(&text, format, seen)
		require.NoError(t, err)
		for i := range all {
			require.NoError(t, w.Write(&all[i]))
		}
		require.NoError(t, w.Close())
		got, r, err := read(text.String(), Options{Source: "feed"})
		require.NoError(t, err)
		require.Equal(t, format, r.Format)
		switch format {
		case STIX:
			require.Equal(t, 1, w.Left, "STIX has no object for JA3")
			require.Equal(t, values(all[:len(all)-1]), values(got))
			require.Equal(t, 0.7, got[0].Confidence)
			require.Equal(t, seen, got[0].LastSeen)
			require.Contains(t, got[0].Tags, "c2")
		case List:
			require.Equal(t, values(all[:10]), values(got[:10]), "kinds are guessed")
		default:
			require.Equal(t, values(all), values(got))
			require.Equal(t, all[0].Tags, got[0].Tags)
			require.Equal(t, seen, got[0].FirstSeen)
		}
	}
	_, err := NewWriter(&bytes.Buffer{}, MISP, seen)
	require.ErrorContains(t, err, "accepted: stix, csv, list, ndjson")
}

func TestEqualIndicatorsHaveEqualIdentities(t *testing.T) {
	require.Equal(t, UUID("a"), UUID("a"))
	require.NotEqual(t, UUID("a"), UUID("b"))
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, UUID("a"))
}
