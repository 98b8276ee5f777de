// Package record is what a trial yields, as plain rows: the trial itself, its
// attacks and their steps, alerts, approvals, actions and stage times, and the
// digest over them. sim/scenarios fill it, reports/store writes it down.
// Times are virtual nanoseconds from the scenario's start; a nil time means that
// it did not happen.
package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"hemostat/sim/event"
)

// Time is a virtual time that may never come.
type Time = *int64

// At makes a Time.
func At(d time.Duration) Time {
	n := int64(d)
	return &n
}

// Earliest returns the earlier of two times, of which either may never come.
func Earliest(a, b Time) Time {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

// Outcomes of an attack.
const (
	OutcomeObjective = "objective_reached" // the attacker got what he came for
	OutcomeContained = "contained"         // the defence left him no way on
	OutcomeFailed    = "failed"            // he failed or gave up without the defence
	OutcomeOngoing   = "ongoing"           // still at work at the horizon
	OutcomeNone      = "no_attack"         // the scenario has no attacker
)

// Trial is one row of the table trials.
type Trial struct {
	TrialID            string  `json:"trial_id"`
	Scenario           string  `json:"scenario"`
	Variant            string  `json:"variant"`
	Index              int     `json:"trial_index"`
	Status             string  `json:"status"`
	Error              string  `json:"error"`
	Outcome            string  `json:"outcome"`
	Detected           bool    `json:"detected"`
	Responded          bool    `json:"responded"`
	Contained          bool    `json:"contained"`
	ObjectiveReached   bool    `json:"objective_reached"`
	TimeToDetect       Time    `json:"time_to_detect"`
	TimeToEnrich       Time    `json:"time_to_enrich"`
	TimeToRespond      Time    `json:"time_to_respond"`
	TimeToContain      Time    `json:"time_to_contain"`
	TimeToObjective    Time    `json:"time_to_objective"`
	TimeToRestore      Time    `json:"time_to_restore"`
	Horizon            int64   `json:"horizon"`
	EventsTotal        int     `json:"events_total"`
	EventsMalicious    int     `json:"events_malicious"`
	EventsLost         int     `json:"events_lost"`
	EventsQueueDropped int     `json:"events_queue_dropped"`
	AlertsTotal        int     `json:"alerts_total"`
	AlertsFalse        int     `json:"alerts_false"`
	ActionsTotal       int     `json:"actions_total"`
	ActionsOnBenign    int     `json:"actions_on_benign"`
	CollateralSeconds  float64 `json:"collateral_user_seconds"`
	ApprovalsAsked     int     `json:"approvals_asked"`
	ApprovalWait       Time    `json:"approval_wait"` // sum over answered requests
	Coherence          float64 `json:"coherence"`
	Score              float64 `json:"score"`
	// The parts of the score, in hours of one person's work; docs/metrics.md.
	Harm       float64 `json:"harm"`
	Disruption float64 `json:"disruption"`
	Operations float64 `json:"operations"`
	Stake      float64 `json:"stake"`
	// BytesLost is what the attackers carried out of the estate.
	BytesLost int64  `json:"bytes_lost"`
	Digest    string `json:"digest"`

	Attacks   []Attack      `json:"attacks"`
	Steps     []Step        `json:"steps"`
	Alerts    []Alert       `json:"alerts"`
	Approvals []Approval    `json:"approvals"`
	Actions   []Action      `json:"actions"`
	Stages    []Stage       `json:"stages"`
	Audit     []AuditEntry  `json:"audit"`
	Cost      []Cost        `json:"-"`
	Events    []StoredEvent `json:"-"`
}

// Attack is one attacker's fate.
type Attack struct {
	Attack           int     `json:"attack"`
	Name             string  `json:"name"`
	Outcome          string  `json:"outcome"`
	Started          Time    `json:"started"`
	FirstEvent       Time    `json:"first_event"`
	Ingested         Time    `json:"ingested"`
	Detected         Time    `json:"detected"`
	Enriched         Time    `json:"enriched"`
	PlaybookStarted  Time    `json:"playbook_started"`
	ApprovalAsked    Time    `json:"approval_asked"`
	ApprovalGiven    Time    `json:"approval_given"`
	FirstAction      Time    `json:"first_action"`
	Contained        Time    `json:"contained"`
	ObjectiveReached Time    `json:"objective_reached"`
	Restored         Time    `json:"restored"`
	Ended            Time    `json:"ended"`
	EndReason        string  `json:"end_reason"`
	Progress         float64 `json:"progress"`
}

// Step is one thing that an attacker tried.
type Step struct {
	Attack    int    `json:"attack"`
	Step      int    `json:"step"`
	Technique string `json:"technique"`
	Name      string `json:"name"`
	Tactic    string `json:"tactic"`
	Tool      string `json:"tool"`
	Host      string `json:"host"`
	Target    string `json:"target"`
	Started   int64  `json:"started"`
	Ended     int64  `json:"ended"`
	Succeeded bool   `json:"succeeded"`
	Reason    string `json:"reason"`     // what came of it
	Why       string `json:"why"`        // why the attacker did it
	BlockedBy int64  `json:"blocked_by"` // action that stopped it, 0 for none
	Detected  Time   `json:"detected_at"`
}

// Alert is one alert of a detector.
type Alert struct {
	Alert      int      `json:"alert"`
	Time       int64    `json:"time"`
	EventTime  int64    `json:"event_time"`
	Detector   string   `json:"detector"`
	RuleID     string   `json:"rule_id"`
	Title      string   `json:"title"`
	Technique  string   `json:"technique"`
	Severity   string   `json:"severity"`
	Confidence float64  `json:"confidence"`
	Host       string   `json:"host"`
	User       string   `json:"user"`
	Source     string   `json:"source_ip"`
	Evidence   []uint64 `json:"evidence"`
	Incident   int      `json:"incident"`
	Attack     int      `json:"attack"` // in truth; 0 is a false alarm
	Step       int      `json:"step"`
}

// Approval is one question to a person.
type Approval struct {
	Approval int     `json:"approval"`
	Incident int     `json:"incident"`
	Playbook string  `json:"playbook"`
	Step     string  `json:"step"`
	Action   string  `json:"action"`
	Target   string  `json:"target"`
	Asked    int64   `json:"asked"`
	Answered Time    `json:"answered"`
	Closed   Time    `json:"closed"`  // answered or given up
	Outcome  string  `json:"outcome"` // approved, denied, timed_out, escalated, too_late, pending
	Approver string  `json:"approver"`
	Just     bool    `json:"justified"` // in truth: the target was the attackers'
	Waited   float64 `json:"waited_seconds"`
	// Confidence and Predicted are what the person was shown: the incident's score,
	// and the disruption expected.
	Confidence float64 `json:"confidence"`
	Predicted  float64 `json:"disruption_predicted"`
}

// Action is one action of the defence.
type Action struct {
	Action   int64  `json:"action"`
	Run      int    `json:"run"` // of the playbook
	Incident int    `json:"incident"`
	Playbook string `json:"playbook"`
	Step     string `json:"step"`
	Kind     string `json:"kind"`
	Target   string `json:"target"`
	Status   string `json:"status"` // succeeded, failed, skipped, denied, timed_out, dry_run, limited
	Detail   string `json:"detail"`
	Asked    int64  `json:"requested"`
	Started  Time   `json:"started"`
	Ended    Time   `json:"ended"`
	Undone   Time   `json:"undone"`
	Attempts int    `json:"attempts"`
	OnBenign bool   `json:"on_benign"` // in truth
	// Predicted and Realised are the disruption that was expected, criticality times
	// hours, and that came, in hours of one person's work.
	Predicted float64 `json:"disruption_predicted"`
	Realised  float64 `json:"disruption_realised"`
}

// Stage is when one stage of the pipeline worked on an incident.
type Stage struct {
	Incident int    `json:"incident"`
	Stage    string `json:"stage"`
	Started  int64  `json:"started"`
	Ended    Time   `json:"ended"`
}

// AuditEntry is one line of the response's audit log, as JSON, chained by hashes.
type AuditEntry struct {
	Time     int64  `json:"time"`
	Run      int    `json:"run"`
	Incident int    `json:"incident"`
	Playbook string `json:"playbook"`
	Step     string `json:"step"`
	What     string `json:"what"`
	Status   string `json:"status"`
	Detail   string `json:"detail"`
	Hash     string `json:"hash"`
	Line     string `json:"-"` // the whole entry; the hash stands for it in the digest
}

// Cost is wall-clock time, which is never part of a digest.
type Cost struct {
	WallNS         int64
	Detector       string
	DetectorWallNS int64
}

// StoredEvent is an event kept on request.
type StoredEvent struct {
	Event  *event.Event
	Attack int
	Step   int
}

// Seal computes the trial's digest: SHA-256 over its rows, in order, without the
// wall-clock cost and the stored events.
func (t *Trial) Seal() error {
	t.Digest = ""
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(t); err != nil {
		return fmt.Errorf("digest of trial %s: %w", t.TrialID, err)
	}
	t.Digest = hex.EncodeToString(h.Sum(nil))
	return nil
}

// TrialID derives a trial's identity from what determines it.
func TrialID(scenarioDigest, variantDigest string, seed uint64, index int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%d", scenarioDigest, variantDigest, seed, index))
	return hex.EncodeToString(sum[:8])
}
