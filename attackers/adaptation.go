package attackers

import (
	"fmt"
	"strings"
	"time"

	"hemostat/attackers/campaign"
	"hemostat/sim/world"
)

// failed reacts to a step that did not work; by is the defence's block behind
// it, if there is one.
func (a *Agent) failed(now time.Duration, r, by world.Refusal) {
	a.streak++
	if by.ByDefence() {
		a.block(now, by.Action)
		a.blocked++
	}
	if most := a.spec.GiveUp.Blocks; most > 0 && a.blocked >= most {
		a.end(now, fmt.Sprintf("gave up after the defence had blocked them %d times", a.blocked))
		return
	}
	limit := a.spec.GiveUp.Failures
	if limit == 0 {
		limit = 10
	}
	if a.streak >= limit {
		a.end(now, fmt.Sprintf("gave up after %d failures in a row", a.streak))
		return
	}
	if a.plan.stage > 0 && len(a.state.Footholds) > 0 && a.state.Current() == nil {
		a.restart(now, a.lostTo())
		return
	}
	if by.ByDefence() {
		a.react(now, r)
		return
	}
	stage := a.plan.current()
	limitTries := stage.Retries
	if limitTries == 0 {
		limitTries = 2
	}
	if a.retries < limitTries && (stage.Loop == nil && stage.Until == nil) {
		a.retries++
		a.why = "it did not work, so once more"
		a.plan.repeat(a.last().Technique)
	} else if stage.OnFailure == "stop" {
		a.end(now, "a stage that everything hangs on has failed")
		return
	} else {
		a.retries = 0
		a.why = "it did not work, so something else"
	}
	a.continuePlan(now)
}

// lostTo is the defence's action by which the newest foothold was lost.
func (a *Agent) lostTo() world.Refusal {
	for i := len(a.state.Footholds) - 1; i >= 0; i-- {
		if r := a.state.Usable(a.state.Footholds[i]); r.ByDefence() {
			return r
		}
	}
	return world.Refusal{}
}

// restart begins again from outside after every foothold is lost. Each time it
// is less likely to be worth the trouble.
func (a *Agent) restart(now time.Duration, lost world.Refusal) {
	if lost.ByDefence() && len(a.defenceBlocks) == 0 {
		a.defenceBlocks = append(a.defenceBlocks, defenceBlock{lost.Action, now})
	}
	a.rounds++
	s := a.clock.pace.For("reentry").At(uint64(a.rounds))
	if len(a.state.PersistentHosts()) > 0 && a.rounds < mostRevivals { // their program starts again by itself, perhaps
		a.reviving, a.waiting = true, true
		a.clock.wake(now, time.Duration(float64(40*time.Minute)*s.Exp()))
		return
	}
	worth := 0.35 + 0.4*a.state.Skill - 0.2*float64(a.rounds)
	if !s.Bool(worth) {
		a.end(now, "lost every foothold and does not come back")
		return
	}
	a.state.Address = (a.state.Address + 1) % len(a.state.Addresses)
	a.state.Domain = (a.state.Domain + 1) % len(a.state.Domains)
	a.plan.restart()
	a.why = "every foothold is lost, so in again from outside with another address" + a.attributeDetection()
	a.waiting = true
	a.clock.wake(now, time.Duration(float64(20*time.Minute)*s.Exp()))
}

// mostRevivals bounds how often an attacker waits for their program to come back.
const mostRevivals = 5

// resumeFromPersistence goes on where a program of the attacker has started by itself, or comes
// in again from outside when none has.
func (a *Agent) resumeFromPersistence(now time.Duration) {
	a.reviving = false
	h := a.state.Revive(now, a.clock.pace.For("revival").At(uint64(a.rounds)))
	if h == nil {
		a.rounds = max(a.rounds, mostRevivals)
		a.restart(now, a.lostTo())
		return
	}
	a.streak = 0
	a.succeed(now)
	a.why = "every foothold was lost, but their program has started again on " + h.Name
	if last := a.last(); len(a.plan.queue) == 0 && last != nil {
		a.plan.repeat(last.Technique)
	}
	a.continuePlan(now)
}

// attributeDetection lets the attacker conclude which tools were detected. The better they are, the
// likelier they come upon the tools that worked last on the hosts that they have lost,
// and does not use them again. It returns what they conclude.
func (a *Agent) attributeDetection() string {
	s := a.clock.pace.For("suspect").At(uint64(a.rounds))
	var watched []string
	for i := len(a.Steps) - 1; i >= 0 && len(watched) < 3; i-- {
		x := a.Steps[i]
		if x.Succeeded && s.Bool(a.state.Skill) && a.state.MarkBurned(a.spec.Library.Find(x.Technique), x.Tool) {
			watched = append(watched, x.Tool)
		}
	}
	if len(watched) == 0 {
		return ""
	}
	return "; they count " + strings.Join(watched, ", ") + " as burned"
}

// react takes the stage's next reaction to being blocked that is possible.
func (a *Agent) react(now time.Duration, r world.Refusal) {
	stage := a.plan.current()
	reactions := stage.OnBlocked
	if len(reactions) == 0 {
		reactions = []campaign.Reaction{
			{Kind: "change_host"},
			{Kind: "change_address"},
			{Kind: "wait", Wait: 20 * time.Minute},
		}
	}
	wait := time.Duration(0)
	for range reactions {
		reaction := reactions[a.blocks%len(reactions)]
		a.blocks++
		if possible, pause := a.adapt(reaction, r); possible {
			wait = pause
			break
		}
		if reaction.Kind == "give_up" {
			a.end(now, "blocked, and not worth more effort")
			return
		}
	}
	a.plan.repeat(a.last().Technique)
	if wait == 0 {
		a.continuePlan(now)
		return
	}
	a.waiting = true
	a.clock.wake(now, wait)
}

// adapt carries out a reaction; false means that it is not possible now.
func (a *Agent) adapt(reaction campaign.Reaction, r world.Refusal) (bool, time.Duration) {
	s := a.state
	switch reaction.Kind {
	case "change_address":
		if s.Address+1 >= len(s.Addresses) && s.Domain+1 >= len(s.Domains) {
			return false, 0
		}
		s.Address = min(s.Address+1, len(s.Addresses)-1)
		s.Domain = min(s.Domain+1, len(s.Domains)-1)
		a.why = fmt.Sprintf("blocked (%s), so from another address", r.Reason)
	case "change_credential":
		working := 0
		for i := range s.Credentials {
			if !s.World.MayLogOn(s.Credentials[i].Account, s.Credentials[i].Generation).OK() {
				s.Credentials[i].Refused = true
			}
			if !s.Credentials[i].Refused {
				working++
			}
		}
		if working == 0 {
			return false, 0
		}
		a.why = fmt.Sprintf("blocked (%s), so with another credential", r.Reason)
	case "change_host":
		current := s.Current()
		if len(a.Steps) == 0 || current == nil {
			return false, 0
		}
		if target := s.World.Host(a.Steps[len(a.Steps)-1].Target); target != nil {
			s.Avoid[target.Name] = true
		}
		a.why = fmt.Sprintf("blocked (%s), so another host", r.Reason)
	case "change_tool":
		last, pinned := a.Steps[len(a.Steps)-1], a.plan.current().With["tool"]
		if pinned != "" || !s.MarkBurned(a.spec.Library.Find(last.Technique), last.Tool) {
			return false, 0
		}
		a.why = fmt.Sprintf("blocked (%s), so with another tool than %s", r.Reason, last.Tool)
	case "slow_down":
		if s.Slowdown > 30 {
			return false, 0
		}
		s.Slowdown *= 3
		a.why = fmt.Sprintf("blocked (%s), so more slowly", r.Reason)
	case "wait":
		a.why = fmt.Sprintf("blocked (%s), so after a pause", r.Reason)
		return true, reaction.Wait
	default:
		return false, 0
	}
	return true, 0
}
