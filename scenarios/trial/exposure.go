package trial

import (
	"time"

	"hemostat/sim"
	"hemostat/sim/world"
)

// exposureSampler adds up for how long attackers could use hosts, in hours times
// criticality.
type exposureSampler struct {
	trial *Trial
	total float64
}

// exposureStep is how often the hosts in an attacker's hands are counted.
const exposureStep = time.Minute

// Handle counts the hosts in the attackers' hands now.
func (x *exposureSampler) Handle(now time.Duration, _ uint64) {
	seen := map[*world.Host]bool{}
	for _, a := range x.trial.agents {
		for _, h := range a.CompromisedHosts() {
			if !seen[h] && !h.Decoy {
				seen[h] = true
				x.total += h.Criticality * exposureStep.Hours()
			}
		}
	}
	x.trial.engine.Schedule(now+exposureStep, x, 0)
}

var _ sim.Handler = (*exposureSampler)(nil)
