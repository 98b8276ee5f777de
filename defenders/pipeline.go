package defenders

import (
	"container/heap"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders/alert"
	"hemostat/defenders/cascade"
	"hemostat/defenders/detect"
	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/attackgraph"
	"hemostat/defenders/fusion/attribution"
	"hemostat/defenders/fusion/correlation"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	"hemostat/defenders/queue"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel"
	"hemostat/defenders/sentinel/analyst"
	"hemostat/defenders/sentinel/guard"
	"hemostat/defenders/sentinel/profile"
	"hemostat/sim/action"
	"hemostat/sim/event"
)

// Services are the queues of the stages; the detectors have their own. The defaults
// stand in DefaultServices; the zero value takes no time anywhere, as a replay wants it.
type Services struct {
	Ingest, Fusion, Response queue.Config
}

// DefaultServices are the stages of a mid-sized installation. They are
// assumptions; docs/calibration.md says so.
func DefaultServices() Services {
	return Services{
		Ingest:   queue.Config{Mean: 200 * time.Microsecond, Servers: 2, Waiting: 50_000},
		Fusion:   queue.Config{Mean: 400 * time.Millisecond, Servers: 2, Waiting: 5_000},
		Response: queue.Config{Mean: 200 * time.Millisecond, Servers: 2, Waiting: 5_000},
	}
}

// Config puts a pipeline together.
type Config struct {
	Inventory *inventory.Inventory
	Detectors []sentinel.Member
	Analyst   *analyst.Stage // judges alerts before fusion; nil for nobody
	// Profiler infers what attackers are like and will do; nil for nobody. Acts are what is
	// done about that.
	Profiler *profile.Profiler
	Acts     profile.Acts
	Intel    []fusion.Source
	Asker    fusion.Asker // of servers of threat intelligence; nil for none
	// Correlation finds which incidents are one campaign.
	Correlation correlation.Options
	Actors      *attribution.Facts // about threat actors; nil to name nobody
	Playbooks   []*response.Playbook
	Policy      response.Policy
	Cascade     cascade.Options
	Restoration incident.RestorationOptions
	Services    Services
	Actuator    response.Actuator
	Approver    response.Approver
	// Uniform gives the draw in [0, 1) of a queue for its n-th item; nil gives 0.5. The
	// name is that of a stage (ingest, fusion, response) or of a detector.
	Uniform func(queue string, n uint64) float64
	// Clock measures the detectors' cost in wall-clock time; nil measures nothing.
	Clock    func() time.Duration
	Listener Listener
	Registry prometheus.Registerer
}

// Listener is told what the pipeline does; every function may be nil. What it is handed
// the pipeline forgets, except for what is open: a stage until its end is filled in, an
// action until it has ended and was undone, an approval request until it is closed.
type Listener struct {
	// Ingested is called for each event with the time at which ingest is done with it.
	Ingested func(e *event.Event, at time.Duration)
	// Alert is called when an alert has joined its incident, or was dismissed.
	Alert func(a *RaisedAlert)
	// Searched is called for each window of events that the automatic analyst looked at.
	Searched func(f *analyst.Found)
	// Forecast is called with what is predicted after an alert has joined its incident.
	Forecast func(f *profile.Forecast)
	// Stage is called when a stage of an incident begins.
	Stage func(s *incident.StageTime)
	// IncidentLinked is called when an incident is found to belong to the campaign of an earlier
	// one, to another one than before, or to none any more.
	IncidentLinked func(l correlation.Link)
	// IncidentMerged is called when an incident turned out to be a part of another.
	IncidentMerged func(from, into int)
	// IncidentEnded is called when an incident is over.
	IncidentEnded func(now time.Duration, in *incident.Incident)
	Response      response.Listener
}

// RaisedAlert is an alert and where it went.
type RaisedAlert struct {
	alert.Alert
	Incident int // 0 for one that was dismissed
	// IncidentScore is how sure it was after the alert that the incident is real, 0 to 1.
	IncidentScore float64
	Enriched      time.Duration // when fusion was done with it
	// Enrichment is what fusion found.
	Enrichment fusion.Enrichment
	// Triage is what the automatic analyst said; nil when it was not asked.
	Triage *analyst.Triage
}

// IsDismissed tells whether the automatic analyst dismissed the alert, so that nothing and
// nobody was told of it.
func (a *RaisedAlert) IsDismissed() bool {
	return a.Triage != nil && a.Triage.Decision == analyst.Dismiss
}

// Pipeline is the whole defence.
type Pipeline struct {
	config    Config `snapshot:"-"`
	sentinel  *sentinel.Sentinel
	fusion    *fusion.Fusion
	incidents *incident.Lifecycle
	engine    *response.Engine
	ingest    *queue.FIFO
	fusing    *queue.FIFO
	reacting  *queue.FIFO
	due       dueHeap
	seq       uint64
	nextAlert int
	judging   time.Duration // wall-clock time of the analyst
	err       error
}

// New makes a pipeline.
func New(c Config) (*Pipeline, error) {
	if c.Inventory == nil {
		c.Inventory = inventory.New(nil, nil)
	}
	if c.Uniform == nil {
		c.Uniform = func(string, uint64) float64 { return 0.5 }
	}
	p := &Pipeline{
		config:   c,
		ingest:   queue.New(c.Services.Ingest),
		fusing:   queue.New(c.Services.Fusion),
		reacting: queue.New(c.Services.Response),
	}
	var err error
	c.Intel = guard.Sources(c.Detectors, c.Intel)
	if p.sentinel, err = sentinel.New(sentinel.Options{Members: c.Detectors, Inventory: c.Inventory,
		AlertRate: guard.AlertRate(c.Detectors), Hear: guard.Hear(c.Detectors),
		Uniform: c.Uniform, Clock: c.Clock, Registry: c.Registry}); err != nil {
		return nil, err
	}
	if p.fusion, err = fusion.New(fusion.Options{Sources: c.Intel, Inventory: c.Inventory,
		Asker: c.Asker, Correlation: c.Correlation, Actors: c.Actors, Clock: c.Clock,
		Registry: c.Registry}); err != nil {
		return nil, err
	}
	p.engine, err = response.New(
		response.Options{
			Playbooks: c.Playbooks,
			Policy:    c.Policy,
			Actuator:  c.Actuator,
			Approver:  c.Approver,
			Inventory: c.Inventory,
			Registry:  c.Registry,
			Graph:     p.graphTargets,
			Listener:  p.listen(c.Listener.Response),
		},
	)
	if err != nil {
		return nil, err
	}
	p.incidents, err = incident.New(
		incident.Options{Inventory: c.Inventory, Cascade: c.Cascade, Restoration: c.Restoration, Registry: c.Registry,
			Stage: c.Listener.Stage, Ended: p.incidentEnded, Merged: p.incidentMerged, Advise: p.advise},
		p.engine,
	)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pipeline) incidentEnded(now time.Duration, in *incident.Incident) {
	if p.config.Profiler != nil {
		p.config.Profiler.Ended(in.ID)
	}
	if f := p.config.Listener.IncidentEnded; f != nil {
		f(now, in)
	}
}

func (p *Pipeline) incidentMerged(from, into int) {
	link, changed := p.fusion.Merged(from, into)
	if p.config.Profiler != nil {
		p.config.Profiler.Merged(from, into)
	}
	if f := p.config.Listener.IncidentMerged; f != nil {
		f(from, into)
	}
	if f := p.config.Listener.IncidentLinked; f != nil && changed {
		f(link)
	}
}

// advise tells the cascade what is believed of the attacker behind an incident.
func (p *Pipeline) advise(in *incident.Incident, zone string) cascade.Advice {
	if p.config.Profiler == nil || p.config.Acts == (profile.Acts{}) {
		return cascade.Advice{}
	}
	a := p.config.Profiler.Advise(in.ID, zone, p.config.Acts)
	return cascade.Advice{Next: a.Zone, Weight: a.Weight}
}

// listen lets incidents hear of the response, after the listener that was given.
func (p *Pipeline) listen(l response.Listener) response.Listener {
	l.RunStarted = both(
		l.RunStarted,
		func(now time.Duration, r response.RunInfo) { p.incidents.RunStarted(now, r.Incident, r.Playbook) },
	)
	l.RunEnded = both(l.RunEnded, func(now time.Duration, r response.RunInfo) {
		p.incidents.RunEnded(now, r.Incident, r.Playbook, r.Origin)
	})
	l.StepEnded = both(l.StepEnded, func(now time.Duration, s response.StepEnd) {
		p.incidents.StepEnded(now, s.Incident, s.Origin, s.Status.IsGood(), s.Targets)
	})
	l.ApprovalAsked = both(l.ApprovalAsked, func(now time.Duration, a *response.ApprovalRecord) {
		p.incidents.ApprovalAsked(now, a.Incident, a.Playbook, a.Step)
	})
	l.ApprovalClosed = both(l.ApprovalClosed, func(now time.Duration, a *response.ApprovalRecord) {
		p.incidents.ApprovalClosed(now, a.Incident, a.Playbook, a.Step, a.Asked)
	})
	l.ActionTookEffect = both(
		l.ActionTookEffect,
		func(now time.Duration, a *response.ActionRecord) {
			p.incidents.ActionTookEffect(now, a.Incident)
			if p.config.Profiler != nil {
				p.config.Profiler.Acted(a.Incident)
			}
		},
	)
	l.ActionEnded = both(l.ActionEnded, func(_ time.Duration, a *response.ActionRecord) {
		p.incidents.ActionEnded(a.Incident, a.Request.Kind, a.Changed)
	})
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

// Incidents are the incidents, open ones and how many there were.
func (p *Pipeline) Incidents() *incident.Lifecycle { return p.incidents }

// Costs lists what each detector, and the automatic analyst, cost in wall-clock time.
func (p *Pipeline) Costs() []sentinel.Cost {
	costs := p.sentinel.Costs()
	if a := p.config.Analyst; a != nil {
		costs = append(costs, sentinel.Cost{Detector: a.Name(), Version: analyst.Version, Spent: p.judging})
	}
	return costs
}

// Err is why a detector can say nothing any more, or nil.
func (p *Pipeline) Err() error { return p.err }

// Dropped counts the items that full queues refused.
func (p *Pipeline) Dropped() int {
	return p.ingest.Dropped() + p.sentinel.Dropped() + p.fusing.Dropped() + p.reacting.Dropped()
}

func (p *Pipeline) enqueue(now time.Duration, q *queue.FIFO, name string) (time.Duration, bool) {
	return q.Enqueue(now, func(n uint64) float64 { return p.config.Uniform(name, n) })
}

// Event takes in one event that a sensor has delivered now.
func (p *Pipeline) Event(now time.Duration, e *event.Event) {
	ingested, ok := p.enqueue(now, p.ingest, "ingest")
	if !ok {
		return
	}
	if f := p.config.Listener.Ingested; f != nil {
		f(e, ingested)
	}
	if p.config.Analyst != nil {
		p.config.Analyst.Observe(ingested, e)
	}
	p.fusion.Observe(e)
	p.raise(ingested)(p.sentinel.Inspect(now, ingested, e))
}

// End tells the detectors that no event follows.
func (p *Pipeline) End(now time.Duration) { p.raise(now)(p.sentinel.End(now)) }

// Close ends the detectors; completed tells that the trial or replay ran to its end. Then
// the error of a detector that notices only now that something is wrong is returned.
func (p *Pipeline) Close(completed bool) error { return p.sentinel.Close(completed) }

// raise takes what the detectors found in: what they want done at once is done when
// ingest was done with the event, and alerts go to fusion from the time at which they
// stand.
func (p *Pipeline) raise(ingested time.Duration) func([]sentinel.Raised, error) {
	return func(raised []sentinel.Raised, err error) {
		if err != nil && p.err == nil {
			p.err = err
		}
		for _, r := range raised {
			if r.Reaction != nil {
				p.schedule(ingested, dueItem{do: dueReaction, rule: r.RuleID, reaction: *r.Reaction})
			}
			a := r.Alert
			p.schedule(a.Raised, dueItem{do: dueTriage, alert: &a})
		}
	}
}

func (p *Pipeline) react(now time.Duration, rule string, r detect.Reaction) {
	p.engine.Act(now, 0, action.FromReflex, rule, r.Request, r.TTL)
}

// triage lets the analyst judge an alert, and passes it on when the verdict is there.
func (p *Pipeline) triage(now time.Duration, a *alert.Alert) {
	if p.config.Analyst == nil || p.err != nil {
		p.queueForFusion(now, a, nil)
		return
	}
	began := p.clock()
	t, err := p.config.Analyst.Triage(now, a)
	p.judging += p.clock() - began
	switch {
	case err != nil:
		p.err = err
	case t == nil:
		p.queueForFusion(now, a, nil)
	case t.Answered <= now:
		p.decided(now, a, t)
	default:
		p.schedule(t.Answered, dueItem{do: dueVerdict, alert: a, triage: t})
	}
}

// clock is the wall clock, which stands still when none was given.
func (p *Pipeline) clock() time.Duration {
	if p.config.Clock == nil {
		return 0
	}
	return p.config.Clock()
}

// decided does what the analyst said about an alert.
func (p *Pipeline) decided(now time.Duration, a *alert.Alert, t *analyst.Triage) {
	if t.Apply(a) {
		p.queueForFusion(now, a, t)
		return
	}
	p.nextAlert++
	a.ID = p.nextAlert
	if f := p.config.Listener.Alert; f != nil {
		f(&RaisedAlert{Alert: *a, Enriched: now, Triage: t})
	}
}

func (p *Pipeline) queueForFusion(now time.Duration, a *alert.Alert, t *analyst.Triage) {
	if enriched, ok := p.enqueue(now, p.fusing, "fusion"); ok {
		p.schedule(enriched, dueItem{do: dueFusion, alert: a, triage: t})
	}
}

// fuse joins an alert to its incident and hands it on to the response.
func (p *Pipeline) fuse(now time.Duration, a *alert.Alert, t *analyst.Triage) {
	p.nextAlert++
	a.ID = p.nextAlert
	e := p.fusion.Enrich(now, a)
	in := p.incidents.Join(now, a, e)
	link, changed := p.fusion.Correlate(now, in.ID, in.Score, a, &e)
	if f := p.config.Listener.Alert; f != nil {
		f(&RaisedAlert{Alert: *a, Incident: in.ID, IncidentScore: in.Score, Enriched: now, Enrichment: e, Triage: t})
	}
	if f := p.config.Listener.IncidentLinked; f != nil && changed {
		f(link)
	}
	if p.config.Profiler != nil {
		forecast := p.config.Profiler.Observe(now, in.ID, a)
		in.Attacker = p.believed(forecast)
		if f := p.config.Listener.Forecast; f != nil {
			f(forecast)
		}
	}
	p.incidents.Recur(now, in, a.Severity)
	if ready, ok := p.enqueue(now, p.reacting, "response"); ok {
		p.schedule(ready, dueItem{do: dueResponse, alert: a, incident: in})
	}
}

// graphTargets is what the attack graph of an incident names as targets.
func (p *Pipeline) graphTargets(incident int) response.GraphTargets {
	g := p.fusion.Graph(incident, time.Time{})
	t := response.GraphTargets{Cut: map[action.TargetKind][]string{}}
	cut := g.Cut()
	for kind, names := range cut.Kinds() {
		if target, ok := targetKinds[kind]; ok {
			t.Cut[target] = names
		}
	}
	if root := g.RootCause(); root != nil {
		t.Root = root.Name
	}
	for _, n := range g.Next(p.nextHosts(incident)) {
		t.Next = append(t.Next, n.Host)
		if n.Zone != "" && !slices.Contains(t.NextZones, n.Zone) {
			t.NextZones = append(t.NextZones, n.Zone)
		}
	}
	return t
}

// Explain explains an incident. The epoch is the time at which virtual times count from 0.
func (p *Pipeline) Explain(incident int, epoch time.Time) fusion.EnrichedThreat {
	return p.fusion.Explain(incident, epoch, p.nextHosts(incident))
}

// targetKinds are the kinds of nodes of attack graphs that something can be done to.
var targetKinds = map[attackgraph.NodeKind]action.TargetKind{
	attackgraph.HostNode: action.Host, attackgraph.AccountNode: action.Account,
	attackgraph.AddressNode: action.Address, attackgraph.DomainNode: action.Domain,
}

// nextHosts is what is forecast of the attacker's next host; nil without a forecast.
func (p *Pipeline) nextHosts(incident int) map[string]float64 {
	if p.config.Profiler == nil {
		return nil
	}
	return p.config.Profiler.NextHosts(incident)
}

// believed is a forecast as incidents and playbooks know it.
func (p *Pipeline) believed(f *profile.Forecast) incident.Attacker {
	first := func(list []profile.Share) profile.Share {
		if len(list) == 0 {
			return profile.Share{}
		}
		return list[0]
	}
	goal := first(f.Belief.Goals)
	x := incident.Attacker{
		Real: f.Belief.Real, Goal: goal.Name, GoalConfidence: goal.P, Skill: first(f.Belief.Skills).Name,
		Stage: first(f.Belief.Stages).Name, Aware: f.Belief.Aware,
		NextTechnique: first(f.Techniques).Name, NextHost: first(f.Targets).Name,
	}
	if h := p.config.Inventory.Host(x.NextHost); h != nil {
		x.NextZone = h.Zone
	}
	return x
}

func (p *Pipeline) respond(now time.Duration, in *incident.Incident, a *alert.Alert) {
	for in.MergedInto != nil {
		in = in.MergedInto
	}
	p.engine.Alert(now, in, a)
	p.incidents.React(now, in, a)
}

// Decide carries out one action that a program outside has decided on, for the incident of a
// number, 0 for none; one that was merged into another stands for that one. An incident that
// is not open is an error.
func (p *Pipeline) Decide(now time.Duration, id int, by response.DecidedBy, request action.Request, ttl time.Duration) error {
	in := &incident.Incident{}
	if id != 0 {
		if in = p.incidents.Find(id); in == nil {
			return fmt.Errorf("no incident %d is open", id)
		}
	}
	p.engine.Decide(now, in, by, request, ttl)
	return nil
}

// Undo takes an action that is in force back; false when it is not in force.
func (p *Pipeline) Undo(now time.Duration, id int64, by string) bool {
	return p.engine.Undo(now, id, by)
}

// Answer is a person's answer to an approval request.
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
	if len(p.due) > 0 {
		consider(p.due[0].at, true)
	}
	consider(p.engine.NextWake())
	consider(p.incidents.NextWake())
	consider(p.sentinel.NextWake())
	if p.config.Analyst != nil {
		consider(p.config.Analyst.NextWake())
	}
	return best, any
}

// Advance does everything that is due by now, in the order of its time.
func (p *Pipeline) Advance(now time.Duration) {
	for {
		at, ok := p.NextWake()
		if !ok || at > now {
			return
		}
		if len(p.due) > 0 && p.due[0].at == at {
			w := heap.Pop(&p.due).(dueItem)
			p.doDue(&w)
			continue
		}
		p.engine.Advance(at)
		p.incidents.Advance(at)
		p.raise(at)(p.sentinel.Advance(at))
		p.searchPatterns(at)
	}
}

// searchPatterns lets the analyst look at what no rule flagged.
func (p *Pipeline) searchPatterns(now time.Duration) {
	if p.config.Analyst == nil || p.err != nil {
		return
	}
	found, err := p.config.Analyst.Advance(now)
	if err != nil {
		p.err = err
		return
	}
	for _, f := range found {
		if l := p.config.Listener.Searched; l != nil {
			l(&f)
		}
		if a := f.Alert; a != nil {
			p.schedule(a.Raised, dueItem{do: dueSearched, alert: a, triage: f.Triage})
		}
	}
}

// dueKind is what is due.
type dueKind uint8

const (
	dueReaction dueKind = iota // what a detector wants done at once
	dueTriage                  // an alert goes to the analyst
	dueVerdict                 // the analyst's verdict is there
	dueSearched                // an alert of the analyst's own goes to fusion
	dueFusion                  // fusion is done with an alert
	dueResponse                // the response gets to an alert
)

// dueItem is something to be done at a time.
type dueItem struct {
	at       time.Duration
	seq      uint64
	do       dueKind
	rule     string
	reaction detect.Reaction
	alert    *alert.Alert
	triage   *analyst.Triage
	incident *incident.Incident
}

func (p *Pipeline) schedule(at time.Duration, w dueItem) {
	p.seq++
	w.at, w.seq = at, p.seq
	heap.Push(&p.due, w)
}

func (p *Pipeline) doDue(w *dueItem) {
	switch w.do {
	case dueReaction:
		p.react(w.at, w.rule, w.reaction)
	case dueTriage:
		p.triage(w.at, w.alert)
	case dueVerdict:
		p.decided(w.at, w.alert, w.triage)
	case dueSearched:
		p.queueForFusion(w.at, w.alert, w.triage)
	case dueFusion:
		p.fuse(w.at, w.alert, w.triage)
	case dueResponse:
		p.respond(w.at, w.incident, w.alert)
	}
}

type dueHeap []dueItem

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(dueItem)) }

// Pop is for container/heap.
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = dueItem{}
	*h = old[:len(old)-1]
	return last
}
