package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hemostat/sim/record"
)

const trialColumns = `trial_id, scenario, variant, trial_index, status, error, outcome, detected, responded, contained, objective_reached,
 time_to_detect, time_to_enrich, time_to_respond, time_to_contain, time_to_objective, time_to_restore, horizon, events_total, events_malicious, events_lost,
 events_queue_dropped, alerts_total, alerts_false, actions_total, actions_on_benign, collateral_user_seconds, approvals_asked, approval_wait, coherence, score, digest, harm, disruption, operations, stake, bytes_lost`

func scanTrial(rows *sql.Rows) (record.Trial, error) {
	var t record.Trial
	err := rows.Scan(&t.TrialID, &t.Scenario, &t.Variant, &t.Index, &t.Status, &t.Error, &t.Outcome, &t.Detected, &t.Responded, &t.Contained, &t.ObjectiveReached,
		&t.TimeToDetect, &t.TimeToEnrich, &t.TimeToRespond, &t.TimeToContain, &t.TimeToObjective, &t.TimeToRestore, &t.Horizon, &t.EventsTotal, &t.EventsMalicious, &t.EventsLost,
		&t.EventsQueueDropped, &t.AlertsTotal, &t.AlertsFalse, &t.ActionsTotal, &t.ActionsOnBenign, &t.CollateralSeconds, &t.ApprovalsAsked, &t.ApprovalWait, &t.Coherence, &t.Score, &t.Digest,
		&t.Harm, &t.Disruption, &t.Operations, &t.Stake, &t.BytesLost)
	return t, err
}

// Filter selects trials; an empty field selects all.
type Filter struct {
	Variant, Scenario, Run        string
	ScenarioDigest, VariantDigest string
	Seed                          *uint64
}

// where is the filter as a condition of SQL with its arguments.
func (f Filter) where() (string, []any) {
	where, args := "1=1", []any{}
	if f.Seed != nil {
		where += " AND seed=?"
		args = append(args, int64(*f.Seed))
	}
	for column, value := range map[string]string{"variant": f.Variant, "scenario": f.Scenario, "run_id": f.Run,
		"scenario_digest": f.ScenarioDigest, "variant_digest": f.VariantDigest} {
		if value != "" {
			where += " AND " + column + "=?"
			args = append(args, value)
		}
	}
	return where, args
}

// Trials calls f for each trial's own row, ordered by scenario, variant and
// index.
func (db *DB) Trials(filter Filter, f func(*record.Trial) error) error {
	where, args := filter.where()
	rows, err := db.sql.Query("SELECT "+trialColumns+" FROM trials WHERE "+where+" ORDER BY scenario, variant, trial_index, trial_id", args...)
	if err != nil {
		return db.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		t, err := scanTrial(rows)
		if err != nil {
			return db.wrap(err)
		}
		if err := f(&t); err != nil {
			return err
		}
	}
	return db.wrap(rows.Err())
}

// Outcome is what a comparison needs to know of a trial: its row without what
// only tells the story, and what its id was made from.
type Outcome struct {
	record.Trial
	Seed                          uint64
	ScenarioDigest, VariantDigest string
}

const outcomeColumns = `trial_id, scenario, variant, trial_index, seed, scenario_digest, variant_digest, status, outcome, detected, contained, objective_reached,
 time_to_detect, time_to_respond, time_to_contain, time_to_objective, horizon, events_total, events_malicious, alerts_false, actions_on_benign,
 collateral_user_seconds, approvals_asked, approval_wait, coherence, score, harm, disruption, operations, bytes_lost`

// Outcomes calls f for each trial's outcome, ordered by scenario, seed and index.
// The outcome is valid until f returns.
func (db *DB) Outcomes(filter Filter, f func(*Outcome) error) error {
	where, args := filter.where()
	rows, err := db.sql.Query("SELECT "+outcomeColumns+" FROM trials WHERE "+where+" ORDER BY scenario, seed, trial_index, trial_id", args...)
	if err != nil {
		return db.wrap(err)
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
	for rows.Next() {
		var o Outcome
		var seed int64
		t := &o.Trial
		if err := rows.Scan(&t.TrialID, &t.Scenario, &t.Variant, &t.Index, &seed, &o.ScenarioDigest, &o.VariantDigest, &t.Status, &t.Outcome, &t.Detected, &t.Contained, &t.ObjectiveReached,
			&t.TimeToDetect, &t.TimeToRespond, &t.TimeToContain, &t.TimeToObjective, &t.Horizon, &t.EventsTotal, &t.EventsMalicious, &t.AlertsFalse, &t.ActionsOnBenign,
			&t.CollateralSeconds, &t.ApprovalsAsked, &t.ApprovalWait, &t.Coherence, &t.Score,
			&t.Harm, &t.Disruption, &t.Operations, &t.BytesLost); err != nil {
			return db.wrap(fmt.Errorf("trial %s: %w", t.TrialID, err))
		}
		o.Seed = uint64(seed)
		one(&t.Scenario)
		one(&o.ScenarioDigest)
		if err := f(&o); err != nil {
			return err
		}
	}
	return db.wrap(rows.Err())
}

// Count is the number of trials that fit.
func (db *DB) Count(filter Filter) (int, error) {
	where, args := filter.where()
	n := 0
	err := db.sql.QueryRow("SELECT count(*) FROM trials WHERE "+where, args...).Scan(&n)
	return n, db.wrap(err)
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
// and whether its first use was noticed: later uses depend on what the response did
// in between. Only every n-th index is looked at. A trial without any yields one
// tally of nothing.
func (db *DB) TechniqueTallies(filter Filter, every int, f func(Tally)) error {
	// SQLite takes the columns beside min() from the row that has the minimum.
	return db.tallies("technique, count(d.trial_id)>0, detected_at IS NOT NULL, min(started)", "steps d ON d.trial_id=t.trial_id AND d.ended>d.started", filter, every, f)
}

// DetectorTallies calls f with the alerts of each detector in each trial, and how
// many of them were true.
func (db *DB) DetectorTallies(filter Filter, every int, f func(Tally)) error {
	return db.tallies("detector, count(d.trial_id), coalesce(sum(attack<>0),0), 0", "alerts d ON d.trial_id=t.trial_id", filter, every, f)
}

// tallies reads what, the name first, from the rows joined to each trial.
func (db *DB) tallies(what, joined string, filter Filter, every int, f func(Tally)) error {
	where, args := filter.where()
	rows, err := db.sql.Query(`SELECT scenario, seed, trial_index, `+what+`
 FROM (SELECT trial_id, scenario, seed, trial_index FROM trials WHERE status='ok' AND `+where+` AND trial_index % ? = 0) t
 LEFT JOIN `+joined+` GROUP BY t.trial_id, 4`, append(args, max(1, every))...)
	if err != nil {
		return db.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var t Tally
		var seed int64
		var name sql.NullString
		var first any
		if err := rows.Scan(&t.Scenario, &seed, &t.Index, &name, &t.All, &t.Hits, &first); err != nil {
			return db.wrap(err)
		}
		t.Seed, t.Name = uint64(seed), name.String
		f(t)
	}
	return db.wrap(rows.Err())
}

// Engines lists the versions of the program that made the trials that fit.
func (db *DB) Engines(filter Filter) ([]string, error) {
	where, args := filter.where()
	return db.texts("SELECT DISTINCT r.tool_version||' '||r.git_commit||' '||r.architecture FROM (SELECT DISTINCT run_id FROM trials WHERE "+where+") JOIN runs r USING (run_id) ORDER BY 1", args...)
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

// VariantTexts are the recorded texts of a variant, one for each state of it.
func (db *DB) VariantTexts(name string) ([]string, error) {
	return db.texts("SELECT json FROM variants WHERE variant=? ORDER BY digest", name)
}

// Variants lists the variants that have trials.
func (db *DB) Variants() ([]string, error) {
	return db.texts("SELECT DISTINCT variant FROM trials ORDER BY 1")
}

// texts reads a column of texts.
func (db *DB) texts(query string, args ...any) ([]string, error) {
	rows, err := db.sql.Query(query, args...)
	if err != nil {
		return nil, db.wrap(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, db.wrap(err)
		}
		out = append(out, v)
	}
	return out, db.wrap(rows.Err())
}

// KeptEvent is an event that was kept, with what caused it in truth.
type KeptEvent struct {
	JSON         string
	Attack, Step int
}

// Events calls f for each event of a trial that was kept, in the order in which
// sensors delivered them.
func (db *DB) Events(trialID string, f func(KeptEvent) error) error {
	rows, err := db.sql.Query("SELECT json, attack, step FROM events WHERE trial_id=? ORDER BY observed, event_id", trialID)
	if err != nil {
		return db.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e KeptEvent
		if err := rows.Scan(&e.JSON, &e.Attack, &e.Step); err != nil {
			return db.wrap(err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return db.wrap(rows.Err())
}

// ErrNoTrial is what Trial returns when nothing fits.
var ErrNoTrial = errors.New("no such trial")

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
	rows, err := db.sql.Query("SELECT "+trialColumns+" FROM trials WHERE "+where+" ORDER BY variant<>'default', variant, trial_id LIMIT 2", args...)
	if err != nil {
		return nil, db.wrap(err)
	}
	var found []record.Trial
	for rows.Next() {
		t, err := scanTrial(rows)
		if err != nil {
			rows.Close()
			return nil, db.wrap(err)
		}
		found = append(found, t)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, db.wrap(err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w as %q in %s; name a trial_id, or SCENARIO/INDEX such as ransomware/3", ErrNoTrial, name, db.path)
	}
	if len(found) > 1 && !strings.Contains(name, "/") && found[0].TrialID != name {
		return nil, fmt.Errorf("%q is the beginning of several trial ids in %s; give more of it", name, db.path)
	}
	t := &found[0]
	return t, db.details(t)
}

// details reads the rows below a trial.
func (db *DB) details(t *record.Trial) error {
	read := func(query string, scan func(*sql.Rows) error) error {
		rows, err := db.sql.Query(query, t.TrialID)
		if err != nil {
			return db.wrap(err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return db.wrap(err)
			}
		}
		return db.wrap(rows.Err())
	}
	return errors.Join(
		read("SELECT attack,name,outcome,started,first_event,ingested,detected,enriched,playbook_started,approval_asked,approval_given,first_action,contained,objective_reached,restored,ended,end_reason,progress FROM attacks WHERE trial_id=? ORDER BY attack", func(r *sql.Rows) error {
			var a record.Attack
			err := r.Scan(&a.Attack, &a.Name, &a.Outcome, &a.Started, &a.FirstEvent, &a.Ingested, &a.Detected, &a.Enriched, &a.PlaybookStarted, &a.ApprovalAsked, &a.ApprovalGiven, &a.FirstAction, &a.Contained, &a.ObjectiveReached, &a.Restored, &a.Ended, &a.EndReason, &a.Progress)
			t.Attacks = append(t.Attacks, a)
			return err
		}),
		read("SELECT attack,step,technique,name,tactic,tool,host,target,started,ended,succeeded,reason,why,blocked_by,detected_at FROM steps WHERE trial_id=? ORDER BY started,attack,step", func(r *sql.Rows) error {
			var s record.Step
			err := r.Scan(&s.Attack, &s.Step, &s.Technique, &s.Name, &s.Tactic, &s.Tool, &s.Host, &s.Target, &s.Started, &s.Ended, &s.Succeeded, &s.Reason, &s.Why, &s.BlockedBy, &s.Detected)
			t.Steps = append(t.Steps, s)
			return err
		}),
		read("SELECT alert,time,event_time,detector,rule_id,title,technique,severity,confidence,host,user,source_ip,evidence,incident,attack,step FROM alerts WHERE trial_id=? ORDER BY alert", func(r *sql.Rows) error {
			var a record.Alert
			var evidence string
			if err := r.Scan(&a.Alert, &a.Time, &a.EventTime, &a.Detector, &a.RuleID, &a.Title, &a.Technique, &a.Severity, &a.Confidence, &a.Host, &a.User, &a.Source, &evidence, &a.Incident, &a.Attack, &a.Step); err != nil {
				return err
			}
			t.Alerts = append(t.Alerts, a)
			return json.Unmarshal([]byte(evidence), &t.Alerts[len(t.Alerts)-1].Evidence)
		}),
		read("SELECT approval,incident,playbook,step,action,target,asked,answered,closed,outcome,approver,justified,waited_seconds,confidence,disruption_predicted FROM approvals WHERE trial_id=? ORDER BY approval", func(r *sql.Rows) error {
			var a record.Approval
			err := r.Scan(&a.Approval, &a.Incident, &a.Playbook, &a.Step, &a.Action, &a.Target, &a.Asked, &a.Answered, &a.Closed, &a.Outcome, &a.Approver, &a.Just, &a.Waited, &a.Confidence, &a.Predicted)
			t.Approvals = append(t.Approvals, a)
			return err
		}),
		read("SELECT action,incident,playbook,step,kind,target,status,detail,requested,started,ended,undone,attempts,on_benign,disruption_predicted,disruption_realised,run FROM actions WHERE trial_id=? ORDER BY action", func(r *sql.Rows) error {
			var a record.Action
			err := r.Scan(&a.Action, &a.Incident, &a.Playbook, &a.Step, &a.Kind, &a.Target, &a.Status, &a.Detail, &a.Asked, &a.Started, &a.Ended, &a.Undone, &a.Attempts, &a.OnBenign, &a.Predicted, &a.Realised, &a.Run)
			t.Actions = append(t.Actions, a)
			return err
		}),
		read("SELECT time,incident,playbook,step,what,detail,run,status,hash,json FROM audit WHERE trial_id=? ORDER BY line", func(r *sql.Rows) error {
			var a record.AuditEntry
			err := r.Scan(&a.Time, &a.Incident, &a.Playbook, &a.Step, &a.What, &a.Detail, &a.Run, &a.Status, &a.Hash, &a.Line)
			t.Audit = append(t.Audit, a)
			return err
		}),
		read("SELECT incident,stage,started,ended FROM stages WHERE trial_id=? ORDER BY rowid", func(r *sql.Rows) error {
			var s record.Stage
			err := r.Scan(&s.Incident, &s.Stage, &s.Started, &s.Ended)
			t.Stages = append(t.Stages, s)
			return err
		}),
	)
}
