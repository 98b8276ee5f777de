// Package ruledetector runs Sigma rules over the events: the engine of
// defenders/sentinel/sigma as a detector (defenders/detect). It turns matches into
// findings with the severity, confidence and reasons of the pipeline's vocabulary.
package ruledetector

import (
	"fmt"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/queue"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// Kind is the detector as variants name it.
var Kind = detect.Kind{
	Name: "sigma", Version: "1", Doc: "runs the variant's Sigma rules",
	Service: queue.Config{Mean: 2 * time.Millisecond, Servers: 4, Waiting: 50_000},
	New: func(env detect.Env, _ any) (detect.Detector, error) {
		if env.Rules == nil {
			return nil, fmt.Errorf("the detector sigma needs rules")
		}
		d := new(env.Rules)
		d.inUse = env.InUse
		return d, nil
	},
}

// Detector runs Sigma rules over the events.
type Detector struct {
	matcher *sigma.Matcher
	explain bool
	rules   *sigma.Engine          `snapshot:"-"`
	inUse   func(rule string) bool `snapshot:"-"` // nil when all rules are
	event   *event.Event           `snapshot:"-"`
	report  detect.Report          `snapshot:"-"`
	onMatch func(sigma.Match)      `snapshot:"-"`
}

// new makes a detector from compiled rules, which may be shared.
func new(e *sigma.Engine) *Detector {
	d := &Detector{matcher: e.NewMatcher(), rules: e}
	d.onMatch = d.find
	return d
}

// Explain adds to each finding why its rule matched.
func (d *Detector) Explain() { d.explain = true }

// Fixed implements detect.Referring: correlations remember which rules matched.
func (d *Detector) Fixed() []any { return []any{d.rules.Rules()} }

// Stats tells what the rules have done so far.
func (d *Detector) Stats() sigma.Stats { return d.matcher.Stats() }

// Inspect runs the rules over one event.
func (d *Detector) Inspect(_ time.Duration, e *event.Event, report detect.Report) error {
	d.report, d.event = report, e
	d.matcher.Match(e, d.onMatch)
	return nil
}

func (d *Detector) find(m sigma.Match) {
	if d.inUse != nil && !d.inUse(m.Rule.Key()) {
		return
	}
	f := detect.Finding{
		RuleID: m.Rule.Key(), Title: m.Rule.Title, Techniques: m.Rule.Techniques(), Severity: severityOf(m.Rule),
		Confidence: confidence(m.Rule), Evidence: m.Events,
	}
	if d.explain {
		for _, r := range d.matcher.Explain(m, d.event) {
			f.Reasons = append(f.Reasons, alert.Reason{Part: r.Selection, Field: r.Field, Value: r.Value, Test: r.Test})
		}
	}
	d.report(f)
}

// confidence is how sure a rule is before anything else is known. A rule may say
// so itself with a tag such as hemostat.confidence.85; otherwise its level
// decides.
func confidence(r *sigma.Rule) float64 {
	for _, tag := range r.Tags {
		if text, ok := strings.CutPrefix(tag, "hemostat.confidence."); ok {
			var percent int
			if _, err := fmt.Sscanf(text, "%d", &percent); err == nil && percent >= 0 && percent <= 100 {
				return float64(percent) / 100
			}
		}
	}
	switch severityOf(r) {
	case severity.Critical:
		return 0.95
	case severity.High:
		return 0.8
	case severity.Medium:
		return 0.55
	case severity.Low:
		return 0.3
	}
	return 0.1
}

// severityOf is the severity of a rule's alerts: its level, which the parser has checked.
func severityOf(r *sigma.Rule) severity.Severity {
	level, err := severity.Parse(r.Level)
	if err != nil {
		return severity.Informational
	}
	return level
}
