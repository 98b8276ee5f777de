package fusion

import "time"

// breaker keeps a source that does not answer from being asked again and again: it
// opens after some errors in a row, lets one question through when its time is
// over, and closes when that is answered. It runs on the given clock.
type breaker struct {
	errors int
	until  time.Duration // open until then
	probed bool          // the one question was let through
}

const (
	breakerErrors = 5
	breakerOpen   = time.Minute
)

// allows tells whether the source may be asked now.
func (b *breaker) allows(now time.Duration) bool {
	switch {
	case b.errors < breakerErrors:
		return true
	case now < b.until || b.probed:
		return false
	}
	b.probed = true
	return true
}

// note takes the outcome of a question.
func (b *breaker) note(now time.Duration, failed bool) {
	b.probed = false
	if !failed {
		b.errors = 0
		return
	}
	if b.errors++; b.errors >= breakerErrors {
		b.until = now + breakerOpen
	}
}
