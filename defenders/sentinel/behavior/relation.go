package behavior

import (
	"strings"

	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
)

// class is a kind of entity.
type class uint8

const (
	hosts     class = iota // the host that the event is about
	accounts               // the account that acts
	sources                // the host of the estate that a connection comes from
	addresses              // an address outside that reaches in
	estate                 // all together
	classCount
)

// relation is what an event says of an entity: that it did something with a value, or, where
// count is set, that it did something once more.
type relation struct {
	number    int
	name      string // as reasons name it
	entity    class
	fields    []ref  // whose values together are the value
	forms     []form // of each
	technique string // of a finding that this is the largest part of
	count     bool
	distinct  bool      // of a count: each value counts once
	chain     *relation // the values follow each other in a way, which is this part; nil for not
	only      func(e *event.Event) bool
}

// ref is a field, known to the table of fields or by its name alone.
type ref struct {
	field event.Field
	name  string
}

func refs(names ...string) []ref {
	var out []ref
	for _, n := range names {
		out = append(out, ref{event.FieldByName(n), n})
	}
	return out
}

func (f ref) value(e *event.Event) string {
	if f.field != event.NoField {
		return e.Value(f.field)
	}
	v, _ := e.Extra(f.name)
	return v
}

// form is how a value is written so that what does not matter falls away.
type form uint8

const (
	plain form = iota // without case
	path              // without drive, user, numbers
	flags             // of a command line the program and its options
	base              // the last part of a path
)

// kindOf is how events are told apart: by service, and event id or category.
type kindOf struct{ service, id string }

// table lists the relations by the events that say them.
var table = func() map[kindOf][]*relation {
	t := map[kindOf][]*relation{}
	number := 0
	say := func(r relation, kinds ...kindOf) {
		if r.number = number; number >= featureCount {
			panic("behavior: there are more relations than features")
		}
		number++
		for _, k := range kinds {
			t[k] = append(t[k], &r)
		}
	}
	process := []kindOf{{"sysmon", "process_creation"}, {"auditd", "process_creation"}}
	say(relation{name: "program", entity: hosts, fields: refs("Image"), forms: []form{path}, technique: "T1204.002",
		chain: programChain}, process...)
	say(relation{
		name: "program and its parent", entity: hosts, fields: refs("ParentImage", "Image"), forms: []form{base, base},
		technique: "T1059",
	}, process...)
	say(relation{name: "command", entity: accounts, fields: refs("CommandLine"), forms: []form{flags},
		technique: "T1059"}, process...)
	say(relation{name: "program", entity: accounts, fields: refs("Image"), forms: []form{base}, technique: "T1059"}, process...)
	say(relation{name: "program", entity: hosts, fields: refs("NewProcessName"), forms: []form{path}, technique: "T1204.002"},
		kindOf{"security", "4688"})
	say(relation{name: "processes", entity: hosts, count: true, technique: "T1059"}, process...)

	logon := kindOf{"security", "4624"}
	say(relation{
		name: "host logged on to", entity: accounts, fields: refs("Computer", "LogonType"), forms: []form{plain, plain},
		technique: "T1078", only: byPerson, chain: logonChain,
	}, logon)
	say(relation{
		name: "place that is logged on from", entity: hosts, fields: refs("IpAddress", "LogonType"),
		forms:     []form{plain, plain},
		technique: "T1021", only: overNetwork,
	}, logon)
	say(relation{name: "logons over the network", entity: accounts, count: true, technique: "T1021", only: overNetwork}, logon)
	say(relation{
		name: "account used beside the own", entity: accounts, fields: refs("TargetUserName", "TargetServerName"),
		forms: []form{plain, plain}, technique: "T1078",
	}, kindOf{"security", "4648"})
	say(relation{name: "refused logons", entity: accounts, count: true, technique: "T1110"}, kindOf{"security", "4625"})
	say(relation{
		name: "address of a remote session", entity: accounts, fields: refs("SourceIp", "action"),
		forms: []form{plain, plain}, technique: "T1021.004", only: accepted,
	}, kindOf{"sshd", ""})

	say(relation{name: "refused remote sessions", entity: hosts, count: true, technique: "T1110", only: refused},
		kindOf{"sshd", ""})
	say(relation{name: "refused remote sessions", entity: addresses, count: true, technique: "T1110", only: refused},
		kindOf{"sshd", ""})
	say(relation{name: "refused remote sessions", entity: estate, count: true, technique: "T1110", only: refused},
		kindOf{"sshd", ""})
	say(relation{
		name: "service of a host", entity: sources, fields: refs("id.resp_h", "id.resp_p"), forms: []form{plain, plain},
		technique: "T1021", only: internal,
	}, kindOf{"conn", ""})
	say(relation{
		name: "port inside", entity: sources, fields: refs("id.resp_p"), forms: []form{plain}, technique: "T1046",
		only: internal,
	}, kindOf{"conn", ""})
	say(relation{name: "connections inside", entity: sources, count: true, technique: "T1046", only: internal},
		kindOf{"conn", ""})
	say(relation{name: "names that do not exist", entity: sources, count: true, technique: "T1568.002",
		only: missingName}, kindOf{"dns", "dns"})
	say(relation{
		name: "program with a port", entity: hosts, fields: refs("Image", "DestinationPort"), forms: []form{base, plain},
		technique: "T1071", only: started,
	}, kindOf{"sysmon", "network_connection"})

	say(relation{
		name: "program that reaches into another", entity: hosts, fields: refs("SourceImage", "TargetImage"),
		forms: []form{base, base}, technique: "T1055",
	}, kindOf{"sysmon", "process_access"}, kindOf{"sysmon", "create_remote_thread"})
	say(relation{
		name: "key of the registry", entity: hosts, fields: refs("Image", "TargetObject"), forms: []form{base, path},
		technique: "T1112",
	}, kindOf{"sysmon", "registry_set"}, kindOf{"sysmon", "registry_add"}, kindOf{"sysmon", "registry_delete"})
	say(relation{
		name: "file written by", entity: hosts, fields: refs("Image", "TargetFilename"), forms: []form{base, path},
		technique: "T1105",
	}, kindOf{"sysmon", "file_event"})
	say(relation{name: "files written", entity: hosts, count: true, technique: "T1486"}, kindOf{"sysmon", "file_event"},
		kindOf{"sysmon", "file_delete"})
	say(relation{
		name: "pipe", entity: hosts, fields: refs("Image", "PipeName"), forms: []form{base, path}, technique: "T1570",
	}, kindOf{"sysmon", "pipe_created"})
	say(relation{
		name: "library", entity: hosts, fields: refs("Image", "ImageLoaded"), forms: []form{base, path}, technique: "T1574.001",
	}, kindOf{"sysmon", "image_load"}, kindOf{"sysmon", "driver_load"})
	say(relation{name: "service made", entity: hosts, fields: refs("ServiceName", "ImagePath"),
		forms: []form{path, path}, technique: "T1543.003"},
		kindOf{"system", "7045"}, kindOf{"security", "4697"})
	say(relation{name: "task made", entity: hosts, fields: refs("TaskName"), forms: []form{path},
		technique: "T1053.005"}, kindOf{"security", "4698"})

	say(relation{
		name: "share", entity: accounts, fields: refs("Computer", "ShareName"), forms: []form{plain, path},
		technique: "T1021.002", only: overNetworkName,
	}, kindOf{"security", "5140"}, kindOf{"security", "5145"})
	say(relation{name: "files of shares", entity: accounts, count: true, technique: "T1039", only: overNetworkName},
		kindOf{"security", "5145"})
	say(relation{name: "service ticket", entity: accounts, fields: refs("ServiceName"), forms: []form{plain},
		technique: "T1558.003"},
		kindOf{"security", "4769"})
	say(relation{name: "tickets", entity: accounts, count: true, technique: "T1558.003"}, kindOf{"security", "4769"})
	say(relation{
		name: "change of the directory or audit", entity: accounts, fields: refs("EventID", "Computer"),
		forms: []form{plain, plain}, technique: "T1098",
	}, kindsOf("security", "4720", "4722", "4724", "4726", "4728", "4732", "4738", "4740", "4756", "4662", "5136", "1102", "4719")...)
	say(relation{name: "scripts", entity: hosts, count: true, technique: "T1059.001"},
		kindsOf("powershell", "400", "4103", "4104")...)
	cloud := []kindOf{{"signinlogs", ""}, {"auditlogs", ""}, {"riskdetection", ""}}
	say(relation{
		name: "cloud operation", entity: accounts, fields: refs("OperationName", "riskEventType", "ClientAppUsed"),
		forms:     []form{plain, plain, plain},
		technique: "T1078.004",
	}, cloud...)
	say(relation{
		name: "place in the cloud", entity: accounts, fields: refs("Location"), forms: []form{plain}, technique: "T1078.004",
	}, cloud...)
	signIn := kindOf{"signinlogs", ""}
	say(relation{
		name: "client in the cloud", entity: accounts,
		fields: refs("AppDisplayName", "userAgent", "DeviceDetail.trusttype"), forms: []form{plain, path, plain},
		technique: "T1078.004",
	}, signIn)
	say(relation{
		name: "accounts that it tried", entity: addresses, fields: refs("User"), forms: []form{plain}, count: true,
		distinct: true, technique: "T1110.003",
	}, signIn)
	say(relation{name: "refused sign-ins", entity: addresses, count: true, technique: "T1110.003", only: refusedSignIn}, signIn)
	say(relation{name: "refused sign-ins", entity: estate, count: true, technique: "T1110.003", only: refusedSignIn}, signIn)
	say(relation{name: "refused sign-ins", entity: accounts, count: true, technique: "T1621", only: refusedSignIn}, signIn)
	say(relation{
		name: "client of the web", entity: hosts, fields: refs("c-useragent"), forms: []form{path}, technique: "T1071.001",
	}, kindOf{"proxy", "proxy"})
	say(relation{name: "request", entity: hosts, fields: refs("cs-method", "cs-uri-stem"), forms: []form{plain, path},
		technique: "T1505.003"},
		kindOf{"webserver", "webserver"})
	return t
}()

func kindsOf(service string, ids ...string) (out []kindOf) {
	for _, id := range ids {
		out = append(out, kindOf{service, id})
	}
	return out
}

// The parts that come of no event alone.
var (
	programChain  = &relation{number: featureCount, name: "programs one after the other", technique: "T1059"}
	logonChain    = &relation{number: featureCount + 3, name: "hosts logged on to one after the other", technique: "T1021"}
	hourRelation  = &relation{number: featureCount + 1, name: "hour of the day", technique: "T1078"}
	wholeRelation = &relation{number: featureCount + 2, name: "all that it does together", technique: "T1059"}
)

// relationsOf finds what an event says.
func relationsOf(e *event.Event) []*relation {
	id := e.Source.Category
	switch e.Source.Service {
	case "security", "system", "powershell":
		id = e.Value(event.EventID)
	}
	return table[kindOf{e.Source.Service, id}]
}

func byPerson(e *event.Event) bool {
	return !strings.HasSuffix(e.Value(event.TargetUserName),
		"$") && e.Value(event.LogonType) != "5" && e.Value(event.LogonType) != "0"
}

func overNetwork(e *event.Event) bool {
	from := e.Value(event.IpAddress)
	return byPerson(e) && from != "" && from != "-" && from != "127.0.0.1" && from != "::1"
}

func overNetworkName(e *event.Event) bool {
	return !strings.HasSuffix(e.Value(event.SubjectUserName), "$")
}

func accepted(e *event.Event) bool { return strings.HasPrefix(e.Value(event.Action), "accepted") }

func refused(e *event.Event) bool {
	action := e.Value(event.Action)
	return strings.HasPrefix(action, "failed") || strings.HasPrefix(action, "invalid")
}

func refusedSignIn(e *event.Event) bool {
	code, ok := e.Extra("ResultType")
	return ok && code != "0"
}

func missingName(e *event.Event) bool { return e.Value(event.RcodeName) == "NXDOMAIN" }

func started(e *event.Event) bool { return e.Value(event.Initiated) != "false" }

func internal(e *event.Event) bool {
	to := e.Value(event.IDRespHost)
	return strings.HasPrefix(to, "10.") || strings.HasPrefix(to, "192.168.") || strings.HasPrefix(to,
		"172.") && isPrivate172(to) ||
		strings.HasPrefix(to, "fd")
}

// isPrivate172 tells 172.16.0.0/12.
func isPrivate172(a string) bool {
	return len(a) > 6 && a[6] == '.' && (a[4] == '1' && a[5] >= '6' || a[4] == '2' || a[4] == '3' && a[5] <= '1')
}

// read is the hash of the event's value of the relation; false when it has none.
func (r *relation) read(e *event.Event) (uint64, bool) {
	if r.only != nil && !r.only(e) {
		return 0, false
	}
	h := hashStart ^ uint64(r.number)*hashPrime
	any := false
	for i, f := range r.fields {
		text := f.value(e)
		any = any || text != "" && text != "-"
		h = r.forms[i].hash(h, text)
	}
	return mix(h), any
}

// text is the value as a person reads it.
func (r *relation) text(e *event.Event) string {
	var parts []string
	for _, f := range r.fields {
		if v := f.value(e); v != "" {
			parts = append(parts, v)
		}
	}
	return strings.Join(parts, ", ")
}

const (
	hashStart uint64 = 14695981039346656037
	hashPrime uint64 = 1099511628211
)

func mix(h uint64) uint64 {
	h ^= h >> 31
	h *= 0x7fb5d329728ea185
	h ^= h >> 27
	h *= 0x81dadef4bc2dd44d
	return h ^ h>>33
}

// hash takes a value in, in its form.
func (f form) hash(h uint64, s string) uint64 {
	switch f {
	case base:
		if at := strings.LastIndexAny(s, `\/`); at >= 0 {
			s = s[at+1:]
		}
	case flags:
		return hashFlags(h, s)
	}
	digits := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if f == path && c >= '0' && c <= '9' { // numbers of versions, processes, dates
			if digits {
				continue
			}
			digits, c = true, '#'
		} else {
			digits = false
		}
		h = (h ^ uint64(c)) * hashPrime
		if f == path && c == '\\' && hasUsers(s[:i+1]) { // whose folder it is does not matter
			for i+1 < len(s) && s[i+1] != '\\' {
				i++
			}
		}
	}
	return (h ^ 0xff) * hashPrime
}

func hasUsers(s string) bool {
	const users = `\users\`
	return len(s) >= len(users) && strings.EqualFold(s[len(s)-len(users):], users)
}

// hashFlags takes in the program and the options of a command line: words that begin with a
// dash or a slash, up to what they are set to.
func hashFlags(h uint64, line string) uint64 {
	first := true
	for len(line) > 0 {
		var word string
		word, line = nextWord(line)
		switch {
		case first:
			h, first = base.hash(h, word), false
		case len(word) > 1 && (word[0] == '-' || word[0] == '/') && len(word) <= 24:
			if at := strings.IndexAny(word, "=:"); at > 0 {
				word = word[:at]
			}
			h = path.hash(h, word)
		}
	}
	return h
}

// nextWord cuts off the first word, which may stand in quotes.
func nextWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " ")
	if strings.HasPrefix(s, `"`) {
		if word, rest, ok := strings.Cut(s[1:], `"`); ok {
			return word, rest
		}
		return s[1:], ""
	}
	word, rest, _ = strings.Cut(s, " ")
	return word, rest
}

// entity is who or what something is observed of.
type entity struct {
	key   uint64
	class class
	group uint64 // of its peers
	name  string // of the event's memory
}

// observations are the entities of the event in hand.
type observations struct {
	entities [classCount]entity
	done     [classCount]bool
	event    *event.Event
	d        *detector
}

func (x *observations) read(d *detector, e *event.Event) {
	x.d, x.event = d, e
	x.done = [classCount]bool{}
}

// entity returns an entity of the event; its key is 0 when the event has none.
func (x *observations) entity(c class) entity {
	if !x.done[c] {
		x.done[c], x.entities[c] = true, x.find(c)
	}
	return x.entities[c]
}

func (x *observations) find(c class) entity {
	switch c {
	case hosts:
		return x.host(c, x.event.Host)
	case sources:
		return x.host(hosts, x.event.Value(event.IDOrigHost))
	}
	if c == estate {
		return entity{sketch.Hash("estate"), estate, sketch.Hash("estate", "group"), "the estate"}
	}
	if c == addresses {
		address := x.event.Value(event.SourceIp)
		if address == "" || isInside(address) {
			return entity{}
		}
		return entity{sketch.Hash("address", address), addresses, sketch.Hash("addresses"), address}
	}
	name := x.actor()
	switch name {
	case "", "-", "system", "local service", "network service", "anonymous logon", "root", "dwm-#", "umfd-#":
		return entity{}
	}
	if strings.HasSuffix(name, "$") || strings.HasPrefix(name, "dwm-") || strings.HasPrefix(name,
		"umfd-") || strings.HasPrefix(name, "s-1-") {
		return entity{}
	}
	privilege := "unknown"
	if a := x.d.inventory.Account(name); a != nil {
		privilege = a.Privilege
	}
	return entity{sketch.Hash("account", name), accounts, sketch.Hash("accounts", privilege), name}
}

// actor is the account that acts.
func (x *observations) actor() string {
	e := x.event
	switch e.Source.Service {
	case "security":
		switch e.Value(event.EventID) {
		case "4624", "4625", "4769", "4768", "4776":
			return shortName(e.Value(event.TargetUserName))
		}
		return shortName(e.Value(event.SubjectUserName))
	}
	return shortName(e.Value(event.User))
}

// host is a host of the inventory, or one without it.
func (x *observations) host(c class, name string) entity {
	if name == "" {
		return entity{}
	}
	if h := x.d.inventory.Host(name); h != nil {
		return entity{sketch.Hash("host", h.Name), c, sketch.Hash("hosts", string(h.Role)), h.Name}
	}
	if x.event.Source.Product == "zeek" && !isInside(name) {
		return entity{}
	}
	name = shortHost(name)
	return entity{sketch.Hash("host", name), c, sketch.Hash("hosts", "unknown"), name}
}

func isInside(address string) bool {
	return strings.HasPrefix(address, "10.") || strings.HasPrefix(address, "192.168.") || strings.HasPrefix(address,
		"172.") && isPrivate172(address)
}

// shortHost is a name without its domain; an address stays whole.
func shortHost(name string) string {
	at := strings.IndexByte(name, '.')
	if at <= 0 || name[0] >= '0' && name[0] <= '9' {
		return name
	}
	return name[:at]
}
