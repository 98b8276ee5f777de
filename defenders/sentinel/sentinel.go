package sentinel

import (
	"fmt"
	"time"

	"hemostat/sim/attack"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
	"hemostat/sim/event"
)

// Member is a detector of the stage.
type Member struct {
	Name     string
	Version  string
	Detector detect.Detector
	Service  queue.Config
}

// Options configure the stage.
type Options struct {
	Members   []Member
	Inventory *inventory.Inventory
	// Deduplication is how long the same rule keeps quiet about the same host, user
	// and source after an alert; 10 minutes when zero.
	Deduplication time.Duration
	// AlertRate is how many alerts an hour of one rule about one host are raised, whoever they come
	// from; 0 for all.
	AlertRate int
	// Hear is told of each alert as it is raised; nil for nobody.
	Hear func(a *alert.Alert)
	// Uniform gives the draw in [0, 1) of a detector's service time for its n-th event.
	Uniform func(detector string, n uint64) float64
	// Clock measures what each detector costs in wall-clock time; nil measures nothing.
	Clock func() time.Duration
	// Registry counts the stage's metrics; nil counts none.
	Registry prometheus.Registerer
}

// Raised is an alert, and what its detector wants done at once.
type Raised struct {
	alert.Alert
	Reaction *detect.Reaction
}

// Sentinel joins detectors into one stage. Each has a queue of its own, so that a slow
// one delays nobody else's alerts.
type Sentinel struct {
	options Options `snapshot:"-"`
	members []*member
	timed   []*member
	recent  map[dedupKey]time.Duration // when each alert was raised last, by event time
	kept    int                        // of these, how many were left when the others were forgotten last
	raised  []Raised
	flood   map[floodKey]*hourly

	// What is being inspected.
	current *member
	event   *event.Event
	done    time.Duration // when the current member is done with it
	report  detect.Report `snapshot:"-"`
	metrics *metrics      `snapshot:"-"`
}

type member struct {
	Member
	queue *queue.FIFO
	timed detect.Timed
	calls uint64
	spent time.Duration // estimated from a sample of the calls
}

type dedupKey struct{ detector, rule, host, user, source, destination string }

type metrics struct {
	detections *prometheus.CounterVec
	latency    prometheus.Histogram
}

// New puts the stage together. It fails when its metrics are registered already.
func New(o Options) (*Sentinel, error) {
	if o.Deduplication == 0 {
		o.Deduplication = 10 * time.Minute
	}
	s := &Sentinel{options: o, recent: map[dedupKey]time.Duration{}, flood: map[floodKey]*hourly{}}
	s.report = s.raise
	for _, m := range o.Members {
		x := &member{Member: m, queue: queue.New(m.Service)}
		if timed, ok := m.Detector.(detect.Timed); ok {
			x.timed = timed
			s.timed = append(s.timed, x)
		}
		s.members = append(s.members, x)
	}
	if o.Registry != nil {
		s.metrics = &metrics{
			detections: prometheus.NewCounterVec(
				prometheus.CounterOpts{
					Name: "sentinel_detections_total",
					Help: "Alerts by severity; is_threat is true from severity medium on.",
				},
				[]string{"severity", "is_threat"},
			),
			latency: prometheus.NewHistogram(
				prometheus.HistogramOpts{
					Name:    "sentinel_analysis_latency_seconds",
					Help:    "Time from an event's arrival to the end of its analysis.",
					Buckets: prometheus.ExponentialBuckets(1e-5, 4, 12),
				},
			),
		}
		for _, c := range []prometheus.Collector{s.metrics.detections, s.metrics.latency} {
			if err := o.Registry.Register(c); err != nil {
				return nil, fmt.Errorf("sentinel metrics: %w", err)
			}
		}
	}
	return s, nil
}

// Inspect shows an event that arrived at a time, and that ingest was done with later,
// to every detector, and returns the alerts, valid until the next call.
func (s *Sentinel) Inspect(arrived, ingested time.Duration, e *event.Event) ([]Raised, error) {
	s.raised, s.event = s.raised[:0], e
	analysed := ingested
	for _, m := range s.members {
		done, ok := m.queue.Enqueue(ingested, func(n uint64) float64 { return s.options.Uniform(m.Name, n) })
		if !ok {
			continue
		}
		analysed = max(analysed, done)
		err := s.run(m, done, func() error { return m.Detector.Inspect(ingested, e, s.report) })
		if err != nil {
			return nil, err
		}
	}
	s.event = nil
	if s.metrics != nil {
		s.metrics.latency.Observe((analysed - arrived).Seconds())
	}
	return s.raised, nil
}

// run lets a member work; its findings are alerts from a time on.
func (s *Sentinel) run(m *member, done time.Duration, work func() error) error {
	s.current, s.done = m, done
	m.calls++
	measured := s.options.Clock != nil && m.calls%costSample == 0
	began := time.Duration(0)
	if measured {
		began = s.options.Clock()
	}
	err := work()
	if measured {
		m.spent += costSample * (s.options.Clock() - began)
	}
	if err != nil {
		return fmt.Errorf("detector %s: %w", m.Name, err)
	}
	return nil
}

// costSample is of how many calls one is measured: reading the clock takes as long as a
// quick detector.
const costSample = 32

// NextWake is when a detector next has something to do without an event.
func (s *Sentinel) NextWake() (at time.Duration, ok bool) {
	for _, m := range s.timed {
		if next, has := m.timed.NextWake(); has && (!ok || next < at) {
			at, ok = next, true
		}
	}
	return at, ok
}

// Advance lets time pass for the detectors that are due, and returns their alerts.
func (s *Sentinel) Advance(now time.Duration) ([]Raised, error) {
	s.raised, s.event = s.raised[:0], nil
	for _, m := range s.timed {
		if next, has := m.timed.NextWake(); !has || next > now {
			continue
		}
		if err := s.run(m, now, func() error { return m.timed.Advance(now, s.report) }); err != nil {
			return nil, err
		}
	}
	return s.raised, nil
}

// End tells the detectors that no event follows, and returns their last alerts.
func (s *Sentinel) End(now time.Duration) ([]Raised, error) {
	s.raised, s.event = s.raised[:0], nil
	for _, m := range s.members {
		ending, ok := m.Detector.(detect.Ending)
		if !ok {
			continue
		}
		if err := s.run(m, now, func() error { return ending.End(now, s.report) }); err != nil {
			return nil, err
		}
	}
	return s.raised, nil
}

// raise makes an alert of a finding, unless it duplicates a recent one.
func (s *Sentinel) raise(f detect.Finding) {
	a := alert.Alert{
		Raised: s.done + f.Delay, EventTime: f.EventTime, Detector: s.current.Name, RuleID: f.RuleID, Title: f.Title,
		Techniques: attack.CurrentAll(f.Techniques),
		Severity:   f.Severity, Confidence: f.Confidence, Evidence: f.Evidence, Reasons: f.Reasons,
	}
	if f.Entities != nil {
		a.Entities = *f.Entities
	} else if s.event != nil {
		a.Entities = alert.EntitiesOf(s.event, s.options.Inventory)
	}
	if a.EventTime == 0 && s.event != nil {
		a.EventTime = s.event.Time
	}
	a.Entities = a.Detached()
	if s.isDuplicate(&a) || s.isFlood(&a) {
		return
	}
	if s.options.Hear != nil {
		s.options.Hear(&a)
	}
	s.raised = append(s.raised, Raised{a, f.Reaction})
	if s.metrics != nil {
		s.metrics.detections.WithLabelValues(f.Severity.String(), fmt.Sprint(f.Severity.IsThreat())).Inc()
	}
}

// isDuplicate tells whether the same was said a short time ago. A host whose clock was
// set back counts as a short time as long as it lies within the window.
func (s *Sentinel) isDuplicate(a *alert.Alert) bool {
	key := dedupKey{a.Detector, a.RuleID, a.Host, a.User, a.SourceIP, a.Destination}
	last, ok := s.recent[key]
	if ok && (a.EventTime-last).Abs() < s.options.Deduplication {
		return true
	}
	s.recent[key] = a.EventTime
	if len(s.recent) > max(minRecent, 2*s.kept) {
		s.forget(a.EventTime)
	}
	return false
}

// floodKey is what alerts of a flood share: many addresses may say the same of one host.
type floodKey struct{ detector, rule, host string }

// hourly counts alerts within an hour.
type hourly struct {
	Began time.Duration
	Count int
}

// maxFloods bounds the counts that are kept.
const maxFloods = 50_000

// isFlood tells whether more alerts of the kind were raised within the hour than people are to see.
func (s *Sentinel) isFlood(a *alert.Alert) bool {
	if s.options.AlertRate == 0 {
		return false
	}
	key := floodKey{a.Detector, a.RuleID, a.Host}
	h := s.flood[key]
	if h == nil || (a.EventTime-h.Began).Abs() >= time.Hour {
		if h == nil && len(s.flood) >= maxFloods {
			clear(s.flood)
		}
		h = &hourly{Began: a.EventTime}
		s.flood[key] = h
	}
	h.Count++
	return h.Count > s.options.AlertRate
}

// minRecent is from how many recent alerts on those are looked for that suppress nothing any more,
// which is done again when there are twice as many as were kept.
const minRecent = 1000

// lateAlert is how much later than others an alert may come and still be suppressed by them.
const lateAlert = 15 * time.Minute

// forget drops what no longer suppresses anything.
func (s *Sentinel) forget(now time.Duration) {
	defer func() { s.kept = len(s.recent) }()
	for key, at := range s.recent {
		if (now - at).Abs() >= s.options.Deduplication+lateAlert {
			delete(s.recent, key)
		}
	}
}

// Dropped counts the events that found a detector's queue full.
func (s *Sentinel) Dropped() int {
	n := 0
	for _, m := range s.members {
		n += m.queue.Dropped()
	}
	return n
}

// Cost is the wall-clock time that a detector took, where a clock was given.
type Cost struct {
	Detector, Version string
	Spent             time.Duration
}

// Costs lists what each detector cost.
func (s *Sentinel) Costs() []Cost {
	var out []Cost
	for _, m := range s.members {
		spent := m.spent
		if b, ok := m.Detector.(detect.Batching); ok && s.options.Clock != nil {
			spent = b.Spent()
		}
		out = append(out, Cost{m.Name, m.Version, spent})
	}
	return out
}

// Close ends the detectors; completed tells that the trial ran to its end.
func (s *Sentinel) Close(completed bool) error {
	var members []Member
	for _, m := range s.members {
		members = append(members, m.Member)
	}
	return CloseAll(members, completed)
}
