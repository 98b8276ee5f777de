package attackers

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"hemostat/attackers/technique"
	"hemostat/sim/suggest"
	"hemostat/sim/world"
)

// Choice is the next step of an attacker whom a program outside directs.
type Choice struct {
	Technique string        // ATT&CK id of the library
	Tool      string        // of the technique; by skill and stealth when ""
	Target    string        // a host that they know; by the technique's own choice when ""
	From      string        // a host that they can use; the best one when ""
	Wait      time.Duration // in place of a technique
	// NewAddress moves to the next of their own addresses and domains before.
	NewAddress bool
	GiveUp     bool
}

// afterStep is the time from the end of a directed step to the next choice.
const afterStep = time.Second

// IsAsking tells whether a directed attacker waits for a choice.
func (a *Agent) IsAsking() bool { return a.asking && !a.done }

// State is what the attacker has and knows.
func (a *Agent) State() *technique.State { return a.state }

// Library is what the attacker knows how to do.
func (a *Agent) Library() *technique.Library { return a.spec.Library }

// Goal is what the attacker is after: its kind.
func (a *Agent) Goal() string { return a.spec.Goal.Kind() }

// askNext asks the program outside for the next step.
func (a *Agent) askNext(now time.Duration) {
	a.returnFromPersistence(now)
	a.asking = true
	a.waiting = len(a.state.Footholds) > 0 && a.state.Current() == nil
	a.ask(now)
}

// returnFromPersistence lets a program of the attacker that starts by itself come up again some
// time after every foothold was lost.
func (a *Agent) returnFromPersistence(now time.Duration) {
	if len(a.state.Footholds) == 0 || a.state.Current() != nil {
		a.returnAt = 0
		return
	}
	if lost := a.lostTo(); lost.ByDefence() && len(a.defenceBlocks) == 0 {
		a.defenceBlocks = append(a.defenceBlocks, defenceBlock{lost.Action, now})
	}
	if len(a.state.PersistentHosts()) == 0 {
		return
	}
	if a.returnAt == 0 {
		a.rounds++
		s := a.clock.pace.For("reentry").At(uint64(a.rounds))
		a.returnAt = now + time.Duration(float64(40*time.Minute)*s.Exp())
		return
	}
	if now >= a.returnAt && a.state.Revive(now, a.clock.pace.For("revival").At(uint64(a.rounds))) != nil {
		a.returnAt = 0
		a.succeed(now)
	}
}

// Choose takes the next step of a directed attacker. What cannot be done now is an error, and
// leaves them waiting for another choice.
func (a *Agent) Choose(now time.Duration, c Choice) error {
	if !a.IsAsking() {
		return errors.New("the attacker is at work, and has no choice to make now")
	}
	if c.NewAddress {
		if err := a.changeAddress(); err != nil {
			return err
		}
	}
	switch {
	case c.GiveUp:
		a.asking = false
		a.end(now, "gave up")
		return nil
	case c.Wait > 0:
		if c.Technique != "" {
			return errors.New("a choice is a technique or a wait, not both")
		}
		a.asking = false
		a.clock.wake(now, c.Wait)
		return nil
	}
	return a.begin(now, &c)
}

func (a *Agent) changeAddress() error {
	s := a.state
	if s.Address+1 >= len(s.Addresses) && s.Domain+1 >= len(s.Domains) {
		return errors.New("there is no further address or domain")
	}
	s.Address, s.Domain = min(s.Address+1, len(s.Addresses)-1), min(s.Domain+1, len(s.Domains)-1)
	return nil
}

// begin begins the technique of a choice.
func (a *Agent) begin(now time.Duration, c *Choice) error {
	t := a.spec.Library.Find(c.Technique)
	if t == nil {
		return fmt.Errorf("there is no technique %q in the library; hemostat technique list names them", c.Technique)
	}
	if c.Tool != "" && !slices.Contains(t.Tools, c.Tool) {
		return fmt.Errorf("%s has no tool %q%s", t.ID, c.Tool, suggest.For(c.Tool, t.Tools))
	}
	target, err := a.named(c.Target)
	if err != nil {
		return err
	}
	from, err := a.usable(c.From)
	if err != nil {
		return err
	}
	a.state.AimAt, a.state.WorkFrom = target, from
	if err := t.Ready(a.state); err != nil {
		return fmt.Errorf("%s cannot be used now: %w", t.ID, err)
	}
	options := map[string]string{"role": string(a.spec.Goal.Role())}
	if c.Tool != "" {
		options["tool"] = c.Tool
	}
	if a.why = "a program outside chose it"; a.Started == nil {
		a.start(now)
	}
	a.asking = false
	a.ordinal++
	a.state.Actor.Label.Step = int32(len(a.Steps))
	a.attempt = t.Begin(a.state, options, now, a.steps.At(a.ordinal))
	a.open(now, t, a.attempt.Tool, "", a.state.Current())
	a.clock.wake(now, a.attempt.Delay())
	return nil
}

// named is a host that the attacker knows; nil for no name.
func (a *Agent) named(name string) (*world.Host, error) {
	if name == "" {
		return nil, nil
	}
	for _, h := range a.state.Known {
		if h.Name == name {
			return h, nil
		}
	}
	return nil, fmt.Errorf("they know no host %q", name)
}

// usable is a host that the attacker can work from; nil for no name.
func (a *Agent) usable(name string) (*world.Host, error) {
	if name == "" {
		return nil, nil
	}
	for _, h := range a.CompromisedHosts() {
		if h.Name == name {
			return h, nil
		}
	}
	return nil, fmt.Errorf("they have no foothold on %q that still works", name)
}

// finishDirected closes a directed step; the next choice is due a moment later.
func (a *Agent) finishDirected(now time.Duration, p technique.Progress) {
	a.state.AimAt, a.state.WorkFrom = nil, nil
	if p.OK {
		a.succeed(now)
		a.plan.credit(a.last().Technique)
		a.checkPlan(now)
	} else if p.Refusal.ByDefence() {
		a.block(now, p.Refusal.Action)
	}
	if !a.done {
		a.clock.wake(now, afterStep)
	}
}

// checkPlan ends an attacker whose goal is the plan once enough of its stages have worked.
func (a *Agent) checkPlan(now time.Duration) {
	if a.spec.Goal.Finish != nil && a.Progress() >= 1 {
		a.reachGoal(now, "the plan is carried out")
	}
}
