package world

import (
	"strconv"
	"strings"
	"time"

	"hemostat/sim/event"
)

// auditExec is a program started on Linux (auditd EXECVE with its SYSCALL part),
// with the process-creation names of Sysmon for Linux beside auditd's own.
func (w *World) auditExec(now time.Duration, a *Actor, p *Process) {
	e := w.begin(now, &event.Auditd, p.Host, a, 22)
	if e == nil {
		return
	}
	args := strings.Fields(p.CommandLine)
	user, uid := "root", "0"
	if p.Account != nil {
		user, uid = p.Account.Name, w.arena.Uint(10000+uint64(p.Account.Index))
	}
	e.Set(event.Image, p.Binary.Path)
	e.Set(event.CommandLine, p.CommandLine)
	e.Set(event.CurrentDirectory, "/")
	e.Set(event.ParentImage, p.parent().Binary.Path)
	e.Set(event.ParentCommandLine, p.parent().CommandLine)
	e.Set(event.ProcessId, w.arena.Uint(uint64(p.PID)))
	e.Set(event.ParentProcessId, w.arena.Uint(uint64(p.parent().PID)))
	e.Set(event.User, user)
	e.Set(event.UtcTime, w.utc(now))
	e.Set(event.AuditType, "EXECVE")
	e.Set(event.Syscall, "59")
	e.Set(event.AuditExe, p.Binary.Path)
	e.Set(event.AuditComm, p.Binary.Name())
	for i, arg := range args {
		if i > 5 {
			break
		}
		e.Set(event.Arg0+event.Field(i), arg)
	}
	e.Set(event.UID, uid)
	e.Set(event.TTY, "pts0")
	e.Set(event.AuditSuccess, "yes")
	e.Set(event.ArgCount, strconv.Itoa(len(args)))
	w.finish(e, a)
}

// Audit is another record of auditd, such as PATH for a watched file or SYSCALL, with
// fields as names and values in turn.
func (w *World) Audit(now time.Duration, a *Actor, h *Host, kind string, pairs ...string) {
	k := event.Auditd
	k.Source.Category = ""
	e := w.begin(now, &k, h, a, 2+len(pairs)/2)
	if e == nil {
		return
	}
	e.Set(event.AuditType, kind)
	for i := 0; i+1 < len(pairs); i += 2 {
		e.SetName(pairs[i], pairs[i+1])
	}
	w.finish(e, a)
}

// WriteLinuxFile is a file written on Linux (Sysmon for Linux 11).
func (w *World) WriteLinuxFile(now time.Duration, a *Actor, p *Process, path string) {
	k := event.Auditd
	k.Source.Category = "file_event"
	e := w.begin(now, &k, p.Host, a, 5)
	if e == nil {
		return
	}
	e.Set(event.Image, p.Binary.Path)
	e.Set(event.TargetFilename, path)
	e.Set(event.UtcTime, w.utc(now))
	w.finish(e, a)
}

// SSHAttempt is one try to log on over SSH.
type SSHAttempt struct {
	From       Endpoint
	To         *Host
	User       string
	Account    *Account // nil for a local account of the host
	Generation int
	Good       bool // the password is right
	Unknown    bool // there is no such user
	Key        bool // public key instead of password
}

// SSH tries to log on over SSH: the lines that sshd writes, and the flow that
// Zeek sees. Reachability is the caller's business.
func (w *World) SSH(now time.Duration, a *Actor, s SSHAttempt) (bool, Refusal) {
	good := s.Good && !s.Unknown
	refusal := Refusal{}
	if good && s.Account != nil {
		refusal = w.MayLogOn(s.Account, s.Generation)
		good = refusal.OK()
	}
	pid := 1000 + unique(a, s.To, 22)%30000
	port := w.port(a, s.To)
	source := w.arena.Join(" from ", s.From.IP(), " port ", port)
	switch {
	case good && s.Key:
		w.sshd(
			now,
			a,
			s,
			pid,
			port,
			"accepted_publickey",
			w.arena.Join("Accepted publickey for ", s.User, source, " ssh2"),
		)
	case good:
		w.sshd(
			now,
			a,
			s,
			pid,
			port,
			"accepted_password",
			w.arena.Join("Accepted password for ", s.User, source, " ssh2"),
		)
	case s.Unknown:
		w.sshd(now, a, s, pid, port, "invalid_user", w.arena.Join("Invalid user ", s.User, " from ", s.From.IP()))
		w.sshd(
			now+time.Second,
			a,
			s,
			pid,
			port,
			"failed_password",
			w.arena.Join("Failed password for invalid user ", s.User, source, " ssh2"),
		)
	default:
		w.sshd(now, a, s, pid, port, "failed_password", w.arena.Join("Failed password for ", s.User, source, " ssh2"))
	}
	received := uint64(1800)
	if good {
		received = 6400
	}
	w.Flow(
		now,
		a,
		Flow{
			From:     s.From,
			To:       At(s.To),
			Port:     22,
			Service:  "ssh",
			Sent:     1400,
			Received: received,
			Duration: 2 * time.Second,
		},
	)
	if good {
		w.sshd(
			now+50*time.Millisecond,
			a,
			s,
			pid,
			port,
			"session_opened",
			w.arena.Join("pam_unix(sshd:session): session opened for user ", s.User, " by (uid=0)"),
		)
		return true, Refusal{}
	}
	if refusal.OK() {
		refusal = Refusal{Reason: "bad_password"}
	}
	return false, refusal
}

func (w *World) sshd(now time.Duration, a *Actor, s SSHAttempt, pid uint64, port, action, message string) {
	e := w.begin(now, &event.SSHD, s.To, a, 7)
	if e == nil {
		return
	}
	e.Set(event.User, s.User)
	e.Set(event.SourceIp, s.From.IP())
	e.Set(event.SourcePort, port)
	e.Set(event.Message, message)
	e.Set(event.SyslogPID, w.arena.Uint(pid))
	e.Set(event.Action, action)
	w.finish(e, a)
}
