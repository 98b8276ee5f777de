package profile

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/sim/role"
	"hemostat/sim/severity"
)

// tactics are those of a small library.
var tactics = map[string]string{
	"T1566.001": "initial-access", "T1059.001": "execution", "T1018": "discovery", "T1021.002": "lateral-movement",
	"T1486": "impact", "T1567.002": "exfiltration", "T1560.001": "collection", "T1110.001": "credential-access",
}

func raised(at time.Duration, technique string, host string) *alert.Alert {
	a := &alert.Alert{Raised: at, Severity: severity.High, RuleID: technique, Entities: alert.Entities{Host: host}}
	if technique != "" {
		a.Techniques = []string{technique}
	}
	return a
}

// day is a day of an attack that is alerted at every step, and of a false alarm.
func day(scenario, goal string, skill float64, techniques ...string) Day {
	d := Day{Scenario: scenario, Attacks: []Attack{{Goal: goal, Type: "t-" + goal, Skill: skill}}}
	for i, t := range techniques {
		at := time.Duration(i+1) * 10 * time.Minute
		host := fmt.Sprint("H", i/2)
		d.Attacks[0].Steps = append(d.Attacks[0].Steps,
			Step{At: at, Ended: at + time.Minute, Technique: t, Host: host, Role: "workstation", Blocked: i > 3})
		d.Alerts = append(d.Alerts, Alert{Alert: raised(at+time.Minute, t, host), At: at + time.Minute, Incident: 1,
			Attack: 1, Actions: max(0, i-3)})
	}
	d.Alerts = append(d.Alerts, Alert{Alert: raised(time.Hour, "T1018", "X"), At: time.Hour, Incident: 2})
	return d
}

func library() []Day {
	var days []Day
	for i := range 6 {
		days = append(days,
			day(fmt.Sprint("ransom", i%3), "encrypt", 0.2, "T1566.001", "T1059.001", "T1018", "T1021.002", "T1486"),
			day(fmt.Sprint("theft", i%3), "exfiltrate", 0.9, "T1566.001", "T1059.001", "T1560.001", "T1567.002"),
			day(fmt.Sprint("guess", i%3), "control", 0.5, "T1110.001", "T1110.001", "T1110.001", "T1110.001"),
		)
	}
	return days
}

func learned(t testing.TB) *Knowledge {
	k, err := Fit(library(), tactics, Facts{Groups: [][]string{{"T1566.001", "T1059.001", "T1486"},
		{"T1566.001", "T1567.002"}}}, "a test")
	require.NoError(t, err)
	return k
}

func see(k *Knowledge, techniques ...string) *filter {
	f := newFilter(k)
	for i, x := range techniques {
		f.observe(raised(time.Duration(i)*10*time.Minute, x, fmt.Sprint("H", i/2)))
	}
	return f
}

func p(shares []Share, name string) float64 {
	for _, s := range shares {
		if s.Name == name {
			return s.P
		}
	}
	return 0
}

func TestTheForecastFollowsWhatWasSeen(t *testing.T) {
	k := learned(t)
	f := see(k, "T1566.001", "T1059.001", "T1018").forecast(time.Hour, newEstate(k, nil))
	require.Equal(t, "T1021.002", f.Techniques[0].Name)
	require.Greater(t, f.Techniques[0].P, 0.5)
	require.Equal(t, "T1110.001", see(k, "T1110.001", "T1110.001").forecast(time.Hour,
		newEstate(k, nil)).Techniques[0].Name)
	sum := 0.0
	for _, v := range f.all {
		require.Positive(t, v, "nothing is impossible")
		sum += v
	}
	require.InDelta(t, 1, sum, 1e-6)
	require.Equal(t, f.Techniques[0].P, f.Probability("T1021.002"))
	require.Zero(t, f.Probability("T9999"))
}

func TestTheBrierScore(t *testing.T) {
	f := Forecast{names: []string{"a", "b"}, all: []float64{0.8, 0.2}}
	require.InDelta(t, 0.08, f.Brier("a"), 1e-12)
	require.InDelta(t, 1.28, f.Brier("b"), 1e-12)
	require.InDelta(t, 1.68, f.Brier("c"), 1e-12, "what cannot be forecast had the probability 0")
}

func TestTheBeliefMovesWithTheEvidence(t *testing.T) {
	k := learned(t)
	early, late := see(k, "T1566.001").belief(0), see(k, "T1566.001", "T1059.001", "T1560.001").belief(0)
	require.Greater(t, p(late.Goals, "exfiltrate"), p(early.Goals, "exfiltrate"))
	require.Equal(t, "exfiltrate", late.Goals[0].Name)
	require.Equal(t, "t-exfiltrate", late.Types[0].Name)
	require.Equal(t, "collection", late.Stages[0].Name)
	require.Greater(t, late.Real, see(k, "T1018").belief(0).Real, "what is often a false alarm says less")
	one := 0.0
	for _, s := range late.Goals {
		one += s.P
	}
	require.InDelta(t, 1, one, 1e-9)
	require.Equal(t, see(k, "T1018", "T1018", "T1018").logGoal, see(k, "T1018").logGoal,
		"repetition is no new evidence")
}

func TestAwarenessFollowsWhatTheResponseDid(t *testing.T) {
	k := learned(t)
	f := see(k, "T1566.001", "T1059.001")
	before := f.belief(0).Aware
	f.acts()
	require.Greater(t, f.belief(0).Aware, before)
}

func TestSilenceEndsAnAttack(t *testing.T) {
	f := see(learned(t), "T1566.001")
	require.Equal(t, 1.0, f.belief(0).Active)
	require.InDelta(t, 0.5, f.belief(activeHalfLife).Active, 1e-9)
}

func TestTargets(t *testing.T) {
	k := learned(t)
	v := inventory.New([]inventory.Host{
		{Name: "H0", Zone: "clients", Role: role.Workstation}, {Name: "H1", Zone: "clients", Role: role.Workstation},
		{Name: "H2", Zone: "servers", Role: role.FileServer}, {Name: "H3", Zone: "servers",
			Role: role.DomainController},
	}, nil)
	targets := see(k, "T1566.001", "T1059.001", "T1018").targets(newEstate(k, v))
	sum := 0.0
	for _, x := range targets {
		sum += x.P
	}
	require.InDelta(t, 1, sum, 1e-9)
	require.Len(t, targets, 4)
	f := see(k, "T1566.001", "T1059.001", "T1018").forecast(0, newEstate(k, v))
	require.Equal(t, "servers", nextZone(f, "clients", v))
	require.Zero(t, f.TargetProbability("nowhere"))
}

func TestAMergedIncidentKnowsWhatBothKnew(t *testing.T) {
	k := learned(t)
	profiler := New(k, nil)
	profiler.Observe(0, 1, raised(0, "T1566.001", "A"))
	profiler.Observe(time.Minute, 2, raised(time.Minute, "T1560.001", "B"))
	profiler.Merged(2, 1)
	f := profiler.Observe(2*time.Minute, 1, raised(2*time.Minute, "T1567.002", "C"))
	require.Equal(t, "exfiltrate", f.Belief.Goals[0].Name)
	require.Len(t, profiler.filters[1].history, 3)
	require.Nil(t, profiler.filters[2])
	require.Same(t, f, profiler.latest[1])
	profiler.Ended(1)
	require.Empty(t, profiler.filters)
}

func TestIncidentsAreBounded(t *testing.T) {
	profiler := New(learned(t), nil)
	for i := range maxIncidents + 50 {
		profiler.Observe(time.Duration(i), i+1, raised(time.Duration(i), "T1018", "A"))
	}
	require.Len(t, profiler.filters, maxIncidents)
	require.Nil(t, profiler.filters[1], "the one that was quiet the longest is forgotten")
	f := see(learned(t), "T1018")
	for range 3 * maxHistory {
		f.observe(raised(0, "T1018", "A"))
	}
	require.Len(t, f.history, maxHistory)
}

func TestAdvice(t *testing.T) {
	profiler := New(learned(t), inventory.New(nil, nil))
	require.Equal(t, Advice{Weight: 1}, profiler.Advise(1, "clients", Acts{true, true, true}), "nothing is known yet")
	profiler.Observe(0, 1, raised(0, "T1018", "A"))
	require.Equal(t, watchWeight, profiler.Advise(1, "clients", Acts{Watch: true}).Weight)
	for i, x := range []string{"T1566.001", "T1059.001", "T1021.002", "T1486"} {
		profiler.Observe(time.Duration(i), 1, raised(time.Duration(i), x, "A"))
	}
	require.Equal(t, destructionWeight, profiler.Advise(1, "clients", Acts{Isolation: true}).Weight)
	require.Equal(t, 1.0, profiler.Advise(1, "clients", Acts{}).Weight)
}

func TestKnowledgeIsWrittenAndRead(t *testing.T) {
	k := learned(t)
	text, err := json.Marshal(k)
	require.NoError(t, err)
	read, err := Read(text)
	require.NoError(t, err)
	require.Equal(t, see(k, "T1566.001", "T1059.001").techniques(), see(read, "T1566.001", "T1059.001").techniques())
	again, err := json.Marshal(learned(t))
	require.NoError(t, err)
	require.Equal(t, string(text), string(again), "equal days give equal knowledge")

	for text, want := range map[string]string{
		`[`:                                    "no knowledge of attackers",
		`{"format":"x"}`:                       "hemostat train profile makes one",
		`{"format":"` + knowledgeFormat + `"}`: "names no techniques",
		`{"format":"` + knowledgeFormat + `","tactics":{"T1":"x"},"goals":{"none":1},"weights":{"any":[1]}}`: "7 weights",
	} {
		_, err := Read([]byte(text))
		require.ErrorContains(t, err, want)
	}
	_, err = Fit([]Day{{Scenario: "s"}}, tactics, Facts{}, "")
	require.ErrorContains(t, err, "more days are needed")
}

func TestForecastsBeatATableAndAChainOnWhatWasLeftOut(t *testing.T) {
	by, all, err := Evaluate(library(), tactics, Facts{})
	require.NoError(t, err)
	require.Len(t, by, 9)
	require.Less(t, all.LogLoss, all.FrequencyLogLoss)
	require.Less(t, all.LogLoss, all.FirstOrderLogLoss)
	require.GreaterOrEqual(t, all.Top3, all.FrequencyTop3)
	require.Equal(t, [3]int{2, 0, 3}, top3([]float64{0.3, 0.1, 0.4, 0.2}))
}

func TestTheEmbeddedKnowledgeIsWhole(t *testing.T) {
	k, err := Embedded()
	require.NoError(t, err)
	require.Greater(t, len(k.techniques), 100)
	require.NotEmpty(t, k.Weights[anySituation])
	require.Equal(t, k.place("T1059.001"), k.place("T1059.001"))
	require.Equal(t, len(k.techniques), k.place("T9999"))
}

// BenchmarkUpdate takes an alert in and forecasts, with the embedded knowledge and an estate
// of 240 hosts; the target is 100 µs.
func BenchmarkUpdate(b *testing.B) {
	k, err := Embedded()
	require.NoError(b, err)
	var hosts []inventory.Host
	for i := range 240 {
		hosts = append(hosts, inventory.Host{Name: fmt.Sprint("WS", i), Zone: "clients", Role: role.Workstation})
	}
	profiler := New(k, inventory.New(hosts, nil))
	for i := range 40 {
		profiler.Observe(0, 1, raised(time.Duration(i)*time.Minute, k.techniques[i%len(k.techniques)], hosts[i].Name))
	}
	a := raised(time.Hour, "T1021.002", "WS7")
	b.ResetTimer()
	for b.Loop() {
		profiler.Observe(time.Hour, 1, a)
	}
}
