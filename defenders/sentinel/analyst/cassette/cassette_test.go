package cassette

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"hemostat/defenders/sentinel/analyst/chat"
)

// model answers and counts.
type model struct {
	mu    sync.Mutex
	asked int
	reply chat.Reply
	err   error
}

func (m *model) Ask(context.Context, *chat.Question) (chat.Reply, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	time.Sleep(time.Millisecond)
	return m.reply, m.err
}

func ask(text string) *chat.Question {
	return &chat.Question{Model: "m", Prompt: "1", Messages: []chat.Message{{Role: "user", Text: text}}}
}

func file(t *testing.T) string { return filepath.Join(t.TempDir(), "answers.cassette") }

func record(t *testing.T, path string, m *model, questions ...*chat.Question) {
	c, err := Create(context.Background(), path)
	require.NoError(t, err)
	r := &Record{Cassette: c, Next: m}
	for _, q := range questions {
		_, err := r.Ask(context.Background(), q)
		require.NoError(t, err)
	}
	require.NoError(t, c.Close())
}

func TestWhatWasRecordedIsReplayedAfterTheSameTime(t *testing.T) {
	path := file(t)
	m := &model{reply: chat.Reply{Text: "yes", Latency: 7 * time.Second, Input: 30, Output: 4}}
	record(t, path, m, ask("a"), ask("a"), ask("b"))
	require.Equal(t, 2, m.asked, "the same question is asked once")
	c, err := Open(context.Background(), path)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	r, err := (&Replay{c}).Ask(context.Background(), ask("b"))
	require.NoError(t, err)
	require.Equal(t, chat.Reply{Text: "yes", Latency: 7 * time.Second, Input: 30, Output: 4, FromTape: true}, r)
}

func TestAMissingAnswerIsAnErrorThatSaysWhatToDo(t *testing.T) {
	path := file(t)
	record(t, path, &model{})
	missing := func(q *chat.Question) error {
		c, err := Open(context.Background(), path)
		require.NoError(t, err)
		_, err = (&Replay{c}).Ask(context.Background(), q)
		return errors.Join(err, c.Close())
	}
	require.ErrorContains(t, missing(ask("b")), "it is empty; --analyst record asks for what is missing")
	record(t, path, &model{}, ask("a"))
	require.ErrorContains(t, missing(ask("b")), "holds no answer")
	other := ask("a")
	other.Prompt = "2"
	require.ErrorContains(t, missing(other), "its 1 of this model were recorded with another version of the prompts")
	other.Model = "n"
	require.ErrorContains(t, missing(other), "none of its 1 is of the model n")
	var fatal *chat.FatalError
	require.ErrorAs(t, missing(other), &fatal)
}

func TestFailuresAreRecordedAndAskedAnewByTheNextRecording(t *testing.T) {
	path := file(t)
	m := &model{reply: chat.Reply{Failed: "no answer within 1m0s", Latency: time.Minute}}
	record(t, path, m, ask("a"), ask("a"))
	require.Equal(t, 1, m.asked, "within one run the failure stands")
	c, err := Open(context.Background(), path)
	require.NoError(t, err)
	r, err := (&Replay{c}).Ask(context.Background(), ask("a"))
	require.NoError(t, err)
	require.Equal(t, "no answer within 1m0s", r.Failed)
	require.NoError(t, c.Close())
	m.reply = chat.Reply{Text: "yes"}
	record(t, path, m, ask("a"))
	require.Equal(t, 2, m.asked)
	record(t, path, m, ask("a"))
	require.Equal(t, 2, m.asked)
}

func TestSeveralTrialsAtOnceAskOnce(t *testing.T) {
	c, err := Create(context.Background(), file(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	m := &model{reply: chat.Reply{Text: "yes"}}
	r := &Record{Cassette: c, Next: m}
	var all sync.WaitGroup
	for range 20 {
		all.Add(1)
		go func() {
			defer all.Done()
			reply, err := r.Ask(context.Background(), ask("a"))
			if err != nil || reply.Text != "yes" {
				t.Error(reply, err)
			}
		}()
	}
	all.Wait()
	require.Equal(t, 1, m.asked)
}

func TestDamagedFiles(t *testing.T) {
	path := file(t)
	record(t, path, &model{reply: chat.Reply{Text: "dismiss"}}, ask("a"))
	db, err := sql.Open("sqlite3", path)
	require.NoError(t, err)
	_, err = db.Exec("UPDATE answers SET answer='confirm'")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	c, err := Open(context.Background(), path)
	require.NoError(t, err)
	_, err = (&Replay{c}).Ask(context.Background(), ask("a"))
	require.ErrorContains(t, err, "its checksum does not fit")
	damaged := 0
	require.NoError(t, c.Each(context.Background(), func(_ Entry, fault error) error {
		if fault != nil {
			damaged++
		}
		return nil
	}))
	require.Equal(t, 1, damaged)
	require.NoError(t, c.Close())

	text := file(t)
	require.NoError(t, os.WriteFile(text, []byte("these are no answers, only many words in a file"), 0o600))
	_, err = Open(context.Background(), text)
	require.ErrorContains(t, err, "is damaged or no cassette")
	_, err = Open(context.Background(), filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "--analyst record makes one")
	_, err = Open(context.Background(), t.TempDir())
	require.ErrorContains(t, err, "is a folder")
	_, err = Open(context.Background(), "a?b")
	require.Error(t, err)

	foreign := file(t)
	db, err = sql.Open("sqlite3", foreign)
	require.NoError(t, err)
	_, err = db.Exec("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = Open(context.Background(), foreign)
	require.ErrorContains(t, err, "is no cassette")

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := 5000; at < len(data); at += 7 {
		data[at] ^= 0x5A
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
	if c, err := Open(context.Background(), path); err == nil {
		_, err = (&Replay{c}).Ask(context.Background(), ask("a"))
		require.Error(t, err, "no wrong answer comes out of a damaged file")
		require.NoError(t, c.Close())
	}
}

func TestRemove(t *testing.T) {
	path := file(t)
	record(t, path, &model{reply: chat.Reply{Text: "yes"}}, ask("a"), ask("b"))
	c, err := Create(context.Background(), path)
	require.NoError(t, err)
	require.NoError(t, c.Remove(context.Background(), []string{ask("a").Key()}))
	n := 0
	require.NoError(t, c.Each(context.Background(), func(e Entry, fault error) error {
		n++
		require.NoError(t, fault)
		require.Equal(t, ask("b").Key(), e.Key)
		return nil
	}))
	require.Equal(t, 1, n)
	require.NoError(t, c.Close())
}
