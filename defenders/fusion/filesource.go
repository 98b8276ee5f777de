package fusion

import (
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
		found = true
		hit.Confidence = max(hit.Confidence, indicator.Decayed(e.Kind, e.Confidence, e.LastSeen, f.epoch.Add(now)))
	}
	return hit, found, nil
}
