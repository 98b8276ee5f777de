package fusion

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
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

// Options configure the stage.
type Options struct {
	Sources   []Source
	Inventory *inventory.Inventory
	Registry  prometheus.Registerer
}

// Fusion is the stage.
type Fusion struct {
	options  Options
	cache    map[Indicator]cachedLookup
	breakers map[string]*breaker // by source
	metrics  *metrics
}

// cachedLookup is an answer of a source, with its time.
type cachedLookup struct {
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
	f := &Fusion{options: o, cache: map[Indicator]cachedLookup{}, breakers: map[string]*breaker{}}
	if o.Registry != nil {
		f.metrics = &metrics{
			enrichments: prometheus.NewCounter(
				prometheus.CounterOpts{Name: "threat_enrichments_total", Help: "Alerts enriched."},
			),
			score: prometheus.NewHistogram(
				prometheus.HistogramOpts{
					Name:    "threat_correlation_score",
					Help:    "Score of the incident that an alert joined.",
					Buckets: prometheus.LinearBuckets(0.1, 0.1, 10),
				},
			),
			queries: prometheus.NewCounterVec(
				prometheus.CounterOpts{
					Name: "threat_intel_source_queries_total",
					Help: "Questions to threat-intelligence sources; status is hit, miss, cached, error, or open when the source has failed too often to be asked.",
				},
				[]string{"source", "status"},
			),
		}
		for _, c := range []prometheus.Collector{f.metrics.enrichments, f.metrics.score, f.metrics.queries} {
			if err := o.Registry.Register(c); err != nil {
				return nil, fmt.Errorf("fusion metrics: %w", err)
			}
		}
	}
	return f, nil
}

// Enrichment is what fusion adds to an alert.
type Enrichment struct {
	// Hits counts the answers of sources that know an indicator of the alert.
	Hits int
	// Confidence is the best of theirs, 0 without any.
	Confidence float64
	// Keys are what relates alerts: two that share one belong together.
	Keys []string
	// Account, Attacker and AttackerHost name who and where the alert points to, as the
	// inventory has it.
	Account       string // "" for one that the inventory does not know
	OutsideSource string // address outside the estate that it came from
	InsideSource  string // host of the estate that it came from
}

// Enrich looks an alert's indicators up and says what it may be related by.
func (f *Fusion) Enrich(now time.Duration, a *alert.Alert) Enrichment {
	e := Enrichment{Keys: f.keys(a)}
	e.Hits, e.Confidence = f.lookupAll(now, a)
	if acc := f.options.Inventory.Account(a.User); acc != nil {
		e.Account = acc.Name
	}
	if f.options.Inventory.Host(a.SourceIP) == nil {
		e.OutsideSource = a.SourceIP
	} else {
		e.InsideSource = a.Source
	}
	return e
}

// Observe counts an alert that joined an incident of a score.
func (f *Fusion) Observe(score float64) {
	if f.metrics != nil {
		f.metrics.enrichments.Inc()
		f.metrics.score.Observe(score)
	}
}

// keys are the words by which alerts are related: hosts that are no hubs,
// people's accounts, addresses outside.
func (f *Fusion) keys(a *alert.Alert) []string {
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

// lookupAll looks the alert's indicators up; it returns the number of hits and the
// best confidence among them.
func (f *Fusion) lookupAll(now time.Duration, a *alert.Alert) (int, float64) {
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

// cacheTTL is how long an answer of a source is reused.
const cacheTTL = time.Hour

// maxCached bounds the answers that are kept.
const maxCached = 100_000

func (f *Fusion) lookup(now time.Duration, s Source, i Indicator) (Hit, bool) {
	key := Indicator{s.Name() + "/" + i.Kind, i.Value}
	if v, ok := f.cache[key]; ok && now-v.at < cacheTTL {
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
	if len(f.cache) >= maxCached {
		f.dropStale(now)
	}
	f.cache[key] = cachedLookup{h, ok, now}
	return h, ok
}

func (f *Fusion) count(s Source, status string) {
	if f.metrics != nil {
		f.metrics.queries.WithLabelValues(s.Name(), status).Inc()
	}
}

func indicators(a *alert.Alert, v *inventory.Inventory) []Indicator {
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

// dropStale forgets answers that are too old to be reused, or all when none is.
func (f *Fusion) dropStale(now time.Duration) {
	for key, v := range f.cache {
		if now-v.at >= cacheTTL {
			delete(f.cache, key)
		}
	}
	if len(f.cache) >= maxCached {
		clear(f.cache)
	}
}
