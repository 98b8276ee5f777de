package sigma

import (
	"slices"

	"hemostat/sim/event"
)

// Covers tells whether a rule's log source takes in events of this source: each
// part that the rule names must be the event's, after the aliases of Sigma's
// taxonomy (specification, appendix "Taxonomy").
func Covers(rule, of event.LogSource) bool {
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
}

// securityProcessFields are the names that Security 4688 has for what rules on
// process creation ask.
var securityProcessFields = renaming{
	event.Image:           event.NewProcessName,
	event.ParentImage:     event.ParentProcessName,
	event.ProcessId:       event.NewProcessId,
	event.ParentProcessId: event.ProcessId,
	event.User:            event.SubjectUserName,
	event.IntegrityLevel:  event.MandatoryLabel,
	event.LogonId:         event.SubjectLogonId,
}

// renaming is the names that a log source has for fields that rules know by
// another one. It is nil where the names are the same.
type renaming map[event.Field]event.Field

// apply is the field under the name that the log source has for it.
func (r renaming) apply(f fieldRef) fieldRef {
	if to, ok := r[f.field]; ok {
		return fieldRef{to, to.String()}
	}
	return f
}

// renames gives the field names of an event source that differ from those that
// a rule of this log source uses. A rule on service security names the fields as
// the log does.
func renames(rule, of event.LogSource) renaming {
	if of.Product == "windows" && of.Service == "security" && of.Category == "process_creation" && rule.Category == "process_creation" {
		return securityProcessFields
	}
	return nil
}
