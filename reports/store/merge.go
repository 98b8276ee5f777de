package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Merged tells what came from a database that was merged.
type Merged struct {
	File         string
	Trials, New  int // of the shard; of these, those that were not there before, or were errors
	Contradicted []Contradiction
}

// Contradiction is a trial that two databases tell differently.
type Contradiction struct {
	TrialID, Scenario, Variant string
	Index                      int
	Digest, OtherDigest        string // of the database that is written, and of the other
}

// Merge takes over the trials of another database with all their rows, and the runs, scenarios,
// variants and documents. Trials that are there already stay, unless they were errors; merging
// twice changes nothing. Where a trial is there with another digest, nothing is taken over, and
// the contradictions are told.
func (db *DB) Merge(path string) (m Merged, err error) {
	m.File = path
	from, err := Open(db.ctx, path) // its version is checked, and what an interrupted writer left is put right
	if err != nil {
		return m, err
	}
	same := os.SameFile(from.opened, db.opened)
	if err := from.Close(); err != nil {
		return m, err
	}
	if same {
		return m, fmt.Errorf("%s is the database that is merged into", path)
	}
	c, err := db.sql.Conn(db.ctx)
	if err != nil {
		return m, db.explain(err)
	}
	defer func() { _ = c.Close() }() // gives the connection back
	if _, err := c.ExecContext(db.ctx, "ATTACH ? AS shard", "file:"+path+"?mode=ro"); err != nil {
		return m, fmt.Errorf("%s: %w", path, db.explain(err))
	}
	defer func() { _, _ = c.ExecContext(context.WithoutCancel(db.ctx), "DETACH shard") }()
	tx, err := c.BeginTx(db.ctx, nil)
	if err != nil {
		return m, db.explain(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	if err := m.take(tx); err != nil {
		return m, db.explain(err)
	}
	if len(m.Contradicted) > 0 {
		return m, nil
	}
	return m, db.explain(tx.Commit())
}

// mostContradictions bounds those that are told.
const mostContradictions = 10

func (m *Merged) take(tx *sql.Tx) error {
	rows, err := tx.Query(`SELECT s.trial_id, s.scenario, s.variant, s.trial_index, t.digest, s.digest
 FROM shard.trials s JOIN main.trials t USING (trial_id)
 WHERE s.status='ok' AND t.status='ok' AND s.digest<>t.digest ORDER BY 2, 3, 4 LIMIT ?`, mostContradictions)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var x Contradiction
		if err := rows.Scan(&x.TrialID, &x.Scenario, &x.Variant, &x.Index, &x.Digest, &x.OtherDigest); err != nil {
			return err
		}
		m.Contradicted = append(m.Contradicted, x)
	}
	if err := rows.Err(); err != nil || len(m.Contradicted) > 0 {
		return err
	}
	const fresh = `CREATE TEMP TABLE fresh AS SELECT s.trial_id FROM shard.trials s LEFT JOIN main.trials t USING (trial_id)
 WHERE t.trial_id IS NULL OR t.status<>'ok' AND s.status='ok'`
	if _, err := tx.Exec(fresh); err != nil {
		return err
	}
	err = tx.QueryRow("SELECT (SELECT count(*) FROM shard.trials), (SELECT count(*) FROM fresh)").Scan(&m.Trials, &m.New)
	if err != nil {
		return err
	}
	for _, table := range []string{"runs", "scenarios", "variants"} {
		if err := copyRows(tx, table, "INSERT OR IGNORE", ""); err != nil {
			return err
		}
	}
	below := []string{"events", "event_blocks", costTable.title(), scoreTable.title()}
	for _, t := range detailTables {
		below = append(below, t.title())
	}
	for _, table := range append(below, "trials") {
		if _, err := tx.Exec("DELETE FROM main." + table + " WHERE trial_id IN (SELECT trial_id FROM fresh)"); err != nil {
			return err
		}
	}
	for _, table := range append([]string{"trials"}, below...) {
		if err := copyRows(tx, table, "INSERT", " WHERE trial_id IN (SELECT trial_id FROM fresh)"); err != nil {
			return err
		}
	}
	if err := copyRows(tx, "documents", "INSERT", ` s WHERE NOT EXISTS (SELECT 1 FROM main.documents d
 WHERE d.kind=s.kind AND d.created_at=s.created_at AND d.title=s.title AND d.json=s.json)`); err != nil {
		return err
	}
	_, err = tx.Exec("DROP TABLE temp.fresh")
	return err
}

// copyRows copies rows of a table of the shard. Columns are named, since their order may differ.
func copyRows(tx *sql.Tx, table, insert, where string) error {
	rows, err := tx.Query("SELECT name FROM pragma_table_info(?, 'main')", table)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	slices.Sort(names)
	list := strings.Join(names, ", ")
	order := ""
	if !withoutRowID(tx, table) { // lists of a trial stand in the order in which they were written
		order = " ORDER BY rowid"
	}
	_, err = tx.Exec(insert + " INTO main." + table + " (" + list + ") SELECT " + list + " FROM shard." + table + where + order)
	return err
}

// withoutRowID tells whether a table has no rows' numbers, so that its rows have no order of their own.
func withoutRowID(tx *sql.Tx, table string) bool {
	var without bool
	err := tx.QueryRow("SELECT wr FROM pragma_table_list WHERE schema='main' AND name=?", table).Scan(&without)
	return err == nil && without
}
