package distributed

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"hemostat/sim/batch"
	"hemostat/sim/record"
)

// Options say how a job is handed out. The zero value is usable.
type Options struct {
	// Batch is how many trials go to a worker at once; chosen by the number of trials when 0.
	Batch int
	// Room is how many bytes of results may wait at the server; 1 GiB when 0. When it is full,
	// workers wait until the coordinator has taken some.
	Room int64
	// Replicas is on how many servers of a cluster each stream stands; 1 when 0.
	Replicas int
	// Note is told what a person should know.
	Note func(string)

	// Of tests: how often the coordinator looks at the server, and after how long without a
	// result work is handed out once more.
	look, quiet time.Duration
}

// errOtherDigest is the error where two workers ran a trial and their digests differ.
var errOtherDigest = errors.New("two workers ran the same trial and came to different digests, " +
	"so one of their machines or programs is at fault")

// ErrTaken is the error where another coordinator has the job.
var ErrTaken = errors.New("another run works on this job")

const (
	defaultRoom  = 1 << 30
	defaultLook  = time.Second
	defaultQuiet = 30 * time.Second
	leaseTime    = 8 * time.Second
	silence      = 15 * time.Second // after which a person is told that there is no worker
	maxBatch     = 16
	batchesEach  = 64 // aimed-at number of batches of a job, so that the last do not keep one worker alone busy
	keepFor      = 14 * 24 * time.Hour
	fetchAtOnce  = 32
	longestWait  = 6 // the wait for a result doubles with each time that work is handed out once more, so often at most
)

// coordination is a job under way.
type coordination struct {
	Options
	job       Job
	js        jetstream.JetStream
	sink      func(*record.Trial) error
	out       map[string]bool   // trials without a result
	in        map[string]digest // trials with one
	order     []string          // all trials, in the order in which they are handed out
	lease     uint64            // revision of the lease
	heard     map[string]string // workers that were heard of, and why they refuse
	lastHeard time.Time         // when one was heard that takes part
	saidNone  bool              // a person was told that there is none
	last      time.Time         // when the last result came, or work was handed out
	longer    time.Duration     // the longest time that a trial took
	again     int               // how often work was handed out once more since the last result
	looked    time.Time
}

type digest [sha256.Size]byte

// Run hands the tasks to workers and each finished trial to sink, one at a time. It returns when
// every trial has come, when the context ends, or at an error of sink. The job is then taken away
// from the server; when the process is killed instead, workers go on, and the next Run of the same
// job takes what they have done.
func Run(ctx context.Context, nc *nats.Conn, job Job, tasks []batch.Task, o Options, sink func(*record.Trial) error) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	c := newCoordination(job, js, tasks, o, sink)
	if err := c.takeLease(ctx); err != nil {
		return err
	}
	said, err := nc.SubscribeSync(c.job.presence())
	if err != nil {
		return err
	}
	defer func() { _ = said.Unsubscribe() }() // the connection ends with the command
	err = c.work(ctx, said)
	if !errors.Is(err, ErrTaken) {
		c.clear(context.WithoutCancel(ctx))
	}
	return err
}

// work hands the trials out and takes results until all have come.
func (c *coordination) work(ctx context.Context, said *nats.Subscription) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	for len(c.out) > 0 && ctx.Err() == nil {
		if err := c.take(ctx); err != nil {
			return err
		}
		c.hear(said)
		if time.Since(c.lastHeard) > silence && !c.saidNone {
			c.saidNone = true
			c.Note(fmt.Sprintf("no worker that takes part was heard of for %s; %d trials wait", silence, len(c.out)))
		}
		if time.Since(c.looked) < c.look {
			continue
		}
		c.looked = time.Now()
		err := c.check(ctx)
		if errors.Is(err, ErrTaken) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			c.Note(fmt.Sprintf("the engine does not answer (%v); trying again", err))
			pause(ctx, c.look)
		}
	}
	return ctx.Err()
}

func newCoordination(job Job, js jetstream.JetStream, tasks []batch.Task, o Options, sink func(*record.Trial) error) *coordination {
	c := &coordination{Options: o, job: job, js: js, sink: sink, out: make(map[string]bool, len(tasks)),
		in: make(map[string]digest, len(tasks)), order: make([]string, 0, len(tasks)), heard: map[string]string{}, last: time.Now(), lastHeard: time.Now()}
	for _, t := range tasks {
		if !c.out[t.TrialID] {
			c.out[t.TrialID] = true
			c.order = append(c.order, t.TrialID)
		}
	}
	if c.Note == nil {
		c.Note = func(string) {}
	}
	if c.Batch <= 0 {
		c.Batch = min(max(1, len(c.order)/batchesEach), maxBatch)
	}
	if c.Room <= 0 {
		c.Room = defaultRoom
	}
	c.job.Room = c.Room
	c.Replicas = max(1, c.Replicas)
	if c.look <= 0 {
		c.look = defaultLook
	}
	if c.quiet <= 0 {
		c.quiet = defaultQuiet
	}
	if c.job.Attempts <= 0 {
		c.job.Attempts = defaultAttempts
	}
	if c.job.Patience <= 0 {
		c.job.Patience = defaultPatience
	}
	return c
}

// takeLease makes sure that nobody else takes the results of the job. What a coordinator that was
// killed has left ends by itself.
func (c *coordination) takeLease(ctx context.Context) error {
	for began, said := time.Now(), false; ; said = true {
		leases, err := c.leases(ctx)
		if err != nil {
			return fmt.Errorf("JetStream: %w", err)
		}
		c.lease, err = leases.Create(ctx, c.job.ID, nil)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, jetstream.ErrKeyExists):
			return err
		case time.Since(began) > leaseTime+5*time.Second:
			return fmt.Errorf("%w (%s); stop it, or give this one another database", ErrTaken, c.job.ID)
		}
		if !said {
			c.Note(fmt.Sprintf("a run that works on this job, or was killed, has it for up to %s; waiting", leaseTime))
		}
		if !pause(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

// keepLease says that the run goes on. A lease that ran out, or that the server has lost, is taken
// again, unless somebody else has it.
func (c *coordination) keepLease(ctx context.Context) error {
	leases, err := c.leases(ctx)
	if err != nil {
		return err
	}
	revision, err := leases.Update(ctx, c.job.ID, nil, c.lease)
	var refused *jetstream.APIError
	if errors.As(err, &refused) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		revision, err = leases.Create(ctx, c.job.ID, nil)
	}
	if errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("%w (%s)", ErrTaken, c.job.ID)
	}
	if err == nil {
		c.lease = revision
	}
	return err
}

func (c *coordination) leases(ctx context.Context) (jetstream.KeyValue, error) {
	return bucket(ctx, c.js, jetstream.KeyValueConfig{Bucket: leasesBucket, TTL: leaseTime, Replicas: c.Replicas,
		Description: "which jobs of hemostat_jobs a run works on"})
}

// begin makes the job's streams, takes what workers have done for an earlier run of it, and hands
// out the rest.
func (c *coordination) begin(ctx context.Context) error {
	if err := c.make(ctx); err != nil {
		return fmt.Errorf("JetStream: %w", err)
	}
	for ctx.Err() == nil {
		consumer, err := c.js.Consumer(ctx, c.job.doneStream(), coordinator)
		if err != nil {
			return err
		}
		info, err := consumer.Info(ctx)
		if err != nil {
			return err
		}
		if info.NumPending+uint64(info.NumAckPending) == 0 {
			break
		}
		if err := c.take(ctx); err != nil {
			return err
		}
	}
	stream, err := c.js.Stream(ctx, c.job.workStream())
	if err != nil {
		return err
	}
	if err := stream.Purge(ctx); err != nil {
		return err
	}
	if err := c.handOut(ctx, c.Batch, ""); err != nil {
		return err
	}
	return c.announce(ctx)
}

// make makes what the server lacks of the job, which changes nothing where all is there.
func (c *coordination) make(ctx context.Context) error {
	_, err := c.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: c.job.workStream(), Subjects: []string{c.job.workSubject()},
		Retention: jetstream.WorkQueuePolicy, MaxAge: keepFor, Replicas: c.Replicas})
	if err != nil {
		return err
	}
	_, err = c.js.CreateOrUpdateConsumer(ctx, c.job.workStream(), jetstream.ConsumerConfig{Durable: workers,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.job.Patience, MaxDeliver: -1, MaxAckPending: -1})
	if err != nil {
		return err
	}
	_, err = c.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: c.job.doneStream(), Subjects: []string{c.job.doneSubject()},
		Retention: jetstream.WorkQueuePolicy, MaxAge: keepFor, Replicas: c.Replicas})
	if err != nil {
		return err
	}
	_, err = c.js.CreateOrUpdateConsumer(ctx, c.job.doneStream(), jetstream.ConsumerConfig{Durable: coordinator,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.job.Patience, MaxDeliver: -1, MaxAckPending: -1})
	if err != nil {
		return err
	}
	_, err = c.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: c.job.resultBucket(), MaxBytes: c.Room,
		TTL: keepFor, Replicas: c.Replicas})
	return err
}

// announce makes the job known to workers.
func (c *coordination) announce(ctx context.Context) error {
	kv, err := bucket(ctx, c.js, jetstream.KeyValueConfig{Bucket: jobsBucket, Replicas: c.Replicas,
		Description: "what hemostat run --engine wants to be run"})
	if err != nil {
		return err
	}
	if entry, err := kv.Get(ctx, c.job.ID); err == nil { // of a run that was killed: workers who have it go on
		var earlier Job
		if json.Unmarshal(entry.Value(), &earlier) == nil {
			c.job.Created = earlier.Created
		}
	}
	data, err := json.Marshal(c.job)
	if err != nil {
		return err
	}
	_, err = kv.Put(ctx, c.job.ID, data)
	return err
}

// handOut puts all trials without a result into the work queue, some to a message. Messages of
// the same round are the same to the server when they are sent twice.
func (c *coordination) handOut(ctx context.Context, atOnce int, round string) error {
	var waiting []string
	for _, id := range c.order {
		if c.out[id] {
			waiting = append(waiting, id)
		}
	}
	return publishWork(ctx, c.js, &c.job, slices.Chunk(waiting, atOnce), round)
}

// publishWork puts batches of trials into the work queue. The first trial and the round make a
// message the same to the server when it is sent twice.
func publishWork(ctx context.Context, js jetstream.JetStream, job *Job, batches func(func([]string) bool), round string) error {
	var sent []jetstream.PubAckFuture
	for trials := range batches {
		data, err := json.Marshal(work{trials})
		if err != nil {
			return err
		}
		var options []jetstream.PublishOpt
		if round != "" {
			options = append(options, jetstream.WithMsgID(round+" "+trials[0]))
		}
		ack, err := js.PublishAsync(job.workSubject(), data, options...)
		if err != nil {
			return err
		}
		sent = append(sent, ack)
	}
	for _, ack := range sent {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ack.Err():
			return err
		case <-ack.Ok():
		}
	}
	return nil
}

// take takes results that are there, or waits for some a moment.
func (c *coordination) take(ctx context.Context) error {
	consumer, err := c.js.Consumer(ctx, c.job.doneStream(), coordinator)
	if err != nil { // check finds what the server lacks
		pause(ctx, c.look/4)
		return nil
	}
	messages, err := consumer.Fetch(fetchAtOnce, jetstream.FetchMaxWait(c.look))
	if err != nil {
		pause(ctx, c.look/4)
		return nil
	}
	began := time.Now()
	for m := range messages.Messages() {
		if err := c.result(ctx, m); err != nil {
			return err
		}
		if len(c.out) == 0 || time.Since(began) > readWait { // the rest comes again; the lease is to be kept
			return nil
		}
	}
	return nil
}

// result takes one object. A server that does not answer delivers the message again.
func (c *coordination) result(ctx context.Context, m jetstream.Msg) error {
	var d done
	if err := json.Unmarshal(m.Data(), &d); err != nil {
		return fmt.Errorf("a message about a result cannot be read: %w", err)
	}
	store, err := c.js.ObjectStore(ctx, c.job.resultBucket())
	if err != nil {
		_ = m.NakWithDelay(c.look) // without it the message comes again after the patience
		return nil
	}
	data, err := c.read(ctx, store, d.Object)
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) && deliveries(m) >= mostReads {
		err = errors.Join(jetstream.ErrObjectNotFound, c.remove(ctx, store, d.Object)) // a part of it is lost
	}
	switch {
	case errors.Is(err, jetstream.ErrObjectNotFound): // taken by this or an earlier run; what is lost is handed out again by check
		_ = m.Ack()
		return nil
	case err != nil:
		_ = m.NakWithDelay(c.look)
		return nil
	}
	trials, err := unpack(data)
	if err != nil {
		return fmt.Errorf("a result of worker %s cannot be read: %w", d.Worker, err)
	}
	for _, t := range trials {
		if err := c.trial(t, d.Worker); err != nil {
			return err
		}
	}
	if err := c.remove(ctx, store, d.Object); err != nil {
		_ = m.NakWithDelay(c.look)
		return nil
	}
	_ = m.Ack() // lost with the server, the message comes again and finds no object
	return nil
}

const (
	// readWait bounds the reading of an object. The library waits for ever for chunks that the
	// server has lost.
	readWait = leaseTime / 4
	// mostReads is how often an object is tried to be read.
	mostReads = 5
)

func deliveries(m jetstream.Msg) uint64 {
	about, err := m.Metadata()
	if err != nil {
		return 0
	}
	return about.NumDelivered
}

// read reads an object. One whose chunks are gone counts as not found.
func (c *coordination) read(ctx context.Context, store jetstream.ObjectStore, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return nil, err
	}
	stream, err := c.js.Stream(ctx, "OBJ_"+c.job.resultBucket())
	if err != nil {
		return nil, err
	}
	_, err = stream.GetLastMsgForSubject(ctx, "$O."+c.job.resultBucket()+".C."+info.NUID)
	if errors.Is(err, jetstream.ErrMsgNotFound) && info.Chunks > 0 {
		return nil, errors.Join(jetstream.ErrObjectNotFound, c.remove(ctx, store, name))
	}
	return store.GetBytes(ctx, name)
}

// remove removes an object with all that is about it: first what names it, so that a server that
// is killed in between leaves chunks that nobody looks for. ObjectStore.Delete would write a mark,
// for which a store that is full has no room; see ADR-20 of NATS for the subjects.
func (c *coordination) remove(ctx context.Context, store jetstream.ObjectStore, name string) error {
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return err
	}
	stream, err := c.js.Stream(ctx, "OBJ_"+c.job.resultBucket())
	if err != nil {
		return err
	}
	prefix := "$O." + c.job.resultBucket()
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(prefix+".M."+base64.URLEncoding.EncodeToString([]byte(name)))); err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(prefix+".C."+info.NUID))
}

// trial takes a trial, or compares its digest with that of its first run.
func (c *coordination) trial(t *record.Trial, worker string) error {
	sum, err := hex.DecodeString(t.Digest)
	if err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("trial %s of worker %s has no digest", t.TrialID, worker)
	}
	if first, known := c.in[t.TrialID]; known {
		if t.Status == "ok" && first != digest(sum) {
			return fmt.Errorf("%w: trial %s (%s/%s/%d) had the digest %x, and %s from worker %s", errOtherDigest, t.TrialID,
				t.Scenario, t.Variant, t.Index, first, t.Digest, worker)
		}
		return nil
	}
	if !c.out[t.TrialID] { // of an earlier run, whose database has it
		return nil
	}
	if err := c.sink(t); err != nil {
		return err
	}
	for _, cost := range t.Cost {
		c.longer = max(c.longer, time.Duration(cost.WallNS))
	}
	delete(c.out, t.TrialID)
	if t.Status == "ok" {
		c.in[t.TrialID] = digest(sum)
	}
	c.last, c.again = time.Now(), 0
	return nil
}

// check makes anew what the server has lost, and hands out once more what is out for long.
func (c *coordination) check(ctx context.Context) error {
	if err := c.keepLease(ctx); err != nil {
		return err
	}
	stream, err := c.js.Stream(ctx, c.job.workStream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		c.Note("the engine has lost the job; it is handed out anew")
		return errors.Join(c.make(ctx), c.handOut(ctx, c.Batch, ""), c.announce(ctx))
	}
	if err != nil {
		return err
	}
	if err := c.make(ctx); err != nil { // consumers or buckets that are gone
		return err
	}
	if err := c.announce(ctx); err != nil {
		return err
	}
	queue, err := stream.Consumer(ctx, workers)
	if err != nil {
		return err
	}
	info, err := queue.Info(ctx)
	if err != nil {
		return err
	}
	if info.NumPending > 0 {
		c.last = time.Now() // work waits for workers
		return nil
	}
	wait := max(c.quiet, 3*c.longer) << min(c.again, longestWait)
	if time.Since(c.last) < wait {
		return nil
	}
	c.again++
	c.last = time.Now()
	c.Note(fmt.Sprintf("%d trials are out for %s; they are handed out once more", len(c.out), wait.Round(time.Second)))
	return c.handOut(ctx, 1, fmt.Sprintf("again %d", time.Now().UnixNano()))
}

// hear reads what workers say of themselves.
func (c *coordination) hear(said *nats.Subscription) {
	for {
		m, err := said.NextMsg(time.Millisecond)
		if err != nil {
			break
		}
		var p presence
		if json.Unmarshal(m.Data, &p) != nil {
			continue
		}
		if p.Refusal == "" {
			c.lastHeard, c.saidNone = time.Now(), false
		}
		if why, known := c.heard[p.Worker]; !known || why != p.Refusal {
			c.heard[p.Worker] = p.Refusal
			if p.Refusal != "" {
				c.Note(fmt.Sprintf("worker %s takes no work of this run: %s", p.Worker, p.Refusal))
			} else {
				c.Note(fmt.Sprintf("worker %s takes part", p.Worker))
			}
		}
	}
}

// clear takes the job away from the server.
func (c *coordination) clear(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if kv, err := c.js.KeyValue(ctx, jobsBucket); err == nil {
		_ = kv.Purge(ctx, c.job.ID)
	}
	_ = c.js.DeleteStream(ctx, c.job.workStream())
	_ = c.js.DeleteStream(ctx, c.job.doneStream())
	_ = c.js.DeleteObjectStore(ctx, c.job.resultBucket())
	if leases, err := c.js.KeyValue(ctx, leasesBucket); err == nil {
		_ = leases.Purge(ctx, c.job.ID)
	}
}
