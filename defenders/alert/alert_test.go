package alert

import (
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/inventory"
	"hemostat/sim/event"
	"hemostat/sim/role"
)

var estate = inventory.New([]inventory.Host{
	{Name: "WS001", IP: "10.20.0.1", Zone: "clients", Role: role.Workstation}, {Name: "FS001", IP: "10.30.0.1",
		Zone: "servers", Role: role.FileServer},
}, nil)

func about(source event.LogSource, host string, fields map[string]string) Entities {
	e := &event.Event{Host: host, Source: source}
	for name, value := range fields {
		e.SetName(name, value)
	}
	return EntitiesOf(e, estate)
}

func TestWhoAndWhatAnEventIsAbout(t *testing.T) {
	x := about(event.LogSource{Product: "windows", Category: "process_creation"}, "WS001.corp.example",
		map[string]string{
			"User": `CORP\alice`, "Image": `C:\x.exe`, "ProcessId": "7", "Hashes": "MD5=00,SHA256=abc,IMPHASH=1",
		})
	require.Equal(t, Entities{Host: "WS001", Zone: "clients", User: "alice", Image: `C:\x.exe`, ProcessID: "7",
		FileHash: "abc"}, x)

	x = about(event.LogSource{Product: "windows", Service: "security"}, "FS001", map[string]string{
		"TargetUserName": "bob@corp.example", "IpAddress": "::ffff:10.20.0.1", "NewProcessId": "0x5", "ProcessId": "0x4",
	})
	require.Equal(t, "bob", x.User)
	require.Equal(t, "10.20.0.1", x.SourceIP)
	require.Equal(t, "WS001", x.Source, "the address is a host of the estate")
	require.Equal(t, "0x5", x.ProcessID, "of the process that was started, not of its parent")

	x = about(event.LogSource{Product: "zeek", Service: "ssl"}, "sensor", map[string]string{
		"id.orig_h": "10.20.0.1", "id.resp_h": "203.0.113.7", "server_name": "evil.example",
	})
	require.Equal(t, "203.0.113.7", x.Destination)
	require.Equal(t, "evil.example", x.Domain)
	x = about(event.LogSource{Product: "zeek", Service: "conn"}, "sensor",
		map[string]string{"id.orig_h": "10.20.0.1", "id.resp_h": "10.30.0.1"})
	require.Empty(t, x.Destination, "a host of the estate is no destination outside")
}

func TestAccountsOfNobody(t *testing.T) {
	for given, want := range map[string]string{
		`NT AUTHORITY\SYSTEM`: "", "root": "", "WS001$": "", "S-1-5-18": "", "alice/admin@CORP": "alice", "-": "", `CORP\Bob`: "Bob",
	} {
		require.Equal(t, want, about(event.LogSource{}, "WS001", map[string]string{"TargetUserName": given}).User,
			given)
	}
}

func TestReasonsReadLikeRules(t *testing.T) {
	require.Equal(t, `selection: Image 'C:\x.exe' endswith '\x.exe'`,
		Reason{"selection", "Image", `C:\x.exe`, `endswith '\x.exe'`}.String())
	require.Equal(t, "any field 'x' contains 'x'", Reason{Value: "x", Test: "contains 'x'"}.String())
	require.Empty(t, (&Alert{}).Technique())
	require.Equal(t, "T1", (&Alert{Techniques: []string{"T1", "T2"}}).Technique())
}
