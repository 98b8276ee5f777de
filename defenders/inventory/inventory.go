// Package inventory is what the defenders may know of the estate: hosts with
// their zone, role and worth, and accounts with their privilege. It is handed to
// the pipeline from outside; nothing in it says what is compromised.
package inventory

import (
	"slices"
	"strings"

	"hemostat/sim/role"
)

// Host is a machine as the asset register has it.
type Host struct {
	Name, IP, Zone, OS string
	Role               role.Role
	Criticality        float64 // worth of an hour, 1 for a workstation
	Owner              string  // account of the person who sits there
	Tags               []string
}

// Account is an account as the directory has it.
type Account struct {
	Name      string
	Privilege string // user, service, server_admin, domain_admin
}

// Inventory is the asset register. The zero value is an empty one.
type Inventory struct {
	Hosts    []Host
	Accounts []Account

	byName, byIP map[string]*Host
	byAccount    map[string]*Account
	zones        []string
	worth        map[string]float64
}

// New indexes an asset register.
func New(hosts []Host, accounts []Account) *Inventory {
	v := &Inventory{
		Hosts:     hosts,
		Accounts:  accounts,
		byName:    map[string]*Host{},
		byIP:      map[string]*Host{},
		byAccount: map[string]*Account{},
		worth:     map[string]float64{},
	}
	for i := range hosts {
		h := &hosts[i]
		v.byName[strings.ToUpper(h.Name)] = h
		v.byIP[h.IP] = h
		if !slices.Contains(v.zones, h.Zone) {
			v.zones = append(v.zones, h.Zone)
		}
		v.worth[h.Zone] += h.Criticality
	}
	for i := range accounts {
		v.byAccount[strings.ToLower(accounts[i].Name)] = &accounts[i]
	}
	return v
}

// Host finds a host by name, fully qualified name or address, or returns nil.
func (v *Inventory) Host(name string) *Host {
	if v == nil || name == "" {
		return nil
	}
	if h := v.byIP[name]; h != nil {
		return h
	}
	if h := v.byName[strings.ToUpper(name)]; h != nil {
		return h
	}
	short, _, _ := strings.Cut(name, ".")
	return v.byName[strings.ToUpper(short)]
}

// Account finds an account by name, with or without its domain, or returns nil.
func (v *Inventory) Account(name string) *Account {
	if v == nil {
		return nil
	}
	if at := strings.LastIndexByte(name, '\\'); at >= 0 {
		name = name[at+1:]
	}
	name, _, _ = strings.Cut(name, "@")
	return v.byAccount[strings.ToLower(name)]
}

// Zones lists the zones in the order of their first host.
func (v *Inventory) Zones() []string {
	if v == nil {
		return nil
	}
	return v.zones
}

// ZoneWorth is the summed criticality of a zone's hosts.
func (v *Inventory) ZoneWorth(zone string) float64 {
	if v == nil {
		return 0
	}
	return v.worth[zone]
}
