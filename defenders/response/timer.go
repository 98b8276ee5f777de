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
	at     time.Duration
	seq    uint64
	kind   timerKind
	id     int64
	gen    int
	task   *task
	run    *run
	effect *effect
	holder *holder
}

func (e *Engine) at(when time.Duration, t timer) {
	e.seq++
	t.at, t.seq = when, e.seq
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
		switch t.kind {
		case timerApproval:
			e.approvalTimeout(t.at, int(t.id))
		case timerUndo:
			if t.holder.gen == t.gen {
				e.letGo(t.at, t.effect, t.holder, "ttl", "its time is over")
			}
		case timerRetry:
			if !t.task.done {
				e.begin(t.at, t.task)
				if t.task.done && t.task.node.left == 0 {
					e.advance(t.at, t.task.node.run)
				}
			}
		case timerAction:
			if open := e.flight[t.id]; open != nil && open.attempt == t.gen && open.verifying == 0 {
				delete(e.flight, t.id)
				e.attemptFailed(t.at, open, "no result in time", true)
			}
		case timerVerify:
			if open := e.flight[t.id]; open != nil && open.attempt == t.gen {
				e.verify(t.at, open)
			}
		case timerDeadline:
			e.deadline(t.at, t.run)
		}
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
