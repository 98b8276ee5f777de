// Package live runs the pipeline on the wall clock beside a stream of records, such as Kafka's,
// so that nothing is lost and nothing is done twice whenever the process is killed.
//
// One goroutine owns the pipeline. Whatever reaches it (records, answers of people, results of
// actions, the passing of time) is an input; each is written to a journal with its time before
// it is handled, so that the same inputs lead to the same outputs again. What the pipeline
// gives out (alerts, incidents, requests) is numbered and goes out only when the journal with
// all that led to it is on the disk. From time to time the whole state is written as a snapshot
// and a new journal begins; then, and only then, the positions of the stream are committed.
//
// After a kill the last snapshot is read and the journal's inputs are handled again: records
// are fetched again by their offsets, outputs come again under their numbers, and those that
// were delivered are not sent again. What was sent but not yet noted is sent twice under one
// id, by which receivers know it.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hemostat/defenders"
	"hemostat/defenders/fusion"
	"hemostat/defenders/ingest"
	"hemostat/sim/event"
)

// Position is a place in the stream.
type Position struct {
	Topic     string
	Partition int32
}

// Record is a record of the stream.
type Record struct {
	Offset int64
	Time   time.Duration // since 1970, as the stream has it
	Value  []byte
}

// Batch are records of one partition, in the order of their offsets.
type Batch struct {
	Position
	Records []Record
}

// Source is a stream of records that can be read again from a position.
type Source interface {
	// Poll waits for records. It returns what there is, and an error when nothing more will
	// come: that of the context, or one that cannot be waited out.
	Poll(ctx context.Context) ([]Batch, error)
	// Commit tells that everything before these offsets is done with.
	Commit(ctx context.Context, next map[Position]int64) error
	// Lag tells how many records a partition holds behind the offset; false when it is not known.
	Lag(p Position, next int64) (int64, bool)
}

// Options configure a run.
type Options struct {
	// Build makes the configuration of a pipeline with detectors that have seen nothing; it is
	// called for each try to restore a state. Listener, Approver and Actuator are set here.
	Build func() (defenders.Config, error)
	// Formats are the forms of the records by topic.
	Formats map[string]string
	Source  Source
	Sinks   []Sink
	// Executor carries actions out; nil for a dry run.
	Executor Executor
	// Dir keeps the state.
	Dir string
	// NewState begins with an empty pipeline where that of the snapshot is of another version
	// of the program or its configuration.
	NewState bool
	// Straggle is how long an event waits for older ones that come later.
	Straggle time.Duration
	// SnapshotEvery is how often a snapshot is taken.
	SnapshotEvery time.Duration
	// MostUndelivered is how many outputs may wait for delivery before no more records are
	// taken in.
	MostUndelivered int
	Log             *slog.Logger
	Registry        prometheus.Registerer
	// Now is the time since 1970; the wall clock when nil.
	Now func() time.Duration
}

// epoch is the time at which times count from 0.
var epoch = time.Unix(0, 0).UTC()

// Runtime is a run.
type Runtime struct {
	options     Options
	pipeline    *defenders.Pipeline
	config      defenders.Config
	state       state
	start       map[Position]int64 // state.Next when the state was restored
	metrics     *metrics
	journal     *journal
	audit       *auditFile
	lock        io.Closer
	feed        *feed
	inputs      chan input
	queries     chan func() // look at the pipeline between inputs
	sinks       []*sinkRunner
	decoders    map[string]*ingest.Messages
	fresh       []Output         // not yet released
	releasing   *releasedOutputs // nil where no outputs are on their way to the disk
	lastRelease time.Time
	replay      *journalReader // while the journal is handled again
	number      int            // of the snapshot that the journal follows
	writing     *newSnapshot   // nil where none is being written
	// snapshotSize is that of the pipeline's part of the last snapshot, in bytes.
	snapshotSize int
	instance     string
	board        board
	killed       chan struct{} // closed by tests, as by a signal that nothing can catch
	now          time.Duration
}

// state is what a snapshot holds beside the pipeline.
type state struct {
	Next        map[Position]int64
	Now         time.Duration
	Seq         uint64 // of the last output
	Undelivered []*undelivered
	Held        held
	AuditSize   int64
	AuditHash   string
	Approvals   map[int]*Approval
	Started     map[int64]*ActionDocument // actions that may be in force
	Records     uint64                    // handled
}

func newState() state {
	return state{Next: map[Position]int64{}, Approvals: map[int]*Approval{}, Started: map[int64]*ActionDocument{}}
}

// undelivered is an output that sinks still owe.
type undelivered struct {
	Output
	Owed map[string]bool
}

// New makes a run ready: it restores the state, but handles nothing yet.
func New(o Options) (*Runtime, error) {
	if o.Now == nil {
		o.Now = func() time.Duration { return time.Since(epoch) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MostUndelivered == 0 {
		o.MostUndelivered = 10_000
	}
	if o.SnapshotEvery == 0 {
		o.SnapshotEvery = time.Minute
	}
	r := &Runtime{options: o, inputs: make(chan input, 64), queries: make(chan func()),
		decoders: map[string]*ingest.Messages{}, state: newState()}
	for topic, format := range o.Formats {
		m, err := ingest.NewMessages(format)
		if err != nil {
			return nil, fmt.Errorf("topic %s: %w", topic, err)
		}
		r.decoders[topic] = m
	}
	var err error
	if r.metrics, err = newMetrics(o.Registry); err != nil {
		return nil, err
	}
	for _, s := range o.Sinks {
		if s.Name() == executorName || slices.ContainsFunc(r.sinks, func(x *sinkRunner) bool { return x.name == s.Name() }) {
			return nil, fmt.Errorf("two outputs are called %s", s.Name())
		}
		r.sinks = append(r.sinks, newSinkRunner(r, s.Name(), sendTo(s)))
	}
	if o.Executor != nil {
		r.sinks = append(r.sinks, newSinkRunner(r, executorName, r.execute(o.Executor)))
	}
	if err := r.open(); err != nil {
		return nil, errors.Join(err, r.release())
	}
	r.start = maps.Clone(r.state.Next)
	return r, nil
}

// Start is the offset from which on a partition is to be read when the run begins; false for
// one of which nothing was handled yet.
func (r *Runtime) Start(p Position) (int64, bool) {
	next, ok := r.start[p]
	return next, ok
}

// Run handles inputs until the context ends; then what was handled is written down, so that a
// later run goes on from there. An error is one of the pipeline, of the disk, or of the source.
func (r *Runtime) Run(ctx context.Context) error {
	r.feed = newFeed(ctx, r.options.Source)
	defer r.feed.stop()
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	err := r.repeat(ctx)
	if err == nil {
		for _, s := range r.sinks {
			s.start(sending)
		}
		r.offerUndelivered()
		if err = r.feed.release(r.takeBatch); err == nil {
			err = r.loop(ctx)
		}
	}
	if errors.Is(err, errKilled) { // as by a signal that nothing can catch; for tests
		stop()
		_ = r.wait()
		return err
	}
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = r.drain()
	}
	stop()
	return errors.Join(err, r.wait(), r.release())
}

// Close lets go of what a run holds that was never begun.
func (r *Runtime) Close() error { return r.release() }

// wait lets what goes on beside the run end.
func (r *Runtime) wait() (err error) {
	for _, s := range r.sinks {
		s.wait()
	}
	if r.releasing != nil { // the run failed meanwhile
		err = <-r.releasing.written
		r.releasing = nil
	}
	if r.writing != nil {
		err = errors.Join(err, <-r.writing.written)
		r.writing = nil
	}
	return err
}

// drainFor is how long a run that ends waits for its sinks.
const drainFor = 5 * time.Second

// drain lets the sinks deliver what they can in a short time, and writes a snapshot.
func (r *Runtime) drain() error {
	if r.replay != nil { // the state stands somewhere within the journal, which stays
		return nil
	}
	if err := r.flush(); err != nil {
		return err
	}
	deadline := time.NewTimer(drainFor)
	defer deadline.Stop()
	for len(r.state.Undelivered) > 0 {
		select {
		case in := <-r.inputs:
			if err := r.take(in); err != nil {
				return err
			}
			if err := r.flush(); err != nil {
				return err
			}
			continue
		case <-deadline.C:
		}
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	return r.snapshot(ctx)
}

// releaseEvery is how long outputs wait for others before they and the journal are written to the
// disk.
const releaseEvery = 20 * time.Millisecond

// loop handles inputs as they come.
func (r *Runtime) loop(ctx context.Context) error {
	lastSnapshot := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := r.write(&lastSnapshot); err != nil {
			return err
		}
		records := r.feed.batches
		if len(r.state.Undelivered) >= r.options.MostUndelivered {
			records = nil // back-pressure: nothing is taken in until something was delivered
			r.metrics.heldBack.Inc()
		}
		timer.Reset(r.untilDue())
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-records:
			err = r.takeBatch(b)
		case in := <-r.inputs:
			err = r.take(in)
		case failed := <-r.releaseWritten():
			err = r.endRelease(failed)
		case failed := <-r.snapshotWritten():
			err = r.endSnapshot(ctx, failed)
		case look := <-r.queries:
			look()
		case <-timer.C:
			err = r.tick()
		case <-r.feed.failed:
			return r.feed.err
		case <-r.killed:
			return errKilled
		}
		if err != nil {
			return err
		}
	}
}

// write writes a snapshot, or lets outputs go out, where the time for it has come.
func (r *Runtime) write(lastSnapshot *time.Time) error {
	switch {
	case r.writing == nil && (time.Since(*lastSnapshot) >= r.options.SnapshotEvery || r.journal.size > maxJournal):
		// The time counts from the copy's end, so that it leaves time for the rest.
		defer func() { *lastSnapshot = time.Now() }()
		if r.journal.size == 0 { // nothing has happened since
			return nil
		}
		return r.beginSnapshot()
	case r.releasing == nil && len(r.fresh) > 0 && time.Since(r.lastRelease) >= releaseEvery:
		return r.beginRelease()
	}
	return nil
}

// untilDue is how long nothing has to be done of itself.
func (r *Runtime) untilDue() time.Duration {
	wait := time.Second
	if r.releasing == nil && len(r.fresh) > 0 {
		wait = max(0, releaseEvery-time.Since(r.lastRelease))
	}
	now := r.options.Now()
	if at, ok := r.pipeline.NextWake(); ok {
		wait = min(wait, at-now)
	}
	if at, ok := r.state.Held.due(r.options.Straggle); ok {
		wait = min(wait, at-now)
	}
	return max(wait, 0)
}

// advanceClock is the time of the next input: never before that of the last.
func (r *Runtime) advanceClock() time.Duration {
	r.state.Now = max(r.state.Now, r.options.Now())
	return r.state.Now
}

// tick lets time pass, where something is due.
func (r *Runtime) tick() error {
	r.updateLag()
	now := r.options.Now()
	at, ok := r.pipeline.NextWake()
	held, holds := r.state.Held.due(r.options.Straggle)
	if (!ok || at > now) && (!holds || held > now) {
		return nil
	}
	return r.take(input{Kind: inputTick})
}

// take writes an input down and handles it.
func (r *Runtime) take(in input) error {
	in.Now = r.advanceClock()
	if err := r.journal.write(in); err != nil {
		return err
	}
	return r.handle(in)
}

// takeBatch writes down which records are handled now, and handles them.
func (r *Runtime) takeBatch(b Batch) error {
	if len(b.Records) == 0 {
		return nil
	}
	in := input{Kind: inputRecords, Now: r.advanceClock(), Topic: b.Topic, Partition: b.Partition,
		First: b.Records[0].Offset, Last: b.Records[len(b.Records)-1].Offset}
	if err := r.journal.write(in); err != nil {
		return err
	}
	return r.handleBatch(in.Now, b)
}

// handle handles an input that is no batch of records.
func (r *Runtime) handle(in input) error {
	r.now = in.Now
	switch in.Kind {
	case inputTick:
	case inputDelivered:
		r.delivered(in)
		return nil
	case inputAnswer:
		accepted := r.pipeline.Answer(in.Now, in.Approval, in.Approved, in.By)
		r.advance(in.Now)
		if in.reply == nil {
			break
		}
		if err := r.flush(); err != nil { // whoever answered is told when it cannot be lost any more
			return err
		}
		in.reply <- accepted
	case inputResult:
		r.pipeline.ActionDone(in.Now, in.Action, in.Result)
	default:
		return fmt.Errorf("the journal holds an unknown input %q; it is of a newer version", in.Kind)
	}
	r.advance(in.Now)
	return r.pipeline.Err()
}

// handleBatch decodes records and hands their events on.
func (r *Runtime) handleBatch(now time.Duration, b Batch) error {
	r.now = now
	decoder := r.decoders[b.Topic]
	if decoder == nil {
		return fmt.Errorf("records of the topic %s came, which is not one of those that were named", b.Topic)
	}
	if next, known := r.state.Next[b.Position]; known && b.Records[0].Offset < next {
		r.metrics.resets.Inc()
		r.options.Log.Warn("the offsets of a partition begin anew", "topic", b.Topic, "partition", b.Partition,
			"expected", next, "got", b.Records[0].Offset)
	}
	for i := range b.Records {
		x := &b.Records[i]
		why := decoder.Decode(ingest.Message{Value: x.Value, Time: x.Time}, func(e *event.Event) {
			if e.ID == 0 {
				e.ID = eventID(b.Partition, x.Offset)
			}
			r.hold(now, b.Position, e)
		})
		if why != "" {
			r.poisoned(b.Position, x, why)
		}
	}
	last := &b.Records[len(b.Records)-1]
	r.state.Next[b.Position] = last.Offset + 1
	r.state.Records += uint64(len(b.Records))
	r.metrics.records.WithLabelValues(b.Topic).Add(float64(len(b.Records)))
	r.metrics.age.Set((now - last.Time).Seconds())
	r.advance(now)
	return r.pipeline.Err()
}

// eventID numbers an event by its place in the stream; events of one record share a number.
func eventID(partition int32, offset int64) uint64 {
	return uint64(partition)<<44 | uint64(offset)&(1<<44-1)
}

// advance gives the pipeline what is due: events whose stragglers are over, and its own timers.
func (r *Runtime) advance(now time.Duration) {
	h, straggle := &r.state.Held, r.options.Straggle
	reached := h.reached(now, straggle)
	for e := h.next(now, straggle, reached); e != nil; e = h.next(now, straggle, reached) {
		r.pipeline.Advance(now)
		r.pipeline.Event(now, e)
		r.metrics.events.Inc()
	}
	r.pipeline.Advance(now)
}

// asker is a source of intelligence whose answers are inputs: what it said is written down, and
// said again when the journal is handled again.
type asker struct {
	runtime *Runtime
	inner   fusion.Asker
}

// Ask implements fusion.Asker.
func (a *asker) Ask(list []fusion.Indicator) []fusion.Answer {
	r := a.runtime
	if r.replay != nil {
		if in, ok := r.replay.answers(); ok {
			return in.Answers
		}
	}
	answers := a.inner.Ask(list)
	if r.journal == nil { // the journal ended before the answers were written
		return answers
	}
	if err := r.journal.write(input{Kind: inputIntel, Now: r.now, Answers: answers}); err != nil {
		r.options.Log.Error("the journal cannot be written", "error", err)
	}
	return answers
}
