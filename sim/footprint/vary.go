package footprint

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"hemostat/sim/event"
)

// variables is what has been made variable so far.
type variables struct {
	hosts    []string                  // of the recording, by index; their full names
	is       []string                  // what each is
	replace  map[string]string         // text of the recording, in lower case, to a variable
	lengths  [256][]int                // of the texts in replace, by their first byte, the longest first
	numbered map[string]map[string]int // kind, then value, to number
}

// number gives the same value of a kind the same number.
func (v *variables) number(kind, value string) int {
	if v.numbered[kind] == nil {
		v.numbered[kind] = map[string]int{}
	}
	n, ok := v.numbered[kind][value]
	if !ok {
		n = len(v.numbered[kind]) + 1
		v.numbered[kind][value] = n
	}
	return n
}

// wellKnown are accounts that are the same in every estate.
var wellKnown = []string{
	"", "-", "system", "local service", "network service", "anonymous logon", "everyone", "administrators", "n/a", "users", "iusr",
	"domain admins", "enterprise admins", "domain users", "guest", "krbtgt", "local system", "localsystem", "schema admins", "none",
	"remote desktop users", "null",
}

var wellKnownDomains = []string{
	"", "-", "nt authority", "builtin", "window manager", "font driver host", "nt service", "iis apppool", "workgroup", "n/a",
	"nt virtual machine", "mshome", "microsoftaccount", "null",
}

var (
	userSID    = regexp.MustCompile(`S-1-5-21(?:-\d{4,10}){3}(?:-\d{3,10})?`)
	ipv4       = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)
	leadingSID = regexp.MustCompile(`(?i)^` + userSID.String())
	winUTC     = "2006-01-02 15:04:05.000"
	anyLiteral = regexp.MustCompile(`^\{(?:c2ip|c2|[a-z]+)[0-9]*(?:\.[a-z]+)?(?::[^{}]*)?\}`)
)

// Fields of events by what they hold.
var (
	userFields = []string{
		"SubjectUserName", "TargetUserName", "User", "TargetUser", "SourceUser", "ParentUser", "AccountName", "UserName", "user",
		"SourceUserName", "TargetOutboundUserName", "UserContext", "Param1", "NewTargetUserName", "OldTargetUserName", "MemberName",
	}
	domainFields = []string{"SubjectDomainName", "TargetDomainName", "TargetOutboundDomainName", "AccountDomain",
		"DomainName"}
	guidFields = []string{
		"ProcessGuid", "ParentProcessGuid", "SourceProcessGUID", "TargetProcessGUID", "SourceProcessGuid", "TargetProcessGuid",
		"LogonGuid", "TargetLogonGuid", "ScriptBlockId", "RunspaceId", "OpCorrelationID", "TransactionId", "uid", "fuid",
	}
	logonFields = []string{"SubjectLogonId", "TargetLogonId", "LogonId", "LogonID", "TargetLinkedLogonId"}
	pidFields   = []string{
		"ProcessId", "ParentProcessId", "NewProcessId", "SourceProcessId", "TargetProcessId", "ClientProcessId", "CallerProcessId", "pid",
		"ProcessID",
	}
	portFields = []string{"SourcePort", "IpPort", "ClientPort", "id.orig_p"}
	timeFields = []string{"ProcessCreationTime", "ClientCreationTime", "NewTime", "PreviousTime", "SystemTime", "ts"}
	frame      = []string{"EventID", "Channel", "Provider_Name", "Computer"}
)

const halfHour = 30 * time.Minute

// envelope are fields of a Windows event that belong to the record and not to what happened,
// and those that forwarders add. The message says again what the fields say.
var envelope = []string{
	"EventRecordID", "RecordNumber", "Message", "EventReceivedTime", "EventTime", "@timestamp", "@version", "SourceModuleName",
	"SourceModuleType", "tags", "port", "host", "Hostname", "ProviderGuid", "ExecutionProcessID", "ExecutionThreadID", "ThreadID",
	"ActivityID", "OpcodeValue", "SeverityValue", "Severity", "TimeCreated", "SystemTime",
}

// learn finds out what belongs to the place of recording, from all of its events.
func learn(events []*event.Event, hosts []string) *variables {
	v := &variables{hosts: hosts, replace: map[string]string{}, numbered: map[string]map[string]int{}}
	for i, h := range hosts {
		name := hostName(i)
		if h == unknownHost {
			v.is = append(v.is, kindOfHost(i, h, events))
			continue
		}
		short, domain, _ := strings.Cut(strings.ToLower(h), ".")
		v.put(short, "{"+name+"}")
		if domain != "" {
			v.put(strings.ToLower(h), "{"+name+".fqdn}")
			v.put(domain, "{domain}")
			netbios, _, _ := strings.Cut(domain, ".")
			v.put(netbios, "{netbios}")
		}
		v.is = append(v.is, kindOfHost(i, h, events))
	}
	for _, e := range events {
		v.learnNames(e)
	}
	for _, e := range events {
		v.learnAddresses(e)
	}
	v.index()
	return v
}

func (v *variables) put(text, variable string) {
	if len(text) < 2 {
		return
	}
	if _, ok := v.replace[text]; !ok {
		v.replace[text] = variable
	}
}

func hostName(i int) string {
	if i == 0 {
		return "here"
	}
	return fmt.Sprintf("there%d", i)
}

// kindOfHost tells which host of an estate stands in for a recorded one.
func kindOfHost(i int, host string, events []*event.Event) string {
	if i == 0 {
		for _, e := range events {
			if e.Source.Product == "linux" && hostOf(e) == host {
				return "linux"
			}
		}
		return "foothold"
	}
	kind := "workstation"
	for _, e := range events {
		if hostOf(e) != host {
			continue
		}
		switch id := e.Value(event.EventID); {
		case e.Source.Product == "linux":
			return "linux"
		case e.Source.Service == "security" && slices.Contains([]string{"4768", "4769", "4771", "4776", "4662", "5136",
			"5137", "4728", "4741", "4742"}, id):
			return "domain_controller"
		case e.Source.Service == "security" && (id == "5140" || id == "5145"):
			kind = "server"
		}
	}
	return kind
}

func hostOf(e *event.Event) string {
	if c := e.Value(event.Computer); c != "" {
		return c
	}
	return e.Host
}

// learnNames makes accounts and domains variable.
func (v *variables) learnNames(e *event.Event) {
	for _, name := range domainFields {
		value, _ := e.Lookup(name)
		if lower := strings.ToLower(value); !slices.Contains(wellKnownDomains, lower) {
			if strings.Contains(lower, ".") {
				v.put(lower, "{domain}")
			} else {
				v.put(lower, "{netbios}")
			}
		}
	}
	for _, name := range userFields {
		value, _ := e.Lookup(name)
		domain, user, ok := strings.Cut(value, `\`)
		if !ok {
			user, domain = value, ""
		}
		user, realm, _ := strings.Cut(user, "@")
		if lower := strings.ToLower(domain); ok && !slices.Contains(wellKnownDomains, lower) {
			v.put(lower, "{netbios}")
		}
		if strings.Contains(realm, ".") {
			v.put(strings.ToLower(realm), "{domain}")
		}
		v.learnUser(e, name, user)
	}
	e.Each(func(_, value string) bool {
		if !strings.Contains(value, "ser") && !strings.Contains(value, "SER") { // the expression is slow
			return true
		}
		for _, m := range userInText.FindAllStringSubmatch(value, mostUsersInText) {
			if m[1] != "" && !slices.Contains(wellKnownDomains, strings.ToLower(m[1])) {
				v.put(strings.ToLower(m[1]), "{netbios}")
			}
			if user := m[2] + m[3]; !slices.Contains(sharedProfiles, strings.ToLower(user)) {
				v.learnUser(e, "", user)
			}
		}
		return true
	})
}

// userInText finds accounts in texts: the UserId and User of PowerShell's logs, and the
// folders of users.
var userInText = regexp.MustCompile(`(?i)\bUser(?:Id)?\s?=\s?([\w.-]+)\\([\w.-]+)|\bC:\\Users\\([\w.-]+)\\`)

const mostUsersInText = 8

// sharedProfiles are folders of users that are nobody's.
var sharedProfiles = []string{"public", "default", "all", "administrator", "defaultapppool"}

func (v *variables) learnUser(e *event.Event, field, user string) {
	lower := strings.ToLower(user)
	if slices.Contains(wellKnown, lower) || strings.HasSuffix(lower, "$") || strings.HasPrefix(lower, "dwm-") ||
		strings.HasPrefix(lower, "umfd-") || strings.ContainsAny(lower, `%{}=,:*/"`) || strings.HasPrefix(lower, "s-1-") {
		return
	}
	n := v.number("user", lower)
	variable := "{user}"
	if n > 1 {
		variable = fmt.Sprintf("{user%d}", n)
	}
	v.put(lower, variable)
	sid := map[string]string{"SubjectUserName": "SubjectUserSid", "TargetUserName": "TargetUserSid"}[field]
	if value, _ := e.Lookup(sid); userSID.MatchString(value) {
		v.put(strings.ToLower(value), strings.Replace(variable, "user", "sid", 1))
	}
}

// learnAddresses makes addresses variable: those of hosts, and those of strangers.
func (v *variables) learnAddresses(e *event.Event) {
	e.Each(func(name, value string) bool {
		switch name {
		case "IpAddress", "SourceIp", "DestinationIp", "SourceAddress", "DestAddress", "ClientAddress", "id.orig_h", "id.resp_h", "Address", "Param3", "ClientIP", "c-ip", "src_ip":
			for _, text := range ipv4.FindAllString(value, -1) {
				v.learnAddress(text)
			}
		}
		return true
	})
}

func (v *variables) learnAddress(text string) {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() || strings.HasSuffix(text, ".255") {
		return
	}
	if _, known := v.replace[text]; known {
		return
	}
	if !ip.IsPrivate() {
		v.put(text, "{c2ip}")
		return
	}
	// Which host of the recording an address belongs to is not known for certain; the first
	// one that is seen counts as the foothold's, others as those of other hosts in turn.
	n := v.number("address", text) - 1
	if n >= len(v.hosts) {
		v.put(text, fmt.Sprintf("{ip:%d}", n))
		return
	}
	v.put(text, "{"+hostName(n)+".ip}")
}

// index lists how long the names are that begin with a byte, the longest first.
func (v *variables) index() {
	for text := range v.replace {
		if first := text[0]; !slices.Contains(v.lengths[first], len(text)) {
			v.lengths[first] = append(v.lengths[first], len(text))
		}
	}
	for first := range v.lengths {
		slices.SortFunc(v.lengths[first], func(a, b int) int { return b - a })
	}
}

// vary turns an event into one of a footprint.
func (v *variables) vary(e *event.Event, first time.Duration) Event {
	out := Event{At: (e.Time - first).Round(time.Millisecond), Fields: map[string]string{}}
	if at := slices.Index(v.hosts, hostOf(e)); at > 0 {
		out.On = hostName(at)
	}
	if log := e.Value(event.LogChannel); log != "" {
		out.Log, out.ID, out.Provider = log, e.Value(event.EventID), e.Value(event.ProviderName)
		if members := e.Members(event.LogChannel, ""); len(members) > 1 {
			out.Log = members[0]
			out.Fields["Channel"] = members[1]
		}
	} else {
		out.Source = e.Source
	}
	e.Each(func(name, value string) bool {
		if out.Log != "" && (slices.Contains(frame, name) || slices.Contains(envelope, name)) {
			return true
		}
		if members := e.Members(event.FieldByName(name), name); len(members) > 1 {
			varied := make([]string, len(members))
			for i, m := range members {
				varied[i] = v.text(m)
			}
			if out.Lists == nil {
				out.Lists = map[string][]string{}
			}
			out.Lists[name] = varied
			return true
		}
		out.Fields[name] = v.field(e, name, value)
		return true
	})
	return out
}

// field is a field's value with variables.
func (v *variables) field(e *event.Event, name, value string) string {
	switch {
	case slices.Contains(guidFields, name):
		return v.guid(value)
	case slices.Contains(logonFields, name):
		if n := parseHex(value); n > 0x3e8 {
			return fmt.Sprintf("{logon:%d}", v.number("logon", value))
		}
		return value
	case slices.Contains(pidFields, name):
		return v.pid(value)
	case slices.Contains(portFields, name):
		if len(value) == 5 && value >= "49152" {
			return fmt.Sprintf("{port:%d}", v.number("port", value))
		}
		return value
	case strings.HasSuffix(name, "UtcTime"):
		if at, err := time.Parse(winUTC, value); err == nil {
			offset := (time.Duration(at.UnixNano()) - e.Time).Round(time.Millisecond)
			if name == "UtcTime" { // the time of the event itself: hours between the two are a time zone
				offset -= offset.Round(halfHour)
			}
			return "{utc:" + offset.String() + "}"
		}
	case slices.Contains(timeFields, name):
		if at, err := time.Parse(time.RFC3339Nano, value); err == nil {
			return "{time:" + (time.Duration(at.UnixNano()) - e.Time).Round(time.Millisecond).String() + "}"
		}
	}
	return v.text(value)
}

func (v *variables) guid(value string) string {
	trimmed := strings.ToLower(strings.Trim(value, "{}"))
	if strings.Trim(trimmed, "0-") == "" || len(trimmed) < 8 {
		return value
	}
	kind := "guid"
	if !strings.HasPrefix(value, "{") {
		kind = "id"
	}
	return fmt.Sprintf("{%s:%d}", kind, v.number("guid", trimmed))
}

// pid keeps the numbers of processes that are the same on every host: idle and system.
func (v *variables) pid(value string) string {
	hex := strings.HasPrefix(value, "0x")
	n := parseHex(value)
	if !hex {
		n = 0
		if _, err := fmt.Sscanf(value, "%d", &n); err != nil {
			return value
		}
	}
	if n <= 4 {
		return value
	}
	if hex {
		return fmt.Sprintf("{xpid:%d}", v.number("pid", fmt.Sprint(n)))
	}
	return fmt.Sprintf("{pid:%d}", v.number("pid", fmt.Sprint(n)))
}

func parseHex(value string) uint64 {
	var n uint64
	if _, err := fmt.Sscanf(strings.ToLower(value), "0x%x", &n); err != nil {
		return 0
	}
	return n
}

// text replaces names, SIDs and addresses in any text. A part of a longer word stays. A
// recorded day has hundreds of names and millions of fields, so names are looked up where
// they may begin.
func (v *variables) text(value string) string {
	lower := strings.ToLower(value)
	if len(lower) != len(value) { // a letter whose lower case is longer: names in it stay
		lower = value
	}
	var b strings.Builder
	from := 0
	for i := 0; i < len(value); {
		n, variable := v.at(value, lower, i)
		if n == 0 {
			i++
			continue
		}
		b.WriteString(value[from:i])
		b.WriteString(variable)
		i += n
		from = i
	}
	if from == 0 {
		return value
	}
	b.WriteString(value[from:])
	return b.String()
}

// at is the variable for what begins at a place of a text, and how long that is; 0 for
// nothing.
func (v *variables) at(value, lower string, i int) (length int, variable string) {
	if value[i] == '{' { // what would read as a variable
		if n := len(anyLiteral.FindString(value[i:])); n > 0 {
			return n, "{lit:" + value[i+1:i+n-1] + "}"
		}
		return 0, ""
	}
	if strings.HasPrefix(lower[i:], "s-1-5-21-") {
		if sid := leadingSID.FindString(value[i:]); sid != "" {
			return len(sid), v.sid(sid)
		}
	}
	for _, n := range v.lengths[lower[i]] {
		if i+n > len(lower) {
			continue
		}
		if name, ok := v.replace[lower[i:i+n]]; ok && standsAlone(value[:i], value[i+n:], value[i:i+n]) {
			return n, name
		}
	}
	return 0, ""
}

// standsAlone tells whether a text is no part of a longer word.
func standsAlone(before, after, text string) bool {
	isWord := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
	}
	if before != "" && isWord(before[len(before)-1]) && isWord(text[0]) {
		return false
	}
	return after == "" || !isWord(after[0]) || !isWord(text[len(text)-1])
}

// sid replaces a SID: that of a known account as a whole, of others the domain's part.
func (v *variables) sid(text string) string {
	if variable, ok := v.replace[strings.ToLower(text)]; ok {
		return variable
	}
	if parts := strings.Split(text, "-"); len(parts) == 8 {
		return "{domainsid}-" + parts[7]
	}
	return "{domainsid}"
}
