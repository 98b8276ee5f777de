package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the driver
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open database.
type DB struct {
	sql  *sql.DB
	path string
}

// Create opens a database for writing, makes it if it is not there, and brings
// its schema up to date.
func Create(path string) (*DB, error) {
	return open(path, "rwc", true)
}

// Open opens an existing database for reading.
func Open(path string) (*DB, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("database %s does not exist; 'hemostat run --db %s' makes one", path, path)
	case err != nil:
		return nil, fmt.Errorf("database %s: %w", path, err)
	case info.IsDir():
		return nil, fmt.Errorf("database %s is a folder", path)
	}
	return open(path, "rw", false)
}

func open(path, mode string, migrate bool) (*DB, error) {
	if strings.ContainsAny(path, "?#%") {
		return nil, fmt.Errorf("database %s: the characters ? # %% are not accepted in its name", path)
	}
	handle, err := sql.Open("sqlite3", "file:"+path+"?mode="+mode+"&_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=10000&_foreign_keys=on")
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	handle.SetMaxOpenConns(1) // one writer, and a reader that sees what it wrote
	db := &DB{handle, path}
	if err := db.prepare(migrate); err != nil {
		handle.Close()
		return nil, err
	}
	return db, nil
}

// prepare checks that the file is ours and not newer than the program, and
// migrates it when asked to.
func (db *DB) prepare(migrate bool) error {
	ctx := context.Background()
	if err := db.sql.PingContext(ctx); err != nil {
		return db.explain(err)
	}
	var tables int
	if err := db.sql.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return db.explain(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.sql, files)
	if err != nil {
		return fmt.Errorf("database %s: migrations: %w", db.path, err)
	}
	if tables > 0 {
		var marked int
		if err := db.sql.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name IN ('goose_db_version','trials')").Scan(&marked); err != nil {
			return db.explain(err)
		}
		if marked != 2 {
			return fmt.Errorf("database %s was not made by hemostat, or its making was interrupted; choose another file with --db, or remove this one", db.path)
		}
	} else if !migrate {
		return fmt.Errorf("database %s is empty; 'hemostat run --db %s' fills it", db.path, db.path)
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	if tables > 0 {
		version, err := provider.GetDBVersion(ctx)
		if err != nil {
			return db.explain(err)
		}
		if version > newest {
			return fmt.Errorf("database %s was written by a newer version of hemostat (schema %d, this program knows up to %d); use that version, or another file", db.path, version, newest)
		}
		if version < newest && !migrate {
			return fmt.Errorf("database %s was written by an older version of hemostat (schema %d, this program has %d); 'hemostat run --db %s' brings it up to date", db.path, version, newest, db.path)
		}
	}
	if migrate {
		if _, err := provider.Up(ctx); err != nil {
			return fmt.Errorf("database %s: migrations: %w", db.path, err)
		}
	}
	return nil
}

// explain turns what SQLite says of a bad file into words.
func (db *DB) explain(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "not a database"):
		return fmt.Errorf("%s is no SQLite database", db.path)
	case strings.Contains(text, "malformed"), strings.Contains(text, "disk I/O error"):
		return fmt.Errorf("database %s is damaged (%s); 'sqlite3 %s .recover' may save part of it", db.path, text, db.path)
	case strings.Contains(text, "unable to open"):
		return fmt.Errorf("database %s cannot be opened: do its folder and the right to write there exist?", db.path)
	}
	return fmt.Errorf("database %s: %w", db.path, err)
}

// Close closes the database.
func (db *DB) Close() error { return db.sql.Close() }

// Path is the file's name.
func (db *DB) Path() string { return db.path }

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
