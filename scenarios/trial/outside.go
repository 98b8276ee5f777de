package trial

import (
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/plugin"
	"hemostat/sim"

	attacker "hemostat/attackers/remote"
	defender "hemostat/defenders/remote"
	"hemostat/scenarios/measure"
)

// Stop says what a trial pauses at before its time, for a program outside to decide.
type Stop struct {
	AtAlert   bool // that is not dismissed
	WhenAsked bool // the attacker who is directed from outside needs a decision
}

// RunUntilStop lets the trial go on to a time, or to what it is to pause at.
func (t *Trial) RunUntilStop(at time.Duration, s Stop) error {
	t.stop = s
	defer func() { t.stop = Stop{} }()
	return t.RunUntil(at)
}

func (t *Trial) onAsked(time.Duration) {
	if t.stop.WhenAsked {
		t.engine.Pause()
	}
}

// InterruptWhen lets the trial stop once a function says so; nil for never.
func (t *Trial) InterruptWhen(stop func() bool) { t.engine.Interrupted = stop }

// HasNews tells whether an alert has come that the program that decides for the defence has not
// seen.
func (t *Trial) HasNews() bool { return t.defender.HasNews() }

// ObserveAsDefender says what the defence sees now, for the program that decides for it.
func (t *Trial) ObserveAsDefender() *defender.Observation { return t.defender.Observe(t.Now()) }

// ActAsDefender carries out what the program has decided for the defence.
func (t *Trial) ActAsDefender(decisions []defender.Decision) {
	t.defender.Act(t.Now(), decisions)
	t.wake()
}

// Attacker is the place of the program that decides for an attacker; nil for none.
func (t *Trial) Attacker() *attacker.Seat { return t.attacker }

// Costs is what the trial has cost so far. It follows from the truth, and no defender may see it.
func (t *Trial) Costs() measure.Costs {
	day := t.day()
	if t.meter == nil {
		t.meter = measure.NewMeter(day)
	}
	return t.meter.Costs(day)
}

// Objectives counts the attackers that have reached their goal so far.
func (t *Trial) Objectives() int {
	n := 0
	for _, a := range t.agents {
		if a.Objective != nil {
			n++
		}
	}
	return n
}

// agentTurns are the decisions of the variant's own agent: it is asked every step of virtual time.
type agentTurns struct {
	trial   *Trial
	agent   *plugin.Agent
	every   time.Duration
	failure error
}

// beginTurns lets the variant's agent take its place; its first decision is due after a step.
func (t *Trial) beginTurns(env detect.Env) error {
	a, every, err := t.variant.NewAgent(env, t.scenario.Horizon)
	if err != nil {
		return err
	}
	t.agent = &agentTurns{trial: t, agent: a, every: every}
	t.engine.Schedule(every, t.agent, 0)
	return nil
}

// Handle asks the agent. What it decides stands when it has thought, and the next decision is due
// no sooner.
func (a *agentTurns) Handle(now time.Duration, _ uint64) {
	t := a.trial
	decisions, latency, err := a.agent.Decide(t.ObserveAsDefender())
	if err != nil {
		a.failure = err
		t.engine.Pause()
		return
	}
	if latency == 0 {
		t.ActAsDefender(decisions)
	} else {
		t.engine.After(latency, func(time.Duration) { t.ActAsDefender(decisions) })
	}
	t.engine.Schedule(now+max(a.every, latency), a, 0)
}

func (a *agentTurns) err() error {
	if a == nil {
		return nil
	}
	return a.failure
}

func (a *agentTurns) close(completed bool) error {
	if a == nil {
		return nil
	}
	return a.agent.Close(completed, a.trial.ObserveAsDefender)
}

var _ sim.Handler = (*agentTurns)(nil)
