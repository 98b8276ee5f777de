package live

import (
	"context"
	"testing"
	"time"

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
