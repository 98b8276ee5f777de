package response

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/alert"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/severity"
)

// Actuator carries actions out. Results come back through Engine.Done. A panic in
// it fails the action and nothing else.
type Actuator interface {
	Start(now time.Duration, a ActionRequest)
	// Undo undoes an action; false means that it left nothing to undo.
	Undo(now time.Duration, action int64) bool
	// Observe tells whether the effect of an action can be seen.
	Observe(now time.Duration, action int64) bool
}

// ActionRequest is an action to carry out now.
type ActionRequest struct {
	ID int64
	action.Request
	// Attempt names the request across variants: playbook, step, target and attempt.
	Attempt string
}

// Result is how an action ended.
type Result struct {
	OK      bool
	Changed bool // the estate is different now
	Detail  string
	// Accounts and Addresses are what evidence pointed to.
	Accounts, Addresses []string
}

// Approver asks people. Answers come back through Engine.Answer.
type Approver interface {
	Ask(now time.Duration, q ApprovalRequest)
}

// ApprovalRequest asks a person whether an action may be taken.
type ApprovalRequest struct {
	ID         int
	Role       approval.Role // who is asked
	Kind       action.Kind
	Requests   []action.Request // one a target
	Risk       action.Risk
	Confidence float64 // of the incident, as shown to the person
	Disruption float64 // predicted
	Severity   severity.Severity
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
	// MostTTL bounds how long an action that can be undone stays in force, also where a step
	// names a longer time or none; no bound when 0.
	MostTTL time.Duration
}

// Options configure the engine.
type Options struct {
	Playbooks []*Playbook
	Policy    Policy
	Actuator  Actuator
	Approver  Approver
	Inventory *inventory.Inventory
	// Graph is what the attack graph of an incident names as targets; nil for no graph.
	Graph    func(incident int) GraphTargets
	Registry prometheus.Registerer
	Listener Listener
}

// Listener is told what happens; every function may be nil. It may call the engine:
// what it asks for is done after what is being done. Records are updated until the
// action has ended and was undone, or the request was closed; the engine itself keeps
// only those that are open or in force.
type Listener struct {
	RunStarted, RunEnded          func(now time.Duration, r RunInfo)
	StepEnded                     func(now time.Duration, s StepEnd)
	ApprovalAsked, ApprovalClosed func(now time.Duration, a *ApprovalRecord)
	ActionRequested, ActionEnded  func(now time.Duration, a *ActionRecord)
	ActionTookEffect              func(now time.Duration, a *ActionRecord) // a result told of a change
	Audited                       func(a AuditEntry)
}

// RunInfo is what listeners learn of a run.
type RunInfo struct {
	Run, Incident int
	Playbook      string
	Origin        action.Origin
	Status        action.Status
}

// StepEnd is how a step of a playbook ended, and what it was aimed at.
type StepEnd struct {
	Incident       int
	Playbook, Step string
	Origin         action.Origin
	Status         action.Status
	Targets        []string
}

// ActionRecord is an action as the audit has it.
type ActionRecord struct {
	ID                     int64
	Run                    int
	Incident               int
	Playbook, Step         string
	Request                action.Request
	Target                 string
	Status                 action.Status
	Detail                 string
	Asked                  time.Duration
	Started, Ended, Undone *time.Duration
	Changed                bool
	Attempts               int
	// Predicted is the disruption that was expected: criticality times hours.
	Predicted float64
}

// ApprovalRecord is an approval request and how it ended.
type ApprovalRecord struct {
	ID             int
	Run            int
	Incident       int
	Playbook, Step string
	Kind           action.Kind
	Target         string
	Requests       []action.Request // one a target
	Asked          time.Duration
	Answered       *time.Duration
	Closed         *time.Duration // answered, or given up
	Outcome        approval.Outcome
	Approver       string  // who was asked, then who answered
	Confidence     float64 // shown to the person
	Disruption     float64 // predicted
}

// Engine runs playbooks. It is a state machine: inputs carry their time, NextWake says
// when Advance is due, and every input is a transition on a work list that one loop
// drains (worklist.go).
type Engine struct {
	options Options     `snapshot:"-"`
	books   []*Playbook `snapshot:"-"` // highest precedence first
	zones   []string
	metrics *metrics `snapshot:"-"`
	work    worklist
	timers  timerHeap

	nextTimer    uint64
	nextRun      int
	nextAction   int64
	nextApproval int
	lastHash     string // of the audit log

	lastStart      map[string]time.Duration   // by playbook and key, for cooldowns
	cooldownLogged map[string]time.Duration   // start whose cooldown was reported
	startsKept     int                        // of lastStart, when they were last looked through
	single         map[string]*Playbook       // stands for actions outside any playbook, by who does them
	recentStarts   map[string][]time.Duration // starts in the last hour by playbook

	running           map[string]*run // by playbook and key
	runCount          int             // runs that go on
	runsByIncident    map[int]int
	waitingRuns       [severity.Count][]*run // runs that wait for room
	inProgress        map[string]*task       // by what they do to what
	inFlight          map[int64]*task        // by action
	effects           map[string]*effect     // in force, by action and target
	effectsByIncident map[int][]*effect
	openRequests      map[int]*approvalRequest
	requestsByKey     map[string]*approvalRequest // by what they are about
	claims            map[string]*claim           // by target
	closedRequests    expired[int, *ApprovalRecord]
	failedInFlight    expired[int64, *ActionRecord]
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
		lastStart: map[string]time.Duration{}, single: map[string]*Playbook{}, cooldownLogged: map[string]time.Duration{},
		recentStarts: map[string][]time.Duration{},
		running:      map[string]*run{}, runsByIncident: map[int]int{}, inProgress: map[string]*task{}, inFlight: map[int64]*task{},
		effects: map[string]*effect{}, effectsByIncident: map[int][]*effect{}, openRequests: map[int]*approvalRequest{},
		requestsByKey: map[string]*approvalRequest{}, claims: map[string]*claim{}}
	if o.Inventory != nil {
		e.zones = o.Inventory.Zones()
	}
	slices.SortStableFunc(e.books, func(a, b *Playbook) int { return b.Precedence - a.Precedence })
	return e, nil
}

// Alert shows the engine an alert that joined an incident; playbooks whose trigger
// fits start, the one of the highest precedence first.
func (e *Engine) Alert(now time.Duration, in *incident.Incident, a *alert.Alert) {
	for _, p := range e.books {
		if p.Concerns(a) {
			e.enqueue(transition{kind: considerPlaybook, playbook: p, incident: in, alert: a})
		}
	}
	e.drain(now)
}

// consider starts a playbook for an alert when its trigger's condition holds and its
// inputs have values.
func (e *Engine) consider(now time.Duration, p *Playbook, in *incident.Incident, a *alert.Alert) {
	env := newEnv(a, in, e.criticality(a.Host))
	env.Estate.Zones = e.zones
	if e.options.Graph != nil {
		env.graph = incidentGraph{e, in.ID}
	}
	if env.Alert.Criticality < p.Trigger.MinCriticality {
		return
	}
	if ok, err := evaluate(p.when, &env); err != nil || !ok {
		if err != nil {
			e.audit(now, AuditEntry{Incident: in.ID, Playbook: p.ID, What: "condition_failed", Detail: err.Error()})
		}
		return
	}
	inputs, err := p.bindInputs(&env)
	if err != nil {
		e.audit(now, AuditEntry{Incident: in.ID, Playbook: p.ID, What: "not_started", Detail: err.Error()})
		return
	}
	e.admitRun(now, runRequest{Playbook: p, Incident: in, Env: env, Inputs: inputs})
}

func (e *Engine) criticality(host string) float64 {
	if h := e.options.Inventory.Host(host); h != nil {
		return h.Criticality
	}
	return 1
}

// Concerns tells whether the parts of a trigger that need no incident fit.
func (p *Playbook) Concerns(a *alert.Alert) bool {
	t := &p.Trigger
	return a.Severity >= t.MinSeverity && a.Confidence >= t.MinConfidence &&
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

// runRequest asks for a run of a playbook.
type runRequest struct {
	Playbook *Playbook
	Incident *incident.Incident
	Origin   action.Origin
	Env      env
	Inputs   map[string]any

	about string
	key   string // in place of the playbook's limit
	steps []Step // of an order, whose playbook has none
}

// stepsOf are the steps of the request or of its playbook.
func (q *runRequest) stepsOf(p *Playbook) []Step {
	if q.steps != nil {
		return q.steps
	}
	return p.Steps
}

// run starts a playbook for an incident, unless it did so for the same key within its
// cooldown, still runs for it, or has started too often.
func (e *Engine) run(now time.Duration, request runRequest) {
	e.enqueue(transition{kind: admitRequest, request: &request})
	e.drain(now)
}

func (e *Engine) admitRun(now time.Duration, q runRequest) {
	p, in := q.Playbook, q.Incident
	key := p.ID
	switch {
	case q.key != "":
		key += "/" + q.key
	case p.Limits.Key != "":
		key += "/" + formatParam(q.Inputs[p.Limits.Key])
	}
	if e.running[key] != nil {
		e.logCooldown(now, p, in, key, "it runs for the same key already")
		return
	}
	e.forgetStarts(now)
	if last, ok := e.lastStart[key]; ok && now-last < p.Limits.Cooldown {
		e.logCooldown(now, p, in, key, "its cooldown is not over")
		return
	}
	if !e.admitRate(now, p, in) {
		return
	}
	e.lastStart[key] = now
	e.nextRun++
	r := &run{
		id:       e.nextRun,
		playbook: p,
		incident: in,
		origin:   q.Origin,
		env:      q.Env,
		inputs:   q.Inputs,
		about:    q.about,
		started:  now,
		key:      key,
		status:   action.Succeeded,
		severity: in.Severity,
	}
	r.env.Steps = map[string]stepView{}
	r.root = &node{run: r, children: r.buildTree(q.stepsOf(p))}
	e.startOrQueue(now, r)
}

// startOrQueue starts a run, or lets it wait while as many go on as may.
func (e *Engine) startOrQueue(now time.Duration, r *run) {
	isFull := e.runCount >= e.options.Policy.MaxRuns
	if isFull && !e.makeRoom(now, r) {
		return
	}
	e.running[r.key] = r
	e.runsByIncident[r.incident.ID]++
	if isFull {
		e.audit(
			now,
			AuditEntry{
				Run:      r.id,
				Incident: r.incident.ID,
				Playbook: r.playbook.ID,
				What:     "run_queued",
				Detail:   fmt.Sprintf("%d runs go on", e.runCount),
			},
		)
		e.waitingRuns[r.severity] = append(e.waitingRuns[r.severity], r)
		return
	}
	e.startRun(now, r)
}

// maxWaiting bounds the runs that wait for others to end.
const maxWaiting = 500

// makeRoom tells whether a run may wait. Where too many wait already, the newest of the least
// severe gives way to a more severe one; a run that neither starts nor waits is noted as limited.
func (e *Engine) makeRoom(now time.Duration, r *run) bool {
	waiting, least := 0, -1
	for i, list := range e.waitingRuns {
		waiting += len(list)
		if least < 0 && len(list) > 0 {
			least = i
		}
	}
	if waiting < maxWaiting {
		return true
	}
	given := r
	if least < int(r.severity) {
		list := e.waitingRuns[least]
		given = list[len(list)-1]
		e.waitingRuns[least] = list[:len(list)-1]
		delete(e.running, given.key)
		if e.runsByIncident[given.incident.ID]--; e.runsByIncident[given.incident.ID] == 0 {
			delete(e.runsByIncident, given.incident.ID)
		}
	}
	e.logLimit(now, given, "", "queue", fmt.Sprintf("%d runs wait already", waiting))
	return given != r
}

// admitRate tells whether a playbook may start once more within the hour.
func (e *Engine) admitRate(now time.Duration, p *Playbook, in *incident.Incident) bool {
	if p.Limits.MaxPerHour <= 0 {
		return true
	}
	recent := slices.DeleteFunc(e.recentStarts[p.ID], func(at time.Duration) bool { return now-at >= time.Hour })
	if len(recent) >= p.Limits.MaxPerHour {
		e.recentStarts[p.ID] = recent
		e.metrics.limited(p.ID, "max_per_hour")
		e.audit(
			now,
			AuditEntry{
				Incident: in.ID,
				Playbook: p.ID,
				What:     "limited",
				Status:   string(action.Limited),
				Detail:   fmt.Sprintf("max_per_hour: it has started %d times within an hour", len(recent)),
			},
		)
		return false
	}
	e.recentStarts[p.ID] = append(recent, now)
	return true
}

func (e *Engine) startRun(now time.Duration, r *run) {
	e.runCount++
	p := r.playbook
	e.audit(
		now,
		AuditEntry{
			Run:            r.id,
			Incident:       r.incident.ID,
			Playbook:       p.ID,
			What:           "run_started",
			Detail:         r.shownInputs(),
			PlaybookSHA256: p.Digest,
		},
	)
	e.notifyRun(e.options.Listener.RunStarted, r)
	deadline := p.Deadline
	if deadline == 0 {
		deadline = defaultDeadline
	}
	e.setTimer(now+deadline, timer{kind: timerDeadline, run: r})
	r.walkLeaves(func(n *node) {
		if s := n.step; s.HOTL != nil && s.HOTL.Ask == "start" && !s.condSteps && e.needsApproval(s) &&
			e.mayRun(&r.env, s) &&
			e.resolve(now, n) {
			e.ask(now, n)
		}
	})
	e.enqueue(transition{kind: advanceRun, run: r})
}

// forgetStarts drops starts whose cooldown is over, when they have become twice as many as were
// left the last time.
func (e *Engine) forgetStarts(now time.Duration) {
	if len(e.lastStart) < max(fewStarts, 2*e.startsKept) {
		return
	}
	longest := time.Duration(0)
	for _, p := range e.options.Playbooks {
		longest = max(longest, p.Limits.Cooldown)
	}
	for key, at := range e.lastStart {
		if now-at >= longest && e.running[key] == nil {
			delete(e.lastStart, key)
			delete(e.cooldownLogged, key)
		}
	}
	e.startsKept = len(e.lastStart)
}

// fewStarts are so few that they need not be forgotten.
const fewStarts = 1024

func (e *Engine) mayRun(env *env, s *Step) bool {
	ok, err := evaluate(s.cond, env)
	return ok && err == nil
}

// logCooldown notes that an alert asked for what is being done; once for each start.
func (e *Engine) logCooldown(now time.Duration, p *Playbook, in *incident.Incident, key, why string) {
	e.metrics.limited(p.ID, "cooldown")
	if at, ok := e.cooldownLogged[key]; ok && at == e.lastStart[key] {
		return
	}
	e.cooldownLogged[key] = e.lastStart[key]
	e.audit(
		now,
		AuditEntry{Incident: in.ID, Playbook: p.ID, What: "limited", Status: string(action.Limited), Detail: why},
	)
}

// logLimit notes that a run has reached a limit.
func (e *Engine) logLimit(now time.Duration, r *run, step, limit, why string) {
	e.metrics.limited(r.playbook.ID, limit)
	e.audit(
		now,
		AuditEntry{
			Run:      r.id,
			Incident: r.incident.ID,
			Playbook: r.playbook.ID,
			Step:     step,
			What:     "limited",
			Status:   string(action.Limited),
			Detail:   limit + ": " + why,
		},
	)
}

// Act carries out one action outside any playbook, such as a reflex, without asking anybody
// unless the policy asks about everything.
func (e *Engine) Act(
	now time.Duration,
	id int,
	origin action.Origin,
	by string,
	request action.Request,
	ttl time.Duration,
) {
	e.enqueue(transition{kind: actOnce, single: &singleAction{&incident.Incident{ID: id}, origin, DecidedBy{by, by}, request, ttl}})
	e.drain(now)
}

// Decide carries out one action that a program outside has decided on. People are asked as they
// are about a step of a playbook of the action's risk; they are shown the incident, which may
// be one of the number 0 where the action belongs to none. A ttl of 0 leaves it in force until
// it is undone.
func (e *Engine) Decide(now time.Duration, in *incident.Incident, by DecidedBy, request action.Request, ttl time.Duration) {
	e.enqueue(transition{kind: actOnce, single: &singleAction{in, action.FromAgent, by, request, ttl}})
	e.drain(now)
}

// DecidedBy is who asked for a single action, and what the audit calls its step.
type DecidedBy struct{ Name, Step string }

// Undo takes an action that is in force back, whoever holds it; false when it is not in force.
func (e *Engine) Undo(now time.Duration, id int64, by string) bool {
	for _, h := range e.effects {
		if h.record.ID != id {
			continue
		}
		for _, x := range slices.Clone(h.holders) {
			e.releaseHold(now, h, x, "taken_back", "taken back by "+by)
		}
		e.drain(now)
		return true
	}
	return false
}

// singleAction is an action outside any playbook.
type singleAction struct {
	incident *incident.Incident
	origin   action.Origin
	by       DecidedBy
	request  action.Request
	ttl      time.Duration
}

func (e *Engine) act(now time.Duration, a *singleAction) {
	step := Step{
		ID:        a.by.Step,
		Action:    a.request.Kind,
		TTL:       a.ttl,
		Risk:      action.Low,
		requests:  []action.Request{a.request},
		automatic: true,
	}
	byAgent := a.origin == action.FromAgent
	if byAgent {
		step.Risk, step.automatic = action.Must(a.request.Kind).Risk, false
	}
	e.nextRun++
	if e.single[a.by.Name] == nil {
		e.single[a.by.Name] = &Playbook{ID: a.by.Name}
	}
	r := &run{id: e.nextRun, playbook: e.single[a.by.Name], incident: a.incident, origin: a.origin, started: now,
		key: fmt.Sprintf("%s#%d", a.by.Name, e.nextRun), status: action.Succeeded, env: env{Steps: map[string]stepView{}},
		severity: a.incident.Severity}
	r.root = &node{run: r, children: r.buildTree([]Step{step})}
	if byAgent {
		e.startOrQueue(now, r)
		return
	}
	e.runCount++
	e.runsByIncident[a.incident.ID]++
	e.enqueue(transition{kind: advanceRun, run: r})
}

// Active counts the effects in force.
func (e *Engine) Active() int { return len(e.effects) }

// IsBusy tells whether a run for an incident is still going on.
func (e *Engine) IsBusy(incident int) bool { return e.runsByIncident[incident] > 0 }

// nextWaitingRun takes the most severe of the runs that wait, the oldest of those.
func (e *Engine) nextWaitingRun() *run {
	for i := len(e.waitingRuns) - 1; i >= 0; i-- {
		if list := e.waitingRuns[i]; len(list) > 0 {
			e.waitingRuns[i] = list[1:]
			return list[0]
		}
	}
	return nil
}
