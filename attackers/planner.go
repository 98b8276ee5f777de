package attackers

import (
	"slices"

	"hemostat/attackers/campaign"
	"hemostat/sim"
)

// planner chooses which technique of the campaign comes next. It knows the plan and what of it
// has worked; what the attacker holds it asks for.
type planner struct {
	spec      *campaign.Attacker
	choice    sim.Stream
	stage     int    // -1 before the first
	visits    []int  // how often each stage was begun
	succeeded []bool // stages that succeeded
	queue     []string
	tries     int // passes through the current stage
}

func newPlanner(spec *campaign.Attacker, choice sim.Stream) planner {
	return planner{spec: spec, choice: choice, stage: -1, visits: make([]int, len(spec.Campaign)),
		succeeded: make([]bool, len(spec.Campaign))}
}

// current is the stage that the attacker is at.
func (p *planner) current() *campaign.Stage { return &p.spec.Campaign[p.stage] }

// restart begins the plan anew.
func (p *planner) restart() {
	p.stage, p.queue, p.tries = -1, nil, 0
	clear(p.visits)
	clear(p.succeeded)
}

// repeat puts a technique before what is queued.
func (p *planner) repeat(id string) { p.queue = append([]string{id}, p.queue...) }

// next takes the next technique; false at the end of the plan. Worked tells whether the last
// step did.
func (p *planner) next(worked bool, holds func(campaign.Condition) bool) (id string, ok bool) {
	for len(p.queue) == 0 {
		if !p.advance(worked, holds) {
			return "", false
		}
	}
	id, p.queue = p.queue[0], p.queue[1:]
	return id, true
}

// advance moves to the next stage with something to do, or repeats the current one; false at
// the end of the plan.
func (p *planner) advance(worked bool, holds func(campaign.Condition) bool) bool {
	if p.stage >= 0 && p.again(worked, holds) {
		return true
	}
	for {
		p.stage++
		p.tries = 0
		if p.stage >= len(p.spec.Campaign) {
			return false
		}
		stage := p.current()
		if p.needsMissing(stage) || stage.When != nil && !holds(*stage.When) || stage.Until != nil && holds(*stage.Until) {
			continue
		}
		p.fill(stage)
		return true
	}
}

// needsMissing tells whether a stage that this one needs has not succeeded.
func (p *planner) needsMissing(s *campaign.Stage) bool {
	for _, need := range s.Needs {
		met := false
		for i := range p.spec.Campaign {
			if p.spec.Campaign[i].ID == need && p.succeeded[i] {
				met = true
			}
		}
		if !met {
			return true
		}
	}
	return false
}

// mostTries bounds a stage that repeats until a condition holds.
const mostTries = 12

// again repeats the current stage if it asks for that.
func (p *planner) again(worked bool, holds func(campaign.Condition) bool) bool {
	stage := p.current()
	if worked {
		p.succeeded[p.stage] = true
	}
	switch {
	case stage.Loop != nil:
		if p.tries >= stage.Loop.Max || holds(stage.Loop.Until) {
			return false
		}
	case stage.Until != nil:
		if p.tries >= mostTries || holds(*stage.Until) {
			return false
		}
	default:
		return false
	}
	p.fill(stage)
	return true
}

// fill queues the techniques of one pass through a stage.
func (p *planner) fill(stage *campaign.Stage) {
	p.tries++
	p.visits[p.stage]++
	s := p.choice.At(uint64(p.stage)<<32 | uint64(p.visits[p.stage]))
	switch {
	case len(stage.Try) > 0:
		weights := make([]float64, len(stage.Try))
		for i, c := range stage.Try {
			weights[i] = c.Weight
			if c.Weight == 0 {
				weights[i] = 1
			}
		}
		p.queue = []string{stage.Try[sim.PickWeighted(&s, weights)].Do}
	case len(stage.Do.Any) > 0:
		p.queue = []string{sim.Pick(&s, stage.Do.Any)}
	default:
		p.queue = append([]string{}, stage.Do.All...)
		s.Shuffle(len(p.queue), func(i, j int) { p.queue[i], p.queue[j] = p.queue[j], p.queue[i] })
	}
}

// credit counts the stages that a technique belongs to as succeeded.
func (p *planner) credit(id string) {
	for i := range p.spec.Campaign {
		if s := &p.spec.Campaign[i]; slices.Contains(s.Do.All, id) || slices.Contains(s.Do.Any, id) ||
			slices.ContainsFunc(s.Try, func(c campaign.Choice) bool { return c.Do == id }) {
			p.succeeded[i] = true
		}
	}
}

// stagesSucceeded counts the stages that succeeded.
func (p *planner) stagesSucceeded() int {
	n := 0
	for _, ok := range p.succeeded {
		if ok {
			n++
		}
	}
	return n
}
