package technique

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim"
	"hemostat/sim/action"
	"hemostat/sim/event"
	"hemostat/sim/footprint"
	"hemostat/sim/world"
)

const recordedDump = `
footprint: my-dump
technique: T1003.001
hosts: [{name: here, is: foothold}, {name: there1, is: domain_controller}]
events:
  - {at: 0s, log: Microsoft-Windows-Sysmon/Operational, id: "1", fields: {Image: 'C:\Users\{user}\d.exe', ProcessId: '{pid:1}', ProcessGuid: '{guid:1}', User: '{netbios}\{user}'}}
  - {at: 2m, log: Microsoft-Windows-Sysmon/Operational, id: "11", fields: {Image: 'C:\Users\{user}\d.exe', TargetFilename: 'C:\Users\{user}\l.dmp'}}
  - {at: 4m, on: there1, log: Security, id: "4769", fields: {TargetUserName: '{user}@{domain}', IpAddress: '::ffff:{here.ip}'}}
  - {at: 5m, log: Microsoft-Windows-Sysmon/Operational, id: "3", fields: {Image: 'C:\Users\{user}\d.exe', DestinationIp: '{c2ip}'}}
`

func dumpLibrary(t *testing.T) *Library {
	t.Helper()
	f, err := footprint.Parse("my-dump.yaml", []byte(recordedDump))
	require.NoError(t, err)
	l, err := NewLibrary([]*footprint.Footprint{f})
	require.NoError(t, err)
	return l
}

// run lets the footprint go on to its end, with something done in between.
func runDump(t *testing.T, s *State, meanwhile func(now time.Duration)) Progress {
	t.Helper()
	x := dumpLibrary(t).Find("T1003.001")
	a := x.Begin(s, map[string]string{"tool": "my-dump"}, time.Hour, sim.NewStreams(1, 1).Stream("a", "b"))
	require.Equal(t, "my-dump", a.Tool)
	a.failed = false
	now := time.Hour
	for range 100 {
		p := a.Run(now)
		if p.Done {
			return p
		}
		now += max(p.Wait, time.Millisecond)
		if meanwhile != nil {
			meanwhile(now)
		}
	}
	t.Fatal("the footprint does not end")
	return Progress{}
}

// A footprint writes its events on the attackers' host and elsewhere, at its own pace, and
// has the effect of its technique without any further trace.
func TestAFootprintIsPlayed(t *testing.T) {
	s, _ := lab(t, "T1003.001", "windows")
	w := s.World
	var events []*event.Event
	w.Deliver = func(e *event.Event) { events = append(events, e) }
	p := runDump(t, s, nil)
	require.True(t, p.OK, p.Note)
	require.Len(t, events, 4)
	here := s.Where(true, true)
	require.Equal(t, here.Host.Name, events[0].Host)
	require.Equal(t, `C:\Users\`+s.Where(true, true).Host.Owner.Name+`\d.exe`, events[0].Value(event.Image))
	require.Equal(t, 2*time.Minute, events[1].Time-events[0].Time)
	require.Equal(t, "::ffff:"+here.Host.IP, events[2].Value(event.IpAddress))
	require.Equal(t, s.C2().Address, events[3].Value(event.DestinationIp))
	require.Contains(t, p.Note, "new credentials from "+here.Host.Name) // the effect of the technique
}

// The defence stops a footprint where it would stop the attack.
func TestTheDefenceStopsAFootprint(t *testing.T) {
	for name, c := range map[string]struct {
		kind   action.Kind
		target func(s *State) action.Target
		reason string
	}{
		"the host is isolated": {action.IsolateHost, func(s *State) action.Target {
			return action.Target{Kind: action.Host, Value: s.Where(true, true).Host.Name}
		}, "host_isolated"},
		"the address is blocked": {action.BlockIP, func(s *State) action.Target {
			return action.Target{Kind: action.Address, Value: s.C2().Address}
		}, "address_blocked"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := lab(t, "T1003.001", "windows")
			w := s.World
			n, done := 0, false
			w.Deliver = func(*event.Event) { n++ }
			target := c.target(s)
			p := runDump(t, s, func(now time.Duration) {
				if !done {
					done = true
					r := w.Apply(now, world.Action{ID: 7, Request: action.Request{Kind: c.kind, Target: target}})
					require.True(t, r.OK, r.Detail)
				}
			})
			require.False(t, p.OK)
			require.True(t, p.Refusal.ByDefence(), p.Note)
			require.Equal(t, c.reason, p.Refusal.Reason)
			require.Equal(t, 1, n) // what happened before the action
		})
	}
}

func TestFootprintsThatCannotBeAdded(t *testing.T) {
	f, err := footprint.Parse("x.yaml", []byte(recordedDump))
	require.NoError(t, err)
	_, err = NewLibrary([]*footprint.Footprint{f, f})
	require.ErrorContains(t, err, `T1003.001 has a tool "my-dump" already`)
	f.Events[0].Log, f.Events[0].ID, f.Events[0].Source = "", "", event.LogSource{Product: "macos"}
	_, err = NewLibrary([]*footprint.Footprint{f})
	require.ErrorContains(t, err, "no sensor of an estate carries events of macos")
}

// A technique that the library lacks consists of its footprints.
func TestAFootprintOfAnUnknownTechnique(t *testing.T) {
	f, err := footprint.Parse("x.yaml", []byte(recordedDump))
	require.NoError(t, err)
	f.Technique, f.Needs = "T1111", "foothold"
	l, err := NewLibrary([]*footprint.Footprint{f})
	require.NoError(t, err)
	require.Nil(t, Find("T1111"))
	require.Equal(t, []string{"my-dump"}, l.Find("T1111").Tools)
	require.Len(t, l.All(), len(All())+1)
	require.True(t, l.IsBacked("T1111"))
	var none *Library
	require.Same(t, Find("T1003.001"), none.Find("T1003.001"))
}
