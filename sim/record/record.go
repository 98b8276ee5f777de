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
	OutcomeObjective = "objective_reached" // the attacker reached the goal
	OutcomeContained = "contained"         // the defence stopped the attacker
	OutcomeFailed    = "failed"            // the attacker gave up, unhindered by the defence
	OutcomeOngoing   = "ongoing"           // still at work at the horizon
	OutcomeNone      = "no_attack"         // the scenario has no attacker
)

// Trial is one row of the table trials. Its fields are the columns, with all that is
// known of them; see Column. Times count from the attack's first event.
type Trial struct {
	TrialID  string `json:"trial_id" doc:"identity, from scenario, variant, seed and index"`
	Scenario string `json:"scenario" doc:"name of the scenario"`
	Variant  string `json:"variant" doc:"name of the variant"`
	Index    int    `json:"trial_index" doc:"which simulated day of the seed"`
	Status   string `json:"status" doc:"ok or error; an error is never counted as a missed detection"`
	Error    string `json:"error" doc:"what went wrong"`
	Outcome  string `json:"outcome" doc:"objective_reached, contained, failed (the attacker gave up unhindered by the defence), ongoing (at the horizon), no_attack"`

	Detected         bool `json:"detected" unit:"share" better:"more" bound:"1" doc:"an alert whose evidence holds an event of the attack was raised"`
	Responded        bool `json:"responded" unit:"share" doc:"an action took effect that was aimed at something of the attacker's"`
	Contained        bool `json:"contained" unit:"share" better:"more" bound:"1" doc:"after the attacker's last success nothing went through any more because of the defence"`
	ObjectiveReached bool `json:"objective_reached" unit:"share" better:"less" bound:"1" doc:"an attacker reached the goal of the campaign"`

	TimeToDetect    Time `json:"time_to_detect" unit:"ns" better:"less" doc:"until the first alert about the attack"`
	TimeToEnrich    Time `json:"time_to_enrich" unit:"ns" doc:"until fusion was done with that alert"`
	TimeToRespond   Time `json:"time_to_respond" unit:"ns" better:"less" doc:"until the first action against the attacker took effect"`
	TimeToContain   Time `json:"time_to_contain" unit:"ns" better:"less" doc:"until the action that stopped the attacker for good took effect"`
	TimeToObjective Time `json:"time_to_objective" unit:"ns" doc:"until the attacker reached the goal"`
	TimeToRestore   Time `json:"time_to_restore" unit:"ns" doc:"until all that was done for the attack's incidents was undone and hosts were rebuilt"`

	Horizon            int64   `json:"horizon" unit:"ns" doc:"length of the simulated day"`
	EventsTotal        int     `json:"events_total" unit:"count" doc:"events that sensors collected"`
	EventsMalicious    int     `json:"events_malicious" unit:"count" doc:"events among them that attackers caused"`
	EventsLost         int     `json:"events_lost" unit:"count" doc:"events that sensors lost"`
	EventsQueueDropped int     `json:"events_queue_dropped" unit:"count" doc:"events and alerts that full queues refused"`
	AlertsTotal        int     `json:"alerts_total" unit:"count" doc:"alerts raised"`
	AlertsFalse        int     `json:"alerts_false" unit:"count" better:"less" bound:"200" doc:"false positives: alerts without an event of an attack in their evidence"`
	AlertsDismissed    int     `json:"alerts_dismissed" unit:"count" doc:"alerts that the automatic analyst dismissed; they count as raised, but lead to nothing"`
	AlertsToPeople     int     `json:"alerts_to_people" unit:"count" better:"less" bound:"200" doc:"alerts of severity medium or more that people had to look at"`
	AlertsFalsePeople  int     `json:"alerts_false_to_people" unit:"count" better:"less" bound:"200" doc:"false positives among them"`
	ActionsTotal       int     `json:"actions_total" unit:"count" doc:"actions that succeeded"`
	ActionsOnBenign    int     `json:"actions_on_benign" unit:"count" better:"less" bound:"50" doc:"actions on what the attackers never had"`
	CollateralSeconds  float64 `json:"collateral_user_seconds" unit:"s" better:"less" bound:"720000" doc:"working time of people lost to what the defence stopped or slowed; a gate counts 200 hours at most"`
	ApprovalsAsked     int     `json:"approvals_asked" unit:"count" better:"less" bound:"100" doc:"approval requests to people"`
	ApprovalWait       Time    `json:"approval_wait" unit:"ns" doc:"sum of the waits for answers to approval requests"`
	Coherence          float64 `json:"coherence" unit:"share" better:"more" bound:"1" doc:"share of incidents that were acted on within 5 s"`

	JoinPairs     int     `json:"join_pairs" unit:"count" doc:"pairs of alerts about the same attack"`
	JoinPrecision float64 `json:"join_precision" unit:"share" doc:"of the pairs of alerts in one campaign of which one at least is about an attack, the share in which both are about the same; 1 without such pairs"`
	JoinRecall    float64 `json:"join_recall" unit:"share" doc:"of the pairs of alerts about the same attack, the share that is in one campaign; 1 without such pairs"`
	JoinRand      float64 `json:"join_rand" unit:"" doc:"adjusted Rand index of campaigns against attacks, each false alarm standing alone; 1 is perfect, 0 is chance"`

	DecoysTouched   int     `json:"decoys_touched" unit:"count" doc:"steps of attackers that were aimed at a decoy or honeypot"`
	Forecasts       int     `json:"forecasts" unit:"count" doc:"alerts about an attack after which a further step came, so that the forecast of its technique can be scored"`
	ForecastLogLoss float64 `json:"forecast_log_loss" unit:"" doc:"mean of minus the logarithm of the probability that the technique was given"`
	ForecastBrier   float64 `json:"forecast_brier" unit:"" doc:"mean Brier score of these forecasts, 0 to 2"`
	ForecastTop1    float64 `json:"forecast_top1" unit:"share" doc:"share in which the technique was the one held likeliest"`
	ForecastTop3    float64 `json:"forecast_top3" unit:"share" doc:"share in which it was among the three held likeliest"`

	AttributionsScored int     `json:"attributions_scored" unit:"count" doc:"attacks with a campaign of alerts for which an actor was named"`
	AttributionTop1    float64 `json:"attribution_top1" unit:"share" doc:"share of them for which the right actor stood first; unknown is right for one that the defence cannot know"`
	AttributionTop3    float64 `json:"attribution_top3" unit:"share" doc:"share for which the right actor was among the first three"`
	AttributionBrier   float64 `json:"attribution_brier" unit:"" doc:"mean Brier score of these probabilities, 0 to 2"`

	AnalystTokens int     `json:"analyst_tokens" unit:"count" optional:"true" better:"less" bound:"1e6" doc:"tokens of the model analyst's questions and answers, recorded ones too"`
	AnalystCost   float64 `json:"analyst_cost" unit:"money" optional:"true" better:"less" bound:"1e3" doc:"what these tokens cost, in the currency of the variant's prices"`

	Score      float64 `json:"score" unit:"points" better:"more" bound:"100" doc:"0 to 100, from harm, disruption and operations as a share of the stake"`
	Harm       float64 `json:"harm" unit:"h" better:"less" bound:"5000" doc:"what the attack cost"`
	Disruption float64 `json:"disruption" unit:"h" better:"less" bound:"5000" doc:"ordinary work that the defence's actions cost"`
	Operations float64 `json:"operations" unit:"h" better:"less" bound:"500" doc:"effort of the defence itself"`
	Stake      float64 `json:"stake" unit:"h" doc:"ordinary work of the horizon and what the attackers could gain"`
	BytesLost  int64   `json:"bytes_lost" unit:"bytes" better:"less" bound:"100e9" doc:"data that the attackers carried out of the estate"`
	Digest     string  `json:"digest" doc:"SHA-256 over the trial's rows"`

	Attacks      []Attack          `json:"attacks"`
	Steps        []Step            `json:"steps"`
	Alerts       []Alert           `json:"alerts"`
	Approvals    []Approval        `json:"approvals"`
	Actions      []Action          `json:"actions"`
	Stages       []Stage           `json:"stages"`
	Verdicts     []Verdict         `json:"verdicts,omitempty"`
	Accounts     []AccountSentence `json:"accounts,omitempty"`
	Predictions  []Prediction      `json:"predictions,omitempty"`
	Incidents    []Incident        `json:"incidents,omitempty"`
	Sightings    []Sighting        `json:"sightings,omitempty"`
	Entities     []Entity          `json:"entities,omitempty"`
	Attributions []Attribution     `json:"attributions,omitempty"`
	Audit        []AuditEntry      `json:"audit"`
	Cost         []Cost            `json:"-"`
	Scores       []Score           `json:"-"`
	Events       []StoredEvent     `json:"-"`
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
	// Goal, Type and Skill are what the attacker is like, in truth.
	Goal  string  `json:"goal"`
	Type  string  `json:"type"`
	Skill float64 `json:"skill"`
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
	Reason    string `json:"reason"`     // outcome, or why it failed
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
	// Campaign is the first of the incidents that belong together: those that turned out to be
	// one, and those about the same entities within a day.
	Campaign int `json:"campaign"`
	Attack   int `json:"attack"` // in truth; 0 is a false alarm
	Step     int `json:"step"`
	// SourceHost, Zone, Destination, Domain and FileHash are what else the alert is about, and
	// Techniques all of its techniques where there are several; incidents are drawn from them.
	SourceHost  string   `json:"source_host,omitempty" sql:"source_host"`
	Zone        string   `json:"zone,omitempty" sql:"zone"`
	Destination string   `json:"destination,omitempty" sql:"destination"`
	Domain      string   `json:"domain,omitempty" sql:"domain"`
	FileHash    string   `json:"file_hash,omitempty" sql:"file_hash"`
	Techniques  []string `json:"techniques,omitempty" sql:"techniques"`
	// Reasons are those that the detector gave, where it explains.
	Reasons []Reason `json:"reasons,omitempty" sql:"reasons"`
	// Steps are all steps of attacks in the evidence, in truth, where there are several.
	Steps []StepRef `json:"steps,omitempty" sql:"steps"`
	// Verdict is what the automatic analyst decided: confirm, dismiss, raise, abstain; ""
	// where it was not asked. A dismissed alert led to nothing: it belongs to no incident.
	Verdict string `json:"verdict,omitempty" sql:"verdict"`
}

// Incident is a set of alerts that fusion put together. What is said of the campaign stands in
// the row of its first incident.
type Incident struct {
	Incident   int     `json:"incident"`
	Campaign   int     `json:"campaign"`    // the first incident of those that belong together
	MergedInto int     `json:"merged_into"` // the incident that it turned out to be a part of, or 0
	First      int64   `json:"first"`
	Last       int64   `json:"last"`
	Alerts     int     `json:"alerts"`
	Severity   string  `json:"severity"`
	Score      float64 `json:"score"` // how sure it is that it is real, 0 to 1
	// LinkedTo is the earlier incident that it was linked to, or 0; Correlation the score of the
	// link, or of the best campaign that it was not linked to; Parts what adds to its log odds.
	LinkedTo    int          `json:"linked_to"`
	Correlation float64      `json:"correlation"`
	Parts       []NamedShare `json:"correlation_parts" sql:"correlation_parts"`
	IntelHits   int          `json:"intel_hits"`
	Missing     []string     `json:"missing_sources" sql:"missing_sources"` // sources that could not answer
	Attack      int          `json:"attack"`                                // in truth: most of its alerts are about it

	// Of the campaign: where it began, the way to what matters most, what would stop it, where
	// it may go next, what is held and what is in reach, and who is behind it.
	RootCause    string       `json:"root_cause"`
	CriticalPath []string     `json:"critical_path" sql:"critical_path"`
	Cut          []string     `json:"cut" sql:"cut"`
	CutCost      float64      `json:"cut_cost"`
	Next         []NamedShare `json:"next_hosts" sql:"next_hosts"`
	Hosts        []string     `json:"hosts" sql:"hosts"`
	HostsShare   float64      `json:"hosts_share"` // of the estate's worth
	InReach      int          `json:"hosts_in_reach"`
	ReachShare   float64      `json:"share_in_reach"`
	Actors       []NamedShare `json:"actors" sql:"actors"`
}

// Sighting is an indicator of an alert that a source of threat intelligence knows.
type Sighting struct {
	Alert      int      `json:"alert"`
	Kind       string   `json:"kind"`
	Value      string   `json:"value"`
	Source     string   `json:"source"`
	Entry      string   `json:"entry"` // of the source, such as the network that holds an address
	Confidence float64  `json:"confidence"`
	Tags       []string `json:"tags" sql:"tags"`
}

// Entity is a host or an account that an alert is about, as the inventory has it.
type Entity struct {
	Kind        string  `json:"kind"` // host or account
	Name        string  `json:"name"`
	Address     string  `json:"address"`
	Zone        string  `json:"zone"`
	Role        string  `json:"role"`
	Criticality float64 `json:"criticality"`
	Privilege   string  `json:"privilege"`
}

// Attribution is who was held to be behind the campaign of an attack.
type Attribution struct {
	Attack      int          `json:"attack"`
	Campaign    int          `json:"campaign"`
	Actor       string       `json:"actor"`       // in truth; unknown where the defence cannot know them
	Rank        int          `json:"rank"`        // of the right one, from 1
	Probability float64      `json:"probability"` // that the right one was given
	Brier       float64      `json:"brier"`
	Suspects    []NamedShare `json:"suspects" sql:"suspects"`
}

// Dismissed is the verdict by which an alert leads to nothing.
const Dismissed = "dismiss"

// Verdict is an answer of the automatic analyst about an alert, or about a window of events
// that no rule flagged.
type Verdict struct {
	Alert      int           `json:"alert"` // 0 for a window in which nothing was found
	Judge      string        `json:"judge"` // offline, surrogate, or the model's name
	Decision   string        `json:"decision"`
	Confidence float64       `json:"confidence"` // that the alert is true
	Technique  string        `json:"technique"`
	Before     string        `json:"severity_before"`
	Asked      int64         `json:"asked"`
	Answered   int64         `json:"answered"`
	Why        string        `json:"why"` // it abstained
	Requests   int           `json:"requests"`
	FromTape   int           `json:"-" sql:"from_cassette"` // recorded or asked, the trial is the same
	Input      int           `json:"tokens_input"`
	Output     int           `json:"tokens_output"`
	Cost       float64       `json:"cost"`
	Refused    int           `json:"refused"`
	Suspicious int           `json:"suspicious"`
	Attack     int           `json:"attack"` // in truth; 0 is a false alarm
	Reasons    []VerdictPart `json:"reasons" sql:"reasons"`
}

// AccountSentence is one sentence of the account of an incident.
type AccountSentence struct {
	Incident int      `json:"incident"`
	Sentence int      `json:"sentence"`
	Author   string   `json:"author"` // template, or the model's name
	Text     string   `json:"text"`
	Alerts   []uint64 `json:"alerts"` // that it rests on
}

// VerdictPart is one part of why the analyst decided so.
type VerdictPart struct {
	Text     string   `json:"text"`
	Weight   float64  `json:"weight,omitempty"`
	Evidence []uint64 `json:"evidence,omitempty"`
}

// AllSteps are the steps of attacks that the alert is about; none for a false alarm.
func (a *Alert) AllSteps() []StepRef {
	switch {
	case len(a.Steps) > 0:
		return a.Steps
	case a.Attack != 0:
		return []StepRef{{a.Attack, a.Step}}
	}
	return nil
}

// Reason is one part of why an alert was raised.
type Reason struct {
	Part  string `json:"selection,omitempty"`
	Field string `json:"field,omitempty"`
	Value string `json:"value"`
	Test  string `json:"test"`
}

// StepRef names a step of an attack.
type StepRef struct {
	Attack int `json:"attack"`
	Step   int `json:"step"`
}

// Score is how suspicious something was to a detector at its highest within a quarter of an
// hour, reported or not. Of what no attack caused only a sample is kept; each stands for as
// many as its weight says. Scores are in no digest: they say nothing that alerts do not.
type Score struct {
	Detector string  `json:"-" sql:"detector"`
	Question string  `json:"-" sql:"question"`
	Entity   string  `json:"-" sql:"entity"`
	Time     int64   `json:"-" sql:"time"`
	Event    int64   `json:"-" sql:"event_id"`
	Score    float64 `json:"-" sql:"score"`
	Reported bool    `json:"-" sql:"reported"`
	Weight   float64 `json:"-" sql:"weight"`
	Attack   int     `json:"-" sql:"attack"` // in truth; 0 is what no attack caused
	Step     int     `json:"-" sql:"step"`
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
	Line     string `json:"-" sql:"json"` // the whole entry; the hash stands for it in the digest
}

// Cost is wall-clock time, which is never part of a digest.
type Cost struct {
	WallNS         int64  `json:"-" sql:"wall_ns"`          // of the whole trial
	Detector       string `json:"-" sql:"detector"`         // "" in the trial's own row
	Version        string `json:"-" sql:"detector_version"` // of the detector
	DetectorWallNS int64  `json:"-" sql:"wall_ns_detector"` // of the detector alone
}

// Prediction is what was predicted and believed after an alert, and what came of it.
type Prediction struct {
	Alert    int   `json:"alert"`
	Incident int   `json:"incident"`
	Time     int64 `json:"time"`
	// Attack is the attack that the alert is about, in truth; 0 is a false alarm.
	Attack int `json:"attack"`
	// Came is the technique that was tried next, in truth; "" when none was. Its probability,
	// its rank from 1, and the Brier score of the forecast count only then.
	Came        string  `json:"came"`
	Probability float64 `json:"probability"`
	Rank        int     `json:"rank"` // 0 beyond the techniques that are named
	Brier       float64 `json:"brier"`
	// CameHost is the host that it was aimed at, with the probability of that forecast.
	CameHost        string  `json:"came_host"`
	HostProbability float64 `json:"host_probability"`
	Real            float64 `json:"real_probability"` // that there is an attacker at all
	Goal            string  `json:"goal"`             // the likeliest one
	// GoalProbability and TypeProbability are those of the true ones, SkillProbability that
	// of the true level of skill, StageProbability that of the tactic that they were at.
	GoalProbability  float64      `json:"goal_probability"`
	TypeProbability  float64      `json:"type_probability"`
	SkillProbability float64      `json:"skill_probability"`
	StageProbability float64      `json:"stage_probability"`
	Aware            float64      `json:"aware"`
	AwareTrue        bool         `json:"aware_true"` // the defence had blocked them by then
	Techniques       []NamedShare `json:"techniques" sql:"techniques"`
	Targets          []NamedShare `json:"targets" sql:"targets"`
}

// NamedShare is a name with its probability.
type NamedShare struct {
	Name string  `json:"name"`
	P    float64 `json:"p"`
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
