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
		return ignored
	}
	if len(d.fields) == 0 {
		return "no #Fields header before it"
	}
	values := w3cFields(text)
	if len(values) != len(d.fields) {
		return "number of columns differs from the header"
	}
	e := d.arena.New(24)
	date, clock := d.date, ""
	stem, query := "", ""
	set := func(name, value string) {
		if value != "" && value != "-" {
			e.SetName(name, value)
		}
	}
	for i, name := range d.fields {
		v := values[i]
		switch strings.ToLower(name) {
		case "date":
			date = v
		case "time":
			clock = v
		case "cs-uri-stem":
			stem = v
		case "cs-uri-query":
			query = v
		case "cs(user-agent)":
			agent := strings.ReplaceAll(v, "+", " ")
			set("cs-user-agent", agent)
			set("c-useragent", agent)
		case "cs(referer)":
			set("cs-referer", v)
		case "cs(cookie)":
			set("cs-cookie", v)
		case "cs(host)":
			set("cs-host", v)
		case "s-computername":
			e.Host = v
			set(name, v)
		default:
			set(name, v)
		}
	}
	uri := unnil(stem)
	if unnil(query) != "" {
		uri += "?" + query
	}
	if _, given := e.Lookup("cs-uri"); given && uri == "" {
		uri, _ = e.Lookup("cs-uri")
	}
	requestURI(set, uri)
	at, ok := parseTime(date + " " + clock)
	if !ok {
		return "the time is unreadable"
	}
	e.Time = at
	copyField(e, "c-ip", "SourceIp")
	if e.Host == "" {
		e.Host, _ = e.Lookup("s-ip")
	}
	e.Source = event.LogSource{Category: "webserver", Service: "iis"}
	if !strings.Contains(d.software, "Internet Information Services") {
		if _, proxied := e.Lookup("r-dns"); proxied || strings.Contains(strings.ToLower(d.software), "proxy") ||
			strings.Contains(d.software, "SGOS") {
			e.Source = event.LogSource{Category: "proxy"}
		}
	}
	out.event(e)
	return ""
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
