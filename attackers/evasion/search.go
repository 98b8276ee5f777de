package evasion

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"hemostat/attackers/technique"
	"hemostat/sim"
	"hemostat/sim/rhythm"
)

// Oracle answers the questions of an attacker who has access to the defence's detectors.
type Oracle interface {
	// Rhythm is how much calls at these times with so many bytes each look like a beacon's, 0 to 1.
	Rhythm(at []time.Duration, sent []float64) float64
	// Window is how much a host that does so much of each kind in a quarter of an hour stands out,
	// in bits.
	Window(acts map[Act]float64) float64
	// Sees tells whether a rule or a detector sees a technique that is done with a tool.
	Sees(technique, tool string) bool
}

// Act is a kind of ordinary act on a host.
type Act string

// The acts.
const (
	StartProgram Act = "process"
	WriteFile    Act = "file"
	CallInside   Act = "connection"
)

// acts in the order in which they are tried.
var acts = []Act{StartProgram, WriteFile, CallInside}

// usual is what an attack does on a host in a quarter of an hour, as the attacker assumes.
var usual = map[Act]float64{StartProgram: 5, WriteFile: 3, CallInside: 4}

// tuningTarget is the score below which the attacker is content: what calls of people have.
const tuningTarget = 0.55

// callsTried is how many calls each try consists of.
const callsTried = 33

// published is the score of calls by the statistics that are public, which an attacker without
// access tries themselves against.
func published(at []time.Duration, sent []float64) float64 {
	return 0.65*rhythm.Regularity(rhythm.Intervals(nil, at), rhythm.IntervalGrain) +
		0.35*rhythm.Regularity(slices.Clone(sent), rhythm.SizeGrain)
}

// tuned is the outcome of a search for a rhythm.
type tuned struct {
	rhythm technique.Rhythm
	score  float64
	asked  int
}

// price is what the rhythm costs: calls that come more rarely, and their bytes.
func (t *tuned) price() float64 { return t.rhythm.Stretch * (1 + t.rhythm.Padding/1e5) }

// tuneRhythm tries rhythms at random, so many, and takes the cheapest that looks like people, or
// the one with the least score. It is a search without gradients (AML.T0043.001): of the detector
// it needs only what it says.
func tuneRhythm(score func([]time.Duration, []float64) float64, tries int, slowest float64, s sim.Stream) tuned {
	best := tuned{score: 2}
	for i := range tries {
		draw := s.At(uint64(i))
		t := tuned{rhythm: technique.Rhythm{
			Shape: sim.Pick(&draw, technique.RhythmShapes), Jitter: draw.Float64(), Stretch: 1 + (slowest-1)*draw.Float64(),
			Padding: 4096 * draw.Float64(),
		}}
		at, sent := make([]time.Duration, callsTried), make([]float64, callsTried)
		now := time.Duration(0)
		for k := range at {
			at[k], sent[k] = now, float64(t.rhythm.Size(640, &draw))
			now += t.rhythm.Interval(time.Minute, &draw)
		}
		t.score = score(at, sent)
		if better(&t, &best) {
			best = t
		}
	}
	best.asked = tries
	return best
}

// better tells whether a rhythm is to be preferred.
func better(a, b *tuned) bool {
	content, was := a.score <= tuningTarget, b.score <= tuningTarget
	switch {
	case content != was:
		return content
	case content:
		return a.price() < b.price()
	}
	return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.price(), b.price())) < 0
}

// padWindow adds ordinary acts one bundle after the other, each time of the kind that makes the
// window stand out least, as long as it helps: a greedy search within a bound on the number of
// acts and of questions.
func padWindow(standsOut func(map[Act]float64) float64, most, questions int) (added map[Act]int, asked int, before, after float64) {
	const bundle = 3
	added = map[Act]int{}
	ask := func() float64 {
		asked++
		window := maps.Clone(usual)
		for act, n := range added {
			window[act] += float64(n)
		}
		return standsOut(window)
	}
	before = ask()
	after = before
	for total := 0; total+bundle <= most && asked+len(acts) <= questions; total += bundle {
		best, at := after, Act("")
		for _, act := range acts {
			added[act] += bundle
			if bits := ask(); bits < best {
				best, at = bits, act
			}
			added[act] -= bundle
		}
		if at == "" {
			break
		}
		added[at] += bundle
		after = best
	}
	maps.DeleteFunc(added, func(_ Act, n int) bool { return n == 0 })
	return added, asked, before, after
}
