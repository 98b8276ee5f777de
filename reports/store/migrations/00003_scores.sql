-- +goose Up
CREATE TABLE scores (trial_id TEXT NOT NULL, detector TEXT NOT NULL, question TEXT NOT NULL, entity TEXT NOT NULL, time INTEGER NOT NULL, event_id INTEGER NOT NULL, score REAL NOT NULL, reported INTEGER NOT NULL, weight REAL NOT NULL, attack INTEGER NOT NULL, step INTEGER NOT NULL);
CREATE INDEX scores_by_trial ON scores (trial_id);
-- +goose Down
DROP TABLE scores;
