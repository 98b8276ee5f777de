package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"hemostat/sim/record"
)

// Run is one row of the table runs.
type Run struct {
	ID, CreatedAt, ToolVersion, GitCommit, Architecture string
	Seed                                                uint64
	PlanDigest                                          string
}

// Named is a scenario or variant with its digest and text.
type Named struct{ Name, Digest, Text string }

// Begin records the start of a run and the scenarios and variants it uses.
func (db *DB) Begin(r Run, scenarios, variants []Named) error {
	return db.transaction(func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT INTO runs VALUES (?,?,?,?,?,?,?,'running')", r.ID, r.CreatedAt, r.ToolVersion, r.GitCommit, r.Architecture, int64(r.Seed), r.PlanDigest); err != nil {
			return err
		}
		for _, s := range scenarios {
			if _, err := tx.Exec("INSERT OR IGNORE INTO scenarios VALUES (?,?,?)", s.Name, s.Digest, s.Text); err != nil {
				return err
			}
		}
		for _, v := range variants {
			if _, err := tx.Exec("INSERT OR IGNORE INTO variants VALUES (?,?,?)", v.Name, v.Digest, v.Text); err != nil {
				return err
			}
		}
		return nil
	})
}

// Finish records how a run ended: done, interrupted or failed.
func (db *DB) Finish(run, status string) error {
	_, err := db.sql.Exec("UPDATE runs SET status=? WHERE run_id=?", status, run)
	return db.wrap(err)
}

// Engine names the version of the program that made the run's trials.
func (r Run) Engine() string { return r.ToolVersion + " " + r.GitCommit + " " + r.Architecture }

// Recorded lists the ids of the trials that are in the database and in order; of
// one engine only, unless it is "".
func (db *DB) Recorded(engine string) (map[string]bool, error) {
	ids, err := db.texts("SELECT trial_id FROM trials JOIN runs r USING (run_id) WHERE trials.status='ok' AND (?1='' OR r.tool_version||' '||r.git_commit||' '||r.architecture=?1)", engine)
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
// as it is, unless it was an error.
func (db *DB) Put(id Identity, t *record.Trial) error {
	return db.transaction(func(tx *sql.Tx) error {
		if err := forgetError(tx, t.TrialID); err != nil {
			return err
		}
		result, err := tx.Exec("INSERT OR IGNORE INTO trials VALUES ("+marks(41)+")",
			t.TrialID, id.Run, t.Scenario, t.Variant, t.Index, int64(id.Seed), id.ScenarioDigest, id.VariantDigest, t.Status, t.Error, t.Outcome,
			t.Detected, t.Responded, t.Contained, t.ObjectiveReached,
			t.TimeToDetect, t.TimeToEnrich, t.TimeToRespond, t.TimeToContain, t.TimeToObjective, t.TimeToRestore,
			t.Horizon, t.EventsTotal, t.EventsMalicious, t.EventsLost, t.EventsQueueDropped, t.AlertsTotal, t.AlertsFalse, t.ActionsTotal, t.ActionsOnBenign,
			t.CollateralSeconds, t.ApprovalsAsked, t.ApprovalWait, t.Coherence, t.Score, t.Digest,
			t.Harm, t.Disruption, t.Operations, t.Stake, t.BytesLost)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return putRows(tx, t)
	})
}

func forgetError(tx *sql.Tx, trial string) error {
	_, err := tx.Exec("DELETE FROM trials WHERE trial_id=? AND status<>'ok'", trial)
	return err
}

func putRows(tx *sql.Tx, t *record.Trial) error {
	b := batch{tx: tx, trial: t.TrialID}
	b.table("attacks", 19, len(t.Attacks), func(i int) []any {
		a := &t.Attacks[i]
		return []any{a.Attack, a.Name, a.Outcome, a.Started, a.FirstEvent, a.Ingested, a.Detected, a.Enriched, a.PlaybookStarted, a.ApprovalAsked, a.ApprovalGiven,
			a.FirstAction, a.Contained, a.ObjectiveReached, a.Restored, a.Ended, a.EndReason, a.Progress}
	})
	b.table("steps", 16, len(t.Steps), func(i int) []any {
		s := &t.Steps[i]
		return []any{s.Attack, s.Step, s.Technique, s.Name, s.Tactic, s.Tool, s.Host, s.Target, s.Started, s.Ended, s.Succeeded, s.Reason, s.Why, s.BlockedBy, s.Detected}
	})
	b.table("alerts", 17, len(t.Alerts), func(i int) []any {
		a := &t.Alerts[i]
		evidence, err := json.Marshal(a.Evidence)
		if err != nil {
			b.err = err
		}
		return []any{a.Alert, a.Time, a.EventTime, a.Detector, a.RuleID, a.Title, a.Technique, a.Severity, a.Confidence, a.Host, a.User, a.Source, string(evidence), a.Incident, a.Attack, a.Step}
	})
	b.table("approvals", 16, len(t.Approvals), func(i int) []any {
		a := &t.Approvals[i]
		return []any{a.Approval, a.Incident, a.Playbook, a.Step, a.Action, a.Target, a.Asked, a.Answered, a.Closed, a.Outcome, a.Approver, a.Just, a.Waited, a.Confidence, a.Predicted}
	})
	b.table("actions", 18, len(t.Actions), func(i int) []any {
		a := &t.Actions[i]
		return []any{a.Action, a.Incident, a.Playbook, a.Step, a.Kind, a.Target, a.Status, a.Detail, a.Asked, a.Started, a.Ended, a.Undone, a.Attempts, a.OnBenign, a.Predicted, a.Realised, a.Run}
	})
	b.table("stages", 5, len(t.Stages), func(i int) []any {
		s := &t.Stages[i]
		return []any{s.Incident, s.Stage, s.Started, s.Ended}
	})
	b.table("audit", 12, len(t.Audit), func(i int) []any {
		a := &t.Audit[i]
		return []any{i, a.Time, a.Incident, a.Playbook, a.Step, a.What, a.Detail, a.Run, a.Status, a.Hash, a.Line}
	})
	b.table("cost", 4, len(t.Cost), func(i int) []any {
		c := &t.Cost[i]
		return []any{c.WallNS, c.Detector, c.DetectorWallNS}
	})
	var text []byte
	b.table("events", 7, len(t.Events), func(i int) []any {
		e := &t.Events[i]
		text = e.Event.AppendJSON(text[:0])
		return []any{int64(e.Event.ID), int64(e.Event.Time), int64(e.Event.Observed), e.Attack, e.Step, string(text)}
	})
	return b.err
}

// batch inserts the rows of one trial, many to a statement.
type batch struct {
	tx    *sql.Tx
	trial string
	err   error
}

const rowsPerStatement = 100

// table inserts n rows; each has the trial's id before the values that row
// returns.
func (b *batch) table(name string, columns, n int, row func(i int) []any) {
	var full *sql.Stmt
	args := make([]any, 0, columns*min(n, rowsPerStatement))
	for done := 0; done < n && b.err == nil; {
		count := min(n-done, rowsPerStatement)
		args = args[:0]
		for i := done; i < done+count; i++ {
			args = append(append(args, b.trial), row(i)...)
		}
		done += count
		if count < rowsPerStatement {
			_, b.err = b.tx.Exec(insert(name, columns, count), args...)
			continue
		}
		if full == nil {
			if full, b.err = b.tx.Prepare(insert(name, columns, count)); b.err != nil {
				return
			}
			defer full.Close()
		}
		_, b.err = full.Exec(args...)
	}
}

func insert(table string, columns, rows int) string {
	one := "(" + marks(columns) + ")"
	return "INSERT INTO " + table + " VALUES " + strings.Repeat(one+",", rows-1) + one
}

func marks(n int) string { return strings.Repeat("?,", n-1) + "?" }

func (db *DB) transaction(do func(*sql.Tx) error) error {
	tx, err := db.sql.Begin()
	if err != nil {
		return db.wrap(err)
	}
	if err := do(tx); err != nil {
		if undo := tx.Rollback(); undo != nil {
			err = fmt.Errorf("%w (and the rollback failed: %w)", err, undo)
		}
		return db.wrap(err)
	}
	return db.wrap(tx.Commit())
}

func (db *DB) wrap(err error) error {
	if err == nil {
		return nil
	}
	return db.explain(err)
}
