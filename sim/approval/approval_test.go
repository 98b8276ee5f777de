package approval

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoles(t *testing.T) {
	for _, name := range (Role)("").Accepted() {
		var r Role
		require.NoError(t, r.UnmarshalText([]byte(name)))
		require.Equal(t, name, string(r))
	}
	r := Tier2
	require.ErrorContains(t, r.UnmarshalText([]byte("tier3")), "tier1, tier2, incident_commander")
	require.Equal(t, Tier2, r)
	require.Equal(t, Roles(), (Role)("").JSONSchema()["enum"])
}

func TestOnlyPeopleAnswer(t *testing.T) {
	for outcome, answer := range map[Outcome]bool{Approved: true, Denied: true, TimedOut: false, Escalated: false} {
		require.Equal(t, answer, outcome.IsAnswer(), outcome)
	}
}
