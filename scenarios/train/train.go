// Package train makes the baseline of the detectors that learn: it shows them days of a
// scenario, without its attackers unless told otherwise, or recorded logs, one after the
// other as one stretch of time, and takes what they have learned.
package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hemostat/defenders/detect"
	"hemostat/defenders/ingest"
	"hemostat/defenders/sentinel"
	"hemostat/scenarios"
	"hemostat/scenarios/defence"
	"hemostat/scenarios/trial"
	"hemostat/sim/batch"
	"hemostat/sim/event"
)

// Options say what is learned from.
type Options struct {
	Days      int
	Seed      uint64
	Attackers bool // of the scenario are kept, to see what they spoil
	// Step is called after each day or log.
	Step func()
}

// firstDay is the index of the first day, far from those of trials, so that no trial is
// among what was learned from.
const firstDay = 1_000_000

// learning shows events to detectors.
type learning struct {
	direct sentinel.Direct
	offset time.Duration // of the day's beginning
	events int
	err    error
}

func (l *learning) event(e *event.Event) {
	if l.err != nil {
		return
	}
	at, observed := e.Time, e.Observed
	e.Time, e.Observed = at+l.offset, observed+l.offset
	l.err = l.direct.Event(e)
	e.Time, e.Observed = at, observed
	l.events++
}

// Scenario learns from days of a scenario. Nothing is done about what is found: the days
// are as they are without a response.
func Scenario(ctx context.Context, v *defence.Variant, s *scenarios.Scenario, o Options) (*defence.Baseline, error) {
	quiet := *s
	if !o.Attackers {
		quiet.Attackers = nil
	}
	idle := v.Watching()
	l := learning{direct: sentinel.Direct{Report: func(detect.Finding) {}}}
	stopped := func() bool { return ctx.Err() != nil || l.err != nil }
	for day := range o.Days {
		t, err := trial.New(&quiet, idle, firstDay+day, trial.Options{Seed: o.Seed, Watch: l.event})
		if err != nil {
			return nil, err
		}
		if l.direct.Members == nil {
			if l.direct.Members, err = v.BuildDetectors(detect.Env{Epoch: s.Epoch, Inventory: t.Inventory(),
				Learning: true}); err != nil {
				return nil, err
			}
		}
		if err := t.RunWhile(stopped); err != nil && !errors.Is(err, batch.ErrInterrupted) {
			return nil, err
		}
		if err := errors.Join(ctx.Err(), l.err, t.Close()); err != nil {
			return nil, err
		}
		l.offset += (s.Horizon + 24*time.Hour - 1) / (24 * time.Hour) * (24 * time.Hour)
		if o.Step != nil {
			o.Step()
		}
	}
	from := fmt.Sprintf("%d days of %s with seed %d", o.Days, s.Name, o.Seed)
	if o.Attackers {
		from += " with its attackers"
	}
	return l.take(from)
}

// Logs learns from recorded logs.
func Logs(ctx context.Context, v *defence.Variant, files []string) (*defence.Baseline, ingest.Summary, error) {
	l := learning{direct: sentinel.Direct{Report: func(detect.Finding) {}}}
	var err error
	if l.direct.Members, err = v.BuildDetectors(detect.Env{Epoch: time.Unix(0, 0).UTC(), Learning: true}); err != nil {
		return nil, ingest.Summary{}, err
	}
	summary, err := ingest.Read(ctx, files, ingest.Options{}, func(e *event.Event) error {
		l.event(e)
		return l.err
	})
	if err != nil {
		return nil, summary, errors.Join(err, sentinel.CloseAll(l.direct.Members, false))
	}
	if l.events == 0 {
		return nil, summary, errors.New("the logs hold no event")
	}
	b, err := l.take(fmt.Sprintf("recorded logs: %v", files))
	return b, summary, err
}

// take ends the learning and takes what was learned.
func (l *learning) take(from string) (*defence.Baseline, error) {
	if err := l.direct.End(true); err != nil {
		return nil, err
	}
	return defence.Learned(l.direct.Members, from, l.events)
}
