package analyst

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
	"hemostat/sim/attack"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// Options configure the stage.
type Options struct {
	Judge Judge
	// Duties are what the analyst does; triage alone when all are false.
	Duties Duties
	// From is the severity from which on alerts are judged; less serious ones go on.
	From severity.Severity
	// Servers is how many alerts are judged at once, 1 when zero; Waiting how many may
	// wait, any number when zero. What finds the queue full goes on without a verdict.
	Servers, Waiting int
	// Epoch is the time at which virtual times count from 0.
	Epoch     time.Time
	Inventory *inventory.Inventory
	// KeptEvents is how many of the newest events the judge may look at; 0 for none.
	KeptEvents int
	// Hygiene lets no judge dismiss an alert whose evidence, or whose host's newest events, hold a
	// text that looks like an order to a model. A language model is always held to it, for what
	// it was shown.
	Hygiene bool
	// Registry counts the stage's metrics; nil counts none.
	Registry prometheus.Registerer
}

// Duties are what an analyst does.
type Duties struct{ Triage, Patterns, Narrative bool }

// Triage is what the analyst did about one alert.
type Triage struct {
	Judge string
	Answer
	Asked, Answered time.Duration
	Before          severity.Severity // of the alert, before the verdict
}

// Stage judges alerts one after the other.
type Stage struct {
	options Options `snapshot:"-"`
	memory  *memory
	windows *windows // nil unless patterns are looked for
	queue   *queue.FIFO
	metrics *metrics `snapshot:"-"`
}

type metrics struct {
	verdicts *prometheus.CounterVec
	latency  prometheus.Histogram
	tokens   *prometheus.CounterVec
	cost     prometheus.Counter
	refused  prometheus.Counter
	hits     prometheus.Counter
}

// New makes the stage. It fails when its metrics are registered already.
func New(o Options) (*Stage, error) {
	s := &Stage{
		options: o,
		memory:  newMemory(o.Epoch, o.Inventory, o.KeptEvents),
		queue:   queue.New(queue.Config{Servers: o.Servers, Waiting: o.Waiting}),
	}
	if o.Duties == (Duties{}) {
		s.options.Duties.Triage = true
	}
	if _, ok := o.Judge.(finder); o.Duties.Patterns && ok {
		s.windows = newWindows(o.Inventory)
	}
	if o.Registry == nil {
		return s, nil
	}
	s.metrics = &metrics{
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sentinel_analyst_verdicts_total",
			Help: "Alerts that the automatic analyst judged, by its decision."}, []string{"decision"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sentinel_analyst_latency_seconds",
			Help: "Time from an alert to its verdict, with the waiting.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 12)}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sentinel_analyst_tokens_total",
			Help: "Tokens of the model's questions (input) and answers (output), recorded ones too."}, []string{"direction"}),
		cost: prometheus.NewCounter(prometheus.CounterOpts{Name: "sentinel_analyst_cost_total",
			Help: "Price of these tokens, in the currency of the variant's prices."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "sentinel_analyst_refused_total",
			Help: "Parts of answers that were refused: unknown techniques, evidence that does not exist, numbers out of range, no JSON."}),
		hits: prometheus.NewCounter(prometheus.CounterOpts{Name: "sentinel_analyst_cassette_hits_total",
			Help: "Answers that came from the cassette."}),
	}
	m := s.metrics
	for _, c := range []prometheus.Collector{m.verdicts, m.latency, m.tokens, m.cost, m.refused, m.hits} {
		if err := o.Registry.Register(c); err != nil {
			return nil, fmt.Errorf("analyst metrics: %w", err)
		}
	}
	return s, nil
}

// Version is that of the analyst, which records carry; it changes when verdicts may change.
const Version = "1"

// Name is what records of cost and scores call the analyst.
func (s *Stage) Name() string { return RecordName(s.options.Judge.Name()) }

// RecordName is what records of cost and scores call the analyst of a judge.
func RecordName(judge string) string { return "analyst " + judge }

// Observe shows the analyst an event that ingest was done with at a time.
func (s *Stage) Observe(now time.Duration, e *event.Event) {
	s.memory.observe(e)
	if s.windows != nil {
		s.windows.observe(now, e)
	}
}

// Triage judges an alert that stands at a time. It is nil for an alert that is not judged.
// The alert is not changed before Apply.
func (s *Stage) Triage(now time.Duration, a *alert.Alert) (*Triage, error) {
	defer s.memory.noteAlert(a)
	if s.windows != nil {
		s.windows.noteAlert(a)
	}
	if a.Severity < s.options.From || !s.options.Duties.Triage {
		return nil, nil
	}
	c := &Case{Now: now, Alert: a, memory: s.memory}
	answer, err := s.options.Judge.Judge(c)
	if err != nil {
		return nil, fmt.Errorf("analyst %s: %w", s.options.Judge.Name(), err)
	}
	if s.options.Hygiene && answer.Decision == Dismiss {
		if n := c.suspiciousTexts(); n > 0 {
			answer.Verdict, answer.Suspicious = Verdict{Decision: Abstain}, n
			answer.Why = "a text in the evidence or the history of the host looks like an order to a model"
		}
	}
	t := &Triage{Judge: s.options.Judge.Name(), Answer: answer, Asked: now, Before: a.Severity}
	done, ok := s.queue.EnqueueFor(now, answer.Latency)
	if !ok {
		t.Verdict, t.Why = Verdict{Decision: Abstain}, "too many alerts waited for a verdict"
		done = now
	}
	t.Answered = done
	s.count(t)
	return t, nil
}

func (s *Stage) count(t *Triage) {
	m := s.metrics
	if m == nil {
		return
	}
	m.verdicts.WithLabelValues(string(t.Decision)).Inc()
	m.latency.Observe((t.Answered - t.Asked).Seconds())
	m.tokens.WithLabelValues("input").Add(float64(t.Input))
	m.tokens.WithLabelValues("output").Add(float64(t.Output))
	m.cost.Add(t.Cost)
	m.refused.Add(float64(t.Refused))
	m.hits.Add(float64(t.FromTape))
}

// surest is how sure a verdict may make an alert. The cascade reads confidence as evidence in
// log odds: without a bound one verdict of 99 % cuts a zone off as two independent alerts
// would.
const surest = 0.9

// Apply lets a verdict change its alert; false means that the alert was dismissed.
func (t *Triage) Apply(a *alert.Alert) bool {
	switch t.Decision {
	case Dismiss:
		return false
	case Raise:
		a.Severity = min(a.Severity+1, severity.Critical)
	case Confirm:
	default:
		return true
	}
	a.Confidence = max(a.Confidence, min(t.Confidence, surest))
	if t.Technique != "" && !containsCurrent(a.Techniques, t.Technique) {
		a.Techniques = append(a.Techniques[:len(a.Techniques):len(a.Techniques)], t.Technique)
	}
	return true
}

func containsCurrent(techniques []string, id string) bool {
	for _, t := range techniques {
		if t == attack.Current(id) {
			return true
		}
	}
	return false
}
