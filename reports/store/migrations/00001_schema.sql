-- +goose Up
CREATE TABLE runs (
  run_id TEXT PRIMARY KEY, created_at TEXT NOT NULL, tool_version TEXT NOT NULL, git_commit TEXT NOT NULL, architecture TEXT NOT NULL,
  seed INTEGER NOT NULL, plan_digest TEXT NOT NULL, status TEXT NOT NULL);
CREATE TABLE scenarios (scenario TEXT NOT NULL, digest TEXT NOT NULL, yaml TEXT NOT NULL, PRIMARY KEY (scenario, digest));
CREATE TABLE variants (variant TEXT NOT NULL, digest TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (variant, digest));
CREATE TABLE trials (
  trial_id TEXT PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs(run_id), scenario TEXT NOT NULL, variant TEXT NOT NULL, trial_index INTEGER NOT NULL,
  seed INTEGER NOT NULL, scenario_digest TEXT NOT NULL, variant_digest TEXT NOT NULL,
  status TEXT NOT NULL, error TEXT NOT NULL, outcome TEXT NOT NULL,
  detected INTEGER NOT NULL, responded INTEGER NOT NULL, contained INTEGER NOT NULL, objective_reached INTEGER NOT NULL,
  time_to_detect INTEGER, time_to_enrich INTEGER, time_to_respond INTEGER, time_to_contain INTEGER, time_to_objective INTEGER, time_to_restore INTEGER,
  horizon INTEGER NOT NULL, events_total INTEGER NOT NULL, events_malicious INTEGER NOT NULL, events_lost INTEGER NOT NULL, events_queue_dropped INTEGER NOT NULL,
  alerts_total INTEGER NOT NULL, alerts_false INTEGER NOT NULL, actions_total INTEGER NOT NULL, actions_on_benign INTEGER NOT NULL,
  collateral_user_seconds REAL NOT NULL, approvals_asked INTEGER NOT NULL, approval_wait INTEGER, coherence REAL NOT NULL, score REAL NOT NULL, digest TEXT NOT NULL);
CREATE INDEX trials_by_variant ON trials (variant, scenario, trial_index);
CREATE TABLE attacks (
  trial_id TEXT NOT NULL, attack INTEGER NOT NULL, name TEXT NOT NULL, outcome TEXT NOT NULL, started INTEGER, first_event INTEGER, ingested INTEGER, detected INTEGER,
  enriched INTEGER, playbook_started INTEGER, approval_asked INTEGER, approval_given INTEGER, first_action INTEGER, contained INTEGER, objective_reached INTEGER,
  restored INTEGER, ended INTEGER, end_reason TEXT NOT NULL, progress REAL NOT NULL, PRIMARY KEY (trial_id, attack)) WITHOUT ROWID;
CREATE TABLE steps (
  trial_id TEXT NOT NULL, attack INTEGER NOT NULL, step INTEGER NOT NULL, technique TEXT NOT NULL, name TEXT NOT NULL, tactic TEXT NOT NULL, tool TEXT NOT NULL,
  host TEXT NOT NULL, target TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, succeeded INTEGER NOT NULL, reason TEXT NOT NULL, why TEXT NOT NULL,
  blocked_by INTEGER NOT NULL, detected_at INTEGER, PRIMARY KEY (trial_id, attack, step)) WITHOUT ROWID;
CREATE TABLE alerts (
  trial_id TEXT NOT NULL, alert INTEGER NOT NULL, time INTEGER NOT NULL, event_time INTEGER NOT NULL, detector TEXT NOT NULL, rule_id TEXT NOT NULL, title TEXT NOT NULL,
  technique TEXT NOT NULL, severity TEXT NOT NULL, confidence REAL NOT NULL, host TEXT NOT NULL, user TEXT NOT NULL, source_ip TEXT NOT NULL, evidence TEXT NOT NULL,
  incident INTEGER NOT NULL, attack INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (trial_id, alert)) WITHOUT ROWID;
CREATE TABLE approvals (
  trial_id TEXT NOT NULL, approval INTEGER NOT NULL, incident INTEGER NOT NULL, playbook TEXT NOT NULL, step TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
  asked INTEGER NOT NULL, answered INTEGER, closed INTEGER, outcome TEXT NOT NULL, approver TEXT NOT NULL, justified INTEGER NOT NULL, waited_seconds REAL NOT NULL, PRIMARY KEY (trial_id, approval)) WITHOUT ROWID;
CREATE TABLE actions (
  trial_id TEXT NOT NULL, action INTEGER NOT NULL, incident INTEGER NOT NULL, playbook TEXT NOT NULL, step TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL,
  status TEXT NOT NULL, detail TEXT NOT NULL, requested INTEGER NOT NULL, started INTEGER, ended INTEGER, undone INTEGER, attempts INTEGER NOT NULL, on_benign INTEGER NOT NULL,
  PRIMARY KEY (trial_id, action)) WITHOUT ROWID;
CREATE TABLE stages (trial_id TEXT NOT NULL, incident INTEGER NOT NULL, stage TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER);
CREATE INDEX stages_by_trial ON stages (trial_id);
CREATE TABLE audit (trial_id TEXT NOT NULL, line INTEGER NOT NULL, time INTEGER NOT NULL, incident INTEGER NOT NULL, playbook TEXT NOT NULL, step TEXT NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (trial_id, line)) WITHOUT ROWID;
CREATE TABLE cost (trial_id TEXT NOT NULL, wall_ns INTEGER NOT NULL, detector TEXT NOT NULL, wall_ns_detector INTEGER NOT NULL);
CREATE INDEX cost_by_trial ON cost (trial_id);
CREATE TABLE events (trial_id TEXT NOT NULL, event_id INTEGER NOT NULL, time INTEGER NOT NULL, observed INTEGER NOT NULL, attack INTEGER NOT NULL, step INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (trial_id, event_id)) WITHOUT ROWID;
-- +goose Down
DROP TABLE runs;
