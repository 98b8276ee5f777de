package ingest

import (
	"regexp"
	"strings"

	"hemostat/sim/event"
)

// accessDecoder reads access logs of web servers in the common and the combined format
// of Apache httpd and nginx, also with a virtual host before it.
type accessDecoder struct{ arena event.Arena }

var accessLine = regexp.MustCompile(
	`^(\S+) (\S+) (.*?) ?\[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}|-) (\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?`,
)

// accessRecord is a line taken apart.
type accessRecord struct {
	virtualHost, client, user, stamp, request, status, size, referrer, agent string
}

func parseAccess(line string) (accessRecord, bool) {
	m := accessLine.FindStringSubmatch(line)
	if m == nil {
		return accessRecord{}, false
	}
	r := accessRecord{
		client: m[1], user: m[3], stamp: m[4], request: unescapeAccess(m[5]), status: m[6], size: m[7],
		referrer: unescapeAccess(m[8]), agent: unescapeAccess(m[9]),
	}
	if address(m[1]) == "" && address(m[2]) != "" { // a virtual host before the client
		r.virtualHost, r.client = m[1], m[2]
		_, r.user, _ = strings.Cut(m[3], " ")
	}
	return r, true
}

// isAccessLog tells whether a line is of a web server's access log.
func isAccessLog(line string) bool {
	r, ok := parseAccess(line)
	if !ok {
		return false
	}
	_, ok = parseTime(r.stamp)
	return ok
}

func (d *accessDecoder) decode(line []byte, out *output) string {
	r, ok := parseAccess(string(line))
	if !ok {
		return "no line of an access log"
	}
	at, ok := parseTime(r.stamp)
	if !ok {
		return "the time is unreadable"
	}
	e := d.arena.New(16)
	e.Time, e.Host = at, r.virtualHost
	e.Source = event.LogSource{Category: "webserver", Service: "access"}
	set := func(name, value string) {
		if value != "" && value != "-" {
			e.SetName(name, value)
		}
	}
	set("c-ip", r.client)
	set("SourceIp", address(r.client))
	set("cs-username", r.user)
	set("cs-host", r.virtualHost)
	method, uri, _ := strings.Cut(r.request, " ")
	if cut := strings.LastIndex(uri, " HTTP/"); cut >= 0 {
		set("cs-version", uri[cut+1:])
		uri = uri[:cut]
	}
	set("cs-method", method)
	requestURI(set, uri)
	set("sc-status", r.status)
	set("sc-bytes", r.size)
	set("cs-referer", r.referrer)
	set("cs-user-agent", r.agent)
	set("c-useragent", r.agent)
	out.event(e)
	return ""
}

// requestURI gives a request's address under the names that rules use. cs-uri-query is
// the whole, since that is what SigmaHQ's rules on web servers look into.
func requestURI(set func(name, value string), uri string) {
	stem, query, _ := strings.Cut(uri, "?")
	set("cs-uri", uri)
	set("c-uri", uri)
	set("cs-uri-stem", stem)
	set("cs-uri-query", uri)
	set("c-uri-query", query)
	if dot := strings.LastIndexByte(stem, '.'); dot >= 0 && !strings.Contains(stem[dot:], "/") {
		set("c-uri-extension", stem[dot+1:])
	}
}

// unescapeAccess restores quotes and bytes that the server wrote as \" and \xNN.
func unescapeAccess(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return unescapeZeek(strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(s))
}

// w3cDecoder reads the W3C extended log file format, as Internet Information Services
// and many proxies write it. A header may come again with other fields.
type w3cDecoder struct {
	arena    event.Arena
	fields   []string
	software string
	date     string
}

func (d *w3cDecoder) decode(line []byte, out *output) string {
	text := string(line)
	if strings.HasPrefix(text, "#") {
		d.header(text)
		return ignored
	}
	if len(d.fields) == 0 {
		return "no #Fields header before it"
	}
	values := w3cFields(text)
	if len(values) != len(d.fields) {
		return "number of columns differs from the header"
	}
	r := w3cRecord{e: d.arena.New(24), date: d.date}
	for i, name := range d.fields {
		r.take(name, values[i])
	}
	at, ok := parseTime(r.date + " " + r.clock)
	if !ok {
		return "the time is unreadable"
	}
	r.e.Time, r.e.Source = at, d.source(r.e)
	r.finish()
	out.event(r.e)
	return ""
}

func (d *w3cDecoder) header(text string) {
	name, value, _ := strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(name) {
	case "#fields":
		d.fields = strings.Fields(value)
	case "#software":
		d.software = value
	case "#date":
		d.date, _, _ = strings.Cut(value, " ")
	}
}

// source tells a proxy's log from a web server's by the program that wrote it, or by
// fields that only proxies have.
func (d *w3cDecoder) source(e *event.Event) event.LogSource {
	_, proxied := e.Lookup("r-dns")
	if !strings.Contains(d.software, "Internet Information Services") &&
		(proxied || strings.Contains(strings.ToLower(d.software), "proxy") || strings.Contains(d.software, "SGOS")) {
		return event.LogSource{Category: "proxy"}
	}
	return event.LogSource{Category: "webserver", Service: "iis"}
}

// w3cRecord is a line on its way to an event.
type w3cRecord struct {
	e                        *event.Event
	date, clock, stem, query string
}

func (r *w3cRecord) set(name, value string) {
	if value != "" && value != "-" {
		r.e.SetName(name, value)
	}
}

// w3cNames are names that rules write otherwise than the format.
var w3cNames = map[string]string{"cs(referer)": "cs-referer", "cs(cookie)": "cs-cookie", "cs(host)": "cs-host"}

func (r *w3cRecord) take(name, v string) {
	switch lower := strings.ToLower(name); lower {
	case "date":
		r.date = v
	case "time":
		r.clock = v
	case "cs-uri-stem":
		r.stem = v
	case "cs-uri-query":
		r.query = v
	case "cs(user-agent)":
		agent := strings.ReplaceAll(v, "+", " ")
		r.set("cs-user-agent", agent)
		r.set("c-useragent", agent)
	default:
		if known, ok := w3cNames[lower]; ok {
			name = known
		}
		r.set(name, v)
	}
}

// finish sets what follows from several fields.
func (r *w3cRecord) finish() {
	uri := unnil(r.stem)
	if unnil(r.query) != "" {
		uri += "?" + r.query
	}
	if whole, given := r.e.Lookup("cs-uri"); given && uri == "" {
		uri = whole
	}
	requestURI(r.set, uri)
	copyField(r.e, "c-ip", "SourceIp")
	if r.e.Host, _ = r.e.Lookup("s-computername"); r.e.Host == "" {
		r.e.Host, _ = r.e.Lookup("s-ip")
	}
}

// w3cFields splits a line at spaces and tabs outside of quotes.
func w3cFields(text string) []string {
	if !strings.Contains(text, `"`) {
		return strings.Fields(text)
	}
	var out []string
	var b strings.Builder
	quoted, any := false, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quoted, any = !quoted, true
		case !quoted && (c == ' ' || c == '\t'):
			if any {
				out = append(out, b.String())
				b.Reset()
				any = false
			}
		default:
			b.WriteByte(c)
			any = true
		}
	}
	if any {
		out = append(out, b.String())
	}
	return out
}
