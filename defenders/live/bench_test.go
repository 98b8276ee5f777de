package live

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"hemostat/defenders"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/event"
)

// recorded is a source of records that are there from the beginning.
type recorded struct{ batches []Batch }

func (r *recorded) Poll(ctx context.Context) ([]Batch, error) {
	if len(r.batches) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b := r.batches[0]
	r.batches = r.batches[1:]
	return []Batch{b}, nil
}

func (r *recorded) Commit(context.Context, map[Position]int64) error { return nil }
func (r *recorded) Lag(Position, int64) (int64, bool)                { return 0, false }

// BenchmarkLive is the telemetry of a day of ransomware from records to verdicts, with journal,
// snapshots and the default defence.
func BenchmarkLive(b *testing.B) {
	s, err := scenarios.Load("ransomware", nil)
	require.NoError(b, err)
	noop, err := defence.Load("noop", nil)
	require.NoError(b, err)
	var records []Record
	shift := time.Since(epoch) - s.Horizon
	t, err := trial.New(s, noop, 0, trial.Options{Seed: 1, Watch: func(e *event.Event) {
		moved := *e
		moved.Time, moved.Observed = e.Time+shift, e.Observed+shift
		records = append(records, Record{Offset: int64(len(records)), Time: moved.Observed, Value: moved.AppendJSON(nil)})
	}})
	require.NoError(b, err)
	require.NoError(b, t.RunWhile(nil))
	v, err := defence.Load("default", nil)
	require.NoError(b, err)
	estate := t.Inventory()
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		source := &recorded{}
		for from := 0; from < len(records); from += 2000 {
			source.batches = append(source.batches, Batch{logs, records[from:min(from+2000, len(records))]})
		}
		r, err := New(Options{Build: func() (defenders.Config, error) { return v.LivePipeline(estate, nil) },
			Formats: map[string]string{"logs": "json"}, Source: source, Dir: b.TempDir(),
			Straggle: 300 * time.Millisecond, SnapshotEvery: time.Minute})
		require.NoError(b, err)
		b.StartTimer()
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		for {
			var n uint64
			if r.look(ctx, func() { n = r.state.Records }) == nil && n == uint64(len(records)) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		b.StopTimer()
		cancel()
		require.NoError(b, <-ended)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)*float64(len(records))/b.Elapsed().Seconds(), "events/s")
}

// paced is a source that brings the telemetry of a day again and again at a rate, each event at the
// time at which it comes, and from time to time a guesser of passwords from a new address.
type paced struct {
	events []*event.Event
	rate   int // events a second
	began  time.Time
	sent   int
	// guesses are the times at which the last password of each address was guessed.
	mutex   sync.Mutex
	guesses map[string]time.Time
}

const (
	pace       = 10 * time.Millisecond
	guessEvery = 20 // batches
	guesses    = 8  // of an address; the reflex acts on 6
)

func (p *paced) Poll(ctx context.Context) ([]Batch, error) {
	perBatch := p.rate / int(time.Second/pace)
	n := p.sent / perBatch
	timer := time.NewTimer(time.Until(p.began.Add(time.Duration(n) * pace)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := time.Since(epoch)
	var list []Record
	add := func(value []byte) {
		list = append(list, Record{Offset: int64(p.sent + len(list)), Time: now, Value: value})
	}
	for i := range perBatch {
		moved := *p.events[(p.sent+i)%len(p.events)]
		moved.Time, moved.Observed = now, now
		add(moved.AppendJSON(nil))
	}
	if n%guessEvery == 0 {
		from := fmt.Sprintf("198.51.%d.%d", n/guessEvery/250, n/guessEvery%250+1)
		for range guesses {
			add(fmt.Appendf(nil, `{"id":%d,"time_ns":%d,"observed_ns":%d,"sensor":"x","host":"GATE001","logsource":{"product":"linux","service":"sshd"},`+
				`"fields":{"action":"failed_password","user":"root","src_ip":%q,"SourceIp":%q}}`, 1+n, now, now, from, from))
		}
		p.mutex.Lock()
		p.guesses[from] = time.Now()
		p.mutex.Unlock()
	}
	p.sent += perBatch
	return []Batch{{logs, list}}, nil
}

func (p *paced) Commit(context.Context, map[Position]int64) error { return nil }
func (p *paced) Lag(Position, int64) (int64, bool)                { return 0, false }

// stopwatch is a sink that notes how long after its guesses an address was limited.
type stopwatch struct {
	source *paced
	mutex  sync.Mutex
	took   []time.Duration
	known  map[string]bool
}

func (s *stopwatch) Name() string           { return "stopwatch" }
func (s *stopwatch) Wants(kind string) bool { return kind == ActionOutput }

func (s *stopwatch) Send(_ context.Context, o *Output) error {
	var a struct{ Target string }
	if err := json.Unmarshal(o.Data, &a); err != nil {
		return err
	}
	s.source.mutex.Lock()
	at, ok := s.source.guesses[a.Target]
	s.source.mutex.Unlock()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if ok && !s.known[a.Target] {
		s.known[a.Target] = true
		s.took = append(s.took, time.Since(at))
	}
	return nil
}

// BenchmarkFirstAction is how long after a certain alert's last event the action's request has
// been given to a sink, while so many events a second come, snapshots included: a day again and
// again, either one without an attack or one with ransomware and its storms of alerts.
// BenchmarkLive tells how many events a second this machine can bear.
func BenchmarkFirstAction(b *testing.B) {
	for _, day := range []string{"quiet-day", "ransomware"} {
		for _, rate := range []int{25_000, 37_500, 50_000} {
			b.Run(fmt.Sprint(day, "/", rate), func(b *testing.B) { firstAction(b, day, rate) })
		}
	}
}

func firstAction(b *testing.B, day string, rate int) {
	s, err := scenarios.Load(day, nil)
	require.NoError(b, err)
	noop, err := defence.Load("noop", nil)
	require.NoError(b, err)
	source := &paced{rate: rate, guesses: map[string]time.Time{}}
	t, err := trial.New(s, noop, 0, trial.Options{Seed: 1, Watch: func(e *event.Event) { source.events = append(source.events, e) }})
	require.NoError(b, err)
	require.NoError(b, t.RunWhile(nil))
	v, err := defence.Load("default", nil)
	require.NoError(b, err)
	estate := t.Inventory()
	sink := &stopwatch{source: source, known: map[string]bool{}}
	registry := prometheus.NewRegistry()
	r, err := New(Options{Build: func() (defenders.Config, error) { return v.LivePipeline(estate, nil) },
		Formats: map[string]string{"logs": "json"}, Source: source, Sinks: []Sink{sink}, Dir: b.TempDir(),
		Straggle: 300 * time.Millisecond, SnapshotEvery: 10 * time.Second, Registry: registry})
	require.NoError(b, err)
	lasting := time.Minute
	ctx, cancel := context.WithTimeout(b.Context(), lasting)
	defer cancel()
	b.ResetTimer()
	source.began = time.Now()
	require.NoError(b, r.Run(ctx))
	b.StopTimer()
	took := slices.Sorted(slices.Values(sink.took))
	require.NotEmpty(b, took)
	b.ReportMetric(float64(source.sent)/lasting.Seconds(), "events/s")
	b.ReportMetric(took[len(took)/2].Seconds(), "s-median")
	b.ReportMetric(took[len(took)*95/100].Seconds(), "s-95%")
	b.ReportMetric(took[len(took)-1].Seconds(), "s-most")
	b.ReportMetric(float64(len(took)), "actions")
	families, err := registry.Gather()
	require.NoError(b, err)
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); f.GetName() == "live_snapshot_seconds" {
			b.ReportMetric(h.GetSampleSum()/float64(h.GetSampleCount()), "s-snapshot")
		}
	}
	b.ReportMetric(0, "ns/op")
}
