package behavior

import (
	"fmt"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/sim/severity"
)

// lesson is what is to be learned of a window that is over.
type lesson struct {
	entity   entity
	began    time.Duration
	features [featureCount]float32
	surprise float64
}

// learnUntil learns the windows that have waited for long enough. A window of an entity that was
// reported in between is not learned.
func (d *detector) learnUntil(now time.Duration) {
	n := 0
	for n < len(d.lessons) && d.lessons[n].began+windowLength+d.caution.Delay <= now {
		d.learn(&d.lessons[n])
		n++
	}
	d.lessons = d.lessons[n:]
}

func (d *detector) learn(l *lesson) {
	if d.caution.Delay > 0 {
		found := d.novelty.found.Get(l.entity.key)
		if found != nil && *found >= l.began && *found-l.began < d.caution.Delay {
			return
		}
	}
	if l.entity.class == accounts {
		d.hours.add(l.entity, d.epoch.Add(l.began).Hour())
	}
	d.learnCounts(l)
	d.forest.learn(&l.features)
	d.windows.tail(l.entity.group).add(l.surprise)
	d.windows.byClass[l.entity.class].add(l.surprise)
}

// drift watches how the bars move.
type drift struct {
	reference [classCount]float64 // bar of each class when it was trusted first, in bits; 0 for not yet
	told      [classCount]bool
	next      time.Duration
}

// driftEvery is how often the bars are looked at.
const driftEvery = time.Hour

// check reports a class whose bar has risen too far. w is the window that was learned last.
func (x *drift) check(d *detector, w *window, report detect.Report) {
	if d.caution.Drift == 0 || d.learning || w.began < x.next {
		return
	}
	x.next = w.began + driftEvery
	for c := range d.windows.byClass {
		t := &d.windows.byClass[c]
		if t.Total < float64(d.options.WarmUp) {
			continue
		}
		bar := t.bar(d.options.FalseAlarms / windowsADay)
		switch {
		case x.reference[c] == 0:
			x.reference[c] = bar
		case bar > x.reference[c]*(1+d.caution.Drift) && !x.told[c]:
			x.told[c] = true
			report(driftFinding(class(c), x.reference[c], bar, w))
		}
	}
}

// bar is the surprise that an ordinary window reaches with a probability.
func (t *tail) bar(p float64) float64 {
	for bits := 0.0; bits < tailBins/binsABit; bits += 0.5 {
		if t.exceeded(bits) <= p {
			return bits
		}
	}
	return tailBins / binsABit
}

func driftFinding(c class, before, now float64, w *window) detect.Finding {
	of := [...]string{"hosts", "accounts", "hosts", "addresses", "the estate"}[c]
	f := detect.Finding{
		RuleID: "behavior/drift", Title: "What Is Ordinary Has Moved", Severity: severity.Medium, Confidence: 0.5,
		EventTime: w.began + windowLength, Entities: &alert.Entities{},
		Reasons: []alert.Reason{{
			Part: "drift", Field: "bar of " + of, Value: fmt.Sprintf("%.1f bits", now),
			Test: fmt.Sprintf("%.1f after training", before),
		}},
	}
	if w.last != 0 {
		f.Evidence = []uint64{w.last}
	}
	return f
}
