package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type recorder struct{ got []uint64 }

func (r *recorder) Handle(_ time.Duration, arg uint64) { r.got = append(r.got, arg) }

func TestEventsRunInTimeThenScheduleOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e Engine
		r := &recorder{}
		times := rapid.SliceOf(rapid.IntRange(0, 5)).Draw(t, "times")
		cancel := map[int]bool{}
		timers := make([]Timer, len(times))
		for i, at := range times {
			timers[i] = e.Schedule(time.Duration(at), r, uint64(i))
		}
		for i := range times {
			if rapid.Bool().Draw(t, "cancel") {
				cancel[i] = true
				require.True(t, e.Cancel(timers[i]))
				require.False(t, e.Cancel(timers[i]), "a second cancel has nothing to do")
			}
		}
		e.Run(10)
		var want []uint64
		for at := 0; at <= 5; at++ {
			for i, when := range times {
				if when == at && !cancel[i] {
					want = append(want, uint64(i))
				}
			}
		}
		require.Equal(t, want, r.got)
		require.Equal(t, time.Duration(10), e.Now())
	})
}

func TestTimerOfAHandledEventCancelsNothing(t *testing.T) {
	var e Engine
	r := &recorder{}
	old := e.Schedule(1, r, 1)
	e.Run(1)
	e.Schedule(2, r, 2) // takes the slot that the first one left
	require.False(t, e.Cancel(old))
	require.False(t, e.Cancel(Timer{}))
	e.Run(3)
	require.Equal(t, []uint64{1, 2}, r.got)
}

func TestPastTimesRunNow(t *testing.T) {
	var e Engine
	r := &recorder{}
	e.After(5, func(now time.Duration) { e.Schedule(1, r, 7) })
	e.Run(5)
	require.Equal(t, []uint64{7}, r.got)
	require.Equal(t, time.Duration(5), e.Now())
}

func TestInterruptStopsTheRun(t *testing.T) {
	e := Engine{Interrupted: func() bool { return true }}
	r := &recorder{}
	e.Schedule(1, r, 1)
	e.Run(10)
	require.True(t, e.Stopped())
	require.Empty(t, r.got)
}

// ticker keeps the queue at a constant size: each handled event schedules the next.
type ticker struct {
	e *Engine
	s Stream
}

func (k *ticker) Handle(now time.Duration, arg uint64) {
	k.e.Schedule(now+time.Duration(k.s.Uint64()&0xfffff), k, arg)
}

func TestSchedulingAllocatesNothingInSteadyState(t *testing.T) {
	var e Engine
	k := &ticker{e: &e, s: NewStreams(1, 1).Stream("a", "b")}
	for i := range 1000 {
		e.Schedule(time.Duration(i), k, 0)
	}
	e.Run(1 << 22)
	require.Zero(t, testing.AllocsPerRun(100, func() { e.Run(e.Now() + 1<<16) }))
}

func BenchmarkEngine(b *testing.B) {
	var e Engine
	k := &ticker{e: &e, s: NewStreams(1, 1).Stream("a", "b")}
	for i := range 1024 {
		e.Schedule(time.Duration(i), k, 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	start := e.handled
	for e.handled-start < uint64(b.N) {
		e.Run(e.Now() + 1<<14)
	}
	b.ReportMetric(float64(e.handled-start)/b.Elapsed().Seconds(), "events/s")
}
