package batch

import (
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// MetricSum adds up the Prometheus metrics of many trials, each of which counts on a
// registry of its own: counters and histograms are summed, gauges are left out. It is a
// prometheus.Gatherer and safe for use by several goroutines.
type MetricSum struct {
	mu       sync.Mutex
	families map[string]*dto.MetricFamily
	series   map[string]*dto.Metric // by family and labels
}

var _ prometheus.Gatherer = (*MetricSum)(nil)

// Add adds what a registry has counted.
func (s *MetricSum) Add(g prometheus.Gatherer) error {
	families, err := g.Gather()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.families == nil {
		s.families, s.series = map[string]*dto.MetricFamily{}, map[string]*dto.Metric{}
	}
	for _, f := range families {
		if f.GetType() != dto.MetricType_COUNTER && f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		sum := s.families[f.GetName()]
		if sum == nil {
			sum = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type}
			s.families[f.GetName()] = sum
		}
		for _, m := range f.GetMetric() {
			key := seriesKey(f.GetName(), m)
			if known := s.series[key]; known != nil {
				addTo(known, m)
				continue
			}
			clone := proto.Clone(m).(*dto.Metric)
			s.series[key] = clone
			sum.Metric = append(sum.Metric, clone)
		}
	}
	return nil
}

func seriesKey(family string, m *dto.Metric) string {
	var b strings.Builder
	b.WriteString(family)
	for _, l := range m.GetLabel() { // sorted by name
		b.WriteString("\x00" + l.GetName() + "\x00" + l.GetValue())
	}
	return b.String()
}

// addTo adds a metric of the same labels and buckets to another.
func addTo(sum, m *dto.Metric) {
	if c := m.GetCounter(); c != nil {
		sum.Counter.Value = proto.Float64(sum.Counter.GetValue() + c.GetValue())
	}
	h := m.GetHistogram()
	if h == nil {
		return
	}
	sum.Histogram.SampleCount = proto.Uint64(sum.Histogram.GetSampleCount() + h.GetSampleCount())
	sum.Histogram.SampleSum = proto.Float64(sum.Histogram.GetSampleSum() + h.GetSampleSum())
	for i, b := range h.GetBucket() {
		to := sum.Histogram.Bucket[i]
		to.CumulativeCount = proto.Uint64(to.GetCumulativeCount() + b.GetCumulativeCount())
	}
}

// Gather implements prometheus.Gatherer.
func (s *MetricSum) Gather() ([]*dto.MetricFamily, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*dto.MetricFamily
	for _, f := range s.families {
		out = append(out, proto.Clone(f).(*dto.MetricFamily))
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, nil
}
