package fusion

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/fusion/indicator"
)

func TestFilesAnswerByAge(t *testing.T) {
	epoch := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	set := indicator.NewSet(0)
	for _, i := range []indicator.IOC{
		{Value: "203.0.113.7", Type: indicator.IPv4, Source: "a", Confidence: 0.8, LastSeen: epoch.AddDate(0, 0, -30)},
		{Value: "203.0.113.0/24", Type: indicator.CIDR, Source: "a", Confidence: 0.1},
		{Value: "evil.com", Type: indicator.Domain, Source: "a", Confidence: 0.6},
	} {
		require.NoError(t, set.Add(&i))
	}
	f := NewFileSource("ours", set, epoch)
	require.Equal(t, "ours", f.Name())
	ask := func(now time.Duration, kind, value string) (float64, bool) {
		hit, known, err := f.Lookup(now, Indicator{kind, value})
		require.NoError(t, err)
		require.Equal(t, "ours", map[bool]string{true: hit.Source, false: "ours"}[known])
		return hit.Confidence, known
	}
	got, known := ask(0, "ip", "203.0.113.7")
	require.True(t, known)
	require.InDelta(t, 0.4, got, 0.01, "a month old")
	got, _ = ask(60*24*time.Hour, "ip", "203.0.113.7")
	require.InDelta(t, 0.1, got, 0.01, "the network does not say when it was seen, and does not age")
	_, known = ask(0, "domain", "www.EVIL.com.")
	require.True(t, known)
	for kind, value := range map[string]string{"ip": "10.0.0.1", "domain": "printer.local", "sha256": "abc"} {
		_, known = ask(0, kind, value)
		require.False(t, known, value)
	}
}
