package world

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hemostat/sim"
	"hemostat/sim/event"
	"hemostat/sim/role"
	"hemostat/sim/truth"
)

// Privilege is what an account may do.
type Privilege uint8

// The privileges, each including the ones before it but for service accounts,
// which administer the hosts they log on to.
const (
	User Privilege = iota
	Service
	ServerAdmin
	DomainAdmin
)

var privilegeNames = []string{"user", "service", "server_admin", "domain_admin"}

// String is the name that world files use.
func (p Privilege) String() string { return privilegeNames[p] }

// Zone is a network zone and what the defence has done to it.
type Zone struct {
	Index  int
	Name   string
	Prefix netip.Prefix

	isolated *effect
	shaped   *effect
	shapedTo float64 // share of the ordinary rate that is left, when shaped
}

// Port is a listening service of a host.
type Port struct {
	Name   string
	Number int
}

// Host is a machine of the estate.
type Host struct {
	Index           int
	Name, FQDN, IP  string
	Zone            *Zone
	Role            role.Role
	OS              string
	Criticality     float64
	Ports           []Port
	Software        []string
	Vulnerabilities []string
	Weak            bool // a local account has a guessable password
	Owner           *Account
	Decoy           bool

	// Sessions of accounts that are logged on now, by account.
	Sessions []*Session
	// Implants are the attackers' running processes.
	Implants []*Implant
	// Autostarts are hostile programs that the host starts by itself.
	Autostarts []*Autostart
	Encrypted  bool
	Agent      bool // the endpoint agent runs

	isolated *effect
	egress   *effect
	patched  *effect
	sensors  [event.NumChannels]*Sensor
	hostile  map[uint32]int32 // attack by number of each process that an attacker started
	machine  uint64           // hash that identifiers of this host start from
	honeypot *effect
	resident []*Process // processes of the system that techniques and users have met
}

// Windows tells whether the host runs Windows.
func (h *Host) Windows() bool { return h.OS == "windows" }

// Account is a user or service account of the domain.
type Account struct {
	Index     int
	Name      string
	SID       string
	Privilege Privilege
	MFA       bool
	Home      *Host
	LogsOnTo  []role.Role

	// Generation counts credential changes; a stolen credential of an older
	// generation is worthless.
	Generation int
	revoked    *effect
}

// Session is an account logged on to a host.
type Session struct {
	Account *Account
	From    string
	Remote  bool
	LogonID uint64
	Ended   bool
	cause   *effect
}

// Implant is a process of an attacker on a host.
type Implant struct {
	Host     *Host
	Process  *Process
	Attack   int32
	Elevated bool
	Files    []string
	killed   *effect
}

// alive tells whether the implant still runs.
func (i *Implant) alive() bool { return i.killed == nil }

// Data is a data store on a host.
type Data struct {
	Name        string
	Host        *Host
	Bytes       uint64
	Sensitivity string
}

// Sensor collects channels from hosts and delivers them late, or not at all.
type Sensor struct {
	Name  string
	Delay sim.Dist
	Loss  float64
	draws sim.Stream

	skew     []time.Duration // of each host's clock, nil when all are right
	rotation Rotation
}

// rotating tells whether the host's log is being rotated.
func (s *Sensor) rotating(h *Host, now time.Duration) bool {
	if s.rotation.Every <= 0 {
		return false
	}
	phase := time.Duration(h.machine % uint64(s.rotation.Every))
	return (now+phase)%s.rotation.Every < s.rotation.Gap
}

// clockOf is how far a host's clock is ahead.
func (s *Sensor) clockOf(h *Host) time.Duration {
	if s.skew == nil || h.Index >= len(s.skew) {
		return 0
	}
	return s.skew[h.Index]
}

// Actor is whoever causes events. Its events are numbered by itself, so that
// nobody else's numbers depend on it.
type Actor struct {
	Name  string
	Label truth.Label
	index uint32
	next  uint32
}

// World is the estate of one trial. It serves one goroutine.
type World struct {
	Name     string
	Domain   string
	NetBIOS  string
	Zones    []*Zone
	Hosts    []*Host
	Accounts []*Account
	Data     []*Data
	Sensors  []*Sensor

	// Deliver receives every event that a sensor collected, at the time it
	// happened; Event.Observed says when it will arrive.
	Deliver func(*event.Event)
	// Epoch is the calendar time of the scenario's start.
	Epoch time.Time

	ledger     *truth.Ledger
	streams    sim.Streams
	allowed    map[flowKey]portSet
	byName     map[string]*Host
	byIP       map[string]*Host
	byAccount  map[string]*Account
	byRole     map[role.Role][]*Host
	actors     uint32
	arena      event.Arena
	clock      clockCache
	addresses  map[string]*effect // external addresses that are blocked
	limits     map[string]limit   // external or internal addresses that are rate limited
	sinkholes  map[string]*effect
	quarantine map[fileKey]*effect
	effects    map[uint64]*effect
	domainSID  string
	now        time.Duration // of the event that is being written
	events     uint64
	dropped    uint64
	silent     bool // what happens is written otherwise
	spare      map[*Zone]netip.Addr
	rotated    map[int]*effect
}

type fileKey struct{ host, path string }

type flowKey struct{ from, to int }

// internetIndex is the zone index of addresses outside the estate.
const internetIndex = -1

type portSet struct {
	every bool
	ports []int
}

func (s portSet) has(port int) bool { return s.every || slices.Contains(s.ports, port) }

// Build makes the estate of one trial. What a world file leaves open (who sits
// where, which hosts a sensor misses, which have a weak password) is drawn from
// the trial's streams.
func Build(spec *Spec, streams sim.Streams, ledger *truth.Ledger, epoch time.Time) *World {
	w := &World{
		Name: spec.Name, Domain: spec.Domain, Epoch: epoch,
		ledger: ledger, streams: streams,
		allowed: map[flowKey]portSet{}, byName: map[string]*Host{}, byIP: map[string]*Host{},
		byAccount: map[string]*Account{}, byRole: map[role.Role][]*Host{},
		addresses: map[string]*effect{}, limits: map[string]limit{}, sinkholes: map[string]*effect{},
		quarantine: map[fileKey]*effect{}, effects: map[uint64]*effect{}, spare: map[*Zone]netip.Addr{},
		Deliver: func(*event.Event) {},
	}
	w.NetBIOS = strings.ToUpper(strings.SplitN(spec.Domain, ".", 2)[0])
	sid := streams.Stream("domain", "sid")
	w.domainSID = fmt.Sprintf("S-1-5-21-%d-%d-%d", 1e9+sid.IntN(3e9), 1e9+sid.IntN(3e9), 1e9+sid.IntN(3e9))
	w.buildZones(spec)
	w.buildHosts(spec)
	w.buildAccounts(spec)
	w.buildData(spec)
	w.buildSensors(spec)
	return w
}

func (w *World) buildZones(spec *Spec) {
	index := map[string]int{internet: internetIndex}
	for i, z := range spec.Zones {
		prefix := netip.MustParsePrefix(z.CIDR).Masked() // checked by ParseSpec
		w.Zones = append(w.Zones, &Zone{Index: i, Name: z.Name, Prefix: prefix})
		index[z.Name] = i
	}
	for _, f := range spec.Flows {
		for _, to := range f.To {
			key := flowKey{index[f.From], index[to]}
			set := w.allowed[key]
			set.every = set.every || len(f.Ports) == 0
			set.ports = append(set.ports, f.Ports...)
			w.allowed[key] = set
		}
	}
}

func (w *World) buildHosts(spec *Spec) {
	next := make([]netip.Addr, len(w.Zones))
	for i, z := range w.Zones {
		next[i] = z.Prefix.Addr()
		for range 10 { // the first addresses belong to routers
			next[i] = next[i].Next()
		}
	}
	for _, g := range spec.Hosts {
		zone := w.zone(g.Zone)
		for n := range max(g.Count, 1) {
			name := g.Name
			if g.Count > 1 {
				name = fmt.Sprintf("%s%03d", g.Name, n+1)
			}
			w.addHost(&Host{
				Name: name, IP: next[zone.Index].String(), Zone: zone, Role: g.Role, OS: g.OS,
				Criticality: g.Criticality, Ports: ports(g.Services), Software: g.Software,
				Vulnerabilities: g.Vulnerabilities, Agent: true,
				Weak: w.drawBool("host "+name, "weak password", g.WeakPassword),
			})
			next[zone.Index] = next[zone.Index].Next()
		}
		w.spare[zone] = next[zone.Index]
	}
}

func (w *World) addHost(h *Host) {
	h.Index = len(w.Hosts)
	h.FQDN = h.Name + "." + w.Domain
	h.machine = sim.Key(h.Name)
	w.Hosts = append(w.Hosts, h)
	w.byName[h.Name] = h
	w.byIP[h.IP] = h
	w.byRole[h.Role] = append(w.byRole[h.Role], h)
}

func (w *World) drawBool(actor, purpose string, p float64) bool {
	s := w.streams.Stream(actor, purpose)
	return s.Bool(p)
}

func ports(specs []ServiceSpec) []Port {
	var out []Port
	for _, s := range specs {
		out = append(out, Port{s.Name, s.Port})
	}
	return out
}

func (w *World) buildAccounts(spec *Spec) {
	s := w.streams.Stream("accounts", "names")
	for _, g := range spec.Accounts {
		for n := range max(g.Count, 1) {
			a := &Account{
				Index:     len(w.Accounts),
				Privilege: privilegeByName(g.Privilege),
				MFA:       g.MFA,
				LogsOnTo:  g.LogsOnTo,
			}
			switch {
			case g.Name == "":
				a.Name = w.personalName(&s)
			case g.Count > 1:
				a.Name = fmt.Sprintf("%s%02d", g.Name, n+1)
			default:
				a.Name = g.Name
			}
			a.SID = fmt.Sprintf("%s-%d", w.domainSID, 1100+a.Index)
			if seats := w.byRole[g.Home]; g.Home != "" {
				a.Home = seats[(n+s.IntN(1+len(seats)/8))%len(seats)]
				for range len(seats) {
					if a.Home.Owner == nil {
						break
					}
					a.Home = seats[(a.Home.Index-seats[0].Index+1)%len(seats)]
				}
				if a.Home.Owner == nil {
					a.Home.Owner = a
				}
			}
			w.Accounts = append(w.Accounts, a)
			w.byAccount[a.Name] = a
		}
	}
}

func privilegeByName(name string) Privilege { return Privilege(slices.Index(privilegeNames, name)) }

var (
	givenNames = strings.Fields(
		"anna ben carla david elena farid greta hugo ines jonas karin leon maria nils olga paul rosa stefan tina umar vera willem xenia yusuf zoe amir bianca cem dora emil",
	)
	familyNames = strings.Fields(
		"adler becker costa dietz evans fischer garcia huber ivanov jensen keller lorenz meyer novak olsen pereira quist rossi schmidt tanaka ullman vogel weber xu young zimmer baker dubois eriksen kaya",
	)
)

func (w *World) personalName(s *sim.Stream) string {
	base := sim.Pick(s, givenNames)[:1] + sim.Pick(s, familyNames)
	name := base
	for n := 2; w.byAccount[name] != nil; n++ {
		name = fmt.Sprintf("%s%d", base, n)
	}
	return name
}

func (w *World) buildData(spec *Spec) {
	for _, d := range spec.Data {
		for _, h := range w.byRole[d.Role] {
			share := d.Gigabytes / float64(len(w.byRole[d.Role]))
			w.Data = append(
				w.Data,
				&Data{Name: d.Name, Host: h, Bytes: uint64(share * 1e9), Sensitivity: d.Sensitivity},
			)
		}
	}
}

func (w *World) buildSensors(spec *Spec) {
	for _, s := range spec.Sensors {
		sensor := &Sensor{
			Name:     s.Name,
			Delay:    s.Delay,
			Loss:     s.Loss,
			rotation: s.Rotation,
			draws:    w.streams.Stream("sensor "+s.Name, "delivery"),
		}
		if !s.Skew.IsZero() {
			sensor.skew = make([]time.Duration, len(w.Hosts))
			clocks := w.streams.Stream("sensor "+s.Name, "skew")
			for i := range sensor.skew {
				r := clocks.At(uint64(i))
				if sensor.skew[i] = s.Skew.Sample(&r); r.Bool(0.5) {
					sensor.skew[i] = -sensor.skew[i]
				}
			}
		}
		w.Sensors = append(w.Sensors, sensor)
		coverage := 1.0
		if s.Coverage != nil {
			coverage = *s.Coverage
		}
		for _, h := range w.Hosts {
			if len(s.Zones) > 0 && !slices.Contains(s.Zones, h.Zone.Name) ||
				len(s.Roles) > 0 && !slices.Contains(s.Roles, h.Role) ||
				!w.drawBool("sensor "+s.Name, "covers "+h.Name, coverage) {
				continue
			}
			for _, channel := range s.channelsOn(h) {
				h.sensors[channel] = sensor
			}
		}
	}
}

// zone finds a zone by name, or returns nil.
func (w *World) zone(name string) *Zone {
	i := slices.IndexFunc(w.Zones, func(z *Zone) bool { return z.Name == name })
	if i < 0 {
		return nil
	}
	return w.Zones[i]
}

// Host finds a host by name, fully qualified name or address, or returns nil.
func (w *World) Host(name string) *Host {
	if h := w.byName[name]; h != nil {
		return h
	}
	if h := w.byIP[name]; h != nil {
		return h
	}
	short, _, _ := strings.Cut(name, ".")
	return w.byName[strings.ToUpper(short)]
}

// account finds an account by name, with or without its domain, or returns nil.
func (w *World) account(name string) *Account {
	if at := strings.LastIndexByte(name, '\\'); at >= 0 {
		name = name[at+1:]
	}
	name, _, _ = strings.Cut(name, "@")
	return w.byAccount[name]
}

// WithRole lists the hosts of a role in index order.
func (w *World) WithRole(r role.Role) []*Host { return w.byRole[r] }

// DomainController returns the controller that serves a host.
func (w *World) DomainController(h *Host) *Host {
	dcs := w.byRole[role.DomainController]
	if len(dcs) == 0 {
		return nil
	}
	return dcs[h.Index%len(dcs)]
}

// NewActor registers who will cause events. Actors must be made in the same
// order in every trial of a scenario.
func (w *World) NewActor(name string) *Actor {
	w.actors++
	return &Actor{Name: name, index: w.actors}
}

// Streams are the random streams of the trial.
func (w *World) Streams() sim.Streams { return w.streams }

// Events counts the events that sensors have collected; Dropped those they lost.
func (w *World) Events() uint64 { return w.events }

// Dropped counts the events that sensors lost.
func (w *World) Dropped() uint64 { return w.dropped }

// userName is the account as Sysmon writes it.
func (w *World) userName(a *Account) string {
	if a == nil {
		return `NT AUTHORITY\SYSTEM`
	}
	return w.arena.Join(w.NetBIOS, `\`, a.Name)
}

// hasImplant tells whether an attacker's process runs on the host.
func (h *Host) hasImplant() bool {
	return slices.ContainsFunc(h.Implants, (*Implant).alive)
}

// Index is the actor's number, which the ids of its events begin with.
func (a *Actor) Index() uint32 { return a.index }

// UseStreams changes the streams from which everything after Build is drawn, for
// scenarios in which every trial plays in the same estate.
func (w *World) UseStreams(s sim.Streams) { w.streams = s }
