package fidelity

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"hemostat/reports/stats"
	"hemostat/sim"
)

// Ranking tells how well the simulation ranks rule sets as recordings do. Random subsets
// of equal size are drawn of the rules that fire anywhere; each is scored by its mean
// detection over techniques, once on recordings and once on the simulation, and the two
// scores are correlated by rank (Spearman).
type Ranking struct {
	// Value is the correlation over the techniques of which there are several
	// recordings, with its 95 % interval from resampled techniques (percentile bootstrap).
	Value float64 `json:"value"`
	Lo    float64 `json:"lo"`
	Hi    float64 `json:"hi"`
	// Ceiling is the correlation that one half of each technique's recordings reaches
	// with the other half, the mean of random divisions; Half is the simulation's with
	// such a half, so that both know as little.
	Ceiling float64 `json:"ceiling"`
	Half    float64 `json:"half"`
	// AsRecorded is Value when the simulation is seen through the logs that each
	// recording holds only.
	AsRecorded float64 `json:"as_recorded"`
	// All is the correlation over all techniques compared.
	All float64 `json:"all_techniques"`
	// Subsets is how many were drawn, Share how large each is, Techniques how many have
	// several recordings.
	Subsets    int     `json:"subsets"`
	Share      float64 `json:"share"`
	Techniques int     `json:"techniques"`
}

const (
	subsets    = 1000
	divisions  = 40
	replicates = 1000
	ruleShare  = 0.5
)

// ruleSet is a set of rules as bits.
type ruleSet []uint64

func (s ruleSet) add(i int) { s[i>>6] |= 1 << (i & 63) }

func (s ruleSet) meets(other ruleSet) bool {
	for i, word := range s {
		if word&other[i] != 0 {
			return true
		}
	}
	return false
}

// ranker holds what is drawn once for a report.
type ranker struct {
	words   int
	dense   map[int]int // of rules that fire anywhere
	subsets []ruleSet
}

func newRanker(subjects []subject) *ranker {
	fires := map[int]bool{}
	for _, s := range subjects {
		for _, x := range s.recordings {
			rulesOf(x.Hits, fires)
		}
		for _, x := range s.tools {
			rulesOf(x.Hits, fires)
		}
	}
	k := &ranker{words: (len(fires) + 63) / 64, dense: map[int]int{}}
	for _, i := range slices.Sorted(maps.Keys(fires)) {
		k.dense[i] = len(k.dense)
	}
	draw := sim.NewStreams(1, 0).Stream("fidelity", "subsets")
	order := make([]int, len(k.dense))
	for i := range order {
		order[i] = i
	}
	for range subsets {
		draw.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		s := make(ruleSet, k.words)
		for _, i := range order[:int(math.Round(ruleShare*float64(len(order))))] {
			s.add(i)
		}
		k.subsets = append(k.subsets, s)
	}
	return k
}

// of is the set of rules that fire in a log, in some of its channels or in all (nil).
func (k *ranker) of(l *Log, channels map[string]bool) ruleSet {
	s := make(ruleSet, k.words)
	for _, h := range l.Hits {
		if channels == nil || channels[channel(h.Type)] {
			s.add(k.dense[h.Rule])
		}
	}
	return s
}

// scores is, for each subset, the share of cases that it detects.
func (k *ranker) scores(cases []ruleSet) []float64 {
	out := make([]float64, len(k.subsets))
	for i, s := range k.subsets {
		n := 0
		for _, c := range cases {
			if c.meets(s) {
				n++
			}
		}
		out[i] = float64(n) / float64(len(cases))
	}
	return out
}

// meanOver is the mean of the techniques' scores, by subset.
func meanOver(scores [][]float64, chosen func(i int) int) []float64 {
	out := make([]float64, subsets)
	for i := range scores {
		for k, v := range scores[chosen(i)] {
			out[k] += v / float64(len(scores))
		}
	}
	return out
}

func same(i int) int { return i }

// rank fills in the ranking and the mean detections.
func (o *Observations) rank(r *Report, compared []subject) {
	r.Ranking = Ranking{Subsets: subsets, Share: ruleShare}
	if len(compared) == 0 {
		return
	}
	k := newRanker(compared)
	var recorded, simulated [][]float64
	var several []int // of compared
	for i, s := range compared {
		recorded = append(recorded, k.scores(k.recordings(s)))
		simulated = append(simulated, k.scores(k.tools(s)))
		if len(s.recordings) > 1 {
			several = append(several, i)
		}
		for n := range r.Techniques {
			if t := &r.Techniques[n]; t.ID == s.id {
				t.DetectionRecorded, t.DetectionSimulated = mean(recorded[i]), mean(simulated[i])
			}
		}
		r.DetectionRecorded += mean(recorded[i]) / float64(len(compared))
		r.DetectionSimulated += mean(simulated[i]) / float64(len(compared))
	}
	r.Ranking.All = finite(stats.Spearman(meanOver(recorded, same), meanOver(simulated, same)))
	r.Ranking.Techniques = len(several)
	if len(several) == 0 {
		return
	}
	in, out := pickRows(recorded, several), pickRows(simulated, several)
	inside, outside := meanOver(out, same), meanOver(in, same)
	for i := range inside {
		r.Points = append(r.Points, [2]float64{outside[i], inside[i]})
	}
	r.Deciding = o.deciding(k, outside, inside)
	r.Ranking.Value = finite(stats.Spearman(outside, inside))
	r.Ranking.Lo, r.Ranking.Hi = bootstrap(in, out)
	var restricted [][]float64
	var chosen []subject
	for _, i := range several {
		chosen = append(chosen, compared[i])
		restricted = append(restricted, k.scores(k.asRecorded(compared[i])))
	}
	r.Ranking.AsRecorded = finite(stats.Spearman(outside, meanOver(restricted, same)))
	r.Ranking.Ceiling, r.Ranking.Half = k.ceiling(chosen, inside)
}

// deciding lists what each rule is worth: how much higher the mean detection of the subsets
// with it is than of those without.
func (o *Observations) deciding(k *ranker, recorded, simulated []float64) []Deciding {
	out := make([]Deciding, 0, len(k.dense))
	for _, i := range slices.Sorted(maps.Keys(k.dense)) {
		at := k.dense[i]
		var sums [2][2]float64 // with and without, recorded and simulated
		n := [2]float64{}
		for s, set := range k.subsets {
			which := 1
			if set[at>>6]&(1<<(at&63)) != 0 {
				which = 0
			}
			n[which]++
			sums[which][0] += recorded[s]
			sums[which][1] += simulated[s]
		}
		out = append(out, Deciding{
			Rule: o.Rules[i], Recorded: sums[0][0]/n[0] - sums[1][0]/n[1], Simulated: sums[0][1]/n[0] - sums[1][1]/n[1],
		})
	}
	slices.SortStableFunc(out, func(a, b Deciding) int { return cmp.Compare(b.Recorded, a.Recorded) })
	return out
}

func pickRows(rows [][]float64, which []int) [][]float64 {
	var out [][]float64
	for _, i := range which {
		out = append(out, rows[i])
	}
	return out
}

func (k *ranker) recordings(s subject) []ruleSet {
	var out []ruleSet
	for _, x := range s.recordings {
		out = append(out, k.of(&x.Log, nil))
	}
	return out
}

func (k *ranker) tools(s subject) []ruleSet {
	var out []ruleSet
	for _, x := range s.tools {
		out = append(out, k.of(&x.Log, nil))
	}
	return out
}

// asRecorded is each tool seen through the logs of each recording.
func (k *ranker) asRecorded(s subject) []ruleSet {
	var out []ruleSet
	for _, x := range s.recordings {
		channels := map[string]bool{}
		for t := range x.Types {
			channels[channel(t)] = true
		}
		for _, tool := range s.tools {
			out = append(out, k.of(&tool.Log, channels))
		}
	}
	return out
}

// ceiling divides each technique's recordings in two at random, many times.
func (k *ranker) ceiling(chosen []subject, inside []float64) (ceiling, half float64) {
	draw := sim.NewStreams(1, 0).Stream("fidelity", "halves")
	all := make([][]ruleSet, len(chosen))
	for i, s := range chosen {
		all[i] = k.recordings(s)
	}
	for range divisions {
		var first, second [][]float64
		for _, cases := range all {
			draw.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
			middle := len(cases) / 2
			if len(cases)%2 == 1 && draw.Bool(0.5) {
				middle++
			}
			first = append(first, k.scores(cases[:middle]))
			second = append(second, k.scores(cases[middle:]))
		}
		a, b := meanOver(first, same), meanOver(second, same)
		ceiling += finite(stats.Spearman(a, b)) / divisions
		half += (finite(stats.Spearman(a, inside)) + finite(stats.Spearman(b, inside))) / 2 / divisions
	}
	return ceiling, half
}

// bootstrap resamples techniques.
func bootstrap(recorded, simulated [][]float64) (lo, hi float64) {
	draw := sim.NewStreams(1, 0).Stream("fidelity", "bootstrap")
	values := make([]float64, replicates)
	chosen := make([]int, len(recorded))
	for n := range values {
		for i := range chosen {
			chosen[i] = draw.IntN(len(recorded))
		}
		pick := func(i int) int { return chosen[i] }
		values[n] = finite(stats.Spearman(meanOver(recorded, pick), meanOver(simulated, pick)))
	}
	slices.Sort(values)
	return stats.Quantile(values, 0.025), stats.Quantile(values, 0.975)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// finite is 0 where one of two samples is constant, so that nothing is known.
func finite(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}
