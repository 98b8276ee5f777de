package analysts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/severity"
)

var epoch = time.Date(2026, 3, 3, 8, 0, 0, 0, time.UTC)

type answered struct {
	at       time.Duration
	approved bool
}

func ask(t *testing.T, c Config, n int, justified bool, load int) map[int]answered {
	t.Helper()
	var e sim.Engine
	got := map[int]answered{}
	s := New(&e, sim.NewStreams(1, 1), epoch, c, func(now time.Duration, id int, ok bool, _ string) bool {
		got[id] = answered{now - time.Duration(id)*time.Hour, ok}
		return true
	})
	for i := range n {
		e.Schedule(time.Duration(i)*time.Hour, sim.HandlerFunc(func(now time.Duration) {
			for range load {
				s.Triage(now, "alert")
			}
			s.Ask(now, Question{ID: i, Role: "tier1", Key: "k", Confidence: 0.5, Justified: justified, Deadline: now + 10*time.Hour})
		}), 0)
	}
	e.Run(time.Duration(n+10) * time.Hour)
	return got
}

func TestVerdictsHaveTheAccuracyThatDPrimeSays(t *testing.T) {
	c := Default()
	c.Tier1 = 50
	right := 0
	for _, justified := range []bool{true, false} {
		got := ask(t, c, 2000, justified, 0)
		for _, a := range got {
			if a.approved == justified {
				right++
			}
		}
	}
	// d' 1.9 is 83 % when rested; a day's work takes a little of it.
	require.InDelta(t, 0.82, float64(right)/4000, 0.03)
}

func TestModes(t *testing.T) {
	for mode, want := range map[string][2]bool{oracle: {true, false}, always: {true, true}, never: {false, false}} {
		for i, justified := range []bool{true, false} {
			c := Default()
			c.Mode = mode
			got := ask(t, c, 5, justified, 0)
			require.Len(t, got, 5)
			require.Equal(t, want[i], got[0].approved, mode)
			require.Equal(t, time.Second, got[0].at, mode)
		}
	}
}

func median(got map[int]answered) time.Duration {
	var all []time.Duration
	for _, a := range got {
		all = append(all, a.at)
	}
	for i := range all {
		for j := range all {
			if all[i] < all[j] {
				all[i], all[j] = all[j], all[i]
			}
		}
	}
	return all[len(all)/2]
}

func TestFloodsAndNightsDelayAnswers(t *testing.T) {
	c := Default()
	c.ShiftFrom, c.ShiftTo = 0, 0
	quiet := ask(t, c, 200, true, 0)
	flooded := ask(t, c, 200, true, 6)
	require.Greater(t, median(flooded), median(quiet)+time.Minute)
	c.ShiftFrom, c.ShiftTo = 3, 4 // so that nearly every question comes outside the shift
	night := ask(t, c, 200, true, 0)
	require.Greater(t, median(night), median(quiet)+5*time.Minute)
	c = Default()
	c.Tier1 = 0
	nobody := ask(t, c, 5, true, 0)
	require.Empty(t, nobody)
}

// The roster decides who is there: by night one person on call takes longer, and
// what waits at the change of shift is taken up then.
func TestARosterMakesNightsSlow(t *testing.T) {
	c := Default()
	c.Roster = []ShiftSlot{{Role: "tier1", From: 8, To: 18, People: 2}}
	mean := func(from, to int) time.Duration {
		sum, n := time.Duration(0), 0
		for id, a := range ask(t, c, 72, true, 0) {
			if hour := (8 + id) % 24; hour >= from && hour < to {
				sum += a.at
				n++
			}
		}
		require.Positive(t, n)
		return sum / time.Duration(n)
	}
	require.Greater(t, mean(0, 6), 2*mean(9, 17))
	c.Roster = []ShiftSlot{{Role: "tier2", From: 8, To: 18, People: 2}}
	require.Empty(t, ask(t, c, 3, true, 0), "a role that the roster does not name does not exist")
}

// Pressure and fatigue make verdicts worse, never better than the bound.
func TestPressureAndFatigueCostAccuracy(t *testing.T) {
	right := func(from, load int) float64 {
		c := Default()
		c.Decision, c.Triage, c.ShiftFrom, c.ShiftTo = sim.Fixed(time.Second), sim.Fixed(time.Hour), from, from
		c.Tier1 = 1
		n, good := 600, 0
		for i := range n {
			justified := i%2 == 0
			s := New(&sim.Engine{}, sim.NewStreams(uint64(i), 1), epoch, c, nil)
			d := s.queues["tier1"]
			for range load {
				d.waiting = append(d.waiting, job{})
				d.recent = append(d.recent, 0)
			}
			luck := s.streams.Stream("x", "y")
			if s.verdict(time.Minute, d, Question{Confidence: 0.5, Justified: justified}, luck.Normal()) == justified {
				good++
			}
		}
		return float64(good) / float64(n)
	}
	fresh, tired := right(8, 0), right(8, 15)
	require.InDelta(t, 0.83, fresh, 0.04)
	require.Less(t, tired, fresh-0.02)
}

func TestTheMoreSevereQuestionGoesFirst(t *testing.T) {
	c := Default()
	c.Tier1, c.Notice, c.Decision, c.Triage = 1, sim.Fixed(time.Second), sim.Fixed(time.Minute), sim.Fixed(time.Minute)
	var e sim.Engine
	var order []int
	s := New(&e, sim.NewStreams(1, 1), epoch, c, func(_ time.Duration, id int, _ bool, _ string) bool {
		order = append(order, id)
		return true
	})
	s.Triage(0, "busy")
	for id, priority := range []severity.Severity{1, 3, 2, 3} {
		s.Triage(0, "more")
		s.Ask(0, Question{ID: id, Role: "tier1", Key: string(rune('a' + id)), Priority: priority, Confidence: 0.5, Deadline: time.Hour})
	}
	e.Run(time.Hour)
	require.Equal(t, []int{1, 3, 2, 0}, order)
}
