package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"hemostat/reports/store"
	"hemostat/sim/record"
)

// catalogEvery is how often the database is looked at for changes.
const catalogEvery = time.Second

// never stands for a time at which something that did not happen happened.
const never = math.MaxInt64

// listed is what lists show of a trial, small enough for a million of them.
type listed struct {
	id                              uint64 // the trial's id as a number
	seed                            uint64
	disruption, score               float64
	toDetect, toRespond, toContain  int64 // never where it did not happen
	index                           int32
	alerts, alertsFalse, actions    int32
	run, scenario, variant          name
	outcome, status                 name
	detected, contained, wasReached bool
}

// trialID is the id of the trial as it is written.
func (x *listed) trialID() string { return fmt.Sprintf("%016x", x.id) }

// name is a text that many trials share, by its place in the view's names.
type name uint32

// view is the list of trials at one time. It is never changed.
type view struct {
	trials  []listed // in the order in which they were recorded
	names   []string
	last    int64 // row of the last one
	version int   // of the list, and of all that is computed from the database
}

// find is the name of a text, and whether any trial has it.
func (v *view) find(text string) (name, bool) {
	at := slices.Index(v.names, text)
	return name(max(at, 0)), at >= 0
}

// catalog holds what lists show of all trials in memory, so that a list of a million is sorted
// within a fraction of a second whatever indexes the file has.
type catalog struct {
	file string
	log  *slog.Logger

	mutex sync.RWMutex
	now   view

	// What only the goroutine of watch uses.
	db      *store.DB
	changes int64 // SQLite's number of the file's state
	known   map[string]name
	names   []string
}

func newCatalog(ctx context.Context, file string, log *slog.Logger) (*catalog, error) {
	c := &catalog{file: file, log: log, known: map[string]name{}}
	if err := c.reload(ctx); err != nil {
		return nil, err
	}
	go c.watch(ctx)
	return c, nil
}

// view is the list as it is now.
func (c *catalog) view() view {
	c.mutex.RLock()
	defer c.mutex.RUnlock()
	return c.now
}

func (c *catalog) set(trials []listed, last int64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now = view{trials, c.names, last, c.now.version + 1}
}

// watch takes in what other programs write, until the context ends.
func (c *catalog) watch(ctx context.Context) {
	tick := time.NewTicker(catalogEvery)
	defer tick.Stop()
	defer func() {
		if c.db != nil {
			_ = c.db.Close() // it was read only
		}
	}()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := c.refresh(ctx)
		if err != nil && err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			c.log.Warn("the database cannot be read; what was read before is served", "error", err)
		}
	}
}

// refresh reads what is new.
func (c *catalog) refresh(ctx context.Context) error {
	if c.db == nil || c.db.IsReplaced() {
		return c.reload(ctx)
	}
	version, err := c.db.Version()
	if err != nil || version == c.changes {
		return err
	}
	known := c.view()
	// The last is read again: a trial that failed may have been replaced.
	added, last, err := c.read(known.last)
	if err != nil {
		return err
	}
	if len(known.trials) > 0 {
		if len(added) == 0 || added[0] != known.trials[len(known.trials)-1] {
			return c.reload(ctx)
		}
		added = added[1:]
	}
	count, err := c.db.Count(store.Filter{})
	if err != nil {
		return err
	}
	if count != len(known.trials)+len(added) { // some were removed
		return c.reload(ctx)
	}
	c.changes = version
	c.set(append(known.trials, added...), last) // earlier views end before what is added
	return nil
}

// reload opens the file anew and reads all of it.
func (c *catalog) reload(ctx context.Context) error {
	if c.db != nil {
		_ = c.db.Close() // first: it clears its files away, which the new file must not be read with
		c.db = nil
	}
	db, err := store.Open(ctx, c.file)
	if err != nil {
		return err
	}
	c.db = db
	version, err := db.Version()
	if err != nil {
		return err
	}
	trials, last, err := c.read(0)
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	c.changes = version
	c.set(trials, last)
	return nil
}

// read reads the trials from a row on, and tells the row of the last.
func (c *catalog) read(from int64) (trials []listed, last int64, err error) {
	when := func(t record.Time) int64 {
		if t == nil {
			return never
		}
		return *t
	}
	if from == 0 {
		count, err := c.db.Count(store.Filter{})
		if err != nil {
			return nil, 0, err
		}
		trials = make([]listed, 0, count+count/16)
	}
	err = c.db.List(from, func(x *store.Listed) error {
		id, err := strconv.ParseUint(x.TrialID, 16, 64)
		if err != nil || len(x.TrialID) != idLength {
			return fmt.Errorf("%q is no id of a trial", x.TrialID)
		}
		last = x.Row
		trials = append(trials, listed{id: id, seed: x.Seed, disruption: x.Disruption, score: x.Score,
			toDetect: when(x.TimeToDetect), toRespond: when(x.TimeToRespond), toContain: when(x.TimeToContain),
			index: int32(x.Index), alerts: int32(x.AlertsTotal), alertsFalse: int32(x.AlertsFalse), actions: int32(x.ActionsTotal),
			run: c.name(x.Run), scenario: c.name(x.Scenario), variant: c.name(x.Variant), outcome: c.name(x.Outcome),
			status: c.name(x.Status), detected: x.Detected, contained: x.Contained, wasReached: x.ObjectiveReached})
		return nil
	})
	return trials, last, err
}

// idLength is the length of the id of a trial.
const idLength = 16

// name is the place of a text among the names, to which it is added where it is new.
func (c *catalog) name(text string) name {
	n, ok := c.known[text]
	if !ok {
		n = name(len(c.names))
		c.known[text] = n
		c.names = append(c.names, text)
	}
	return n
}
