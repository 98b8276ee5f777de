package sentinel

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"strings"

	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/boundedfile"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

//go:embed rules/*/rule.yml
var embedded embed.FS

// EmbeddedRules are the rules that come with the program.
func EmbeddedRules() ([]*sigma.Rule, error) { return sigma.ReadDir(embedded, "rules") }

// LoadRules reads the rules of several folders; the name "embedded" stands for
// those that come with the program. Pipelines adapt them all. Every fault of every
// folder is reported.
func LoadRules(folders []string, pipelines ...*sigma.Pipeline) ([]*sigma.Rule, error) {
	var rules []*sigma.Rule
	var faults sigma.Errors
	for _, folder := range folders {
		var more []*sigma.Rule
		var err error
		if folder == "embedded" {
			more, err = sigma.ReadDir(embedded, "rules", pipelines...)
		} else {
			more, err = readFolder(folder, pipelines)
		}
		var e sigma.Errors
		if errors.As(err, &e) {
			for i := range e {
				e[i].File = folder + "/" + e[i].File
			}
			faults = append(faults, e...)
		} else if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	return rules, faults.Err()
}

// LoadPipelines reads pipelines from files. Every fault of every file is reported.
func LoadPipelines(files []string) ([]*sigma.Pipeline, error) {
	var pipelines []*sigma.Pipeline
	var faults sigma.Errors
	for _, file := range files {
		data, err := boundedfile.Read(file)
		if err != nil {
			return nil, fmt.Errorf("pipeline %s: %w", file, err)
		}
		p, err := sigma.ParsePipeline(file, data)
		var e sigma.Errors
		if errors.As(err, &e) {
			faults = append(faults, e...)
		}
		pipelines = append(pipelines, p)
	}
	return pipelines, faults.Err()
}

func readFolder(folder string, pipelines []*sigma.Pipeline) ([]*sigma.Rule, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, fmt.Errorf("rules folder %s: %w", folder, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("rules folder %s is a file; name its folder", folder)
	}
	rules, err := sigma.ReadDir(boundedfile.FS(folder), ".", pipelines...)
	if errors.Is(err, sigma.ErrNoRuleFile) {
		return nil, fmt.Errorf("rules folder %s: %w", folder, sigma.ErrNoRuleFile)
	}
	return rules, err
}

// SigmaDetector runs Sigma rules over the events.
type SigmaDetector struct {
	// Explain adds to each finding why its rule matched.
	Explain bool

	matcher *sigma.Matcher
	event   *event.Event
	found   func(Finding)
	hit     func(sigma.Match)
}

var _ Detector = (*SigmaDetector)(nil)

// NewSigmaDetector makes a detector from compiled rules, which may be shared.
func NewSigmaDetector(e *sigma.Engine) *SigmaDetector {
	d := &SigmaDetector{matcher: e.NewMatcher()}
	d.hit = d.report
	return d
}

// Name is "sigma".
func (d *SigmaDetector) Name() string { return "sigma" }

// Stats tells what the rules have done so far.
func (d *SigmaDetector) Stats() sigma.Stats { return d.matcher.Stats() }

// Inspect runs the rules over one event.
func (d *SigmaDetector) Inspect(e *event.Event, found func(Finding)) {
	d.found, d.event = found, e
	d.matcher.Match(e, d.hit)
}

func (d *SigmaDetector) report(m sigma.Match) {
	f := Finding{
		RuleID: m.Rule.Key(), Title: m.Rule.Title, Techniques: m.Rule.Techniques(), Severity: severityOf(m.Rule),
		Confidence: Confidence(m.Rule), Evidence: m.Events,
	}
	if d.Explain {
		f.Because = d.matcher.Explain(m, d.event)
	}
	d.found(f)
}

// Confidence is how sure a rule is before anything else is known. A rule may say
// so itself with a tag such as hemostat.confidence.85; otherwise its level
// decides.
func Confidence(r *sigma.Rule) float64 {
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
