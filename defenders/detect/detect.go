// Package detect is what a detector is: what it is shown, what it reports, and how
// variants, replay and technique coverage alike find and build it. Detectors live in
// packages of their own and are listed in defenders/sentinel/registry.go; a new one is
// one package and one line there. The stage that runs them is defenders/sentinel.
package detect

import (
	"io"
	"time"

	"hemostat/defenders/alert"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
	"hemostat/defenders/sentinel/sigma"
	"hemostat/sim/action"
	"hemostat/sim/event"
	"hemostat/sim/severity"
)

// Detector looks at events and reports findings. It keeps whatever state it needs,
// reads no clock, takes randomness from nowhere and serves one goroutine. What else it
// can do it tells by the interfaces Timed, Ending and Stateful.
type Detector interface {
	// Inspect shows the detector an event; now is when ingest was done with it. An
	// error means that the detector can say nothing any more: the trial or replay ends
	// with it.
	Inspect(now time.Duration, e *event.Event, report Report) error
}

// Timed is a detector that has something to say when time passes, such as when a
// beacon's next interval is due.
type Timed interface {
	// NextWake is when Advance has something to do; false means not before the next
	// event.
	NextWake() (time.Duration, bool)
	// Advance lets time pass.
	Advance(now time.Duration, report Report) error
}

// Ending is a detector that holds back until it knows that no event follows.
type Ending interface {
	// End tells that the stream has ended.
	End(now time.Duration, report Report) error
}

// Stateful is a detector whose learned state can be saved and restored.
type Stateful interface {
	Save(w io.Writer) error
	// Load replaces the state by one that Save wrote.
	Load(r io.Reader) error
}

// Referring is a detector whose state refers to parts of its configuration, such as rules; a
// snapshot (package sim/snapshot) writes these as references.
type Referring interface{ Fixed() []any }

// Closing is a detector that holds something to be let go when a trial or replay is over.
type Closing interface {
	// Close ends it; completed tells that the trial ran to its end. An error is one of
	// the trial.
	Close(completed bool) error
}

// Versioned is a detector that knows its version only once it runs.
type Versioned interface{ Version() string }

// Batching is a detector that does its work for many events at once, and measures itself
// what it took in wall-clock time.
type Batching interface{ Spent() time.Duration }

// Noting is a detector that has to say what its findings rest on, such as that it is still
// warming up, or what a bound of memory made it forget.
type Noting interface{ Notes() []string }

// Explaining is a detector that adds reasons to its findings when asked to.
type Explaining interface{ Explain() }

// Report takes a finding. It may come later than the event that it is about.
type Report func(Finding)

// Finding is what a detector found. What it leaves out is filled in from the event in
// hand.
type Finding struct {
	RuleID, Title string
	Techniques    []string // ATT&CK ids, the first is the main one
	Severity      severity.Severity
	Confidence    float64 // 0 to 1
	Evidence      []uint64
	Reasons       []alert.Reason
	// Entities are who and what it is about; nil for those of the event in hand. A
	// finding without an event in hand has to name them.
	Entities *alert.Entities
	// Delay is how much later than its other work the detector had this finding.
	Delay time.Duration
	// EventTime is when the last event behind it happened; 0 for the event in hand.
	EventTime time.Duration
	// Reaction is what is to be done at once, before any correlation; nil for nothing.
	Reaction *Reaction
}

// Score is how suspicious something is to a detector, also below the bar at which it
// reports. What it says is used to draw curves of bars, and by a guard that joins what several
// detectors nearly report (defenders/sentinel/guard).
type Score struct {
	Entity   string // who and what it is about, in the detector's own words
	Of       string // which of the detector's questions it answers
	Value    float64
	Bar      float64       // from which value on it is reported
	Reported bool          // the value is above the bar
	Evidence uint64        // the event at which it stood
	Time     time.Duration // when that happened
}

// Reaction is an action that a detector is certain enough to ask for at once.
type Reaction struct {
	Request action.Request
	TTL     time.Duration
}

// Env is what a detector may be built from.
type Env struct {
	// Scenario, Seed, Index and Trial name the trial to detectors from outside; empty in a
	// replay.
	Scenario string
	Seed     uint64
	Index    int
	Trial    string
	// Epoch is the time at which the events\' times count from 0.
	Epoch     time.Time
	Inventory *inventory.Inventory
	// Rules are the variant's Sigma rules, compiled; they may be shared.
	Rules *sigma.Engine
	// InUse tells whether a rule is in use, by its key; nil when all are.
	InUse func(rule string) bool
	// Learning tells that what is shown is ordinary and to be learned from.
	Learning bool
	// Caution is how carefully the detector learns from what it detects in.
	Caution Caution
	// Vary is the factor on the bar of an entity, which an attacker who knows the detector does not
	// know; nil for 1.
	Vary func(entity string) float64
	// Score takes scores, also those below the bar; nil when nobody wants them.
	Score func(Score)
	// Scores is Score for any detector by its name, from which Score is made.
	Scores func(detector string, s Score)
	// Certain tells whether an indicator is certainly hostile, as far as is known at a
	// time; nil when nothing is.
	Certain func(now time.Duration, indicator string) bool
}

// Caution is how carefully a detector that learns while it detects takes in what it sees. The zero
// value takes in all, at once.
type Caution struct {
	// Delay is for how long something new stays unlearned. What an entity did is not learned at all
	// when the entity was reported within this time.
	Delay time.Duration
	// Influence bounds by how many mean deviations one value may move what is usual; 0 for the
	// detector's own bound.
	Influence float64
	// Drift is the share by which the bar of a kind of entity may rise above what it was after
	// training or warming up, until the detector reports it; 0 for any.
	Drift float64
}

// Kind is a kind of detector, as a variant names it.
type Kind struct {
	Name    string
	Version string // that results carry; it changes when findings may change
	Doc     string
	// Optional tells that the detector runs only where a variant names it.
	Optional bool
	// Service is the detector's own queue: how long an event takes it, how many it
	// works on at once, how many may wait. The zero value takes no time.
	Service queue.Config
	// Options returns a pointer to the options with their defaults, a struct with the
	// tags yaml and doc, for the variant's decoder and schema; nil for none.
	Options func() any
	// New builds a detector; options is what Options returned, filled in.
	New func(env Env, options any) (Detector, error)
}
