package ingest

import (
	"github.com/valyala/fastjson"

	"hemostat/sim/event"
)

// isSuricata tells whether a document is a record of Suricata's eve.json.
func isSuricata(o *fastjson.Object) bool {
	return has(o, "event_type", "timestamp") &&
		(has(o, "flow_id") || has(o, "src_ip") || has(o, "stats") || has(o, "in_iface") || has(o, "engine"))
}

// suricata reads a record. Its values stand under their dotted names, and those of
// DNS, HTTP, TLS, flows and alerts also under the names that generic rules on the
// categories dns, proxy and firewall use (Sigma's taxonomy).
func (d *jsonDecoder) suricata(e *event.Event, o *fastjson.Object) string {
	d.flatten(e, o)
	d.timeFrom(e, o, "timestamp", "flow.start")
	kind := d.scalar(o.Get("event_type"))
	e.Host = d.scalar(o.Get("src_ip"))
	e.Sensor = d.scalar(o.Get("host"))
	e.Source = event.LogSource{Product: "suricata", Service: kind}
	switch kind {
	case "dns":
		e.Source.Category = "dns"
		copyField(e, "dns.rrname", "query")
		copyField(e, "dns.queries.rrname", "query")
		copyField(e, "dns.rrtype", "record_type")
		copyField(e, "dns.queries.rrtype", "record_type")
		copyField(e, "dns.rdata", "answer")
		copyField(e, "dns.answers.rdata", "answer")
		copyField(e, "dns.grouped.A", "answer")
	case "http":
		e.Source.Category = "proxy"
		for _, pair := range [][]string{
			{"http.hostname", "cs-host", "r-dns"}, {"http.url", "c-uri", "cs-uri", "cs-uri-query", "cs-uri-stem"},
			{"http.http_user_agent", "c-useragent", "cs-user-agent"}, {"http.http_method", "cs-method"}, {"http.status", "sc-status"},
			{"http.http_refer", "cs-referer"}, {"src_ip", "c-ip"},
		} {
			copyField(e, pair[0], pair[1:]...)
		}
	case "flow", "netflow":
		e.Source.Category = "firewall"
		copyField(e, "dest_ip", "dst_ip")
		copyField(e, "dest_port", "dst_port")
	case "alert":
		copyField(e, "alert.signature", "Signature")
	}
	return ""
}
