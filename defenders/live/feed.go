package live

import (
	"context"
	"fmt"
	"sync"
)

// feed hands batches from the source to the loop, and keeps those apart that the loop does not
// ask for yet while the journal is handled again.
type feed struct {
	source  Source
	batches chan Batch
	failed  chan struct{}
	err     error
	cancel  context.CancelFunc
	running sync.WaitGroup
	kept    map[Position][]Batch
}

// newFeed begins to poll.
func newFeed(ctx context.Context, s Source) *feed {
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{source: s, batches: make(chan Batch, 4), failed: make(chan struct{}), cancel: cancel,
		kept: map[Position][]Batch{}}
	f.running.Go(func() {
		for {
			list, err := s.Poll(ctx)
			for _, b := range list {
				select {
				case f.batches <- b:
				case <-ctx.Done():
					return
				}
			}
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				f.err = err
				close(f.failed)
				return
			}
		}
	})
	return f
}

func (f *feed) stop() {
	f.cancel()
	f.running.Wait()
}

// fetch waits for the records of a partition from one offset to another. The stream may hold
// fewer of them than it did, which is told by missing.
func (f *feed) fetch(ctx context.Context, p Position, first, last int64) (b Batch, missing bool, err error) {
	b.Position = p
	for {
		for len(f.kept[p]) > 0 {
			head := &f.kept[p][0]
			for len(head.Records) > 0 && head.Records[0].Offset <= last {
				if head.Records[0].Offset >= first {
					b.Records = append(b.Records, head.Records[0])
				}
				head.Records = head.Records[1:]
			}
			if len(head.Records) > 0 { // what is left lies behind the last one
				return b, len(b.Records) == 0 || b.Records[len(b.Records)-1].Offset != last, nil
			}
			f.kept[p] = f.kept[p][1:]
			if n := len(b.Records); n > 0 && b.Records[n-1].Offset == last {
				return b, false, nil
			}
		}
		select {
		case x := <-f.batches:
			f.kept[x.Position] = append(f.kept[x.Position], x)
		case <-f.failed:
			return b, false, fmt.Errorf("while records are fetched again: %w", f.err)
		case <-ctx.Done():
			return b, false, ctx.Err()
		}
	}
}

// release gives back the batches that were kept and not asked for, in the order of their
// partitions' offsets.
func (f *feed) release(take func(Batch) error) error {
	for _, list := range f.kept {
		for _, b := range list {
			if len(b.Records) > 0 {
				if err := take(b); err != nil {
					return err
				}
			}
		}
	}
	f.kept = map[Position][]Batch{}
	return nil
}
