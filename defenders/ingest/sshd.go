package ingest

import (
	"net/netip"
	"regexp"
	"strings"
	"time"

	"hemostat/sim/event"
)

// attempts reads the messages of OpenSSH's daemon. One refused password is told of up
// to three times, by PAM's module, by the daemon's PAM code and by the daemon; the
// first of each counts as failed_password, the others as failed_password_again.
type attempts struct {
	sessions map[string]*session // by process id
	order    []string
}

// session is what one process of the daemon told of failures.
type session struct {
	told    map[string]int // by who told it
	counted int
	last    time.Duration
}

const (
	maxSessions = 4096
	// sessionGap is the time after which a process id is taken for another process.
	sessionGap = 10 * time.Minute
)

// again tells whether a failure was counted by what another part of the daemon said.
func (a *attempts) again(pid, teller string, at time.Duration) bool {
	if pid == "" {
		return false
	}
	s := a.sessions[pid]
	if s == nil || at-s.last > sessionGap {
		if s == nil {
			if a.sessions == nil {
				a.sessions = map[string]*session{}
			}
			if len(a.order) >= maxSessions {
				delete(a.sessions, a.order[0])
				a.order = a.order[1:]
			}
			a.order = append(a.order, pid)
		}
		s = &session{told: map[string]int{}}
		a.sessions[pid] = s
	}
	s.last = at
	s.told[teller]++
	if s.told[teller] <= s.counted {
		return true
	}
	s.counted++
	return false
}

// The daemon puts the peer behind whatever the client chose: the user's name, the
// banner, the reason for leaving. So the last place that looks like a peer counts where
// such text comes before it, and the first where it comes behind.
var (
	authentication = regexp.MustCompile(
		`^(Accepted|Failed|Postponed|Partial) (\S+) for (invalid user |illegal user )?(.*)$`,
	)
	peerAtEnd = regexp.MustCompile(`^(.*) from (\S+) port (\d+)(?: ssh2| ssh1)?(: .*)?$`)
	keyBehind = regexp.MustCompile(
		`^: (?:\S+-CERT \S+ ID .* \(serial \d+\) CA \S+ \S+|(?:RSA|DSA|ECDSA|ED25519|ECDSA-SK|ED25519-SK|RSA1)(?:-CERT)? \S+(?: .*)?|[^ ]+, client user .*|\S+)$`,
	)
	connection  = regexp.MustCompile(`^(invalid user |authenticating user |user )?(.*)$`)
	addressPort = regexp.MustCompile(`^(\S+) port (\d+)`)
	spacePeer   = regexp.MustCompile(`^(.*) (\S+) port (\d+)(?::.*)?$`)
	plainPeer   = regexp.MustCompile(`^(\S+) port (\d+)(?:[: ].*)?$`)
	fromPeer    = regexp.MustCompile(`^(.*) from (\S+?)(?: port (\d+))?$`)
	notAllowed  = regexp.MustCompile(`^User (.*) from (\S+) not allowed because (.*)$`)
	tooMany     = regexp.MustCompile(
		`^(?:error: )?maximum authentication attempts exceeded for (invalid user |illegal user )?(.*) from (\S+) port (\d+)(?: ssh2)?$`,
	)
	pamError     = regexp.MustCompile(`^(?:error: )?PAM: (.*) for (illegal user |invalid user )?(.*) from (\S+)$`)
	banner       = regexp.MustCompile(`^Bad protocol version identification '(.*)' from (\S+?)(?: port (\d+))?$`)
	mapping      = regexp.MustCompile(`^reverse mapping checking getaddrinfo for .* \[(\S+)\] failed`)
	mapsTo       = regexp.MustCompile(`^Address (\S+) maps to `)
	startSession = regexp.MustCompile(`^Starting session: (.*) for (\S+) from (\S+) port (\d+)`)
	closeSession = regexp.MustCompile(`^Close session: user (\S+) from (\S+) port (\d+)`)
	pamUnix      = regexp.MustCompile(`^pam_\w+\(sshd:(auth|account|session)\): (.*)$`)
	morePAM      = regexp.MustCompile(`^(?:error: )?PAM (\d+) more authentication failures?;`)
	unknownUser  = regexp.MustCompile(`^input_userauth_request: (?:invalid|illegal) user (.*)$`)
	dropped      = regexp.MustCompile(`^drop connection #\d+ from \[([^\]]+)\]:(\d+)`)
	tooLate      = regexp.MustCompile(
		`^(?:fatal: )?Timeout before authentication for (?:connection from )?(\S+?)(?: port (\d+)| to \S+,.*)?$`,
	)
	rootRefused   = regexp.MustCompile(`^ROOT LOGIN REFUSED FROM (\S+?)(?: port (\d+))?$`)
	refusedByTCPD = regexp.MustCompile(`^refused connect from .* \((\S+)\)$`)
	listening     = regexp.MustCompile(`^Server listening on (\S+) port (\d+)`)
)

// fill reads what a message of the daemon says of outcome, user and peer.
func (a *attempts) fill(e *event.Event, pid, message string, at time.Duration) {
	text := strings.TrimSuffix(strings.TrimSpace(message), " [preauth]")
	p := sshMessage{text: text}
	p.read()
	if p.teller != "" && a.again(pid, p.teller, at) {
		p.action = "failed_password_again"
	}
	if p.action != "" {
		e.Set(event.Action, p.action)
	}
	if p.user != "" {
		e.Set(event.User, p.user)
	}
	if addr := address(p.peer); addr != "" {
		e.Set(event.SourceIp, addr)
	} else if p.peer != "" {
		e.SetName("SourceHostname", p.peer)
	}
	if p.port != "" {
		e.Set(event.SourcePort, p.port)
	}
}

// address is the text of an IP address, "" for what is none.
func address(s string) string {
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return addr.Unmap().String()
	}
	return ""
}

// sshMessage is what a message says.
type sshMessage struct {
	text                     string
	action, user, peer, port string
	teller                   string // of a refused password
}

func (p *sshMessage) read() {
	for _, read := range []func(*sshMessage) bool{
		(*sshMessage).authentication, (*sshMessage).pam, (*sshMessage).refused, (*sshMessage).leaving, (*sshMessage).other,
	} {
		if read(p) {
			return
		}
	}
}

// authentication reads the outcome of one method: auth_log in OpenSSH's auth.c.
func (p *sshMessage) authentication() bool {
	m := authentication.FindStringSubmatch(p.text)
	if m == nil {
		return false
	}
	method := strings.ToLower(m[2])
	switch method {
	case "keyboard-interactive/pam", "keyboard-interactive", "challenge-response":
		method = "password"
	}
	p.action = strings.ToLower(m[1]) + "_" + strings.NewReplacer("-", "_", "/", "_").Replace(method)
	if m[1] == "Failed" && method == "password" {
		p.teller = "daemon"
	}
	p.userAndPeer(m[4])
	return true
}

// userAndPeer splits "USER from ADDRESS port N ssh2", behind which a key may stand. The
// last split whose rest is well-formed counts.
func (p *sshMessage) userAndPeer(text string) {
	for end := len(text); ; {
		at := strings.LastIndex(text[:end], " from ")
		if at < 0 {
			if rest, ok := strings.CutPrefix(text, "from "); ok { // an empty name
				p.userAndPeer(" from " + rest)
			}
			return
		}
		if m := peerAtEnd.FindStringSubmatch("x" + text[at:]); m != nil && m[1] == "x" && address(m[2]) != "" &&
			(m[4] == "" || keyBehind.MatchString(m[4])) {
			p.user, p.peer, p.port = strings.TrimSpace(text[:at]), m[2], m[3]
			return
		}
		end = at
	}
}

// pam reads what PAM and its modules say.
func (p *sshMessage) pam() bool {
	if m := pamUnix.FindStringSubmatch(p.text); m != nil {
		rest := m[2]
		switch {
		case strings.HasPrefix(rest, "authentication failure;"):
			p.action, p.teller = "failed_password", "module"
			p.user, p.peer = pamValue(rest, "user"), pamValue(rest, "rhost")
		case strings.HasPrefix(rest, "session opened for user "), strings.HasPrefix(rest, "session closed for user "):
			p.action = "session_" + rest[len("session "):len("session ")+6]
			p.user, _, _ = strings.Cut(strings.Fields(rest)[4], "(")
		case strings.HasPrefix(rest, "check pass; user unknown"):
			p.action = "unknown_user"
		case strings.HasPrefix(rest, "Consecutive login failures for user "):
			p.action, p.user = "account_locked", strings.Fields(rest)[5]
		}
		return true
	}
	if m := pamError.FindStringSubmatch(p.text); m != nil {
		p.action, p.teller = "failed_password", "pam"
		p.user, p.peer = m[3], m[4]
		return true
	}
	if morePAM.MatchString(p.text) {
		p.action, p.user, p.peer = "more_authentication_failures", pamValue(p.text, "user"), pamValue(p.text, "rhost")
		return true
	}
	return false
}

// pamValue is a value among those that PAM's modules write as name=value. The user is
// the last and what the client chose; nothing before it is.
func pamValue(text, name string) string {
	if name == "user" {
		if at := strings.Index(text, " user="); at >= 0 {
			return strings.TrimSpace(text[at+len(" user="):])
		}
		return ""
	}
	before, _, _ := strings.Cut(text, " user=")
	for _, field := range strings.Fields(before) {
		if v, ok := strings.CutPrefix(field, name+"="); ok {
			return v
		}
	}
	return ""
}

// pamAddress is the remote host of a failure when it is an address.
func pamAddress(text string) string { return address(pamValue(text, "rhost")) }

// refused reads messages on users and connections that are turned away.
func (p *sshMessage) refused() bool {
	if rest, ok := cutPrefixes(p.text, "Invalid user ", "Illegal user "); ok {
		p.action = "invalid_user"
		if strings.HasPrefix(rest, "from ") {
			rest = " " + rest
		}
		if m := fromPeer.FindStringSubmatch(rest); m != nil {
			p.user, p.peer, p.port = m[1], m[2], m[3]
		}
		return true
	}
	if m := notAllowed.FindStringSubmatch(p.text); m != nil {
		p.action, p.user, p.peer = "user_not_allowed", m[1], m[2]
		return true
	}
	if m := tooMany.FindStringSubmatch(p.text); m != nil {
		p.action, p.user, p.peer, p.port = "max_attempts", m[2], m[3], m[4]
		return true
	}
	if m := unknownUser.FindStringSubmatch(p.text); m != nil {
		p.action, p.user = "invalid_user_request", m[1]
		return true
	}
	if m := rootRefused.FindStringSubmatch(p.text); m != nil {
		p.action, p.user, p.peer, p.port = "user_not_allowed", "root", m[1], m[2]
		return true
	}
	if m := refusedByTCPD.FindStringSubmatch(p.text); m != nil {
		p.action, p.peer = "connection_refused", m[1]
		return true
	}
	if m := dropped.FindStringSubmatch(p.text); m != nil {
		p.action, p.peer, p.port = "connection_dropped", m[1], m[2]
		return true
	}
	return false
}

// leaving reads messages on connections that end.
func (p *sshMessage) leaving() bool {
	if rest, ok := strings.CutPrefix(p.text, "Received disconnect from "); ok { // then the client's own words
		p.action = "disconnected"
		p.first(rest)
		return true
	}
	for _, prefix := range []string{
		"Connection closed by ", "Connection reset by ", "Disconnected from ", "Disconnecting ", "Timeout, client not responding from ",
		"ssh_dispatch_run_fatal: Connection from ", "fatal: ssh_dispatch_run_fatal: Connection from ", "packet_write_poll: Connection from ",
		"ssh_packet_write_poll: Connection from ", "error: kex_exchange_identification: Connection from ",
	} {
		rest, ok := strings.CutPrefix(p.text, prefix)
		if !ok {
			continue
		}
		p.action = "disconnected"
		m := connection.FindStringSubmatch(rest)
		switch m[1] {
		case "":
			p.first(m[2])
		default: // the user's name, then the peer
			if prefix == "Disconnecting " {
				if at := strings.LastIndex(m[2], ": "); at >= 0 && spacePeer.MatchString(m[2][:at]) {
					m[2] = m[2][:at]
				}
			}
			if peer := spacePeer.FindStringSubmatch(" " + m[2]); peer != nil {
				p.user, p.peer, p.port = strings.TrimSpace(peer[1]), peer[2], peer[3]
			}
		}
		return true
	}
	if m := tooLate.FindStringSubmatch(p.text); m != nil {
		p.action, p.peer, p.port = "authentication_timeout", m[1], m[2]
		return true
	}
	if m := closeSession.FindStringSubmatch(p.text); m != nil {
		p.action, p.user, p.peer, p.port = "session_closed", m[1], m[2], m[3]
		return true
	}
	return false
}

// first takes the peer from the beginning of a text.
func (p *sshMessage) first(text string) {
	if m := addressPort.FindStringSubmatch(text); m != nil {
		p.peer, p.port = m[1], m[2]
		return
	}
	word, _, _ := strings.Cut(text, " ")
	if address(word) == "" {
		word = strings.TrimRight(word, ":")
	}
	for address(word) == "" && strings.Contains(word, ":") { // 203.0.113.9:11
		word = word[:strings.LastIndexByte(word, ':')]
	}
	p.peer = word
}

func (p *sshMessage) other() bool {
	if rest, ok := strings.CutPrefix(p.text, "Did not receive identification string from "); ok {
		p.action = "no_identification"
		p.first(rest)
		return true
	}
	if m := banner.FindStringSubmatch(p.text); m != nil {
		p.action, p.peer, p.port = "bad_protocol_version", m[2], m[3]
		return true
	}
	for _, form := range []struct{ prefix, action string }{
		{"banner exchange: Connection from ", "bad_protocol_version"},
		{"error: kex_exchange_identification: banner line contains invalid characters", "bad_protocol_version"},
		{"Unable to negotiate with ", "no_common_algorithm"},
		{"fatal: Unable to negotiate with ", "no_common_algorithm"},
		{"Connection from ", "connected"},
		{"Nasty PTR record ", "reverse_mapping_failed"},
		{"Bad packet length ", "bad_packet"},
		{"Protocol major versions differ for ", "bad_protocol_version"},
		{"error: Received disconnect from ", "disconnected"},
	} {
		if rest, ok := strings.CutPrefix(p.text, form.prefix); ok {
			p.action = form.action
			if plainPeer.MatchString(rest) || strings.HasPrefix(form.prefix, "error: Received") {
				p.first(rest)
			}
			return true
		}
	}
	if m := mapping.FindStringSubmatch(p.text); m != nil {
		p.action, p.peer = "reverse_mapping_failed", m[1]
		return true
	}
	if m := mapsTo.FindStringSubmatch(p.text); m != nil {
		p.action, p.peer = "reverse_mapping_failed", m[1]
		return true
	}
	if m := startSession.FindStringSubmatch(p.text); m != nil {
		p.action, p.user, p.peer, p.port = "session_started", m[2], m[3], m[4]
		return true
	}
	if listening.MatchString(p.text) {
		p.action = "listening"
		return true
	}
	return false
}

func cutPrefixes(s string, prefixes ...string) (string, bool) {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return rest, true
		}
	}
	return s, false
}
