package store

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"hemostat/sim/record"
)

// Listed is what a list of trials shows of one of them.
type Listed struct {
	Row                                    int64 // of the table; a trial that is recorded later has a higher one
	Run                                    string
	Seed                                   uint64
	TrialID, Scenario, Variant             string
	Index                                  int
	Status, Outcome                        string
	Detected, Contained, ObjectiveReached  bool
	TimeToDetect, TimeToRespond            record.Time
	TimeToContain                          record.Time
	AlertsTotal, AlertsFalse, ActionsTotal int
	Disruption, Score                      float64
}

// List calls f for each trial from a row of the table on, in the order in which they were recorded. The
// trial is valid until f returns.
func (db *DB) List(from int64, f func(*Listed) error) error {
	rows, err := db.sql.QueryContext(db.ctx, `SELECT rowid, run_id, seed, trial_id, scenario, variant, trial_index, status, outcome,
 detected, contained, objective_reached, time_to_detect, time_to_respond, time_to_contain, alerts_total, alerts_false, actions_total,
 disruption, score FROM trials WHERE rowid>=? ORDER BY rowid`, from)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var x Listed
		var seed int64
		if err := rows.Scan(&x.Row, &x.Run, &seed, &x.TrialID, &x.Scenario, &x.Variant, &x.Index, &x.Status, &x.Outcome,
			&x.Detected, &x.Contained, &x.ObjectiveReached, &x.TimeToDetect, &x.TimeToRespond, &x.TimeToContain,
			&x.AlertsTotal, &x.AlertsFalse, &x.ActionsTotal, &x.Disruption, &x.Score); err != nil {
			return db.explain(fmt.Errorf("trial %s: %w", x.TrialID, err))
		}
		x.Seed = uint64(seed)
		if err := f(&x); err != nil {
			return err
		}
	}
	return db.explain(rows.Err())
}

// Version is a number that changes when another program has changed the file since it was opened
// (SQLite, PRAGMA data_version).
func (db *DB) Version() (version int64, err error) {
	err = db.sql.QueryRowContext(db.ctx, "PRAGMA data_version").Scan(&version)
	return version, db.explain(err)
}

// IsReplaced tells whether another file stands where the one was that was opened.
func (db *DB) IsReplaced() bool {
	now, err := os.Stat(db.path)
	return err != nil || !os.SameFile(db.opened, now)
}

// RecordedRun is a run and how it ended.
type RecordedRun struct {
	Run
	Status string // running, done, interrupted, failed
}

// Runs lists the runs, the newest first.
func (db *DB) Runs() ([]RecordedRun, error) {
	rows, err := db.sql.QueryContext(db.ctx,
		`SELECT run_id, created_at, tool_version, git_commit, architecture, seed, plan_digest, analyst, status
 FROM runs ORDER BY created_at DESC, run_id`)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	var out []RecordedRun
	for rows.Next() {
		var r RecordedRun
		var seed int64
		if err := rows.Scan(&r.ID, &r.CreatedAt, &r.ToolVersion, &r.GitCommit, &r.Architecture, &seed, &r.PlanDigest, &r.Analyst,
			&r.Status); err != nil {
			return nil, db.explain(err)
		}
		r.Seed = uint64(seed)
		out = append(out, r)
	}
	return out, db.explain(rows.Err())
}

// DocumentKind says what a document is about.
type DocumentKind string

// The kinds of documents.
const (
	GateDocument     DocumentKind = "gate"     // a verdict, as gate --json prints it
	FidelityDocument DocumentKind = "fidelity" // a report, as fidelity --json prints it
)

// Document is a result that is kept beside the trials.
type Document struct {
	ID        int64
	Kind      DocumentKind
	CreatedAt string // RFC 3339
	Title     string
	JSON      []byte
}

// PutDocument keeps a result.
func (db *DB) PutDocument(kind DocumentKind, title string, text []byte) error {
	if err := db.checkFile(); err != nil {
		return err
	}
	return db.transaction(func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO documents (kind,created_at,title,json) VALUES (?,?,?,?)", string(kind),
			time.Now().UTC().Format(time.RFC3339), title, string(text))
		return err
	})
}

// Documents lists the newest results of a kind, at most so many, without their text.
func (db *DB) Documents(kind DocumentKind, most int) ([]Document, error) {
	rows, err := db.sql.QueryContext(db.ctx,
		"SELECT rowid, created_at, title FROM documents WHERE kind=? ORDER BY created_at DESC, rowid DESC LIMIT ?", string(kind), most)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	var out []Document
	for rows.Next() {
		d := Document{Kind: kind}
		if err := rows.Scan(&d.ID, &d.CreatedAt, &d.Title); err != nil {
			return nil, db.explain(err)
		}
		out = append(out, d)
	}
	return out, db.explain(rows.Err())
}

// Document reads a result; nil where there is none of this number.
func (db *DB) Document(kind DocumentKind, id int64) (*Document, error) {
	d := Document{ID: id, Kind: kind}
	err := db.sql.QueryRowContext(db.ctx, "SELECT created_at, title, json FROM documents WHERE kind=? AND rowid=?",
		string(kind), id).Scan(&d.CreatedAt, &d.Title, &d.JSON)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &d, db.explain(err)
}
