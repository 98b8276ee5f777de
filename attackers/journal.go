package attackers

import (
	"time"

	"hemostat/attackers/technique"
	"hemostat/sim/record"
	"hemostat/sim/world"
)

// journal is what an attacker has done, with when and why.
type journal struct {
	// Started, Ended and Objective are when the attack began, stopped and
	// reached its goal.
	Started, Ended, Objective record.Time
	// EndReason says why it stopped.
	EndReason string
	// Steps is what was done so far.
	Steps []record.Step

	attack        int
	why           string // the next step is taken
	lastSuccess   time.Duration
	defenceBlocks []defenceBlock // since the last success
	done          bool
}

// defenceBlock is a block by the defence.
type defenceBlock struct {
	action uint64
	at     time.Duration
}

// Done tells whether the attack is over.
func (j *journal) Done() bool { return j.done }

// LastSuccess is when the attacker last got something done.
func (j *journal) LastSuccess() time.Duration { return j.lastSuccess }

// last is the newest step; nil before the first.
func (j *journal) last() *record.Step {
	if len(j.Steps) == 0 {
		return nil
	}
	return &j.Steps[len(j.Steps)-1]
}

// open opens a step, on the host of a foothold where there is one.
func (j *journal) open(now time.Duration, t *technique.Technique, tool, reason string, from *technique.Foothold) {
	s := record.Step{
		Attack:    j.attack,
		Step:      len(j.Steps),
		Technique: t.ID,
		Name:      t.Name,
		Tactic:    t.Tactic,
		Tool:      tool,
		Started:   int64(now),
		Ended:     int64(now),
		Reason:    reason,
		Why:       j.why,
	}
	if from != nil {
		s.Host = from.Host.Name
	}
	j.Steps = append(j.Steps, s)
}

// close closes the newest step.
func (j *journal) close(now time.Duration, p technique.Progress, target *world.Host) {
	s := j.last()
	s.Ended, s.Succeeded, s.Reason, s.BlockedBy = int64(now), p.OK, p.Note, int64(p.Refusal.Action)
	if target != nil {
		s.Target = target.Name
	}
}

// succeed notes that something got through: no block since then contains the attacker.
func (j *journal) succeed(now time.Duration) {
	j.lastSuccess, j.defenceBlocks = now, nil
}

// block notes that the defence was in the way of the newest step.
func (j *journal) block(now time.Duration, action uint64) {
	j.defenceBlocks = append(j.defenceBlocks, defenceBlock{action, now})
	j.last().BlockedBy = int64(action)
}

// reachGoal notes that the goal is reached, and ends the attack.
func (j *journal) reachGoal(now time.Duration, reason string) {
	j.Objective, j.lastSuccess = record.At(now), now
	j.end(now, reason)
}

func (j *journal) end(now time.Duration, reason string) {
	j.done = true
	j.Ended = record.At(now)
	j.EndReason = reason
}
