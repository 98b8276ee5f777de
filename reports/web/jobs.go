package web

import (
	"context"
	"html/template"
	"sync"
	"time"
)

const (
	// patience is how long a page waits for what is computed for it, before it says so instead.
	patience = 300 * time.Millisecond
	// mostJobs bounds the results that are kept, and atOnce those that are computed at a time.
	mostJobs = 64
	atOnce   = 1
	// While the database changes, a result is computed anew at the earliest after so many times the
	// time that it took, and after renewAfter.
	renewTimes = 5
	renewAfter = 2 * time.Second
)

// jobs compute what may take longer than a page, once for all who ask.
type jobs struct {
	ctx   context.Context
	slots chan struct{}
	mutex sync.Mutex
	known map[string]*entry
	order []string // of known, the oldest first
}

// entry is the newest result of a key, nil for none, and the job that works on a newer one.
type entry struct{ done, running *job }

// result is what a job comes to: a part of a page, and the same for other programs.
type result struct {
	html template.HTML
	json any
}

// job computes a result from a version of the database.
type job struct {
	version      int
	began, ended time.Time
	done         chan struct{}
	result
	err error
}

func newJobs(ctx context.Context) *jobs {
	return &jobs{ctx: ctx, slots: make(chan struct{}, atOnce), known: map[string]*entry{}}
}

// get returns the newest job of a key, which it begins where there is none or the database has
// another version by now, and whether it has ended. A result of an older version is returned until
// a newer one is there.
func (j *jobs) get(version int, key string, f func(context.Context) (result, error)) (*job, bool) {
	j.mutex.Lock()
	e := j.known[key]
	if e == nil {
		e = &entry{}
		j.known[key] = e
		j.order = append(j.order, key)
		if len(j.order) > mostJobs {
			delete(j.known, j.order[0])
			j.order = j.order[1:]
		}
	}
	if e.running == nil && !e.done.isFresh(version) {
		x := &job{version: version, began: time.Now(), done: make(chan struct{})}
		e.running = x
		go func() {
			x.run(j, f)
			j.mutex.Lock()
			e.running, e.done = nil, x
			j.mutex.Unlock()
			close(x.done)
		}()
	}
	done, running := e.done, e.running
	j.mutex.Unlock()
	if running == nil || done != nil && done.err == nil {
		return done, true
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-running.done:
		return running, true
	case <-timer.C:
		return running, false
	}
}

// isFresh tells whether a result need not be computed again. One that failed is tried again.
func (x *job) isFresh(version int) bool {
	if x == nil || x.err != nil {
		return false
	}
	return x.version == version || time.Since(x.ended) < max(renewAfter, renewTimes*x.ended.Sub(x.began))
}

func (x *job) run(j *jobs, f func(context.Context) (result, error)) {
	defer func() { x.ended = time.Now() }()
	select {
	case j.slots <- struct{}{}:
		defer func() { <-j.slots }()
		x.result, x.err = f(j.ctx)
	case <-j.ctx.Done():
		x.err = j.ctx.Err()
	}
}
