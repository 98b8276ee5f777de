-- +goose Up
CREATE TABLE verdicts (trial_id TEXT NOT NULL, alert INTEGER NOT NULL, judge TEXT NOT NULL, decision TEXT NOT NULL, confidence REAL NOT NULL, technique TEXT NOT NULL, severity_before TEXT NOT NULL, asked INTEGER NOT NULL, answered INTEGER NOT NULL, why TEXT NOT NULL, requests INTEGER NOT NULL, from_cassette INTEGER NOT NULL, tokens_input INTEGER NOT NULL, tokens_output INTEGER NOT NULL, cost REAL NOT NULL, refused INTEGER NOT NULL, suspicious INTEGER NOT NULL, attack INTEGER NOT NULL, reasons TEXT NOT NULL);
CREATE INDEX verdicts_by_trial ON verdicts (trial_id);
CREATE TABLE accounts (trial_id TEXT NOT NULL, incident INTEGER NOT NULL, sentence INTEGER NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL, alerts TEXT NOT NULL);
CREATE INDEX accounts_by_trial ON accounts (trial_id);
CREATE TABLE predictions (trial_id TEXT NOT NULL, alert INTEGER NOT NULL, incident INTEGER NOT NULL, time INTEGER NOT NULL, attack INTEGER NOT NULL, came TEXT NOT NULL, probability REAL NOT NULL, rank INTEGER NOT NULL, brier REAL NOT NULL, came_host TEXT NOT NULL, host_probability REAL NOT NULL, real_probability REAL NOT NULL, goal TEXT NOT NULL, goal_probability REAL NOT NULL, type_probability REAL NOT NULL, skill_probability REAL NOT NULL, stage_probability REAL NOT NULL, aware REAL NOT NULL, aware_true INTEGER NOT NULL, techniques TEXT NOT NULL, targets TEXT NOT NULL);
CREATE INDEX predictions_by_trial ON predictions (trial_id);
ALTER TABLE runs ADD COLUMN analyst TEXT NOT NULL DEFAULT '';
-- +goose Down
ALTER TABLE runs DROP COLUMN analyst;
DROP TABLE accounts;
DROP TABLE predictions;
DROP TABLE verdicts;
