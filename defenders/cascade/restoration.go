package cascade

import (
	"slices"
	"time"

	"hemostat/defenders/fusion"
	"hemostat/defenders/response"
)

// RestorationOptions configure restoration; zero values take the defaults named.
type RestorationOptions struct {
	// Quiet is how long an incident must be without an alert; 45 minutes.
	Quiet time.Duration
	// NoRebuild leaves hosts as they are; otherwise those involved in incidents of
	// severity high or more are rebuilt from their image.
	NoRebuild bool
	// Off switches restoration off: actions end by their ttl only.
	Off bool
}

// Restoration watches incidents until they are quiet.
type Restoration struct {
	options RestorationOptions
	open    []watched
	book    *response.Playbook
}

// watched is an incident and the earliest time to look at it again.
type watched struct {
	incident *fusion.Incident
	after    time.Duration
}

func (w watched) due(quiet time.Duration) time.Duration {
	return max(w.after, w.incident.Last+quiet)
}

// NewRestoration puts the stage together.
func NewRestoration(o RestorationOptions) *Restoration {
	if o.Quiet == 0 {
		o.Quiet = 45 * time.Minute
	}
	return &Restoration{options: o, book: &response.Playbook{ID: "restoration", Steps: []response.Step{response.Step{
		ID: "rebuild", Action: "restore_from_backup", Risk: response.Medium, With: map[string]any{"host": "${item}"},
		ForEach: "${fusion.hosts}", MaxParallel: 4, Timeout: 6 * time.Hour, OnFailure: "continue",
	}.Automatically()}}}
}

// Watch begins to watch an incident.
func (r *Restoration) Watch(in *fusion.Incident) {
	if !r.options.Off && !slices.ContainsFunc(r.open, func(w watched) bool { return w.incident == in }) {
		r.open = append(r.open, watched{incident: in})
	}
}

// NextWake is when the next incident may be quiet for long enough.
func (r *Restoration) NextWake() (time.Duration, bool) {
	best, any := time.Duration(0), false
	for _, w := range r.open {
		if at := w.due(r.options.Quiet); !any || at < best {
			best, any = at, true
		}
	}
	return best, any
}

// Due returns the incidents that have been quiet for long enough and forgets
// them. An incident for which a playbook still runs is looked at again in a
// minute.
func (r *Restoration) Due(now time.Duration, busy func(incident int) bool) []*fusion.Incident {
	var due []*fusion.Incident
	var left []watched
	for _, w := range r.open {
		switch {
		case now < w.due(r.options.Quiet):
			left = append(left, w)
		case busy(w.incident.ID):
			left = append(left, watched{w.incident, now + time.Minute})
		default:
			due = append(due, w.incident)
		}
	}
	r.open = left
	return due
}

// maxRebuilt bounds what is rebuilt without a project of its own.
const maxRebuilt = 12

// Rebuild is the playbook that rebuilds an incident's hosts, or nil when there
// is nothing to rebuild.
func (r *Restoration) Rebuild(in *fusion.Incident, hosts []string) *response.Playbook {
	if r.options.NoRebuild || len(hosts) == 0 || len(hosts) > maxRebuilt {
		return nil
	}
	return r.book
}
