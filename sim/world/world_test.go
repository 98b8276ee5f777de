package world

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/action"
	"hemostat/sim/event"
	"hemostat/sim/truth"
)

var epoch = time.Date(2026, 3, 3, 8, 30, 0, 0, time.UTC)

func midsize(t testing.TB) *World {
	t.Helper()
	data, ok := Embedded("midsize")
	require.True(t, ok)
	spec, err := ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	return Build(spec, sim.NewStreams(1, 1), truth.NewLedger(), epoch)
}

func TestEmbeddedWorldIsOfTheStatedSize(t *testing.T) {
	w := midsize(t)
	require.InDelta(t, 250, len(w.Hosts), 5)
	require.InDelta(t, 300, len(w.Accounts), 5)
	for _, z := range []string{"dmz", "users", "servers", "management", "cloud"} {
		require.NotNil(t, w.zone(z))
	}
	names := map[string]bool{}
	for _, a := range w.Accounts {
		require.False(t, names[a.Name], a.Name)
		names[a.Name] = true
	}
}

func TestWorldScales(t *testing.T) {
	data, _ := Embedded("midsize")
	spec, err := ParseSpec("midsize.yaml", data)
	require.NoError(t, err)
	large, err := spec.Scaled(5000)
	require.NoError(t, err)
	w := Build(large, sim.NewStreams(1, 1), truth.NewLedger(), epoch)
	require.InDelta(t, 5000, len(w.Hosts), 5)
	addresses := map[string]bool{}
	for _, h := range w.Hosts {
		require.False(t, addresses[h.IP], h.IP)
		addresses[h.IP] = true
		require.True(t, h.Zone.Prefix.Contains(netip.MustParseAddr(h.IP)), "%s in %s", h.IP, h.Zone.Prefix)
	}
	_, err = spec.Scaled(10)
	require.ErrorContains(t, err, "must be above")
}

func TestFaultsOfAWorldAreReportedTogether(t *testing.T) {
	_, err := ParseSpec("w.yaml", []byte(`
name: bad
domain: x.example
zones:
  - {name: a, cidr: 10.0.0.0/24}
  - {name: a, cidr: 10.0.0.0/25}
  - {name: lonely, cidr: 10.9.0.0/24}
flows:
  - {from: a, to: [nowhere]}
hosts:
  - {name: H, zone: a, role: workstation, os: windows}
  - {name: H, zone: b, role: web_server, os: linux}
  - {name: L, zone: lonely, role: web_server, os: linux}
accounts:
  - {name: x, privilege: user, home: palace}
sensors:
  - {name: s, channels: [smoke], loss: 2}
`))
	for _, want := range []string{
		`w.yaml:6:5: zones[1].name: zone "a" is declared twice`,
		`zones[1].cidr: 10.0.0.0/25 overlaps`,
		`zones[2]: zone "lonely" is unreachable`,
		`w.yaml:9:5: flows[0]: unknown zone "nowhere"`,
		`w.yaml:12:5: hosts[1].name: host name "H" is used twice`,
		`hosts[1].zone: unknown zone "b"`,
		`need a domain controller`,
		`accounts[0].home: "palace" is not accepted`,
		`sensors[0].channels: unknown channel "smoke"`,
		`sensors[0].loss: a share from 0 to 1`,
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = ParseSpec("w.yaml",
		[]byte("name: x\ndomain: d\nzones: []\nhosts:\n  - {name: H, zone: a, role: wrkstation, os: windows}\naccounts: []\nsensors: []\n"))
	require.ErrorContains(t, err, `"wrkstation" is not accepted (did you mean "workstation"?)`)
}

func TestActionsActAndAreUndone(t *testing.T) {
	w := midsize(t)
	ws, dc, gate := w.Host("WS001"), w.Host("DC001"), w.Host("GATE001")
	attacker := w.NewActor("attacker")
	attacker.Label.Attack = 1
	user := ws.Owner
	outside := Outside("203.0.113.9")

	cases := []struct {
		action  Action
		blocked func() Refusal
		reason  string
	}{
		{act(t, 1, "isolate_host", map[string]string{"host": "WS001"}),
			func() Refusal { return w.Reach(At(ws), At(dc), 445) }, "host_isolated"},
		{act(t, 2, "block_ip", map[string]string{"source_ip": "203.0.113.9"}),
			func() Refusal { return w.Reach(outside, At(gate), 22) }, "address_blocked"},
		{act(t, 3, "block_egress", map[string]string{"host": "WS001", "dest": "198.51.100.7"}),
			func() Refusal { return w.Reach(At(ws), Outside("198.51.100.7"), 443) }, "egress_blocked"},
		{act(t, 4, "zone_isolation", map[string]string{"zone": "users"}),
			func() Refusal { return w.Reach(At(ws), At(dc), 445) }, "zone_isolated"},
		{act(t, 5, "sinkhole_domain", map[string]string{"domain": "bad.example"}), func() Refusal {
			return w.Reach(At(ws), Endpoint{Address: "198.51.100.8", Domain: "bad.example"}, 443)
		}, "domain_sinkholed"},
		{act(t, 6, "revoke_credentials", map[string]string{"user": user.Name}),
			func() Refusal { return w.MayLogOn(user, user.Generation) }, "account_revoked"},
	}
	for _, c := range cases {
		require.True(t, c.blocked().OK(), c.action.Kind)
		require.True(t, w.Apply(0, c.action).Changed, c.action.Kind)
		require.Equal(t, Refusal{Reason: c.reason, Action: c.action.ID}, c.blocked(), c.action.Kind)
		again := c.action
		again.ID += 100
		require.False(t, w.Apply(0, again).Changed, "%s twice changes nothing", c.action.Kind)
		require.True(t, w.Undo(c.action.ID))
		require.False(t, w.Undo(c.action.ID), "undone once")
		if c.action.Kind != action.RevokeCredentials {
			require.True(t, c.blocked().OK(), c.action.Kind)
		}
	}
	require.True(t, w.MayLogOn(user, user.Generation).OK(), "a new credential works after the account is given back")
	require.Equal(t, "credential_rotated", w.MayLogOn(user, 0).Reason, "the stolen one does not")

	i := w.Plant(0, attacker, Start{Host: ws, Account: user, Binary: PowerShell})
	require.True(t, w.CheckImplant(i).OK())
	wrong := w.Apply(0, act(t, 20, "kill_malicious_process", map[string]string{"host": "WS001", "pid": "1"}))
	require.False(t, wrong.OK)
	child := w.StartProcess(0, attacker, Start{Host: ws, Account: user, Binary: Whoami, Parent: i.Process})
	require.True(t, w.Apply(0, act(t, 21, "kill_malicious_process",
		map[string]string{"host": "WS001", "pid": w.arena.Uint(uint64(child.PID))})).OK, "a child's number leads to its tree")
	require.Equal(t, Refusal{Reason: "process_killed", Action: 21}, w.CheckImplant(i))

	ws.Agent = false
	require.False(t, w.Apply(0, act(t, 22, "isolate_host", map[string]string{"host": "WS001"})).OK)
	require.False(t, w.Apply(0, Action{ID: 23, Request: action.Request{Kind: "dance"}}).OK)
	for _, kind := range action.Kinds() {
		_, err := action.Parse(kind, nil)
		require.ErrorContains(t, err, "needs the parameter", "%s without a target", kind)
	}
}

func TestEventsReadAsTheirSourceWritesThem(t *testing.T) {
	w := midsize(t)
	var got []*event.Event
	w.Deliver = func(e *event.Event) { got = append(got, e) }
	for _, s := range w.Sensors {
		s.Loss = 0
	}
	a := w.NewActor("user")
	ws, fs := w.Host("WS001"), w.Host("FS001")
	for _, s := range w.Sensors {
		for c := event.Channel(0); c < event.NumChannels; c++ {
			if s.Name == "edr" && c == event.ChannelSysmon {
				ws.sensors[c] = s
			}
		}
	}
	p := w.StartProcess(time.Second, a, Start{Host: ws, Account: ws.Owner, Binary: PowerShell,
		CommandLine: "powershell.exe -File x.ps1"})
	w.LogOn(2*time.Second, a, Logon{From: At(ws), To: fs, Account: ws.Owner, Type: LogonNetwork})
	w.Flow(3*time.Second, a, Flow{From: At(ws), To: Outside("198.51.100.1"), Port: 443, Service: "ssl", Process: p,
		Sent: 10, Received: 20})

	byID := map[string]*event.Event{}
	for _, e := range got {
		byID[e.Source.Service+e.Value(event.EventID)] = e
		require.Greater(t, e.Observed, e.Time)
	}
	proc := byID["sysmon1"]
	require.Equal(t, `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`, proc.Value(event.Image))
	require.Equal(t, `C:\Windows\explorer.exe`, proc.Value(event.ParentImage))
	require.Equal(t, "2026-03-03 08:30:01.000", proc.Value(event.UtcTime))
	require.Regexp(t, `^\{[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}$`, proc.Value(event.ProcessGuid))
	require.Regexp(t, `^0x[0-9a-f]+$`, proc.Value(event.LogonId))
	require.Contains(t, proc.Value(event.Hashes), "SHA256=")
	require.Equal(t, "3", byID["security4624"].Value(event.LogonType))
	require.Equal(t, "0x12", byID["security4769"].Value(event.TicketEncryptionType))
	require.Equal(t, ws.IP, byID["conn"].Value(event.IDOrigHost))
	require.Equal(t, "443", byID["sysmon3"].Value(event.DestinationPort))
	require.True(t, strings.HasPrefix(byID["conn"].Value(event.UID), "C"))
}

func TestEveryActorKeepsItsEventIDs(t *testing.T) {
	ids := func(first int) []uint64 {
		w := midsize(t)
		var got []uint64
		one, two := w.NewActor("one"), w.NewActor("two")
		for range first {
			w.StartProcess(0, one, Start{Host: w.Host("WS001"), Binary: Cmd})
		}
		w.Deliver = func(e *event.Event) { got = append(got, e.ID) }
		for range 50 {
			w.StartProcess(0, two, Start{Host: w.Host("WS002"), Binary: Cmd})
		}
		return got
	}
	require.Equal(t, ids(0), ids(17))
}

func BenchmarkEvents(b *testing.B) {
	w := midsize(b)
	a := w.NewActor("user")
	ws := w.Host("WS001")
	b.ReportAllocs()
	for i := range b.N {
		w.StartProcess(time.Duration(i)*time.Millisecond, a, Start{Host: ws, Account: ws.Owner, Binary: Cmd,
			CommandLine: "cmd /c dir"})
	}
	b.ReportMetric(float64(w.Events())/b.Elapsed().Seconds(), "events/s")
}
