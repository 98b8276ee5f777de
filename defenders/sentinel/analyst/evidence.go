package analyst

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/sim/event"
	"hemostat/sim/printable"
)

// The bounds of what a model is shown.
const (
	shownEvents = 8
	shownFields = 16
	shownText   = 360 // bytes of a value
	shownPast   = 12  // alerts of an entity
)

// exhibit collects what a model is shown: redacted, escaped and cut, with a label for each
// event by which the answer may cite it.
type exhibit struct {
	now        time.Duration
	redact     *redactor
	labels     []string
	events     []uint64 // behind the labels
	suspicious int
}

func newExhibit(now time.Duration) *exhibit { return &exhibit{now: now, redact: newRedactor()} }

// label gives an event a label, the same one again when it has one.
func (x *exhibit) label(id uint64) string {
	for i, known := range x.events {
		if known == id {
			return x.labels[i]
		}
	}
	x.events = append(x.events, id)
	x.labels = append(x.labels, fmt.Sprintf("e%d", len(x.events)))
	return x.labels[len(x.labels)-1]
}

// byLabel is the event of a label.
func (x *exhibit) byLabel(label string) (uint64, bool) {
	for i, l := range x.labels {
		if l == label {
			return x.events[i], true
		}
	}
	return 0, false
}

// value is a text of an event as a model may see it.
func (x *exhibit) value(s string) string {
	if isSuspicious(s) {
		x.suspicious++
	}
	s = x.redact.text(s)
	if len(s) > shownText {
		cut := shownText
		for cut > 0 && s[cut]&0xC0 == 0x80 {
			cut--
		}
		s = fmt.Sprintf("%s… (%d more bytes)", s[:cut], len(s)-cut)
	}
	return printable.Text(s)
}

// ago is how long before now something was, in words of steady length, so that equal
// situations give equal questions.
func (x *exhibit) ago(at time.Duration) string {
	switch d := x.now - at; {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return "seconds ago"
	case d < 10*time.Minute:
		return "minutes ago"
	case d < time.Hour:
		return "within the hour"
	case d < 4*time.Hour:
		return fmt.Sprintf("%d h ago", int(d/time.Hour))
	}
	return "many hours ago"
}

// shown is an object with its keys in a given order.
type shown []shownField

type shownField struct {
	key   string
	value any
}

func (s *shown) add(key string, value any) {
	if value != "" && value != nil {
		*s = append(*s, shownField{key, value})
	}
}

// MarshalJSON writes the keys in their order.
func (s shown) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		for n, v := range []any{f.key, f.value} {
			if n == 1 {
				b.WriteByte(':')
			}
			if err := writeJSON(&b, v); err != nil {
				return nil, err
			}
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// writeJSON writes a value without escaping the characters of HTML, which models read badly.
func writeJSON(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // Encode ends with a line break
	return nil
}

// hidden are fields that say nothing to a judge, or change from run to run.
var hidden = map[string]bool{
	"UtcTime": true, "ProcessGuid": true, "ParentProcessGuid": true, "LogonGuid": true, "SourceProcessGUID": true,
	"TargetProcessGUID": true, "RuleName": true, "Version": true, "Keywords": true, "Opcode": true, "Task": true,
	"EventRecordID": true, "RecordNumber": true, "ThreadID": true, "ActivityID": true, "TerminalSessionId": true,
	"LogonId": true, "SubjectLogonId": true, "TargetLogonId": true, "uid": true, "fuid": true, "ts": true,
	"ExecutionProcessID": true, "Execution_ProcessID": true, "Level": true, "Hashes": true, "UserID": true,
	"ProcessId": true, "ParentProcessId": true, "NewProcessId": true, "SourceProcessId": true, "TargetProcessId": true,
	"SourceThreadId": true, "id.orig_p": true, "SourcePort": true, "IpPort": true, "client_port": true, "pid": true,
	"TransactionID": true, "HandleId": true, "msg_id": true, "ScriptBlockId": true, "ja4_ro": true, "Computer": true,
}

// important are fields that come first where not all have room.
var important = map[string]int{
	"CommandLine": 1, "Image": 2, "ParentImage": 3, "ParentCommandLine": 4, "TargetFilename": 5, "TargetObject": 5,
	"Details": 6, "ScriptBlockText": 1, "QueryName": 2, "query": 2, "DestinationHostname": 4, "DestinationIp": 5,
	"TargetImage": 3, "SourceImage": 2, "GrantedAccess": 6, "NewProcessName": 2, "User": 8, "TargetUserName": 7,
	"SubjectUserName": 8, "IpAddress": 7, "LogonType": 8, "ServiceName": 4, "ServiceFileName": 3, "server_name": 3,
	"user_agent": 4, "c-uri": 3, "c-useragent": 4, "a0": 3, "a1": 3, "a2": 3, "message": 3,
}

// event is an event as a model may see it.
func (x *exhibit) event(e *event.Event) shown {
	for _, f := range []event.Field{event.User, event.TargetUserName, event.SubjectUserName} {
		x.redact.person(e.Value(f))
	}
	s := shown{{"id", x.label(e.ID)}}
	s.add("when", x.ago(e.Time))
	s.add("host", printable.Text(e.Host))
	s.add("log", strings.Trim(e.Source.Product+" "+e.Source.Service+" "+e.Source.Category, " "))
	type field struct{ name, value string }
	var fields []field
	e.Each(func(name, value string) bool {
		if value != "" && value != "-" && !hidden[name] {
			fields = append(fields, field{name, value})
		}
		return true
	})
	rank := func(name string) int {
		if r, ok := important[name]; ok {
			return r
		}
		return 20
	}
	sort.SliceStable(fields, func(i, j int) bool {
		a, b := fields[i], fields[j]
		if ra, rb := rank(a.name), rank(b.name); ra != rb {
			return ra < rb
		}
		return a.name < b.name
	})
	var f shown
	for i := range fields {
		if i < shownFields {
			f.add(printable.Text(fields[i].name), x.value(fields[i].value))
		} else if isSuspicious(fields[i].value) { // what is not shown is looked at all the same
			x.suspicious++
		}
	}
	s.add("fields", f)
	return s
}

// pastAlerts are alerts of an entity's history as a model may see them, the same kind once.
func (x *exhibit) pastAlerts(past []pastAlert) []shown {
	type group struct {
		first pastAlert
		n     int
	}
	var groups []*group
	index := map[string]*group{}
	for i := len(past) - 1; i >= 0; i-- {
		p := past[i]
		key := p.rule + "\x00" + p.host
		if g := index[key]; g != nil {
			g.n++
			continue
		}
		if len(groups) == shownPast {
			break
		}
		g := &group{p, 1}
		index[key] = g
		groups = append(groups, g)
	}
	out := []shown{}
	for _, g := range groups {
		var s shown
		s.add("alert", printable.Text(g.first.title))
		s.add("technique", g.first.technique)
		s.add("severity", g.first.severity.String())
		s.add("host", printable.Text(g.first.host))
		s.add("user", x.value(g.first.user))
		s.add("newest", x.ago(g.first.at))
		s.add("times", g.n)
		out = append(out, s)
	}
	return out
}

// alert is the alert in question with its history.
func (x *exhibit) alert(c *Case) shown {
	a := c.Alert
	if a.User != "" {
		x.redact.person(a.User)
	}
	var s shown
	s.add("title", printable.Text(a.Title))
	s.add("detector", a.Detector)
	s.add("severity", a.Severity.String())
	s.add("techniques", a.Techniques)
	s.add("detector_confidence", fmt.Sprintf("%.2f", a.Confidence))
	s.add("host", x.value(a.Host))
	s.add("zone", a.Zone)
	if h := c.memory.inventory.Host(a.Host); h != nil {
		s.add("host_role", string(h.Role))
	}
	s.add("user", x.value(a.User))
	s.add("source", x.value(a.SourceIP))
	s.add("destination", x.value(a.Destination))
	s.add("domain", x.value(a.Domain))
	at := c.memory.epoch.Add(a.EventTime)
	s.add("at", at.Format("Mon 15")+" h")
	var events []shown
	evidence := c.evidence()
	for i := max(0, len(evidence)-shownEvents); i < len(evidence); i++ {
		events = append(events, x.event(evidence[i]))
	}
	if len(events) == 0 { // what memory does not hold any more is named at least
		for i := max(0, len(a.Evidence)-shownEvents); i < len(a.Evidence); i++ {
			events = append(events, shown{{"id", x.label(a.Evidence[i])}})
		}
	}
	s.add("events", events)
	s.add("why_it_was_raised", x.reasons(a.Reasons))
	s.add("same_alert_on_other_hosts_within_a_day", countOther(c.memory.history(ruleEntity, a.RuleID, c.Now, day),
		a.Host,
		func(p *pastAlert) string { return p.host }))
	s.add("earlier_alerts_of_the_host", x.pastAlerts(c.memory.history(hostEntity, a.Host, c.Now, day)))
	if a.User != "" {
		s.add("earlier_alerts_of_the_user", x.pastAlerts(c.memory.history(userEntity, a.User, c.Now, day)))
	}
	return s
}

func (x *exhibit) reasons(reasons []alert.Reason) any {
	var out []string
	for i := range reasons {
		if i == 3 {
			break
		}
		out = append(out, x.value(reasons[i].String()))
	}
	if out == nil {
		return nil
	}
	return out
}
