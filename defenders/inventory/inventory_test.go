package inventory

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThingsAreFoundByAnyOfTheirNames(t *testing.T) {
	v := New([]Host{
		{Name: "WS1", IP: "10.0.1.1", Zone: "clients", Criticality: 1},
		{Name: "db1", IP: "10.0.2.1", Zone: "servers", Criticality: 8},
		{Name: "WS2", IP: "10.0.1.2", Zone: "clients", Criticality: 2},
	}, []Account{{Name: "Ann", Privilege: "user"}})
	for _, name := range []string{"WS1", "ws1", "ws1.corp.example", "10.0.1.1"} {
		require.NotNil(t, v.Host(name), name)
		require.Equal(t, "WS1", v.Host(name).Name)
	}
	require.Nil(t, v.Host("ws9"))
	require.Nil(t, v.Host(""))
	for _, name := range []string{"ann", `CORP\Ann`, "ann@corp.example"} {
		require.NotNil(t, v.Account(name), name)
	}
	require.Nil(t, v.Account("bob"))
	require.Equal(t, []string{"clients", "servers"}, v.Zones())
	require.Equal(t, 3.0, v.ZoneWorth("clients"))
	require.Zero(t, v.ZoneWorth("nowhere"))
}

func TestNoInventoryKnowsNothing(t *testing.T) {
	var v *Inventory
	require.Nil(t, v.Host("ws1"))
	require.Nil(t, v.Account("ann"))
	require.Empty(t, v.Zones())
	require.Zero(t, v.ZoneWorth("clients"))
}
