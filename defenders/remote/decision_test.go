package remote

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/inventory"
	"hemostat/sim/action"
)

func TestParametersAreTextsNumbersOrLists(t *testing.T) {
	for text, want := range map[string]Value{`"WS001"`: "WS001", `0.5`: "0.5", `3`: "3", `["a","b"]`: "a,b", `[]`: ""} {
		var v Value
		require.NoError(t, json.Unmarshal([]byte(text), &v), text)
		require.Equal(t, want, v)
	}
	for _, text := range []string{`{}`, `true`, `[1]`, `[["a"]]`} {
		var v Value
		require.Error(t, json.Unmarshal([]byte(text), &v), text)
	}
}

func TestRequestsAreCheckedAgainstTheEstate(t *testing.T) {
	s := NewSeat("a", inventory.New([]inventory.Host{{Name: "ws1", IP: "10.0.0.1", Zone: "users", Criticality: 1}},
		[]inventory.Account{{Name: "kim"}}))
	r, err := s.request(&Decision{Kind: action.IsolateHost, Params: map[string]Value{"host": "ws1", "allow": "edr,forensics"}})
	require.NoError(t, err)
	require.Equal(t, []string{"edr", "forensics"}, r.Allow)
	for _, d := range []Decision{
		{Kind: action.IsolateHost, Params: map[string]Value{"host": "10.0.0.1"}},
		{Kind: action.DisableAccount, Params: map[string]Value{"user": `corp\kim`}},
		{Kind: action.IsolateZone, Params: map[string]Value{"zone": "users"}},
		{Kind: action.SinkholeDomain, Params: map[string]Value{"domain": "c2.example"}},
		{Kind: action.BlockIP, Params: map[string]Value{"source_ip": "2001:db8::1"}},
	} {
		_, err := s.request(&d)
		require.NoError(t, err, d)
	}
	require.True(t, s.same(action.Host, "WS1", "10.0.0.1"), "a name and an address of one host")
	require.True(t, s.same(action.Account, `CORP\Kim`, "kim"))
	require.False(t, s.same(action.Address, "192.0.2.1", "192.0.2.2"))
	require.False(t, s.same(action.Host, "elsewhere", "elsewhere"), "what is not of the estate is nothing of it")
}

func TestEveryKindMayBeDecidedOn(t *testing.T) {
	kinds := Kinds()
	require.Len(t, kinds, len(action.Kinds())-1)
	for _, k := range kinds {
		require.NotEmpty(t, k.Params)
		require.NotEqual(t, string(action.ReleaseContainment), k.Kind)
	}
}
