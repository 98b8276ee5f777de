package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func half(uint64) float64 { return 0.5 }

func TestSeveralServersWorkSideBySide(t *testing.T) {
	q := New(Config{Mean: time.Second, Servers: 2, Waiting: 10})
	one, _ := q.Enqueue(0, half)
	two, _ := q.Enqueue(0, half)
	three, _ := q.Enqueue(0, half)
	require.Equal(t, one, two)
	require.Equal(t, 2*one, three)
	require.InDelta(t, 0.693, one.Seconds(), 0.001, "the median of an exponential of mean 1 s")
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	q := New(Config{Mean: time.Second, Waiting: 2})
	accepted := 0
	for range 10 {
		if _, ok := q.Enqueue(0, half); ok {
			accepted++
		}
	}
	require.Equal(t, 3, accepted, "one in service and two waiting")
	require.Equal(t, 7, q.Dropped())
	_, ok := q.Enqueue(time.Hour, half)
	require.True(t, ok, "the queue is empty again")
}

func TestNoServiceTimeTakesNoTimeAndNoDraw(t *testing.T) {
	q := New(Config{})
	at, ok := q.Enqueue(time.Minute, func(uint64) float64 { t.Fatal("no draw is needed"); return 0 })
	require.True(t, ok)
	require.Equal(t, time.Minute, at)
}

func TestItemsDrawByTheirNumber(t *testing.T) {
	q := New(Config{Mean: time.Second})
	var numbers []uint64
	for range 3 {
		q.Enqueue(0, func(n uint64) float64 { numbers = append(numbers, n); return 0.5 })
	}
	require.Equal(t, []uint64{1, 2, 3}, numbers)
}
