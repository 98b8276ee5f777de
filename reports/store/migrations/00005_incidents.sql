-- +goose Up
CREATE TABLE incidents (trial_id TEXT NOT NULL, incident INTEGER NOT NULL, campaign INTEGER NOT NULL, merged_into INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, alerts INTEGER NOT NULL, severity TEXT NOT NULL, score REAL NOT NULL, linked_to INTEGER NOT NULL, correlation REAL NOT NULL, correlation_parts TEXT NOT NULL, intel_hits INTEGER NOT NULL, missing_sources TEXT NOT NULL, attack INTEGER NOT NULL, root_cause TEXT NOT NULL, critical_path TEXT NOT NULL, cut TEXT NOT NULL, cut_cost REAL NOT NULL, next_hosts TEXT NOT NULL, hosts TEXT NOT NULL, hosts_share REAL NOT NULL, hosts_in_reach INTEGER NOT NULL, share_in_reach REAL NOT NULL, actors TEXT NOT NULL, PRIMARY KEY (trial_id, incident)) WITHOUT ROWID;
CREATE TABLE sightings (trial_id TEXT NOT NULL, alert INTEGER NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL, source TEXT NOT NULL, entry TEXT NOT NULL, confidence REAL NOT NULL, tags TEXT NOT NULL);
CREATE INDEX sightings_by_trial ON sightings (trial_id);
CREATE TABLE entities (trial_id TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, address TEXT NOT NULL, zone TEXT NOT NULL, role TEXT NOT NULL, criticality REAL NOT NULL, privilege TEXT NOT NULL, PRIMARY KEY (trial_id, kind, name)) WITHOUT ROWID;
CREATE TABLE attributions (trial_id TEXT NOT NULL, attack INTEGER NOT NULL, campaign INTEGER NOT NULL, actor TEXT NOT NULL, rank INTEGER NOT NULL, probability REAL NOT NULL, brier REAL NOT NULL, suspects TEXT NOT NULL, PRIMARY KEY (trial_id, attack)) WITHOUT ROWID;
-- +goose Down
DROP TABLE attributions;
DROP TABLE entities;
DROP TABLE sightings;
DROP TABLE incidents;
