package fusion

import (
	"slices"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/fusion/indicator"
	"hemostat/defenders/inventory"
)

// Indicator is something that a source may know.
type Indicator struct {
	Kind  string // ip, domain or sha256
	Value string
}

// Hit is what a source says of an indicator.
type Hit struct {
	Source     string
	Confidence float64
	// Known is the entry as the source has it; the zero value where it says no more.
	Known indicator.IOC
	// Actors are those whose indicator it is said to be.
	Actors []string
}

// Sighting is an indicator of an alert that a source knows.
type Sighting struct {
	Indicator
	Hit
}

// Source is a threat-intelligence source. It answers for the virtual time that it is given,
// and at once; what has to be waited for is asked through an Asker.
type Source interface {
	Name() string
	Lookup(now time.Duration, i Indicator) (Hit, bool, error)
}

// Status is how a question to a source ended.
type Status string

// The statuses, which are also those of the metric threat_intel_source_queries_total.
const (
	StatusHit      Status = "hit"
	StatusMiss     Status = "miss"
	StatusCached   Status = "cached"    // answered from an earlier answer
	StatusError    Status = "error"     // it failed, or its answer was rubbish
	StatusTimeout  Status = "timeout"   // it did not answer before the deadline
	StatusOpen     Status = "open"      // it failed too often to be asked now
	StatusLimited  Status = "limited"   // it was asked too often to be asked now
	StatusStale    Status = "stale"     // it answered from data that could not be renewed lately
	StatusTooBroad Status = "too_broad" // the entry matches too much of the estate to mean anything
)

// isMissing tells whether the source's answer is missing.
func (s Status) isMissing() bool {
	switch s {
	case StatusError, StatusTimeout, StatusOpen, StatusLimited, StatusStale:
		return true
	}
	return false
}

// Answer is what a source said to one question.
type Answer struct {
	Source    string
	Indicator Indicator
	Status    Status
	Hits      []Hit // several where one answer was looked up in the cache
}

// Asker asks sources that take time, side by side, and waits for them no longer than its
// deadline. Answers that did not come in time are there with their status.
type Asker interface {
	Ask(list []Indicator) []Answer
}

// cacheTTL is how long an answer of a source is reused.
const cacheTTL = time.Hour

// maxCached bounds the answers that are kept.
const maxCached = 100_000

// cachedLookup is an answer of a source, with its time; the hit of a miss names no source.
type cachedLookup struct {
	hit Hit
	at  time.Duration
}

// lookupAll looks the indicators of an alert up. Missing are the sources that could not
// answer.
func (f *Fusion) lookupAll(now time.Duration, host string, list []Indicator) (found []Sighting, missing []string) {
	note := func(source string, i Indicator, status Status, hit Hit) {
		if status.isMissing() && !slices.Contains(missing, source) {
			missing = append(missing, source)
		}
		if hit.Source != "" {
			if f.breadth.isTooBroad(hit, i, host) {
				status = StatusTooBroad
			} else {
				found = append(found, Sighting{i, hit})
			}
		}
		f.count(source, status)
	}
	for _, i := range list {
		for _, s := range f.options.Sources {
			status, hit := f.lookup(now, s, i)
			note(s.Name(), i, status, hit)
		}
	}
	if f.options.Asker != nil && len(list) > 0 {
		for _, a := range f.options.Asker.Ask(list) {
			if len(a.Hits) == 0 {
				note(a.Source, a.Indicator, a.Status, Hit{})
			}
			for _, h := range a.Hits {
				note(a.Source, a.Indicator, a.Status, h)
			}
		}
	}
	slices.Sort(missing)
	return found, missing
}

// lookup asks one source that answers at once; a hit has its source named.
func (f *Fusion) lookup(now time.Duration, s Source, i Indicator) (Status, Hit) {
	key := Indicator{s.Name() + "/" + i.Kind, i.Value}
	if v, ok := f.cache[key]; ok && now-v.at < cacheTTL {
		return StatusCached, v.hit
	}
	b := f.breakers[s.Name()]
	if b == nil {
		b = &breaker{}
		f.breakers[s.Name()] = b
	}
	if !b.allows(now) {
		return StatusOpen, Hit{}
	}
	h, ok, err := s.Lookup(now, i)
	b.note(now, err != nil)
	if err != nil {
		return StatusError, Hit{}
	}
	status := StatusHit
	if !ok {
		status, h = StatusMiss, Hit{}
	}
	if len(f.cache) >= maxCached {
		f.dropStale(now)
	}
	f.cache[key] = cachedLookup{h, now}
	return status, h
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

func (f *Fusion) count(source string, status Status) {
	if f.metrics != nil {
		f.metrics.queries.WithLabelValues(source, string(status)).Inc()
	}
}

// indicators are what sources may know of an alert.
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

// breadth refuses entries of sources that match too much of the estate: what alerts of a
// quarter of the hosts have in common, and of twenty at least, tells nothing.
type breadth struct {
	hosts   int // of the estate, 0 where it is not known
	seen    map[string]map[string]bool
	refused map[string]bool
}

const (
	broadShare   = 0.25
	broadLeast   = 20
	maxWatched   = 10_000
	unknownHosts = 400 // stands for the size of an estate that is not known
)

func newBreadth(hosts int) *breadth {
	if hosts == 0 {
		hosts = unknownHosts
	}
	return &breadth{hosts: hosts, seen: map[string]map[string]bool{}, refused: map[string]bool{}}
}

// isTooBroad takes a hit in an alert about a host in, and tells whether its entry is refused.
func (b *breadth) isTooBroad(h Hit, i Indicator, host string) bool {
	value := h.Known.Value
	if value == "" {
		value = i.Value
	}
	key := h.Source + "\x00" + value
	if b.refused[key] || host == "" {
		return b.refused[key]
	}
	hosts := b.seen[key]
	if hosts == nil {
		if len(b.seen) >= maxWatched {
			clear(b.seen)
		}
		hosts = map[string]bool{}
		b.seen[key] = hosts
	}
	hosts[host] = true
	if n := len(hosts); n < broadLeast || float64(n) < broadShare*float64(b.hosts) {
		return false
	}
	delete(b.seen, key)
	b.refused[key] = true
	return true
}
