package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"hemostat/defenders"
	"hemostat/defenders/detect"
	"hemostat/defenders/inventory"
	"hemostat/defenders/response"
	"hemostat/defenders/sentinel"
	"hemostat/sim/event"
	"hemostat/sim/severity"
	"hemostat/sim/strictyaml"
)

// stream is a source that keeps its records, as Kafka does.
type stream struct {
	mutex     sync.Mutex
	logs      map[Position][]Record
	ready     chan struct{}
	committed map[Position]int64
}

func newStream() *stream {
	return &stream{logs: map[Position][]Record{}, ready: make(chan struct{}), committed: map[Position]int64{}}
}

func (s *stream) add(p Position, value string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.logs[p] = append(s.logs[p], Record{Offset: int64(len(s.logs[p])), Time: time.Since(epoch), Value: []byte(value)})
	close(s.ready)
	s.ready = make(chan struct{})
}

// consumer reads a stream from where a run says.
type consumer struct {
	*stream
	next  map[Position]int64
	start func(Position) (int64, bool)
}

func (s *stream) consumer() *consumer { return &consumer{stream: s, next: map[Position]int64{}} }

func (c *consumer) Poll(ctx context.Context) ([]Batch, error) {
	for {
		c.mutex.Lock()
		ready := c.ready
		var out []Batch
		for p, log := range c.logs {
			if _, known := c.next[p]; !known {
				c.next[p], _ = c.start(p)
			}
			from := c.next[p]
			to := min(int64(len(log)), from+1+rand.Int64N(7))
			if from < to {
				out = append(out, Batch{p, slices.Clone(log[from:to])})
				c.next[p] = to
			}
		}
		c.mutex.Unlock()
		if out != nil {
			return out, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *consumer) Commit(_ context.Context, next map[Position]int64) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for p, n := range next {
		c.committed[p] = n
	}
	return nil
}

func (c *consumer) Lag(p Position, next int64) (int64, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return int64(len(c.logs[p])) - next, true
}

// receiver is a sink and an executor that remembers what it was sent, also over kills.
type receiver struct {
	mutex   sync.Mutex
	outputs map[string]Output // by id
	clashes []string
	sends   int
	done    map[string]int // by attempt: how many ids
	ids     map[string]bool
	block   chan struct{}
	failing int // times that Send fails
}

func newReceiver() *receiver {
	return &receiver{outputs: map[string]Output{}, done: map[string]int{}, ids: map[string]bool{}}
}

func (r *receiver) Name() string        { return "test" }
func (r *receiver) Wants(_ string) bool { return true }

func (r *receiver) Send(ctx context.Context, o *Output) error {
	if r.block != nil {
		select {
		case <-r.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.failing > 0 {
		r.failing--
		return errors.New("no space left for dead letters")
	}
	r.sends++
	if known, ok := r.outputs[o.ID]; ok && string(known.Data) != string(o.Data) {
		r.clashes = append(r.clashes, o.ID)
	}
	r.outputs[o.ID] = *o
	return nil
}

func (r *receiver) Execute(_ context.Context, id string, a *ActionDocument) (response.Result, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if !r.ids[id] {
		r.ids[id] = true
		r.done[a.Phase+" "+a.Attempt]++
	}
	return response.Result{OK: true, Changed: true}, nil
}

// of lists the data of the outputs of a type in their order.
func (r *receiver) of(kind string) []map[string]any {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var list []Output
	for _, o := range r.outputs {
		if o.Type == kind {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b Output) int { return int(a.Seq) - int(b.Seq) })
	var out []map[string]any
	for _, o := range list {
		var m map[string]any
		if err := json.Unmarshal(o.Data, &m); err != nil {
			panic(err)
		}
		out = append(out, m)
	}
	return out
}

// scratch is a detector that raises an alert for every event whose user begins with evil.
type scratch struct{ Seen int }

func (s *scratch) Inspect(_ time.Duration, e *event.Event, report detect.Report) error {
	s.Seen++
	if user, _ := e.Get(event.TargetUserName); strings.HasPrefix(user, "evil") {
		report(detect.Finding{RuleID: "evil", Title: "an evil user", Techniques: []string{"T1078"}, Severity: severity.High,
			Confidence: 0.9})
	}
	return nil
}

// playbooks asks for a session's end without a person, and for a block by one.
const isolate = `schema: hemostat.playbook/v1
id: isolate
version: 1.0.0
trigger: {any: [T1078], min_severity: high}
inputs: {host: {type: host, from: alert.target_host, required: true}}
limits: {max_targets: 3, cooldown: 1m, key: host, max_disruption: 50}
steps:
  - {id: cut, action: isolate_host, risk: high, with: {host: "${host}"}, ttl: 1h,
     hotl: {required: true, ask: start, timeout: 20m, on_timeout: deny}}
`

func estate() *inventory.Inventory {
	var hosts []inventory.Host
	for i := range 400 {
		hosts = append(hosts, inventory.Host{Name: fmt.Sprint("pc", i),
			IP: fmt.Sprintf("10.0.%d.%d", i/200, i%200+1), Zone: "users", Criticality: 1})
	}
	return inventory.New(hosts, nil)
}

func build(t *testing.T) func() (defenders.Config, error) {
	book, err := response.Parse("isolate.yaml", []byte(isolate), strictyaml.Decode)
	require.NoError(t, err)
	return func() (defenders.Config, error) {
		return defenders.Config{Inventory: estate(), Playbooks: []*response.Playbook{book},
			Detectors: []sentinel.Member{{Name: "scratch", Version: "1", Detector: &scratch{}}}}, nil
	}
}

// rig is a run that can be killed and begun again.
type rig struct {
	t        *testing.T
	dir      string
	stream   *stream
	receiver *receiver
	options  func(*Options)
	runtime  *Runtime
	ended    chan error
	stop     context.CancelFunc
}

func newRig(t *testing.T) *rig {
	return &rig{t: t, dir: filepath.Join(t.TempDir(), "state"), stream: newStream(), receiver: newReceiver()}
}

func (g *rig) new() (*Runtime, error) {
	c := g.stream.consumer()
	o := Options{Build: build(g.t), Formats: map[string]string{"logs": "json"}, Source: c, Sinks: []Sink{g.receiver},
		Executor: g.receiver, Dir: g.dir, SnapshotEvery: time.Hour, Log: slog.New(slog.DiscardHandler)}
	if g.options != nil {
		g.options(&o)
	}
	r, err := New(o)
	if err == nil {
		c.start = r.Start
	}
	return r, err
}

func (g *rig) start() {
	var err error
	g.runtime, err = g.new()
	require.NoError(g.t, err)
	g.runtime.killed = make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	g.stop, g.ended = cancel, make(chan error, 1)
	go func() { g.ended <- g.runtime.Run(ctx) }()
}

// kill ends the run as SIGKILL does: what is in buffers is lost.
func (g *rig) kill() {
	close(g.runtime.killed)
	require.ErrorIs(g.t, <-g.ended, errKilled)
	g.stop()
	if j := g.runtime.journal; j != nil {
		_ = j.file.Close()
	}
	_ = g.runtime.audit.file.Close()
	_ = g.runtime.lock.Close()
}

// unwriteSnapshot takes the newest snapshot away, as if the run had been killed while it was being
// written, where the one before is still there.
func (g *rig) unwriteSnapshot() {
	numbers, err := g.runtime.snapshots()
	require.NoError(g.t, err)
	if n := len(numbers); n > 1 && numbers[n-2] == numbers[n-1]-1 {
		require.NoError(g.t, os.Remove(g.runtime.fileOf(snapshotName, numbers[n-1])))
	}
}

// end ends the run in good order.
func (g *rig) end() {
	g.stop()
	require.NoError(g.t, <-g.ended)
}

func (g *rig) eventually(what string, f func() bool) {
	g.t.Helper()
	require.Eventually(g.t, f, 90*time.Second, 5*time.Millisecond, what)
}

func logon(i int, user string) string {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Second)
	return fmt.Sprintf(`{"EventID":4624,"Channel":"Security","Computer":"pc%d","SystemTime":%q,"TargetUserName":%q,"EventRecordID":%d}`,
		i%400, at.Format(time.RFC3339), user, i)
}

// TestNothingIsLostOrDoneTwice kills a run at random moments while records come and people
// answer. In the end each evil event has its alert, each asked approval was asked once, and
// each approved action was done once.
func TestNothingIsLostOrDoneTwice(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.options = func(o *Options) {
				o.SnapshotEvery = 15 * time.Millisecond
				o.Straggle = 2 * time.Millisecond
			}
			random := rand.New(rand.NewPCG(seed, 1))
			evil := 0
			answered := map[int]bool{}
			for range 25 {
				g.start()
				for range random.IntN(40) {
					user := "kim"
					if random.IntN(6) == 0 {
						user = fmt.Sprint("evil", evil)
						evil++
					}
					i := evil*7 + random.IntN(3)
					g.stream.add(Position{"logs", int32(random.IntN(3))}, logon(i, user))
					if random.IntN(10) == 0 {
						time.Sleep(time.Duration(random.IntN(6)) * time.Millisecond)
					}
					for _, a := range g.runtime.approvals() {
						if !answered[a.Approval] && random.IntN(3) == 0 {
							ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
							if err := g.runtime.giveAnswer(ctx, a.Approval, true, "kim"); err == nil {
								answered[a.Approval] = true
							}
							cancel()
						}
					}
				}
				g.kill()
				if random.IntN(3) == 0 {
					g.unwriteSnapshot()
				}
			}
			g.start()
			seen := func() map[string]bool {
				m := map[string]bool{}
				for _, a := range g.receiver.of(AlertOutput) {
					m[fmt.Sprint(a["user"])] = true
				}
				return m
			}
			g.eventually("every evil user has an alert", func() bool { return len(seen()) == evil })
			g.eventually("nothing waits for delivery", func() bool {
				g.receiver.mutex.Lock()
				defer g.receiver.mutex.Unlock()
				return len(g.receiver.outputs) > 0
			})
			time.Sleep(30 * time.Millisecond)
			g.end()
			assert.Empty(t, g.runtime.state.Undelivered)
			assert.Empty(t, g.receiver.clashes, "an id has one content")
			for attempt, n := range g.receiver.done {
				assert.Equal(t, 1, n, attempt)
			}
			users := map[string]int{}
			for _, a := range g.receiver.of(AlertOutput) {
				users[fmt.Sprint(a["user"])]++
			}
			for user, n := range users {
				assert.Equal(t, 1, n, user)
			}
			assert.Len(t, g.receiver.outputs, verified(t, g.dir).Lines, "what was sent is what the audit file has")
			for id := range answered {
				assert.True(t, slices.ContainsFunc(g.receiver.of(ApprovalOutput), func(a map[string]any) bool {
					return a["approval"] == float64(id) && a["outcome"] == "approved"
				}), "the answer to %d counts", id)
			}
		})
	}
}

// verified checks the audit file.
func verified(t *testing.T, dir string) response.Chain {
	f, err := os.Open(auditPath(dir))
	require.NoError(t, err)
	defer f.Close()
	c, err := VerifyAudit(f)
	require.NoError(t, err)
	require.Empty(t, c.Fault)
	return c
}
