package defenders

import (
	"container/heap"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/cascade"
	"hemostat/defenders/fusion"
	"hemostat/defenders/inventory"
	"hemostat/defenders/reflex"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel"
	"hemostat/sim/action"
	"hemostat/sim/event"
	"hemostat/sim/severity"
	"hemostat/sim/stage"
)

// Services are the service times of the stages. The defaults stand in
// DefaultServices; the zero value takes no time anywhere, as a replay wants it.
type Services struct {
	Ingest, Sentinel, Fusion, Response Service
}

// DefaultServices are the stages of a mid-sized installation. They are
// assumptions; docs/calibration.md says so.
func DefaultServices() Services {
	return Services{
		Ingest:   Service{Mean: 200 * time.Microsecond, Servers: 2, Queue: 50_000},
		Sentinel: Service{Mean: 2 * time.Millisecond, Servers: 4, Queue: 50_000},
		Fusion:   Service{Mean: 400 * time.Millisecond, Servers: 2, Queue: 5_000},
		Response: Service{Mean: 200 * time.Millisecond, Servers: 2, Queue: 5_000},
	}
}

// Config puts a pipeline together.
type Config struct {
	Inventory   *inventory.Inventory
	Detectors   []sentinel.Detector
	Intel       []fusion.Source
	Playbooks   []*response.Playbook
	Policy      response.Policy
	Reflex      reflex.Options
	NoReflex    bool
	Cascade     cascade.Options
	Restoration cascade.RestorationOptions
	Services    Services
	Actuator    response.Actuator
	Approver    response.Approver
	// Listener records what the response does; those of its functions that the pipeline
	// needs itself are called after it.
	Listener response.Listener
	// Uniform gives the draw in [0, 1) of a stage for its n-th item; nil gives 0.5.
	Uniform  func(stage Stage, n uint64) float64
	Registry prometheus.Registerer
}

// Stage names a stage of the pipeline.
type Stage uint8

// The stages in the order of an event's path.
const (
	StageIngest Stage = iota
	StageSentinel
	StageFusion
	StageResponse
)

// Pipeline is the whole defence.
type Pipeline struct {
	// Alerts is what was found so far, with the incident that each joined.
	Alerts []RaisedAlert
	// Stages is when each stage worked on each incident.
	Stages []StageTime
	// OnIngested is called for each event when ingest is done with it; nil is
	// allowed.
	OnIngested func(e *event.Event, at time.Duration)
	// OnAlert is called when an alert has joined its incident; nil is allowed.
	OnAlert func(a *RaisedAlert)

	config      Config
	sentinel    *sentinel.Sentinel
	reflex      *reflex.Reflex
	fusion      *fusion.Fusion
	engine      *response.Engine
	cascade     *cascade.Cascade
	restoration *cascade.Restoration
	stations    [StageResponse + 1]*station
	counts      [StageResponse + 1]uint64
	work        workHeap
	seq         uint64
	nextAlert   int
	now         time.Duration
	// detected is when the event happened that led to the latest alert of an
	// incident that nobody has reacted to yet; answered are those with a reaction.
	detected  map[int]time.Duration
	answered  map[int]bool
	contained map[int]bool       // incidents for which an action of high risk changed something
	going     map[stageKey][]int // indices of stages that have not ended
	coherence prometheus.Histogram
}

// RaisedAlert is an alert and where it went.
type RaisedAlert struct {
	sentinel.Alert
	Incident int
	Enriched time.Duration // when fusion was done with it
}

// StageTime is one stage's work on an incident; Ended is nil while it goes on.
type StageTime struct {
	Incident int
	Stage    stage.Name
	Started  time.Duration
	Ended    *time.Duration
}

// New makes a pipeline.
func New(c Config) (*Pipeline, error) {
	if c.Inventory == nil {
		c.Inventory = inventory.New(nil, nil)
	}
	if c.Uniform == nil {
		c.Uniform = func(Stage, uint64) float64 { return 0.5 }
	}
	p := &Pipeline{config: c, detected: map[int]time.Duration{}, answered: map[int]bool{}, contained: map[int]bool{}, going: map[stageKey][]int{}}
	if c.Registry != nil {
		p.coherence = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "response_coherence_seconds", Buckets: prometheus.ExponentialBuckets(0.5, 2, 12),
			Help: "Time from the event over enrichment to the first automatic action in effect, or approval asked; the goal is under 5 s."})
		if err := c.Registry.Register(p.coherence); err != nil {
			return nil, fmt.Errorf("pipeline metrics: %w", err)
		}
	}
	var err error
	if p.sentinel, err = sentinel.New(sentinel.Options{Detectors: c.Detectors, Inventory: c.Inventory, Registry: c.Registry}); err != nil {
		return nil, err
	}
	if p.fusion, err = fusion.New(fusion.Options{Sources: c.Intel, Inventory: c.Inventory, Registry: c.Registry}); err != nil {
		return nil, err
	}
	p.engine, err = response.New(response.Options{Playbooks: c.Playbooks, Policy: c.Policy, Actuator: c.Actuator, Approver: c.Approver, Inventory: c.Inventory, Registry: c.Registry, Listener: p.listen(c.Listener)})
	if err != nil {
		return nil, err
	}
	p.reflex = reflex.New(c.Reflex, c.Inventory)
	p.cascade = cascade.New(c.Cascade, c.Inventory)
	p.restoration = cascade.NewRestoration(c.Restoration)
	for stage, s := range []Service{c.Services.Ingest, c.Services.Sentinel, c.Services.Fusion, c.Services.Response} {
		p.stations[stage] = newStation(s)
	}
	return p, nil
}

// Engine is the response engine, for its records.
func (p *Pipeline) Engine() *response.Engine { return p.engine }

// Incidents lists the incidents so far.
func (p *Pipeline) Incidents() []*fusion.Incident { return p.fusion.Incidents() }

// Dropped counts the items that full queues refused.
func (p *Pipeline) Dropped() int {
	n := 0
	for _, s := range p.stations {
		n += s.dropped
	}
	return n
}

func (p *Pipeline) admit(now time.Duration, stage Stage) (time.Duration, bool) {
	s := p.stations[stage]
	if s.service.Mean == 0 {
		return now, true
	}
	p.counts[stage]++
	return s.admit(now, p.config.Uniform(stage, p.counts[stage]))
}

// Event takes in one event that a sensor has delivered now.
func (p *Pipeline) Event(now time.Duration, e *event.Event) {
	ingested, ok := p.admit(now, StageIngest)
	if !ok {
		return
	}
	if p.OnIngested != nil {
		p.OnIngested(e, ingested)
	}
	if !p.config.NoReflex {
		if r, react := p.reflex.Inspect(e); react {
			p.push(ingested, func(at time.Duration) { p.react(at, r) })
			alert := sentinel.Alert{EventTime: e.Time, Detector: "reflex", RuleID: r.Rule, Title: r.Title, Techniques: []string{r.Technique},
				Severity: severity.Low, Confidence: r.Confidence, Evidence: r.Evidence, Entities: sentinel.EntitiesOf(e, p.config.Inventory)}
			p.raise(ingested, alert)
		}
	}
	analysed, ok := p.admit(ingested, StageSentinel)
	if !ok {
		return
	}
	p.sentinel.ObserveLatency(analysed - now)
	for _, a := range p.sentinel.Inspect(e) {
		p.raise(analysed, a)
	}
}

func (p *Pipeline) react(at time.Duration, r reflex.Reaction) {
	p.engine.Act(at, 0, response.FromReflex, r.Rule, r.Request, r.TTL)
}

// raise queues an alert for fusion from the time at which it stands.
func (p *Pipeline) raise(at time.Duration, a sentinel.Alert) {
	a.Raised = at
	p.push(at, func(now time.Duration) {
		enriched, ok := p.admit(now, StageFusion)
		if ok {
			p.push(enriched, func(now time.Duration) { p.fuse(now, a) })
		}
	})
}

// fuse joins an alert to its incident and hands it on to the response.
func (p *Pipeline) fuse(now time.Duration, a sentinel.Alert) {
	p.nextAlert++
	a.ID = p.nextAlert
	in, fresh := p.fusion.Add(now, a)
	p.Alerts = append(p.Alerts, RaisedAlert{Alert: a, Incident: in.ID, Enriched: now})
	if fresh {
		p.addStage(in.ID, stage.Detection, a.Raised, now)
		p.addStage(in.ID, stage.Fusion, a.Raised, now)
	}
	if p.OnAlert != nil {
		p.OnAlert(&p.Alerts[len(p.Alerts)-1])
	}
	if a.Severity.IsThreat() {
		p.restoration.Watch(in)
		if back := p.restoration.Bleeds(now, in.ID); back != nil {
			for _, i := range p.going[stageKey{in.ID, stage.Restoration}] {
				p.Stages[i].Stage = stage.RestorationCanceled
			}
			p.close(in.ID, stage.Restoration, -1, now)
			p.addStage(in.ID, stage.Rollback, now, now)
			p.engine.Reapply(now, back, rollbackHold)
		}
	}
	ready, ok := p.admit(now, StageResponse)
	if !ok {
		return
	}
	p.push(ready, func(now time.Duration) { p.respond(now, in, &a) })
}

// rollbackHold is for how long what restoration had released too early holds again.
const rollbackHold = 2 * time.Hour

func (p *Pipeline) respond(now time.Duration, in *fusion.Incident, a *sentinel.Alert) {
	if !p.answered[in.ID] {
		p.detected[in.ID] = a.EventTime
	}
	p.engine.Alert(now, in, a)
	if d, ok := p.cascade.Alert(now, in, a); ok {
		p.addStage(in.ID, stage.Cascade, now, now)
		p.engine.Run(now, response.RunRequest{Playbook: d.Playbook, Incident: in, Origin: response.FromCascade, Inputs: d.Inputs})
	}
}

// listen puts what the pipeline needs to hear of the response behind a listener.
func (p *Pipeline) listen(l response.Listener) response.Listener {
	l.RunStarted = both(l.RunStarted, p.runStarted)
	l.RunEnded = both(l.RunEnded, p.runEnded)
	l.StepEnded = both(l.StepEnded, p.stepEnded)
	l.ApprovalAsked = both(l.ApprovalAsked, p.approvalAsked)
	l.ApprovalClosed = both(l.ApprovalClosed, p.approvalClosed)
	l.ActionTookEffect = both(l.ActionTookEffect, p.actionTookEffect)
	l.ActionEnded = both(l.ActionEnded, p.actionEnded)
	return l
}

func both[T any](first, second func(time.Duration, T)) func(time.Duration, T) {
	if first == nil {
		return second
	}
	return func(now time.Duration, x T) {
		first(now, x)
		second(now, x)
	}
}

// stepEnded lets the cascade and restoration know how their steps ended.
func (p *Pipeline) stepEnded(now time.Duration, s response.StepEnd) {
	switch s.Origin {
	case response.FromCascade:
		if !s.Status.IsGood() {
			for _, zone := range s.Targets {
				p.cascade.Refuse(zone)
			}
		}
	case response.FromRestoration:
		p.close(s.Incident, stage.RestorationAsked, -1, now)
		p.restoration.Answered(now, s.Incident, s.Status.IsGood())
		if p.restoration.Phase(s.Incident) == cascade.Rebuilding {
			p.open(s.Incident, stage.Restoration, now)
			p.rebuild(now, p.fusion.Incidents()[s.Incident-1])
		}
	}
}

// approvalAsked opens a stage that tells how long people took.
func (p *Pipeline) approvalAsked(now time.Duration, a *response.ApprovalRecord) {
	p.open(a.Incident, stage.Approval(a.Playbook, a.Step), a.Asked)
	p.coherent(a.Incident, now)
}

func (p *Pipeline) approvalClosed(now time.Duration, a *response.ApprovalRecord) {
	p.close(a.Incident, stage.Approval(a.Playbook, a.Step), a.Asked, now)
}

func (p *Pipeline) runStarted(now time.Duration, r response.RunInfo) {
	p.open(r.Incident, stage.Response(r.Playbook), now)
}

func (p *Pipeline) runEnded(now time.Duration, r response.RunInfo) {
	p.close(r.Incident, stage.Response(r.Playbook), -1, now)
	if r.Origin == response.FromRebuild && p.restoration.Rebuilt(now, r.Incident) {
		p.close(r.Incident, stage.Rebuild, -1, now)
	}
}

func (p *Pipeline) actionEnded(_ time.Duration, a *response.ActionRecord) {
	if a.Changed && action.Must(a.Request.Kind).Risk == action.High {
		p.contained[a.Incident] = true
	}
}

func (p *Pipeline) actionTookEffect(now time.Duration, a *response.ActionRecord) {
	p.coherent(a.Incident, now)
}

// open begins a stage that close ends.
func (p *Pipeline) open(incident int, name stage.Name, started time.Duration) {
	key := stageKey{incident, name}
	p.going[key] = append(p.going[key], len(p.Stages))
	p.Stages = append(p.Stages, StageTime{Incident: incident, Stage: name, Started: started})
}

type stageKey struct {
	incident int
	name     stage.Name
}

// close ends the stage of an incident that began at a time, or with a negative
// time the latest.
func (p *Pipeline) close(incident int, name stage.Name, started, now time.Duration) {
	key := stageKey{incident, name}
	list := p.going[key]
	for i := len(list) - 1; i >= 0; i-- {
		if s := &p.Stages[list[i]]; started < 0 || s.Started == started {
			s.Ended = &now
			if list = slices.Delete(list, i, i+1); len(list) == 0 {
				delete(p.going, key)
			} else {
				p.going[key] = list
			}
			return
		}
	}
}

// coherent observes the first clock: from an incident's detection to the first
// automatic action in effect, or approval asked.
func (p *Pipeline) coherent(incident int, now time.Duration) {
	at, waits := p.detected[incident]
	if !waits {
		return
	}
	delete(p.detected, incident)
	p.answered[incident] = true
	if p.coherence != nil {
		p.coherence.Observe((now - at).Seconds())
	}
}

func (p *Pipeline) addStage(incident int, name stage.Name, started, ended time.Duration) {
	p.Stages = append(p.Stages, StageTime{incident, name, started, &ended})
}

// Answer is a person's word on a question of the response.
func (p *Pipeline) Answer(now time.Duration, id int, approved bool, by string) bool {
	return p.engine.Answer(now, id, approved, by)
}

// ActionDone is the result of an action.
func (p *Pipeline) ActionDone(now time.Duration, id int64, result response.Result) {
	p.engine.Done(now, id, result)
}

// NextWake is when Advance has something to do; false means not before the next
// input.
func (p *Pipeline) NextWake() (time.Duration, bool) {
	best, any := time.Duration(0), false
	consider := func(at time.Duration, ok bool) {
		if ok && (!any || at < best) {
			best, any = at, true
		}
	}
	if len(p.work) > 0 {
		consider(p.work[0].at, true)
	}
	consider(p.engine.NextWake())
	consider(p.restoration.NextWake())
	return best, any
}

// Advance does everything that is due by now, in the order of its time.
func (p *Pipeline) Advance(now time.Duration) {
	for {
		at, ok := p.NextWake()
		if !ok || at > now {
			return
		}
		if len(p.work) > 0 && p.work[0].at == at {
			w := heap.Pop(&p.work).(work)
			w.do(w.at)
			continue
		}
		p.engine.Advance(at)
		for _, w := range p.restoration.Due(at, p.engine.IsBusy) {
			p.restore(at, w)
		}
	}
}

// restore carries out what restoration wants done for an incident.
func (p *Pipeline) restore(now time.Duration, w cascade.Work) {
	in := w.Incident
	switch w.Phase {
	case cascade.Asking:
		hosts := p.rebuildable(in)
		if len(p.engine.InForce(in.ID)) == 0 && len(hosts) == 0 {
			p.restoration.Skip(in.ID)
			p.fusion.Close(in)
			return
		}
		p.open(in.ID, stage.RestorationAsked, now)
		for _, instead := range [][]string{in.Hosts, in.Accounts, in.Sources, {"nothing named"}} {
			if len(hosts) == 0 {
				hosts = instead
			}
		}
		p.engine.Run(now, response.RunRequest{Playbook: w.Playbook, Incident: in, Origin: response.FromRestoration, Inputs: map[string]any{"hosts": hosts, "incident": in.ID}})
	case cascade.Releasing:
		p.restoration.Released(now, in.ID, p.engine.Release(now, in.ID, w.Classes))
	case cascade.Restored:
		p.fusion.Close(in)
		p.close(in.ID, stage.Restoration, -1, now)
	}
}

// rebuild has the intruder's hosts restored from backup, if there are any.
func (p *Pipeline) rebuild(now time.Duration, in *fusion.Incident) {
	hosts := p.rebuildable(in)
	if book := p.restoration.Rebuild(hosts); book != nil {
		p.open(in.ID, stage.Rebuild, now)
		p.engine.Run(now, response.RunRequest{Playbook: book, Incident: in, Origin: response.FromRebuild, Inputs: map[string]any{"hosts": hosts, "incident": in.ID}})
		return
	}
	p.restoration.Rebuilt(now, in.ID)
}

// rebuildable are the hosts of an incident on which code of the intruder may
// have run: those with an alert of severity high or more of their own, provided
// that the incident was taken seriously enough to contain something.
func (p *Pipeline) rebuildable(in *fusion.Incident) []string {
	if !p.contained[in.ID] {
		return nil
	}
	var hosts []string
	seen := map[string]bool{}
	for _, a := range in.Alerts {
		h := p.config.Inventory.Host(a.Host)
		if h == nil || seen[h.Name] || a.Severity < severity.High || !h.Role.IsRebuildable() {
			continue
		}
		seen[h.Name] = true
		hosts = append(hosts, h.Name)
	}
	return hosts
}

type work struct {
	at  time.Duration
	seq uint64
	do  func(now time.Duration)
}

func (p *Pipeline) push(at time.Duration, do func(now time.Duration)) {
	p.seq++
	heap.Push(&p.work, work{at, p.seq, do})
}

type workHeap []work

func (h workHeap) Len() int { return len(h) }
func (h workHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h workHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *workHeap) Push(x any) { *h = append(*h, x.(work)) }

// Pop is for container/heap.
func (h *workHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// Forget drops the alerts and stage times kept so far, for those who take them
// through OnAlert and read logs without end.
func (p *Pipeline) Forget() {
	p.Alerts, p.Stages = p.Alerts[:0], p.Stages[:0]
	clear(p.going)
}
