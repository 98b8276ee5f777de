package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"hemostat/reports/store/eventblock"
	"hemostat/sim/record"
)

// KeptEvent is an event that was kept, with what caused it in truth.
type KeptEvent struct {
	JSON         string
	Attack, Step int
}

func kept(list []record.StoredEvent) []KeptEvent {
	out := make([]KeptEvent, len(list))
	for i, x := range list {
		out[i] = KeptEvent{string(x.Event.AppendJSON(nil)), x.Attack, x.Step}
	}
	return out
}

// Events calls f for each event of a trial that was kept, in the order in which sensors delivered
// them.
func (db *DB) Events(trialID string, f func(KeptEvent) error) error {
	err := db.oldEvents("SELECT json, attack, step FROM events WHERE trial_id=? ORDER BY observed, event_id", f, trialID)
	if err != nil {
		return err
	}
	return db.eachBlock(trialID, func(b *eventblock.Block) error {
		list, err := b.Events()
		if err != nil {
			return err
		}
		for _, e := range kept(list) {
			if err := f(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// errNoEvents is the error where the events of a trial were not kept.
var errNoEvents = errors.New("its events were not kept; run it with --keep-events")

// StoredEvents calls f for each event of a trial that was kept in blocks, in the order in which
// sensors delivered them. An event is valid for as long as it is held.
func (db *DB) StoredEvents(trialID string, f func(*record.StoredEvent) error) error {
	// Blocks are unpacked ahead of f, which takes about as long.
	blocks, stopped := make(chan []record.StoredEvent, 1), make(chan struct{})
	var failed error
	go func() {
		defer close(blocks)
		failed = db.eachBlock(trialID, func(b *eventblock.Block) error {
			list, err := b.Events()
			if err != nil {
				return err
			}
			select {
			case blocks <- list:
				return nil
			case <-stopped:
				return errAllFound
			}
		})
	}()
	any := false
	for list := range blocks {
		any = true
		for i := range list {
			if err := f(&list[i]); err != nil {
				close(stopped)
				for range blocks { // until the reader has ended
				}
				return err
			}
		}
	}
	if failed == nil && !any {
		return fmt.Errorf("trial %s: %w", trialID, errNoEvents)
	}
	return failed
}

// EventsByID reads those of the events with these numbers that were kept, in the order of their
// numbers.
func (db *DB) EventsByID(trialID string, ids []uint64) (out []KeptEvent, err error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for _, id := range ids {
		err := db.oldEvents("SELECT json, attack, step FROM events WHERE trial_id=? AND event_id=?", func(e KeptEvent) error {
			out = append(out, e)
			return nil
		}, trialID, int64(id))
		if err != nil {
			return nil, err
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	var found []record.StoredEvent
	err = db.eachBlock(trialID, func(b *eventblock.Block) error {
		if !slices.ContainsFunc(ids, b.Has) {
			return nil
		}
		list, err := b.Events()
		if err != nil {
			return err
		}
		for _, x := range list {
			if _, ok := slices.BinarySearch(ids, x.Event.ID); ok {
				found = append(found, x)
			}
		}
		if len(found) == len(ids) {
			return errAllFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errAllFound) {
		return nil, err
	}
	slices.SortFunc(found, func(a, b record.StoredEvent) int {
		i, _ := slices.BinarySearch(ids, a.Event.ID)
		j, _ := slices.BinarySearch(ids, b.Event.ID)
		return i - j
	})
	return kept(found), nil
}

// errAllFound ends a search through blocks.
var errAllFound = errors.New("all were found")

// oldEvents reads events that older versions of the program kept, a row each.
func (db *DB) oldEvents(query string, f func(KeptEvent) error, args ...any) error {
	rows, err := db.sql.QueryContext(db.ctx, query, args...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e KeptEvent
		if err := rows.Scan(&e.JSON, &e.Attack, &e.Step); err != nil {
			return db.explain(err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return db.explain(rows.Err())
}

// eachBlock calls f for each block of a trial's events.
func (db *DB) eachBlock(trialID string, f func(*eventblock.Block) error) error {
	rows, err := db.sql.QueryContext(db.ctx, "SELECT block, data FROM event_blocks WHERE trial_id=? ORDER BY block", trialID)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		var data sql.RawBytes
		if err := rows.Scan(&n, &data); err != nil {
			return db.explain(err)
		}
		b, err := eventblock.Open(data)
		if err == nil {
			err = f(b)
		}
		if errors.Is(err, errAllFound) {
			return err
		}
		if err != nil {
			return fmt.Errorf("trial %s, events %d: %w", trialID, n, err)
		}
	}
	return db.explain(rows.Err())
}
