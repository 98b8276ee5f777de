package fusion

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/correlation"
	"hemostat/defenders/inventory"
	"hemostat/sim/event"
)

// Options configure the stage.
type Options struct {
	Sources   []Source
	Asker     Asker // of sources that take time; nil for none
	Inventory *inventory.Inventory
	// Correlation finds which incidents are one campaign.
	Correlation correlation.Options
	// Actors are the facts about threat actors; nil to name nobody.
	Actors *attribution.Facts
	// Clock measures how long enrichment takes, on the wall; nil measures nothing.
	Clock    func() time.Duration
	Registry prometheus.Registerer
}

// Fusion is the stage.
type Fusion struct {
	options  Options `snapshot:"-"`
	cache    map[Indicator]cachedLookup
	breakers map[string]*breaker // by source
	breadth  *breadth
	resolver *resolver // nil where an inventory says who is who
	linker   *correlation.Correlator
	stories  stories
	metrics  *metrics `snapshot:"-"`
}

type metrics struct {
	enrichments prometheus.Counter
	score       prometheus.Histogram
	seconds     prometheus.Histogram
	queries     *prometheus.CounterVec
}

// New puts the stage together.
func New(o Options) (*Fusion, error) {
	f := &Fusion{options: o, cache: map[Indicator]cachedLookup{}, breakers: map[string]*breaker{},
		stories: newStories()}
	hosts := 0
	if o.Inventory != nil {
		hosts = len(o.Inventory.Hosts)
	}
	f.breadth = newBreadth(hosts)
	if hosts == 0 {
		f.resolver = newResolver()
	}
	o.Correlation.Forgotten = f.stories.forget
	var err error
	if f.linker, err = correlation.New(o.Correlation); err != nil {
		return nil, err
	}
	if o.Registry != nil {
		f.metrics = &metrics{
			enrichments: prometheus.NewCounter(
				prometheus.CounterOpts{Name: "threat_enrichments_total", Help: "Alerts enriched."},
			),
			score: prometheus.NewHistogram(
				prometheus.HistogramOpts{
					Name:    "threat_correlation_score",
					Help:    "Score of the campaign that the incident of an alert fits best, 0 to 1.",
					Buckets: prometheus.LinearBuckets(0.1, 0.1, 10),
				},
			),
			seconds: prometheus.NewHistogram(
				prometheus.HistogramOpts{
					Name:    "threat_enrichment_seconds",
					Help:    "Wall-clock time of the enrichment of an alert, with its questions to sources.",
					Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12),
				},
			),
			queries: prometheus.NewCounterVec(
				prometheus.CounterOpts{
					Name: "threat_intel_source_queries_total",
					Help: "Questions to threat-intelligence sources, by how they ended.",
				},
				[]string{"source", "status"},
			),
		}
		for _, c := range []prometheus.Collector{f.metrics.enrichments, f.metrics.score, f.metrics.seconds,
			f.metrics.queries} {
			if err := o.Registry.Register(c); err != nil {
				return nil, fmt.Errorf("fusion metrics: %w", err)
			}
		}
	}
	return f, nil
}

// Enrichment is what fusion adds to an alert.
type Enrichment struct {
	// Sightings are the indicators of the alert that sources know.
	Sightings []Sighting
	// Confidence is the best of theirs, 0 without any.
	Confidence float64
	// Missing are the sources that could not answer.
	Missing []string
	// Keys are what relates alerts: two that share one belong together.
	Keys []string
	// Indicators are the addresses, names and files outside of the estate.
	Indicators []string
	// Account, OutsideSource and InsideSource name who and where the alert points to.
	Account       string // "" for one that the inventory does not know
	OutsideSource string // address outside the estate that it came from
	InsideSource  string // host of the estate that it came from
}

// Observe learns from an event who is who, where no inventory says it.
func (f *Fusion) Observe(e *event.Event) {
	if f.resolver != nil {
		f.resolver.observe(e)
	}
}

// Enrich looks an alert's indicators up and says what it may be related by. Where no inventory
// is known, it fills in which host and account the alert is about.
func (f *Fusion) Enrich(now time.Duration, a *alert.Alert) Enrichment {
	if f.metrics != nil && f.options.Clock != nil {
		began := f.options.Clock()
		defer func() { f.metrics.seconds.Observe((f.options.Clock() - began).Seconds()) }()
	}
	if f.resolver != nil {
		f.resolver.resolve(a)
	}
	e := Enrichment{Keys: f.keys(a)}
	list := indicators(a, f.options.Inventory)
	for _, i := range list {
		e.Indicators = append(e.Indicators, i.Value)
	}
	e.Sightings, e.Missing = f.lookupAll(now, a.Host, list)
	for i := range e.Sightings {
		e.Confidence = max(e.Confidence, e.Sightings[i].Confidence)
	}
	if acc := f.options.Inventory.Account(a.User); acc != nil {
		e.Account = acc.Name
	}
	if f.isInside(a) {
		e.InsideSource = a.Source
	} else {
		e.OutsideSource = a.SourceIP
	}
	return e
}

// isInside tells whether an alert came from a host of the estate.
func (f *Fusion) isInside(a *alert.Alert) bool {
	return f.options.Inventory.Host(a.SourceIP) != nil || f.resolver != nil && a.Source != ""
}

// Correlate holds the incident that an alert joined, and its score, against earlier campaigns;
// it returns the incident's link, and whether that is another than before.
func (f *Fusion) Correlate(now time.Duration, incident int, score float64, a *alert.Alert, e *Enrichment) (
	correlation.Link, bool,
) {
	f.stories.add(incident, score, a, e)
	l, changed := f.linker.Observe(now, incident,
		correlation.Observation{Alert: a, Entities: e.Keys, Indicators: e.Indicators,
			Confidence: e.Confidence})
	if f.metrics != nil {
		f.metrics.enrichments.Inc()
		f.metrics.score.Observe(l.Score)
	}
	return l, changed
}

// Merged tells that an incident turned out to be a part of another; it returns the link of
// that one, and whether it is another than before.
func (f *Fusion) Merged(from, into int) (correlation.Link, bool) {
	f.stories.merge(from, into)
	return f.linker.Merged(from, into)
}

// Graph is the attack graph of the campaign of an incident. The epoch is the time at which
// virtual times count from 0.
func (f *Fusion) Graph(incident int, epoch time.Time) *attackgraph.Graph {
	var list []attackgraph.Observation
	for _, id := range f.linker.Campaign(incident) {
		list = append(list, f.stories.observations(id)...)
	}
	return attackgraph.New(f.options.Inventory, epoch, list)
}

// guessing is the technique of guessing passwords: its names are no accounts in use.
const guessing = "T1110"

// keys are the words by which alerts are related: hosts that are no hubs,
// people's accounts, addresses outside.
func (f *Fusion) keys(a *alert.Alert) []string {
	var keys []string
	for _, name := range []string{a.Host, a.Source} {
		if name := f.relatingHost(name); name != "" {
			keys = append(keys, "host "+name)
		}
	}
	if name := f.relatingAccount(a); name != "" {
		keys = append(keys, "account "+name)
	}
	if a.SourceIP != "" && !f.isInside(a) {
		keys = append(keys, "address "+a.SourceIP)
	}
	if a.Destination != "" {
		keys = append(keys, "address "+a.Destination)
	}
	return keys
}

// relatingHost is the name of a host that relates alerts; "" for a hub, and for a host that a
// known inventory does not have.
func (f *Fusion) relatingHost(name string) string {
	h := f.options.Inventory.Host(name)
	switch {
	case h == nil && len(f.options.Inventory.Zones()) == 0:
		return name
	case h == nil || h.Role.IsHub():
		return ""
	}
	return h.Name
}

// relatingAccount is the account of an alert that relates it to others: a person's, or where
// no inventory is known, one that is likely a person's.
func (f *Fusion) relatingAccount(a *alert.Alert) string {
	acc := f.options.Inventory.Account(a.User)
	switch {
	case acc != nil && acc.Privilege != "service":
		return acc.Name
	case f.resolver == nil || !isPersonal(a.User) || strings.HasPrefix(a.Technique(), guessing):
		return ""
	}
	return strings.ToLower(a.User)
}
