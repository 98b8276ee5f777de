package response

import (
	"fmt"
	"time"

	"hemostat/sim/action"
	"hemostat/sim/approval"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	playbooks *prometheus.CounterVec
	actions   *prometheus.CounterVec
	requests  *prometheus.CounterVec
	execution prometheus.Histogram
	outcomes  *prometheus.CounterVec
	wait      prometheus.Histogram
	undone    *prometheus.CounterVec
	limits    *prometheus.CounterVec
	unseen    prometheus.Counter
}

// newMetrics registers the stage's metrics; a nil registry gives nil, which
// counts nothing.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil
	}
	m := &metrics{
		playbooks: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "response_playbooks_executed_total", Help: "Playbook runs that ended."},
			[]string{"playbook_id", "status"},
		),
		actions: prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: "response_actions_executed_total", Help: "Actions that ended."},
			[]string{"action_type", "status"},
		),
		requests: prometheus.NewCounterVec(
			prometheus.CounterOpts{
				Name: "response_hotl_requests_total",
				Help: "Approval requests that ended; no answer in time counts as not approved.",
			},
			[]string{"action_type", "approved"},
		),
		execution: prometheus.NewHistogram(
			prometheus.HistogramOpts{
				Name:    "response_execution_seconds",
				Help:    "Time of a playbook run from start to end.",
				Buckets: prometheus.ExponentialBuckets(0.5, 2.5, 12),
			},
		),
	}
	m.outcomes = prometheus.NewCounterVec(
		prometheus.CounterOpts{
			Name: "response_hotl_outcome_total",
			Help: "Approval requests by outcome: approved, denied, timed_out, escalated, withdrawn; too_late counts answers that came after the time, beside the request's timed_out.",
		},
		[]string{"action_type", "outcome"},
	)
	m.wait = prometheus.NewHistogram(
		prometheus.HistogramOpts{
			Name:    "response_hotl_wait_seconds",
			Help:    "Time from an approval request to its answer.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 14),
		},
	)
	m.undone = prometheus.NewCounterVec(
		prometheus.CounterOpts{
			Name: "response_undo_total",
			Help: "Actions taken back; cause is ttl, restored, compensated or late.",
		},
		[]string{"action_type", "cause"},
	)
	m.limits = prometheus.NewCounterVec(
		prometheus.CounterOpts{
			Name: "response_limited_total",
			Help: "Limits reached; limit is max_targets, max_disruption, max_per_hour, cooldown or exempt.",
		},
		[]string{"playbook_id", "limit"},
	)
	m.unseen = prometheus.NewCounter(
		prometheus.CounterOpts{
			Name: "response_verify_failed_total",
			Help: "Actions that were reported done but whose effect was not observed.",
		},
	)
	for _, c := range []prometheus.Collector{m.playbooks, m.actions, m.requests, m.execution, m.outcomes, m.wait, m.undone, m.limits, m.unseen} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("response metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) playbook(id string, status action.Status, took time.Duration) {
	if m != nil {
		m.playbooks.WithLabelValues(id, string(status)).Inc()
		m.execution.Observe(took.Seconds())
	}
}

func (m *metrics) action(kind action.Kind, status action.Status) {
	if m != nil {
		m.actions.WithLabelValues(string(kind), string(status)).Inc()
	}
}

func (m *metrics) request(kind action.Kind, approved bool) {
	if m != nil {
		m.requests.WithLabelValues(string(kind), fmt.Sprint(approved)).Inc()
	}
}

func (m *metrics) outcome(kind action.Kind, outcome approval.Outcome, waited time.Duration) {
	if m == nil {
		return
	}
	m.outcomes.WithLabelValues(string(kind), string(outcome)).Inc()
	if outcome.IsAnswer() || outcome == approval.TooLate {
		m.wait.Observe(waited.Seconds())
	}
}

func (m *metrics) undo(kind action.Kind, cause string) {
	if m != nil {
		m.undone.WithLabelValues(string(kind), cause).Inc()
	}
}

func (m *metrics) limited(playbook, limit string) {
	if m != nil {
		m.limits.WithLabelValues(playbook, limit).Inc()
	}
}

func (m *metrics) verifyFailed() {
	if m != nil {
		m.unseen.Inc()
	}
}
