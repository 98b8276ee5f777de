-- +goose Up
CREATE TABLE documents (kind TEXT NOT NULL, created_at TEXT NOT NULL, title TEXT NOT NULL, json TEXT NOT NULL);
CREATE INDEX documents_by_kind ON documents (kind, created_at);
-- +goose Down
DROP TABLE documents;
