package response

import (
	"time"

	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/severity"

	"github.com/expr-lang/expr/vm"
)

// Playbook is a response to a kind of incident.
type Playbook struct {
	Schema      string           `yaml:"schema" required:"true" enum:"hemostat.playbook/v1" doc:"version of this format"`
	ID          string           `yaml:"id" required:"true" name:"true" doc:"name of the playbook, unique in its folder"`
	Version     string           `yaml:"version" doc:"version of the playbook"`
	Description string           `yaml:"description" doc:"what the playbook is for"`
	Precedence  int              `yaml:"precedence" doc:"of two playbooks that want the same target the higher goes first; 0 when absent"`
	Trigger     Trigger          `yaml:"trigger" required:"true" doc:"which alerts start it"`
	Inputs      map[string]Input `yaml:"inputs" doc:"values taken from the alert or the incident"`
	Limits      Limits           `yaml:"limits" doc:"bounds on what a run may do"`
	Deadline    time.Duration    `yaml:"deadline" doc:"time after which a run ends whatever is open; 24h when absent"`
	DryRun      bool             `yaml:"dry_run" doc:"ask and audit, but do nothing"`
	Steps       []Step           `yaml:"steps" required:"true" doc:"what to do, in order"`

	File         string `yaml:"-"`
	Digest       string `yaml:"-"` // SHA-256 of the file, or "" for playbooks of the program's own
	line, column int
	when         *vm.Program
	techniques   []string // that the trigger's names stand for
}

// SetPosition notes where the playbook was read.
func (p *Playbook) SetPosition(line, column int) { p.line, p.column = line, column }

// Trigger says which alerts start a playbook.
type Trigger struct {
	Any            []string          `yaml:"any" doc:"ATT&CK ids such as T1110, or brute_force, password_spray, malware, ransomware, exfiltration, lateral_movement, phishing, web_shell, kerberoasting, command_and_control, cloud, insider, wiper or miner; any alert when absent"`
	MinSeverity    severity.Severity `yaml:"min_severity" doc:"least severity of the alert"`
	MinConfidence  float64           `yaml:"min_confidence" doc:"least confidence of the alert, 0 to 1"`
	MinCriticality float64           `yaml:"min_criticality" doc:"least criticality of the alert's host"`
	When           string            `yaml:"when" doc:"expression that must hold, such as alert.confidence >= 0.6"`

	line, column int
}

// SetPosition notes where the trigger was read.
func (t *Trigger) SetPosition(line, column int) { t.line, t.column = line, column }

// Input is a value that the steps use as ${name}.
type Input struct {
	Type     string `yaml:"type" required:"true" enum:"ipv4,host,host[],account,account[],zone,endpoint,domain,int,number,hash,string,string[]" doc:"what kind of value"`
	From     string `yaml:"from" doc:"where it comes from: alert.…, fusion.…"`
	Default  string `yaml:"default" doc:"value when there is none"`
	Required bool   `yaml:"required" doc:"whether the playbook cannot start without it"`
	Secret   bool   `yaml:"secret" doc:"the audit log shows [redacted] for it"`

	line, column int
}

// SetPosition notes where the input was read.
func (in *Input) SetPosition(line, column int) { in.line, in.column = line, column }

// Limits bound a run. Reaching one is the status limited, never silence.
type Limits struct {
	MaxTargets    int           `yaml:"max_targets" doc:"most targets of one step; the others are limited"`
	MaxDisruption float64       `yaml:"max_disruption" doc:"most predicted disruption of one step: criticality times hours"`
	MaxPerHour    int           `yaml:"max_per_hour" doc:"most runs that start within an hour"`
	Cooldown      time.Duration `yaml:"cooldown" doc:"time before the playbook starts again for the same key"`
	Key           string        `yaml:"key" doc:"input that the cooldown is counted by"`
	Exempt        []string      `yaml:"exempt" doc:"what is never touched: role:ROLE, zone:ZONE, or a host's or account's name"`

	line, column int
}

// SetPosition notes where the limits were read.
func (l *Limits) SetPosition(line, column int) { l.line, l.column = line, column }

// Step is one step of a playbook: an action, or a group of steps that run in
// parallel or in sequence.
type Step struct {
	ID          string         `yaml:"id" required:"true" name:"true" doc:"name of the step, unique in the playbook"`
	Action      action.Kind    `yaml:"action" doc:"what to do"`
	Parallel    *Group         `yaml:"parallel" doc:"steps that run at once, instead of an action"`
	Sequence    []Step         `yaml:"sequence" doc:"steps that run one after another, instead of an action; for branches of parallel"`
	With        map[string]any `yaml:"with" doc:"parameters; ${name} stands for an input, a field of alert or fusion, item, or steps.ID.status, accounts, addresses"`
	Risk        action.Risk    `yaml:"risk" enum:"low,medium,high" doc:"raises the action's own risk, never lowers it"`
	If          string         `yaml:"if" doc:"expression; the step is skipped when it is false"`
	Needs       []string       `yaml:"needs" doc:"steps that must have succeeded; the step waits for them and is skipped when one has not"`
	ForEach     string         `yaml:"for_each" doc:"list to go through, such as ${users}; ${item} is the current one"`
	MaxParallel int            `yaml:"max_parallel" doc:"how many of for_each run at once; all when absent"`
	TTL         time.Duration  `yaml:"ttl" doc:"time after which the action is undone; never when absent"`
	Keep        bool           `yaml:"keep" doc:"restoration leaves the action in force until its ttl is over"`
	Timeout     time.Duration  `yaml:"timeout" doc:"time after which an attempt counts as failed; 30m when absent"`
	Retry       Retry          `yaml:"retry" doc:"whether a failed attempt is repeated"`
	Verify      *Verify        `yaml:"verify" doc:"the effect must be observed; the action's word is not enough"`
	OnFailure   string         `yaml:"on_failure" enum:"stop,continue,compensate" doc:"what a failure means for the run: stop (the default), go on, or take back what the run has done"`
	Always      bool           `yaml:"always" doc:"run even when the run was stopped before"`
	HOTL        *HOTL          `yaml:"hotl" doc:"a person decides first"`

	requests []action.Request // given whole, in place of parameters
	// automatic steps of the program's own playbooks never ask.
	automatic    bool
	line, column int
	cond         *vm.Program
	condSteps    bool // the condition looks at other steps
	approveIf    *vm.Program
}

// SetPosition notes where the step was read.
func (s *Step) SetPosition(line, column int) { s.line, s.column = line, column }

// Group is a set of steps that run at once.
type Group struct {
	Join  string `yaml:"join" enum:"all,any" doc:"whether the run goes on when all have ended (the default), or when any has succeeded"`
	Steps []Step `yaml:"steps" required:"true" doc:"the branches"`
}

// Retry repeats a failed attempt.
type Retry struct {
	Max        int           `yaml:"max" doc:"most attempts after the first, 0 to 10"`
	Backoff    time.Duration `yaml:"backoff" doc:"pause before the first repetition"`
	Factor     float64       `yaml:"factor" doc:"by which each further pause is longer; 1 when absent"`
	MaxBackoff time.Duration `yaml:"max_backoff" doc:"longest pause; no bound when absent"`
}

// Verify watches for the effect of an action.
type Verify struct {
	Metric string        `yaml:"metric" doc:"what is observed; the action's own when absent"`
	Within time.Duration `yaml:"within" required:"true" doc:"time for the effect to show"`
	Every  time.Duration `yaml:"every" doc:"time between two looks; a quarter of within when absent"`
}

// HOTL puts a person on the loop.
type HOTL struct {
	Required   bool          `yaml:"required" doc:"whether a person must approve whatever the policy says"`
	Ask        string        `yaml:"ask" enum:"start,reached" doc:"when to ask: when the run starts, or when the step is reached (the default)"`
	Timeout    time.Duration `yaml:"timeout" required:"true" doc:"time to wait for an answer"`
	OnTimeout  string        `yaml:"on_timeout" required:"true" enum:"deny,escalate,approve_if,hold" doc:"what no answer means: no, ask somebody else, an expression, or keep asking until the run's deadline"`
	EscalateTo approval.Role `yaml:"escalate_to" enum:"tier2,incident_commander" doc:"who is asked next"`
	Then       string        `yaml:"then" enum:"deny,hold" doc:"what no answer to an escalation means; deny when absent"`
	ApproveIf  string        `yaml:"approve_if" doc:"expression that stands for the answer on timeout"`
	Approvers  int           `yaml:"approvers" doc:"how many must approve, 1 or 2"`
}

// Walk calls f for each step of the playbook, groups before what they hold, with
// the path of the step such as steps[1].parallel.steps[0].
func (p *Playbook) Walk(f func(s *Step, path string)) { walk(p.Steps, "steps", f) }

func walk(steps []Step, path string, f func(s *Step, path string)) {
	for i := range steps {
		s := &steps[i]
		at := path + "[" + itoa(i) + "]"
		f(s, at)
		if s.Parallel != nil {
			walk(s.Parallel.Steps, at+".parallel.steps", f)
		}
		walk(s.Sequence, at+".sequence", f)
	}
}
