package analyst

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
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
	biasRidge     = 1e-6 // the same of the bias, which is free but for having to be finite
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
	return logit(p) - logit(o.base)
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
	x, err := minimize(rows, examples)
	if err != nil {
		return nil, err
	}
	w := &Weights{Format: weightsFormat, Raise: 1, Features: map[string]float64{}, Rules: rules.table(),
		Techniques: techniques.table()}
	delete(w.Techniques, "")
	w.Bias = math.Round(1e4*x[featureCount]) / 1e4
	for i := range featureTable {
		w.weights[i] = math.Round(1e4*x[i]) / 1e4
		w.Features[featureTable[i].name] = w.weights[i]
	}
	return w, nil
}

// minimize finds the weights, the bias last, by Newton's method on the loss with its ridge
// (iteratively reweighted least squares). Each scenario weighs by the root of the number of
// its alerts.
func minimize(rows []Features, examples []Example) ([]float64, error) {
	const n = featureCount + 1
	weight := weigh(examples)
	x := make([]float64, n)
	step := mat.NewVecDense(n, nil)
	for range newtonSteps {
		hessian, gradient := curvature(rows, examples, weight, x)
		var c mat.Cholesky
		if !c.Factorize(hessian) {
			return nil, errors.New("the regression has no single best answer: the alerts are too much alike")
		}
		if err := c.SolveVecTo(step, gradient); err != nil {
			return nil, fmt.Errorf("the regression does not converge: %w", err)
		}
		// The decrement is how much the loss would fall if it were as it looks from here; a
		// full step may overshoot, so it is halved until the loss does fall.
		decrement := mat.Dot(gradient, step)
		if decrement < enoughDecrement {
			return x, nil
		}
		before, share := lossOf(rows, examples, weight, x), 1.0
		for ; share > smallestShare; share /= 2 {
			next := slices.Clone(x)
			for j := range next {
				next[j] -= share * step.AtVec(j)
			}
			if lossOf(rows, examples, weight, next) <= before-share*decrement/4 {
				x = next
				break
			}
		}
		if share <= smallestShare { // as near as numbers allow
			return x, nil
		}
	}
	return nil, errors.New("the regression does not converge")
}

// enoughDecrement ends Newton's method, smallestShare the halving of a step.
const (
	enoughDecrement = 1e-12
	smallestShare   = 1e-10
)

// lossOf is the loss with its ridge.
func lossOf(rows []Features, examples []Example, weight, x []float64) float64 {
	loss := 0.0
	for i := range rows {
		z := predict(x, &rows[i])
		if examples[i].IsTrue {
			z = -z
		}
		loss += weight[i] * (max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))))
	}
	for _, v := range x[:featureCount] {
		loss += ridge / 2 * v * v
	}
	return loss + biasRidge/2*x[featureCount]*x[featureCount]
}

// newtonSteps bounds the steps of Newton's method, of which some ten are needed.
const newtonSteps = 100

// curvature are the second and the first derivatives of the loss.
func curvature(rows []Features, examples []Example, weight, x []float64) (*mat.SymDense, *mat.VecDense) {
	const n = featureCount + 1
	var h [n][n]float64
	var g, row [n]float64
	for i := range rows {
		copy(row[:], rows[i][:])
		row[featureCount] = 1
		p := logistic(predict(x, &rows[i]))
		slope, bend := weight[i]*p, weight[i]*p*(1-p)
		if examples[i].IsTrue {
			slope -= weight[i]
		}
		for j := range n {
			if row[j] == 0 {
				continue
			}
			g[j] += slope * row[j]
			for k := j; k < n; k++ {
				h[j][k] += bend * row[j] * row[k]
			}
		}
	}
	hessian, gradient := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	for j := range n {
		for k := j; k < n; k++ {
			hessian.SetSym(j, k, h[j][k])
		}
		if j < featureCount {
			hessian.SetSym(j, j, h[j][j]+ridge)
			g[j] += ridge * x[j]
		} else {
			hessian.SetSym(j, j, h[j][j]+biasRidge)
			g[j] += biasRidge * x[j]
		}
		gradient.SetVec(j, g[j])
	}
	return hessian, gradient
}

func predict(x []float64, f *Features) float64 {
	z := x[featureCount]
	for i, v := range f {
		z += x[i] * v
	}
	return z
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
	return logistic(w.score(&f))
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
