package live

import (
	"container/heap"
	"math"
	"time"

	"hemostat/sim/event"
)

// held holds events back for a short time, so that older ones that come later are handled
// first. An event goes on when it has waited, or when every partition that still brings
// records has come further than its time by as much as events wait.
type held struct {
	Events heldHeap
	Seq    uint64
	Newest map[Position]newest
	Passed time.Duration // time of the last event that went on
}

// newest is how far a partition has come.
type newest struct {
	Time time.Duration // of its newest event, but for those from the future
	Came time.Duration
}

type heldEvent struct {
	Event *event.Event
	At    time.Duration // its time; that at which it came for one from the future
	Came  time.Duration
	Seq   uint64
}

// skew is by how much the clock of a sender may be fast; an event from further in the future
// does not make others late.
const skew = 5 * time.Minute

// hold takes an event of a partition in.
func (r *Runtime) hold(now time.Duration, p Position, e *event.Event) {
	h := &r.state.Held
	if e.Observed == 0 || e.Observed > now {
		e.Observed = now
	}
	if e.Time > now+skew {
		r.metrics.skewed.Inc()
	} else if h.Newest == nil {
		h.Newest = map[Position]newest{p: {e.Time, now}}
	} else {
		h.Newest[p] = newest{max(e.Time, h.Newest[p].Time), now}
	}
	if e.Time < h.Passed {
		r.metrics.late.Inc()
	}
	h.Seq++
	heap.Push(&h.Events, heldEvent{e, min(e.Time, now), now, h.Seq})
}

// due is when the event that is next has waited long enough; false when none is held.
func (h *held) due(straggle time.Duration) (time.Duration, bool) {
	if len(h.Events) == 0 {
		return 0, false
	}
	return h.Events[0].Came + straggle, true
}

// reached is the time that every partition has come to which brought an event within the time
// that events wait.
func (h *held) reached(now, straggle time.Duration) time.Duration {
	least := time.Duration(math.MaxInt64)
	for _, n := range h.Newest {
		if n.Came+straggle > now {
			least = min(least, n.Time)
		}
	}
	return least
}

// next is the next event that goes on now, nil for none; reached is what reached says.
func (h *held) next(now, straggle, reached time.Duration) *event.Event {
	if len(h.Events) == 0 {
		return nil
	}
	x := &h.Events[0]
	if x.Came+straggle > now && x.At > reached-straggle {
		return nil
	}
	passed := heap.Pop(&h.Events).(heldEvent)
	h.Passed = max(h.Passed, passed.At)
	return passed.Event
}

type heldHeap []heldEvent

func (h heldHeap) Len() int { return len(h) }
func (h heldHeap) Less(i, j int) bool {
	return h[i].At < h[j].At || h[i].At == h[j].At && h[i].Seq < h[j].Seq
}
func (h heldHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *heldHeap) Push(x any) { *h = append(*h, x.(heldEvent)) }

// Pop is for container/heap.
func (h *heldHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = heldEvent{}
	*h = old[:len(old)-1]
	return last
}
