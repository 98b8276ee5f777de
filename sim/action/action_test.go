package action

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDeclarationsAreWhole holds what everything else takes for granted of a kind.
func TestDeclarationsAreWhole(t *testing.T) {
	require.NotEmpty(t, Kinds())
	released := map[Disruption]bool{}
	for _, classes := range ReleaseOrder {
		for _, c := range classes {
			require.False(t, released[c], "a class is released once")
			released[c] = true
		}
	}
	for _, kind := range Kinds() {
		s := Must(kind)
		require.NotEmpty(t, s.Params, "%s: the first parameter names the target", kind)
		require.GreaterOrEqual(t, s.Risk.Rank(), 0, kind)
		require.Positive(t, s.Latency.Median, kind)
		require.True(t, s.Failure >= 0 && s.Failure < 1 && s.Silent >= 0 && s.Silent < 1, kind)
		require.NotEmpty(t, s.OpenC2.Action, kind)
		require.True(t, released[s.Disrupts], "%s disrupts what restoration never releases", kind)
		if s.Silent > 0 {
			require.NotEmpty(t, s.Observed, "%s may have no effect, and nobody could see it", kind)
		}
	}
	_, ok := Find("dance")
	require.False(t, ok)
	require.Panics(t, func() { Must("dance") })
	require.Equal(t, -1, Risk("none").Rank())
}

func TestParseChecksParameters(t *testing.T) {
	r, err := Parse(RateLimit, map[string]string{"source_ip": "203.0.113.5", "rps": "0.5"})
	require.NoError(t, err)
	require.Equal(t, Request{Kind: RateLimit, Target: Target{Address, "203.0.113.5"}, Rate: 0.5}, r)
	for _, params := range []map[string]string{{"source_ip": "x", "rps": "-1"}, {"source_ip": "x", "rps": "fast"}, {"source_ip": "x", "rps": "NaN"}, {"source_ip": "x", "rps": "1e9"}} {
		_, err := Parse(RateLimit, params)
		require.Error(t, err, "%v", params)
	}
	_, err = Parse("dance", nil)
	require.Error(t, err)
}

func TestKeyTellsRequestsApart(t *testing.T) {
	block := Request{Kind: BlockIP, Target: Target{Address, "203.0.113.5"}}
	limit := Request{Kind: RateLimit, Target: Target{Address, "203.0.113.5"}}
	other := Request{Kind: BlockIP, Target: Target{Address, "203.0.113.6"}}
	require.NotEqual(t, block.Key(), limit.Key())
	require.NotEqual(t, block.Key(), other.Key())
	require.Equal(t, []string{"a", "b"}, Request{Kind: ReleaseContainment, Target: Target{Hosts, "a, b,"}}.HostNames())
}

func TestStatuses(t *testing.T) {
	for s, good := range map[Status]bool{Succeeded: true, DryRun: true, Failed: false, Denied: false, Pending: false, Partial: false, Skipped: false} {
		require.Equal(t, good, s.IsGood(), s)
	}
	require.True(t, FromReflex.IsSingleAction())
	require.True(t, FromRollback.IsSingleAction())
	require.False(t, FromCascade.IsSingleAction())
}

// The parameters of a request are those that it was made of.
func TestParams(t *testing.T) {
	values := map[string]string{"rps": "5", "count": "2", "seconds": "60", "east_west_kbps": "100", "pid": "0x10", "allow": "a,b", "keep": "c"}
	for _, kind := range Kinds() {
		given := map[string]string{}
		for _, p := range Must(kind).ParamNames() {
			given[p] = cmp.Or(values[p], "x")
		}
		r, err := Parse(kind, given)
		require.NoError(t, err)
		assert.Equal(t, given, r.Params(), kind)
		only := map[string]string{Must(kind).ParamNames()[0]: "x"}
		r, err = Parse(kind, only)
		require.NoError(t, err)
		assert.Equal(t, only, r.Params(), kind)
	}
}
