package ingest

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"hemostat/sim/event"
)

// sshdDecoder reads OpenSSH's syslog lines. Classic syslog carries no year, so
// the log is placed in 2000 and moves on when the month falls back; what matters
// to detection is the distance between lines.
type sshdDecoder struct {
	year  int
	month time.Month
	arena event.Arena
}

var (
	classicLine = regexp.MustCompile(`^([A-Z][a-z]{2}\s+\d+ \d\d:\d\d:\d\d) (\S+) sshd(?:-session)?\[(\d+)\]: (.*)$`)
	isoLine     = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\S+) (\S+) sshd(?:-session)?\[(\d+)\]: (.*)$`)
	syslogLine  = regexp.MustCompile(`^([A-Z][a-z]{2}\s+\d+ \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ [^:]+:`)
	repeated    = regexp.MustCompile(`^message repeated (\d+) times: \[ (.*)\]$`)
	patterns    = []struct {
		action string
		re     *regexp.Regexp
	}{
		{"failed_password", regexp.MustCompile(`^Failed (?:password|keyboard-interactive/pam) for (?:invalid user )?(?P<user>.*?) from (?P<ip>\S+) port (?P<port>\d+)`)},
		{"failed_none", regexp.MustCompile(`^Failed none for (?:invalid user )?(?P<user>.*?) from (?P<ip>\S+) port (?P<port>\d+)`)},
		{"failed_publickey", regexp.MustCompile(`^Failed publickey for (?:invalid user )?(?P<user>.*?) from (?P<ip>\S+) port (?P<port>\d+)`)},
		{"accepted_password", regexp.MustCompile(`^Accepted (?:password|keyboard-interactive/pam) for (?P<user>.*?) from (?P<ip>\S+) port (?P<port>\d+)`)},
		{"accepted_publickey", regexp.MustCompile(`^Accepted publickey for (?P<user>.*?) from (?P<ip>\S+) port (?P<port>\d+)`)},
		{"invalid_user", regexp.MustCompile(`^Invalid user (?P<user>.*?) from (?P<ip>[0-9A-Fa-f.:]+)(?: port (?P<port>\d+))?`)},
		{"max_attempts", regexp.MustCompile(`maximum authentication attempts exceeded for (?:invalid user )?(?P<user>.*?) from (?P<ip>\S+) port (?P<port>\d+)`)},
		{"reverse_mapping_failed", regexp.MustCompile(`^reverse mapping checking getaddrinfo for \S+ \[(?P<ip>[^\]]+)\] failed`)},
		{"no_identification", regexp.MustCompile(`^Did not receive identification string from (?P<ip>\S+)`)},
		{"disconnected", regexp.MustCompile(`(?:Connection closed by|Received disconnect from|Disconnected from)(?: invalid user| authenticating user)?(?: \S+)? (?P<ip>\d+\.\d+\.\d+\.\d+)`)},
		{"session_opened", regexp.MustCompile(`session opened for user (?P<user>\S+)`)},
		{"session_closed", regexp.MustCompile(`session closed for user (?P<user>\S+)`)},
	}
)

func (d *sshdDecoder) decode(line []byte, emit func(*event.Event) error) (string, error) {
	text := string(line)
	m := classicLine.FindStringSubmatch(text)
	if m == nil {
		m = isoLine.FindStringSubmatch(text)
	}
	if m == nil {
		if syslogLine.MatchString(text) {
			return "line of another program than sshd", nil
		}
		return "no syslog line", nil
	}
	at, ok := d.time(m[1])
	if !ok {
		return "the time is unreadable", nil
	}
	message, times := m[4], 1
	if r := repeated.FindStringSubmatch(message); r != nil {
		if n, err := strconv.Atoi(r[1]); err == nil && n > 0 && n <= 1000 {
			message, times = r[2], n
		}
	}
	for range times {
		e := d.arena.New(8)
		e.Time, e.Observed, e.Host, e.Source = at, at, m[2], event.SSHD.Source
		d.fill(e, message)
		e.Set(event.Message, message)
		e.Set(event.SyslogPID, m[3])
		if err := emit(e); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (d *sshdDecoder) fill(e *event.Event, message string) {
	for _, p := range patterns {
		m := p.re.FindStringSubmatch(message)
		if m == nil {
			continue
		}
		e.Set(event.Action, p.action)
		for i, name := range p.re.SubexpNames() {
			switch {
			case m[i] == "":
			case name == "user":
				e.Set(event.User, m[i])
			case name == "ip":
				e.Set(event.SourceIp, m[i])
			case name == "port":
				e.Set(event.SourcePort, m[i])
			}
		}
		return
	}
}

func (d *sshdDecoder) time(text string) (time.Duration, bool) {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return time.Duration(at.UnixNano()), true
	}
	at, err := time.Parse("Jan 2 15:04:05", strings.Join(strings.Fields(text), " "))
	if err != nil {
		return 0, false
	}
	if d.year == 0 {
		d.year = 2000
	}
	if at.Month() < d.month-6 {
		d.year++
	}
	d.month = at.Month()
	return time.Duration(time.Date(d.year, at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC).UnixNano()), true
}
