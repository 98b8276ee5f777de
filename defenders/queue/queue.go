// Package queue is the first-in first-out queue before a stage of the pipeline: service
// times make latency, load makes waiting, and a full queue drops and counts what it
// drops. It is a calculation on given times and holds no items.
package queue

import (
	"math"
	"time"
)

// Config says how a stage works: how long it takes for one item (exponential with this
// mean; 0 takes no time), how many it works on at once, and how many may wait.
type Config struct {
	Mean    time.Duration
	Servers int
	Waiting int // 0 for any number
}

// FIFO is a queue before one or more servers. Since nothing overtakes, the time at
// which an item will be done is known when it arrives, and no timer is needed for it.
type FIFO struct {
	config  Config
	free    []time.Duration // when each server is free
	starts  []time.Duration // when those that wait will begin, oldest first
	items   uint64
	dropped int
}

// New makes a queue; without servers it has one.
func New(c Config) *FIFO {
	c.Servers = max(1, c.Servers)
	return &FIFO{config: c, free: make([]time.Duration, c.Servers)}
}

// Enqueue takes an item in and returns when it is done; false means that the queue was
// full and the item is dropped. Draw gives a uniform number in [0, 1) for the n-th
// item; it is not called where service takes no time.
func (q *FIFO) Enqueue(now time.Duration, draw func(n uint64) float64) (time.Duration, bool) {
	if q.config.Mean == 0 {
		return now, true
	}
	q.items++
	uniform := draw(q.items)
	return q.EnqueueFor(now, time.Duration(-math.Log1p(-uniform)*float64(q.config.Mean)))
}

// EnqueueFor takes an item in whose service takes a known time.
func (q *FIFO) EnqueueFor(now, service time.Duration) (time.Duration, bool) {
	started := 0
	for started < len(q.starts) && q.starts[started] <= now {
		started++
	}
	q.starts = q.starts[started:]
	earliest := 0
	for i := range q.free {
		if q.free[i] < q.free[earliest] {
			earliest = i
		}
	}
	start := max(now, q.free[earliest])
	if start > now {
		if q.config.Waiting > 0 && len(q.starts) >= q.config.Waiting {
			q.dropped++
			return 0, false
		}
		q.starts = append(q.starts, start)
	}
	done := start + service
	q.free[earliest] = done
	return done, true
}

// Dropped counts the items that found the queue full.
func (q *FIFO) Dropped() int { return q.dropped }
