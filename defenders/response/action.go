package response

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// record writes an action down before it starts.
func (e *Engine) record(now time.Duration, t *task) *ActionRecord {
	n := t.node
	rec := &ActionRecord{ID: int64(len(e.Actions) + 1), Run: n.run.id, Incident: n.run.incident.ID, Playbook: n.run.playbook.ID, Step: n.step.ID,
		Kind: n.step.Action, Target: t.target, Status: Pending, Params: t.params, Asked: now, Predicted: e.disruption(n.step, t.target)}
	e.Actions = append(e.Actions, rec)
	t.record = rec
	return rec
}

// launch starts the tasks of a step, as many at once as it allows.
func (e *Engine) launch(now time.Duration, n *node) {
	for _, t := range n.tasks {
		if t.record == nil {
			e.record(now, t)
			n.left++
		}
	}
	e.fill(now, n)
}

// fill lets further tasks of a step begin.
func (e *Engine) fill(now time.Duration, n *node) {
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

// key names what a task does to what, for idempotency and undo.
func (t *task) key() string {
	key := t.node.step.Action + " " + t.target
	if dest := t.params["dest"]; dest != "" {
		key += " " + dest
	}
	return key
}

// begin starts an attempt, unless the effect is in force already or the target
// belongs to somebody else for now.
func (e *Engine) begin(now time.Duration, t *task) {
	n := t.node
	if !e.claim(now, t) {
		return
	}
	if other := e.doing[t.key()]; other != nil && other != t {
		t.waits = true
		other.followers = append(other.followers, t)
		e.note(now, t, "action_waits", "", fmt.Sprintf("action %d does the same already", other.record.ID))
		return
	}
	if t.record.Started == nil {
		t.record.Started = &now
	}
	t.attempt++
	t.record.Attempts, t.verifying = t.attempt, 0
	e.note(now, t, "action_started", "", t.record.Kind+" "+t.target)
	if h := e.effects[t.key()]; h != nil {
		e.hold(now, t)
		status := Succeeded
		if e.dry(t) {
			status = DryRun
		}
		e.end(now, t, status, "in place already; its time is extended", false)
		return
	}
	if e.dry(t) {
		if registry[t.record.Kind].Undo {
			e.hold(now, t)
		}
		e.end(now, t, DryRun, "dry run", false)
		return
	}
	e.flight[t.record.ID], e.doing[t.key()] = t, t
	timeout := n.step.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	e.at(now+timeout, timer{kind: timerAction, id: t.record.ID, gen: t.attempt})
	request := ActionRequest{ID: t.record.ID, Kind: t.record.Kind, Params: t.params, Idempotency: t.key(),
		Key: fmt.Sprintf("%s/%s/%s/%d", t.record.Playbook, t.record.Step, t.target, t.attempt)}
	if panicked := e.guarded(func() { e.options.Actuator.Start(now, request) }); panicked != "" && e.flight[t.record.ID] == t {
		delete(e.flight, t.record.ID)
		e.attemptFailed(now, t, "the action panicked: "+panicked, false)
	}
}

func (e *Engine) dry(t *task) bool {
	return e.options.Policy.DryRun || t.node.run.playbook.DryRun
}

// guarded runs code of the actuator and returns what it panicked with, if it did.
func (e *Engine) guarded(f func()) (panicked string) {
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
func (e *Engine) Done(now time.Duration, action int64, result Result) {
	t := e.flight[action]
	if t == nil {
		if result.OK && result.Changed && action > 0 && action <= int64(len(e.Actions)) && e.Actions[action-1].Status == Failed {
			e.takeBack(now, e.Actions[action-1], "late", "its result came too late")
		}
		return
	}
	if !result.OK {
		delete(e.flight, action)
		e.attemptFailed(now, t, result.Detail, true)
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
	if panicked := e.guarded(func() { seen = e.options.Actuator.Observe(now, id) }); panicked != "" {
		seen = false
	}
	v := t.node.step.Verify
	switch {
	case seen:
		e.note(now, t, "verified", Succeeded, t.metric())
		e.succeed(now, t)
	case now >= t.verifying:
		delete(e.flight, id)
		e.metrics.verifyFailed()
		e.note(now, t, "verify_failed", Failed, t.metric()+" was not observed")
		if t.result.Changed {
			e.guarded(func() { e.options.Actuator.Undo(now, id) })
		}
		e.attemptFailed(now, t, "no effect observed: "+t.metric(), true)
	default:
		every := v.Every
		if every <= 0 {
			every = max(v.Within/4, time.Second)
		}
		e.at(min(now+every, t.verifying), timer{kind: timerVerify, id: id, gen: t.attempt})
	}
}

func (t *task) metric() string {
	if v := t.node.step.Verify; v.Metric != "" {
		return v.Metric
	}
	return registry[t.record.Kind].Metric
}

func (e *Engine) succeed(now time.Duration, t *task) {
	delete(e.flight, t.record.ID)
	t.record.Changed = t.result.Changed
	if registry[t.record.Kind].Undo && t.result.Changed {
		e.hold(now, t)
	}
	e.end(now, t, Succeeded, t.result.Detail, true)
}

func (e *Engine) attemptFailed(now time.Duration, t *task, detail string, resume bool) {
	retry := t.node.step.Retry
	if t.attempt <= retry.Max {
		pause := float64(max(retry.Backoff, time.Millisecond))
		for range t.attempt - 1 {
			pause *= max(1, retry.Factor)
		}
		if retry.MaxBackoff > 0 {
			pause = min(pause, float64(retry.MaxBackoff))
		}
		e.note(now, t, "action_retried", "", detail)
		e.at(now+time.Duration(pause), timer{kind: timerRetry, id: t.record.ID, task: t})
		return
	}
	e.end(now, t, Failed, detail, resume)
}

// end gives a task its final status and carries its run on.
func (e *Engine) end(now time.Duration, t *task, status, detail string, resume bool) {
	if t.done {
		return
	}
	n := t.node
	t.done = true
	t.record.Status, t.record.Detail, t.record.Ended = status, detail, &now
	e.metrics.action(t.record.Kind, status)
	e.note(now, t, "action_ended", status, detail)
	n.left--
	n.running--
	e.share(now, t)
	e.release(now, t)
	e.fill(now, n)
	if n.left == 0 && n.orphan {
		e.conclude(now, n, n.amounts())
	}
	if resume && n.left == 0 {
		e.advance(now, n.run)
	}
}

// share gives an action's success to those that waited to do the same; after a
// failure the next of them tries.
func (e *Engine) share(now time.Duration, t *task) {
	if e.doing[t.key()] == t {
		delete(e.doing, t.key())
	}
	followers := t.followers
	t.followers = nil
	for _, next := range followers {
		if next.done {
			continue
		}
		next.waits = false
		if t.record.Status != Succeeded || e.effects[next.key()] != nil {
			e.begin(now, next)
		} else {
			next.record.Started, next.result = &now, t.result
			e.end(now, next, Succeeded, fmt.Sprintf("done by action %d", t.record.ID), false)
		}
		if next.done && next.node.left == 0 {
			e.advance(now, next.node.run)
		}
	}
}

func (e *Engine) note(now time.Duration, t *task, what, status, detail string) {
	e.audit(now, AuditEntry{Run: t.record.Run, Incident: t.record.Incident, Playbook: t.record.Playbook, Step: t.record.Step, What: what, Status: status, Detail: t.node.run.redact(detail)})
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
	kind := registry[t.record.Kind]
	if !kind.Evidence && !kind.Destroys {
		return true
	}
	c := e.targets[t.target]
	if c == nil {
		c = &claim{}
		e.targets[t.target] = c
	}
	if c.destroys == t || slices.Contains(c.evidence, t) {
		return true
	}
	if kind.Destroys && (len(c.evidence) > 0 || c.destroys != nil) || kind.Evidence && c.destroys != nil {
		t.waits = true
		precedence := t.node.run.playbook.Precedence
		at := slices.IndexFunc(c.waiting, func(other *task) bool { return other.node.run.playbook.Precedence < precedence })
		if at < 0 {
			at = len(c.waiting)
		}
		c.waiting = slices.Insert(c.waiting, at, t)
		e.note(now, t, "action_waits", "", "another playbook works on "+t.target)
		return false
	}
	if kind.Destroys {
		c.destroys = t
	} else {
		c.evidence = append(c.evidence, t)
	}
	return true
}

// release gives a target back and begins what waits for it.
func (e *Engine) release(now time.Duration, t *task) {
	c := e.targets[t.target]
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
		if registry[next.record.Kind].Destroys && len(c.evidence) > 0 {
			break
		}
		c.waiting = c.waiting[1:]
		next.waits = false
		e.begin(now, next)
		if next.done && next.node.left == 0 {
			e.advance(now, next.node.run)
		}
	}
	if c.destroys == nil && len(c.evidence) == 0 && len(c.waiting) == 0 {
		delete(e.targets, t.target)
	}
}

// effect is something in force that will be undone: what it is, and for which
// runs until when. It ends when the last of them lets go.
type effect struct {
	key     string
	record  *ActionRecord
	dry     bool
	holders []*holder
}

type holder struct {
	run     *run
	expires time.Duration // 0 for until restored
	keep    bool          // restoration leaves it alone
	gen     int
}

// hold keeps an effect in force for a run; a second request of the same run
// extends it, never stacks.
func (e *Engine) hold(now time.Duration, t *task) {
	key, r := t.key(), t.node.run
	h := e.effects[key]
	if h == nil {
		h = &effect{key: key, record: t.record, dry: e.dry(t)}
		e.effects[key] = h
	}
	at := slices.IndexFunc(h.holders, func(x *holder) bool { return x.run.incident.ID == r.incident.ID && x.run.playbook.ID == r.playbook.ID })
	if at < 0 {
		at = len(h.holders)
		h.holders = append(h.holders, &holder{run: r})
		r.effects = append(r.effects, h)
		if !slices.Contains(e.byCase[r.incident.ID], h) {
			e.byCase[r.incident.ID] = append(e.byCase[r.incident.ID], h)
		}
	}
	x := h.holders[at]
	if x.run != r {
		x.run = r
		r.effects = append(r.effects, h)
	}
	ttl := t.node.step.TTL
	x.keep = x.keep || t.node.step.Keep
	if ttl == 0 {
		x.expires = 0
		x.gen++
		return
	}
	if x.gen > 0 && x.expires == 0 || now+ttl <= x.expires {
		return
	}
	x.expires = now + ttl
	x.gen++
	e.at(x.expires, timer{kind: timerUndo, effect: h, holder: x, gen: x.gen})
}

// letGo ends a run's hold on an effect; the last one undoes it.
func (e *Engine) letGo(now time.Duration, h *effect, x *holder, cause, why string) bool {
	if e.effects[h.key] != h || !slices.Contains(h.holders, x) {
		return false
	}
	h.holders = slices.DeleteFunc(h.holders, func(other *holder) bool { return other == x })
	incident := x.run.incident.ID
	if !slices.ContainsFunc(h.holders, func(other *holder) bool { return other.run.incident.ID == incident }) {
		e.byCase[incident] = slices.DeleteFunc(e.byCase[incident], func(other *effect) bool { return other == h })
		if len(e.byCase[incident]) == 0 {
			delete(e.byCase, incident)
		}
	}
	if len(h.holders) > 0 {
		return false
	}
	delete(e.effects, h.key)
	e.takeBack(now, h.record, cause, why)
	return true
}

// takeBack undoes an action, once.
func (e *Engine) takeBack(now time.Duration, rec *ActionRecord, cause, why string) {
	if rec.Undone != nil {
		return
	}
	what := "action_undone"
	if !e.options.Policy.DryRun && rec.Status != DryRun {
		done := false
		if panicked := e.guarded(func() { done = e.options.Actuator.Undo(now, rec.ID) }); panicked != "" {
			what, why = "undo_failed", "the undo panicked: "+panicked
		} else if !done {
			why += "; it had left nothing to undo"
		}
	}
	rec.Undone = &now
	e.metrics.undo(rec.Kind, cause)
	e.audit(now, AuditEntry{Run: rec.Run, Incident: rec.Incident, Playbook: rec.Playbook, Step: rec.Step, What: what, Status: cause, Detail: strings.TrimSpace(rec.Kind + " " + rec.Target + ": " + why)})
}

// compensate takes back what a run has put in force, the latest first.
func (e *Engine) compensate(now time.Duration, r *run) {
	r.undoing = false
	r.worst = Compensated
	for _, h := range slices.Backward(r.effects) {
		for _, x := range slices.Clone(h.holders) {
			if x.run == r {
				e.letGo(now, h, x, "compensated", "the run is taken back")
			}
		}
	}
	r.each(func(n *node) {
		for _, t := range n.tasks {
			if t.record != nil && t.record.Status == Succeeded && t.record.Undone != nil {
				t.record.Status = Compensated
			}
		}
	})
}

// Restore lets go of what is in force for an incident, the latest first, and
// returns how many actions were undone. What another incident holds too stays, and
// what a step keeps until its ttl.
func (e *Engine) Restore(now time.Duration, incident int) int {
	return len(e.RestoreOnly(now, incident, nil))
}

// InForce lists the actions in force for an incident that restoration may take back.
func (e *Engine) InForce(incident int) []*ActionRecord {
	var list []*ActionRecord
	for _, h := range e.byCase[incident] {
		if slices.ContainsFunc(h.holders, func(x *holder) bool { return x.run.incident.ID == incident && !x.keep }) {
			list = append(list, h.record)
		}
	}
	return list
}

// Again puts actions that were taken back in force again, for what is left of
// their time or a while.
func (e *Engine) Again(now time.Duration, list []*ActionRecord, ttl time.Duration) {
	for _, rec := range list {
		e.Act(now, rec.Incident, "restoration_rollback", rec.Kind, rec.Params, ttl)
	}
}

// RestoreOnly is Restore for the actions that a filter accepts; nil accepts all.
// It returns what was undone.
func (e *Engine) RestoreOnly(now time.Duration, incident int, accept func(a *ActionRecord) bool) []*ActionRecord {
	list := slices.Clone(e.byCase[incident])
	slices.SortFunc(list, func(a, b *effect) int { return int(b.record.ID - a.record.ID) })
	var undone []*ActionRecord
	for _, h := range list {
		if accept != nil && !accept(h.record) {
			continue
		}
		for _, x := range slices.Clone(h.holders) {
			if x.run.incident.ID == incident && !x.keep && e.letGo(now, h, x, "restored", "the threat is gone") {
				undone = append(undone, h.record)
			}
		}
	}
	return undone
}
