package defenders

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"hemostat/defenders/cascade"
	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/defenders/reflex"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

func rules(t testing.TB) *sigma.Engine {
	t.Helper()
	r, err := sentinel.EmbeddedRules()
	require.NoError(t, err)
	e, err := sigma.Compile(r)
	require.NoError(t, err)
	return e
}

func estate() *inventory.Inventory {
	return inventory.New([]inventory.Host{
		{Name: "GATE", IP: "10.0.0.1", Zone: "dmz", Role: "ssh_gateway", Criticality: 5},
		{Name: "WS1", IP: "10.1.0.1", Zone: "users", Role: "workstation", Criticality: 1},
		{Name: "WS2", IP: "10.1.0.2", Zone: "users", Role: "workstation", Criticality: 1},
		{Name: "FS", IP: "10.2.0.1", Zone: "servers", Role: "file_server", Criticality: 20},
	}, []inventory.Account{{Name: "eve", Privilege: "user"}})
}

func refused(id uint64, at time.Duration, from string) *event.Event {
	e := &event.Event{ID: id, Time: at, Observed: at, Host: "GATE", Source: event.SSHD.Source}
	e.Set(event.User, "root")
	e.Set(event.SourceIp, from)
	e.Set(event.Action, "failed_password")
	return e
}

// hand is an actuator that has everything done at once.
type hand struct {
	p    *Pipeline
	did  []response.ActionRequest
	gone []int64
}

func (h *hand) Start(_ time.Duration, a response.ActionRequest) { h.did = append(h.did, a) }
func (h *hand) Observe(time.Duration, int64) bool               { return true }

func (h *hand) Undo(_ time.Duration, id int64) bool { h.gone = append(h.gone, id); return true }

func (h *hand) settle(now time.Duration) {
	for i := 0; i < len(h.did); i++ {
		h.p.ActionDone(now, h.did[i].ID, response.Result{OK: true, Changed: true, Detail: "done"})
	}
	h.did = h.did[:0]
}

func TestReflexReactsAtOnceAndDetectionFollows(t *testing.T) {
	h := &hand{}
	p, err := New(Config{Inventory: estate(), Detectors: []sentinel.Detector{sentinel.NewSigmaDetector(rules(t))}, Actuator: h})
	require.NoError(t, err)
	h.p = p
	for i := range 12 {
		at := time.Duration(i) * time.Second
		p.Event(at, refused(uint64(i+1), at, "203.0.113.7"))
		p.Advance(at)
	}
	require.Len(t, h.did, 1)
	require.Equal(t, "rate_limit", h.did[0].Kind)
	require.Equal(t, "203.0.113.7", h.did[0].Params["source_ip"])
	var titles []string
	for _, a := range p.Alerts {
		titles = append(titles, a.Title)
		require.Equal(t, 1, a.Incident, "alerts about one source are one incident")
		require.NotEmpty(t, a.Evidence)
		require.Equal(t, "203.0.113.7", a.SourceIP)
		require.Equal(t, "dmz", a.Zone)
	}
	require.Equal(t, []string{"Refused Passwords In Quick Succession", "SSH Brute Force From One Source"}, titles)
	h.settle(12 * time.Second)
	p.Advance(time.Hour)
	require.Len(t, h.gone, 1, "the limit ends with its ttl")
}

func TestReflexBlocksWhatIsCertainlyHostile(t *testing.T) {
	h := &hand{}
	p, err := New(Config{Inventory: estate(), Actuator: h, Reflex: reflex.Options{KnownBad: map[string]bool{"203.0.113.9": true, "bad.example": true}}})
	require.NoError(t, err)
	conn := &event.Event{ID: 1, Source: event.ZeekConn.Source}
	conn.Set(event.IDOrigHost, "10.1.0.1")
	conn.Set(event.IDRespHost, "203.0.113.9")
	tls := &event.Event{ID: 2, Source: event.ZeekSSL.Source}
	tls.Set(event.ServerName, "bad.example")
	for _, e := range []*event.Event{conn, tls, conn} {
		p.Event(0, e)
		p.Advance(0)
	}
	require.Len(t, h.did, 2)
	require.Equal(t, "block_ip", h.did[0].Kind)
	require.Equal(t, "sinkhole_domain", h.did[1].Kind)
}

func TestServiceTimesMakeLatencyAndFullQueuesDrop(t *testing.T) {
	p, err := New(Config{Services: Services{Ingest: Service{Mean: time.Second, Servers: 1, Queue: 3}}})
	require.NoError(t, err)
	var done []time.Duration
	p.OnIngested = func(_ *event.Event, at time.Duration) { done = append(done, at) }
	for i := range 10 {
		p.Event(0, refused(uint64(i+1), 0, "203.0.113.7"))
	}
	require.Len(t, done, 4, "one in service and three waiting")
	require.Equal(t, 6, p.Dropped())
	for i := 1; i < len(done); i++ {
		require.Greater(t, done[i], done[i-1], "first come, first served")
	}
	p.Event(time.Hour, refused(99, time.Hour, "203.0.113.7"))
	require.Len(t, done, 5, "the queue is empty again")
}

func TestStationWithSeveralServers(t *testing.T) {
	s := newStation(Service{Mean: time.Second, Servers: 2, Queue: 10})
	const half = 0.5
	one, _ := s.admit(0, half)
	two, _ := s.admit(0, half)
	three, _ := s.admit(0, half)
	require.Equal(t, one, two)
	require.Equal(t, 2*one, three)
}

type finding struct{ severity string }

func (finding) Name() string { return "test" }
func (f finding) Inspect(e *event.Event, found func(sentinel.Finding)) {
	found(sentinel.Finding{RuleID: fmt.Sprint("r", e.ID), Title: "t", Techniques: []string{"T1021.002"}, Severity: f.severity, Confidence: 0.9, Evidence: []uint64{e.ID}})
}

func on(id uint64, at time.Duration, host string) *event.Event {
	return &event.Event{ID: id, Time: at, Observed: at, Host: host, Source: event.SysmonProcess.Source}
}

func TestCascadeAmplifiesWithinItsBudgetAndRestorationUndoes(t *testing.T) {
	h := &hand{}
	p, err := New(Config{Inventory: estate(), Detectors: []sentinel.Detector{finding{"high"}}, Actuator: h, Policy: response.Policy{Approval: "none"},
		Cascade: cascade.Options{Shape: 2, Isolate: 5, Budget: 0.5}, Restoration: cascade.RestorationOptions{Quiet: 10 * time.Minute}})
	require.NoError(t, err)
	h.p = p
	kinds := func() (out []string) {
		for _, a := range p.Engine().Actions {
			out = append(out, a.Kind+" "+a.Target)
		}
		return out
	}
	for i := range 5 {
		at := time.Duration(i) * time.Second
		p.Event(at, on(uint64(i+1), at, "WS1"))
		p.Advance(at)
		h.settle(at)
	}
	require.Equal(t, []string{"deploy_honeypot WS1", "traffic_shaping users", "deploy_decoys users", "deploy_decoys servers", "zone_isolation users"}, kinds())
	for i := range 5 { // the servers are worth more than the budget
		at := time.Duration(10+i) * time.Second
		p.Event(at, on(uint64(i+20), at, "FS"))
		p.Advance(at)
		h.settle(at)
	}
	require.NotContains(t, kinds(), "zone_isolation servers")
	require.Contains(t, kinds(), "traffic_shaping servers")
	for at := 10 * time.Minute; at < time.Hour; at += 30 * time.Second {
		p.Advance(at)
		h.settle(at)
	}
	require.GreaterOrEqual(t, len(h.gone), 6, "quiet: everything is taken back")
	require.Zero(t, p.Engine().Active())
	restored := map[int]bool{}
	for _, s := range p.Stages {
		if s.Stage == "restoration" {
			restored[s.Incident] = true
		}
	}
	require.Len(t, restored, 2)
}

func TestAlertsAboutHubsStayApart(t *testing.T) {
	v := inventory.New([]inventory.Host{{Name: "DC", Zone: "servers", Role: "domain_controller"}, {Name: "WS1", Zone: "users", Role: "workstation"}}, []inventory.Account{{Name: "eve"}, {Name: "svc", Privilege: "service"}})
	f, err := fusion.New(fusion.Options{Inventory: v})
	require.NoError(t, err)
	add := func(at time.Duration, host, user string) int {
		in, _ := f.Add(at, sentinel.Alert{RuleID: fmt.Sprint(at), Confidence: 0.5, Severity: "high", Entities: sentinel.Entities{Host: host, User: user}})
		return in.ID
	}
	require.NotEqual(t, add(0, "DC", "svc"), add(1, "DC", "svc"), "controllers and service accounts relate everything to everything")
	one := add(2, "WS1", "eve")
	require.Equal(t, one, add(3, "DC", "eve"), "a person does")
	require.Equal(t, one, add(4, "WS1", ""))
	require.NotEqual(t, one, add(4*time.Hour, "WS1", ""), "after the window it is another incident")
	in := f.Incidents()[one-1]
	require.Greater(t, in.Score, 0.5)
	require.Less(t, in.Score, 1.0)
	require.Equal(t, 3, in.Count)
}

type feed map[string]float64

func (feed) Name() string { return "feed" }
func (f feed) Lookup(_ time.Duration, i fusion.Indicator) (fusion.Hit, bool, error) {
	if i.Value == "203.0.113.66" {
		return fusion.Hit{}, false, fmt.Errorf("the feed is down")
	}
	c, ok := f[i.Value]
	return fusion.Hit{Source: "feed", Confidence: c}, ok, nil
}

func TestIntelRaisesTheScoreAndIsCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	f, err := fusion.New(fusion.Options{Inventory: estate(), Sources: []fusion.Source{feed{"203.0.113.5": 0.8}}, Registry: reg})
	require.NoError(t, err)
	add := func(ip string) *fusion.Incident {
		in, _ := f.Add(0, sentinel.Alert{RuleID: "r", Confidence: 0.5, Entities: sentinel.Entities{Host: "GATE", SourceIP: ip}})
		return in
	}
	require.InDelta(t, 0.5, add("203.0.113.1").Score, 1e-9)
	require.InDelta(t, 0.9, add("203.0.113.5").Score, 1e-9)
	add("203.0.113.5")
	add("203.0.113.66")
	families, err := reg.Gather()
	require.NoError(t, err)
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "threat_intel_source_queries_total" {
			for _, m := range family.GetMetric() {
				counts[m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	require.Equal(t, map[string]float64{"miss": 1, "hit": 1, "cached": 1, "error": 1}, counts)
}

func TestMetricsHaveTheirExactNamesAndPipelinesDoNotCollide(t *testing.T) {
	for range 2 {
		reg := prometheus.NewRegistry()
		p, err := New(Config{Inventory: estate(), Detectors: []sentinel.Detector{finding{"high"}}, Playbooks: books(t), Registry: reg})
		require.NoError(t, err)
		p.Event(0, on(1, 0, "WS1"))
		p.Advance(24 * time.Hour)
		families, err := reg.Gather()
		require.NoError(t, err)
		got := map[string]bool{}
		for _, f := range families {
			got[f.GetName()] = true
		}
		for _, name := range []string{"response_playbooks_executed_total", "response_actions_executed_total", "response_hotl_requests_total", "response_execution_seconds",
			"threat_enrichments_total", "threat_correlation_score", "sentinel_detections_total", "sentinel_analysis_latency_seconds"} {
			require.True(t, got[name], name)
		}
	}
	_, err := New(Config{})
	require.NoError(t, err, "no registry means no metrics")
}

func books(t testing.TB) []*response.Playbook {
	t.Helper()
	return []*response.Playbook{{ID: "p", Steps: []response.Step{{ID: "a", Action: "block_ip", With: map[string]any{"source_ip": "203.0.113.9"}, Risk: response.Medium,
		HOTL: &response.HOTL{Required: true, Timeout: time.Minute, OnTimeout: "deny"}}}}}
}

// BenchmarkStep is one quiet event through the whole pipeline.
func BenchmarkStep(b *testing.B) {
	p, err := New(Config{Inventory: estate(), Detectors: []sentinel.Detector{sentinel.NewSigmaDetector(rules(b))}, Services: DefaultServices()})
	require.NoError(b, err)
	e := on(1, 0, "WS1")
	e.Set(event.Image, `c:\windows\system32\svchost.exe`)
	e.Set(event.CommandLine, `c:\windows\system32\svchost.exe -k netsvcs -p -s wuauserv`)
	e.Set(event.ParentImage, `c:\windows\system32\services.exe`)
	b.ReportAllocs()
	for i := range b.N {
		now := time.Duration(i) * 10 * time.Millisecond
		e.Time = now
		p.Event(now, e)
		p.Advance(now)
	}
}

// Whoever answers or does not, no zone stays isolated once the threat is gone, and
// nothing that was done for an incident is in force for ever.
func TestNothingStaysIsolatedForEver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := &hand{}
		books, err := response.Load(response.Embedded, response.EmbeddedDir, decode)
		require.NoError(rt, err)
		ask := &silent{}
		p, err := New(Config{Inventory: estate(), Detectors: []sentinel.Detector{finding{"high"}}, Actuator: h, Approver: ask, Playbooks: books,
			Cascade: cascade.Options{Shape: 2, Isolate: 5, Budget: 1}, Restoration: cascade.RestorationOptions{Quiet: 20 * time.Minute}})
		require.NoError(rt, err)
		h.p = p
		at := time.Duration(0)
		steps := rapid.SliceOfN(rapid.IntRange(0, 900), 3, 25).Draw(rt, "gaps")
		answers := rapid.SliceOfN(rapid.IntRange(0, 2), 200, 200).Draw(rt, "answers")
		settle := func() {
			p.Advance(at)
			h.settle(at)
			for len(ask.ids) > 0 {
				id := ask.ids[0]
				ask.ids = ask.ids[1:]
				if a := answers[id%len(answers)]; a < 2 {
					p.Answer(at, id, a == 0, "x")
					h.settle(at)
				}
			}
		}
		for i, gap := range steps {
			at += time.Duration(gap) * time.Second
			p.Event(at, on(uint64(i+1), at, rapid.SampledFrom([]string{"WS1", "WS2", "FS", "GATE"}).Draw(rt, "host")))
			settle()
		}
		for end := at + 48*time.Hour; at < end; at += 5 * time.Minute {
			settle()
		}
		for _, a := range p.Engine().Actions {
			if kind, _ := response.Kind(a.Kind); kind.Undo && a.Changed && kind.Disrupts != "" {
				require.NotNil(rt, a.Undone, "%s on %s of %s/%s is still in force", a.Kind, a.Target, a.Playbook, a.Step)
			}
		}
	})
}

// silent keeps the questions for the test to answer.
type silent struct{ ids []int }

func (s *silent) Ask(_ time.Duration, q response.ApprovalRequest) { s.ids = append(s.ids, q.ID) }

func decode(_ string, data []byte, into any) error { return yaml.Unmarshal(data, into) }

// BenchmarkOpenIncidents has a growing number of incidents open at once; the time
// of a further alert, through fusion, response, cascade and restoration, must not
// grow with them.
func BenchmarkOpenIncidents(b *testing.B) {
	for _, open := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(open), func(b *testing.B) {
			books, err := response.Load(response.Embedded, response.EmbeddedDir, decode)
			require.NoError(b, err)
			hosts := make([]inventory.Host, 200_000)
			for i := range hosts {
				hosts[i] = inventory.Host{Name: fmt.Sprintf("H%d", i), IP: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), Zone: fmt.Sprint("z", i%50), Role: "workstation", Criticality: 1}
			}
			p, err := New(Config{Inventory: inventory.New(hosts, nil), Detectors: []sentinel.Detector{finding{"high"}}, Actuator: &hand{}, Approver: &silent{}, Playbooks: books})
			require.NoError(b, err)
			n := 0
			raise := func() {
				n++
				at := time.Duration(n) * 10 * time.Millisecond
				p.Event(at, on(uint64(n), at, hosts[n%len(hosts)].Name))
				p.Advance(at)
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for range open {
				raise()
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportAllocs()
			for range b.N {
				raise()
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-open")
		})
	}
}

// When the bleeding starts again during the release, what was released is put in
// force again, and the waiting begins anew.
func TestRestorationRollsBackWhenItBleeds(t *testing.T) {
	h := &hand{}
	p, err := New(Config{Inventory: estate(), Detectors: []sentinel.Detector{finding{"high"}}, Actuator: h, Policy: response.Policy{Approval: "none"},
		Cascade: cascade.Options{Shape: 2, Isolate: 5, Budget: 0.5}, Restoration: cascade.RestorationOptions{Quiet: 10 * time.Minute, Check: 20 * time.Minute}})
	require.NoError(t, err)
	h.p = p
	step := func(at time.Duration) { p.Advance(at); h.settle(at) }
	for i := range 5 {
		at := time.Duration(i) * time.Second
		p.Event(at, on(uint64(i+1), at, "WS1"))
		step(at)
	}
	for at := time.Minute; at <= 12*time.Minute; at += 15 * time.Second {
		step(at)
	}
	require.Len(t, h.gone, 4, "the first stage is released: shaping and decoys")
	again := 13 * time.Minute
	p.Event(again, on(99, again, "WS1"))
	step(again)
	back := 0
	for _, a := range p.Engine().Actions {
		if a.Playbook == "restoration_rollback" {
			back++
		}
	}
	require.Equal(t, 4, back, "and put in force again")
	for at := again; at < 4*time.Hour; at += 15 * time.Second {
		step(at)
	}
	require.Zero(t, p.Engine().Active(), "in the end everything is taken back")
	var restored int
	for _, s := range p.Stages {
		if s.Stage == "restoration" && s.Ended != nil {
			restored++
		}
	}
	require.Equal(t, 1, restored)
}

// A refused isolation takes its own zone back to shaped, and no other.
func TestARefusedIsolationLeavesOtherZonesAsTheyAre(t *testing.T) {
	h, ask := &hand{}, &silent{}
	p, err := New(Config{Inventory: estate(), Detectors: []sentinel.Detector{finding{"high"}}, Actuator: h, Approver: ask,
		Cascade: cascade.Options{Shape: 2, Isolate: 5, Budget: 1}})
	require.NoError(t, err)
	h.p = p
	at, n := time.Duration(0), uint64(0)
	raise := func(host string) {
		for range 5 {
			n++
			at += time.Second
			p.Event(at, on(n, at, host))
			p.Advance(at)
			h.settle(at)
		}
	}
	raise("WS1")
	require.Len(t, ask.ids, 1)
	p.Answer(at, ask.ids[0], true, "x")
	h.settle(at)
	raise("GATE")
	require.Len(t, ask.ids, 2)
	p.Answer(at, ask.ids[1], false, "x")
	require.Equal(t, cascade.Isolated, p.cascade.Level("users"))
	require.Equal(t, cascade.Shaped, p.cascade.Level("dmz"))
}
