package measure

import (
	"math"

	"hemostat/scenarios"
	"hemostat/sim/action"
	"hemostat/sim/background"
	"hemostat/sim/record"
)

// facts are what the costs of a trial follow from, beside its rows. docs/metrics.md has
// the formulas.
type facts struct {
	weights scenarios.CostWeights
	// work is the ordinary work of the horizon, in hours.
	work float64
	// dataGoal is how many gigabytes the attackers are after, 0 for none.
	dataGoal float64
	// exposure is for how much of the estate's worth and time attackers could use it,
	// as a share.
	exposure float64
	// idle is the work not done at hosts that attackers encrypted or wiped, in hours.
	idle float64
	// lost is the ordinary work that each action cost, in hours.
	lost map[int64]float64
	// applied tells which actions took effect.
	applied map[int64]bool
	// analysts is the time that people spent, in hours.
	analysts float64
	// exfiltrated is what each attacker carried out, in bytes.
	exfiltrated []int64
}

// facts gathers what the costs follow from.
func (d *Day) facts() facts {
	rate := 1.0
	if d.Scenario.Background.Rate != nil {
		rate = *d.Scenario.Background.Rate
	}
	worth := 0.0
	for _, h := range d.World.Hosts {
		worth += h.Criticality
	}
	collateral := d.Background.Collateral()
	f := facts{
		weights: d.Scenario.Cost, work: max(1, background.WorkHours(d.World, d.Scenario.Epoch, d.Scenario.Horizon, rate)),
		dataGoal: d.Scenario.DataGoal(), exposure: d.Exposure / max(1, worth*d.Scenario.Horizon.Hours()),
		idle: collateral.Idle / 3600, analysts: d.AnalystMinutes / 60, lost: map[int64]float64{}, applied: map[int64]bool{},
	}
	for id, seconds := range collateral.ByAction {
		f.lost[int64(id)] = seconds / 3600
	}
	for id := range d.Applied {
		f.applied[id] = true
	}
	for _, a := range d.Agents {
		f.exfiltrated = append(f.exfiltrated, int64(a.Exfiltrated()))
	}
	return f
}

func valueOr(v *float64, otherwise float64) float64 {
	if v == nil {
		return otherwise
	}
	return *v
}

const (
	// usualData is the loss in gigabytes that counts in full where no goal says how
	// much.
	usualData = 5.0
	// halfDone is the share of an objective's harm that an attacker did who came near
	// it, in proportion to the progress.
	halfDone = 0.6
)

// maxLoss is what a scenario is about, in hours of work: the ordinary work of the
// horizon, and what the attackers could gain. It follows from world and scenario
// alone; a day without attack has the stake of an attacker who is after no data.
func (f *facts) maxLoss() float64 {
	stake := f.work + valueOr(f.weights.Objective, 1)*f.work
	if f.dataGoal > 0 {
		stake += valueOr(f.weights.Data, 0.5) * f.work
	}
	return stake
}

// fillCosts fills in the costs of a trial and its score.
func (f *facts) fillCosts(r *record.Trial) {
	r.Stake = f.maxLoss()
	f.fillHarm(r)
	f.fillDisruption(r)
	r.Operations += f.analysts * valueOr(f.weights.Analyst, 1.5)
	share := (r.Harm + r.Disruption + r.Operations) / r.Stake
	r.Score = math.Round(1000*(1-min(1, max(0, share)))) / 10
}

// fillHarm fills in what the attacks cost: objectives reached or nearly so, data lost,
// hosts in the attackers' hands, work that hosts were not there for.
func (f *facts) fillHarm(r *record.Trial) {
	for i, a := range r.Attacks {
		reached := halfDone * a.Progress
		if a.ObjectiveReached != nil {
			reached = 1
		}
		r.Harm += reached * valueOr(f.weights.Objective, 1) * f.work / float64(len(r.Attacks))
		r.BytesLost += f.exfiltrated[i]
	}
	goal := f.dataGoal
	if goal == 0 {
		goal = usualData
	}
	r.Harm += min(1, float64(r.BytesLost)/1e9/goal) * valueOr(f.weights.Data, 0.5) * f.work
	r.Harm += f.exposure * valueOr(f.weights.Compromise, 1) * f.work
	r.Harm += f.idle
}

// fillDisruption fills in what each action cost ordinary work, and what carrying it out
// cost. While a host or account that truly is the attackers' is cut off only a part is
// charged.
func (f *facts) fillDisruption(r *record.Trial) {
	for i := range r.Actions {
		a := &r.Actions[i]
		spec := action.Must(action.Kind(a.Kind))
		a.Realised = f.lost[a.Action]
		if spec.Rework && f.applied[a.Action] {
			a.Realised += valueOr(f.weights.Rework, 3)
		}
		charged := a.Realised
		if !a.OnBenign && !spec.ChargedInFull {
			charged *= valueOr(f.weights.Contained, 0.2)
		}
		r.Disruption += charged
		if f.applied[a.Action] {
			r.Operations += valueOr(f.weights.Action, 0.05)
		}
	}
}
