package incident

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/alert"
	"hemostat/defenders/cascade"
	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/sim/action"
	"hemostat/sim/approval"
	"hemostat/sim/severity"
	"hemostat/sim/stage"
)

// Options configure the life of incidents; zero values take the defaults named.
type Options struct {
	// Window is how long after its last alert an incident takes in related ones; 90
	// minutes.
	Window      time.Duration
	Inventory   *inventory.Inventory
	Cascade     cascade.Options
	Restoration RestorationOptions
	Registry    prometheus.Registerer
	// Stage is called when a stage of an incident begins; its end is filled in later.
	Stage func(s *StageTime)
	// Ended is called when an incident is over; nothing holds it any more.
	Ended func(now time.Duration, in *Incident)
	// Merged is called when an incident turned out to be a part of another.
	Merged func(from, into int)
	// Advise says what else is believed about an incident; nil for nothing.
	Advise func(in *Incident, zone string) cascade.Advice
}

// RestorationOptions configure restoration; zero values take the defaults named.
type RestorationOptions struct {
	// Quiet is how long an incident must be without an alert; 45 minutes.
	Quiet time.Duration
	// Check is how long each stage of the release is observed; 5 minutes.
	Check time.Duration
	// NoRebuild leaves hosts as they are; otherwise those with an alert of severity
	// high or more are rebuilt from their image.
	NoRebuild bool
	// NoApproval restores without asking anybody.
	NoApproval bool
	// Off switches restoration off: actions end by their ttl only.
	Off bool
}

// StageTime is one stage's work on an incident; Ended is nil while it goes on.
type StageTime struct {
	Incident int
	Stage    stage.Name
	Started  time.Duration
	Ended    *time.Duration
}

// Lifecycle owns the incidents that are open.
type Lifecycle struct {
	options   Options `snapshot:"-"`
	responder Responder
	cascade   *cascade.Cascade
	open      map[int]*tracked
	watching  []*tracked // that restoration watches, in the order in which it began to
	idle      []idleSince
	byKey     map[string]*tracked
	merged    map[int]int // the incident that another was merged into, while that one is open
	stages    map[stageKey][]*StageTime
	count     int
	coherence prometheus.Histogram `snapshot:"-"`

	// next is no later than when the next restoration is due; it is looked for anew
	// when stale is set.
	next    time.Duration
	hasNext bool
	stale   bool
}

// tracked is an open incident and what its life needs to know.
type tracked struct {
	*Incident
	recovery  cascade.Recovery
	watched   bool // restoration watches it
	released  []Released
	contained bool // an action of high risk changed something

	// The first clock: from detection to the first reaction.
	firstSerious *time.Duration
	lastRaised   time.Duration
	answered     bool
}

type stageKey struct {
	incident int
	stage    stage.Name
}

// CoherenceTarget is the greatest time from an incident's detection to its first
// reaction that counts as coherent (the proxy for integrated defence of the design).
const CoherenceTarget = 5 * time.Second

// rollbackHold is for how long what restoration had released too early holds again.
const rollbackHold = 2 * time.Hour

// JoinWindow is the time within which alerts that share an entity join one incident.
const JoinWindow = 90 * time.Minute

// New makes a lifecycle whose orders go to a responder.
func New(o Options, r Responder) (*Lifecycle, error) {
	o.Window = cmp.Or(o.Window, JoinWindow)
	o.Restoration.Quiet = cmp.Or(o.Restoration.Quiet, 45*time.Minute)
	o.Restoration.Check = cmp.Or(o.Restoration.Check, 5*time.Minute)
	l := &Lifecycle{
		options:   o,
		responder: r,
		cascade:   cascade.New(o.Cascade, o.Inventory),
		open:      map[int]*tracked{},
		byKey:     map[string]*tracked{},
		merged:    map[int]int{},
		stages:    map[stageKey][]*StageTime{},
	}
	if o.Registry != nil {
		l.coherence = prometheus.NewHistogram(
			prometheus.HistogramOpts{
				Name:    "response_coherence_seconds",
				Buckets: prometheus.ExponentialBuckets(0.5, 2, 12),
				Help:    "Time from an incident's detection to the first action in effect, or approval request; the goal is under 5 s.",
			},
		)
		if err := o.Registry.Register(l.coherence); err != nil {
			return nil, fmt.Errorf("incident metrics: %w", err)
		}
	}
	return l, nil
}

// Count is the number of incidents so far.
func (l *Lifecycle) Count() int { return l.count }

// Open is the number of incidents that are open.
func (l *Lifecycle) Open() int { return len(l.open) }

// OpenOnes are the numbers of the incidents that are open, in their order.
func (l *Lifecycle) OpenOnes() []int { return slices.Sorted(maps.Keys(l.open)) }

// ZoneLevel is how far the cascade's reaction in a zone has gone.
func (l *Lifecycle) ZoneLevel(zone string) cascade.Level { return l.cascade.Level(zone) }

// Join puts an alert into its incident: the oldest open one that it is related to, or a
// new one. When it is related to several, they turn out to be one.
func (l *Lifecycle) Join(now time.Duration, a *alert.Alert, e fusion.Enrichment) *Incident {
	l.expire(now)
	related := l.related(now, e.Keys)
	fresh := len(related) == 0
	if fresh {
		l.count++
		t := &tracked{Incident: &Incident{ID: l.count, First: now, Severity: a.Severity, byRule: map[string]float64{}}}
		l.open[t.ID], related = t, []*tracked{t}
		l.idle = append(l.idle, idleSince{t, now})
	}
	in := related[0]
	for _, other := range related[1:] {
		l.merge(now, other, in)
	}
	for _, k := range e.Keys {
		if l.byKey[k] != in {
			l.byKey[k] = in
			in.keys = append(in.keys, k)
		}
	}
	in.join(now, a, e)
	in.noteRaised(a)
	if fresh {
		l.addStage(in.ID, stage.Detection, a.Raised, now)
		l.addStage(in.ID, stage.Fusion, a.Raised, now)
	}
	return in.Incident
}

// related are the open incidents that share a key and had an alert within the window,
// oldest first.
func (l *Lifecycle) related(now time.Duration, keys []string) []*tracked {
	var found []*tracked
	for _, k := range keys {
		t := l.byKey[k]
		if t != nil && now-t.Last <= l.options.Window && !slices.Contains(found, t) {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *tracked) int { return cmp.Compare(a.ID, b.ID) })
	return found
}

// merge makes one incident of two. A restoration that a person was asked about, or had
// allowed, was about less than what is now one incident: it is asked about anew.
func (l *Lifecycle) merge(now time.Duration, from, into *tracked) {
	into.absorb(from.Incident)
	for _, k := range from.keys {
		if l.byKey[k] == from {
			l.byKey[k] = into
			into.keys = append(into.keys, k)
		}
	}
	l.merged[from.ID] = into.ID
	l.responder.Merge(from.Incident, into.Incident)
	if l.options.Merged != nil {
		l.options.Merged(from.ID, into.ID)
	}
	into.contained = into.contained || from.contained
	into.answered = into.answered || from.answered
	if into.firstSerious == nil {
		into.firstSerious = from.firstSerious
	}
	into.released = append(into.released, from.released...)
	if into.recovery.Handle(cascade.Recurred) {
		into.recovery.NotBefore, l.stale = 0, true
		l.cancelRestoration(now, into.ID)
	}
	if from.watched && !into.watched {
		into.watched = true
		l.watching = append(l.watching, into)
		l.schedule(l.due(into))
	}
	l.closeStage(from.ID, stage.RestorationAsked, now)
	l.closeStage(from.ID, stage.Restoration, now)
	l.remove(from)
}

// Recur tells restoration of an alert of an incident: one that calls for a response is
// watched from then on, and when its restoration had begun it starts anew and what was
// released is put in force again.
func (l *Lifecycle) Recur(now time.Duration, in *Incident, s severity.Severity) {
	t := l.find(in.ID)
	if t == nil || !s.IsThreat() {
		return
	}
	if !t.watched && !l.options.Restoration.Off {
		t.watched = true
		l.watching = append(l.watching, t)
		l.schedule(l.due(t))
	}
	back := t.released
	if t.recovery.Handle(cascade.Recurred) {
		t.recovery.NotBefore, l.stale = 0, true
		l.cancelRestoration(now, t.ID)
	}
	if t.released = nil; len(back) == 0 {
		return
	}
	l.addStage(t.ID, stage.Rollback, now, now)
	l.responder.Reapply(now, back, rollbackHold)
}

// cancelRestoration ends the stage of a restoration that was broken off.
func (l *Lifecycle) cancelRestoration(now time.Duration, id int) {
	for _, s := range l.stages[stageKey{id, stage.Restoration}] {
		s.Stage = stage.RestorationCanceled
	}
	l.closeStage(id, stage.Restoration, now)
}

// React lets the cascade decide what an alert of an incident calls for.
func (l *Lifecycle) React(now time.Duration, in *Incident, a *alert.Alert) {
	if t := l.find(in.ID); t != nil {
		in = t.Incident
	}
	var advice cascade.Advice
	if l.options.Advise != nil {
		advice = l.options.Advise(in, a.Zone)
	}
	d, ok := l.cascade.Alert(now, in.Score, a, advice)
	if !ok {
		return
	}
	l.addStage(in.ID, stage.Cascade, now, now)
	l.responder.Execute(now, cascadeOrder(in, d))
}

// StepEnded tells how a step that an order asked for has ended.
func (l *Lifecycle) StepEnded(now time.Duration, id int, origin action.Origin, good bool, targets []string) {
	switch origin {
	case action.FromCascade:
		if !good {
			for _, zone := range targets {
				l.cascade.Refuse(zone)
			}
		}
	case action.FromRestoration:
		l.answered(now, id, good)
	}
}

// answered carries a restoration on when a person has decided. A refusal is asked again
// after another quiet time.
func (l *Lifecycle) answered(now time.Duration, id int, approved bool) {
	t := l.find(id)
	l.closeStage(id, stage.RestorationAsked, now)
	if t == nil || t.recovery.Phase != cascade.Asking {
		return
	}
	l.stale = true
	if !approved {
		t.recovery.Handle(cascade.ReleaseRefused)
		t.recovery.NotBefore = now + l.options.Restoration.Quiet
		return
	}
	t.recovery.Handle(cascade.ReleaseApproved)
	l.openStage(t.ID, stage.Restoration, now)
	hosts := l.rebuildable(t)
	if l.options.Restoration.NoRebuild || len(hosts) == 0 || len(hosts) > maxRebuilt {
		l.rebuilt(now, t)
		return
	}
	l.openStage(t.ID, stage.Rebuild, now)
	l.responder.Execute(now, rebuildOrder(t.Incident, hosts))
}

// maxRebuilt bounds what is rebuilt without a project of its own.
const maxRebuilt = 12

func (l *Lifecycle) rebuilt(now time.Duration, t *tracked) {
	if t.recovery.Phase != cascade.Rebuilding {
		return
	}
	l.stale = true
	t.recovery.Handle(cascade.HostsRebuilt)
	t.recovery.NotBefore = now
}

// RunStarted tells of a playbook that began for an incident.
func (l *Lifecycle) RunStarted(now time.Duration, id int, playbook string) {
	l.openStage(id, stage.Response(playbook), now)
}

// RunEnded tells of a playbook or order that ended.
func (l *Lifecycle) RunEnded(now time.Duration, id int, playbook string, origin action.Origin) {
	l.closeStage(id, stage.Response(playbook), now)
	if origin != action.FromRebuild {
		return
	}
	if t := l.find(id); t != nil {
		l.rebuilt(now, t)
	}
	l.closeStage(id, stage.Rebuild, now)
}

// ApprovalAsked tells of an approval request for an incident.
func (l *Lifecycle) ApprovalAsked(now time.Duration, id int, playbook, step string) {
	l.openStage(id, stage.Approval(playbook, step), now)
	l.observeCoherence(now, id)
}

// ApprovalClosed tells that the request that was asked at a time has ended.
func (l *Lifecycle) ApprovalClosed(now time.Duration, id int, playbook, step string, asked time.Duration) {
	l.closeStageFrom(id, stage.Approval(playbook, step), &asked, now)
}

// ActionTookEffect tells that an action for an incident changed something.
func (l *Lifecycle) ActionTookEffect(now time.Duration, id int) { l.observeCoherence(now, id) }

// ActionEnded tells how an action for an incident ended.
func (l *Lifecycle) ActionEnded(id int, kind action.Kind, changed bool) {
	if t := l.find(id); t != nil && changed && action.Must(kind).Risk == action.High {
		t.contained = true
	}
}

// noteRaised keeps what the first clock starts from.
func (t *tracked) noteRaised(a *alert.Alert) {
	t.lastRaised = a.Raised
	if t.firstSerious == nil && a.Severity >= severity.High {
		raised := a.Raised
		t.firstSerious = &raised
	}
}

// observeCoherence observes the first clock of an incident, once: from its detection,
// the first alert of severity high or more, or else the last alert before the reaction,
// to the reaction (docs/metrics.md).
func (l *Lifecycle) observeCoherence(now time.Duration, id int) {
	t := l.find(id)
	if t == nil || t.answered {
		return
	}
	t.answered = true
	from := t.lastRaised
	if t.firstSerious != nil {
		from = *t.firstSerious
	}
	if l.coherence != nil {
		l.coherence.Observe((now - from).Seconds())
	}
}

// Find is the open incident of a number, or the one that it was merged into; nil when it has
// ended.
func (l *Lifecycle) Find(id int) *Incident {
	if t := l.find(id); t != nil {
		return t.Incident
	}
	return nil
}

// find is the open incident of a number, or the one that it was merged into.
func (l *Lifecycle) find(id int) *tracked {
	for into, ok := l.merged[id]; ok; into, ok = l.merged[id] {
		id = into
	}
	return l.open[id]
}

// due is when a restoration may be looked at.
func (l *Lifecycle) due(t *tracked) time.Duration {
	if t.recovery.Phase == cascade.Watching {
		return max(t.recovery.NotBefore, t.Last+l.options.Restoration.Quiet)
	}
	return t.recovery.NotBefore
}

// schedule makes sure that a time is not missed.
func (l *Lifecycle) schedule(at time.Duration) {
	if !l.hasNext || at < l.next {
		l.next, l.hasNext = at, true
	}
}

// NextWake is when the next incident may be looked at. Incidents only become due later
// while alerts come, so it may be too early.
func (l *Lifecycle) NextWake() (time.Duration, bool) {
	if l.stale {
		l.stale, l.hasNext = false, false
		for _, t := range l.watching {
			if !t.recovery.Waits() {
				l.schedule(l.due(t))
			}
		}
	}
	return l.next, l.hasNext
}

// Advance does what is due for the incidents. One that something is done for is looked
// at again in a minute.
func (l *Lifecycle) Advance(now time.Duration) {
	if at, ok := l.NextWake(); !ok || now < at {
		return
	}
	l.stale = true
	for _, t := range slices.Clone(l.watching) {
		if t.Closed || t.recovery.Waits() || now < l.due(t) {
			continue
		}
		switch {
		case t.recovery.Phase == cascade.Watching && l.responder.IsBusy(t.ID):
			t.recovery.NotBefore = now + time.Minute
		case t.recovery.Phase == cascade.Watching:
			t.recovery.Handle(cascade.WentQuiet)
			l.askRelease(now, t)
		case t.recovery.Stage < len(action.ReleaseOrder):
			l.releaseStage(now, t)
		default:
			t.recovery.Handle(cascade.AllStagesObserved)
			l.closeStage(t.ID, stage.Restoration, now)
			l.end(now, t)
		}
	}
}

// askRelease asks whether what was done for a quiet incident may be undone. One for
// which nothing was done is over.
func (l *Lifecycle) askRelease(now time.Duration, t *tracked) {
	hosts := l.rebuildable(t)
	if l.responder.InForce(t.ID) == 0 && len(hosts) == 0 {
		l.end(now, t)
		return
	}
	l.openStage(t.ID, stage.RestorationAsked, now)
	for _, instead := range [][]string{t.Hosts, t.Accounts, t.Sources, {"nothing named"}} {
		if len(hosts) == 0 {
			hosts = instead
		}
	}
	l.responder.Execute(now, releaseOrder(t.Incident, hosts, l.options.Restoration.NoApproval))
}

// releaseStage releases the next class of what is in force; something released is
// observed for a while.
func (l *Lifecycle) releaseStage(now time.Duration, t *tracked) {
	classes := action.ReleaseOrder[t.recovery.Stage]
	t.recovery.Stage++
	t.recovery.NotBefore = now
	released := l.responder.Release(now, t.ID, classes)
	if len(released) > 0 {
		t.released = append(t.released, released...)
		t.recovery.NotBefore = now + l.options.Restoration.Check
	}
}

// rebuildable are the hosts of an incident on which code of the intruder may have run,
// provided that the incident was taken seriously enough to contain something.
func (l *Lifecycle) rebuildable(t *tracked) []string {
	if !t.contained {
		return nil
	}
	var hosts []string
	for _, name := range t.SeriousHosts {
		if h := l.options.Inventory.Host(name); h != nil && h.Role.IsRebuildable() {
			addTo(&hosts, h.Name)
		}
	}
	return hosts
}

// idleSince is an incident and when its last alert had come when it was looked at.
type idleSince struct {
	*tracked
	last time.Duration
}

// expire ends the incidents that restoration does not watch and that no alert can join
// any more.
func (l *Lifecycle) expire(now time.Duration) {
	for len(l.idle) > 0 && now-l.idle[0].last > l.options.Window {
		t := l.idle[0].tracked
		l.idle[0] = idleSince{}
		l.idle = l.idle[1:]
		switch {
		case t.Closed || t.watched:
		case t.Last > now-l.options.Window:
			l.idle = append(l.idle, idleSince{t, t.Last})
		case l.responder.IsBusy(t.ID) || l.responder.InForce(t.ID) > 0:
			l.idle = append(l.idle, idleSince{t, now})
		default:
			l.end(now, t)
		}
	}
}

// end closes an incident; later alerts about its entities open a new one.
func (l *Lifecycle) end(now time.Duration, t *tracked) {
	t.Closed = true
	t.recovery.Phase = cascade.Restored
	l.remove(t)
	if l.options.Ended != nil {
		l.options.Ended(now, t.Incident)
	}
}

// remove forgets an incident that is over or was merged.
func (l *Lifecycle) remove(t *tracked) {
	delete(l.open, t.ID)
	if t.watched {
		l.stale = true
		l.watching = slices.DeleteFunc(l.watching, func(x *tracked) bool { return x == t })
	}
	for _, k := range t.keys {
		if l.byKey[k] == t {
			delete(l.byKey, k)
		}
	}
	if t.MergedInto != nil {
		return
	}
	for ended := []int{t.ID}; len(ended) > 0; ended = ended[1:] {
		for from, into := range l.merged {
			if into == ended[0] {
				delete(l.merged, from)
				ended = append(ended, from)
			}
		}
	}
}

func (l *Lifecycle) addStage(id int, name stage.Name, started, ended time.Duration) {
	if l.options.Stage != nil {
		l.options.Stage(&StageTime{id, name, started, &ended})
	}
}

// openStage begins a stage that closeStage ends.
func (l *Lifecycle) openStage(id int, name stage.Name, started time.Duration) {
	s := &StageTime{Incident: id, Stage: name, Started: started}
	key := stageKey{id, name}
	l.stages[key] = append(l.stages[key], s)
	if l.options.Stage != nil {
		l.options.Stage(s)
	}
}

// closeStage ends the latest stage of a name that goes on for an incident.
func (l *Lifecycle) closeStage(id int, name stage.Name, now time.Duration) {
	l.closeStageFrom(id, name, nil, now)
}

// closeStageFrom is closeStage for the stage that began at a time; nil stands for the
// latest. A stage of an incident that was merged meanwhile is found by its old number.
func (l *Lifecycle) closeStageFrom(id int, name stage.Name, started *time.Duration, now time.Duration) {
	key := stageKey{id, name}
	list := l.stages[key]
	if len(list) == 0 {
		for _, from := range slices.Sorted(maps.Keys(l.merged)) {
			if t := l.find(from); t != nil && t.ID == id && len(l.stages[stageKey{from, name}]) > 0 {
				key = stageKey{from, name}
				list = l.stages[key]
				break
			}
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		if s := list[i]; started == nil || s.Started == *started {
			s.Ended = &now
			if list = slices.Delete(list, i, i+1); len(list) == 0 {
				delete(l.stages, key)
			} else {
				l.stages[key] = list
			}
			return
		}
	}
}

// cascadeOrder is what a zone's reaction asks the response for.
func cascadeOrder(in *Incident, d cascade.Decision) Order {
	o := Order{
		Incident: in,
		Origin:   action.FromCascade,
		About:    fmt.Sprintf("host=%s next=%s zone=%s", d.Host, d.Next, d.Zone),
	}
	at := func(kind action.Kind, target action.TargetKind, value string) action.Request {
		return action.Request{Kind: kind, Target: action.Target{Kind: target, Value: value}}
	}
	decoys := func(zone string) []action.Request {
		r := at(action.DeployDecoys, action.Zone, zone)
		r.Count = 2
		return []action.Request{r}
	}
	switch d.Level {
	case cascade.Local:
		o.Name, o.Key = cascadeLocal, d.Host
		honeypot := at(action.DeployHoneypot, action.Host, d.Host)
		honeypot.Service = "smb"
		o.Steps = []OrderStep{{ID: "lure", Requests: []action.Request{honeypot}, Risk: action.Medium, TTL: 2 * d.Hold}}
	case cascade.Throttled:
		o.Name, o.Key = cascadeThrottle, d.Zone
		shape := at(action.ShapeTraffic, action.Zone, d.Zone)
		shape.Kbps = 1024
		o.Steps = []OrderStep{
			{ID: "shape", Requests: []action.Request{shape}, Risk: action.Medium, TTL: d.Hold},
			{ID: "lure", Requests: decoys(d.Zone), Risk: action.Medium, TTL: 4 * d.Hold},
			{ID: "ahead", Requests: decoys(d.Next), Risk: action.Medium, TTL: 4 * d.Hold},
		}
	case cascade.Isolated:
		o.Name, o.Key = cascadeIsolate, d.Zone
		o.Steps = []OrderStep{
			{
				ID:       "isolate",
				Requests: []action.Request{at(action.IsolateZone, action.Zone, d.Zone)},
				Risk:     action.High,
				TTL:      d.Hold,
				Approval: &Approval{Timeout: 10 * time.Minute},
			},
		}
	}
	return o
}

// releaseOrder asks whether what was done may be undone.
func releaseOrder(in *Incident, hosts []string, noApproval bool) Order {
	request := action.Request{
		Kind:   action.ReleaseContainment,
		Target: action.Target{Kind: action.Hosts, Value: strings.Join(hosts, ",")},
	}
	step := OrderStep{ID: "release", Requests: []action.Request{request}, Risk: action.Medium}
	if !noApproval {
		step.Approval = &Approval{Timeout: 20 * time.Minute, EscalateTo: approval.Tier2}
	}
	return Order{
		Incident: in,
		Origin:   action.FromRestoration,
		Name:     restoration,
		Key:      fmt.Sprint(in.ID),
		About:    about(in, hosts),
		Deadline: 12 * time.Hour,
		Steps:    []OrderStep{step},
	}
}

// rebuildOrder restores hosts from their images.
func rebuildOrder(in *Incident, hosts []string) Order {
	step := OrderStep{ID: "rebuild", Risk: action.Medium, Width: 4, Timeout: 6 * time.Hour}
	for _, h := range hosts {
		step.Requests = append(
			step.Requests,
			action.Request{Kind: action.RestoreFromBackup, Target: action.Target{Kind: action.Host, Value: h}},
		)
	}
	return Order{
		Incident: in,
		Origin:   action.FromRebuild,
		Name:     rebuild,
		Key:      fmt.Sprint(in.ID),
		About:    about(in, hosts),
		Steps:    []OrderStep{step},
	}
}

func about(in *Incident, hosts []string) string {
	return fmt.Sprintf("hosts=%s incident=%d", strings.Join(hosts, ","), in.ID)
}
