package guard

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/encrypted"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

func estate(n int) *inventory.Inventory {
	var hosts []inventory.Host
	for i := range n {
		hosts = append(hosts, inventory.Host{Name: fmt.Sprintf("WS%03d", i), IP: fmt.Sprintf("10.0.0.%d", i+1), Zone: "users",
			OS: "windows", Owner: fmt.Sprintf("user%03d", i)})
	}
	return inventory.New(hosts, nil)
}

func show(t *testing.T, d detect.Detector, e *event.Event) (found []detect.Finding) {
	t.Helper()
	require.NoError(t, d.Inspect(e.Time, e, func(f detect.Finding) { found = append(found, f) }))
	return found
}

func TestDetectorsThatNearlyAgreeRaiseAnAlertTogether(t *testing.T) {
	env := detect.Env{Inventory: estate(3)}
	told := 0
	env.Scores = func(string, detect.Score) { told++ }
	g := New(Options{Agreement: 0.7}, &env)
	near := func(detector, of string, value float64, at time.Duration) {
		env.Scores(detector, detect.Score{Entity: "10.0.0.1 203.0.113.9", Of: of, Value: value, Bar: 1, Evidence: uint64(at / time.Minute), Time: at})
	}
	e := &event.Event{Time: time.Hour}
	near("encrypted", "beacon", 0.8, 10*time.Minute)
	near("encrypted", "beacon", 0.9, 20*time.Minute)
	assert.Empty(t, show(t, g, e), "one detector by itself is not two")
	near("behavior", "window", 0.6, 30*time.Minute)
	assert.Empty(t, show(t, g, e), "that is not near its bar")
	near("behavior", "window", 0.75, 5*time.Hour)
	assert.Empty(t, show(t, g, e), "the other vote is long over")
	near("encrypted", "beacon", 0.8, 5*time.Hour+time.Minute)
	found := show(t, g, e)
	require.Len(t, found, 1)
	assert.Equal(t, "WS000", found[0].Entities.Host)
	assert.Equal(t, []uint64{300, 301}, found[0].Evidence)
	assert.Len(t, found[0].Reasons, 2)
	near("encrypted", "volume", 0.8, 6*time.Hour)
	assert.Empty(t, show(t, g, e), "it was said")
	assert.Equal(t, 6, told, "others are told of scores as before")
	members := []sentinel.Member{g.Member()}
	Hear(members)(&alert.Alert{Severity: severity.Low, EventTime: 30 * time.Hour, Detector: "sigma", RuleID: "r", Entities: alert.Entities{Host: "WS002"}})
	Hear(members)(&alert.Alert{Severity: severity.High, EventTime: 30 * time.Hour, Detector: "sigma", RuleID: "s", Entities: alert.Entities{Host: "WS002"}})
	assert.Empty(t, show(t, g, e), "a serious alert needs no other")
	Hear(members)(&alert.Alert{Severity: severity.Low, EventTime: 30 * time.Hour, Detector: "sigma", RuleID: "q", Entities: alert.Entities{Host: "WS002"}})
	assert.Len(t, show(t, g, e), 1)
}

func TestBarsVaryByHostAndTrial(t *testing.T) {
	factors := map[float64]bool{}
	for index := range 2 {
		env := detect.Env{Inventory: estate(1), Seed: 7, Index: index}
		New(Options{Vary: 0.2}, &env)
		for i := range 50 {
			f := env.Vary(fmt.Sprint("host", i))
			require.InDelta(t, 1, f, 0.2)
			factors[f] = true
			assert.Equal(t, f, env.Vary(fmt.Sprint("host", i)))
		}
	}
	assert.Len(t, factors, 100)
}

// listed is a source that knows everything.
type listed struct{}

func (listed) Name() string { return "listed" }
func (listed) Lookup(time.Duration, fusion.Indicator) (fusion.Hit, bool, error) {
	return fusion.Hit{Source: "listed", Confidence: 0.9}, true, nil
}

func connection(at time.Duration, from, to string) *event.Event {
	e := &event.Event{Time: at, Source: event.LogSource{Product: "zeek", Service: "conn"}}
	e.Set(event.IDOrigHost, from)
	e.Set(event.IDRespHost, to)
	return e
}

func TestNoFeedMakesHostileWhatTheEstateUses(t *testing.T) {
	env := detect.Env{Inventory: estate(9), Certain: func(time.Duration, string) bool { return true }}
	g := New(Options{Feeds: 4}, &env)
	members := []sentinel.Member{g.Member()}
	source := Sources(members, []fusion.Source{listed{}})[0]
	assert.False(t, env.Certain(2*time.Hour, "198.51.100.1"), "nothing was seen yet")
	for i := range 4 {
		show(t, g, connection(time.Duration(i)*time.Minute, fmt.Sprintf("10.0.0.%d", i+1), "198.51.100.1"))
	}
	assert.False(t, env.Certain(30*time.Minute, "203.0.113.9"), "too early")
	assert.True(t, env.Certain(2*time.Hour, "203.0.113.9"))
	assert.False(t, env.Certain(2*time.Hour, "198.51.100.1"))
	ask := func(value string) (fusion.Hit, bool) {
		hit, ok, err := source.Lookup(0, fusion.Indicator{Kind: "ip", Value: value})
		require.NoError(t, err)
		return hit, ok
	}
	hit, ok := ask("203.0.113.9")
	require.True(t, ok)
	assert.InDelta(t, 0.9, hit.Confidence, 1e-9)
	_, ok = ask("198.51.100.1")
	assert.False(t, ok)
	hit, _ = ask("203.0.113.9")
	assert.Less(t, hit.Confidence, 0.9, "a feed that was wrong is believed less")
	assert.Len(t, Sources(nil, []fusion.Source{listed{}}), 1)
}

// fickle sees beacons until it is spoiled.
type fickle struct {
	Spoiled bool
	Seen    int
}

func (f *fickle) Inspect(_ time.Duration, e *event.Event, report detect.Report) error {
	if e.Source.Service == "spoil" {
		f.Spoiled = true
		return nil
	}
	if f.Seen++; f.Seen == 10 && !f.Spoiled {
		report(detect.Finding{})
	}
	return nil
}

// TestADetectorThatLostItsCanariesGoesBack holds that canaries teach the detector nothing, and that
// it goes back to its last state in which it saw them.
func TestADetectorThatLostItsCanariesGoesBack(t *testing.T) {
	g := New(Options{Canaries: time.Hour}, &detect.Env{Inventory: estate(9)})
	members := []sentinel.Member{{Name: encrypted.Kind.Name, Detector: &fickle{}}}
	g.Watch(members, func(string) (detect.Detector, error) { return &fickle{}, nil })
	w := members[0].Detector.(*watched)
	at := func(service string, hours int) *event.Event {
		return &event.Event{Time: time.Duration(hours) * time.Hour, Source: event.LogSource{Service: service}}
	}
	assert.Empty(t, show(t, w, at("conn", 1)))
	assert.Equal(t, 1, w.inner.(*fickle).Seen, "the canaries were shown to copies")
	show(t, w, at("spoil", 1))
	found := show(t, w, at("conn", 3))
	require.Len(t, found, 1)
	assert.Equal(t, severity.High, found[0].Severity)
	assert.Contains(t, found[0].Reasons[0].String(), "0 %")
	assert.False(t, w.inner.(*fickle).Spoiled)
	assert.Empty(t, show(t, w, at("conn", 5)), "it sees them again")
}

// TestADetectorThatNeverSawItsCanariesHasLostNone is of one that is still warming up, and of an estate
// of which no hosts of people are known.
func TestADetectorThatNeverSawItsCanariesHasLostNone(t *testing.T) {
	for _, hosts := range []int{0, 9} {
		g := New(Options{Canaries: time.Hour}, &detect.Env{Inventory: estate(hosts)})
		members := []sentinel.Member{{Name: encrypted.Kind.Name, Detector: &fickle{Spoiled: true}}}
		g.Watch(members, func(string) (detect.Detector, error) { return &fickle{}, nil })
		for hour := range 5 {
			e := &event.Event{Time: time.Duration(hour) * time.Hour, Source: event.LogSource{Service: "conn"}}
			assert.Empty(t, show(t, members[0].Detector, e))
		}
	}
}

// TestTheCanariesAreSeen holds that the detectors see their canaries on a quiet estate.
func TestTheCanariesAreSeen(t *testing.T) {
	build := func(name string) (detect.Detector, error) {
		kind, err := sentinel.KindByName(name)
		require.NoError(t, err)
		return kind.New(detect.Env{Inventory: estate(60)}, kind.Options())
	}
	for name := range canaries {
		d, err := build(name)
		require.NoError(t, err)
		g := New(Options{Canaries: 24 * time.Hour}, &detect.Env{Inventory: estate(60)})
		members := []sentinel.Member{{Name: name, Detector: d}}
		g.Watch(members, build)
		ordinary(t, members[0].Detector, name)
		w := members[0].Detector.(*watched)
		assert.Equal(t, 1.0, w.best, name)
		assert.NotEmpty(t, w.good, name)
	}
}

// ordinary are three days on which everybody does the same.
func ordinary(t *testing.T, d detect.Detector, name string) {
	for minute := 0; minute < 3*24*60; minute += 5 {
		for i := range 60 {
			e := connection(time.Duration(minute)*time.Minute, fmt.Sprintf("10.0.0.%d", i+1), fmt.Sprintf("198.51.100.%d", minute/5%40))
			e.Set(event.ConnState, "SF")
			e.Set(event.OrigBytes, "900")
			if name != encrypted.Kind.Name {
				e = &event.Event{Time: time.Duration(minute) * time.Minute, Host: fmt.Sprintf("WS%03d", i),
					Source: event.LogSource{Product: "windows", Service: "sysmon", Category: "process_creation"}}
				e.Set(event.Image, fmt.Sprintf(`C:\Program Files\Office\app%d.exe`, minute/5%6))
				e.Set(event.ParentImage, `C:\Windows\explorer.exe`)
				e.Set(event.CommandLine, "app.exe")
				e.Set(event.User, fmt.Sprintf("user%03d", i))
			}
			require.NoError(t, d.Inspect(e.Time, e, func(detect.Finding) {}))
		}
	}
}
