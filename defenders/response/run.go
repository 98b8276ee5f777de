package response

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hemostat/defenders/fusion"
)

const (
	defaultDeadline = 24 * time.Hour
	defaultTimeout  = 30 * time.Minute // of one attempt
	defaultAnswer   = 10 * time.Minute // of a question that the policy adds
)

func itoa(n int) string { return strconv.Itoa(n) }

// run is one execution of a playbook.
type run struct {
	id       int
	playbook *Playbook
	incident *fusion.Incident
	env      Env
	inputs   map[string]any
	started  time.Duration
	root     *node
	stopped  bool // only steps that always run are left
	ended    bool
	overdue  bool // its deadline is over
	undoing  bool // a step asked for compensation
	reflex   bool
	worst    string
	key      string
	severity int
	effects  []*effect // that this run has put in force, oldest first
}

// node is a step of a run: a leaf with an action, or a group of nodes.
type node struct {
	run      *run
	step     *Step // nil for the root
	children []*node
	parallel bool
	any      bool // join: any
	status   string

	// of a leaf
	resolved bool
	began    bool
	tasks    []*task
	left     int
	running  int
	asked    []*question
	follows  *question // of another run, whose answer counts here too
	approved int
	refused  string // denied or timed_out
	orphan   bool   // its group ended without it (join: any)
}

// task is what a step does to one target.
type task struct {
	node      *node
	params    map[string]string
	target    string
	attempt   int
	record    *ActionRecord
	done      bool
	verifying time.Duration // until when the effect may show; 0 when it need not
	result    Result
	waits     bool    // for the target
	followers []*task // that wait for this one, since it does the same to the same
}

// plant makes the nodes of steps.
func (r *run) plant(steps []Step) []*node {
	nodes := make([]*node, 0, len(steps))
	for i := range steps {
		s := &steps[i]
		n := &node{run: r, step: s, status: Pending}
		switch {
		case s.Parallel != nil:
			n.children, n.parallel, n.any = r.plant(s.Parallel.Steps), true, s.Parallel.Join == "any"
		case len(s.Sequence) > 0:
			n.children = r.plant(s.Sequence)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// each visits the leaves in order.
func (r *run) each(f func(n *node)) { r.root.each(f) }

func (n *node) each(f func(n *node)) {
	if n.step != nil && n.children == nil {
		f(n)
	}
	for _, c := range n.children {
		c.each(f)
	}
}

// shownInputs are the inputs as the audit may have them.
func (r *run) shownInputs() string {
	var parts []string
	for name, v := range r.inputs {
		text := plain(v)
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
		if v := plain(r.inputs[name]); in.Secret && r.inputs[name] != nil && v != "" {
			secrets = append(secrets, v)
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, v := range secrets { // the longest first, which may hold another
		text = strings.ReplaceAll(text, v, "[redacted]")
	}
	return text
}

// advance carries a run on as far as it goes without an answer or a result. A
// change in one branch may let another go on (needs), so it goes round until
// nothing changes.
func (e *Engine) advance(now time.Duration, r *run) {
	if r.ended {
		return
	}
	for !e.progress(now, r.root) {
		if !r.moved() {
			return
		}
	}
	if r.undoing {
		e.compensate(now, r)
	}
	e.finish(now, r)
}

// moved tells whether a node waits for steps that have ended meanwhile.
func (r *run) moved() bool {
	moved := false
	r.each(func(n *node) {
		if n.status == Pending && !n.began && len(n.step.Needs) > 0 && r.needsMet(n.step) != "wait" && r.reachable(n) {
			moved = true
		}
	})
	return moved
}

// reachable tells whether the order of its groups lets a node go on now.
func (r *run) reachable(n *node) bool { return reach(r.root, n) }

func reach(at, want *node) bool {
	for _, c := range at.children {
		if c == want {
			return c.refused == "" && len(c.asked) == 0 && c.follows == nil
		}
		if c.children != nil && c.status == Pending && reach(c, want) {
			return true
		}
		if !at.parallel && c.status == Pending {
			return false
		}
	}
	return false
}

// needsMet is "met", "wait" or "missing" for what a step needs.
func (r *run) needsMet(s *Step) string {
	for _, id := range s.Needs {
		view, ended := r.env.Steps[id]
		switch {
		case !ended:
			return "wait"
		case view.Status != Succeeded && view.Status != DryRun:
			return "missing"
		}
	}
	return "met"
}

// progress works on a node; true means that it has its final status.
func (e *Engine) progress(now time.Duration, n *node) bool {
	if n.step != nil && n.status != Pending {
		return true
	}
	if n.children == nil && n.step != nil {
		return e.leaf(now, n)
	}
	if n.step != nil && !n.began {
		n.began = true
		if n.run.stopped && !n.always() || !e.condition(now, n) {
			e.abandon(now, n)
			e.conclude(now, n, Skipped)
			return true
		}
	}
	all, succeeded := true, false
	for _, c := range n.children {
		ended := e.progress(now, c)
		succeeded = succeeded || ended && (c.status == Succeeded || c.status == DryRun)
		if !ended {
			all = false
			if !n.parallel {
				return false
			}
		}
	}
	if n.step == nil {
		return all
	}
	if !all && (!n.any || !succeeded) {
		return false
	}
	if n.status != Pending {
		return true
	}
	status := n.joined()
	if !all {
		e.abandon(now, n)
	}
	e.conclude(now, n, status)
	return true
}

// always tells whether a step, or one within it, runs even when the run was stopped.
func (n *node) always() bool {
	return n.step.Always || slices.ContainsFunc(n.children, (*node).always)
}

// abandon ends the branches that a group need not wait for: what has not begun
// never does, what is in flight ends by itself.
func (e *Engine) abandon(now time.Duration, group *node) {
	group.each(func(n *node) {
		switch {
		case n.status != Pending:
		case n.began:
			n.orphan = true
		default:
			e.withdraw(now, n)
			e.conclude(now, n, Skipped)
		}
	})
}

// joined is the status that the children of a group amount to.
func (n *node) joined() string {
	status, good := Succeeded, false
	for _, c := range n.children {
		switch c.status {
		case Succeeded, DryRun:
			good = true
			if c.status == DryRun && status == Succeeded {
				status = DryRun
			}
		case Skipped, Pending:
		case Failed:
			if c.step.OnFailure != "continue" {
				status = Failed
			}
		default:
			if status != Failed {
				status = c.status
			}
		}
	}
	if n.any && good {
		return Succeeded
	}
	return status
}

// conclude gives a node its final status and applies what a failure means.
func (e *Engine) conclude(now time.Duration, n *node, status string) {
	r := n.run
	if n.status != Pending { // a result that came at once has carried the run past it
		return
	}
	n.status = status
	view := StepView{Status: status}
	for _, t := range n.tasks {
		for _, a := range t.result.Accounts {
			if !slices.Contains(view.Accounts, a) {
				view.Accounts = append(view.Accounts, a)
			}
		}
		for _, a := range t.result.Addresses {
			if !slices.Contains(view.Addresses, a) {
				view.Addresses = append(view.Addresses, a)
			}
		}
	}
	r.env.Steps[n.step.ID] = view
	if !r.reflex {
		e.audit(now, AuditEntry{Run: r.id, Incident: r.incident.ID, Playbook: r.playbook.ID, Step: n.step.ID, What: "step_ended", Status: status})
	}
	if e.OnStep != nil {
		end := StepEnd{Incident: r.incident.ID, Playbook: r.playbook.ID, Step: n.step.ID, Status: status}
		for _, t := range n.tasks {
			end.Targets = append(end.Targets, t.target)
		}
		e.OnStep(now, end)
	}
	if n.orphan {
		return
	}
	switch status {
	case Failed:
		r.worst = Failed
		switch n.step.OnFailure {
		case "continue":
		case "compensate":
			r.stopped, r.undoing = true, true
		default:
			r.stopped = true
		}
	case Denied, TimedOut, Limited:
		if r.worst == Succeeded {
			r.worst = "partial"
		}
	}
}

// condition evaluates a step's if; a broken one fails the step.
func (e *Engine) condition(now time.Duration, n *node) bool {
	ok, err := holds(n.step.cond, &n.run.env)
	if err != nil {
		e.audit(now, AuditEntry{Run: n.run.id, Incident: n.run.incident.ID, Playbook: n.run.playbook.ID, Step: n.step.ID, What: "condition_failed", Detail: err.Error()})
	}
	return ok && err == nil
}

// leaf works on a step with an action.
func (e *Engine) leaf(now time.Duration, n *node) bool {
	r, s := n.run, n.step
	if n.began {
		if n.left > 0 {
			return false
		}
		e.conclude(now, n, n.amounts())
		return true
	}
	if r.stopped && !s.Always {
		e.withdraw(now, n)
		e.conclude(now, n, Skipped)
		return true
	}
	switch r.needsMet(s) {
	case "wait":
		return false
	case "missing":
		e.withdraw(now, n)
		e.conclude(now, n, Skipped)
		return true
	}
	if len(n.asked) == 0 && n.follows == nil && n.approved == 0 && n.refused == "" && !e.condition(now, n) {
		e.conclude(now, n, Skipped)
		return true
	}
	if !n.resolved && !e.resolve(now, n) {
		return true
	}
	if e.needsApproval(s) {
		if len(n.asked) == 0 && n.follows == nil && n.approved == 0 && n.refused == "" {
			e.ask(now, n)
		}
		switch {
		case n.refused != "":
			for _, t := range n.tasks {
				if t.record == nil {
					e.record(now, t).Status = n.refused
					e.metrics.action(s.Action, n.refused)
				}
			}
			e.conclude(now, n, n.refused)
			return true
		case n.approved < approvers(s):
			return false
		}
	}
	n.began = true
	e.launch(now, n)
	if n.left > 0 {
		return false
	}
	if n.status == Pending {
		e.conclude(now, n, n.amounts())
	}
	return true
}

// amounts is the status that the tasks of a step add up to.
func (n *node) amounts() string {
	status := Succeeded
	for _, t := range n.tasks {
		switch t.record.Status {
		case Failed:
			return Failed
		case DryRun:
			status = DryRun
		}
	}
	if len(n.tasks) > 0 && !slices.ContainsFunc(n.tasks, func(t *task) bool { return t.record.Status != Limited }) {
		return Limited
	}
	return status
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
	return policy == string(Low) || !s.automatic && s.Risk.rank() >= Risk(policy).rank()
}

func approvers(s *Step) int {
	if s.HOTL == nil {
		return 1
	}
	return max(1, s.HOTL.Approvers)
}

// resolve fills in the parameters of a step for each of its targets. What has no
// value fails the step before anybody is asked.
func (e *Engine) resolve(now time.Duration, n *node) bool {
	r, s := n.run, n.step
	n.resolved = true
	fail := func(status, why string) bool {
		e.audit(now, AuditEntry{Run: r.id, Incident: r.incident.ID, Playbook: r.playbook.ID, Step: s.ID, What: "not_possible", Status: status, Detail: r.redact(why)})
		e.conclude(now, n, status)
		return false
	}
	items := []string{""}
	if s.ForEach != "" {
		list, err := (scope{env: &r.env, inputs: r.inputs}).list(s.ForEach)
		if err != nil {
			return fail(Skipped, err.Error())
		}
		items = list
	}
	kind := registry[s.Action]
	limits := r.playbook.Limits
	disruption := 0.0
	for _, item := range items {
		params := map[string]string{}
		for _, name := range kind.Params {
			value, given := s.With[name]
			if !given {
				continue
			}
			text, err := (scope{&r.env, r.inputs, item}).text(value)
			if err != nil {
				return fail(Failed, err.Error())
			}
			params[name] = text
		}
		t := &task{node: n, params: params, target: params[kind.Params[0]]}
		n.tasks = append(n.tasks, t)
		if why := e.exempt(r.playbook, t.target); why != "" {
			e.limitTask(now, t, "exempt", why)
			continue
		}
		if limits.MaxTargets > 0 && n.unlimited() > limits.MaxTargets {
			e.limitTask(now, t, "max_targets", fmt.Sprintf("more than %d targets", limits.MaxTargets))
			continue
		}
		disruption += e.disruption(s, t.target)
	}
	if n.unlimited() == 0 {
		e.conclude(now, n, Limited)
		return false
	}
	if limits.MaxDisruption > 0 && disruption > limits.MaxDisruption {
		for _, t := range n.tasks {
			if t.record == nil {
				e.limitTask(now, t, "max_disruption", fmt.Sprintf("predicted disruption %.1f is above the limit %.1f", disruption, limits.MaxDisruption))
			}
		}
		e.conclude(now, n, Limited)
		return false
	}
	return true
}

// unlimited counts the tasks of a step that no limit stopped.
func (n *node) unlimited() int {
	count := 0
	for _, t := range n.tasks {
		if t.record == nil || t.record.Status != Limited {
			count++
		}
	}
	return count
}

func (e *Engine) limitTask(now time.Duration, t *task, limit, why string) {
	rec := e.record(now, t)
	rec.Status, rec.Detail = Limited, limit+": "+why
	t.done = true
	e.metrics.action(rec.Kind, Limited)
	e.limited(now, t.node.run, rec.Step, limit, why)
}

// exempt tells why a target must not be touched, or "".
func (e *Engine) exempt(p *Playbook, target string) string {
	h := e.options.Inventory.Host(target)
	for _, x := range p.Limits.Exempt {
		kind, name, tagged := strings.Cut(x, ":")
		switch {
		case tagged && kind == "role" && h != nil && h.Role == name,
			tagged && kind == "zone" && (h != nil && h.Zone == name || target == name),
			!tagged && (strings.EqualFold(x, target) || h != nil && strings.EqualFold(x, h.Name)):
			return fmt.Sprintf("%s is exempt (%s)", target, x)
		}
	}
	return ""
}

// disruption predicts what an action costs: worth of what it stops, times the
// hours for which it stops it.
func (e *Engine) disruption(s *Step, target string) float64 {
	hours := s.TTL.Hours()
	if hours == 0 {
		hours = 1
	}
	switch registry[s.Action].Disrupts {
	case "host":
		if h := e.options.Inventory.Host(target); h != nil {
			return h.Criticality * hours
		}
	case "egress":
		if h := e.options.Inventory.Host(target); h != nil {
			return h.Criticality * hours / 2
		}
	case "account":
		if e.options.Inventory.Account(target) != nil {
			return hours
		}
	case "zone":
		return e.options.Inventory.ZoneWorth(target) * hours
	}
	return 0
}

func (n *node) disruption(e *Engine) float64 {
	sum := 0.0
	for _, t := range n.tasks {
		if t.record == nil || t.record.Status != Limited {
			sum += e.disruption(n.step, t.target)
		}
	}
	return sum
}

// finish ends a run and lets the next of the queue begin.
func (e *Engine) finish(now time.Duration, r *run) {
	if r.ended {
		return
	}
	r.ended = true
	e.open--
	if e.perCase[r.incident.ID]--; e.perCase[r.incident.ID] == 0 {
		delete(e.perCase, r.incident.ID)
	}
	if e.running[r.key] == r {
		delete(e.running, r.key)
	}
	if !r.reflex {
		e.metrics.playbook(r.playbook.ID, r.worst, now-r.started)
		e.audit(now, AuditEntry{Run: r.id, Incident: r.incident.ID, Playbook: r.playbook.ID, What: "run_ended", Status: r.worst})
		if e.OnRun != nil {
			e.OnRun(now, r.incident.ID, r.playbook.ID, false)
		}
	}
	for e.open < e.options.Policy.MaxRuns {
		next := e.nextQueued()
		if next == nil {
			return
		}
		e.start(now, next)
	}
}

// deadline ends a run whose time is over: questions lapse, actions in flight
// count as failed, and only steps that always run are left.
func (e *Engine) deadline(now time.Duration, r *run) {
	if r.ended {
		return
	}
	e.audit(now, AuditEntry{Run: r.id, Incident: r.incident.ID, Playbook: r.playbook.ID, What: "deadline", Detail: "the run has taken too long"})
	r.stopped, r.overdue = true, true
	if r.worst == Succeeded {
		r.worst = "partial"
	}
	r.each(func(n *node) {
		e.withdrawAs(now, n, TimedOut)
		for _, t := range n.tasks {
			if t.record != nil && !t.done {
				delete(e.flight, t.record.ID)
				e.end(now, t, Failed, "the run's deadline is over", false)
			}
		}
	})
	e.advance(now, r)
}
