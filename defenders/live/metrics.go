package live

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a run tells of itself, beside what the pipeline counts.
type metrics struct {
	records, poison, outputs, delivered        *prometheus.CounterVec
	events, late, skewed, resets               prometheus.Counter
	heldBack, repeated, diverged, missing      prometheus.Counter
	commitFailures                             prometheus.Counter
	age, undelivered, snapshotBytes, approvals prometheus.Gauge
	lag                                        *prometheus.GaugeVec
	snapshotSeconds                            prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	count := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "live_" + name, Help: help})
		all = append(all, c)
		return c
	}
	counts := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "live_" + name, Help: help}, []string{label})
		all = append(all, c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "live_" + name, Help: help})
		all = append(all, g)
		return g
	}
	m := &metrics{
		records:        counts("records_total", "Records that were handled.", "topic"),
		poison:         counts("poison_total", "Records that could not be read, wholly or in part.", "topic"),
		outputs:        counts("outputs_total", "What the pipeline gave out, by type.", "type"),
		delivered:      counts("delivered_total", "Outputs that a sink has.", "sink"),
		events:         count("events_total", "Events that the pipeline was given."),
		late:           count("late_events_total", "Events older than one that went on before."),
		skewed:         count("skewed_events_total", "Events from the future by more than 5 minutes."),
		resets:         count("offset_resets_total", "Partitions whose offsets began anew."),
		heldBack:       count("held_back_total", "Times that nothing was taken in, since too much waited for delivery."),
		repeated:       count("repeated_inputs_total", "Inputs of the journal that were handled again after a start."),
		diverged:       count("divergences_total", "Starts after which outputs came again in another form."),
		missing:        count("missing_records_total", "Ranges of records to be handled again that were not in the stream any more."),
		commitFailures: count("commit_failures_total", "Commits of positions that failed."),
		age:            gauge("record_age_seconds", "Age of the record that was handled last."),
		undelivered:    gauge("undelivered", "Outputs that a sink still owes."),
		snapshotBytes:  gauge("snapshot_bytes", "Size of the last snapshot."),
		approvals:      gauge("approvals_open", "Requests that wait for approval."),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "live_lag_records", Help: "Records behind what was handled."},
			[]string{"topic", "partition"}),
		snapshotSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "live_snapshot_seconds",
			Help:    "Time that a snapshot takes, in which nothing is handled.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range append(all, m.lag, m.snapshotSeconds) {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("metrics of the run: %w", err)
		}
	}
	return m, nil
}

// updateLag tells how far the run is behind the stream.
func (r *Runtime) updateLag() {
	r.metrics.approvals.Set(float64(len(r.state.Approvals)))
	for p, next := range r.state.Next {
		if n, ok := r.options.Source.Lag(p, next); ok {
			r.metrics.lag.WithLabelValues(p.Topic, strconv.Itoa(int(p.Partition))).Set(float64(n))
		}
	}
}
