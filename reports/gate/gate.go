// Package gate decides whether a candidate may replace a baseline. A policy names
// metrics and margins; trials come in pairs, round by round, through a function
// that the caller hands in, and the gate stops as soon as the verdict is certain at
// the policy's error rate, whenever that is. docs/statistics.md has the reasoning
// and the measured error rates.
package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"hemostat/sim/record"
)

// Verdicts.
const (
	Pass         = "pass"
	Fail         = "fail"
	Inconclusive = "inconclusive"
)

// Side is one trial as a gate needs it.
type Side struct {
	Trial *record.Trial
	// Detected tells of each technique that was carried out whether its first use
	// raised an alert.
	Detected map[string]bool
}

// Pair is two trials of the same day.
type Pair struct {
	Scenario            string
	Seed                uint64
	Index               int
	Baseline, Candidate Side
}

// RoundSource yields the next rounds, each one pair of every scenario in the order of the
// gate's scenarios; fewer rounds than asked for when there are no more.
type RoundSource func(ctx context.Context, rounds int) ([][]Pair, error)

// Result is a verdict with its reasons.
type Result struct {
	Verdict string
	Reasons []string
	// Notes are what a reader should know of the verdict that changes nothing in it.
	Notes  []string
	Policy *Policy
	Checks []CheckResult
	// Techniques lists those that were detected more or less often.
	Techniques []TechniqueChange
	// Benign are the rules that fire more often on attack-free recordings.
	Benign     []BenignRule
	TrialsUsed int
	Rounds     int
	Errors     [2]int // of the baseline, of the candidate
	FirstError string
	Scenarios  []string

	Baseline, Candidate string
	Provenance          Provenance
}

// Provenance is what anyone needs to repeat the gate.
type Provenance struct {
	Seeds   []uint64
	Digests map[string]string
	Engines [2]string // versions that made the baseline's and the candidate's trials
}

// TechniqueChange is how often a technique's first use was detected, over the trials
// in which both sides met it.
type TechniqueChange struct {
	Technique           string
	Baseline, Candidate int
	Trials              int
	Certain             bool // the loss failed the gate
}

// Run takes rounds until the verdict is certain or the budget is spent.
func Run(ctx context.Context, policy *Policy, scenarios []string, more RoundSource) (*Result, error) {
	g, err := newGate(policy, scenarios)
	if err != nil {
		return nil, err
	}
	perRound := 2 * len(scenarios)
	batch := (policy.Trials.Batch + perRound - 1) / perRound
	most := max(1, policy.Trials.Max/perRound)
	for {
		want := min(batch, most-g.result.Rounds)
		rounds, err := more(ctx, want)
		if err != nil {
			return nil, err
		}
		for _, round := range rounds {
			if err := g.add(round); err != nil {
				return nil, err
			}
		}
		over := len(rounds) < want || g.result.Rounds >= most
		if g.result.TrialsUsed >= policy.Trials.Min || over {
			if g.decide(over) {
				return g.result, nil
			}
		}
	}
}

// Alike is the result of a gate whose sides are one defence. Every day comes out alike under both,
// so that every margin is met, and no trial is needed. It is nil where the policy asks for a gain
// or a floor, about which only trials tell.
func Alike(policy *Policy, scenarios []string) (*Result, error) {
	g, err := newGate(policy, scenarios)
	if err != nil {
		return nil, err
	}
	r := g.result
	for _, c := range g.checks {
		if c.Gain.given() || c.Floor.given() {
			return nil, nil
		}
		x := c.result("", nil)
		x.Estimate, x.Lo, x.Hi, x.Verdict = 0, 0, 0, Pass
		x.Reason = c.Metric + ": both sides are one defence, so that every day comes out alike"
		r.Checks = append(r.Checks, x)
	}
	r.Verdict = Pass
	r.Reasons = []string{"the baseline and the candidate are one defence: their rules, playbooks and settings are equal, " +
		"so that every day comes out alike"}
	return r, nil
}

type gate struct {
	policy    *Policy
	scenarios []string
	checks    []*check
	result    *Result
	detected  map[string]*TechniqueChange
}

func newGate(p *Policy, scenarios []string) (*gate, error) {
	if err := p.Names(scenarios); err != nil {
		return nil, err
	}
	if len(scenarios) == 0 {
		return nil, fmt.Errorf("a gate needs at least one scenario")
	}
	g := &gate{
		policy:    p,
		scenarios: scenarios,
		result:    &Result{Policy: p, Scenarios: scenarios},
		detected:  map[string]*TechniqueChange{},
	}
	weights := meanOne(p.Weights, scenarios)
	for i := range p.Checks {
		g.checks = append(g.checks, newCheck(&p.Checks[i], p.Alpha, len(p.Checks), scenarios, weights))
	}
	return g, nil
}

// meanOne scales the weights of scenarios to mean 1.
func meanOne(weights map[string]float64, scenarios []string) map[string]float64 {
	out, sum := map[string]float64{}, 0.0
	for _, s := range scenarios {
		w, ok := weights[s]
		if !ok {
			w = 1
		}
		out[s] = w
		sum += w
	}
	for s := range out {
		out[s] *= float64(len(scenarios)) / sum
	}
	return out
}

// add takes a round in. A round with an error on either side tells nothing and is
// counted.
func (g *gate) add(round []Pair) error {
	r := g.result
	r.Rounds++
	broken := false
	for i := range round {
		p := &round[i]
		for side, x := range []*Side{&p.Baseline, &p.Candidate} {
			r.TrialsUsed++
			if x.Trial.Status != "ok" {
				broken = true
				r.Errors[side]++
				if r.FirstError == "" {
					r.FirstError = fmt.Sprintf(
						"%s/%s/%d: %s",
						p.Scenario,
						[]string{"baseline", "candidate"}[side],
						p.Index,
						x.Trial.Error,
					)
				}
			}
		}
	}
	if broken {
		return nil
	}
	for i := range round {
		p := &round[i]
		if b, c := p.Baseline.Trial.Horizon, p.Candidate.Trial.Horizon; b != c {
			return fmt.Errorf(
				"scenario %s has another horizon for the baseline than for the candidate; such trials cannot be compared",
				p.Scenario,
			)
		}
		for technique, b := range p.Baseline.Detected {
			c, met := p.Candidate.Detected[technique]
			if !met {
				continue
			}
			t := g.detected[technique]
			if t == nil {
				t = &TechniqueChange{Technique: technique}
				g.detected[technique] = t
			}
			t.Trials++
			t.Baseline += btoi(b)
			t.Candidate += btoi(c)
		}
	}
	for _, c := range g.checks {
		c.add(round)
	}
	return nil
}

// decide tells whether the verdict is certain, or whether there will be no more
// trials, and fills the result in.
func (g *gate) decide(over bool) bool {
	failed, open := false, false
	for _, c := range g.checks {
		switch c.verdict() {
		case Fail:
			failed = true
		case Inconclusive:
			open = true
		}
	}
	if !failed && open && !over {
		return false
	}
	r := g.result
	switch {
	case failed:
		r.Verdict = Fail
	case open:
		r.Verdict = Inconclusive
	default:
		r.Verdict = Pass
	}
	g.errors()
	for _, c := range g.checks {
		r.Checks = append(r.Checks, c.results()...)
	}
	g.techniques()
	for _, c := range r.Checks {
		if c.Verdict == Fail || r.Verdict == Inconclusive && c.Verdict == Inconclusive {
			r.Reasons = append(r.Reasons, c.Reason)
		}
	}
	if r.Verdict == Pass {
		r.Reasons = append(
			r.Reasons,
			fmt.Sprintf("every check is met at error rate %g after %d trials", g.policy.Alpha, r.TrialsUsed),
		)
	}
	return true
}

// errors applies the policy to trials that ended in errors.
func (g *gate) errors() {
	r := g.result
	if r.Errors == [2]int{} {
		return
	}
	what := fmt.Sprintf(
		"%d trials of the baseline and %d of the candidate ended in errors (the first: %s); their rounds are left out",
		r.Errors[0],
		r.Errors[1],
		r.FirstError,
	)
	differ := r.Errors[0] != r.Errors[1] || r.Errors[0]+r.Errors[1] == r.TrialsUsed
	switch {
	case !differ || g.policy.Errors == "ignore":
	case g.policy.Errors == Fail:
		what += "; the policy fails a gate whose sides differ in errors"
		r.Verdict = Fail
	default:
		what += "; a gate whose sides differ in errors does not pass"
		if r.Verdict == Pass {
			r.Verdict = Inconclusive
		}
	}
	r.Reasons = append(r.Reasons, what)
}

// techniques lists what changed, the greatest loss first.
func (g *gate) techniques() {
	r := g.result
	certain := map[string]bool{}
	for _, c := range r.Checks {
		if c.Technique != "" && c.Verdict == Fail {
			certain[c.Technique] = true
		}
	}
	for _, technique := range slices.Sorted(maps.Keys(g.detected)) {
		t := *g.detected[technique]
		t.Certain = certain[technique]
		if t.Baseline != t.Candidate {
			r.Techniques = append(r.Techniques, t)
		}
	}
	change := func(t TechniqueChange) float64 { return float64(t.Candidate-t.Baseline) / float64(t.Trials) }
	slices.SortStableFunc(r.Techniques, func(a, b TechniqueChange) int {
		switch x, y := change(a), change(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}
