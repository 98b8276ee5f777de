// Package measure says what a trial came to: it holds what happened against the truth
// ledger and fills the rows of sim/record. measure.go has latencies and outcomes, cost.go
// harm, disruption, operations and the score. Its input is a Day, filled by
// scenarios/trial; it changes nothing.
package measure

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"hemostat/attackers"
	"hemostat/defenders"
	"hemostat/defenders/detect"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/correlation"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/analyst"
	"hemostat/defenders/sentinel/profile"
	"hemostat/scenarios"
	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/background"
	"hemostat/sim/record"
	"hemostat/sim/severity"
	"hemostat/sim/stage"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

// Day is what is known of a trial at its end: the truth, and what the defence did.
type Day struct {
	Scenario      *scenarios.Scenario
	Variant       string
	VariantDigest string
	Seed          uint64
	Index         int

	World      *world.World
	Assets     *world.AttackerAssets
	Ledger     *truth.Ledger
	Background *background.Background
	Agents     []*attackers.Agent
	// AnalystMinutes is the time that people spent on triage and decisions.
	AnalystMinutes float64
	// Exposure is for how long attackers could use hosts, in hours times criticality.
	Exposure float64
	// Ingested is when ingest was done with the first event of each attack.
	Ingested map[int32]time.Duration
	// Applied is when each action took effect, OnBenign whether it hit the innocent.
	Applied  map[int64]time.Duration
	OnBenign map[int64]bool

	// Estate is what the defence knows of the estate, Actors what it knows of threat actors; nil
	// where it names none.
	Estate *inventory.Inventory
	Actors *attribution.Facts

	Alerts    []defenders.RaisedAlert
	Searched  []analyst.Found // windows of events in which the analyst found nothing
	Narrated  []Narrated
	Forecasts []*profile.Forecast
	Merged    map[int]int // the incident that each turned out to be a part of
	// Links are those of incidents to earlier ones of the same campaign, as they stand in the end.
	Links     map[int]correlation.Link
	Stages    []*incident.StageTime
	Actions   []*response.ActionRecord
	Approvals []*response.ApprovalRecord
	Audit     []response.AuditEntry
	Incidents int // how many there were
	Dropped   int // items that full queues refused
	Costs     []sentinel.Cost
	Scores    []NamedScore
	Kept      []record.StoredEvent
}

// Narrated is the account of an incident.
type Narrated struct {
	Incident int
	Account  analyst.Account
}

// NamedScore is a score with its detector.
type NamedScore struct {
	Detector string
	detect.Score
}

// part fills columns of a trial, and tables below it.
type part struct {
	columns string // of the table trials that it fills, with spaces between
	fill    func(d *Day, r *record.Trial) error
}

// parts fill the rows of a trial, one after the other. Each column of the table trials stands in
// exactly one of them, else the program does not start.
var parts = []part{
	{"trial_id scenario variant trial_index status error horizon", withoutError((*Day).identify)},
	{"events_total events_malicious events_lost events_queue_dropped collateral_user_seconds", withoutError((*Day).counts)},
	{"alerts_total alerts_false alerts_dismissed alerts_to_people alerts_false_to_people analyst_tokens analyst_cost",
		withoutError((*Day).alerts)},
	{"actions_total actions_on_benign approvals_asked approval_wait", (*Day).responses},
	{"", withoutError((*Day).stages)},
	{"", withoutError((*Day).attacks)},
	{"", withoutError((*Day).steps)},
	{"decoys_touched forecasts forecast_log_loss forecast_brier forecast_top1 forecast_top3", withoutError((*Day).predictions)},
	{"join_pairs join_precision join_recall join_rand", withoutError((*Day).joins)},
	{"attributions_scored attribution_top1 attribution_top3 attribution_brier", withoutError((*Day).incidents)},
	{"coherence outcome detected responded contained objective_reached time_to_detect time_to_enrich time_to_respond time_to_contain " +
		"time_to_objective time_to_restore", withoutError((*Day).fillTrialColumns)},
	{"score harm disruption operations stake bytes_lost", withoutError((*Day).costs)},
	{"", withoutError((*Day).scores)},
	{"digest", func(_ *Day, r *record.Trial) error { return r.Seal() }},
}

func withoutError(fill func(*Day, *record.Trial)) func(*Day, *record.Trial) error {
	return func(d *Day, r *record.Trial) error {
		fill(d, r)
		return nil
	}
}

func init() {
	if err := checkParts(parts, record.TrialColumns); err != nil {
		panic("measure: " + err.Error())
	}
}

// checkParts tells which column is filled by no part, by two, or is none.
func checkParts(parts []part, columns []record.Column) error {
	fills := map[string]int{}
	for _, p := range parts {
		for _, name := range strings.Fields(p.columns) {
			fills[name]++
		}
	}
	for _, c := range columns {
		switch n := fills[c.Name]; {
		case n == 0:
			return fmt.Errorf("no part fills the column %s of trials: add it to the one in parts that does", c.Name)
		case n > 1:
			return fmt.Errorf("%d parts fill the column %s of trials", n, c.Name)
		}
		delete(fills, c.Name)
	}
	for name := range fills {
		return fmt.Errorf("a part fills %s, which is no column of trials", name)
	}
	return nil
}

// Rows turns what happened into rows, sealed with their digest.
func (d *Day) Rows() (*record.Trial, error) {
	r := &record.Trial{}
	for _, p := range parts {
		if err := p.fill(d, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// identify says which trial it is.
func (d *Day) identify(r *record.Trial) {
	r.TrialID = record.TrialID(d.Scenario.Digest(), d.VariantDigest, d.Seed, d.Index)
	r.Scenario, r.Variant, r.Index = d.Scenario.Name, d.Variant, d.Index
	r.Status, r.Horizon = "ok", int64(d.Scenario.Horizon)
}

// counts are what the world has counted.
func (d *Day) counts(r *record.Trial) {
	r.EventsTotal, r.EventsMalicious = int(d.World.Events()), d.Ledger.Malicious()
	r.EventsLost, r.EventsQueueDropped = int(d.World.Dropped()), d.Dropped
	r.CollateralSeconds, r.Events = d.Background.Collateral().UserSeconds, d.Kept
}

func (d *Day) attacks(r *record.Trial) {
	for i, a := range d.Agents {
		r.Attacks = append(r.Attacks, d.attack(r, i+1, a))
	}
}

// costs fills in what the day has cost, in hours and on the wall clock.
func (d *Day) costs(r *record.Trial) {
	f := d.facts()
	f.fillCosts(r)
	for _, c := range d.Costs {
		r.Cost = append(r.Cost, record.Cost{Detector: c.Detector, Version: c.Version, DetectorWallNS: c.Spent.Nanoseconds()})
	}
}

// scoreSample is of how many scores that no attack caused one is kept.
const scoreSample = 20

// scores writes down the highest score of each entity in each quarter of an hour, and asks
// the ledger what it was about.
func (d *Day) scores(r *record.Trial) {
	type unit struct {
		detector, question, entity string
		quarter                    time.Duration
		hostile                    bool
	}
	at := map[unit]int{}
	var all []record.Score
	scores := d.withVerdicts()
	for i := range scores {
		s := &scores[i]
		label := d.Ledger.Label(s.Evidence)
		u := unit{s.Detector, s.Of, s.Entity, s.Time / (15 * time.Minute), label.Malicious()}
		x := record.Score{
			Detector: s.Detector, Question: s.Of, Entity: s.Entity, Time: int64(s.Time), Event: int64(s.Evidence),
			Score:    s.Value,
			Reported: s.Reported, Weight: 1,
		}
		if label.Malicious() {
			x.Attack, x.Step = int(label.Attack), int(label.Step)
		}
		if known, ok := at[u]; !ok {
			at[u] = len(all)
			all = append(all, x)
		} else if x.Score > all[known].Score {
			all[known] = x
		}
	}
	for i := range all {
		if all[i].Attack == 0 && !all[i].Reported {
			if i%scoreSample != 0 {
				continue
			}
			all[i].Weight = scoreSample
		}
		r.Scores = append(r.Scores, all[i])
	}
}

// withVerdicts are the scores with those of the automatic analyst, of whose verdicts each is
// a score of its alert.
func (d *Day) withVerdicts() []NamedScore {
	scores := d.Scores
	for i := range d.Alerts {
		a := &d.Alerts[i]
		if a.Triage == nil || a.Triage.Decision == analyst.Abstain || len(a.Evidence) == 0 {
			continue
		}
		evidence := a.Evidence[len(a.Evidence)-1]
		for _, id := range a.Evidence {
			if d.Ledger.Label(id).Malicious() {
				evidence = id
			}
		}
		scores = append(scores, NamedScore{analyst.RecordName(a.Triage.Judge), detect.Score{
			Entity: fmt.Sprintf("alert %d", a.ID), Of: "triage", Value: a.Triage.Confidence,
			Reported: a.Triage.Decision != analyst.Dismiss, Evidence: evidence, Time: a.EventTime,
		}})
	}
	return scores
}

// alerts writes the alerts down and asks the ledger which are true.
func (d *Day) alerts(r *record.Trial) {
	for _, a := range d.Alerts {
		x := record.Alert{
			Alert:      a.ID,
			Time:       int64(a.Raised),
			EventTime:  int64(a.EventTime),
			Detector:   a.Detector,
			RuleID:     a.RuleID,
			Title:      a.Title,
			Technique:  a.Technique(),
			Severity:   a.Severity.String(),
			Confidence: a.Confidence,
			Host:       a.Host,
			User:       a.User,
			Source:     a.SourceIP,
			Evidence:   a.Evidence,
			Incident:   a.Incident,
			SourceHost: a.Source, Zone: a.Zone, Destination: a.Destination, Domain: a.Domain, FileHash: a.FileHash,
		}
		if len(a.Techniques) > 1 {
			x.Techniques = a.Techniques
		}
		if a.Triage != nil {
			x.Verdict = string(a.Triage.Decision)
		}
		for _, reason := range a.Reasons {
			x.Reasons = append(x.Reasons, record.Reason(reason))
		}
		for _, id := range a.Evidence {
			label := d.Ledger.Label(id)
			if !label.Malicious() {
				continue
			}
			x.Attack, x.Step = int(label.Attack), int(label.Step)
			if ref := (record.StepRef{Attack: x.Attack, Step: x.Step}); !slices.Contains(x.Steps, ref) {
				x.Steps = append(x.Steps, ref)
			}
		}
		if len(x.Steps) < 2 {
			x.Steps = nil // the step says it
		}
		r.AlertsTotal++
		if x.Attack == 0 {
			r.AlertsFalse++
		}
		d.reached(r, &x, a.Severity)
		r.Alerts = append(r.Alerts, x)
		if a.Triage != nil {
			addVerdict(r, a.ID, a.Triage, x.Attack)
		}
	}
	for i := range d.Searched {
		f := &d.Searched[i]
		attack := 0
		for _, id := range f.Evidence {
			if label := d.Ledger.Label(id); label.Malicious() {
				attack = int(label.Attack)
			}
		}
		addVerdict(r, 0, f.Triage, attack)
	}
	for _, n := range d.Narrated {
		for i, s := range n.Account.Sentences {
			x := record.AccountSentence{Incident: n.Incident, Sentence: i + 1, Author: n.Account.Author, Text: s.Text}
			for _, id := range s.Alerts {
				x.Alerts = append(x.Alerts, uint64(id))
			}
			r.Accounts = append(r.Accounts, x)
		}
		r.AnalystTokens += n.Account.Input + n.Account.Output
		r.AnalystCost += n.Account.Cost
	}
}

// reached counts an alert that people had to look at, or that was dismissed before.
func (d *Day) reached(r *record.Trial, x *record.Alert, s severity.Severity) {
	switch {
	case x.Verdict == record.Dismissed:
		r.AlertsDismissed++
	case s.IsThreat():
		r.AlertsToPeople++
		if x.Attack == 0 {
			r.AlertsFalsePeople++
		}
	}
}

// addVerdict writes down what the automatic analyst said of an alert or window of events.
func addVerdict(r *record.Trial, alert int, t *analyst.Triage, attack int) {
	v := record.Verdict{
		Alert: alert, Judge: t.Judge, Decision: string(t.Decision), Confidence: t.Confidence, Technique: t.Technique,
		Before: t.Before.String(), Asked: int64(t.Asked), Answered: int64(t.Answered), Why: t.Why,
		Requests: t.Requests, FromTape: t.FromTape, Input: t.Input, Output: t.Output, Cost: t.Cost,
		Refused: t.Refused, Suspicious: t.Suspicious, Attack: attack,
	}
	for _, part := range t.Reasons {
		v.Reasons = append(v.Reasons, record.VerdictPart(part))
	}
	r.AnalystTokens += t.Input + t.Output
	r.AnalystCost += t.Cost
	r.Verdicts = append(r.Verdicts, v)
}

func (d *Day) responses(r *record.Trial) error {
	for _, a := range d.Actions {
		x := record.Action{
			Action:   a.ID,
			Run:      a.Run,
			Incident: a.Incident,
			Playbook: a.Playbook,
			Step:     a.Step,
			Kind:     string(a.Request.Kind),
			Target:   a.Target,
			Status:   string(a.Status),
			Detail:   a.Detail,
			Asked:    int64(a.Asked),
			Attempts: a.Attempts,
			Started: timeOf(
				a.Started,
			),
			Ended:     timeOf(a.Ended),
			Undone:    timeOf(a.Undone),
			OnBenign:  d.OnBenign[a.ID],
			Predicted: a.Predicted,
		}
		if a.Status == action.Succeeded {
			r.ActionsTotal++
		}
		if x.OnBenign {
			r.ActionsOnBenign++
		}
		r.Actions = append(r.Actions, x)
	}
	waited := int64(0)
	for _, a := range d.Approvals {
		x := record.Approval{
			Approval: a.ID,
			Incident: a.Incident,
			Playbook: a.Playbook,
			Step:     a.Step,
			Action:   string(a.Kind),
			Target:   a.Target,
			Asked: int64(
				a.Asked,
			),
			Answered:   timeOf(a.Answered),
			Closed:     timeOf(a.Closed),
			Outcome:    string(a.Outcome),
			Approver:   a.Approver,
			Just:       IsJustified(d.World, d.Assets, a.Requests),
			Confidence: a.Confidence,
			Predicted:  a.Disruption,
		}
		r.ApprovalsAsked++
		if a.Answered != nil {
			x.Waited = (*a.Answered - a.Asked).Seconds()
			waited += int64(*a.Answered - a.Asked)
			r.ApprovalWait = &waited
		}
		r.Approvals = append(r.Approvals, x)
	}
	var text bytes.Buffer
	for i := range d.Audit {
		e := &d.Audit[i]
		text.Reset()
		if err := response.WriteAudit(&text, d.Audit[i:i+1]); err != nil {
			return err
		}
		r.Audit = append(
			r.Audit,
			record.AuditEntry{
				Time:     int64(e.Time),
				Run:      e.Run,
				Incident: e.Incident,
				Playbook: e.Playbook,
				Step:     e.Step,
				What:     e.What,
				Status:   e.Status,
				Detail:   e.Detail,
				Hash:     e.Hash,
				Line:     strings.TrimSpace(text.String()),
			},
		)
	}
	return nil
}

func timeOf(d *time.Duration) record.Time {
	if d == nil {
		return nil
	}
	return record.At(*d)
}

func (d *Day) stages(r *record.Trial) {
	for _, s := range d.Stages {
		r.Stages = append(
			r.Stages,
			record.Stage{
				Incident: s.Incident,
				Stage:    string(s.Stage),
				Started:  int64(s.Started),
				Ended:    timeOf(s.Ended),
			},
		)
	}
}

// attack gathers one attacker's fate and the latencies of the defence against
// them. Times of the defence are those of the incidents that hold a true alert.
func (d *Day) attack(r *record.Trial, number int, a *attackers.Agent) record.Attack {
	x := record.Attack{
		Attack:           number,
		Name:             d.Scenario.Attackers[number-1].Name,
		Started:          a.Started,
		ObjectiveReached: a.Objective,
		Ended:            a.Ended,
		EndReason:        a.EndReason,
		Progress:         a.Progress(),
		Goal:             d.Scenario.Attackers[number-1].Goal.Kind(),
		Type:             d.Scenario.Attackers[number-1].Type(),
		Skill:            a.Skill(),
		Evasion:          a.Evasion().Account(),
		Outcome:          record.OutcomeOngoing,
	}
	if at, ok := d.Ledger.FirstEvent(int32(number)); ok {
		x.FirstEvent = record.At(at)
	}
	if at, ok := d.Ingested[int32(number)]; ok {
		x.Ingested = record.At(at)
	}
	incidents := map[int]bool{}
	for i, al := range r.Alerts {
		if al.Attack == number && al.Verdict != record.Dismissed {
			incidents[al.Incident] = true
			x.Detected = record.Earliest(x.Detected, d.known(i))
			enriched := int64(d.Alerts[i].Enriched)
			x.Enriched = record.Earliest(x.Enriched, &enriched)
		}
	}
	d.fillResponseTimes(r, &x, incidents)
	switch {
	case a.Objective != nil:
		x.Outcome = record.OutcomeObjective
	default:
		if action, at, ok := a.Containment(); ok {
			x.Outcome = record.OutcomeContained
			effect, known := d.Applied[int64(action)]
			if !known {
				effect = at
			}
			x.Contained = record.At(max(effect, a.LastSuccess(), started(a)))
		} else if a.Done() {
			x.Outcome = record.OutcomeFailed
		}
	}
	return x
}

// known is when the defence had an alert: when it was raised, or when the automatic analyst
// had let it pass.
func (d *Day) known(alert int) record.Time {
	if t := d.Alerts[alert].Triage; t != nil {
		return record.At(t.Answered)
	}
	return record.At(d.Alerts[alert].Raised)
}

func started(a *attackers.Agent) time.Duration {
	if a.Started == nil {
		return 0
	}
	return time.Duration(*a.Started)
}

// fillResponseTimes fills in the response's times from the incidents of an attack, and the
// reflex's from actions that hit them outside any incident.
func (d *Day) fillResponseTimes(r *record.Trial, x *record.Attack, incidents map[int]bool) {
	for i := range r.Stages {
		s := &r.Stages[i]
		if !incidents[s.Incident] {
			continue
		}
		if stage.Name(s.Stage).IsResponse() {
			x.PlaybookStarted = record.Earliest(x.PlaybookStarted, &s.Started)
		}
		if stage.Name(s.Stage) == stage.Restoration && s.Ended != nil && (x.Restored == nil || *s.Ended > *x.Restored) {
			x.Restored = s.Ended
		}
	}
	for i := range r.Approvals {
		p := &r.Approvals[i]
		if incidents[p.Incident] {
			x.ApprovalAsked = record.Earliest(x.ApprovalAsked, &p.Asked)
			if approval.Outcome(p.Outcome) == approval.Approved {
				x.ApprovalGiven = record.Earliest(x.ApprovalGiven, p.Answered)
			}
		}
	}
	for i := range r.Actions {
		a := &r.Actions[i]
		if at, ok := d.Applied[a.Action]; ok && !a.OnBenign && (incidents[a.Incident] || a.Incident == 0) {
			effect := int64(at)
			x.FirstAction = record.Earliest(x.FirstAction, &effect)
		}
	}
	if x.Started != nil && x.Restored != nil && *x.Restored < *x.Started {
		x.Restored = nil
	}
}

// steps collects what the attackers did and when each step was first detected.
func (d *Day) steps(r *record.Trial) {
	seen := map[[2]int]record.Time{}
	for i := range r.Alerts {
		a := &r.Alerts[i]
		if a.Verdict == record.Dismissed {
			continue
		}
		for _, ref := range a.AllSteps() {
			key := [2]int{ref.Attack, ref.Step}
			seen[key] = record.Earliest(seen[key], d.known(i))
		}
	}
	for _, a := range d.Agents {
		for _, s := range a.Steps {
			s.Detected = seen[[2]int{s.Attack, s.Step}]
			r.Steps = append(r.Steps, s)
		}
	}
	sort.SliceStable(r.Steps, func(i, j int) bool { return r.Steps[i].Started < r.Steps[j].Started })
}

// fillTrialColumns fills in the trial's own columns: with several attackers, those of the
// one contained last.
func (d *Day) fillTrialColumns(r *record.Trial) {
	r.Coherence = coherence(r, d.Applied, d.Incidents)
	if len(r.Attacks) == 0 {
		r.Outcome = record.OutcomeNone
		return
	}
	last := r.Attacks[0]
	for _, a := range r.Attacks[1:] {
		if last.Contained != nil && (a.Contained == nil || *a.Contained > *last.Contained) {
			last = a
		}
	}
	begin := int64(0)
	if last.FirstEvent != nil {
		begin = *last.FirstEvent
	} else if last.Started != nil {
		begin = *last.Started
	}
	since := func(at record.Time) record.Time {
		if at == nil {
			return nil
		}
		d := max(0, *at-begin)
		return &d
	}
	r.Outcome = last.Outcome
	r.Detected = last.Detected != nil
	r.Responded = last.FirstAction != nil
	r.Contained = last.Contained != nil
	r.ObjectiveReached = last.ObjectiveReached != nil
	r.TimeToDetect, r.TimeToEnrich = since(last.Detected), since(last.Enriched)
	r.TimeToRespond, r.TimeToContain = since(last.FirstAction), since(last.Contained)
	r.TimeToObjective, r.TimeToRestore = since(last.ObjectiveReached), since(last.Restored)
}

// coherence is the share of incidents whose way from detection over enrichment to the
// first action in effect or approval request takes less than incident.CoherenceTarget. An
// incident counts when it was answered or holds an alert of severity high or more;
// detection is the first such alert, or the one that led to the answer.
func coherence(r *record.Trial, applied map[int64]time.Duration, incidents int) float64 {
	answered := map[int]record.Time{}
	for i := range r.Approvals {
		a := &r.Approvals[i]
		answered[a.Incident] = record.Earliest(answered[a.Incident], &a.Asked)
	}
	for i := range r.Actions {
		a := &r.Actions[i]
		if at, ok := applied[a.Action]; ok {
			answered[a.Incident] = record.Earliest(answered[a.Incident], record.At(at))
		}
	}
	detected := map[int]record.Time{}
	serious := map[int]bool{}
	for i := range r.Alerts {
		a := &r.Alerts[i]
		if a.Verdict == record.Dismissed {
			continue
		}
		at := answered[a.Incident]
		switch {
		case serious[a.Incident]:
		case isSerious(a.Severity):
			serious[a.Incident] = true
			if at == nil || a.Time <= *at {
				detected[a.Incident] = &a.Time
			}
		case at != nil && a.Time <= *at:
			detected[a.Incident] = &a.Time
		}
	}
	total, quick := 0, 0
	for id := range incidents + 1 {
		at, from := answered[id], detected[id]
		if at == nil && !serious[id] || at != nil && from == nil {
			continue
		}
		total++
		if at != nil && *at-*from < int64(incident.CoherenceTarget) {
			quick++
		}
	}
	if total == 0 {
		return 0
	}
	return float64(quick) / float64(total)
}

// isSerious tells whether a recorded severity is high or more.
func isSerious(text string) bool {
	level, err := severity.Parse(text)
	return err == nil && level >= severity.High
}

// IsJustified tells whether an action is justified in truth for most of its targets.
func IsJustified(w *world.World, assets *world.AttackerAssets, requests []action.Request) bool {
	n := 0
	for _, r := range requests {
		if assets.IsJustified(w, r) {
			n++
		}
	}
	return 2*n >= len(requests)
}
