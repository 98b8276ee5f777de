package analyst

import (
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// memory is what the pipeline has seen, as far as the analyst may ask for it: the alerts of
// each entity, on how many hosts each program ran, and, where events are kept, the newest
// events and the processes of each host. It is bounded whatever comes.
type memory struct {
	epoch     time.Time
	inventory *inventory.Inventory

	alerts   *sketch.Map[string, alertHistory] // by kind of entity and name
	programs *sketch.Map[string, sketch.Distinct]
	events   eventRing
	tree     *sketch.Map[string, process]
}

// The bounds of the memory.
const (
	maxEntities  = 20_000
	maxPrograms  = 20_000
	maxProcesses = 20_000
	maxHistory   = 48 // alerts of an entity
)

// newMemory makes an empty memory. The epoch is the time at which virtual times count from
// 0; keptEvents is how many of the newest events are kept, 0 for none.
func newMemory(epoch time.Time, v *inventory.Inventory, keptEvents int) *memory {
	m := &memory{
		epoch: epoch, inventory: v,
		alerts:   sketch.NewMap[string, alertHistory](maxEntities),
		programs: sketch.NewMap[string, sketch.Distinct](maxPrograms),
	}
	if keptEvents > 0 {
		m.events = newEventRing(keptEvents)
		m.tree = sketch.NewMap[string, process](maxProcesses)
	}
	return m
}

// pastAlert is one alert in the history of an entity.
type pastAlert struct {
	at        time.Duration
	id        int // 0 before it has one
	rule      string
	title     string
	technique string
	severity  severity.Severity
	host      string
	user      string
}

// alertHistory are the newest alerts of an entity, oldest first.
type alertHistory struct{ past []pastAlert }

func (h *alertHistory) add(a pastAlert) {
	if len(h.past) == maxHistory {
		copy(h.past, h.past[1:])
		h.past = h.past[:maxHistory-1]
	}
	h.past = append(h.past, a)
}

// The kinds of entity.
const (
	hostEntity        = "host "
	userEntity        = "user "
	addressEntity     = "address "
	destinationEntity = "destination "
	ruleEntity        = "rule "
)

// keysOf are the entities of an alert, by which its history is found.
func keysOf(a *alert.Alert) []string {
	var keys []string
	add := func(kind, name string) {
		if name != "" {
			keys = append(keys, kind+name)
		}
	}
	add(hostEntity, a.Host)
	add(userEntity, a.User)
	add(addressEntity, a.SourceIP)
	add(destinationEntity, a.Destination)
	add(ruleEntity, a.RuleID)
	return keys
}

// noteAlert takes an alert in, after it was judged.
func (m *memory) noteAlert(a *alert.Alert) {
	p := pastAlert{
		at: a.Raised, id: a.ID, rule: a.RuleID, title: a.Title, technique: a.Technique(), severity: a.Severity,
		host: a.Host, user: a.User,
	}
	for _, key := range keysOf(a) {
		h := m.alerts.Get(key)
		if h == nil {
			h = &alertHistory{}
			m.alerts.Put(key, h)
		}
		h.add(p)
	}
}

// history are the alerts of an entity within a time before now, oldest first.
func (m *memory) history(kind, name string, now, within time.Duration) []pastAlert {
	if name == "" {
		return nil
	}
	h := m.alerts.Get(kind + name)
	if h == nil {
		return nil
	}
	for i := range h.past {
		if now-h.past[i].at <= within {
			return h.past[i:]
		}
	}
	return nil
}

// observe takes an event in.
func (m *memory) observe(e *event.Event) {
	if m.tree != nil {
		m.events.add(e)
	}
	if e.Source.Category != "process_creation" {
		return
	}
	program := programOf(e.Value(event.Image), e.Value(event.NewProcessName))
	if program == "" {
		return
	}
	hosts := m.programs.Get(program)
	if hosts == nil {
		hosts = &sketch.Distinct{}
		m.programs.Put(strings.Clone(program), hosts)
	}
	hosts.Add(sketch.Hash(e.Host))
	if m.tree != nil {
		m.noteProcess(e)
	}
}

// hostsOf is on how many hosts a program was seen to run.
func (m *memory) hostsOf(image string) float64 {
	if d := m.programs.Get(programOf(image)); d != nil {
		return d.Count()
	}
	return 0
}

// programOf is the file's name of the first path that is given, in lower case.
func programOf(paths ...string) string {
	for _, path := range paths {
		if path != "" {
			return strings.ToLower(path[strings.LastIndexAny(path, `\/`)+1:])
		}
	}
	return ""
}

// eventRing holds the newest events.
type eventRing struct {
	events []*event.Event
	at     map[uint64]int
	next   int
}

func newEventRing(most int) eventRing {
	return eventRing{events: make([]*event.Event, most), at: make(map[uint64]int, most)}
}

func (r *eventRing) add(e *event.Event) {
	if old := r.events[r.next]; old != nil {
		delete(r.at, old.ID)
	}
	r.events[r.next], r.at[e.ID] = e, r.next
	r.next = (r.next + 1) % len(r.events)
}

func (r *eventRing) byID(id uint64) *event.Event {
	if at, ok := r.at[id]; ok {
		return r.events[at]
	}
	return nil
}

// newest calls f with the events, the newest first, until it returns false.
func (r *eventRing) newest(f func(*event.Event) bool) {
	for i := range r.events {
		e := r.events[(r.next-1-i+2*len(r.events))%len(r.events)]
		if e == nil || !f(e) {
			return
		}
	}
}

// process is one process of a host.
type process struct {
	event                  uint64
	at                     time.Duration
	image, command, user   string
	parent, parentsCommand string
	parentID               string
}

func processKey(host, id string) string { return host + " " + id }

// noteProcess takes the start of a process in.
func (m *memory) noteProcess(e *event.Event) {
	id, parent := e.Value(event.ProcessId), e.Value(event.ParentProcessId)
	if e.Source.Service == "security" {
		id, parent = e.Value(event.NewProcessId), e.Value(event.ProcessId)
	}
	if id == "" {
		return
	}
	first := func(fields ...event.Field) string {
		for _, f := range fields {
			if v := e.Value(f); v != "" {
				return strings.Clone(v)
			}
		}
		return ""
	}
	p := process{
		event: e.ID, at: e.Time,
		image: first(event.Image, event.NewProcessName), command: first(event.CommandLine),
		user:   first(event.User, event.SubjectUserName),
		parent: first(event.ParentImage, event.ParentProcessName), parentsCommand: first(event.ParentCommandLine),
		parentID: strings.Clone(parent),
	}
	key := processKey(e.Host, id)
	if known := m.tree.Get(key); known != nil {
		*known = p
		return
	}
	m.tree.Put(key, &p)
}
