package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open database.
type DB struct {
	sql  *sql.DB
	path string
	// ctx ends queries that run when the command is interrupted.
	ctx context.Context
	// opened is the file as it was opened, to notice that it was removed or replaced.
	opened fs.FileInfo
}

// Create opens a database for writing, makes it if it is not there, and brings its
// schema up to date. Several processes may do so at once.
func Create(ctx context.Context, path string) (*DB, error) {
	if err := checkName(path); err != nil {
		return nil, err
	}
	// A signal must not leave half of the tables behind.
	db, err := connectWriter(
		context.WithoutCancel(ctx),
		path,
		"mode=rwc&_journal_mode=WAL&_synchronous=NORMAL&_foreign_keys=on&_txlock=immediate&_busy_timeout="+fmt.Sprint(
			writerPatience.Milliseconds(),
		),
	)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(); err != nil {
		db.Close()
		return nil, err
	}
	db.ctx = ctx
	if db.opened, err = os.Stat(path); err != nil {
		db.Close()
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return db, nil
}

// connectWriter is connect for several processes at once: SQLite does not wait for a
// lock when it turns a new file to WAL mode.
func connectWriter(ctx context.Context, path, options string) (db *DB, err error) {
	for range migrationAttempts {
		if db, err = connect(ctx, path, options); !errors.Is(err, ErrUnavailable) {
			return db, err
		}
		time.Sleep(migrationPause)
	}
	return db, err
}

const (
	// writerPatience is how long a writer waits for a lock of another program.
	writerPatience = 2 * time.Minute
	// readerPatience is how long a reader does.
	readerPatience = 10 * time.Second
)

// Open opens an existing database for reading; the file and its folder may be
// read-only.
func Open(ctx context.Context, path string) (*DB, error) {
	if err := checkName(path); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("database %s does not exist; 'hemostat run --db %s' makes one", path, path)
	case err != nil:
		return nil, fmt.Errorf("database %s: %w", path, err)
	case info.IsDir():
		return nil, fmt.Errorf("database %s is a folder", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no SQLite database", path)
	}
	patience := "&_busy_timeout=" + fmt.Sprint(readerPatience.Milliseconds())
	for _, mode := range []string{"mode=rw", "mode=ro"} { // with rw, the last reader clears the files of WAL mode away
		db, err := openReader(ctx, path, mode+"&_query_only=true"+patience)
		if !errors.Is(err, errNoSharedMemory) {
			return db, err
		}
	}
	// A database in WAL mode needs a file for shared memory beside it, unless nobody
	// can write (SQLite, "Write-Ahead Logging", section 5).
	if wal, walErr := os.Stat(path + "-wal"); walErr == nil && wal.Size() > 0 {
		return nil, fmt.Errorf(
			"database %s has changes in %s-wal, and its folder cannot be written; copy both files to a folder where you may write",
			path,
			path,
		)
	}
	return openReader(ctx, path, "mode=ro&immutable=1"+patience)
}

func openReader(ctx context.Context, path, options string) (*DB, error) {
	db, err := connect(ctx, path, options)
	if err != nil {
		return nil, err
	}
	if err := db.checkVersion(); err != nil {
		db.Close()
		return nil, err
	}
	if db.opened, err = os.Stat(path); err != nil {
		db.Close()
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return db, nil
}

// checkName refuses names under which nothing would be kept, or another file.
func checkName(path string) error {
	switch {
	case strings.TrimSpace(path) == "":
		return errors.New("the database's name is empty; name a file with --db")
	case path == ":memory:" || strings.HasPrefix(path, "file:"):
		return fmt.Errorf("database %s: a file is expected, since what is recorded elsewhere is lost", path)
	case strings.ContainsAny(path, "?#%"):
		return fmt.Errorf("database %s: the characters ? # %% are not accepted in its name", path)
	}
	return nil
}

func connect(ctx context.Context, path, options string) (*DB, error) {
	handle, err := sql.Open("sqlite3", "file:"+path+"?"+options)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	handle.SetMaxOpenConns(1) // one writer, and a reader that sees what it wrote
	db := &DB{sql: handle, path: path, ctx: ctx}
	if err := handle.PingContext(ctx); err != nil {
		handle.Close()
		return nil, db.explain(err)
	}
	return db, nil
}

// newest is the version of the schema that this program knows.
func newest() (int64, error) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(entries[len(entries)-1].Name())
}

// version is the version of the file's schema; 0 when the file is empty.
func (db *DB) version() (int64, error) {
	tables, err := db.texts("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		return 0, err
	}
	foreign := slices.ContainsFunc(tables, func(name string) bool { return !slices.Contains(ownTables, name) })
	switch {
	case len(tables) == 0:
		return 0, nil
	case foreign:
		return 0, fmt.Errorf("database %s was not made by hemostat; choose another file with --db", db.path)
	case !slices.Contains(tables, "goose_db_version") || !slices.Contains(tables, "trials"):
		return 0, fmt.Errorf("database %s %w; choose another file with --db, or remove this one", db.path, errHalfMade)
	}
	var version int64
	if err := db.sql.QueryRowContext(db.ctx,
		"SELECT coalesce(max(version_id),0) FROM goose_db_version WHERE is_applied").Scan(&version); err != nil {
		return 0, db.explain(err)
	}
	return version, nil
}

// ownTables are the tables of a database of this program.
var ownTables = func() []string {
	names := []string{"goose_db_version", "runs", "scenarios", "variants", "trials", "events", "event_blocks", "documents",
		costTable.title(), scoreTable.title()}
	for _, t := range detailTables {
		names = append(names, t.title())
	}
	return names
}()

// errHalfMade marks a file with a part of the tables: another process is making them
// now, or was interrupted while it did.
var errHalfMade = errors.New("was not made by hemostat, or its making was interrupted")

// checkVersion refuses files that this program cannot read.
func (db *DB) checkVersion() error {
	known, err := newest()
	if err != nil {
		return err
	}
	version, err := db.version()
	switch {
	case err != nil:
		return err
	case version == 0:
		return fmt.Errorf("database %s is empty; 'hemostat run --db %s' fills it", db.path, db.path)
	case version > known:
		return db.tooNew(version, known)
	case version < known:
		return fmt.Errorf(
			"database %s was written by an older version of hemostat (schema %d, this program has %d); 'hemostat run --db %s' brings it up to date",
			db.path,
			version,
			known,
			db.path,
		)
	}
	lacking, err := db.lackingColumns()
	if err != nil {
		return err
	}
	if len(lacking) > 0 {
		return fmt.Errorf(
			"database %s was written by an older version of hemostat (it lacks %s); 'hemostat run --db %s' brings it up to date",
			db.path,
			lacking[0],
			db.path,
		)
	}
	return nil
}

func (db *DB) tooNew(version, known int64) error {
	return fmt.Errorf(
		"database %s was written by a newer version of hemostat (schema %d, this program knows up to %d); use that version, or another file",
		db.path,
		version,
		known,
	)
}

const (
	// migrationAttempts bounds how often the migration is tried while other processes
	// make the same database.
	migrationAttempts = 50
	migrationPause    = 100 * time.Millisecond
)

// migrate brings the schema up to date. Of several processes that do so at once one
// succeeds and the others fail at a table or column that is there already, so what
// fails is looked at again.
func (db *DB) migrate() error {
	known, err := newest()
	if err != nil {
		return err
	}
	var failed error
	for range migrationAttempts {
		version, err := db.version()
		switch {
		case errors.Is(err, errHalfMade) && db.young():
			failed = err
		case err != nil:
			return err
		case version > known:
			return db.tooNew(version, known)
		case version == known:
			failed = db.addColumns()
		default:
			failed = db.applyMigrations()
		}
		if failed == nil && version == known {
			return nil
		}
		if failed != nil {
			time.Sleep(migrationPause)
		}
	}
	return failed
}

// young tells whether the file was changed so lately that another process may be
// making its tables.
func (db *DB) young() bool {
	info, err := os.Stat(db.path)
	return err == nil && time.Since(info.ModTime()) < 10*time.Second && info.Size() > 0
}

func (db *DB) applyMigrations() error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.sql, files)
	if err != nil {
		return fmt.Errorf("database %s: migrations: %w", db.path, err)
	}
	if _, err := provider.Up(db.ctx); err != nil {
		return fmt.Errorf("database %s: migrations: %w", db.path, db.explain(err))
	}
	return nil
}

// Close closes the database.
func (db *DB) Close() error { return db.sql.Close() }

// checkFile tells whether the file that was opened is still the one of its name.
func (db *DB) checkFile() error {
	now, err := os.Stat(db.path)
	if err != nil || !os.SameFile(db.opened, now) {
		return fmt.Errorf(
			"database %s was removed or replaced while it was written to; what was recorded since is lost",
			db.path,
		)
	}
	return nil
}

// SQLiteVersion is the version of the library that is linked in.
func SQLiteVersion() (string, error) {
	handle, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		return "", err
	}
	defer handle.Close()
	var v string
	err = handle.QueryRow("SELECT sqlite_version()").Scan(&v)
	return v, err
}
