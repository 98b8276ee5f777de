package ingest

import (
	"bufio"
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"

	"hemostat/defenders/ingest/capture"
	"hemostat/defenders/ingest/evtx"
)

// Format is one form of logs that is read.
type Format struct {
	Name string
	// Sources are the logs that come in this form.
	Sources string
	// Recognised is how a log of this form is known.
	Recognised string
	// Example is one line, or the beginning of one record.
	Example string

	// matches tells whether a line is of the form; nil for forms known otherwise.
	matches func(line string) bool
	// read reads an input of the form.
	read func(ctx context.Context, name string, in *bufio.Reader, out *output) error
}

// lines makes a reader of a decoder of lines.
func lines(newDecoder func(name string) decoder) func(context.Context, string, *bufio.Reader, *output) error {
	return func(ctx context.Context, name string, in *bufio.Reader, out *output) error {
		return readLines(ctx, name, in, newDecoder(name), out)
	}
}

func readJSON(ctx context.Context, name string, in *bufio.Reader, out *output) error {
	stream := zeekStreamOf(strings.TrimPrefix(filepath.Base(name), "standard input"))
	newDecoder := func() *jsonDecoder { return newJSONDecoder(stream) }
	if !oneLine(in) {
		return (&documents{ctx: ctx, name: name, in: in, d: newDecoder(), out: out}).read()
	}
	if head, _ := in.Peek(headSize); bytes.Contains(
		head,
		[]byte(`"MESSAGE"`),
	) { // what came before counts in the journal
		return readLines(ctx, name, in, newDecoder(), out)
	}
	return readBlocks(ctx, name, in, newDecoder, out)
}

// oneLine tells whether JSON stands on one line a document.
func oneLine(in *bufio.Reader) bool {
	head, err := in.Peek(headSize)
	head = bytes.TrimLeft(head, "\xef\xbb\xbf\x1e \t\r\n")
	line, _, whole := bytes.Cut(head, []byte("\n"))
	line = bytes.TrimSpace(line)
	switch {
	case len(line) == 0 || line[0] != '{' || wraps(in):
		return false
	case !whole && err == nil: // the first line is longer than what was looked at
		return true
	}
	return line[len(line)-1] == '}' && len(line) > 2 || whole && len(line) > 200
}

// Formats are those that are read, in the order in which they are tried.
func Formats() []Format {
	return []Format{
		{
			Name: "evtx", Sources: "Windows event logs as Windows keeps them (.evtx), whole or carved",
			Recognised: "the file begins with ElfFile or ElfChnk",
			Example:    `C:\Windows\System32\winevt\Logs\Security.evtx`,
			read:       readEVTX,
		},
		{
			Name: "pcap", Sources: "recorded packets, pcap and pcapng: connections, TLS and QUIC handshakes, certificates, DNS and clear-text " +
				"HTTP as events in the form of Zeek's logs",
			Recognised: "the file begins with the magic number of pcap (a1b2c3d4, a1b23c4d, in either order) or pcapng (0a0d0d0a)",
			Example:    "tcpdump -w capture.pcap",
			read:       readPCAP,
		},
		{
			Name: "winxml", Sources: "Windows events as XML: wevtutil, Event Viewer, Splunk's XmlWinEventLog; Sysmon for Linux",
			Recognised: "elements <Event>, one a line or many, within <Events> or not",
			Example:    `<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name="Microsoft-Windows-Sysmon"/><EventID>1</EventID>…`,
			matches: func(line string) bool {
				return strings.HasPrefix(line, "<?xml") || strings.HasPrefix(line, "<Event") ||
					strings.HasPrefix(line, "<!--")
			},
			read: func(ctx context.Context, name string, in *bufio.Reader, out *output) error {
				return (&xmlEvents{ctx: ctx, name: name, in: in, out: out}).read()
			},
		},
		{
			Name: "json",
			Sources: "Windows events as JSON (flat, nested, Winlogbeat, Elastic, Splunk, Wazuh, Get-WinEvent, " +
				"EvtxECmd, evtx_dump), Zeek, Suricata, journald, CloudTrail, Entra ID, Azure, Microsoft " +
				"365, Okta, Google Cloud and Workspace, Kubernetes, GitHub, Bitbucket, Duo, OpenCanary, " +
				"Elastic Common Schema, and the program's own events",
			Recognised: "each document by its keys; one a line, over several lines, in an array, or in the list of an export",
			Example:    `{"EventID":4625,"Channel":"Security","Computer":"pc1","SystemTime":"2026-03-02T08:00:00Z","TargetUserName":"kim"}`,
			matches: func(line string) bool {
				return jsonStart.MatchString(line) || recordLine.MatchString(line)
			},
			read: readJSON,
		},
		{
			Name: "zeek", Sources: "Zeek's logs of tab-separated values",
			Recognised: "lines #separator and #fields; the log by #path, by its name (dns.log, dns.08:00:00-09:00:00.log.gz), or by its fields",
			Example:    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tquery",
			matches: func(line string) bool {
				return strings.HasPrefix(line, "#separator") || strings.HasPrefix(line, "#fields") ||
					strings.HasPrefix(line, "#path")
			},
			read: lines(func(name string) decoder { return newZeekTSV(zeekStreamOf(name)) }),
		},
		{
			Name: "w3c", Sources: "web servers and proxies in W3C's extended format: IIS, ProxySG, and others",
			Recognised: "a line #Fields: or #Software:",
			Example:    "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status",
			matches: func(line string) bool {
				return strings.HasPrefix(line, "#Fields:") || strings.HasPrefix(line, "#Software:") ||
					strings.HasPrefix(line, "#Version:")
			},
			read: lines(func(string) decoder { return &w3cDecoder{} }),
		},
		{
			Name: "auditd", Sources: "the Linux audit daemon's audit.log, also with node= and enriched",
			Recognised: "type=… msg=audit(…)",
			Example:    `type=EXECVE msg=audit(1772439300.123:42): argc=2 a0="cat" a1="/etc/shadow"`,
			matches:    isAuditd,
			read:       lines(func(string) decoder { return &auditdDecoder{} }),
		},
		{
			Name: "access", Sources: "access logs of Apache httpd and nginx, common and combined",
			Recognised: "address, names, [time], \"request\", status, size",
			Example:    `203.0.113.9 - - [02/Mar/2026:08:15:01 +0100] "GET /index.php?id=1 HTTP/1.1" 200 512 "-" "curl/8.0"`,
			matches:    isAccessLog,
			read:       lines(func(string) decoder { return &accessDecoder{} }),
		},
		{
			Name:       "syslog",
			Sources:    "syslog of RFC 3164 and RFC 5424: sshd under each of its names, sudo, su, cron, the tools for accounts, PAM, and all else as text",
			Recognised: "a stamp (classic or ISO), with a priority or without, a host and a program",
			Example:    "Mar  2 08:15:01 gate sshd[701]: Failed password for root from 203.0.113.9 port 4001 ssh2",
			matches:    isSyslog,
			read:       lines(func(string) decoder { return &syslogDecoder{} }),
		},
	}
}

var (
	recordLine = regexp.MustCompile(`^Record \d+$`)
	jsonStart  = regexp.MustCompile(`^(\[[\s,]*)*(\{\s*("|\}|$)|\[\s*(\]|$))`)
)

// formatAliases are names that stand for others: those of releases before, and the
// kinds of JSON.
var formatAliases = map[string]string{
	"winlog":     "json",
	"ndjson":     "json",
	"sshd":       "syslog",
	"journald":   "json",
	"suricata":   "json",
	"cloudtrail": "json",
}

// FormatNames lists the names that Options.Format takes.
func FormatNames() []string {
	names := []string{"auto"}
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	return append(names, "winlog", "ndjson", "sshd")
}

// formatOf finds the form of an input by its beginning; nil for one that is none.
func formatOf(head []byte) *Format {
	formats := Formats()
	if evtx.IsEVTX(head) {
		return &formats[0]
	}
	if capture.IsCapture(head) {
		return &formats[1]
	}
	if bytes.IndexByte(head[:min(len(head), 512)], 0) >= 0 {
		return nil // no text
	}
	for line := range bytes.Lines(head) {
		text := string(trimLine(line))
		if text == "" {
			continue
		}
		for i := range formats {
			if m := formats[i].matches; m != nil && m(text) {
				return &formats[i]
			}
		}
	}
	return nil
}
