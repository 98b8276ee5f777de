package encrypted

import (
	"fmt"
	"slices"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
	"hemostat/sim/rhythm"
	"hemostat/sim/severity"
)

// beacons remembers when each pair of a host and a place spoke.
type beacons struct{ pairs *sketch.Map[uint64, pair] }

func newBeacons(pairs int) beacons { return beacons{sketch.NewMap[uint64, pair](pairs)} }

const (
	// kept is how many calls of a pair are remembered.
	kept = 33
	// enough is how many calls say something about their rhythm.
	enough = 14
	// together is within which time calls count as one.
	together = 2 * time.Second
	// What the rhythm, the sizes and the place count for; together 1.
	timingWeight, sizeWeight, contextWeight = 0.45, 0.25, 0.3
	// quiet is how long a beacon that was found is not found again.
	quiet = 12 * time.Hour
)

// pair is a host and a place outside.
type pair struct {
	at       [kept]time.Duration // the last calls, the oldest first
	sent     [kept]float32
	n        int
	since    time.Duration
	reported time.Duration
	found    bool
}

// call notes a call and judges the rhythm of its pair.
func (d *detector) call(at time.Duration, from, to string, sent float64, e *event.Event, report detect.Report) {
	key := sketch.Hash(from, to)
	p := d.beacons.pairs.Get(key)
	if p == nil {
		p = &pair{since: at}
		d.beacons.pairs.Put(key, p)
	}
	if !p.add(at, float32(sent)) || p.n < enough || p.found && (at-p.reported).Abs() < quiet {
		return
	}
	place := d.places.at(to)
	if place.callers.n >= maxCallers {
		return // everybody calls there
	}
	timing := p.timing()
	if timing < 0.75 {
		timing = max(timing, p.steady())
	}
	best := timingWeight*timing + sizeWeight + contextWeight
	bar := d.bar(d.options.Beacon, from)
	if best < bar && (d.score == nil || best < scoreFloor) {
		return // whatever else is known of the pair
	}
	size := p.sizes(timing)
	context := d.places.standsOut(from, to)
	score := timingWeight*timing + sizeWeight*size + contextWeight*context
	if d.score != nil && score >= scoreFloor {
		d.score(detect.Score{Entity: from + " " + to, Of: "beacon", Value: score, Bar: bar, Reported: score >= bar,
			Evidence: e.ID, Time: at})
	}
	if score < bar {
		return
	}
	p.found, p.reported = true, at
	interval := p.median()
	reasons := []alert.Reason{
		reason("interval", fmt.Sprintf("%s between %d calls", interval.Round(time.Second), p.n),
			"calls of people come irregularly"),
		reason("regularity", fmt.Sprintf("%.2f", timing),
			"1 minus skew and dispersion of the intervals, or how well they keep a clock; 0.5 for people"),
		reason("size", fmt.Sprintf("%.2f", size), "the same for the bytes sent"),
	}
	reasons = append(reasons, d.places.why(from, to)...)
	level, confidence := severity.Medium, 0.6
	if score > 0.93 {
		level, confidence = severity.High, 0.8
	}
	report(detect.Finding{
		RuleID: "encrypted/beacon", Title: "Regular Calls To A Place That Hardly Anyone Calls",
		Techniques: []string{"T1071.001", "T1573"},
		Severity:   level, Confidence: confidence, Evidence: []uint64{e.ID}, Reasons: reasons,
	})
}

// CallScore is the score of calls at these times with so many bytes each to a place that stands
// out in every other way: what an owner of the detector can try calls against.
func CallScore(at []time.Duration, sent []float64) float64 {
	p := &pair{}
	for i := range at {
		p.add(at[i], float32(sent[i]))
	}
	timing := p.timing()
	timing = max(timing, p.steady())
	return timingWeight*timing + sizeWeight*p.sizes(timing) + contextWeight
}

// add notes a call in the order of time, and tells whether it is one of its own.
func (p *pair) add(at time.Duration, sent float32) bool {
	i := p.n
	for i > 0 && p.at[i-1] > at { // logs of connections may come late
		i--
	}
	for _, near := range []int{i - 1, i} {
		if near >= 0 && near < p.n && (p.at[near]-at).Abs() < together {
			p.sent[near] += sent
			return false
		}
	}
	if p.n == kept {
		if i == 0 {
			return false // older than all that is known
		}
		copy(p.at[:], p.at[1:])
		copy(p.sent[:], p.sent[1:])
		p.n--
		i--
	}
	copy(p.at[i+1:p.n+1], p.at[i:p.n])
	copy(p.sent[i+1:p.n+1], p.sent[i:p.n])
	p.at[i], p.sent[i] = at, sent
	p.n++
	return true
}

// timing is how regular the intervals are, from 0 to 1.
func (p *pair) timing() float64 {
	var buffer [kept]float64
	return rhythm.Regularity(rhythm.Intervals(buffer[:0], p.at[:p.n]), rhythm.IntervalGrain)
}

// sizes is how even the bytes sent are; unknown when no sensor says them, as is otherwise
// then.
func (p *pair) sizes(otherwise float64) float64 {
	known := false
	for i := range p.n {
		known = known || p.sent[i] > 0
	}
	if !known {
		return otherwise
	}
	var buffer [kept]float64
	x := buffer[:0]
	for i := range p.n {
		x = append(x, float64(p.sent[i]))
	}
	return rhythm.Regularity(x, rhythm.SizeGrain)
}

// median is the median interval.
func (p *pair) median() time.Duration {
	return time.Duration(medianOf(rhythm.Intervals(nil, p.at[:p.n])) * float64(time.Second))
}

// medianOf sorts the values.
func medianOf(x []float64) float64 {
	slices.Sort(x)
	return rhythm.Quantile(x, 0.5)
}
