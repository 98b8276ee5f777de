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
	"hemostat/defenders/detect"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
	"hemostat/defenders/reflex"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/action"
	"hemostat/sim/event"
	"hemostat/sim/severity"
	"hemostat/sim/stage"
)

func rules(t testing.TB) *sigma.Engine {
	t.Helper()
	r, err := sentinel.LoadRules([]string{"embedded"})
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
	h, log := &hand{}, &seen{}
	p, err := New(Config{Listener: log.listener(), Inventory: estate(), Detectors: embedded(t), Actuator: h})
	require.NoError(t, err)
	h.p = p
	for i := range 12 {
		at := time.Duration(i) * time.Second
		p.Event(at, refused(uint64(i+1), at, "203.0.113.7"))
		p.Advance(at)
	}
	require.Len(t, h.did, 1)
	require.Equal(t, action.RateLimit, h.did[0].Kind)
	require.Equal(t, "203.0.113.7", h.did[0].Target.Value)
	var titles []string
	for _, a := range log.alerts {
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
	certain := func(now time.Duration, indicator string) bool {
		return indicator == "203.0.113.9" || indicator == "bad.example" || indicator == "late.example" && now >= time.Hour
	}
	p, err := New(Config{Inventory: estate(), Actuator: h, Detectors: []sentinel.Member{{Name: "reflex", Detector: reflex.New(reflex.Options{}, detect.Env{Inventory: estate(), Certain: certain})}}})
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
	require.Equal(t, action.BlockIP, h.did[0].Kind)
	require.Equal(t, action.SinkholeDomain, h.did[1].Kind)

	late := &event.Event{ID: 4, Source: event.ZeekSSL.Source}
	late.Set(event.ServerName, "late.example")
	p.Event(time.Minute, late)
	p.Advance(time.Minute)
	require.Len(t, h.did, 2, "nobody knows it yet")
	late.Time = 2 * time.Hour
	p.Event(2*time.Hour, late)
	p.Advance(2 * time.Hour)
	require.Equal(t, "late.example", h.did[2].Target.Value, "an indicator that becomes known later reaches the reflex")
}

func TestServiceTimesMakeLatencyAndFullQueuesDrop(t *testing.T) {
	var done []time.Duration
	ingested := func(_ *event.Event, at time.Duration) { done = append(done, at) }
	p, err := New(Config{Services: Services{Ingest: queue.Config{Mean: time.Second, Servers: 1, Waiting: 3}}, Listener: Listener{Ingested: ingested}})
	require.NoError(t, err)
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

// finding is a detector that finds something in every event.
type finding struct{ severity severity.Severity }

func (f finding) Inspect(_ time.Duration, e *event.Event, report detect.Report) error {
	report(detect.Finding{RuleID: fmt.Sprint("r", e.ID), Title: "t", Techniques: []string{"T1021.002"}, Severity: f.severity, Confidence: 0.9, Evidence: []uint64{e.ID}})
	return nil
}

// always is a member that finds something of severity high in every event.
func always() []sentinel.Member {
	return []sentinel.Member{{Name: "test", Detector: finding{severity.High}}}
}

// embedded are the detectors with the embedded rules; they take no time.
func embedded(t testing.TB) []sentinel.Member {
	t.Helper()
	members, err := sentinel.Build(sentinel.DefaultKinds(), detect.Env{Inventory: estate(), Rules: rules(t)})
	require.NoError(t, err)
	for i := range members {
		members[i].Service = queue.Config{}
	}
	return members
}

// seen is what a pipeline's listener was told.
type seen struct {
	alerts  []*RaisedAlert
	stages  []*incident.StageTime
	actions []*response.ActionRecord
	ended   []*incident.Incident
}

func (s *seen) listener() Listener {
	return Listener{
		Alert:         func(a *RaisedAlert) { s.alerts = append(s.alerts, a) },
		Stage:         func(x *incident.StageTime) { s.stages = append(s.stages, x) },
		IncidentEnded: func(_ time.Duration, in *incident.Incident) { s.ended = append(s.ended, in) },
		Response:      response.Listener{ActionRequested: func(_ time.Duration, a *response.ActionRecord) { s.actions = append(s.actions, a) }},
	}
}

func on(id uint64, at time.Duration, host string) *event.Event {
	return &event.Event{ID: id, Time: at, Observed: at, Host: host, Source: event.SysmonProcess.Source}
}

func TestCascadeAmplifiesWithinItsBudgetAndRestorationUndoes(t *testing.T) {
	h, log := &hand{}, &seen{}
	p, err := New(Config{Listener: log.listener(), Inventory: estate(), Detectors: always(), Actuator: h, Policy: response.Policy{Approval: "none"},
		Cascade: cascade.Options{Shape: 2, Isolate: 5, Budget: 0.5}, Restoration: incident.RestorationOptions{Quiet: 10 * time.Minute}})
	require.NoError(t, err)
	h.p = p
	kinds := func() (out []string) {
		for _, a := range log.actions {
			out = append(out, fmt.Sprint(a.Request.Kind, " ", a.Target))
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
	require.Zero(t, p.engine.Active())
	restored := map[int]bool{}
	for _, s := range log.stages {
		if s.Stage == stage.Restoration {
			restored[s.Incident] = true
		}
	}
	require.Len(t, restored, 2)
}

func TestMetricsHaveTheirExactNamesAndPipelinesDoNotCollide(t *testing.T) {
	for range 2 {
		reg := prometheus.NewRegistry()
		p, err := New(Config{Inventory: estate(), Detectors: always(), Playbooks: books(t), Registry: reg})
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
	return []*response.Playbook{{ID: "p", Steps: []response.Step{{ID: "a", Action: "block_ip", With: map[string]any{"source_ip": "203.0.113.9"}, Risk: action.Medium,
		HOTL: &response.HOTL{Required: true, Timeout: time.Minute, OnTimeout: "deny"}}}}}
}

// BenchmarkStep is one quiet event through the whole pipeline.
func BenchmarkStep(b *testing.B) {
	p, err := New(Config{Inventory: estate(), Detectors: embedded(b), Services: DefaultServices()})
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
		h, log := &hand{}, &seen{}
		books, err := response.Load(response.Embedded, response.EmbeddedDir, decode)
		require.NoError(rt, err)
		ask := &silent{}
		p, err := New(Config{Listener: log.listener(), Inventory: estate(), Detectors: always(), Actuator: h, Approver: ask, Playbooks: books,
			Cascade: cascade.Options{Shape: 2, Isolate: 5, Budget: 1}, Restoration: incident.RestorationOptions{Quiet: 20 * time.Minute}})
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
		for _, a := range log.actions {
			if spec := action.Must(a.Request.Kind); spec.Undo && a.Changed && spec.Disrupts != action.NoDisruption {
				require.NotNil(rt, a.Undone, "%s on %s of %s/%s is still in force", a.Request.Kind, a.Target, a.Playbook, a.Step)
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
			p, err := New(Config{Inventory: inventory.New(hosts, nil), Detectors: always(), Actuator: &hand{}, Approver: &silent{}, Playbooks: books})
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
	h, log := &hand{}, &seen{}
	p, err := New(Config{Listener: log.listener(), Inventory: estate(), Detectors: always(), Actuator: h, Policy: response.Policy{Approval: "none"},
		Cascade: cascade.Options{Shape: 2, Isolate: 5, Budget: 0.5}, Restoration: incident.RestorationOptions{Quiet: 10 * time.Minute, Check: 20 * time.Minute}})
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
	for _, a := range log.actions {
		if a.Playbook == "restoration_rollback" {
			back++
		}
	}
	require.Equal(t, 4, back, "and put in force again")
	for at := again; at < 4*time.Hour; at += 15 * time.Second {
		step(at)
	}
	require.Zero(t, p.engine.Active(), "in the end everything is taken back")
	var restored int
	for _, s := range log.stages {
		if s.Stage == stage.Restoration && s.Ended != nil {
			restored++
		}
	}
	require.Equal(t, 1, restored)
}

// A refused isolation takes its own zone back to shaped, and no other.
func TestARefusedIsolationLeavesOtherZonesAsTheyAre(t *testing.T) {
	h, ask := &hand{}, &silent{}
	p, err := New(Config{Inventory: estate(), Detectors: always(), Actuator: h, Approver: ask,
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
	require.Equal(t, cascade.Isolated, p.Incidents().ZoneLevel("users"))
	require.Equal(t, cascade.Throttled, p.Incidents().ZoneLevel("dmz"))
}
