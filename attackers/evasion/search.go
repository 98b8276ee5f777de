package evasion

import (
	"cmp"
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
	// Link is how sure a model of trees is that two parts of an attack belong together, when so much
	// of what ties them is changed in between; from 1 on it links them.
	Link(c Changes) float64
	// Sees tells whether a rule or a detector sees a technique that is done with a tool.
	Sees(technique, tool string) bool
}

// Changes are what an attacker changes between two parts of their attack.
type Changes struct {
	Pause      time.Duration
	Indicators bool // another address and domain
	Tools      bool // none of the tools used before
}

// price is what the changes cost, in minutes of the attacker's time.
func (c *Changes) price() float64 {
	minutes := c.Pause.Minutes()
	if c.Indicators {
		minutes += 10
	}
	if c.Tools {
		minutes += 30
	}
	return minutes
}

// String says what is changed.
func (c *Changes) String() string {
	text := "a pause of " + c.Pause.String()
	if c.Indicators {
		text += ", another address and domain"
	}
	if c.Tools {
		text += ", other tools"
	}
	return text
}

// possible lists the changes with pauses up to a bound, the cheapest first.
func possible(longest time.Duration) []Changes {
	var out []Changes
	for pause := 15 * time.Minute; pause <= longest; pause += 15 * time.Minute {
		for n := range 4 {
			out = append(out, Changes{pause, n&1 != 0, n&2 != 0})
		}
	}
	slices.SortStableFunc(out, func(a, b Changes) int { return cmp.Compare(a.price(), b.price()) })
	return out
}

// breakLinks asks for changes, the cheapest first, until the model no longer links across them; where
// it always does it returns those with the least score.
func breakLinks(link func(Changes) float64, longest time.Duration, questions int) (found Changes, score float64, asked int) {
	list := possible(longest)
	if len(list) == 0 {
		return Changes{}, 1, 0
	}
	score = 2
	for _, c := range list {
		if asked >= questions {
			break
		}
		asked++
		if s := link(c); s < score {
			found, score = c, s
		}
		if score < 1 {
			break
		}
	}
	return found, score, asked
}

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
