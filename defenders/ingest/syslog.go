package ingest

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// syslogDecoder reads syslog of RFC 3164 and RFC 5424, with and without priority, and
// what rsyslog writes to files with ISO stamps. Classic stamps carry no year, so such a
// log is placed in 2000 and moves on when the month falls back; what matters to
// detection is the distance between lines.
type syslogDecoder struct {
	year     int
	month    time.Month
	arena    event.Arena
	messages messages
	xml      event.Arena
	audit    auditdDecoder // of records that the audit daemon sends on
}

var (
	priority = regexp.MustCompile(`^<(\d{1,3})>`)
	// rfc5424 is: version, stamp, host, application, process, message id; then
	// structured data and the message.
	rfc5424 = regexp.MustCompile(`^1 (\S+) (\S+) (\S+) (\S+) (\S+) (.*)$`)
	classic = regexp.MustCompile(`^([A-Z][a-z]{2} +\d{1,2}(?: \d{4})? \d\d:\d\d:\d\d(?:\.\d+)?) (.*)$`)
	iso     = regexp.MustCompile(
		`^(?:[A-Z][a-z]{2} )?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?) (.*)$`,
	)
	// unixStamp is how journalctl -o short-unix begins a line.
	unixStamp = regexp.MustCompile(`^(\d{10}(?:\.\d+)?) (.*)$`)
	// tag is the program, its process id, and the message: sshd[12]: text
	tag      = regexp.MustCompile(`^([^\s:\[\]]+(?: \([^)]*\))?)(?:\[(\d+)\])?: ?(.*)$`)
	repeated = regexp.MustCompile(`^message repeated (\d+) times: \[ (.*)\]$`)
)

// isSyslog tells whether a line is of syslog.
func isSyslog(line string) bool {
	_, ok := (&syslogDecoder{}).parse(line)
	return ok
}

// syslogLine is one line taken apart.
type syslogLine struct {
	stamp, host, program, pid, message string
}

// parse takes a line apart. It reports false for what is no line of syslog.
func (d *syslogDecoder) parse(text string) (syslogLine, bool) {
	if m := priority.FindString(text); m != "" {
		text = text[len(m):]
	}
	if m := rfc5424.FindStringSubmatch(text); m != nil {
		l := syslogLine{stamp: m[1], host: unnil(m[2]), program: unnil(m[3]), pid: unnil(m[4])}
		l.message = strings.TrimPrefix(strings.TrimPrefix(afterStructuredData(m[6]), " "), "\ufeff")
		// A relay that knew no parts left them in the message.
		if inner := tag.FindStringSubmatch(l.message); inner != nil &&
			(l.program == "" || strings.HasPrefix(inner[1], l.program)) &&
			inner[2] != "" {
			l.program, l.pid, l.message = inner[1], inner[2], inner[3]
		}
		return l, true
	}
	m := classic.FindStringSubmatch(text)
	if m == nil {
		m = iso.FindStringSubmatch(text)
	}
	if m == nil {
		m = unixStamp.FindStringSubmatch(text)
	}
	if m == nil {
		return syslogLine{}, false
	}
	l := syslogLine{stamp: m[1]}
	rest := m[2]
	if host, after, ok := strings.Cut(rest, " "); ok && !strings.HasSuffix(host, ":") {
		l.host, rest = host, strings.TrimLeft(after, " ")
	}
	if t := tag.FindStringSubmatch(rest); t != nil {
		l.program, l.pid, l.message = t[1], t[2], t[3]
	} else {
		l.message = rest
	}
	return l, l.host != "" || l.program != ""
}

func unnil(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// afterStructuredData is what follows the structured data of RFC 5424.
func afterStructuredData(s string) string {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return rest
	}
	for strings.HasPrefix(s, "[") {
		quoted := false
		end := -1
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '\\' && quoted:
				i++
			case s[i] == '"':
				quoted = !quoted
			case s[i] == ']' && !quoted:
				end = i
			}
			if end >= 0 {
				break
			}
		}
		if end < 0 {
			return s
		}
		s = s[end+1:]
	}
	return s
}

func (d *syslogDecoder) decode(line []byte, out *output) string {
	text := string(line)
	l, ok := d.parse(text)
	if !ok {
		if strings.HasPrefix(text, "-- ") && strings.HasSuffix(text, " --") { // journalctl tells of a boot
			return ignored
		}
		return "no syslog line"
	}
	at, ok := d.time(l.stamp)
	if !ok {
		return "the time is unreadable"
	}
	if strings.HasPrefix(l.message, "<Event>") || strings.HasPrefix(l.message, "<Event ") { // of Sysmon for Linux
		e := d.xml.New(32)
		reason := xmlEvent(e, &d.xml, []byte(l.message))
		if reason == "" {
			if e.Host == "" {
				e.Host = l.host
			}
			out.event(e)
		}
		return reason
	}
	if strings.HasPrefix(l.message, "type=") || strings.HasPrefix(l.message, "node=") {
		record := l.message
		if !strings.HasPrefix(record, "node=") && l.host != "" {
			record = "node=" + l.host + " " + record
		}
		if isAuditd(record) {
			return d.audit.decode([]byte(record), out)
		}
	}
	times := 1
	if r := repeated.FindStringSubmatch(l.message); r != nil {
		if n, err := strconv.Atoi(r[1]); err == nil && n > 0 && n <= 1000 {
			l.message, times = r[2], n
		}
	}
	for range times {
		e := d.arena.New(8)
		e.Time, e.Host = at, l.host
		d.messages.fill(e, l.program, l.pid, l.message, at)
		out.event(e)
	}
	return ""
}

func (d *syslogDecoder) finish(out *output) { d.audit.finish(out) }

func (d *syslogDecoder) time(text string) (time.Duration, bool) {
	if at, ok := parseTime(text); ok {
		return at, true
	}
	text = strings.Join(strings.Fields(text), " ")
	layout := "Jan 2 15:04:05.999999999"
	at, err := time.Parse(layout, text)
	if err != nil {
		if at, err = time.Parse("Jan 2 2006 15:04:05", text); err == nil {
			return event.Since(at), at.Unix() > 0
		}
		// 29 February exists in leap years only, and a stamp without a year counts as of year 0.
		if at, err = time.Parse("2006 "+layout, "2000 "+text); err != nil {
			return 0, false
		}
	}
	if d.year == 0 {
		d.year = 2000
	}
	if at.Month() < d.month-6 {
		d.year++
	}
	d.month = at.Month()
	day := time.Date(d.year, at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
	return event.Since(day), true
}

// messages turns the messages of Linux programs into events. It remembers what it
// needs to count each failed attempt once.
type messages struct {
	attempts attempts
}

// fill gives an event a program's message and what can be read from it.
func (m *messages) fill(e *event.Event, program, pid, message string, at time.Duration) {
	e.Source = event.LogSource{Product: "linux", Service: linuxService(program, message)}
	if e.Source.Service == "sshd" {
		m.attempts.fill(e, pid, message, at)
	} else {
		fillProgram(e, message)
	}
	e.Set(event.Message, message)
	if pid != "" {
		e.Set(event.SyslogPID, pid)
	}
	if program != "" {
		e.SetName("program", program)
	}
}

// linuxService is the service of Sigma's taxonomy that a program's messages belong to.
func linuxService(program, message string) string {
	program = strings.ToLower(program)
	if at := strings.LastIndexByte(program, '/'); at >= 0 { // postfix/smtpd, /usr/sbin/cron
		if strings.HasPrefix(program, "/") {
			program = program[at+1:]
		} else {
			program = program[:strings.IndexByte(program, '/')]
		}
	}
	switch program {
	case "sshd", "sshd-session", "sshd-auth":
		return "sshd"
	case "cron", "crond", "anacron", "crontab", "(cron)":
		return "cron"
	case "sudo":
		return "sudo"
	case "su":
		return "su"
	case "useradd",
		"usermod",
		"userdel",
		"groupadd",
		"groupmod",
		"groupdel",
		"passwd",
		"chpasswd",
		"chage",
		"gpasswd",
		"login",
		"systemd-logind",
		"polkitd",
		"pkexec",
		"gdm-password]",
		"gdm",
		"lightdm",
		"newusers",
		"chsh",
		"chfn":
		return "auth"
	case "clamd", "clamav", "freshclam", "clamscan", "clamonacc":
		return "clamav"
	case "vsftpd":
		return "vsftpd"
	case "guacd", "guacamole":
		return "guacamole"
	case "audit", "auditd", "audispd", "kernel":
		if strings.HasPrefix(message, "type=") && strings.Contains(message, "audit(") {
			return "auditd"
		}
	}
	if strings.Contains(message, "pam_unix(sshd:") {
		return "sshd"
	}
	return "syslog"
}

var (
	sudoCommand = regexp.MustCompile(
		`^\s*(?P<user>.+?) : (?:(?P<why>[^;]*?) ; )?(?:HOST=(?P<host>\S+) ; )?TTY=(?P<tty>\S+) ; PWD=(?P<cwd>.*?) ; USER=(?P<target>\S+) ;(?: GROUP=\S+ ;)?(?: TSID=\S+ ;)?(?: ENV=.*? ;)? COMMAND=(?P<command>.*)$`,
	)
	cronCommand = regexp.MustCompile(
		`^\((?P<user>[^)]*)\) (?P<action>CMD|RELOAD|LIST|REPLACE|BEGIN EDIT|END EDIT|EDIT|DELETE) \((?P<command>.*)\)$`,
	)
	suLine = regexp.MustCompile(
		`^(?P<outcome>FAILED SU |FAILED su |BAD SU |Successful su for |\+ \S+ |- \S+ )?\(?(?:to )?(?P<target>[^\s)]+)\)? (?:by )?(?P<user>\S+?)(?: on (?P<tty>\S+))?$`,
	)
	newUser = regexp.MustCompile(
		`^new (?P<what>user|group|account): name=(?P<target>[^,]+)(?:, UID=(?P<uid>\d+))?(?:, GID=(?P<gid>\d+))?(?:, home=(?P<home>[^,]+))?(?:, shell=(?P<shell>[^,]+))?`,
	)
	groupMember = regexp.MustCompile(`^add '(?P<target>[^']+)' to (?:shadow )?group '(?P<group>[^']+)'$`)
	pamSession  = regexp.MustCompile(
		`^pam_\w+\((?P<service>[^:)]+):session\): session (?P<what>opened|closed) for user (?P<target>[^\s(]+)(?:\(uid=\d+\))?(?: by (?P<user>[^\s(]*)\(uid=(?P<uid>\d+)\))?`,
	)
	pamFailure = regexp.MustCompile(
		`^pam_\w+\((?P<service>[^:)]+):auth\): (?:authentication failure;|received for user (?P<other>\S+):)`,
	)
	passwordSet = regexp.MustCompile(`^pam_\w+\(passwd:chauthtok\): password changed for (?P<target>\S+)`)
	removedUser = regexp.MustCompile(`^delete user '(?P<target>[^']+)'$`)
	userChanged = regexp.MustCompile(`^change user '(?P<target>[^']+)'`)
)

// fillProgram reads outcome and users from the messages of sudo, su, cron, the tools
// that manage accounts, and PAM.
func fillProgram(e *event.Event, message string) {
	set := func(f event.Field, v string) {
		if v != "" {
			e.Set(f, v)
		}
	}
	name := func(n, v string) {
		if v != "" {
			e.SetName(n, v)
		}
	}
	if m := pamSession.FindStringSubmatch(message); m != nil {
		e.Set(event.Action, "session_"+m[2])
		set(event.User, m[3])
		name("by", m[4])
		return
	}
	if pamFailure.MatchString(message) {
		e.Set(event.Action, "pam_authentication_failure")
		set(event.User, pamValue(message, "user"))
		set(event.SourceIp, pamAddress(message))
		name("by", pamValue(message, "ruser"))
		return
	}
	if m := passwordSet.FindStringSubmatch(message); m != nil {
		e.Set(event.Action, "password_changed")
		set(event.User, m[1])
		return
	}
	switch e.Source.Service {
	case "sudo":
		if m := sudoCommand.FindStringSubmatch(message); m != nil {
			e.Set(event.Action, "sudo_command")
			if why := m[2]; why != "" {
				e.Set(event.Action, "sudo_refused")
				name("reason", why)
			}
			set(event.User, m[1])
			set(event.TTY, m[4])
			set(event.WorkingDirectory, m[5])
			name("TargetUser", m[6])
			set(event.CommandLine, m[7])
		}
	case "cron":
		if m := cronCommand.FindStringSubmatch(message); m != nil {
			e.Set(event.Action, "cron_"+strings.ToLower(strings.ReplaceAll(m[2], " ", "_")))
			set(event.User, m[1])
			set(event.CommandLine, m[3])
		}
	case "su":
		if m := suLine.FindStringSubmatch(message); m != nil {
			outcome := "su_opened"
			if strings.HasPrefix(m[1], "F") || strings.HasPrefix(m[1], "B") || strings.HasPrefix(m[1], "-") {
				outcome = "su_failed"
			}
			e.Set(event.Action, outcome)
			set(event.User, m[3])
			name("TargetUser", m[2])
		}
	case "auth":
		switch {
		case newUser.MatchString(message):
			m := newUser.FindStringSubmatch(message)
			e.Set(event.Action, "new_"+m[1])
			set(event.User, m[2])
			set(event.UID, m[3])
			name("shell", m[6])
		case groupMember.MatchString(message):
			m := groupMember.FindStringSubmatch(message)
			e.Set(event.Action, "group_member_added")
			set(event.User, m[1])
			name("group", m[2])
		case removedUser.MatchString(message):
			e.Set(event.Action, "user_removed")
			set(event.User, removedUser.FindStringSubmatch(message)[1])
		case userChanged.MatchString(message):
			e.Set(event.Action, "user_changed")
			set(event.User, userChanged.FindStringSubmatch(message)[1])
		}
	}
}

// isJournald tells whether a document is an entry of systemd's journal.
func isJournald(o *fastjson.Object) bool {
	return o.Get("__REALTIME_TIMESTAMP") != nil ||
		o.Get("MESSAGE") != nil && (o.Get("SYSLOG_IDENTIFIER") != nil || o.Get("_PID") != nil)
}

// journald reads an entry as journalctl -o json writes it. A message that is no UTF-8
// is an array of bytes.
func (d *jsonDecoder) journald(e *event.Event, o *fastjson.Object) string {
	for _, name := range []string{"__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"} {
		if at, ok := parseTime(d.scalar(o.Get(name))); ok {
			e.Time = at
			break
		}
	}
	text := func(names ...string) string {
		for _, name := range names {
			v := o.Get(name)
			if v != nil && v.Type() == fastjson.TypeArray {
				var b []byte
				for _, item := range v.GetArray() {
					if n, err := item.Int(); err == nil {
						b = append(b, byte(n))
					}
				}
				return strings.ToValidUTF8(string(b), "\ufffd")
			}
			if t := d.scalar(v); t != "" {
				return t
			}
		}
		return ""
	}
	message := text("MESSAGE")
	if strings.HasPrefix(message, "<Event>") || strings.HasPrefix(message, "<Event ") {
		inner := xmlEvent(e, &d.arena, []byte(message))
		if e.Host == "" {
			e.Host = text("_HOSTNAME")
		}
		return inner
	}
	e.Host = text("_HOSTNAME")
	d.linux.fill(e, text("SYSLOG_IDENTIFIER", "_COMM"), text("SYSLOG_PID", "_PID"), message, e.Time)
	for _, pair := range [][2]string{
		{"_EXE", "exe"}, {"_COMM", "comm"}, {"_CMDLINE", "cmdline"}, {"_UID", "uid"}, {"_SYSTEMD_UNIT", "unit"}, {"PRIORITY", "priority"},
	} {
		if t := text(pair[0]); t != "" {
			e.SetName(pair[1], t)
		}
	}
	return ""
}
