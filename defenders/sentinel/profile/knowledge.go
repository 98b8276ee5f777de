package profile

import (
	"crypto/sha256"
	_ "embed" // what was learned from the program's own trials
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// knowledgeFormat names the form of the file.
const knowledgeFormat = "hemostat.profile/v1"

// none is the goal of an incident that no attacker caused: a false alarm.
const none = "none"

// Counts counts things by name.
type Counts map[string]float64

// Knowledge is what the filter knows before it sees an incident.
type Knowledge struct {
	Format string `json:"format"`
	// From says what it was learned from, in words.
	From string `json:"from"`
	// Tactics gives the tactic of each technique that may be forecast.
	Tactics map[string]string `json:"tactics"`
	// Goals counts attacks by goal, with none for incidents without one. GoalTypes counts
	// types of attackers by goal.
	Goals     Counts            `json:"goals"`
	GoalTypes map[string]Counts `json:"goal_types"`
	// Seen counts the techniques of alerts by goal.
	Seen map[string]Counts `json:"seen"`
	// Next counts the technique that was tried next, after an alert of a technique; GoalNext
	// the same by goal; TacticNext by tactics, Within the technique within its tactic.
	Next       map[string]Counts            `json:"next"`
	GoalNext   map[string]map[string]Counts `json:"goal_next"`
	TacticNext map[string]Counts            `json:"tactic_next"`
	Within     map[string]Counts            `json:"within"`
	// Groups counts how many groups of ATT&CK use a technique, of GroupsAll in all, and
	// Together how many use two; both are empty where no facts about groups were given.
	Groups    Counts            `json:"groups"`
	GroupsAll float64           `json:"groups_all"`
	Together  map[string]Counts `json:"together"`
	// Stages counts the tactic that an attacker was at, by the tactic of the newest alert.
	Stages map[string]Counts `json:"stages"`
	// Gaps and Severities count, by skill, the time between alerts and their severity.
	Gaps       map[string]Counts `json:"gaps"`
	Severities map[string]Counts `json:"severities"`
	Skills     Counts            `json:"skills"`
	// Aware counts, by how often the response acted and how long ago the last alert was, how
	// often the attacker had been blocked ("yes") or not ("no").
	Aware map[string]Counts `json:"aware"`
	// Places counts, by the tactic of the newest alert, whether the next step was on the same
	// host, on another of the incident, or on a new one; Roles the roles of new ones.
	Places map[string]Counts `json:"places"`
	Roles  Counts            `json:"roles"`
	// Weights are those of the experts whose forecasts are mixed, by situation.
	Weights map[string][]float64 `json:"weights"`

	compiled
}

// compiled is the knowledge in a form that is quick to ask.
type compiled struct {
	techniques []string
	index      map[string]int
	tactics    []string
	tacticOf   []int   // of each technique
	members    [][]int // techniques of each tactic
	goals      []string
	logPrior   []float64
	logSeen    [][]float64 // by goal and technique, the last one for techniques without a name here
	goalPriors []float64   // of attacks, without false alarms
	likely     []Likelihoods
	popular    []float64
	logLift    [][]float64
	base       []float64
	tactic     [][]float64 // forecast by the tactic of the last alert, the last for unknown ones
	chain      [][]float64 // by technique of the last alert
	chainCount []float64
	goalChain  [][][]float64 // by goal and technique; nil where the goal's own counts are empty
}

//go:embed knowledge.json
var embedded []byte

// Embedded is the knowledge that comes with the program.
func Embedded() (*Knowledge, error) { return Read(embedded) }

// EmbeddedDigest identifies that knowledge.
func EmbeddedDigest() string {
	sum := sha256.Sum256(embedded)
	return hex.EncodeToString(sum[:])
}

// Read reads knowledge.
func Read(data []byte) (*Knowledge, error) {
	var k Knowledge
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("this is no knowledge of attackers: %w", err)
	}
	if k.Format != knowledgeFormat {
		return nil, fmt.Errorf("the format is %q, not %s; hemostat train profile makes one", k.Format, knowledgeFormat)
	}
	return &k, k.compile()
}

// The constants of the estimates; they are those of Witten and Bell (1991) for chains, and
// pseudo-counts elsewhere.
const (
	groupsWeight  = 20.0 // alerts that facts about groups weigh in the base rates
	tacticWeight  = 3.0
	withinWeight  = 4.0
	seenWeight    = 0.3
	liftWeight    = 20.0
	liftExponent  = 0.5
	smallestLift  = 0.05
	escapeWeight  = 0.5
	surelySame    = 1e-4 // what the expert for repetition leaves to all others
	historyFloor  = 1e-3
	historySame   = 0.3
	historyFollow = 0.7
)

// compile makes the tables.
func (k *Knowledge) compile() error {
	if len(k.Tactics) == 0 || len(k.Goals) == 0 {
		return errors.New("the knowledge names no techniques or no goals")
	}
	c := &k.compiled
	c.techniques, c.index = sortedKeys(k.Tactics), map[string]int{}
	c.goals = sortedKeys(k.Goals)
	for i, t := range c.techniques {
		c.index[t] = i
		if tactic := k.Tactics[t]; !slices.Contains(c.tactics, tactic) {
			c.tactics = append(c.tactics, tactic)
		}
	}
	slices.Sort(c.tactics)
	c.members = make([][]int, len(c.tactics))
	for i, t := range c.techniques {
		at := slices.Index(c.tactics, k.Tactics[t])
		c.tacticOf = append(c.tacticOf, at)
		c.members[at] = append(c.members[at], i)
	}
	k.compilePopularity()
	k.compileTactics()
	k.compileChains()
	k.compileGoals()
	k.compileLikelihoods()
	return k.checkWeights()
}

func (k *Knowledge) checkWeights() error {
	for situation, w := range k.Weights {
		sum := 0.0
		for _, v := range w {
			if !(v >= 0) {
				return fmt.Errorf("weights of %s: a weight is not negative", situation)
			}
			sum += v
		}
		if len(w) != experts || math.Abs(sum-1) > 0.01 {
			return fmt.Errorf("weights of %s: %d weights with the sum 1 are expected", situation, experts)
		}
	}
	return nil
}

func (k *Knowledge) compilePopularity() {
	c := &k.compiled
	n := len(c.techniques)
	c.popular, c.base = make([]float64, n), make([]float64, n)
	for i, t := range c.techniques {
		c.popular[i] = k.Groups[t] + 0.5
	}
	normalize(c.popular)
	tried := Counts{}
	for _, counts := range k.Next {
		for t, v := range counts {
			tried[t] += v
		}
	}
	for i, t := range c.techniques {
		c.base[i] = tried[t] + groupsWeight*c.popular[i]
	}
	normalize(c.base)
	c.logLift = make([][]float64, n)
	for i, a := range c.techniques {
		if k.Groups[a] == 0 || k.GroupsAll == 0 {
			continue
		}
		c.logLift[i] = make([]float64, n)
		for j, b := range c.techniques {
			expected := (k.Groups[b] + 0.5) / k.GroupsAll
			lift := (k.Together[a][b] + liftWeight*expected) / (k.Groups[a] + liftWeight) / expected
			c.logLift[i][j] = liftExponent * math.Log(max(lift, smallestLift))
		}
	}
}

// compileTactics makes the forecast that knows only which tactic follows which.
func (k *Knowledge) compileTactics() {
	c := &k.compiled
	within := make([]float64, len(c.techniques)) // of a technique within its tactic
	for at, tactic := range c.tactics {
		popular := 0.0
		for _, i := range c.members[at] {
			popular += c.popular[i]
		}
		counts := k.Within[tactic]
		all := total(counts)
		for _, i := range c.members[at] {
			within[i] = (counts[c.techniques[i]] + withinWeight*c.popular[i]/popular) / (all + withinWeight)
		}
	}
	for from := range len(c.tactics) + 1 {
		var counts Counts
		if from < len(c.tactics) {
			counts = k.TacticNext[c.tactics[from]]
		}
		all := total(counts)
		row := make([]float64, len(c.techniques))
		for i := range row {
			tactic := c.tactics[c.tacticOf[i]]
			row[i] = within[i] * (counts[tactic] + tacticWeight/float64(len(c.tactics))) / (all + tacticWeight)
		}
		normalize(row)
		c.tactic = append(c.tactic, row)
	}
}

// compileChains makes the chain from the technique of an alert to the next one tried, which
// falls back to tactics as far as little is known, and the same by goal.
func (k *Knowledge) compileChains() {
	c := &k.compiled
	for i, t := range c.techniques {
		c.chain = append(c.chain, c.backOff(k.Next[t], c.tactic[c.tacticOf[i]]))
		c.chainCount = append(c.chainCount, total(k.Next[t]))
	}
	for _, g := range c.goals {
		rows := make([][]float64, len(c.techniques))
		for i, t := range c.techniques {
			if own := k.GoalNext[g][t]; len(own) > 0 {
				rows[i] = c.backOff(own, c.chain[i])
			}
		}
		c.goalChain = append(c.goalChain, rows)
	}
}

// backOff are counts with a part left to another forecast, the larger the more kinds there
// are among few counts (Witten and Bell 1991, method C).
func (c *compiled) backOff(counts Counts, to []float64) []float64 {
	kinds := 0
	for _, v := range counts {
		if v > 0 {
			kinds++
		}
	}
	left := float64(kinds) + escapeWeight
	all := total(counts) + left
	row := make([]float64, len(to))
	for i, t := range c.techniques {
		row[i] = (counts[t] + left*to[i]) / all
	}
	normalize(row)
	return row
}

func (k *Knowledge) compileGoals() {
	c := &k.compiled
	all := total(k.Goals)
	kinds := float64(len(c.techniques) + 1)
	for _, g := range c.goals {
		c.logPrior = append(c.logPrior, math.Log((k.Goals[g]+seenWeight)/(all+seenWeight*float64(len(c.goals)))))
		sum := total(k.Seen[g])
		row := make([]float64, len(c.techniques)+1)
		for i, t := range c.techniques {
			row[i] = math.Log((k.Seen[g][t] + seenWeight) / (sum + seenWeight*kinds))
		}
		row[len(c.techniques)] = math.Log(seenWeight / (sum + seenWeight*kinds))
		c.logSeen = append(c.logSeen, row)
	}
}

// Likelihoods tell how likely a technique is in an alert.
type Likelihoods struct {
	Goals      []float64 // logarithms, by goal of an attacker, in the order of GoalPriors
	FalseAlarm float64   // logarithm, where no attacker is behind it
	Tactic     string    // "" where it is not known
}

// GoalPriors are the shares of the goals among attacks, in the order of their names.
func (k *Knowledge) GoalPriors() []float64 { return k.goalPriors }

// Likelihoods tells how likely a technique is in alerts.
func (k *Knowledge) Likelihoods(technique string) *Likelihoods { return &k.likely[k.place(technique)] }

func (k *Knowledge) compileLikelihoods() {
	c := &k.compiled
	k.likely = make([]Likelihoods, len(c.techniques)+1)
	for i := range k.likely {
		if i < len(c.tacticOf) {
			k.likely[i].Tactic = c.tactics[c.tacticOf[i]]
		}
		for g, goal := range c.goals {
			if goal == none {
				k.likely[i].FalseAlarm = c.logSeen[g][i]
				continue
			}
			k.likely[i].Goals = append(k.likely[i].Goals, c.logSeen[g][i])
		}
	}
	for g, goal := range c.goals {
		if goal != none {
			k.goalPriors = append(k.goalPriors, math.Exp(c.logPrior[g]))
		}
	}
	normalize(k.goalPriors)
}

// place is a technique's place in the tables; the last one for a technique without a name
// there, for which that of its root stands.
func (c *compiled) place(technique string) int {
	if i, ok := c.index[technique]; ok {
		return i
	}
	if len(technique) > 5 {
		if i, ok := c.index[technique[:5]]; ok {
			return i
		}
	}
	for i, t := range c.techniques {
		if technique != "" && len(t) > 5 && t[:5] == technique[:min(5, len(technique))] {
			return i
		}
	}
	return len(c.techniques)
}

func (c *compiled) tacticAt(place int) int {
	if place < len(c.tacticOf) {
		return c.tacticOf[place]
	}
	return len(c.tactics)
}

func total(c Counts) float64 {
	sum := 0.0
	for _, name := range sortedKeys(c) { // in order, since sums of fractions depend on it
		sum += c[name]
	}
	return sum
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func normalize(p []float64) {
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	if sum <= 0 {
		return
	}
	for i := range p {
		p[i] /= sum
	}
}
