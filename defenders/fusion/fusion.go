package fusion

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel"
	"hemostat/sim/severity"
)

// Indicator is something that a feed may know.
type Indicator struct {
	Kind  string // ip, domain or sha256
	Value string
}

// Hit is what a source says of an indicator.
type Hit struct {
	Source     string
	Confidence float64
}

// Source is a threat-intelligence source. It answers for the virtual time that
// it is given.
type Source interface {
	Name() string
	Lookup(now time.Duration, i Indicator) (Hit, bool, error)
}

// Incident is a set of alerts that belong together.
type Incident struct {
	ID           int
	First, Last  time.Duration    // first and last alert
	Count        int              // alerts that joined
	Alerts       []sentinel.Alert // the first of them, at most maxAlerts
	Hosts        []string
	Zones        []string
	Accounts     []string
	Sources      []string // outside addresses
	Destinations []string
	Techniques   []string
	Severity     severity.Severity
	Score        float64 // 0 to 1
	IntelHits    int
	Closed       bool

	byRule map[string]float64 // confidence by rule, for the score
}

// maxAlerts bounds the alerts that an incident keeps.
const maxAlerts = 500

// Options configure the stage.
type Options struct {
	Sources   []Source
	Inventory *inventory.Inventory
	// Window is how long after its last alert an incident takes in related ones;
	// 90 minutes when zero.
	Window   time.Duration
	Registry prometheus.Registerer
}

// Fusion is the stage.
type Fusion struct {
	options   Options
	incidents []*Incident
	byEntity  map[string]*Incident
	known     map[Indicator]verdict
	breakers  map[string]*breaker // by source
	metrics   *metrics
}

type verdict struct {
	hit   Hit
	found bool
	at    time.Duration
}

type metrics struct {
	enrichments prometheus.Counter
	score       prometheus.Histogram
	queries     *prometheus.CounterVec
}

// New puts the stage together.
func New(o Options) (*Fusion, error) {
	if o.Window == 0 {
		o.Window = 90 * time.Minute
	}
	f := &Fusion{options: o, byEntity: map[string]*Incident{}, known: map[Indicator]verdict{}, breakers: map[string]*breaker{}}
	if o.Registry != nil {
		f.metrics = &metrics{
			enrichments: prometheus.NewCounter(prometheus.CounterOpts{Name: "threat_enrichments_total", Help: "Alerts enriched."}),
			score:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "threat_correlation_score", Help: "Score of the incident that an alert joined.", Buckets: prometheus.LinearBuckets(0.1, 0.1, 10)}),
			queries:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "threat_intel_source_queries_total", Help: "Questions to threat-intelligence sources; status is hit, miss, cached, error, or open when the source has failed too often to be asked."}, []string{"source", "status"}),
		}
		for _, c := range []prometheus.Collector{f.metrics.enrichments, f.metrics.score, f.metrics.queries} {
			if err := o.Registry.Register(c); err != nil {
				return nil, fmt.Errorf("fusion metrics: %w", err)
			}
		}
	}
	return f, nil
}

// Incidents lists every incident so far, closed ones included.
func (f *Fusion) Incidents() []*Incident { return f.incidents }

// Add enriches an alert and puts it into its incident; fresh tells whether the
// incident is new.
func (f *Fusion) Add(now time.Duration, a sentinel.Alert) (in *Incident, fresh bool) {
	hits, best := f.enrich(now, a)
	keys := f.entities(a)
	in = f.related(now, keys)
	if in == nil {
		in = &Incident{ID: len(f.incidents) + 1, First: now, Severity: a.Severity, byRule: map[string]float64{}}
		f.incidents = append(f.incidents, in)
		fresh = true
	}
	for _, k := range keys {
		f.byEntity[k] = in
	}
	in.Last = now
	in.Count++
	if len(in.Alerts) < maxAlerts {
		in.Alerts = append(in.Alerts, a)
	}
	in.IntelHits += hits
	if a.Severity > in.Severity {
		in.Severity = a.Severity
	}
	add(&in.Hosts, a.Host)
	add(&in.Zones, a.Zone)
	add(&in.Accounts, f.account(a.User))
	if f.options.Inventory.Host(a.SourceIP) == nil {
		add(&in.Sources, a.SourceIP)
	} else {
		add(&in.Hosts, a.Source)
	}
	add(&in.Destinations, a.Destination)
	for _, t := range a.Techniques {
		add(&in.Techniques, t)
	}
	in.byRule[a.RuleID+a.Host] = max(in.byRule[a.RuleID+a.Host], a.Confidence)
	in.score(best)
	if f.metrics != nil {
		f.metrics.enrichments.Inc()
		f.metrics.score.Observe(in.Score)
	}
	return in, fresh
}

// score combines independent evidence: one minus the product of the chances that
// each piece is wrong. The same rule on the same host counts once, and each
// further piece counts for half, since detectors agree in their errors too.
func (in *Incident) score(intel float64) {
	var all []float64
	for _, c := range in.byRule {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b float64) int { return cmp.Compare(b, a) })
	wrong := 1 - intel
	for i, c := range all {
		if i > 0 {
			c /= 2
		}
		wrong *= 1 - c
	}
	in.Score = max(in.Score, 1-wrong)
}

func add(list *[]string, s string) {
	if s != "" && !slices.Contains(*list, s) {
		*list = append(*list, s)
	}
}

func (f *Fusion) account(user string) string {
	if a := f.options.Inventory.Account(user); a != nil {
		return a.Name
	}
	return ""
}

// entities are the keys by which alerts are related: hosts that are no hubs,
// people's accounts, addresses outside.
func (f *Fusion) entities(a sentinel.Alert) []string {
	v := f.options.Inventory
	var keys []string
	for _, name := range []string{a.Host, a.Source} {
		if h := v.Host(name); h != nil && !h.Role.IsHub() {
			keys = append(keys, "host "+h.Name)
		} else if h == nil && name != "" && len(v.Zones()) == 0 {
			keys = append(keys, "host "+name)
		}
	}
	if acc := v.Account(a.User); acc != nil && acc.Privilege != "service" {
		keys = append(keys, "account "+acc.Name)
	}
	if a.SourceIP != "" && v.Host(a.SourceIP) == nil {
		keys = append(keys, "address "+a.SourceIP)
	}
	if a.Destination != "" {
		keys = append(keys, "address "+a.Destination)
	}
	return keys
}

// related is the open incident that shares an entity with an alert, the oldest
// one when there are several.
func (f *Fusion) related(now time.Duration, keys []string) *Incident {
	var found *Incident
	for _, k := range keys {
		in := f.byEntity[k]
		if in == nil || in.Closed || now-in.Last > f.options.Window {
			continue
		}
		if found == nil || in.ID < found.ID {
			found = in
		}
	}
	return found
}

// enrich looks the alert's indicators up; it returns the number of hits and the
// best confidence among them.
func (f *Fusion) enrich(now time.Duration, a sentinel.Alert) (int, float64) {
	hits, best := 0, 0.0
	for _, i := range indicators(a, f.options.Inventory) {
		for _, s := range f.options.Sources {
			h, ok := f.lookup(now, s, i)
			if ok {
				hits++
				best = max(best, h.Confidence)
			}
		}
	}
	return hits, best
}

// remember is how long an answer of a source is reused.
const remember = time.Hour

func (f *Fusion) lookup(now time.Duration, s Source, i Indicator) (Hit, bool) {
	key := Indicator{s.Name() + "/" + i.Kind, i.Value}
	if v, ok := f.known[key]; ok && now-v.at < remember {
		f.count(s, "cached")
		return v.hit, v.found
	}
	b := f.breakers[s.Name()]
	if b == nil {
		b = &breaker{}
		f.breakers[s.Name()] = b
	}
	if !b.allows(now) {
		f.count(s, "open")
		return Hit{}, false
	}
	h, ok, err := s.Lookup(now, i)
	b.note(now, err != nil)
	switch {
	case err != nil:
		f.count(s, "error")
		return Hit{}, false
	case ok:
		f.count(s, "hit")
	default:
		f.count(s, "miss")
	}
	f.known[key] = verdict{h, ok, now}
	return h, ok
}

func (f *Fusion) count(s Source, status string) {
	if f.metrics != nil {
		f.metrics.queries.WithLabelValues(s.Name(), status).Inc()
	}
}

func indicators(a sentinel.Alert, v *inventory.Inventory) []Indicator {
	var out []Indicator
	if a.SourceIP != "" && v.Host(a.SourceIP) == nil {
		out = append(out, Indicator{"ip", a.SourceIP})
	}
	if a.Destination != "" {
		out = append(out, Indicator{"ip", a.Destination})
	}
	if a.Domain != "" {
		out = append(out, Indicator{"domain", a.Domain})
	}
	if a.FileHash != "" {
		out = append(out, Indicator{"sha256", a.FileHash})
	}
	return out
}

// Close ends an incident; later alerts about its entities open a new one.
func (f *Fusion) Close(in *Incident) { in.Closed = true }
