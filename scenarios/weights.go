package scenarios

import (
	"math"

	"hemostat/sim/strictyaml"
)

// CostWeights say what harm, disruption and operations are worth in a scenario.
// The unit of every cost is one hour of one person's work, and harm is measured
// against the ordinary work of the scenario's horizon, so that the price of a
// defence can be set against what it saves by night as by day. docs/metrics.md
// has the formulas.
type CostWeights struct {
	Pos        strictyaml.Pos `yaml:"-"`
	Objective  *float64       `yaml:"objective" doc:"harm when every attacker reaches their goal, in ordinary work of the horizon; each of several counts for an equal part; 1 when absent"`
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

// DataGoal is how many gigabytes the attackers of a scenario are after.
func (s *Scenario) DataGoal() float64 {
	sum := 0.0
	for i := range s.Attackers {
		if g := s.Attackers[i].Goal.Exfiltrate; g != nil {
			sum += g.Gigabytes
		}
	}
	return sum
}
