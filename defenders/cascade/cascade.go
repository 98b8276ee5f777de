package cascade

import (
	"math"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel"
)

// Options configure the cascade; zero values take the defaults named.
type Options struct {
	// Shape and Isolate are the evidence, in log odds, at which a zone is shaped
	// and cut off; 3 and 7.
	Shape, Isolate float64
	// HalfLife is how fast evidence leaks away; 20 minutes.
	HalfLife time.Duration
	// Budget is the greatest share of the estate's worth that may be cut off at
	// once; 0.5.
	Budget float64
	// Hold is how long each level holds; 2 hours.
	Hold time.Duration
	// Off switches the cascade off.
	Off bool
}

func (o Options) withDefaults() Options {
	if o.Shape == 0 {
		o.Shape = 3
	}
	if o.Isolate == 0 {
		o.Isolate = 7
	}
	if o.HalfLife == 0 {
		o.HalfLife = 20 * time.Minute
	}
	if o.Budget == 0 {
		o.Budget = 0.5
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
	Calm Level = iota
	Shaped
	Isolated
)

// Decision is a step of the cascade to carry out.
type Decision struct {
	Zone     string
	Level    Level
	Evidence float64
	Playbook *response.Playbook
}

// Cascade holds the evidence against each zone.
type Cascade struct {
	options   Options
	inventory *inventory.Inventory
	zones     map[string]*zone
	books     map[Level]*response.Playbook
	total     float64
}

type zone struct {
	evidence float64
	at       time.Duration
	level    Level
	until    time.Duration
	rules    map[string]time.Duration
}

// New puts the cascade together.
func New(o Options, v *inventory.Inventory) *Cascade {
	c := &Cascade{options: o.withDefaults(), inventory: v, zones: map[string]*zone{}}
	for _, name := range v.Zones() {
		c.total += v.ZoneWorth(name)
	}
	hold := c.options.Hold
	zoneParam := map[string]any{"zone": "${zone}"}
	input := map[string]response.Input{"zone": {Type: "zone", From: "alert.zone", Required: true}}
	ask := &response.HOTL{Required: true, Ask: "reached", Timeout: 10 * time.Minute, OnTimeout: "deny"}
	c.books = map[Level]*response.Playbook{
		Shaped: {ID: "cascade_shape", Inputs: input, Limits: response.Limits{Key: "zone"}, Steps: []response.Step{
			response.Step{ID: "shape", Action: "traffic_shaping", Risk: response.Medium, With: map[string]any{"zone": "${zone}", "east_west_kbps": 1024}, TTL: hold, OnFailure: "continue"}.Automatically(),
			response.Step{ID: "lure", Action: "deploy_decoys", Risk: response.Medium, With: map[string]any{"zone": "${zone}", "count": 2}, TTL: 4 * hold, OnFailure: "continue"}.Automatically(),
		}},
		Isolated: {ID: "cascade_isolate", Inputs: input, Limits: response.Limits{Key: "zone"}, Steps: []response.Step{
			{ID: "isolate", Action: "zone_isolation", Risk: response.High, With: zoneParam, TTL: hold, HOTL: ask, OnFailure: "continue"},
		}},
	}
	return c
}

// Alert adds an alert's evidence to its zone and returns what to do about it.
// The same rule counts once in a half-life.
func (c *Cascade) Alert(now time.Duration, in *fusion.Incident, a *sentinel.Alert) (Decision, bool) {
	if c.options.Off || a.Zone == "" || !sentinel.IsThreat(a.Severity) {
		return Decision{}, false
	}
	z := c.zones[a.Zone]
	if z == nil {
		z = &zone{rules: map[string]time.Duration{}}
		c.zones[a.Zone] = z
	}
	z.leak(now, c.options.HalfLife)
	key := a.RuleID + a.Host
	if last, ok := z.rules[key]; ok && now-last < c.options.HalfLife {
		return Decision{}, false
	}
	z.rules[key] = now
	p := min(max(a.Confidence, 0.01), 0.99)
	z.evidence += max(0, math.Log(p/(1-p))) * max(in.Score, 0.3)
	if now >= z.until {
		z.level = Calm
	}
	level := z.level
	if z.evidence >= c.options.Shape {
		level = Shaped
	}
	if z.evidence >= c.options.Isolate && c.affordable(a.Zone) {
		level = Isolated
	}
	if level <= z.level {
		return Decision{}, false
	}
	z.level, z.until = level, now+c.options.Hold
	return Decision{Zone: a.Zone, Level: level, Evidence: z.evidence, Playbook: c.books[level]}, true
}

func (z *zone) leak(now, halfLife time.Duration) {
	if now > z.at {
		z.evidence *= math.Exp2(-float64(now-z.at) / float64(halfLife))
		z.at = now
	}
}

// affordable tells whether cutting a zone off stays within the budget.
func (c *Cascade) affordable(name string) bool {
	worth := c.inventory.ZoneWorth(name)
	for other, z := range c.zones {
		if other != name && z.level == Isolated {
			worth += c.inventory.ZoneWorth(other)
		}
	}
	return c.total == 0 || worth <= c.options.Budget*c.total
}
