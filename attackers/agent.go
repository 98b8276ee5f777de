package attackers

import (
	"slices"
	"time"

	"hemostat/attackers/campaign"
	"hemostat/attackers/evasion"
	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/record"
	"hemostat/sim/world"
)

// Agent is one attacker at work: a planner says what comes next, a clock when, a journal keeps
// what was done; adaptation.go is how they answer to failures and blocks.
type Agent struct {
	journal
	spec  *campaign.Attacker
	plan  planner
	clock clock
	world *world.World
	state *technique.State
	evade *evasion.Plan // nil for one who deceives nobody
	steps sim.Stream

	attempt *technique.Attempt
	ordinal uint64 // of the attempt

	retries  int
	streak   int  // failures in a row
	blocks   int  // blocks met in the current stage
	blocked  int  // times that the defence blocked them
	rounds   int  // re-entries after everything was lost
	reviving bool // waits for their program to start by itself
	waiting  bool // for the defence to let something through again

	// of an attacker whom a program outside directs
	ask      func(now time.Duration) // nil for one who follows their plan
	asking   bool
	returnAt time.Duration // when their program comes up again; 0 while they are in
}

// Options are what an agent needs beside its script.
type Options struct {
	Index   int // 1-based
	Hostile *world.AttackerAssets
	// Ask is called when the next step is due of an attacker whom a program outside directs;
	// Choose answers it. Nil for one who follows their plan.
	Ask func(now time.Duration)
	// Oracle answers the questions of one who has access to the defence's detectors; nil for none.
	Oracle evasion.Oracle
}

// New puts an attacker into the world; its first step is scheduled.
func New(e *sim.Engine, w *world.World, spec *campaign.Attacker, o Options) *Agent {
	name := "attacker " + spec.Name
	steps := w.Streams().Stream(name, "steps")
	a := &Agent{
		journal: journal{attack: o.Index}, spec: spec, plan: newPlanner(spec, steps.For("choice")), world: w, steps: steps,
		ask:   o.Ask,
		clock: clock{engine: e, epoch: w.Epoch, hours: spec.Hours, pace: w.Streams().Stream(name, "pace")},
	}
	a.clock.handler = a
	setup := w.Streams().Stream(name, "setup")
	actor := w.NewActor(name)
	actor.Label.Attack = int32(o.Index)
	a.state = technique.NewState(w, actor, o.Hostile)
	a.state.Skill, a.state.Stealth = spec.Skill.Draw(&setup, 0.5), spec.Stealth.Draw(&setup, 0.3)
	a.state.Hello = tlsClient(spec.Infrastructure.TLSClient)
	a.state.PublicCertificate = spec.Infrastructure.Certificate == "public"
	a.allocateInfrastructure(&setup)
	start := w.Streams().Stream(name, "start")
	begins := e.Now() + spec.Start.After.Sample(&start)
	a.evade = evasion.NewPlan(spec.Evasion, evasion.Setting{
		Engine: e, World: w, State: a.state, Attack: o.Index, Name: spec.Name, Library: spec.Library, Campaign: spec.Techniques(),
		Start: begins, Oracle: o.Oracle,
	})
	a.clock.wakeAtWork(begins)
	return a
}

// Evasion is how the attacker deceives the defence; nil for one who does not.
func (a *Agent) Evasion() *evasion.Plan { return a.evade }

// Containment is the action that contained the attacker, and when it made
// itself felt; ok is false when the attacker reached their goal, failed by
// themselves, or is still at work. After their last success nothing went through any
// more: the last of the blocks by the defence since then is what contained them.
func (a *Agent) Containment() (action uint64, at time.Duration, ok bool) {
	if a.Objective != nil || !a.done && !a.waiting || len(a.defenceBlocks) == 0 {
		return 0, 0, false
	}
	last := a.defenceBlocks[len(a.defenceBlocks)-1]
	for _, h := range a.defenceBlocks { // when that action was first met
		if h.action == last.action {
			return h.action, h.at, true
		}
	}
	return last.action, last.at, true
}

// CompromisedHosts lists the hosts that the attacker can use now.
func (a *Agent) CompromisedHosts() []*world.Host {
	var hosts []*world.Host
	for _, f := range a.state.Footholds {
		if !slices.Contains(hosts, f.Host) && a.state.Usable(f).OK() {
			hosts = append(hosts, f.Host)
		}
	}
	return hosts
}

// Exfiltrated is how many bytes the attacker has carried away.
func (a *Agent) Exfiltrated() uint64 { return a.state.Exfiltrated }

// Skill is how skilled the attacker is, 0 to 1.
func (a *Agent) Skill() float64 { return a.state.Skill }

// Handle is the agent's clock: the next round of an attempt, or the next step.
func (a *Agent) Handle(now time.Duration, _ uint64) {
	if a.done {
		return
	}
	a.waiting = false
	if a.reviving {
		a.resumeFromPersistence(now)
		return
	}
	if a.attempt == nil && a.ask != nil {
		a.askNext(now)
		return
	}
	if a.Started == nil {
		a.start(now)
	}
	if a.attempt == nil {
		a.next(now)
		return
	}
	p := a.attempt.Run(now)
	a.checkGoal(now)
	if !p.Done && !a.done {
		a.clock.wake(now, max(p.Wait, time.Millisecond))
		return
	}
	if a.done {
		p = technique.Progress{Done: true, OK: true, Note: "the objective of the campaign"}
	}
	a.finish(now, p)
}

func (a *Agent) start(now time.Duration) { a.Started = record.At(now) }

// next chooses and begins the next technique, or ends the attack.
func (a *Agent) next(now time.Duration) {
	if a.tooLate(now) {
		a.end(now, "the price is too high: no success in time")
		return
	}
	if wait := a.evade.BeforeStep(now, a.progressOfPlan()); wait > 0 {
		a.clock.wake(now, wait)
		return
	}
	stage, last := a.plan.stage, a.last()
	id, ok := a.plan.next(last != nil && last.Succeeded, a.holds)
	if !ok {
		a.endOfPlan(now)
		return
	}
	if a.plan.stage != stage {
		a.blocks = 0
	}
	if a.why == "" {
		a.why = "the plan begins with it"
	}
	t := a.spec.Library.Find(id)
	a.ordinal++
	a.state.Actor.Label.Step = int32(len(a.Steps))
	a.attempt = nil
	if err := t.Ready(a.state); err != nil {
		a.open(now, t, "", err.Error(), a.state.Current())
		a.failed(now, world.Refusal{}, a.lostTo())
		return
	}
	a.attempt = t.Begin(a.state, a.options(a.plan.current()), now, a.steps.At(a.ordinal))
	a.open(now, t, a.attempt.Tool, "", a.state.Current())
	a.clock.wake(now, a.attempt.Delay())
}

// progressOfPlan is how far the campaign has come.
func (a *Agent) progressOfPlan() evasion.Progress {
	p := evasion.Progress{Stage: a.plan.stage}
	if last := a.last(); last != nil {
		p.Technique, p.Tool = a.spec.Library.Find(last.Technique), last.Tool
	}
	return p
}

// endOfPlan ends the attack when nothing of the plan is left.
func (a *Agent) endOfPlan(now time.Duration) {
	if a.spec.Goal.Finish != nil && a.Progress() >= 1 {
		a.reachGoal(now, "the plan is carried out")
		return
	}
	a.end(now, "the plan is at its end without the goal")
}

func (a *Agent) options(s *campaign.Stage) map[string]string {
	options := map[string]string{"role": string(a.spec.Goal.Role())}
	if s.Do.Tool != "" {
		options["tool"] = s.Do.Tool
	}
	for k, v := range s.With {
		options[k] = v
	}
	return options
}

func (a *Agent) tooLate(now time.Duration) bool {
	return a.spec.GiveUp.After > 0 && now > time.Duration(*a.Started)+a.spec.GiveUp.After
}

// finish closes the step that the attempt was and decides how to go on.
func (a *Agent) finish(now time.Duration, p technique.Progress) {
	a.close(now, p, a.attempt.Target)
	a.attempt = nil
	if a.done {
		return
	}
	if a.ask != nil {
		a.finishDirected(now, p)
		return
	}
	if !p.OK {
		a.failed(now, p.Refusal, p.Refusal)
		return
	}
	a.succeed(now)
	a.streak, a.retries = 0, 0
	a.why = "the last step worked, so the next of the plan"
	a.continuePlan(now)
}

// continuePlan waits for the pace of the stage before the next step.
func (a *Agent) continuePlan(now time.Duration) {
	a.clock.keepPace(now, a.plan.current(), a.ordinal, a.state.Stealth, a.state.Care)
}

func (a *Agent) checkGoal(now time.Duration) {
	if a.Progress() < 1 || a.spec.Goal.Finish != nil { // a plan is finished at its end
		return
	}
	a.reachGoal(now, "reached the goal")
}
