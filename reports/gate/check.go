package gate

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"hemostat/reports/compare"
	"hemostat/reports/stats"
)

// CheckResult is what came of a check, or of one part of it (a scenario, a
// technique).
type CheckResult struct {
	Metric, Scenario, Technique string
	Kind                        string // margin, gain or floor
	Margin                      float64
	Relative, Veto              bool
	// Estimate is the candidate minus the baseline (a share for a relative margin), for
	// a floor the candidate's mean; Lo and Hi bound it at the policy's error rate,
	// whenever one looks.
	Estimate, Lo, Hi float64
	N                int
	Verdict, Reason  string
}

// mostTechniques is how many techniques share a check's error rate. It has to stand
// before the first trial, and is more than any campaign uses.
const mostTechniques = 200

// passAlphaFraction is the part of the error rate that a pass may use up. The bets come so near
// to their bound that a simulation of some thousand gates could not tell a rate at
// alpha from one above it; with a fifth in reserve it can.
const passAlphaFraction = 0.8

// check is a check at work, with a sequential test for each of its parts.
type check struct {
	*Check
	metric    *compare.Metric
	relative  bool
	alpha     float64 // for a pass: all checks must be met, so each may have it all
	failAlpha float64 // for a fail: one is enough, so they share it
	scenarios []string
	weights   map[string]float64
	cap       float64
	parts     map[string]*part // by scenario or technique; "" for all together
}

// part tests one mean.
type part struct {
	test  *stats.Sequential
	scale float64 // what 1 in the test is in the metric's unit
}

func newCheck(c *Check, alpha float64, checks int, scenarios []string, weights map[string]float64) *check {
	x := &check{
		Check:     c,
		metric:    metric(c.Metric),
		alpha:     passAlphaFraction * alpha,
		failAlpha: alpha / float64(checks),
		scenarios: scenarios,
		weights:   weights,
		parts:     map[string]*part{},
	}
	x.relative = c.relative(x.metric)
	switch {
	case c.EachScenario:
		x.failAlpha /= float64(len(scenarios))
	case c.EachTechnique:
		x.failAlpha /= mostTechniques
	}
	x.cap = x.metric.Bound
	if c.Cap.given() {
		x.cap = c.Cap.Value
	}
	return x
}

// difference is how a pair counts: the candidate minus the baseline as a share of
// what a pair can differ by at most, or of the greater of both values.
func (c *check) difference(p *Pair) (x, scale float64, applies bool) {
	b, v := c.metric.Of(p.Baseline.Trial), c.metric.Of(p.Candidate.Trial)
	if math.IsNaN(b) || math.IsNaN(v) {
		return 0, 0, false
	}
	top := c.cap
	if top == 0 {
		top = float64(p.Baseline.Trial.Horizon)
	}
	b, v = min(b, top), min(v, top)
	switch {
	case c.Floor.given():
		return v / top, top, true
	case c.relative:
		return (v - b) / max(b, v, c.metric.Least()), 1, true
	}
	return (v - b) / top, top, true
}

// asShare turns a relative change (candidate = (1+change) * baseline) into a share
// of the greater of both, which is what relative checks average.
func asShare(change float64) float64 {
	if change > 0 {
		return change / (1 + change)
	}
	return change
}

// asChange is its inverse.
func asChange(share float64) float64 {
	if share > 0 {
		return share / (1 - share)
	}
	return share
}

// threshold is where the mean must not lie beyond, in the metric's unit or as a
// relative change.
func (c *check) threshold() float64 {
	better := float64(c.metric.Better)
	switch {
	case c.Floor.given():
		return c.Floor.Value
	case c.Gain.given():
		return better * c.Gain.Value
	}
	return -better * c.Margin.Value
}

// newPart makes the test for values of a scale, weighted by at most heaviest.
func (c *check) newPart(scale, heaviest float64) *part {
	threshold, aim := c.threshold()/scale, (c.Margin.Value+c.Gain.Value)/scale
	lo := -1.0
	switch {
	case c.Floor.given():
		lo, aim = 0, 0.1
	case c.relative:
		threshold = asShare(c.threshold())
		aim = math.Abs(threshold)
	}
	return &part{stats.NewSequential(threshold, lo*heaviest, heaviest, aim), scale}
}

func (c *check) add(round []Pair) {
	switch {
	case c.EachTechnique:
		c.addTechniques(round)
		return
	case c.EachScenario || c.Scenario != "":
		for i := range round {
			name := round[i].Scenario
			x, scale, applies := c.difference(&round[i])
			if !applies || c.Scenario != "" && c.Scenario != name {
				continue
			}
			if c.parts[name] == nil {
				c.parts[name] = c.newPart(scale, 1)
			}
			c.parts[name].test.Add(x)
		}
		return
	}
	var values, scales, weights []float64
	for i := range round {
		if x, scale, applies := c.difference(&round[i]); applies {
			values, scales, weights = append(
				values,
				x,
			), append(
				scales,
				scale,
			), append(
				weights,
				c.weights[round[i].Scenario],
			)
		}
	}
	if len(values) == 0 {
		return
	}
	// Scenarios with an attack are a part of all, so their weights have a mean of their own.
	scale, heaviest, sum := slices.Max(scales), slices.Max(weights), 0.0
	for _, w := range weights {
		sum += w
	}
	norm := float64(len(weights)) / sum
	for i := range values {
		values[i] *= weights[i] * norm * scales[i] / scale
	}
	if c.parts[""] == nil {
		c.parts[""] = c.newPart(scale, heaviest*norm)
	}
	c.parts[""].test.Add(values...)
}

func (c *check) addTechniques(round []Pair) {
	for i := range round {
		b, v := round[i].Baseline.Detected, round[i].Candidate.Detected
		for _, technique := range slices.Sorted(maps.Keys(b)) {
			after, met := v[technique]
			if !met {
				continue
			}
			if c.parts[technique] == nil {
				c.parts[technique] = c.newPart(1, 1)
			}
			c.parts[technique].test.Add(float64(btoi(after) - btoi(b[technique])))
		}
	}
}

// met and missed tell whether a part is certain to be on the good or the bad side.
func (c *check) met(p *part) bool {
	if c.metric.Better > 0 {
		return p.test.Above(c.alpha)
	}
	return p.test.Below(c.alpha)
}

func (c *check) missed(p *part) bool {
	if c.metric.Better > 0 {
		return p.test.Below(c.failAlpha)
	}
	return p.test.Above(c.failAlpha)
}

func (c *check) verdictOf(p *part) string {
	switch {
	case c.missed(p):
		return Fail
	case c.met(p), c.Veto && !c.beyond(p):
		return Pass
	}
	return Inconclusive
}

// beyond tells whether what was seen so far speaks for a loss beyond the margin,
// certain or not, at odds of two to one or more: then a veto holds a pass up.
func (c *check) beyond(p *part) bool {
	const odds = 2
	if c.metric.Better > 0 {
		return p.test.OddsBelow() >= odds
	}
	return p.test.OddsAbove() >= odds
}

// verdict is that of the whole check.
func (c *check) verdict() string {
	out := Pass
	if len(c.parts) == 0 && !c.Veto {
		return Inconclusive
	}
	for _, p := range c.parts {
		switch c.verdictOf(p) {
		case Fail:
			return Fail
		case Inconclusive:
			out = Inconclusive
		}
	}
	return out
}

// results tells what came of the check's parts: of techniques only those that did
// not pass, or one line for all.
func (c *check) results() []CheckResult {
	if len(c.parts) == 0 {
		r := c.result("", nil)
		r.Verdict = c.verdict()
		r.Reason = fmt.Sprintf("cannot say: %s applies to none of the trials", c.Metric)
		return []CheckResult{r}
	}
	var out []CheckResult
	for _, name := range slices.Sorted(maps.Keys(c.parts)) {
		if p := c.parts[name]; !c.EachTechnique || c.verdictOf(p) != Pass {
			out = append(out, c.result(name, p))
		}
	}
	if len(out) == 0 {
		r := c.result("", nil)
		r.Verdict, r.N = Pass, len(c.parts)
		r.Reason = fmt.Sprintf(
			"none of %d techniques is detected less often by more than %s",
			len(c.parts),
			c.Margin.Text,
		)
		out = append(out, r)
	}
	return out
}

func (c *check) result(name string, p *part) CheckResult {
	r := CheckResult{
		Metric:   c.Metric,
		Scenario: "*",
		Kind:     "margin",
		Margin:   c.Margin.Value,
		Relative: c.relative,
		Veto:     c.Veto,
		Estimate: math.NaN(),
		Lo:       math.NaN(),
		Hi:       math.NaN(),
	}
	switch {
	case c.Gain.given():
		r.Kind, r.Margin = "gain", c.Gain.Value
	case c.Floor.given():
		r.Kind, r.Margin = "floor", c.Floor.Value
	}
	if c.Scenario != "" {
		r.Scenario = c.Scenario
	}
	if p == nil {
		return r
	}
	if c.EachTechnique {
		r.Technique = name
	} else if name != "" {
		r.Scenario = name
	}
	bounds := p.test.Bounds(c.alpha)
	back := func(v float64) float64 { return v * p.scale }
	if c.relative {
		back = asChange
	}
	r.Estimate, r.Lo, r.Hi, r.N = back(bounds.Value), back(bounds.Lo), back(bounds.Hi), p.test.N()
	r.Verdict = c.verdictOf(p)
	r.Reason = c.reason(&r)
	return r
}

// reason says in words what a part came to.
func (c *check) reason(r *CheckResult) string {
	where := "over all scenarios"
	switch {
	case r.Technique != "":
		where = "for the first use of " + r.Technique
	case r.Scenario != "*":
		where = "in " + r.Scenario
	}
	show, value := c.metric.Signed, c.metric.Format
	if c.relative {
		show = func(v float64) string { return fmt.Sprintf("%+.1f %%", 100*v) }
		value = func(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
	}
	if r.Kind == "floor" {
		show = c.metric.Format
	}
	verb := "changes by"
	if r.Kind == "floor" {
		verb = "is"
	}
	estimate := fmt.Sprintf(
		"%s %s %s %s [%s, %s] in %d pairs",
		c.Metric,
		where,
		verb,
		show(r.Estimate),
		show(r.Lo),
		show(r.Hi),
		r.N,
	)
	limit := value(r.Margin)
	switch r.Kind {
	case "gain":
		return map[string]string{
			Pass:         fmt.Sprintf("%s: better by more than %s", estimate, limit),
			Fail:         fmt.Sprintf("%s: certain not to be better by %s", estimate, limit),
			Inconclusive: fmt.Sprintf("%s: not certain to be better by %s", estimate, limit),
		}[r.Verdict]
	case "floor":
		return map[string]string{
			Pass:         fmt.Sprintf("%s: on the good side of %s", estimate, limit),
			Fail:         fmt.Sprintf("%s: certain to be on the bad side of %s", estimate, limit),
			Inconclusive: fmt.Sprintf("%s: not certain to be on the good side of %s", estimate, limit),
		}[r.Verdict]
	}
	switch {
	case r.Verdict == Fail:
		return fmt.Sprintf("%s: worse by more than %s", estimate, limit)
	case r.Verdict == Inconclusive:
		return fmt.Sprintf("%s: a loss of more than %s is not excluded", estimate, limit)
	case c.Veto:
		return fmt.Sprintf("%s: no loss of more than %s is certain", estimate, limit)
	}
	return fmt.Sprintf("%s: not worse by more than %s", estimate, limit)
}
