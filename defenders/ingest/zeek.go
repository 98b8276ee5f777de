package ingest

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// isZeek tells whether a document is a record of Zeek's JSON logs.
func isZeek(o *fastjson.Object) bool {
	keys := 0
	for _, key := range []string{"ts", "_path", "@stream", "uid", "fuid", "uids", "id.orig_h", "id_orig_h", "fuids", "note"} {
		if o.Get(key) != nil {
			keys++
		}
	}
	return keys >= 2 || o.Get("ts") != nil && has(o, "id.orig_h")
}

func (d *jsonDecoder) zeek(e *event.Event, o *fastjson.Object) string {
	stream := ""
	f := flattener{d: d, e: e}
	o.Visit(func(key []byte, v *fastjson.Value) {
		switch string(key) {
		case "@stream", "_path":
			stream = d.scalar(v)
		case "@system", "_system_name":
			e.Sensor = d.scalar(v)
		case "@proc", "_write_ts":
		default:
			name := key
			if renamed := zeekName(string(key)); renamed != "" {
				name = []byte(renamed)
			}
			f.value(name, v)
		}
	})
	f.finish()
	if stream == "" {
		stream = d.stream
	}
	if !slices.Contains(zeekStreams, stream) {
		if known := zeekStream(func(field string) bool { _, ok := e.Lookup(field); return ok }); known != "" {
			stream = known
		}
	}
	return finishZeek(e, stream)
}

// zeekName restores the dots that some exporters turn into underscores; "" is a name
// that needs none.
func zeekName(name string) string {
	for _, prefix := range []string{"id_orig_", "id_resp_"} {
		if strings.HasPrefix(name, prefix) {
			return "id." + name[3:]
		}
	}
	if rest, ok := strings.CutPrefix(name, "certificate_"); ok {
		return "certificate." + rest
	}
	return ""
}

// zeekStreams are the logs that Zeek writes and that are named like this.
var zeekStreams = []string{
	"conn", "dns", "http", "ssl", "files", "x509", "kerberos", "smb_files", "smb_mapping", "dce_rpc", "ntlm", "rdp", "ssh", "smtp", "ftp",
	"weird", "notice", "dhcp", "software", "tunnel", "pe", "snmp", "socks", "syslog", "radius", "modbus", "dnp3", "mysql", "irc", "sip",
	"intel", "ocsp", "known_hosts", "known_services", "known_certs", "capture_loss", "reporter", "stats", "packet_filter", "loaded_scripts",
	"analyzer", "dpd", "traceroute", "ldap", "ldap_search", "quic", "websocket", "postgresql", "redis",
}

// zeekSignatures are fields by which a log is known whose name says nothing.
var zeekSignatures = []struct {
	stream string
	fields []string
}{
	{
		"dns",
		[]string{"query", "trans_id"},
	}, {"dns", []string{"query", "qtype_name"}}, {"dns", []string{"query", "rejected"}},
	{"dns", []string{"query", "rcode_name"}},
	{"http", []string{"method", "uri"}}, {"http", []string{"host", "user_agent"}},
	{"kerberos", []string{"request_type", "till"}}, {"kerberos", []string{"request_type", "service"}},
	{"smb_mapping", []string{"share_type"}},
	{"dce_rpc", []string{"endpoint", "operation"}},
	{"ntlm", []string{"server_nb_computer_name"}},
	{"rdp", []string{"security_protocol"}}, {"rdp", []string{"cookie", "result"}},
	{"ssh", []string{"auth_attempts"}}, {"ssh", []string{"hassh"}},
	{"x509", []string{"certificate.serial"}},
	{"ssl", []string{"cipher", "server_name"}}, {"ssl", []string{"established", "resumed"}},
	{
		"files",
		[]string{"fuid", "analyzers"},
	}, {"files", []string{"fuid", "mime_type", "seen_bytes"}}, {"files", []string{"fuid", "source"}},
	{"smb_files", []string{"action", "path", "name"}}, {"smb_files", []string{"times.modified"}},
	{"smtp", []string{"mailfrom"}}, {"smtp", []string{"helo"}},
	{"ftp", []string{"command", "reply_code"}},
	{"dhcp", []string{"client_addr", "mac"}},
	{"notice", []string{"note", "msg"}},
	{"weird", []string{"notice", "peer", "name"}},
	{"software", []string{"software_type"}},
	{"tunnel", []string{"tunnel_type"}},
	{"pe", []string{"is_exe", "compile_ts"}},
	{"conn", []string{"conn_state"}}, {"conn", []string{"proto", "history"}},
}

// zeekStream finds a record's log by its fields; "" when none fits.
func zeekStream(has func(field string) bool) string {
	for _, s := range zeekSignatures {
		if !slices.ContainsFunc(s.fields, func(f string) bool { return !has(f) }) {
			return s.stream
		}
	}
	return ""
}

// zeekStreamOf is the log that a file's name says: dns.log, dns.08:00:00-09:00:00.log.gz
// and dns-20260302.log are all dns.
func zeekStreamOf(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return strings.ToLower(name[:i])
		}
	}
	return strings.ToLower(name)
}

// finishZeek completes a record: its time, host and log source.
func finishZeek(e *event.Event, stream string) string {
	ts, ok := e.Get(event.ZeekTime)
	if !ok {
		return "no ts"
	}
	if e.Time, ok = zeekTime(ts); !ok {
		return "ts is no time"
	}
	e.Observed = e.Time
	if e.Host = firstOf(e, event.IDOrigHost); e.Host == "" {
		e.Host = firstOf(e, event.TxHosts)
	}
	e.Source = event.LogSource{Product: "zeek", Service: stream}
	if stream == "dns" {
		e.Source.Category = "dns"
	}
	return ""
}

func firstOf(e *event.Event, f event.Field) string {
	if members := e.Members(f, ""); members != nil {
		return members[0]
	}
	return e.Value(f)
}

// zeekTSV reads Zeek's logs of tab-separated values behind a header. A header may
// come again, as in logs put one behind another.
type zeekTSV struct {
	stream    string
	arena     event.Arena
	fields    []string
	kinds     []string // the header's types, by column
	separator string
	set       string // what stands between the members of sets and vectors
	empty     string
	unset     string
}

func newZeekTSV(stream string) *zeekTSV {
	return &zeekTSV{stream: stream, separator: "\t", set: ",", empty: "(empty)", unset: "-"}
}

func (d *zeekTSV) decode(line []byte, out *output) string {
	if line[0] == '#' {
		d.header(string(line))
		return ignored
	}
	if len(d.fields) == 0 {
		return "no #fields header before it"
	}
	values := bytes.Split(line, []byte(d.separator))
	if len(values) != len(d.fields) {
		return "number of columns differs from the header"
	}
	e := d.arena.New(len(values))
	for i, raw := range values {
		if v := string(raw); v != d.unset {
			d.put(e, i, v)
		}
	}
	if reason := finishZeek(e, d.stream); reason != "" {
		return reason
	}
	out.event(e)
	return ""
}

// put gives an event a column's value, by the column's type.
func (d *zeekTSV) put(e *event.Event, column int, v string) {
	kind := ""
	if column < len(d.kinds) {
		kind = d.kinds[column]
	}
	name := d.fields[column]
	switch {
	case kind == "bool":
		switch v {
		case "T":
			v = "true"
		case "F":
			v = "false"
		}
		e.SetName(name, v)
	case strings.HasPrefix(kind, "set[") || strings.HasPrefix(kind, "vector["):
		if v == d.empty {
			return
		}
		members := strings.Split(v, d.set)
		for i := range members {
			members[i] = unescapeZeek(members[i])
		}
		if strings.Contains(kind, "[bool]") {
			for i := range members {
				members[i] = map[string]string{"T": "true", "F": "false"}[members[i]]
			}
		}
		e.SetList(name, members)
	case v == d.empty:
		e.SetName(name, "")
	default:
		e.SetName(name, unescapeZeek(v))
	}
}

// unescapeZeek restores bytes that Zeek writes as \xNN.
func unescapeZeek(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func (d *zeekTSV) header(line string) {
	if text, ok := strings.CutPrefix(line, "#separator "); ok {
		d.separator = unescapeZeek(text)
		return
	}
	name, value, _ := strings.Cut(line, d.separator)
	switch name {
	case "#path":
		d.stream = value
	case "#fields":
		d.fields = strings.Split(value, d.separator)
	case "#types":
		d.kinds = strings.Split(value, d.separator)
	case "#set_separator":
		d.set = unescapeZeek(value)
	case "#empty_field":
		d.empty = value
	case "#unset_field":
		d.unset = value
	}
}
