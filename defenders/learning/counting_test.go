package learning

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
)

// asked is a request at a web server.
func asked(id int, at time.Duration, from, path, status string) *event.Event {
	e := &event.Event{ID: uint64(id), Time: at, Host: "web1", Source: event.LogSource{Category: "webserver"}}
	e.SetName("c-ip", from)
	e.SetName("cs-uri-stem", path)
	e.SetName("sc-status", status)
	return e
}

// probing makes days on which people now and then ask for what is not there, and incidents in which
// somebody looks for what is, slowly or fast.
func probing(incidents, most int) Material {
	people := func(day int, f func(*event.Event) error) error {
		for i := range 300 {
			path, status := fmt.Sprintf("/page%c%c", 'a'+rune(i%26), 'a'+rune(i/26)), "200"
			if i%5 == 0 {
				status = "404"
			}
			at := time.Duration(i) * 90 * time.Second
			if err := f(asked(i+1, at, fmt.Sprintf("198.51.100.%d", 1+(i/most)%40), path, status)); err != nil {
				return err
			}
		}
		return nil
	}
	return Material{
		Days: 30,
		Incidents: func(f func(*Incident) error) error {
			for n := range incidents {
				in := &Incident{Name: fmt.Sprintf("day/%d#1", n)}
				for i := range 14 {
					gap := time.Duration(5+30*(n%2)) * time.Second
					in.Events = append(in.Events, Sighting{Technique: "T1595.002",
						Event: asked(1000+i, time.Hour+time.Duration(i)*gap, fmt.Sprintf("203.0.113.%d", n), fmt.Sprintf("/%c%c%c%d", 'a'+rune(n), 'k'+rune(i), 'q'-rune(i), n), "404")})
				}
				if err := f(in); err != nil {
					return err
				}
			}
			return nil
		},
		Ordinary: func(f func(*event.Event) error) error {
			for day := range 30 {
				if err := people(day, f); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func TestNumbersAreLearned(t *testing.T) {
	m := probing(8, 3)
	found, err := Learn(context.Background(), m, Options{})
	require.NoError(t, err)
	require.Len(t, found, 1)
	s := found[0]
	require.NotNil(t, s.count)
	require.Equal(t, "c-ip", s.count.group)
	require.GreaterOrEqual(t, s.count.least, fewest)
	require.LessOrEqual(t, s.count.least, 14, "the slowest of them is seen")
	require.Len(t, s.Incidents, 8)
	require.Equal(t, "T1595.002", s.Technique)
	require.Contains(t, s.Title(), "404")

	matches := func(events [][]byte) (n int) {
		matcher := compiled(t, s).NewMatcher()
		for _, line := range events {
			var x struct {
				ID     int   `json:"id"`
				Time   int64 `json:"time_ns"`
				Fields map[string]string
			}
			require.NoError(t, json.Unmarshal(line, &x))
			e := asked(x.ID, time.Duration(x.Time), x.Fields["c-ip"], x.Fields["cs-uri-stem"], x.Fields["sc-status"])
			matcher.Match(e, func(m sigma.Match) {
				require.NotNil(t, m.Rule.Correlation, "the base keeps silent")
				n++
			})
		}
		return n
	}
	require.Positive(t, matches(s.Fires))
	require.NotEmpty(t, s.NearMisses)
	require.Zero(t, matches(s.NearMisses))
	again, err := Learn(context.Background(), probing(8, 3), Options{})
	require.NoError(t, err)
	require.Equal(t, found, again)
}

func TestWhatPeopleDoInNumbersTooIsNotLearned(t *testing.T) {
	m := probing(8, 3)
	ordinary := m.Ordinary
	m.Ordinary = func(f func(*event.Event) error) error {
		for day := range 30 {
			for i := range 20 { // a link that is broken for somebody every day
				if err := f(asked(i+1, time.Duration(i)*10*time.Second, fmt.Sprintf("198.51.100.%d", 50+day), "/old", "404")); err != nil {
					return err
				}
			}
		}
		return ordinary(f)
	}
	found, err := Learn(context.Background(), m, Options{})
	require.NoError(t, err)
	for _, s := range found {
		require.Nil(t, s.count, s.Title())
	}
}

func TestBurstsAreCounted(t *testing.T) {
	var b burst
	var ended []int
	end := func(n int) { ended = append(ended, n) }
	minute := time.Minute
	for _, x := range []struct {
		at   time.Duration
		want int
	}{{0, 1}, {4 * minute, 2}, {9 * minute, 3}, {12 * minute, 3}, {40 * minute, 1}, {41 * minute, 2}, {39 * minute, 3}} {
		require.Equal(t, x.want, b.add(x.at, 10*minute, end), x.at)
	}
	require.Equal(t, []int{3}, ended, "a burst is over when nothing came for the window")
	require.Equal(t, 1, b.add(time.Second-24*time.Hour, 10*minute, end), "another day")
	b.end(end)
	require.Equal(t, []int{3, 3, 1}, ended)
}
