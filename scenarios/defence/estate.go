package defence

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"hemostat/defenders/inventory"
	"hemostat/sim/boundedfile"
	"hemostat/sim/role"
	"hemostat/sim/strictyaml"
)

// estateFile is an inventory as people write it, or as it comes from an asset register.
type estateFile struct {
	Hosts    []hostFile    `yaml:"hosts" doc:"the machines"`
	Accounts []accountFile `yaml:"accounts,omitempty" doc:"the accounts"`
}

type hostFile struct {
	Pos         strictyaml.Pos `yaml:"-"`
	Name        string         `yaml:"name" doc:"name, without its domain"`
	IP          string         `yaml:"ip,omitempty" doc:"address"`
	Zone        string         `yaml:"zone,omitempty" doc:"part of the network"`
	Role        role.Role      `yaml:"role,omitempty" doc:"what it is for; workstation when absent"`
	OS          string         `yaml:"os,omitempty" doc:"windows, linux or macos"`
	Criticality float64        `yaml:"criticality,omitempty" doc:"worth of an hour, 1 for a workstation"`
	Owner       string         `yaml:"owner,omitempty" doc:"account of the person who sits there"`
	Tags        []string       `yaml:"tags,omitempty" doc:"words that playbooks may ask for"`
}

type accountFile struct {
	Pos       strictyaml.Pos `yaml:"-"`
	Name      string         `yaml:"name" doc:"name, without its domain"`
	Privilege string         `yaml:"privilege,omitempty" doc:"user, service, server_admin or domain_admin; user when absent"`
}

// privileges are those of accounts.
var privileges = []string{"user", "service", "server_admin", "domain_admin"}

// ReadEstate reads an inventory, YAML or JSON. Every fault is named with its line.
func ReadEstate(file string) (*inventory.Inventory, error) {
	data, err := boundedfile.ReadLarge(file)
	if err != nil {
		return nil, err
	}
	var f estateFile
	if err := strictyaml.Decode(file, data, &f); err != nil {
		return nil, err
	}
	var faults strictyaml.Faults
	var hosts []inventory.Host
	seen := map[string]bool{}
	for i := range f.Hosts {
		h := &f.Hosts[i]
		faults = append(faults, h.check(seen)...)
		hosts = append(hosts, inventory.Host{Name: h.Name, IP: h.IP, Zone: h.Zone, OS: h.OS, Role: h.Role,
			Criticality: h.Criticality, Owner: h.Owner, Tags: h.Tags})
	}
	var accounts []inventory.Account
	for i := range f.Accounts {
		a := &f.Accounts[i]
		if a.Privilege == "" {
			a.Privilege = privileges[0]
		}
		if a.Name == "" {
			faults = append(faults, a.Pos.Fault("name", "the account has no name"))
		}
		if !slices.Contains(privileges, a.Privilege) {
			faults = append(faults, a.Pos.Fault("privilege", "%q is no privilege; accepted: %s", a.Privilege, strings.Join(privileges, ", ")))
		}
		accounts = append(accounts, inventory.Account{Name: a.Name, Privilege: a.Privilege})
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return inventory.New(hosts, accounts), nil
}

// check fills in defaults and finds faults; seen are the names so far.
func (h *hostFile) check(seen map[string]bool) (faults strictyaml.Faults) {
	if h.Role == "" {
		h.Role = role.Workstation
	}
	if h.Criticality == 0 {
		h.Criticality = 1
	}
	name := strings.ToUpper(h.Name)
	switch {
	case name == "":
		faults = append(faults, h.Pos.Fault("name", "the host has no name"))
	case seen[name]:
		faults = append(faults, h.Pos.Fault("name", "there are two hosts %s", h.Name))
	}
	seen[name] = true
	if _, err := netip.ParseAddr(h.IP); h.IP != "" && err != nil {
		faults = append(faults, h.Pos.Fault("ip", "%q is no address", h.IP))
	}
	if h.Criticality < 0 {
		faults = append(faults, h.Pos.Fault("criticality", "a number of 0 or more is expected, not %g", h.Criticality))
	}
	return faults
}

// WriteEstate writes an inventory as ReadEstate reads it.
func WriteEstate(w io.Writer, v *inventory.Inventory) error {
	var f estateFile
	for i := range v.Hosts {
		h := &v.Hosts[i]
		f.Hosts = append(f.Hosts, hostFile{Name: h.Name, IP: h.IP, Zone: h.Zone, Role: h.Role, OS: h.OS,
			Criticality: h.Criticality, Owner: h.Owner, Tags: h.Tags})
	}
	for _, a := range v.Accounts {
		f.Accounts = append(f.Accounts, accountFile{Name: a.Name, Privilege: a.Privilege})
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(f); err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	return e.Close()
}
