package behavior

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/detect"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

const (
	// windowLength is the time over which surprise is added up.
	windowLength = 15 * time.Minute
	windowsADay  = 96
	// featureCount is the number of relations that a window counts.
	featureCount = 48
	// maxParts bounds the parts of a window that are kept to explain it.
	maxParts = 8
	// maxOpen bounds the windows that are open.
	maxOpen = 50_000
)

// window is what an entity did in a quarter of an hour.
type window struct {
	entity   entity
	began    time.Duration
	features [featureCount]float32
	parts    []part
	told     float64 // surprise at the last finding
	last     uint64  // event
}

// part is one surprise.
type part struct {
	relation *relation
	bits     float64
	event    uint64
	value    uint64
	amount   float64 // of a count
	text     string  // of the value
	expected string
	entities alert.Entities
	time     time.Duration
}

// windows are the open windows, and how much surprise ordinary ones hold.
type windows struct {
	open    map[uint64]*window
	order   []*window // the oldest first
	byGroup map[uint64]*tail
	byClass [classCount]tail
	dropped int // windows that were not opened for want of room
}

func newWindows() windows { return windows{open: map[uint64]*window{}, byGroup: map[uint64]*tail{}} }

// window returns the open window of an entity; one that is over is closed before.
func (d *detector) window(at time.Duration, e entity, report detect.Report) *window {
	d.closeUntil(at, report)
	w := d.windows.open[e.key]
	if w != nil {
		return w
	}
	if len(d.windows.open) >= maxOpen {
		d.windows.dropped++
		d.close(d.windows.order[0], report)
	}
	e.name = strings.Clone(e.name)
	w = &window{entity: e, began: at - at%windowLength}
	d.windows.open[e.key] = w
	d.windows.order = append(d.windows.order, w)
	return w
}

func (x *windows) nextEnd() (time.Duration, bool) {
	if len(x.order) == 0 {
		return 0, false
	}
	return x.order[0].began + windowLength + grace, true
}

// grace is how long a window waits for events that come late.
const grace = time.Minute

// closeUntil closes the windows that are over. A clock that jumps closes all.
func (d *detector) closeUntil(now time.Duration, report detect.Report) {
	for len(d.windows.order) > 0 && now >= d.windows.order[0].began+windowLength+grace {
		d.close(d.windows.order[0], report)
	}
}

func (d *detector) closeAll(report detect.Report) {
	for len(d.windows.order) > 0 {
		d.close(d.windows.order[0], report)
	}
}

// close ends the oldest window: it is judged as a whole and then learned.
func (d *detector) close(w *window, report detect.Report) {
	d.windows.order = d.windows.order[1:]
	delete(d.windows.open, w.entity.key)
	if len(w.parts) > 0 {
		if bits := d.forest.surprise(&w.features); bits > 0 {
			w.parts = append(w.parts, part{
				relation: wholeRelation, bits: min(8, bits), event: w.last, text: "its counts of this quarter of an hour",
				expected: "few windows look like it", entities: w.parts[0].entities, time: w.began + windowLength,
			})
		}
		if w.entity.class == accounts {
			hour := d.epoch.Add(w.began).Hour()
			if bits := d.hours.surprise(w.entity, hour); bits > 0 {
				w.parts = append(w.parts, part{
					relation: hourRelation, bits: bits, event: w.last, text: fmt.Sprintf("%d h", hour),
					expected: "it is rarely at work then",
					entities: w.parts[0].entities, time: w.began + windowLength,
				})
			}
		}
		d.judge(w, w.last, w.began+windowLength, report)
	}
	d.lessons = append(d.lessons, lesson{w.entity, w.began, w.features, w.surprise()})
	d.learnUntil(w.began + windowLength)
	d.drift.check(d, w, report)
}

// add keeps a surprise, the largest of each relation.
func (w *window) add(p part, e *event.Event, d *detector) {
	w.last = e.ID
	for i := range w.parts {
		if w.parts[i].relation == p.relation {
			if w.parts[i].bits >= p.bits {
				w.parts[i].bits = min(mostBits+4, w.parts[i].bits+0.15*p.bits) // more of the same
				return
			}
			p.bits = min(mostBits+4, p.bits+0.15*w.parts[i].bits)
			w.parts[i] = d.explain(p, w, e)
			return
		}
	}
	if len(w.parts) == maxParts {
		least := 0
		for i := range w.parts {
			if w.parts[i].bits < w.parts[least].bits {
				least = i
			}
		}
		if w.parts[least].bits >= p.bits {
			return
		}
		w.parts = slices.Delete(w.parts, least, least+1)
	}
	w.parts = append(w.parts, d.explain(p, w, e))
}

// explain writes down what was seen, as long as the event is at hand.
func (d *detector) explain(p part, w *window, e *event.Event) part {
	p.entities = alert.EntitiesOf(e, d.inventory).Detached()
	p.time = e.Time
	if p.amount > 0 {
		p.text = fmt.Sprintf("%.0f in a quarter of an hour", p.amount)
		p.expected = fmt.Sprintf("usually %.0f",
			math.Exp2(d.rates.level(key(uint64(p.relation.number), w.entity.group, d.atWork(e.Time), 7)).Mean)-1)
		return p
	}
	p.text = strings.Clone(p.relation.text(e))
	if p.relation == programChain || p.relation == logonChain {
		p.text = strings.Clone(e.Value(event.Image))
		if p.relation == logonChain {
			p.text = strings.Clone(e.Value(event.Computer))
		}
		p.expected = "what came before it is followed by others"
		return p
	}
	byPeers, peers, byAll, rate := d.novelty.about(p.relation, w.entity, p.value)
	p.expected = fmt.Sprintf("never before by %s, of which %.2g %% is new; by %.0f of %.0f of its peers, %.0f in all",
		w.entity.name, 100*rate, max(0, byPeers-1), peers, max(0, byAll-1))
	return p
}

// surprise is the sum of a window's parts, in bits.
func (w *window) surprise() float64 {
	sum := 0.0
	for i := range w.parts {
		sum += w.parts[i].bits
	}
	return sum
}

// judge reports a window that ordinary ones reach too rarely, and again when its surprise
// has grown by half.
func (d *detector) judge(w *window, id uint64, at time.Duration, report detect.Report) {
	sum := w.surprise()
	if sum < 5 || sum < 1.5*w.told {
		return
	}
	p, known := d.windows.probability(w.entity, sum, d.options.WarmUp)
	if !known || d.learning {
		return
	}
	accepted := d.options.FalseAlarms
	if d.vary != nil {
		accepted *= d.vary(w.entity.name)
	}
	if d.score != nil {
		d.score(detect.Score{
			Entity: w.entity.name, Of: "window", Value: rarity(p), Bar: rarity(accepted / windowsADay),
			Reported: p*windowsADay <= accepted, Evidence: id, Time: at,
		})
	}
	if p*windowsADay > accepted {
		return
	}
	w.told = sum
	if d.caution.Delay > 0 {
		d.novelty.found.Put(w.entity.key, &at)
	}
	report(w.finding(p, sum, d))
}

// rarity writes a probability as minus its logarithm, in thousandths.
func rarity(p float64) float64 { return math.Round(-1000*math.Log10(max(p, 1e-12))) / 1000 }

// finding explains a window by its largest parts.
func (w *window) finding(p, sum float64, d *detector) detect.Finding {
	parts := slices.Clone(w.parts)
	slices.SortStableFunc(parts, func(a, b part) int {
		switch {
		case a.bits > b.bits:
			return -1
		case a.bits < b.bits:
			return 1
		}
		return a.relation.number - b.relation.number
	})
	f := detect.Finding{
		RuleID:   "behavior/" + [...]string{"host", "account", "host", "address", "estate"}[w.entity.class],
		Severity: severity.Medium,
		Title: [...]string{"Host Does What It And Its Peers Do Not", "Account Does What It And Its Peers Do Not",
			"Host Does What It And Its Peers Do Not", "Address Does What Others Do Not",
			"More Is Refused Than Usual"}[w.entity.class],
		Confidence: 0.5 + 0.35*min(1, sum/60), EventTime: parts[0].time,
	}
	if p*windowsADay < d.options.FalseAlarms/50 {
		f.Severity = severity.High
	}
	for i := range parts {
		x := &parts[i]
		if len(f.Techniques) < 3 && !slices.Contains(f.Techniques, x.relation.technique) && x.bits > 3 {
			f.Techniques = append(f.Techniques, x.relation.technique)
		}
		if !slices.Contains(f.Evidence, x.event) {
			f.Evidence = append(f.Evidence, x.event)
		}
		f.Reasons = append(f.Reasons, alert.Reason{
			Part: fmt.Sprintf("%.0f bits", x.bits), Field: x.relation.name, Value: x.text, Test: x.expected,
		})
	}
	slices.Reverse(f.Evidence) // the newest last, for the largest part
	f.Reasons = append(f.Reasons, alert.Reason{
		Field: "window", Value: fmt.Sprintf("%.0f bits", sum),
		Test: fmt.Sprintf("an ordinary one of %s reaches this with probability %.1g", w.entity.name, p),
	})
	entities := parts[0].entities
	switch w.entity.class {
	case hosts:
		if h := d.inventory.Host(w.entity.name); h != nil {
			entities.Host, entities.Zone = h.Name, h.Zone
		}
	case accounts:
		entities.User = w.entity.name
	}
	f.Entities = &entities
	return f
}

// tail is how often ordinary windows hold how much surprise: counts by half bits, decayed.
type tail struct {
	Counts [tailBins]float64 `json:"counts"`
	Total  float64           `json:"total"`
}

const (
	tailBins = 256
	binsABit = 2
	// tailHalf is the number of windows after which one counts half.
	tailHalf = 500_000
)

func (t *tail) add(bits float64) {
	t.Counts[min(tailBins-1, max(0, int(bits*binsABit)))]++
	if t.Total++; t.Total > tailHalf {
		t.Total = 0
		for i := range t.Counts {
			t.Counts[i] /= 2
			t.Total += t.Counts[i]
		}
	}
}

// exceeded is the probability that a window holds so much: its share among those that were
// seen, and beyond the ten largest the exponential tail that these begin (peaks over a
// threshold; Pickands 1975).
func (t *tail) exceeded(bits float64) float64 {
	above, at := 0.0, min(tailBins-1, int(bits*binsABit))
	for i := at; i < tailBins; i++ {
		above += t.Counts[i]
	}
	const few = 10
	if above >= few {
		return above / t.Total
	}
	count, threshold := 0.0, tailBins-1
	for count < few && threshold > 0 {
		count += t.Counts[threshold]
		threshold--
	}
	excess := 0.0
	for i := threshold + 1; i < tailBins; i++ {
		excess += t.Counts[i] * (float64(i-threshold) / binsABit)
	}
	mean := max(1, excess/max(1, count))
	over := max(0, bits-float64(threshold+1)/binsABit)
	return (count + 1) / (t.Total + 1) * math.Exp(-over/mean)
}

func (x *windows) tail(group uint64) *tail {
	t := x.byGroup[group]
	if t == nil {
		t = &tail{}
		x.byGroup[group] = t
	}
	return t
}

// manyPeers is from how many times the windows of the warm-up on peers speak for themselves.
const manyPeers = 4

// probability is that of an ordinary window of the entity's peers, or of its kind as long as
// the peers have too few; it is not known before enough were seen.
func (x *windows) probability(e entity, bits float64, enough int) (p float64, known bool) {
	all := &x.byClass[e.class]
	if all.Total < float64(enough) {
		return 1, false
	}
	if peers := x.byGroup[e.group]; peers != nil && peers.Total >= manyPeers*float64(enough) {
		return peers.exceeded(bits), true
	}
	return all.exceeded(bits), true
}
