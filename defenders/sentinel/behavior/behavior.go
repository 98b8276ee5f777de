// Package behavior is the detector of indicators of behaviour: it learns what accounts and
// hosts ordinarily do and tells what is unlike them. Nothing in it knows an attack.
//
// Each event is read as observations (relation.go): this host ran that program, this account
// logged on to that host. novelty.go says how surprising an observation is to its entity and
// its peers, rate.go how unusual a count is, hours.go an hour of the day, sequence.go a chain
// of programs, forest.go the whole of a window. window.go adds the surprise up, in bits, over
// a quarter of an hour of each entity, and turns the sum into the probability that an ordinary
// window reaches it; below a stated rate of false alarms the window becomes a finding, with
// its largest parts as reasons. state.go saves and restores what was learned.
// docs/detectors.md has the methods, their sources and what they miss.
package behavior

import (
	"fmt"
	"strings"
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
	"hemostat/sim/event"
)

// Kind is the detector as variants name it.
var Kind = detect.Kind{
	Name: "behavior", Version: "1", Optional: true,
	Doc:     "learns what accounts and hosts ordinarily do and tells what is unlike them",
	Service: queue.Config{Mean: 100 * time.Microsecond, Servers: 2, Waiting: 50_000},
	Options: func() any { return &options{} },
	New: func(env detect.Env, chosen any) (detect.Detector, error) {
		return newDetector(*chosen.(*options), env)
	},
}

// options say how much is remembered and when to speak; zero values take the defaults named.
type options struct {
	FalseAlarms float64       `yaml:"false_alarms" doc:"false alarms that are accepted of an entity in a day; 0.005 when absent"`
	WarmUp      int           `yaml:"warm_up" doc:"ordinary windows of a quarter of an hour that must be known of a kind of entity before anything is said; 400 when absent"`
	HalfLife    time.Duration `yaml:"half_life" doc:"how fast what was usual is forgotten; 720h when absent"`
	Memory      int           `yaml:"memory" doc:"observations that are remembered; 500000 when absent"`
}

func (o *options) check() error {
	if o.FalseAlarms < 0 || o.FalseAlarms > 96 || o.WarmUp < 0 || o.HalfLife < 0 || o.Memory < 0 {
		return fmt.Errorf("false_alarms is 0 to 96 a day, warm_up, half_life and memory are not negative")
	}
	if o.FalseAlarms == 0 {
		o.FalseAlarms = 0.005
	}
	if o.WarmUp == 0 {
		o.WarmUp = 400
	}
	if o.HalfLife == 0 {
		o.HalfLife = 720 * time.Hour
	}
	if o.Memory == 0 {
		o.Memory = 500_000
	}
	return nil
}

// detector is the detector.
type detector struct {
	options   options
	inventory *inventory.Inventory `snapshot:"-"`
	epoch     time.Time
	learning  bool
	score     func(detect.Score) `snapshot:"-"`

	novelty  novelty
	rates    rates
	hours    hours
	chains   chains
	forest   forest
	windows  windows
	lessons  []lesson                    // that wait to be learned
	caution  detect.Caution              `snapshot:"-"`
	vary     func(entity string) float64 `snapshot:"-"`
	drift    drift
	now      time.Duration // of the latest event
	observed observations  // of the event in hand
}

// newDetector puts the detector together.
func newDetector(o options, env detect.Env) (*detector, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return &detector{
		options: o, inventory: env.Inventory, epoch: env.Epoch, learning: env.Learning, score: env.Score,
		caution: env.Caution, vary: env.Vary,
		novelty: newNovelty(o.Memory, env.Caution.Delay), rates: newRates(), hours: newHours(), chains: newChains(), forest: newForest(),
		windows: newWindows(),
	}, nil
}

// Inspect looks at one event.
func (d *detector) Inspect(_ time.Duration, e *event.Event, report detect.Report) error {
	of := relationsOf(e)
	if len(of) == 0 {
		return nil
	}
	d.now = max(d.now, e.Time)
	x := &d.observed
	x.read(d, e)
	for _, r := range of {
		entity := x.entity(r.entity)
		if entity.key == 0 {
			continue
		}
		w := d.window(e.Time, entity, report)
		if r.count {
			d.countUp(w, r, e)
			continue
		}
		value, ok := r.read(e)
		if !ok {
			continue
		}
		bits := d.novelty.surprise(d.now, r, entity, value)
		w.features[r.number]++
		if bits > 0 {
			w.add(part{relation: r, bits: bits, event: e.ID, value: value}, e, d)
		}
		if r.chain != nil {
			if bits := d.chains.surprise(entity.key, value); bits > 0 {
				w.add(part{relation: r.chain, bits: bits, event: e.ID, value: value}, e, d)
			}
		}
		d.judge(w, e.ID, e.Time, report)
	}
	return nil
}

// Notes implements detect.Noting.
func (d *detector) Notes() []string {
	var notes []string
	for c, name := range []string{"hosts", "accounts"} {
		if n := d.windows.byClass[c].Total; n > 0 && n < float64(d.options.WarmUp) {
			notes = append(notes, fmt.Sprintf("behavior says nothing of %s yet: %.0f of the %d quarters of an hour that it warms up for were seen; "+
				"hemostat train makes a baseline", name, n, d.options.WarmUp))
		}
	}
	if n := d.novelty.seen.Forgotten; n > 0 {
		notes = append(notes, fmt.Sprintf("behavior forgot %d observations to stay within the bound of memory", n))
	}
	if n := d.windows.dropped; n > 0 {
		notes = append(notes, fmt.Sprintf("behavior ended %d windows early to stay within the bound of memory", n))
	}
	return notes
}

// NextWake implements detect.Timed: the next window that is over.
func (d *detector) NextWake() (time.Duration, bool) { return d.windows.nextEnd() }

// Advance implements detect.Timed.
func (d *detector) Advance(now time.Duration, report detect.Report) error {
	d.closeUntil(now, report)
	return nil
}

// End implements detect.Ending: the windows that are open are over.
func (d *detector) End(_ time.Duration, report detect.Report) error {
	d.closeAll(report)
	return nil
}

// shortName is a host's name without its domain, or an account's without domain and realm,
// in lower case; it allocates for names in capitals alone.
func shortName(name string) string {
	if at := strings.LastIndexByte(name, '\\'); at >= 0 {
		name = name[at+1:]
	}
	if at := strings.IndexAny(name, "@/"); at >= 0 {
		name = name[:at]
	}
	return strings.ToLower(name)
}
