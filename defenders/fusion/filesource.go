package fusion

import (
	"strings"
	"time"

	"hemostat/defenders/fusion/indicator"
)

// FileSource answers from a set of indicators that was read from files.
type FileSource struct {
	name  string
	set   *indicator.Set
	epoch time.Time
}

// NewFileSource makes a source. The epoch is the time at which virtual times count from 0:
// what confidence is left of an indicator depends on its age.
func NewFileSource(name string, set *indicator.Set, epoch time.Time) *FileSource {
	return &FileSource{name, set, epoch}
}

// ActorsIn are the actors that tags of an indicator name, as MISP writes them
// (misp-galaxy:threat-actor="…"), and as actor:… or threat-actor:….
func ActorsIn(tags []string) []string {
	var out []string
	for _, t := range tags {
		for _, prefix := range []string{"misp-galaxy:threat-actor=", "misp-galaxy:mitre-intrusion-set=", "threat-actor:",
			"actor:"} {
			if rest, ok := strings.CutPrefix(t, prefix); ok {
				out = append(out, strings.Trim(rest, `"' `))
			}
		}
	}
	return out
}

// Name implements Source.
func (f *FileSource) Name() string { return f.name }

// Lookup implements Source; the best of several entries counts.
func (f *FileSource) Lookup(now time.Duration, i Indicator) (Hit, bool, error) {
	kind := indicator.Kind(i.Kind)
	if i.Kind == "ip" {
		kind = "" // either version
	}
	value, err := "", error(nil)
	if kind == "" {
		kind, value, err = indicator.Guess(i.Value)
	} else {
		value, err = indicator.Normalize(kind, i.Value)
	}
	if err != nil {
		return Hit{}, false, nil // what is no indicator is known to nobody
	}
	hit, found := Hit{Source: f.name}, false
	for _, e := range f.set.Lookup(kind, value) {
		if !e.ValidUntil.IsZero() && f.epoch.Add(now).After(e.ValidUntil) {
			continue
		}
		confidence := indicator.Decayed(e.Kind, e.Confidence, e.LastSeen, f.epoch.Add(now))
		if !found || confidence > hit.Confidence {
			hit.Confidence, hit.Known = confidence, e.IOC()
		}
		hit.Actors = append(hit.Actors, ActorsIn(e.Tags)...)
		found = true
	}
	return hit, found, nil
}
