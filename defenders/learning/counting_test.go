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
	people := func(f func(*event.Event) error) error {
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
			for range 30 {
				if err := people(f); err != nil {
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

func TestNumbersWithinWindowsAreCounted(t *testing.T) {
	var r row
	ended := map[int][]int{}
	end := func(w, n int) { ended[w] = append(ended[w], n) }
	for i, x := range []struct {
		at   time.Duration
		most [2]int // since the window was empty
	}{
		{0, [2]int{1, 1}}, {4, [2]int{2, 2}}, {9, [2]int{3, 3}}, {12, [2]int{3, 4}}, {40, [2]int{1, 5}}, {41, [2]int{2, 6}},
		{39, [2]int{3, 7}}, {70, [2]int{1, 7}},
	} {
		r.add(x.at*time.Minute, end)
		require.Equal(t, x.most, r.most, i)
	}
	require.Equal(t, map[int][]int{0: {3, 3}}, ended, "a number is over when nothing came for the window")
	r.add(-24*time.Hour, end)
	require.Equal(t, [2]int{1, 1}, r.most, "another day")
	require.Equal(t, map[int][]int{0: {3, 3, 1}, 1: {7}}, ended)
	for i := range 10_000 {
		r.add(time.Duration(i)*time.Second, end)
	}
	require.LessOrEqual(t, len(r.times), mostTimes)
	require.Equal(t, [2]int{601, 3601}, r.most)
}
