package response

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hemostat/defenders/incident"
	"hemostat/sim/action"
	"hemostat/sim/severity"
)

const (
	defaultDeadline = 24 * time.Hour
	defaultTimeout  = 30 * time.Minute // of one attempt
	defaultAnswer   = 10 * time.Minute // of an approval request that the policy adds
)

func itoa(n int) string { return strconv.Itoa(n) }

// run is one execution of a playbook.
type run struct {
	id          int
	playbook    *Playbook
	incident    *incident.Incident
	origin      action.Origin
	env         env
	inputs      map[string]any
	started     time.Duration
	root        *node
	stopped     bool // only steps that always run are left
	ended       bool
	overdue     bool // its deadline is over
	compensates bool // a step asked for compensation
	status      action.Status
	key         string
	severity    severity.Severity
	about       string    // what an order is about, for the audit
	effects     []*effect // that this run has put in force, oldest first
}

// node is a step of a run: a leaf with an action, or a group of nodes.
type node struct {
	run      *run
	step     *Step // nil for the root
	children []*node
	parallel bool
	any      bool // join: any
	status   action.Status

	// of a leaf
	resolved bool
	began    bool
	tasks    []*task
	left     int // tasks that have not ended
	running  int
	asked    []*approvalRequest
	follows  *approvalRequest // of another run, whose answer counts here too
	approved int
	refused  action.Status // denied or timed_out
	detached bool          // its group ended without it (join: any)
}

// buildTree makes the nodes of steps.
func (r *run) buildTree(steps []Step) []*node {
	nodes := make([]*node, 0, len(steps))
	for i := range steps {
		s := &steps[i]
		n := &node{run: r, step: s, status: action.Pending}
		switch {
		case s.Parallel != nil:
			n.children, n.parallel, n.any = r.buildTree(s.Parallel.Steps), true, s.Parallel.Join == "any"
		case len(s.Sequence) > 0:
			n.children = r.buildTree(s.Sequence)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// walkLeaves visits the leaves in order.
func (r *run) walkLeaves(f func(n *node)) { r.root.walkLeaves(f) }

func (n *node) walkLeaves(f func(n *node)) {
	if n.step != nil && n.children == nil {
		f(n)
	}
	for _, c := range n.children {
		c.walkLeaves(f)
	}
}

// shownInputs are the inputs as the audit may have them.
func (r *run) shownInputs() string {
	var parts []string
	if r.about != "" {
		return r.about
	}
	for name, v := range r.inputs {
		text := formatParam(v)
		if r.playbook.Inputs[name].Secret {
			text = "[redacted]"
		}
		parts = append(parts, name+"="+text)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// redact hides the values of secret inputs in a text.
func (r *run) redact(text string) string {
	var secrets []string
	for name, in := range r.playbook.Inputs {
		if v := formatParam(r.inputs[name]); in.Secret && r.inputs[name] != nil && v != "" {
			secrets = append(secrets, v)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, v := range secrets { // the longest first, which may hold another
		text = strings.ReplaceAll(text, v, "[redacted]")
	}
	return text
}

// auditStep appends an entry about a step of a run to the audit log.
func (e *Engine) auditStep(now time.Duration, n *node, a AuditEntry) {
	a.Run, a.Incident, a.Playbook, a.Step = n.run.id, n.run.incident.ID, n.run.playbook.ID, n.step.ID
	e.audit(now, a)
}

// advance carries a run on as far as it goes without an answer or a result. A change
// in one branch may let another go on (needs), so it goes round until nothing changes.
func (e *Engine) advance(now time.Duration, r *run) {
	if r.ended {
		return
	}
	for !e.progress(now, r.root) {
		if !r.hasUnblocked() {
			return
		}
	}
	if r.compensates {
		e.compensate(now, r)
	}
	e.enqueue(transition{kind: finishRun, run: r})
}

// hasUnblocked tells whether a node waits for steps that have ended meanwhile.
func (r *run) hasUnblocked() bool {
	unblocked := false
	r.walkLeaves(func(n *node) {
		if n.status == action.Pending && !n.began && len(n.step.Needs) > 0 && r.checkNeeds(n.step) != needsWait &&
			isReachable(r.root, n) {
			unblocked = true
		}
	})
	return unblocked
}

// isReachable tells whether the order of its groups lets a node go on now.
func isReachable(at, want *node) bool {
	for _, c := range at.children {
		if c == want {
			return c.refused == "" && !c.isAsked()
		}
		if c.children != nil && c.status == action.Pending && isReachable(c, want) {
			return true
		}
		if !at.parallel && c.status == action.Pending {
			return false
		}
	}
	return false
}

// needs is whether the steps that a step needs have ended well.
type needs uint8

const (
	needsMet needs = iota
	needsWait
	needsMissing
)

func (r *run) checkNeeds(s *Step) needs {
	for _, id := range s.Needs {
		view, ended := r.env.Steps[id]
		switch {
		case !ended:
			return needsWait
		case !action.Status(view.Status).IsGood():
			return needsMissing
		}
	}
	return needsMet
}

// progress works on a node; true means that it has its final status.
func (e *Engine) progress(now time.Duration, n *node) bool {
	switch {
	case n.step == nil:
		return e.progressChildren(now, n)
	case n.status != action.Pending:
		return true
	case n.children == nil:
		return e.progressLeaf(now, n)
	}
	if !n.began {
		n.began = true
		if n.run.stopped && !n.runsAlways() || !e.condition(now, n) {
			e.cancel(now, n)
			e.conclude(now, n, action.Skipped)
			return true
		}
	}
	ended := e.progressChildren(now, n)
	if !ended && !(n.any && slices.ContainsFunc(n.children, func(c *node) bool { return c.status.IsGood() })) {
		return false
	}
	status := n.aggregateChildren()
	if !ended {
		e.cancel(now, n)
	}
	e.conclude(now, n, status)
	return true
}

// progressChildren works on the children of a node, in sequence or in parallel; true
// means that all have ended.
func (e *Engine) progressChildren(now time.Duration, n *node) bool {
	all := true
	for _, c := range n.children {
		if e.progress(now, c) {
			continue
		}
		if all = false; !n.parallel {
			return false
		}
	}
	return all
}

// runsAlways tells whether a step, or one within it, runs even when the run was stopped.
func (n *node) runsAlways() bool {
	return n.step.Always || slices.ContainsFunc(n.children, (*node).runsAlways)
}

// cancel ends the branches that a group need not wait for: what has not begun never
// does, what is in flight ends by itself.
func (e *Engine) cancel(now time.Duration, group *node) {
	group.walkLeaves(func(n *node) {
		switch {
		case n.status != action.Pending:
		case n.began:
			n.detached = true
		default:
			e.withdraw(now, n)
			e.conclude(now, n, action.Skipped)
		}
	})
}

// aggregateChildren is the status that the children of a group amount to.
func (n *node) aggregateChildren() action.Status {
	status, good := action.Succeeded, false
	for _, c := range n.children {
		switch c.status {
		case action.Succeeded, action.DryRun:
			good = true
			if c.status == action.DryRun && status == action.Succeeded {
				status = action.DryRun
			}
		case action.Skipped, action.Pending:
		case action.Failed:
			if c.step.OnFailure != "continue" {
				status = action.Failed
			}
		default:
			if status != action.Failed {
				status = c.status
			}
		}
	}
	if n.any && good {
		return action.Succeeded
	}
	return status
}

// conclude gives a node its final status and applies what a failure means.
func (e *Engine) conclude(now time.Duration, n *node, status action.Status) {
	r := n.run
	n.status = status
	if !r.ended {
		r.env.Steps[n.step.ID] = n.view()
	}
	if !r.origin.IsSingleAction() {
		e.auditStep(now, n, AuditEntry{What: "step_ended", Status: string(status)})
	}
	e.notifyStep(n)
	if n.detached {
		return
	}
	switch status {
	case action.Failed:
		r.status = action.Failed
		switch n.step.OnFailure {
		case "continue":
		case "compensate":
			r.stopped, r.compensates = true, true
		default:
			r.stopped = true
		}
	case action.Denied, action.TimedOut, action.Limited:
		if r.status == action.Succeeded {
			r.status = action.Partial
		}
	}
}

// view is what expressions see of a step that has ended.
func (n *node) view() stepView {
	view := stepView{Status: string(n.status)}
	add := func(list *[]string, values []string) {
		for _, v := range values {
			if !slices.Contains(*list, v) {
				*list = append(*list, v)
			}
		}
	}
	for _, t := range n.tasks {
		add(&view.Accounts, t.result.Accounts)
		add(&view.Addresses, t.result.Addresses)
	}
	return view
}

func (e *Engine) notifyStep(n *node) {
	f := e.options.Listener.StepEnded
	if f == nil {
		return
	}
	end := StepEnd{
		Incident: n.run.incident.ID,
		Playbook: n.run.playbook.ID,
		Step:     n.step.ID,
		Origin:   n.run.origin,
		Status:   n.status,
	}
	for _, t := range n.tasks {
		end.Targets = append(end.Targets, t.target())
	}
	e.call(func(now time.Duration) { f(now, end) })
}

// condition evaluates a step's if; a broken one fails the step.
func (e *Engine) condition(now time.Duration, n *node) bool {
	ok, err := evaluate(n.step.cond, &n.run.env)
	if err != nil {
		e.auditStep(now, n, AuditEntry{What: "condition_failed", Detail: err.Error()})
	}
	return ok && err == nil
}

// progressLeaf works on a step with an action.
func (e *Engine) progressLeaf(now time.Duration, n *node) bool {
	if n.began {
		if n.left > 0 {
			return false
		}
		e.conclude(now, n, n.aggregateTasks())
		return true
	}
	if ended, blocked := e.checkStart(now, n); ended || blocked {
		return ended
	}
	if !n.resolved && !e.resolve(now, n) {
		return true
	}
	if ended, waits := e.checkApproval(now, n); ended || waits {
		return ended
	}
	n.began = true
	e.recordTasks(now, n)
	e.startNext(now, n)
	if n.left > 0 {
		return false
	}
	e.conclude(now, n, n.aggregateTasks())
	return true
}

// checkStart tells whether a step may begin: ended when it is skipped instead, blocked
// when it has to wait for others.
func (e *Engine) checkStart(now time.Duration, n *node) (ended, blocked bool) {
	skip := n.run.stopped && !n.step.Always
	if !skip {
		switch n.run.checkNeeds(n.step) {
		case needsWait:
			return false, true
		case needsMissing:
			skip = true
		}
	}
	switch {
	case skip:
		e.withdraw(now, n)
	case n.isAsked() || n.approved > 0 || n.refused != "" || e.condition(now, n):
		return false, false
	}
	e.conclude(now, n, action.Skipped)
	return true, false
}

// isAsked tells whether somebody was asked about a step.
func (n *node) isAsked() bool { return len(n.asked) > 0 || n.follows != nil }

// checkApproval asks where somebody has to: ended when the step was refused, waits
// while answers are missing.
func (e *Engine) checkApproval(now time.Duration, n *node) (ended, waits bool) {
	if !e.needsApproval(n.step) {
		return false, false
	}
	if !n.isAsked() && n.approved == 0 && n.refused == "" {
		e.ask(now, n)
	}
	if n.refused == "" {
		return false, n.approved < approvers(n.step)
	}
	for _, t := range n.tasks {
		if t.record == nil {
			e.record(now, t).Status = n.refused
			e.metrics.action(n.step.Action, n.refused)
		}
	}
	e.conclude(now, n, n.refused)
	return true, false
}

// aggregateTasks is the status that the tasks of a step add up to.
func (n *node) aggregateTasks() action.Status {
	status := action.Succeeded
	for _, t := range n.tasks {
		switch t.record.Status {
		case action.Failed:
			return action.Failed
		case action.DryRun:
			status = action.DryRun
		}
	}
	if len(n.tasks) > 0 &&
		!slices.ContainsFunc(n.tasks, func(t *task) bool { return t.record.Status != action.Limited }) {
		return action.Limited
	}
	return status
}

// finish ends a run and lets the next of those that wait begin.
func (e *Engine) finish(now time.Duration, r *run) {
	if r.ended {
		return
	}
	r.ended = true
	r.root, r.env = nil, env{} // its effects may be in force for hours
	e.runCount--
	if e.runsByIncident[r.incident.ID]--; e.runsByIncident[r.incident.ID] == 0 {
		delete(e.runsByIncident, r.incident.ID)
	}
	if e.running[r.key] == r {
		delete(e.running, r.key)
	}
	if !r.origin.IsSingleAction() {
		e.metrics.playbook(r.playbook.ID, r.status, now-r.started)
		e.audit(
			now,
			AuditEntry{
				Run:      r.id,
				Incident: r.incident.ID,
				Playbook: r.playbook.ID,
				What:     "run_ended",
				Status:   string(r.status),
			},
		)
		e.notifyRun(e.options.Listener.RunEnded, r)
	}
	for e.runCount < e.options.Policy.MaxRuns {
		next := e.nextWaitingRun()
		if next == nil {
			return
		}
		e.startRun(now, next)
	}
}

// expireRun ends a run whose deadline is over: approval requests lapse, actions in
// flight count as failed, and only steps that always run are left.
func (e *Engine) expireRun(now time.Duration, r *run) {
	if r.ended {
		return
	}
	e.audit(
		now,
		AuditEntry{
			Run:      r.id,
			Incident: r.incident.ID,
			Playbook: r.playbook.ID,
			What:     "deadline",
			Detail:   "the run has taken too long",
		},
	)
	r.stopped, r.overdue = true, true
	if r.status == action.Succeeded {
		r.status = action.Partial
	}
	r.walkLeaves(func(n *node) {
		e.lapse(now, n)
		for _, t := range n.tasks {
			if t.record != nil && !t.done {
				delete(e.inFlight, t.record.ID)
				e.endTask(now, t, action.Failed, "the run's deadline is over")
			}
		}
	})
	e.enqueue(transition{kind: advanceRun, run: r})
}

// resolve fills in the parameters of a step for each of its targets; false when the
// step has ended by that: what has no value fails it before anybody is asked, and what
// a limit stops is limited.
func (e *Engine) resolve(now time.Duration, n *node) bool {
	n.resolved = true
	requests, status, err := n.requests()
	if err != nil {
		e.auditStep(now, n, AuditEntry{What: "not_possible", Status: string(status), Detail: n.run.redact(err.Error())})
		e.conclude(now, n, status)
		return false
	}
	limits := n.run.playbook.Limits
	disruption := 0.0
	for _, request := range requests {
		t := &task{node: n, request: request}
		n.tasks = append(n.tasks, t)
		if why := e.exempt(n.run.playbook, t.target()); why != "" {
			e.limitTask(now, t, "exempt", why)
			continue
		}
		if limits.MaxTargets > 0 && n.unlimited() > limits.MaxTargets {
			e.limitTask(now, t, "max_targets", fmt.Sprintf("more than %d targets", limits.MaxTargets))
			continue
		}
		disruption += e.disruption(n.step, t.target())
	}
	if n.unlimited() == 0 {
		e.conclude(now, n, action.Limited)
		return false
	}
	if limits.MaxDisruption > 0 && disruption > limits.MaxDisruption {
		for _, t := range n.tasks {
			if t.record == nil {
				e.limitTask(
					now,
					t,
					"max_disruption",
					fmt.Sprintf("predicted disruption %.1f is above the limit %.1f", disruption, limits.MaxDisruption),
				)
			}
		}
		e.conclude(now, n, action.Limited)
		return false
	}
	return true
}

// requests are what a step asks for, one a target. With an error the step has the
// status that is returned.
func (n *node) requests() ([]action.Request, action.Status, error) {
	r, s := n.run, n.step
	if s.requests != nil {
		return s.requests, "", nil
	}
	items := []string{""}
	if s.ForEach != "" {
		list, err := (scope{env: &r.env, inputs: r.inputs, kind: action.Must(s.Action).Target}).list(s.ForEach)
		if err != nil {
			return nil, action.Skipped, err
		}
		items = list
	}
	names := action.Must(s.Action).ParamNames()
	var out []action.Request
	for _, item := range items {
		params := map[string]string{}
		for _, name := range names {
			value, given := s.With[name]
			if !given {
				continue
			}
			text, err := (scope{&r.env, r.inputs, item, action.Must(s.Action).Target}).text(value)
			if err != nil {
				return nil, action.Failed, err
			}
			params[name] = text
		}
		request, err := action.Parse(s.Action, params)
		if err != nil {
			return nil, action.Failed, err
		}
		out = append(out, request)
	}
	return out, "", nil
}

// unlimited counts the tasks of a step that no limit stopped.
func (n *node) unlimited() int {
	count := 0
	for _, t := range n.tasks {
		if !t.isLimited() {
			count++
		}
	}
	return count
}

func (e *Engine) limitTask(now time.Duration, t *task, limit, why string) {
	rec := e.record(now, t)
	rec.Status, rec.Detail = action.Limited, limit+": "+why
	t.done = true
	e.metrics.action(rec.Request.Kind, action.Limited)
	e.logLimit(now, t.node.run, rec.Step, limit, why)
}

// exempt tells why a target must not be touched, or "".
func (e *Engine) exempt(p *Playbook, target string) string {
	h := e.options.Inventory.Host(target)
	for _, x := range p.Limits.Exempt {
		kind, name, tagged := strings.Cut(x, ":")
		switch {
		case tagged && kind == "role" && h != nil && string(h.Role) == name,
			tagged && kind == "zone" && (h != nil && h.Zone == name || target == name),
			!tagged && (strings.EqualFold(x, target) || h != nil && strings.EqualFold(x, h.Name)):
			return fmt.Sprintf("%s is exempt (%s)", target, x)
		}
	}
	return ""
}

// disruption predicts what an action costs: worth of what it stops, times the hours
// for which it stops it. Egress is half of what a host does.
func (e *Engine) disruption(s *Step, target string) float64 {
	hours := e.ttlOf(s).Hours()
	if hours == 0 {
		hours = 1
	}
	v := e.options.Inventory
	switch action.Must(s.Action).Disrupts {
	case action.HostWork:
		if h := v.Host(target); h != nil {
			return h.Criticality * hours
		}
	case action.EgressTraffic:
		if h := v.Host(target); h != nil {
			return h.Criticality * hours / 2
		}
	case action.AccountWork:
		if v.Account(target) != nil {
			return hours
		}
	case action.ZoneTraffic:
		return v.ZoneWorth(target) * hours
	}
	return 0
}
