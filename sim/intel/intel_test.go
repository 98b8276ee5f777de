package intel

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
)

func TestCoverageAndDelay(t *testing.T) {
	var hostile []string
	for i := range 2000 {
		hostile = append(hostile, fmt.Sprint("h", i))
	}
	f := NewFeed(Config{Name: "f", Coverage: 0.4, Delay: sim.Fixed(time.Hour), Errors: 1, Confidence: 0.7}, sim.NewStreams(1, 1), hostile, []string{"good"})
	count := func(at time.Duration) int {
		n := 0
		for _, h := range hostile {
			c, ok, err := f.Lookup(at, h)
			require.NoError(t, err)
			if ok {
				require.Equal(t, 0.7, c)
				n++
			}
		}
		return n
	}
	require.InDelta(t, 400, count(0), 60)
	require.InDelta(t, 800, count(2*time.Hour), 80)
	_, wrong, err := f.Lookup(0, "good")
	require.NoError(t, err)
	require.True(t, wrong)
}

// An entry expires its own time after it became known, and what is down answers nothing.
func TestExpiryAndOutage(t *testing.T) {
	f := NewFeed(Config{Name: "f", Coverage: 1, Delay: sim.Fixed(time.Hour), Expiry: sim.Fixed(3 * time.Hour), Confidence: 0.7,
		Outage: Outage{After: 2 * time.Hour, For: 30 * time.Minute}}, sim.NewStreams(1, 1), []string{"a", "b", "c", "d"}, nil)
	f.Each(func(indicator string, since, until time.Duration) {
		require.Equal(t, since+3*time.Hour, until)
		for _, at := range []time.Duration{since, until - 1} {
			_, known, err := f.Lookup(at, indicator)
			if at >= 2*time.Hour && at < 150*time.Minute {
				require.ErrorIs(t, err, errDown)
				continue
			}
			require.NoError(t, err)
			require.True(t, known)
		}
		_, known, err := f.Lookup(until, indicator)
		require.NoError(t, err)
		require.False(t, known)
	})
	_, _, err := f.Lookup(2*time.Hour, "anything")
	require.ErrorIs(t, err, errDown)
	_, _, err = f.Lookup(150*time.Minute, "anything")
	require.NoError(t, err)
}
