package trial

import (
	"fmt"
	"sync"
	"time"

	"hemostat/attackers/evasion"
	"hemostat/attackers/technique"
	"hemostat/defenders/fusion/correlation"
	"hemostat/defenders/incident"
	"hemostat/defenders/sentinel/encrypted"
	"hemostat/scenarios/coverage"
)

// oracle answers attackers who have access to the defence's detectors, as a scenario assumes.
type oracle struct {
	trial *Trial
	err   error
}

// Rhythm implements evasion.Oracle: the score of a beacon, as far as calls alone make it.
func (o *oracle) Rhythm(at []time.Duration, sent []float64) float64 {
	if !o.trial.variant.Runs(encrypted.Kind.Name) {
		return 0
	}
	return encrypted.CallScore(at, sent)
}

// Link implements evasion.Oracle: the score of two incidents of an attack, as a share of the
// threshold of the variant's correlation.
func (o *oracle) Link(c evasion.Changes) float64 {
	if c.Pause < incident.JoinWindow {
		return 2 // one incident, which nothing has to link
	}
	same := 1.0
	if c.Tools {
		same = 0
	}
	score, err := correlation.LinkScore(o.trial.variant.Correlation(), !c.Indicators, same)
	if err != nil && o.err == nil {
		o.err = err
	}
	return score
}

// seenTools remembers which tools the detectors of a variant see, by its digest, the technique
// and the tool: rehearsing one takes longer than many a trial.
var seenTools sync.Map

// Sees implements evasion.Oracle: the tool is rehearsed before the variant's detectors.
func (o *oracle) Sees(id, tool string) bool {
	key := o.trial.variant.Digest + "\x00" + id + "\x00" + tool
	if seen, ok := seenTools.Load(key); ok {
		return seen.(bool)
	}
	t := technique.Find(id)
	if t == nil {
		return false
	}
	seen, err := coverage.Sees(o.trial.variant, t, tool)
	if err != nil {
		if o.err == nil {
			o.err = fmt.Errorf("what the defence sees of %s with %s: %w", id, tool, err)
		}
		return false
	}
	seenTools.Store(key, seen)
	return seen
}
