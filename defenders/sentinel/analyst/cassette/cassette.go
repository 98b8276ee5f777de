// Package cassette records the replies of a model and replays them, so that trials with a
// model can be repeated without it, with the same answers after the same times. A cassette
// is an SQLite file; a reply is found by the hash of its question, which covers the model,
// the version of the prompts, the messages and the form of the answer.
package cassette

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver

	"hemostat/defenders/sentinel/analyst/chat"
)

// format names the form of the file.
const format = "hemostat.cassette/v1"

const tables = `
CREATE TABLE IF NOT EXISTS about (format TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, model TEXT NOT NULL, prompt TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL,
  failed TEXT NOT NULL, latency_ns INTEGER NOT NULL, tokens_input INTEGER NOT NULL, tokens_output INTEGER NOT NULL,
  recorded_at TEXT NOT NULL, checksum TEXT NOT NULL);`

// Entry is one recorded reply.
type Entry struct {
	Key        string          `json:"key"`
	Model      string          `json:"model"`
	Prompt     string          `json:"prompt"`
	Question   json.RawMessage `json:"question"`
	Answer     string          `json:"answer"`
	Failed     string          `json:"failed,omitempty"`
	Latency    time.Duration   `json:"latency_ns"`
	Input      int             `json:"tokens_input"`
	Output     int             `json:"tokens_output"`
	RecordedAt string          `json:"recorded_at"`
}

// checksum covers what a reply holds, so that a damaged file gives no wrong answer.
func (e *Entry) checksum() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d\n%d\n%d\n%s\n%s", e.Key, e.Model, e.Prompt, e.Latency,
		e.Input, e.Output, e.Failed, e.Answer))
	return hex.EncodeToString(sum[:])
}

// Cassette is an open cassette. It may be shared between goroutines.
type Cassette struct {
	path  string
	db    *sql.DB
	mu    sync.Mutex
	known map[string]chat.Reply // replies that were read or recorded
}

// Create opens a cassette to record into, and makes it when it is not there.
func Create(ctx context.Context, path string) (*Cassette, error) {
	c, err := open(ctx, path, "mode=rwc&_journal_mode=WAL&_synchronous=NORMAL&_txlock=immediate&_busy_timeout=30000")
	if err != nil {
		return nil, err
	}
	_, err = c.db.ExecContext(ctx, tables)
	if err == nil {
		_, err = c.db.ExecContext(ctx, "INSERT INTO about SELECT ? WHERE NOT EXISTS (SELECT 1 FROM about)", format)
	}
	if err == nil {
		return c, c.check(ctx)
	}
	return nil, errors.Join(c.explain(err), c.db.Close())
}

// Open opens a cassette to replay.
func Open(ctx context.Context, path string) (*Cassette, error) {
	if info, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cassette %s does not exist; --analyst record makes one", path)
	} else if err == nil && info.IsDir() {
		return nil, fmt.Errorf("cassette %s is a folder", path)
	}
	c, err := open(ctx, path, "mode=ro&_busy_timeout=10000")
	if err != nil {
		return nil, err
	}
	return c, c.check(ctx)
}

func open(ctx context.Context, path, options string) (*Cassette, error) {
	if strings.ContainsAny(path, "?#%") || path == "" {
		return nil, fmt.Errorf("cassette %q: a file is expected whose name has none of ? # %%", path)
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?"+options)
	if err != nil {
		return nil, fmt.Errorf("cassette %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	c := &Cassette{path: path, db: db, known: map[string]chat.Reply{}}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(c.explain(err), db.Close())
	}
	return c, nil
}

// check refuses files that are no cassette or are damaged.
func (c *Cassette) check(ctx context.Context) error {
	var form, sound string
	err := c.db.QueryRowContext(ctx, "SELECT format FROM about").Scan(&form)
	if err == nil && form != format {
		err = fmt.Errorf("its format is %q, and this program reads %s", form, format)
	}
	if err == nil {
		err = c.db.QueryRowContext(ctx, "PRAGMA quick_check").Scan(&sound)
	}
	if err == nil && sound != "ok" {
		err = fmt.Errorf("the file is damaged (%s); restore it, or record it anew", sound)
	}
	if err == nil {
		return nil
	}
	return errors.Join(c.explain(err), c.db.Close())
}

func (c *Cassette) explain(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "not a database"), strings.Contains(text, "malformed"):
		return fmt.Errorf("cassette %s is damaged or no cassette; restore it, or record it anew: %w", c.path, err)
	case strings.Contains(text, "no such table"):
		return fmt.Errorf("%s is no cassette", c.path)
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s is no cassette: it names no format", c.path)
	}
	return fmt.Errorf("cassette %s: %w", c.path, err)
}

// Close closes the file.
func (c *Cassette) Close() error { return c.db.Close() }

// find returns the reply to a question.
func (c *Cassette) find(ctx context.Context, key string) (chat.Reply, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.known[key]; ok {
		return r, true, nil
	}
	e, err := scan(c.db.QueryRowContext(ctx, selectEntries+" WHERE key=?", key))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return chat.Reply{}, false, nil
	case errors.Is(err, errDamaged):
		return chat.Reply{}, false, &chat.FatalError{What: fmt.Sprintf("cassette %s", c.path), Err: err}
	case err != nil:
		return chat.Reply{}, false, c.explain(err)
	}
	r := chat.Reply{Text: e.Answer, Latency: e.Latency, Input: e.Input, Output: e.Output, Failed: e.Failed,
		FromTape: true}
	c.known[key] = r
	return r, true, nil
}

const selectEntries = "SELECT key, model, prompt, question, answer, failed, latency_ns, tokens_input, tokens_output, recorded_at, checksum FROM answers"

// errDamaged tells that an entry is not what was recorded.
var errDamaged = errors.New("is damaged: its checksum does not fit; prune it with hemostat cassette prune --damaged, and record it anew")

func scan(row interface{ Scan(...any) error }) (Entry, error) {
	var e Entry
	var question, checksum string
	err := row.Scan(&e.Key, &e.Model, &e.Prompt, &question, &e.Answer, &e.Failed, &e.Latency, &e.Input, &e.Output,
		&e.RecordedAt, &checksum)
	if err != nil {
		return e, err
	}
	e.Question = json.RawMessage(question)
	if e.checksum() != checksum {
		return e, fmt.Errorf("entry %.12s %w", e.Key, errDamaged)
	}
	return e, nil
}

// keep records a reply.
func (c *Cassette) keep(ctx context.Context, q *chat.Question, r chat.Reply) error {
	question, err := json.Marshal(q)
	if err != nil {
		return err
	}
	e := Entry{
		Key: q.Key(), Model: q.Model, Prompt: q.Prompt, Question: question, Answer: r.Text, Failed: r.Failed,
		Latency: r.Latency, Input: r.Input, Output: r.Output, RecordedAt: time.Now().UTC().Format(time.RFC3339),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.db.ExecContext(context.WithoutCancel(ctx),
		"INSERT OR REPLACE INTO answers (key, model, prompt, question, answer, failed, latency_ns, tokens_input, tokens_output, recorded_at, checksum) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
		e.Key, e.Model, e.Prompt, string(e.Question), e.Answer, e.Failed, int64(e.Latency), e.Input, e.Output, e.RecordedAt, e.checksum())
	if err != nil {
		return c.explain(err)
	}
	c.known[e.Key] = r
	return nil
}

// Each calls f with every entry in the order of recording; damaged is the error of an entry
// that is not what was recorded.
func (c *Cassette) Each(ctx context.Context, f func(e Entry, damaged error) error) error {
	rows, err := c.db.QueryContext(ctx, selectEntries+" ORDER BY recorded_at, key")
	if err != nil {
		return c.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scan(rows)
		if err != nil && !errors.Is(err, errDamaged) {
			return c.explain(err)
		}
		if err := f(e, err); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return c.explain(err)
	}
	return nil
}

// Remove takes entries out and gives their room back.
func (c *Cassette) Remove(ctx context.Context, keys []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if _, err := c.db.ExecContext(ctx, "DELETE FROM answers WHERE key=?", key); err != nil {
			return c.explain(err)
		}
		delete(c.known, key)
	}
	if _, err := c.db.ExecContext(ctx, "VACUUM"); err != nil {
		return c.explain(err)
	}
	return nil
}

// miss explains why a question is not in the cassette.
func (c *Cassette) miss(ctx context.Context, q *chat.Question) error {
	count := func(where string, args ...any) (n int) {
		if err := c.db.QueryRowContext(ctx, "SELECT count(*) FROM answers WHERE "+where, args...).Scan(&n); err != nil {
			return 0
		}
		return n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	what := fmt.Sprintf("cassette %s holds no answer to a question of this run (%.12s)", c.path, q.Key())
	all, model, prompt := count("1"), count("model=?", q.Model), count("model=? AND prompt=?", q.Model, q.Prompt)
	switch {
	case all == 0:
		what += "; it is empty"
	case model == 0:
		what += fmt.Sprintf("; none of its %d is of the model %s", all, q.Model)
	case prompt == 0:
		what += fmt.Sprintf("; its %d of this model were recorded with another version of the prompts", model)
	}
	return &chat.FatalError{What: what + "; --analyst record asks for what is missing"}
}
