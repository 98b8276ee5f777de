package live

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"hemostat/defenders"
	"hemostat/defenders/incident"
	"hemostat/defenders/response"
	"hemostat/sim/action"
)

// ActionDocument is an action in the form in which it is exchanged.
type ActionDocument struct {
	Action   int64             `json:"action"`
	Phase    string            `json:"phase"` // request, undo, or ended
	Incident int               `json:"incident,omitempty"`
	Playbook string            `json:"playbook,omitempty"`
	Step     string            `json:"step,omitempty"`
	Kind     action.Kind       `json:"kind"`
	Target   string            `json:"target"`
	Params   map[string]string `json:"params"`
	Status   action.Status     `json:"status,omitempty"`
	Detail   string            `json:"detail,omitempty"`
	DryRun   bool              `json:"dry_run"`
	// Attempt names the request: playbook, step, target and attempt.
	Attempt string `json:"attempt,omitempty"`
	// Undoes is the id under which an action that is undone was requested.
	Undoes string `json:"undoes,omitempty"`

	id string // under which it was requested
}

// Executor carries actions out in the estate. What it is asked twice under one id it does once.
type Executor interface {
	// Execute does or undoes an action, and tells how it ended. It tries again by itself; an
	// error, that of the context, tells that a later run has to ask again.
	Execute(ctx context.Context, id string, a *ActionDocument) (response.Result, error)
}

// executorName is that of the executor among the sinks; a sink may not have it.
const executorName = "executor"

// atOnce bounds the actions that are carried out at the same time.
const atOnce = 8

// execute is the delivery of actions to an executor, whose results are inputs.
func (r *Runtime) execute(x Executor) delivery {
	return delivery{
		wants: func(o *Output) bool { return o.Action != nil },
		send: func(ctx context.Context, o *Output) error {
			result, err := x.Execute(ctx, o.ID, o.Action)
			if err != nil {
				return err
			}
			if o.Action.Phase == phaseUndo {
				return nil
			}
			select {
			case r.inputs <- input{Kind: inputResult, Action: o.Action.Action, Result: result}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		workers: atOnce,
	}
}

// The phases of an action.
const (
	phaseRequest = "request"
	phaseUndo    = "undo"
	phaseEnded   = "ended"
)

// actuator is the run as what the response asks for actions.
type actuator Runtime

// Start implements response.Actuator.
func (a *actuator) Start(_ time.Duration, q response.ActionRequest) {
	r := (*Runtime)(a)
	d := &ActionDocument{Action: q.ID, Phase: phaseRequest, Kind: q.Kind, Target: q.Target.Value, Params: q.Params(),
		Attempt: q.Attempt}
	r.state.Started[q.ID] = d
	d.id = r.emit(Output{Type: ActionOutput, Key: "action " + strconv.FormatInt(q.ID, 10), Action: d}, d)
}

// Undo implements response.Actuator.
func (a *actuator) Undo(_ time.Duration, id int64) bool {
	r := (*Runtime)(a)
	d := r.state.Started[id]
	if d == nil {
		return false
	}
	delete(r.state.Started, id)
	undo := *d
	undo.Phase, undo.Undoes = phaseUndo, d.id
	r.emit(Output{Type: ActionOutput, Key: "action " + strconv.FormatInt(id, 10), Action: &undo}, &undo)
	return true
}

// Observe implements response.Actuator: that an action changed something is what its executor
// said; nothing else can be seen from here.
func (a *actuator) Observe(_ time.Duration, id int64) bool { return a.state.Started[id] != nil }

// approver is the run as what the response asks for approval.
type approver Runtime

// Approval is a request for approval with what the approver needs to decide.
type Approval struct {
	Approval   int                 `json:"approval"`
	Phase      string              `json:"phase"` // asked, or closed
	Incident   int                 `json:"incident,omitempty"`
	Playbook   string              `json:"playbook,omitempty"`
	Step       string              `json:"step,omitempty"`
	Role       string              `json:"role"`
	Kind       action.Kind         `json:"kind"`
	Actions    []map[string]string `json:"actions"` // parameters, one a target
	Targets    []string            `json:"targets"`
	Risk       string              `json:"risk"`
	Severity   string              `json:"severity"`
	Confidence float64             `json:"confidence"`
	Disruption float64             `json:"predicted_disruption"` // criticality times hours
	Asked      time.Time           `json:"asked"`
	Deadline   time.Time           `json:"deadline"`
	Outcome    string              `json:"outcome,omitempty"`
	By         string              `json:"by,omitempty"`
	DryRun     bool                `json:"dry_run"`
}

// Ask implements response.Approver. What is known of the request's run comes by the listener.
func (p *approver) Ask(now time.Duration, q response.ApprovalRequest) {
	r := (*Runtime)(p)
	a := r.approval(q.ID)
	a.Role, a.Kind, a.Risk, a.Severity = string(q.Role), q.Kind, string(q.Risk), q.Severity.String()
	a.Confidence, a.Disruption = q.Confidence, q.Disruption
	a.Actions, a.Targets = nil, nil
	for i := range q.Requests {
		a.Actions = append(a.Actions, q.Requests[i].Params())
		a.Targets = append(a.Targets, q.Requests[i].Target.Value)
	}
	a.Asked, a.Deadline = timeOf(now), timeOf(q.Deadline)
	r.tellApproval(a)
}

// approval is a request that is open, or a new one.
func (r *Runtime) approval(id int) *Approval {
	a := r.state.Approvals[id]
	if a == nil {
		a = &Approval{Approval: id, Phase: "asked", DryRun: r.config.Policy.DryRun}
		r.state.Approvals[id] = a
	}
	return a
}

func (r *Runtime) tellApproval(a *Approval) {
	if a.Playbook == "" || a.Deadline.IsZero() && a.Phase == "asked" {
		return // the other half is still to come
	}
	copied := *a
	r.emit(Output{Type: ApprovalOutput, Key: fmt.Sprint("approval ", a.Approval)}, &copied)
	r.board.set(r.state.Approvals)
}

func timeOf(t time.Duration) time.Time { return epoch.Add(t) }

// listener turns what the pipeline tells into outputs.
func (r *Runtime) listener() defenders.Listener {
	return defenders.Listener{
		Alert: func(a *defenders.RaisedAlert) {
			r.emit(Output{Type: AlertOutput, Key: fmt.Sprint("incident ", a.Incident)}, a.Document())
		},
		IncidentEnded: func(_ time.Duration, in *incident.Incident) {
			r.emit(Output{Type: IncidentOutput, Key: fmt.Sprint("incident ", in.ID)}, r.pipeline.Explain(in.ID, epoch))
		},
		Response: response.Listener{
			ApprovalAsked:  r.approvalAsked,
			ApprovalClosed: r.approvalClosed,
			ActionEnded:    r.actionEnded,
			Audited: func(a response.AuditEntry) {
				r.emit(Output{Type: ResponseOutput, Key: fmt.Sprint("incident ", a.Incident)}, a)
			},
		},
	}
}

func (r *Runtime) approvalAsked(_ time.Duration, x *response.ApprovalRecord) {
	a := r.approval(x.ID)
	a.Incident, a.Playbook, a.Step = x.Incident, x.Playbook, x.Step
	r.tellApproval(a)
}

func (r *Runtime) approvalClosed(_ time.Duration, x *response.ApprovalRecord) {
	a := r.approval(x.ID)
	a.Phase, a.Outcome, a.By = "closed", string(x.Outcome), x.Approver
	delete(r.state.Approvals, x.ID)
	r.tellApproval(a)
	r.board.set(r.state.Approvals)
}

func (r *Runtime) actionEnded(_ time.Duration, x *response.ActionRecord) {
	d := &ActionDocument{Action: x.ID, Phase: phaseEnded, Incident: x.Incident, Playbook: x.Playbook, Step: x.Step,
		Kind: x.Request.Kind, Target: x.Target, Params: x.Request.Params(), Status: x.Status, Detail: x.Detail,
		DryRun: x.Status == action.DryRun}
	if !x.Changed {
		delete(r.state.Started, x.ID)
	}
	r.emit(Output{Type: ActionOutput, Key: fmt.Sprint("action ", x.ID)}, d)
}

// poison is a record that cannot be read.
type poison struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Reason    string `json:"reason"`
	Size      int    `json:"size"`
}

// poisoned gives out a record that cannot be read, or a part of which cannot.
func (r *Runtime) poisoned(p Position, x *Record, why string) {
	r.metrics.poison.WithLabelValues(p.Topic).Inc()
	r.emit(Output{Type: PoisonOutput, Key: p.Topic, Record: x.Value},
		poison{p.Topic, p.Partition, x.Offset, why, len(x.Value)})
}
