package narrative

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/inventory"
	"hemostat/sim/role"
	"hemostat/sim/severity"
)

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func incident() *Case {
	v := inventory.New([]inventory.Host{{Name: "WS1", IP: "10.0.0.1", Zone: "users", Role: role.Workstation, Criticality: 1},
		{Name: "WS2", IP: "10.0.0.2", Zone: "users", Role: role.Workstation, Criticality: 1},
		{Name: "DC1", IP: "10.0.0.3", Zone: "servers", Role: role.DomainController, Criticality: 9}},
		[]inventory.Account{{Name: "adm", Privilege: "domain_admin"}})
	alerts := []alert.Alert{
		{ID: 3, Title: "Office Starts A Shell", EventTime: 0, Techniques: []string{"T1566.001"}, Severity: severity.Medium, Confidence: 0.6,
			Entities: alert.Entities{Host: "WS1", User: "mira", Destination: "203.0.113.7"}},
		{ID: 5, Title: "Administrator Logon", EventTime: time.Hour, Techniques: []string{"T1021.002"},
			Severity: severity.High, Confidence: 0.8,
			Entities: alert.Entities{Host: "WS2", User: "adm", Source: "WS1", SourceIP: "10.0.0.1"}},
	}
	var list []attackgraph.Observation
	for i := range alerts {
		list = append(list, attackgraph.Observation{Alert: &alerts[i]})
	}
	doc := attackgraph.New(v, epoch, list).Document(map[string]float64{"DC1": 0.7})
	return &Case{Epoch: epoch, Alerts: alerts, Graph: &doc, Confidence: 0.93, Missing: []string{"vendor"},
		Known:    []Known{{Value: "203.0.113.7", Source: "feed", Alerts: []int{3}}},
		Suspects: []attribution.Suspect{{Actor: "affiliate", Probability: 0.7, Because: []string{"technique T1566.001"}}}}
}

func TestANarrative(t *testing.T) {
	var text []string
	about := map[string]bool{}
	for _, s := range Write(incident()) {
		text = append(text, s.Text)
		about[s.About] = true
	}
	assert.Equal(t, []string{
		`It began at 08:00:00 with the alert "Office Starts A Shell" on WS1 about the user mira.`,
		`The root cause is the host WS1.`,
		`2 hosts are involved: WS1, WS2.`,
		`The way to what matters most led from WS1 to WS2.`,
		`The techniques that were alerted are T1566.001, T1021.002.`,
		`The most serious alert, of severity high, is "Administrator Logon" on WS2 about the user adm from 10.0.0.1 at 09:00:00.`,
		`Its detector is 80 % sure of it.`,
		`All alerts together make it 93 % sure that the incident is real.`,
		`The last of 2 alerts came at 09:00:00.`,
		`203.0.113.7 is known to feed.`,
		`The answers of vendor were missing.`,
		`It looks like affiliate, with a probability of 70 %, because of technique T1566.001.`,
		`After the last alert the likeliest next hosts are DC1 (70 %).`,
		`Taking away the outside address 203.0.113.7, the host WS2 would stop it.`,
	}, text)
	for _, part := range []string{"what", "where", "when", "certainty", "who", "next", "stop", "missing"} {
		assert.True(t, about[part], part)
	}
}

var names = regexp.MustCompile(`\b(?:WS\d|T\d{4}(?:\.\d{3})?|\d+\.\d+\.\d+\.\d+|mira|adm)\b`)

// Every sentence rests on alerts of the incident, and names nothing that these do not have;
// only what is forecast may be new.
func TestEverySentenceIsBackedByItsAlerts(t *testing.T) {
	c := incident()
	byID := map[int]*alert.Alert{}
	for i := range c.Alerts {
		byID[c.Alerts[i].ID] = &c.Alerts[i]
	}
	for _, s := range Write(c) {
		require.NotEmpty(t, s.Alerts, s.Text)
		var known []string
		for _, id := range s.Alerts {
			a := byID[id]
			require.NotNil(t, a, s.Text)
			known = append(append(known, a.Techniques...), a.Host, a.User, a.Source, a.SourceIP, a.Destination)
		}
		for _, name := range names.FindAllString(s.Text, -1) {
			assert.Contains(t, known, name, s.Text)
		}
	}
}

func TestAnIncidentOfLittle(t *testing.T) {
	assert.Empty(t, Write(&Case{}))
	one := Write(&Case{Epoch: epoch, Alerts: []alert.Alert{{ID: 1, Title: "a\x1b[2J\u202eb"}}})
	require.Len(t, one, 2)
	for _, s := range one {
		assert.NotContains(t, s.Text, "\x1b")
		assert.NotContains(t, s.Text, "\u202e")
	}
	unknown := incident()
	unknown.Suspects = []attribution.Suspect{{Actor: attribution.Unknown, Probability: 0.6}}
	var text []string
	for _, s := range Write(unknown) {
		text = append(text, s.Text)
	}
	assert.Contains(t, strings.Join(text, " "), "Who is behind it is not known.")
	unknown.Alerts[1].EventTime = 30 * time.Hour
	assert.Contains(t, Write(unknown)[0].Text, "2026-03-02 08:00:00", "several days have dates")
	unknown.Confidence = 0.9999
	assert.NotContains(t, strings.Join(text, " "), "100 %")
}
