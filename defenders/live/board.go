package live

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
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

// Approvals are the requests that wait for an answer, the nearest deadline first.
func (r *Runtime) Approvals() []Approval {
	r.board.mutex.Lock()
	defer r.board.mutex.Unlock()
	return slices.SortedFunc(maps.Values(r.board.open), func(a, b Approval) int {
		return cmp.Or(a.Deadline.Compare(b.Deadline), cmp.Compare(a.Approval, b.Approval))
	})
}

// ErrClosed tells that nobody waits for an answer any more.
var ErrClosed = errors.New("nobody waits for this answer: the request was answered, timed out, or never asked")

// Answer gives a person's answer to a request for approval. It returns when the answer counts.
func (r *Runtime) Answer(ctx context.Context, id int, approved bool, by string) error {
	reply := make(chan bool, 1)
	select {
	case r.inputs <- input{Kind: inputAnswer, Approval: id, Approved: approved, By: by, reply: reply}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case ok := <-reply:
		if !ok {
			return ErrClosed
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
