package response

import (
	"fmt"
	"slices"
	"time"

	"hemostat/sim/action"
)

// task is what a step does to one target.
type task struct {
	node      *node
	request   action.Request
	attempt   int
	record    *ActionRecord
	done      bool
	verifying time.Duration // until when the effect may show; 0 when it need not
	result    Result
	waits     bool    // for the target, or for one that does the same
	followers []*task // that wait for this one, since it does the same to the same
}

// target is what the task is aimed at.
func (t *task) target() string { return t.request.Target.Value }

// key names what a task does to what, for idempotency and undo.
func (t *task) key() string { return t.request.Key() }

// isLimited tells whether a limit stopped the task.
func (t *task) isLimited() bool { return t.record != nil && t.record.Status == action.Limited }

// record writes an action down before it starts.
func (e *Engine) record(now time.Duration, t *task) *ActionRecord {
	n := t.node
	e.nextAction++
	rec := &ActionRecord{
		ID:        e.nextAction,
		Run:       n.run.id,
		Incident:  n.run.incident.ID,
		Playbook:  n.run.playbook.ID,
		Step:      n.step.ID,
		Request:   t.request,
		Target:    t.target(),
		Status:    action.Pending,
		Asked:     now,
		Predicted: e.disruption(n.step, t.target()),
	}
	t.record = rec
	if f := e.options.Listener.ActionRequested; f != nil {
		f(now, rec)
	}
	return rec
}

// recordTasks writes down what a step is about to do.
func (e *Engine) recordTasks(now time.Duration, n *node) {
	for _, t := range n.tasks {
		if t.record == nil {
			e.record(now, t)
			n.left++
		}
	}
}

// startNext lets further tasks of a step begin, as many at once as it allows.
func (e *Engine) startNext(now time.Duration, n *node) {
	width := n.step.MaxParallel
	if width <= 0 {
		width = len(n.tasks)
	}
	for _, t := range n.tasks {
		if n.running >= width {
			return
		}
		if t.record.Started == nil && !t.done && !t.waits {
			n.running++
			e.begin(now, t)
		}
	}
}

// begin starts an attempt, unless the effect is in force already or the target
// belongs to somebody else for now.
func (e *Engine) begin(now time.Duration, t *task) {
	if !e.claim(now, t) {
		return
	}
	if other := e.inProgress[t.key()]; other != nil && other != t {
		t.waits = true
		other.followers = append(other.followers, t)
		e.auditTask(now, t, "action_waits", "", fmt.Sprintf("action %d does the same already", other.record.ID))
		return
	}
	if t.record.Started == nil {
		t.record.Started = &now
	}
	t.attempt++
	t.record.Attempts, t.verifying = t.attempt, 0
	e.auditTask(now, t, "action_started", "", string(t.request.Kind)+" "+t.target())
	switch {
	case e.effects[t.key()] != nil:
		e.hold(now, t)
		status := action.Succeeded
		if e.isDry(t) {
			status = action.DryRun
		}
		e.endTask(now, t, status, "in place already; its time is extended")
	case e.isDry(t):
		e.inProgress[t.key()] = t
		e.enqueue(transition{kind: endDryRun, task: t})
	default:
		e.attempt(now, t)
	}
}

// endDryRun ends an attempt that only looks as if it were carried out.
func (e *Engine) endDryRun(now time.Duration, t *task) {
	if action.Must(t.request.Kind).Undo {
		e.hold(now, t)
	}
	e.endTask(now, t, action.DryRun, "dry run")
}

// attempt has the actuator carry a task out.
func (e *Engine) attempt(now time.Duration, t *task) {
	id, attempt := t.record.ID, t.attempt
	e.inFlight[id], e.inProgress[t.key()] = t, t
	timeout := t.node.step.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	e.setTimer(now+timeout, timer{kind: timerAction, id: id, attempt: attempt})
	request := ActionRequest{
		ID:      id,
		Request: t.request,
		Attempt: fmt.Sprintf("%s/%s/%s/%d", t.record.Playbook, t.record.Step, t.target(), attempt),
	}
	e.call(func(now time.Duration) {
		panicked := guarded(func() { e.options.Actuator.Start(now, request) })
		if panicked != "" && e.inFlight[id] == t && t.attempt == attempt {
			delete(e.inFlight, id)
			e.failAttempt(now, t, "the action panicked: "+panicked)
		}
	})
}

func (e *Engine) isDry(t *task) bool {
	return e.options.Policy.DryRun || t.node.run.playbook.DryRun
}

// guarded runs code of the actuator and returns what it panicked with, if it did.
func guarded(f func()) (panicked string) {
	defer func() {
		if r := recover(); r != nil {
			panicked = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}

// Done is the result of an action. A result that comes after its attempt has
// timed out is undone, since nobody waits for it any more.
func (e *Engine) Done(now time.Duration, id int64, result Result) {
	e.enqueue(transition{kind: handleResult, action: id, result: result})
	e.drain(now)
}

func (e *Engine) takeResult(now time.Duration, id int64, result Result) {
	t := e.inFlight[id]
	if t == nil {
		if rec, ok := e.failedInFlight.get(id); ok && result.OK && result.Changed {
			e.undo(now, rec, "late", "its result came too late")
		}
		return
	}
	if result.OK && result.Changed {
		e.notifyAction(e.options.Listener.ActionTookEffect, t.record)
	}
	if !result.OK {
		delete(e.inFlight, id)
		e.failAttempt(now, t, result.Detail)
		return
	}
	t.result = result
	if v := t.node.step.Verify; v != nil {
		t.verifying = now + v.Within
		e.verify(now, t)
		return
	}
	e.succeed(now, t)
}

// verify looks whether the effect shows, now and again until its time is over.
func (e *Engine) verify(now time.Duration, t *task) {
	id := t.record.ID
	seen := false
	if panicked := guarded(func() { seen = e.options.Actuator.Observe(now, id) }); panicked != "" {
		seen = false
	}
	v := t.node.step.Verify
	switch {
	case seen:
		e.auditTask(now, t, "verified", string(action.Succeeded), t.metric())
		e.succeed(now, t)
	case now >= t.verifying:
		delete(e.inFlight, id)
		e.metrics.verifyFailed()
		e.auditTask(now, t, "verify_failed", string(action.Failed), t.metric()+" was not observed")
		if t.result.Changed {
			guarded(func() { e.options.Actuator.Undo(now, id) })
		}
		e.failAttempt(now, t, "no effect observed: "+t.metric())
	default:
		every := v.Every
		if every <= 0 {
			every = max(v.Within/4, time.Second)
		}
		e.setTimer(min(now+every, t.verifying), timer{kind: timerVerify, id: id, attempt: t.attempt})
	}
}

func (t *task) metric() string {
	if v := t.node.step.Verify; v.Metric != "" {
		return v.Metric
	}
	return action.Must(t.request.Kind).Observed
}

func (e *Engine) succeed(now time.Duration, t *task) {
	delete(e.inFlight, t.record.ID)
	t.record.Changed = t.result.Changed
	if action.Must(t.request.Kind).Undo && t.result.Changed {
		e.hold(now, t)
	}
	e.endTask(now, t, action.Succeeded, t.result.Detail)
}

// failAttempt tries again after a pause, or fails the task.
func (e *Engine) failAttempt(now time.Duration, t *task, detail string) {
	retry := t.node.step.Retry
	if t.attempt > retry.Max {
		e.endTask(now, t, action.Failed, detail)
		return
	}
	e.auditTask(now, t, "action_retried", "", detail)
	e.setTimer(now+retry.pause(t.attempt), timer{kind: timerRetry, id: t.record.ID, task: t})
}

// pause is the time before the attempt that follows the n-th: exponential backoff.
func (r Retry) pause(n int) time.Duration {
	pause := float64(max(r.Backoff, time.Millisecond))
	for range n - 1 {
		pause *= max(1, r.Factor)
	}
	if r.MaxBackoff > 0 {
		pause = min(pause, float64(r.MaxBackoff))
	}
	return time.Duration(pause)
}

// endTask gives a task its final status; what waited for it goes on afterwards.
func (e *Engine) endTask(now time.Duration, t *task, status action.Status, detail string) {
	if t.done {
		return
	}
	n := t.node
	t.done = true
	t.record.Status, t.record.Detail, t.record.Ended = status, detail, &now
	if status == action.Failed {
		e.failedInFlight.add(t.record.ID, t.record)
	}
	e.metrics.action(t.request.Kind, status)
	e.auditTask(now, t, "action_ended", string(status), detail)
	e.notifyAction(e.options.Listener.ActionEnded, t.record)
	n.left--
	n.running--
	e.enqueue(transition{kind: completeFollowers, task: t})
	e.enqueue(transition{kind: releaseTarget, task: t})
	e.enqueue(transition{kind: startNextTasks, node: n})
	if n.left > 0 {
		return
	}
	if n.detached && n.status == action.Pending {
		e.conclude(now, n, n.aggregateTasks())
	}
	e.enqueue(transition{kind: advanceRun, run: n.run})
}

// completeFollowers gives an action's success to those that waited to do the same;
// after a failure the next of them tries.
func (e *Engine) completeFollowers(t *task) {
	if e.inProgress[t.key()] == t {
		delete(e.inProgress, t.key())
	}
	for _, next := range t.followers {
		e.enqueue(transition{kind: completeFollower, task: t, follower: next})
	}
	t.followers = nil
}

func (e *Engine) completeFollower(now time.Duration, t, next *task) {
	if next.done {
		return
	}
	next.waits = false
	if !t.record.Status.IsGood() || e.effects[next.key()] != nil {
		e.begin(now, next)
		return
	}
	next.record.Started, next.result = &now, t.result
	e.endTask(now, next, t.record.Status, fmt.Sprintf("done by action %d", t.record.ID))
}

// auditTask appends an entry about a task to the audit log.
func (e *Engine) auditTask(now time.Duration, t *task, what, status, detail string) {
	e.auditStep(now, t.node, AuditEntry{What: what, Status: status, Detail: t.node.run.redact(detail)})
}

// claim is who works on a host now in a way that others must not cut across:
// evidence is not wiped while it is taken, and nothing is taken from a host that
// is being restored.
type claim struct {
	evidence []*task
	destroys *task
	waiting  []*task // highest precedence first, then the oldest
}

// claim takes a task's target; false means that it has to wait, and will be begun
// when the target is free.
func (e *Engine) claim(now time.Duration, t *task) bool {
	spec := action.Must(t.request.Kind)
	if !spec.Evidence && !spec.Destroys {
		return true
	}
	c := e.claims[t.target()]
	if c == nil {
		c = &claim{}
		e.claims[t.target()] = c
	}
	if c.destroys == t || slices.Contains(c.evidence, t) {
		return true
	}
	if spec.Destroys && (len(c.evidence) > 0 || c.destroys != nil) || spec.Evidence && c.destroys != nil {
		c.wait(t)
		e.auditTask(now, t, "action_waits", "", "another playbook works on "+t.target())
		return false
	}
	if spec.Destroys {
		c.destroys = t
	} else {
		c.evidence = append(c.evidence, t)
	}
	return true
}

// wait puts a task behind those of higher or the same precedence.
func (c *claim) wait(t *task) {
	t.waits = true
	precedence := t.node.run.playbook.Precedence
	at := slices.IndexFunc(c.waiting, func(other *task) bool { return other.node.run.playbook.Precedence < precedence })
	if at < 0 {
		at = len(c.waiting)
	}
	c.waiting = slices.Insert(c.waiting, at, t)
}

// releaseClaim gives a target back and begins what waits for it.
func (e *Engine) releaseClaim(now time.Duration, t *task) {
	c := e.claims[t.target()]
	if c == nil {
		return
	}
	if c.destroys == t {
		c.destroys = nil
	}
	c.evidence = slices.DeleteFunc(c.evidence, func(other *task) bool { return other == t })
	c.waiting = slices.DeleteFunc(c.waiting, func(other *task) bool { return other == t })
	for len(c.waiting) > 0 && c.destroys == nil {
		next := c.waiting[0]
		if action.Must(next.request.Kind).Destroys && len(c.evidence) > 0 {
			break
		}
		c.waiting = c.waiting[1:]
		next.waits = false
		e.begin(now, next)
	}
	if c.destroys == nil && len(c.evidence) == 0 && len(c.waiting) == 0 {
		delete(e.claims, t.target())
	}
}
