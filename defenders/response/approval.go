package response

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// question is a request for approval that is open.
type question struct {
	node      *node
	record    *ApprovalRecord
	q         Question
	escalated bool
	held      bool // kept open past its time
	// followers are steps of other runs that wait for the same answer.
	followers []*node
}

// ask puts the questions of a step. The second of two approvers is somebody of
// the second line, so that nobody approves twice.
func (e *Engine) ask(now time.Duration, n *node) {
	if w := e.sameQuestion(n); w != nil {
		w.followers = append(w.followers, n)
		n.follows = w
		e.audit(now, AuditEntry{Run: n.run.id, Incident: n.run.incident.ID, Playbook: n.run.playbook.ID, Step: n.step.ID, What: "approval_shared",
			Detail: fmt.Sprintf("%s/%s asks the same already", w.record.Playbook, w.record.Step)})
		return
	}
	role := "tier1"
	for range approvers(n.step) {
		e.put(now, n, role, false)
		role = "tier2"
	}
}

// sameQuestion is an open question of another run about the same action on the
// same targets: people are asked once. Steps with two approvers ask for
// themselves.
func (e *Engine) sameQuestion(n *node) *question {
	if approvers(n.step) > 1 {
		return nil
	}
	w := e.subjects[subject(n)]
	if w == nil || e.waiting[w.record.ID] != w || w.node.run == n.run || approvers(w.node.step) > 1 {
		return nil
	}
	return w
}

// subject names what a step's question is about.
func subject(n *node) string {
	var b strings.Builder
	b.WriteString(n.step.Action)
	for _, t := range n.tasks {
		if t.record == nil {
			b.WriteString(" " + t.key())
		}
	}
	return b.String()
}

func (e *Engine) put(now time.Duration, n *node, role string, escalated bool) {
	r, s := n.run, n.step
	var targets []string
	var all []map[string]string
	for _, t := range n.tasks {
		if t.record == nil {
			targets = append(targets, t.target)
			all = append(all, t.params)
		}
	}
	var params map[string]string
	if len(all) > 0 {
		params = all[0]
	}
	timeout := defaultAnswer
	if s.HOTL != nil {
		timeout = s.HOTL.Timeout
	}
	disruption := n.disruption(e)
	record := &ApprovalRecord{ID: len(e.Approvals) + 1, Run: r.id, Incident: r.incident.ID, Playbook: r.playbook.ID, Step: s.ID, All: all,
		Action: s.Action, Target: strings.Join(targets, ","), Asked: now, Outcome: Pending, Approver: role, Confidence: r.incident.Score, Disruption: disruption}
	q := Question{ID: record.ID, Role: role, Action: s.Action, Target: record.Target, Params: params, All: all, Risk: s.Risk, Confidence: r.incident.Score,
		Disruption: disruption, Severity: r.incident.Severity, Deadline: now + timeout,
		Key: r.playbook.ID + "/" + s.ID + "/" + record.Target + "/" + role}
	w := &question{node: n, record: record, q: q, escalated: escalated}
	e.Approvals = append(e.Approvals, record)
	e.waiting[record.ID] = w
	e.subjects[subject(n)] = w
	n.asked = append(n.asked, w)
	e.audit(now, AuditEntry{Run: r.id, Incident: r.incident.ID, Playbook: r.playbook.ID, Step: s.ID, What: "approval_asked",
		Detail: r.redact(fmt.Sprintf("%s about %s of %s", role, s.Action, record.Target)), Evidence: e.evidence(r, disruption)})
	e.at(q.Deadline, timer{kind: timerApproval, id: int64(record.ID)})
	if e.OnApproval != nil {
		e.OnApproval(now, record)
	}
	if e.options.Approver != nil {
		e.options.Approver.Ask(now, q)
	}
}

// evidence is what the approver was shown.
func (e *Engine) evidence(r *run, disruption float64) string {
	in := r.incident
	return fmt.Sprintf("confidence %.2f, severity %s, %d alerts, techniques %s, predicted disruption %.1f", in.Score, in.Severity, in.Count, strings.Join(in.Techniques, " "), disruption)
}

// Answer is a person's word on a question. An answer after the time is over, or
// to a question that is no longer open, changes nothing and is false.
func (e *Engine) Answer(now time.Duration, id int, approved bool, by string) bool {
	w := e.waiting[id]
	if w == nil {
		if id > 0 && id <= len(e.Approvals) {
			e.late(now, e.Approvals[id-1], by)
		}
		return false
	}
	outcome := Denied
	if approved {
		outcome = Approved
	}
	e.decide(now, w, outcome, by)
	return true
}

// late notes an answer that nobody waits for. A question that had timed out was
// answered too late.
func (e *Engine) late(now time.Duration, rec *ApprovalRecord, by string) {
	if rec.Outcome == TimedOut {
		rec.Outcome, rec.Answered, rec.Approver = TooLate, &now, by
	}
	e.metrics.outcome(rec.Action, TooLate, now-rec.Asked)
	e.audit(now, AuditEntry{Run: rec.Run, Incident: rec.Incident, Playbook: rec.Playbook, Step: rec.Step, What: "approval_too_late", Status: TooLate, Detail: by, Waited: now - rec.Asked})
}

// decide closes a question and carries its run on.
func (e *Engine) decide(now time.Duration, w *question, outcome, by string) {
	e.shut(now, w, outcome, by)
	n := w.node
	defer e.tell(now, w, outcome)
	switch outcome {
	case Approved:
		n.approved++
	case Escalated:
		e.put(now, n, n.step.HOTL.EscalateTo, true)
		return
	default:
		if n.refused == "" {
			n.refused = outcome
		}
		e.withdraw(now, n) // the other of two approvers need not answer any more
	}
	e.advance(now, n.run)
}

// tell carries an answer on to the steps of other runs that waited for it; those
// that got none ask for themselves.
func (e *Engine) tell(now time.Duration, w *question, outcome string) {
	followers := w.followers
	w.followers = nil
	for _, n := range followers {
		if n.follows != w || n.status != Pending || n.run.ended {
			continue
		}
		n.follows = nil
		switch outcome {
		case Approved:
			n.approved++
		case Denied:
			n.refused = Denied
		default:
			e.ask(now, n)
			continue
		}
		e.audit(now, AuditEntry{Run: n.run.id, Incident: n.run.incident.ID, Playbook: n.run.playbook.ID, Step: n.step.ID, What: "approval_" + outcome, Status: outcome,
			Detail: fmt.Sprintf("by the answer to %s/%s", w.record.Playbook, w.record.Step)})
		e.advance(now, n.run)
	}
}

// shut writes down what came of a question.
func (e *Engine) shut(now time.Duration, w *question, outcome, by string) {
	rec := w.record
	delete(e.waiting, rec.ID)
	if about := subject(w.node); e.subjects[about] == w {
		delete(e.subjects, about)
	}
	rec.Outcome, rec.Closed = outcome, &now
	if outcome == Approved || outcome == Denied {
		rec.Answered, rec.Approver = &now, by
	}
	e.metrics.request(rec.Action, outcome == Approved)
	e.metrics.outcome(rec.Action, outcome, now-rec.Asked)
	e.audit(now, AuditEntry{Run: rec.Run, Incident: rec.Incident, Playbook: rec.Playbook, Step: rec.Step, What: "approval_" + outcome, Status: outcome, Detail: by, Waited: now - rec.Asked})
	if e.OnApproval != nil {
		e.OnApproval(now, rec)
	}
}

// withdraw takes back the open questions of a step that will not run.
func (e *Engine) withdraw(now time.Duration, n *node) { e.withdrawAs(now, n, Withdrawn) }

func (e *Engine) withdrawAs(now time.Duration, n *node, outcome string) {
	n.follows = nil
	for _, w := range n.asked {
		if e.waiting[w.record.ID] == w {
			e.shut(now, w, outcome, "withdrawn")
			defer e.tell(now, w, Withdrawn)
			if outcome == TimedOut && n.refused == "" {
				n.refused = TimedOut
			}
		}
	}
}

func (e *Engine) approvalTimeout(now time.Duration, id int) {
	w := e.waiting[id]
	if w == nil {
		return
	}
	h := w.node.step.HOTL
	switch {
	case h == nil:
	case h.OnTimeout == "escalate" && !w.escalated:
		e.decide(now, w, Escalated, h.EscalateTo)
		return
	case h.OnTimeout == "approve_if":
		if ok, err := holds(w.node.step.approveIf, &w.node.run.env); ok && err == nil {
			e.decide(now, w, Approved, "rule: "+h.ApproveIf)
			return
		}
	case !w.node.run.overdue && (h.OnTimeout == "hold" || h.OnTimeout == "escalate" && h.Then == "hold"):
		if !w.held { // it stays open until somebody answers or the run's deadline is over
			w.held = true
			e.audit(now, AuditEntry{Run: w.record.Run, Incident: w.record.Incident, Playbook: w.record.Playbook, Step: w.record.Step, What: "approval_held", Detail: w.record.Approver})
		}
		return
	}
	e.decide(now, w, TimedOut, "")
}

// Waiting lists the open questions by id, for those who show them.
func (e *Engine) Waiting() []int {
	var ids []int
	for id := range e.waiting {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
