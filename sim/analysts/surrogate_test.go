package analysts

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
)

// TestASurrogateErrsAtItsRates holds the shares over many patterns against the stated rates,
// whatever the correlation.
func TestASurrogateErrsAtItsRates(t *testing.T) {
	for _, correlation := range []float64{0, 0.7, 1} {
		c := DefaultSurrogate()
		c.Correlation = correlation
		s := NewSurrogate(c, 1, sim.NewStreams(1, 0))
		const patterns = 6000
		confirmed, dismissed := 0, 0
		for i := range patterns {
			if says, _ := s.Judge(fmt.Sprint("p", i), fmt.Sprint("p", i, "/h"), true); says {
				confirmed++
			}
			if says, _ := s.Judge(fmt.Sprint("p", i), fmt.Sprint("p", i, "/h"), false); !says {
				dismissed++
			}
		}
		require.InDelta(t, 0.797, float64(confirmed)/patterns, 0.02, "correlation %g", correlation)
		require.InDelta(t, 0.559, float64(dismissed)/patterns, 0.02, "correlation %g", correlation)
	}
}

func TestErrorsOfAPatternGoTogether(t *testing.T) {
	agree := func(correlation float64) float64 {
		c := DefaultSurrogate()
		c.Correlation = correlation
		n, same := 0, 0
		for i := range 400 {
			s := NewSurrogate(c, 1, sim.NewStreams(1, uint64(i)))
			pattern := fmt.Sprint("p", i)
			first, _ := s.Judge(pattern, pattern+"/a", false)
			for k := range 10 {
				n++
				if other, _ := s.Judge(pattern, fmt.Sprint(pattern, "/", k), false); other == first {
					same++
				}
			}
		}
		return float64(same) / float64(n)
	}
	require.Equal(t, 1.0, agree(1))
	require.Greater(t, agree(0.7), agree(0)+0.15)
	require.InDelta(t, 0.559*0.559+0.441*0.441, agree(0), 0.05)
}

func TestASurrogateErrsAlikeInEveryTrialAndTakesItsTime(t *testing.T) {
	c := DefaultSurrogate()
	c.Correlation, c.Latency = 1, sim.Fixed(3*time.Second)
	for i := range 50 {
		pattern := fmt.Sprint("p", i)
		one, latency := NewSurrogate(c, 7, sim.NewStreams(7, 1)).Judge(pattern, "a", true)
		two, _ := NewSurrogate(c, 7, sim.NewStreams(7, 2)).Judge(pattern, "b", true)
		require.Equal(t, one, two)
		require.Equal(t, 3*time.Second, latency)
	}
}
