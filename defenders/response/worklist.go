package response

import (
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/incident"
)

// transitionKind is what a transition does.
type transitionKind uint8

const (
	considerPlaybook  transitionKind = iota // an alert may start a playbook
	admitRequest                            // a run is asked for
	actOnce                                 // a single action is asked for
	advanceRun                              // a run goes on as far as it can
	finishRun                               // a run has ended
	handleResult                            // an actuator's result came
	handleAnswer                            // a person answered
	endDryRun                               // what is only said to be done is done
	startNextTasks                          // further tasks of a step may begin
	completeFollowers                       // tasks that waited to do the same go on
	completeFollower                        // one of them goes on
	releaseTarget                           // a target is free for others
	notifyFollowers                         // steps of other runs that waited for the same answer go on
	notifyFollower                          // one of them goes on
	callOut                                 // an actuator, approver or listener is called
)

// transition is one item of the work list.
type transition struct {
	kind     transitionKind
	playbook *Playbook
	incident *incident.Incident
	alert    *alert.Alert
	request  *runRequest
	single   *singleAction
	run      *run
	node     *node
	task     *task
	follower *task
	asked    *approvalRequest
	answer   answer
	result   Result
	action   int64
	call     func(now time.Duration)
}

// worklist holds the transitions that are to be handled. What a transition adds is
// handled right after it, before what was there already, in the order in which it was
// added: the order is that of a depth-first walk, and nothing is handled within
// anything else.
type worklist struct {
	pending  []transition // the next one last
	added    []transition // by the transition being handled
	draining bool
}

// enqueue adds a transition.
func (e *Engine) enqueue(t transition) { e.work.added = append(e.work.added, t) }

// drain handles transitions until none is left. Within a call from outside that comes
// while it runs, such as from a listener, it leaves them to the loop that goes on.
func (e *Engine) drain(now time.Duration) {
	w := &e.work
	if w.draining {
		return
	}
	w.draining = true
	for {
		for i := len(w.added) - 1; i >= 0; i-- {
			w.pending = append(w.pending, w.added[i])
			w.added[i] = transition{}
		}
		w.added = w.added[:0]
		last := len(w.pending) - 1
		if last < 0 {
			w.draining = false
			return
		}
		t := w.pending[last]
		w.pending[last] = transition{}
		w.pending = w.pending[:last]
		e.handle(now, &t)
	}
}

func (e *Engine) handle(now time.Duration, t *transition) {
	switch t.kind {
	case considerPlaybook:
		e.consider(now, t.playbook, t.incident, t.alert)
	case admitRequest:
		e.admitRun(now, *t.request)
	case actOnce:
		e.act(now, t.single)
	case advanceRun:
		e.advance(now, t.run)
	case finishRun:
		e.finish(now, t.run)
	case handleResult:
		e.takeResult(now, t.action, t.result)
	case endDryRun:
		e.endDryRun(now, t.task)
	case handleAnswer:
		e.takeAnswer(now, t.asked, t.answer)
	case startNextTasks:
		e.startNext(now, t.node)
	case completeFollowers:
		e.completeFollowers(t.task)
	case completeFollower:
		e.completeFollower(now, t.task, t.follower)
	case releaseTarget:
		e.releaseClaim(now, t.task)
	case notifyFollowers:
		e.notifyFollowers(t.asked, t.answer.outcome)
	case notifyFollower:
		e.notifyFollower(now, t.asked, t.node, t.answer.outcome)
	case callOut:
		t.call(now)
	}
}

// call has something outside called after what is being done.
func (e *Engine) call(f func(now time.Duration)) {
	e.enqueue(transition{kind: callOut, call: f})
}

func (e *Engine) notifyRun(f func(time.Duration, RunInfo), r *run) {
	if f != nil {
		info := RunInfo{Run: r.id, Incident: r.incident.ID, Playbook: r.playbook.ID, Origin: r.origin, Status: r.status}
		e.call(func(now time.Duration) { f(now, info) })
	}
}

func (e *Engine) notifyAction(f func(time.Duration, *ActionRecord), a *ActionRecord) {
	if f != nil {
		e.call(func(now time.Duration) { f(now, a) })
	}
}

func (e *Engine) notifyApproval(f func(time.Duration, *ApprovalRecord), a *ApprovalRecord) {
	if f != nil {
		e.call(func(now time.Duration) { f(now, a) })
	}
}

// expired remembers the latest records that somebody may still answer although nobody
// waits any more. It is bounded: older ones are forgotten.
type expired[K comparable, V any] struct {
	byKey map[K]V
	order []K
}

// maxExpired bounds what an expired remembers.
const maxExpired = 1000

func (x *expired[K, V]) add(key K, v V) {
	if x.byKey == nil {
		x.byKey = map[K]V{}
	}
	x.byKey[key] = v
	if x.order = append(x.order, key); len(x.order) > maxExpired {
		delete(x.byKey, x.order[0])
		x.order = x.order[1:]
	}
}

func (x *expired[K, V]) get(key K) (V, bool) {
	v, ok := x.byKey[key]
	return v, ok
}
