package live

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"time"

	"hemostat/sim/snapshot"
)

// newSnapshot is a snapshot on its way to the disk, while the run goes on with the next journal.
// Until it is there, a run that restarts goes on from the snapshot before and both journals.
type newSnapshot struct {
	sections [2]bytes.Buffer
	next     map[Position]int64 // positions that it knows
	written  chan error
}

// beginSnapshot copies the whole state, begins a new journal, and has the copy written beside
// the run. No input is handled while it copies.
func (r *Runtime) beginSnapshot() error {
	if err := r.flush(); err != nil {
		return err
	}
	r.state.AuditSize, r.state.AuditHash = r.audit.size, r.audit.hash
	began := time.Now()
	s := &newSnapshot{next: maps.Clone(r.state.Next), written: make(chan error, 1)}
	s.sections[1].Grow(r.snapshotSize + r.snapshotSize/8)
	if err := snapshot.Save(&s.sections[0], &r.state); err != nil {
		return err
	}
	if err := r.pipeline.Save(&s.sections[1]); err != nil {
		return err
	}
	r.snapshotSize = s.sections[1].Len()
	if r.journal != nil {
		if err := r.journal.close(); err != nil {
			return err
		}
	}
	r.number++
	var err error
	if r.journal, err = openJournal(r.fileOf(journalName, r.number), 0); err != nil {
		return err
	}
	name := r.fileOf(snapshotName, r.number)
	go func() { s.written <- s.write(name) }()
	r.writing = s
	r.metrics.snapshotSeconds.Observe(time.Since(began).Seconds())
	return nil
}

// write writes the file.
func (s *newSnapshot) write(name string) error {
	err := writeWhole(name, func(w io.Writer) error {
		if _, err := io.WriteString(w, snapshotMagic); err != nil {
			return err
		}
		for i := range s.sections {
			head := binary.LittleEndian.AppendUint64(nil, uint64(s.sections[i].Len()))
			if _, err := w.Write(append(head, s.sections[i].Bytes()...)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// snapshotWritten tells when the snapshot that is being written is on the disk; nil where none is.
func (r *Runtime) snapshotWritten() <-chan error {
	if r.writing == nil {
		return nil
	}
	return r.writing.written
}

// endSnapshot takes note of a snapshot that was written: what it replaces is removed, and its
// positions are committed.
func (r *Runtime) endSnapshot(ctx context.Context, err error) error {
	s := r.writing
	r.writing = nil
	if err != nil {
		return err
	}
	r.removeBefore(r.number - 1) // the one before stays, should this one prove unreadable
	r.metrics.snapshotBytes.Set(float64(s.sections[0].Len() + s.sections[1].Len()))
	if err := r.options.Source.Commit(ctx, s.next); err != nil && ctx.Err() == nil {
		// The state itself says where to read on; the commit is for others to see.
		r.options.Log.Warn("the positions were not committed", "error", err)
		r.metrics.commitFailures.Inc()
	}
	return nil
}

// snapshot writes the whole state, and waits until it is on the disk.
func (r *Runtime) snapshot(ctx context.Context) error {
	if r.writing != nil {
		if err := r.endSnapshot(ctx, <-r.writing.written); err != nil {
			return err
		}
	}
	if err := r.beginSnapshot(); err != nil {
		return err
	}
	return r.endSnapshot(ctx, <-r.writing.written)
}
