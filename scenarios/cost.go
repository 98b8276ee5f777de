package scenarios

import (
	"math"
	"time"

	"hemostat/sim"
	"hemostat/sim/action"
	"hemostat/sim/background"
	"hemostat/sim/record"
	"hemostat/sim/strictyaml"
	"hemostat/sim/world"
)

// CostWeights say what harm, disruption and operations are worth in a scenario.
// The unit of every cost is one hour of one person's work, and harm is measured
// against the ordinary work of the scenario's horizon, so that the price of a
// defence can be set against what it saves by night as by day. docs/metrics.md
// has the formulas.
type CostWeights struct {
	Pos        strictyaml.Pos `yaml:"-"`
	Objective  *float64       `yaml:"objective" doc:"harm when every attacker reaches his goal, in ordinary work of the horizon; each of several counts for an equal part; 1 when absent"`
	Compromise *float64       `yaml:"compromise" doc:"harm when attackers could use the whole estate all the time, in ordinary work of the horizon; 1 when absent"`
	Data       *float64       `yaml:"data" doc:"harm when as much data is lost as the goal asks for (5 GB where it asks for none), in ordinary work of the horizon; 0.5 when absent"`
	Contained  *float64       `yaml:"contained" doc:"share of the lost work that is charged while a host or account that is truly the attacker's is cut off; 0.2 when absent"`
	Analyst    *float64       `yaml:"analyst" doc:"value of an analyst's hour, in hours of work; 1.5 when absent"`
	Action     *float64       `yaml:"action" doc:"cost of carrying out one action, in hours; 0.05 when absent"`
	Rework     *float64       `yaml:"rework" doc:"work to be done again by the owner of a host that was rebuilt, in hours; 3 when absent"`
}

func (c CostWeights) check() []strictyaml.Fault {
	var faults []strictyaml.Fault
	for _, x := range []struct {
		name string
		v    *float64
	}{{"objective", c.Objective}, {"compromise", c.Compromise}, {"data", c.Data}, {"contained", c.Contained}, {"analyst", c.Analyst}, {"action", c.Action}, {"rework", c.Rework}} {
		if x.v != nil && (*x.v < 0 || math.IsNaN(*x.v) || math.IsInf(*x.v, 0)) {
			faults = append(faults, c.Pos.Fault("cost."+x.name, "a number of 0 or more is expected, not %g", *x.v))
		}
	}
	return faults
}

func or(v *float64, otherwise float64) float64 {
	if v == nil {
		return otherwise
	}
	return *v
}

// exposure adds up for how long attackers could use hosts, in hours times
// criticality.
type exposure struct {
	trial *trial
	total float64
}

// exposureStep is how often the hosts in an attacker's hands are counted.
const exposureStep = time.Minute

// Handle counts the hosts in the attackers' hands now.
func (x *exposure) Handle(now time.Duration, _ uint64) {
	seen := map[*world.Host]bool{}
	for _, a := range x.trial.agents {
		for _, h := range a.Holding() {
			if !seen[h] && !h.Decoy {
				seen[h] = true
				x.total += h.Criticality * exposureStep.Hours()
			}
		}
	}
	x.trial.engine.Schedule(now+exposureStep, x, 0)
}

var _ sim.Handler = (*exposure)(nil)

// ordinaryWork is the work that the scenario's horizon holds, in hours.
func (t *trial) ordinaryWork() float64 {
	rate := 1.0
	if t.scenario.Background.Rate != nil {
		rate = *t.scenario.Background.Rate
	}
	return max(1, background.WorkHours(t.world, t.scenario.Epoch, t.scenario.Horizon, rate))
}

// usualData is the loss that counts in full where no goal says how much.
const usualData = 5.0

// dataGoal is how many gigabytes the attackers of a scenario are after.
func (s *Scenario) dataGoal() float64 {
	sum := 0.0
	for i := range s.Attackers {
		if g := s.Attackers[i].Goal.Exfiltrate; g != nil {
			sum += g.Gigabytes
		}
	}
	return sum
}

// stake is what a scenario is about, in hours of work: the ordinary work of the
// horizon, and what the attackers could gain. It follows from world and scenario
// alone; a day without attack has the stake of an attacker who is after no data.
func (t *trial) stake(work float64) float64 {
	w := t.scenario.Cost
	stake := work + or(w.Objective, 1)*work
	if t.scenario.dataGoal() > 0 {
		stake += or(w.Data, 0.5) * work
	}
	return stake
}

// price fills in the costs of a trial and its score.
func (t *trial) price(r *record.Trial) {
	w := t.scenario.Cost
	work := t.ordinaryWork()
	r.Stake = t.stake(work)
	for i, a := range r.Attacks {
		reached := 0.6 * a.Progress // what is half done does half the harm, short of the goal itself
		if a.ObjectiveReached != nil {
			reached = 1
		}
		r.Harm += reached * or(w.Objective, 1) * work / float64(len(r.Attacks))
		r.BytesLost += int64(t.agents[i].Exfiltrated())
	}
	goal := t.scenario.dataGoal()
	if goal == 0 {
		goal = usualData
	}
	r.Harm += min(1, float64(r.BytesLost)/1e9/goal) * or(w.Data, 0.5) * work
	all := 0.0
	for _, h := range t.world.Hosts {
		all += h.Criticality
	}
	r.Harm += t.exposed.total / max(1, all*t.scenario.Horizon.Hours()) * or(w.Compromise, 1) * work
	collateral := t.background.Collateral()
	r.Harm += collateral.Idle / 3600
	for i := range r.Actions {
		a := &r.Actions[i]
		a.Realised = collateral.ByAction[uint64(a.Action)] / 3600
		spec := action.Must(action.Kind(a.Kind))
		if spec.Rework && t.applied(a.Action) {
			a.Realised += or(w.Rework, 3)
		}
		charged := a.Realised
		if !a.OnBenign && !spec.ChargedInFull {
			charged *= or(w.Contained, 0.2)
		}
		r.Disruption += charged
		if t.applied(a.Action) {
			r.Operations += or(w.Action, 0.05)
		}
	}
	r.Operations += t.staff.Minutes / 60 * or(w.Analyst, 1.5)
	share := (r.Harm + r.Disruption + r.Operations) / r.Stake
	r.Score = math.Round(1000*(1-min(1, max(0, share)))) / 10
}

func (t *trial) applied(action int64) bool {
	_, ok := t.actuator.applied[action]
	return ok
}
