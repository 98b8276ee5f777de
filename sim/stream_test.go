package sim

import (
	"math"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStreamsAreIndependentOfEachOther(t *testing.T) {
	all := NewStreams(7, 3)
	alone := all.Stream("alice", "logon")
	want := []uint64{alone.Uint64(), alone.Uint64()}

	other := all.Stream("bob", "logon")
	for range 100 {
		other.Uint64()
	}
	again := all.Stream("alice", "logon")
	require.Equal(t, want, []uint64{again.Uint64(), again.Uint64()})

	seen := map[uint64]string{}
	for _, actor := range []string{"alice", "bob", "logon"} {
		for _, purpose := range []string{"logon", "alice", "pace"} {
			s := all.Stream(actor, purpose)
			v := s.Uint64()
			require.Empty(t, seen[v], "%s/%s repeats %s", actor, purpose, seen[v])
			seen[v] = actor + "/" + purpose
		}
	}
}

func TestDecisionsDrawByOrdinal(t *testing.T) {
	s := NewStreams(1, 1).Stream("alice", "work")
	third := s.At(3)
	want := third.Uint64()
	first := s.At(1)
	first.Uint64()
	again := s.At(3)
	require.Equal(t, want, again.Uint64())
}

func TestDistributionsHaveTheirQuantiles(t *testing.T) {
	cases := []struct {
		text   string
		median float64
		mean   float64
	}{
		{"5m", 300, 300},
		{"exponential(20m)", 1200 * math.Ln2, 1200},
		{"uniform(1m, 5m)", 180, 180},
		{"lognormal(median 12m, sigma 0.8)", 720, 720 * math.Exp(0.32)},
	}
	for _, c := range cases {
		var d Dist
		require.NoError(t, d.UnmarshalText([]byte(c.text)))
		s := NewStreams(1, 2).Stream("test", c.text)
		const n = 40000
		sum, all := 0.0, make([]float64, n)
		for i := range all {
			all[i] = d.Sample(&s).Seconds()
			sum += all[i]
		}
		sort.Float64s(all)
		require.InEpsilon(t, c.median, all[n/2], 0.03, c.text)
		require.InEpsilon(t, c.mean, sum/n, 0.03, c.text)
		var back Dist
		text, err := d.MarshalText()
		require.NoError(t, err)
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, d, back)
	}
}

func TestBadDistributionsSayWhatIsAccepted(t *testing.T) {
	for _, text := range []string{"", "5", "-5m", "uniform(5m, 1m)", "uniform(1m)", "lognormal(median 1m, sigma -1)", "lognormal(1m, x)", "gamma(1m)", "exponential(1m"} {
		var d Dist
		require.ErrorContains(t, d.UnmarshalText([]byte(text)), "lognormal(median 12m, sigma 0.8)", text)
	}
}

func TestPickWeightedFollowsItsWeights(t *testing.T) {
	s := NewStreams(1, 1).Stream("a", "b")
	counts := [3]int{}
	for range 30000 {
		counts[PickWeighted(&s, []float64{1, 0, 2})]++
	}
	require.Zero(t, counts[1])
	require.InDelta(t, 10000, counts[0], 400)
	require.Equal(t, -1, PickWeighted(&s, []float64{0, 0}))
}

func TestFixedDistTakesOneDrawLikeTheOthers(t *testing.T) {
	a := NewStreams(1, 1).Stream("a", "b")
	b := a
	Fixed(time.Minute).Sample(&a)
	Exponential(time.Minute).Sample(&b)
	require.Equal(t, a, b)
}
