package measure

import (
	"math"
	"time"

	"hemostat/defenders/sentinel/profile"
	"hemostat/sim/record"
	"hemostat/sim/role"
)

// leastProbability bounds the log loss of a forecast.
const leastProbability = 1e-9

// predictions holds what was predicted after each alert against what came.
func (d *Day) predictions(r *record.Trial) {
	for i := range r.Steps {
		if h := d.World.Host(r.Steps[i].Target); h != nil && (h.Decoy || h.Role == role.RetiredDecoy) {
			r.DecoysTouched++
		}
	}
	attackOf := map[int]int{}
	for i := range r.Alerts {
		attackOf[r.Alerts[i].Alert] = r.Alerts[i].Attack
	}
	for _, f := range d.Forecasts {
		x := record.Prediction{
			Alert: f.Alert, Incident: f.Incident, Time: int64(f.Time), Attack: attackOf[f.Alert],
			Real: f.Belief.Real, Aware: f.Belief.Aware, Techniques: shares(f.Techniques), Targets: shares(f.Targets),
		}
		if len(f.Belief.Goals) > 0 {
			x.Goal = f.Belief.Goals[0].Name
		}
		if x.Attack != 0 {
			d.scorePrediction(r, &x, f)
		}
		r.Predictions = append(r.Predictions, x)
	}
	if n := float64(r.Forecasts); n > 0 {
		for _, sum := range []*float64{&r.ForecastLogLoss, &r.ForecastBrier, &r.ForecastTop1, &r.ForecastTop3} {
			*sum /= n
		}
	}
}

// scorePrediction fills in what was true of the attacker, and adds the forecast's scores to
// those of the trial.
func (d *Day) scorePrediction(r *record.Trial, x *record.Prediction, f *profile.Forecast) {
	attack := &r.Attacks[x.Attack-1]
	x.GoalProbability = shareOf(f.Belief.Goals, attack.Goal)
	x.TypeProbability = shareOf(f.Belief.Types, attack.Type)
	x.SkillProbability = shareOf(f.Belief.Skills, profile.SkillLevel(attack.Skill))
	var current, next *record.Step
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Attack != x.Attack {
			continue
		}
		if s.BlockedBy != 0 && s.Ended <= x.Time {
			x.AwareTrue = true
		}
		if time.Duration(s.Started) > f.Time {
			if next == nil {
				next = s
			}
			continue
		}
		current = s
	}
	if current != nil {
		x.StageProbability = shareOf(f.Belief.Stages, current.Tactic)
	}
	if next == nil {
		return
	}
	x.Came, x.CameHost = next.Technique, hostOf(next)
	x.Probability, x.Brier = f.Probability(next.Technique), f.Brier(next.Technique)
	x.HostProbability = f.TargetProbability(x.CameHost)
	for i, t := range f.Techniques {
		if t.Name == next.Technique {
			x.Rank = i + 1
		}
	}
	r.Forecasts++
	r.ForecastLogLoss -= math.Log(max(x.Probability, leastProbability))
	r.ForecastBrier += x.Brier
	if x.Rank == 1 {
		r.ForecastTop1++
	}
	if x.Rank >= 1 && x.Rank <= 3 {
		r.ForecastTop3++
	}
}

// hostOf is the host that a step was aimed at: its target, or where it was done.
func hostOf(s *record.Step) string {
	if s.Target != "" {
		return s.Target
	}
	return s.Host
}

func shareOf(list []profile.Share, name string) float64 {
	for _, s := range list {
		if s.Name == name {
			return s.P
		}
	}
	return 0
}

func shares(list []profile.Share) []record.NamedShare {
	out := make([]record.NamedShare, 0, len(list))
	for _, s := range list {
		out = append(out, record.NamedShare{Name: s.Name, P: math.Round(1e4*s.P) / 1e4})
	}
	return out
}
