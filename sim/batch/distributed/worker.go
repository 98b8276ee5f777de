package distributed

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"hemostat/sim/batch"
	"hemostat/sim/record"
)

// Worker takes trials of the jobs of a server and runs them.
type Worker struct {
	// Name tells workers apart.
	Name string
	// Program is the version, commit and architecture of this program; jobs of another are refused.
	Program string
	// Parallel is how many trials are run at once.
	Parallel int
	// Prepare makes the trials of a job ready. Its error says why the job is refused.
	Prepare func(context.Context, Job) (Prepared, error)
	// Note is told what a person should know.
	Note func(string)
	// Idle ends the worker when there has been no work for so long; 0 for never.
	Idle time.Duration
}

// Prepared are the trials of a job.
type Prepared struct {
	Tasks []batch.Task
	// Close lets go of what they hold; nil when they hold nothing.
	Close func() error
}

const (
	lookForJobs = time.Second
	lookAtWork  = 3 * time.Second // where there is a job already
	pollWork    = 100 * time.Millisecond
	// From this delivery on a trial is run alone in its process, so that one which ends processes
	// ends no others.
	aloneFrom = 3
)

// working is a worker at work.
type working struct {
	*Worker
	nc    *nats.Conn
	js    jetstream.JetStream
	mu    sync.Mutex
	jobs  map[string]*taken
	busy  time.Time    // when there was work last
	atIt  int          // slots that work now
	alone sync.RWMutex // held for reading by trials, for writing by one that is run alone
}

// taken is a job that the worker has prepared, or refused.
type taken struct {
	Job
	refusal string
	tasks   map[string]batch.Task
	close   func() error
	cancel  context.CancelFunc
	ctx     context.Context
	running sync.WaitGroup
}

// Run works until the context ends, or nothing was to be done for the time Idle. Trials that are
// not finished when the context ends are given back.
func (w *Worker) Run(ctx context.Context, nc *nats.Conn) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x := &working{Worker: w, nc: nc, js: js, jobs: map[string]*taken{}, busy: time.Now()}
	var slots sync.WaitGroup
	for range max(1, w.Parallel) {
		slots.Go(func() { x.slot(ctx) })
	}
	for ctx.Err() == nil {
		x.look(ctx)
		if w.Idle > 0 && x.idle() > w.Idle {
			cancel()
		}
		if len(x.jobs) > 0 { // written by this goroutine alone
			pause(ctx, lookAtWork)
		} else {
			pause(ctx, lookForJobs)
		}
	}
	slots.Wait()
	for _, t := range x.jobs {
		x.leave(t)
	}
	return nil
}

// idle is for how long there was no work.
func (x *working) idle() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.atIt > 0 {
		return 0
	}
	return time.Since(x.busy)
}

// works notes that a slot begins (1) or ends (-1) to work.
func (x *working) works(by int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.atIt += by
	x.busy = time.Now()
}

// look finds jobs that are new, changed or gone, and says which it takes part in.
func (x *working) look(ctx context.Context) {
	listed, err := x.listed(ctx)
	if err != nil {
		return // the server does not answer; what is under way goes on
	}
	x.mu.Lock()
	known := make(map[string]*taken, len(x.jobs))
	for id, t := range x.jobs {
		known[id] = t
	}
	x.mu.Unlock()
	for id, t := range known {
		if now, there := listed[id]; !there || !now.Created.Equal(t.Created) {
			x.mu.Lock()
			delete(x.jobs, id)
			x.mu.Unlock()
			x.leave(t)
			delete(known, id)
		}
	}
	for id, job := range listed {
		t := known[id]
		if t == nil {
			t = x.prepare(ctx, job)
			x.mu.Lock()
			x.jobs[id] = t
			x.mu.Unlock()
		}
		if data, err := json.Marshal(presence{x.Name, t.refusal}); err == nil {
			_ = x.nc.Publish(job.presence(), data) // said again the next time
		}
	}
}

// listed reads the jobs of the server.
func (x *working) listed(ctx context.Context) (map[string]Job, error) {
	kv, err := x.js.KeyValue(ctx, jobsBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil // no run has been here yet
	}
	if err != nil {
		return nil, err
	}
	keys, err := kv.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := make(map[string]Job, len(keys))
	for _, key := range keys {
		entry, err := kv.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var j Job
		if err := json.Unmarshal(entry.Value(), &j); err != nil || j.ID != key {
			x.Note(fmt.Sprintf("the job %s cannot be read: %v", key, err))
			continue
		}
		all[key] = j
	}
	return all, nil
}

// prepare makes a job's trials ready, or says why not.
func (x *working) prepare(ctx context.Context, job Job) *taken {
	t := &taken{Job: job}
	t.ctx, t.cancel = context.WithCancel(ctx)
	refuse := func(why string) *taken {
		t.refusal = why
		x.Note(fmt.Sprintf("job %s is refused: %s", job.ID, why))
		return t
	}
	if job.Program != x.Program {
		return refuse(fmt.Sprintf("it is of hemostat %s, this worker is %s", job.Program, x.Program))
	}
	prepared, err := x.Prepare(ctx, job)
	if err != nil {
		return refuse(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	t.close = prepared.Close
	t.tasks = make(map[string]batch.Task, len(prepared.Tasks))
	for _, task := range prepared.Tasks {
		t.tasks[task.TrialID] = task
	}
	x.Note(fmt.Sprintf("job %s: taking part", job.ID))
	return t
}

// leave ends what is under way of a job.
func (x *working) leave(t *taken) {
	t.cancel()
	t.running.Wait()
	if t.close != nil {
		if err := t.close(); err != nil {
			x.Note(err.Error())
		}
	}
}

// next lists the jobs that the worker takes part in, the oldest first, each held until it is
// released.
func (x *working) next() []*taken {
	x.mu.Lock()
	defer x.mu.Unlock()
	var all []*taken
	for _, t := range x.jobs {
		if t.refusal == "" {
			t.running.Add(1)
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *taken) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return all
}

// slot runs one batch after another.
func (x *working) slot(ctx context.Context) {
	for ctx.Err() == nil {
		worked := false
		for _, t := range x.next() {
			if !worked && t.ctx.Err() == nil {
				worked = x.one(t)
			}
			t.running.Done()
		}
		if !worked {
			pause(ctx, pollWork)
		}
	}
}

// one takes a batch of a job and runs it; false when there is none.
func (x *working) one(t *taken) bool {
	consumer, err := x.js.Consumer(t.ctx, t.workStream(), workers)
	if err != nil {
		return false
	}
	messages, err := consumer.FetchNoWait(1)
	if err != nil {
		return false
	}
	var m jetstream.Msg
	for m = range messages.Messages() {
	}
	if m == nil {
		return false
	}
	x.works(1)
	defer x.works(-1)
	x.batch(t, m)
	return true
}

// batch runs the trials of a message, stores them and acknowledges it. Where it cannot, the
// message is delivered to another worker.
func (x *working) batch(t *taken, m jetstream.Msg) {
	stop := x.keepAlive(t, m)
	defer stop()
	about, err := m.Metadata()
	var assigned work
	if err == nil {
		err = json.Unmarshal(m.Data(), &assigned)
	}
	if err != nil {
		x.Note(fmt.Sprintf("job %s: a message of work cannot be read: %v", t.ID, err))
		_ = m.Term()
		return
	}
	if about.NumDelivered > 1 && len(assigned.Trials) > 1 { // a worker ended while it had them: each goes by itself
		round := fmt.Sprintf("of %d", about.Sequence.Stream)
		if err := publishWork(t.ctx, x.js, &t.Job, slices.Chunk(assigned.Trials, 1), round); err == nil {
			_ = m.Ack()
		}
		return
	}
	if about.NumDelivered >= aloneFrom {
		x.alone.Lock()
		defer x.alone.Unlock()
	} else {
		x.alone.RLock()
		defer x.alone.RUnlock()
	}
	trials, err := x.run(t, assigned.Trials, int(about.NumDelivered))
	if err != nil { // the worker or the job ends
		_ = m.Nak()
		return
	}
	if x.store(t, assigned.Trials, trials) {
		_ = m.Ack() // lost with the server, it leads to a second run with the same digest
	}
}

// keepAlive says that the work goes on until it is stopped.
func (x *working) keepAlive(t *taken, m jetstream.Msg) (stop func()) {
	ctx, cancel := context.WithCancel(t.ctx)
	go func() {
		for pause(ctx, t.Patience/4) {
			_ = m.InProgress() // said again the next time
		}
	}()
	return cancel
}

// run makes the trials. One that so many workers have ended at is given up as an error.
func (x *working) run(t *taken, ids []string, delivery int) ([]*record.Trial, error) {
	tasks := make([]batch.Task, len(ids))
	for i, id := range ids {
		task, known := t.tasks[id]
		switch {
		case !known:
			task = batch.Task{TrialID: id, Run: func(func() bool) (*record.Trial, error) {
				return nil, fmt.Errorf("worker %s knows no such trial of the job", x.Name)
			}}
		case delivery > t.Attempts:
			task.Run = func(func() bool) (*record.Trial, error) {
				return nil, fmt.Errorf("given up: %d workers ended, or were silent for %s, while they ran it", t.Attempts, t.Patience)
			}
		}
		tasks[i] = task
	}
	trials := make([]*record.Trial, 0, len(ids))
	err := batch.Run(t.ctx, 1, tasks, func(r *record.Trial) error {
		trials = append(trials, r)
		return nil
	})
	return trials, err
}

// store stores trials and tells the coordinator of them, and tries until it can: a server that
// is away comes back, and results that fill their room are taken. False when the job has ended.
func (x *working) store(t *taken, ids []string, trials []*record.Trial) bool {
	data, err := pack(trials)
	if err != nil {
		for i := range trials {
			trials[i] = failed(trials[i], err.Error())
		}
		if data, err = pack(trials); err != nil {
			x.Note(fmt.Sprintf("job %s: %v", t.ID, err))
			return false
		}
	}
	if int64(len(data)) > t.Room/2 && len(trials) > 1 {
		for i := range trials {
			if !x.store(t, ids[i:i+1], trials[i:i+1]) {
				return false
			}
		}
		return true
	}
	if int64(len(data)) > t.Room/2 {
		return x.store(t, ids, []*record.Trial{failed(trials[0], fmt.Sprintf(
			"its result has %d bytes, and the engine takes %d at once; give it more room, or keep no events", len(data), t.Room/2))})
	}
	name := x.Name + "." + nuid.Next()
	about, err := json.Marshal(done{name, x.Name, ids})
	if err != nil {
		x.Note(fmt.Sprintf("job %s: %v", t.ID, err))
		return false
	}
	said := false
	for wait := pollWork; ; wait = min(2*wait, 5*time.Second) {
		err := x.put(t, name, data, about)
		if err == nil {
			return true
		}
		if !said && t.ctx.Err() == nil {
			said = true
			x.Note(fmt.Sprintf("job %s: a result cannot be stored yet (%v); trying again", t.ID, err))
		}
		if !pause(t.ctx, wait) {
			return false
		}
	}
}

// failed stands for a trial whose result cannot be stored.
func failed(t *record.Trial, why string) *record.Trial {
	e := &record.Trial{TrialID: t.TrialID, Scenario: t.Scenario, Variant: t.Variant, Index: t.Index, Status: "error", Error: why}
	if err := e.Seal(); err != nil {
		e.Error += "; " + err.Error()
	}
	return e
}

func (x *working) put(t *taken, name string, data, about []byte) error {
	store, err := x.js.ObjectStore(t.ctx, t.resultBucket())
	if err != nil {
		return err
	}
	if _, err := store.PutBytes(t.ctx, name, data); err != nil {
		return err
	}
	_, err = x.js.Publish(t.ctx, t.doneSubject(), about, jetstream.WithMsgID(name))
	return err
}
