package cassette

import (
	"context"
	"sync"

	"hemostat/defenders/sentinel/analyst/chat"
)

// Replay answers from the cassette alone; a question that it does not hold is an error.
type Replay struct{ Cassette *Cassette }

// Ask implements chat.Asker.
func (r *Replay) Ask(ctx context.Context, q *chat.Question) (chat.Reply, error) {
	reply, ok, err := r.Cassette.find(ctx, q.Key())
	if err == nil && !ok {
		err = r.Cassette.miss(ctx, q)
	}
	return reply, err
}

// Record answers from the cassette, and asks for and keeps what it lacks. A recorded failure
// counts as lacking once: the first question of a run asks anew, later ones meet its result.
type Record struct {
	Cassette *Cassette
	Next     chat.Asker

	mu     sync.Mutex
	asking map[string]*inquiry
}

// inquiry is a question that is being asked, or was asked in this run.
type inquiry struct {
	done  chan struct{}
	reply chat.Reply
	err   error
}

// Ask implements chat.Asker.
func (r *Record) Ask(ctx context.Context, q *chat.Question) (chat.Reply, error) {
	key := q.Key()
	reply, ok, err := r.Cassette.find(ctx, key)
	if err != nil || ok && reply.Failed == "" {
		return reply, err
	}
	r.mu.Lock()
	if r.asking == nil {
		r.asking = map[string]*inquiry{}
	}
	if asked := r.asking[key]; asked != nil {
		r.mu.Unlock()
		select {
		case <-asked.done:
			reply := asked.reply
			reply.FromTape = true
			return reply, asked.err
		case <-ctx.Done():
			return chat.Reply{}, ctx.Err()
		}
	}
	asked := &inquiry{done: make(chan struct{})}
	r.asking[key] = asked
	r.mu.Unlock()
	asked.reply, asked.err = r.Next.Ask(ctx, q)
	if asked.err == nil {
		asked.err = r.Cassette.keep(ctx, q, asked.reply)
	}
	reply, err = asked.reply, asked.err
	close(asked.done)
	return reply, err
}
