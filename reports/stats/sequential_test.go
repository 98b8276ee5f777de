package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Under the hypothesis the mean of strata lies at the threshold although they differ,
// and somebody who looks after every round is still wrong no more often than alpha.
func TestSequentialKeepsItsErrorRateUnderLookingAllTheTime(t *testing.T) {
	const runs, rounds, alpha = 2000, 150, 0.05
	above, below := 0, 0
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 7))
		s := NewSequential(0.1, -1, 1, 0.1)
		var up, down bool
		for range rounds {
			round := make([]float64, 4)
			for j := range round {
				p := []float64{0.45, 0.55, 0.65, 0.55}[j] // means of -0.1, 0.1, 0.3, 0.1
				round[j] = -1
				if r.Float64() < p {
					round[j] = 1
				}
			}
			s.Add(round...)
			up, down = up || s.Above(alpha), down || s.Below(alpha)
		}
		if up {
			above++
		}
		if down {
			below++
		}
	}
	most := runs*alpha + 3*math.Sqrt(runs*alpha*(1-alpha))
	require.LessOrEqual(t, float64(above), most)
	require.LessOrEqual(t, float64(below), most)
	require.Positive(t, above+below, "a test that never errs has no power either")
}

func TestSequentialBoundsCoverTheMeanAtEveryLook(t *testing.T) {
	const runs, alpha = 300, 0.05
	missed := 0
	for run := range runs {
		r := rand.New(rand.NewPCG(uint64(run), 9))
		s := NewSequential(0, -1, 1, 0.1)
		wrong := false
		for i := range 120 {
			x := 0.0
			if u := r.Float64(); u < 0.3 {
				x = 1
			} else if u < 0.4 {
				x = -1
			}
			s.Add(x)
			if i%20 == 19 {
				b := s.Bounds(alpha)
				require.LessOrEqual(t, b.Lo, b.Value)
				require.GreaterOrEqual(t, b.Hi, b.Value)
				wrong = wrong || b.Lo > 0.2 || b.Hi < 0.2
			}
		}
		if wrong {
			missed++
		}
	}
	require.LessOrEqual(t, float64(missed), runs*2*alpha+3*math.Sqrt(runs*2*alpha))
}

func TestSequentialOfNothing(t *testing.T) {
	s := NewSequential(0, -1, 1, 0.1)
	require.False(t, s.Above(0.05))
	require.True(t, math.IsNaN(s.Bounds(0.05).Value))
	all := NewSequential(0.95, 0, 1, 0.1)
	for range 500 {
		all.Add(1)
	}
	require.True(t, all.Above(0.05))
	require.False(t, all.Below(0.05))
	require.Equal(t, 1.0, all.Bounds(0.05).Hi)
}
