package store

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"hemostat/sim/record"
)

func TestNamesUnderWhichNothingWouldBeKeptAreRefused(t *testing.T) {
	for _, name := range []string{"", " ", ":memory:", "file:x.db"} {
		for _, open := range []func(context.Context, string) (*DB, error){Open, Create} {
			_, err := open(context.Background(), name)
			require.Error(t, err, "%q", name)
		}
	}
}

func TestSeveralProcessesMayMakeOneDatabase(t *testing.T) {
	for range 2 {
		path := filepath.Join(t.TempDir(), "x.db")
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				db, err := Create(context.Background(), path)
				if err == nil {
					err = db.Close()
				}
				errs[i] = err
			})
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
	}
}

func TestADatabaseThatIsRemovedOrReplacedIsNoticed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	db := begin(t, path)
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	require.NoError(t, db.Put(Identity{Run: "r1"}, sample(1)))
	require.NoError(t, os.Rename(path, filepath.Join(dir, "y.db")))
	require.ErrorContains(t, db.Put(Identity{Run: "r1"}, sample(2)), "was removed or replaced")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.ErrorContains(t, db.Finish("r1", "done"), "was removed or replaced")
}

func TestALockOfAnotherProgramIsToldAsThat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := begin(t, path)
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	other := begin(t, path)
	tx, err := other.sql.Begin() // immediate
	require.NoError(t, err)
	_, err = db.sql.Exec("PRAGMA busy_timeout=1")
	require.NoError(t, err)
	err = db.Put(Identity{Run: "r1"}, sample(1))
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "another program holds it")
	require.NoError(t, tx.Rollback())
	require.NoError(t, db.Put(Identity{Run: "r1"}, sample(1)))
}

func TestAFullDiskIsToldAsThat(t *testing.T) {
	db := begin(t, filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	_, err := db.sql.Exec("PRAGMA max_page_count=1")
	require.NoError(t, err)
	big := sample(1)
	for i := range 5000 {
		big.Alerts = append(big.Alerts, record.Alert{Alert: i + 10, Title: "an alert of ordinary length, again and again"})
	}
	err = db.Put(Identity{Run: "r1"}, big)
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "the disk is full")
}

func TestReadersNeedNoRightToWrite(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("permissions do not bind root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	db := begin(t, path)
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	require.NoError(t, db.Put(Identity{Run: "r1"}, sample(1)))
	require.NoError(t, db.Close())
	require.NoError(t, os.Chmod(path, 0o400))
	require.NoError(t, os.Chmod(dir, 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o700)) })
	reader, err := Open(context.Background(), path)
	require.NoError(t, err)
	defer reader.Close()
	_, err = reader.Trial("s/1")
	require.NoError(t, err)
}

func TestAReaderChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := begin(t, path)
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	require.NoError(t, db.Close())
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	reader, err := Open(context.Background(), path)
	require.NoError(t, err)
	_, err = reader.sql.Exec("DELETE FROM runs")
	require.ErrorContains(t, err, "readonly")
	require.NoError(t, reader.Close())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestEveryChangedRowIsFoundByItsDigest(t *testing.T) {
	changes := []string{
		"UPDATE trials SET score=score+1", "UPDATE trials SET time_to_detect=NULL", "UPDATE trials SET error='x'",
		"UPDATE attacks SET progress=0.25", "UPDATE steps SET succeeded=0", "UPDATE alerts SET confidence=0.5", "UPDATE alerts SET evidence='[1,3]'", "UPDATE alerts SET evidence='no JSON'",
		"UPDATE approvals SET justified=0", "UPDATE actions SET on_benign=0", "UPDATE actions SET run='text'", "UPDATE stages SET ended=NULL", "UPDATE audit SET hash='cd'",
		"DELETE FROM alerts", "DELETE FROM stages", "INSERT INTO stages (trial_id,incident,stage,started) SELECT trial_id, 2, 'x', 0 FROM trials",
	}
	for _, change := range changes {
		path := filepath.Join(t.TempDir(), "x.db")
		db := begin(t, path)
		require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
		require.NoError(t, db.Put(Identity{Run: "r1"}, sample(1)))
		faults := func() (all []string) {
			require.NoError(t, db.Verify(Filter{}, func(_ *record.Trial, fault string) error { all = append(all, fault); return nil }), change)
			return all
		}
		require.Equal(t, []string{""}, faults())
		_, err := db.sql.Exec(change)
		require.NoError(t, err)
		require.Len(t, faults(), 1)
		require.NotEmpty(t, faults()[0], change)
	}
}

func TestAColumnThatIsNewToAFileIsAdded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db := begin(t, path)
	require.NoError(t, db.Begin(Run{ID: "r1"}, nil, nil))
	require.NoError(t, db.Put(Identity{Run: "r1"}, sample(1)))
	_, err := db.sql.Exec("ALTER TABLE trials DROP COLUMN bytes_lost")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = Open(context.Background(), path)
	require.ErrorContains(t, err, "it lacks trials.bytes_lost")
	db = begin(t, path)
	got, err := db.Trial("s/1")
	require.NoError(t, err)
	require.Zero(t, got.BytesLost)

	_, err = db.sql.Exec("ALTER TABLE trials DROP COLUMN harm")
	require.NoError(t, err)
	_, err = db.sql.Exec("ALTER TABLE trials ADD COLUMN harm TEXT")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = Create(context.Background(), path)
	require.ErrorContains(t, err, "column trials.harm has the type TEXT")
}
