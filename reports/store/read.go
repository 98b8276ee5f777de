package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hemostat/sim/attack"
	"strings"
	"time"

	"hemostat/sim/record"
	"hemostat/sim/stage"
)

// trialNames are the columns of record.Trial in trials.
var trialNames = columnNames(record.TrialColumns)

// Filter selects trials; an empty field selects all.
type Filter struct {
	Variant, Scenario, Run        string
	ScenarioDigest, VariantDigest string
	Seed                          *uint64
	// Analyst keeps trials of runs in which models were answered for in this way, or in
	// which none was asked.
	Analyst string
}

// where is the filter as a condition of SQL with its arguments.
func (f Filter) where() (string, []any) {
	where, args := "1=1", []any{}
	if f.Seed != nil {
		where += " AND seed=?"
		args = append(args, int64(*f.Seed))
	}
	for _, x := range []struct{ column, value string }{{"variant", f.Variant}, {"scenario", f.Scenario},
		{"run_id", f.Run},
		{"scenario_digest", f.ScenarioDigest}, {"variant_digest", f.VariantDigest}} {
		if x.value != "" {
			where += " AND " + x.column + "=?"
			args = append(args, x.value)
		}
	}
	if f.Analyst != "" {
		where += " AND run_id IN (SELECT run_id FROM runs WHERE analyst IN ('', ?))"
		args = append(args, f.Analyst)
	}
	return where, args
}

// Trials calls f for each trial's own row, ordered by scenario, variant and
// index.
func (db *DB) Trials(filter Filter, f func(*record.Trial) error) error {
	where, args := filter.where()
	rows, err := db.sql.QueryContext(
		db.ctx,
		"SELECT "+trialNames+" FROM trials WHERE "+where+" ORDER BY scenario, variant, trial_index, trial_id",
		args...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var t record.Trial
		if err := rows.Scan(targets(record.TrialColumns, &t)...); err != nil {
			return db.explain(err)
		}
		if err := f(&t); err != nil {
			return err
		}
	}
	return db.explain(rows.Err())
}

// Outcome is a trial's own row, and what its id was made from.
type Outcome struct {
	record.Trial
	Seed                          uint64
	ScenarioDigest, VariantDigest string
}

// Outcomes calls f for each trial's outcome, ordered by scenario, seed and index.
// The outcome is valid until f returns.
func (db *DB) Outcomes(filter Filter, f func(*Outcome) error) error {
	where, args := filter.where()
	rows, err := db.sql.QueryContext(
		db.ctx,
		"SELECT seed, scenario_digest, variant_digest, "+trialNames+" FROM trials WHERE "+where+" ORDER BY scenario, seed, trial_index, trial_id",
		args...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	names := map[string]string{} // few names, a million rows
	one := func(s *string) {
		known, ok := names[*s]
		if !ok {
			known = *s
			names[known] = known
		}
		*s = known
	}
	var o Outcome
	var seed int64
	into := append([]any{&seed, &o.ScenarioDigest, &o.VariantDigest}, targets(record.TrialColumns, &o.Trial)...)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return db.explain(fmt.Errorf("trial %s: %w", o.TrialID, err))
		}
		o.Seed = uint64(seed)
		one(&o.Scenario)
		one(&o.ScenarioDigest)
		if err := f(&o); err != nil {
			return err
		}
	}
	return db.explain(rows.Err())
}

// Whole calls f for each trial with all its rows, its costs and scores, in the order of
// Outcomes.
func (db *DB) Whole(filter Filter, f func(*Outcome) error) error {
	var all []Outcome
	err := db.Outcomes(filter, func(o *Outcome) error {
		if o.Status == "ok" {
			all = append(all, *o)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range all {
		if err := db.details(&all[i].Trial); err != nil {
			return err
		}
		for _, table := range []table{costTable, scoreTable} {
			if err := db.readTable(table, &all[i].Trial); err != nil {
				return err
			}
		}
		if err := f(&all[i]); err != nil {
			return err
		}
		all[i] = Outcome{}
	}
	return nil
}

// Count is the number of trials that fit.
func (db *DB) Count(filter Filter) (int, error) {
	where, args := filter.where()
	n := 0
	err := db.sql.QueryRowContext(db.ctx, "SELECT count(*) FROM trials WHERE "+where, args...).Scan(&n)
	return n, db.explain(err)
}

// Tally is how often a technique or detector was there in one trial, and how often
// it had the property in question.
type Tally struct {
	Scenario  string
	Seed      uint64
	Index     int
	Name      string
	All, Hits int
}

// TechniqueTallies calls f with each technique that was carried out in each trial,
// and whether its first use was detected: later uses depend on what the response did
// in between. Only every n-th index is looked at. A trial without any yields one
// tally of nothing.
func (db *DB) TechniqueTallies(filter Filter, every int, f func(Tally)) error {
	// SQLite takes the columns beside min() from the row that has the minimum.
	return db.tallies(
		"technique, count(d.trial_id)>0, detected_at IS NOT NULL, min(started)",
		"steps d ON d.trial_id=t.trial_id AND d.ended>d.started",
		filter,
		every,
		func(t Tally) {
			t.Name = attack.Current(t.Name) // databases of any age
			f(t)
		},
	)
}

// DetectorTallies calls f with the alerts of each detector in each trial, and how
// many of them were true.
func (db *DB) DetectorTallies(filter Filter, every int, f func(Tally)) error {
	return db.tallies(
		"detector, count(d.trial_id), coalesce(sum(attack<>0),0), 0",
		"alerts d ON d.trial_id=t.trial_id",
		filter,
		every,
		f,
	)
}

// AlertConfidences calls f with the detector and confidence of each alert of every n-th
// index, and whether it was true, in the order of trials.
func (db *DB) AlertConfidences(
	filter Filter,
	every int,
	f func(detector string, confidence float64, isTrue bool),
) error {
	where, args := filter.where()
	rows, err := db.sql.QueryContext(db.ctx, `SELECT a.detector, a.confidence, a.attack<>0
 FROM (SELECT trial_id, scenario, seed, trial_index FROM trials WHERE status='ok' AND `+where+` AND trial_index % ? = 0) t
 JOIN alerts a ON a.trial_id=t.trial_id ORDER BY scenario, seed, trial_index, alert`, append(args, max(1, every))...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var detector string
		var confidence float64
		var isTrue bool
		if err := rows.Scan(&detector, &confidence, &isTrue); err != nil {
			return db.explain(err)
		}
		f(detector, confidence, isTrue)
	}
	return db.explain(rows.Err())
}

// Forecast is one forecast of the technique that an attacker tries next, with what came.
type Forecast struct {
	Scenario           string
	Probability, Brier float64
	Rank               int
	Named              []record.NamedShare
}

// Forecasts calls f for each forecast after which a step came.
func (db *DB) Forecasts(filter Filter, every int, f func(Forecast)) error {
	where, args := filter.where()
	rows, err := db.sql.QueryContext(db.ctx, `SELECT t.scenario, p.probability, p.brier, p.rank, p.techniques
 FROM (SELECT trial_id, scenario, seed, trial_index FROM trials WHERE status='ok' AND `+where+` AND trial_index % ? = 0) t
 JOIN predictions p ON p.trial_id=t.trial_id WHERE p.came<>'' ORDER BY t.scenario, t.seed, t.trial_index, p.time, p.alert`,
		append(args, max(1, every))...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var x Forecast
		var named string
		if err := rows.Scan(&x.Scenario, &x.Probability, &x.Brier, &x.Rank, &named); err != nil {
			return db.explain(err)
		}
		if err := json.Unmarshal([]byte(named), &x.Named); err != nil {
			return fmt.Errorf("database %s: predictions.techniques: %w", db.path, err)
		}
		f(x)
	}
	return db.explain(rows.Err())
}

// StageTimes calls f with each stage that ended and how long it took, of every n-th index.
// Runs of playbooks and their approvals are named without the playbook.
func (db *DB) StageTimes(filter Filter, every int, f func(stage string, took time.Duration)) error {
	where, args := filter.where()
	rows, err := db.sql.QueryContext(db.ctx, `SELECT s.stage, s.ended-s.started
 FROM (SELECT trial_id, trial_index FROM trials WHERE status='ok' AND `+where+` AND trial_index % ? = 0) t
 JOIN stages s ON s.trial_id=t.trial_id WHERE s.ended IS NOT NULL`, append(args, max(1, every))...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var took int64
		if err := rows.Scan(&name, &took); err != nil {
			return db.explain(err)
		}
		f(stage.Name(name).Kind(), time.Duration(took))
	}
	return db.explain(rows.Err())
}

// tallies reads what, the name first, from the rows joined to each trial.
func (db *DB) tallies(what, joined string, filter Filter, every int, f func(Tally)) error {
	where, args := filter.where()
	rows, err := db.sql.QueryContext(db.ctx, `SELECT scenario, seed, trial_index, `+what+`
 FROM (SELECT trial_id, scenario, seed, trial_index FROM trials WHERE status='ok' AND `+where+` AND trial_index % ? = 0) t
 LEFT JOIN `+joined+` GROUP BY t.trial_id, 4`, append(args, max(1, every))...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var t Tally
		var seed int64
		var name sql.NullString
		var first any
		if err := rows.Scan(&t.Scenario, &seed, &t.Index, &name, &t.All, &t.Hits, &first); err != nil {
			return db.explain(err)
		}
		t.Seed, t.Name = uint64(seed), name.String
		f(t)
	}
	return db.explain(rows.Err())
}

// Engines lists the versions of the program that made the trials that fit.
func (db *DB) Engines(filter Filter) ([]string, error) {
	where, args := filter.where()
	return db.texts(
		"SELECT DISTINCT r.tool_version||' '||r.git_commit||' '||r.architecture FROM (SELECT DISTINCT run_id FROM trials WHERE "+where+") JOIN runs r USING (run_id) ORDER BY 1",
		args...)
}

// ScenarioText is the text of a scenario as it was run.
func (db *DB) ScenarioText(name, digest string) (string, error) {
	texts, err := db.texts("SELECT yaml FROM scenarios WHERE scenario=? AND digest=?", name, digest)
	if err == nil && len(texts) == 0 {
		err = fmt.Errorf("database %s has trials of scenario %s, but not its text", db.path, name)
	}
	if err != nil {
		return "", err
	}
	return texts[0], nil
}

// ScenarioOfTrial is the text of the scenario of a trial as it was run, and the seed.
func (db *DB) ScenarioOfTrial(trial string) (text string, seed uint64, err error) {
	var number int64
	err = db.sql.QueryRowContext(db.ctx, "SELECT s.yaml, t.seed FROM trials t JOIN scenarios s ON s.scenario=t.scenario AND "+
		"s.digest=t.scenario_digest WHERE t.trial_id=?", trial).Scan(&text, &number)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, fmt.Errorf("database %s has trial %s, but not the text of its scenario", db.path, trial)
	}
	return text, uint64(number), db.explain(err)
}

// VariantTexts are the recorded texts of a variant, one for each state of it.
func (db *DB) VariantTexts(name string) ([]string, error) {
	return db.texts("SELECT json FROM variants WHERE variant=? ORDER BY digest", name)
}

// Variants lists the variants that have trials.
func (db *DB) Variants() ([]string, error) {
	return db.texts("SELECT DISTINCT variant FROM trials ORDER BY 1")
}

// Digest is the digest of a trial; "" when it is not recorded.
func (db *DB) Digest(trialID string) (string, error) {
	found, err := db.texts("SELECT digest FROM trials WHERE trial_id=?", trialID)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

// texts reads a column of texts.
func (db *DB) texts(query string, args ...any) ([]string, error) {
	rows, err := db.sql.QueryContext(db.ctx, query, args...)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, db.explain(err)
		}
		out = append(out, v)
	}
	return out, db.explain(rows.Err())
}

// errNoTrial is what Trial returns when nothing fits.
var errNoTrial = errors.New("no such trial")

// Trial reads a trial with all its rows. It is named by its id, the beginning of
// it, or SCENARIO/INDEX or SCENARIO/VARIANT/INDEX.
func (db *DB) Trial(name string) (*record.Trial, error) {
	where, args := "trial_id LIKE ? || '%'", []any{name}
	if parts := strings.Split(name, "/"); len(parts) > 1 {
		where, args = "scenario=? AND trial_index=?", []any{parts[0], parts[len(parts)-1]}
		if len(parts) > 2 {
			where += " AND variant=?"
			args = append(args, strings.Join(parts[1:len(parts)-1], "/"))
		}
	}
	found, err := db.ownRows(where+" ORDER BY variant<>'default', variant, trial_id LIMIT 2", args...)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf(
			"%w as %q in %s; name a trial_id, or SCENARIO/INDEX such as ransomware/3",
			errNoTrial,
			name,
			db.path,
		)
	}
	if len(found) > 1 && !strings.Contains(name, "/") && found[0].TrialID != name {
		return nil, fmt.Errorf("%q is the beginning of several trial ids in %s; give more of it", name, db.path)
	}
	t := &found[0]
	return t, db.details(t)
}

// ownRows reads the rows of trials that fit.
func (db *DB) ownRows(where string, args ...any) ([]record.Trial, error) {
	rows, err := db.sql.QueryContext(db.ctx, "SELECT "+trialNames+" FROM trials WHERE "+where, args...)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	var found []record.Trial
	for rows.Next() {
		var t record.Trial
		if err := rows.Scan(targets(record.TrialColumns, &t)...); err != nil {
			return nil, db.explain(err)
		}
		found = append(found, t)
	}
	return found, db.explain(rows.Err())
}

// details reads the rows below a trial.
func (db *DB) details(t *record.Trial) error {
	for _, table := range detailTables {
		if err := db.readTable(table, t); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) readTable(table table, t *record.Trial) error {
	rows, err := db.sql.QueryContext(
		db.ctx,
		"SELECT "+columnNames(table.columns())+" FROM "+table.title()+" WHERE trial_id=? ORDER BY "+table.order(),
		t.TrialID,
	)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := table.read(rows, t); err != nil {
			return db.explain(fmt.Errorf("trial %s, %s: %w", t.TrialID, table.title(), err))
		}
	}
	return db.explain(rows.Err())
}

// IsNoTrial tells whether an error says that no trial of a name is in the database.
func IsNoTrial(err error) bool { return errors.Is(err, errNoTrial) }
