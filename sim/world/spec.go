package world

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hemostat/sim"
	"hemostat/sim/event"
	"hemostat/sim/role"
	"hemostat/sim/strictyaml"
)

// internet is the zone of every address outside the estate. It need not be
// declared and has no hosts.
const internet = "internet"

// Spec is a world file.
type Spec struct {
	Name        string         `yaml:"name" required:"true" name:"true" doc:"name by which scenarios refer to this world"`
	Description string         `yaml:"description" doc:"what the estate is like, in one sentence"`
	Domain      string         `yaml:"domain" required:"true" doc:"DNS name of the Active Directory domain, such as corp.example"`
	Zones       []ZoneSpec     `yaml:"zones" required:"true" doc:"network zones"`
	Flows       []FlowSpec     `yaml:"flows" doc:"connections allowed between zones; inside a zone all are allowed"`
	Hosts       []HostGroup    `yaml:"hosts" required:"true" doc:"groups of like hosts"`
	Accounts    []AccountGroup `yaml:"accounts" required:"true" doc:"groups of like accounts"`
	Data        []DataSpec     `yaml:"data" doc:"data worth stealing or encrypting"`
	Sensors     []SensorSpec   `yaml:"sensors" required:"true" doc:"what collects telemetry, from where, how late and with what loss"`
}

// ZoneSpec is a network zone.
type ZoneSpec struct {
	Pos  strictyaml.Pos `yaml:"-"`
	Name string         `yaml:"name" required:"true" name:"true" doc:"name of the zone"`
	CIDR string         `yaml:"cidr" required:"true" doc:"IPv4 network from which hosts get their addresses"`
}

// FlowSpec allows connections from one zone to others.
type FlowSpec struct {
	Pos   strictyaml.Pos `yaml:"-"`
	From  string         `yaml:"from" required:"true" doc:"zone that opens the connection, or internet"`
	To    []string       `yaml:"to" required:"true" doc:"zones that accept it, or internet"`
	Ports []int          `yaml:"ports" doc:"TCP or UDP ports allowed; none means every port"`
}

// HostGroup is a number of like hosts.
type HostGroup struct {
	Pos             strictyaml.Pos `yaml:"-"`
	Name            string         `yaml:"name" required:"true" name:"true" doc:"host name; with a count above 1 a running number is appended"`
	Count           int            `yaml:"count" doc:"how many; 1 when absent"`
	Scale           bool           `yaml:"scale" doc:"whether this group grows and shrinks with the world's size"`
	Zone            string         `yaml:"zone" required:"true" doc:"zone the hosts stand in"`
	Role            role.Role      `yaml:"role" required:"true" doc:"what the hosts are for"`
	OS              string         `yaml:"os" required:"true" enum:"windows,linux" doc:"operating system"`
	Criticality     float64        `yaml:"criticality" doc:"worth of an hour of one host, 1 for a workstation"`
	Services        []ServiceSpec  `yaml:"services" doc:"listening services"`
	Software        []string       `yaml:"software" doc:"installed software that techniques may need"`
	Vulnerabilities []string       `yaml:"vulnerabilities" doc:"unpatched vulnerabilities, as CVE ids"`
	WeakPassword    float64        `yaml:"weak_password" doc:"chance that a local account of a host has a guessable password"`
}

// ServiceSpec is a listening service.
type ServiceSpec struct {
	Name string `yaml:"name" required:"true" doc:"ssh, smb, rdp, winrm, http, https, ldap, kerberos, dns, mssql, smtp, …"`
	Port int    `yaml:"port" required:"true" doc:"TCP or UDP port"`
}

// AccountGroup is a number of like accounts.
type AccountGroup struct {
	Pos       strictyaml.Pos `yaml:"-"`
	Name      string         `yaml:"name" doc:"account name, or prefix with a count above 1; people get personal names when absent"`
	Count     int            `yaml:"count" doc:"how many; 1 when absent"`
	Scale     bool           `yaml:"scale" doc:"whether this group grows and shrinks with the world's size"`
	Privilege string         `yaml:"privilege" required:"true" enum:"user,server_admin,domain_admin,service" doc:"what the accounts may do"`
	MFA       bool           `yaml:"mfa" doc:"whether logging on from the internet needs a second factor"`
	Home      role.Role      `yaml:"home" doc:"role of the hosts these people sit at"`
	LogsOnTo  []role.Role    `yaml:"logs_on_to" doc:"roles of the hosts these accounts use besides their own"`
}

// DataSpec is a data store on each host of a role.
type DataSpec struct {
	Pos         strictyaml.Pos `yaml:"-"`
	Name        string         `yaml:"name" required:"true" doc:"name of the store, which is also the share's name"`
	Role        role.Role      `yaml:"role" required:"true" doc:"role of the hosts that hold it"`
	Gigabytes   float64        `yaml:"gigabytes" required:"true" doc:"size"`
	Sensitivity string         `yaml:"sensitivity" required:"true" enum:"public,internal,confidential,secret" doc:"what losing it would mean"`
}

// SensorSpec is a collector of telemetry.
type SensorSpec struct {
	Pos      strictyaml.Pos `yaml:"-"`
	Name     string         `yaml:"name" required:"true" name:"true" doc:"name of the sensor"`
	Channels []string       `yaml:"channels" required:"true" doc:"what it collects: sysmon, security, system, powershell, sshd, auditd, zeek, proxy, webserver, decoy, cloud; parts of Windows logs that an estate may leave off: process_audit, process_end, handle_audit, privilege_audit, network_audit, directory_audit, powershell_modules, windows_logs"`
	Zones    []string       `yaml:"zones" doc:"zones it covers; all when absent"`
	Roles    []role.Role    `yaml:"roles" doc:"host roles it covers; all when absent"`
	Coverage *float64       `yaml:"coverage" doc:"share of those hosts that have it, 0 to 1; 1 when absent"`
	Delay    sim.Dist       `yaml:"delay" doc:"time from an event to its delivery"`
	Loss     float64        `yaml:"loss" doc:"share of events that never arrive, 0 to 1"`
	Skew     sim.Dist       `yaml:"skew" doc:"how far a host's clock is off, drawn once a host, ahead or behind; none when absent"`
	Rotation Rotation       `yaml:"rotation" doc:"when logs are rotated and nothing is collected"`
}

// Rotation is when a host's log is rotated: for a while nothing is collected. Each host
// has its own phase.
type Rotation struct {
	Every time.Duration `yaml:"every" doc:"time between two rotations; none when absent"`
	Gap   time.Duration `yaml:"gap" doc:"how long nothing is collected"`
}

//go:embed worlds/*.yaml
var embedded embed.FS

// EmbeddedNames lists the worlds that come with the program.
func EmbeddedNames() []string {
	entries, err := fs.ReadDir(embedded, "worlds")
	if err != nil {
		panic("world: embedded worlds are unreadable: " + err.Error())
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Embedded returns the text of an embedded world and whether there is one.
func Embedded(name string) ([]byte, bool) {
	data, err := embedded.ReadFile("worlds/" + name + ".yaml")
	return data, err == nil
}

// ParseSpec reads and checks a world file; the error is strictyaml.Faults with
// everything that is wrong with it.
func ParseSpec(file string, data []byte) (*Spec, error) {
	s := &Spec{}
	var faults strictyaml.Faults
	err := strictyaml.Decode(file, data, s)
	if err != nil && !errors.As(err, &faults) || len(s.Hosts) == 0 && err != nil {
		return nil, err // where hosts are missing there is no sense to check
	}
	var more strictyaml.Faults
	errors.As(s.check(), &more)
	more = slices.DeleteFunc(more, func(f strictyaml.Fault) bool { return slices.ContainsFunc(faults, f.Follows) })
	if err := append(faults, more...).Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// maxHosts bounds a world's size.
const maxHosts = 100_000

// Scaled returns the world with its scalable groups grown or shrunk so that it
// has about so many hosts in all.
func (s *Spec) Scaled(hosts int) (*Spec, error) {
	fixed, scalable := 0, 0
	for _, g := range s.Hosts {
		if g.Scale {
			scalable += max(g.Count, 1)
		} else {
			fixed += max(g.Count, 1)
		}
	}
	switch {
	case scalable == 0:
		return nil, fmt.Errorf("world %q cannot be scaled: no host group says scale: true", s.Name)
	case hosts <= fixed:
		return nil, fmt.Errorf(
			"world %q has %d hosts that do not scale, so hosts must be above %d",
			s.Name,
			fixed,
			fixed,
		)
	case hosts > maxHosts:
		return nil, fmt.Errorf("world %q: hosts must be at most %d", s.Name, maxHosts)
	}
	factor := float64(hosts-fixed) / float64(scalable)
	grown := *s
	grown.Hosts = slices.Clone(s.Hosts)
	for i := range grown.Hosts {
		if g := &grown.Hosts[i]; g.Scale {
			g.Count = max(1, int(math.Round(float64(max(g.Count, 1))*factor)))
		}
	}
	grown.Accounts = slices.Clone(s.Accounts)
	for i := range grown.Accounts {
		if g := &grown.Accounts[i]; g.Scale {
			g.Count = max(1, int(math.Round(float64(max(g.Count, 1))*factor)))
		}
	}
	grown.Zones = slices.Clone(s.Zones)
	for i := range grown.Zones {
		grown.Zones[i].CIDR = widened(grown.Zones[i].CIDR, grown.hostsIn(grown.Zones[i].Name))
	}
	if err := grown.check(); err != nil {
		return nil, err
	}
	return &grown, nil
}

func (s *Spec) hostsIn(zone string) int {
	n := 0
	for _, g := range s.Hosts {
		if g.Zone == zone {
			n += max(g.Count, 1)
		}
	}
	return n
}

// widened shortens the prefix of a network until so many hosts fit.
func widened(cidr string, hosts int) string {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return cidr
	}
	bits := p.Bits()
	for bits > 9 && 1<<(32-bits)-spareAddresses < hosts {
		bits--
	}
	if bits == p.Bits() {
		return cidr
	}
	return netip.PrefixFrom(p.Addr(), bits).Masked().String()
}

// spareAddresses are left free in a zone: network, router, broadcast and decoys.
const spareAddresses = 24

func (s *Spec) check() error {
	c := specCheck{spec: s}
	c.zones()
	c.hosts()
	c.accounts()
	c.data()
	c.sensors()
	c.reachability()
	return c.faults.Err()
}

type specCheck struct {
	spec   *Spec
	faults strictyaml.Faults
	zone   map[string]bool
	roles  map[role.Role]bool
}

func (c *specCheck) fault(p strictyaml.Pos, path, format string, args ...any) {
	c.faults = append(c.faults, p.Fault(path, format, args...))
}

func (c *specCheck) zones() {
	c.zone = map[string]bool{internet: true}
	var taken []netip.Prefix
	for i, z := range c.spec.Zones {
		path := fmt.Sprintf("zones[%d]", i)
		if c.zone[z.Name] {
			c.fault(z.Pos, path+".name", "zone %q is declared twice or is the built-in %q", z.Name, internet)
		}
		c.zone[z.Name] = true
		p, err := netip.ParsePrefix(z.CIDR)
		if err != nil || !p.Addr().Is4() || p.Bits() < 8 || p.Bits() > 29 {
			c.fault(
				z.Pos,
				path+".cidr",
				"%q is no IPv4 network with a prefix length from 8 to 29, such as 10.1.0.0/22",
				z.CIDR,
			)
			continue
		}
		for _, t := range taken {
			if t.Overlaps(p) {
				c.fault(z.Pos, path+".cidr", "%s overlaps %s of another zone", p, t)
			}
		}
		taken = append(taken, p)
		if need := c.spec.hostsIn(z.Name) + spareAddresses; need > 1<<(32-p.Bits()) {
			c.fault(
				z.Pos,
				path+".cidr",
				"%s has no room for %d hosts and %d spare addresses",
				p,
				c.spec.hostsIn(z.Name),
				spareAddresses,
			)
		}
	}
	for i, f := range c.spec.Flows {
		path := fmt.Sprintf("flows[%d]", i)
		for _, name := range append([]string{f.From}, f.To...) {
			if !c.zone[name] {
				c.fault(f.Pos, path, "unknown zone %q; declared: %s", name, c.zoneNames())
			}
		}
		for _, p := range f.Ports {
			if p < 1 || p > 65535 {
				c.fault(f.Pos, path+".ports", "%d is no port number", p)
			}
		}
	}
}

func (c *specCheck) zoneNames() string {
	names := []string{internet}
	for _, z := range c.spec.Zones {
		names = append(names, z.Name)
	}
	return strings.Join(names, ", ")
}

func (c *specCheck) hosts() {
	c.roles = map[role.Role]bool{}
	names := map[string]bool{}
	total := 0
	for i, g := range c.spec.Hosts {
		path := fmt.Sprintf("hosts[%d]", i)
		c.roles[g.Role] = true
		total += max(g.Count, 1)
		if g.Count < 0 {
			c.fault(g.Pos, path+".count", "a count of 1 or more is expected, not %d", g.Count)
		}
		if names[g.Name] {
			c.fault(g.Pos, path+".name", "host name %q is used twice", g.Name)
		}
		names[g.Name] = true
		if !c.zone[g.Zone] || g.Zone == internet {
			c.fault(g.Pos, path+".zone", "unknown zone %q; declared: %s", g.Zone, c.zoneNames())
		}
		if g.WeakPassword < 0 || g.WeakPassword > 1 {
			c.fault(g.Pos, path+".weak_password", "a share from 0 to 1 is expected, not %g", g.WeakPassword)
		}
		if g.Criticality < 0 {
			c.fault(g.Pos, path+".criticality", "a number of 0 or more is expected, not %g", g.Criticality)
		}
	}
	if total > maxHosts {
		c.faults = append(
			c.faults,
			strictyaml.Fault{Message: fmt.Sprintf("hosts: %d hosts in all, at most %d are accepted", total, maxHosts)},
		)
	}
	if !c.roles[role.DomainController] && c.windows() {
		c.fault(
			c.spec.Hosts[0].Pos,
			"hosts",
			"Windows hosts need a domain controller: no group has role domain_controller",
		)
	}
}

func (c *specCheck) windows() bool {
	return slices.ContainsFunc(c.spec.Hosts, func(g HostGroup) bool { return g.OS == "windows" })
}

func (c *specCheck) role(p strictyaml.Pos, path string, r role.Role) {
	if r != "" && !c.roles[r] { // what is no role at all is a fault of its own
		c.fault(
			p,
			path,
			"no host has the role %q; roles in this world: %s",
			r,
			role.Join(slices.Sorted(maps.Keys(c.roles))),
		)
	}
}

func (c *specCheck) accounts() {
	names := map[string]bool{}
	for i, g := range c.spec.Accounts {
		path := fmt.Sprintf("accounts[%d]", i)
		if g.Count < 0 {
			c.fault(g.Pos, path+".count", "a count of 1 or more is expected, not %d", g.Count)
		}
		if g.Name != "" && names[g.Name] {
			c.fault(g.Pos, path+".name", "account name %q is used twice", g.Name)
		}
		names[g.Name] = true
		if g.Home != "" {
			c.role(g.Pos, path+".home", g.Home)
		}
		for _, r := range g.LogsOnTo {
			c.role(g.Pos, path+".logs_on_to", r)
		}
	}
}

func (c *specCheck) data() {
	names := map[string]bool{}
	for i, d := range c.spec.Data {
		path := fmt.Sprintf("data[%d]", i)
		if names[d.Name] {
			c.fault(d.Pos, path+".name", "data store %q is declared twice", d.Name)
		}
		names[d.Name] = true
		c.role(d.Pos, path+".role", d.Role)
		if !(d.Gigabytes > 0) {
			c.fault(d.Pos, path+".gigabytes", "a size above 0 is expected, not %g", d.Gigabytes)
		}
	}
}

func (c *specCheck) sensors() {
	names := map[string]bool{}
	for i, s := range c.spec.Sensors {
		path := fmt.Sprintf("sensors[%d]", i)
		if names[s.Name] {
			c.fault(s.Pos, path+".name", "sensor %q is declared twice", s.Name)
		}
		names[s.Name] = true
		for _, ch := range s.Channels {
			if _, ok := event.ChannelByName(ch); !ok {
				c.fault(
					s.Pos,
					path+".channels",
					"unknown channel %q; accepted: %s",
					ch,
					strings.Join(event.ChannelNames(), ", "),
				)
			}
		}
		for _, z := range s.Zones {
			if !c.zone[z] {
				c.fault(s.Pos, path+".zones", "unknown zone %q; declared: %s", z, c.zoneNames())
			}
		}
		for _, r := range s.Roles {
			c.role(s.Pos, path+".roles", r)
		}
		if s.Loss < 0 || s.Loss > 1 {
			c.fault(s.Pos, path+".loss", "a share from 0 to 1 is expected, not %g", s.Loss)
		}
		if r := s.Rotation; r.Every < 0 || r.Gap < 0 || r.Gap > 0 && r.Gap >= r.Every {
			c.fault(
				s.Pos,
				path+".rotation",
				"a gap shorter than the time between rotations is expected, such as {every: 24h, gap: 40s}",
			)
		}
		if s.Coverage != nil && (*s.Coverage < 0 || *s.Coverage > 1) {
			c.fault(s.Pos, path+".coverage", "a share from 0 to 1 is expected, not %g", *s.Coverage)
		}
	}
}

// reachability reports zones with hosts that nothing can reach and that can
// reach nothing: almost always a forgotten flow.
func (c *specCheck) reachability() {
	if len(c.spec.Zones) < 2 {
		return
	}
	for i, z := range c.spec.Zones {
		used := slices.ContainsFunc(c.spec.Flows, func(f FlowSpec) bool {
			return f.From == z.Name || slices.Contains(f.To, z.Name)
		})
		if !used && c.spec.hostsIn(z.Name) > 0 {
			c.fault(
				z.Pos,
				fmt.Sprintf("zones[%d]", i),
				"zone %q is unreachable: no flow leads into it or out of it",
				z.Name,
			)
		}
	}
}
