package ingest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
)

// Each message of OpenSSH's daemon from which an outcome, a user or a peer can be read.
// The client chooses its name and banner; what it writes there is never the peer.
func TestMessagesOfSSHD(t *testing.T) {
	for message, want := range map[string][4]string{ // action, user, address, port
		"Failed password for root from 203.0.113.9 port 4001 ssh2":                                                        {"failed_password", "root", "203.0.113.9", "4001"},
		"Failed password for invalid user web master from 2001:db8::9 port 4001 ssh2":                                     {"failed_password", "web master", "2001:db8::9", "4001"},
		"Failed password for invalid user  from 203.0.113.9 port 4001 ssh2":                                               {"failed_password", "", "203.0.113.9", "4001"},
		"Failed password for invalid user from 198.51.100.1 port 1 ssh2 from 203.0.113.9 port 4001 ssh2":                  {"failed_password", "from 198.51.100.1 port 1 ssh2", "203.0.113.9", "4001"},
		"Failed password for invalid user a from 198.51.100.1 port 1 ssh2: RSA x from 203.0.113.9 port 4001 ssh2":         {"failed_password", "a from 198.51.100.1 port 1 ssh2: RSA x", "203.0.113.9", "4001"},
		"Failed keyboard-interactive/pam for invalid user bob from 203.0.113.9 port 4001 ssh2 [preauth]":                  {"failed_password", "bob", "203.0.113.9", "4001"},
		"Failed publickey for ann from 203.0.113.9 port 22 ssh2: RSA SHA256:abc":                                          {"failed_publickey", "ann", "203.0.113.9", "22"},
		"Failed publickey for ann from 203.0.113.9 port 22 ssh2: RSA-CERT SHA256:abc ID me (serial 0) CA RSA SHA256:q":    {"failed_publickey", "ann", "203.0.113.9", "22"},
		"Failed none for invalid user bob from 203.0.113.9 port 4001 ssh2":                                                {"failed_none", "bob", "203.0.113.9", "4001"},
		"Accepted password for ann from 10.0.0.5 port 50 ssh2":                                                            {"accepted_password", "ann", "10.0.0.5", "50"},
		"Accepted publickey for ann from 10.0.0.5 port 50 ssh2: ED25519 SHA256:abc":                                       {"accepted_publickey", "ann", "10.0.0.5", "50"},
		"Accepted gssapi-with-mic for ann from 10.0.0.5 port 50 ssh2: ann@EXAMPLE.ORG":                                    {"accepted_gssapi_with_mic", "ann", "10.0.0.5", "50"},
		"Invalid user bob from 203.0.113.9 port 4001":                                                                     {"invalid_user", "bob", "203.0.113.9", "4001"},
		"Invalid user  from 203.0.113.9 port 4001":                                                                        {"invalid_user", "", "203.0.113.9", "4001"},
		"Invalid user a from 198.51.100.1 port 1 from 203.0.113.9 port 4001":                                              {"invalid_user", "a from 198.51.100.1 port 1", "203.0.113.9", "4001"},
		"Invalid user bob from 203.0.113.9":                                                                               {"invalid_user", "bob", "203.0.113.9", ""},
		"User bob from 203.0.113.9 not allowed because not listed in AllowUsers":                                          {"user_not_allowed", "bob", "203.0.113.9", ""},
		"error: maximum authentication attempts exceeded for root from 203.0.113.9 port 4001 ssh2 [preauth]":              {"max_attempts", "root", "203.0.113.9", "4001"},
		"Disconnecting invalid user a b 203.0.113.9 port 4001: Too many authentication failures [preauth]":                {"disconnected", "a b", "203.0.113.9", "4001"},
		"Disconnecting authenticating user root 203.0.113.9 port 4001: Too many authentication failures [preauth]":        {"disconnected", "root", "203.0.113.9", "4001"},
		"Connection closed by invalid user  203.0.113.9 port 34916 [preauth]":                                             {"disconnected", "", "203.0.113.9", "34916"},
		"Connection closed by authenticating user root 2001:db8::9 port 34916 [preauth]":                                  {"disconnected", "root", "2001:db8::9", "34916"},
		"Connection closed by 203.0.113.9 port 34916 [preauth]":                                                           {"disconnected", "", "203.0.113.9", "34916"},
		"Connection closed by 203.0.113.9 [preauth]":                                                                      {"disconnected", "", "203.0.113.9", ""},
		"Connection closed by invalid user 198.51.100.1 port 1 203.0.113.9 port 34916 [preauth]":                          {"disconnected", "198.51.100.1 port 1", "203.0.113.9", "34916"},
		"Connection reset by authenticating user root 203.0.113.9 port 34916 [preauth]":                                   {"disconnected", "root", "203.0.113.9", "34916"},
		"Received disconnect from 203.0.113.9 port 4001:11: Bye from 198.51.100.1 port 1 [preauth]":                       {"disconnected", "", "203.0.113.9", "4001"},
		"Received disconnect from 203.0.113.9: 11: Bye Bye [preauth]":                                                     {"disconnected", "", "203.0.113.9", ""},
		"Disconnected from user ann 10.0.0.5 port 50":                                                                     {"disconnected", "ann", "10.0.0.5", "50"},
		"Disconnected from 10.0.0.5 port 50":                                                                              {"disconnected", "", "10.0.0.5", "50"},
		"Did not receive identification string from 203.0.113.9 port 4001":                                                {"no_identification", "", "203.0.113.9", "4001"},
		"Did not receive identification string from 203.0.113.9":                                                          {"no_identification", "", "203.0.113.9", ""},
		"Bad protocol version identification 'GET / from 198.51.100.1 port 1' from 203.0.113.9 port 4001":                 {"bad_protocol_version", "", "203.0.113.9", "4001"},
		"banner exchange: Connection from 203.0.113.9 port 4001: invalid format":                                          {"bad_protocol_version", "", "203.0.113.9", "4001"},
		"Unable to negotiate with 203.0.113.9 port 4001: no matching cipher found. Their offer: x [preauth]":              {"no_common_algorithm", "", "203.0.113.9", "4001"},
		"Connection from 203.0.113.9 port 4001 on 10.0.0.1 port 22 rdomain \"\"":                                          {"connected", "", "203.0.113.9", "4001"},
		"reverse mapping checking getaddrinfo for 198.51.100.1 [203.0.113.9] failed - POSSIBLE BREAK-IN ATTEMPT!":         {"reverse_mapping_failed", "", "203.0.113.9", ""},
		"Address 203.0.113.9 maps to host.example, but this does not map back to the address.":                            {"reverse_mapping_failed", "", "203.0.113.9", ""},
		"fatal: Timeout before authentication for 203.0.113.9 port 4001":                                                  {"authentication_timeout", "", "203.0.113.9", "4001"},
		"Timeout before authentication for connection from 203.0.113.9 to 10.0.0.1, pid = 77":                             {"authentication_timeout", "", "203.0.113.9", ""},
		"drop connection #11 from [203.0.113.9]:4001 on [10.0.0.1]:22 past MaxStartups":                                   {"connection_dropped", "", "203.0.113.9", "4001"},
		"ROOT LOGIN REFUSED FROM 203.0.113.9 port 4001":                                                                   {"user_not_allowed", "root", "203.0.113.9", "4001"},
		"refused connect from host.example (203.0.113.9)":                                                                 {"connection_refused", "", "203.0.113.9", ""},
		"error: PAM: Authentication failure for root from 203.0.113.9":                                                    {"failed_password", "root", "203.0.113.9", ""},
		"error: PAM: Authentication failure for illegal user bob from 203.0.113.9":                                        {"failed_password", "bob", "203.0.113.9", ""},
		"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root":  {"failed_password", "root", "203.0.113.9", ""},
		"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9 ":            {"failed_password", "", "203.0.113.9", ""},
		"pam_unix(sshd:auth): authentication failure; tty=ssh ruser= rhost=203.0.113.9  user=x rhost=198.51.100.1":        {"failed_password", "x rhost=198.51.100.1", "203.0.113.9", ""},
		"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root":           {"more_authentication_failures", "root", "203.0.113.9", ""},
		"pam_unix(sshd:session): session opened for user ann(uid=1000) by (uid=0)":                                        {"session_opened", "ann", "", ""},
		"pam_unix(sshd:session): session closed for user ann":                                                             {"session_closed", "ann", "", ""},
		"Starting session: shell on pts/0 for ann from 10.0.0.5 port 50 id 0":                                             {"session_started", "ann", "10.0.0.5", "50"},
		"ssh_dispatch_run_fatal: Connection from authenticating user root 203.0.113.9 port 4001: incorrect MAC [preauth]": {"disconnected", "root", "203.0.113.9", "4001"},
		"Server listening on 0.0.0.0 port 22.":                                                                            {"listening", "", "", ""},
	} {
		got, s := read(t, "auth.log", "auto", "Mar  2 08:15:01 gate sshd-session[7]: "+message+"\n")
		require.Len(t, got, 1, message)
		require.Zero(t, s.Skipped)
		e := got[0]
		require.Equal(t, want, [4]string{e.Value(event.Action), e.Value(event.User), e.Value(event.SourceIp), e.Value(event.SourcePort)}, message)
		require.Equal(t, strings.TrimSpace(message), e.Value(event.Message))
	}
}

// Up to three parts of the daemon tell of one refused password; it counts once.
func TestOneRefusedPasswordCountsOnce(t *testing.T) {
	got, _ := read(t, "auth.log", "auto", `Mar  2 08:15:01 gate sshd[7]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root
Mar  2 08:15:03 gate sshd[7]: Failed password for root from 203.0.113.9 port 4001 ssh2
Mar  2 08:15:06 gate sshd[7]: Failed password for root from 203.0.113.9 port 4001 ssh2
Mar  2 08:15:09 gate sshd[7]: Failed password for root from 203.0.113.9 port 4001 ssh2
Mar  2 08:15:09 gate sshd[7]: PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root
Mar  2 08:15:10 gate sshd[8]: Failed password for root from 203.0.113.9 port 4002 ssh2
`)
	n := 0
	for _, e := range got {
		if e.Value(event.Action) == "failed_password" {
			n++
		}
	}
	require.Equal(t, 4, n)
}

func TestSyslogInEveryForm(t *testing.T) {
	for line, want := range map[string]string{
		"Mar  2 08:15:01 gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                                    "2000-03-02T08:15:01Z",
		"<86>Mar  2 08:15:01 gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                                "2000-03-02T08:15:01Z",
		"Mar 02 08:15:01 gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                                    "2000-03-02T08:15:01Z",
		"2026-03-02T08:15:01.120000+01:00 gate sshd-session[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                           "2026-03-02T07:15:01.12Z",
		"2026-03-02T08:15:01+0100 gate sshd-auth[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                      "2026-03-02T07:15:01Z",
		"2026-03-02T08:15:01,120+01 gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                         "2026-03-02T07:15:01.12Z",
		"2026-03-02T08:15:01Z gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                               "2026-03-02T08:15:01Z",
		"Mon 2026-03-02 08:15:01 UTC gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                        "2026-03-02T08:15:01Z",
		"1772439301.120000 gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                                  "2026-03-02T08:15:01.12Z",
		"Mar 02 08:15:01.120000 gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                             "2000-03-02T08:15:01.12Z",
		"2026-03-02 08:15:01 gate sshd[701]: Failed none for x from 203.0.113.9 port 1 ssh2":                                                                                "2026-03-02T08:15:01Z",
		"<86>1 2026-03-02T08:15:01.120Z gate sshd 701 - - Failed none for x from 203.0.113.9 port 1 ssh2":                                                                   "2026-03-02T08:15:01.12Z",
		`<86>1 2026-03-02T08:15:01.120Z gate sshd 701 ID7 [a@1 k="v]\"" l="2"][b@2 x="y"] Failed none for x from 203.0.113.9 port 1 ssh2`:                                   "2026-03-02T08:15:01.12Z",
		"1 2026-03-02T08:15:01.120-05:00 gate sshd 701 - - \ufeffFailed none for x from 203.0.113.9 port 1 ssh2":                                                            "2026-03-02T13:15:01.12Z",
		`{"__REALTIME_TIMESTAMP":"1772439301120000","_HOSTNAME":"gate","SYSLOG_IDENTIFIER":"sshd","_PID":"701","MESSAGE":"Failed none for x from 203.0.113.9 port 1 ssh2"}`: "2026-03-02T08:15:01.12Z",
		`{"__REALTIME_TIMESTAMP":"1772439301120000","_HOSTNAME":"gate","_COMM":"sshd","_PID":"701","MESSAGE":[70,97,105,108,101,100,32,110,111,110,101,32,102,111,114,32,120,32,102,114,111,109,32,50,48,51,46,48,46,49,49,51,46,57,32,112,111,114,116,32,49,32,115,115,104,50]}`: "2026-03-02T08:15:01.12Z",
	} {
		got, s := read(t, "auth.log", "auto", line+"\n")
		require.Len(t, got, 1, line)
		require.Zero(t, s.Skipped)
		require.Equal(t, event.SSHD.Source, got[0].Source, line)
		require.Equal(t, "gate", got[0].Host)
		require.Equal(t, "701", got[0].Value(event.SyslogPID))
		require.Equal(t, "failed_none", got[0].Value(event.Action))
		require.Equal(t, "203.0.113.9", got[0].Value(event.SourceIp))
		require.Equal(t, want, time.Unix(0, int64(got[0].Time)).UTC().Format(time.RFC3339Nano), line)
	}
}

func TestOtherProgramsOfAuthLog(t *testing.T) {
	for line, want := range map[string][3]string{ // service, action, user
		"sudo:      kim : TTY=pts/0 ; PWD=/home/kim ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow":                                {"sudo", "sudo_command", "kim"},
		"sudo: mallory : user NOT in sudoers ; TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND=/bin/sh":                                 {"sudo", "sudo_refused", "mallory"},
		"sudo: pam_unix(sudo:auth): authentication failure; logname=kim uid=1000 euid=0 tty=/dev/pts/0 ruser=kim rhost=  user=kim": {"sudo", "pam_authentication_failure", "kim"},
		"sudo: pam_unix(sudo:session): session opened for user root(uid=0) by kim(uid=1000)":                                       {"sudo", "session_opened", "root"},
		"su[12]: (to root) kim on pts/1":                                                           {"su", "su_opened", "kim"},
		"su[12]: FAILED SU (to root) kim on pts/1":                                                 {"su", "su_failed", "kim"},
		"su: pam_unix(su:session): session closed for user root":                                   {"su", "session_closed", "root"},
		"useradd[99]: new user: name=evil, UID=0, GID=0, home=/, shell=/bin/bash, from=/dev/pts/0": {"auth", "new_user", "evil"},
		"usermod[99]: add 'evil' to group 'sudo'":                                                  {"auth", "group_member_added", "evil"},
		"CRON[5]: (root) CMD (/usr/bin/backup)":                                                    {"cron", "cron_cmd", "root"},
		"CRON[5]: pam_unix(cron:session): session opened for user root":                            {"cron", "session_opened", "root"},
		"passwd[5]: pam_unix(passwd:chauthtok): password changed for kim":                          {"auth", "password_changed", "kim"},
		"kernel: [    0.000000] Linux version 6.1":                                                 {"syslog", "", ""},
		"systemd[1]: Started Session 1 of User kim.":                                               {"syslog", "", ""},
	} {
		got, s := read(t, "auth.log", "syslog", "Mar  2 08:15:01 gate "+line+"\n")
		require.Len(t, got, 1, line)
		require.Zero(t, s.Skipped, line)
		require.Equal(t, want, [3]string{got[0].Source.Service, got[0].Value(event.Action), got[0].Value(event.User)}, line)
	}
}

func TestAuditd(t *testing.T) {
	got, s := read(t, "audit.log", "auto", `type=SYSCALL msg=audit(1772439300.123:42): arch=c000003e syscall=59 success=yes exit=0 a0=5581 a1=5582 items=2 ppid=1000 pid=1001 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm="cat" exe="/usr/bin/cat" key="exec"
type=EXECVE msg=audit(1772439300.123:42): argc=3 a0="cat" a1=2F6574632F7368610064 a2="-n"
type=SYSCALL msg=audit(1772439300.124:43): arch=c000003e syscall=257 success=no exit=-13 ppid=1 pid=5 auid=1000 uid=33 euid=33 comm="php" exe="/usr/bin/php" key=(null)
type=CWD msg=audit(1772439300.123:42): cwd="/root"
type=PATH msg=audit(1772439300.123:42): item=0 name="/usr/bin/cat" inode=1 nametype=NORMAL
type=PROCTITLE msg=audit(1772439300.123:42): proctitle=636174002F6574632F736861646F77
type=EOE msg=audit(1772439300.123:42):
node=web1 type=USER_LOGIN msg=audit(1772439301.5:44): pid=9 uid=0 auid=1000 ses=4 msg='op=login acct="kim" exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=ssh res=failed'
nonsense
`)
	require.Equal(t, map[string]int{"no record of the audit daemon": 1}, s.Because)
	require.Equal(t, 8, s.Events)
	byType := map[string]*event.Event{}
	for _, e := range got {
		if serial, _ := e.Lookup("serial"); serial != "43" {
			byType[e.Value(event.AuditType)+"/"+e.Source.Category] = e
		}
	}
	execve := byType["EXECVE/"]
	require.Equal(t, event.LogSource{Product: "linux", Service: "auditd"}, execve.Source)
	require.Equal(t, "cat", execve.Value(event.Arg0))
	require.Equal(t, "/etc/sha d", execve.Value(event.Arg1))
	require.Equal(t, "/usr/bin/cat", execve.Value(event.AuditExe), "records know what the system call says")
	require.Equal(t, "execve", byType["SYSCALL/"].Value(event.Syscall)[:6])
	name, _ := byType["PATH/"].Lookup("name")
	require.Equal(t, "/usr/bin/cat", name)
	require.Equal(t, "NORMAL", func() string { v, _ := byType["PATH/"].Lookup("nametype"); return v }())
	title, _ := byType["PROCTITLE/"].Lookup("proctitle")
	require.Equal(t, "cat /etc/shadow", title)
	process := byType["/process_creation"]
	require.Equal(t, "cat /etc/sha d -n", process.Value(event.CommandLine))
	require.Equal(t, "/usr/bin/cat", process.Value(event.Image))
	require.Equal(t, "/root", process.Value(event.CurrentDirectory))
	login := byType["USER_LOGIN/"]
	require.Equal(t, "web1", login.Host)
	require.Equal(t, "kim", login.Value(event.User))
	require.Equal(t, "203.0.113.9", login.Value(event.SourceIp))
	res, _ := login.Lookup("res")
	require.Equal(t, "failed", res)
	require.Equal(t, "openat", func() string {
		for _, e := range got {
			if v, _ := e.Lookup("serial"); v == "43" {
				v, _ := e.Lookup("SYSCALL")
				return v
			}
		}
		return ""
	}())
}

// The audit daemon may send its records on through syslog.
func TestAuditRecordsWithinSyslog(t *testing.T) {
	got, s := read(t, "syslog", "auto", `Mar  2 08:15:01 web1 audispd: type=SYSCALL msg=audit(1772439300.123:42): arch=c000003e syscall=59 success=yes pid=7 ppid=1 uid=0 comm="cat" exe="/usr/bin/cat"
Mar  2 08:15:01 web1 audispd: type=EXECVE msg=audit(1772439300.123:42): argc=2 a0="cat" a1="/etc/shadow"
Mar  2 08:15:02 web1 sudo:      kim : TTY=pts/0 ; PWD=/home/kim ; USER=root ; COMMAND=/bin/sh
`)
	require.Zero(t, s.Skipped)
	require.Equal(t, 3, s.Events)
	byCategory := map[string]*event.Event{}
	for _, e := range got {
		byCategory[e.Source.String()] = e
		require.Equal(t, "web1", e.Host)
	}
	require.Equal(t, "cat /etc/shadow", byCategory["linux/process_creation"].Value(event.CommandLine))
	require.Equal(t, "kim", byCategory["linux/sudo"].Value(event.User))
	require.NotNil(t, byCategory["linux/auditd"])
}
