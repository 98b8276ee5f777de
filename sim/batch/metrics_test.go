package batch

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestMetricsOfTrialsAreSummed(t *testing.T) {
	var sum MetricSum
	empty, err := sum.Gather()
	require.NoError(t, err)
	require.Empty(t, empty)
	trial := func(kind string, n, seconds float64) {
		reg := prometheus.NewRegistry()
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"kind"})
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h_seconds", Buckets: []float64{1, 10}})
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"})
		reg.MustRegister(c, h, g)
		c.WithLabelValues(kind).Add(n)
		h.Observe(seconds)
		require.NoError(t, sum.Add(reg))
	}
	trial("a", 2, 0.5)
	trial("a", 3, 5)
	trial("b", 1, 50)
	families, err := sum.Gather()
	require.NoError(t, err)
	require.Len(t, families, 2, "gauges of trials that have ended mean nothing together")
	require.Equal(t, 5.0, families[0].GetMetric()[0].GetCounter().GetValue())
	require.Equal(t, 1.0, families[0].GetMetric()[1].GetCounter().GetValue())
	h := families[1].GetMetric()[0].GetHistogram()
	require.Equal(t, uint64(3), h.GetSampleCount())
	require.Equal(t, 55.5, h.GetSampleSum())
	require.Equal(t, uint64(1), h.GetBucket()[0].GetCumulativeCount())
	require.Equal(t, uint64(2), h.GetBucket()[1].GetCumulativeCount())
}
