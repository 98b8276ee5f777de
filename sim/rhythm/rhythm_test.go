package rhythm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRegularityByHand(t *testing.T) {
	assert.Equal(t, 1.0, Regularity([]float64{60, 60, 60, 60, 60}, 1))
	assert.Zero(t, Regularity([]float64{60, 60}, 1), "two say nothing")
	// Quartiles 20, 30, 40: no skew; deviations 20, 10, 0, 10, 20 with the median 10, less half of
	// the grain: dispersion 1 - 9.5/30.
	assert.InDelta(t, (1+1-9.5/30)/2, Regularity([]float64{10, 20, 30, 40, 50}, 1), 1e-12)
	// One long gap among equal intervals changes neither quartile nor median.
	assert.Equal(t, 1.0, Regularity([]float64{60, 60, 60, 60, 60, 60, 60, 9000}, 1))
	assert.Less(t, Regularity([]float64{1, 2, 4, 9, 20, 44, 98, 210, 470}, 1), 0.5, "what doubles has no rhythm")
}

func TestQuantiles(t *testing.T) {
	x := []float64{1, 2, 3, 4}
	assert.Equal(t, 1.0, Quantile(x, 0))
	assert.Equal(t, 2.5, Quantile(x, 0.5))
	assert.Equal(t, 4.0, Quantile(x, 1))
}

func TestIntervals(t *testing.T) {
	assert.Equal(t, []float64{7, 60, 30}, Intervals([]float64{7}, []time.Duration{time.Second, 61 * time.Second, 91 * time.Second}))
	assert.Empty(t, Intervals(nil, []time.Duration{time.Second}))
}
