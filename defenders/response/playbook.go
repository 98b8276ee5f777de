package response

import (
	"time"

	"github.com/expr-lang/expr/vm"
)

// Playbook is a response to a kind of incident.
type Playbook struct {
	Schema      string           `yaml:"schema" required:"true" enum:"hemostat.playbook/v1" doc:"version of this format"`
	ID          string           `yaml:"id" required:"true" doc:"name of the playbook, unique in its folder"`
	Version     string           `yaml:"version" doc:"version of the playbook"`
	Description string           `yaml:"description" doc:"what the playbook is for"`
	Trigger     Trigger          `yaml:"trigger" required:"true" doc:"which alerts start it"`
	Inputs      map[string]Input `yaml:"inputs" doc:"values taken from the alert or the incident"`
	Limits      Limits           `yaml:"limits" doc:"bounds on what a run may do"`
	DryRun      bool             `yaml:"dry_run" doc:"ask and audit, but do nothing"`
	Steps       []Step           `yaml:"steps" required:"true" doc:"what to do, in order"`

	File         string `yaml:"-"`
	line, column int
	when         *vm.Program
}

// SetPosition notes where the playbook was read.
func (p *Playbook) SetPosition(line, column int) { p.line, p.column = line, column }

// Trigger says which alerts start a playbook.
type Trigger struct {
	Any         []string `yaml:"any" doc:"ATT&CK ids, or brute_force, password_spray, malware, ransomware, exfiltration, lateral_movement; any alert when absent"`
	MinSeverity string   `yaml:"min_severity" enum:"informational,low,medium,high,critical" doc:"least severity of the alert"`
	When        string   `yaml:"when" doc:"expression that must hold, such as alert.confidence >= 0.6"`
}

// Input is a value that the steps use as ${name}.
type Input struct {
	Type     string `yaml:"type" required:"true" enum:"ipv4,host,account,account[],zone,endpoint,int,hash,string" doc:"what kind of value"`
	From     string `yaml:"from" doc:"where it comes from: alert.…, fusion.…"`
	Default  string `yaml:"default" doc:"value when there is none"`
	Required bool   `yaml:"required" doc:"whether the playbook cannot start without it"`
}

// Limits bound a run.
type Limits struct {
	MaxTargets    int           `yaml:"max_targets" doc:"most targets of one step"`
	MaxDisruption float64       `yaml:"max_disruption" doc:"most predicted disruption of one step: criticality times hours"`
	Cooldown      time.Duration `yaml:"cooldown" doc:"time before the playbook starts again for the same key"`
	Key           string        `yaml:"key" doc:"input that the cooldown is counted by"`
	Exempt        []string      `yaml:"exempt" doc:"what is never touched: role:ROLE, or a host's or account's name"`
}

// Step is one step of a playbook.
type Step struct {
	ID          string         `yaml:"id" required:"true" doc:"name of the step, unique in the playbook"`
	Action      string         `yaml:"action" required:"true" doc:"what to do"`
	With        map[string]any `yaml:"with" doc:"parameters; ${name} stands for an input, a field of alert or fusion, or item"`
	Risk        Risk           `yaml:"risk" enum:"low,medium,high" doc:"raises the action's own risk, never lowers it"`
	If          string         `yaml:"if" doc:"expression; the step is skipped when it is false"`
	ForEach     string         `yaml:"for_each" doc:"list to go through, such as ${users}; ${item} is the current one"`
	MaxParallel int            `yaml:"max_parallel" doc:"how many of for_each run at once; all when absent"`
	TTL         time.Duration  `yaml:"ttl" doc:"time after which the action is undone; never when absent"`
	Timeout     time.Duration  `yaml:"timeout" doc:"time after which an attempt counts as failed; 30m when absent"`
	Retry       Retry          `yaml:"retry" doc:"whether a failed attempt is repeated"`
	OnFailure   string         `yaml:"on_failure" enum:"stop,continue" doc:"what a failure means for the run; stop when absent"`
	Always      bool           `yaml:"always" doc:"run even when the run was stopped before"`
	HOTL        *HOTL          `yaml:"hotl" doc:"a person decides first"`

	line, column int
	cond         *vm.Program
	approveIf    *vm.Program
}

// SetPosition notes where the step was read.
func (s *Step) SetPosition(line, column int) { s.line, s.column = line, column }

// Retry repeats a failed attempt.
type Retry struct {
	Max     int           `yaml:"max" doc:"most attempts after the first"`
	Backoff time.Duration `yaml:"backoff" doc:"pause before the first repetition"`
	Factor  float64       `yaml:"factor" doc:"by which each further pause is longer; 1 when absent"`
}

// HOTL puts a person on the loop.
type HOTL struct {
	Required   bool          `yaml:"required" doc:"whether a person must approve"`
	Ask        string        `yaml:"ask" enum:"start,reached" doc:"when to ask: when the run starts, or when the step is reached (the default)"`
	Timeout    time.Duration `yaml:"timeout" required:"true" doc:"time to wait for an answer"`
	OnTimeout  string        `yaml:"on_timeout" required:"true" enum:"deny,escalate,approve_if" doc:"what no answer means"`
	EscalateTo string        `yaml:"escalate_to" doc:"who is asked next"`
	Then       string        `yaml:"then" enum:"deny" doc:"what no answer to an escalation means"`
	ApproveIf  string        `yaml:"approve_if" doc:"expression that stands for the answer on timeout"`
	Approvers  int           `yaml:"approvers" doc:"how many must approve, 1 or 2"`
}
