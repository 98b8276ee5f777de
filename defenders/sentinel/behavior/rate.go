package behavior

import (
	"math"
	"slices"
	"time"

	"hemostat/defenders/sentinel/sketch"
	"hemostat/sim/event"
)

// rates remembers how often each entity does what is only counted, by day and by night.
type rates struct {
	levels *sketch.Map[uint64, sketch.Level]
}

func newRates() rates { return rates{sketch.NewMap[uint64, sketch.Level](100_000)} }

// rateHalf is the number of windows after which one counts half.
const rateHalf = 500

// atWork tells the hours of work from the others, for which other rates are usual.
func (d *detector) atWork(at time.Duration) uint64 {
	t := d.epoch.Add(at)
	if t.Weekday() == time.Saturday || t.Weekday() == time.Sunday || t.Hour() < 7 || t.Hour() >= 19 {
		return 1
	}
	return 2
}

// countUp notes that something was done once more, and what that makes of the window's count.
func (d *detector) countUp(w *window, r *relation, e *event.Event) {
	if r.only != nil && !r.only(e) {
		return
	}
	if r.distinct {
		value, ok := r.read(e)
		at := key(uint64(r.number), w.entity.key, value, uint64(w.began), 14)
		if !ok || d.novelty.seen.Get(at) != nil {
			return
		}
		began := w.began
		d.novelty.seen.Put(at, &began)
	}
	w.features[r.number]++
	n := float64(w.features[r.number])
	if n < 4 || n != math.Trunc(n) || int(n)&(int(n)-1) != 0 && int(n)%64 != 0 { // at 4, 8, 16, …
		return
	}
	bits := d.rates.surprise(w.entity, r, d.atWork(e.Time), math.Log2(1+n))
	if bits > 0 {
		w.add(part{relation: r, bits: bits, event: e.ID, amount: n}, e, d)
	}
}

// surprise is how unusual a count is, in bits: of a tail that falls like a Laplace
// distribution's, which real counts follow better than a normal one's.
func (x *rates) surprise(e entity, r *relation, time uint64, value float64) float64 {
	own := x.level(key(uint64(r.number), e.key, time, 6))
	if own.Weight < 12 {
		own = x.level(key(uint64(r.number), e.group, time, 7))
	}
	z := own.Score(value, 0.3, 12)
	if z < 2 {
		return 0
	}
	return min(mostBits, 1.3*(z-1))
}

// learn takes the counts of a window that is over in.
func (d *detector) learnCounts(w *lesson) {
	time := d.atWork(w.began)
	for _, r := range counted {
		isOf := r.entity == w.entity.class || r.entity == sources && w.entity.class == hosts
		if !isOf {
			continue
		}
		x := math.Log2(1 + float64(w.features[r.number]))
		d.rates.level(key(uint64(r.number), w.entity.key, time, 6)).AddWithin(x, rateHalf, d.caution.Influence)
		d.rates.level(key(uint64(r.number), w.entity.group, time, 7)).AddWithin(x, rateHalf*20, d.caution.Influence)
	}
}

func (x *rates) level(k uint64) *sketch.Level {
	l := x.levels.Get(k)
	if l == nil {
		l = &sketch.Level{}
		x.levels.Put(k, l)
	}
	return l
}

// counted are the relations that count.
var counted = func() (out []*relation) {
	seen := map[int]bool{}
	for _, list := range table {
		for _, r := range list {
			if r.count && !seen[r.number] {
				seen[r.number] = true
				out = append(out, r)
			}
		}
	}
	sortRelations(out)
	return out
}()

// hours remembers at which hours of the day each account is at work.
type hours struct{ accounts *sketch.Map[uint64, clock] }

// clock holds decayed counts of active windows by the hour.
type clock struct {
	Hours [24]float64
	Total float64
}

func newHours() hours { return hours{sketch.NewMap[uint64, clock](50_000)} }

// enoughWindows is how many windows of an account tell when it is at work.
const enoughWindows = 40

// surprise is how unusual it is that an entity is active at this hour, in bits. Hours beside
// count in part.
func (x *hours) surprise(e entity, hour int) float64 {
	c := x.clock(e.key)
	if c.Total < enoughWindows {
		return 0
	}
	near := c.Hours[hour] + 0.5*(c.Hours[(hour+1)%24]+c.Hours[(hour+23)%24])
	return min(8, max(0, -math.Log2((near+0.5)/(c.Total+12))-3))
}

func (x *hours) add(e entity, hour int) {
	c := x.clock(e.key)
	c.Hours[hour]++
	if c.Total++; c.Total > 4000 {
		c.Total = 0
		for i := range c.Hours {
			c.Hours[i] /= 2
			c.Total += c.Hours[i]
		}
	}
}

func (x *hours) clock(k uint64) *clock {
	c := x.accounts.Get(k)
	if c == nil {
		c = &clock{}
		x.accounts.Put(k, c)
	}
	return c
}

func sortRelations(list []*relation) {
	slices.SortFunc(list, func(a, b *relation) int { return a.number - b.number })
}
