// Package alert is the vocabulary of detection: what an alert says, who and what it is
// about, and the reasons for it. Detectors, fusion, incidents and response share it; it
// holds no state.
package alert

import (
	"fmt"
	"time"

	"hemostat/sim/severity"
)

// Alert is what a detector says about one or more events.
type Alert struct {
	ID         int
	Raised     time.Duration // when the detector had it
	EventTime  time.Duration // when the last event behind it happened
	Detector   string
	RuleID     string
	Title      string
	Techniques []string // ATT&CK ids, the first is the main one
	Severity   severity.Severity
	Confidence float64  // 0 to 1
	Evidence   []uint64 // event ids, the newest last
	Reasons    []Reason // where the detector explains

	Entities
}

// Technique is the alert's main technique, or "".
func (a *Alert) Technique() string {
	if len(a.Techniques) == 0 {
		return ""
	}
	return a.Techniques[0]
}

// Reason is one part of why an alert was raised: a value and the test that it met. A
// rule names the selection that it stands in, a model the feature.
type Reason struct {
	Part  string `json:"selection,omitempty"` // of the rule or model
	Field string `json:"field,omitempty"`     // "" for any
	Value string `json:"value"`
	Test  string `json:"test"`
}

// String writes the reason as a rule would, such as Image 'C:\x.exe' endswith '\x.exe'.
func (r Reason) String() string {
	field := r.Field
	if field == "" {
		field = "any field"
	}
	text := fmt.Sprintf("%s '%s' %s", field, r.Value, r.Test)
	if r.Part != "" {
		text = r.Part + ": " + text
	}
	return text
}
