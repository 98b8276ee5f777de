package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"hemostat/sim/record"
)

func parse(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse("policy.yaml", []byte(text))
	require.NoError(t, err)
	return p
}

// pairs yields rounds of one scenario from a function of the index, up to n.
func pairs(n int, of func(i int) (baseline, candidate Side)) RoundSource {
	next := 0
	return func(_ context.Context, rounds int) ([][]Pair, error) {
		var out [][]Pair
		for ; next < n && len(out) < rounds; next++ {
			b, c := of(next)
			out = append(out, []Pair{{Scenario: "s", Index: next, Baseline: b, Candidate: c}})
		}
		return out, nil
	}
}

func verdict(t *testing.T, policy string, n int, of func(i int) (Side, Side)) *Result {
	t.Helper()
	r, err := Run(context.Background(), parse(t, policy), []string{"s"}, pairs(n, of))
	require.NoError(t, err)
	return r
}

func TestTheShortPolicyOfTheDesignIsRead(t *testing.T) {
	p := parse(t, `
alpha: 0.05
trials: {min: 40, max: 400, batch: 20}
checks:
  - {metric: contained, margin: 0.03}
  - {metric: time_to_contain, margin: 10%}
  - {metric: collateral_user_seconds, margin: 15%}
  - {metric: alerts_false_per_day, margin: 1}
floors: {contained: {ransomware: 0.6}}
`)
	require.Equal(t, Trials{40, 400, 20}, p.Trials)
	require.Len(t, p.Checks, 5)
	require.Equal(t, 0.6, p.Checks[4].Floor.Value)
	require.ErrorContains(t, p.Names([]string{"s"}), "ransomware is none of the scenarios")
}

func TestEveryFaultOfAPolicyIsExplained(t *testing.T) {
	for text, want := range map[string]string{
		"checks: [{metric: containment, margin: 0.03}]":       `unknown metric "containment"; accepted: detected, contained`,
		"checks: [{metric: contained, margin: -0.03}]":        "a positive amount is expected",
		"checks: [{metric: contained, margin: 0}]":            "a positive amount is expected",
		"checks: [{metric: contained, margin: 3}]":            "lies between 0 and 100.0 %",
		"checks: [{metric: contained}]":                       "one of margin, gain and floor; this one has 0",
		"checks: [{metric: contained, margin: 1%, gain: 1%}]": "this one has 2",
		"checks: [{metric: time_to_contain, margin: 10}]":     "a duration such as 10m",
		"checks: [{metric: contained, margin: lots}]":         "is expected, not",
		"checks: []": "lets everything pass",
		"checks: [{metric: contained, margin: 1%}]\nalpha: 2":                         "an error rate from",
		"checks: [{metric: contained, margin: 1%}]\ntrials: {min: 9, max: 4}":         "max of at least min",
		"checks: [{metric: contained, margin: 1%}]\nweights: {s: -1}":                 "positive number",
		"checks: [{metric: contained, each_technique: true, margin: 1%}]":             "go together",
		"checks: [{metric: score, floor: 5%}]":                                        "is a value, not a share",
		"checks: [{metric: alerts_false, gain: 120%}]":                                "nothing can be better by 120%",
		"checks: [{metric: contained, margin: 1%, scenario: a, each_scenario: true}]": "exclude each other",
		"floors: {contained: {s: 60}}":                                                "lies between 0 and 100.0 %",
	} {
		_, err := Parse("policy.yaml", []byte(text))
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "policy.yaml:1:", text)
	}
}

func TestTheDefaultPolicyFitsItsSchema(t *testing.T) {
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("policy.json", schema))
	compiled, err := c.Compile("policy.json")
	require.NoError(t, err)
	var doc any
	require.NoError(t, yaml.Unmarshal(DefaultText(), &doc))
	require.NoError(t, compiled.Validate(doc))
	_, err = Default()
	require.NoError(t, err)
}

func TestVerdicts(t *testing.T) {
	policy := "checks: [{metric: contained, margin: 5 %}]"
	same := verdict(t, policy, 1000, func(int) (Side, Side) { return side(true), side(true) })
	require.Equal(t, Pass, same.Verdict)
	require.Less(t, same.TrialsUsed, 500, "it stops as soon as it is sure")

	lost := verdict(t, policy, 1000, func(i int) (Side, Side) { return side(true), side(i%4 != 0) })
	require.Equal(t, Fail, lost.Verdict)
	require.Contains(t, lost.Reasons[0], "worse by more than 5.0 %")

	few := verdict(t, policy, 3, func(int) (Side, Side) { return side(true), side(true) })
	require.Equal(t, Inconclusive, few.Verdict)
	require.Equal(t, 6, few.TrialsUsed)
	require.Contains(t, few.Reasons[0], "not excluded")

	again := verdict(t, policy, 1000, func(i int) (Side, Side) { return side(true), side(i%4 != 0) })
	require.Equal(t, lost, again, "the same gate gives the same verdict")
}

func TestGainsAndFloors(t *testing.T) {
	better := func(i int) (Side, Side) { return side(i%2 == 0), side(i%10 != 0) }
	require.Equal(t, Pass, verdict(t, "checks: [{metric: contained, gain: 20 %}]", 1000, better).Verdict)
	require.Equal(t, Fail, verdict(t, "checks: [{metric: contained, gain: 60 %}]", 1000, better).Verdict)
	require.Equal(t, Pass, verdict(t, "floors: {contained: {s: 0.8}}", 1000, better).Verdict)
	require.Equal(t, Fail, verdict(t, "floors: {contained: {s: 0.97}}", 3000, better).Verdict)
}

func TestRelativeMarginsGoPairByPair(t *testing.T) {
	policy := "checks: [{metric: collateral_user_seconds, margin: 25 %}, {metric: time_to_contain, margin: 25 %}]"
	of := func(factor float64) func(int) (Side, Side) {
		return func(i int) (Side, Side) {
			b, c := side(true), side(true)
			b.Trial.CollateralSeconds = float64(5000 * (1 + i%20))
			c.Trial.CollateralSeconds = factor * b.Trial.CollateralSeconds
			return b, c
		}
	}
	require.Equal(t, Pass, verdict(t, policy, 1000, of(1.05)).Verdict)
	r := verdict(t, policy, 1000, of(1.8))
	require.Equal(t, Fail, r.Verdict)
	require.InDelta(t, 0.8, r.Checks[0].Estimate, 0.01)
	require.Contains(t, r.Reasons[0], "collateral_user_seconds over all scenarios changes by +80.0 %")
}

func TestATechniqueThatIsNoLongerDetectedFailsTheGate(t *testing.T) {
	policy := `checks: [{metric: contained, margin: 5 %}, {metric: technique_detected, each_technique: true, margin: 10 %, veto: true}]`
	of := func(i int) (Side, Side) {
		b, c := side(true), side(true)
		b.Detected, c.Detected = map[string]bool{"T1486": true}, map[string]bool{"T1486": true}
		if i%9 == 0 { // rare, so that the rest is certain long before
			b.Detected["T1018"], c.Detected["T1018"] = true, false
		}
		return b, c
	}
	r := verdict(t, policy, 2000, of)
	require.Equal(t, Fail, r.Verdict)
	require.Contains(t, r.Text(), "technique T1018 is detected less often: 100 % → 0 %")
	require.Contains(t, r.Markdown(), "T1018")
	require.NotContains(t, r.Text(), "T1486")
}

func TestErrorsThatDifferRefuseAPass(t *testing.T) {
	of := func(i int) (Side, Side) {
		b, c := side(true), side(true)
		if i == 5 {
			c.Trial = &record.Trial{Status: "error", Error: "boom"}
		}
		return b, c
	}
	policy := "checks: [{metric: contained, margin: 5 %}]"
	r := verdict(t, policy, 1000, of)
	require.Equal(t, Inconclusive, r.Verdict)
	require.Contains(t, strings.Join(r.Reasons, "\n"), "does not pass")
	require.Contains(t, r.Text(), "boom")
	require.Equal(t, Fail, verdict(t, policy+"\nerrors: fail", 1000, of).Verdict)
	require.Equal(t, Pass, verdict(t, policy+"\nerrors: ignore", 1000, of).Verdict)
}

func TestWhatAppliesToNoTrialCannotBeSaid(t *testing.T) {
	quiet := func(int) (Side, Side) {
		s := Side{Trial: &record.Trial{Status: "ok", Outcome: record.OutcomeNone, Horizon: 1}}
		return s, s
	}
	r := verdict(t, "checks: [{metric: contained, margin: 5 %}]", 50, quiet)
	require.Equal(t, Inconclusive, r.Verdict)
	require.Contains(t, r.Reasons[0], "cannot say")
	_, err := r.JSON()
	require.NoError(t, err)
}

func TestFormats(t *testing.T) {
	r := verdict(t, "name: mine\nchecks: [{metric: contained, margin: 5 %}, {metric: score, margin: 5}]", 1000, func(i int) (Side, Side) { return side(true), side(i%4 != 0) })
	r.Baseline, r.Candidate = "old", "new|variant"
	data, err := r.JSON()
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, json.Unmarshal(data, &back))
	for _, key := range []string{"verdict", "alpha", "trials_used", "checks", "seeds", "digests"} {
		require.Contains(t, back, key)
	}
	for _, key := range []string{"metric", "scenario", "margin", "estimate", "lo", "hi", "verdict", "reason"} {
		require.Contains(t, back["checks"].([]any)[0], key)
	}
	var junit bytes.Buffer
	require.NoError(t, r.JUnit(&junit))
	var suite junitSuite
	require.NoError(t, xml.Unmarshal(junit.Bytes(), &suite))
	require.Equal(t, 3, suite.Tests)
	require.Equal(t, 2, suite.Failures, "the check and the verdict")
}

func TestWeightsMoveTheMean(t *testing.T) {
	of := func(weights string) string {
		p := parse(t, "checks: [{metric: contained, margin: 5 %}]\n"+weights)
		next := 0
		r, err := Run(context.Background(), p, []string{"a", "b"}, func(_ context.Context, rounds int) ([][]Pair, error) {
			var out [][]Pair
			for range rounds {
				// a gains where b loses
				out = append(out, []Pair{{Scenario: "a", Index: next, Baseline: side(next%4 == 0), Candidate: side(true)}, {Scenario: "b", Index: next, Baseline: side(true), Candidate: side(next%4 == 0)}})
				next++
			}
			return out, nil
		})
		require.NoError(t, err)
		return r.Verdict
	}
	require.Equal(t, Pass, of("weights: {a: 3}"))
	require.Equal(t, Fail, of("weights: {b: 3}"))
}
