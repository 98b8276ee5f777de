package severity

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesAndOrder(t *testing.T) {
	before := -1
	for _, name := range (Severity)(0).Accepted() {
		s, err := Parse(name)
		require.NoError(t, err)
		require.Equal(t, name, s.String())
		require.Greater(t, int(s), before, "the names are in ascending order")
		before = int(s)
		text, err := s.MarshalText()
		require.NoError(t, err)
		var again Severity
		require.NoError(t, again.UnmarshalText(text))
		require.Equal(t, s, again)
	}
	require.Equal(t, Count, before+1)
	require.Equal(t, "severity(9)", Severity(9).String())
	require.False(t, Low.IsThreat())
	require.True(t, Medium.IsThreat())
}

func TestUnknownNamesKeepTheValue(t *testing.T) {
	s := High
	require.EqualError(t, s.UnmarshalText([]byte("High")), `"High" is no severity; accepted: informational, low, medium, high, critical`)
	require.Equal(t, High, s)
	require.Equal(t, (Severity)(0).Accepted(), Severity.JSONSchema(0)["enum"])
}
