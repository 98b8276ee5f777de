package attackers

import (
	"time"

	"hemostat/attackers/campaign"
	"hemostat/sim"
)

// clock is when an attacker acts: the pace of the plan, and their working hours.
type clock struct {
	engine  *sim.Engine
	handler sim.Handler // is woken
	epoch   time.Time
	hours   campaign.Hours
	pace    sim.Stream
}

// wake wakes the attacker after a wait, at whatever hour.
func (c *clock) wake(now, wait time.Duration) { c.engine.Schedule(now+wait, c.handler, 0) }

// wakeAtWork wakes the attacker at a moment, or when they work next.
func (c *clock) wakeAtWork(at time.Duration) {
	c.engine.Schedule(c.hours.Next(c.epoch.Add(at)).Sub(c.epoch), c.handler, 0)
}

// keepPace waits for a stage's pace before the step of an ordinal, longer the stealthier the
// and the more careful the attacker is. Patience is a choice and no skill; skill shortens the work itself
// (technique.Delay).
func (c *clock) keepPace(now time.Duration, stage *campaign.Stage, ordinal uint64, stealth, care float64) {
	s := c.pace.At(ordinal)
	pause := time.Duration(float64(stage.Pace.Sample(&s)) * (0.5 + stealth) * care)
	c.wakeAtWork(now + max(pause, time.Second))
}
