package gate

import (
	"fmt"
	"slices"
	"strings"
)

// BenignRule is how often a rule fires on the attack-free recordings of a policy.
type BenignRule struct {
	Title, Level        string
	Baseline, Candidate int
	Events              []string // where the candidate's first ones are
}

// shownBenign bounds the rules that a reason names.
const shownBenign = 5

// JudgeBenign adds the check of the policy's attack-free recordings, and fails the gate
// when the candidate adds more alerts than the policy allows. It is no estimate: the same
// recordings give the same alerts.
func (r *Result) JudgeBenign(rules []BenignRule, events int) {
	added, before := 0, 0
	var worse []BenignRule
	for _, x := range rules {
		added += x.Candidate - x.Baseline
		before += x.Baseline
		if x.Candidate > x.Baseline {
			worse = append(worse, x)
		}
	}
	slices.SortStableFunc(worse, func(a, b BenignRule) int { return (b.Candidate - b.Baseline) - (a.Candidate - a.Baseline) })
	c := CheckResult{
		Metric: "benign_alerts", Scenario: "*", Kind: "margin", Margin: float64(r.Policy.BenignMargin),
		Estimate: float64(added), Lo: float64(added), Hi: float64(added), N: events, Verdict: Pass,
	}
	c.Reason = fmt.Sprintf("%+d alerts on %d attack-free events, %d before", added, events, before)
	if added > r.Policy.BenignMargin {
		c.Verdict, r.Verdict = Fail, Fail
		var names []string
		for _, x := range worse[:min(len(worse), shownBenign)] {
			names = append(names, fmt.Sprintf("%s (%d → %d, first at %s)", x.Title, x.Baseline, x.Candidate, strings.Join(x.Events, ", ")))
		}
		c.Reason += ": " + strings.Join(names, "; ")
		r.Reasons = append(r.Reasons, fmt.Sprintf("the candidate adds %d alerts on attack-free recordings, and the policy allows %d", added, r.Policy.BenignMargin))
	}
	r.Checks = append(r.Checks, c)
	r.Benign = worse
}
