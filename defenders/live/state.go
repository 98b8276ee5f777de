package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hemostat/defenders"
	"hemostat/sim/snapshot"
)

// The files of the state.
const (
	lockFile     = "lock"
	instanceFile = "instance"
	auditName    = "audit.ndjson"
	snapshotName = "snapshot-"
	journalName  = "journal-"
)

// auditPath is the audit file within a folder of state.
func auditPath(dir string) string { return filepath.Join(dir, auditName) }

// snapshotMagic begins a file of a snapshot; its number changes with the format.
const snapshotMagic = "hemostat live state 1\n"

// errKilled ends a run as a signal does that nothing can catch; tests use it.
var errKilled = errors.New("killed")

// open restores the state from the folder.
func (r *Runtime) open() error {
	dir := r.options.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the folder of the state: %w", err)
	}
	if err := r.takeLock(); err != nil {
		return err
	}
	var err error
	if r.instance, err = Identify(dir); err != nil {
		return err
	}
	numbers, err := r.snapshots()
	if err != nil {
		return err
	}
	var faults []error
	for _, n := range slices.Backward(numbers) {
		err := r.restore(n)
		if err == nil {
			return r.openFrom(n)
		}
		if errors.Is(err, snapshot.ErrOtherVersion) || !errors.Is(err, errNotWhole) {
			return err
		}
		faults = append(faults, err)
		r.options.Log.Warn("a snapshot is not whole; the one before is taken", "error", err)
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	if err := r.build(); err != nil {
		return err
	}
	return r.openFrom(0)
}

// takeLock keeps two runs from one folder.
func (r *Runtime) takeLock() error {
	f, err := os.OpenFile(filepath.Join(r.options.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("%s is in use by another run of hemostat live; give each a folder of its own",
			r.options.Dir), f.Close())
	}
	r.lock = f
	return nil
}

// Identify reads the id of the run that keeps its state in a folder, or makes one.
func Identify(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("the folder of the state: %w", err)
	}
	name := filepath.Join(dir, instanceFile)
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return "", err
		}
		data = []byte(hex.EncodeToString(id[:]) + "\n")
		err = writeWhole(name, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(data)), nil
}

// snapshots are the numbers of the snapshots that there are, in their order.
func (r *Runtime) snapshots() ([]int, error) {
	names, err := filepath.Glob(filepath.Join(r.options.Dir, snapshotName+"*"))
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(name), snapshotName)); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (r *Runtime) fileOf(kind string, n int) string {
	return filepath.Join(r.options.Dir, fmt.Sprintf("%s%06d", kind, n))
}

// errNotWhole tells that a snapshot was cut or changed on the disk.
var errNotWhole = errors.New("it is not whole")

// restore reads a snapshot.
func (r *Runtime) restore(n int) error {
	name := r.fileOf(snapshotName, n)
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(data, []byte(snapshotMagic))
	if !ok {
		return fmt.Errorf("%s: %w", name, errNotWhole)
	}
	var sections [2][]byte
	for i := range sections {
		if len(rest) < 8 || binary.LittleEndian.Uint64(rest) > uint64(len(rest)-8) {
			return fmt.Errorf("%s: %w", name, errNotWhole)
		}
		end := 8 + binary.LittleEndian.Uint64(rest)
		sections[i], rest = rest[8:end], rest[end:]
	}
	var s state
	switch err := snapshot.Load(bytes.NewReader(sections[0]), &s); {
	case errors.Is(err, snapshot.ErrOtherVersion):
		return fmt.Errorf("%s: %w", name, err)
	case err != nil:
		return fmt.Errorf("%s: %w: %w", name, errNotWhole, err)
	}
	if err := r.build(); err != nil {
		return err
	}
	switch err := r.pipeline.Load(bytes.NewReader(sections[1])); {
	case errors.Is(err, snapshot.ErrOtherVersion) && r.options.NewState:
		r.options.Log.Warn("the pipeline begins with nothing: the state is of another version or configuration",
			"snapshot", name)
		if err := r.build(); err != nil {
			return err
		}
	case errors.Is(err, snapshot.ErrOtherVersion):
		return fmt.Errorf("%s: %w; --new-state begins with an empty pipeline, and keeps what is to be delivered and "+
			"where the stream was read to", name, err)
	case err != nil:
		return fmt.Errorf("%s: %w: %w", name, errNotWhole, err)
	}
	r.state = s
	return nil
}

// build makes the pipeline anew.
func (r *Runtime) build() error {
	c, err := r.options.Build()
	if err != nil {
		return err
	}
	if r.pipeline != nil {
		_ = r.pipeline.Close(false) // it was given no event
	}
	c.Listener, c.Approver = r.listener(), (*approver)(r)
	if r.options.Executor != nil {
		c.Actuator = (*actuator)(r)
	} else {
		c.Policy.DryRun = true
	}
	if c.Asker != nil {
		c.Asker = &asker{r, c.Asker}
	}
	r.config = c
	r.pipeline, err = defenders.New(c)
	return err
}

// openFrom opens the journals from a snapshot on.
func (r *Runtime) openFrom(n int) error {
	var err error
	if r.audit, err = openAudit(auditPath(r.options.Dir), r.state.AuditSize, r.state.AuditHash); err != nil {
		return err
	}
	// Later journals are there where newer snapshots cannot be read, or were still being written.
	var inputs []byte
	for i := n; ; i++ {
		more, err := readJournal(r.fileOf(journalName, i))
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		inputs = append(inputs, more...)
	}
	r.replay = newJournalReader(inputs)
	// A new snapshot takes a number that no file has, also where newer ones could not be read.
	numbers, err := r.snapshots()
	if err != nil {
		return err
	}
	for r.number = max(n, slices.Max(append(numbers, n))); ; r.number++ {
		if _, err := os.Stat(r.fileOf(journalName, r.number+1)); err != nil {
			return nil
		}
	}
}

// repeat handles the inputs of the journal again.
func (r *Runtime) repeat(ctx context.Context) error {
	began, n := time.Now(), 0
	for {
		in, ok := r.replay.take()
		if !ok {
			break
		}
		if err := r.again(ctx, in); err != nil {
			return err
		}
		n++
		if err := r.audit.append(r.fresh); err != nil {
			return err
		}
		r.fresh = r.fresh[:0]
	}
	if r.replay.err != nil {
		return r.replay.err
	}
	r.metrics.repeated.Add(float64(n))
	if n > 0 {
		r.options.Log.Info("inputs of the journal were handled again", "inputs", n, "seconds", time.Since(began).Seconds())
	}
	if r.audit.differs {
		r.metrics.diverged.Inc()
		r.options.Log.Error("what came again differs from what the audit file had; " +
			"outputs may have been sent twice under different ids")
	}
	if err := r.audit.sync(); err != nil {
		return err
	}
	r.replay = nil
	// The journal ends here, and a new one begins with a snapshot: what follows need not be
	// told from what was repeated.
	return r.snapshot(ctx)
}

// again handles an input of the journal again.
func (r *Runtime) again(ctx context.Context, in input) error {
	r.state.Now = max(r.state.Now, in.Now)
	switch in.Kind {
	case inputIntel: // it belongs to an input that was handled differently now
		return nil
	case inputRecords:
		p := Position{in.Topic, in.Partition}
		b, missing, err := r.feed.fetch(ctx, p, in.First, in.Last)
		if err != nil {
			return err
		}
		if missing {
			r.metrics.missing.Inc()
			r.options.Log.Error("records that were handled are not in the stream any more", "topic", p.Topic,
				"partition", p.Partition, "first", in.First, "last", in.Last)
		}
		if len(b.Records) == 0 {
			return nil
		}
		return r.handleBatch(in.Now, b)
	}
	return r.handle(in)
}

// removeBefore removes snapshots and journals of lower numbers.
func (r *Runtime) removeBefore(n int) {
	for old := n - 1; old >= 0; old-- {
		if errors.Is(os.Remove(r.fileOf(snapshotName, old)), os.ErrNotExist) && old < n-1 {
			return
		}
		_ = os.Remove(r.fileOf(journalName, old)) // there may be none
	}
}

// release lets go of files and lock.
func (r *Runtime) release() error {
	var faults []error
	if r.pipeline != nil {
		faults = append(faults, r.pipeline.Close(false))
	}
	if r.journal != nil {
		faults = append(faults, r.journal.close())
	}
	if r.audit != nil {
		faults = append(faults, r.audit.close())
	}
	if r.lock != nil {
		faults = append(faults, r.lock.Close())
	}
	return errors.Join(faults...)
}

// writeWhole writes a file so that it is there whole or not at all.
func writeWhole(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	err = write(f)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
