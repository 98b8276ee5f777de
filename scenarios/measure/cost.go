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
	// worthHours is the estate's worth for the whole horizon, in criticality times hours.
	worthHours float64
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

// Costs are what a trial has cost so far, in hours of ordinary work, and the greatest loss that
// they are held against.
type Costs struct{ Harm, Disruption, Operations, Stake float64 }

// Score is what the costs make of a trial: 100 for none, 0 where they reach the stake.
func (c Costs) Score() float64 {
	share := (c.Harm + c.Disruption + c.Operations) / c.Stake
	return math.Round(1000*(1-min(1, max(0, share)))) / 10
}

// Meter tells at any time of a trial what it has cost so far, by the formulas of its end.
type Meter struct{ fixed facts }

// NewMeter makes the meter of a trial.
func NewMeter(d *Day) *Meter { return &Meter{d.fixedFacts()} }

// Costs is what the trial has cost so far; d is what is known of it now.
func (m *Meter) Costs(d *Day) Costs {
	f := m.fixed
	d.addFacts(&f)
	r := record.Trial{}
	for _, a := range d.Agents {
		r.Attacks = append(r.Attacks, record.Attack{Progress: a.Progress(), ObjectiveReached: a.Objective})
	}
	for _, a := range d.Actions {
		r.Actions = append(r.Actions, record.Action{Action: a.ID, Kind: string(a.Request.Kind), OnBenign: d.OnBenign[a.ID]})
	}
	f.fillCosts(&r)
	return Costs{r.Harm, r.Disruption, r.Operations, r.Stake}
}

// facts gathers what the costs follow from.
func (d *Day) facts() facts {
	f := d.fixedFacts()
	d.addFacts(&f)
	return f
}

// fixedFacts are those that stand from the beginning.
func (d *Day) fixedFacts() facts {
	rate := 1.0
	if d.Scenario.Background.Rate != nil {
		rate = *d.Scenario.Background.Rate
	}
	worth := 0.0
	for _, h := range d.World.Hosts {
		worth += h.Criticality
	}
	return facts{
		weights: d.Scenario.Cost, work: max(1, background.WorkHours(d.World, d.Scenario.Epoch, d.Scenario.Horizon, rate)),
		dataGoal: d.Scenario.DataGoal(), worthHours: max(1, worth*d.Scenario.Horizon.Hours()),
	}
}

// addFacts adds what has happened so far.
func (d *Day) addFacts(f *facts) {
	collateral := d.Background.Collateral()
	f.exposure = d.Exposure / f.worthHours
	f.idle, f.analysts = collateral.Idle/3600, d.AnalystMinutes/60
	f.lost, f.applied, f.exfiltrated = map[int64]float64{}, map[int64]bool{}, nil
	for id, seconds := range collateral.ByAction {
		f.lost[int64(id)] = seconds / 3600
	}
	for id := range d.Applied {
		f.applied[id] = true
	}
	for _, a := range d.Agents {
		f.exfiltrated = append(f.exfiltrated, int64(a.Exfiltrated()))
	}
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
	r.Score = Costs{r.Harm, r.Disruption, r.Operations, r.Stake}.Score()
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
