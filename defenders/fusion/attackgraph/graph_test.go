package attackgraph

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/inventory"
	"hemostat/sim/role"
	"hemostat/sim/severity"
)

var epoch = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// estate has workstations, a server and a domain controller.
func estate() *inventory.Inventory {
	return inventory.New(
		[]inventory.Host{
			{Name: "WS1", IP: "10.0.0.1", Zone: "users", Role: role.Workstation, Criticality: 1},
			{Name: "WS2", IP: "10.0.0.2", Zone: "users", Role: role.Workstation, Criticality: 1},
			{Name: "FS1", IP: "10.0.1.1", Zone: "servers", Role: role.FileServer, Criticality: 5},
			{Name: "DC1", IP: "10.0.1.2", Zone: "servers", Role: role.DomainController, Criticality: 10},
		},
		[]inventory.Account{{Name: "mira", Privilege: "user"}, {Name: "adm", Privilege: "domain_admin"}},
	)
}

// story is a phish from outside on WS1, a step to WS2 with an administrator's account, and
// one to the file server.
func story() []Observation {
	at := func(id int, minute int, level severity.Severity, technique string, x alert.Entities) Observation {
		return Observation{Alert: &alert.Alert{ID: id, RuleID: fmt.Sprint("r", id), Title: "t",
			EventTime:  time.Duration(minute) * time.Minute,
			Techniques: []string{technique}, Severity: level, Confidence: 0.8, Entities: x}}
	}
	first := at(1, 0, severity.High, "T1566.001", alert.Entities{Host: "WS1", User: "mira", Destination: "203.0.113.7"})
	first.Known = []indicator.IOC{{Value: "203.0.113.0/24", Type: indicator.CIDR, Source: "feed", Confidence: 0.9, Tags: []string{"c2"},
		Context: map[string]string{Asked: "203.0.113.7"}}}
	return []Observation{
		at(3, 20, severity.Critical, "T1021.002", alert.Entities{Host: "FS1", User: "adm", Source: "WS2", SourceIP: "10.0.0.2",
			FileHash: strings.Repeat("ab", 32)}),
		first,
		at(2, 10, severity.High, "T1021.002", alert.Entities{Host: "WS2", User: "adm", Source: "WS1", SourceIP: "10.0.0.1"}),
	}
}

func TestTheGraphTellsTheWay(t *testing.T) {
	g := New(estate(), epoch, story())
	d := g.Document(map[string]float64{"DC1": 0.6, "WS2": 0.3})
	assert.Equal(t, "host:WS1", d.RootCause)
	assert.Equal(t, []string{"host:WS1", "host:WS2", "host:FS1"}, d.CriticalPath)
	assert.Equal(t, []string{"FS1", "WS1", "WS2"}, d.BlastRadius.Hosts)
	assert.InDelta(t, 7.0/17, d.BlastRadius.Share, 1e-3)
	assert.Equal(t, 1, d.BlastRadius.InReach, "a domain administrator opens the domain controller")
	require.Len(t, d.Next, 1, "a host that is held already is no next one")
	assert.Equal(t, "DC1", d.Next[0].Host)
	require.Len(t, d.IOCs, 2)
	text, err := json.Marshal(d.IOCs[0])
	require.NoError(t, err)
	assert.JSONEq(t, `{"value":"203.0.113.7","ioc_type":"ipv4","first_seen":"2026-03-02T08:00:00Z","last_seen":"2026-03-02T08:00:00Z",
 "source":"hemostat","confidence":0.9,"tags":["c2"],"context":{"alerts":"1","known_by":"feed"}}`, string(text))
	assert.Contains(t, d.Relationships, Relationship{Source: "host:WS1", Target: "host:WS2", Type: Reaches,
		Confidence: 0.8, Evidence: []int{2},
		FirstSeen: epoch.Add(10 * time.Minute), LastSeen: epoch.Add(10 * time.Minute)})
	assert.Contains(t, d.Relationships, Relationship{Source: "alert:1", Target: "technique:T1566.001", Type: Shows,
		Confidence: 0.8, Evidence: []int{1},
		FirstSeen: epoch, LastSeen: epoch})
}

// The cheapest cut is the account where that is the only way on, and what else stays where
// there are others.
func TestTheCutStopsTheAttacker(t *testing.T) {
	names := func(c Cut) (out []string) {
		for _, n := range c.Nodes {
			out = append(out, n.Key())
		}
		return out
	}
	g := New(estate(), epoch, story())
	assert.ElementsMatch(t, []string{"address:203.0.113.7", "account:adm"}, names(g.Cut()),
		"the channel of WS1 is seen, and cheap to cut; WS2 and FS1 go on by the account")
	assert.InDelta(t, 2.2, g.Cut().Cost, 1e-9)
	assert.Equal(t, map[NodeKind][]string{AccountNode: {"adm"}, AddressNode: {"203.0.113.7"}}, func() map[NodeKind][]string {
		c := g.Cut()
		return c.Kinds()
	}())
	alone := New(estate(), epoch, story()[1:2])
	assert.Equal(t, []string{"address:203.0.113.7"}, names(alone.Cut()))
	quiet := story()[1]
	quiet.Alert.Severity = severity.Low
	assert.Empty(t, names(New(estate(), epoch, []Observation{quiet}).Cut()), "nothing calls for a response")
}

// Movement goes forward in time only: what happened before cannot be reached from what came
// after.
func TestMovementFollowsTime(t *testing.T) {
	step := func(id, minute int, from, to string) Observation {
		return Observation{Alert: &alert.Alert{ID: id, EventTime: time.Duration(minute) * time.Minute,
			Severity: severity.High, Confidence: 0.5,
			Entities: alert.Entities{Host: to, Source: from}}}
	}
	g := New(nil, epoch, []Observation{step(1, 10, "A", "B"), step(2, 5, "B", "C"), step(3, 20, "B", "D")})
	assert.Equal(t, "B", g.RootCause().Name, "A reaches B and D only, B reaches C and D")
	g = New(nil, epoch, []Observation{step(1, 10, "A", "B"), step(2, 15, "B", "C"), step(3, 20, "B", "D")})
	assert.Equal(t, "A", g.RootCause().Name)
}

func TestAGraphOfNothing(t *testing.T) {
	g := New(nil, epoch, nil)
	assert.Nil(t, g.RootCause())
	assert.Empty(t, g.criticalPath())
	assert.Empty(t, g.Cut().Nodes)
	assert.Empty(t, g.Next(nil))
	text, err := json.Marshal(g.Document(nil))
	require.NoError(t, err)
	assert.NotContains(t, string(text), "null")
	var svg, dot bytes.Buffer
	require.NoError(t, g.WriteSVG(&svg))
	require.NoError(t, g.WriteDOT(&dot))
	wellFormed(t, svg.String())
}

func wellFormed(t require.TestingT, text string) {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err, text)
	}
}

// Whatever alerts say, drawings are well formed, nothing of them becomes markup, and the graph
// stays within its bounds; the order in which alerts are given does not matter.
func TestAnyAlertsGiveASoundGraph(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "WS1", "WS2", "adm", "203.0.113.7",
		"<script>alert(1)</script>", "\"];x", "a\x1b[2J\u202e"}),
		rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		var list []Observation
		for i := range rapid.IntRange(0, 30).Draw(t, "n") {
			list = append(list, Observation{Alert: &alert.Alert{
				ID: i + 1, EventTime: time.Duration(rapid.IntRange(0, 5).Draw(t, "at")) * time.Minute,
				Severity:   severity.Severity(rapid.IntRange(0, 4).Draw(t, "severity")),
				Confidence: rapid.Float64Range(0, 1).Draw(t, "confidence"),
				Techniques: []string{text.Draw(t, "technique")},
				Entities: alert.Entities{Host: text.Draw(t, "host"), User: text.Draw(t, "user"), Source: text.Draw(t, "source"),
					SourceIP: text.Draw(t, "ip"), Destination: text.Draw(t, "destination"), Domain: text.Draw(t,
						"domain"), FileHash: text.Draw(t, "hash")},
			}})
		}
		g := New(estate(), epoch, list)
		var svg, dot bytes.Buffer
		if err := errors.Join(g.WriteSVG(&svg), g.WriteDOT(&dot)); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, svg.String())
		if strings.Contains(svg.String(), "<script") {
			t.Fatal("a script in the drawing")
		}
		for _, line := range strings.Split(dot.String(), "\n") {
			if strings.Count(strings.ReplaceAll(strings.ReplaceAll(line, `\\`, ""), `\"`, ""), `"`)%2 != 0 {
				t.Fatalf("an open quote: %s", line)
			}
		}
		one, err := json.Marshal(g.Document(nil))
		if err != nil {
			t.Fatal(err)
		}
		reversed := append([]Observation(nil), list...)
		for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
			reversed[i], reversed[j] = reversed[j], reversed[i]
		}
		two, err := json.Marshal(New(estate(), epoch, reversed).Document(nil))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Fatalf("the order matters:\n%s\n%s", one, two)
		}
	})
}

func TestTheGraphIsBounded(t *testing.T) {
	var list []Observation
	for i := range 2000 {
		list = append(list, Observation{Alert: &alert.Alert{ID: i, EventTime: time.Duration(i),
			Entities: alert.Entities{Host: fmt.Sprint("H", i), Source: fmt.Sprint("S", i)}}})
	}
	g := New(nil, epoch, list)
	assert.Len(t, g.nodes, maxNodes)
	assert.LessOrEqual(t, len(g.edges), maxEdges)
	assert.Positive(t, g.LeftOut)
	assert.Equal(t, 2000, g.Alerts)
	assert.Nil(t, g.byKey["host:H1999"])
	require.NoError(t, g.WriteSVG(io.Discard))
}
