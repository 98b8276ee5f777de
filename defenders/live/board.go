package live

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"hemostat/defenders/fusion"
)

// board shows the approvals that are open to others than the loop.
type board struct {
	mutex sync.Mutex
	open  map[int]Approval
}

func (b *board) set(open map[int]*Approval) {
	shown := make(map[int]Approval, len(open))
	for id, a := range open {
		if !a.Deadline.IsZero() && a.Playbook != "" {
			shown[id] = *a
		}
	}
	b.mutex.Lock()
	b.open = shown
	b.mutex.Unlock()
}

// approvals are the requests that wait for an answer, the nearest deadline first.
func (r *Runtime) approvals() []Approval {
	r.board.mutex.Lock()
	defer r.board.mutex.Unlock()
	return slices.SortedFunc(maps.Values(r.board.open), func(a, b Approval) int {
		return cmp.Or(a.Deadline.Compare(b.Deadline), cmp.Compare(a.Approval, b.Approval))
	})
}

// look runs a function between two inputs, which may read the pipeline.
func (r *Runtime) look(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case r.queries <- func() { f(); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// incidents explains the incidents that are open, the newest first, at most so many.
func (r *Runtime) incidents(ctx context.Context, most int) (list []fusion.EnrichedThreat, err error) {
	err = r.look(ctx, func() {
		open := r.pipeline.Incidents().OpenOnes()
		slices.Reverse(open)
		for _, id := range open[:min(most, len(open))] {
			list = append(list, r.pipeline.Explain(id, epoch))
		}
	})
	return list, err
}

// incident explains an open incident; false for one that is not open.
func (r *Runtime) incident(ctx context.Context, id int) (x fusion.EnrichedThreat, known bool, err error) {
	err = r.look(ctx, func() {
		if known = slices.Contains(r.pipeline.Incidents().OpenOnes(), id); known {
			x = r.pipeline.Explain(id, epoch)
		}
	})
	return x, known, err
}

// errClosed tells that nobody waits for an answer any more.
var errClosed = errors.New("nobody waits for this answer: the request was answered, timed out, or never asked")

// giveAnswer gives a person's answer to a request for approval. It returns when the answer counts.
func (r *Runtime) giveAnswer(ctx context.Context, id int, approved bool, by string) error {
	reply := make(chan bool, 1)
	select {
	case r.inputs <- input{Kind: inputAnswer, Approval: id, Approved: approved, By: by, reply: reply}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case ok := <-reply:
		if !ok {
			return errClosed
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
