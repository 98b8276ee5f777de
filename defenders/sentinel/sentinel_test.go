package sentinel

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// scripted is a detector that does what the test says.
type scripted struct {
	inspect func(now time.Duration, e *event.Event, report detect.Report) error
	wake    *time.Duration
	advance func(now time.Duration, report detect.Report) error
	end     func(now time.Duration, report detect.Report) error
}

func (s *scripted) Inspect(now time.Duration, e *event.Event, report detect.Report) error {
	if s.inspect == nil {
		return nil
	}
	return s.inspect(now, e, report)
}

func (s *scripted) NextWake() (time.Duration, bool) {
	if s.wake == nil {
		return 0, false
	}
	return *s.wake, true
}

func (s *scripted) Advance(now time.Duration, report detect.Report) error {
	s.wake = nil
	return s.advance(now, report)
}

func (s *scripted) End(now time.Duration, report detect.Report) error {
	if s.end == nil {
		return nil
	}
	return s.end(now, report)
}

func on(id uint64, at time.Duration, host string) *event.Event {
	return &event.Event{ID: id, Time: at, Host: host, Source: event.SysmonProcess.Source}
}

func find(rule string) func(time.Duration, *event.Event, detect.Report) error {
	return func(_ time.Duration, e *event.Event, report detect.Report) error {
		report(detect.Finding{RuleID: rule, Severity: severity.High, Confidence: 0.5, Evidence: []uint64{e.ID}})
		return nil
	}
}

func stage(t *testing.T, members ...Member) *Sentinel {
	t.Helper()
	v := inventory.New([]inventory.Host{{Name: "WS1", IP: "10.0.0.1", Zone: "users"}}, nil)
	s, err := New(Options{Members: members, Inventory: v, Uniform: func(string, uint64) float64 { return 0.5 }})
	require.NoError(t, err)
	return s
}

func TestARepeatedAlertIsSuppressedForAWhile(t *testing.T) {
	s := stage(t, Member{Name: "d", Detector: &scripted{inspect: find("r")}})
	count := func(at time.Duration, host string) int {
		raised, err := s.Inspect(at, at, on(1, at, host))
		require.NoError(t, err)
		return len(raised)
	}
	require.Equal(t, 1, count(0, "WS1"))
	require.Equal(t, 0, count(10*time.Minute-1, "WS1"))
	require.Equal(t, 1, count(5*time.Minute, "WS2"), "another host")
	require.Equal(t, 1, count(10*time.Minute, "WS1"))
	require.Equal(t, 0, count(9*time.Minute, "WS1"), "a clock that was set back does not alert every time")
	require.Equal(t, 0, count(8*time.Minute, "WS1"))
	require.Equal(t, 1, count(20*time.Minute, "WS1"))
}

func TestEachDetectorHasItsOwnQueue(t *testing.T) {
	quick := Member{Name: "quick", Detector: &scripted{inspect: find("q")}}
	slow := Member{Name: "slow", Detector: &scripted{inspect: find("s")}, Service: queue.Config{Mean: 20 * time.Second, Servers: 1, Waiting: 1}}
	s := stage(t, quick, slow)
	var quickly, slowly []time.Duration
	for i := range 4 {
		raised, err := s.Inspect(0, time.Second, on(uint64(i), time.Duration(i)*time.Hour, "WS1"))
		require.NoError(t, err)
		for _, a := range raised {
			if a.Detector == "quick" {
				quickly = append(quickly, a.Raised)
			} else {
				slowly = append(slowly, a.Raised)
			}
		}
	}
	require.Equal(t, []time.Duration{time.Second, time.Second, time.Second, time.Second}, quickly, "nobody waits for the slow one")
	require.Len(t, slowly, 2, "one in service, one waiting, two dropped")
	require.Greater(t, slowly[1], slowly[0])
	require.Equal(t, 2, s.Dropped())
}

func TestFindingsMayComeLateAndNameTheirOwnEntities(t *testing.T) {
	wake := time.Hour
	d := &scripted{wake: &wake, advance: func(_ time.Duration, report detect.Report) error {
		report(detect.Finding{RuleID: "beacon", Severity: severity.Medium, EventTime: 50 * time.Minute, Evidence: []uint64{7}, Entities: &alert.Entities{Host: "WS1", Zone: "users", Destination: "203.0.113.5"}})
		return nil
	}, end: func(now time.Duration, report detect.Report) error {
		report(detect.Finding{RuleID: "last", Severity: severity.Low, EventTime: now, Entities: &alert.Entities{Host: "WS1"}})
		return nil
	}}
	s := stage(t, Member{Name: "d", Detector: d})
	at, ok := s.NextWake()
	require.True(t, ok)
	require.Equal(t, time.Hour, at)
	raised, err := s.Advance(30 * time.Minute)
	require.NoError(t, err)
	require.Empty(t, raised, "not due yet")
	raised, err = s.Advance(time.Hour)
	require.NoError(t, err)
	require.Len(t, raised, 1)
	require.Equal(t, "203.0.113.5", raised[0].Destination)
	require.Equal(t, 50*time.Minute, raised[0].EventTime)
	require.Equal(t, time.Hour, raised[0].Raised)
	_, ok = s.NextWake()
	require.False(t, ok)
	raised, err = s.End(2 * time.Hour)
	require.NoError(t, err)
	require.Equal(t, "last", raised[0].RuleID)
}

func TestADetectorThatFailsIsNamed(t *testing.T) {
	broken := errors.New("no answer")
	s := stage(t, Member{Name: "remote", Detector: &scripted{inspect: func(time.Duration, *event.Event, detect.Report) error { return broken }}})
	_, err := s.Inspect(0, 0, on(1, 0, "WS1"))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "detector remote")
}

func TestAlertsAreCountedBySeverityAndCostByDetector(t *testing.T) {
	reg := prometheus.NewRegistry()
	clock := time.Duration(0)
	s, err := New(Options{Members: []Member{{Name: "d", Version: "3", Detector: &scripted{inspect: find("r")}}}, Registry: reg,
		Uniform: func(string, uint64) float64 { return 0 }, Clock: func() time.Duration { clock += time.Millisecond; return clock }})
	require.NoError(t, err)
	for i := range 2 * costSample {
		_, err := s.Inspect(0, 0, on(uint64(i), 0, "WS1"))
		require.NoError(t, err)
	}
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Equal(t, "sentinel_detections_total", families[1].GetName())
	require.Equal(t, 1.0, families[1].GetMetric()[0].GetCounter().GetValue(), "one alert, the others repeat it")
	require.Equal(t, []Cost{{"d", "3", 2 * costSample * time.Millisecond}}, s.Costs(), "a sample stands for the others")
	_, err = New(Options{Registry: reg})
	require.Error(t, err, "metrics are registered once")
}

func TestKindsAreFoundByNameAndBuiltInOrder(t *testing.T) {
	_, err := KindByName("tea")
	require.ErrorContains(t, err, `unknown detector "tea"; accepted: `)
	names := map[string]bool{}
	for _, k := range Kinds() {
		require.NotEmpty(t, k.Name)
		require.NotEmpty(t, k.Version, k.Name)
		require.NotEmpty(t, k.Doc, k.Name)
		require.False(t, names[k.Name], k.Name)
		names[k.Name] = true
	}
	chosen := DefaultKinds()
	chosen[0], chosen[1] = chosen[1], chosen[0]
	_, err = Build(chosen, detect.Env{})
	require.ErrorContains(t, err, "detector sigma: the detector sigma needs rules")
	members, err := Build(chosen[1:], detect.Env{Inventory: inventory.New(nil, nil)})
	require.NoError(t, err)
	require.Equal(t, "reflex", members[0].Name)
}

// TestAFloodFromManyAddressesIsCut holds that one rule about one host is passed on so often an hour,
// whoever the alerts come from, and that others are not touched.
func TestAFloodFromManyAddressesIsCut(t *testing.T) {
	s, err := New(Options{AlertRate: 3, Uniform: func(string, uint64) float64 { return 0.5 }, Members: []Member{{Name: "d", Detector: &scripted{
		inspect: func(_ time.Duration, e *event.Event, report detect.Report) error {
			report(detect.Finding{RuleID: "guess", Severity: severity.Medium, Evidence: []uint64{e.ID},
				Entities: &alert.Entities{Host: e.Host, SourceIP: e.Value(event.SourceIp)}})
			return nil
		}}}}})
	require.NoError(t, err)
	count := func(host string, at time.Duration) (n int) {
		for i := range 10 {
			e := on(uint64(i+1), at+time.Duration(i)*time.Minute, host)
			e.Set(event.SourceIp, "203.0.113."+string(rune('0'+i)))
			raised, err := s.Inspect(e.Time, e.Time, e)
			require.NoError(t, err)
			n += len(raised)
		}
		return n
	}
	require.Equal(t, 3, count("a", 0))
	require.Equal(t, 3, count("b", 0), "another host")
	require.Equal(t, 3, count("a", 2*time.Hour), "another hour")
}
