package response

import (
	"container/heap"
	"time"
)

type timerKind uint8

const (
	timerApproval timerKind = iota
	timerUndo
	timerRetry
	timerAction
	timerVerify
	timerDeadline
)

type timer struct {
	at      time.Duration
	seq     uint64
	kind    timerKind
	id      int64
	attempt int // that it was set for; it is void when another one goes on
	task    *task
	run     *run
	effect  *effect
	holder  *holder
}

func (e *Engine) setTimer(when time.Duration, t timer) {
	e.nextTimer++
	t.at, t.seq = when, e.nextTimer
	heap.Push(&e.timers, t)
}

// NextWake is when Advance has something to do.
func (e *Engine) NextWake() (time.Duration, bool) {
	if len(e.timers) == 0 {
		return 0, false
	}
	return e.timers[0].at, true
}

// Advance handles every timer that is due.
func (e *Engine) Advance(now time.Duration) {
	for len(e.timers) > 0 && e.timers[0].at <= now {
		t := heap.Pop(&e.timers).(timer)
		e.fire(&t)
		e.drain(t.at)
	}
}

func (e *Engine) fire(t *timer) {
	switch t.kind {
	case timerApproval:
		e.expireRequest(t.at, int(t.id))
	case timerUndo:
		if t.holder.renewed == t.attempt {
			e.releaseHold(t.at, t.effect, t.holder, "ttl", "its time is over")
		}
	case timerRetry:
		if !t.task.done {
			e.begin(t.at, t.task)
		}
	case timerAction:
		if open := e.inFlight[t.id]; open != nil && open.attempt == t.attempt && open.verifying == 0 {
			delete(e.inFlight, t.id)
			e.failAttempt(t.at, open, "no result in time")
		}
	case timerVerify:
		if open := e.inFlight[t.id]; open != nil && open.attempt == t.attempt {
			e.verify(t.at, open)
		}
	case timerDeadline:
		e.expireRun(t.at, t.run)
	}
}

type timerHeap []timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *timerHeap) Push(x any) { *h = append(*h, x.(timer)) }

// Pop is for container/heap.
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*h = old[:len(old)-1]
	return last
}
