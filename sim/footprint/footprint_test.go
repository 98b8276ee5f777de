package footprint

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
	"hemostat/sim/strictyaml"
)

var start = time.Date(2024, 5, 6, 10, 0, 0, 0, time.UTC)

// recordedEvent is an event of a Windows log, with names and values in turn.
func recordedEvent(at time.Duration, host, log, id string, pairs ...string) *event.Event {
	e := &event.Event{Time: time.Duration(start.UnixNano()) + at}
	e.Set(event.EventID, id)
	e.Set(event.LogChannel, log)
	e.Set(event.ProviderName, "provider")
	e.Set(event.Computer, host)
	for i := 0; i+1 < len(pairs); i += 2 {
		e.SetName(pairs[i], pairs[i+1])
	}
	e.Source = event.WindowsSource(log, id, e.Value(event.EventType))
	return e
}

const (
	sysmonLog = "Microsoft-Windows-Sysmon/Operational"
	sid       = "S-1-5-21-1111-2222-33333-1104"
)

// attack is a small recording: a tool, its child, a handle, a logon elsewhere, and noise.
func attack() []*event.Event {
	host, dc := "PC7.lab.local", "DC1.lab.local"
	return []*event.Event{
		recordedEvent(0, host, sysmonLog, "1", "Image", `C:\Windows\explorer.exe`, "CommandLine", "explorer", "ProcessGuid",
			"{aaaa0000-0000-0000-0000-000000000001}", "ProcessId", "812", "User", `LAB\jane`),
		recordedEvent(time.Second, host, sysmonLog, "1", "Image", `C:\Users\jane\tool.exe`, "CommandLine",
			`tool.exe -p S3cret! \\DC1.lab.local\c$`,
			"ProcessGuid", "{aaaa0000-0000-0000-0000-000000000002}", "ProcessId", "4000", "ParentProcessGuid", "{aaaa0000-0000-0000-0000-000000000001}",
			"ParentProcessId", "812", "User", `LAB\jane`, "LogonId", "0x5a1b2", "UtcTime", "2024-05-06 10:00:01.250"),
		recordedEvent(2*time.Second, host, sysmonLog, "1", "Image", `C:\Windows\System32\cmd.exe`, "CommandLine",
			`cmd /c copy x C:\Users\jane\y`,
			"ProcessGuid", "{aaaa0000-0000-0000-0000-000000000003}", "ProcessId", "4004", "ParentProcessGuid", "{aaaa0000-0000-0000-0000-000000000002}", "User", `LAB\jane`),
		recordedEvent(3*time.Second, host, sysmonLog, "3", "Image", `C:\Users\jane\tool.exe`, "ProcessGuid",
			"{aaaa0000-0000-0000-0000-000000000002}",
			"SourceIp", "10.1.1.7", "SourcePort", "50123", "DestinationIp", "45.77.1.9", "DestinationPort", "443", "User", `LAB\jane`),
		recordedEvent(4*time.Second, dc, "Security", "4624", "TargetUserName", "jane", "TargetDomainName", "LAB",
			"TargetUserSid", sid,
			"TargetLogonId", "0x99aa1", "IpAddress", "10.1.1.7", "LogonType", "3", "SubjectUserSid", "S-1-5-18", "SubjectUserName", "DC1$"),
		recordedEvent(5*time.Second, dc, "Security", "4769", "TargetUserName", "jane@LAB.LOCAL", "ServiceName", "DC1$",
			"IpAddress", "::ffff:10.1.1.7"),
		recordedEvent(6*time.Second, host, sysmonLog, "10", "SourceImage", `C:\Windows\System32\svchost.exe`,
			"SourceProcessGUID", "{aaaa0000-0000-0000-0000-000000000009}"),
	}
}

func numbers(chosen []Chosen) []int {
	var out []int
	for _, x := range chosen {
		if x.Keep {
			out = append(out, x.Number)
		}
	}
	return out
}

func TestChoosing(t *testing.T) {
	events := attack()
	for name, c := range map[string]struct {
		choice Choice
		want   []int
		err    string
	}{
		"everything":            {Choice{}, []int{1, 2, 3, 4, 5, 6, 7}, ""},
		"the tree of a process": {Choice{Root: `\tool.exe`}, []int{2, 3, 4}, ""},
		"a window": {Choice{From: start.Add(2 * time.Second), To: start.Add(4 * time.Second)}, []int{3, 4, 5},
			""},
		"a list": {Choice{Only: map[int]bool{1: true, 6: true}}, []int{1, 6}, ""},
		"not what is ordinary": {Choice{Ordinary: func(e *event.Event) bool { return e.Value(event.EventID) == "10" }},
			[]int{1, 2, 3, 4, 5, 6}, ""},
		"no such root": {Choice{Root: "mimikatz.exe"}, nil,
			`no process of the recording has an image that ends with "mimikatz.exe"; it starts, the rarest first: C:\Users\jane\tool.exe, C:\Windows\System32\cmd.exe, C:\Windows\explorer.exe`},
		"nothing left": {Choice{To: start.Add(-time.Hour)}, nil, "no event is left"},
	} {
		t.Run(name, func(t *testing.T) {
			chosen, err := Choose(events, c.choice)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, numbers(chosen))
		})
	}
	_, err := Choose(events[6:], Choice{Root: "tool.exe"})
	require.ErrorContains(t, err, "holds no start of a process")
}

func TestTheListCanBeEdited(t *testing.T) {
	chosen, err := Choose(attack(), Choice{Root: "tool.exe"})
	require.NoError(t, err)
	var list bytes.Buffer
	require.NoError(t, List(&list, chosen))
	require.Contains(t, list.String(),
		"-     1  2024-05-06 10:00:00.000  PC7  Sysmon 1  CommandLine=explorer  (not of the process tree)")
	edited := strings.Replace(list.String(), "-     1 ", "+     1 ", 1)
	only, err := ReadList("list", strings.NewReader(edited))
	require.NoError(t, err)
	require.Equal(t, map[int]bool{1: true, 2: true, 3: true, 4: true}, only)
	only, err = ReadList("list", strings.NewReader("# numbers alone\n3\n7\n"))
	require.NoError(t, err)
	require.Equal(t, map[int]bool{3: true, 7: true}, only)
	_, err = ReadList("list", strings.NewReader("+ 1 x\nperhaps 2\n"))
	require.ErrorContains(t, err, `list:2: a line begins with + or -`)
}

func TestWhatBelongsToThePlaceBecomesVariable(t *testing.T) {
	chosen, err := Choose(attack(), Choice{})
	require.NoError(t, err)
	f, err := Make(chosen, Options{Name: "tool", Technique: "T1570", Files: []string{"tool.evtx"}})
	require.NoError(t, err)
	require.Equal(t, []Host{{"here", "foothold"}, {"there1", "domain_controller"}}, f.Hosts)
	tool := f.Events[1]
	require.Equal(t, time.Second, tool.At)
	require.Equal(t, `tool.exe -p S3cret! \\{there1.fqdn}\c$`, tool.Fields["CommandLine"])
	require.Equal(t, `C:\Users\{user}\tool.exe`, tool.Fields["Image"])
	require.Equal(t, `{netbios}\{user}`, tool.Fields["User"])
	require.Equal(t, "{utc:250ms}", tool.Fields["UtcTime"])
	require.Equal(t, tool.Fields["ProcessGuid"], f.Events[2].Fields["ParentProcessGuid"])
	require.NotEqual(t, tool.Fields["ProcessGuid"], tool.Fields["ParentProcessGuid"])
	require.Equal(t, "{c2ip}", f.Events[3].Fields["DestinationIp"])
	require.Equal(t, "{here.ip}", f.Events[3].Fields["SourceIp"])
	logon := f.Events[4]
	require.Equal(t, "there1", logon.On)
	require.Equal(t, "{sid}", logon.Fields["TargetUserSid"])
	require.Equal(t, "S-1-5-18", logon.Fields["SubjectUserSid"])
	require.Equal(t, "{there1}$", logon.Fields["SubjectUserName"])
	require.Equal(t, "{user}@{domain}", f.Events[5].Fields["TargetUserName"])

	text, err := f.Marshal()
	require.NoError(t, err)
	back, err := Parse("tool.yaml", text)
	require.NoError(t, err)
	back.Pos = strictyaml.Pos{}
	require.Equal(t, f, back)
	for _, own := range []string{"jane", "lab.local", "PC7", "10.1.1.7", "45.77", "S-1-5-21"} {
		require.NotContains(t, string(text), own)
	}
}

func TestVariablesAreFilled(t *testing.T) {
	chosen, err := Choose(attack(), Choice{})
	require.NoError(t, err)
	f, err := Make(chosen, Options{Name: "tool", Technique: "T1570"})
	require.NoError(t, err)
	c := &Cast{
		Hosts: map[string]Part{"here": {"WS001", "WS001.corp.example", "10.20.0.9"},
			"there1": {"DC001", "DC001.corp.example", "10.30.0.4"}},
		User:    func(n int) Account { return Account{"asmith", "S-1-5-21-9-9-9-1201"} },
		Number:  func(kind string, n int) uint64 { return uint64(len(kind))<<40 + uint64(n)*997 },
		NetBIOS: "CORP", Domain: "corp.example", DomainSID: "S-1-5-21-9-9-9", C2: "c2.example", C2IP: "203.0.113.9", Epoch: start,
	}
	out := &event.Event{}
	c.Fill(out, &f.Events[1], time.Hour)
	require.Equal(t, `tool.exe -p S3cret! \\DC001.corp.example\c$`, out.Value(event.CommandLine))
	require.Equal(t, `CORP\asmith`, out.Value(event.User))
	require.Equal(t, "2024-05-06 11:00:00.250", out.Value(event.UtcTime))
	require.Equal(t, `{lit:user} and {nothing}`, c.Expand(`{lit:lit:user} and {nothing}`, 0))
	require.Equal(t, `{user}`, c.Expand(`{lit:user}`, 0))
}

// What reads like a variable in a recorded text comes back as it was.
func TestBracesInTextsSurvive(t *testing.T) {
	e := recordedEvent(0, "PC7.lab.local", sysmonLog, "13", "TargetObject", `HKLM\{user}\{E3B0}\{c2}`, "Image", "a.exe",
		"User", `LAB\user`)
	chosen, err := Choose([]*event.Event{e}, Choice{})
	require.NoError(t, err)
	f, err := Make(chosen, Options{Name: "x", Technique: "T1112"})
	require.NoError(t, err)
	c := &Cast{User: func(int) Account { return Account{"bob", ""} }, NetBIOS: "CORP",
		Number: func(string, int) uint64 { return 0 }}
	out := &event.Event{}
	c.Fill(out, &f.Events[0], 0)
	require.Equal(t, `HKLM\{user}\{E3B0}\{c2}`, out.Value(event.TargetObject))
	require.Equal(t, `CORP\bob`, out.Value(event.User))
}

func TestSecretsAreFoundAndHidden(t *testing.T) {
	chosen, err := Choose(attack(), Choice{})
	require.NoError(t, err)
	require.Equal(t, []Secret{{2, "CommandLine", "S3cret!"}}, Secrets(chosen))
	f, err := Make(chosen, Options{Name: "tool", Technique: "T1570", Redact: true})
	require.NoError(t, err)
	require.Equal(t, `tool.exe -p REDACTED \\{there1.fqdn}\c$`, f.Events[1].Fields["CommandLine"])
	for line, want := range map[string]string{
		`net user support P@ssw0rd1 /add`:                      "P@ssw0rd1",
		`psexec \\x -u a -p hunter22 cmd`:                      "hunter22",
		`curl -d password=topsecret http://x`:                  "topsecret",
		`ConvertTo-SecureString "abc123" -AsPlainText -Force`:  "abc123",
		`net user administrator /domain`:                       "",
		`powershell -NoProfile -Path C:\x -Persist something1`: "",
	} {
		e := recordedEvent(0, "h", sysmonLog, "1", "CommandLine", line)
		found := Secrets([]Chosen{{Number: 1, Event: e, Keep: true}})
		if want == "" {
			require.Empty(t, found, line)
			continue
		}
		require.NotEmpty(t, found, line)
		require.Equal(t, want, found[0].Value, line)
	}
}

func TestBadFootprintsAreExplained(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no id": {"footprint: x\ntechnique: mimikatz\nhosts: [{name: here, is: foothold}]\nevents: [{log: Security, id: '1102'}]\n", `an ATT&CK id is expected, such as T1003.001, not "mimikatz"`},
		"no events": {"footprint: x\ntechnique: T1003\nhosts: [{name: here, is: foothold}]\nevents: []\n",
			"at least one host and one event"},
		"unknown host": {"footprint: x\ntechnique: T1003\nhosts: [{name: here, is: foothold}]\nevents: [{log: Security, id: '1', on: there}]\n", `events[0].on: unknown host "there"; declared: here`},
		"no log": {"footprint: x\ntechnique: T1003\nhosts: [{name: here, is: foothold}]\nevents: [{at: 1s}]\n",
			"an event has a log and an id, or a source"},
		"back in time":    {"footprint: x\ntechnique: T1003\nhosts: [{name: here, is: foothold}]\nevents: [{at: 2s, log: Security, id: '1'}, {at: 1s, log: Security, id: '1'}]\n", "events stand in the order of time"},
		"first host":      {"footprint: x\ntechnique: T1003\nhosts: [{name: here, is: server}]\nevents: [{log: Security, id: '1'}]\n", "the first host is where attackers act"},
		"two of one name": {"footprint: x\ntechnique: T1003\nhosts: [{name: here, is: foothold}, {name: here, is: server}]\nevents: [{log: Security, id: '1'}]\n", `hosts[1].name: hosts are named here, there1, there2 and so on, as variables name them; this one is there1, not "here"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(c.text))
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "f.yaml:")
		})
	}
}

func TestTooManyHosts(t *testing.T) {
	var events []*event.Event
	for i := range mostHosts + 1 {
		events = append(events, recordedEvent(0, strings.Repeat("h", i+1)+".lab", "Security", "4624"))
	}
	chosen, err := Choose(events, Choice{})
	require.NoError(t, err)
	_, err = Make(chosen, Options{Name: "x", Technique: "T1078"})
	require.ErrorContains(t, err, "hosts, and a footprint has at most 40")
	day, err := MakeDay(chosen)
	require.NoError(t, err)
	require.Len(t, day.Hosts, mostHosts+1)
}

func FuzzParse(f *testing.F) {
	chosen, _ := Choose(attack(), Choice{})
	made, _ := Make(chosen, Options{Name: "tool", Technique: "T1570"})
	text, _ := made.Marshal()
	f.Add(text)
	f.Add([]byte("footprint: x\ntechnique: T1003\nhosts: [{name: here, is: foothold}]\nevents: [{log: Security, id: '1102', fields: {a: '{utc:1h'}}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("f.yaml", data)
		if err != nil {
			return
		}
		c := &Cast{Hosts: map[string]Part{}, User: func(int) Account { return Account{} },
			Number: func(string, int) uint64 { return 1 }}
		for i := range p.Events {
			c.Fill(&event.Event{}, &p.Events[i], 0)
		}
		_, err = p.Marshal()
		require.NoError(t, err)
	})
}

// Texts of several lines come back, also those whose lines begin with a tab.
func TestTextsOfSeveralLinesSurvive(t *testing.T) {
	text := "first\r\n\t\tsecond: [x]\n\n - third\t"
	e := recordedEvent(0, "PC7.lab.local", "Security", "4672", "PrivilegeList", text, "Message", "all of it again",
		"EventRecordID", "7")
	e.SetList("Data", []string{"\tone", "two\nlines"})
	chosen, err := Choose([]*event.Event{e}, Choice{})
	require.NoError(t, err)
	f, err := Make(chosen, Options{Name: "x", Technique: "T1078"})
	require.NoError(t, err)
	written, err := f.Marshal()
	require.NoError(t, err)
	back, err := Parse("x.yaml", written)
	require.NoError(t, err)
	require.Equal(t, text, back.Events[0].Fields["PrivilegeList"])
	require.Equal(t, []string{"\tone", "two\nlines"}, back.Events[0].Lists["Data"])
	require.NotContains(t, back.Events[0].Fields, "Message")
	require.NotContains(t, back.Events[0].Fields, "EventRecordID")
	require.Equal(t, 6+1+3, back.Values())
}
