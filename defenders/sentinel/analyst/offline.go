package analyst

import (
	"cmp"
	_ "embed" // the weights of the offline analyst
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"hemostat/defenders/logistic"
)

// weightsFormat names the form of the file of weights.
const weightsFormat = "hemostat.offline-analyst/v1"

// Weights are what the offline analyst has learned: a logistic regression over Features.
type Weights struct {
	Format string `json:"format"`
	// From says what they were learned from, in words.
	From string `json:"from"`
	// Dismiss and Raise are the probabilities below and above which an alert is dismissed
	// and raised.
	Dismiss float64 `json:"dismiss"`
	Raise   float64 `json:"raise"`
	Bias    float64 `json:"bias"`
	// Features holds the weight of each feature by its name.
	Features map[string]float64 `json:"features"`
	// Rules and Techniques hold the log odds, against those of all alerts, that an alert of
	// a rule or technique was true.
	Rules      map[string]float64 `json:"rules"`
	Techniques map[string]float64 `json:"techniques"`

	weights [featureCount]float64
}

//go:embed weights.json
var embeddedWeights []byte

// EmbeddedWeights are those that come with the program.
func EmbeddedWeights() (*Weights, error) { return ReadWeights(embeddedWeights) }

// ReadWeights reads a file of weights.
func ReadWeights(data []byte) (*Weights, error) {
	var w Weights
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("these are no weights of the offline analyst: %w", err)
	}
	if w.Format != weightsFormat {
		return nil, fmt.Errorf("the format is %q, not %s; hemostat train analyst makes one", w.Format, weightsFormat)
	}
	if !(w.Dismiss >= 0 && w.Dismiss <= w.Raise && w.Raise <= 1) {
		return nil, fmt.Errorf("dismiss (%g) and raise (%g) are probabilities, the first no greater than the second",
			w.Dismiss, w.Raise)
	}
	known := map[string]int{}
	for i, f := range featureTable {
		known[f.name] = i
	}
	for name, weight := range w.Features {
		i, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("unknown feature %q; the weights were made by another version: hemostat train analyst makes new ones", name)
		}
		w.weights[i] = weight
	}
	return &w, nil
}

// Digest identifies what was learned.
func (w *Weights) Digest() []byte {
	text, err := json.Marshal(w)
	if err != nil {
		panic("analyst: weights cannot be encoded: " + err.Error()) // they are numbers and texts
	}
	return text
}

// Offline is the offline analyst: a small statistical model, no language model.
type Offline struct{ weights *Weights }

// NewOffline makes an offline analyst.
func NewOffline(w *Weights) *Offline { return &Offline{w} }

// Name implements Judge.
func (o *Offline) Name() string { return "offline" }

// Judge implements Judge.
func (o *Offline) Judge(c *Case) (Answer, error) {
	f := c.features(o.weights)
	p := logistic.Of(o.weights.score(&f))
	v := Verdict{Decision: Confirm, Confidence: p, Reasons: o.reasons(&f, c.Alert.Evidence)}
	switch {
	case p < o.weights.Dismiss:
		v.Decision = Dismiss
	case p > o.weights.Raise:
		v.Decision = Raise
	}
	return Answer{Verdict: v}, nil
}

// score is the log odds that an alert is true.
func (w *Weights) score(f *Features) float64 {
	sum := w.Bias
	for i, x := range f {
		sum += w.weights[i] * x
	}
	return sum
}

// maxReasons bounds what is said of a verdict.
const maxReasons = 4

// reasons are the features that moved the verdict most.
func (o *Offline) reasons(f *Features, evidence []uint64) []Reason {
	var moved [featureCount]int
	n := 0
	weight := func(i int) float64 { return o.weights.weights[i] * f[i] }
	for i := range f {
		if math.Abs(weight(i)) >= 0.05 {
			moved[n] = i
			n++
		}
	}
	slices.SortFunc(moved[:n], func(a, b int) int {
		return cmp.Or(cmp.Compare(math.Abs(weight(b)), math.Abs(weight(a))), a-b)
	})
	out := make([]Reason, 0, maxReasons)
	for _, i := range moved[:min(n, maxReasons)] {
		out = append(out, Reason{Text: f.describe(i), Weight: math.Round(100*weight(i)) / 100, Evidence: evidence})
	}
	return out
}
