package sentinel

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// Detector looks at events and reports findings. It keeps whatever state it
// needs, reads no clock, and serves one goroutine.
type Detector interface {
	Name() string
	Inspect(e *event.Event, found func(Finding))
}

// Finding is a detector's word before the stage makes an alert of it.
type Finding struct {
	RuleID, Title string
	Techniques    []string
	Severity      severity.Severity
	Confidence    float64
	Evidence      []uint64
	Because       []sigma.Reason
}

// Options configure the stage.
type Options struct {
	Detectors []Detector
	Inventory *inventory.Inventory
	// Repeat is how long the same rule keeps quiet about the same host, user and
	// source after an alert; 10 minutes when zero.
	Repeat time.Duration
	// Registry counts the stage's metrics; nil counts none.
	Registry prometheus.Registerer
}

// Sentinel joins detectors into one stage.
type Sentinel struct {
	detectors []Detector
	inventory *inventory.Inventory
	repeat    time.Duration
	next      int
	last      map[repeatKey]time.Duration
	found     []Alert
	current   *event.Event
	detector  string
	collect   func(Finding)
	metrics   *metrics
}

type repeatKey struct{ detector, rule, host, user, source, destination string }

type metrics struct {
	detections *prometheus.CounterVec
	latency    prometheus.Histogram
}

// New puts the stage together. It fails when its metrics are registered already.
func New(o Options) (*Sentinel, error) {
	s := &Sentinel{detectors: o.Detectors, inventory: o.Inventory, repeat: o.Repeat, last: map[repeatKey]time.Duration{}}
	if s.repeat == 0 {
		s.repeat = 10 * time.Minute
	}
	s.collect = s.report
	if o.Registry != nil {
		s.metrics = &metrics{
			detections: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sentinel_detections_total", Help: "Alerts by severity; is_threat is true from severity medium on."}, []string{"severity", "is_threat"}),
			latency:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sentinel_analysis_latency_seconds", Help: "Time from an event's arrival to the end of its analysis.", Buckets: prometheus.ExponentialBuckets(1e-5, 4, 12)}),
		}
		for _, c := range []prometheus.Collector{s.metrics.detections, s.metrics.latency} {
			if err := o.Registry.Register(c); err != nil {
				return nil, fmt.Errorf("sentinel metrics: %w", err)
			}
		}
	}
	return s, nil
}

// Inspect shows an event to every detector and returns the alerts, valid until
// the next call.
func (s *Sentinel) Inspect(e *event.Event) []Alert {
	s.found = s.found[:0]
	s.current = e
	for _, d := range s.detectors {
		s.detector = d.Name()
		d.Inspect(e, s.collect)
	}
	s.current = nil
	return s.found
}

// report makes an alert of a finding, unless it repeats a recent one.
func (s *Sentinel) report(f Finding) {
	e := s.current
	x := EntitiesOf(e, s.inventory)
	key := repeatKey{s.detector, f.RuleID, x.Host, x.User, x.SourceIP, x.Destination}
	if last, ok := s.last[key]; ok && e.Time-last < s.repeat && e.Time >= last {
		return
	}
	s.last[key] = e.Time
	if len(s.last) > maxRemembered {
		s.forget(e.Time)
	}
	s.next++
	s.found = append(s.found, Alert{
		ID: s.next, EventTime: e.Time, Detector: s.detector, RuleID: f.RuleID, Title: f.Title, Techniques: f.Techniques,
		Severity: f.Severity, Confidence: f.Confidence, Evidence: f.Evidence, Because: f.Because, Entities: x,
	})
	if s.metrics != nil {
		s.metrics.detections.WithLabelValues(f.Severity.String(), fmt.Sprint(f.Severity.IsThreat())).Inc()
	}
}

// maxRemembered bounds the memory of recent alerts.
const maxRemembered = 100_000

// forget drops what no longer keeps anything quiet.
func (s *Sentinel) forget(now time.Duration) {
	for key, at := range s.last {
		if now-at >= s.repeat || now < at {
			delete(s.last, key)
		}
	}
}

// ObserveLatency counts how long an event took from arrival to analysis.
func (s *Sentinel) ObserveLatency(d time.Duration) {
	if s.metrics != nil {
		s.metrics.latency.Observe(d.Seconds())
	}
}
