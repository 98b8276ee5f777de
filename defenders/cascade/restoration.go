package cascade

import (
	"slices"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/response"
	"hemostat/sim/action"
	"hemostat/sim/approval"
)

// RestorationOptions configure restoration; zero values take the defaults named.
type RestorationOptions struct {
	// Quiet is how long an incident must be without an alert; 45 minutes.
	Quiet time.Duration
	// Check is how long each stage of the release is watched; 5 minutes.
	Check time.Duration
	// NoRebuild leaves hosts as they are; otherwise those involved in incidents of
	// severity high or more are rebuilt from their image.
	NoRebuild bool
	// NoApproval restores without asking anybody.
	NoApproval bool
	// Off switches restoration off: actions end by their ttl only.
	Off bool
}

// Phase is how far the restoration of an incident has come.
type Phase int

// The phases.
const (
	Watching Phase = iota
	Asking
	Rebuilding
	Releasing
	Restored
)

// Turn moves a restoration.
type Turn int

// The turns: the incident was quiet for long enough, a person approved or
// refused, the hosts are rebuilt, a stage was watched without an alert, the last
// stage was, an alert came.
const (
	TurnQuiet Turn = iota
	TurnApproved
	TurnRefused
	TurnRebuilt
	TurnChecked
	TurnDone
	TurnBleeding
)

// healing is the course of a restoration: the phase after each turn.
var healing = [5][7]Phase{
	//            Quiet Approved Refused Rebuilt Checked Done Bleeding
	Watching:   {Asking, Watching, Watching, Watching, Watching, Watching, Watching},
	Asking:     {Asking, Rebuilding, Watching, Asking, Asking, Asking, Watching},
	Rebuilding: {Rebuilding, Rebuilding, Rebuilding, Releasing, Rebuilding, Rebuilding, Watching},
	Releasing:  {Releasing, Releasing, Releasing, Releasing, Releasing, Restored, Watching},
	Restored:   {Restored, Restored, Restored, Restored, Restored, Restored, Restored},
}

// Restoration watches incidents until they are quiet.
type Restoration struct {
	options RestorationOptions
	open    []*patient
	byID    map[int]*patient
	book    *response.Playbook
	rebuild *response.Playbook
	// next is no later than the earliest time at which something is due; incidents
	// only become due later while alerts come, so it is looked at anew when it comes.
	next  time.Duration
	any   bool
	dirty bool
}

// patient is an incident on its way back.
type patient struct {
	incident *fusion.Incident
	phase    Phase
	after    time.Duration // not looked at before
	stage    int           // of the release
	released []*response.ActionRecord
	started  time.Duration // of the phase
}

func (p *patient) due(quiet time.Duration) time.Duration {
	if p.phase == Watching {
		return max(p.after, p.incident.Last+quiet)
	}
	return p.after
}

// NewRestoration puts the stage together.
func NewRestoration(o RestorationOptions) *Restoration {
	if o.Quiet == 0 {
		o.Quiet = 45 * time.Minute
	}
	if o.Check == 0 {
		o.Check = 5 * time.Minute
	}
	r := &Restoration{options: o, byID: map[int]*patient{}}
	ask := response.Step{ID: "release", Action: action.ReleaseContainment, Risk: action.Medium, With: map[string]any{"hosts": "${hosts}"}, OnFailure: "continue",
		HOTL: &response.HOTL{Required: true, Ask: "reached", Timeout: 20 * time.Minute, OnTimeout: "escalate", EscalateTo: approval.Tier2, Then: "hold"}}
	if o.NoApproval {
		ask.HOTL = nil
		ask = ask.Automatically()
	}
	r.book = &response.Playbook{ID: "restoration", Limits: response.Limits{Key: "incident"}, Deadline: 12 * time.Hour, Steps: []response.Step{ask}}
	r.rebuild = &response.Playbook{ID: "restoration_rebuild", Limits: response.Limits{Key: "incident"}, Steps: []response.Step{response.Step{
		ID: "rebuild", Action: action.RestoreFromBackup, Risk: action.Medium, With: map[string]any{"host": "${item}"},
		ForEach: "${hosts}", MaxParallel: 4, Timeout: 6 * time.Hour, OnFailure: "continue",
	}.Automatically()}}
	return r
}

// Watch begins to watch an incident.
func (r *Restoration) Watch(in *fusion.Incident) {
	if r.options.Off || r.byID[in.ID] != nil {
		return
	}
	p := &patient{incident: in}
	r.byID[in.ID] = p
	r.open = append(r.open, p)
	if at := p.due(r.options.Quiet); !r.any || at < r.next {
		r.next, r.any = at, true
	}
}

// Bleeds tells restoration of an alert in an incident. When its restoration had
// begun it starts anew, and what was released comes back to be put in force again.
func (r *Restoration) Bleeds(now time.Duration, incident int) []*response.ActionRecord {
	p := r.byID[incident]
	if p == nil || p.phase == Watching || p.phase == Restored {
		return nil
	}
	back := p.released
	r.dirty = true
	p.phase, p.stage, p.released, p.after, p.started = healing[p.phase][TurnBleeding], 0, nil, 0, now
	return back
}

// Phase is how far an incident's restoration has come.
func (r *Restoration) Phase(incident int) Phase {
	if p := r.byID[incident]; p != nil {
		return p.phase
	}
	return Watching
}

// NextWake is when the next incident may be looked at.
func (r *Restoration) NextWake() (time.Duration, bool) {
	if !r.dirty {
		return r.next, r.any
	}
	r.dirty, r.any = false, false
	for _, p := range r.open {
		if p.phase == Asking || p.phase == Rebuilding {
			continue // an answer or a result moves it
		}
		if at := p.due(r.options.Quiet); !r.any || at < r.next {
			r.next, r.any = at, true
		}
	}
	return r.next, r.any
}

// Work is what restoration wants done.
type Work struct {
	Incident *fusion.Incident
	Phase    Phase
	// Playbook asks, or rebuilds; nil when nothing has to run.
	Playbook *response.Playbook
	// Classes are what the actions to release disrupt, in phase Releasing.
	Classes []action.Disruption
}

// Due returns what is to be done now. An incident for which a playbook still runs
// is looked at again in a minute.
func (r *Restoration) Due(now time.Duration, busy func(incident int) bool) []Work {
	if at, any := r.NextWake(); !any || now < at {
		return nil
	}
	r.dirty = true
	var due []Work
	for _, p := range slices.Clone(r.open) {
		if p.phase == Asking || p.phase == Rebuilding || now < p.due(r.options.Quiet) {
			continue
		}
		switch p.phase {
		case Watching:
			if busy(p.incident.ID) {
				p.after = now + time.Minute
				continue
			}
			p.phase, p.started = healing[p.phase][TurnQuiet], now
			due = append(due, Work{Incident: p.incident, Phase: Asking, Playbook: r.book})
		case Releasing:
			if p.stage >= len(action.ReleaseOrder) {
				p.phase = healing[p.phase][TurnDone]
				r.drop(p)
				due = append(due, Work{Incident: p.incident, Phase: Restored})
				continue
			}
			due = append(due, Work{Incident: p.incident, Phase: Releasing, Classes: action.ReleaseOrder[p.stage]})
			p.stage++
			p.after = now
		}
	}
	return due
}

func (r *Restoration) drop(p *patient) {
	r.open = slices.DeleteFunc(r.open, func(other *patient) bool { return other == p })
}

// Released notes what a stage released; something released is watched for a while.
func (r *Restoration) Released(now time.Duration, incident int, list []*response.ActionRecord) {
	if p := r.byID[incident]; p != nil && len(list) > 0 {
		r.dirty = true
		p.released = append(p.released, list...)
		p.after = now + r.options.Check
	}
}

// Skip forgets an incident for which nothing was in force.
func (r *Restoration) Skip(incident int) {
	if p := r.byID[incident]; p != nil {
		r.dirty = true
		p.phase = Restored
		r.drop(p)
	}
}

// Answered tells restoration whether a person allowed it. A refusal is asked again
// after another quiet time.
func (r *Restoration) Answered(now time.Duration, incident int, approved bool) {
	p := r.byID[incident]
	if p == nil || p.phase != Asking {
		return
	}
	r.dirty = true
	if !approved {
		p.phase, p.after = healing[p.phase][TurnRefused], now+r.options.Quiet
		return
	}
	p.phase = healing[p.phase][TurnApproved]
}

// Rebuilt tells restoration that the hosts are as they were; false when it does
// not wait for that.
func (r *Restoration) Rebuilt(now time.Duration, incident int) bool {
	p := r.byID[incident]
	if p == nil || p.phase != Rebuilding {
		return false
	}
	r.dirty = true
	p.phase, p.stage, p.after = healing[p.phase][TurnRebuilt], 0, now
	return true
}

// maxRebuilt bounds what is rebuilt without a project of its own.
const maxRebuilt = 12

// Rebuild is the playbook that rebuilds an incident's hosts, or nil when there
// is nothing to rebuild.
func (r *Restoration) Rebuild(hosts []string) *response.Playbook {
	if r.options.NoRebuild || len(hosts) == 0 || len(hosts) > maxRebuilt {
		return nil
	}
	return r.rebuild
}
