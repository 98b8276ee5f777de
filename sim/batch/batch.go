// Package batch runs many trials on a pool of workers. It knows a trial only as
// a function, so what a trial is, and where results go, is the caller's
// business. Results do not depend on the number of workers.
package batch

import (
	"context"
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"

	"hemostat/sim/record"
)

// Task is one trial to run.
type Task struct {
	TrialID           string
	Scenario, Variant string
	Index             int
	// Run makes the trial; interrupted tells it to stop early, in which case it
	// returns ErrInterrupted.
	Run func(interrupted func() bool) (*record.Trial, error)
}

// ErrInterrupted is what a trial returns that was told to stop.
var ErrInterrupted = fmt.Errorf("interrupted")

// Run works through the tasks with so many workers and hands each finished
// trial to sink, one at a time. A trial that fails or panics becomes a trial
// with status error. When the context ends, trials that are not finished are
// dropped and the context's error is returned; an error of sink ends the run.
func Run(ctx context.Context, workers int, tasks []Task, sink func(*record.Trial) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan Task)
	results := make(chan *record.Trial)
	var wg sync.WaitGroup
	for range max(1, workers) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for t := range queue {
				if r := runOne(ctx, t); r != nil {
					results <- r
				}
			}
		}()
	}
	go func() {
		defer close(queue)
		for _, t := range tasks {
			select {
			case queue <- t:
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		wg.Wait()
		close(results)
	}()
	var sinkErr error
	for r := range results {
		if sinkErr != nil || ctx.Err() != nil {
			continue
		}
		if sinkErr = sink(r); sinkErr != nil {
			cancel()
		}
	}
	if sinkErr != nil {
		return sinkErr
	}
	return ctx.Err()
}

// runOne runs a trial and turns an error or a panic into a trial of status
// error; nil means that it was interrupted.
func runOne(ctx context.Context, t Task) (r *record.Trial) {
	failed := func(message string) *record.Trial {
		bad := &record.Trial{
			TrialID:  t.TrialID,
			Scenario: t.Scenario,
			Variant:  t.Variant,
			Index:    t.Index,
			Status:   "error",
			Error:    message,
		}
		if err := bad.Seal(); err != nil {
			bad.Error += "; " + err.Error()
		}
		return bad
	}
	defer func() {
		if p := recover(); p != nil {
			r = failed(fmt.Sprintf("panic: %v at %s", p, panicked()))
		}
	}()
	began := time.Now()
	trial, err := t.Run(func() bool { return ctx.Err() != nil })
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return failed(err.Error())
	}
	took := time.Since(began).Nanoseconds()
	for i := range trial.Cost {
		trial.Cost[i].WallNS = took
	}
	if len(trial.Cost) == 0 {
		trial.Cost = []record.Cost{{WallNS: took}}
	}
	return trial
}

// panicked names the place of the panic that is being recovered: the first frame
// below the runtime's own. It is the same on every machine.
func panicked() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", path.Base(f.File), f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// Shard keeps the i-th of n shares of the tasks, counting from 1.
func Shard(tasks []Task, i, n int) []Task {
	if n <= 1 {
		return tasks
	}
	var out []Task
	for k, t := range tasks {
		if k%n == i-1 {
			out = append(out, t)
		}
	}
	return out
}
