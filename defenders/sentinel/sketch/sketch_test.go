package sketch

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAMapKeepsWhatWasUsedLately(t *testing.T) {
	m := NewMap[uint64, int](100)
	kept := 7
	m.Put(1, &kept)
	for i := range uint64(10_000) {
		v := int(i)
		m.Put(i+10, &v)
		require.Same(t, &kept, m.Get(1), "it is used all the time")
		require.LessOrEqual(t, m.Len(), 100)
	}
	require.Nil(t, m.Get(11))
	require.Positive(t, m.Forgotten)
	last := uint64(0)
	m.Each(func(k uint64, v *int) {
		require.Greater(t, k, last)
		require.NotNil(t, v)
		last = k
	})
}

func TestALevelIsNotMovedByOutliers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var l Level
	for range 2000 {
		l.Add(10+r.NormFloat64(), 500)
	}
	require.InDelta(t, 10, l.Mean, 0.2)
	require.InDelta(t, 0, l.Score(10, 0.1, 12), 0.3)
	require.InDelta(t, 4, l.Score(14, 0.1, 12), 0.6)
	for range 5 {
		l.Add(1e6, 500)
	}
	require.InDelta(t, 10, l.Mean, 0.3)
	require.Zero(t, (&Level{}).Score(5, 1, 12), "nothing is known")
}

func TestDistinctCountsWithinSomePercent(t *testing.T) {
	for _, n := range []int{1, 10, 100, 500} {
		var d Distinct
		for i := range n {
			for range 3 {
				d.Add(Hash(fmt.Sprint(i)))
			}
		}
		require.InEpsilon(t, n, d.Count(), 0.08)
	}
	var full Distinct
	for i := range 100_000 {
		full.Add(Hash(fmt.Sprint(i)))
	}
	require.Greater(t, full.Count(), 5000.0)
}

func TestHashTellsPartsApart(t *testing.T) {
	require.NotEqual(t, Hash("ab", "c"), Hash("a", "bc"))
	require.Equal(t, Hash("ab", "c"), Hash("ab", "c"))
}

func TestAWindowPassesOnce(t *testing.T) {
	var w Window
	require.True(t, w.Passed(90*time.Minute, time.Hour))
	require.Equal(t, time.Hour, w.Began)
	require.False(t, w.Passed(119*time.Minute, time.Hour))
	require.False(t, w.Passed(0, time.Hour), "time that goes backwards")
	require.True(t, w.Passed(31*24*time.Hour, time.Hour))
}
