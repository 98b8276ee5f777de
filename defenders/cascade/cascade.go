package cascade

import (
	"cmp"
	"math"
	"slices"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
)

// Options configure the cascade; zero values take the defaults named.
type Options struct {
	// Local, Shape and Isolate are the evidence, in log odds, at which a decoy is
	// set beside the host, a zone is shaped and a zone is cut off; 1.5, 3 and 7.
	Local, Shape, Isolate float64
	// HalfLife is that of the exponential decay of evidence; 20 minutes.
	HalfLife time.Duration
	// Feedback is by how much each other zone that is shaped or cut off raises the
	// weight of new evidence; 0.25, negative for none.
	Feedback float64
	// Budget is the greatest share of the estate's worth that may be cut off at
	// once; 0.5.
	Budget float64
	// Hold is how long each level holds; 2 hours.
	Hold time.Duration
	// Off switches the cascade off.
	Off bool
}

func (o Options) withDefaults() Options {
	or := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	or(&o.Local, 1.5)
	or(&o.Shape, 3)
	or(&o.Isolate, 7)
	or(&o.Feedback, 0.25)
	or(&o.Budget, 0.5)
	if o.HalfLife == 0 {
		o.HalfLife = 20 * time.Minute
	}
	if o.Hold == 0 {
		o.Hold = 2 * time.Hour
	}
	return o
}

// Level is how far a zone's reaction has gone.
type Level int

// The levels.
const (
	Normal Level = iota
	Local
	Throttled
	Isolated
)

// event moves a zone's reaction.
type event int

// The events: evidence reaches a threshold, a person refuses the isolation, the
// time of the reaction is over.
const (
	ReachLocal event = iota
	Escalate
	Isolate
	Refused
	Expire
)

// transitions is the reaction of a zone: the state after each event.
var transitions = [4][5]Level{
	//         ReachLocal Escalate  Isolate   Refused   Expire
	Normal:    {Local, Throttled, Isolated, Normal, Normal},
	Local:     {Local, Throttled, Isolated, Local, Normal},
	Throttled: {Throttled, Throttled, Isolated, Throttled, Normal},
	Isolated:  {Isolated, Isolated, Isolated, Throttled, Normal},
}

// Decision is what a zone's evidence calls for.
type Decision struct {
	Zone     string
	Level    Level
	Evidence float64       // in log odds
	Host     string        // of the alert
	Next     string        // zone where the intruder probably goes next
	Hold     time.Duration // how long it holds
}

// Cascade holds the evidence against each zone.
type Cascade struct {
	options   Options
	inventory *inventory.Inventory
	zones     map[string]*zone
	total     float64
}

type zone struct {
	evidence float64
	at       time.Duration
	level    Level
	until    time.Duration
	counted  map[string]time.Duration // by rule and host
	rules    map[string]time.Duration // independent evidence
}

// New puts the cascade together.
func New(o Options, v *inventory.Inventory) *Cascade {
	c := &Cascade{options: o.withDefaults(), inventory: v, zones: map[string]*zone{}}
	for _, name := range v.Zones() {
		c.total += v.ZoneWorth(name)
	}
	return c
}

// Advice changes what an alert's evidence leads to; the zero value changes nothing.
type Advice struct {
	Next   string  // zone where the intruder is expected next; "" for the one worth most
	Weight float64 // multiplies the evidence; 1 when zero
}

// Alert adds an alert's evidence to its zone and returns what it calls for; score is the
// certainty of the alert's incident.
// The same rule on the same host counts once in a half-life.
func (c *Cascade) Alert(now time.Duration, score float64, a *alert.Alert, advice Advice) (Decision, bool) {
	if c.options.Off || a.Zone == "" || !a.Severity.IsThreat() {
		return Decision{}, false
	}
	z := c.zones[a.Zone]
	if z == nil {
		z = &zone{counted: map[string]time.Duration{}, rules: map[string]time.Duration{}}
		c.zones[a.Zone] = z
	}
	z.decay(now, c.options.HalfLife)
	if now >= z.until {
		z.level = transitions[z.level][Expire]
	}
	key := a.RuleID + a.Host
	if last, ok := z.counted[key]; ok && now-last < c.options.HalfLife {
		return Decision{}, false
	}
	z.counted[key], z.rules[a.RuleID] = now, now
	p := min(max(a.Confidence, 0.01), 0.99)
	z.evidence += max(0, math.Log(p/(1-p))) * max(score, 0.3) * c.feedback(a.Zone, now) * cmp.Or(advice.Weight, 1)
	level := z.level
	for _, e := range c.events(now, a.Zone, z) {
		level = transitions[level][e]
	}
	if level <= z.level {
		return Decision{}, false
	}
	z.level, z.until = level, now+c.options.Hold
	return Decision{
		Zone:     a.Zone,
		Level:    level,
		Evidence: z.evidence,
		Host:     a.Host,
		Next:     cmp.Or(advice.Next, c.expected(a.Zone)),
		Hold:     c.options.Hold,
	}, true
}

// events are the thresholds that a zone's evidence has reached.
func (c *Cascade) events(now time.Duration, name string, z *zone) []event {
	var events []event
	if z.evidence >= c.options.Local {
		events = append(events, ReachLocal)
	}
	independent := 0
	for _, at := range z.rules {
		if now-at < 3*c.options.HalfLife {
			independent++
		}
	}
	if independent >= 2 && z.evidence >= c.options.Shape {
		events = append(events, Escalate)
		if z.evidence >= c.options.Isolate && c.affordable(name, now) {
			events = append(events, Isolate)
		}
	}
	return events
}

// feedback is by how much the reactions of other zones weigh new evidence up.
func (c *Cascade) feedback(name string, now time.Duration) float64 {
	n := 0
	for other, z := range c.zones {
		if other != name && z.level >= Throttled && now < z.until {
			n++
		}
	}
	return 1 + max(0, c.options.Feedback)*float64(n)
}

// expected is where an intruder of a zone probably goes next: the zone worth most
// beside it.
func (c *Cascade) expected(name string) string {
	zones := slices.DeleteFunc(slices.Clone(c.inventory.Zones()), func(z string) bool { return z == name })
	if len(zones) == 0 {
		return name
	}
	return slices.MaxFunc(zones, func(a, b string) int {
		switch wa, wb := c.inventory.ZoneWorth(a), c.inventory.ZoneWorth(b); {
		case wa < wb:
			return -1
		case wa > wb:
			return 1
		}
		return 0
	})
}

// Refuse tells the cascade that a zone was not cut off after all.
func (c *Cascade) Refuse(name string) {
	if z := c.zones[name]; z != nil {
		z.level = transitions[z.level][Refused]
	}
}

// Level is how far a zone's reaction has gone.
func (c *Cascade) Level(name string) Level {
	if z := c.zones[name]; z != nil {
		return z.level
	}
	return Normal
}

func (z *zone) decay(now, halfLife time.Duration) {
	if now > z.at {
		z.evidence *= math.Exp2(-float64(now-z.at) / float64(halfLife))
		z.at = now
	}
}

// affordable tells whether cutting a zone off stays within the budget.
func (c *Cascade) affordable(name string, now time.Duration) bool {
	worth := c.inventory.ZoneWorth(name)
	for _, other := range c.inventory.Zones() { // in order, since sums of fractions depend on it
		if z := c.zones[other]; z != nil && other != name && z.level == Isolated && now < z.until {
			worth += c.inventory.ZoneWorth(other)
		}
	}
	return c.total == 0 || worth <= c.options.Budget*c.total
}
