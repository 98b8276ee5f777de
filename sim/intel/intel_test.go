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
			if c, ok := f.Lookup(at, h); ok {
				require.Equal(t, 0.7, c)
				n++
			}
		}
		return n
	}
	require.InDelta(t, 400, count(0), 60)
	require.InDelta(t, 800, count(2*time.Hour), 80)
	_, wrong := f.Lookup(0, "good")
	require.True(t, wrong)
}
