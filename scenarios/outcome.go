package scenarios

import (
	"bytes"
	"sort"
	"strings"
	"time"

	"hemostat/attackers"
	"hemostat/defenders/incident"
	"hemostat/defenders/response"
	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/record"
	"hemostat/sim/severity"
	"hemostat/sim/stage"
)

func (v *Variant) policy() response.Policy {
	return response.Policy{Approval: v.file.Response.Approval, DryRun: v.file.Response.DryRun, MaxRuns: max(0, v.file.Response.MaxRuns)}
}

func (v *Variant) restoration() incident.RestorationOptions {
	r := v.file.Restoration
	return incident.RestorationOptions{Off: r.Off, Quiet: r.Quiet, Check: r.Check, NoRebuild: r.NoRebuild, NoApproval: r.NoApproval}
}

// outcome turns what happened into rows.
func (t *trial) outcome() (*record.Trial, error) {
	if err := t.pipeline.Err(); err != nil {
		return nil, err
	}
	r := &record.Trial{
		TrialID:  record.TrialID(t.scenario.Digest(), t.variant.Digest, t.options.Seed, t.index),
		Scenario: t.scenario.Name, Variant: t.variant.Name, Index: t.index, Status: "ok",
		Horizon: int64(t.scenario.Horizon), EventsTotal: int(t.world.Events()), EventsMalicious: t.ledger.Malicious(),
		EventsLost: int(t.world.Dropped()), EventsQueueDropped: t.pipeline.Dropped(),
		CollateralSeconds: t.background.Collateral().UserSeconds, Events: t.kept,
	}
	t.alerts(r)
	if err := t.responses(r); err != nil {
		return nil, err
	}
	t.stages(r)
	for i, a := range t.agents {
		r.Attacks = append(r.Attacks, t.attack(r, i+1, a))
	}
	t.steps(r)
	t.total(r)
	t.price(r)
	for _, c := range t.pipeline.Costs() {
		r.Cost = append(r.Cost, record.Cost{Detector: c.Detector, Version: c.Version, DetectorWallNS: c.Spent.Nanoseconds()})
	}
	return r, r.Seal()
}

// alerts writes the alerts down and asks the ledger which are true.
func (t *trial) alerts(r *record.Trial) {
	for _, a := range t.done.alerts {
		x := record.Alert{Alert: a.ID, Time: int64(a.Raised), EventTime: int64(a.EventTime), Detector: a.Detector, RuleID: a.RuleID, Title: a.Title,
			Technique: a.Technique(), Severity: a.Severity.String(), Confidence: a.Confidence, Host: a.Host, User: a.User, Source: a.SourceIP,
			Evidence: a.Evidence, Incident: a.Incident}
		for _, id := range a.Evidence {
			if label := t.ledger.Label(id); label.Malicious() {
				x.Attack, x.Step = int(label.Attack), int(label.Step)
			}
		}
		r.AlertsTotal++
		if x.Attack == 0 {
			r.AlertsFalse++
		}
		r.Alerts = append(r.Alerts, x)
	}
}

func (t *trial) responses(r *record.Trial) error {
	for _, a := range t.done.actions {
		x := record.Action{Action: a.ID, Run: a.Run, Incident: a.Incident, Playbook: a.Playbook, Step: a.Step, Kind: string(a.Request.Kind), Target: a.Target,
			Status: string(a.Status), Detail: a.Detail, Asked: int64(a.Asked), Attempts: a.Attempts,
			Started: timeOf(a.Started), Ended: timeOf(a.Ended), Undone: timeOf(a.Undone), OnBenign: t.actuator.onBenign[a.ID], Predicted: a.Predicted}
		if a.Status == action.Succeeded {
			r.ActionsTotal++
		}
		if x.OnBenign {
			r.ActionsOnBenign++
		}
		r.Actions = append(r.Actions, x)
	}
	asker := approver{world: t.world, assets: &t.assets}
	waited := int64(0)
	for _, a := range t.done.approvals {
		x := record.Approval{Approval: a.ID, Incident: a.Incident, Playbook: a.Playbook, Step: a.Step, Action: string(a.Kind), Target: a.Target,
			Asked: int64(a.Asked), Answered: timeOf(a.Answered), Closed: timeOf(a.Closed), Outcome: string(a.Outcome), Approver: a.Approver, Just: asker.isJustified(a.Requests),
			Confidence: a.Confidence, Predicted: a.Disruption}
		r.ApprovalsAsked++
		if a.Answered != nil {
			x.Waited = (*a.Answered - a.Asked).Seconds()
			waited += int64(*a.Answered - a.Asked)
			r.ApprovalWait = &waited
		}
		r.Approvals = append(r.Approvals, x)
	}
	var text bytes.Buffer
	for i := range t.done.audit {
		e := &t.done.audit[i]
		text.Reset()
		if err := response.WriteAudit(&text, t.done.audit[i:i+1]); err != nil {
			return err
		}
		r.Audit = append(r.Audit, record.AuditEntry{Time: int64(e.Time), Run: e.Run, Incident: e.Incident, Playbook: e.Playbook, Step: e.Step, What: e.What, Status: e.Status, Detail: e.Detail,
			Hash: e.Hash, Line: strings.TrimSpace(text.String())})
	}
	return nil
}

func timeOf(d *time.Duration) record.Time {
	if d == nil {
		return nil
	}
	return record.At(*d)
}

func (t *trial) stages(r *record.Trial) {
	for _, s := range t.done.stages {
		r.Stages = append(r.Stages, record.Stage{Incident: s.Incident, Stage: string(s.Stage), Started: int64(s.Started), Ended: timeOf(s.Ended)})
	}
}

// attack gathers one attacker's fate and the latencies of the defence against
// him. Times of the defence are those of the incidents that hold a true alert.
func (t *trial) attack(r *record.Trial, number int, a *attackers.Agent) record.Attack {
	x := record.Attack{Attack: number, Name: t.scenario.Attackers[number-1].Name, Started: a.Started, ObjectiveReached: a.Objective,
		Ended: a.Ended, EndReason: a.EndReason, Progress: a.Progress(), Outcome: record.OutcomeOngoing}
	if at, ok := t.ledger.FirstEvent(int32(number)); ok {
		x.FirstEvent = record.At(at)
	}
	if at, ok := t.ingested[int32(number)]; ok {
		x.Ingested = record.At(at)
	}
	incidents := map[int]bool{}
	for i, al := range r.Alerts {
		if al.Attack == number {
			incidents[al.Incident] = true
			x.Detected = record.Earliest(x.Detected, &r.Alerts[i].Time)
			enriched := int64(t.done.alerts[i].Enriched)
			x.Enriched = record.Earliest(x.Enriched, &enriched)
		}
	}
	t.answers(r, &x, incidents)
	switch {
	case a.Objective != nil:
		x.Outcome = record.OutcomeObjective
	default:
		if action, at, ok := a.Containment(); ok {
			x.Outcome = record.OutcomeContained
			effect, known := t.actuator.applied[int64(action)]
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

func started(a *attackers.Agent) time.Duration {
	if a.Started == nil {
		return 0
	}
	return time.Duration(*a.Started)
}

// answers fills in the response's times from the incidents of an attack, and the
// reflex's from actions that hit him outside any incident.
func (t *trial) answers(r *record.Trial, x *record.Attack, incidents map[int]bool) {
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
		if at, ok := t.actuator.applied[a.Action]; ok && !a.OnBenign && (incidents[a.Incident] || a.Incident == 0) {
			effect := int64(at)
			x.FirstAction = record.Earliest(x.FirstAction, &effect)
		}
	}
	if x.Started != nil && x.Restored != nil && *x.Restored < *x.Started {
		x.Restored = nil
	}
}

// steps collects what the attackers did and when each step was first noticed.
func (t *trial) steps(r *record.Trial) {
	seen := map[[2]int]record.Time{}
	for i := range r.Alerts {
		a := &r.Alerts[i]
		if a.Attack != 0 {
			key := [2]int{a.Attack, a.Step}
			seen[key] = record.Earliest(seen[key], &a.Time)
		}
	}
	for _, a := range t.agents {
		for _, s := range a.Steps {
			s.Detected = seen[[2]int{s.Attack, s.Step}]
			r.Steps = append(r.Steps, s)
		}
	}
	sort.SliceStable(r.Steps, func(i, j int) bool { return r.Steps[i].Started < r.Steps[j].Started })
}

// total fills in the trial's own columns: with several attackers, those of the
// one contained last.
func (t *trial) total(r *record.Trial) {
	r.Coherence = t.coherence(r)
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

// coherence is the share of incidents whose way from detection over enrichment
// to the first action in effect or approval asked takes under five seconds. An
// incident counts when it was answered or holds an alert of severity high or
// more; detection is the first such alert, or the one that led to the answer.
func (t *trial) coherence(r *record.Trial) float64 {
	answered := map[int]record.Time{}
	for i := range r.Approvals {
		a := &r.Approvals[i]
		answered[a.Incident] = record.Earliest(answered[a.Incident], &a.Asked)
	}
	for i := range r.Actions {
		a := &r.Actions[i]
		if at, ok := t.actuator.applied[a.Action]; ok {
			answered[a.Incident] = record.Earliest(answered[a.Incident], record.At(at))
		}
	}
	detected := map[int]record.Time{}
	serious := map[int]bool{}
	for i := range r.Alerts {
		a := &r.Alerts[i]
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
	for id := range t.pipeline.Incidents().Count() + 1 {
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
