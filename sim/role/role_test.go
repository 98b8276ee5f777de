package role

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatFollowsFromARole(t *testing.T) {
	hubs := map[Role]bool{DomainController: true, ProxyServer: true, MailServer: true, CloudGateway: true, DNSServer: true}
	for _, name := range (Role)("").Accepted() {
		var r Role
		require.NoError(t, r.UnmarshalText([]byte(name)))
		require.Equal(t, hubs[r], r.IsHub(), name)
		require.Equal(t, r != DomainController, r.IsRebuildable(), name)
	}
	require.Equal(t, "workstation, web_server", Join([]Role{Workstation, WebServer}))
}

func TestFilesMayNotGiveOtherRoles(t *testing.T) {
	r := Workstation
	require.ErrorContains(t, r.UnmarshalText([]byte("toaster")), `"toaster" is no role of a host; accepted: workstation`)
	require.Error(t, r.UnmarshalText([]byte(RetiredDecoy)), "the world makes these itself")
	require.Equal(t, Workstation, r)
	require.NotContains(t, (Role)("").JSONSchema()["enum"], RetiredDecoy)
}
