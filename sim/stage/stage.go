// Package stage names the rows of the table stages: when which part of the defence
// worked on an incident. The pipeline writes them, measurement and reports read them
// through this package, so that a renamed stage is a build error. It holds no state.
package stage

import "strings"

// Name is the name of a stage as it is recorded.
type Name string

// Stages without a subject.
const (
	Detection           Name = "detection"
	Fusion              Name = "fusion"
	Cascade             Name = "cascade"
	Rebuild             Name = "rebuild"
	RestorationAsked    Name = "restoration asked"
	Restoration         Name = "restoration"
	RestorationCanceled Name = "restoration broken off" // an alert came while it went on
	Rollback            Name = "rollback"               // what restoration had released is put in force again
)

const (
	responsePrefix = "response "
	approvalPrefix = "approval "
)

// Response is the run of a playbook.
func Response(playbook string) Name { return Name(responsePrefix + playbook) }

// Approval is an approval request of a playbook's step.
func Approval(playbook, step string) Name { return Name(approvalPrefix + playbook + "/" + step) }

// Kind is the name without its subject.
func (n Name) Kind() string {
	for _, prefix := range []string{responsePrefix, approvalPrefix} {
		if strings.HasPrefix(string(n), prefix) {
			return strings.TrimSpace(prefix)
		}
	}
	return string(n)
}

// IsResponse tells whether a stage is the run of a playbook.
func (n Name) IsResponse() bool { return strings.HasPrefix(string(n), responsePrefix) }
