package correlation

import (
	"crypto/sha256"
	_ "embed" // the weights
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/logistic"
)

// The score is a logistic regression, 1 / (1 + exp(-(b + Σ w f))), over features f of an
// incident and an earlier campaign. Features belong to parts; the contribution of a part is
// the sum of its w f. Each feature stands in featureTable with its formula.
const (
	rareEntity = iota
	rareIndicator
	sameMethods
	withinHour
	hours
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
	nearness
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
	"entities", "indicators", "methods", "time", "order", "rarity", "reality", "goals", "place",
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
	sameMethods:   {"same_methods", methods},      // rules in common, of those of the one with fewer
	withinHour:    {"within_hour", nearness},      // real exp(-gap / 1 h), the gap from the campaign's last alert
	hours:         {"hours", nearness},            // real log(1 + gap / 1 h)
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
	gap := float64(max(0, x.first-k.last)) / float64(time.Hour)
	f[withinHour], f[hours] = isReal*math.Exp(-gap), isReal*math.Log1p(gap)
	f[rareEntity] = isReal * c.rarestShared(x.entities, k.entities)
	f[rareIndicator] = isReal * c.rarestShared(x.indicators, k.indicators)
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
const weightsFormat = "hemostat.correlation/v1"

// Weights are what was learned of the score.
type Weights struct {
	Format string `json:"format"`
	// From says what they were learned from, in words.
	From      string             `json:"from"`
	Threshold float64            `json:"threshold"`
	Bias      float64            `json:"bias"`
	Features  map[string]float64 `json:"features"`
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
	for _, f := range featureTable {
		if _, ok := w.Features[f.name]; !ok {
			return nil, fmt.Errorf("the feature %s has no weight", f.name)
		}
	}
	if len(w.Features) != featureCount {
		return nil, fmt.Errorf("%d features are expected, not %d", featureCount, len(w.Features))
	}
	return &w, nil
}

// scorer is the regression in a form that is quick to ask.
type scorer struct {
	bias, threshold float64
	weights         [featureCount]float64
}

func newScorer(o Options) (scorer, error) {
	s := scorer{bias: o.Weights.Bias, threshold: o.Weights.Threshold}
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
	for i, f := range featureTable {
		if !slices.Contains(o.Without, partNames[f.part]) {
			s.weights[i] = o.Weights.Features[f.name]
		}
	}
	return s, nil
}

// score is the probability, and what each part adds to its log odds.
func (s *scorer) score(f *features) (float64, Parts) {
	var p Parts
	z := s.bias
	for i, v := range f {
		x := s.weights[i] * v
		z += x
		p[featureTable[i].part] += x
	}
	return logistic.Of(z), p
}
