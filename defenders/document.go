package defenders

import (
	"time"

	"hemostat/defenders/alert"
)

// AlertDocument is the form in which an alert is exchanged. Times count from 1970.
type AlertDocument struct {
	Time       string  `json:"time"`
	EventID    uint64  `json:"event_id"`
	Detector   string  `json:"detector"`
	RuleID     string  `json:"rule_id"`
	Title      string  `json:"title"`
	Technique  string  `json:"technique"`
	Severity   string  `json:"severity"`
	Confidence float64 `json:"confidence"`
	Host       string  `json:"host"`
	User       string  `json:"user"`
	SourceIP   string  `json:"source_ip"`
	Incident   int     `json:"incident"`
	// Because is why the rule matched.
	Because []alert.Reason `json:"because"`
	Verdict string         `json:"verdict,omitempty"` // of the variant's analyst
}

// Document is the alert in the form in which it is exchanged.
func (a *RaisedAlert) Document() AlertDocument {
	event := uint64(0)
	if n := len(a.Evidence); n > 0 {
		event = a.Evidence[n-1]
	}
	verdict := "" // the analyst was not asked
	if a.Triage != nil {
		verdict = string(a.Triage.Decision)
	}
	return AlertDocument{StampUTC(a.EventTime), event, a.Detector, a.RuleID, a.Title, a.Technique(), a.Severity.String(),
		a.Confidence, a.Host, a.User, a.SourceIP, a.Incident, a.Reasons, verdict}
}

// StampUTC writes a time since 1970; that of an event without one is empty.
func StampUTC(at time.Duration) string {
	if at == 0 {
		return ""
	}
	return time.Unix(0, int64(at)).UTC().Format("2006-01-02T15:04:05.000Z")
}
