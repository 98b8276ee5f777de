package ingest

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"

	"hemostat/sim/event"
)

const (
	// largeBatch is how many events an only input hands over at a time, smallBatch how
	// many each of several does.
	largeBatch = 128
	smallBatch = 16
	// windowSize is how many events all inputs together may hold back to bring theirs
	// into order. An input that is the only one keeps its own order.
	windowSize = 16_384
	// leastWindow is what each of many inputs has.
	leastWindow = 256
	// maxOpen bounds the inputs that are read at a time.
	maxOpen = 128
)

// source is an input that is being read, by a goroutine of its own.
type source struct {
	index   int
	input   input
	batches chan []*event.Event
	// interrupted is closed when nobody waits for events any more.
	interrupted <-chan struct{}
	batch       []*event.Event
	out         output
	err         error
	window      *window
	head        *event.Event // the next event
	ended       bool
	// batchSize is how many events are handed over at a time.
	batchSize int
}

// start begins to read an input.
func (s *source) start(ctx context.Context, format *Format, running *sync.WaitGroup) {
	s.batches, s.interrupted = make(chan []*event.Event, 2), ctx.Done()
	running.Add(1)
	go func() {
		defer running.Done()
		defer close(s.batches)
		batch := make([]*event.Event, 0, s.batchSize)
		flush := func() error {
			select {
			case s.batches <- batch:
				batch = make([]*event.Event, 0, s.batchSize)
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		s.out.deliver = func(e *event.Event) error {
			if batch = append(batch, e); len(batch) == s.batchSize {
				return flush()
			}
			return nil
		}
		s.err = s.input.read(ctx, format, &s.out)
		if len(batch) > 0 {
			_ = flush() // the context's end is told elsewhere
		}
	}()
}

// next is the input's next event in the order that it wrote them, nil at the end.
func (s *source) next() *event.Event {
	for len(s.batch) == 0 {
		select {
		case batch, ok := <-s.batches:
			if !ok {
				return nil
			}
			s.batch = batch
		case <-s.interrupted:
			return nil
		}
	}
	e := s.batch[0]
	s.batch = s.batch[1:]
	return e
}

// advance brings the next event in the order of time to the head.
func (s *source) advance() {
	if s.window == nil {
		s.head = s.next()
		return
	}
	for !s.ended && s.window.len() < s.window.size {
		e := s.next()
		if e == nil {
			s.ended = true
			break
		}
		s.window.add(e)
	}
	s.head = s.window.pop()
}

// merge reads all inputs and calls emit for their events in the order of time.
func merge(
	ctx context.Context,
	inputs []input,
	format *Format,
	emit func(*event.Event) error,
) (Summary, error) {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer func() {
		cancel()
		if outer.Err() == nil { // otherwise one may wait for a pipe that gives nothing
			running.Wait()
		}
	}()
	m := merger{ctx: ctx, format: format, running: &running, emit: emit}
	var err error
	if len(inputs) == 1 {
		err = m.single(inputs[0])
	} else {
		err = m.many(inputs)
	}
	if err != nil {
		return m.summary, err
	}
	if len(m.faults) > 0 {
		return m.summary, m.faults
	}
	return m.summary, nil
}

type merger struct {
	ctx     context.Context
	format  *Format
	running *sync.WaitGroup
	emit    func(*event.Event) error
	summary Summary
	faults  faultList
	nextID  uint64
	clock   time.Duration // of the latest event given out
}

// give gives out one event.
func (m *merger) give(e *event.Event) error {
	m.nextID++
	if e.ID == 0 {
		e.ID = m.nextID
	}
	return m.emit(e)
}

// finish takes what an input came to.
func (m *merger) finish(s *source) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	var bad *badLogError
	switch {
	case errors.As(s.err, &bad) && bad.unrecognised && s.input.member:
		m.summary.PassedOver = append(m.summary.PassedOver, s.input.name)
		return nil
	case s.err != nil:
		m.faults = append(m.faults, s.err)
		if bad != nil && bad.unrecognised {
			return nil
		}
	}
	m.summary.add(s.out.Summary)
	return nil
}

// single reads one input in its own order, unless it begins with the newest.
func (m *merger) single(in input) error {
	s := &source{input: in, batchSize: largeBatch}
	s.start(m.ctx, m.format, m.running)
	if first := s.next(); first != nil {
		s.batch = append([]*event.Event{first}, s.batch...)
		if newestFirst(s.batch) {
			s.window = newWindow(windowSize)
		}
	}
	for s.advance(); s.head != nil; s.advance() {
		if s.window != nil && s.head.Time < m.clock {
			m.summary.Late++
		}
		m.clock = max(m.clock, s.head.Time)
		if err := m.give(s.head); err != nil {
			return err
		}
	}
	return m.finish(s)
}

// newestFirst tells whether events go back in time, as exports from consoles do.
func newestFirst(events []*event.Event) bool {
	back, on := 0, 0
	for i := 1; i < len(events); i++ {
		switch a, b := events[i-1].Time, events[i].Time; {
		case b < a:
			back++
		case b > a:
			on++
		}
	}
	return back > 0 && back >= 8*on && back+on >= 3 || back > 0 && on == 0
}

// many merges several inputs.
func (m *merger) many(inputs []input) error {
	size := max(leastWindow, windowSize/min(len(inputs)+1, maxOpen))
	waiting := m.inOrder(inputs)
	open := &sources{}
	for {
		// An input is opened when its first event is due.
		for len(waiting) > 0 && (open.Len() == 0 || waiting[0].first <= (*open)[0].head.Time) {
			s := waiting[0].source
			waiting = waiting[1:]
			s.window, s.batchSize = newWindow(size), smallBatch
			s.start(m.ctx, m.format, m.running)
			if s.advance(); s.head != nil {
				heap.Push(open, s)
			} else if err := m.finish(s); err != nil {
				return err
			}
		}
		if open.Len() == 0 {
			return m.ctx.Err()
		}
		s := (*open)[0]
		if s.head.Time < m.clock {
			m.summary.Late++
		}
		m.clock = max(m.clock, s.head.Time)
		if err := m.give(s.head); err != nil {
			return err
		}
		if s.advance(); s.head != nil {
			heap.Fix(open, 0)
			continue
		}
		heap.Pop(open)
		if err := m.finish(s); err != nil {
			return err
		}
	}
}

// due is an input with the time of its first event.
type due struct {
	source *source
	first  time.Duration
}

// inOrder gives the inputs by the time of their first event. When they are few all are
// due at once, and nothing is read for it.
func (m *merger) inOrder(inputs []input) []due {
	out := make([]due, len(inputs))
	for i, in := range inputs {
		out[i].source = &source{index: i, input: in}
		if len(inputs) > maxOpen && !in.once {
			out[i].first = m.firstTime(in)
		}
	}
	slices.SortStableFunc(out, func(a, b due) int { return cmp.Compare(a.first, b.first) })
	return out
}

// errEnough ends the reading of an input's beginning.
var errEnough = errors.New("enough")

// firstTime is the least time among the first events of an input; 0 when it has none.
func (m *merger) firstTime(in input) time.Duration {
	var first time.Duration
	n := 0
	out := output{deliver: func(e *event.Event) error {
		if n == 0 || e.Time < first {
			first = e.Time
		}
		if n++; n == smallBatch {
			return errEnough
		}
		return nil
	}}
	_ = in.read(m.ctx, m.format, &out) // a fault is told when the input is read whole
	return first
}

// sources is a heap of inputs by the time of their next event.
type sources []*source

// Len is part of heap.Interface, as the following are.
func (s sources) Len() int { return len(s) }

// Less orders by time, equal times by the order of the inputs.
func (s sources) Less(i, j int) bool {
	if a, b := s[i].head.Time, s[j].head.Time; a != b {
		return a < b
	}
	return s[i].index < s[j].index
}

// Swap swaps two.
func (s sources) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// Push adds a source.
func (s *sources) Push(x any) { *s = append(*s, x.(*source)) }

// Pop takes the last.
func (s *sources) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}

// window holds back events of an input to bring them into the order of time. Events of
// equal times keep their order.
type window struct {
	events []*event.Event // from first on
	first  int
	size   int
}

func newWindow(size int) *window { return &window{size: size} }

func (w *window) len() int { return len(w.events) - w.first }

func (w *window) add(e *event.Event) {
	held := w.events[w.first:]
	at := len(held)
	if at > 0 && e.Time < held[at-1].Time {
		at = sort.Search(len(held), func(i int) bool { return held[i].Time > e.Time })
	}
	if at == 0 && w.first > 0 {
		w.first--
		w.events[w.first] = e
		return
	}
	w.events = slices.Insert(w.events, w.first+at, e)
}

// pop takes the earliest event out; nil when there is none.
func (w *window) pop() *event.Event {
	if w.len() == 0 {
		return nil
	}
	e := w.events[w.first]
	w.events[w.first] = nil
	w.first++
	if w.first > w.size { // room at the front is for events that come before all others
		w.events = slices.Delete(w.events, 0, w.first)
		w.first = 0
	}
	return e
}
