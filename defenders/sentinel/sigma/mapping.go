package sigma

import (
	"slices"

	"hemostat/sim/event"
)

// feeds tells whether a rule's log source takes in events of this source: each
// part that the rule names must be the event's, after the aliases of Sigma's
// taxonomy (specification, appendix "Taxonomy"), or the source is one that can
// stand in for the rule's, as a flow log does for a firewall's.
func feeds(rule, of event.LogSource) bool {
	return takesIn(rule, of) || standIn(rule, of) != nil
}

// takesIn tells whether each part that one log source names is the other's.
func takesIn(rule, of event.LogSource) bool {
	return covers(rule.Category, of.Category, categoryAliases) &&
		covers(rule.Product, of.Product, nil) &&
		covers(rule.Service, of.Service, serviceAliases)
}

func covers(rule, of string, aliases map[string][]string) bool {
	return rule == "" || rule == of || slices.Contains(aliases[rule], of)
}

// categoryAliases are categories that take in others.
var categoryAliases = map[string][]string{
	"registry_event": {"registry_set", "registry_add", "registry_delete", "registry_rename"},
	"file_change":    {"file_event"},
}

var serviceAliases = map[string][]string{
	"powershell-classic": {"powershell_classic"},
	"auth":               {"sshd", "sudo", "su"},
	"syslog":             {"sshd", "sudo", "su", "cron", "auth", "clamav", "vsftpd", "guacamole"},
	"audit":              {"exchange", "threat_management"}, // of Microsoft 365, where all is one log
	"threat_detection":   {"threat_management"},
}

// standIns are the sources that serve rules on a category under field names of
// their own. A rule that names the source itself uses the source's names.
var standIns = []struct {
	category string // of rules
	source   event.LogSource
	fields   renaming
}{
	{
		"process_creation",
		event.LogSource{Category: "process_creation", Product: "windows", Service: "security"},
		renaming{
			"Image":           fieldRefer("NewProcessName"),
			"ParentImage":     fieldRefer("ParentProcessName"),
			"ProcessId":       fieldRefer("NewProcessId"),
			"ParentProcessId": fieldRefer("ProcessId"),
			"User":            fieldRefer("SubjectUserName"),
			"IntegrityLevel":  fieldRefer("MandatoryLabel"),
			"LogonId":         fieldRefer("SubjectLogonId"),
		},
	},
	{"proxy", event.LogSource{Product: "zeek", Service: "http"}, zeekHTTP},
	{"webserver", event.LogSource{Product: "zeek", Service: "http"}, zeekHTTP},
	{"dns", event.LogSource{Category: "dns", Product: "zeek", Service: "dns"}, renaming{
		"record_type": fieldRefer("qtype_name"),
		"answer":      fieldRefer("answers"),
		"src_ip":      fieldRefer("id.orig_h"),
		"dst_ip":      fieldRefer("id.resp_h"),
		"src_port":    fieldRefer("id.orig_p"),
		"dst_port":    fieldRefer("id.resp_p"),
	}},
	{"firewall", event.LogSource{Product: "zeek", Service: "conn"}, renaming{
		"src_ip":   fieldRefer("id.orig_h"),
		"dst_ip":   fieldRefer("id.resp_h"),
		"src_port": fieldRefer("id.orig_p"),
		"dst_port": fieldRefer("id.resp_p"),
	}},
}

// zeekHTTP is Zeek's names for the fields of W3C's extended log format. Zeek has
// path and query in one field.
var zeekHTTP = renaming{
	"c-uri":         fieldRefer("uri"),
	"cs-uri":        fieldRefer("uri"),
	"cs-uri-stem":   fieldRefer("uri"),
	"c-uri-query":   fieldRefer("uri"),
	"cs-uri-query":  fieldRefer("uri"),
	"c-useragent":   fieldRefer("user_agent"),
	"cs-user-agent": fieldRefer("user_agent"),
	"cs-method":     fieldRefer("method"),
	"cs-host":       fieldRefer("host"),
	"r-dns":         fieldRefer("host"),
	"cs-referer":    fieldRefer("referrer"),
	"cs-referrer":   fieldRefer("referrer"),
	"cs-username":   fieldRefer("username"),
	"cs-version":    fieldRefer("version"),
	"sc-status":     fieldRefer("status_code"),
	"sc-bytes":      fieldRefer("response_body_len"),
	"cs-bytes":      fieldRefer("request_body_len"),
	"c-ip":          fieldRefer("id.orig_h"),
	"src_ip":        fieldRefer("id.orig_h"),
	"s-ip":          fieldRefer("id.resp_h"),
	"dst_ip":        fieldRefer("id.resp_h"),
	"dst_port":      fieldRefer("id.resp_p"),
}

// renaming is the names that a log source has for fields that rules know by
// another one. It is nil where the names are the same.
type renaming map[string]fieldRef

// apply is the field under the name that the log source has for it.
func (r renaming) apply(f fieldRef) fieldRef {
	if r == nil {
		return f
	}
	if to, ok := r[f.name]; ok {
		return to
	}
	return f
}

// standIn gives the field names of an event source that stands in for a rule's
// log source, or nil.
func standIn(rule, of event.LogSource) renaming {
	for _, s := range standIns {
		if rule.Category == s.category && of == s.source &&
			(rule.Product == "" || rule.Product == of.Product) && (rule.Service == "" || rule.Service == of.Service) {
			return s.fields
		}
	}
	return nil
}
