package sigma

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Groups whose window is over are given up, so that what a correlation holds follows from its
// timespan and not from how long it runs. An event with a wrong time gives up nothing.
func TestIdleGroupsAreGivenUp(t *testing.T) {
	m := compiled(t, correlation("event_count", "{gte: 3}")).NewMatcher()
	id := uint64(0)
	send := func(at time.Duration, from string) (matched int) {
		id++
		m.Match(ssh(id, at, from, "u"), func(x Match) {
			if x.Count > 0 {
				matched++
			}
		})
		return matched
	}
	most := 0
	const apart = 50 * time.Millisecond
	for i := range 200_000 {
		send(time.Duration(i)*apart, fmt.Sprint("10.", i>>16, ".", i>>8&255, ".", i&255))
		most = max(most, m.windows[0].groups.len())
	}
	span := time.Minute + idleFor
	assert.InDelta(t, int(span/apart), m.windows[0].groups.len(), 200, "those of the timespan and the time for latecomers")
	assert.InDelta(t, int(span/apart), most, 200)
	assert.Zero(t, m.Stats().Evicted, "no bound was reached")

	now := 200_000 * apart
	send(now, "192.0.2.1")
	send(now+time.Second, "192.0.2.1")
	before := m.windows[0].groups.len()
	send(now+100_000*time.Hour, "192.0.2.9")
	assert.Equal(t, before+1, m.windows[0].groups.len())
	assert.Equal(t, 1, send(now+2*time.Second, "192.0.2.1"), "the third counts with the first two")
}
