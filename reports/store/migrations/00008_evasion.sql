-- +goose Up
ALTER TABLE attacks ADD COLUMN evasion TEXT NOT NULL DEFAULT '';
-- +goose Down
ALTER TABLE attacks DROP COLUMN evasion;
