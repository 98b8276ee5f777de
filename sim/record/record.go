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
	Attack           int     `json:"attack" doc:"number of the attack within the trial, from 1"`
	Name             string  `json:"name" doc:"name that the scenario gives the attacker"`
	Outcome          string  `json:"outcome" doc:"objective_reached, contained, failed, ongoing"`
	Started          Time    `json:"started" unit:"ns" doc:"when the attack began"`
	FirstEvent       Time    `json:"first_event" unit:"ns" doc:"when a sensor first saw something of it"`
	Ingested         Time    `json:"ingested" unit:"ns" doc:"when the defence took that in"`
	Detected         Time    `json:"detected" unit:"ns" doc:"when the first alert about it was raised"`
	Enriched         Time    `json:"enriched" unit:"ns" doc:"when fusion was done with that alert"`
	PlaybookStarted  Time    `json:"playbook_started" unit:"ns" doc:"when the first playbook about it began"`
	ApprovalAsked    Time    `json:"approval_asked" unit:"ns" doc:"when a person was first asked"`
	ApprovalGiven    Time    `json:"approval_given" unit:"ns" doc:"when a person first approved"`
	FirstAction      Time    `json:"first_action" unit:"ns" doc:"when the first action against the attacker took effect"`
	Contained        Time    `json:"contained" unit:"ns" doc:"when the action that stopped the attacker for good took effect"`
	ObjectiveReached Time    `json:"objective_reached" unit:"ns" doc:"when the attacker reached the goal"`
	Restored         Time    `json:"restored" unit:"ns" doc:"when all that was done for the attack was undone and hosts were rebuilt"`
	Ended            Time    `json:"ended" unit:"ns" doc:"when the attacker ended"`
	EndReason        string  `json:"end_reason" doc:"why the attacker ended"`
	Progress         float64 `json:"progress" unit:"share" doc:"part of the way to the goal that the attacker came"`
	// Goal, Type and Skill are what the attacker is like, in truth.
	Goal  string  `json:"goal" doc:"goal of the attacker, in truth"`
	Type  string  `json:"type" doc:"type of the attacker, in truth"`
	Skill float64 `json:"skill" unit:"share" doc:"skill of the attacker, in truth, 0 to 1"`
	// Evasion is how the attacker deceives the defence; nil for one who does not.
	Evasion []string `json:"evasion,omitempty" doc:"how the attacker deceives a defence that learns, in truth, with ids of MITRE ATLAS and what it took"`
}

// Step is one thing that an attacker tried.
type Step struct {
	Attack    int    `json:"attack" doc:"attack that the step belongs to"`
	Step      int    `json:"step" doc:"number of the step within the attack"`
	Technique string `json:"technique" doc:"ATT&CK id of the technique"`
	Name      string `json:"name" doc:"name of the technique"`
	Tactic    string `json:"tactic" doc:"tactic of ATT&CK"`
	Tool      string `json:"tool" doc:"tool that was used"`
	Host      string `json:"host" doc:"host that the step was made from"`
	Target    string `json:"target" doc:"what it was aimed at"`
	Started   int64  `json:"started" unit:"ns" doc:"when it began"`
	Ended     int64  `json:"ended" unit:"ns" doc:"when it ended"`
	Succeeded bool   `json:"succeeded" doc:"whether it succeeded"`
	Reason    string `json:"reason" doc:"outcome, or why it failed"`
	Why       string `json:"why" doc:"why the attacker did it"`
	BlockedBy int64  `json:"blocked_by" doc:"action that stopped it, 0 for none"`
	Detected  Time   `json:"detected_at" unit:"ns" doc:"when the first alert with an event of the step was raised"`
}

// Alert is one alert of a detector.
type Alert struct {
	Alert      int      `json:"alert" doc:"number of the alert within the trial, from 1"`
	Time       int64    `json:"time" unit:"ns" doc:"when it was raised"`
	EventTime  int64    `json:"event_time" unit:"ns" doc:"time of the event that it is about"`
	Detector   string   `json:"detector" doc:"detector that raised it"`
	RuleID     string   `json:"rule_id" doc:"id of the rule"`
	Title      string   `json:"title" doc:"title of the rule or finding"`
	Technique  string   `json:"technique" doc:"ATT&CK id of the technique, as the rule says"`
	Severity   string   `json:"severity" doc:"informational, low, medium, high, critical"`
	Confidence float64  `json:"confidence" unit:"share" doc:"how sure the detector was"`
	Host       string   `json:"host" doc:"host that it is about"`
	User       string   `json:"user" doc:"account that it is about"`
	Source     string   `json:"source_ip" doc:"address that it came from"`
	Evidence   []uint64 `json:"evidence" doc:"ids of the events that it rests on, as JSON"`
	Incident   int      `json:"incident" doc:"incident that it belongs to, 0 for none"`
	// Campaign is the first of the incidents that belong together: those that turned out to be
	// one, and those about the same entities within a day.
	Campaign int `json:"campaign" doc:"first of the incidents that belong together"`
	Attack   int `json:"attack" doc:"attack that it is about, in truth; 0 is a false alarm"`
	Step     int `json:"step" doc:"step that it is about, in truth"`
	// SourceHost, Zone, Destination, Domain and FileHash are what else the alert is about, and
	// Techniques all of its techniques where there are several; incidents are drawn from them.
	SourceHost  string   `json:"source_host,omitempty" sql:"source_host" doc:"host that it came from"`
	Zone        string   `json:"zone,omitempty" sql:"zone" doc:"zone of the network"`
	Destination string   `json:"destination,omitempty" sql:"destination" doc:"address that a connection went to"`
	Domain      string   `json:"domain,omitempty" sql:"domain" doc:"domain that it is about"`
	FileHash    string   `json:"file_hash,omitempty" sql:"file_hash" doc:"hash of the file that it is about"`
	Techniques  []string `json:"techniques,omitempty" sql:"techniques" doc:"all techniques, as JSON, where there are several"`
	// Reasons are those that the detector gave, where it explains.
	Reasons []Reason `json:"reasons,omitempty" sql:"reasons" doc:"reasons that the detector gave, as JSON"`
	// Steps are all steps of attacks in the evidence, in truth, where there are several.
	Steps []StepRef `json:"steps,omitempty" sql:"steps" doc:"all steps of attacks in the evidence, in truth, as JSON, where there are several"`
	// Verdict is what the automatic analyst decided: confirm, dismiss, raise, abstain; ""
	// where it was not asked. A dismissed alert led to nothing: it belongs to no incident.
	Verdict string `json:"verdict,omitempty" sql:"verdict" doc:"what the automatic analyst decided: confirm, dismiss, raise, abstain; empty where it was not asked"`
}

// Incident is a set of alerts that fusion put together. What is said of the campaign stands in
// the row of its first incident.
type Incident struct {
	Incident   int     `json:"incident" doc:"number of the incident within the trial, from 1"`
	Campaign   int     `json:"campaign" doc:"first of the incidents that belong together"`
	MergedInto int     `json:"merged_into" doc:"incident that it turned out to be a part of, or 0"`
	First      int64   `json:"first" unit:"ns" doc:"time of its first alert"`
	Last       int64   `json:"last" unit:"ns" doc:"time of its last alert"`
	Alerts     int     `json:"alerts" unit:"count" doc:"alerts in it"`
	Severity   string  `json:"severity" doc:"highest severity"`
	Score      float64 `json:"score" unit:"share" doc:"how sure it is that it is real"`
	// LinkedTo is the earlier incident that it was linked to, or 0; Correlation the score of the
	// link, or of the best campaign that it was not linked to; Parts what adds to its log odds.
	LinkedTo    int          `json:"linked_to" doc:"earlier incident that it was linked to, or 0"`
	Correlation float64      `json:"correlation" unit:"share" doc:"score of that link, or of the best campaign that it was not linked to"`
	Parts       []NamedShare `json:"correlation_parts" sql:"correlation_parts" doc:"what adds to the log odds of that score, as JSON"`
	IntelHits   int          `json:"intel_hits" unit:"count" doc:"indicators that sources of intelligence know"`
	Missing     []string     `json:"missing_sources" sql:"missing_sources" doc:"sources of intelligence that could not answer, as JSON"`
	Attack      int          `json:"attack" doc:"attack that most of its alerts are about, in truth"`

	// Of the campaign: where it began, the way to what matters most, what would stop it, where
	// it may go next, what is held and what is in reach, and who is behind it.
	RootCause    string       `json:"root_cause" doc:"where the campaign began"`
	CriticalPath []string     `json:"critical_path" sql:"critical_path" doc:"the way to what matters most, as JSON"`
	Cut          []string     `json:"cut" sql:"cut" doc:"the smallest cut that would stop it, as JSON"`
	CutCost      float64      `json:"cut_cost" unit:"h" doc:"disruption that this cut would cost"`
	Next         []NamedShare `json:"next_hosts" sql:"next_hosts" doc:"hosts that may be next with their probabilities, as JSON"`
	Hosts        []string     `json:"hosts" sql:"hosts" doc:"hosts that are held, as JSON"`
	HostsShare   float64      `json:"hosts_share" unit:"share" doc:"part of the worth of the estate that they are"`
	InReach      int          `json:"hosts_in_reach" unit:"count" doc:"hosts in reach"`
	ReachShare   float64      `json:"share_in_reach" unit:"share" doc:"part of the worth of the estate that they are"`
	Actors       []NamedShare `json:"actors" sql:"actors" doc:"who may be behind it with probabilities, as JSON"`
}

// Sighting is an indicator of an alert that a source of threat intelligence knows.
type Sighting struct {
	Alert      int      `json:"alert" doc:"alert in which the indicator stands"`
	Kind       string   `json:"kind" doc:"kind of indicator"`
	Value      string   `json:"value" doc:"the indicator"`
	Source     string   `json:"source" doc:"source of intelligence that knows it"`
	Entry      string   `json:"entry" doc:"entry of the source, such as the network that holds an address"`
	Confidence float64  `json:"confidence" unit:"share" doc:"how sure the source is"`
	Tags       []string `json:"tags" sql:"tags" doc:"tags of the source, as JSON"`
}

// Entity is a host or an account that an alert is about, as the inventory has it.
type Entity struct {
	Kind        string  `json:"kind" doc:"host or account"`
	Name        string  `json:"name" doc:"name in the inventory"`
	Address     string  `json:"address" doc:"address of a host"`
	Zone        string  `json:"zone" doc:"zone of the network"`
	Role        string  `json:"role" doc:"role of a host"`
	Criticality float64 `json:"criticality" doc:"worth of an hour of it; 1 for a workstation"`
	Privilege   string  `json:"privilege" doc:"privilege of an account"`
}

// Attribution is who was held to be behind the campaign of an attack.
type Attribution struct {
	Attack      int          `json:"attack" doc:"number of the attack"`
	Campaign    int          `json:"campaign" doc:"campaign that was attributed"`
	Actor       string       `json:"actor" doc:"actor in truth; unknown where the defence cannot know them"`
	Rank        int          `json:"rank" doc:"rank of the right one, from 1"`
	Probability float64      `json:"probability" unit:"share" doc:"probability that the right one was given"`
	Brier       float64      `json:"brier" doc:"Brier score of the probabilities, 0 to 2"`
	Suspects    []NamedShare `json:"suspects" sql:"suspects" doc:"actors with their probabilities, as JSON"`
}

// Dismissed is the verdict by which an alert leads to nothing.
const Dismissed = "dismiss"

// Verdict is an answer of the automatic analyst about an alert, or about a window of events
// that no rule flagged.
type Verdict struct {
	Alert      int           `json:"alert" doc:"alert that was judged; 0 for a window in which nothing was found"`
	Judge      string        `json:"judge" doc:"offline, surrogate, or the name of the model"`
	Decision   string        `json:"decision" doc:"confirm, dismiss, raise, abstain"`
	Confidence float64       `json:"confidence" unit:"share" doc:"that the alert is true"`
	Technique  string        `json:"technique" doc:"ATT&CK id that the analyst named"`
	Before     string        `json:"severity_before" doc:"severity that the alert had before"`
	Asked      int64         `json:"asked" unit:"ns" doc:"when the analyst was asked"`
	Answered   int64         `json:"answered" unit:"ns" doc:"when the answer came"`
	Why        string        `json:"why" doc:"why the analyst abstained"`
	Requests   int           `json:"requests" unit:"count" doc:"requests to the model"`
	FromTape   int           `json:"-" sql:"from_cassette" unit:"count" doc:"answers that came from the cassette; in no digest"`
	Input      int           `json:"tokens_input" unit:"count" doc:"tokens of questions"`
	Output     int           `json:"tokens_output" unit:"count" doc:"tokens of answers"`
	Cost       float64       `json:"cost" unit:"money" doc:"what these tokens cost"`
	Refused    int           `json:"refused" unit:"count" doc:"answers that were not valid"`
	Suspicious int           `json:"suspicious" unit:"count" doc:"evidence that looked like instructions to the model"`
	Attack     int           `json:"attack" doc:"attack that the alert is about, in truth; 0 is a false alarm"`
	Reasons    []VerdictPart `json:"reasons" sql:"reasons" doc:"reasons with evidence, as JSON"`
}

// AccountSentence is one sentence of the account of an incident.
type AccountSentence struct {
	Incident int      `json:"incident" doc:"incident that the account is about"`
	Sentence int      `json:"sentence" doc:"place of the sentence"`
	Author   string   `json:"author" doc:"template, or the name of the model"`
	Text     string   `json:"text" doc:"the sentence"`
	Alerts   []uint64 `json:"alerts" doc:"alerts that it rests on, as JSON"`
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
	Detector string  `json:"-" sql:"detector" doc:"detector that scored"`
	Question string  `json:"-" sql:"question" doc:"what it asks"`
	Entity   string  `json:"-" sql:"entity" doc:"what was scored"`
	Time     int64   `json:"-" sql:"time" unit:"ns" doc:"time of the event"`
	Event    int64   `json:"-" sql:"event_id" doc:"id of the event"`
	Score    float64 `json:"-" sql:"score" doc:"how suspicious it was"`
	Reported bool    `json:"-" sql:"reported" doc:"whether it was reported"`
	Weight   float64 `json:"-" sql:"weight" unit:"count" doc:"scores that this one stands for"`
	Attack   int     `json:"-" sql:"attack" doc:"attack, in truth; 0 is what no attack caused"`
	Step     int     `json:"-" sql:"step" doc:"step of the attack, in truth"`
}

// Approval is one question to a person.
type Approval struct {
	Approval int     `json:"approval" doc:"number of the request within the trial, from 1"`
	Incident int     `json:"incident" doc:"incident that it is about"`
	Playbook string  `json:"playbook" doc:"playbook that asks"`
	Step     string  `json:"step" doc:"step of the playbook"`
	Action   string  `json:"action" doc:"kind of action"`
	Target   string  `json:"target" doc:"what the action is aimed at"`
	Asked    int64   `json:"asked" unit:"ns" doc:"when it was asked"`
	Answered Time    `json:"answered" unit:"ns" doc:"when the answer came"`
	Closed   Time    `json:"closed" unit:"ns" doc:"when it was answered or given up"`
	Outcome  string  `json:"outcome" doc:"approved, denied, timed_out, escalated, too_late, pending"`
	Approver string  `json:"approver" doc:"who answered"`
	Just     bool    `json:"justified" doc:"whether the target was the attackers', in truth"`
	Waited   float64 `json:"waited_seconds" unit:"s" doc:"how long it was waited for"`
	// Confidence and Predicted are what the person was shown: the incident's score,
	// and the disruption expected.
	Confidence float64 `json:"confidence" unit:"share" doc:"score of the incident that the person was shown"`
	Predicted  float64 `json:"disruption_predicted" unit:"h" doc:"disruption that the person was told to expect"`
}

// Action is one action of the defence.
type Action struct {
	Action   int64  `json:"action" doc:"number of the action within the trial"`
	Run      int    `json:"run" doc:"run of the playbook"`
	Incident int    `json:"incident" doc:"incident that it is about"`
	Playbook string `json:"playbook" doc:"playbook"`
	Step     string `json:"step" doc:"step of the playbook"`
	Kind     string `json:"kind" doc:"kind of action"`
	Target   string `json:"target" doc:"what it is aimed at"`
	Status   string `json:"status" doc:"succeeded, failed, skipped, denied, timed_out, dry_run, limited"`
	Detail   string `json:"detail" doc:"what the effector said"`
	Asked    int64  `json:"requested" unit:"ns" doc:"when it was asked for"`
	Started  Time   `json:"started" unit:"ns" doc:"when it began"`
	Ended    Time   `json:"ended" unit:"ns" doc:"when it ended"`
	Undone   Time   `json:"undone" unit:"ns" doc:"when it was undone"`
	Attempts int    `json:"attempts" unit:"count" doc:"how often it was tried"`
	OnBenign bool   `json:"on_benign" doc:"whether the target was never the attackers', in truth"`
	// Predicted and Realised are the disruption that was expected, criticality times
	// hours, and that came, in hours of one person's work.
	Predicted float64 `json:"disruption_predicted" unit:"h" doc:"disruption that was expected"`
	Realised  float64 `json:"disruption_realised" unit:"h" doc:"disruption that came"`
}

// Stage is when one stage of the pipeline worked on an incident.
type Stage struct {
	Incident int    `json:"incident" doc:"incident that was worked on"`
	Stage    string `json:"stage" doc:"stage of the pipeline"`
	Started  int64  `json:"started" unit:"ns" doc:"when it began"`
	Ended    Time   `json:"ended" unit:"ns" doc:"when it ended"`
}

// AuditEntry is one line of the response's audit log, as JSON, chained by hashes.
type AuditEntry struct {
	Time     int64  `json:"time" unit:"ns" doc:"when it was written"`
	Run      int    `json:"run" doc:"run of the playbook"`
	Incident int    `json:"incident" doc:"incident that it is about"`
	Playbook string `json:"playbook" doc:"playbook"`
	Step     string `json:"step" doc:"step of the playbook"`
	What     string `json:"what" doc:"what happened"`
	Status   string `json:"status" doc:"how it ended"`
	Detail   string `json:"detail" doc:"details"`
	Hash     string `json:"hash" doc:"hash of the entry, which ties it to the one before"`
	Line     string `json:"-" sql:"json" doc:"the whole entry as JSON"`
}

// Cost is wall-clock time, which is never part of a digest.
type Cost struct {
	WallNS         int64  `json:"-" sql:"wall_ns" unit:"ns" doc:"wall-clock time of the whole trial"`
	Detector       string `json:"-" sql:"detector" doc:"detector; empty in the row of the trial itself"`
	Version        string `json:"-" sql:"detector_version" doc:"version of the detector"`
	DetectorWallNS int64  `json:"-" sql:"wall_ns_detector" unit:"ns" doc:"wall-clock time of the detector alone"`
}

// Prediction is what was predicted and believed after an alert, and what came of it.
type Prediction struct {
	Alert    int   `json:"alert" doc:"alert after which it was predicted"`
	Incident int   `json:"incident" doc:"incident that it is about"`
	Time     int64 `json:"time" unit:"ns" doc:"when it was predicted"`
	// Attack is the attack that the alert is about, in truth; 0 is a false alarm.
	Attack int `json:"attack" doc:"attack that the alert is about, in truth; 0 is a false alarm"`
	// Came is the technique that was tried next, in truth; "" when none was. Its probability,
	// its rank from 1, and the Brier score of the forecast count only then.
	Came        string  `json:"came" doc:"technique that was tried next, in truth; empty when none was"`
	Probability float64 `json:"probability" unit:"share" doc:"probability that it was given"`
	Rank        int     `json:"rank" doc:"its rank from 1, 0 beyond the techniques that are named"`
	Brier       float64 `json:"brier" doc:"Brier score of the forecast, 0 to 2"`
	// CameHost is the host that it was aimed at, with the probability of that forecast.
	CameHost        string  `json:"came_host" doc:"host that it was aimed at, in truth"`
	HostProbability float64 `json:"host_probability" unit:"share" doc:"probability that this host was given"`
	Real            float64 `json:"real_probability" unit:"share" doc:"probability that there is an attacker at all"`
	Goal            string  `json:"goal" doc:"goal that was held likeliest"`
	// GoalProbability and TypeProbability are those of the true ones, SkillProbability that
	// of the true level of skill, StageProbability that of the tactic that they were at.
	GoalProbability  float64      `json:"goal_probability" unit:"share" doc:"probability of the true goal"`
	TypeProbability  float64      `json:"type_probability" unit:"share" doc:"probability of the true type"`
	SkillProbability float64      `json:"skill_probability" unit:"share" doc:"probability of the true level of skill"`
	StageProbability float64      `json:"stage_probability" unit:"share" doc:"probability of the tactic that they were at"`
	Aware            float64      `json:"aware" unit:"share" doc:"probability that the attacker knows of the defence"`
	AwareTrue        bool         `json:"aware_true" doc:"whether the defence had blocked them by then"`
	Techniques       []NamedShare `json:"techniques" sql:"techniques" doc:"techniques with their probabilities, as JSON"`
	Targets          []NamedShare `json:"targets" sql:"targets" doc:"hosts with their probabilities, as JSON"`
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
