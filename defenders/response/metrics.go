package response

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	playbooks *prometheus.CounterVec
	actions   *prometheus.CounterVec
	requests  *prometheus.CounterVec
	execution prometheus.Histogram
}

// newMetrics registers the stage's metrics; a nil registry gives nil, which
// counts nothing.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil
	}
	m := &metrics{
		playbooks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "response_playbooks_executed_total", Help: "Playbook runs that ended."}, []string{"playbook_id", "status"}),
		actions:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "response_actions_executed_total", Help: "Actions that ended."}, []string{"action_type", "status"}),
		requests:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "response_hotl_requests_total", Help: "Approval requests that ended; no answer in time counts as not approved."}, []string{"action_type", "approved"}),
		execution: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "response_execution_seconds", Help: "Time of a playbook run from start to end.", Buckets: prometheus.ExponentialBuckets(0.5, 2.5, 12)}),
	}
	for _, c := range []prometheus.Collector{m.playbooks, m.actions, m.requests, m.execution} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("response metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) playbook(id, status string, took time.Duration) {
	if m != nil {
		m.playbooks.WithLabelValues(id, status).Inc()
		m.execution.Observe(took.Seconds())
	}
}

func (m *metrics) action(kind, status string) {
	if m != nil {
		m.actions.WithLabelValues(kind, status).Inc()
	}
}

func (m *metrics) request(kind string, approved bool) {
	if m != nil {
		m.requests.WithLabelValues(kind, fmt.Sprint(approved)).Inc()
	}
}
