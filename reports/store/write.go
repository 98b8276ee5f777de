package store

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"hemostat/reports/store/eventblock"
	"hemostat/sim/record"
)

// Run is one row of the table runs.
type Run struct {
	ID, CreatedAt, ToolVersion, GitCommit, Architecture string
	Seed                                                uint64
	PlanDigest                                          string
	// Analyst is who answered for models of variants: record, replay, live, offline; "" when
	// none was asked.
	Analyst string
}

// Named is a scenario or variant with its digest and text.
type Named struct{ Name, Digest, Text string }

// Begin records the start of a run and the scenarios and variants it uses.
func (db *DB) Begin(r Run, scenarios, variants []Named) error {
	return db.transaction(func(tx *sql.Tx) error {
		_, err := tx.Exec(
			"INSERT INTO runs (run_id,created_at,tool_version,git_commit,architecture,seed,plan_digest,analyst,status) VALUES (?,?,?,?,?,?,?,?,'running')",
			r.ID,
			r.CreatedAt,
			r.ToolVersion,
			r.GitCommit,
			r.Architecture,
			int64(r.Seed),
			r.PlanDigest,
			r.Analyst,
		)
		if err != nil {
			return err
		}
		for _, s := range scenarios {
			if _, err := tx.Exec("INSERT OR IGNORE INTO scenarios (scenario,digest,yaml) VALUES (?,?,?)", s.Name,
				s.Digest, s.Text); err != nil {
				return err
			}
		}
		for _, v := range variants {
			if _, err := tx.Exec("INSERT OR IGNORE INTO variants (variant,digest,json) VALUES (?,?,?)", v.Name,
				v.Digest, v.Text); err != nil {
				return err
			}
		}
		return nil
	})
}

// Finish records how a run ended: done, interrupted or failed. It is an error when
// the file was removed or replaced since it was opened.
func (db *DB) Finish(run, status string) error {
	if err := db.checkFile(); err != nil {
		return err
	}
	_, err := db.sql.Exec(
		"UPDATE runs SET status=? WHERE run_id=?",
		status,
		run,
	) // also when the command was interrupted
	return db.explain(err)
}

// Engine names the version of the program that made the run's trials.
func (r Run) Engine() string { return r.ToolVersion + " " + r.GitCommit + " " + r.Architecture }

// Recorded lists the ids of the trials that are in the database and in order; of
// one engine only, unless it is "".
func (db *DB) Recorded(engine string) (map[string]bool, error) {
	ids, err := db.texts(
		"SELECT trial_id FROM trials JOIN runs r USING (run_id) WHERE trials.status='ok' AND (?1='' OR r.tool_version||' '||r.git_commit||' '||r.architecture=?1)",
		engine,
	)
	if err != nil {
		return nil, err
	}
	done := make(map[string]bool, len(ids))
	for _, id := range ids {
		done[id] = true
	}
	return done, nil
}

// Identity is what a trial's id is made from beside its index.
type Identity struct {
	Run                           string
	Seed                          uint64
	ScenarioDigest, VariantDigest string
}

// Put records a trial whole, or not at all. A trial that is there already stays
// as it is, unless it was an error. It is an error when the file was removed or
// replaced since it was opened.
func (db *DB) Put(id Identity, t *record.Trial) error {
	if err := db.checkFile(); err != nil {
		return err
	}
	events := packEvents(t)
	return db.transaction(func(tx *sql.Tx) error {
		if _, err := tx.Exec("DELETE FROM trials WHERE trial_id=? AND status<>'ok'", t.TrialID); err != nil {
			return err
		}
		args := []any{id.Run, int64(id.Seed), id.ScenarioDigest, id.VariantDigest}
		for _, c := range record.TrialColumns {
			v, err := c.Value(t)
			if err != nil {
				return err
			}
			args = append(args, v)
		}
		result, err := tx.Exec(trialInsert, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		for _, table := range append(detailTables[:len(detailTables):len(detailTables)], costTable, scoreTable) {
			prefix, columns := insertInto(table)
			err := insertRows(
				tx,
				prefix,
				columns,
				table.count(t),
				func(args []any, i int) ([]any, error) { return table.values(args, t, i) },
			)
			if err != nil {
				return err
			}
		}
		return events.put(tx, t.TrialID)
	})
}

// packedEvents are a trial's events as blocks.
type packedEvents struct {
	data   [][]byte
	counts []int
}

// packEvents packs the events that a trial kept, in the order in which sensors delivered them.
func packEvents(t *record.Trial) (p packedEvents) {
	list := slices.Clone(t.Events)
	eventblock.Sort(list)
	for block := range slices.Chunk(list, eventblock.Size) {
		p.data, p.counts = append(p.data, eventblock.Pack(block)), append(p.counts, len(block))
	}
	return p
}

func (p packedEvents) put(tx *sql.Tx, trialID string) error {
	for i, data := range p.data {
		if _, err := tx.Exec("INSERT INTO event_blocks (trial_id,block,events,data) VALUES (?,?,?,?)", trialID, i, p.counts[i], data); err != nil {
			return err
		}
	}
	return nil
}

const rowsPerStatement = 100

// insertRows inserts n rows, many to a statement; values appends those of a row.
func insertRows(tx *sql.Tx, prefix string, columns, n int, values func(args []any, i int) ([]any, error)) error {
	var full *sql.Stmt
	args := make([]any, 0, columns*min(n, rowsPerStatement))
	for done := 0; done < n; {
		count := min(n-done, rowsPerStatement)
		args = args[:0]
		var err error
		for i := done; i < done+count; i++ {
			if args, err = values(args, i); err != nil {
				return err
			}
		}
		done += count
		if count < rowsPerStatement {
			if _, err := tx.Exec(prefix+valueLists(columns, count), args...); err != nil {
				return err
			}
			continue
		}
		if full == nil {
			if full, err = tx.Prepare(prefix + valueLists(columns, count)); err != nil {
				return err
			}
			defer full.Close()
		}
		if _, err := full.Exec(args...); err != nil {
			return err
		}
	}
	return nil
}

func valueLists(columns, rows int) string {
	one := "(" + marks(columns) + ")"
	return strings.Repeat(one+",", rows-1) + one
}

func marks(n int) string { return strings.Repeat("?,", n-1) + "?" }

func (db *DB) transaction(do func(*sql.Tx) error) error {
	tx, err := db.sql.BeginTx(db.ctx, nil)
	if err != nil {
		return db.explain(err)
	}
	if err := do(tx); err != nil {
		if undo := tx.Rollback(); undo != nil {
			err = fmt.Errorf("%w (and the rollback failed: %w)", err, undo)
		}
		return db.explain(err)
	}
	return db.explain(tx.Commit())
}
