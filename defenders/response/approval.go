package response

import (
	"fmt"
	"strings"
	"time"

	"hemostat/sim/action"
	"hemostat/sim/approval"
)

// approvalRequest is an approval request that is open.
type approvalRequest struct {
	node      *node
	record    *ApprovalRecord
	key       string // what it is about
	escalated bool
	held      bool // kept open past its time
	// followers are steps of other runs that wait for the same answer.
	followers []*node
}

// answer is how an approval request ends, and by whom.
type answer struct {
	outcome approval.Outcome
	by      string
}

// needsApproval applies the policy to a step.
func (e *Engine) needsApproval(s *Step) bool {
	policy := e.options.Policy.Approval
	if policy == "none" {
		return false
	}
	if s.HOTL != nil && s.HOTL.Required {
		return true
	}
	if policy == "" {
		policy = string(action.Medium)
	}
	return policy == string(action.Low) || !s.automatic && s.Risk.Rank() >= action.Risk(policy).Rank()
}

func approvers(s *Step) int {
	if s.HOTL == nil {
		return 1
	}
	return max(1, s.HOTL.Approvers)
}

// ask opens the approval requests of a step. The second of two approvers is somebody
// of tier 2, so that nobody approves twice.
func (e *Engine) ask(now time.Duration, n *node) {
	if w := e.sameRequest(n); w != nil {
		w.followers = append(w.followers, n)
		n.follows = w
		e.auditStep(
			now,
			n,
			AuditEntry{
				What:   "approval_shared",
				Detail: fmt.Sprintf("%s/%s asks the same already", w.record.Playbook, w.record.Step),
			},
		)
		return
	}
	role := approval.Tier1
	for range approvers(n.step) {
		e.open(now, n, role, false)
		role = approval.Tier2
	}
}

// sameRequest is an open request of another run about the same action on the same
// targets: people are asked once. Steps with two approvers ask for themselves.
func (e *Engine) sameRequest(n *node) *approvalRequest {
	if approvers(n.step) > 1 {
		return nil
	}
	w := e.requestsByKey[subject(n)]
	if w == nil || e.openRequests[w.record.ID] != w || w.node.run == n.run || approvers(w.node.step) > 1 {
		return nil
	}
	return w
}

// subject names what a step's approval request is about.
func subject(n *node) string {
	var b strings.Builder
	b.WriteString(string(n.step.Action))
	for _, t := range n.tasks {
		if t.record == nil {
			b.WriteString(" " + t.key())
		}
	}
	return b.String()
}

// open opens an approval request to a role.
func (e *Engine) open(now time.Duration, n *node, role approval.Role, escalated bool) {
	r, s := n.run, n.step
	var targets []string
	var requests []action.Request
	disruption := 0.0
	for _, t := range n.tasks {
		if t.record == nil {
			targets = append(targets, t.target())
			requests = append(requests, t.request)
		}
		if !t.isLimited() {
			disruption += e.disruption(s, t.target())
		}
	}
	timeout := defaultAnswer
	if s.HOTL != nil {
		timeout = s.HOTL.Timeout
	}
	e.nextApproval++
	record := &ApprovalRecord{
		ID:         e.nextApproval,
		Run:        r.id,
		Incident:   r.incident.ID,
		Playbook:   r.playbook.ID,
		Step:       s.ID,
		Requests:   requests,
		Kind:       s.Action,
		Target:     strings.Join(targets, ","),
		Asked:      now,
		Outcome:    approval.Pending,
		Approver:   string(role),
		Confidence: r.incident.Score,
		Disruption: disruption,
	}
	w := &approvalRequest{node: n, record: record, key: subject(n), escalated: escalated}
	e.openRequests[record.ID] = w
	e.requestsByKey[w.key] = w
	n.asked = append(n.asked, w)
	e.auditStep(
		now,
		n,
		AuditEntry{
			What:     "approval_asked",
			Detail:   r.redact(fmt.Sprintf("%s about %s of %s", role, s.Action, record.Target)),
			Evidence: shownEvidence(r, disruption),
		},
	)
	e.setTimer(now+timeout, timer{kind: timerApproval, id: int64(record.ID)})
	e.notifyApproval(e.options.Listener.ApprovalAsked, record)
	if e.options.Approver == nil {
		return
	}
	request := ApprovalRequest{
		ID:         record.ID,
		Role:       role,
		Kind:       s.Action,
		Requests:   requests,
		Risk:       s.Risk,
		Confidence: r.incident.Score,
		Disruption: disruption,
		Severity:   r.incident.Severity,
		Deadline:   now + timeout,
		Key:        r.playbook.ID + "/" + s.ID + "/" + record.Target + "/" + string(role),
	}
	e.call(func(now time.Duration) { e.options.Approver.Ask(now, request) })
}

// shownEvidence is what the approver was shown.
func shownEvidence(r *run, disruption float64) string {
	in := r.incident
	return fmt.Sprintf(
		"confidence %.2f, severity %s, %d alerts, techniques %s, predicted disruption %.1f",
		in.Score,
		in.Severity,
		in.Count,
		strings.Join(in.Techniques, " "),
		disruption,
	)
}

// Answer is a person's answer to an approval request. One that comes after the time is
// over, or to a request that is no longer open, changes nothing and is false.
func (e *Engine) Answer(now time.Duration, id int, approved bool, by string) bool {
	w := e.openRequests[id]
	if w == nil {
		if rec, ok := e.closedRequests.get(id); ok {
			e.logLate(now, rec, by)
		}
		return false
	}
	outcome := approval.Denied
	if approved {
		outcome = approval.Approved
	}
	e.enqueue(transition{kind: handleAnswer, asked: w, answer: answer{outcome, by}})
	e.drain(now)
	return true
}

// logLate notes an answer that nobody waits for. A request that had timed out was
// answered too late.
func (e *Engine) logLate(now time.Duration, rec *ApprovalRecord, by string) {
	if rec.Outcome == approval.TimedOut {
		rec.Outcome, rec.Answered, rec.Approver = approval.TooLate, &now, by
	}
	e.metrics.outcome(rec.Kind, approval.TooLate, now-rec.Asked)
	e.audit(
		now,
		AuditEntry{
			Run:      rec.Run,
			Incident: rec.Incident,
			Playbook: rec.Playbook,
			Step:     rec.Step,
			What:     "approval_too_late",
			Status:   string(approval.TooLate),
			Detail:   by,
			Waited:   now - rec.Asked,
		},
	)
}

// takeAnswer closes a request and carries its run on.
func (e *Engine) takeAnswer(now time.Duration, w *approvalRequest, a answer) {
	if e.openRequests[w.record.ID] != w {
		return
	}
	e.close(now, w, a)
	n := w.node
	switch a.outcome {
	case approval.Approved:
		n.approved++
	case approval.Escalated:
		e.open(now, n, n.step.HOTL.EscalateTo, true)
		e.enqueue(transition{kind: notifyFollowers, asked: w, answer: a})
		return
	default:
		if n.refused == "" {
			n.refused = refusal(a.outcome)
		}
		e.withdraw(now, n) // the other of two approvers need not answer any more
	}
	e.enqueue(transition{kind: advanceRun, run: n.run})
	e.enqueue(transition{kind: notifyFollowers, asked: w, answer: a})
}

// refusal is the status of a step whose approval request ended without a yes.
func refusal(o approval.Outcome) action.Status {
	if o == approval.Denied {
		return action.Denied
	}
	return action.TimedOut
}

// notifyFollowers carries an answer on to the steps of other runs that waited for it;
// those that got none ask for themselves.
func (e *Engine) notifyFollowers(w *approvalRequest, outcome approval.Outcome) {
	for _, n := range w.followers {
		e.enqueue(transition{kind: notifyFollower, asked: w, node: n, answer: answer{outcome: outcome}})
	}
	w.followers = nil
}

func (e *Engine) notifyFollower(now time.Duration, w *approvalRequest, n *node, outcome approval.Outcome) {
	if n.follows != w || n.status != action.Pending || n.run.ended {
		return
	}
	n.follows = nil
	switch outcome {
	case approval.Approved:
		n.approved++
	case approval.Denied:
		n.refused = action.Denied
	default:
		e.ask(now, n)
		return
	}
	e.auditStep(now, n, AuditEntry{What: "approval_" + string(outcome), Status: string(outcome),
		Detail: fmt.Sprintf("by the answer to %s/%s", w.record.Playbook, w.record.Step)})
	e.enqueue(transition{kind: advanceRun, run: n.run})
}

// close writes down how a request ended.
func (e *Engine) close(now time.Duration, w *approvalRequest, a answer) {
	rec := w.record
	delete(e.openRequests, rec.ID)
	if e.requestsByKey[w.key] == w {
		delete(e.requestsByKey, w.key)
	}
	rec.Outcome, rec.Closed = a.outcome, &now
	if a.outcome.IsAnswer() {
		rec.Answered, rec.Approver = &now, a.by
	}
	e.closedRequests.add(rec.ID, rec)
	e.metrics.request(rec.Kind, a.outcome == approval.Approved)
	e.metrics.outcome(rec.Kind, a.outcome, now-rec.Asked)
	e.audit(
		now,
		AuditEntry{
			Run:      rec.Run,
			Incident: rec.Incident,
			Playbook: rec.Playbook,
			Step:     rec.Step,
			What:     "approval_" + string(a.outcome),
			Status:   string(a.outcome),
			Detail:   a.by,
			Waited:   now - rec.Asked,
		},
	)
	e.notifyApproval(e.options.Listener.ApprovalClosed, rec)
}

// withdraw closes the open requests of a step that will not run.
func (e *Engine) withdraw(now time.Duration, n *node) {
	e.closeAll(now, n, answer{approval.Withdrawn, "withdrawn"})
}

// lapse closes the open requests of a step whose run's deadline is over.
func (e *Engine) lapse(now time.Duration, n *node) {
	if e.closeAll(now, n, answer{approval.TimedOut, "withdrawn"}) && n.refused == "" {
		n.refused = action.TimedOut
	}
}

// closeAll closes the open requests of a step and tells whether there were any; steps
// of other runs that waited for the answer ask for themselves.
func (e *Engine) closeAll(now time.Duration, n *node, a answer) bool {
	n.follows = nil
	any := false
	for _, w := range n.asked {
		if e.openRequests[w.record.ID] == w {
			any = true
			e.close(now, w, a)
			e.enqueue(transition{kind: notifyFollowers, asked: w, answer: answer{outcome: approval.Withdrawn}})
		}
	}
	return any
}

// expireRequest applies what no answer in time means.
func (e *Engine) expireRequest(now time.Duration, id int) {
	w := e.openRequests[id]
	if w == nil {
		return
	}
	h := w.node.step.HOTL
	a := answer{outcome: approval.TimedOut}
	switch {
	case h == nil:
	case h.OnTimeout == "escalate" && !w.escalated:
		a = answer{approval.Escalated, string(h.EscalateTo)}
	case h.OnTimeout == "approve_if":
		if ok, err := evaluate(w.node.step.approveIf, &w.node.run.env); ok && err == nil {
			a = answer{approval.Approved, "rule: " + h.ApproveIf}
		}
	case !w.node.run.overdue && h.holds():
		if !w.held { // it stays open until somebody answers or the run's deadline is over
			w.held = true
			e.auditStep(now, w.node, AuditEntry{What: "approval_held", Detail: w.record.Approver})
		}
		return
	}
	e.enqueue(transition{kind: handleAnswer, asked: w, answer: a})
}

// holds tells whether no answer, at the end of an escalation if there is one, keeps a
// request open.
func (h *HOTL) holds() bool {
	return h.OnTimeout == "hold" || h.OnTimeout == "escalate" && h.Then == "hold"
}
