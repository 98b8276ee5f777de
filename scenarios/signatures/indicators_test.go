package signatures

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders/fusion/indicator"
	"hemostat/sim/event"
	"hemostat/sim/record"
)

// seen is an event of a day.
type seen struct {
	at     time.Duration
	host   string
	attack int
	fields map[string]string
}

// dayOf is a day with one confirmed incident about WS1 at noon, and these events.
func dayOf(index int, events ...seen) *Day {
	noon := int64(12 * time.Hour)
	t := &record.Trial{
		Scenario: "s", Index: index, Horizon: int64(24 * time.Hour), Entities: []record.Entity{{Kind: "host", Name: "ws1.corp.example"}},
		Incidents: []record.Incident{{Incident: 1, Campaign: 1, Score: 0.9, First: noon, Last: noon}},
		Alerts:    []record.Alert{{Incident: 1, Host: "WS1", EventTime: noon, Time: noon}},
	}
	return &Day{Trial: t, Events: func(f func(*record.StoredEvent) error) error {
		for i, x := range events {
			e := &event.Event{ID: uint64(i + 1), Time: x.at, Host: x.host}
			for name, value := range x.fields {
				e.SetName(name, value)
			}
			if err := f(&record.StoredEvent{Event: e, Attack: x.attack}); err != nil {
				return err
			}
		}
		return nil
	}}
}

func asking(name string) map[string]string { return map[string]string{"QueryName": name} }

// TestIndicatorsAreWhatOnlyIncidentsName holds what becomes an indicator, and what it is measured by.
func TestIndicatorsAreWhatOnlyIncidentsName(t *testing.T) {
	noon := 12 * time.Hour
	learn := []*Day{
		dayOf(0,
			seen{noon, "WS1", 1, asking("Evil.Example.com.")},
			seen{noon, "WS1", 1, asking("www.shared.com")},
			seen{noon, "WS1", 1, asking("ws1.corp.example")},
			seen{noon, "WS1", 1, map[string]string{"id.resp_h": "10.0.0.9"}},
			seen{noon, "WS1", 1, map[string]string{"id.resp_h": "198.51.100.7", "Hashes": "MD5=00,SHA256=" + sum, "Company": "-"}},
			seen{noon, "WS1", 1, map[string]string{"Hashes": "SHA256=" + vendor, "Company": "Microsoft Corporation"}},
			seen{noon + 5*time.Minute, "WS1", 0, asking("beside.example.net")}, // no alert is about it
			seen{2 * time.Hour, "WS2", 0, asking("www.shared.com")},
		),
		dayOf(1, seen{noon, "WS1", 1, asking("evil.example.com")}),
	}
	held := []*Day{dayOf(2,
		seen{time.Hour, "WS3", 1, asking("evil.example.com")},
		seen{time.Hour, "WS3", 0, asking("evil.example.com")},
		seen{time.Hour, "WS4", 0, map[string]string{"id.resp_h": "198.51.100.7"}},
	)}
	got, err := Indicators(context.Background(), learn, held, Options{})
	require.NoError(t, err)
	require.Len(t, got, 3)
	byValue := map[string]*Indicator{}
	for _, i := range got {
		byValue[i.Value] = i
	}
	evil, address, hash := byValue["evil.example.com"], byValue["198.51.100.7"], byValue[sum]
	require.NotNil(t, evil)
	require.NotNil(t, address)
	require.NotNil(t, hash)
	assert.Equal(t, []string{"s/0#1", "s/1#1"}, evil.Campaigns)
	assert.Equal(t, [2]int{1, 0}, [2]int{evil.True, evil.False}, "one host, on which an attack was behind it")
	assert.Equal(t, [2]int{0, 1}, [2]int{address.True, address.False})
	assert.InDelta(t, 0.75, evil.confidence(), 1e-9)
	assert.InDelta(t, 1./3, address.confidence(), 1e-9)

	on := time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	ioc := evil.IOC("learned", on, 0)
	assert.Equal(t, "2026-11-30T00:00:00Z", ioc.Context[indicator.ValidUntil], "three half-lives of 90 days")
	ioc = evil.IOC("learned", on, time.Hour)
	assert.Equal(t, "2026-03-05T01:00:00Z", ioc.Context[indicator.ValidUntil])
	hash.Campaigns = nil
	assert.Zero(t, hash.confidence())
}

const (
	sum    = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
	vendor = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
)

func TestWhatIsInterruptedLearnsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Indicators(ctx, []*Day{dayOf(0)}, nil, Options{})
	require.ErrorIs(t, err, context.Canceled)
}
