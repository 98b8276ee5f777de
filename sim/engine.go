package sim

import "time"

// Handler is called when its scheduled time has come. The argument is the one
// given to Schedule, so that one long-lived handler serves many events without
// an allocation for each.
type Handler interface {
	Handle(now time.Duration, arg uint64)
}

// HandlerFunc adapts a function to Handler, for the rare events where a closure
// is clearer than a handler type.
type HandlerFunc func(now time.Duration)

// Handle calls f.
func (f HandlerFunc) Handle(now time.Duration, _ uint64) { f(now) }

// Timer names one scheduled event so that it can be cancelled. The zero Timer
// names none.
type Timer struct {
	slot int32
	gen  uint32
}

// Engine is a virtual clock and the queue of what happens next. Events at the
// same instant run in the order in which they were scheduled. The zero value is
// ready to use at time 0.
//
// The queue is a 4-ary heap over small nodes; handlers sit in a slot table that
// is reused, so scheduling allocates nothing once the queue has reached its
// size.
type Engine struct {
	// Interrupted, when set, is polled every few thousand events; once it
	// returns true Run stops and Stopped reports it.
	Interrupted func() bool

	now     time.Duration
	seq     uint64
	heap    []node
	slots   []slot
	free    []int32
	handled uint64
	stopped bool
	paused  bool
}

type node struct {
	at   time.Duration
	seq  uint64
	slot int32
}

type slot struct {
	handler Handler
	arg     uint64
	gen     uint32
}

const interruptEvery = 4096

// Now is the current virtual time, from the scenario's start.
func (e *Engine) Now() time.Duration { return e.now }

// Stopped tells whether Run ended because Interrupted said so.
func (e *Engine) Stopped() bool { return e.stopped }

// Schedule calls h.Handle(at, arg) when the clock reaches at. A time in the
// past means now, after everything already scheduled for now.
func (e *Engine) Schedule(at time.Duration, h Handler, arg uint64) Timer {
	if at < e.now {
		at = e.now
	}
	var index int32
	if n := len(e.free); n > 0 {
		index = e.free[n-1]
		e.free = e.free[:n-1]
	} else {
		e.slots = append(e.slots, slot{gen: 1})
		index = int32(len(e.slots) - 1)
	}
	s := &e.slots[index]
	s.handler, s.arg = h, arg
	e.seq++
	e.push(node{at: at, seq: e.seq, slot: index})
	return Timer{slot: index, gen: s.gen}
}

// After schedules a function after a delay.
func (e *Engine) After(delay time.Duration, f func(now time.Duration)) Timer {
	return e.Schedule(e.now+delay, HandlerFunc(f), 0)
}

// Cancel takes a scheduled event back. It reports false if the event has
// already run or was cancelled before.
func (e *Engine) Cancel(t Timer) bool {
	if t.gen == 0 || int(t.slot) >= len(e.slots) {
		return false
	}
	s := &e.slots[t.slot]
	if s.gen != t.gen || s.handler == nil {
		return false
	}
	s.handler = nil
	return true
}

// Pause lets Run return after the event that is being handled, with the clock at its time. A
// further Run goes on from there.
func (e *Engine) Pause() { e.paused = true }

// Run handles every event up to and including the time until, and leaves the
// clock there, unless it is paused or interrupted before.
func (e *Engine) Run(until time.Duration) {
	for !e.paused && len(e.heap) > 0 && e.heap[0].at <= until {
		if e.Interrupted != nil && e.handled%interruptEvery == 0 && e.Interrupted() {
			e.stopped = true
			return
		}
		e.step()
	}
	if e.now < until && !e.paused {
		e.now = until
	}
	e.paused = false
}

func (e *Engine) step() {
	next := e.pop()
	s := &e.slots[next.slot]
	h, arg := s.handler, s.arg
	s.handler = nil
	s.gen++
	e.free = append(e.free, next.slot)
	if h == nil {
		return
	}
	e.now = next.at
	e.handled++
	h.Handle(next.at, arg)
}

func (a node) before(b node) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.seq < b.seq
}

func (e *Engine) push(n node) {
	e.heap = append(e.heap, n)
	h := e.heap
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) >> 2
		if !n.before(h[parent]) {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = n
}

func (e *Engine) pop() node {
	h := e.heap
	top := h[0]
	last := h[len(h)-1]
	h = h[:len(h)-1]
	e.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		child := i<<2 + 1
		if child >= len(h) {
			break
		}
		end := min(child+4, len(h))
		least := child
		for c := child + 1; c < end; c++ {
			if h[c].before(h[least]) {
				least = c
			}
		}
		if !h[least].before(last) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = last
	return top
}
