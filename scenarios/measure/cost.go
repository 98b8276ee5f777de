package measure

import (
	"math"

	"hemostat/sim/action"
	"hemostat/sim/background"
	"hemostat/sim/record"
)

func valueOr(v *float64, otherwise float64) float64 {
	if v == nil {
		return otherwise
	}
	return *v
}

// ordinaryWork is the work that the scenario's horizon holds, in hours.
func (d *Day) ordinaryWork() float64 {
	rate := 1.0
	if d.Scenario.Background.Rate != nil {
		rate = *d.Scenario.Background.Rate
	}
	return max(1, background.WorkHours(d.World, d.Scenario.Epoch, d.Scenario.Horizon, rate))
}

// usualData is the loss that counts in full where no goal says how much.
const usualData = 5.0

// maxLoss is what a scenario is about, in hours of work: the ordinary work of the
// horizon, and what the attackers could gain. It follows from world and scenario
// alone; a day without attack has the stake of an attacker who is after no data.
func (d *Day) maxLoss(work float64) float64 {
	w := d.Scenario.Cost
	stake := work + valueOr(w.Objective, 1)*work
	if d.Scenario.DataGoal() > 0 {
		stake += valueOr(w.Data, 0.5) * work
	}
	return stake
}

// score fills in the costs of a trial and its score.
func (d *Day) score(r *record.Trial) {
	w := d.Scenario.Cost
	work := d.ordinaryWork()
	r.Stake = d.maxLoss(work)
	for i, a := range r.Attacks {
		reached := 0.6 * a.Progress // what is half done does half the harm, short of the goal itself
		if a.ObjectiveReached != nil {
			reached = 1
		}
		r.Harm += reached * valueOr(w.Objective, 1) * work / float64(len(r.Attacks))
		r.BytesLost += int64(d.Agents[i].Exfiltrated())
	}
	goal := d.Scenario.DataGoal()
	if goal == 0 {
		goal = usualData
	}
	r.Harm += min(1, float64(r.BytesLost)/1e9/goal) * valueOr(w.Data, 0.5) * work
	all := 0.0
	for _, h := range d.World.Hosts {
		all += h.Criticality
	}
	r.Harm += d.Exposure / max(1, all*d.Scenario.Horizon.Hours()) * valueOr(w.Compromise, 1) * work
	collateral := d.Background.Collateral()
	r.Harm += collateral.Idle / 3600
	for i := range r.Actions {
		a := &r.Actions[i]
		a.Realised = collateral.ByAction[uint64(a.Action)] / 3600
		spec := action.Must(action.Kind(a.Kind))
		if spec.Rework && d.applied(a.Action) {
			a.Realised += valueOr(w.Rework, 3)
		}
		charged := a.Realised
		if !a.OnBenign && !spec.ChargedInFull {
			charged *= valueOr(w.Contained, 0.2)
		}
		r.Disruption += charged
		if d.applied(a.Action) {
			r.Operations += valueOr(w.Action, 0.05)
		}
	}
	r.Operations += d.AnalystMinutes / 60 * valueOr(w.Analyst, 1.5)
	share := (r.Harm + r.Disruption + r.Operations) / r.Stake
	r.Score = math.Round(1000*(1-min(1, max(0, share)))) / 10
}

func (d *Day) applied(action int64) bool {
	_, ok := d.Applied[action]
	return ok
}
