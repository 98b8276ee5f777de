package analysts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
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
	// d' 1.9 is 83 % when rested; fatigue takes it down to 1.35, which is 75 %.
	require.InDelta(t, 0.755, float64(right)/4000, 0.03)
}

func TestModes(t *testing.T) {
	for mode, want := range map[string][2]bool{Oracle: {true, false}, Always: {true, true}, Never: {false, false}} {
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
