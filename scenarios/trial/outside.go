package trial

import (
	"time"

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
