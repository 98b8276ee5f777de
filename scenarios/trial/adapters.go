package trial

import (
	"time"

	"hemostat/defenders"
	"hemostat/defenders/fusion"
	"hemostat/defenders/response"
	"hemostat/scenarios/measure"
	"hemostat/sim"
	"hemostat/sim/analysts"
	"hemostat/sim/intel"
	"hemostat/sim/world"
)

// actuator carries the response's actions out in the world, each after the time
// that it takes.
type actuator struct {
	engine   *sim.Engine
	world    *world.World
	pipeline *defenders.Pipeline
	assets   *world.AttackerAssets
	wake     func()
	requests map[int64]world.Action
	// applied is when each action took effect, and whether it hit the innocent.
	applied  map[int64]time.Duration
	onBenign map[int64]bool
}

// Start implements response.Actuator. Luck belongs to the request's key, so two
// variants that take the same action share it.
func (a *actuator) Start(now time.Duration, r response.ActionRequest) {
	stream := a.world.Streams().Stream("actuator", r.Attempt)
	request := world.Action{ID: uint64(r.ID), Request: r.Request}
	a.requests[r.ID] = request
	sample := world.SampleAction(r.Request, &stream)
	a.engine.Schedule(now+sample.Latency, sim.HandlerFunc(func(now time.Duration) {
		a.pipeline.ActionDone(now, r.ID, a.carryOut(now, request, sample))
		a.wake()
	}), 0)
}

func (a *actuator) carryOut(now time.Duration, request world.Action, sample world.ActionSample) response.Result {
	switch {
	case sample.Failure:
		return response.Result{Detail: "the action failed"}
	case sample.SilentFailure:
		return response.Result{OK: true, Changed: true, Detail: string(request.Kind) + " was reported done"}
	}
	justified := a.assets.IsJustified(a.world, request.Request)
	result := a.world.Apply(now, request)
	if result.OK && result.Changed {
		a.applied[int64(request.ID)] = now
		a.onBenign[int64(request.ID)] = !justified
	}
	return response.Result{OK: result.OK, Changed: result.Changed, Detail: result.Detail, Accounts: result.Accounts}
}

// Undo implements response.Actuator.
func (a *actuator) Undo(_ time.Duration, id int64) bool { return a.world.Undo(uint64(id)) }

// Observe implements response.Actuator.
func (a *actuator) Observe(_ time.Duration, id int64) bool {
	request, known := a.requests[id]
	return known && a.world.Observe(request)
}

// approver puts the response's approval requests to the simulated people.
type approver struct {
	staff  *analysts.Staff
	world  *world.World
	assets *world.AttackerAssets
}

// Ask implements response.Approver.
func (p *approver) Ask(now time.Duration, q response.ApprovalRequest) {
	p.staff.Ask(
		now,
		analysts.Question{
			ID:         q.ID,
			Role:       q.Role,
			Key:        q.Key,
			Action:     q.Kind,
			Priority:   q.Severity,
			Confidence: q.Confidence,
			Disruption: q.Disruption,
			Deadline:   q.Deadline,
			Justified:  measure.IsJustified(p.world, p.assets, q.Requests),
		},
	)
}

// feed lets the defence ask a simulated feed.
type feed struct{ *intel.Feed }

// Lookup implements fusion.Source.
func (f feed) Lookup(now time.Duration, i fusion.Indicator) (fusion.Hit, bool, error) {
	confidence, ok, err := f.Feed.Lookup(now, i.Value)
	return fusion.Hit{Source: f.Name(), Confidence: confidence}, ok, err
}
