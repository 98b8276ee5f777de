package defenders

import (
	"math"
	"time"
)

// Service says how a stage works: how long it takes for one item (exponential
// with this mean; 0 takes no time), how many it works on at once, and how many
// may wait.
type Service struct {
	Mean    time.Duration
	Servers int
	Queue   int
}

// station is a queue before one or more servers, first come, first served. Since
// nobody overtakes, the time at which an item will be done is known when it
// arrives, and no timer is needed for it.
type station struct {
	service Service
	free    []time.Duration // when each server is free
	starts  []time.Duration // when those that wait will begin, oldest first
	dropped int
}

func newStation(s Service) *station {
	if s.Servers < 1 {
		s.Servers = 1
	}
	return &station{service: s, free: make([]time.Duration, s.Servers)}
}

// admit takes an item in and returns when it is done; false means that the queue
// was full and the item is dropped. The draw is uniform in [0, 1).
func (s *station) admit(now time.Duration, draw float64) (time.Duration, bool) {
	if s.service.Mean == 0 {
		return now, true
	}
	waiting := 0
	for waiting < len(s.starts) && s.starts[waiting] <= now {
		waiting++
	}
	s.starts = s.starts[waiting:]
	least := 0
	for i := range s.free {
		if s.free[i] < s.free[least] {
			least = i
		}
	}
	start := max(now, s.free[least])
	if start > now {
		if s.service.Queue > 0 && len(s.starts) >= s.service.Queue {
			s.dropped++
			return 0, false
		}
		s.starts = append(s.starts, start)
	}
	done := start + time.Duration(-math.Log1p(-draw)*float64(s.service.Mean))
	s.free[least] = done
	return done, true
}
