// Package role is what a host of the estate is for, and what follows from it. It is
// vocabulary that world, attackers and defenders share, and holds no state.
package role

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what a host is for.
type Role string

// The roles that a world's file may give.
const (
	Workstation      Role = "workstation"
	AdminWorkstation Role = "admin_workstation"
	DomainController Role = "domain_controller"
	FileServer       Role = "file_server"
	DatabaseServer   Role = "database_server"
	WebServer        Role = "web_server"
	MailServer       Role = "mail_server"
	AppServer        Role = "app_server"
	BackupServer     Role = "backup_server"
	JumpHost         Role = "jump_host"
	Scanner          Role = "scanner"
	SSHGateway       Role = "ssh_gateway"
	DNSServer        Role = "dns_server"
	ProxyServer      Role = "proxy_server"
	CloudGateway     Role = "cloud_gateway"
)

// Roles of hosts that the defence puts up and takes down.
const (
	Decoy        Role = "decoy"
	RetiredDecoy Role = "retired_decoy"
)

var declared = []Role{
	Workstation,
	AdminWorkstation,
	DomainController,
	FileServer,
	DatabaseServer,
	WebServer,
	MailServer,
	AppServer,
	BackupServer,
	JumpHost,
	Scanner,
	SSHGateway,
	DNSServer,
	ProxyServer,
	CloudGateway,
}

// IsHub tells whether everybody talks to hosts of this role, so that being about the
// same one does not make two alerts belong together.
func (r Role) IsHub() bool {
	switch r {
	case DomainController, ProxyServer, MailServer, CloudGateway, DNSServer:
		return true
	}
	return false
}

// IsRebuildable tells whether a host of this role may be restored from its image
// without a project of its own; a domain controller may not.
func (r Role) IsRebuildable() bool { return r != DomainController }

// UnmarshalText reads a role that a file may give.
func (r *Role) UnmarshalText(text []byte) error {
	if !slices.Contains(declared, Role(text)) {
		return fmt.Errorf("%q is no role of a host; accepted: %s", text, Join(declared))
	}
	*r = Role(text)
	return nil
}

// Join lists roles for a message.
func Join(roles []Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// Accepted lists the names of the roles that a file may give.
func (Role) Accepted() []string {
	var names []string
	for _, r := range declared {
		names = append(names, string(r))
	}
	return names
}

// JSONSchema lists the roles for an editor's completion.
func (Role) JSONSchema() map[string]any { return map[string]any{"type": "string", "enum": declared} }
