package fusion

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/inventory"
	"hemostat/sim/event"
	"hemostat/sim/role"
	"hemostat/sim/severity"
)

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func estate(n int) *inventory.Inventory {
	var hosts []inventory.Host
	for i := range n {
		hosts = append(hosts, inventory.Host{Name: fmt.Sprintf("WS%04d", i), IP: fmt.Sprintf("10.20.%d.%d", i/250, i%250+1),
			Zone: "users", Role: role.Workstation, Criticality: 1})
	}
	return inventory.New(hosts, []inventory.Account{{Name: "adm01", Privilege: "domain_admin"}, {Name: "mira", Privilege: "user"}})
}

// Correlation of nothing: without alerts nothing is joined, explained, or invented, and an
// alert that names nothing stands alone.
func TestCorrelationOfNothing(t *testing.T) {
	f, err := New(Options{Inventory: estate(3)})
	require.NoError(t, err)
	threat := f.Explain(1, epoch, nil)
	assert.Empty(t, threat.Alerts)
	assert.Empty(t, threat.Narrative)
	assert.Empty(t, threat.AttackGraph.Nodes)
	assert.Empty(t, threat.AttackGraph.RootCause)
	assert.Equal(t, []int{1}, threat.Incidents)
	assert.NotNil(t, threat.IOCs, "an empty list, and not null")

	nothing := &alert.Alert{ID: 1, RuleID: "r"}
	e := f.Enrich(0, nothing)
	assert.Empty(t, e.Keys)
	assert.Empty(t, e.Sightings)
	l, changed := f.Correlate(0, 1, 0, nothing, &e)
	assert.True(t, changed)
	assert.Zero(t, l.Earlier)
	assert.Zero(t, l.Score)
	again := &alert.Alert{ID: 2, RuleID: "other"}
	e = f.Enrich(0, again)
	l, _ = f.Correlate(time.Hour, 2, 0, again, &e)
	assert.Zero(t, l.Earlier, "what shares nothing is not one campaign")
	assert.Equal(t, []int{2}, f.Explain(2, epoch, nil).Incidents)
}

// fixed is a source with one entry.
type fixed struct {
	name, value string
	err         error
	actors      []string
}

func (s *fixed) Name() string { return s.name }
func (s *fixed) Lookup(_ time.Duration, i Indicator) (Hit, bool, error) {
	if s.err != nil {
		return Hit{}, false, s.err
	}
	if i.Value != s.value {
		return Hit{}, false, nil
	}
	return Hit{Source: s.name, Confidence: 0.8, Actors: s.actors,
		Known: indicator.IOC{Value: "203.0.113.0/24", Type: indicator.CIDR}}, true, nil
}

// A source that fails costs its own answer only; the incident says what was missing.
func TestWhatWasMissingIsSaid(t *testing.T) {
	registry := prometheus.NewRegistry()
	facts, err := attribution.Embedded()
	require.NoError(t, err)
	clock := time.Duration(0)
	f, err := New(Options{Inventory: estate(3), Registry: registry, Actors: facts,
		Clock:   func() time.Duration { clock += time.Microsecond; return clock },
		Sources: []Source{&fixed{name: "good", value: "203.0.113.7"}, &fixed{name: "down", err: errors.New("no route")}}})
	require.NoError(t, err)
	a := &alert.Alert{ID: 7, RuleID: "r", Title: "Logon From Outside", Techniques: []string{"T1078"}, Severity: severity.High,
		Confidence: 0.7, Entities: alert.Entities{Host: "WS0001", SourceIP: "203.0.113.7", User: "mira"}}
	e := f.Enrich(0, a)
	require.Len(t, e.Sightings, 1)
	assert.Equal(t, []string{"down"}, e.Missing)
	assert.Equal(t, 0.8, e.Confidence)
	f.Correlate(0, 1, 0.7, a, &e)
	threat := f.Explain(1, epoch, nil)
	assert.Equal(t, []string{"down"}, threat.MissingSources)
	assert.Contains(t, fmt.Sprint(threat.Narrative), "The answers of down were missing.")
	assert.Contains(t, fmt.Sprint(threat.Narrative), "203.0.113.7 is known to good.")
	require.Len(t, threat.IOCs, 1)
	assert.Equal(t, "203.0.113.7", threat.IOCs[0].Value)
	assert.Equal(t, "good", threat.IOCs[0].Context["known_by"])
	assert.NotEmpty(t, threat.Actors)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP threat_enrichments_total Alerts enriched.
# TYPE threat_enrichments_total counter
threat_enrichments_total 1
# HELP threat_intel_source_queries_total Questions to threat-intelligence sources, by how they ended.
# TYPE threat_intel_source_queries_total counter
threat_intel_source_queries_total{source="down",status="error"} 1
threat_intel_source_queries_total{source="good",status="hit"} 1
`), "threat_enrichments_total", "threat_intel_source_queries_total"))
	n, err := testutil.GatherAndCount(registry, "threat_enrichment_seconds", "threat_correlation_score")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}

// An entry that alerts of a quarter of the estate have in common says nothing, and is refused.
func TestAnEntryThatMatchesHalfTheNetworkIsRefused(t *testing.T) {
	registry := prometheus.NewRegistry()
	f, err := New(Options{Inventory: estate(100), Registry: registry, Sources: []Source{&fixed{name: "wide", value: "203.0.113.7"}}})
	require.NoError(t, err)
	hits := 0
	for i := range 40 {
		a := &alert.Alert{RuleID: "r", Entities: alert.Entities{Host: fmt.Sprintf("WS%04d", i), Destination: "203.0.113.7"}}
		e := f.Enrich(0, a)
		hits += len(e.Sightings)
		assert.Empty(t, e.Missing)
	}
	assert.Equal(t, 24, hits, "the 25th host is a quarter")
	metric, err := registry.Gather()
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprint(metric), "too_broad")
}

// asker answers for servers, one of which is too slow.
type asker struct{}

func (asker) Ask(list []Indicator) []Answer {
	var out []Answer
	for _, i := range list {
		out = append(out, Answer{Source: "slow", Indicator: i, Status: StatusTimeout},
			Answer{Source: "old", Indicator: i, Status: StatusStale, Hits: []Hit{{Source: "old", Confidence: 0.4}}})
	}
	return out
}

func TestServersAreAskedToo(t *testing.T) {
	f, err := New(Options{Inventory: estate(3), Asker: asker{}})
	require.NoError(t, err)
	e := f.Enrich(0, &alert.Alert{Entities: alert.Entities{Destination: "203.0.113.9"}})
	assert.Equal(t, []string{"old", "slow"}, e.Missing, "an old answer is used, and marked")
	require.Len(t, e.Sightings, 1)
	assert.Equal(t, "old", e.Sightings[0].Source)
}

// Without an inventory, events tell which host had an address, which account an identifier is,
// and who signed in from where.
func TestEntitiesAreResolvedFromEvents(t *testing.T) {
	f, err := New(Options{})
	require.NoError(t, err)
	make := func(s event.LogSource, host string, at time.Duration, fields map[string]string) *event.Event {
		e := &event.Event{Source: s, Host: host, Time: at}
		for k, v := range fields {
			e.SetName(k, v)
		}
		return e
	}
	f.Observe(make(event.LogSource{Category: "network_connection", Product: "windows"}, "WS7.corp.example", time.Hour,
		map[string]string{"Initiated": "true", "SourceIp": "10.1.2.3", "DestinationIp": "203.0.113.5"}))
	f.Observe(make(event.LogSource{Product: "windows", Service: "security"}, "DC1", time.Hour,
		map[string]string{"TargetUserSid": "S-1-5-21-1-2-3-1104", "TargetUserName": "mira"}))
	f.Observe(make(event.LogSource{Product: "azure", Service: "signinlogs"}, "", time.Hour,
		map[string]string{"UserPrincipalName": "joan@corp.example", "ipAddress": "198.51.100.4"}))
	a := &alert.Alert{EventTime: 2 * time.Hour, Entities: alert.Entities{Host: "DC1", SourceIP: "10.1.2.3",
		UserSID: "S-1-5-21-1-2-3-1104"}}
	e := f.Enrich(2*time.Hour, a)
	assert.Equal(t, "WS7", a.Source)
	assert.Equal(t, "mira", a.User)
	assert.Equal(t, "WS7", e.InsideSource)
	assert.Empty(t, e.OutsideSource)
	assert.ElementsMatch(t, []string{"host DC1", "host WS7", "account mira"}, e.Keys)

	late := &alert.Alert{EventTime: 40 * time.Hour, Entities: alert.Entities{Host: "DC1", SourceIP: "10.1.2.3"}}
	f.Enrich(40*time.Hour, late)
	assert.Empty(t, late.Source, "the lease is over: the address may be another's")

	cloud := &alert.Alert{EventTime: 3 * time.Hour, Entities: alert.Entities{SourceIP: "198.51.100.4"}}
	f.Enrich(3*time.Hour, cloud)
	assert.Equal(t, "joan", cloud.User)
	f.Observe(make(event.LogSource{Product: "azure", Service: "signinlogs"}, "", 4*time.Hour,
		map[string]string{"UserPrincipalName": "paul@corp.example", "ipAddress": "198.51.100.4"}))
	shared := &alert.Alert{EventTime: 5 * time.Hour, Entities: alert.Entities{SourceIP: "198.51.100.4"}}
	f.Enrich(5*time.Hour, shared)
	assert.Empty(t, shared.User, "an address that several use tells nobody")

	guessed := f.Enrich(time.Hour, &alert.Alert{Techniques: []string{"T1110.001"},
		Entities: alert.Entities{User: "zoe", SourceIP: "192.0.2.9"}})
	assert.Equal(t, []string{"address 192.0.2.9"}, guessed.Keys, "a name that is guessed relates nothing")
}

// What is kept of an incident is bounded, and repetition is not kept.
func TestStoriesAreBounded(t *testing.T) {
	s := newStories()
	for i := range 3000 {
		s.add(1, 0.5, &alert.Alert{ID: i, RuleID: fmt.Sprint(i % 1000)}, &Enrichment{})
	}
	assert.Len(t, s.observations(1), maxStory)
	s.add(2, 0.9, &alert.Alert{ID: 1, RuleID: "x"}, &Enrichment{Missing: []string{"feed"}})
	s.merge(2, 1)
	assert.Len(t, s.observations(1), maxStory)
	assert.Equal(t, 0.9, s.byIncident[1].score)
	assert.Equal(t, []string{"feed"}, s.byIncident[1].missing)
	assert.Empty(t, s.observations(2))
	s.forget(1)
	assert.Empty(t, s.observations(1))
}

func TestActorsAreReadFromTags(t *testing.T) {
	assert.Equal(t, []string{"APT29", "G0016", "x"},
		ActorsIn([]string{`misp-galaxy:threat-actor="APT29"`, "tlp:red", "actor:G0016", "threat-actor: x"}))
}

// BenchmarkFusion enriches and correlates alerts with 5,000 open incidents, which share hosts,
// accounts and rules at random; alerts/s is for one core.
func BenchmarkFusion(b *testing.B) {
	set := indicator.NewSet(0)
	for i := range 1000 {
		if err := set.Add(&indicator.IOC{Value: fmt.Sprintf("198.51.%d.%d", i/250, i%250+1), Type: indicator.IPv4,
			Source: "f", Confidence: 0.5}); err != nil {
			b.Fatal(err)
		}
	}
	techniques := []string{"T1059.001", "T1110.001", "T1078", "T1021.002", "T1003.001", "T1486", "T1566.001", "T1018"}
	for b.Loop() {
		f, err := New(Options{Inventory: estate(5000), Sources: []Source{NewFileSource("f", set, epoch)}})
		if err != nil {
			b.Fatal(err)
		}
		const n = 100_000
		began := time.Now()
		for i := range n {
			in := i*7919%5000 + 1
			a := &alert.Alert{ID: i, RuleID: fmt.Sprint("rule ", i*31%400), Techniques: techniques[i%8 : i%8+1], Severity: severity.Medium,
				Confidence: 0.6, EventTime: time.Duration(i) * time.Second / 4,
				Entities: alert.Entities{Host: fmt.Sprintf("WS%04d", in-1), User: "mira",
					SourceIP: fmt.Sprintf("198.51.%d.%d", i%40, i%250+1)}}
			e := f.Enrich(a.EventTime, a)
			f.Correlate(a.EventTime, in, 0.6, a, &e)
		}
		b.ReportMetric(n/time.Since(began).Seconds(), "alerts/s")
	}
}

func BenchmarkExplain(b *testing.B) {
	f, err := New(Options{Inventory: estate(250)})
	require.NoError(b, err)
	for i := range 100 {
		a := &alert.Alert{ID: i, RuleID: fmt.Sprint(i), Techniques: []string{"T1021.002"}, Severity: severity.High, Confidence: 0.6,
			EventTime: time.Duration(i) * time.Minute, Entities: alert.Entities{Host: fmt.Sprintf("WS%04d", i%50),
				Source: fmt.Sprintf("WS%04d", i*7%50), User: "adm01"}}
		e := f.Enrich(a.EventTime, a)
		f.Correlate(a.EventTime, 1, 0.6, a, &e)
	}
	b.ResetTimer()
	for b.Loop() {
		if g := f.Graph(1, epoch); g.RootCause() == nil || len(g.Cut().Nodes) == 0 {
			b.Fatal("nothing was found")
		}
	}
}
