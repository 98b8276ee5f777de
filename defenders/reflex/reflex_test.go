package reflex

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/sim/action"
	"hemostat/sim/event"
)

var estate = inventory.New([]inventory.Host{{Name: "ws1", IP: "10.0.1.1", Zone: "clients"}}, nil)

// inspected is a reflex and what it found.
type inspected struct {
	detect.Detector
	found []detect.Finding
	n     uint64
	arena event.Arena
}

func reflex(t *testing.T, o Options, certain func(time.Duration, string) bool) *inspected {
	t.Helper()
	d, err := Kind.New(detect.Env{Inventory: estate, Certain: certain}, &o)
	require.NoError(t, err)
	return &inspected{Detector: d}
}

func (x *inspected) see(t *testing.T, at time.Duration, service string, values map[event.Field]string) {
	t.Helper()
	x.n++
	e := x.arena.New(len(values))
	e.ID, e.Time, e.Source = x.n, at, event.LogSource{Service: service}
	for f, v := range values {
		e.Set(f, v)
	}
	require.NoError(t, x.Inspect(at, e, func(f detect.Finding) { x.found = append(x.found, f) }))
}

func (x *inspected) failures(t *testing.T, from string, at ...time.Duration) {
	t.Helper()
	for _, a := range at {
		x.see(t, a, "sshd", map[event.Field]string{event.Action: "failed_password", event.SourceIp: from})
	}
}

func seconds(n ...int) (out []time.Duration) {
	for _, s := range n {
		out = append(out, time.Duration(s)*time.Second)
	}
	return out
}

func TestFailuresWithinTheWindowAreLimited(t *testing.T) {
	x := reflex(t, Options{}, nil)
	x.failures(t, "203.0.113.5", seconds(0, 1, 2, 3, 4)...)
	require.Empty(t, x.found, "five are not six")
	x.failures(t, "203.0.113.5", 60*time.Second)
	require.Len(t, x.found, 1, "the first one is just within the window")
	f := x.found[0]
	require.Equal(t, []uint64{1, 2, 3, 4, 5, 6}, f.Evidence)
	require.Equal(t, action.Request{Kind: action.RateLimit, Target: action.Target{Kind: action.Address, Value: "203.0.113.5"}, Rate: 0.2}, f.Reaction.Request)
	require.Equal(t, 30*time.Minute, f.Reaction.TTL)
	x.failures(t, "203.0.113.5", seconds(61, 62, 63)...)
	require.Len(t, x.found, 1, "while the reaction holds nothing is said again")
	for i := range 6 {
		x.failures(t, "203.0.113.5", 60*time.Second+30*time.Minute+time.Duration(i)*time.Millisecond)
	}
	require.Len(t, x.found, 2, "after it has ended it is")
}

func TestSlowGuessingIsNotForTheReflex(t *testing.T) {
	x := reflex(t, Options{Failures: 3, Window: 10 * time.Second}, nil)
	x.failures(t, "203.0.113.5", seconds(0, 6, 12, 18, 24)...)
	require.Empty(t, x.found)
	x.failures(t, "203.0.113.5", seconds(25)...)
	require.Len(t, x.found, 1)
	require.Len(t, x.found[0].Evidence, 3, "what is older than the window is no evidence")
}

func TestSourcesInsideTheEstateAreLeftToDetection(t *testing.T) {
	x := reflex(t, Options{Failures: 2}, nil)
	for _, from := range []string{"10.0.1.1", "127.0.0.1", "", "-"} {
		x.failures(t, from, seconds(0, 1, 2, 3)...)
	}
	require.Empty(t, x.found)
	for i := range 2 {
		x.see(t, time.Duration(i), "security", map[event.Field]string{event.EventID: "4625", event.IpAddress: "203.0.113.7"})
		x.see(t, time.Duration(i), "security", map[event.Field]string{event.EventID: "4624", event.IpAddress: "203.0.113.8"})
	}
	require.Len(t, x.found, 1, "failed Windows logons count, good ones do not")
}

func TestIndicatorsBlockFromWhenTheyAreKnown(t *testing.T) {
	known := func(now time.Duration, v string) bool {
		return v == "198.51.100.9" && now >= time.Hour || v == "evil.example"
	}
	x := reflex(t, Options{TTL: time.Hour}, known)
	to := map[event.Field]string{event.IDRespHost: "198.51.100.9", event.IDOrigHost: "10.0.1.1"}
	x.see(t, 59*time.Minute, "conn", to)
	require.Empty(t, x.found, "nobody knew it then")
	x.see(t, time.Hour, "conn", to)
	x.see(t, time.Hour+time.Minute, "conn", to)
	require.Len(t, x.found, 1, "once while the block holds")
	require.Equal(t, action.BlockIP, x.found[0].Reaction.Request.Kind)
	x.see(t, 2*time.Hour, "conn", to)
	require.Len(t, x.found, 2)
	x.see(t, 2*time.Hour, "ssl", map[event.Field]string{event.IDRespHost: "198.51.100.1", event.ServerName: "evil.example"})
	require.Equal(t, action.Request{Kind: action.SinkholeDomain, Target: action.Target{Kind: action.Domain, Value: "evil.example"}}, x.found[2].Reaction.Request)
}

func TestSilentSourcesAreForgotten(t *testing.T) {
	r := New(Options{}, detect.Env{Inventory: estate})
	x := &inspected{Detector: r}
	for i := range maxSources {
		x.failures(t, fmt.Sprintf("198.51.%d.%d", i/256, i%256), 0)
	}
	x.failures(t, "203.0.113.5", time.Second)
	require.Len(t, r.sources, maxSources, "what comes beyond is not counted")
	x.failures(t, "203.0.113.5", 2*time.Minute)
	require.Len(t, r.sources, 1)
}
