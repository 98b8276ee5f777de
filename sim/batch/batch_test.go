package batch

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"hemostat/sim/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func tasks(n int, run func(i int) (*record.Trial, error)) []Task {
	var out []Task
	for i := range n {
		out = append(out, Task{TrialID: fmt.Sprintf("t%03d", i), Index: i, Run: func(func() bool) (*record.Trial, error) { return run(i) }})
	}
	return out
}

func TestEveryTaskRunsOnceOnAnyNumberOfWorkers(t *testing.T) {
	for _, workers := range []int{0, 1, 3, 50} {
		var got []int
		err := Run(context.Background(), workers, tasks(40, func(i int) (*record.Trial, error) { return &record.Trial{Index: i, Status: "ok"}, nil }), func(r *record.Trial) error {
			got = append(got, r.Index)
			return nil
		})
		require.NoError(t, err)
		sort.Ints(got)
		require.Len(t, got, 40)
		for i := range got {
			require.Equal(t, i, got[i])
		}
	}
}

func TestErrorsAndPanicsBecomeTrialsOfStatusError(t *testing.T) {
	bad := map[int]string{}
	err := Run(context.Background(), 2, tasks(4, func(i int) (*record.Trial, error) {
		switch i {
		case 1:
			return nil, errors.New("no luck")
		case 2:
			panic("boom")
		}
		return &record.Trial{Index: i, Status: "ok"}, nil
	}), func(r *record.Trial) error {
		if r.Status == "error" {
			bad[r.Index] = r.Error
			require.NotEmpty(t, r.Digest)
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, bad, 2)
	require.Equal(t, "no luck", bad[1])
	require.Regexp(t, `^panic: boom at batch_test\.go:\d+$`, bad[2])
}

func TestCancelAndSinkErrorsEndTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var ran atomic.Int32
	err := Run(ctx, 2, tasks(1000, func(i int) (*record.Trial, error) {
		ran.Add(1)
		return &record.Trial{}, nil
	}), func(*record.Trial) error { cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, ran.Load(), int32(1000))
	full := errors.New("disk full")
	require.ErrorIs(t, Run(context.Background(), 2, tasks(50, func(int) (*record.Trial, error) { return &record.Trial{}, nil }), func(*record.Trial) error { return full }), full)
}

func TestShardsPartTheTasks(t *testing.T) {
	all := tasks(10, nil)
	seen := map[string]bool{}
	for i := 1; i <= 3; i++ {
		for _, task := range Shard(all, i, 3) {
			require.False(t, seen[task.TrialID])
			seen[task.TrialID] = true
		}
	}
	require.Len(t, seen, 10)
}
