package distributed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/sim/batch"
	"hemostat/sim/event"
	"hemostat/sim/record"
)

// engine is an embedded server at a port of its own.
type engine struct {
	t    *testing.T
	dir  string
	at   Server
	stop func()
}

func startEngine(t *testing.T) *engine {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &engine{t: t, dir: t.TempDir(), at: Server{URL: "embedded://" + l.Addr().String()}}
	require.NoError(t, l.Close())
	e.start()
	t.Cleanup(func() { e.stop() })
	return e
}

func (e *engine) start() {
	url, stop, err := e.at.Start(e.dir)
	require.NoError(e.t, err)
	e.at.URL = strings.Replace(url, "nats://", "embedded://", 1)
	e.stop = stop
}

func (e *engine) connect(name string) *nats.Conn {
	at := Server{URL: strings.Replace(e.at.URL, "embedded://", "nats://", 1)}
	nc, err := at.Connect(e.t.Context(), name, true, func(string) {})
	require.NoError(e.t, err)
	e.t.Cleanup(nc.Close)
	return nc
}

// day makes a trial whose rows say which it is.
func day(id string) (*record.Trial, error) {
	zero, later := int64(0), int64(7)
	t := &record.Trial{TrialID: id, Scenario: "s", Variant: "v", Status: "ok", TimeToDetect: &zero, TimeToRespond: &later,
		Alerts: []record.Alert{}, Steps: []record.Step{{Technique: "T1110", Tool: id}}, Cost: []record.Cost{{Detector: "rules"}},
		Scores: []record.Score{{Detector: "d", Score: 0.5}}}
	return t, t.Seal()
}

func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("t%05d", i)
	}
	return all
}

func tasksOf(ids []string, run func(id string, interrupted func() bool) (*record.Trial, error)) []batch.Task {
	var tasks []batch.Task
	for _, id := range ids {
		tasks = append(tasks, batch.Task{TrialID: id, Scenario: "s", Variant: "v",
			Run: func(interrupted func() bool) (*record.Trial, error) { return run(id, interrupted) }})
	}
	return tasks
}

// worker is one that runs days, as fast as a run is given.
func worker(name string, all []string, run func(id string, interrupted func() bool) (*record.Trial, error)) *Worker {
	return &Worker{Name: name, Program: "p", Parallel: 2, Note: func(string) {},
		Prepare: func(context.Context, Job) (Prepared, error) { return Prepared{Tasks: tasksOf(all, run)}, nil }}
}

func quick(id string, _ func() bool) (*record.Trial, error) { return day(id) }

// employ lets a worker work until it is dismissed or the test ends.
func (e *engine) employ(w *Worker) (dismiss func()) {
	nc := e.connect(w.Name)
	ctx, cancel := context.WithCancel(e.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		assert.NoError(e.t, w.Run(ctx, nc))
	}()
	dismiss = sync.OnceFunc(func() { cancel(); <-ended })
	e.t.Cleanup(dismiss)
	return dismiss
}

// notes collects what people are told.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notes) all() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

// results checks that every trial comes once, with its digest.
type results struct {
	mu   sync.Mutex
	got  map[string]*record.Trial
	each func(int)
}

func (r *results) sink(t *record.Trial) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.got == nil {
		r.got = map[string]*record.Trial{}
	}
	if r.got[t.TrialID] != nil {
		return fmt.Errorf("trial %s came twice", t.TrialID)
	}
	r.got[t.TrialID] = t
	if r.each != nil {
		r.each(len(r.got))
	}
	return nil
}

func (r *results) whole(t *testing.T, all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.got, len(all))
	for _, id := range all {
		want, err := day(id)
		require.NoError(t, err)
		require.Equal(t, want.Digest, r.got[id].Digest)
	}
}

func options(n *notes) Options {
	return Options{look: 100 * time.Millisecond, quiet: 2 * time.Second, Note: n.add}
}

func job() Job { return Job{ID: "j1", Program: "p", Patience: time.Second, Created: time.Unix(1, 0)} }

func TestEveryTrialComesOnceAndWhole(t *testing.T) {
	e := startEngine(t)
	all := ids(500)
	e.employ(worker("a", all, quick))
	e.employ(worker("b", all, quick))
	var n notes
	var r results
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	r.whole(t, all)
	one := r.got[all[3]]
	assert.Equal(t, "rules", one.Cost[0].Detector, "cost is no part of the digest and comes too")
	assert.Equal(t, 0.5, one.Scores[0].Score)
	assert.Zero(t, *one.TimeToDetect)
	assert.NotNil(t, one.Alerts)
	js, err := jetstream.New(e.connect("look"))
	require.NoError(t, err)
	for name := range js.StreamNames(t.Context()).Name() {
		assert.Contains(t, []string{"KV_" + jobsBucket, "KV_" + leasesBucket}, name, "the job is taken away")
	}
}

func TestKeptEventsComeToo(t *testing.T) {
	trial, err := day("x")
	require.NoError(t, err)
	ev := &event.Event{ID: 7, Time: 5, Observed: 6, Sensor: "dns", Host: "h"}
	ev.Set(event.FieldByName("QueryName"), "example.org")
	steps := []int64{1, 2, 3}
	trial.TimeToContain = &steps[1] // times point into rows
	trial.Attacks = []record.Attack{{Started: &steps[1]}, {}}
	trial.Audit = []record.AuditEntry{{Line: "{}"}} // no part of the JSON
	require.NoError(t, trial.Seal())
	trial.Events = []record.StoredEvent{{Event: ev, Attack: 1, Step: 2}}
	data, err := pack([]*record.Trial{trial})
	require.NoError(t, err)
	back, err := unpack(data)
	require.NoError(t, err)
	require.Equal(t, trial, back[0])
	data[len(data)/2] ^= 1
	_, err = unpack(data)
	assert.Error(t, err)
}

// Workers are ended in the middle of their work, again and again.
func TestWorkersComeAndGo(t *testing.T) {
	e := startEngine(t)
	all := ids(200)
	slow := func(id string, _ func() bool) (*record.Trial, error) {
		time.Sleep(5 * time.Millisecond)
		return day(id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var hands sync.WaitGroup
	for k := range 3 {
		hands.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				dismiss := e.employ(worker(fmt.Sprintf("w%d.%d", k, i), all, slow))
				pause(ctx, time.Duration(300+100*k)*time.Millisecond)
				dismiss()
			}
		})
	}
	var n notes
	var r results
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	cancel()
	hands.Wait()
	r.whole(t, all)
}

// A worker that is silent, as one that was killed, or whose machine is away, loses its work to
// another.
func TestSilentWorkersLoseTheirWork(t *testing.T) {
	e := startEngine(t)
	all := ids(40)
	var n notes
	var r results
	silent := e.connect("silent")
	js, err := jetstream.New(silent)
	require.NoError(t, err)
	go func() { // takes work and never answers
		for {
			c, err := js.Consumer(t.Context(), (&Job{ID: "j1"}).workStream(), workers)
			if err == nil {
				if m, err := c.FetchNoWait(3); err == nil {
					taken := 0
					for range m.Messages() {
						taken++
					}
					if taken > 0 {
						return
					}
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	time.AfterFunc(time.Second, func() { e.employ(worker("a", all, quick)) })
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	r.whole(t, all)
}

func TestStragglersAreRunTwice(t *testing.T) {
	e := startEngine(t)
	all := ids(10)
	stuck := make(chan struct{})
	var once atomic.Bool
	var n notes
	var r results
	e.employ(worker("slow", all, func(id string, interrupted func() bool) (*record.Trial, error) {
		if id == all[9] && once.CompareAndSwap(false, true) {
			for !interrupted() {
				select {
				case <-stuck:
				case <-time.After(10 * time.Millisecond):
				}
			}
		}
		return day(id)
	}))
	e.employ(worker("quick", all, func(id string, interrupted func() bool) (*record.Trial, error) {
		for id == all[9] && !once.Load() { // the other takes it first
			time.Sleep(time.Millisecond)
		}
		return quick(id, interrupted)
	}))
	began := time.Now()
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	r.whole(t, all)
	assert.Contains(t, n.all(), "handed out once more")
	assert.Less(t, time.Since(began), 30*time.Second)
}

// Idle is time without work, not time within it.
func TestAWorkerIsNotIdleWhileItWorks(t *testing.T) {
	e := startEngine(t)
	all := ids(2)
	w := worker("a", all, func(id string, _ func() bool) (*record.Trial, error) {
		time.Sleep(3 * time.Second)
		return day(id)
	})
	w.Idle = 2 * time.Second
	ended := make(chan error, 1)
	nc := e.connect("a")
	go func() { ended <- w.Run(t.Context(), nc) }()
	var n notes
	var r results
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	r.whole(t, all)
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the worker does not end")
	}
}

// A trial that ends each worker that runs it is given up, and only this one.
func TestPoisonIsParked(t *testing.T) {
	e := startEngine(t)
	all := ids(12)
	j := job()
	j.Attempts = 4
	var wanted sync.Mutex // one worker at a time
	var running atomic.Bool
	running.Store(true)
	var deaths atomic.Int32
	var hire func()
	hire = func() {
		wanted.Lock()
		defer wanted.Unlock()
		if !running.Load() {
			return
		}
		nc := e.connect("w")
		ctx, die := context.WithCancel(context.Background())
		w := worker("w"+strconv.Itoa(int(deaths.Load())), all, func(id string, interrupted func() bool) (*record.Trial, error) {
			if id == all[5] {
				deaths.Add(1)
				nc.Close() // nothing is given back, as when a process is killed
				die()
				for !interrupted() {
					time.Sleep(time.Millisecond)
				}
				go hire()
			}
			return day(id)
		})
		go func() {
			assert.NoError(t, w.Run(ctx, nc))
		}()
		t.Cleanup(die)
	}
	go hire()
	var n notes
	var r results
	require.NoError(t, Run(t.Context(), e.connect("c"), j, tasksOf(all, nil), options(&n), r.sink))
	running.Store(false)
	require.Len(t, r.got, len(all))
	for _, id := range all {
		if id != all[5] {
			assert.Equal(t, "ok", r.got[id].Status, "%s: %s", id, r.got[id].Error)
		}
	}
	assert.Equal(t, "error", r.got[all[5]].Status)
	assert.Contains(t, r.got[all[5]].Error, "given up: 4 workers ended")
}

func TestAPanicIsAnErrorOfItsTrial(t *testing.T) {
	e := startEngine(t)
	all := ids(5)
	e.employ(worker("a", all, func(id string, _ func() bool) (*record.Trial, error) {
		if id == all[2] {
			panic("no such day")
		}
		return day(id)
	}))
	var n notes
	var r results
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	assert.Contains(t, r.got[all[2]].Error, "panic: no such day")
	assert.Equal(t, "ok", r.got[all[3]].Status)
}

func TestOtherProgramsAndOtherRulesAreRefused(t *testing.T) {
	e := startEngine(t)
	all := ids(20)
	var said notes
	old := worker("old", all, quick)
	old.Program, old.Note = "other", said.add
	other := worker("other", all, quick)
	other.Prepare = func(context.Context, Job) (Prepared, error) {
		return Prepared{}, errors.New("variant night: the digest is 12, the job's is 34")
	}
	other.Note = said.add
	e.employ(old)
	e.employ(other)
	time.AfterFunc(2500*time.Millisecond, func() { e.employ(worker("right", all, quick)) })
	var n notes
	var r results
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	r.whole(t, all)
	assert.Contains(t, n.all(), "worker old takes no work of this run: it is of hemostat p, this worker is other")
	assert.Contains(t, n.all(), "worker other takes no work of this run: variant night: the digest is 12, the job's is 34")
	assert.Contains(t, said.all(), "job j1 is refused: variant night")
}

// The results' room is smaller than what the workers make.
func TestAFullStoreHoldsWorkersUp(t *testing.T) {
	e := startEngine(t)
	all := ids(60)
	big := func(id string, _ func() bool) (*record.Trial, error) {
		trial, err := day(id)
		for i := range 3000 {
			trial.Scores = append(trial.Scores, record.Score{Entity: fmt.Sprintf("%s %d %x", id, i, uint32(i*2654435761))})
		}
		return trial, err
	}
	w := worker("a", all, big)
	var said notes
	w.Note = said.add
	e.employ(w)
	o := options(&said)
	o.Room, o.Batch = 100<<10, 1
	var r results
	r.each = func(int) { time.Sleep(20 * time.Millisecond) }
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), o, r.sink))
	r.whole(t, all)
	assert.Contains(t, said.all(), "cannot be stored yet")
}

func TestWhatFitsNowhereIsAnError(t *testing.T) {
	e := startEngine(t)
	all := ids(4)
	e.employ(worker("a", all, func(id string, _ func() bool) (*record.Trial, error) {
		trial, err := day(id)
		for i := range 2000 * min(1, len(id)-len(strings.TrimSuffix(id, "2"))) {
			trial.Scores = append(trial.Scores, record.Score{Entity: fmt.Sprintf("%d %x", i, uint32(i*2654435761))})
		}
		return trial, err
	}))
	var n notes
	o := options(&n)
	o.Room, o.Batch = 10<<10, 4
	var r results
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), o, r.sink))
	assert.Contains(t, r.got[all[2]].Error, "the engine takes 5120 at once")
	assert.Equal(t, "ok", r.got[all[3]].Status)
}

// The server is stopped and started under way; once it comes back without anything.
func TestTheServerComesAndGoes(t *testing.T) {
	e := startEngine(t)
	all := ids(300)
	slow := func(id string, _ func() bool) (*record.Trial, error) {
		time.Sleep(10 * time.Millisecond)
		return day(id)
	}
	e.employ(worker("a", all, slow))
	e.employ(worker("b", all, slow))
	var n notes
	var r results
	outages := make(chan int, 8)
	r.each = func(got int) {
		if got == 50 || got == 100 || got == 150 {
			outages <- got
		}
	}
	go func() {
		for range 3 {
			got := <-outages
			e.stop()
			if got == 100 {
				assert.NoError(t, os.RemoveAll(filepath.Join(e.dir, "jetstream")))
			}
			time.Sleep(200 * time.Millisecond)
			e.start()
		}
	}()
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	r.whole(t, all)
	assert.Contains(t, n.all(), "the engine has lost the job")
}

// A server that is killed while a result is removed may have its name and no longer its chunks.
func TestAResultWithoutItsChunksIsRunAgain(t *testing.T) {
	e := startEngine(t)
	all := ids(200)
	e.employ(worker("a", all, quick))
	e.employ(worker("b", all, quick))
	js, err := jetstream.New(e.connect("vandal"))
	require.NoError(t, err)
	var n notes
	var r results
	lost := 0
	r.each = func(got int) {
		if got != 20 {
			return
		}
		j := job()
		stream, err := js.Stream(t.Context(), "OBJ_"+j.resultBucket())
		if !assert.NoError(t, err) {
			return
		}
		before := stream.CachedInfo().State.Msgs
		assert.NoError(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject("$O."+j.resultBucket()+".C.>")))
		info, err := stream.Info(t.Context())
		assert.NoError(t, err)
		lost = int(before - info.State.Msgs)
	}
	require.NoError(t, Run(t.Context(), e.connect("c"), job(), tasksOf(all, nil), options(&n), r.sink))
	r.whole(t, all)
	require.Positive(t, lost)
}

// One of three servers is lost for ever.
func TestAClusterOutlivesAServer(t *testing.T) {
	var ports [6]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ports[i] = l.Addr().(*net.TCPAddr).Port
		require.NoError(t, l.Close())
	}
	var urls, routes []string
	for i := range 3 {
		urls = append(urls, fmt.Sprint("nats://127.0.0.1:", ports[i]))
		routes = append(routes, fmt.Sprint("nats://127.0.0.1:", ports[3+i]))
	}
	var servers []*natsserver.Server
	for i := range 3 {
		s, err := natsserver.NewServer(&natsserver.Options{ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: ports[i], JetStream: true,
			StoreDir: t.TempDir(), NoSigs: true, NoLog: true, Cluster: natsserver.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[3+i]},
			Routes: natsserver.RoutesFromStr(strings.Join(routes, ","))})
		require.NoError(t, err)
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers = append(servers, s)
	}
	connect := func(name string) *nats.Conn {
		nc, err := Server{URL: strings.Join(urls, ",")}.Connect(t.Context(), name, true, func(string) {})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	require.Eventually(t, func() bool {
		for _, s := range servers {
			if !s.ReadyForConnections(time.Millisecond) || !s.JetStreamIsCurrent() {
				return false
			}
		}
		return true
	}, 30*time.Second, 50*time.Millisecond)
	all := ids(300)
	ctx, cancel := context.WithCancel(t.Context())
	var hands sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		nc := connect(name)
		hands.Go(func() {
			assert.NoError(t, worker(name, all, func(id string, _ func() bool) (*record.Trial, error) {
				time.Sleep(10 * time.Millisecond)
				return day(id)
			}).Run(ctx, nc))
		})
	}
	var n notes
	var r results
	r.each = func(got int) {
		if got == 50 {
			go servers[1].Shutdown()
		}
	}
	o := options(&n)
	o.Replicas = 3
	require.NoError(t, Run(t.Context(), connect("c"), job(), tasksOf(all, nil), o, r.sink))
	r.whole(t, all)
	cancel()
	hands.Wait()
}

// A coordinator that was killed is followed by another, which takes what workers did meanwhile.
func TestACoordinatorIsFollowedByAnother(t *testing.T) {
	e := startEngine(t)
	all := ids(100)
	var runs atomic.Int32
	e.employ(worker("a", all, func(id string, _ func() bool) (*record.Trial, error) {
		runs.Add(1)
		time.Sleep(2 * time.Millisecond)
		return day(id)
	}))
	var n notes
	var first results
	nc := e.connect("first")
	killed := errors.New("killed")
	first.each = func(got int) {
		if got == 20 {
			nc.Close() // it can clear nothing away
			panic(killed)
		}
	}
	func() {
		defer func() { assert.Equal(t, killed, recover()) }()
		_ = Run(t.Context(), nc, job(), tasksOf(all, nil), options(&n), first.sink)
	}()
	rest := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return first.got[id] != nil && id != all[19] })
	second := results{}
	require.NoError(t, Run(t.Context(), e.connect("second"), job(), tasksOf(rest, nil), options(&n), second.sink))
	for _, id := range all {
		assert.True(t, first.got[id] != nil || second.got[id] != nil)
	}
	assert.Less(t, int(runs.Load()), 160, "what was done in between is not done again")
}

func TestTwoRunsOfOneJobAreToldApart(t *testing.T) {
	e := startEngine(t)
	all := ids(3)
	ctx, cancel := context.WithCancel(t.Context())
	var n notes
	ended := make(chan error)
	go func() {
		ended <- Run(ctx, e.connect("first"), job(), tasksOf(all, nil), options(&n), (&results{}).sink)
	}()
	js, err := jetstream.New(e.connect("look"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		kv, err := js.KeyValue(t.Context(), jobsBucket)
		if err != nil {
			return false
		}
		_, err = kv.Get(t.Context(), "j1")
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	err = Run(t.Context(), e.connect("second"), job(), tasksOf(all, nil), options(&n), (&results{}).sink)
	require.ErrorIs(t, err, ErrTaken)
	e.employ(worker("a", all, quick))
	require.NoError(t, <-ended, "the first is not disturbed")
	cancel()
}

func TestOtherDigestsOfOneTrialEndTheRun(t *testing.T) {
	c := newCoordination(job(), nil, tasksOf(ids(2), nil), Options{}, func(*record.Trial) error { return nil })
	one, err := day("t00000")
	require.NoError(t, err)
	require.NoError(t, c.trial(one, "a"))
	require.NoError(t, c.trial(one, "b"), "the same twice is no fault")
	one.Score = 3
	require.NoError(t, one.Seal())
	err = c.trial(one, "b")
	require.ErrorIs(t, err, errOtherDigest)
	assert.Contains(t, err.Error(), one.Digest)
}

func TestAddressesThatCannotBeMeant(t *testing.T) {
	for url, want := range map[string]string{
		"http://x:1":               "nats://HOST:PORT",
		"nats://":                  "nats://HOST:PORT",
		"x":                        "nats://HOST:PORT",
		"embedded://x":             "embedded://HOST:PORT is expected",
		"embedded://127.0.0.1:0":   "embedded://HOST:PORT is expected",
		"embedded://0.0.0.0:4222":  "needs a token",
		"nats://a:1,ftp://b:2":     "ftp://b:2",
		"embedded://[::1]:70000":   "embedded://HOST:PORT is expected",
		"nats://127.0.0.1:4222":    "",
		"embedded":                 "",
		"embedded://localhost:422": "",
		"tls://a:1,tls://b:2":      "",
	} {
		err := Server{URL: url}.Check()
		if want == "" {
			assert.NoError(t, err, url)
		} else {
			assert.ErrorContains(t, err, want, url)
		}
	}
	assert.ErrorContains(t, Server{URL: "nats://a:1", Key: "k"}.Check(), "go together")
}

func TestATokenIsAskedFor(t *testing.T) {
	e := startEngine(t)
	e.stop()
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("secret\n"), 0o600))
	e.at.TokenFile = file
	e.start()
	at := Server{URL: strings.Replace(e.at.URL, "embedded://", "nats://", 1)}
	_, err := at.Connect(t.Context(), "x", true, func(string) {})
	require.ErrorContains(t, err, "Authorization Violation", "nobody waits for a token to come")
	at.TokenFile = file
	nc, err := at.Connect(t.Context(), "x", false, func(string) {})
	require.NoError(t, err)
	nc.Close()
}
