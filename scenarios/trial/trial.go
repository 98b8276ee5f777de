// Package trial is one simulated day of a scenario against a variant: it wires world,
// background, attackers, people and feeds to the defence pipeline and runs them on the
// virtual clock. trial.go builds and steps it, adapters.go gives the defence the
// interfaces that it asks for, exposure.go samples what attackers hold. What it came to
// says scenarios/measure.
package trial

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/attackers"
	"hemostat/attackers/evasion"
	attacker "hemostat/attackers/remote"
	"hemostat/defenders"
	"hemostat/defenders/detect"
	"hemostat/defenders/fusion"
	"hemostat/defenders/fusion/correlation"
	"hemostat/defenders/incident"
	"hemostat/defenders/inventory"
	defender "hemostat/defenders/remote"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel/analyst"
	"hemostat/defenders/sentinel/profile"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/measure"
	"hemostat/sim"
	"hemostat/sim/analysts"
	"hemostat/sim/background"
	"hemostat/sim/batch"
	"hemostat/sim/event"
	"hemostat/sim/intel"
	"hemostat/sim/record"
	"hemostat/sim/truth"
	"hemostat/sim/world"
)

// Options say how to run trials.
type Options struct {
	Seed       uint64
	KeepEvents bool
	// Watch is called with each event as it arrives; nil for nobody.
	Watch func(*event.Event)
	// Cases is called with each alert that an automatic analyst would judge and the attack
	// that it is about, 0 for a false one; nobody judges then. It is for training.
	Cases func(c *analyst.Case, attack int)
	// Metrics adds up what the trials count; nil counts nothing.
	Metrics *batch.MetricSum
	// Defender is the name of a program outside that decides for the defence; "" for none.
	Defender string
	// Directed is the number of the attacker, from 1, for whom a program outside decides; 0 for none.
	Directed int
}

// Trial is one scenario against one variant on one simulated day.
type Trial struct {
	scenario *scenarios.Scenario
	variant  *defence.Variant
	index    int
	options  Options

	engine     sim.Engine
	streams    sim.Streams
	ledger     *truth.Ledger
	world      *world.World
	assets     world.AttackerAssets
	background *background.Background
	agents     []*attackers.Agent
	staff      *analysts.Staff
	estate     *inventory.Inventory // as the defence knows it
	feeds      []fusion.Source
	certain    func(now time.Duration, indicator string) bool // nil when nothing is
	actuator   *actuator
	approver   *approver
	done       responses
	exposed    exposureSampler
	pipeline   *defenders.Pipeline
	oracle     oracle         // answers attackers who have access to them
	defender   *defender.Seat // nil without a program outside that decides for the defence
	attacker   *attacker.Seat // nil without one that decides for an attacker
	agent      *agentTurns    // nil where the variant has no program of its own that decides
	meter      *measure.Meter // nil before the first question
	stop       Stop           // what the trial pauses at

	inFlight []*event.Event
	freeSlot []int
	wakeAt   time.Duration
	wakeSet  bool
	wakeup   sim.Timer
	ingested map[int32]time.Duration
	kept     []record.StoredEvent
	registry *prometheus.Registry // nil when nothing is counted
}

// Run runs one trial to its end. The same arguments give the same rows.
func Run(
	s *scenarios.Scenario,
	v *defence.Variant,
	index int,
	o Options,
	interrupted func() bool,
) (*record.Trial, error) {
	t, err := New(s, v, index, o)
	if err != nil {
		return nil, err
	}
	err = t.RunWhile(interrupted)
	if err = errors.Join(err, t.Close()); err != nil {
		return nil, err
	}
	return t.Rows()
}

// RunWhile runs the trial to its horizon, unless it is told to stop.
func (t *Trial) RunWhile(interrupted func() bool) error {
	t.engine.Interrupted = func() bool { return t.err() != nil || interrupted != nil && interrupted() }
	return t.RunUntil(t.scenario.Horizon)
}

// Inventory is what the defence knows of the estate.
func (t *Trial) Inventory() *inventory.Inventory { return defence.InventoryOf(t.world) }

// Close lets go of what detectors hold. An error is one that a detector notices only at the
// end; the trial's result does not count then.
func (t *Trial) Close() error {
	completed := t.Now() >= t.scenario.Horizon && t.err() == nil
	return errors.Join(t.agent.close(completed), t.pipeline.Close(completed))
}

// err is why the trial cannot go on, or nil.
func (t *Trial) err() error {
	if err := t.pipeline.Err(); err != nil {
		return err
	}
	if t.oracle.err != nil {
		return t.oracle.err
	}
	return t.agent.err()
}

// New builds a trial that stands at its beginning.
func New(s *scenarios.Scenario, v *defence.Variant, index int, o Options) (*Trial, error) {
	t := &Trial{scenario: s, variant: v, index: index, options: o, ingested: map[int32]time.Duration{}}
	if o.Metrics != nil {
		t.registry = prometheus.NewRegistry()
	}
	return t, t.build()
}

// Now is the virtual time that the trial has come to.
func (t *Trial) Now() time.Duration { return t.engine.Now() }

// Horizon is when the trial ends.
func (t *Trial) Horizon() time.Duration { return t.scenario.Horizon }

// RunUntil lets the trial go on to a time, at most to its horizon. It may be called
// again and again; the rows do not depend on where it stopped in between. It is
// batch.ErrInterrupted when the trial was told to stop.
func (t *Trial) RunUntil(at time.Duration) error {
	t.engine.Run(min(at, t.scenario.Horizon))
	if err := t.err(); err != nil {
		return err
	}
	if t.engine.Stopped() {
		return batch.ErrInterrupted
	}
	return nil
}

// Alerts are the alerts raised so far.
func (t *Trial) Alerts() []defenders.RaisedAlert { return t.done.alerts }

// Rows says what the trial came to, once it has run to its horizon.
func (t *Trial) Rows() (*record.Trial, error) {
	if t.Now() < t.scenario.Horizon {
		return nil, fmt.Errorf("the trial has come to %s only, of %s", t.Now(), t.scenario.Horizon)
	}
	narrated, err := t.narrate()
	if err != nil {
		return nil, err
	}
	if t.registry != nil {
		if err := t.options.Metrics.Add(t.registry); err != nil {
			return nil, fmt.Errorf("metrics of the trial: %w", err)
		}
	}
	day := t.day()
	day.Narrated, day.Estate, day.Costs = narrated, t.Inventory(), t.pipeline.Costs()
	return day.Rows()
}

// day is what is known of the trial now.
func (t *Trial) day() *measure.Day {
	return &measure.Day{
		Scenario: t.scenario, Variant: t.variant.Name, VariantDigest: t.variant.Digest, Seed: t.options.Seed, Index: t.index,
		World: t.world, Assets: &t.assets, Ledger: t.ledger, Background: t.background, Agents: t.agents,
		AnalystMinutes: t.staff.Minutes, Exposure: t.exposed.total, Ingested: t.ingested, Applied: t.actuator.applied,
		OnBenign: t.actuator.onBenign,
		Actors:   t.variant.Actors(),
		Alerts:   t.done.alerts, Searched: t.done.searched, Forecasts: t.done.forecasts,
		Merged: t.done.merged, Links: t.done.links, Stages: t.done.stages, Actions: t.done.actions,
		Approvals: t.done.approvals, Audit: t.done.audit,
		Incidents: t.pipeline.Incidents().Count(),
		Dropped:   t.pipeline.Dropped(), Scores: t.done.scores, Kept: t.kept,
	}
}

func (t *Trial) build() error {
	t.streams = sim.NewStreams(t.options.Seed, uint64(t.index))
	t.oracle.trial = t
	t.ledger = truth.NewLedger()
	spec, err := t.variant.ChangeSensors(t.scenario.Spec)
	if err != nil {
		return err
	}
	estate := t.streams
	if own := t.scenario.World.SeedFromTrial; own != nil && !*own {
		estate = sim.NewStreams(t.options.Seed, 0)
	}
	t.world = world.Build(spec, estate, t.ledger, t.scenario.Epoch)
	t.world.UseStreams(t.streams)
	t.world.Deliver = t.deliver
	rate := 1.0
	if t.scenario.Background.Rate != nil {
		rate = *t.scenario.Background.Rate
	}
	t.background = background.Start(&t.engine, t.world, background.Config{
		Rate: rate, Day: t.scenario.Background.Day, Recorded: t.scenario.RecordedDay,
	})
	var indicators []string
	for i := range t.scenario.Attackers {
		o := attackers.Options{Index: i + 1, Hostile: &t.assets, Oracle: &t.oracle}
		if o.Index == t.options.Directed {
			o.Ask = t.onAsked
		}
		a := attackers.New(&t.engine, t.world, &t.scenario.Attackers[i], o)
		if o.Ask != nil {
			t.attacker = attacker.NewSeat(t.scenario.Attackers[i].Name, a)
		}
		t.agents = append(t.agents, a)
		addresses, domains := a.Indicators()
		indicators = append(append(indicators, addresses...), domains...)
	}
	if len(t.agents) > 0 {
		t.exposed.trial = t
		t.engine.Schedule(exposureStep, &t.exposed, 0)
	}
	return t.defend(indicators)
}

// period is a stretch of time; until is 0 for ever.
type period struct{ since, until time.Duration }

func (p period) holds(now time.Duration) bool {
	return now >= p.since && (p.until == 0 || now < p.until)
}

// defend puts the pipeline between sensors and world.
func (t *Trial) defend(indicators []string) error {
	certain := map[string][]period{} // when each indicator is certain
	planted := t.planted()
	for _, c := range t.variant.Feeds() {
		c.Planted = planted
		f := intel.NewFeed(c, t.streams, indicators, background.Sites(t.streams))
		t.feeds = append(t.feeds, feed{f})
		if c.Confidence >= intel.Certain {
			f.Each(func(indicator string, since, until time.Duration) {
				certain[indicator] = append(certain[indicator], period{since, until})
			})
		}
	}
	t.feeds = append(t.feeds, t.variant.FileFeeds(t.scenario.Epoch)...)
	if len(certain) > 0 {
		t.certain = func(now time.Duration, indicator string) bool {
			return slices.ContainsFunc(certain[indicator], func(p period) bool { return p.holds(now) })
		}
	}
	t.estate = defence.InventoryOf(t.world)
	if err := t.tamper(t.environment()); err != nil {
		return err
	}
	t.actuator = &actuator{
		engine:   &t.engine,
		world:    t.world,
		assets:   &t.assets,
		wake:     t.wake,
		requests: map[int64]world.Action{},
		applied:  map[int64]time.Duration{},
		onBenign: map[int64]bool{},
	}
	t.approver = &approver{world: t.world, assets: &t.assets}
	if err := t.newPipeline(); err != nil {
		return err
	}
	t.staff = analysts.New(
		&t.engine,
		t.streams,
		t.scenario.Epoch,
		t.variant.Staffing(),
		func(now time.Duration, id int, approved bool, by string) bool {
			ok := t.pipeline.Answer(now, id, approved, by)
			t.wake()
			return ok
		},
	)
	t.approver.staff = t.staff
	if t.registry != nil {
		t.staff.Verdicts = prometheus.NewCounterVec(
			prometheus.CounterOpts{
				Name: "analysts_verdicts_total",
				Help: "Decisions of the simulated people, by verdict and whether the action was justified in truth.",
			},
			[]string{"verdict", "justified"},
		)
		if err := t.registry.Register(t.staff.Verdicts); err != nil {
			return fmt.Errorf("analysts metrics: %w", err)
		}
	}
	return nil
}

// planted are the innocent places that attackers have reported to feeds: those that the estate
// calls most.
func (t *Trial) planted() []string {
	n := 0
	for _, a := range t.agents {
		n += a.Evasion().FalseIndicators()
	}
	if n == 0 {
		return nil
	}
	sites := background.Sites(t.streams)
	return sites[:min(n, len(sites))]
}

// traces are the events of the scenario's attackers on one of several other days of an estate of the same kind,
// on which nobody defends: what they can put among the days that the defence learns from.
func (t *Trial) traces(day int) ([]*event.Event, error) {
	rehearsal := *t.scenario
	silence := 0.0
	rehearsal.Background.Rate = &silence
	rehearsal.Attackers = slices.Clone(rehearsal.Attackers)
	for i := range rehearsal.Attackers {
		rehearsal.Attackers[i].Evasion = nil
	}
	const otherDay = 1 << 40 // far from the index of any trial
	index := otherDay + t.index<<8 + day
	x, err := New(&rehearsal, t.variant.Watching(), index, Options{Seed: t.options.Seed, KeepEvents: true})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(x.RunWhile(nil), x.Close()); err != nil {
		return nil, err
	}
	var out []*event.Event
	for _, e := range x.kept {
		if e.Attack != 0 {
			out = append(out, e.Event)
		}
	}
	return out, nil
}

// tamper lets the variant's detectors learn from days among which the attackers have put traces
// of themselves, where one of them does so.
func (t *Trial) tamper(env detect.Env) error {
	days := 0
	for i := range t.scenario.Attackers {
		days = max(days, evasion.TamperedDays(t.scenario.Attackers[i].Evasion))
	}
	if days == 0 || !t.variant.HasBaseline() {
		return nil
	}
	var traces [][]*event.Event
	for day := range days {
		events, err := t.traces(day)
		if err != nil {
			return err
		}
		traces = append(traces, events)
	}
	var err error
	t.variant, err = t.variant.Taught(env, traces)
	return err
}

// environment is what the detectors of the trial may be built from.
func (t *Trial) environment() detect.Env {
	return detect.Env{
		Scenario: t.scenario.Name, Seed: t.options.Seed, Index: t.index,
		Trial: record.TrialID(t.scenario.Digest(), t.variant.Digest, t.options.Seed, t.index),
		Epoch: t.scenario.Epoch, Inventory: t.estate, InUse: t.variant.InUse(t.streams), Scores: t.done.addScore,
		Certain: t.certain,
	}
}

// newPipeline puts the pipeline of the trial's variant together.
func (t *Trial) newPipeline() error {
	env := t.environment()
	detectors, err := t.variant.BuildDetectors(env)
	if err != nil {
		return err
	}
	judge, err := t.buildAnalyst(t.estate)
	if err != nil {
		return err
	}
	listener := defenders.Listener{
		Ingested:       t.onIngested,
		Alert:          t.onAlert,
		Searched:       t.done.addSearched,
		IncidentMerged: t.done.addMerge,
		IncidentLinked: t.done.addLink,
		Forecast:       t.done.addForecast,
		Stage:          t.done.addStage,
		Response:       t.done.listener(),
	}
	if name := cmp.Or(t.options.Defender, t.variant.AgentName()); name != "" {
		t.defender = defender.NewSeat(name, t.estate)
		listener = t.defender.Listen(listener)
	}
	p, err := defenders.New(defenders.Config{
		Inventory: t.estate, Detectors: detectors, Analyst: judge, Profiler: t.variant.Profiler(t.estate),
		Acts: t.variant.ProfileActs(), Intel: t.feeds, Correlation: t.variant.Correlation(),
		Playbooks: t.variant.Playbooks(),
		Policy:    t.variant.Policy(), Cascade: t.variant.Cascade(), Restoration: t.variant.Restoration(), Services: t.variant.Services(),
		Actuator: t.actuator, Approver: t.approver, Registry: t.registerer(), Uniform: t.drawService(), Clock: wallClock,
		Listener: listener,
	})
	if err != nil {
		return err
	}
	t.pipeline, t.actuator.pipeline = p, p
	if t.defender != nil {
		t.defender.Sit(p)
	}
	if t.variant.AgentName() != "" {
		return t.beginTurns(env)
	}
	return nil
}

// registerer is the trial's registry as an interface that is nil when there is none.
func (t *Trial) registerer() prometheus.Registerer {
	if t.registry == nil {
		return nil
	}
	return t.registry
}

// queueStreams are the random streams of the queues that had one before queues were
// named; the others have one of their name.
var queueStreams = map[string]string{
	"ingest":   "stage 0",
	"sigma":    "stage 1",
	"fusion":   "stage 2",
	"response": "stage 3",
}

// drawService gives the luck of the queues: each has a stream of its own, and an item
// draws by its number.
func (t *Trial) drawService() func(queue string, n uint64) float64 {
	streams := map[string]sim.Stream{}
	return func(queue string, n uint64) float64 {
		stream, ok := streams[queue]
		if !ok {
			stream = t.streams.Stream("pipeline", cmp.Or(queueStreams[queue], "queue "+queue))
			streams[queue] = stream
		}
		s := stream.At(n)
		return s.Float64()
	}
}

// wallClock measures what detectors cost; no decision depends on it.
func wallClock() time.Duration { return time.Since(processStart) }

var processStart = time.Now()

// onAlert keeps an alert and gives threats to the analysts to triage.
func (t *Trial) onAlert(a *defenders.RaisedAlert) {
	t.done.alerts = append(t.done.alerts, *a)
	if a.Severity.IsThreat() && !a.IsDismissed() {
		t.staff.Triage(t.engine.Now(), a.RuleID+"/"+a.Host)
	}
	if t.stop.AtAlert && !a.IsDismissed() {
		t.engine.Pause()
	}
}

// deliver takes an event from a sensor and hands it to the pipeline when it
// arrives.
func (t *Trial) deliver(e *event.Event) {
	if t.options.KeepEvents {
		label := t.ledger.Label(e.ID)
		t.kept = append(t.kept, record.StoredEvent{Event: e, Attack: int(label.Attack), Step: int(label.Step)})
	}
	if e.Observed > t.scenario.Horizon {
		return
	}
	var slot int
	if n := len(t.freeSlot); n > 0 {
		slot = t.freeSlot[n-1]
		t.freeSlot = t.freeSlot[:n-1]
		t.inFlight[slot] = e
	} else {
		slot = len(t.inFlight)
		t.inFlight = append(t.inFlight, e)
	}
	t.engine.Schedule(e.Observed, (*arrival)(t), uint64(slot))
}

// arrival is the trial as the handler of events that reach the pipeline.
type arrival Trial

// Handle hands one event to the pipeline.
func (a *arrival) Handle(now time.Duration, slot uint64) {
	t := (*Trial)(a)
	e := t.inFlight[slot]
	t.inFlight[slot] = nil
	t.freeSlot = append(t.freeSlot, int(slot))
	if t.options.Watch != nil {
		t.options.Watch(e)
	}
	t.pipeline.Event(now, e)
	t.wake()
}

// waker is the trial as the handler of the pipeline's own timers.
type waker Trial

// Handle lets the pipeline do what is due.
func (w *waker) Handle(now time.Duration, _ uint64) {
	t := (*Trial)(w)
	t.wakeSet = false
	t.pipeline.Advance(now)
	t.wake()
}

// wake keeps one timer at the time when the pipeline next has something to do.
func (t *Trial) wake() {
	at, ok := t.pipeline.NextWake()
	if !ok || t.wakeSet && t.wakeAt <= at {
		return
	}
	if t.wakeSet {
		t.engine.Cancel(t.wakeup)
	}
	t.wakeSet, t.wakeAt = true, at
	t.wakeup = t.engine.Schedule(at, (*waker)(t), 0)
}

// onIngested notes when the first event of each attack was through ingest.
func (t *Trial) onIngested(e *event.Event, at time.Duration) {
	label := t.ledger.Label(e.ID)
	if !label.Malicious() {
		return
	}
	if first, ok := t.ingested[label.Attack]; !ok || at < first {
		t.ingested[label.Attack] = at
	}
}

// responses keeps what the defence did, in order.
type responses struct {
	alerts    []defenders.RaisedAlert
	searched  []analyst.Found
	forecasts []*profile.Forecast
	merged    map[int]int
	links     map[int]correlation.Link
	stages    []*incident.StageTime
	actions   []*response.ActionRecord
	approvals []*response.ApprovalRecord
	audit     []response.AuditEntry
	scores    []measure.NamedScore
}

func (r *responses) addScore(detector string, s detect.Score) {
	r.scores = append(r.scores, measure.NamedScore{Detector: detector, Score: s})
}

func (r *responses) addSearched(f *analyst.Found) {
	if f.Alert == nil {
		r.searched = append(r.searched, *f)
	}
}

func (r *responses) addMerge(from, into int) {
	if r.merged == nil {
		r.merged = map[int]int{}
	}
	r.merged[from] = into
}

func (r *responses) addLink(l correlation.Link) {
	if r.links == nil {
		r.links = map[int]correlation.Link{}
	}
	r.links[l.Incident] = l
}

func (r *responses) addForecast(f *profile.Forecast) { r.forecasts = append(r.forecasts, f) }

func (r *responses) addStage(s *incident.StageTime) { r.stages = append(r.stages, s) }

func (r *responses) listener() response.Listener {
	return response.Listener{
		ActionRequested: func(_ time.Duration, a *response.ActionRecord) { r.actions = append(r.actions, a) },
		ApprovalAsked:   func(_ time.Duration, a *response.ApprovalRecord) { r.approvals = append(r.approvals, a) },
		Audited:         func(a response.AuditEntry) { r.audit = append(r.audit, a) },
	}
}
