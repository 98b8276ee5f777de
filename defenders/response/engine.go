package response

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/sigma"
)

// Statuses of steps and actions.
const (
	Succeeded   = "succeeded"
	Failed      = "failed"
	Skipped     = "skipped"
	Denied      = "denied"
	TimedOut    = "timed_out"
	DryRun      = "dry_run"
	Limited     = "limited"
	Compensated = "compensated"
	Pending     = "pending"
)

// Outcomes of questions, beside Denied, TimedOut and Pending.
const (
	Approved  = "approved"
	Escalated = "escalated"
	TooLate   = "too_late"  // answered when nobody waited any more
	Withdrawn = "withdrawn" // the step will not run, so nobody needs to answer
)

// Actuator carries actions out. Results come back through Engine.Done. A panic in
// it fails the action and nothing else.
type Actuator interface {
	Start(now time.Duration, a ActionRequest)
	// Undo takes an action back; false means that it left nothing to undo.
	Undo(now time.Duration, action int64) bool
	// Observe tells whether the effect of an action can be seen.
	Observe(now time.Duration, action int64) bool
}

// ActionRequest is an action to carry out now.
type ActionRequest struct {
	ID     int64
	Kind   string
	Params map[string]string
	// Key names the request across variants: playbook, step, target and attempt.
	Key string
	// Idempotency is the same for every request that should have one effect: the
	// action and its canonical target.
	Idempotency string
}

// Result is what came of an action.
type Result struct {
	OK      bool
	Changed bool // the estate is different now
	Detail  string
	// Accounts and Addresses are what evidence pointed to.
	Accounts, Addresses []string
}

// Approver asks people. Answers come back through Engine.Answer.
type Approver interface {
	Ask(now time.Duration, q Question)
}

// Question is a request for approval.
type Question struct {
	ID         int
	Role       string // who is asked: tier1, tier2, incident_commander
	Action     string
	Params     map[string]string   // of the first target
	All        []map[string]string // of every target
	Target     string
	Risk       Risk
	Confidence float64 // of the incident, as shown to the person
	Disruption float64 // predicted
	Severity   string
	Deadline   time.Duration
	Key        string // playbook, step and target, for streams that variants share
}

// Policy is what a variant may change about the engine.
type Policy struct {
	// Approval says from which risk on a person is asked, beside the steps that
	// require it; medium when empty, "none" for never (steps that require a person
	// are then automatic too), "low" for always.
	Approval string
	DryRun   bool
	// MaxRuns bounds the runs that go on at once; what comes beyond waits, the
	// highest severity first. 500 when 0.
	MaxRuns int
}

// Options configure the engine.
type Options struct {
	Playbooks []*Playbook
	Policy    Policy
	Actuator  Actuator
	Approver  Approver
	Inventory *inventory.Inventory
	Registry  prometheus.Registerer
}

// ActionRecord is an action as the audit has it.
type ActionRecord struct {
	ID                     int64
	Run                    int
	Incident               int
	Playbook, Step, Kind   string
	Target, Status         string
	Detail                 string
	Params                 map[string]string
	Asked                  time.Duration
	Started, Ended, Undone *time.Duration
	Changed                bool
	Attempts               int
	// Predicted is the disruption that was expected: criticality times hours.
	Predicted float64
}

// ApprovalRecord is a question and what came of it.
type ApprovalRecord struct {
	ID             int
	Run            int
	Incident       int
	Playbook, Step string
	Action, Target string
	All            []map[string]string // parameters of every target
	Asked          time.Duration
	Answered       *time.Duration
	Closed         *time.Duration // answered, or given up
	Outcome        string         // Approved, Denied, TimedOut, Escalated, TooLate, Withdrawn, Pending
	Approver       string
	Confidence     float64 // shown to the person
	Disruption     float64 // predicted
}

// StepEnd is how a step of a playbook ended, and what it was aimed at.
type StepEnd struct {
	Incident               int
	Playbook, Step, Status string
	Targets                []string
}

// Engine runs playbooks. It is a state machine: inputs carry their time, and
// NextWake says when Advance is due.
type Engine struct {
	Actions   []*ActionRecord
	Approvals []*ApprovalRecord
	Audit     []AuditEntry
	// OnRun is called when a playbook starts and ends; nil is allowed.
	OnRun func(now time.Duration, incident int, playbook string, started bool)
	// OnStep is called when a step of a playbook has its final status; nil is allowed.
	OnStep func(now time.Duration, s StepEnd)
	// OnApproval is called when a question is put and when it is closed; nil is
	// allowed.
	OnApproval func(now time.Duration, a *ApprovalRecord)

	options  Options
	books    []*Playbook // highest precedence first
	zones    []string
	timers   timerHeap
	seq      uint64
	last     map[string]time.Duration   // start by playbook and key, for cooldowns
	told     map[string]time.Duration   // start whose cooldown was reported
	starts   map[string][]time.Duration // starts in the last hour by playbook
	running  map[string]*run            // by playbook and key
	open     int                        // runs that go on
	perCase  map[int]int                // runs that go on, by incident
	queued   [6][]*run                  // runs that wait for room, by severity
	doing    map[string]*task           // actions in flight by what they do to what
	effects  map[string]*effect         // in force, by action and target
	byCase   map[int][]*effect
	waiting  map[int]*question
	subjects map[string]*question // open questions by what they are about
	flight   map[int64]*task
	targets  map[string]*claim
	metrics  *metrics
	nextRun  int
}

// New makes an engine. Without an actuator every run is a dry run.
func New(o Options) (*Engine, error) {
	o.Policy.DryRun = o.Policy.DryRun || o.Actuator == nil
	if o.Policy.MaxRuns == 0 {
		o.Policy.MaxRuns = 500
	}
	m, err := newMetrics(o.Registry)
	if err != nil {
		return nil, err
	}
	e := &Engine{options: o, books: slices.Clone(o.Playbooks), metrics: m,
		last: map[string]time.Duration{}, told: map[string]time.Duration{}, starts: map[string][]time.Duration{}, running: map[string]*run{}, perCase: map[int]int{},
		effects: map[string]*effect{}, byCase: map[int][]*effect{}, waiting: map[int]*question{}, subjects: map[string]*question{}, flight: map[int64]*task{}, doing: map[string]*task{}, targets: map[string]*claim{}}
	if o.Inventory != nil {
		e.zones = o.Inventory.Zones()
	}
	slices.SortStableFunc(e.books, func(a, b *Playbook) int { return b.Precedence - a.Precedence })
	return e, nil
}

// Alert shows the engine an alert that joined an incident; playbooks whose
// trigger it pulls start, the one of the highest precedence first.
func (e *Engine) Alert(now time.Duration, in *fusion.Incident, a *sentinel.Alert) {
	var env Env
	viewed := false
	for _, p := range e.books {
		if !p.concerns(a) {
			continue
		}
		if !viewed {
			env, viewed = viewOf(a, in, e.criticality(a.Host)), true
			env.Estate.Zones = e.zones
		}
		if env.Alert.Criticality < p.Trigger.MinCriticality {
			continue
		}
		if ok, err := holds(p.when, &env); err != nil || !ok {
			if err != nil {
				e.audit(now, AuditEntry{Incident: in.ID, Playbook: p.ID, What: "condition_failed", Detail: err.Error()})
			}
			continue
		}
		inputs, err := p.take(&env)
		if err != nil {
			e.audit(now, AuditEntry{Incident: in.ID, Playbook: p.ID, What: "not_started", Detail: err.Error()})
			continue
		}
		e.Run(now, p, in, env, inputs)
	}
}

func (e *Engine) criticality(host string) float64 {
	if h := e.options.Inventory.Host(host); h != nil {
		return h.Criticality
	}
	return 1
}

// concerns tells whether the parts of a trigger that need no incident fit.
func (p *Playbook) concerns(a *sentinel.Alert) bool {
	t := &p.Trigger
	return sigma.LevelRank(a.Severity) >= sigma.LevelRank(t.MinSeverity) && a.Confidence >= t.MinConfidence &&
		(len(t.Any) == 0 || slices.ContainsFunc(p.techniques, func(want string) bool { return includes(want, a.Techniques) }))
}

// includes tells whether a technique or one of its sub-techniques is in a list.
func includes(want string, techniques []string) bool {
	for _, t := range techniques {
		if t == want || len(t) > len(want) && t[len(want)] == '.' && strings.HasPrefix(t, want) {
			return true
		}
	}
	return false
}

// Run starts a playbook for an incident, unless it did so for the same key
// within its cooldown, still runs for it, or has started too often.
func (e *Engine) Run(now time.Duration, p *Playbook, in *fusion.Incident, env Env, inputs map[string]any) {
	key := p.ID
	if p.Limits.Key != "" {
		key += "/" + plain(inputs[p.Limits.Key])
	}
	if e.running[key] != nil {
		e.repeated(now, p, in, key, "it runs for the same key already")
		return
	}
	if last, ok := e.last[key]; ok && now-last < p.Limits.Cooldown {
		e.repeated(now, p, in, key, "its cooldown is not over")
		return
	}
	if most := p.Limits.MaxPerHour; most > 0 {
		recent := slices.DeleteFunc(e.starts[p.ID], func(at time.Duration) bool { return now-at >= time.Hour })
		if len(recent) >= most {
			e.starts[p.ID] = recent
			e.metrics.limited(p.ID, "max_per_hour")
			e.audit(now, AuditEntry{Incident: in.ID, Playbook: p.ID, What: "limited", Status: Limited, Detail: fmt.Sprintf("max_per_hour: it has started %d times within an hour", len(recent))})
			return
		}
		e.starts[p.ID] = append(recent, now)
	}
	e.last[key] = now
	e.nextRun++
	r := &run{id: e.nextRun, playbook: p, incident: in, env: env, inputs: inputs, started: now, key: key, worst: Succeeded, severity: min(max(sigma.LevelRank(in.Severity), 0), 5)}
	r.env.Steps = map[string]StepView{}
	r.root = &node{run: r, children: r.plant(p.Steps)}
	e.running[key] = r
	e.perCase[in.ID]++
	if e.open >= e.options.Policy.MaxRuns {
		e.audit(now, AuditEntry{Run: r.id, Incident: in.ID, Playbook: p.ID, What: "run_queued", Detail: fmt.Sprintf("%d runs go on", e.open)})
		e.queued[r.severity] = append(e.queued[r.severity], r)
		return
	}
	e.start(now, r)
}

func (e *Engine) start(now time.Duration, r *run) {
	e.open++
	p := r.playbook
	e.audit(now, AuditEntry{Run: r.id, Incident: r.incident.ID, Playbook: p.ID, What: "run_started", Detail: r.shownInputs(), PlaybookSHA256: p.Digest})
	if e.OnRun != nil {
		e.OnRun(now, r.incident.ID, p.ID, true)
	}
	deadline := p.Deadline
	if deadline == 0 {
		deadline = defaultDeadline
	}
	e.at(now+deadline, timer{kind: timerDeadline, run: r})
	r.each(func(n *node) {
		if s := n.step; s.HOTL != nil && s.HOTL.Ask == "start" && !s.condSteps && e.needsApproval(s) && e.mayRun(&r.env, s) && e.resolve(now, n) {
			e.ask(now, n)
		}
	})
	e.advance(now, r)
}

func (e *Engine) mayRun(env *Env, s *Step) bool {
	ok, err := holds(s.cond, env)
	return ok && err == nil
}

// repeated notes that an alert asked for what is being done; once for each start.
func (e *Engine) repeated(now time.Duration, p *Playbook, in *fusion.Incident, key, why string) {
	e.metrics.limited(p.ID, "cooldown")
	if at, ok := e.told[key]; ok && at == e.last[key] {
		return
	}
	e.told[key] = e.last[key]
	e.audit(now, AuditEntry{Incident: in.ID, Playbook: p.ID, What: "limited", Status: Limited, Detail: why})
}

// limited notes that a run has reached a limit.
func (e *Engine) limited(now time.Duration, r *run, step, limit, why string) {
	e.metrics.limited(r.playbook.ID, limit)
	e.audit(now, AuditEntry{Run: r.id, Incident: r.incident.ID, Playbook: r.playbook.ID, Step: step, What: "limited", Status: Limited, Detail: limit + ": " + why})
}

// Act carries out one action outside any playbook, such as a reflex.
func (e *Engine) Act(now time.Duration, incident int, by, kind string, params map[string]string, ttl time.Duration) {
	step := Step{ID: by, Action: kind, TTL: ttl, Risk: Low, With: map[string]any{}, automatic: true}
	for k, v := range params {
		step.With[k] = v
	}
	e.nextRun++
	p := &Playbook{ID: by, Steps: []Step{step}}
	r := &run{id: e.nextRun, playbook: p, incident: &fusion.Incident{ID: incident}, started: now, key: fmt.Sprintf("%s#%d", by, e.nextRun), worst: Succeeded, env: Env{Steps: map[string]StepView{}}, reflex: true}
	r.root = &node{run: r, children: r.plant(p.Steps)}
	e.open++
	e.perCase[incident]++
	e.advance(now, r)
}

// Active counts the effects in force.
func (e *Engine) Active() int { return len(e.effects) }

// Busy tells whether a run for an incident is still going on.
func (e *Engine) Busy(incident int) bool { return e.perCase[incident] > 0 }

// Queued counts the runs that wait for room.
func (e *Engine) Queued() int {
	n := 0
	for _, list := range e.queued {
		n += len(list)
	}
	return n
}

// nextQueued takes the most severe of the runs that wait, the oldest of those.
func (e *Engine) nextQueued() *run {
	for i := len(e.queued) - 1; i >= 0; i-- {
		if list := e.queued[i]; len(list) > 0 {
			e.queued[i] = list[1:]
			return list[0]
		}
	}
	return nil
}
