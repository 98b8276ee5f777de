package response

import (
	"container/heap"
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
	Succeeded = "succeeded"
	Failed    = "failed"
	Skipped   = "skipped"
	Denied    = "denied"
	TimedOut  = "timed_out"
	DryRun    = "dry_run"
	Limited   = "limited"
	Pending   = "pending"
)

// Actuator carries actions out. Results come back through Engine.Done.
type Actuator interface {
	Start(now time.Duration, a ActionRequest)
	Undo(now time.Duration, action int64) bool
}

// ActionRequest is an action to carry out now.
type ActionRequest struct {
	ID     int64
	Kind   string
	Params map[string]string
	// Key names the request across variants: playbook, step, target and attempt.
	Key string
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
	Params     map[string]string
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
	Incident               int
	Playbook, Step, Kind   string
	Target, Status         string
	Detail                 string
	Params                 map[string]string
	Asked                  time.Duration
	Started, Ended, Undone *time.Duration
	Changed                bool
	Attempts               int
}

// ApprovalRecord is a question and what came of it.
type ApprovalRecord struct {
	ID             int
	Incident       int
	Playbook, Step string
	Action, Target string
	Params         map[string]string
	Asked          time.Duration
	Answered       *time.Duration
	Closed         *time.Duration // answered, or given up
	Outcome        string         // approved, denied, timed_out, escalated, pending
	Approver       string
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	Time                         time.Duration
	Incident                     int
	Playbook, Step, What, Detail string
}

// Engine runs playbooks.
type Engine struct {
	Actions   []*ActionRecord
	Approvals []*ApprovalRecord
	Audit     []AuditEntry
	// OnRun is called when a playbook starts and ends; nil is allowed.
	OnRun func(now time.Duration, incident int, playbook string, started bool)

	options Options
	runs    []*run
	timers  timerHeap
	seq     uint64
	last    map[string]time.Duration // start by playbook and key, for cooldowns
	active  map[string]*held         // effects in force by action and target
	waiting map[int]*question
	open    map[int64]*task
	metrics *metrics
	ad      int // ad-hoc runs so far
}

// held is an effect that will be undone.
type held struct {
	record  *ActionRecord
	expires time.Duration
	forever bool
	gen     int
}

type run struct {
	playbook *Playbook
	incident *fusion.Incident
	env      Env
	inputs   map[string]any
	started  time.Duration
	at       int
	steps    []*stepRun
	stopped  bool
	ended    bool
	worst    string
	cooldown string
}

type stepRun struct {
	step     *Step
	status   string
	resolved bool
	tasks    []*task
	left     int
	running  int
	asked    int // questions open or answered
	approved int
	refused  string // denied or timed_out
	began    bool
}

type task struct {
	run     *run
	step    *stepRun
	params  map[string]string
	target  string
	attempt int
	record  *ActionRecord
	done    bool
}

type question struct {
	run       *run
	step      *stepRun
	record    *ApprovalRecord
	q         Question
	escalated bool
}

// New makes an engine. Without an actuator every run is a dry run.
func New(o Options) (*Engine, error) {
	o.Policy.DryRun = o.Policy.DryRun || o.Actuator == nil
	m, err := newMetrics(o.Registry)
	if err != nil {
		return nil, err
	}
	return &Engine{options: o, last: map[string]time.Duration{}, active: map[string]*held{}, waiting: map[int]*question{}, open: map[int64]*task{}, metrics: m}, nil
}

// Alert shows the engine an alert that joined an incident; playbooks whose
// trigger it pulls start.
func (e *Engine) Alert(now time.Duration, in *fusion.Incident, a *sentinel.Alert) {
	criticality := 1.0
	if h := e.options.Inventory.Host(a.Host); h != nil {
		criticality = h.Criticality
	}
	for _, p := range e.options.Playbooks {
		env := viewOf(a, in, criticality)
		if !p.triggered(a, &env) {
			continue
		}
		inputs, err := p.take(&env)
		if err != nil {
			e.audit(now, in.ID, p.ID, "", "not_started", err.Error())
			continue
		}
		e.Run(now, p, in, env, inputs)
	}
}

func (p *Playbook) triggered(a *sentinel.Alert, env *Env) bool {
	if sigma.LevelRank(a.Severity) < sigma.LevelRank(p.Trigger.MinSeverity) {
		return false
	}
	if len(p.Trigger.Any) > 0 && !slices.ContainsFunc(p.Trigger.Any, func(name string) bool { return names(name, a.Techniques) }) {
		return false
	}
	ok, err := holds(p.when, env)
	return ok && err == nil
}

// names tells whether a trigger's name stands for one of the techniques; a
// technique includes its sub-techniques.
func names(name string, techniques []string) bool {
	for _, want := range triggerTechniques(name) {
		for _, t := range techniques {
			if t == want || strings.HasPrefix(t, want+".") {
				return true
			}
		}
	}
	return false
}

// Run starts a playbook for an incident, unless it did so for the same key
// within its cooldown or still runs for it.
func (e *Engine) Run(now time.Duration, p *Playbook, in *fusion.Incident, env Env, inputs map[string]any) {
	key := p.ID
	if p.Limits.Key != "" {
		key += "/" + plain(inputs[p.Limits.Key])
	}
	if last, ok := e.last[key]; ok && now-last < p.Limits.Cooldown {
		return
	}
	for _, r := range e.runs {
		if !r.ended && r.cooldown == key {
			return
		}
	}
	e.last[key] = now
	r := &run{playbook: p, incident: in, env: env, inputs: inputs, started: now, cooldown: key, worst: Succeeded}
	r.env.Steps = map[string]StepView{}
	for i := range p.Steps {
		r.steps = append(r.steps, &stepRun{step: &p.Steps[i], status: Pending})
	}
	e.runs = append(e.runs, r)
	e.audit(now, in.ID, p.ID, "", "run_started", "")
	if e.OnRun != nil {
		e.OnRun(now, in.ID, p.ID, true)
	}
	for _, s := range r.steps {
		if s.step.HOTL != nil && s.step.HOTL.Ask == "start" && s.step.cond == nil && e.needsApproval(s.step) && e.resolve(now, r, s) {
			e.ask(now, r, s)
		}
	}
	e.advance(now, r)
}

// Act carries out one action outside any playbook, such as a reflex.
func (e *Engine) Act(now time.Duration, incident int, by, kind string, params map[string]string, ttl time.Duration) {
	e.ad++
	step := &Step{ID: by, Action: kind, TTL: ttl, Risk: Low, With: map[string]any{}}
	for k, v := range params {
		step.With[k] = v
	}
	p := &Playbook{ID: by, Steps: []Step{*step}}
	r := &run{playbook: p, incident: &fusion.Incident{ID: incident}, started: now, cooldown: fmt.Sprintf("%s#%d", by, e.ad), worst: Succeeded, env: Env{Steps: map[string]StepView{}}}
	r.steps = []*stepRun{{step: step, status: Pending}}
	e.runs = append(e.runs, r)
	e.advance(now, r)
}

func (e *Engine) audit(now time.Duration, incident int, playbook, step, what, detail string) {
	e.Audit = append(e.Audit, AuditEntry{now, incident, playbook, step, what, detail})
}

// advance carries a run on as far as it goes without an answer or a result.
func (e *Engine) advance(now time.Duration, r *run) {
	for !r.ended && r.at < len(r.steps) {
		s := r.steps[r.at]
		if s.status == Pending && !e.step(now, r, s) {
			return
		}
		r.env.Steps[s.step.ID] = StepView{Status: s.status}
		e.audit(now, r.incident.ID, r.playbook.ID, s.step.ID, "step_"+s.status, "")
		if s.status == Failed {
			r.worst = Failed
			if s.step.OnFailure != "continue" {
				r.stopped = true
			}
		} else if r.worst == Succeeded && (s.status == Denied || s.status == TimedOut || s.status == Limited) {
			r.worst = "partial"
		}
		r.at++
	}
	if !r.ended {
		r.ended = true
		e.metrics.playbook(r.playbook.ID, r.worst, now-r.started)
		e.audit(now, r.incident.ID, r.playbook.ID, "", "run_ended", r.worst)
		if e.OnRun != nil {
			e.OnRun(now, r.incident.ID, r.playbook.ID, false)
		}
	}
	e.runs = slices.DeleteFunc(e.runs, func(r *run) bool { return r.ended })
}

// step works on the current step; true means that it has its final status.
func (e *Engine) step(now time.Duration, r *run, s *stepRun) bool {
	if s.began {
		return s.left == 0 && e.settle(s)
	}
	if r.stopped && !s.step.Always {
		s.status = Skipped
		return true
	}
	if ok, err := holds(s.step.cond, &r.env); err != nil || !ok {
		s.status = Skipped
		if err != nil {
			s.status = Failed
			e.audit(now, r.incident.ID, r.playbook.ID, s.step.ID, "condition_failed", err.Error())
		}
		return true
	}
	if !s.resolved && !e.resolve(now, r, s) {
		return true
	}
	if e.needsApproval(s.step) {
		if s.asked == 0 {
			e.ask(now, r, s)
		}
		switch {
		case s.refused != "":
			s.status = s.refused
			e.refuse(now, s)
			return true
		case s.approved < max(1, approvers(s.step)):
			return false
		}
	}
	s.began = true
	e.launch(now, s)
	return s.left == 0 && e.settle(s)
}

func approvers(s *Step) int {
	if s.HOTL == nil {
		return 1
	}
	return s.HOTL.Approvers
}

// needsApproval applies the policy to a step.
func (e *Engine) needsApproval(s *Step) bool {
	policy := e.options.Policy.Approval
	if policy == "none" {
		return false
	}
	if s.HOTL != nil && s.HOTL.Required {
		return true
	}
	if policy == "" {
		policy = string(Medium)
	}
	return s.HOTL != nil && s.Risk.rank() >= Risk(policy).rank() || policy == "low"
}

// resolve fills in the parameters of a step for each of its targets. What has no
// value fails the step before anybody is asked.
func (e *Engine) resolve(now time.Duration, r *run, s *stepRun) bool {
	s.resolved = true
	fail := func(status, why string) bool {
		s.status = status
		e.audit(now, r.incident.ID, r.playbook.ID, s.step.ID, "not_possible", why)
		return false
	}
	items := []string{""}
	if s.step.ForEach != "" {
		list, err := (scope{env: &r.env, inputs: r.inputs}).list(s.step.ForEach)
		if err != nil {
			return fail(Skipped, err.Error())
		}
		items = list
	}
	kind := registry[s.step.Action]
	disruption := 0.0
	for _, item := range items {
		params := map[string]string{}
		for _, name := range kind.Params {
			value, given := s.step.With[name]
			if !given {
				continue
			}
			text, err := (scope{&r.env, r.inputs, item}).text(value)
			if err != nil {
				return fail(Failed, err.Error())
			}
			params[name] = text
		}
		t := &task{run: r, step: s, params: params, target: params[kind.Params[0]]}
		if why := e.exempt(r.playbook, t.target); why != "" {
			return fail(Limited, why)
		}
		disruption += e.disruption(s.step, kind, t.target)
		s.tasks = append(s.tasks, t)
	}
	limits := r.playbook.Limits
	if limits.MaxTargets > 0 && len(s.tasks) > limits.MaxTargets && s.step.ForEach != "" {
		s.tasks = s.tasks[:limits.MaxTargets]
		e.audit(now, r.incident.ID, r.playbook.ID, s.step.ID, "limit", fmt.Sprintf("only the first %d of %d targets", limits.MaxTargets, len(items)))
	}
	if limits.MaxDisruption > 0 && disruption > limits.MaxDisruption {
		return fail(Limited, fmt.Sprintf("predicted disruption %.1f is above the limit %.1f", disruption, limits.MaxDisruption))
	}
	return true
}

func (e *Engine) exempt(p *Playbook, target string) string {
	h := e.options.Inventory.Host(target)
	for _, x := range p.Limits.Exempt {
		role, isRole := strings.CutPrefix(x, "role:")
		if isRole && h != nil && h.Role == role || !isRole && strings.EqualFold(x, target) {
			return fmt.Sprintf("%s is exempt (%s)", target, x)
		}
	}
	return ""
}

// disruption predicts what an action costs: worth of what it stops, times hours.
func (e *Engine) disruption(s *Step, kind ActionKind, target string) float64 {
	hours := s.TTL.Hours()
	if hours == 0 {
		hours = 1
	}
	switch kind.Disrupts {
	case "host":
		if h := e.options.Inventory.Host(target); h != nil {
			return h.Criticality * hours
		}
	case "zone":
		return e.options.Inventory.ZoneWorth(target) * hours
	}
	return 0
}

// ask puts the questions of a step.
func (e *Engine) ask(now time.Duration, r *run, s *stepRun) {
	role := "tier1"
	for range max(1, approvers(s.step)) {
		e.put(now, r, s, role, false)
		role = "tier2" // the second of two is somebody else
	}
}

func (e *Engine) put(now time.Duration, r *run, s *stepRun, role string, escalated bool) {
	var targets []string
	disruption := 0.0
	for _, t := range s.tasks {
		targets = append(targets, t.target)
		disruption += e.disruption(s.step, registry[s.step.Action], t.target)
	}
	timeout := 10 * time.Minute
	if s.step.HOTL != nil {
		timeout = s.step.HOTL.Timeout
	}
	record := &ApprovalRecord{ID: len(e.Approvals) + 1, Incident: r.incident.ID, Playbook: r.playbook.ID, Step: s.step.ID,
		Action: s.step.Action, Target: strings.Join(targets, ","), Asked: now, Outcome: Pending, Approver: role}
	q := Question{ID: record.ID, Role: role, Action: s.step.Action, Target: record.Target, Risk: s.step.Risk, Confidence: r.incident.Score,
		Disruption: disruption, Severity: r.incident.Severity, Deadline: now + timeout,
		Key: r.playbook.ID + "/" + s.step.ID + "/" + record.Target + "/" + role}
	if len(s.tasks) > 0 {
		q.Params = s.tasks[0].params
		record.Params = q.Params
	}
	e.Approvals = append(e.Approvals, record)
	e.waiting[record.ID] = &question{run: r, step: s, record: record, q: q, escalated: escalated}
	s.asked++
	e.audit(now, r.incident.ID, r.playbook.ID, s.step.ID, "approval_asked", role+" about "+record.Target)
	e.at(q.Deadline, timer{kind: timerApproval, id: int64(record.ID)})
	if e.options.Approver != nil {
		e.options.Approver.Ask(now, q)
	}
}

// Answer is a person's word on a question. An answer after the time is over, or
// to a question that is no longer open, changes nothing and is false.
func (e *Engine) Answer(now time.Duration, id int, approved bool, by string) bool {
	w := e.waiting[id]
	if w == nil {
		if id > 0 && id <= len(e.Approvals) {
			rec := e.Approvals[id-1]
			e.audit(now, rec.Incident, rec.Playbook, rec.Step, "answer_too_late", by)
		}
		return false
	}
	outcome := Denied
	if approved {
		outcome = "approved"
	}
	e.conclude(now, w, outcome, by)
	return true
}

// conclude closes a question and carries its run on.
func (e *Engine) conclude(now time.Duration, w *question, outcome, by string) {
	delete(e.waiting, w.record.ID)
	w.record.Outcome, w.record.Closed = outcome, &now
	if outcome == "approved" || outcome == Denied {
		w.record.Answered = &now
		w.record.Approver = by
	}
	e.metrics.request(w.record.Action, outcome == "approved")
	e.audit(now, w.record.Incident, w.record.Playbook, w.record.Step, "approval_"+outcome, by)
	switch outcome {
	case "approved":
		w.step.approved++
	case "escalated":
		e.put(now, w.run, w.step, w.step.step.HOTL.EscalateTo, true)
		return
	default:
		if w.step.refused == "" {
			w.step.refused = outcome
		}
		for id, other := range e.waiting { // the other of two approvers need not answer any more
			if other.step == w.step {
				delete(e.waiting, id)
				other.record.Outcome, other.record.Closed = outcome, &now
			}
		}
	}
	if !w.run.ended && w.run.steps[w.run.at] == w.step {
		e.advance(now, w.run)
	}
}

func (e *Engine) approvalTimeout(now time.Duration, id int) {
	w := e.waiting[id]
	if w == nil {
		return
	}
	h := w.step.step.HOTL
	switch {
	case h == nil:
	case h.OnTimeout == "escalate" && !w.escalated:
		e.conclude(now, w, "escalated", h.EscalateTo)
		return
	case h.OnTimeout == "approve_if":
		if ok, err := holds(w.step.step.approveIf, &w.run.env); ok && err == nil {
			e.conclude(now, w, "approved", "rule: "+h.ApproveIf)
			return
		}
	}
	e.conclude(now, w, TimedOut, "")
}

// refuse records the actions that a person did not allow.
func (e *Engine) refuse(now time.Duration, s *stepRun) {
	for _, t := range s.tasks {
		e.record(now, t).Status = s.refused
		e.metrics.action(s.step.Action, s.refused)
	}
}

func (e *Engine) record(now time.Duration, t *task) *ActionRecord {
	rec := &ActionRecord{ID: int64(len(e.Actions) + 1), Incident: t.run.incident.ID, Playbook: t.run.playbook.ID, Step: t.step.step.ID,
		Kind: t.step.step.Action, Target: t.target, Status: Pending, Params: t.params, Asked: now}
	e.Actions = append(e.Actions, rec)
	t.record = rec
	return rec
}

// launch starts the tasks of a step, as many at once as it allows.
func (e *Engine) launch(now time.Duration, s *stepRun) {
	s.left = len(s.tasks)
	width := s.step.MaxParallel
	if width <= 0 {
		width = len(s.tasks)
	}
	for _, t := range s.tasks {
		e.record(now, t)
	}
	for _, t := range s.tasks {
		if s.running >= width {
			break
		}
		if t.record.Started == nil {
			e.begin(now, t)
		}
	}
}

func (e *Engine) begin(now time.Duration, t *task) {
	s := t.step
	if t.record.Started == nil {
		t.record.Started = &now
		s.running++
	}
	if h := e.active[t.effect()]; h != nil && s.step.TTL > 0 {
		e.hold(now, t, h.record)
		e.end(now, t, Succeeded, "in place already; its time is extended", false)
		return
	}
	if e.options.Policy.DryRun || t.run.playbook.DryRun {
		e.audit(now, t.record.Incident, t.record.Playbook, t.record.Step, "action_started", t.record.Kind+" "+t.target)
		e.end(now, t, DryRun, "dry run", false)
		return
	}
	t.attempt++
	t.record.Attempts = t.attempt
	e.open[t.record.ID] = t
	e.audit(now, t.record.Incident, t.record.Playbook, t.record.Step, "action_started", t.record.Kind+" "+t.target)
	timeout := s.step.Timeout
	if timeout == 0 {
		timeout = time.Hour
	}
	e.at(now+timeout, timer{kind: timerAction, id: t.record.ID, gen: t.attempt})
	e.options.Actuator.Start(now, ActionRequest{ID: t.record.ID, Kind: t.record.Kind, Params: t.params,
		Key: fmt.Sprintf("%s/%s/%s/%d", t.record.Playbook, t.record.Step, t.target, t.attempt)})
}

// effect names what a task does to what, for idempotency and undo.
func (t *task) effect() string {
	return t.step.step.Action + " " + t.target + " " + t.params["dest"]
}

// Done is the result of an action. A result that comes after its attempt has
// timed out is undone, since nobody waits for it any more.
func (e *Engine) Done(now time.Duration, action int64, ok, changed bool, detail string) {
	t := e.open[action]
	if t == nil {
		if ok && changed {
			e.options.Actuator.Undo(now, action)
		}
		return
	}
	delete(e.open, action)
	if ok {
		t.record.Changed = changed
		if kind := registry[t.record.Kind]; kind.Undo && changed {
			e.hold(now, t, t.record)
		}
		e.end(now, t, Succeeded, detail, true)
		return
	}
	e.attemptFailed(now, t, detail)
}

func (e *Engine) attemptFailed(now time.Duration, t *task, detail string) {
	retry := t.step.step.Retry
	if t.attempt <= retry.Max {
		pause := float64(max(retry.Backoff, time.Millisecond))
		for range t.attempt - 1 {
			pause *= max(1, retry.Factor)
		}
		e.audit(now, t.record.Incident, t.record.Playbook, t.record.Step, "action_retried", detail)
		e.at(now+time.Duration(pause), timer{kind: timerRetry, id: t.record.ID, task: t})
		return
	}
	e.end(now, t, Failed, detail, true)
}

// end gives a task its final status and carries its run on.
func (e *Engine) end(now time.Duration, t *task, status, detail string, resume bool) {
	if t.done {
		return
	}
	t.done = true
	t.record.Status, t.record.Detail, t.record.Ended = status, detail, &now
	e.metrics.action(t.record.Kind, status)
	e.audit(now, t.record.Incident, t.record.Playbook, t.record.Step, "action_"+status, detail)
	t.step.left--
	t.step.running--
	for _, next := range t.step.tasks {
		if next.record != nil && next.record.Started == nil {
			e.begin(now, next)
			break
		}
	}
	if resume && t.step.left == 0 && !t.run.ended {
		e.advance(now, t.run)
	}
}

// settle gives a step the status that its tasks amount to.
func (e *Engine) settle(s *stepRun) bool {
	s.status = Succeeded
	for _, t := range s.tasks {
		if t.record.Status == Failed {
			s.status = Failed
		} else if t.record.Status == DryRun && s.status == Succeeded {
			s.status = DryRun
		}
	}
	return true
}

// hold keeps an effect in force for the step's ttl; a second request extends it.
func (e *Engine) hold(now time.Duration, t *task, rec *ActionRecord) {
	h := e.active[t.effect()]
	if h == nil {
		h = &held{record: rec}
		e.active[t.effect()] = h
	}
	ttl := t.step.step.TTL
	if ttl == 0 {
		h.forever = true
		return
	}
	if now+ttl > h.expires {
		h.expires = now + ttl
		h.gen++
		e.at(h.expires, timer{kind: timerUndo, key: t.effect(), gen: h.gen})
	}
}

func (e *Engine) expire(now time.Duration, key string, gen int) {
	h := e.active[key]
	if h == nil || h.gen != gen || h.forever {
		return
	}
	e.undo(now, key, h, "its time is over")
}

func (e *Engine) undo(now time.Duration, key string, h *held, why string) {
	delete(e.active, key)
	e.options.Actuator.Undo(now, h.record.ID)
	h.record.Undone = &now
	e.audit(now, h.record.Incident, h.record.Playbook, h.record.Step, "action_undone", why)
}

// Restore undoes what is in force for an incident, the latest first, and
// returns how many actions that were.
func (e *Engine) Restore(now time.Duration, incident int) int {
	var keys []string
	for key, h := range e.active {
		if h.record.Incident == incident {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return int(e.active[b].record.ID - e.active[a].record.ID) })
	for _, key := range keys {
		e.undo(now, key, e.active[key], "the threat is gone")
	}
	return len(keys)
}

// Active counts the effects in force.
func (e *Engine) Active() int { return len(e.active) }

// Busy tells whether a run for an incident is still going on.
func (e *Engine) Busy(incident int) bool {
	return slices.ContainsFunc(e.runs, func(r *run) bool { return r.incident.ID == incident })
}

// NextWake is when Advance has something to do.
func (e *Engine) NextWake() (time.Duration, bool) {
	if len(e.timers) == 0 {
		return 0, false
	}
	return e.timers[0].at, true
}

// Advance handles every timer that is due.
func (e *Engine) Advance(now time.Duration) {
	for len(e.timers) > 0 && e.timers[0].at <= now {
		t := heap.Pop(&e.timers).(timer)
		switch t.kind {
		case timerApproval:
			e.approvalTimeout(t.at, int(t.id))
		case timerUndo:
			e.expire(t.at, t.key, t.gen)
		case timerRetry:
			e.begin(t.at, t.task)
		case timerAction:
			if open := e.open[t.id]; open != nil && open.attempt == t.gen {
				delete(e.open, t.id)
				e.attemptFailed(t.at, open, "no result in time")
			}
		}
	}
}

type timerKind uint8

const (
	timerApproval timerKind = iota
	timerUndo
	timerRetry
	timerAction
)

type timer struct {
	at   time.Duration
	seq  uint64
	kind timerKind
	id   int64
	gen  int
	key  string
	task *task
}

func (e *Engine) at(when time.Duration, t timer) {
	e.seq++
	t.at, t.seq = when, e.seq
	heap.Push(&e.timers, t)
}

type timerHeap []timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *timerHeap) Push(x any) { *h = append(*h, x.(timer)) }

// Pop is for container/heap.
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
