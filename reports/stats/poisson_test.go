package stats

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The bounds are those of R's poisson.test and of tables of Garwood's interval.
func TestPoissonRate(t *testing.T) {
	for _, c := range []struct {
		k        int
		exposure float64
		lo, hi   float64
	}{{0, 1, 0, 3.688879}, {1, 1, 0.025318, 5.571643},
		{5, 1, 1.623486, 11.668332}, {10, 2, 2.397695, 9.195178}, {100, 1, 81.363893, 121.626794}} {
		got := PoissonRate(c.k, c.exposure, 0.05)
		assert.InDelta(t, float64(c.k)/c.exposure, got.Value, 1e-12)
		assert.InDelta(t, c.lo, got.Lo, 2e-4)
		assert.InDelta(t, c.hi, got.Hi, 2e-4)
	}
	assert.True(t, math.IsNaN(PoissonRate(1, 0, 0.05).Value))
	assert.True(t, math.IsNaN(PoissonRate(-1, 1, 0.05).Value))
}
