package correlation

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the weights
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"hemostat/defenders/boosting"
	"hemostat/defenders/logistic"
)

// The score is 1 / (1 + exp(-z)), where the log odds z are the sum of small trees (package
// boosting) over features of an incident and an earlier campaign. Features belong to parts; the
// contribution of a part is the sum of the steps that the trees take at its features. Each
// feature stands in featureTable with its formula.
const (
	rareEntity = iota
	rareIndicator
	knownBoth
	knownHere
	knownThere
	sameMethods
	rulesHere
	rulesThere
	progress
	follows
	rareRule
	rareRuleThere
	realHere
	realThere
	realBoth
	goalsFit
	sameZone
	featureCount
)

// features of an incident and a campaign.
type features [featureCount]float64

// The parts of the score.
const (
	entities = iota
	indicators
	methods
	order
	rarity
	reality
	goals
	place
	partCount
)

// Parts are what each part of a score adds to its log odds.
type Parts [partCount]float64

// partNames name the parts, in configuration and in records.
var partNames = [partCount]string{
	"entities", "indicators", "methods", "order", "rarity", "reality", "goals", "place",
}

// PartNames lists the parts of the score.
func PartNames() []string { return slices.Clone(partNames[:]) }

// Map is the parts by name.
func (p *Parts) Map() map[string]float64 {
	m := make(map[string]float64, partCount)
	for i, v := range p {
		m[partNames[i]] = v
	}
	return m
}

// In featureTable, real is 1 / (1 + exp(-real_both)): what false alarms have in common with an
// attack, such as the host, tells little.
var featureTable = [featureCount]struct {
	name string
	part int
}{
	rareEntity:    {"rare_entity", entities},      // real / incidents with the rarest host, account or address in common
	rareIndicator: {"rare_indicator", indicators}, // real / incidents with the rarest outside thing or file in common
	knownBoth:     {"known_both", indicators},     // confidence of the sources in indicators, the lower of both sides
	knownHere:     {"known", indicators},          // confidence in the best known indicator here, 0 to 1
	knownThere:    {"known_there", indicators},    // the same there
	sameMethods:   {"same_methods", methods},      // rules in common, of those of the one with fewer
	rulesHere:     {"rules", methods},             // how many rules fired here
	rulesThere:    {"rules_there", methods},       // the same there
	progress:      {"progress", order},            // real (last tactic here - first there) / 10, in kill-chain order
	follows:       {"follows", order},             // real (first tactic here - last there) / 10
	rareRule:      {"rare_rule", rarity},          // 1 / incidents with the rarest rule here
	rareRuleThere: {"rare_rule_there", rarity},    // the same there
	realHere:      {"real", reality},              // log likelihood ratio of attack and false alarm here, -3 to 4
	realThere:     {"real_there", reality},        // the same there
	realBoth:      {"real_both", reality},         // the lower of the two
	goalsFit:      {"goals_fit", goals},           // real log Σ P(g here) P(g there) / P(g) over attackers' goals
	sameZone:      {"same_zone", place},           // real where a zone is shared, else 0
}

// compare computes the features of an incident and a campaign.
func (c *Correlator) compare(x *node, k *summary, f *features) {
	*f = features{}
	f[realHere], f[realThere] = x.suspicion(), k.suspicion()
	f[realBoth] = min(f[realHere], f[realThere])
	isReal := logistic.Of(f[realBoth])
	f[rareEntity] = isReal * c.rarestShared(x.entities, k.entities)
	f[rareIndicator] = isReal * c.rarestShared(x.indicators, k.indicators)
	f[knownBoth], f[knownHere], f[knownThere] = min(x.confidence, k.confidence), x.confidence, k.confidence
	f[rulesHere], f[rulesThere] = float64(len(x.rules)), float64(len(k.rules))
	if fewer := min(len(x.rules), len(k.rules)); fewer > 0 {
		f[sameMethods] = float64(common(x.rules, k.rules)) / float64(fewer)
	}
	xLow, xHigh := x.places()
	kLow, kHigh := k.places()
	f[progress], f[follows] = isReal*(xHigh-kLow)/10, isReal*(xLow-kHigh)/10
	f[rareRule], f[rareRuleThere] = c.rarest(x.rules), c.rarest(k.rules)
	f[goalsFit] = isReal * c.fit(x.goals, k.goals)
	if common(x.zones, k.zones) > 0 {
		f[sameZone] = isReal
	}
}

// rarest is 1 / the incidents with the rarest of the rules.
func (c *Correlator) rarest(rules []uint64) float64 {
	best := 0.0
	for _, r := range rules {
		best = max(best, c.rareness(r))
	}
	return best
}

// rareness is 1 / the incidents with a rule, an entity or an indicator.
func (c *Correlator) rareness(key uint64) float64 {
	if n := c.counts.Get(key); n != nil && *n > 0 {
		return 1 / float64(*n)
	}
	return 0
}

// rarestShared is 1 / the incidents with the rarest of what both have; 0 where they have
// nothing in common.
func (c *Correlator) rarestShared(a, b []uint64) float64 {
	best := 0.0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			best = max(best, c.rareness(a[i]))
			i++
			j++
		}
	}
	return best
}

// fit tells how well what is known of the goals here and there goes together.
func (c *Correlator) fit(here, there []float64) float64 {
	priors := c.options.Knowledge.GoalPriors()
	sum := 0.0
	a, b := posterior(priors, here), posterior(priors, there)
	for g, p := range priors {
		sum += a[g] * b[g] / p
	}
	return math.Log(sum + smallestFit)
}

// maxGoals bounds the kinds of goals, so that posteriors need no memory.
const maxGoals = 16

func posterior(priors, logs []float64) [maxGoals]float64 {
	var p [maxGoals]float64
	most := math.Inf(-1)
	for g, v := range priors {
		p[g] = math.Log(v)
		if logs != nil {
			p[g] += logs[g]
		}
		most = max(most, p[g])
	}
	sum := 0.0
	for g := range priors {
		p[g] = math.Exp(p[g] - most)
		sum += p[g]
	}
	for g := range priors {
		p[g] /= sum
	}
	return p
}

// weightsFormat names the form of the file.
const weightsFormat = "hemostat.correlation/v2"

// Weights are what was learned of the score.
type Weights struct {
	Format string `json:"format"`
	// From says what they were learned from, in words.
	From      string         `json:"from"`
	Threshold float64        `json:"threshold"`
	Model     boosting.Model `json:"model"`
}

//go:embed weights.json
var embedded []byte

// Embedded are the weights that come with the program.
func Embedded() (*Weights, error) { return ReadWeights(embedded) }

// EmbeddedDigest identifies those weights.
func EmbeddedDigest() string {
	sum := sha256.Sum256(embedded)
	return hex.EncodeToString(sum[:])
}

// ReadWeights reads weights.
func ReadWeights(data []byte) (*Weights, error) {
	var w Weights
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, fmt.Errorf("these are no weights of a correlation: %w", err)
	}
	if w.Format != weightsFormat {
		return nil, fmt.Errorf("the format is %q, not %s; hemostat train correlation makes one", w.Format, weightsFormat)
	}
	if !(w.Threshold > 0 && w.Threshold < 1) {
		return nil, fmt.Errorf("threshold %g: a number between 0 and 1 is expected", w.Threshold)
	}
	if err := w.Model.Check(featureNames()); err != nil {
		return nil, fmt.Errorf("model: %w; hemostat train correlation makes one that fits this version", err)
	}
	return &w, nil
}

// Encode writes weights as ReadWeights reads them, a tree a line.
func (w *Weights) Encode() ([]byte, error) {
	trees := w.Model.Trees
	head := *w
	head.Model.Trees = nil
	data, err := json.MarshalIndent(head, "", " ")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString("[")
	for i, t := range trees {
		line, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n   ")
		b.Write(line)
	}
	b.WriteString("]")
	return append(bytes.Replace(data, []byte(`"trees": null`), append([]byte(`"trees": `), b.Bytes()...), 1), '\n'), nil
}

func featureNames() []string {
	var names []string
	for _, f := range featureTable {
		names = append(names, f.name)
	}
	return names
}

// scorer asks the model.
type scorer struct {
	threshold float64
	model     *boosting.Model
}

func newScorer(o Options) (scorer, error) {
	s := scorer{threshold: o.Weights.Threshold, model: &o.Weights.Model}
	if o.Threshold != 0 {
		s.threshold = o.Threshold
	}
	for _, name := range o.Without {
		if !slices.Contains(partNames[:], name) {
			return s, fmt.Errorf("%q is no part of the correlation score; %s are", name, strings.Join(partNames[:], ", "))
		}
	}
	if n := len(o.Knowledge.GoalPriors()); n > maxGoals {
		return s, fmt.Errorf("the knowledge of attackers names %d goals, at most %d are accepted", n, maxGoals)
	}
	if len(o.Without) > 0 {
		s.model = s.model.Without(func(f int) bool { return slices.Contains(o.Without, partNames[featureTable[f].part]) })
	}
	return s, nil
}

// score is the probability, and what each part adds to its log odds.
func (s *scorer) score(f *features) (float64, Parts) {
	var shares features
	z := s.model.LogOdds(f[:], shares[:])
	var p Parts
	for i, x := range shares {
		p[featureTable[i].part] += x
	}
	return logistic.Of(z), p
}

// LinkScore is the score of a campaign and a later incident that are surely of one attacker, in one
// zone, as a share of the threshold: what an owner of the model can try an attack against.
// sharesIndicators tells whether an outside address is in common, methodsInCommon which share of
// the rules that fired.
func LinkScore(o Options, sharesIndicators bool, methodsInCommon float64) (float64, error) {
	if o.Weights == nil {
		w, err := weights()
		if err != nil {
			return 0, err
		}
		o.Weights = w
	}
	s, err := newScorer(o)
	if err != nil {
		return 0, err
	}
	const certain = 2 // log likelihood ratio of attack and false alarm
	f := features{
		rulesHere: 3, rulesThere: 3, progress: 0.3, follows: 0.1, rareRule: 0.5, rareRuleThere: 0.5, realHere: certain, realThere: certain,
		realBoth: certain, goalsFit: 0.5, sameZone: logistic.Of(certain), sameMethods: methodsInCommon,
	}
	if sharesIndicators {
		f[rareIndicator] = logistic.Of(certain)
	}
	score, _ := s.score(&f)
	return score / s.threshold, nil
}
