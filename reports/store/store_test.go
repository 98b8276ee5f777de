package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/event"
	"hemostat/sim/record"
)

func sample(index int) *record.Trial {
	at := int64(5)
	e := &event.Event{ID: uint64(index + 1), Host: "H"}
	e.Set(event.Image, "x")
	t := &record.Trial{TrialID: fmt.Sprintf("%016x", index), Scenario: "s", Variant: "v", Index: index, Status: "ok", Outcome: "contained", Detected: true, TimeToDetect: &at, Horizon: 100, CollateralSeconds: 1.5,
		Attacks:   []record.Attack{{Attack: 1, Name: "a", Outcome: "contained", Started: &at, Progress: 0.5}},
		Steps:     []record.Step{{Attack: 1, Step: 0, Technique: "T1078", Succeeded: true, Why: "it begins", Detected: &at}},
		Alerts:    []record.Alert{{Alert: 1, Time: 5, Title: "t", Evidence: []uint64{1, 2}, Attack: 1}},
		Approvals: []record.Approval{{Approval: 1, Outcome: "approved", Answered: &at, Closed: &at, Just: true}},
		Actions:   []record.Action{{Action: 1, Kind: "block_ip", Status: "succeeded", Started: &at, OnBenign: true}},
		Stages:    []record.Stage{{Incident: 1, Stage: "fusion", Started: 1, Ended: &at}},
		Audit:     []record.AuditEntry{{What: "x", Hash: "ab", Line: "{}"}},
		Cost:      []record.Cost{{WallNS: 1}},
		Events:    []record.StoredEvent{{Event: e, Attack: 1}}}
	if err := t.Seal(); err != nil {
		panic(err)
	}
	return t
}

func begin(t testing.TB, path string) *DB {
	t.Helper()
	db, err := Create(context.Background(), path)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func TestATrialComesBackAsItWentIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := begin(t, path)
	require.NoError(t, db.Begin(Run{ID: "r1", Seed: 1 << 63}, []Named{{"s", "d", "yaml"}}, []Named{{"v", "d", "{}"}}))
	want := sample(3)
	require.NoError(t, db.Put(Identity{Run: "r1"}, want))
	got, err := db.Trial("s/3")
	require.NoError(t, err)
	want.Cost, want.Events = nil, nil
	require.Equal(t, want, got)
	require.NoError(t, db.Finish("r1", "done"))

	// Recording twice changes nothing.
	other := sample(3)
	other.Outcome = "changed"
	require.NoError(t, db.Put(Identity{Run: "r1"}, other))
	again, err := db.Trial(want.TrialID)
	require.NoError(t, err)
	require.Equal(t, got, again)
	_, err = db.Trial("s/99")
	require.ErrorIs(t, err, errNoTrial)
	done, err := db.Recorded("")
	require.NoError(t, err)
	require.Equal(t, map[string]bool{want.TrialID: true}, done)
}

func TestAnErrorIsReplacedByALaterResult(t *testing.T) {
	db := begin(t, filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	bad := &record.Trial{TrialID: sample(1).TrialID, Scenario: "s", Variant: "v", Index: 1, Status: "error", Error: "boom"}
	require.NoError(t, db.Put(Identity{Run: "r1"}, bad))
	done, err := db.Recorded("")
	require.NoError(t, err)
	require.Empty(t, done)
	require.NoError(t, db.Put(Identity{Run: "r1"}, sample(1)))
	got, err := db.Trial("s/1")
	require.NoError(t, err)
	require.Equal(t, "ok", got.Status)
}

func TestATrialIsRecordedWholeOrNotAtAll(t *testing.T) {
	db := begin(t, filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	broken := sample(1)
	broken.Steps = append(broken.Steps, broken.Steps[0]) // the same key twice
	require.Error(t, db.Put(Identity{Run: "r1"}, broken))
	_, err := db.Trial("s/1")
	require.ErrorIs(t, err, errNoTrial)
	require.Error(t, db.Put(Identity{Run: "no such run"}, sample(2)), "a trial belongs to a run")
}

func TestManyRowsGoThroughTheBatches(t *testing.T) {
	db := begin(t, filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	want := sample(1)
	want.Alerts = nil
	for i := range 2*rowsPerStatement + 7 {
		want.Alerts = append(want.Alerts, record.Alert{Alert: i, Title: fmt.Sprint(i)})
	}
	require.NoError(t, db.Put(Identity{Run: "r1"}, want))
	got, err := db.Trial("s/1")
	require.NoError(t, err)
	require.Len(t, got.Alerts, len(want.Alerts))
	require.Equal(t, "206", got.Alerts[206].Title)
}

func TestFilesThatAreNoDatabaseOfOursAreExplained(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o644))
		return path
	}
	both := func(path, want string) {
		t.Helper()
		for _, open := range []func(context.Context, string) (*DB, error){Open, Create} {
			_, err := open(context.Background(), path)
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, path)
		}
	}
	both(file("junk.db", []byte("this is no database, whatever its name may say; it is only text that is long enough")), "is no SQLite database")
	_, err := Open(context.Background(), filepath.Join(dir, "none.db"))
	require.ErrorContains(t, err, "does not exist")
	_, err = Open(context.Background(), dir)
	require.ErrorContains(t, err, "is a folder")
	_, err = Open(context.Background(), file("empty.db", nil))
	require.ErrorContains(t, err, "is empty")
	_, err = Create(context.Background(), filepath.Join(dir, "no", "such", "x.db"))
	require.ErrorContains(t, err, "cannot be opened")
	_, err = Create(context.Background(), filepath.Join(dir, "a?b.db"))
	require.ErrorContains(t, err, "are not accepted")

	foreign := filepath.Join(dir, "foreign.db")
	handle, err := sql.Open("sqlite3", foreign)
	require.NoError(t, err)
	_, err = handle.Exec("CREATE TABLE mine (x)")
	require.NoError(t, err)
	require.NoError(t, handle.Close())
	both(foreign, "was not made by hemostat")

	newer := filepath.Join(dir, "newer.db")
	db := begin(t, newer)
	_, err = db.sql.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	both(newer, "was written by a newer version of hemostat (schema 99")

	whole := filepath.Join(dir, "whole.db")
	db = begin(t, whole)
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	for i := range 200 {
		require.NoError(t, db.Put(Identity{Run: "r1"}, sample(i)))
	}
	require.NoError(t, db.Close())
	data, err := os.ReadFile(whole)
	require.NoError(t, err)
	half, err := Open(context.Background(), file("half.db", data[:len(data)/2]))
	if err == nil {
		err = half.Trials(Filter{}, func(*record.Trial) error { return nil })
		require.NoError(t, half.Close())
	}
	require.ErrorContains(t, err, "is damaged")
}

func BenchmarkPut(b *testing.B) {
	db := begin(b, filepath.Join(b.TempDir(), "x.db"))
	require.NoError(b, db.Begin(Run{ID: "r1"}, nil, nil))
	rows := 0
	for i := range b.N {
		t := sample(i)
		t.Events = nil
		t.Alerts = t.Alerts[:0]
		for n := range 60 {
			t.Alerts = append(t.Alerts, record.Alert{Alert: n, Title: "an alert of ordinary length", Evidence: []uint64{uint64(n)}})
		}
		t.Audit = make([]record.AuditEntry, 120)
		rows += 60 + 120 + 8
		require.NoError(b, db.Put(Identity{Run: "r1"}, t))
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
