package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// Output is something that the pipeline gives out. Its number and its id stay the same when it
// comes again after a kill.
type Output struct {
	Seq  uint64
	Type string // alert, incident, approval, action, response, poison
	ID   string // by which receivers know what was sent twice
	Time time.Duration
	// Key is what outputs that must stay in order have in common, such as an incident.
	Key  string
	Data []byte // JSON
	// action is set for an action that is to be carried out.
	Action *ActionDocument
	// Record is the record of a poison.
	Record []byte
}

// The types of outputs.
const (
	AlertOutput    = "alert"
	IncidentOutput = "incident"
	ApprovalOutput = "approval"
	ActionOutput   = "action"
	ResponseOutput = "response" // an entry of the response's audit log
	PoisonOutput   = "poison"
)

// Sink is where outputs go.
type Sink interface {
	Name() string
	// Wants tells whether outputs of a type go there.
	Wants(kind string) bool
	// Send delivers an output; it tries again by itself as often as makes sense. A nil error
	// tells that the output was delivered or laid down for a person; after another error than that
	// of the context it is called again.
	Send(ctx context.Context, o *Output) error
}

// emit numbers an output of what is being handled, and returns its id.
func (r *Runtime) emit(o Output, data any) string {
	if data != nil {
		var err error
		if o.Data, err = json.Marshal(data); err != nil {
			r.options.Log.Error("an output cannot be written as JSON", "type", o.Type, "error", err)
			return ""
		}
	}
	r.state.Seq++
	o.Seq, o.Time = r.state.Seq, r.now
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s/%s", r.instance, o.Seq, o.Type, o.Data))
	o.ID = hex.EncodeToString(sum[:12])
	r.fresh = append(r.fresh, o)
	owed := map[string]bool{}
	for _, s := range r.sinks {
		if s.wants(&o) {
			owed[s.name] = true
		}
	}
	if len(owed) > 0 {
		r.state.Undelivered = append(r.state.Undelivered, &undelivered{o, owed})
	}
	r.metrics.outputs.WithLabelValues(o.Type).Inc()
	return o.ID
}

// releasedOutputs are outputs on their way to the disk, while the run goes on.
type releasedOutputs struct {
	outputs []Output
	written chan error
}

// beginRelease has what led to the fresh outputs put on the disk, then the outputs themselves into
// the audit file, beside the run. A disk takes a hundredth of a second and more for each.
func (r *Runtime) beginRelease() error {
	r.lastRelease = time.Now()
	if len(r.fresh) == 0 {
		return nil
	}
	if err := r.journal.w.Flush(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	x := &releasedOutputs{outputs: r.fresh, written: make(chan error, 1)}
	r.fresh, r.releasing = nil, x
	go func(inputs *os.File) { x.written <- x.write(inputs, r.audit) }(r.journal.file)
	return nil
}

func (x *releasedOutputs) write(inputs *os.File, audit *auditFile) error {
	if err := inputs.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := audit.append(x.outputs); err != nil {
		return err
	}
	return audit.sync()
}

// releaseWritten tells when the outputs on their way are on the disk; nil where there are none.
func (r *Runtime) releaseWritten() <-chan error {
	if r.releasing == nil {
		return nil
	}
	return r.releasing.written
}

// endRelease gives outputs that are on the disk to the sinks.
func (r *Runtime) endRelease(err error) error {
	x := r.releasing
	r.releasing = nil
	if err != nil {
		return err
	}
	for _, s := range r.sinks {
		for i := range x.outputs {
			if o := &x.outputs[i]; s.wants(o) {
				s.offer(*o)
			}
		}
	}
	r.metrics.undelivered.Set(float64(len(r.state.Undelivered)))
	return nil
}

// flush lets all outputs go out, and waits until they are on the disk.
func (r *Runtime) flush() error {
	if r.releasing != nil {
		if err := r.endRelease(<-r.releasing.written); err != nil {
			return err
		}
	}
	if err := r.beginRelease(); err != nil || r.releasing == nil {
		return err
	}
	return r.endRelease(<-r.releasing.written)
}

// offerUndelivered gives the sinks what an earlier run could not deliver.
func (r *Runtime) offerUndelivered() {
	known := map[string]*sinkRunner{}
	for _, s := range r.sinks {
		known[s.name] = s
	}
	r.state.Undelivered = slices.DeleteFunc(r.state.Undelivered, func(u *undelivered) bool {
		for _, name := range slices.Sorted(maps.Keys(u.Owed)) {
			if s := known[name]; s != nil {
				s.offer(u.Output)
			} else {
				delete(u.Owed, name)
			}
		}
		return len(u.Owed) == 0
	})
}

// delivered notes that a sink has an output.
func (r *Runtime) delivered(in input) {
	at, found := slices.BinarySearchFunc(r.state.Undelivered, in.Seq, func(u *undelivered, seq uint64) int {
		switch {
		case u.Seq < seq:
			return -1
		case u.Seq > seq:
			return 1
		}
		return 0
	})
	if !found {
		return
	}
	u := r.state.Undelivered[at]
	if delete(u.Owed, in.Sink); len(u.Owed) == 0 {
		r.state.Undelivered = slices.Delete(r.state.Undelivered, at, at+1)
	}
	r.metrics.undelivered.Set(float64(len(r.state.Undelivered)))
}

// sinkRunner delivers to one sink.
type sinkRunner struct {
	runtime *Runtime
	name    string
	wants   func(o *Output) bool
	send    func(ctx context.Context, o *Output) error
	workers int

	mutex   sync.Mutex
	queue   []Output
	ready   chan struct{}
	running sync.WaitGroup
}

// delivery is how a runner sends, which outputs, and how many at once.
type delivery struct {
	wants   func(o *Output) bool
	send    func(ctx context.Context, o *Output) error
	workers int
}

func sendTo(s Sink) delivery {
	return delivery{func(o *Output) bool { return s.Wants(o.Type) }, s.Send, 1}
}

func newSinkRunner(r *Runtime, name string, d delivery) *sinkRunner {
	return &sinkRunner{runtime: r, name: name, wants: d.wants, send: d.send, workers: d.workers,
		ready: make(chan struct{}, 1)}
}

func (s *sinkRunner) offer(o Output) {
	s.mutex.Lock()
	s.queue = append(s.queue, o)
	s.mutex.Unlock()
	s.wake()
}

func (s *sinkRunner) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

func (s *sinkRunner) take() (Output, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.queue) == 0 {
		return Output{}, false
	}
	o := s.queue[0]
	s.queue[0] = Output{}
	s.queue = s.queue[1:]
	if len(s.queue) > 0 {
		s.wake()
	}
	return o, true
}

// start delivers until the context ends.
func (s *sinkRunner) start(ctx context.Context) {
	for range s.workers {
		s.running.Go(func() {
			for {
				o, ok := s.take()
				switch {
				case ok && s.deliver(ctx, &o) != nil:
					return
				case ok:
					continue
				}
				select {
				case <-ctx.Done():
					return
				case <-s.ready:
				}
			}
		})
	}
}

// mostPause is the longest time between two tries of a delivery that failed.
const mostPause = 30 * time.Second

// deliver sends an output until it is delivered, and notes that. The error is that of the context.
func (s *sinkRunner) deliver(ctx context.Context, o *Output) error {
	for pause := 500 * time.Millisecond; ; pause = min(2*pause, mostPause) {
		err := s.send(ctx, o)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.runtime.options.Log.Error("an output was not delivered; it is tried again",
			"sink", s.name, "type", o.Type, "id", o.ID, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.runtime.metrics.delivered.WithLabelValues(s.name).Inc()
	select {
	case s.runtime.inputs <- input{Kind: inputDelivered, Sink: s.name, Seq: o.Seq}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sinkRunner) wait() { s.running.Wait() }
