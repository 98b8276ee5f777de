package store

import (
	"fmt"

	"hemostat/sim/record"
)

// Verify reads every trial that fits with all its rows and holds them against the
// digest that was recorded with it. It calls f for each with what is wrong, or "".
// Wall-clock cost and kept events are in no digest.
func (db *DB) Verify(filter Filter, f func(t *record.Trial, fault string) error) error {
	where, args := filter.where()
	ids, err := db.texts(
		"SELECT trial_id FROM trials WHERE "+where+" ORDER BY scenario, variant, trial_index, trial_id",
		args...)
	if err != nil {
		return err
	}
	for _, id := range ids {
		found, err := db.ownRows("trial_id=?", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue // removed since the ids were read
		}
		t := &found[0]
		fault, err := db.verifyTrial(t)
		if err != nil {
			return err
		}
		if err := f(t, fault); err != nil {
			return err
		}
	}
	return nil
}

// verifyTrial tells what is wrong with a trial's rows. A value that cannot be read as
// what it should be is a fault of the trial, not an error.
func (db *DB) verifyTrial(t *record.Trial) (fault string, err error) {
	for _, table := range detailTables {
		if err := db.readTable(table, t); err != nil {
			if db.ctx.Err() != nil {
				return "", err
			}
			return err.Error(), nil
		}
	}
	recorded := t.Digest
	if err := t.Seal(); err != nil {
		return "", err
	}
	if t.Digest != recorded {
		return fmt.Sprintf(
			"its rows have the digest %.16s, and %.16s was recorded: rows were changed, removed or added",
			t.Digest,
			recorded,
		), nil
	}
	return "", nil
}
