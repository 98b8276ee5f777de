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

// TestAnIndicatorCountsUntilItExpires holds that for a set that is read as it was written.
func TestAnIndicatorCountsUntilItExpires(t *testing.T) {
	epoch := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	set := indicator.NewSet(0)
	require.NoError(t, set.Add(&indicator.IOC{Type: indicator.Domain, Value: "old.example", Source: "s", Confidence: 0.8, Tags: []string{"a", "b"},
		Context: map[string]string{indicator.ValidUntil: "2026-03-03T00:00:00Z"}}))
	require.NoError(t, set.Add(&indicator.IOC{Type: indicator.Domain, Value: "new.example", Source: "s", Confidence: 0.8}))
	source := NewFileSource("s", set, epoch)
	known := func(name string, at time.Duration) bool {
		hit, ok, err := source.Lookup(at, Indicator{Kind: "domain", Value: name})
		require.NoError(t, err)
		if ok && name == "old.example" {
			require.Equal(t, []string{"a", "b"}, hit.Known.Tags)
			require.Equal(t, "2026-03-03T00:00:00Z", hit.Known.Context[indicator.ValidUntil])
		}
		return ok
	}
	require.True(t, known("old.example", time.Hour))
	require.False(t, known("old.example", 25*time.Hour))
	require.True(t, known("new.example", 25*time.Hour))
}
