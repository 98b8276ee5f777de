package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/reports/store"
	"hemostat/sim/record"
)

var built struct {
	once sync.Once
	path string
	err  error
}

// binary builds the program once, as a user would.
// endsWithTest has a command killed when the test's process ends, however it ends.
var endsWithTest = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "hemostat")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "hemostat")
		out, err := exec.Command("go", "build", "-o", built.path, ".").CombinedOutput()
		if err != nil {
			built.err = err
			t.Log(string(out))
		}
	})
	require.NoError(t, built.err)
	return built.path
}

func digests(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := store.Open(context.Background(), path)
	require.NoError(t, err)
	defer db.Close()
	got := map[string]string{}
	require.NoError(t, db.Trials(store.Filter{}, func(r *record.Trial) error { got[r.TrialID] = r.Digest; return nil }))
	return got
}

// begun starts a run and waits until it has recorded a trial.
func begun(t *testing.T, db string) *exec.Cmd {
	t.Helper()
	c := exec.Command(binary(t), "run", "ssh-brute-force", "--trials", "400", "--db", db)
	require.NoError(t, c.Start())
	require.Eventually(t, func() bool {
		d, err := store.Open(context.Background(), db)
		if err != nil {
			return false
		}
		defer d.Close()
		done, err := d.Recorded("")
		return err == nil && len(done) > 0
	}, time.Minute, 20*time.Millisecond)
	return c
}

func TestAKilledRunResumesToTheSameTrials(t *testing.T) {
	dir := t.TempDir()
	killed, whole := filepath.Join(dir, "killed.db"), filepath.Join(dir, "whole.db")
	c := begun(t, killed)
	require.NoError(t, c.Process.Kill())
	require.Error(t, c.Wait())
	before := digests(t, killed)
	require.NotEmpty(t, before)
	trials := []string{"run", "ssh-brute-force", "--trials", "24"}
	out, err := exec.Command(binary(t), append(trials, "--db", killed, "--resume")...).CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command(binary(t), append(trials, "--db", whole, "--parallel", "1")...).CombinedOutput()
	require.NoError(t, err, string(out))
	want, got := digests(t, whole), digests(t, killed)
	require.Len(t, want, 24)
	for id, digest := range want {
		require.Equal(t, digest, got[id])
	}
}

func TestInterruptEndsCleanly(t *testing.T) {
	db := filepath.Join(t.TempDir(), "x.db")
	c := exec.Command(binary(t), "run", "--trials", "400", "--db", db)
	var errOut bytes.Buffer
	c.Stderr = &errOut
	require.NoError(t, c.Start())
	require.Eventually(t, func() bool { _, err := os.Stat(db + "-wal"); return err == nil }, time.Minute, 10*time.Millisecond)
	require.NoError(t, c.Process.Signal(syscall.SIGINT))
	_ = c.Wait()
	require.Equal(t, exitInterrupted, c.ProcessState.ExitCode(), errOut.String())
	require.Contains(t, errOut.String(), "--resume goes on")
	for _, digest := range digests(t, db) {
		require.NotEmpty(t, digest)
	}
	_, err := os.Stat(db + "-wal")
	require.ErrorIs(t, err, os.ErrNotExist, "the database is closed properly")
}
