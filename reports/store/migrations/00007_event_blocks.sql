-- +goose Up
CREATE TABLE event_blocks (trial_id TEXT NOT NULL, block INTEGER NOT NULL, events INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (trial_id, block));
-- +goose Down
DROP TABLE event_blocks;
