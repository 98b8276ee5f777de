package analyst

import (
	"fmt"
	"math"
	"slices"

	"hemostat/defenders/logistic"
)

// Example is an alert of a trial whose truth is known, to learn from.
type Example struct {
	Features  Features // without what rests on earlier learning
	Rule      string
	Technique string
	IsTrue    bool
	// Scenario names what examples have in common that other days will not have: what is
	// learned of a rule is learned without the scenario of the example that it is used on.
	Scenario string
	// Attack names the attack that a true alert is about.
	Attack string
}

// ExampleOf makes an example of a case.
func ExampleOf(c *Case, isTrue bool, scenario, attack string) Example {
	return Example{
		Features: c.features(nil), Rule: c.Alert.RuleID, Technique: c.Alert.Technique(),
		IsTrue: isTrue, Scenario: scenario, Attack: attack,
	}
}

// The constants of the fit.
const (
	ruleShrinkage = 4.0  // alerts that speak for the average, in the odds of a rule
	ridge         = 2.0  // weight of the squared weights in the loss
	mayLose       = 0.01 // share of attacks of which every alert may be dismissed
	mayMiss       = 0.03 // share of true alerts that may be dismissed
	sureEnough    = 0.97 // probability from which on an alert is raised
	folds         = 5
)

// odds counts how often alerts of a name were true, by scenario.
type odds struct {
	all        map[string]*[2]float64 // by name: false, true
	byScenario map[[2]string]*[2]float64
	base       float64 // share of true alerts
}

func oddsOf(examples []Example, name func(*Example) string) odds {
	o := odds{all: map[string]*[2]float64{}, byScenario: map[[2]string]*[2]float64{}}
	trueOnes := 0
	for i := range examples {
		e := &examples[i]
		side := 0
		if e.IsTrue {
			side = 1
			trueOnes++
		}
		n, key := name(e), [2]string{name(e), e.Scenario}
		if o.all[n] == nil {
			o.all[n] = &[2]float64{}
		}
		if o.byScenario[key] == nil {
			o.byScenario[key] = &[2]float64{}
		}
		o.all[n][side]++
		o.byScenario[key][side]++
	}
	o.base = (float64(trueOnes) + 1) / (float64(len(examples)) + 2)
	return o
}

// without are the log odds of a name, against those of all alerts, that the scenarios other
// than one teach; known tells whether they have the name.
func (o *odds) without(name, scenario string) (logOdds float64, known bool) {
	n := o.all[name]
	if n == nil {
		return 0, false
	}
	rest := *n
	if own := o.byScenario[[2]string{name, scenario}]; own != nil {
		rest[0] -= own[0]
		rest[1] -= own[1]
	}
	return o.shrunk(rest), rest[0]+rest[1] > 0
}

// shrunk are log odds against the base, drawn towards 0 the fewer alerts there are.
func (o *odds) shrunk(n [2]float64) float64 {
	p := (n[1] + ruleShrinkage*o.base) / (n[0] + n[1] + ruleShrinkage)
	return logistic.LogOdds(p) - logistic.LogOdds(o.base)
}

func (o *odds) table() map[string]float64 {
	out := make(map[string]float64, len(o.all))
	for name, n := range o.all {
		out[name] = math.Round(1000*o.shrunk(*n)) / 1000
	}
	return out
}

// Fit learns weights from examples: odds of rules and techniques with shrinkage, then a
// logistic regression with a ridge. The bar for dismissing is the highest at which, over
// scenarios that each fold leaves out, at most one attack in a hundred would be lost, and
// three true alerts in a hundred dismissed.
func Fit(examples []Example, from string) (*Weights, error) {
	trueOnes := 0
	for i := range examples {
		if examples[i].IsTrue {
			trueOnes++
		}
	}
	if trueOnes == 0 || trueOnes == len(examples) {
		return nil, fmt.Errorf("%d of %d alerts are true; examples of both kinds are needed", trueOnes, len(examples))
	}
	w, err := fit(examples)
	if err != nil {
		return nil, err
	}
	held, err := heldOut(examples)
	if err != nil {
		return nil, err
	}
	w.From, w.Dismiss, w.Raise = from, dismissBar(examples, held), sureEnough
	return w, nil
}

// fit is one regression.
func fit(examples []Example) (*Weights, error) {
	rules := oddsOf(examples, func(e *Example) string { return e.Rule })
	techniques := oddsOf(examples, func(e *Example) string { return e.Technique })
	rows := make([]Features, len(examples))
	for i := range examples {
		e := &examples[i]
		rows[i] = e.Features
		var known bool
		if rows[i][ruleOdds], known = rules.without(e.Rule, e.Scenario); known {
			rows[i][ruleKnown] = 1
		}
		rows[i][techniqueOdds], _ = techniques.without(e.Technique, e.Scenario)
	}
	learn := logistic.Rows{Ridge: ridge, Weights: weigh(examples)}
	for i := range rows {
		learn.Features = append(learn.Features, rows[i][:])
		learn.IsTrue = append(learn.IsTrue, examples[i].IsTrue)
	}
	x, bias, err := learn.Fit()
	if err != nil {
		return nil, err
	}
	w := &Weights{Format: weightsFormat, Raise: 1, Features: map[string]float64{}, Rules: rules.table(),
		Techniques: techniques.table()}
	delete(w.Techniques, "")
	w.Bias = math.Round(1e4*bias) / 1e4
	for i := range featureTable {
		w.weights[i] = math.Round(1e4*x[i]) / 1e4
		w.Features[featureTable[i].name] = w.weights[i]
	}
	return w, nil
}

// weigh gives examples of scenarios with many alerts less weight; the mean weight is 1.
func weigh(examples []Example) []float64 {
	n := map[string]float64{}
	for i := range examples {
		n[examples[i].Scenario]++
	}
	weight := make([]float64, len(examples))
	sum := 0.0
	for i := range examples {
		weight[i] = 1 / math.Sqrt(n[examples[i].Scenario])
		sum += weight[i]
	}
	for i := range weight {
		weight[i] *= float64(len(weight)) / sum
	}
	return weight
}

// heldOut are the probabilities that each example is given by weights that were learned
// without its scenario.
func heldOut(examples []Example) ([]float64, error) {
	var names []string
	for i := range examples {
		if !slices.Contains(names, examples[i].Scenario) {
			names = append(names, examples[i].Scenario)
		}
	}
	slices.Sort(names)
	fold := map[string]int{}
	for i, name := range names {
		fold[name] = i % folds
	}
	out := make([]float64, len(examples))
	for k := range folds {
		var rest []Example
		for i := range examples {
			if fold[examples[i].Scenario] != k {
				rest = append(rest, examples[i])
			}
		}
		if len(rest) == len(examples) || len(rest) == 0 {
			continue
		}
		w, err := fit(rest)
		if err != nil {
			return nil, err
		}
		for i := range examples {
			if e := &examples[i]; fold[e.Scenario] == k {
				out[i] = w.probability(e)
			}
		}
	}
	return out, nil
}

// probability is what the weights say of an example.
func (w *Weights) probability(e *Example) float64 {
	f := e.Features
	odds, known := w.Rules[e.Rule]
	if f[ruleOdds] = odds; known {
		f[ruleKnown] = 1
	}
	f[techniqueOdds] = w.Techniques[e.Technique]
	return logistic.Of(w.score(&f))
}

// dismissBar is the highest bar at which few enough attacks would be lost.
func dismissBar(examples []Example, p []float64) float64 {
	best := map[string]float64{} // of each attack's alerts
	var trueOnes []float64
	for i := range examples {
		if e := &examples[i]; e.IsTrue {
			best[e.Attack] = max(best[e.Attack], p[i])
			trueOnes = append(trueOnes, p[i])
		}
	}
	slices.Sort(trueOnes)
	highest := make([]float64, 0, len(best))
	for _, v := range best {
		highest = append(highest, v)
	}
	slices.Sort(highest)
	bar := min(highest[int(mayLose*float64(len(highest)))], trueOnes[int(mayMiss*float64(len(trueOnes)))])
	return math.Floor(1000*min(bar, 0.5)) / 1000
}
