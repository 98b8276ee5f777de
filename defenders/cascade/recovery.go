package cascade

import "time"

// Phase is how far the restoration of an incident has come.
type Phase int

// The phases.
const (
	Watching   Phase = iota // until the incident is quiet
	Asking                  // a person decides
	Rebuilding              // hosts are restored from their images
	Releasing               // what is in force is undone in stages
	Restored
)

// RecoveryEvent moves a restoration.
type RecoveryEvent int

// The events.
const (
	WentQuiet         RecoveryEvent = iota // no alert for long enough
	ReleaseApproved                        // a person allowed it
	ReleaseRefused                         // a person refused, or nobody answered
	HostsRebuilt                           // the hosts are as they were
	StageObserved                          // a stage was observed without an alert
	AllStagesObserved                      // the last stage was
	Recurred                               // an alert came
)

// recoveryTransitions is the course of a restoration: the phase after each event.
var recoveryTransitions = [Restored + 1][Recurred + 1]Phase{
	//            WentQuiet  Approved    Refused     Rebuilt     Observed    All         Recurred
	Watching:   {Asking, Watching, Watching, Watching, Watching, Watching, Watching},
	Asking:     {Asking, Rebuilding, Watching, Asking, Asking, Asking, Watching},
	Rebuilding: {Rebuilding, Rebuilding, Rebuilding, Releasing, Rebuilding, Rebuilding, Watching},
	Releasing:  {Releasing, Releasing, Releasing, Releasing, Releasing, Restored, Watching},
	Restored:   {Restored, Restored, Restored, Restored, Restored, Restored, Restored},
}

// Recovery is the restoration of one incident. The zero value watches it.
type Recovery struct {
	Phase Phase
	// Stage is the next one of the release, counted from 0.
	Stage int
	// NotBefore is when it may be looked at again.
	NotBefore time.Duration
}

// Handle moves the restoration by an event and tells whether the phase changed.
func (r *Recovery) Handle(e RecoveryEvent) bool {
	before := r.Phase
	if r.Phase = recoveryTransitions[r.Phase][e]; r.Phase != before {
		r.Stage = 0
	}
	return r.Phase != before
}

// Waits tells whether an answer or a result moves it rather than time.
func (r *Recovery) Waits() bool {
	return r.Phase == Asking || r.Phase == Rebuilding || r.Phase == Restored
}
