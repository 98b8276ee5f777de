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
 events_queue_dropped, alerts_total, alerts_false, actions_total, actions_on_benign, collateral_user_seconds, approvals_asked, approval_wait, coherence, score, digest`

func scanTrial(rows *sql.Rows) (record.Trial, error) {
	var t record.Trial
	err := rows.Scan(&t.TrialID, &t.Scenario, &t.Variant, &t.Index, &t.Status, &t.Error, &t.Outcome, &t.Detected, &t.Responded, &t.Contained, &t.ObjectiveReached,
		&t.TimeToDetect, &t.TimeToEnrich, &t.TimeToRespond, &t.TimeToContain, &t.TimeToObjective, &t.TimeToRestore, &t.Horizon, &t.EventsTotal, &t.EventsMalicious, &t.EventsLost,
		&t.EventsQueueDropped, &t.AlertsTotal, &t.AlertsFalse, &t.ActionsTotal, &t.ActionsOnBenign, &t.CollateralSeconds, &t.ApprovalsAsked, &t.ApprovalWait, &t.Coherence, &t.Score, &t.Digest)
	return t, err
}

// Filter selects trials; an empty field selects all.
type Filter struct {
	Variant, Scenario, Run        string
	ScenarioDigest, VariantDigest string
	Seed                          *uint64
}

// Trials calls f for each trial's own row, ordered by scenario, variant and
// index.
func (db *DB) Trials(filter Filter, f func(*record.Trial) error) error {
	where, args := "1=1", []any{}
	if filter.Seed != nil {
		where += " AND seed=?"
		args = append(args, int64(*filter.Seed))
	}
	for column, value := range map[string]string{"variant": filter.Variant, "scenario": filter.Scenario, "run_id": filter.Run,
		"scenario_digest": filter.ScenarioDigest, "variant_digest": filter.VariantDigest} {
		if value != "" {
			where += " AND " + column + "=?"
			args = append(args, value)
		}
	}
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

// Variants lists the variants that have trials.
func (db *DB) Variants() ([]string, error) {
	rows, err := db.sql.Query("SELECT DISTINCT variant FROM trials ORDER BY 1")
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
		read("SELECT approval,incident,playbook,step,action,target,asked,answered,closed,outcome,approver,justified,waited_seconds FROM approvals WHERE trial_id=? ORDER BY approval", func(r *sql.Rows) error {
			var a record.Approval
			err := r.Scan(&a.Approval, &a.Incident, &a.Playbook, &a.Step, &a.Action, &a.Target, &a.Asked, &a.Answered, &a.Closed, &a.Outcome, &a.Approver, &a.Just, &a.Waited)
			t.Approvals = append(t.Approvals, a)
			return err
		}),
		read("SELECT action,incident,playbook,step,kind,target,status,detail,requested,started,ended,undone,attempts,on_benign FROM actions WHERE trial_id=? ORDER BY action", func(r *sql.Rows) error {
			var a record.Action
			err := r.Scan(&a.Action, &a.Incident, &a.Playbook, &a.Step, &a.Kind, &a.Target, &a.Status, &a.Detail, &a.Asked, &a.Started, &a.Ended, &a.Undone, &a.Attempts, &a.OnBenign)
			t.Actions = append(t.Actions, a)
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
